"""Which rows a lambda may use: its own and those around it, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.sql import compile_query


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str


class Hop(msgspec.Struct, frozen=True):
    place: str
    hops: int


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)


def test_a_common_table_expression_sees_no_row_around_it() -> None:
    def own(p: Plane) -> tl.Query[Flight]:
        return tl.select(FLIGHTS, where=lambda f: f.tail == p.tail)

    def deep(p: Plane) -> tl.Query[Flight]:
        return tl.select(
            tl.union(tl.select(FLIGHTS), tl.semi_join(FLIGHTS, own(p), lambda f, g: f.id == g.id))
        )

    def counted(p: Plane) -> tl.Query[tuple[str, int]]:
        return tl.project(tl.select(FLIGHTS), lambda f: (p.tail, f.id))

    def stepped(p: Plane) -> tl.Query[Flight]:
        return tl.recursive(
            tl.select(FLIGHTS), lambda rows: tl.where(rows, lambda f: f.tail == p.tail)
        )

    made: list[Callable[[Plane], tl.Query[Any]]] = [
        lambda p: tl.cte(own(p)),
        lambda p: tl.cte(deep(p)),
        lambda p: tl.cte(counted(p)),
        lambda p: tl.recursive(own(p), lambda q: q),
        stepped,
    ]
    for build in made:
        with pytest.raises(TypeError, match="is of a row of the query around it"):
            tl.select(PLANES, where=lambda p, build=build: tl.exists(build(p)))  # type: ignore[misc]
    # Its own queries may use its own rows.
    inside = tl.cte(
        tl.select(
            FLIGHTS, where=lambda f: tl.exists(tl.select(PLANES, where=lambda p: p.tail == f.tail))
        )
    )
    apart = tl.select(
        PLANES, where=lambda p: tl.is_in(p.tail, tl.project(inside, lambda f: f.tail))
    )
    assert compile_query(apart).statement.sql.startswith("WITH")


def test_a_row_is_not_used_outside_its_own_lambda() -> None:
    kept: list[Any] = []

    def keep(row: Any) -> Any:
        kept.append(row)
        return row.id > 3

    tl.select(FLIGHTS, where=keep)
    leaked = kept[0]
    id_ = leaked.id
    uses: list[Callable[[], object]] = [
        lambda: tl.select(PLANES, where=lambda p: leaked.tail == p.tail),
        lambda: tl.select(FLIGHTS, where=lambda f: leaked.tail == f.tail),
        lambda: tl.select(PLANES, where=lambda p: tl.some(p.seats) > id_),
        lambda: tl.select(PLANES, where=lambda p: tl.is_null(leaked)),
        lambda: tl.select(PLANES, order_by=lambda p: (p.tail, tl.desc(id_))),
        lambda: tl.project(tl.select(PLANES), lambda p: (p.tail, id_)),
        lambda: tl.project(tl.select(PLANES), lambda p: Hop(p.tail, id_)),
        lambda: tl.project(tl.select(PLANES), lambda p: tl.sum(id_), group_by=lambda p: p.tail),
        lambda: tl.project(tl.select(PLANES), lambda p: p.tail, group_by=lambda p: leaked.tail),
        lambda: tl.join(FLIGHTS, PLANES, lambda f, p: leaked.tail == p.tail),
        lambda: tl.select(
            PLANES,
            where=lambda p: tl.exists(tl.select(FLIGHTS, where=lambda f: f.id == id_)),
        ),
        lambda: tl.update(PLANES, set=lambda p: tl.set(p.seats).to(id_), where=tl.everything),
        lambda: tl.delete(PLANES, where=lambda p: p.tail == leaked.tail),
        lambda: tl.row_filter(PLANES, lambda p: p.tail == leaked.tail),
    ]
    for use in uses:
        with pytest.raises(TypeError, match="not to be used outside its own lambda"):
            use()
