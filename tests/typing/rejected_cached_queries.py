"""Mistakes with cached queries that both type checkers must find; never run."""

from __future__ import annotations

from reveal_cached_queries import LARGE, PLANES, Plane

import tierline as tl

CACHED = tl.cached_query(LARGE, ttl_s=60)


def no_queries() -> None:
    tl.cached_query(PLANES, ttl_s=60)  # rejected
    tl.cached_query(LARGE)  # rejected
    tl.cached_query(LARGE, ttl_s=60, strategy=tl.read_through(ttl_s=60))  # rejected
    tl.cached_query(LARGE, strategy=tl.cache_aside())  # rejected
    tl.cached_query(LARGE, 60)  # rejected
    tl.cached_query(LARGE, ttl_s="60")  # rejected
    tl.cached_query(CACHED, ttl_s=60)  # rejected
    tl.cached_query(tl.page(LARGE, size=10), ttl_s=60)  # rejected
    tl.cached_query(tl.insert(PLANES, Plane("N1", 1), returning=lambda p: p), ttl_s=60)  # rejected
    tl.cached_query(tl.sql("select 1"), ttl_s=60, reads=(PLANES,))  # rejected
    tl.cached_query(tl.sql("select 1", into=int), ttl_s=60, reads=("planes",))  # rejected
    tl.cached_query(tl.sql("select 1", into=int), ttl_s=60, reads=PLANES)  # rejected


def not_read_so(store: tl.Store) -> None:
    store.stream(CACHED)  # rejected
    store.explain(CACHED)  # rejected
    tl.batch(CACHED)  # rejected
    store.execute(CACHED)  # rejected
    store.fetch_all(CACHED, fresh="yes")  # rejected
    store.fetch_all(CACHED, ttl_s="5")  # rejected
    store.count(CACHED, stale_ok_s="5")  # rejected
    tl.limit(CACHED, 1)  # rejected
    tl.evaluate(CACHED, [])  # rejected
