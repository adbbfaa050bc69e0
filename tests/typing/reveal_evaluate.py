"""What users see of in-memory evaluation: type-checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, assert_type

import msgspec

import tierline as tl


class Plane(msgspec.Struct, frozen=True):
    tailnum: str
    seats: int
    year: int | None


class Size(msgspec.Struct, frozen=True):
    model: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tailnum: str | None


Error = tl.QueryError | tl.DecodeError | tl.ValidationError

PLANES = tl.table(Plane, name="planes", key=lambda p: p.tailnum)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)


def answers_have_the_type_of_the_query(planes: list[Plane]) -> None:
    assert_type(tl.evaluate(tl.select(PLANES), planes), tl.Result[list[Plane], Error])
    sizes = tl.project(tl.select(PLANES), lambda p: Size(p.tailnum, tl.max(p.seats)))
    assert_type(tl.unwrap(tl.evaluate(sizes, planes)), list[Size])
    pairs = tl.project(tl.select(PLANES), lambda p: (p.tailnum, p.year))
    assert_type(tl.unwrap(tl.evaluate(pairs, iter(planes))), list[tuple[str, int | None]])


def several_tables_are_given_by_table(planes: list[Plane], flights: tuple[Flight, ...]) -> None:
    both = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tailnum == p.tailnum)
    answer = tl.evaluate(both, {FLIGHTS: flights, PLANES: planes})
    assert_type(answer, tl.Result[list[tuple[Flight, Plane | None]], Error])
    assert_type(tl.evaluate(tl.select(PLANES), {PLANES: planes}), tl.Result[list[Plane], Error])
    held: dict[tl.Table[Any, Any], Iterable[msgspec.Struct]] = {PLANES: iter(planes), FLIGHTS: []}
    assert_type(tl.unwrap(tl.evaluate(tl.select(FLIGHTS), held)), list[Flight])


def an_answer_stands_where_a_stores_would(planes: list[Plane]) -> None:
    _answer: tl.Result[list[Plane], tl.RepositoryError] = tl.evaluate(tl.select(PLANES), planes)


def conditions_are_plain_functions(planes: list[Plane]) -> None:
    large = tl.row_filter(PLANES, lambda p: (p.seats > 150) & (tl.some(p.year) < 2000))
    assert_type(large, Callable[[Plane], bool])
    assert_type(list(filter(large, planes)), list[Plane])


def mistakes(planes: list[Plane]) -> None:
    tl.evaluate(PLANES, planes)  # rejected
    tl.evaluate(tl.select(PLANES))  # rejected
    tl.evaluate(tl.select(PLANES), 3)  # rejected
    tl.evaluate(tl.select(PLANES), [{"tailnum": "N1"}])  # rejected
    tl.evaluate(tl.select(PLANES), {"planes": planes})  # rejected
    tl.evaluate(tl.page(tl.select(PLANES), size=3), planes)  # rejected
    tl.row_filter(PLANES, lambda p: p.seat > 3)  # rejected
    tl.row_filter(PLANES, lambda p: p.seats)  # rejected
    tl.row_filter(Plane, lambda p: p.seats > 3)  # rejected
    tl.row_filter(PLANES, lambda p: p.seats > 3)("N1")  # rejected
    _wrong: list[Size] = tl.unwrap(tl.evaluate(tl.select(PLANES), planes))  # rejected
