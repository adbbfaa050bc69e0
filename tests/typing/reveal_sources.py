"""What users see of joins, subqueries, windows and pages: type-checked, never run."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import assert_type

import msgspec

import tierline as tl


class Grade(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str | None
    origin: str
    delay: int | None
    fare: Decimal
    grade: Grade


class Airline(msgspec.Struct, frozen=True):
    code: str
    name: str


class Hop(msgspec.Struct, frozen=True):
    place: str
    hops: int


class Named(msgspec.Struct, frozen=True):
    id: int
    seats: int | None


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
AIRLINES = tl.table(Airline, name="airlines", key=lambda a: a.code)
ALL = tl.select(FLIGHTS)
PAIRS = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
MAYBE = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
ORIGINS = tl.project(ALL, lambda f: f.origin)


def joins_know_the_rows_of_each_source() -> None:
    assert_type(PAIRS, tl.Join2[Flight, Plane])
    assert_type(MAYBE, tl.Join2[Flight, Plane | None])
    assert_type(tl.cross_join(FLIGHTS, PLANES), tl.Join2[Flight, Plane])
    assert_type(tl.join(ALL, ORIGINS, lambda f, o: f.origin == o), tl.Join2[Flight, str])
    three = tl.left_join(PAIRS, AIRLINES, lambda f, p, a: f.origin == a.code)
    assert_type(three, tl.Join3[Flight, Plane, Airline | None])
    four = tl.join(three, FLIGHTS, lambda f, p, a, g: f.id == g.id)
    assert_type(four, tl.Join4[Flight, Plane, Airline | None, Flight])
    assert_type(
        tl.left_join(three, PLANES, lambda f, p, a, q: q.tail == p.tail),
        tl.Join4[Flight, Plane, Airline | None, Plane | None],
    )
    assert_type(tl.cross_join(PAIRS, AIRLINES), tl.Join3[Flight, Plane, Airline])
    assert_type(tl.cross_join(three, PLANES), tl.Join4[Flight, Plane, Airline | None, Plane])


def rows_of_joins_are_tuples(store: tl.Store) -> None:
    assert_type(store.fetch_all(PAIRS), tl.Result[list[tuple[Flight, Plane]], tl.RepositoryError])
    assert_type(
        store.fetch_maybe(MAYBE),
        tl.Result[tuple[Flight, Plane | None] | None, tl.RepositoryError],
    )
    assert_type(store.count(MAYBE), tl.Result[int, tl.RepositoryError])


def joins_stay_joins_until_they_are_projected() -> None:
    assert_type(tl.where(PAIRS, lambda f, p: f.id > 1), tl.Join2[Flight, Plane])
    assert_type(tl.order_by(MAYBE, lambda f, p: tl.some(p).seats), tl.Join2[Flight, Plane | None])
    assert_type(tl.limit(PAIRS, 3, offset=1), tl.Join2[Flight, Plane])
    assert_type(tl.where(MAYBE, lambda f, p: tl.is_null(p)), tl.Join2[Flight, Plane | None])
    made = tl.project(PAIRS, lambda f, p: Named(f.id, p.seats))
    assert_type(made, tl.Query[Named])
    assert_type(tl.where(made, lambda n: n.id > 1), tl.Query[Named])
    assert_type(
        tl.project(MAYBE, lambda f, p: (f.id, tl.some(p).seats)),
        tl.Query[tuple[int, int | None]],
    )
    assert_type(
        tl.project(
            PAIRS,
            lambda f, p: (p.tail, tl.count(), tl.avg(f.fare)),
            group_by=lambda f, p: p.tail,
            having=lambda f, p: tl.count() > 1,
            order_by=lambda f, p: tl.desc(tl.count()),
        ),
        tl.Query[tuple[str, int, Decimal | None]],
    )
    assert_type(tl.select(PAIRS, where=lambda row: row[0].id > 1), tl.Query[tuple[Flight, Plane]])


def semi_and_anti_joins_keep_the_left_side() -> None:
    assert_type(tl.semi_join(PLANES, ALL, lambda p, f: p.tail == f.tail), tl.Query[Plane])
    assert_type(tl.anti_join(ORIGINS, AIRLINES, lambda o, a: o == a.code), tl.Query[str])


def queries_stand_inside_queries() -> None:
    assert_type(tl.exists(ALL), bool)
    assert_type(tl.scalar(ORIGINS), str | None)
    assert_type(tl.scalar(tl.project(ALL, lambda f: tl.max(f.delay))), int | None)
    assert_type(
        tl.select(PLANES, where=lambda p: tl.is_in(p.tail, tl.project(ALL, lambda f: f.origin))),
        tl.Query[Plane],
    )
    grades = tl.project(ALL, lambda f: f.grade, distinct=True)
    assert_type(grades, tl.Query[Grade])
    assert_type(tl.select(FLIGHTS, where=lambda f: tl.is_in(f.grade, grades)), tl.Query[Flight])


def whole_queries_combine() -> None:
    assert_type(tl.union(ORIGINS, ORIGINS, keep_duplicates=True), tl.Query[str])
    assert_type(tl.intersect(ALL, ALL), tl.Query[Flight])
    assert_type(tl.except_(ALL, ALL), tl.Query[Flight])
    assert_type(tl.cte(ORIGINS), tl.Query[str])
    start = tl.project(ALL, lambda f: Hop(f.origin, 1))

    def onward(found: tl.Query[Hop]) -> tl.Query[Hop]:
        legs = tl.join(found, FLIGHTS, lambda h, f: h.place == f.origin)
        assert_type(legs, tl.Join2[Hop, Flight])
        return tl.project(legs, lambda h, f: Hop(f.origin, h.hops + 1))

    assert_type(tl.recursive(start, onward, keep_duplicates=False), tl.Query[Hop])
    assert_type(tl.for_update(ALL, strength="key share", skip_locked=True), tl.Query[Flight])


def aggregates_and_windows_keep_their_types() -> None:
    made = tl.project(
        ALL,
        lambda f: (
            tl.array_agg(f.id, order_by=tl.desc(f.id)),
            tl.string_agg(f.origin, ", ", order_by=f.origin),
            tl.filtered(tl.count(), f.id > 1),
            tl.filtered(tl.sum(f.fare), f.id > 1),
        ),
    )
    assert_type(made, tl.Query[tuple[list[int], str | None, int, Decimal | None]])
    ranks = tl.project(
        ALL,
        lambda f: (
            tl.over(tl.row_number(), partition_by=f.origin, order_by=tl.desc(f.delay)),
            tl.over(tl.rank(), order_by=f.id),
            tl.over(tl.dense_rank(), order_by=(f.id, f.origin)),
            tl.over(tl.ntile(4), order_by=f.id),
            tl.over(tl.percent_rank(), order_by=f.id),
            tl.over(tl.cume_dist(), order_by=f.id),
        ),
    )
    assert_type(ranks, tl.Query[tuple[int, int, int, int, float, float]])
    values = tl.project(
        ALL,
        lambda f: (
            tl.over(tl.lag(f.origin), order_by=f.id),
            tl.over(tl.lead(f.fare, 2), order_by=f.id),
            tl.over(tl.first_value(f.origin), order_by=f.id),
            tl.over(tl.last_value(f.delay), order_by=f.id, frame=tl.rows(0, None)),
            tl.over(tl.nth_value(f.grade, 2), order_by=f.id, frame=tl.groups(None, None)),
            tl.over(tl.sum(f.fare)),
        ),
    )
    assert_type(
        values,
        tl.Query[tuple[str | None, Decimal | None, str, int | None, Grade | None, Decimal | None]],
    )


def pages_know_their_items(store: tl.Store) -> None:
    described = tl.page(ALL, size=20)
    assert_type(described, tl.PageQuery[Flight])
    found = store.fetch_page(described)
    assert_type(found, tl.Result[tl.Page[Flight], tl.RepositoryError])
    page = tl.unwrap(found)
    assert_type(page.items, list[Flight])
    assert_type(page.next, str | None)
    assert_type(tl.page(ALL, size=20, after=page.next), tl.PageQuery[Flight])
    assert_type(
        tl.page(MAYBE, size=20, before=page.previous), tl.PageQuery[tuple[Flight, Plane | None]]
    )
    assert_type(tl.open(cursor_secret=b"0123456789abcdef"), tl.Store)
