"""Cached queries: what a change costs, and keeping a result, among 1,000 to 100,000 of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from returns.result import Success

import tierline as tl
from entities import Flight
from measure import Contender, Deferred, Timed
from tierline.cache.query_cache import QueryCache
from tierline.query.changes import RowChange
from tierline.query.readings import bound, readings_of
from workload import OURS, Workload, at_most, workload
from world import World

_KEPT = tl.read_through(ttl_s=3600, max_entries=1_000_000)
_SIZES = (1_000, 10_000, 100_000)
_TIMES = 50
_SPAN = 10

WATCHED = tl.table(Flight, name="watched_flights", key=lambda f: f.id)

_BY_KEY = tl.select(WATCHED, where=lambda f: (f.id == tl.param("id", int)) & (f.carrier == "UA"))
_BY_RANGE = tl.select(
    WATCHED,
    where=lambda f: (
        tl.between(f.dep_delay, tl.param("low", int), tl.param("high", int)) & (f.carrier == "UA")
    ),
)
_QUERIES: Mapping[str, tuple[tl.Query[Flight], Callable[[int], dict[str, int]]]] = {
    "keys": (_BY_KEY, lambda n: {"id": n}),
    "ranges": (_BY_RANGE, lambda n: {"low": n * _SPAN, "high": n * _SPAN + _SPAN + 2}),
}


def _keep(cache: QueryCache, kind: str, n: int) -> None:
    query, values = _QUERIES[kind]
    cache.read(
        n, lambda: bound(readings_of(query), values(n)), _KEPT, lambda: Success([n])
    ).unwrap()


def _filled(kind: str, count: int) -> QueryCache:
    cache = QueryCache("public")
    for n in range(count):
        _keep(cache, kind, n)
    return cache


def _row(n: int, carrier: str) -> dict[str, Any]:
    return {
        "id": n, "carrier": carrier, "origin": "JFK", "dest": "LAX", "dep_delay": n * _SPAN + 1,
    }  # fmt: skip


def _changes(kind: str, count: int) -> Contender:
    """A change that is looked at for one or two results, and concerns none after all."""
    cache = _filled(kind, count)
    places = itertools.cycle(range(7, count, count // 101))

    def work() -> None:
        for _ in range(_TIMES):
            n = next(places)
            cache.changed(WATCHED, [RowChange(_row(n, "AA"), _row(n, "DL"))])

    return Timed(work, _TIMES, lambda: cache.stats().invalidated)


def _keeping(kind: str, count: int) -> Contender:
    """A result that a change drops and that is kept again."""
    cache = _filled(kind, count)
    places = itertools.cycle(range(7, count, count // 101))

    def work() -> None:
        for _ in range(_TIMES):
            n = next(places)
            cache.changed(WATCHED, [RowChange(_row(n, "UA"), None)])
            _keep(cache, kind, n)

    return Timed(work, _TIMES, lambda: cache.reads(WATCHED))


def _workload(what: str, make: Callable[[str, int], Contender], kind: str) -> Workload:
    """At 100,000 cached queries it costs at most twice what it costs at 1,000."""

    def build(_world: World) -> Mapping[str, Contender]:
        names = {size: OURS if size == max(_SIZES) else f"{size:,}" for size in _SIZES}
        return {name: Deferred(partial(make, kind, size)) for size, name in names.items()}

    name = f"{what} among {max(_SIZES):,} cached queries, {kind}"
    return workload("l1", name, "us", at_most(2.0, f"{min(_SIZES):,}"))(build)


WORKLOADS: tuple[Workload, ...] = tuple(
    _workload(what, make, kind)
    for what, make in (("change", _changes), ("drop and keep", _keeping))
    for kind in _QUERIES
)
