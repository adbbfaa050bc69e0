"""Joins, subqueries and their NULLs on PostgreSQL 18 and 16, beside hand-written SQL."""

from __future__ import annotations

from collections.abc import Generator

import msgspec
import pytest
from tests.real.sources import (
    FLIGHT_ROWS,
    FLIGHTS,
    PLANE_ROWS,
    PLANES,
    STOP_ROWS,
    STOPS,
    Plane,
    Stop,
    ask,
    loaded,
    rows,
)

import tierline as tl


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with loaded(pg_url_each) as opened:
        yield opened


PLANE = {plane.tail: plane for plane in PLANE_ROWS}
FLIGHT = {flight.id: flight for flight in FLIGHT_ROWS}
PLANES_OF_FLIGHTS = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
MAYBE_PLANES = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
FROM_JFK = tl.select(FLIGHTS, where=lambda f: f.origin == "JFK")


def test_a_join_gives_every_pair(store: tl.Store) -> None:
    found = rows(store, tl.order_by(PLANES_OF_FLIGHTS, lambda f, p: f.id))
    assert found == [(f, PLANE[f.tail]) for f in FLIGHT_ROWS if f.tail in PLANE]


def test_a_left_join_gives_none_where_there_is_no_row(store: tl.Store) -> None:
    found = rows(store, tl.order_by(MAYBE_PLANES, lambda f, p: f.id))
    assert found == [(f, PLANE.get(f.tail or "")) for f in FLIGHT_ROWS]
    # A row of NULLs but for its key is a row.
    assert (FLIGHT[6], Plane("N3", None, None, None)) in found
    unknown = tl.where(MAYBE_PLANES, lambda f, p: tl.is_null(p))
    assert {f.id for f, _ in rows(store, unknown)} == {3, 5}
    known = tl.where(MAYBE_PLANES, lambda f, p: tl.not_(tl.is_null(p)))
    assert {f.id for f, _ in rows(store, known)} == {1, 2, 4, 6, 7}


def test_fields_of_a_missing_row_are_none(store: tl.Store, pg_url_each: str) -> None:
    query = tl.project(
        MAYBE_PLANES,
        lambda f, p: (f.id, tl.some(p).tail, tl.some(p).seats),
        order_by=lambda f, p: f.id,
    )
    assert rows(store, query) == ask(
        pg_url_each,
        "SELECT f.id, p.tail, p.seats FROM flights f LEFT JOIN planes p USING (tail) ORDER BY f.id",
    )


def test_three_and_four_sources_with_optional_ones_in_between(store: tl.Store) -> None:
    three = tl.left_join(MAYBE_PLANES, STOPS, lambda f, p, s: f.id == s.flight)
    found = rows(store, tl.order_by(three, lambda f, p, s: (f.id, tl.some(s).number)))
    expected = [
        (f, PLANE.get(f.tail or ""), stop)
        for f in FLIGHT_ROWS
        for stop in ([s for s in STOP_ROWS if s.flight == f.id] or [None])
    ]
    assert found == expected
    four = tl.join(three, FLIGHTS, lambda f, p, s, onward: f.dest == onward.origin)
    found = rows(store, tl.order_by(four, lambda f, p, s, g: (f.id, tl.some(s).number, g.id)))
    assert found == [(*row, g) for row in expected for g in FLIGHT_ROWS if row[0].dest == g.origin]


def test_a_table_joins_itself(store: tl.Store) -> None:
    onward = tl.join(FLIGHTS, FLIGHTS, lambda a, b: (a.dest == b.origin) & (a.id < b.id))
    found = rows(store, tl.project(onward, lambda a, b: (a.id, b.id), order_by=lambda a, b: a.id))
    assert sorted(found) == sorted(
        (a.id, b.id) for a in FLIGHT_ROWS for b in FLIGHT_ROWS if a.dest == b.origin and a.id < b.id
    )


def test_a_cross_join_gives_all_with_all(store: tl.Store) -> None:
    found = rows(store, tl.cross_join(tl.cross_join(PLANES, STOPS), FROM_JFK))
    jfk = [f for f in FLIGHT_ROWS if f.origin == "JFK"]
    assert sorted(found, key=repr) == sorted(
        ((p, s, f) for p in PLANE_ROWS for s in STOP_ROWS for f in jfk), key=repr
    )


