"""The repository's verbs on PostgreSQL 18 and 16, without a cache."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import msgspec
import psycopg
import pytest
from tests.real.helpers import ITEMS, OWNERS, Item, Owner, failure, item, items, wait_until

import tierline as tl
from tierline.sql import Statement, create_table_sql

Stock = tl.Repository[Item, int]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, pool_size=2, timeout_s=10) as opened:
        for table in (OWNERS, ITEMS):
            opened.create_table(table).unwrap()
        yield opened


@pytest.fixture
def raw(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url_each, autocommit=True, connect_timeout=10) as connection:
        yield connection


def test_a_row_lives_from_create_to_delete(stock: Stock) -> None:
    assert failure(stock.get_by_id(1), tl.NotFoundError).operation == "get_by_id"
    assert stock.exists(1) == tl.Success(False)
    assert stock.create(item(1)) == tl.Success(item(1))
    assert stock.exists(1) == tl.Success(True)
    assert stock.get_by_id(1) == tl.Success(item(1))
    changed = item(1, quantity=5, note="new")
    assert stock.update(changed) == tl.Success(changed)
    assert stock.get_by_id(1) == tl.Success(changed)
    assert stock.update(item(1)) == tl.Success(item(1))
    assert stock.get_by_id(1).unwrap().note is None
    assert stock.delete(1) == tl.Success(None)
    for operation, result in {"delete": stock.delete(1), "update": stock.update(item(1))}.items():
        error = failure(result, tl.NotFoundError, "no row")
        assert (error.operation, error.table) == (operation, "items")


def test_a_write_touches_only_its_row(stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    stock.update(item(1, quantity=9)).unwrap()
    stock.delete(2).unwrap()
    assert stock.list(order_by=lambda i: i.id) == tl.Success([item(0), item(1, quantity=9)])


def test_an_error_says_what_where_and_which_rule(stock: Stock) -> None:
    stock.create(item(1)).unwrap()
    error = failure(stock.create(item(1, sku="other")), tl.DuplicateError, "the same id")
    assert (error.operation, error.table) == ("create", "items")
    assert (error.constraint, error.columns) == ("items_pkey", ("id",))
    assert (error.sqlstate, error.attempt) == ("23505", 1)
    assert error.elapsed_s is not None
    assert 0 < error.elapsed_s < 10
    assert isinstance(error.__cause__, psycopg.errors.UniqueViolation)
    assert str(error).startswith("items.create: ")
    other = failure(stock.create(item(2, sku="sku-1")), tl.DuplicateError, "the same sku")
    assert (other.constraint, other.columns) == ("items_sku_key", ("sku",))


def test_no_error_shows_a_value(stock: Stock) -> None:
    # Longer than the digits that elapsed seconds are written with.
    secret, owner = "a-very-secret-sku", 404_404_404_404_404_404
    stock.create(item(1, sku=secret)).unwrap()
    for result in (
        stock.create(item(2, sku=secret)),
        stock.create_many([item(2, sku=secret)]),
        stock.update(item(1, sku=secret, owner=owner)),
        stock.create(item(3, sku=secret, owner=owner)),
    ):
        error = result.failure()
        assert secret not in f"{error} {error!r}"
        assert str(owner) not in f"{error} {error!r}"


def test_a_row_that_others_refer_to_cannot_be_deleted(store: tl.Store, stock: Stock) -> None:
    owners = tl.repository(store, OWNERS)
    owners.create(Owner(1, "one")).unwrap()
    stock.create(item(1, owner=1)).unwrap()
    error = failure(owners.delete(1), tl.ConstraintError, "other rows refer to this row")
    assert (error.operation, error.constraint, error.sqlstate) == (
        "delete",
        "items_owner_fkey",
        "23503",
    )
    stock.delete(1).unwrap()
    assert owners.delete(1) == tl.Success(None)


# Listing


def test_filters_ask_for_equality_and_none_for_null(stock: Stock) -> None:
    stock.create_many([item(1, note="a"), item(2), item(3, note="a", quantity=4)]).unwrap()
    assert ids(stock.list(note="a")) == {1, 3}
    assert ids(stock.list(note=None)) == {2}
    assert ids(stock.list(note="a", quantity=4)) == {3}
    assert ids(stock.list(note="a", where=lambda i: i.quantity < 4)) == {1}
    assert ids(stock.list(note="' OR true --")) == set()
    assert stock.count(note="a") == tl.Success(2)
    assert stock.count() == tl.Success(3)
    assert stock.count(where=lambda i: i.id > 1, note=None) == tl.Success(1)


def test_a_filter_on_an_unknown_field_suggests_the_known_one(stock: Stock) -> None:
    for verb in (stock.list, stock.count):
        with pytest.raises(TypeError, match="no field 'quantitty'; did you mean 'quantity'"):
            verb(quantitty=1)


@pytest.mark.parametrize(
    "filters",
    [{"id": "1"}, {"note": 7}, {"quantity": True}, {"sku": b"x"}, {"owner": [1]}, {"id": object()}],
)
def test_a_filter_of_another_type_is_a_type_error(stock: Stock, filters: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"does not fit beside a field of type"):
        stock.list(**filters)


def test_lists_in_order_and_by_page(stock: Stock) -> None:
    stock.create_many([item(n, quantity=n % 3, note=None if n % 2 else "n") for n in range(9)])
    by_rest = stock.list(order_by=lambda i: (tl.desc(i.quantity), i.id), limit=4).unwrap()
    assert [i.id for i in by_rest] == [2, 5, 8, 1]
    page = stock.list(order_by=lambda i: i.id, limit=2, offset=3).unwrap()
    assert [i.id for i in page] == [3, 4]
    first = stock.list(order_by=lambda i: (tl.asc(i.note, nulls="first"), i.id), limit=1).unwrap()
    assert [i.id for i in first] == [1]
    assert stock.list(limit=0) == tl.Success([])
    assert stock.list(offset=100) == tl.Success([])


@pytest.mark.parametrize("count", [-1, 1.5, "1", True])
@pytest.mark.parametrize("clause", ["limit", "offset"])
def test_a_limit_that_is_no_row_count_raises(stock: Stock, clause: str, count: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=clause):
        stock.list(**{clause: count})


# Keys


class Sort(enum.Enum):
    FRUIT = "fruit"
    NUT = "nut"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A composite key that is not in field order, keyword-only fields, renamed columns."""

    amount: int
    region: str = msgspec.field(name="Région")
    sort: Sort = msgspec.field(name="select")


