"""A primary is killed under its writers, a replica is promoted, the old primary comes back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry, Trio, make_trio, promote
from tests.chaos.lengths import IS_LONG, SLACK_S, times
from tests.real.helpers import wait_until
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600 if IS_LONG else 180)]


class Writers:
    """Threads that write numbered rows and remember which were acknowledged, or may be there."""

    def __init__(self, store: tl.Store, count: int) -> None:
        self._entries = tl.repository(store, ENTRIES)
        self._ids = itertools.count(1)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.refused: set[int] = set()
        self.last_s = 0.0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, writer: int) -> None:
        n = 0
        while not self._stopped.is_set():
            with self._lock:
                id_ = next(self._ids)
            n += 1
            with tl.deadline(5.0):
                result = self._entries.create(Entry(id_, writer, n))
            with self._lock:
                if isinstance(result, tl.Success):
                    self.acknowledged.add(id_)
                    self.last_s = time.monotonic()
                elif isinstance(result.failure(), (tl.CommitUnknownError, tl.TimeoutError)):
                    self.unknown.add(id_)
                else:
                    self.refused.add(id_)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a writer hangs"


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as session:
        return [id_ for (id_,) in session.execute("SELECT id FROM entries")]


def test_no_acknowledged_write_is_lost_when_the_primary_is_killed(
    version: Version,
    stalls: Stalls,
    record_property: Callable[[str, object], None],
) -> None:
    acknowledged = 0
    slowest_s = 0.0
    for _ in range(times(1, 20)):
        with make_trio(version, synchronous=True) as trio:
            store = trio.open("primary")
            try:
                writers = Writers(store, 8)
                wait_until(lambda w=writers: len(w.acknowledged) > times(300, 10_000), 120)  # type: ignore[misc]
                trio.primary.kill()
                # One of the two has all that was acknowledged, not each.
                heir, other = sorted(trio.replicas, key=_received, reverse=True)
                _follow(other, heir)
                promote(heir)
                promoted_s = time.monotonic()
                wait_until(lambda w=writers, s=promoted_s: w.last_s > s, 30)  # type: ignore[misc]
                took_s = writers.last_s - promoted_s
                slowest_s = max(slowest_s, took_s - stalls.seconds(promoted_s))
                # The old primary comes back, alone and believing in itself.
                trio.primary.start()
                before = set(stored(trio.primary.url))
                already = len(writers.acknowledged)
                wait_until(lambda w=writers, n=already: len(w.acknowledged) > n + 200)  # type: ignore[misc]
                writers.stop()
                rows = stored(heir.url)
                found = set(rows)
                assert len(rows) == len(found)
                assert writers.acknowledged <= found, "acknowledged and lost"
                assert not writers.refused & found, "refused and yet written"
                assert found <= writers.acknowledged | writers.unknown
                assert set(stored(trio.primary.url)) == before, "written to a primary of the past"
                acknowledged += len(writers.acknowledged)
                roles = [node.role for node in store.health().nodes]
                assert roles[1 + trio.replicas.index(heir)] == "primary"
                assert roles[0] in ("outdated", "unknown")
            finally:
                store.close()
    record_property("acknowledged", acknowledged)
    record_property("first_after_promotion_s", round(slowest_s, 3))
    assert acknowledged >= times(300, 200_000)
    assert slowest_s <= 1.0 + (SLACK_S - 0.1)


def _received(replica: PostgresServer) -> int:
    """How far a replica has received what its primary wrote, in bytes."""
    with psycopg.connect(replica.url) as session:
        row = session.execute("SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn").fetchone()
        return int(row[0]) if row and row[0] is not None else 0


def _follow(other: PostgresServer, heir: PostgresServer) -> None:
    """Have one replica follow the other, which is to be promoted."""
    with psycopg.connect(other.url, autocommit=True) as session:
        address = f"host=127.0.0.1 port={heir.port} user=tierline password={heir.password}"
        session.execute(f"ALTER SYSTEM SET primary_conninfo = '{address}'")  # type: ignore[arg-type]
        session.execute("SELECT pg_reload_conf()")


def test_a_store_that_is_opened_later_finds_the_newer_of_two_primaries(trio: Trio) -> None:
    trio.primary.kill()
    promote(trio.replicas[0])
    trio.primary.start()
    with trio.open("primary") as store:
        tl.repository(store, ENTRIES).create(Entry(1, 0, 0)).unwrap()
        assert store.health().nodes[0].role in ("outdated", "unknown")
        # Not even a new connection leads to it.
        with pytest.raises(psycopg.OperationalError):
            store.database.nodes[0].dialer.dial()
    assert stored(trio.replicas[0].url) == [1]
    assert stored(trio.primary.url) == []


def test_a_write_that_was_never_sent_waits_for_the_next_primary(trio: Trio) -> None:
    with trio.open("primary") as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        told: list[tl.FailedOver] = []
        store.on_event(lambda e: told.append(e) if isinstance(e, tl.FailedOver) else None)
        trio.primary.kill()
        wait_until(lambda: not store.health().ok)
        thread = threading.Timer(0.5, promote, (trio.replicas[0],))
        thread.start()
        assert entries.create(Entry(2, 0, 0)) == tl.Success(Entry(2, 0, 0))
        thread.join()
        assert [event.after for event in told] == [store.health().nodes[1].location]
        with tl.deadline(0.5):
            trio.replicas[0].kill()
            result = entries.create(Entry(3, 0, 0))
        assert isinstance(result, tl.Failure)
        assert isinstance(result.failure(), (tl.TimeoutError, tl.ConnectionError))
        assert store.transaction(
            lambda tx: tl.repository(tx, ENTRIES).create(Entry(4, 0, 0)), deadline_s=0.5
        ) != tl.Success(Entry(4, 0, 0))