def test_semi_and_anti_joins_keep_each_row_once_and_nulls_match_nothing(store: tl.Store) -> None:
    used = tl.semi_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail)
    assert {p.tail for p in rows(store, used)} == {"N1", "N2", "N3"}
    assert len(rows(store, used)) == 3
    idle = tl.anti_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail)
    assert rows(store, idle) == [PLANE["N4"]]
    # The flight without a tail number has no partner: unlike NOT IN, NULL does not spoil it.
    unknown = tl.anti_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
    assert {f.id for f in rows(store, unknown)} == {3, 5}
    both = tl.anti_join(used, FROM_JFK, lambda p, f: p.tail == f.tail)
    assert rows(store, both) == []


def test_a_join_is_one_side_of_a_semi_join(store: tl.Store) -> None:
    stopping = tl.semi_join(PLANES_OF_FLIGHTS, STOPS, lambda pair, s: pair[0].id == s.flight)
    assert sorted(f.id for f, _ in rows(store, stopping)) == [1, 4]
    flown = tl.semi_join(PLANES, PLANES_OF_FLIGHTS, lambda p, pair: p.tail == pair[1].tail)
    assert {p.tail for p in rows(store, flown)} == {"N1", "N2", "N3"}


def test_is_in_and_its_negation_follow_sql_with_nulls(store: tl.Store) -> None:
    tails = tl.project(FROM_JFK, lambda f: f.tail)
    inside = tl.select(PLANES, where=lambda p: tl.is_in(p.tail, tails))
    assert {p.tail for p in rows(store, inside)} == {"N1", "N2", "N3"}
    outside = tl.select(PLANES, where=lambda p: tl.not_(tl.is_in(p.tail, tails)))
    assert rows(store, outside) == [PLANE["N4"]]
    with_null = tl.project(tl.select(FLIGHTS), lambda f: f.tail)
    spoilt = tl.select(PLANES, where=lambda p: tl.not_(tl.is_in(p.tail, with_null)))
    assert rows(store, spoilt) == []
    unknown = tl.select(FLIGHTS, where=lambda f: tl.is_in(f.tail, tails) | tl.is_null(f.tail))
    assert 5 in {f.id for f in rows(store, unknown)}


def test_a_scalar_is_the_value_of_each_row(store: tl.Store, pg_url_each: str) -> None:
    latest = tl.project(
        tl.select(PLANES),
        lambda p: (
            p.tail,
            tl.scalar(
                tl.project(
                    tl.select(FLIGHTS, where=lambda f: f.tail == p.tail),
                    lambda f: tl.max(f.delay),
                )
            ),
            tl.scalar(
                tl.project(
                    tl.select(FLIGHTS, where=lambda f: f.tail == p.tail, limit=1), lambda f: f.dest
                )
            ),
        ),
        order_by=lambda p: p.tail,
    )
    found = rows(store, latest)
    assert [row[:2] for row in found] == ask(
        pg_url_each,
        "SELECT tail, (SELECT max(delay) FROM flights f WHERE f.tail = p.tail) "
        "FROM planes p ORDER BY tail",
    )
    assert found[3] == ("N4", None, None)
    worst = tl.select(
        FLIGHTS,
        where=lambda f: (
            tl.some(f.delay)
            == tl.some(
                tl.scalar(
                    tl.project(
                        tl.select(FLIGHTS, where=lambda g: g.origin == f.origin),
                        lambda g: tl.max(g.delay),
                    )
                )
            )
        ),
    )
    assert {f.id for f in rows(store, worst)} == {1, 3, 4, 5, 6, 7}


def test_a_scalar_of_two_rows_is_a_failure(store: tl.Store) -> None:
    query = tl.project(
        tl.select(PLANES), lambda p: (p.tail, tl.scalar(tl.project(FROM_JFK, lambda f: f.id)))
    )
    result = store.fetch_all(query)
    assert isinstance(result, tl.Failure)
    assert isinstance(result.failure(), tl.QueryError)


