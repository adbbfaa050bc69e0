"""The repository's contract: one suite on PostgreSQL 18, PostgreSQL 16 and in memory."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Generator
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from tests.conftest import fresh_schema
from tests.real.helpers import ITEMS, OWNERS, Item, Owner, failure, item, items

import tierline as tl

BACKENDS = ["postgres18", "postgres16", "cached", "memory"]


class Post(msgspec.Struct, frozen=True):
    """An entity whose lifecycle its table keeps."""

    id: int
    title: str
    words: int | None = None
    version: int = 1
    created: dt.datetime | None = None
    changed: dt.datetime | None = None
    deleted: dt.datetime | None = None


class Kind(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Part(msgspec.Struct, frozen=True):
    """A composite key, and one column of each kind that travels in its own way."""

    maker: str
    number: int
    kind: Kind = Kind.SMALL
    price: Decimal = Decimal(1)
    weight: float = 1.0
    tags: list[str] = []
    size: dict[str, int] = {}
    seen: dt.datetime | None = None
    body: bytes = b""


class Branch(msgspec.Struct, frozen=True):
    """A row that may hang on another of the same table."""

    id: int
    parent: int | None = None
    owner: int | None = None
    label: Annotated[str, msgspec.Meta(min_length=1)] = "branch"


POSTS = tl.table(
    Post,
    name="posts",
    key=lambda p: p.id,
    version=lambda p: p.version,
    created_at=lambda p: p.created,
    updated_at=lambda p: p.changed,
    deleted_at=lambda p: p.deleted,
).unique(lambda p: p.title)
PARTS = tl.table(Part, name="parts", key=lambda p: (p.maker, p.number))
_BRANCHES = tl.table(Branch, name="branches", key=lambda b: b.id)
BRANCHES = _BRANCHES.foreign_key(lambda b: b.parent, _BRANCHES, on_delete="cascade").foreign_key(
    lambda b: b.owner, OWNERS, on_delete="set null"
)


class World(NamedTuple):
    """The repositories under test."""

    owners: tl.Repository[Owner, int]
    items: tl.Repository[Item, int]
    posts: tl.Repository[Post, int]
    parts: tl.Repository[Part, tuple[str, int]]
    branches: tl.Repository[Branch, int]


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Generator[World]:
    if request.param == "memory":
        owners = tl.memory_repository(OWNERS)
        yield World(
            owners,
            tl.memory_repository(ITEMS, references=[owners]),
            tl.memory_repository(POSTS),
            tl.memory_repository(PARTS),
            tl.memory_repository(BRANCHES, references=[owners]),
        )
        return
    server = "postgres18" if request.param == "cached" else request.param
    cache = tl.read_through(ttl_s=600) if request.param == "cached" else None
    with (
        fresh_schema(request.getfixturevalue(server)) as url,
        tl.open(url, pool_size=2, timeout_s=10) as store,
    ):
        for table in (OWNERS, ITEMS, POSTS, PARTS, BRANCHES):
            store.create_table(table).unwrap()
        yield World(
            tl.repository(store, OWNERS, cache=cache),
            tl.repository(store, ITEMS, cache=cache),
            tl.repository(store, POSTS, cache=cache),
            tl.repository(store, PARTS, cache=cache),
            tl.repository(store, BRANCHES, cache=cache),
        )


def found(result: tl.Result[list[Any], tl.RepositoryError]) -> list[int]:
    return sorted(row.id for row in result.unwrap())


# Keys


def test_a_row_lives_from_create_to_delete(world: World) -> None:
    stock = world.items
    assert failure(stock.get_by_id(1), tl.NotFoundError).operation == "get_by_id"
    assert stock.exists(1) == tl.Success(False)
    assert stock.create(item(1)) == tl.Success(item(1))
    assert stock.exists(1) == tl.Success(True)
    assert stock.get_by_id(1) == tl.Success(item(1))
    changed = item(1, quantity=5, note="new")
    assert stock.update(changed) == tl.Success(changed)
    assert stock.get_by_id(1) == tl.Success(changed)
    assert stock.delete(1) == tl.Success(None)
    assert failure(stock.get_by_id(1), tl.NotFoundError).table == "items"
    for operation, result in {
        "delete": stock.delete(1),
        "update": stock.update(item(1)),
        "purge": stock.purge(1),
    }.items():
        error = failure(result, tl.NotFoundError, "no row")
        assert (error.operation, error.table) == (operation, "items")


def test_an_entity_can_be_deleted_without_naming_its_key(world: World) -> None:
    world.parts.create(Part("acme", 1)).unwrap()
    assert world.parts.delete(Part("acme", 1)) == tl.Success(None)
    assert world.parts.exists(("acme", 1)) == tl.Success(False)


def test_every_kind_of_value_comes_back(world: World) -> None:
    seen = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    part = Part("ä", -1, Kind.LARGE, Decimal("1.50"), 0.5, ["a", ""], {"x": 1}, seen, b"\0\xff")
    other = Part("b", 2, Kind.SMALL, Decimal(0), -0.5, [], {}, None, b"")
    world.parts.create(part).unwrap()
    assert world.parts.upsert_many([part, other]) == tl.Success(2)
    keys = [("b", 2), ("ä", -1), ("none", 0)]
    assert world.parts.get_many(keys) == tl.Success({("b", 2): other, ("ä", -1): part})
    changed = msgspec.structs.replace(other, tags=["n"], size={"y": 2}, kind=Kind.LARGE)
    assert world.parts.update_many([changed, part]) == tl.Success(2)
    assert world.parts.get_by_id(("b", 2)) == tl.Success(changed)
    assert world.parts.upsert(other) == tl.Success(other)
    assert world.parts.delete_many([("b", 2), ("ä", -1), ("x", 1)]) == tl.Success(2)


def test_many_are_got_at_once_in_the_order_of_their_keys(world: World) -> None:
    world.items.create_many(items(5)).unwrap()
    assert world.items.get_by_id(3) == tl.Success(item(3))
    got = world.items.get_many([4, 3, 9, 0, 3]).unwrap()
    assert list(got) == [4, 3, 0]
    assert got == {n: item(n) for n in (4, 3, 0)}
    assert world.items.get_many([]) == tl.Success({})
    world.items.update(item(3, quantity=7)).unwrap()
    assert world.items.get_many(iter([3])) == tl.Success({3: item(3, quantity=7)})
    error = failure(world.items.get_many([2**70]), tl.ValidationError)
    assert error.operation == "get_many"


def test_a_key_of_another_type_is_a_type_error(world: World) -> None:
    wrong: Any = "1"
    for verb in (world.items.get_many, world.items.delete_many):
        with pytest.raises(TypeError, match="key field 'id' takes int"):
            verb([wrong])
    for verb in (world.items.delete, world.items.purge, world.items.exists):
        with pytest.raises(TypeError, match="key field 'id' takes int"):
            verb(wrong)


# Constraints


def test_a_taken_key_or_unique_value_names_its_fields(world: World) -> None:
    world.items.create(item(1)).unwrap()
    error = failure(world.items.create(item(1, sku="other")), tl.DuplicateError, "the same id")
    assert (error.constraint, error.columns, error.fields) == ("items_pkey", ("id",), ("id",))
    world.items.create(item(2)).unwrap()
    for operation, result in {
        "create": world.items.create(item(3, sku="sku-1")),
        "update": world.items.update(item(2, sku="sku-1")),
        "upsert": world.items.upsert(item(2, sku="sku-1")),
        "create_many": world.items.create_many([item(4), item(3, sku="sku-1")]),
        "upsert_many": world.items.upsert_many([item(4), item(2, sku="sku-1")]),
        "update_many": world.items.update_many([item(1, note="n"), item(2, sku="sku-1")]),
    }.items():
        error = failure(result, tl.DuplicateError, "the same sku")
        assert (error.operation, error.table) == (operation, "items")
        assert (error.constraint, error.fields) == ("items_sku_key", ("sku",))
    assert world.items.list(order_by=lambda i: i.id) == tl.Success([item(1), item(2)])


def test_a_foreign_key_that_leads_nowhere_names_its_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    for result in (
        world.items.create(item(2, owner=7)),
        world.items.update(item(1, owner=7)),
        world.items.update(tl.change(item(1), owner=7)),
        world.items.upsert_many([item(3), item(4, owner=7)]),
    ):
        error = failure(result, tl.ConstraintError, "names no row of owners")
        assert (error.constraint, error.fields) == ("items_owner_fkey", ("owner",))
    assert world.items.count() == tl.Success(1)


def test_a_row_that_others_refer_to_stays(world: World) -> None:
    world.owners.create_many([Owner(1, "one"), Owner(2, "two")]).unwrap()
    world.items.create(item(1, owner=1)).unwrap()
    for operation, result in {
        "delete": world.owners.delete(1),
        "purge": world.owners.purge(1),
        "delete_many": world.owners.delete_many([2, 1]),
        "delete_where": world.owners.delete_where(tl.everything),
    }.items():
        error = failure(result, tl.ConstraintError, "other rows refer to this row")
        assert (error.operation, error.constraint) == (operation, "items_owner_fkey")
    assert found(world.owners.list()) == [1, 2]


def test_dependents_follow_what_their_foreign_key_says(world: World) -> None:
    world.owners.create(Owner(1, "one")).unwrap()
    world.branches.create(Branch(1, owner=1)).unwrap()
    world.branches.create_many([Branch(2, 1), Branch(3, 2), Branch(4)]).unwrap()
    assert world.branches.get_by_id(1) == tl.Success(Branch(1, owner=1))
    assert world.branches.get_by_id(3) == tl.Success(Branch(3, 2))
    assert world.owners.delete(1) == tl.Success(None)
    assert world.branches.get_by_id(1) == tl.Success(Branch(1))
    assert world.branches.delete(1) == tl.Success(None)
    failure(world.branches.get_by_id(3), tl.NotFoundError)
    assert found(world.branches.list()) == [4]


def test_a_null_is_never_a_duplicate(world: World) -> None:
    world.posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    assert world.posts.count(words=None) == tl.Success(2)


# Validation


def test_bad_fields_are_listed_before_anything_is_written(world: World) -> None:
    bad = item(1, sku="x", quantity=-1)
    for operation, result in {
        "create": world.items.create(bad),
        "update": world.items.update(bad),
        "upsert": world.items.upsert(bad),
        "get_or_create": world.items.get_or_create(bad),
    }.items():
        error = failure(result, tl.ValidationError)
        assert [path for path, _ in error.errors] == ["sku", "quantity"]
        assert (error.operation, error.table) == (operation, "items")
    for operation, many in {
        "create_many": world.items.create_many([item(0), bad]),
        "upsert_many": world.items.upsert_many([item(0), bad]),
        "update_many": world.items.update_many([item(0), bad]),
    }.items():
        error = failure(many, tl.ValidationError)
        assert [path for path, _ in error.errors] == ["[1].sku", "[1].quantity"]
        assert error.operation == operation
    assert world.items.count() == tl.Success(0)


def test_an_entity_of_another_class_is_a_type_error(world: World) -> None:
    other: Any = Owner(1, "one")
    for verb in (world.items.create, world.items.update, world.items.upsert):
        with pytest.raises(TypeError, match="instance of Item"):
            verb(other)
    with pytest.raises(TypeError, match="instance of Item"):
        world.items.upsert_many([other])


def test_a_key_twice_in_a_batch_is_a_bad_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    for verb in (world.items.upsert_many, world.items.update_many):
        error = failure(verb([item(1), item(2), item(1, note="n")]), tl.ValidationError)
        assert error.errors[0].path == "[2].id"
    assert world.items.list() == tl.Success([item(1)])


# Many


def test_an_upsert_of_many_inserts_and_replaces(world: World) -> None:
    world.items.create_many(items(3)).unwrap()
    sent: list[int] = []
    batch = [item(n, note="new") for n in range(2, 5)]
    assert world.items.upsert_many(iter(batch), progress=sent.append) == tl.Success(3)
    assert sum(sent) == 3
    assert world.items.list(order_by=lambda i: i.id) == tl.Success([item(0), item(1), *batch])
    assert world.items.upsert_many([]) == tl.Success(0)
    assert world.items.get_by_id(2) == tl.Success(item(2, note="new"))


def test_an_update_of_many_changes_all_or_none(world: World) -> None:
    world.items.create_many(items(3)).unwrap()
    assert world.items.get_by_id(0) == tl.Success(item(0))
    changed = [item(n, quantity=9) for n in range(3)]
    error = failure(world.items.update_many([*changed, item(7)]), tl.NotFoundError)
    assert error.operation == "update_many"
    assert world.items.count(quantity=9) == tl.Success(0)
    assert world.items.update_many(changed) == tl.Success(3)
    assert world.items.get_by_id(0) == tl.Success(item(0, quantity=9))
    assert world.items.update_many([]) == tl.Success(0)


def test_many_are_deleted_by_key_or_condition(world: World) -> None:
    world.items.create_many(items(6)).unwrap()
    assert world.items.get_by_id(1) == tl.Success(item(1))
    assert world.items.delete_many([1, 2, 99, 1]) == tl.Success(2)
    failure(world.items.get_by_id(1), tl.NotFoundError)
    assert world.items.delete_many([]) == tl.Success(0)
    assert world.items.get_by_id(5) == tl.Success(item(5))
    assert world.items.delete_where(lambda i: i.id > 3) == tl.Success(2)
    failure(world.items.get_by_id(5), tl.NotFoundError)
    assert found(world.items.list()) == [0, 3]
    assert world.items.delete_where(tl.everything) == tl.Success(2)
    missing: Any = None
    with pytest.raises(TypeError, match=r"where=tl\.everything"):
        world.items.delete_where(missing)


def test_rows_are_changed_where_a_condition_holds(world: World) -> None:
    world.items.create_many([item(n, quantity=n, note="n" if n else None) for n in range(4)])
    assert world.items.get_by_id(3).unwrap().quantity == 3
    changed = world.items.update_where(
        set=lambda i: (
            tl.set(i.quantity).to(i.quantity * 2 + i.id),
            tl.set(i.note).to(None),
            tl.set(i.sku).to(i.sku + "!"),
        ),
        where=lambda i: tl.some(i.note) == "n",
    )
    assert changed == tl.Success(3)
    assert world.items.get_by_id(3) == tl.Success(item(3, quantity=9, sku="sku-3!"))
    assert world.items.get_by_id(0) == tl.Success(item(0))
    error = failure(
        world.items.update_where(set=lambda i: tl.set(i.quantity).to(-1), where=tl.everything),
        tl.ConstraintError,
    )
    assert (error.operation, error.constraint) == ("update_where", "items_quantity_check")
    assert error.fields == ("quantity",)
    assert world.items.count(quantity=-1) == tl.Success(0)


def test_a_value_that_cannot_be_computed_is_refused(world: World) -> None:
    world.items.create_many([item(n, quantity=n, note="nn") for n in range(3)]).unwrap()
    for write in (
        lambda: world.items.update_where(
            set=lambda i: tl.set(i.quantity).to(6 // i.quantity), where=tl.everything
        ),
        lambda: world.items.update_where(
            set=lambda i: tl.set(i.quantity).to(tl.cast(i.sku, int)), where=lambda i: i.id > 0
        ),
        lambda: world.items.delete_where(lambda i: 6 // i.quantity > 3),
    ):
        failure(write(), tl.ValidationError)
    failure(world.items.delete_where(lambda i: tl.like(i.note, "n\\")), tl.QueryError)
    assert world.items.count() == tl.Success(3)


def test_what_functions_find_is_changed(world: World) -> None:
    world.items.create_many([item(n, sku=f"Sku-{n}") for n in range(3)]).unwrap()
    assert world.items.update_where(
        set=lambda i: (
            tl.set(i.sku).to(i.sku.upper()[:4] + tl.cast(i.id, str)),
            tl.set(i.quantity).to(tl.case((i.id > 1, tl.length(i.sku)), otherwise=7)),
        ),
        where=lambda i: tl.matches(i.sku, "[12]$"),
    ) == tl.Success(2)
    rows = world.items.list().unwrap()
    assert sorted((row.sku, row.quantity) for row in rows if row.id) == [("SKU-1", 7), ("SKU-2", 5)]


def test_json_arrays_and_choices_are_set(world: World) -> None:
    world.parts.create_many([Part("a", 1), Part("b", 2)]).unwrap()
    world.parts.update_where(
        set=lambda p: (
            tl.set(p.size).to({"x": 3}),
            tl.set(p.tags).to(["ä", "'"]),
            tl.set(p.kind).to(Kind.LARGE),
            tl.set(p.price).to(p.price + 1),
            tl.set(p.weight).to(p.weight / 2),
        ),
        where=lambda p: p.maker == "a",
    ).unwrap()
    changed = Part("a", 1, Kind.LARGE, Decimal(2), 0.5, ["ä", "'"], {"x": 3})
    assert world.parts.get_by_id(("a", 1)) == tl.Success(changed)
    assert world.parts.get_by_id(("b", 2)) == tl.Success(Part("b", 2))


# One of many


def test_find_wants_at_most_one_and_first_the_first(world: World) -> None:
    world.items.create_many(items(4)).unwrap()
    assert world.items.find(lambda i: i.sku == "sku-2") == tl.Success(item(2))
    assert world.items.find(lambda i: i.sku == "none") == tl.Success(None)
    error = failure(world.items.find(lambda i: i.id > 1), tl.QueryError, "more than one")
    assert error.operation == "find"
    assert world.items.first(order_by=lambda i: tl.desc(i.id)) == tl.Success(item(3))
    assert world.items.first(lambda i: i.id < 3, order_by=lambda i: tl.desc(i.id)) == tl.Success(
        item(2)
    )
    assert world.items.first(lambda i: i.id < 0, order_by=lambda i: i.id) == tl.Success(None)
    assert world.items.exists(where=lambda i: i.id == 3) == tl.Success(True)
    assert world.items.exists(where=lambda i: i.id == 4) == tl.Success(False)


def test_exists_takes_a_key_or_a_condition(world: World) -> None:
    exists: Any = world.items.exists
    for arguments in ({}, {"key": 1, "where": lambda i: i.id == 1}):
        with pytest.raises(TypeError, match="a key, or where="):
            exists(**arguments)


def test_get_or_create_says_which_it_was(world: World) -> None:
    assert world.items.get_or_create(item(1)) == tl.Success((item(1), True))
    assert world.items.get_or_create(item(1, note="x")) == tl.Success((item(1), False))
    error = failure(world.items.get_or_create(item(2, sku="sku-1")), tl.DuplicateError)
    assert (error.operation, error.fields) == ("get_or_create", ("sku",))


def test_upsert_replaces_or_creates(world: World) -> None:
    assert world.items.upsert(item(1)) == tl.Success(item(1))
    assert world.items.get_by_id(1) == tl.Success(item(1))
    assert world.items.upsert(item(1, note="new")) == tl.Success(item(1, note="new"))
    assert world.items.get_by_id(1) == tl.Success(item(1, note="new"))
    assert world.items.count() == tl.Success(1)


# Changes


def test_a_change_writes_only_what_differs(world: World) -> None:
    world.items.create(item(1)).unwrap()
    stale_copy = item(1)
    world.items.update(tl.change(stale_copy, quantity=5)).unwrap()
    both = world.items.update(tl.change(stale_copy, note="mine", quantity=0))
    assert both == tl.Success(item(1, quantity=5, note="mine"))
    assert world.items.get_by_id(1) == both


def test_a_change_of_nothing_does_nothing(world: World) -> None:
    assert world.items.update(tl.change(item(1), sku="sku-1")) == tl.Success(item(1))
    failure(world.items.update(tl.change(item(1), note="n")), tl.NotFoundError)


def test_a_change_lists_every_bad_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    error = failure(
        world.items.update(tl.change(item(1), sku="x", quantity="2", note=3)), tl.ValidationError
    )
    assert [path for path, _ in error.errors] == ["sku", "quantity", "note"]
    # A field that is not changed need not fit: an older rule may have let it in.
    old = msgspec.structs.replace(item(1), sku="x")
    assert world.items.update(tl.change(old, note="n")) == tl.Success(item(1, note="n"))


def test_a_change_of_the_key_or_a_managed_field_is_a_type_error(world: World) -> None:
    with pytest.raises(TypeError, match="'id' is part of the key"):
        world.items.update(tl.change(item(1), id=2))
    with pytest.raises(TypeError, match="'version' is set by each write itself"):
        world.posts.update(tl.change(Post(1, "a"), version=2))
    other: Any = tl.change(Owner(1, "one"), name="two")
    with pytest.raises(TypeError, match="a change of Item"):
        world.items.update(other)


# Versions


def test_an_update_needs_the_version_it_read(world: World) -> None:
    first = world.posts.create(Post(1, "a")).unwrap()
    second = world.posts.update(msgspec.structs.replace(first, title="b")).unwrap()
    assert (second.version, second.title) == (2, "b")
    assert world.posts.get_by_id(1) == tl.Success(second)
    for operation, result in {
        "update": world.posts.update(msgspec.structs.replace(first, title="c")),
        "delete": world.posts.delete(first),
        "update_many": world.posts.update_many([first]),
    }.items():
        error = failure(result, tl.ConflictError, "version 1", "version 2")
        assert (error.operation, error.table) == (operation, "posts")
        assert (error.expected, error.actual) == (1, 2)
    error = failure(world.posts.update(tl.change(first, title="c")), tl.ConflictError)
    assert (error.expected, error.actual) == (1, 2)
    assert world.posts.get_by_id(1) == tl.Success(second)
    third = world.posts.update(tl.change(second, title="c")).unwrap()
    assert (third.version, third.title) == (3, "c")


def test_a_row_that_is_gone_is_not_a_conflict(world: World) -> None:
    post = world.posts.create(Post(1, "a")).unwrap()
    world.posts.purge(1).unwrap()
    for result in (
        world.posts.update(post),
        world.posts.update(tl.change(post, title="b")),
        world.posts.delete(post),
        world.posts.update_many([post]),
    ):
        failure(result, tl.NotFoundError)


def test_every_write_moves_the_version_on(world: World) -> None:
    world.posts.create_many([Post(1, "a"), Post(2, "b", version=7)]).unwrap()
    world.posts.upsert_many([Post(1, "c"), Post(3, "d")]).unwrap()
    world.posts.update_where(set=lambda p: tl.set(p.words).to(3), where=lambda p: p.id < 3)
    world.posts.upsert(Post(2, "e")).unwrap()
    listed = world.posts.list(order_by=lambda p: p.id).unwrap()
    assert [(p.id, p.title, p.version) for p in listed] == [(1, "c", 3), (2, "e", 9), (3, "d", 1)]
    assert world.posts.update_many(listed) == tl.Success(3)
    assert world.posts.get_by_id(2).unwrap().version == 10


# Stamps


def test_the_clock_sets_the_stamps(world: World) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    post = world.posts.create(Post(1, "a", created=long_ago)).unwrap()
    assert post.created is not None
    assert post.changed == post.created > before
    assert post.created.tzinfo is not None
    changed = world.posts.update(msgspec.structs.replace(post, title="b", created=None)).unwrap()
    assert changed.created == post.created
    assert changed.changed is not None
    assert changed.changed > post.created
    world.posts.create_many([Post(2, "c", changed=long_ago)]).unwrap()
    other = world.posts.get_by_id(2).unwrap()
    assert other.created == other.changed
    assert other.changed is not None
    assert other.changed > before
    upserted = world.posts.upsert(Post(2, "d")).unwrap()
    assert upserted.created == other.created
    assert upserted.changed is not None
    assert upserted.changed > other.changed
    assert world.posts.get_by_id(2) == tl.Success(upserted)


# Soft deletion


def test_a_deleted_row_is_hidden_until_it_is_restored(world: World) -> None:
    posts = world.posts
    posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    assert posts.get_by_id(1).unwrap().title == "a"
    assert posts.delete(1) == tl.Success(None)
    failure(posts.get_by_id(1), tl.NotFoundError)
    failure(posts.delete(1), tl.NotFoundError)
    failure(posts.update(Post(1, "c", version=2)), tl.NotFoundError)
    assert posts.get_many([1, 2]).map(list) == tl.Success([2])
    assert posts.exists(1) == tl.Success(False)
    assert posts.exists(where=lambda p: p.id == 1) == tl.Success(False)
    assert posts.count() == tl.Success(1)
    assert found(posts.list()) == [2]
    assert posts.find(lambda p: p.title == "a") == tl.Success(None)
    assert posts.first(lambda p: p.id == 1, order_by=lambda p: p.id) == tl.Success(None)
    assert posts.update_where(
        set=lambda p: tl.set(p.words).to(1), where=lambda p: p.id == 1
    ) == tl.Success(0)
    assert posts.delete_where(lambda p: p.id == 1) == tl.Success(0)
    assert posts.delete_many([1]) == tl.Success(0)

    assert posts.count(include_deleted=True) == tl.Success(2)
    assert found(posts.list(include_deleted=True)) == [1, 2]
    hidden = posts.find(lambda p: p.title == "a", include_deleted=True).unwrap()
    assert hidden is not None
    assert hidden.deleted is not None
    assert hidden.version == 2
    assert posts.exists(where=lambda p: p.id == 1, include_deleted=True) == tl.Success(True)

    restored = posts.restore(1).unwrap()
    assert (restored.title, restored.deleted, restored.version) == ("a", None, 3)
    assert posts.get_by_id(1) == tl.Success(restored)
    failure(posts.restore(1), tl.NotFoundError)
    failure(posts.restore(9), tl.NotFoundError)


def test_a_deleted_row_keeps_its_key_and_unique_values(world: World) -> None:
    posts = world.posts
    posts.create(Post(1, "a")).unwrap()
    posts.delete(1).unwrap()
    failure(posts.create(Post(1, "b")), tl.DuplicateError, "the same id")
    failure(posts.create(Post(2, "a")), tl.DuplicateError, "the same title")
    error = failure(posts.get_or_create(Post(1, "b")), tl.DuplicateError, "restore or purge it")
    assert error.operation == "get_or_create"
    revived = posts.upsert(Post(1, "b")).unwrap()
    assert (revived.title, revived.deleted) == ("b", None)
    assert posts.get_by_id(1) == tl.Success(revived)


def test_purge_deletes_for_real(world: World) -> None:
    posts = world.posts
    posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    posts.delete(1).unwrap()
    assert posts.get_by_id(2).unwrap().title == "b"
    assert posts.purge(1) == tl.Success(None)
    assert posts.purge(2) == tl.Success(None)
    failure(posts.get_by_id(2), tl.NotFoundError)
    assert posts.count(include_deleted=True) == tl.Success(0)
    assert posts.create(Post(1, "a")).unwrap().version == 1


def test_only_softly_deleted_tables_restore(world: World) -> None:
    with pytest.raises(TypeError, match=r"the table has no deleted_at="):
        world.items.restore(1)


# Listing


def test_filters_ordering_and_pages(world: World) -> None:
    world.items.create_many(
        [item(n, quantity=n % 3, note="n" if n % 2 else None) for n in range(9)]
    )
    by_rest = world.items.list(order_by=lambda i: (tl.desc(i.quantity), i.id), limit=4).unwrap()
    assert [i.id for i in by_rest] == [2, 5, 8, 1]
    page = world.items.list(order_by=lambda i: i.id, limit=2, offset=3, note=None).unwrap()
    assert [i.id for i in page] == [6, 8]
    assert world.items.count(where=lambda i: i.id > 3, note="n") == tl.Success(2)
    with pytest.raises(TypeError, match="no field 'quantitty'"):
        world.items.list(quantitty=1)
    failure(world.items.count(where=lambda i: 1 // i.quantity == 1), tl.QueryError)
