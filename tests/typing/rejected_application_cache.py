"""Mistakes with `store.cache` that both type checkers must find; never run."""

from __future__ import annotations

from reveal_application_cache import AIRPORTS, Airport

import tierline as tl


def in_spaces(store: tl.Store) -> None:
    airports = store.cache.space("airports", Airport, ttl_s=60)
    store.cache.space("airports", AIRPORTS, ttl_s=60)  # rejected
    store.cache.space("airports", Airport)  # rejected
    airports.put("JFK", "Kennedy")  # rejected
    airports.put(["JFK"], Airport("JFK", ""))  # rejected
    airports.get({"code": "JFK"})  # rejected
    airports.get_or_load("JFK", lambda code: code)  # rejected
    airports.get_or_load(1, lambda number: Airport(number, ""))  # rejected
    airports.get_or_fetch("JFK", lambda code: Airport(code, ""))  # rejected
    _airport: Airport = airports.get("JFK")  # rejected


def at_large(store: tl.Store) -> None:
    _number: int = store.cache.get("n", int)  # rejected
    store.cache.get("n")  # rejected
    _size: int = store.cache.get_or_load("n", int, lambda key: key)  # rejected
    store.cache.put("n", 1, ttl_s="60")  # rejected
    store.cache.invalidate_tag(1)  # rejected


def of_functions(store: tl.Store) -> None:
    @store.cached(ttl_s=60)
    def airport(code: str) -> Airport:
        return Airport(code, code)

    airport(1)  # rejected
    airport.cache_invalidate(1)  # rejected
    store.cached(60)  # rejected
    store.cached(ttl_s=60, tags=1)  # rejected


def of_warming(store: tl.Store) -> None:
    store.warm(AIRPORTS, [1])  # rejected
    store.warm(AIRPORTS)  # rejected
    store.warm([1, 2])  # rejected
    store.warm("hot_keys.txt")  # rejected
    store.warm(tl.select(AIRPORTS), ["JFK"])  # rejected
    store.warm(tl.select(AIRPORTS), rate="100")  # rejected
    store.warm(AIRPORTS, ["JFK"], progress=lambda: None)  # rejected
    _rows: int = store.warm(AIRPORTS, ["JFK"])  # rejected
    tl.open("postgresql://h/d", redis="redis://h", publish_stats="yes")  # rejected