PRICES = tl.table(Price, name="order", key=lambda p: (p.sort, p.region))


def test_composite_keys_renamed_columns_and_keyword_only_fields_work(store: tl.Store) -> None:
    store.create_table(PRICES).unwrap()
    prices = tl.repository(store, PRICES)
    fruit = Price(amount=1, region="north", sort=Sort.FRUIT)
    nut = Price(amount=2, region="north", sort=Sort.NUT)
    assert prices.create(fruit) == tl.Success(fruit)
    assert prices.create_many([nut]) == tl.Success(1)
    assert prices.get_by_id((Sort.FRUIT, "north")) == tl.Success(fruit)
    assert prices.get_by_id((Sort.NUT, "north")) == tl.Success(nut)
    failure(prices.get_by_id((Sort.NUT, "south")), tl.NotFoundError)
    assert prices.list(sort=Sort.NUT) == tl.Success([nut])
    assert prices.list(where=lambda p: (p.region == "north") & (p.amount < 2)) == tl.Success(
        [fruit]
    )
    dearer = msgspec.structs.replace(nut, amount=7)
    assert prices.update(dearer) == tl.Success(dearer)
    assert prices.list(order_by=lambda p: p.amount) == tl.Success([fruit, dearer])
    assert prices.delete((Sort.FRUIT, "north")) == tl.Success(None)
    assert prices.exists((Sort.FRUIT, "north")) == tl.Success(False)
    error = failure(prices.create(dearer), tl.DuplicateError)
    assert error.columns == ("select", "Région")


@pytest.mark.parametrize("key", ["1", 1.5, None, True, (1,), b"1"])
def test_a_key_of_another_type_is_a_type_error(stock: Stock, key: Any) -> None:
    for verb in (stock.get_by_id, stock.exists, stock.delete):
        with pytest.raises(TypeError, match=r"key field 'id' takes int"):
            verb(key)


@pytest.mark.parametrize("key", ["north", ("fruit",), (Sort.FRUIT, "a", "b"), [Sort.FRUIT, "a"]])
def test_a_composite_key_of_another_shape_is_a_type_error(store: tl.Store, key: Any) -> None:
    prices = tl.repository(store, PRICES)
    with pytest.raises(TypeError, match=r"the key is a tuple \(sort, region\)"):
        prices.get_by_id(key)


