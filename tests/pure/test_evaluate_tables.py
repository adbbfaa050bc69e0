"""`tl.evaluate` of several tables: how rows are given, what is refused, and what it costs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.evaluate import sources


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None = None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str | None = None
    delay: int | None = None


class Hop(msgspec.Struct, frozen=True):
    id: int
    hops: int


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
ELSEWHERE = tl.table(Flight, name="flights", schema="elsewhere", key=lambda f: f.id)

PLANE_ROWS = [Plane("N1", 100), Plane("N2"), Plane("N3", 180)]
FLIGHT_ROWS = [Flight(1, "N1", 5), Flight(2, "N1"), Flight(3), Flight(4, "N9", 7)]
HELD: Any = {FLIGHTS: FLIGHT_ROWS, PLANES: PLANE_ROWS}
BOTH = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
ALL = tl.select(FLIGHTS)
FLOWN = tl.semi_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail)


def refusal(query: Any, rows: Any) -> str:
    with pytest.raises(TypeError) as raised:
        tl.evaluate(query, rows)
    return str(raised.value)


def test_joined_rows_are_the_given_objects() -> None:
    (first, second) = tl.evaluate(BOTH, HELD).unwrap()
    assert first == (FLIGHT_ROWS[0], PLANE_ROWS[0])
    assert first[0] is FLIGHT_ROWS[0]
    assert second[1] is PLANE_ROWS[0]
    optional = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
    assert [p for _, p in tl.evaluate(optional, HELD).unwrap()] == [*PLANE_ROWS[:1] * 2, None, None]
    (flown,) = tl.evaluate(FLOWN, HELD).unwrap()
    assert flown is PLANE_ROWS[0]


def test_rows_of_each_table_may_come_from_any_iterable() -> None:
    assert (
        len(tl.evaluate(BOTH, {FLIGHTS: iter(FLIGHT_ROWS), PLANES: tuple(PLANE_ROWS)}).unwrap())
        == 2
    )
    twice = tl.join(ALL, ALL, lambda f, g: f.id == g.id)
    assert len(tl.evaluate(twice, iter(FLIGHT_ROWS)).unwrap()) == 4


def test_a_mapping_may_hold_more_tables_and_serves_a_query_of_one() -> None:
    assert tl.evaluate(ALL, HELD) == tl.Success(FLIGHT_ROWS)


def test_another_value_of_the_same_table_means_the_same_rows() -> None:
    indexed = FLIGHTS.index(lambda f: f.delay)
    assert tl.evaluate(tl.select(indexed), HELD) == tl.Success(FLIGHT_ROWS)


def test_a_missing_table_is_named_before_any_row_is_looked_at() -> None:
    assert refusal(BOTH, {FLIGHTS: [object()]}) == (
        "the query reads planes too; give evaluate the rows of each table, none as an empty list: "
        "{FLIGHTS: …, PLANES: …}"
    )
    assert "reads flights, planes; give evaluate the rows of each" in refusal(BOTH, FLIGHT_ROWS)
    # Where it stands in the query makes no difference.
    seats = tl.project(tl.select(PLANES), lambda p: p.seats)
    queries: list[tl.Query[Any]] = [
        tl.semi_join(FLIGHTS, PLANES, lambda f, p: p.tail == f.tail),
        tl.select(FLIGHTS, where=lambda f: tl.is_in(f.delay, seats)),
        tl.union(tl.project(ALL, lambda f: f.delay), seats),
        tl.cte(tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)),
        tl.project(ALL, lambda f: (f.id, tl.scalar(tl.limit(seats, 1)))),
    ]
    for query in queries:
        assert "reads planes too" in refusal(query, {FLIGHTS: []})


def test_tables_of_two_schemas_are_two() -> None:
    both = tl.join(FLIGHTS, ELSEWHERE, lambda f, g: f.id == g.id)
    assert "reads flights too" in refusal(both, {FLIGHTS: FLIGHT_ROWS})
    held: Any = {FLIGHTS: FLIGHT_ROWS, ELSEWHERE: [Flight(4)]}
    assert tl.evaluate(both, held) == tl.Success([(FLIGHT_ROWS[3], Flight(4))])


def test_wrong_rows_and_wrong_keys_are_type_errors() -> None:
    assert refusal(BOTH, {FLIGHTS: PLANE_ROWS, PLANES: PLANE_ROWS}) == (
        "expected rows of Flight, got Plane"
    )
    assert "by their Table, not by 'flights'" in refusal(BOTH, {"flights": FLIGHT_ROWS})
    again = FLIGHTS.index(lambda f: f.delay)
    assert "rows of flights twice" in refusal(ALL, {FLIGHTS: [], again: []})


def test_a_condition_on_one_row_reads_no_other_table() -> None:
    with pytest.raises(TypeError, match="with the rows of each table"):
        tl.row_filter(PLANES, lambda p: tl.exists(tl.where(ALL, lambda f: f.tail == p.tail)))


def test_a_row_out_of_sight_is_refused_when_the_query_is_built() -> None:
    with pytest.raises(TypeError, match="the query around it"):
        tl.select(
            PLANES,
            where=lambda p: tl.exists(tl.cte(tl.where(ALL, lambda f: f.tail == p.tail))),
        )


def chain(base: tl.Query[Hop], *, most: int | None = None, keep: bool = True) -> tl.Query[Hop]:
    def step(found: tl.Query[Hop]) -> tl.Query[Hop]:
        onward = tl.join(found, FLIGHTS, lambda h, f: f.delay == h.id)
        if most is not None:
            onward = tl.where(onward, lambda h, f: h.hops < most)
        return tl.project(onward, lambda h, f: Hop(f.id, h.hops + 1))

    return tl.recursive(base, step, keep_duplicates=keep)


def test_a_recursion_that_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RECURSION_ROWS_MAX", 1_000)
    circle = [Flight(1, delay=2), Flight(2, delay=1)]
    start = tl.project(ALL, lambda f: Hop(f.id, 0))
    error = tl.evaluate(chain(start), circle).failure()
    assert isinstance(error, tl.QueryError)
    assert error.sqlstate == "54000"
    assert len(tl.evaluate(chain(start, most=5), circle).unwrap()) == 12


def test_threads_may_evaluate_one_query_at_once() -> None:

    def flights_of(plane: Plane) -> tl.Query[int]:
        own = tl.where(ALL, lambda f: f.tail == plane.tail)
        return tl.project(own, lambda _: tl.count())

    query = tl.project(tl.select(PLANES), lambda p: (p.tail, tl.scalar(flights_of(p))))

    def ask(size: int) -> list[Any]:
        held: Any = {PLANES: PLANE_ROWS, FLIGHTS: [Flight(n, "N1") for n in range(size)]}
        return tl.evaluate(query, held).unwrap()

    with ThreadPoolExecutor(4) as pool:
        for size, found in zip(range(200), pool.map(ask, range(200)), strict=True):
            assert found == [("N1", size), ("N2", 0), ("N3", 0)]


@pytest.mark.parametrize(
    "query",
    [
        BOTH,
        tl.where(tl.cross_join(FLIGHTS, PLANES), lambda f, p: f.tail == p.tail),
        FLOWN,
        tl.anti_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail),
        tl.select(PLANES, where=lambda p: tl.is_in(p.tail, tl.project(ALL, lambda f: f.tail))),
        tl.project(ALL, lambda f: (f.id, tl.over(tl.sum(f.id), order_by=f.id))),
    ],
    ids=["join", "where", "semi", "anti", "in", "running"],
)
def test_work_grows_with_the_rows_and_not_with_their_pairs(query: tl.Query[Any]) -> None:
    """Work is counted in calls of functions, which are the same in every run."""

    def calls(size: int) -> int:
        held: Any = {
            PLANES: [Plane(f"N{n}", n) for n in range(size)],
            FLIGHTS: [Flight(n, f"N{n}", n) for n in range(size)],
        }
        counted = 0

        def count(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal counted
            counted += event == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            tl.evaluate(query, held).unwrap()
        finally:
            sys.setprofile(before)
        return counted

    calls(1)  # What is derived from a query once.
    assert calls(400) < calls(100) * 5
