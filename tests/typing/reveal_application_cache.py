"""The types that users of `store.cache`, warming and statistics see; never run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_type

import msgspec

import tierline as tl


class Airport(msgspec.Struct, frozen=True):
    code: str
    name: str


AIRPORTS = tl.table(Airport, name="airports", key=lambda a: a.code)


def fetched(code: str) -> tl.Result[Airport, tl.NotFoundError]:
    return tl.Success(Airport(code, code))


def spaces(store: tl.Store) -> None:
    assert_type(store.cache, tl.ApplicationCache)
    airports = store.cache.space("airports", Airport, ttl_s=60)
    assert_type(airports, tl.CacheSpace[Airport])
    assert_type(airports.get("JFK"), Airport | None)
    assert_type(airports.get_or_load("JFK", lambda code: Airport(code, code.lower())), Airport)
    assert_type(airports.get_or_load(("JFK", 1), lambda key: Airport(key[0], "")), Airport)
    assert_type(
        airports.get_or_fetch("JFK", fetched),
        tl.Success[Airport] | tl.Failure[tl.NotFoundError],
    )
    airports.put("JFK", Airport("JFK", "Kennedy"), ttl_s=3, tags=["New York"])
    airports.invalidate("JFK", ("LGA", 1))
    assert_type(airports.forget("JFK"), bool)
    key: tl.CacheKey = ("JFK", (1, None))
    airports.invalidate(key)


def values(store: tl.Store) -> None:
    assert_type(store.cache.get("n", int), int | None)
    assert_type(store.cache.get("n", list[str]), list[str] | None)
    assert_type(store.cache.get_or_load("n", int, len), int)
    store.cache.put("n", [1], tags=["numbers"])
    store.cache.invalidate("n")
    store.cache.invalidate_tag("numbers")


def functions(store: tl.Store) -> None:
    def tags(code: str) -> Iterable[str]:
        return [code]

    @store.cached(ttl_s=60, tags=tags)
    def airport(code: str) -> Airport:
        return Airport(code, code)

    assert_type(airport("JFK"), Airport)
    assert_type(airport.cache_invalidate("JFK"), bool)
    assert_type(airport.cache_info(), tl.CacheInfo)

    def joined(codes: list[str]) -> tl.CacheKey:
        return tuple(codes)

    @store.cached(ttl_s=60, key=joined)
    def several(codes: list[str]) -> tl.Result[list[Airport], tl.NotFoundError]:
        return tl.collect(map(fetched, codes))

    assert_type(several(["JFK"]), tl.Result[list[Airport], tl.NotFoundError])


def warming(store: tl.Store, hot: tl.HotKeys) -> None:
    assert_type(
        store.warm(tl.select(AIRPORTS), rate=100, progress=True),
        tl.Result[tl.WarmReport, tl.RepositoryError],
    )
    assert_type(
        store.warm(AIRPORTS, ["JFK"], progress=print), tl.Result[tl.WarmReport, tl.RepositoryError]
    )
    assert_type(tl.hot_keys("hot_keys.txt"), tl.HotKeys)
    report = store.warm(hot).unwrap()
    assert_type(report.rows, int)
    assert_type(store.save_hot_keys("hot_keys.txt", top=10), tl.Result[int, tl.RepositoryError])


def statistics() -> None:
    store = tl.open("postgresql://h/d", redis="redis://h", publish_stats=True)
    stats = store.stats()
    assert_type(stats.queries, tuple[tl.CachedQueryStats, ...])
    assert_type(stats.tables, dict[str, tl.TierStats])
    assert_type(stats.tables["airports"].compression, float | None)
