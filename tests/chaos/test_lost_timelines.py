"""Transaction ids that a failover or a crash lost are given again; L2 takes them for no other."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry, promote
from tests.real.helpers import wait_until

import tierline as tl
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.testing import (
    PostgresServer,
    RedisServer,
    postgres_replica,
    postgres_server,
    redis_server,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

CACHED = tl.read_through(ttl_s=600)
STALENESS_S = 0.5
LOST = 300

# Nothing is flushed by itself for as long as the test takes.
_UNFLUSHED = {"wal_level": "replica", "wal_writer_delay": "10s", "autovacuum": "off"}


@pytest.fixture
def redis() -> Generator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest.fixture
def primary() -> Generator[PostgresServer]:
    with postgres_server(18, settings=_UNFLUSHED) as started:
        with tl.open(started.url) as store:
            store.create_table(ENTRIES).unwrap()
            store.install_backplane([ENTRIES]).unwrap()
            tl.repository(store, ENTRIES).create(Entry(1, 0, 0)).unwrap()
        yield started


def open_store(stack: ExitStack, url: str, redis: RedisServer, **options: Any) -> tl.Store:
    return stack.enter_context(
        tl.open(
            url, backplane="postgres", max_staleness_s=STALENESS_S, redis=redis.url,
            timeout_s=20, **options,
        )
    )  # fmt: skip


def cache_of(store: tl.Store) -> HearingCache[Entry, int]:
    assert isinstance(store.caches, HearingCaches)
    (cache,) = store.caches.hearing()
    return cache


def trusts(store: tl.Store) -> bool:
    member = cache_of(store).member
    return member is not None and member.epoch is not None


def listens_again(store: tl.Store) -> bool:
    assert store.backplane is not None
    return store.backplane.health().starts > 1 and store.backplane.catch_up(1)


def hits_of_l2(store: tl.Store) -> int:
    return next(tier.hits for tier in store.stats().tiers if tier.tier == "L2")


def lose(server: PostgresServer, store: tl.Store) -> None:
    """Write what the server will not remember, see that L2 is told, and crash."""
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CHECKPOINT")
        session.execute("SET synchronous_commit = off")
        for n in range(1, LOST + 1):
            session.execute("UPDATE entries SET n = %s WHERE id = 1", (n,))
        assert store.backplane is not None
        assert store.backplane.catch_up(10)
        assert tl.repository(store, ENTRIES, cache=CACHED).get_by_id(1).unwrap().n == LOST
        member = cache_of(store).member
        assert member is not None
        wait_until(lambda: not member.waiting)
        server.kill()


def assert_fresh(first: tl.Store, second: tl.Store) -> None:
    """Both read what is there, the second by way of L2, and hear of what is written."""
    entries = [tl.repository(store, ENTRIES, cache=CACHED) for store in (first, second)]
    wait_until(lambda: entries[0].get_by_id(1).map(lambda entry: entry.n) == tl.Success(0), 30)
    wait_until(lambda: all(listens_again(store) and trusts(store) for store in (first, second)), 30)
    cache_of(first).l1.invalidate_all()
    assert entries[0].get_by_id(1) == tl.Success(Entry(1, 0, 0))
    before = hits_of_l2(second)
    cache_of(second).l1.invalidate_all()
    assert entries[1].get_by_id(1) == tl.Success(Entry(1, 0, 0))
    assert hits_of_l2(second) == before + 1
    entries[0].update(Entry(1, 7, 7)).unwrap()
    assert second.backplane is not None
    assert second.backplane.catch_up(10)
    assert entries[1].get_by_id(1) == tl.Success(Entry(1, 7, 7))


def test_a_crash_that_gives_ids_again(primary: PostgresServer, redis: RedisServer) -> None:
    with ExitStack() as stack:
        first, second = (open_store(stack, primary.url, redis) for _ in range(2))
        for store in (first, second):
            tl.repository(store, ENTRIES, cache=CACHED).get_by_id(1).unwrap()
        wait_until(lambda: trusts(first) and trusts(second))
        before = cache_of(first).name(1)
        lose(primary, first)
        primary.start()
        assert_fresh(first, second)
        assert cache_of(first).name(1) == cache_of(second).name(1) != before


def test_a_promotion_that_gives_ids_again(primary: PostgresServer, redis: RedisServer) -> None:
    with ExitStack() as stack:
        replica = stack.enter_context(postgres_replica(primary))
        options: dict[str, Any] = {"replicas": [replica.url], "reads": tl.reads("primary")}
        first, second = (open_store(stack, primary.url, redis, **options) for _ in range(2))
        for store in (first, second):
            tl.repository(store, ENTRIES, cache=CACHED).get_by_id(1).unwrap()
        wait_until(lambda: trusts(first) and trusts(second))
        before = cache_of(first).name(1)
        lose(primary, first)
        promote(replica)
        assert_fresh(first, second)
        assert cache_of(first).name(1) == cache_of(second).name(1) != before
