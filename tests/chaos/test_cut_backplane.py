"""A reader's backplane is cut while every key changes, again and again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry
from tests.chaos.lengths import IS_LONG, times
from tests.real.helpers import wait_until

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import TcpProxy, postgres_server, redis_server, tcp_proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200 if IS_LONG else 240)]

STALENESS_S = 1.0
KEYS = 1_000
CUT_S = 5.0 if IS_LONG else 2.0
CACHED = tl.read_through(ttl_s=600)
LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'NOTIFY tierline%'"


class Cuts:
    """How a reader is cut off, and where it reads."""

    def __init__(self, kind: str, primary: str, redis: str, line: TcpProxy) -> None:
        self.kind = kind
        self._primary = primary
        self._line = line
        self.redis = line.url(redis) if kind == "redis" else redis

    @contextmanager
    def cut(self, turn: int) -> Generator[None]:
        """Nothing is heard, for as long as this lasts."""
        if self.kind == "redis":
            self._line.refuse()
            self._line.cut()
            yield
            self._line.allow()
            return
        over = threading.Event()
        target = self._kill if turn % 2 else self._freeze
        cutting = threading.Thread(target=target, args=(over,))
        cutting.start()
        try:
            yield
        finally:
            over.set()
            cutting.join()

    def _kill(self, over: threading.Event) -> None:
        """Every listening session is ended as soon as it is there."""
        with psycopg.connect(self._primary, autocommit=True) as session:
            while not over.wait(0.02):
                session.execute(f"SELECT pg_terminate_backend(pid) FROM ({LISTENING}) AS listening")  # type: ignore[arg-type]

    def _freeze(self, over: threading.Event) -> None:
        """Every listening session stands still as soon as it is there."""
        frozen: set[int] = set()
        try:
            with psycopg.connect(self._primary, autocommit=True) as session:
                while not over.wait(0.02):
                    for (pid,) in session.execute(LISTENING).fetchall():  # type: ignore[arg-type]
                        if pid not in frozen:
                            frozen.add(pid)
                            os.kill(pid, signal.SIGSTOP)
        finally:
            for pid in frozen:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_nothing_older_than_the_bound_is_read_while_many_keys_change(
    version: Version, kind: str
) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(postgres_server(version)).url
        redis = stack.enter_context(redis_server()).url
        cuts = Cuts(kind, primary, redis, stack.enter_context(tcp_proxy(redis)))
        with tl.open(primary) as store:
            store.create_table(ENTRIES).unwrap()
            store.install_backplane([ENTRIES]).unwrap()
            tl.repository(store, ENTRIES).create_many(
                [Entry(row, 0, 0) for row in range(KEYS)]
            ).unwrap()
        writing, reading = (
            stack.enter_context(
                tl.open(
                    primary,
                    redis=url,
                    backplane=kind,  # type: ignore[arg-type]
                    max_staleness_s=STALENESS_S,
                    timeout_s=20,
                )
            )
            for url in (redis, cuts.redis)
        )
        written = tl.repository(writing, ENTRIES)
        read = tl.repository(reading, ENTRIES, cache=CACHED)
        hits = 0
        for n in range(1, times(2, 100) + 1):
            assert reading.backplane is not None
            assert reading.backplane.catch_up(20)
            for key in range(KEYS):
                assert read.get_by_id(key).unwrap().n == n - 1
            hits += reading.stats().tiers[0].hits
            with cuts.cut(n):
                _change_all(written, read, n)
            assert reading.backplane.catch_up(20)
            for key in range(KEYS):
                assert read.get_by_id(key).unwrap().n == n
        assert hits > 0


def _change_all(
    written: tl.Repository[Entry, int], read: tl.Repository[Entry, int], n: int
) -> None:
    cut_s = time.monotonic()
    changed: dict[int, float] = {}
    while time.monotonic() < cut_s + CUT_S or len(changed) < KEYS:
        if len(changed) < KEYS:
            key = len(changed)
            # The writer's own line is whole; a machine that stands still may be too slow for it.
            wait_until(lambda: isinstance(written.update(Entry(key, 1, n)), tl.Success))  # noqa: B023
            changed[key] = time.monotonic()
        for old in range(0, len(changed), 37):
            began_s = time.monotonic()
            if read.get_by_id(old).unwrap().n < n:
                assert began_s - changed[old] <= STALENESS_S
