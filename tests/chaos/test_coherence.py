"""What readers see while several processes write through all tiers, and things break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from redis import Redis
from tests.chaos.conftest import ENTRIES, Entry
from tests.chaos.lengths import IS_LONG, times
from tests.chaos.observer import Note, Options, Written
from tests.chaos.staleness import check_notes
from tests.real.helpers import wait_until
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import (
    PostgresServer,
    RedisServer,
    postgres_replica,
    postgres_server,
    redis_server,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600 if IS_LONG else 180)]

ROOT = Path(__file__).resolve().parents[2]
STALENESS_S = 1.0
ROWS = list(range(24))
WORKERS = 3
_LISTENING = "query LIKE 'NOTIFY tierline%'"

_decode = msgspec.json.Decoder(Note).decode  # type: ignore[arg-type]


class World:
    """Servers, processes that read and write, and a session that writes past the library."""

    def __init__(
        self, primary: PostgresServer, replica: PostgresServer, redis: RedisServer, folder: Path
    ) -> None:
        self.primary, self.replica, self.redis = primary, replica, redis
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._logs: list[Path] = []
        self._written: list[Written] = []
        self._stop = threading.Event()
        self._psql = threading.Thread(target=self._write)

    def start(self) -> None:
        self.start_workers()
        self._psql.start()

    def start_workers(self) -> None:
        logs = [self._start_worker(number) for number in range(WORKERS)]
        wait_until(lambda: all(log.stat().st_size for log in logs))

    def _start_worker(self, number: int) -> Path:
        log = self._folder / f"{number}-{len(self._logs)}.log"
        log.touch()
        self._logs.append(log)
        options = Options(
            self.primary.url,
            [self.replica.url],
            self.redis.url,
            str(log),
            number,
            [row for row in ROWS if row % (WORKERS + 1) == number],
            ROWS,
            STALENESS_S,
        )
        self._processes[number] = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.observer", msgspec.json.encode(options).decode()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
        )
        return log

    def kill_worker(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait(10)
        assert process.stdin is not None
        process.stdin.close()

    def stop(self) -> None:
        self._stop.set()
        self._psql.join(20)
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes.values():
            assert process.wait(30) == 0
        self._processes = {}

    def admin(self, sql: str, server: PostgresServer | None = None) -> list[tuple[Any, ...]]:
        url = (server or self.primary).url
        with psycopg.connect(url, autocommit=True) as session:
            return session.execute(sql).fetchall()  # type: ignore[arg-type]

    def notes(self) -> list[Note]:
        lines = (line for log in self._logs for line in log.read_bytes().splitlines(keepends=True))
        # A process that was killed may have left half a line.
        return [*self._written, *(_decode(line) for line in lines if line.endswith(b"\n"))]

    def _write(self) -> None:
        mine = [row for row in ROWS if row % (WORKERS + 1) == WORKERS]
        n = 0
        with psycopg.connect(self.primary.url, autocommit=True) as session:
            while not self._stop.wait(0.004):
                n += 1
                # All at once now and then, so that it is one message of many rows.
                for rows in [mine] if n % 10 == 0 else [[row] for row in mine]:
                    session.execute("UPDATE entries SET n = %s WHERE id = ANY(%s)", (n, rows))
                    now_s = time.monotonic()
                    self._written += [Written(row, n, now_s) for row in rows]


@pytest.fixture
def world(version: Version, tmp_path: Path) -> Generator[World]:
    with ExitStack() as stack:
        primary = stack.enter_context(postgres_server(version, settings={"wal_level": "replica"}))
        replica = stack.enter_context(postgres_replica(primary))
        redis = stack.enter_context(redis_server())
        with tl.open(primary.url) as store:
            store.create_table(ENTRIES).unwrap()
            store.install_backplane([ENTRIES]).unwrap()
            tl.repository(store, ENTRIES).create_many([Entry(row, 0, 0) for row in ROWS]).unwrap()
        made = World(primary, replica, redis, tmp_path)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def redis_killed(world: World) -> None:
    world.redis.kill()
    time.sleep(0.5)
    world.redis.start()


def redis_frozen(world: World) -> None:
    world.redis.freeze()
    time.sleep(1)
    world.redis.thaw()


def redis_emptied(world: World) -> None:
    with Redis.from_url(world.redis.url) as client:
        client.flushall()


def listeners_killed(world: World) -> None:
    for _ in range(5):
        world.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_LISTENING}")
        time.sleep(0.1)


def listeners_frozen(world: World) -> None:
    pids = [pid for (pid,) in world.admin(f"SELECT pid FROM pg_stat_activity WHERE {_LISTENING}")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5 * STALENESS_S)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def replica_behind(world: World) -> None:
    world.admin("SELECT pg_wal_replay_pause()", world.replica)
    time.sleep(1.5 * STALENESS_S)
    world.admin("SELECT pg_wal_replay_resume()", world.replica)


def workers_killed(world: World) -> None:
    for number in range(WORKERS):
        world.kill_worker(number)
    world.start_workers()


def nothing(_: World) -> None:
    time.sleep(1)


FAULTS: tuple[Callable[[World], None], ...] = (
    nothing,
    redis_killed,
    redis_frozen,
    redis_emptied,
    listeners_killed,
    listeners_frozen,
    replica_behind,
    workers_killed,
)


def test_nothing_older_than_the_bound_is_seen_whatever_breaks(
    world: World, stalls: Stalls, record_property: Callable[[str, object], None]
) -> None:
    for _ in range(times(1, 100)):
        for fault in FAULTS:
            fault(world)
            time.sleep(0.3)
    time.sleep(2 * STALENESS_S)
    healed_s = time.monotonic()
    time.sleep(1.0)
    world.stop()
    versions, rows = check_notes(world.notes(), STALENESS_S, healed_s, stalls, record_property)
    # Something was seen, and of every writer.
    assert rows == len(ROWS)
    assert versions > times(500, 50_000)
