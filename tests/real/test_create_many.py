"""`create_many`: all rows or none, whatever goes wrong in the middle."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
from tests.real.helpers import (
    ITEMS,
    OWNERS,
    Item,
    Owner,
    end_sessions,
    failure,
    is_idle,
    item,
    items,
    still_works,
    wait_until,
    with_application,
)

import tierline as tl
from tierline.testing import postgres_server

ROWS = 12_000  # more than two chunks of COPY data
Stock = tl.Repository[Item, int]
Raw = psycopg.Connection[Any]


def test_writes_a_generator_and_reports_progress(stock: Stock) -> None:
    sent: list[int] = []
    written = stock.create_many((item(n) for n in range(ROWS)), progress=sent.append)
    assert written == tl.Success(ROWS)
    assert sum(sent) == ROWS
    assert len(sent) > 1
    assert stock.count() == tl.Success(ROWS)
    assert stock.get_by_id(ROWS - 1) == tl.Success(item(ROWS - 1))


def test_of_nothing_writes_nothing(stock: Stock) -> None:
    sent: list[int] = []
    assert stock.create_many([], progress=sent.append) == tl.Success(0)
    assert sent == []
    assert stock.count() == tl.Success(0)


def test_a_bad_entity_in_the_middle_is_found_before_anything_is_sent(stock: Stock) -> None:
    batch = items(2_000)
    batch[700] = item(700, sku="x")
    batch[1_300] = item(1_300, quantity=-1, note=5)
    sent: list[int] = []
    error = failure(stock.create_many(batch, progress=sent.append), tl.ValidationError)
    assert [path for path, _ in error.errors] == ["[700].sku", "[1300].quantity", "[1300].note"]
    assert error.operation == "create_many"
    assert sent == []
    assert stock.count() == tl.Success(0)


def test_of_bad_entities_the_first_hundred_fields_are_listed(stock: Stock) -> None:
    error = failure(stock.create_many([item(n, sku="x") for n in range(500)]), tl.ValidationError)
    assert len(error.errors) == 100
    assert error.errors[-1].path == "[99].sku"


def test_a_duplicate_in_the_middle_leaves_no_row(store: tl.Store, stock: Stock) -> None:
    batch = items(ROWS)
    batch[ROWS // 2] = item(7, sku="other")
    error = failure(stock.create_many(batch), tl.DuplicateError, "the same id")
    assert (error.constraint, error.columns, error.sqlstate) == ("items_pkey", ("id",), "23505")
    assert_no_row(store, stock)


def test_a_missing_foreign_key_leaves_no_row(store: tl.Store, stock: Stock) -> None:
    batch = items(ROWS)
    batch[ROWS // 2] = item(ROWS // 2, owner=9)
    error = failure(stock.create_many(batch), tl.ConstraintError, "create that row first")
    assert error.columns == ("owner",)
    assert_no_row(store, stock)


def test_a_check_that_only_the_database_has_leaves_no_row(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    raw.execute("ALTER TABLE items ADD CONSTRAINT small CHECK (quantity < 10)")
    batch = items(ROWS)
    batch[ROWS // 2] = item(ROWS // 2, quantity=10)
    assert failure(stock.create_many(batch), tl.ConstraintError).constraint == "small"
    assert_no_row(store, stock)


def test_a_value_too_large_for_a_narrower_column_leaves_no_row(store: tl.Store, raw: Raw) -> None:
    raw.execute("CREATE TABLE narrow (id smallint PRIMARY KEY, name text NOT NULL)")
    narrow = tl.repository(store, tl.table(Owner, name="narrow", key=lambda o: o.id))
    assert narrow.create_many([Owner(-(2**15), "a"), Owner(2**15 - 1, "b")]) == tl.Success(2)
    failure(narrow.create(Owner(2**15, "c")), tl.ValidationError, "widen the column")
    many = narrow.create_many([*(Owner(n, "d") for n in range(6_000)), Owner(2**15, "c")])
    error = failure(many, tl.ValidationError, "does not fit smallint", "widen the column")
    assert [path for path, _ in error.errors] == ["[6000].id"]
    assert narrow.count() == tl.Success(2)
    still_works(store)


@pytest.mark.parametrize(
    ("sql", "value"),
    [("integer", 2**31 - 1), ("oid", 2**32 - 1), ("smallint", -7), ("bigint", -(2**63))],
)
def test_narrower_integer_columns_take_what_fits(
    store: tl.Store, raw: Raw, sql: str, value: int
) -> None:
    raw.execute(f"CREATE TABLE narrow (id {sql} PRIMARY KEY, name varchar(9) NOT NULL)")
    narrow = tl.repository(store, tl.table(Owner, name="narrow", key=lambda o: o.id))
    assert narrow.create_many([Owner(value, "many")]) == tl.Success(1)
    assert narrow.update(Owner(value, "one")) == tl.Success(Owner(value, "one"))
    assert narrow.get_by_id(value) == tl.Success(Owner(value, "one"))


@pytest.mark.parametrize("late", [False, True])
def test_a_session_ended_in_the_middle_of_copy_leaves_no_row(
    pg_url: str, store: tl.Store, stock: Stock, raw: Raw, *, late: bool
) -> None:
    with tl.open(with_application(pg_url, "victim"), timeout_s=5) as victim:

        def end_the_session(count: int) -> None:
            steps.append(count)
            if len(steps) == (3 if late else 1):
                end_sessions(raw, "victim")

        steps: list[int] = []
        result = tl.repository(victim, ITEMS).create_many(items(ROWS), progress=end_the_session)
        assert isinstance(result, tl.Failure)
        assert isinstance(result.failure(), tl.ConnectionError)
        assert_no_row(store, stock)
        # The pool finds out that its other sessions are gone, and makes new ones.
        wait_until(lambda: isinstance(tl.repository(victim, ITEMS).count(), tl.Success))
        still_works(victim)


def test_a_server_killed_in_the_middle_of_copy_leaves_no_row() -> None:
    with postgres_server(18) as server, tl.open(server.url, timeout_s=2) as store:
        store.create_table(msgspec.structs.replace(ITEMS, foreign_keys=())).unwrap()
        stock = tl.repository(store, ITEMS)
        result = stock.create_many(items(ROWS), progress=lambda _: server.kill())
        assert isinstance(result, tl.Failure)
        assert isinstance(result.failure(), tl.ConnectionError)
        server.start()
        wait_until(lambda: stock.count() == tl.Success(0))
        assert stock.create_many(items(ROWS)) == tl.Success(ROWS)
        still_works(store)


@pytest.mark.parametrize("broken", ["progress", "entities"])
def test_an_exception_of_the_caller_passes_and_leaves_no_row(
    store: tl.Store, stock: Stock, broken: str
) -> None:
    def entities() -> Iterator[Item]:
        yield from items(ROWS)
        if broken == "entities":
            raise LookupError("no more")

    def progress(count: int) -> None:
        if broken == "progress":
            raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        stock.create_many(entities(), progress=progress)
    assert_no_row(store, stock)


@pytest.mark.parametrize("foreign", [{"id": 1}, Owner(1, "one"), None, 7])
def test_what_is_no_entity_of_the_table_is_a_type_error(
    store: tl.Store, stock: Stock, foreign: Any
) -> None:
    verbs: list[Callable[[], object]] = [
        lambda: stock.create(foreign),
        lambda: stock.update(foreign),
        lambda: stock.create_many([item(1), foreign]),
    ]
    for verb in verbs:
        with pytest.raises(TypeError, match="expected an instance of Item"):
            verb()
    assert_no_row(store, stock)


def test_a_time_whose_zone_has_no_fixed_offset_is_a_validation_error(
    store: tl.Store,
) -> None:
    class Opening(msgspec.Struct, frozen=True):
        id: int
        at: Annotated[dt.time, msgspec.Meta(tz=True)]

    table = tl.table(Opening, name="openings", key=lambda o: o.id)
    store.create_table(table).unwrap()
    openings = tl.repository(store, table)
    opening = Opening(1, dt.time(12, tzinfo=ZoneInfo("Europe/Berlin")))
    for result in (openings.create(opening), openings.create_many([opening])):
        assert failure(result, tl.ValidationError).errors[0].path.endswith("at")


def assert_no_row(store: tl.Store, stock: Stock) -> None:
    """Nothing of the batch is there, no connection is lent out, and the next batch succeeds."""
    assert stock.count() == tl.Success(0)
    assert is_idle(store)
    assert stock.create_many(items(10)) == tl.Success(10)
    assert stock.count() == tl.Success(10)


def test_enum_members_of_text_and_numbers_go_in_by_copy_as_they_do_alone(store: tl.Store) -> None:
    class Label(enum.StrEnum):
        RED = "red"

    owners = tl.repository(store, OWNERS)
    owners.create(Owner(1, Label.RED)).unwrap()
    owners.create_many([Owner(2, Label.RED)]).unwrap()
    names = [owner.name for owner in owners.list(order_by=lambda o: o.id).unwrap()]
    assert names == ["red", "red"]
