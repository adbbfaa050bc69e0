"""Change events: every verb tells every row, on PostgreSQL and in memory alike."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from tests.conftest import fresh_schema
from tests.real.contract.world import BACKENDS, BRANCHES, POSTS, Branch, Post
from tests.real.helpers import ITEMS, OWNERS, Item, Owner, failure, is_idle, item, items

import tierline as tl


class Entry(msgspec.Struct, frozen=True):
    """What the handlers of these tests write."""

    id: str
    what: str


AUDIT = tl.table(Entry, name="audit", key=lambda e: e.id)

Told = tuple[Any, str, Any, Any]


class World(NamedTuple):
    """The repositories under test."""

    owners: tl.Repository[Owner, int]
    items: tl.Repository[Item, int]
    posts: tl.Repository[Post, int]
    branches: tl.Repository[Branch, int]
    written: Callable[[], list[str]]


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Generator[World]:
    if request.param == "memory":
        owners = tl.memory_repository(OWNERS)
        stock = tl.memory_repository(ITEMS, references=[owners])
        posts = tl.memory_repository(POSTS)
        branches = tl.memory_repository(BRANCHES, references=[owners])

        def emitted() -> list[str]:
            writes: list[Any] = [*owners.emitted, *stock.emitted]
            return sorted(entry.what for write in writes for entry in write.entities)

        yield World(owners, stock, posts, branches, emitted)
        return
    server = "postgres18" if request.param == "cached" else request.param
    cache = tl.read_through(ttl_s=600) if request.param == "cached" else None
    with (
        fresh_schema(request.getfixturevalue(server)) as url,
        tl.open(url, pool_size=3, timeout_s=10) as store,
    ):
        for table in (OWNERS, ITEMS, POSTS, BRANCHES, AUDIT):
            store.create_table(table).unwrap()
        yield World(
            tl.repository(store, OWNERS, cache=cache),
            tl.repository(store, ITEMS, cache=cache),
            tl.repository(store, POSTS, cache=cache),
            tl.repository(store, BRANCHES, cache=cache),
            lambda: sorted(entry.what for entry in store.fetch_all(tl.select(AUDIT)).unwrap()),
        )
        assert is_idle(store)


class Ear:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.heard: list[tl.Changed[Any]] = []

    def __call__(self, change: tl.Changed[Any]) -> None:
        self.heard.append(change)

    def take(self) -> list[tuple[Any, ...]]:
        """Operation, key and fields of what was heard, by key."""
        told = [(change.operation, change.key, change.fields) for change in self.heard]
        self.heard.clear()
        return sorted(told)


ALL = ("id", "sku", "quantity", "note", "owner")


def test_every_verb_tells_every_row(world: World) -> None:
    stock, ear = world.items, Ear()
    with stock.subscribe(ear):
        stock.create(item(1)).unwrap()
        (event,) = ear.heard
        assert (event.table, event.old, event.new) == (ITEMS, None, item(1))
        assert abs(event.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
        assert ear.take() == [("create", 1, ALL)]

        stock.update(item(1, note="a", quantity=2)).unwrap()
        assert (ear.heard[0].old, ear.heard[0].new) == (
            item(1),
            item(1, note="a", quantity=2),
        )
        assert ear.take() == [("update", 1, ("quantity", "note"))]
        stock.update(tl.change(item(1, note="a", quantity=2), note="b")).unwrap()
        assert ear.take() == [("update", 1, ("note",))]
        stock.update(item(1, note="b", quantity=2)).unwrap()
        assert ear.take() == []  # nothing differs

        stock.upsert(item(1)).unwrap()
        stock.upsert(item(2)).unwrap()
        assert ear.take() == [("create", 2, ALL), ("update", 1, ("quantity", "note"))]
        stock.get_or_create(item(2)).unwrap()
        stock.get_or_create(item(3)).unwrap()
        assert ear.take() == [("create", 3, ALL)]

        stock.create_many([item(4), item(5)]).unwrap()
        assert ear.take() == [("create", 4, ALL), ("create", 5, ALL)]
        stock.update_many([item(4, note="x"), item(5)]).unwrap()
        assert ear.take() == [("update", 4, ("note",))]
        stock.upsert_many([item(4), item(5, note="y"), item(6)]).unwrap()
        assert ear.take() == [
            ("create", 6, ALL),
            ("update", 4, ("note",)),
            ("update", 5, ("note",)),
        ]
        assert stock.update_where(
            set=lambda i: tl.set(i.quantity).to(i.quantity + 1), where=lambda i: i.id >= 5
        ) == tl.Success(2)
        assert ear.take() == [("update", 5, ("quantity",)), ("update", 6, ("quantity",))]

        stock.delete(1).unwrap()
        assert ear.heard[0].old == item(1)
        assert ear.heard[0].new is None
        assert ear.take() == [("delete", 1, ALL)]
        assert stock.delete_many([2, 3, 99]) == tl.Success(2)
        assert ear.take() == [("delete", 2, ALL), ("delete", 3, ALL)]
        assert stock.delete_where(lambda i: i.id >= 5) == tl.Success(2)
        assert ear.take() == [("delete", 5, ALL), ("delete", 6, ALL)]
        stock.purge(4).unwrap()
        assert ear.take() == [("delete", 4, ALL)]

        stock.create_many(items(3)).unwrap()
        ear.take()
    stock.delete_many([0, 1, 2]).unwrap()
    assert ear.take() == []  # closed


def test_what_fails_tells_nothing(world: World) -> None:
    stock, ear = world.items, Ear()
    stock.create(item(1)).unwrap()
    with stock.subscribe(ear):
        failure(stock.create(item(1)), tl.DuplicateError)
        failure(stock.create(item(2, quantity=-1)), tl.ValidationError)
        failure(stock.create(item(2, owner=7)), tl.ConstraintError)
        failure(stock.create_many([item(2), item(1)]), tl.DuplicateError)
        failure(stock.update(item(9)), tl.NotFoundError)
        failure(stock.update_many([item(1, note="x"), item(9)]), tl.NotFoundError)
        failure(stock.delete(9), tl.NotFoundError)
        failure(stock.upsert_many([item(3), item(3)]), tl.ValidationError)
    assert ear.take() == []
    assert stock.count() == tl.Success(1)


def test_the_life_of_a_soft_row(world: World) -> None:
    posts, ear = world.posts, Ear()
    with posts.subscribe(ear):
        post = posts.create(Post(1, "a")).unwrap()
        assert ear.heard[0].new == post  # with its stamps
        changed = posts.update(tl.change(post, title="b")).unwrap()
        assert ear.heard[1].new == changed
        posts.delete(1).unwrap()
        assert ear.heard[2].new.deleted is not None
        posts.restore(1).unwrap()
        posts.delete(changed_again := posts.get_by_id(1).unwrap()).unwrap()
        assert changed_again.version == 4
        posts.upsert(Post(1, "c")).unwrap()
        failure(posts.update(Post(1, "d", version=1)), tl.ConflictError)
        posts.purge(1).unwrap()
    assert [change.operation for change in ear.heard] == [
        "create",
        "update",
        "delete",
        "restore",
        "delete",
        "restore",
        "purge",
    ]
    assert "title" in ear.heard[1].fields
    assert set(ear.heard[2].fields) == {"version", "changed", "deleted"}


def test_a_cascade_is_not_told(world: World) -> None:
    branches, ear = world.branches, Ear()
    branches.create_many([Branch(1), Branch(2, 1), Branch(3, 2)]).unwrap()
    with branches.subscribe(ear):
        branches.delete(1).unwrap()
        assert [change.key for change in ear.heard] == [1]
        ear.take()
        branches.upsert_many([Branch(4), Branch(5, 4), Branch(6, 6)]).unwrap()
        assert [change[:2] for change in ear.take()] == [
            ("create", 4),
            ("create", 5),
            ("create", 6),
        ]


def audited(change: tl.Changed[Any]) -> tl.Reaction:
    """One entry a change, by each way of answering."""
    what = f"{change.operation} {change.key}"
    entry = tl.insert(AUDIT, Entry(what, what))
    match change.key:
        case 1:
            return entry
        case 2:
            return [entry, tl.insert(AUDIT, Entry(f"{what} too", f"{what} too"))]
        case 3:
            return (write for write in (entry,))
        case 13:
            return tl.Failure(tl.ConstraintError("not this one"))
        case 14:
            raise LookupError("mine")
        case _:
            return None


def test_what_handlers_want_is_written_with_the_change(world: World) -> None:
    with world.items.subscribe(audited):
        assert world.items.create_many([item(n) for n in range(1, 5)]) == tl.Success(4)
    assert world.written() == ["create 1", "create 2", "create 2 too", "create 3"]


def test_a_refusal_undoes_the_whole_change(world: World) -> None:
    stock = world.items
    with stock.subscribe(audited):
        failure(stock.create(item(13)), tl.ConstraintError, "not this one")
        failure(stock.create_many([item(1), item(13)]), tl.ConstraintError, "not this one")
        with pytest.raises(LookupError, match="mine"):
            stock.create_many([item(1), item(14)])
        with pytest.raises(LookupError, match="mine"):
            stock.create(item(14))
    assert stock.count() == tl.Success(0)
    assert world.written() == []


def test_a_handler_that_raises_an_error_of_ours_raises(world: World) -> None:
    def handler(_: tl.Changed[Item]) -> tl.Reaction:
        raise tl.ConstraintError("mine")

    with world.items.subscribe(handler), pytest.raises(tl.ConstraintError, match="mine"):
        world.items.create(item(1))
    assert world.items.count() == tl.Success(0)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (1, "answered with 1"),
        ("text", "answered with 't'"),
        ([None], "answered with None"),
        (tl.Failure(LookupError("x")), "must be a tl.RepositoryError"),
        (tl.insert(AUDIT, Entry("a", "b"), returning=lambda e: e.id), "without returning"),
    ],
)
def test_another_answer_is_a_mistake(world: World, answer: Any, says: str) -> None:
    with world.items.subscribe(lambda _: answer), pytest.raises(TypeError, match=says):
        world.items.create(item(1))
    assert world.items.count() == tl.Success(0)
    with pytest.raises(TypeError, match="subscribe takes a function"):
        world.items.subscribe(3)  # type: ignore[arg-type]


def test_several_handlers_are_called_in_order_and_end_by_themselves(world: World) -> None:
    heard: list[int] = []
    first = world.items.subscribe(lambda _: heard.append(1))
    second = world.items.subscribe(lambda _: heard.append(2))
    world.items.create(item(1)).unwrap()
    first.close()
    first.close()
    world.items.create(item(2)).unwrap()
    second.close()
    world.items.create(item(3)).unwrap()
    assert heard == [1, 2, 2]


# PostgreSQL only


@pytest.fixture
def ear(store: tl.Store) -> Generator[Ear]:
    store.create_table(AUDIT).unwrap()
    ear = Ear()
    with store.subscribe(ITEMS, ear):
        yield ear


def test_writes_by_value_tell_every_row(store: tl.Store, ear: Ear) -> None:
    store.execute(tl.insert(ITEMS, [item(1), item(2)])).unwrap()
    assert ear.take() == [("create", 1, ALL), ("create", 2, ALL)]
    assert store.fetch_all(tl.insert(ITEMS, [item(3)], returning=lambda i: i.sku)) == tl.Success(
        ["sku-3"]
    )
    assert ear.take() == [("create", 3, ALL)]
    assert store.execute(tl.upsert(ITEMS, [item(3, note="x"), item(4)], ignore=True)) == tl.Success(
        1
    )
    assert ear.take() == [("create", 4, ALL)]
    kept = tl.upsert(ITEMS, [item(4, note="x"), item(5)], ignore=True, returning=lambda i: i.id)
    assert store.fetch_all(kept) == tl.Success([5])
    assert ear.take() == [("create", 5, ALL)]
    # By a unique constraint: the row that is met has another key than the entity.
    met = tl.upsert(
        ITEMS,
        Item(99, "sku-5", 7),
        target=lambda i: i.sku,
        overwrite=lambda i: i.quantity,
        returning=lambda i: i.id,
    )
    assert store.fetch_one(met) == tl.Success(5)
    assert ear.take() == [("update", 5, ("quantity",))]
    assert store.execute(
        tl.update(
            ITEMS,
            set=lambda i: tl.set(i.note).to(tl.param("note", str)),
            where=lambda i: i.id == tl.param("id", int),
        ),
        note="n",
        id=1,
    ) == tl.Success(1)
    assert ear.take() == [("update", 1, ("note",))]
    exists = tl.update(
        ITEMS,
        set=lambda i: tl.set(i.note).to("e"),
        where=lambda i: tl.exists(tl.select(ITEMS, where=lambda o: (o.id == i.id) & (o.id == 2))),
        returning=lambda i: i.id,
    )
    assert store.fetch_maybe(exists) == tl.Success(2)
    assert ear.take() == [("update", 2, ("note",))]
    assert store.execute(tl.delete(ITEMS, where=lambda i: i.id <= 2)) == tl.Success(2)
    assert ear.take() == [("delete", 1, ALL), ("delete", 2, ALL)]
    assert store.execute(tl.delete(ITEMS, where=tl.everything)) == tl.Success(3)
    assert len(ear.take()) == 3


def test_a_change_of_the_key_is_an_end_and_a_beginning(store: tl.Store, ear: Ear) -> None:
    store.execute(tl.insert(ITEMS, [item(1), item(2)])).unwrap()
    ear.take()
    move = tl.update(ITEMS, set=lambda i: tl.set(i.id).to(i.id + 10), where=lambda i: i.id == 1)
    assert store.execute(move) == tl.Success(1)
    assert ear.take() == [("create", 11, ALL), ("delete", 1, ALL)]
    projected = tl.update(
        ITEMS,
        set=lambda i: tl.set(i.id).to(i.id + 10),
        where=lambda i: i.id == 2,
        returning=lambda i: i.sku,
    )
    failure(store.fetch_all(projected), tl.QueryError, "changes the key")
    assert store.exists(tl.select(ITEMS, where=lambda i: i.id == 2)) == tl.Success(True)


def test_inside_a_transaction_a_refusal_undoes_that_change_only(store: tl.Store) -> None:
    store.create_table(AUDIT).unwrap()

    def run(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        stock = tl.repository(tx, ITEMS)
        stock.create(item(1)).unwrap()
        failure(stock.create(item(13)), tl.ConstraintError, "not this one")
        with pytest.raises(LookupError):
            tx.execute(tl.insert(ITEMS, item(14)))
        stock.create(item(2)).unwrap()
        return stock.count()

    with store.subscribe(ITEMS, audited):
        assert store.transaction(run) == tl.Success(2)

        def undone(tx: tl.Transaction) -> tl.Result[int, LookupError]:
            tl.repository(tx, ITEMS).create(item(3)).unwrap()
            return tl.Failure(LookupError())

        store.transaction(undone)
    entries = store.fetch_all(tl.select(AUDIT)).unwrap()
    assert sorted(entry.what for entry in entries) == ["create 1", "create 2", "create 2 too"]


def test_what_a_handler_wants_may_fail_and_then_all_does(store: tl.Store) -> None:
    store.create_table(AUDIT).unwrap()
    stock = tl.repository(store, ITEMS)
    with store.subscribe(ITEMS, lambda _: tl.insert(AUDIT, Entry("same", "x"))):
        stock.create(item(1)).unwrap()
        assert failure(stock.create(item(2)), tl.DuplicateError).table == "audit"
    assert stock.count() == tl.Success(1)


def test_what_handlers_write_is_heard_too_but_not_in_circles(store: tl.Store) -> None:
    store.create_table(AUDIT).unwrap()
    stock, ear = tl.repository(store, ITEMS), Ear()
    with store.subscribe(ITEMS, audited), store.subscribe(AUDIT, ear):
        stock.create(item(1)).unwrap()
        assert [change.key for change in ear.heard] == ["create 1"]

    def circle(change: tl.Changed[Entry]) -> tl.Reaction:
        return tl.insert(AUDIT, Entry(f"{change.key}.", "x"))

    with store.subscribe(AUDIT, circle):
        failure(store.execute(tl.insert(AUDIT, Entry("a", "x"))), tl.QueryError, "in a row")
    assert store.count(tl.select(AUDIT)) == tl.Success(1)


def test_the_same_table_by_another_value_is_heard(store: tl.Store, ear: Ear) -> None:
    again = tl.table(Item, name="items", key=lambda i: i.id)
    store.execute(tl.insert(again, item(1))).unwrap()
    assert ear.take() == [("create", 1, ALL)]
    other = tl.table(Item, name="items", key=lambda i: i.sku)
    failure(store.execute(tl.insert(other, item(2))), tl.QueryError, "under another key")
    with pytest.raises(TypeError, match="by another table value"):
        store.subscribe(again, ear)


def test_a_hundred_thousand_rows_of_audit_are_few_statements(store: tl.Store) -> None:
    store.create_table(AUDIT).unwrap()
    stock = tl.repository(store, ITEMS)

    def handler(change: tl.Changed[Item]) -> tl.Reaction:
        return tl.insert(AUDIT, Entry(str(change.key), "x"))

    with store.subscribe(ITEMS, handler):
        assert stock.create_many(items(3_000)) == tl.Success(3_000)
    assert store.count(tl.select(AUDIT)) == tl.Success(3_000)


def test_without_subscribers_nothing_more_is_sent(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    stock = tl.repository(store, ITEMS)
    store.subscribe(ITEMS, Ear()).close()
    store.subscribe(OWNERS, Ear())

    def commits() -> int:
        raw.execute("SELECT pg_stat_force_next_flush()")
        row = raw.execute(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'tierline' "
            "AND query ~* '(begin|commit|for update)'"
        ).fetchall()
        return len(row)

    stock.create(item(1)).unwrap()
    stock.update(item(1, note="x")).unwrap()
    assert commits() == 0


def _each(number: int) -> list[Item]:
    return [item(key, quantity=number) for key in range(3)]


WRITERS: dict[str, Callable[[tl.Store, int, int], object]] = {
    "update_where": lambda store, key, _: store.execute(
        tl.update(
            ITEMS,
            set=lambda i: tl.set(i.quantity).to(i.quantity + 1),
            where=lambda i: i.id <= key,
        )
    ),
    "upsert": lambda store, key, n: tl.repository(store, ITEMS).upsert(item(key, quantity=n)),
    "upsert_many": lambda store, _, n: tl.repository(store, ITEMS).upsert_many(_each(n)),
    "ignore": lambda store, _, n: store.execute(tl.upsert(ITEMS, _each(n), ignore=True)),
    "delete_where": lambda store, key, _: store.execute(
        tl.delete(ITEMS, where=lambda i: i.id <= key)
    ),
}


@pytest.mark.parametrize("verb", WRITERS)
def test_no_change_is_missed_or_doubled_among_many_writers(store: tl.Store, verb: str) -> None:
    """Each event's old is the new of the one before it: the chain of every row is whole."""
    stock = tl.repository(store, ITEMS)

    def writer(who: int) -> None:
        for n in range(20):
            WRITERS[verb](store, n % 3, who * 100 + n)
            stock.delete((n + who) % 3)
            stock.create(item(n % 3))

    def handler(change: tl.Changed[Item]) -> tl.Reaction:
        name = f"{change.key}-{next(numbers)}"
        old = -1 if change.old is None else change.old.quantity
        new = -1 if change.new is None else change.new.quantity
        return tl.insert(AUDIT, Entry(name, f"{old}>{new}"))

    numbers = itertools.count()
    store.create_table(AUDIT).unwrap()
    with store.subscribe(ITEMS, handler):
        threads = [threading.Thread(target=writer, args=(who,)) for who in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    kept = store.fetch_all(tl.select(AUDIT)).unwrap()
    final = {row.id: row.quantity for row in stock.list().unwrap()}
    for key in range(3):
        steps = [entry.what.split(">") for entry in kept if entry.id.startswith(f"{key}-")]
        # Every state that was entered was left as often, but for the first and the last.
        balance: dict[str, int] = {}
        for old, new in steps:
            balance[old] = balance.get(old, 0) - 1
            balance[new] = balance.get(new, 0) + 1
        balance["-1"] = balance.get("-1", 0) + 1
        last = str(final.get(key, -1))
        assert {state: n for state, n in balance.items() if n} == {last: 1}, (key, balance)
    assert len(kept) > 20