def test_lambdas_see_the_rows_around_them_three_deep(store: tl.Store, pg_url_each: str) -> None:
    query = tl.select(
        PLANES,
        where=lambda p: tl.exists(
            tl.select(
                FLIGHTS,
                where=lambda f: (
                    (f.tail == p.tail)
                    & tl.exists(
                        tl.select(
                            STOPS,
                            where=lambda s: (
                                (s.flight == f.id)
                                & tl.exists(
                                    tl.select(
                                        FLIGHTS,
                                        where=lambda g: (
                                            (g.id > s.number) & (g.tail == p.tail) & (g.id != f.id)
                                        ),
                                    )
                                )
                            ),
                        )
                    )
                ),
            )
        ),
        order_by=lambda p: p.tail,
    )
    found = [(p.tail,) for p in rows(store, query)]
    assert found
    assert found == ask(
        pg_url_each,
        "SELECT p.tail FROM planes p WHERE EXISTS (SELECT 1 FROM flights f WHERE f.tail = p.tail "
        "AND EXISTS (SELECT 1 FROM stops s WHERE s.flight = f.id AND EXISTS (SELECT 1 FROM "
        "flights g WHERE g.id > s.number AND g.tail = p.tail AND g.id <> f.id))) ORDER BY p.tail",
    )


def test_a_query_made_outside_is_refined_in_lambdas(store: tl.Store) -> None:
    """Its own columns stay its own, however deep it is read from."""
    planes = tl.select(
        PLANES,
        where=lambda p: tl.exists(tl.where(FROM_JFK, lambda f: f.tail == p.tail)),
        order_by=lambda p: p.tail,
    )
    assert [p.tail for p in rows(store, planes)] == ["N1", "N2", "N3"]
    stops = tl.select(
        STOPS,
        where=lambda s: tl.exists(
            tl.where(PLANES_OF_FLIGHTS, lambda f, p: (f.id == s.flight) & (p.model == "A320"))
        ),
    )
    assert {(s.flight, s.number) for s in rows(store, stops)} == {(1, 1), (1, 2), (4, 1)}
    deep = tl.select(
        PLANES,
        where=lambda p: tl.exists(
            tl.where(
                FROM_JFK,
                lambda f: (
                    (f.tail == p.tail)
                    & tl.exists(tl.where(FROM_JFK, lambda g: (g.id > f.id) & (g.dest == f.dest)))
                ),
            )
        ),
    )
    assert [p.tail for p in rows(store, deep)] == ["N1"]


def test_group_keys_stay_with_their_own_query(store: tl.Store) -> None:
    """A key that is written like a column of an inner query is another column."""
    counted = tl.project(
        tl.select(FLIGHTS),
        lambda f: (f.origin, tl.scalar(tl.project(FROM_JFK, lambda _: tl.count()))),
        group_by=lambda f: f.origin,
    )
    assert sorted(rows(store, counted)) == [(o, 3) for o in ("EWR", "JFK", "LAX", "LGA", "SFO")]
    some = tl.project(tl.select(FLIGHTS), lambda f: Stop(f.id, 1, f.origin))
    grouped = tl.project(
        tl.where(some, lambda s: s.flight > 1),
        lambda s: (s.place, tl.count()),
        group_by=lambda s: s.place,
        order_by=lambda s: s.place,
    )
    assert rows(store, grouped) == [("EWR", 1), ("JFK", 2), ("LAX", 1), ("LGA", 1), ("SFO", 1)]
    joined = tl.project(
        tl.join(FLIGHTS, FROM_JFK, lambda f, g: f.id == g.id),
        lambda f, g: (f.origin, tl.count()),
        group_by=lambda f, g: f.origin,
    )
    assert rows(store, joined) == [("JFK", 3)]
    around = tl.project(
        tl.select(FLIGHTS),
        lambda f: (
            f.origin,
            tl.scalar(
                tl.project(
                    tl.select(FLIGHTS, where=lambda g: g.dest == f.origin), lambda _: tl.count()
                )
            ),
        ),
        group_by=lambda f: f.origin,
    )
    assert dict(rows(store, around)) == {"EWR": 0, "JFK": 1, "LAX": 3, "LGA": 0, "SFO": 2}


