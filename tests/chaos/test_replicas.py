"""Replicas that lag, die and freeze under readers who wrote before."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry, Trio, make_trio
from tests.chaos.lengths import IS_LONG, SLACK_S, times
from tests.real.helpers import wait_until
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600 if IS_LONG else 120)]


def _replay(trio: Trio, *, paused: bool) -> None:
    for replica in trio.replicas:
        with psycopg.connect(replica.url, autocommit=True) as session:
            session.execute(f"SELECT pg_wal_replay_{'pause' if paused else 'resume'}()")  # type: ignore[arg-type]


@pytest.mark.each_version
def test_a_context_reads_what_it_wrote_while_replicas_stand_still(trio: Trio) -> None:
    stale = 0
    asked: dict[str | None, int] = {}
    with trio.open(reads=tl.reads("prefer-replica", wait_s=0.0)) as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()

        def count(event: tl.Event) -> None:
            if isinstance(event, tl.Ran):
                asked[event.node] = asked.get(event.node, 0) + 1

        with store.on_event(count):
            for n in range(times(400, 100_000)):
                if n % 100 == 0:
                    _replay(trio, paused=n % 200 == 0)
                entries.update(Entry(1, 0, n)).unwrap()
                stale += entries.get_by_id(1) != tl.Success(Entry(1, 0, n))
        assert stale == 0
        _replay(trio, paused=True)
        entries.update(Entry(1, 1, 1)).unwrap()
        token = tl.write_token()
        # Another context has written nothing, so a replica may answer it with what was before.
        other = _elsewhere(lambda: entries.get_by_id(1))
        assert other != tl.Success(Entry(1, 1, 1))

        def informed() -> object:
            with tl.read_after(token):
                return entries.get_by_id(1)

        assert _elsewhere(informed) == tl.Success(Entry(1, 1, 1))
        _replay(trio, paused=False)
    replicas = {node.location for node in store.health().nodes[1:]}
    assert sum(asked.get(place, 0) for place in replicas) > 0, "no replica was asked at all"


@pytest.mark.parametrize("verb", ["create_many", "transaction", "batch", "sql", "update_where"])
def test_every_way_of_writing_is_remembered(trio: Trio, verb: str) -> None:
    with trio.open(reads=tl.reads("prefer-replica", wait_s=0.0)) as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        wait_until(lambda: _elsewhere(lambda: entries.get_by_id(1)) == tl.Success(Entry(1, 0, 0)))
        _replay(trio, paused=True)
        match verb:
            case "create_many":
                entries.upsert_many([Entry(1, 7, 7)]).unwrap()
            case "transaction":
                store.transaction(
                    lambda tx: tl.repository(tx, ENTRIES).update(Entry(1, 7, 7))
                ).unwrap()
            case "batch":
                change = tl.sql("update entries set writer = 7, n = 7 returning id", into=int)
                store.fetch_batch(tl.batch(change)).unwrap()
            case "sql":
                store.execute(tl.sql("update entries set writer = 7, n = 7")).unwrap()
            case _:
                entries.update_where(
                    where=lambda e: e.id == 1,
                    set=lambda e: (tl.set(e.writer).to(7), tl.set(e.n).to(7)),
                ).unwrap()
        assert entries.get_by_id(1) == tl.Success(Entry(1, 7, 7))
        _replay(trio, paused=False)


def _elsewhere(ask: object) -> object:
    """What a thread of its own, and so a context of its own, is answered."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(ask()))  # type: ignore[operator]
    thread.start()
    thread.join(30)
    return found[0]


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
def test_reads_move_on_when_a_replica_is_gone(trio: Trio, trouble: str, stalls: Stalls) -> None:
    slowest_s, failed = 0.0, 0
    with trio.open(pool_size=2) as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        victim = trio.replicas[0]
        for _ in range(times(2, 30)):
            wait_until(lambda: [node.role for node in store.health().nodes][1] == "replica")
            for _ in range(20):
                entries.get_by_id(1).unwrap()
            getattr(victim, trouble)()
            until_s = time.monotonic() + 1.0
            while time.monotonic() < until_s:
                began_s = time.monotonic()
                failed += not isinstance(entries.get_by_id(1), tl.Success)
                took_s = time.monotonic() - began_s
                slowest_s = max(slowest_s, took_s - stalls.seconds(began_s))
            victim.thaw()
            victim.start()
        assert failed == 0
        assert slowest_s <= 0.2 + (SLACK_S - 0.1)


