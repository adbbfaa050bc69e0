"""Row locks between two transactions, on PostgreSQL 18 and 16."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import psycopg
import pytest
from tests.real.helpers import failure
from tests.real.sources import FLIGHTS, PLANES, loaded

import tierline as tl
from tierline.sql import compile_query

Strength = Literal["update", "no key update", "share", "key share"]
STRENGTHS: tuple[Strength, ...] = ("key share", "share", "no key update", "update")

FROM_JFK = tl.select(FLIGHTS, where=lambda f: f.origin == "JFK", order_by=lambda f: f.id)


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with loaded(pg_url_each) as opened:
        yield opened


def begin(url: str) -> psycopg.Connection[Any]:
    """A transaction of another session."""
    return psycopg.connect(url, connect_timeout=10)


def perform(connection: psycopg.Connection[Any], query: tl.Query[Any]) -> list[Any]:
    """Run a query's very statement in a transaction that goes on."""
    compiled = compile_query(query)
    cursor = psycopg.RawCursor(connection)
    return cursor.execute(compiled.statement.sql.encode(), compiled.values).fetchall()


def test_rows_that_others_hold_are_skipped(store: tl.Store, pg_url_each: str) -> None:
    with begin(pg_url_each) as other:
        other.execute("SELECT 1 FROM flights WHERE id IN (1, 7) FOR UPDATE")
        found = store.fetch_all(tl.for_update(FROM_JFK, skip_locked=True)).unwrap()
        assert [f.id for f in found] == [2]
        # Who locks nothing reads everything, and counting does not lock.
        assert store.count(tl.for_update(FROM_JFK, nowait=True)) == tl.Success(3)
        assert [f.id for f in store.fetch_all(FROM_JFK).unwrap()] == [1, 2, 7]
    found = store.fetch_all(tl.for_update(FROM_JFK, skip_locked=True)).unwrap()
    assert [f.id for f in found] == [1, 2, 7]


def test_a_queue_is_shared_between_two_workers(store: tl.Store, pg_url_each: str) -> None:
    next_two = tl.for_update(tl.limit(FROM_JFK, 2), skip_locked=True)
    with begin(pg_url_each) as one, begin(pg_url_each) as two:
        assert [row[0] for row in perform(one, next_two)] == [1, 2]
        assert [row[0] for row in perform(two, next_two)] == [7]
        assert store.fetch_all(next_two) == tl.Success([])
        one.rollback()
        assert [row[0] for row in perform(two, next_two)] == [1, 2]


def test_a_row_that_is_held_is_an_error_at_once(store: tl.Store, pg_url_each: str) -> None:
    with begin(pg_url_each) as other:
        other.execute("SELECT 1 FROM flights WHERE id = 2 FOR UPDATE")
        error = failure(
            store.fetch_all(tl.for_update(FROM_JFK, nowait=True)), tl.TimeoutError, "lock"
        )
        assert error.sqlstate == "55P03"
        assert error.stage == "lock"
    assert len(store.fetch_all(tl.for_update(FROM_JFK, nowait=True)).unwrap()) == 3


# PostgreSQL's table of conflicts, the weakest first: which strengths stop which.
CONFLICTS = {
    "key share": {"update"},
    "share": {"no key update", "update"},
    "no key update": {"share", "no key update", "update"},
    "update": set(STRENGTHS),
}


@pytest.mark.parametrize("held", STRENGTHS)
def test_strengths_conflict_as_postgresql_says(
    store: tl.Store, pg_url_each: str, held: Strength
) -> None:
    for wanted in STRENGTHS:
        with begin(pg_url_each) as other:
            assert len(perform(other, tl.for_update(FROM_JFK, strength=held))) == 3
            query = tl.for_update(FROM_JFK, strength=wanted, skip_locked=True)
            found = store.fetch_all(query).unwrap()
            assert (found == []) is (wanted in CONFLICTS[held]), (held, wanted)


def test_a_join_locks_the_rows_of_all_its_tables(store: tl.Store, pg_url_each: str) -> None:
    pairs = tl.where(
        tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail), lambda f, p: f.id == 2
    )
    derived = tl.where(
        tl.project(tl.for_update(FROM_JFK), lambda f: (f.id, f.dest)), lambda row: row[0] == 2
    )
    with begin(pg_url_each) as other:
        assert len(perform(other, tl.for_update(pairs))) == 1
        planes = tl.for_update(tl.select(PLANES), skip_locked=True)
        assert {p.tail for p in store.fetch_all(planes).unwrap()} == {"N1", "N3", "N4"}
        flights = tl.for_update(FROM_JFK, skip_locked=True)
        assert [f.id for f in store.fetch_all(flights).unwrap()] == [1, 7]
        other.rollback()
        # A lock inside is taken as well; PostgreSQL moves the outer condition before it.
        assert len(perform(other, derived)) == 1
        assert 2 not in {f.id for f in store.fetch_all(flights).unwrap()}
