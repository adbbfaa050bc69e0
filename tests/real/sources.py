"""Tables and rows that the tests of joins, subqueries, windows and pages share."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from tests.real.test_differential import spelt

import tierline as tl


class Grade(enum.Enum):
    """An enumeration whose members must survive every shape of query."""

    LOW = "low"
    HIGH = "high"


class Plane(msgspec.Struct, frozen=True):
    """All but the key may be NULL."""

    tail: str
    model: str | None
    seats: int | None
    owner: str | None


class Flight(msgspec.Struct, frozen=True):
    """A flight of a plane that may be unknown, or not in the table."""

    id: int
    tail: str | None
    origin: str
    dest: str
    delay: int | None


class Stop(msgspec.Struct, frozen=True):
    """A composite key."""

    flight: int
    number: int
    place: str


class Thing(msgspec.Struct, frozen=True):
    """A column of every kind that is easily lost on the way."""

    id: uuid.UUID
    grade: Grade
    price: Decimal
    at: dt.datetime
    data: dict[str, Any]
    tags: list[str]
    day: dt.date | None
    lasted: dt.timedelta | None
    raw: bytes


class Hop(msgspec.Struct, frozen=True):
    """A place and how many flights it took to get there."""

    place: str
    hops: int


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
STOPS = tl.table(Stop, name="stops", key=lambda s: (s.flight, s.number))
THINGS = tl.table(Thing, name="things", key=lambda t: t.id)

PLANE_ROWS = [
    Plane("N1", "A320", 150, "ada"),
    Plane("N2", "B737", None, None),
    Plane("N3", None, None, None),  # nothing is known of it but that it exists
    Plane("N4", "A320", 180, "bob"),
]
FLIGHT_ROWS = [
    Flight(1, "N1", "JFK", "LAX", 5),
    Flight(2, "N2", "JFK", "SFO", None),
    Flight(3, "N9", "LGA", "LAX", 50),
    Flight(4, "N1", "LAX", "SFO", 70),
    Flight(5, None, "SFO", "JFK", -3),  # closes a circle: JFK, SFO, JFK
    Flight(6, "N3", "EWR", "ORD", 5),
    Flight(7, "N3", "JFK", "LAX", 5),
]
STOP_ROWS = [Stop(1, 1, "DEN"), Stop(1, 2, "PHX"), Stop(4, 1, "SJC"), Stop(9, 1, "DEN")]
THING_ROWS = [
    Thing(
        uuid.UUID(int=n),
        Grade.HIGH if n % 2 else Grade.LOW,
        Decimal(n) / 4,
        dt.datetime(2013, 1, 1 + n, 12, 30, 0, n, tzinfo=dt.UTC),
        {"n": n, "deep": {"list": [n, None, "x"]}},
        ["a", f"t{n}"],
        None if n % 2 else dt.date(2013, 1, 1 + n),
        None if n % 3 else dt.timedelta(minutes=n, microseconds=1),
        bytes([n, 0, 255]),
    )
    for n in range(6)
]


@contextmanager
def loaded(url: str) -> Generator[tl.Store]:
    """An open store whose tables have their rows."""
    with tl.open(url, timeout_s=10) as store:
        for table, rows in (
            (PLANES, PLANE_ROWS),
            (FLIGHTS, FLIGHT_ROWS),
            (STOPS, STOP_ROWS),
            (THINGS, THING_ROWS),
        ):
            store.create_table(table).unwrap()
            given: Any = rows
            tl.repository(store, table).create_many(given).unwrap()
        yield store


def ask(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What PostgreSQL answers to SQL written by hand, by a driver that is not ours."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        return connection.execute(sql.encode(), values or None).fetchall()


def held(store: tl.Store) -> Any:
    """The rows of each table, as `tl.evaluate` takes them."""
    tables = (PLANES, FLIGHTS, STOPS, THINGS)
    return {table: store.fetch_all(tl.select(table)).unwrap() for table in tables}


def agrees(store: tl.Store, query: tl.Query[Any], found: list[Any]) -> None:
    """Check that memory makes of the tables' rows what the store did.

    Raises:
        AssertionError: It does not.
    """
    ours = [spelt(row) for row in tl.evaluate(query, held(store)).unwrap()]
    theirs = list(map(spelt, found))
    assert sorted(ours) == sorted(theirs)
    if query.order_by:
        assert ours == theirs


def rows(store: tl.Store, query: tl.Query[Any]) -> list[Any]:
    """A query's rows; counting, asking for existence and memory must agree with them."""
    found: list[Any] = store.fetch_all(query).unwrap()
    assert store.count(query) == tl.Success(len(found))
    assert store.exists(query) == tl.Success(bool(found))
    agrees(store, query, found)
    return found