def test_a_limited_or_ordered_join_goes_on_as_a_join(store: tl.Store) -> None:
    first = tl.limit(tl.order_by(PLANES_OF_FLIGHTS, lambda f, p: f.id), 2)
    more = tl.left_join(first, STOPS, lambda f, p, s: f.id == s.flight)
    found = rows(store, tl.order_by(more, lambda f, p, s: (f.id, tl.some(s).number)))
    assert found == [
        (FLIGHT[1], PLANE["N1"], Stop(1, 1, "DEN")),
        (FLIGHT[1], PLANE["N1"], Stop(1, 2, "PHX")),
        (FLIGHT[2], PLANE["N2"], None),
    ]
    chosen = tl.where(first, lambda f, p: p.model == "B737")
    assert rows(store, chosen) == [(FLIGHT[2], PLANE["N2"])]
    maybe = tl.limit(tl.order_by(MAYBE_PLANES, lambda f, p: tl.desc(f.id)), 3)
    again = tl.join(maybe, FLIGHTS, lambda f, p, g: f.id == g.id)
    assert sorted(rows(store, again), key=lambda row: row[0].id) == [
        (FLIGHT[5], None, FLIGHT[5]),
        (FLIGHT[6], PLANE["N3"], FLIGHT[6]),
        (FLIGHT[7], PLANE["N3"], FLIGHT[7]),
    ]


class Named(msgspec.Struct, frozen=True):
    flight: int
    model: str | None


def test_what_was_projected_from_a_join_is_one_source(store: tl.Store) -> None:
    named = tl.project(PLANES_OF_FLIGHTS, lambda f, p: Named(f.id, p.model))
    assert sorted(n.flight for n in rows(store, tl.where(named, lambda n: n.flight > 2))) == [
        4,
        6,
        7,
    ]
    again = tl.join(named, STOPS, lambda n, s: n.flight == s.flight)
    assert sorted(rows(store, again), key=lambda row: row[1].number) == sorted(
        [
            (Named(1, "A320"), Stop(1, 1, "DEN")),
            (Named(4, "A320"), Stop(4, 1, "SJC")),
            (Named(1, "A320"), Stop(1, 2, "PHX")),
        ],
        key=lambda row: row[1].number,
    )
    pairs = tl.project(PLANES_OF_FLIGHTS, lambda f, p: (f.id, p.model))
    assert rows(store, tl.where(pairs, lambda pair: pair[0] == 2)) == [(2, "B737")]
    values = tl.project(PLANES_OF_FLIGHTS, lambda f, p: f.id)
    assert sorted(rows(store, tl.where(values, lambda n: n > 4))) == [6, 7]


class Known(msgspec.Struct, frozen=True):
    model: str | None
    seats: int | None


def test_a_row_of_nulls_is_missing_in_a_left_join_only(store: tl.Store) -> None:
    """All its columns are NULL, so a left join cannot tell it from none; others need not."""
    known = tl.project(
        tl.select(PLANES, where=lambda p: p.tail == "N3"), lambda p: Known(p.model, p.seats)
    )
    first = tl.select(FLIGHTS, where=lambda f: f.id == 1)
    assert rows(store, tl.cross_join(first, known)) == [(FLIGHT[1], Known(None, None))]
    maybe = tl.left_join(first, known, lambda f, k: f.id == 1)
    assert rows(store, maybe) == [(FLIGHT[1], None)]


def test_a_scalar_source_is_joined_and_may_be_missing(store: tl.Store) -> None:
    models = tl.project(tl.select(PLANES), lambda p: p.tail)
    joined = tl.left_join(FLIGHTS, models, lambda f, tail: f.tail == tail)
    found = rows(store, tl.order_by(joined, lambda f, tail: f.id))
    assert found == [(f, f.tail if f.tail in PLANE else None) for f in FLIGHT_ROWS]


def test_composite_keys_join_and_group(store: tl.Store, pg_url_each: str) -> None:
    pairs = tl.join(STOPS, STOPS, lambda a, b: (a.flight == b.flight) & (a.number < b.number))
    assert rows(store, pairs) == [(Stop(1, 1, "DEN"), Stop(1, 2, "PHX"))]
    grouped = tl.project(
        tl.left_join(STOPS, FLIGHTS, lambda s, f: s.flight == f.id),
        lambda s, f: (s.flight, s.number, tl.count(tl.some(f).id), tl.max(tl.some(f).delay)),
        group_by=lambda s, f: (s.flight, s.number),
        having=lambda s, f: tl.count() >= 1,
        order_by=lambda s, f: (tl.desc(s.flight), s.number),
    )
    assert rows(store, grouped) == ask(
        pg_url_each,
        "SELECT s.flight, s.number, count(f.id), max(f.delay) FROM stops s LEFT JOIN flights f "
        "ON s.flight = f.id GROUP BY s.flight, s.number ORDER BY s.flight DESC, s.number",
    )
