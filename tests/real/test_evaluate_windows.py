"""Windows at their edges: what PostgreSQL 18 and 16 answer, memory answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.real.sources import FLIGHTS, PLANES, agrees

import tierline as tl

ALL = tl.select(FLIGHTS)
NONE = tl.select(FLIGHTS, where=lambda f: f.id < 0)


def count_of(value: Any) -> tl.Query[int]:
    return tl.project(tl.where(ALL, lambda f: f.tail == value), lambda _: tl.count())


FRAMES = [
    None,
    *(
        unit(start, end)
        for unit in (tl.rows, tl.groups)
        for start, end in (
            (None, None), (None, 0), (0, None), (None, -1), (1, None), (-1, 1), (0, 0), (-2, -1),
            (2, 3), (-100, 100), (50, 60), (-60, -50),
        )
    ),
]  # fmt: skip
OVER: dict[str, Callable[[Any], Any]] = {
    "count": lambda f: tl.count(),
    "count of a field": lambda f: tl.count(f.delay),
    "sum": lambda f: tl.sum(f.delay),
    "avg": lambda f: tl.avg(f.delay),
    "avg of floats": lambda f: tl.avg(f.delay * 1.5),
    "sum of floats": lambda f: tl.sum(f.delay * 0.1),
    "min": lambda f: tl.min(f.tail),
    "max": lambda f: tl.max(f.delay),
    "filtered": lambda f: tl.filtered(tl.sum(f.id), f.origin == "JFK"),
    "array_agg": lambda f: tl.array_agg(f.id),
    "string_agg": lambda f: tl.string_agg(f.dest, "-"),
    "first_value": lambda f: tl.first_value(f.delay),
    "last_value": lambda f: tl.last_value(f.delay),
    "nth_value": lambda f: tl.nth_value(f.delay, 2),
    "row_number": lambda f: tl.row_number(),
    "rank": lambda f: tl.rank(),
    "cume_dist": lambda f: tl.cume_dist(),
}


# Delays tie and are NULL; the id decides what is left open.
ORDERS: tuple[Callable[[Any], Any], ...] = (
    lambda f: (f.delay, f.id),
    lambda f: (tl.desc(f.delay, nulls="last"), f.id),
    lambda f: (f.origin, tl.desc(f.id)),
)
PARTITIONS: tuple[Callable[[Any], Any], ...] = (
    lambda f: (),
    lambda f: f.tail,
    lambda f: (f.origin, f.dest),
)


@pytest.mark.parametrize("function", OVER)
def test_frames_take_the_same_rows(loaded_store: tl.Store, function: str) -> None:
    for order, partition in itertools.product(ORDERS, PARTITIONS):
        query = framed(OVER[function], order, partition)
        agrees(loaded_store, query, loaded_store.fetch_all(query).unwrap())


def framed(value: Any, order: Any, partition: Any) -> tl.Query[Any]:
    def over(f: Any, frame: Any) -> Any:
        return tl.over(value(f), partition_by=partition(f), order_by=order(f), frame=frame)

    return tl.project(ALL, lambda f: (f.id, *(over(f, frame) for frame in FRAMES)))


@pytest.mark.parametrize(
    "function",
    [tl.rank, tl.dense_rank, tl.percent_rank, tl.cume_dist, tl.count],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("nulls", [None, "first", "last"])
@pytest.mark.parametrize("direction", [tl.asc, tl.desc])
def test_rows_that_tie_share_their_rank(
    loaded_store: tl.Store, function: Any, direction: Any, nulls: Any
) -> None:
    query = tl.project(
        ALL, lambda f: (f.id, tl.over(function(), order_by=direction(f.delay, nulls=nulls)))
    )
    agrees(loaded_store, query, loaded_store.fetch_all(query).unwrap())


WINDOWS: dict[str, tl.Query[Any]] = {
    "of a join": tl.project(
        tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
        lambda f, p: (f.id, tl.over(tl.sum(f.delay), partition_by=tl.some(p).model)),
    ),
    "of groups": tl.project(
        ALL,
        lambda f: (
            f.origin,
            tl.over(tl.count(), order_by=f.origin),
            tl.over(tl.lag(f.origin), order_by=(tl.count(), f.origin)),
            tl.over(tl.rank(), order_by=tl.desc(tl.max(f.delay))),
        ),
        group_by=lambda f: f.origin,
    ),
    "beside an aggregate": tl.project(
        ALL,
        lambda f: (tl.count(), tl.over(tl.count())),
        group_by=lambda f: f.origin,
    ),
    "of nothing": tl.project(NONE, lambda f: tl.over(tl.row_number(), order_by=f.id)),
    "two orders at once": tl.project(
        ALL,
        lambda f: (
            f.id,
            tl.over(tl.row_number(), order_by=f.id) - tl.over(tl.rank(), order_by=tl.desc(f.id)),
            tl.over(tl.lag(f.id, 2), partition_by=f.origin, order_by=f.id),
            tl.over(tl.lead(f.tail, -1), order_by=f.id),
            tl.over(tl.ntile(4), order_by=tl.desc(f.id)),
            tl.over(tl.ntile(100), order_by=f.id),
        ),
    ),
    "that choose": tl.where(
        tl.project(ALL, lambda f: (f.id, tl.over(tl.rank(), partition_by=f.origin, order_by=f.id))),
        lambda row: row[1] == 1,
    ),
    "that order": tl.select(
        FLIGHTS, order_by=lambda f: (tl.over(tl.count(), partition_by=f.origin), f.id), limit=4
    ),
    "of distinct rows": tl.project(
        ALL, lambda f: (f.origin, tl.over(tl.count(), partition_by=f.origin)), distinct=True
    ),
    "around a subquery": tl.project(
        tl.select(PLANES),
        lambda p: (p.tail, tl.over(tl.sum(tl.scalar(count_of(p.tail))), order_by=p.tail)),
    ),
    "in a subquery": tl.select(
        FLIGHTS,
        where=lambda f: tl.is_in(
            f.id,
            tl.project(
                tl.where(ALL, lambda g: g.origin == f.origin),
                lambda g: tl.over(tl.row_number(), order_by=tl.desc(g.id)),
            ),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_stand_where_expressions_do(loaded_store: tl.Store, window: str) -> None:
    query = WINDOWS[window]
    agrees(loaded_store, query, loaded_store.fetch_all(query).unwrap())
