"""Cached queries under a strategy: what stands in for slow and failed reads, and what does not.

The rules are those of entities, in `test_resilient_reads.py`.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from tests.core.test_loading import in_thread
from tests.real.helpers import PAGES, Page, failure, page, wait_until
from tests.real.test_resilient_reads import AWAY, Server, behind, server, store

import tierline as tl
from tierline._core import advance_clock

__all__ = ["server", "store"]

# By key, so that it does not matter where a row lies.
EVERY = tl.select(PAGES, order_by=lambda p: p.id)

Query = tl.CachedQuery[Page]


def asked(store: tl.Store, **options: Any) -> Query:
    """A cached query of page 1, asked once."""
    tl.repository(store, PAGES).create(page(1)).unwrap()
    if store.backplane is not None:
        # Heard later, it would end the reads that are under way then.
        assert store.backplane.catch_up(20)
    query = tl.cached_query(EVERY, strategy=tl.read_through(ttl_s=60, **options))
    # With a backplane results are kept from the first beat on.
    wait_until(lambda: is_kept(store, query))
    return query


def is_kept(store: tl.Store, query: Query) -> bool:
    tl.unwrap(store.fetch_all(query))
    before = store.caches.queries.stats().hits
    tl.unwrap(store.fetch_all(query))
    return store.caches.queries.stats().hits > before


def shown(*versions: int) -> tl.Success[list[Page]]:
    return tl.Success([page(n, version=v) for n, v in enumerate(versions, 1)])


def test_what_is_old_by_time_stands_in_for_a_read_that_failed(
    store: tl.Store, server: Server
) -> None:
    query = asked(store, stale_if_error_s=600, retry_s=30)
    advance_clock(100)
    server.is_away, before = True, server.reads
    assert store.fetch_all(query) == shown(0)
    assert store.fetch_all(query) == shown(0)
    # No other try for a while.
    assert server.reads == before + 1
    tier = next(tier for tier in store.stats().tiers if tier.tier == "L1 queries")
    assert tier.stale == 2
    assert 30 < tier.stale_age_s_max < 45
    advance_clock(600)
    assert store.fetch_all(query) == AWAY


def test_what_a_write_made_stale_is_never_served(store: tl.Store, server: Server) -> None:
    query = asked(store, stale_while_revalidate_s=600, stale_if_error_s=600, retry_s=0.001)
    advance_clock(100)
    tl.repository(store, PAGES).update(page(1, version=2)).unwrap()
    assert store.fetch_all(query) == shown(2)
    advance_clock(100)
    server.is_away = True
    tl.repository(store, PAGES).update(page(1, version=3)).unwrap()
    assert store.fetch_all(query) == AWAY
    assert store.fetch_all(query, stale_ok_s=600) == AWAY


def test_a_write_during_a_read_behind_a_stale_result_is_seen(
    store: tl.Store, server: Server
) -> None:
    query = asked(store, stale_while_revalidate_s=600, retry_s=0.001)
    advance_clock(100)
    server.go.clear()
    before = server.reads
    assert store.fetch_all(query) == shown(0)
    wait_until(lambda: server.reads == before + 1)
    tl.repository(store, PAGES).update(page(1, version=2)).unwrap()
    server.go.set()
    assert store.fetch_all(query) == shown(2)


def test_a_stale_result_is_served_while_it_is_read_anew(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    query = asked(store, stale_while_revalidate_s=600, retry_s=30)
    behind(raw, 7)
    advance_clock(100)
    server.go.clear()
    before = server.reads
    assert store.fetch_all(query) == shown(0)
    wait_until(lambda: server.reads == before + 1)
    assert [store.fetch_all(query) for _ in range(5)] == [shown(0)] * 5
    server.go.set()
    wait_until(lambda: store.fetch_all(query) == shown(7))
    assert server.reads == before + 1


def test_a_slow_read_is_waited_for_so_long_and_kept(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    query = asked(store, stale_if_error_s=600, soft_timeout_s=0.05, retry_s=600)
    behind(raw, 7)
    advance_clock(100)
    server.go.clear()
    assert store.fetch_all(query) == shown(0)
    server.go.set()
    wait_until(lambda: store.fetch_all(query) == shown(7))


def test_without_anything_old_a_slow_read_ends_at_the_hard_timeout(
    store: tl.Store, server: Server
) -> None:
    query = asked(store, hard_timeout_s=0.1)
    store.caches.queries.clear()
    server.go.clear()
    before = server.reads
    late = failure(store.fetch_all(query), tl.TimeoutError, "goes on")
    assert (late.stage, late.operation, late.table) == ("load", "fetch_all", "pages")
    # Whoever asks next waits for the same read.
    failure(store.fetch_all(query), tl.TimeoutError)
    assert server.reads == before + 1
    server.go.set()
    wait_until(lambda: store.fetch_all(query) == shown(0))
    assert server.reads == before + 1


def test_a_result_is_read_anew_before_its_time_is_over(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    # So eager that the moment lies at half of its time, the earliest there is.
    query = asked(store, eager_beta=1e9)
    behind(raw, 7)
    before = server.reads
    assert store.fetch_all(query) == shown(0)
    assert server.reads == before
    advance_clock(31)
    assert store.fetch_all(query) == shown(0)
    wait_until(lambda: store.fetch_all(query) == shown(7))
    assert server.reads == before + 1


def test_a_read_that_began_before_a_fresh_one_does_not_replace_it(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    query = asked(store)
    store.caches.queries.clear()
    server.go.clear()
    before = server.reads
    slow = in_thread(lambda: store.fetch_all(query))
    wait_until(lambda: server.reads == before + 1)
    slow_may_go, server.go = server.go, threading.Event()
    server.go.set()
    behind(raw, 7)
    assert store.fetch_all(query, fresh=True) == shown(7)
    slow_may_go.set()
    assert slow() == shown(0)
    assert store.fetch_all(query) == shown(7)


def test_one_call_may_keep_for_longer_or_accept_what_is_older(
    store: tl.Store, server: Server
) -> None:
    query = asked(store, stale_if_error_s=600, retry_s=0.001)
    advance_clock(100)
    before = server.reads
    assert store.fetch_all(query, stale_ok_s=45) == shown(0)
    assert server.reads == before
    assert store.fetch_all(query, stale_ok_s=10, ttl_s=500) == shown(0)
    assert server.reads == before + 1
    # Other statements, other results.
    assert store.fetch_one(query, ttl_s=500) == tl.Success(page(1))
    assert store.fetch_maybe(query, ttl_s=500) == tl.Success(page(1))
    assert store.count(query, ttl_s=500) == tl.Success(1)
    assert store.exists(query, ttl_s=500).unwrap() is True
    before = server.reads
    advance_clock(400)
    assert store.fetch_all(query) == shown(0)
    assert store.fetch_one(query) == store.fetch_maybe(query) == tl.Success(page(1))
    assert store.count(query) == tl.Success(1)
    assert store.exists(query).unwrap() is True
    assert server.reads == before
    # A fresh read that fails leaves to others what they had.
    server.is_away = True
    assert store.fetch_all(query, fresh=True) == AWAY
    assert store.fetch_all(query) == shown(0)


def test_nothing_stands_in_beyond_the_horizon(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tl.open(pg_url, backplane="postgres") as hearing:
        hearing.create_table(PAGES).unwrap()
        hearing.install_backplane([PAGES]).unwrap()
        query = asked(hearing, stale_while_revalidate_s=600, stale_if_error_s=600)
        away = Server(hearing, monkeypatch)
        away.is_away = True
        advance_clock(100)
        hearing.caches.queries.serve_until(0.0)
        # The next beat may come between, and end this; then the one after it is waited for.
        wait_until(lambda: hearing.fetch_all(query) == AWAY)


def test_options_that_ask_for_nothing_are_refused(store: tl.Store) -> None:
    tl.repository(store, PAGES).create(page(1)).unwrap()
    with pytest.raises(TypeError, match=r"are of tl\.cached_query"):
        store.fetch_all(EVERY, ttl_s=5)
    with pytest.raises(TypeError, match=r"are of tl\.cached_query"):
        store.count(EVERY, stale_ok_s=5)
    assert store.fetch_all(EVERY, fresh=True) == shown(0)
    query = tl.cached_query(EVERY, ttl_s=60)
    with pytest.raises(TypeError, match="leave stale_ok_s= out"):
        store.fetch_all(query, fresh=True, stale_ok_s=5)
    with pytest.raises(ValueError, match="ttl_s must be at least"):
        store.fetch_one(query, ttl_s=0)
    with pytest.raises(ValueError, match="stale_ok_s must be 0 or more"):
        store.exists(query, stale_ok_s=-1)
    # In a transaction nothing is cached, and the same calls hold.
    found = store.transaction(lambda tx: tx.fetch_all(query, ttl_s=5, stale_ok_s=1))
    assert found == shown(0)


def test_a_strategy_says_all_and_nothing_that_results_do_not_have() -> None:
    both: Any = tl.cached_query
    with pytest.raises(TypeError, match="for how long"):
        both(EVERY)
    with pytest.raises(TypeError, match="a ttl_s of its own"):
        both(EVERY, ttl_s=5, strategy=tl.read_through(ttl_s=5))
    with pytest.raises(TypeError, match=r"strategy= takes tl\.read_through"):
        both(EVERY, strategy=tl.cache_aside())
    with pytest.raises(TypeError, match="negative_ttl_s"):
        both(EVERY, strategy=tl.read_through(ttl_s=5, negative_ttl_s=1))
    with pytest.raises(TypeError, match="lease_s"):
        both(EVERY, strategy=tl.read_through(ttl_s=5, lease_s=1))
    with pytest.raises(TypeError, match="option of this name"):
        tl.param("ttl_s", int)
