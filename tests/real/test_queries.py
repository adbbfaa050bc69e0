"""Queries: what the verbs mean, values that look like SQL, projections, and DDL under them."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.real.helpers import ITEMS, OWNERS, Item, Owner, failure, is_idle, item, items

import tierline as tl
from tierline.sql import Statement, compile_query

Stock = tl.Repository[Item, int]
Raw = psycopg.Connection[Any]


# Verbs


def test_what_is_made_of_rows_is_not_made_to_count_them(store: tl.Store, stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    # Of the row 0, which the limit leaves out, it could not be computed.
    ratios = tl.project(
        tl.select(ITEMS, order_by=lambda i: tl.desc(i.id), limit=1), lambda i: i.id / i.id
    )
    assert store.fetch_all(ratios) == tl.Success([1.0])
    assert (store.exists(ratios), store.count(ratios)) == (tl.Success(True), tl.Success(1))
    total = tl.project(tl.select(ITEMS, where=lambda i: i.id > 9), lambda i: tl.count())
    assert (store.exists(total), store.count(total)) == (tl.Success(True), tl.Success(1))


def test_fetch_one_wants_exactly_one_row(store: tl.Store, stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    one = tl.select(ITEMS, where=lambda i: i.id == 1)
    none = tl.select(ITEMS, where=lambda i: i.id == 9)
    every = tl.select(ITEMS)
    assert store.fetch_one(one) == tl.Success(item(1))
    assert store.fetch_maybe(one) == tl.Success(item(1))
    assert store.fetch_maybe(none) == tl.Success(None)
    error = failure(store.fetch_one(none), tl.NotFoundError, "no row fits")
    assert (error.operation, error.table) == ("fetch_one", "items")
    for operation, verb in {"fetch_one": store.fetch_one, "fetch_maybe": store.fetch_maybe}.items():
        many = failure(verb(every), tl.QueryError, "more than one row", "limit=1")
        assert (many.operation, many.table) == (operation, "items")
        assert isinstance(verb(tl.select(ITEMS, limit=1)), tl.Success)
    failure(store.fetch_one(tl.select(ITEMS, limit=0)), tl.NotFoundError)
    assert store.fetch_one(tl.select(ITEMS, order_by=lambda i: i.id, offset=2)) == tl.Success(
        item(2)
    )


def test_one_query_value_serves_every_verb_again_and_again(store: tl.Store, stock: Stock) -> None:
    query = tl.select(ITEMS, where=lambda i: i.quantity == 0, order_by=lambda i: i.id, limit=2)
    for count in range(4):
        expected = items(count)[:2]
        assert store.fetch_all(query) == tl.Success(expected)
        assert store.count(query) == tl.Success(len(expected))
        assert store.exists(query) == tl.Success(bool(expected))
        stock.create(item(count)).unwrap()


def test_a_lambda_is_called_once_whatever_is_asked_of_the_query(
    store: tl.Store, stock: Stock
) -> None:
    calls: list[str] = []

    def where(i: Item) -> bool:
        calls.append("where")
        return i.id > 0

    def order_by(i: Item) -> object:
        calls.append("order_by")
        return i.id

    query = tl.select(ITEMS, where=where, order_by=order_by)
    stock.create(item(1)).unwrap()
    for _ in range(3):
        assert store.fetch_all(query) == tl.Success([item(1)])
        assert store.fetch_one(query) == tl.Success(item(1))
        assert store.count(query) == tl.Success(1)
    assert sorted(calls) == ["order_by", "where"]


def test_verbs_compose_point_free(store: tl.Store, stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    ids = tl.flow(
        tl.select(ITEMS, order_by=lambda i: i.id),
        store.fetch_all,
        tl.then(lambda rows: tl.Success([one.id for one in rows])),
    )
    assert ids == tl.Success([0, 1, 2])


# Values are never text

HOSTILE = [
    "'", "''", '"', "\\", "\\'", "%", "%s", "%(x)s", "$1", "$$", "{}", "{0}", ";", "--", "/*",
    "'; DROP TABLE items; --", "' OR ''='", "\n", "\t", "é", "😀", "\u202e", "\x01", "\ufeff", "",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_matches_exactly_and_never_changes_the_text(
    store: tl.Store, stock: Stock, text: str
) -> None:
    stock.create_many([item(1, note=text), item(2, note=f"a{text}b"), item(3, note="x")]).unwrap()

    def ids(query: tl.Query[Item]) -> list[int]:
        return [one.id for one in store.fetch_all(query).unwrap()]

    def query(value: str) -> dict[str, tl.Query[Item]]:
        conditions: dict[str, Any] = {
            "equal": lambda i: tl.some(i.note) == value,
            "in": lambda i: tl.is_in(tl.some(i.note), [value]),
            "starts": lambda i: tl.some(i.note).startswith(value),
            "ends": lambda i: tl.some(i.note).endswith(value),
            "contains": lambda i: tl.contains(tl.some(i.note), f"a{value}b"),
            "joined": lambda i: tl.some(i.note) + value == value + value,
        }
        return {
            name: tl.select(ITEMS, where=where, order_by=lambda i: i.id)
            for name, where in conditions.items()
        }

    found = {name: ids(one) for name, one in query(text).items()}
    stored = {1: text, 2: f"a{text}b", 3: "x"}
    assert found == {
        "equal": [1],
        "in": [1],
        "starts": [n for n, value in stored.items() if value.startswith(text)],
        "ends": [n for n, value in stored.items() if value.endswith(text)],
        "contains": [n for n, value in stored.items() if f"a{text}b" in value],
        "joined": [1],
    }
    for name, other in query("plain").items():
        hostile = compile_query(query(text)[name]).statement
        assert hostile.sql == compile_query(other).statement.sql
        assert hostile.name == compile_query(other).statement.name
    assert stock.list(note=text) == tl.Success([item(1, note=text)])


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_is_found_by_itself(store: tl.Store, stock: Stock, text: str) -> None:
    assert stock.create(item(1, note=text)) == tl.Success(item(1, note=text))
    assert stock.list(note=text) == tl.Success([item(1, note=text)])
    assert stock.count(where=lambda i: tl.contains(tl.some(i.note), text)) == tl.Success(1)
    assert stock.count(where=lambda i: tl.some(i.note) != text) == tl.Success(0)
    stock.delete(1).unwrap()


def test_the_same_structure_is_the_same_prepared_statement(store: tl.Store) -> None:
    def name(query: tl.Query[Any]) -> bytes:
        return compile_query(query).statement.name

    by_id = [tl.select(ITEMS, where=lambda i, n=n: i.id > n, limit=n) for n in (1, 2)]
    assert name(by_id[0]) == name(by_id[1])
    other = tl.select(ITEMS, where=lambda i: i.id >= 1, limit=1)
    wider = tl.select(ITEMS, where=lambda i: i.id > 1.5, limit=1)
    assert len({name(by_id[0]), name(other), name(wider)}) == 3


def test_a_connection_prepares_a_statement_once(pg_url: str, stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    view = tl.table(Prepared, name="pg_prepared_statements", key=lambda p: p.name)
    with tl.open(pg_url, pool_size=1) as single:
        for n in range(20):
            query = tl.select(ITEMS, where=lambda i, n=n: i.id == n)
            single.fetch_all(query).unwrap()
        prepared = tl.select(view, where=lambda p: tl.contains(p.statement, '"items"'))
        assert single.fetch_one(prepared).unwrap().name.startswith("tl_")


class Prepared(msgspec.Struct, frozen=True):
    name: str
    statement: str


def test_more_statements_than_a_connection_keeps_still_work(pg_url: str, stock: Stock) -> None:
    stock.create_many(items(3)).unwrap()
    with tl.open(pg_url, pool_size=1) as single:
        for _ in range(2):
            for length in range(1, 281):
                query = tl.select(ITEMS, where=lambda i, n=length: any_of(i.id, n))
                assert single.count(query) == tl.Success(min(length, 3))


def any_of(value: int, count: int) -> bool:
    """Whether the value is below the count, as one comparison for each: a text of its own."""
    condition = value == 0
    for n in range(1, min(count, 140)):
        condition = condition | (value == n)
    return condition if count <= 140 else condition & (value + 0 * count < count)


def test_a_query_that_is_nested_too_deeply_is_a_query_error(store: tl.Store) -> None:
    def nested(i: Item) -> bool:
        condition = i.id == 0
        for n in range(3_000):
            condition = condition | (i.id == n)
        return condition

    result = store.fetch_all(tl.select(ITEMS, where=nested))
    if isinstance(result, tl.Failure):
        failure(result, tl.QueryError, "is_in")
    assert is_idle(store)


@pytest.mark.parametrize("divide", [lambda i: 1 // i.quantity, lambda i: 1 % i.quantity])
def test_dividing_by_zero_is_a_query_error(store: tl.Store, stock: Stock, divide: Any) -> None:
    stock.create(item(1)).unwrap()
    error = failure(
        store.fetch_all(tl.select(ITEMS, where=lambda i: divide(i) == 1)), tl.QueryError, "check"
    )
    assert error.sqlstate == "22012"


# Projections


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    note: str | None
    total: int | None = None
    rows: int


def test_rows_become_structs_tuples_and_single_values(store: tl.Store, stock: Stock) -> None:
    stock.create_many(
        [item(1, note="a", quantity=2), item(2, note="a", quantity=3), item(3)]
    ).unwrap()
    grouped = tl.project(
        tl.select(ITEMS),
        lambda i: Summary(note=i.note, total=tl.sum(i.quantity), rows=tl.count()),
        group_by=lambda i: i.note,
        order_by=lambda i: tl.desc(tl.count()),
    )
    assert store.fetch_all(grouped) == tl.Success(
        [Summary(note="a", total=5, rows=2), Summary(note=None, total=0, rows=1)]
    )
    assert store.count(grouped) == tl.Success(2)
    pairs = tl.project(
        tl.select(ITEMS, order_by=lambda i: i.id), lambda i: (i.id * 2, i.sku, 7, "x")
    )
    assert store.fetch_all(pairs).unwrap()[0] == (2, "sku-1", 7, "x")
    single = tl.project(tl.select(ITEMS, order_by=lambda i: tl.desc(i.id)), lambda i: i.note)
    assert store.fetch_all(single) == tl.Success([None, "a", "a"])
    assert store.fetch_one(tl.project(tl.select(ITEMS), lambda i: tl.max(i.id))) == tl.Success(3)


class OneName(msgspec.Struct, frozen=True):
    id: int


class OtherName(msgspec.Struct, frozen=True):
    number: int


def test_one_text_is_read_in_as_many_ways_as_it_is_asked_for(store: tl.Store, stock: Stock) -> None:
    stock.create(item(1)).unwrap()
    rows = tl.select(ITEMS)
    for _ in range(2):
        one = store.fetch_all(tl.project(rows, lambda i: OneName(i.id)))
        assert one == tl.Success([OneName(1)])
        other = store.fetch_all(tl.project(rows, lambda i: OtherName(i.id)))
        assert other == tl.Success([OtherName(1)])
        assert store.fetch_all(tl.project(rows, lambda i: (i.id,))) == tl.Success([(1,)])
        assert store.fetch_all(tl.project(rows, lambda i: i.id)) == tl.Success([1])
    for number in range(40):
        made = msgspec.defstruct(f"Made{number}", [("id", int)], frozen=True)
        assert store.fetch_all(tl.project(rows, lambda i, m=made: m(i.id))) == tl.Success([made(1)])


def test_an_aggregate_over_everything_is_one_row(store: tl.Store, stock: Stock) -> None:
    rows = tl.project(tl.select(ITEMS), lambda i: tl.count())
    for count in (0, 3):
        assert store.fetch_all(rows) == tl.Success([count])
        assert store.fetch_one(rows) == tl.Success(count)
        assert store.count(rows) == tl.Success(1)
        assert store.exists(rows) == tl.Success(True)
        stock.create_many(items(3)) if not count else None
    empty = tl.project(
        tl.select(ITEMS, where=lambda i: i.id > 99),
        lambda i: (tl.count(), tl.sum(i.quantity), tl.avg(i.quantity), tl.min(i.sku)),
    )
    assert store.fetch_one(empty) == tl.Success((0, None, None, None))


def test_what_is_not_grouped_by_is_a_query_error(store: tl.Store) -> None:
    query = tl.project(
        tl.select(ITEMS), lambda i: (i.sku, tl.count()), group_by=lambda i: i.quantity
    )
    failure(store.fetch_all(query), tl.QueryError, "GROUP BY")


# Values of every kind in conditions


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Thing(msgspec.Struct, frozen=True):
    id: int
    colour: Colour
    price: Decimal
    weight: float
    day: dt.date
    at: dt.datetime
    took: dt.timedelta
    data: dict[str, Any]
    tags: list[str]
    colours: list[Colour]
    body: bytes


THINGS = tl.table(Thing, name="things", key=lambda t: t.id)
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
THING = Thing(1, Colour.RED, Decimal("1.10"), 0.5, NOON.date(), NOON, dt.timedelta(hours=1),
              {"a": [1, None]}, ["x", 'y"'], [Colour.BLUE], b"\0\xff")  # fmt: skip


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        (lambda t: t.colour == Colour.RED, True),
        (lambda t: tl.is_in(t.colour, [Colour.BLUE]), False),
        (lambda t: t.price == Decimal("1.1"), True),
        (lambda t: t.price * 2 > 2, True),
        (lambda t: t.price // Decimal("0.5") == 2, True),
        (lambda t: t.weight < 0.6, True),
        (lambda t: t.weight + t.id == 1.5, True),
        (lambda t: t.day == dt.date(2026, 1, 2), True),
        (lambda t: t.day < NOON.replace(tzinfo=None), True),
        (lambda t: t.at == NOON.astimezone(dt.timezone(dt.timedelta(hours=5))), True),
        (lambda t: t.at + t.took > NOON, True),
        (lambda t: t.at - NOON < dt.timedelta(seconds=1), True),
        (lambda t: t.took * 2 == dt.timedelta(hours=2), True),
        (lambda t: t.data == {"a": [1, None]}, True),
        (lambda t: t.data != {"a": [1]}, True),
        (lambda t: t.tags == ["x", 'y"'], True),
        (lambda t: t.tags == [], False),
        (lambda t: t.colours == [Colour.BLUE], True),
        (lambda t: t.body == b"\0\xff", True),
        (lambda t: t.id < 10**30, True),
    ],
)
def test_conditions_take_values_of_every_kind(store: tl.Store, where: Any, holds: bool) -> None:  # noqa: FBT001
    store.create_table(THINGS).unwrap()
    tl.repository(store, THINGS).create(THING).unwrap()
    assert store.fetch_all(tl.select(THINGS, where=where)) == tl.Success([THING] if holds else [])


@pytest.mark.parametrize(
    "filters",
    [{"data": {"a": [1, None]}}, {"tags": ["x", 'y"']}, {"colours": [Colour.BLUE]},
     {"colour": Colour.RED, "at": NOON, "took": dt.timedelta(hours=1)}],
)  # fmt: skip
def test_filters_take_values_of_every_kind(store: tl.Store, filters: dict[str, Any]) -> None:
    store.create_table(THINGS).unwrap()
    things = tl.repository(store, THINGS)
    things.create(THING).unwrap()
    assert things.list(**filters) == tl.Success([THING])


# The table changes under a prepared statement


def test_a_table_may_change_under_a_prepared_statement(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    stock.create(item(1)).unwrap()
    query = tl.select(ITEMS, where=lambda i: i.id == 1)

    def works() -> bool:
        results = [stock.get_by_id(1), store.fetch_one(query), stock.update(item(1))]
        assert store.fetch_all(tl.project(query, lambda i: i.quantity)) == tl.Success([0])
        return results == [tl.Success(item(1))] * 3

    assert works()
    raw.execute("ALTER TABLE items ADD COLUMN extra text")
    assert works()
    raw.execute("ALTER TABLE items ALTER COLUMN quantity TYPE integer")
    assert works()
    assert stock.create_many([item(2)]) == tl.Success(1)
    raw.execute("ALTER TABLE items ALTER COLUMN sku TYPE varchar(50)")
    assert works()
    raw.execute("ALTER TABLE items DROP CONSTRAINT items_quantity_check")
    raw.execute("ALTER TABLE items ALTER COLUMN quantity TYPE text USING quantity::text")
    for result in (stock.get_by_id(1), store.fetch_one(query), stock.get_by_id(1)):
        error = failure(result, tl.DecodeError, "'quantity'", "text", "bigint")
        assert error.columns == ("quantity",)
    raw.execute("ALTER TABLE items DROP COLUMN quantity")
    failure(stock.get_by_id(1), tl.QueryError, '"quantity"')
    raw.execute("ALTER TABLE items ADD COLUMN quantity bigint NOT NULL DEFAULT 0")
    assert works()
    raw.execute("DROP TABLE items")
    failure(stock.get_by_id(1), tl.QueryError, "does not exist")
    store.create_table(ITEMS).unwrap()
    stock.create(item(1)).unwrap()
    assert works()


def test_statements_that_the_server_forgot_are_prepared_again(store: tl.Store, pg_url: str) -> None:
    with tl.open(pg_url, pool_size=1) as single:
        owners = tl.repository(single, OWNERS)
        owners.create(Owner(1, "one")).unwrap()
        forget = Statement("forget", "DEALLOCATE ALL", (), OWNERS)
        for _ in range(3):
            assert owners.get_by_id(1) == tl.Success(Owner(1, "one"))
            single.database.script(forget).unwrap()
        assert owners.update(Owner(1, "uno")) == tl.Success(Owner(1, "uno"))
