"""None in unions, limits told later and ordered groups, on PostgreSQL 18 and 16."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Generator
from decimal import Decimal

import msgspec
import pytest
from tests.real.sources import FLIGHTS, PLANES, THINGS, Grade, loaded

import tierline as tl


class Note(msgspec.Struct, frozen=True):
    id: int
    seats: int | None
    at: dt.datetime | None = None


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with loaded(pg_url_each) as found:
        yield found


def test_a_none_has_the_type_of_the_other_side(store: tl.Store) -> None:
    known = tl.project(tl.select(PLANES), lambda p: (p.tail, p.seats))
    unknown = tl.project(tl.select(FLIGHTS), lambda f: (f.origin, None))
    for both in (tl.union(known, unknown), tl.union(unknown, known)):
        rows = store.fetch_all(tl.order_by(both, lambda p: p[0])).unwrap()
        assert ("JFK", None) in rows
        assert ("N1", 150) in rows
    assert store.fetch_all(tl.except_(unknown, known)).unwrap()
    assert store.fetch_all(tl.intersect(unknown, known)) == tl.Success([])


def test_a_none_of_every_type(store: tl.Store) -> None:
    known = tl.project(
        tl.select(THINGS),
        lambda t: (t.id, t.grade, t.price, t.at, t.data, t.tags, t.day, t.lasted, t.raw),
    )
    none = tl.project(
        tl.select(THINGS), lambda t: (t.id, None, None, None, None, None, None, None, None)
    )
    rows = store.fetch_all(tl.union(none, known, keep_duplicates=True)).unwrap()
    assert len(rows) == 12
    assert any(type(row[1]) is Grade and type(row[2]) is Decimal for row in rows)
    assert (uuid.UUID(int=1), *[None] * 8) in rows


def test_a_none_in_a_struct_and_in_a_recursion(store: tl.Store) -> None:
    known = tl.project(tl.select(FLIGHTS, where=lambda f: f.id == 1), lambda f: Note(f.id, f.delay))
    times = tl.project(
        tl.select(FLIGHTS, where=lambda f: f.id == 2),
        lambda f: Note(f.id, None, dt.datetime(2013, 1, 1, tzinfo=dt.UTC)),
    )
    rows = store.fetch_all(tl.order_by(tl.union(known, times), lambda n: n.id))
    moment = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    assert rows == tl.Success([Note(1, 5), Note(2, None, moment)])
    begun = tl.project(tl.select(FLIGHTS, where=lambda f: f.id == 1), lambda f: Note(f.id, None))
    counted = tl.recursive(
        begun,
        lambda q: tl.project(
            tl.where(q, lambda n: n.id < 3), lambda n: Note(n.id + 1, n.id * 10, n.at)
        ),
    )
    found = store.fetch_all(tl.order_by(counted, lambda n: n.id))
    assert found == tl.Success([Note(1, None), Note(2, 10), Note(3, 20)])


def test_a_limit_is_told_when_the_query_runs(store: tl.Store) -> None:
    query = tl.project(
        tl.select(FLIGHTS, order_by=lambda f: f.id, offset=tl.param("skip", int)),
        lambda f: f.id,
        limit=tl.param("rows", int),
    )
    assert store.fetch_all(query, rows=2, skip=1) == tl.Success([2, 3])
    assert store.fetch_all(query, rows=0, skip=0) == tl.Success([])
    assert store.count(query, rows=9, skip=5) == tl.Success(2)
    assert store.exists(query, rows=1, skip=99) == tl.Success(False)
    assert store.fetch_one(query, rows=1, skip=3) == tl.Success(4)
    assert isinstance(store.fetch_one(query, rows=5, skip=3), tl.Failure)
    assert store.fetch_maybe(query, rows=0, skip=3) == tl.Success(None)
    fewer = tl.limit(query, 3)
    assert store.fetch_all(fewer, rows=9, skip=1) == tl.Success([2, 3, 4])
    with pytest.raises(ValueError, match="'rows' is a number of rows and must not be negative"):
        store.fetch_all(query, rows=-1, skip=0)


def test_groups_in_the_order_of_their_keys(store: tl.Store) -> None:
    counted = tl.project(
        tl.select(FLIGHTS, order_by=lambda f: tl.desc(f.origin)),
        lambda f: (f.origin, tl.count()),
        group_by=lambda f: f.origin,
    )
    assert store.fetch_all(counted) == tl.Success(
        [("SFO", 1), ("LGA", 1), ("LAX", 1), ("JFK", 3), ("EWR", 1)]
    )
    by_key = tl.project(
        tl.select(PLANES, order_by=lambda p: tl.desc(p.tail)),
        lambda p: (p.tail, p.model),
        group_by=lambda p: p.tail,
    )
    assert [tail for tail, _ in store.fetch_all(by_key).unwrap()] == ["N4", "N3", "N2", "N1"]
