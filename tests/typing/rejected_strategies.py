"""Mistakes with strategies that both type checkers must find; never run."""

from __future__ import annotations

from reveal_strategies import VISITS, Visit

import tierline as tl


def no_strategies(store: tl.Store) -> None:
    tl.cache_aside(ttl_s=60)  # rejected
    tl.write_through()  # rejected
    tl.write_through(60)  # rejected
    tl.write_through(ttl_s=60, reads=tl.read_through(ttl_s=60))  # rejected
    tl.write_through(reads=tl.write_through(ttl_s=60))  # rejected
    tl.write_behind(max_pending=10)  # rejected
    tl.write_behind(ttl_s=60, durable="no")  # rejected
    tl.write_behind(ttl_s=60, batch_size=0.5)  # rejected
    tl.repository(store, VISITS, cache=tl.write_behind)  # rejected
    tl.repository(store, VISITS, cache=60)  # rejected


def no_journals(store: tl.Store, visit: Visit) -> None:
    store.write_behind.flush(5)  # rejected
    store.write_behind.dead_letters("visits")  # rejected
    store.write_behind.retry(VISITS, ["1-0"])  # rejected
    store.write_behind.drop(VISITS, [visit])  # rejected
    store.write_behind = None  # rejected
