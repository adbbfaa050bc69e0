"""Unions, recursion, windows, aggregates and column types on PostgreSQL 18 and 16."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.real.sources import (
    FLIGHT_ROWS,
    FLIGHTS,
    PLANES,
    STOPS,
    THING_ROWS,
    THINGS,
    Grade,
    Hop,
    Thing,
    ask,
    loaded,
    rows,
)

import tierline as tl


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with loaded(pg_url_each) as opened:
        yield opened


ORIGINS = tl.project(tl.select(FLIGHTS), lambda f: f.origin)
DESTS = tl.project(tl.select(FLIGHTS), lambda f: f.dest)
FROM = Counter(f.origin for f in FLIGHT_ROWS)
TO = Counter(f.dest for f in FLIGHT_ROWS)


def test_unions_and_the_like_count_duplicates_as_told(store: tl.Store) -> None:
    assert sorted(rows(store, tl.union(ORIGINS, DESTS))) == sorted({*FROM, *TO})
    found = rows(store, tl.union(ORIGINS, DESTS, keep_duplicates=True))
    assert Counter(found) == FROM + TO
    assert sorted(rows(store, tl.intersect(ORIGINS, DESTS))) == sorted(FROM.keys() & TO.keys())
    found = rows(store, tl.intersect(ORIGINS, DESTS, keep_duplicates=True))
    assert Counter(found) == FROM & TO
    assert sorted(rows(store, tl.except_(ORIGINS, DESTS))) == sorted(FROM.keys() - TO.keys())
    found = rows(store, tl.except_(ORIGINS, DESTS, keep_duplicates=True))
    assert Counter(found) == FROM - TO


def test_unions_nest_in_the_order_they_are_written(store: tl.Store) -> None:
    left = tl.except_(tl.union(ORIGINS, DESTS), ORIGINS)
    right = tl.union(ORIGINS, tl.except_(DESTS, ORIGINS))
    assert sorted(rows(store, left)) == ["ORD"]
    assert sorted(rows(store, right)) == sorted({*FROM, *TO})
    limited = tl.union(
        tl.limit(tl.order_by(ORIGINS, lambda origin: (origin,)), 1),
        tl.limit(tl.order_by(DESTS, tl.desc), 1),
    )
    assert sorted(rows(store, limited)) == ["EWR", "SFO"]
    nulls = tl.project(tl.select(FLIGHTS), lambda f: f.tail)
    assert rows(store, tl.union(nulls, nulls)).count(None) == 1


def test_a_union_of_entities_and_equal_structs_gives_them(store: tl.Store) -> None:
    jfk = tl.select(FLIGHTS, where=lambda f: f.origin == "JFK")
    to_lax = tl.select(FLIGHTS, where=lambda f: f.dest == "LAX")
    both = tl.order_by(tl.union(jfk, to_lax), lambda f: f.id)
    assert rows(store, both) == [f for f in FLIGHT_ROWS if f.origin == "JFK" or f.dest == "LAX"]
    joined = tl.join(jfk, PLANES, lambda f, p: f.tail == p.tail)
    assert len(rows(store, tl.union(joined, joined))) == 3
    assert len(rows(store, tl.union(joined, joined, keep_duplicates=True))) == 6


def routes(*, keep_duplicates: bool) -> tl.Query[Hop]:
    start = tl.project(
        tl.select(FLIGHTS, where=lambda f: f.origin == "JFK"), lambda f: Hop(f.dest, 1)
    )

    def onward(found: tl.Query[Hop]) -> tl.Query[Hop]:
        legs = tl.join(found, FLIGHTS, lambda hop, f: (hop.place == f.origin) & (hop.hops < 5))
        return tl.project(legs, lambda hop, f: Hop(f.dest, hop.hops + 1))

    return tl.recursive(start, onward, keep_duplicates=keep_duplicates)


@pytest.mark.parametrize("keep_duplicates", [False, True])
def test_a_recursion_follows_routes_to_their_end(
    store: tl.Store, pg_url_each: str, *, keep_duplicates: bool
) -> None:
    query = tl.order_by(routes(keep_duplicates=keep_duplicates), lambda h: (h.hops, h.place))
    union = "UNION ALL" if keep_duplicates else "UNION"
    assert [(h.place, h.hops) for h in rows(store, query)] == ask(
        pg_url_each,
        f"WITH RECURSIVE r(place, hops) AS (SELECT dest, 1::bigint FROM flights "
        f"WHERE origin = 'JFK' {union} SELECT f.dest, r.hops + 1 FROM r JOIN flights f "
        f"ON f.origin = r.place WHERE r.hops < 5) SELECT place, hops FROM r ORDER BY hops, place",
    )


def test_a_circle_ends_without_duplicates(store: tl.Store) -> None:
    start = tl.project(tl.select(FLIGHTS, where=lambda f: f.origin == "JFK"), lambda f: f.dest)
    reached = tl.recursive(
        start,
        lambda found: tl.project(
            tl.join(found, FLIGHTS, lambda place, f: place == f.origin), lambda place, f: f.dest
        ),
        keep_duplicates=False,
    )
    # JFK itself is reached again through SFO, and nothing goes on for ever.
    assert sorted(rows(store, reached)) == ["JFK", "LAX", "SFO"]
    flights = tl.select(FLIGHTS, where=lambda f: tl.is_in(f.origin, reached))
    assert {f.id for f in rows(store, flights)} == {1, 2, 4, 5, 7}


def test_a_common_table_expression_is_read_twice(store: tl.Store) -> None:
    counts = tl.cte(
        tl.project(
            tl.select(FLIGHTS), lambda f: Hop(f.origin, tl.count()), group_by=lambda f: f.origin
        )
    )
    most = tl.project(counts, lambda c: tl.max(c.hops))
    busiest = tl.select(counts, where=lambda c: c.hops == tl.some(tl.scalar(most)))
    assert rows(store, busiest) == [Hop("JFK", 3)]
    pairs = tl.join(counts, counts, lambda a, b: (a.hops == b.hops) & (a.place < b.place))
    assert len(rows(store, pairs)) == 6


WINDOWS = [
    (lambda f: tl.over(tl.row_number(), order_by=f.id), "row_number() OVER (ORDER BY id)"),
    (lambda f: tl.over(tl.rank(), order_by=f.origin), "rank() OVER (ORDER BY origin)"),
    (lambda f: tl.over(tl.dense_rank(), order_by=f.origin), "dense_rank() OVER (ORDER BY origin)"),
    (
        lambda f: tl.over(tl.percent_rank(), partition_by=f.origin, order_by=tl.desc(f.id)),
        "percent_rank() OVER (PARTITION BY origin ORDER BY id DESC)",
    ),
    (
        lambda f: tl.over(tl.cume_dist(), partition_by=(f.origin, f.dest), order_by=f.id),
        "cume_dist() OVER (PARTITION BY origin, dest ORDER BY id)",
    ),
    (lambda f: tl.over(tl.ntile(3), order_by=f.id), "ntile(3) OVER (ORDER BY id)"),
    (lambda f: tl.over(tl.lag(f.delay), order_by=f.id), "lag(delay) OVER (ORDER BY id)"),
    (lambda f: tl.over(tl.lag(f.tail, 2), order_by=f.id), "lag(tail, 2) OVER (ORDER BY id)"),
    (lambda f: tl.over(tl.lead(f.delay, 2), order_by=f.id), "lead(delay, 2) OVER (ORDER BY id)"),
    (
        lambda f: tl.over(tl.first_value(f.dest), partition_by=f.origin, order_by=f.id),
        "first_value(dest) OVER (PARTITION BY origin ORDER BY id)",
    ),
    (
        lambda f: tl.over(tl.last_value(f.id), order_by=f.id, frame=tl.rows(0, None)),
        "last_value(id) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
    ),
    (
        lambda f: tl.over(tl.nth_value(f.id, 2), order_by=f.id, frame=tl.rows(None, None)),
        (
            "nth_value(id, 2) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED "
            "FOLLOWING)"
        ),
    ),
    (
        lambda f: tl.over(tl.sum(f.delay), order_by=f.id, frame=tl.rows(-1, 1)),
        "sum(delay) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)::bigint",
    ),
    (
        lambda f: tl.over(tl.count(), order_by=f.origin, frame=tl.groups(-1, -1)),
        "count(*) OVER (ORDER BY origin GROUPS BETWEEN 1 PRECEDING AND 1 PRECEDING)",
    ),
    (
        lambda f: tl.over(tl.avg(f.delay), partition_by=f.origin),
        "avg(delay) OVER (PARTITION BY origin)::float8",
    ),
    (
        lambda f: tl.over(tl.filtered(tl.count(), f.dest == "LAX"), order_by=f.id),
        "count(*) FILTER (WHERE dest = 'LAX') OVER (ORDER BY id)",
    ),
    (
        lambda f: tl.over(tl.string_agg(f.dest, "-"), order_by=f.id),
        "string_agg(dest, '-') OVER (ORDER BY id)",
    ),
    (
        lambda f: tl.over(tl.array_agg(f.id), order_by=f.id, frame=tl.rows(-2, -1)),
        "coalesce(array_agg(id) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING), '{}')",
    ),
    (lambda f: tl.over(tl.min(f.delay)), "min(delay) OVER ()"),
    (lambda f: f.id - tl.over(tl.lag(f.id), order_by=f.id), "id - lag(id) OVER (ORDER BY id)"),
]


@pytest.mark.parametrize(("window", "sql"), WINDOWS, ids=[sql for _, sql in WINDOWS])
def test_a_window_is_what_postgresql_makes_of_it(
    store: tl.Store, pg_url_each: str, window: Any, sql: str
) -> None:
    query = tl.project(tl.select(FLIGHTS), lambda f: (f.id, window(f)), order_by=lambda f: f.id)
    assert rows(store, query) == ask(
        pg_url_each, f"SELECT id, {sql} FROM flights ORDER BY flights.id"
    )


def test_windows_are_chosen_from_and_ordered_by(store: tl.Store) -> None:
    numbered = tl.project(
        tl.select(FLIGHTS),
        lambda f: (f.id, tl.over(tl.row_number(), partition_by=f.origin, order_by=f.id)),
    )
    first = tl.where(numbered, lambda row: row[1] == 1)
    assert {row[0] for row in rows(store, first)} == {1, 3, 4, 5, 6}
    ordered = tl.select(
        FLIGHTS, order_by=lambda f: (tl.desc(tl.over(tl.count(), partition_by=f.origin)), f.id)
    )
    assert [f.id for f in rows(store, ordered)] == [1, 2, 7, 3, 4, 5, 6]
    grouped = tl.project(
        tl.select(FLIGHTS),
        lambda f: (f.origin, tl.over(tl.rank(), order_by=tl.desc(tl.count()))),
        group_by=lambda f: f.origin,
    )
    assert dict(rows(store, grouped))["JFK"] == 1


def test_limited_rows_are_counted_through_select(store: tl.Store) -> None:
    two = tl.select(FLIGHTS, order_by=lambda f: f.id, limit=2)
    with pytest.raises(TypeError, match=r"tl\.select\(query\)"):
        tl.project(two, lambda f: tl.count())
    assert rows(store, tl.project(tl.select(two), lambda f: tl.count())) == [2]


def test_aggregates_that_make_lists_and_texts(store: tl.Store, pg_url_each: str) -> None:
    query = tl.project(
        tl.select(FLIGHTS),
        lambda f: (
            f.origin,
            tl.array_agg(f.id, order_by=tl.desc(f.id)),
            tl.string_agg(f.dest, ", ", order_by=(f.dest, f.id)),
            tl.filtered(tl.count(), f.dest == "LAX"),
            tl.filtered(tl.sum(f.delay), tl.some(f.delay) > 0),
            tl.filtered(tl.array_agg(f.dest, order_by=f.dest), f.dest == "SFO"),
            tl.count(f.dest, distinct=True),
        ),
        group_by=lambda f: f.origin,
        having=lambda f: (tl.count() > 1) | (tl.max(f.delay) == 70),
        order_by=lambda f: f.origin,
    )
    assert rows(store, query) == ask(
        pg_url_each,
        "SELECT origin, array_agg(id ORDER BY id DESC), string_agg(dest, ', ' ORDER BY dest, id), "
        "count(*) FILTER (WHERE dest = 'LAX'), (sum(delay) FILTER (WHERE delay > 0))::bigint, "
        "coalesce(array_agg(dest ORDER BY dest) FILTER (WHERE dest = 'SFO'), '{}'), "
        "count(DISTINCT dest) FROM flights GROUP BY origin HAVING count(*) > 1 OR max(delay) = 70 "
        "ORDER BY origin",
    )


def test_aggregates_of_nothing(store: tl.Store) -> None:
    nothing = tl.select(FLIGHTS, where=lambda f: f.id > 99)
    made = tl.project(
        nothing,
        lambda f: (tl.count(), tl.sum(f.id), tl.array_agg(f.id), tl.string_agg(f.dest, ",")),
    )
    assert rows(store, made) == [(0, None, [], None)]
    times = tl.project(
        tl.select(THINGS, where=lambda t: tl.is_null(t.day) & tl.not_(tl.is_null(t.day))),
        lambda t: (tl.array_agg(t.price), tl.array_agg(t.at), tl.array_agg(t.id)),
    )
    assert rows(store, times) == [([], [], [])]


def test_filters_add_up(store: tl.Store) -> None:
    query = tl.project(
        tl.select(FLIGHTS),
        lambda f: tl.filtered(tl.filtered(tl.count(), f.id > 1), f.id < 4),
    )
    assert rows(store, query) == [2]


def test_distinct_rows_come_once(store: tl.Store) -> None:
    pairs = tl.project(
        tl.select(FLIGHTS),
        lambda f: (f.origin, f.dest),
        distinct=True,
        order_by=lambda f: (f.origin, tl.desc(f.dest)),
    )
    assert rows(store, pairs) == sorted(
        {(f.origin, f.dest) for f in FLIGHT_ROWS}, key=lambda p: (p[0], [-ord(c) for c in p[1]])
    )
    assert store.count(tl.limit(pairs, 2)) == tl.Success(2)
    delays = tl.project(tl.select(FLIGHTS), lambda f: f.delay, distinct=True)
    assert sorted(rows(store, delays), key=str) == [-3, 5, 50, 70, None]
    twice = tl.union(tl.select(STOPS), tl.select(STOPS), keep_duplicates=True)
    assert len(rows(store, tl.select(twice, distinct=True))) == 4


class Kept(msgspec.Struct, frozen=True):
    id: uuid.UUID
    grade: Grade
    price: Decimal
    at: dt.datetime
    data: dict[str, Any]
    tags: list[str]
    lasted: dt.timedelta | None


def kept(t: Thing) -> Kept:
    return Kept(t.id, t.grade, t.price, t.at, t.data, t.tags, t.lasted)


def by_price(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda row: row.price)


def test_types_survive_every_way_through(store: tl.Store) -> None:
    all_things = tl.select(THINGS)
    expected = [kept(t) for t in THING_ROWS]
    projected = tl.project(all_things, kept)
    for query in (
        projected,
        tl.where(projected, lambda k: k.price >= 0),
        tl.union(projected, projected),
        tl.cte(projected),
        tl.project(tl.select(projected, limit=100), kept_again),
        tl.recursive(projected, lambda r: tl.where(r, lambda k: k.price < 0)),
    ):
        assert by_price(rows(store, query)) == expected
    for query in (
        tl.cte(all_things),
        tl.select(all_things, distinct=True),
        tl.intersect(all_things, all_things),
        tl.semi_join(THINGS, projected, lambda t, k: (t.id == k.id) & (t.at == k.at)),
    ):
        assert by_price(rows(store, query)) == THING_ROWS
    pairs = tl.left_join(THINGS, projected, lambda t, k: (t.id == k.id) & (k.grade == Grade.HIGH))
    found = sorted(rows(store, pairs), key=lambda pair: pair[0].price)
    assert found == [(t, kept(t) if t.grade is Grade.HIGH else None) for t in THING_ROWS]
    assert all(pair[0].grade in Grade for pair in found)


def kept_again(k: Kept) -> Kept:
    return Kept(k.id, k.grade, k.price, k.at, k.data, k.tags, k.lasted)


def test_types_survive_as_single_values(store: tl.Store) -> None:
    low = tl.select(THINGS, where=lambda t: t.grade == Grade.LOW)
    grades = tl.project(tl.select(THINGS), lambda t: t.grade, distinct=True)
    assert set(rows(store, grades)) == set(Grade)
    inside = tl.select(
        THINGS, where=lambda t: tl.is_in(t.grade, tl.project(low, lambda u: u.grade))
    )
    assert by_price(rows(store, inside)) == [t for t in THING_ROWS if t.grade is Grade.LOW]
    scalars = tl.project(
        tl.select(THINGS),
        lambda t: (
            tl.scalar(tl.project(tl.where(low, lambda u: u.id == t.id), lambda u: u.grade)),
            tl.scalar(tl.project(tl.where(low, lambda u: u.id == t.id), lambda u: u.at)),
            tl.scalar(tl.project(tl.where(low, lambda u: u.id == t.id), lambda u: u.data)),
            tl.over(tl.lag(t.grade), order_by=t.price),
            tl.over(tl.first_value(t.price), order_by=tl.desc(t.price)),
        ),
        order_by=lambda t: t.price,
    )
    assert rows(store, scalars) == [
        (
            t.grade if t.grade is Grade.LOW else None,
            t.at if t.grade is Grade.LOW else None,
            t.data if t.grade is Grade.LOW else None,
            THING_ROWS[n - 1].grade if n else None,
            Decimal("1.25"),
        )
        for n, t in enumerate(THING_ROWS)
    ]
    lists = tl.project(
        tl.select(THINGS),
        lambda t: (
            tl.array_agg(t.price, order_by=t.price),
            tl.array_agg(t.at, order_by=t.price),
            tl.array_agg(t.id, order_by=t.price),
        ),
    )
    assert rows(store, lists) == [
        ([t.price for t in THING_ROWS], [t.at for t in THING_ROWS], [t.id for t in THING_ROWS])
    ]