def test_a_replica_that_lags_too_far_is_not_asked(trio: Trio) -> None:
    with trio.open(reads=tl.reads("prefer-replica", max_lag_s=0.5)) as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        wait_until(lambda: _elsewhere(lambda: entries.get_by_id(1)) == tl.Success(Entry(1, 0, 0)))
        _replay(trio, paused=True)
        entries.update(Entry(1, 0, 1)).unwrap()
        wait_until(lambda: all(node.lag_s > 0.5 for node in store.health().nodes[1:]))
        assert _elsewhere(lambda: entries.get_by_id(1)) == tl.Success(Entry(1, 0, 1))
        assert all((node.lag_bytes or 0) > 0 for node in store.health().nodes[1:])
        _replay(trio, paused=False)


def test_the_primary_answers_when_no_replica_is_left(trio: Trio) -> None:
    with trio.open() as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        for replica in trio.replicas:
            replica.kill()
        assert entries.get_by_id(1) == tl.Success(Entry(1, 0, 0))
        assert entries.count() == tl.Success(1)
    # And replicas alone still answer reads, though not writes.
    for replica in trio.replicas:
        replica.start()
    with trio.open() as store:
        trio.primary.kill()
        entries = tl.repository(store, ENTRIES)
        wait_until(lambda: not store.health().ok)
        assert entries.get_by_id(1) == tl.Success(Entry(1, 0, 0))
        with tl.deadline(0.3):
            assert isinstance(entries.create(Entry(2, 0, 0)), tl.Failure)


def test_a_slow_statement_is_waited_for_once_it_is_known(trio: Trio, stalls: Stalls) -> None:
    with trio.open() as store:
        slow = tl.sql("select 1 from pg_sleep(0.4)", into=int)
        asked: list[str | None] = []
        with store.on_event(lambda e: asked.append(e.node) if isinstance(e, tl.Ran) else None):
            assert store.fetch_one(slow) == tl.Success(1)
            began_s = time.monotonic()
            assert store.fetch_one(slow) == tl.Success(1)
            assert time.monotonic() - began_s < 0.4 + SLACK_S + stalls.seconds(began_s)
        assert store.health().nodes[0].location not in asked


def test_a_store_that_was_opened_without_its_primary_says_so(version: Version) -> None:
    with make_trio(version) as trio:
        trio.primary.kill()
        with trio.open() as store:
            assert not store.health().ok
            assert "no server takes writes" in repr(store.health())
            assert tl.repository(store, ENTRIES).count() == tl.Success(0)


def test_a_cache_is_filled_with_nothing_older_than_what_its_process_wrote(trio: Trio) -> None:
    with trio.open(reads=tl.reads("prefer-replica", wait_s=0.0)) as store:
        entries = tl.repository(store, ENTRIES, cache=tl.read_through(ttl_s=60))
        entries.create(Entry(1, 0, 0)).unwrap()
        plain = tl.repository(store, ENTRIES)
        wait_until(lambda: _elsewhere(lambda: plain.get_by_id(1)) == tl.Success(Entry(1, 0, 0)))
        _replay(trio, paused=True)
        entries.update(Entry(1, 0, 1)).unwrap()
        # Another thread knows nothing of the write, and what it reads here everybody is served.
        assert _elsewhere(lambda: plain.get_by_id(1)) == tl.Success(Entry(1, 0, 0))
        assert _elsewhere(lambda: entries.get_by_id(1)) == tl.Success(Entry(1, 0, 1))
        assert _elsewhere(lambda: entries.get_many([1])) == tl.Success({1: Entry(1, 0, 1)})
        assert entries.get_by_id(1) == tl.Success(Entry(1, 0, 1))
        _replay(trio, paused=False)


def test_an_error_reads_the_same_on_several_servers(trio: Trio) -> None:
    with trio.open() as several, tl.open(trio.primary.url) as one:
        for store in (several, one):
            tl.repository(store, ENTRIES).create(Entry(1, 0, 0))
        errors = [
            tl.repository(store, ENTRIES).create(Entry(1, 0, 0)).failure()
            for store in (several, one)
        ]
        assert [type(error) for error in errors] == [tl.DuplicateError] * 2
        assert errors[0].message == errors[1].message
        sql = tl.sql("select 1 / 0", into=int)
        wrong = [store.fetch_one(sql).failure().message for store in (several, one)]
        assert wrong[0] == wrong[1]
