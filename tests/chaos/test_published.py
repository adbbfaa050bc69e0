"""What readers see over the Redis backplane while its line, Redis and writers break."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from tests.chaos.conftest import ENTRIES, Entry
from tests.chaos.lengths import IS_LONG, times
from tests.chaos.observer import Note, Options
from tests.chaos.staleness import check_notes
from tests.real.helpers import wait_until
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import (
    PostgresServer,
    RedisServer,
    TcpProxy,
    postgres_server,
    redis_server,
    tcp_proxy,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200 if IS_LONG else 240)]

ROOT = Path(__file__).resolve().parents[2]
STALENESS_S = 1.0
ROWS = list(range(24))
WORKERS = 3

_decode = msgspec.json.Decoder(Note).decode  # type: ignore[arg-type]


class World:
    """Servers, and processes that read and write, each on a line of its own to Redis."""

    def __init__(self, primary: PostgresServer, redis: RedisServer, folder: Path) -> None:
        self.primary, self.redis = primary, redis
        self._folder = folder
        self._lines = ExitStack()
        self.lines: list[TcpProxy] = [
            self._lines.enter_context(tcp_proxy(redis.url)) for _ in range(WORKERS)
        ]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._logs: list[Path] = []

    def start(self) -> None:
        logs = [self._start_worker(number) for number in range(WORKERS)]
        wait_until(lambda: all(log.stat().st_size for log in logs), 60.0)

    def _start_worker(self, number: int) -> Path:
        log = self._folder / f"{number}-{len(self._logs)}.log"
        log.touch()
        self._logs.append(log)
        options = Options(
            self.primary.url,
            [],
            self.lines[number].url(self.redis.url),
            str(log),
            number,
            [row for row in ROWS if row % WORKERS == number],
            ROWS,
            STALENESS_S,
            "redis",
        )
        self._processes[number] = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.observer", msgspec.json.encode(options).decode()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
        )
        return log

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait(10)
            assert process.stdin is not None
            process.stdin.close()

    def stop(self) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes.values():
            assert process.wait(30) == 0
        self._processes = {}
        self._lines.close()

    def notes(self) -> list[Note]:
        lines = (line for log in self._logs for line in log.read_bytes().splitlines(keepends=True))
        # A process that was killed may have left half a line.
        return [_decode(line) for line in lines if line.endswith(b"\n")]


@pytest.fixture
def servers(version: Version) -> Generator[tuple[PostgresServer, RedisServer]]:
    """PostgreSQL with the entries, and Redis."""
    with postgres_server(version) as primary, redis_server() as redis:
        with tl.open(primary.url) as store:
            store.create_table(ENTRIES).unwrap()
            made = [Entry(row, 0, 0) for row in ROWS]
            tl.repository(store, ENTRIES).create_many(made).unwrap()
        yield primary, redis


@pytest.fixture
def world(servers: tuple[PostgresServer, RedisServer], tmp_path: Path) -> Generator[World]:
    made = World(*servers, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def nothing(_: World) -> None:
    time.sleep(0.5)


def redis_killed(world: World) -> None:
    world.redis.kill()
    time.sleep(0.5)
    world.redis.start()


def redis_frozen(world: World) -> None:
    world.redis.freeze()
    time.sleep(1.5 * STALENESS_S)
    world.redis.thaw()


def redis_emptied(world: World) -> None:
    with Redis.from_url(world.redis.url) as client:
        client.flushall()


def lines_cut(world: World) -> None:
    for line in world.lines:
        line.cut()
        time.sleep(0.05)


def one_cut_off(world: World) -> None:
    world.lines[0].refuse()
    world.lines[0].cut()
    time.sleep(1.5 * STALENESS_S)
    world.lines[0].allow()


def one_line_silent(world: World) -> None:
    world.lines[1].freeze()
    time.sleep(1.5 * STALENESS_S)
    world.lines[1].thaw()


def subscribers_killed(world: World) -> None:
    with Redis.from_url(world.redis.url) as client:
        for _ in range(3):
            client.client_kill_filter(_type="pubsub")
            time.sleep(0.1)


def workers_killed(world: World) -> None:
    world.kill()
    world.start()


FAULTS: tuple[Callable[[World], None], ...] = (
    nothing,
    redis_killed,
    redis_frozen,
    redis_emptied,
    lines_cut,
    one_cut_off,
    one_line_silent,
    subscribers_killed,
    workers_killed,
)


def test_nothing_older_than_the_bound_is_seen_whatever_breaks(
    world: World, stalls: Stalls, record_property: Callable[[str, object], None]
) -> None:
    for _ in range(times(1, 40)):
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
    assert versions > times(300, 30_000)