class Mark(msgspec.Struct, frozen=True):
    id: int


def test_a_table_of_nothing_but_a_key_can_be_updated(store: tl.Store) -> None:
    table = tl.table(Mark, name="marks", key=lambda m: m.id)
    store.create_table(table).unwrap()
    marks = tl.repository(store, table)
    marks.create_many([Mark(1), Mark(2)]).unwrap()
    assert marks.update(Mark(1)) == tl.Success(Mark(1))
    failure(marks.update(Mark(3)), tl.NotFoundError)
    assert marks.list(order_by=lambda m: m.id) == tl.Success([Mark(1), Mark(2)])


# Tables


def test_a_table_is_created_once_unless_that_is_fine(store: tl.Store, stock: Stock) -> None:
    error = failure(store.create_table(ITEMS), tl.QueryError, "already exists")
    assert (error.operation, error.table, error.sqlstate) == ("create_table", "items", "42P07")
    stock.create(item(1)).unwrap()
    assert store.create_table(ITEMS, exist_ok=True) == tl.Success(None)
    assert stock.count() == tl.Success(1)


def test_a_table_is_dropped_unless_others_refer_to_it(store: tl.Store) -> None:
    failure(store.drop_table(OWNERS), tl.QueryError)
    assert store.drop_table(ITEMS) == tl.Success(None)
    assert store.drop_table(OWNERS) == tl.Success(None)
    error = failure(store.drop_table(OWNERS), tl.QueryError, '"owners" does not exist')
    assert error.operation == "drop_table"
    assert store.drop_table(OWNERS, missing_ok=True) == tl.Success(None)


@pytest.mark.parametrize("exist_ok", [True, False])
def test_a_table_that_another_session_is_just_creating_is_seen(
    store: tl.Store, pg_url_each: str, raw: psycopg.Connection[Any], *, exist_ok: bool
) -> None:
    table = tl.table(Mark, name="marks", key=lambda m: m.id).index(lambda m: m.id)
    with psycopg.connect(pg_url_each) as other, ThreadPoolExecutor(1) as threads:
        other.execute(create_table_sql(table).encode())
        creating = threads.submit(store.create_table, table, exist_ok=exist_ok)
        wait_until(lambda: is_blocked_by(raw, other.info.backend_pid))
        other.commit()
        created = creating.result(10)
    if exist_ok:
        assert created == tl.Success(None)
    else:
        failure(created, tl.QueryError, "already exists")


def is_blocked_by(raw: psycopg.Connection[Any], pid: int) -> bool:
    """Whether any session waits for this one."""
    row = raw.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", (pid,)
    ).fetchone()
    return row != (0,)


def test_create_table_is_all_or_nothing(store: tl.Store, raw: psycopg.Connection[Any]) -> None:
    raw.execute("CREATE TABLE taken (id int)")
    raw.execute("CREATE INDEX marks_id_idx ON taken (id)")
    table = tl.table(Mark, name="marks", key=lambda m: m.id).index(lambda m: m.id)
    failure(store.create_table(table), tl.QueryError, "already exists")
    assert raw.execute("SELECT to_regclass('marks')").fetchone() == (None,)


