"""Keyset pages: one far into the table costs what one near its beginning does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import psycopg

import tierline as tl
from entities import Flight
from measure import Contender, Timed, fresh
from workload import OURS, Workload, at_most, workload
from world import World

_ROWS, _NEAR, _FAR = 300_000, 10_000, 290_000
_STEP = 10_000
_SIZE = 25
_TIMES = 5

PAGED = tl.table(Flight, name="paged_flights", key=lambda f: f.id).index(
    lambda f: (f.dep_delay, f.id)
)
"""The flights, with an index over the orderings that are paged."""

_QUERIES: Mapping[str, tl.Query[Flight]] = {
    "by key": tl.select(PAGED),
    "one direction, NULL first": tl.select(
        PAGED, order_by=lambda f: (tl.desc(f.dep_delay), tl.desc(f.id))
    ),
    "one direction, NULL last": tl.select(
        PAGED, order_by=lambda f: (tl.desc(f.dep_delay, nulls="last"), tl.desc(f.id))
    ),
    "two directions": tl.select(PAGED, order_by=lambda f: (tl.desc(f.dep_delay), f.id)),
}


def _flights() -> list[Flight]:
    """Flights whose delays are in no order, and some of them NULL."""
    return [
        Flight(n, "UA", "JFK", f"D{n % 105:03}", None if n % 40 == 0 else n * 7919 % 1300 - 100)
        for n in range(_ROWS)
    ]


def _page(ordering: str, way: str) -> Workload:
    """A page at row 290,000 costs at most 1.5 of one at row 10,000."""

    def build(world: World) -> Mapping[str, Contender]:
        store, query = world.store, _QUERIES[ordering]
        _ready(world)
        near, far = _cursors(store, query)
        pages = {
            OURS: _described(query, far, way),
            f"row {_NEAR:,}": _described(query, near, way),
        }
        return {name: _timed(store, page) for name, page in pages.items()}

    name = f"page {way} row {_FAR:,}, {ordering}"
    return workload("l3", name, "us", at_most(1.5, f"row {_NEAR:,}"))(build)


def _described(query: tl.Query[Flight], cursor: str, way: str) -> tl.PageQuery[Flight]:
    if way == "after":
        return tl.page(query, size=_SIZE, after=cursor)
    return tl.page(query, size=_SIZE, before=cursor)


def _timed(store: tl.Store, page: tl.PageQuery[Flight]) -> Timed:
    return Timed(
        partial(fresh(_fetch_again), store.fetch_page, page, _TIMES),
        _TIMES,
        lambda: len(tl.unwrap(store.fetch_page(page)).items),
    )


def _fetch_again(fetch: Callable[[object], object], page: object, times: int) -> None:
    for _ in range(times):
        fetch(page)


def _ready(world: World) -> None:
    """Fill the table once, and let the planner know of it."""
    tl.unwrap(world.store.create_table(PAGED, exist_ok=True))
    if not tl.unwrap(world.store.exists(tl.select(PAGED))):
        tl.unwrap(tl.repository(world.store, PAGED).create_many(_flights()))
        with psycopg.connect(world.postgres.url, autocommit=True) as raw:
            raw.execute("VACUUM ANALYZE paged_flights")


def _cursors(store: tl.Store, query: tl.Query[Flight]) -> tuple[str, str]:
    """The cursors of the rows where the pages begin."""
    found: dict[int, str] = {}
    cursor: str | None = None
    for row in range(_STEP, _FAR + 1, _STEP):
        cursor = tl.unwrap(store.fetch_page(tl.page(query, size=_STEP, after=cursor))).next
        assert cursor is not None, "there are more rows"
        found[row] = cursor
    return found[_NEAR], found[_FAR]


WORKLOADS = tuple(_page(ordering, way) for ordering in _QUERIES for way in ("after", "before"))