def test_rules_of_a_table_exist_in_the_database(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    table = (
        tl.table(Item, name="stock", key=lambda i: i.id)
        .foreign_key(lambda i: i.owner, OWNERS, on_delete="set null")
        .unique(lambda i: (i.sku, i.owner))
        .index(lambda i: (i.quantity, i.id))
    )
    store.create_table(table).unwrap()
    rules = raw.execute(
        "SELECT conname, contype::text FROM pg_constraint WHERE conrelid = 'stock'::regclass "
        "AND contype <> 'n' ORDER BY 1"
    ).fetchall()
    assert rules == [
        ("stock_owner_fkey", "f"),
        ("stock_pkey", "p"),
        ("stock_quantity_check", "c"),
        ("stock_sku_check", "c"),
        ("stock_sku_owner_key", "u"),
    ]
    assert raw.execute("SELECT to_regclass('stock_quantity_id_idx') IS NOT NULL").fetchone() == (
        True,
    )
    rows, owners = tl.repository(store, table), tl.repository(store, OWNERS)
    owners.create(Owner(1, "one")).unwrap()
    rows.create(item(1, owner=1)).unwrap()
    error = failure(rows.create(item(2, sku="sku-1", owner=1)), tl.DuplicateError)
    assert error.columns == ("sku", "owner")
    owners.delete(1).unwrap()
    assert rows.get_by_id(1).unwrap().owner is None


def test_names_of_63_bytes_and_odd_characters_work(store: tl.Store) -> None:
    name = "Ünïcode $1 %s '; -- " + "x" * 40
    assert len(name.encode()) == 62
    table = tl.table(Item, name=name, key=lambda i: i.id).unique(lambda i: (i.sku, i.note))
    assert store.create_table(table) == tl.Success(None)
    rows = tl.repository(store, table)
    assert rows.create_many(items(2)) == tl.Success(2)
    assert rows.update(item(1, note="x")) == tl.Success(item(1, note="x"))
    assert rows.list(note="x") == tl.Success([item(1, note="x")])
    assert failure(rows.create(item(1, sku="zz")), tl.DuplicateError).columns == ("id",)
    assert store.drop_table(table) == tl.Success(None)


def test_a_schema_keeps_tables_of_one_name_apart(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    schema = f"{raw.execute('SELECT current_schema()').fetchone()[0]}_b"  # type: ignore[index]
    elsewhere = tl.table(Owner, name="owners", key=lambda o: o.id, schema=schema)
    failure(store.create_table(elsewhere), tl.QueryError, "schema", "does not exist")
    raw.execute(f"CREATE SCHEMA {schema}")
    try:
        store.create_table(elsewhere).unwrap()
        here, there = tl.repository(store, OWNERS), tl.repository(store, elsewhere)
        here.create(Owner(1, "here")).unwrap()
        there.create_many([Owner(1, "there")]).unwrap()
        assert here.get_by_id(1) == tl.Success(Owner(1, "here"))
        assert there.get_by_id(1) == tl.Success(Owner(1, "there"))
        assert there.update(Owner(1, "moved")) == tl.Success(Owner(1, "moved"))
        assert here.list() == tl.Success([Owner(1, "here")])
    finally:
        raw.execute(f"DROP SCHEMA {schema} CASCADE")


# Mutable entities


class Draft(msgspec.Struct):
    id: int
    tags: list[str]


def test_a_mutable_entity_is_refused_unless_it_is_copied() -> None:
    with pytest.raises(TypeError, match="frozen=True, or pass copy=True"):
        tl.table(Draft, name="drafts", key=lambda d: d.id)


def test_a_copied_entity_can_be_changed_without_changing_the_cache(store: tl.Store) -> None:
    table = tl.table(Draft, name="drafts", key=lambda d: d.id, copy=True)
    store.create_table(table).unwrap()
    drafts = tl.repository(store, table, cache=tl.read_through(ttl_s=60))
    drafts.create(Draft(1, ["a"])).unwrap()
    for _ in range(3):
        read = drafts.get_by_id(1).unwrap()
        assert read == Draft(1, ["a"])
        read.tags.append("b")
        read.id = 9
    assert store.stats().tiers[0].hits == 2


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (lambda i: i.note, "may be None"),
        (lambda i: (i.id, i.id), "different fields"),
        (lambda i: (), "one field or a tuple"),
        (lambda i: 7, "one field or a tuple"),
    ],
)
def test_a_key_that_cannot_be_one_is_a_type_error(key: Callable[[Item], Any], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        tl.table(Item, name="items", key=key)


def test_a_foreign_key_that_does_not_match_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="do not match the key"):
        ITEMS.foreign_key(lambda i: i.sku, OWNERS)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="on_delete must be one of"):
        ITEMS.foreign_key(lambda i: i.owner, OWNERS, on_delete="explode")  # type: ignore[arg-type]


def ids(result: tl.Result[list[Item], tl.RepositoryError]) -> set[int]:
    """The ids of the items of a list."""
    return {one.id for one in result.unwrap()}


def test_a_write_that_is_interrupted_after_it_happened_is_not_hidden_by_the_cache(
    store: tl.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=60))
    owners.create(Owner(1, "before")).unwrap()
    assert owners.get_by_id(1) == tl.Success(Owner(1, "before"))
    execute = store.database.execute

    def interrupted(statement: Statement, values: tuple[Any, ...]) -> NoReturn:
        execute(statement, values).unwrap()
        raise KeyboardInterrupt

    monkeypatch.setattr(store.database, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        owners.update(Owner(1, "after"))
    assert owners.get_by_id(1) == tl.Success(Owner(1, "after"))
