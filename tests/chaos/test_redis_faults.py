"""Redis killed, frozen, slow, full, demoted or loading: no read fails, none waits for long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager

import pytest
import redis
from redis.crc import key_slot
from tests.chaos.lengths import SLACK_S, times
from tests.chaos.redis_load import Load, Read, p99_s

import tierline as tl
from tierline.testing import (
    PostgresServer,
    RedisServer,
    TcpProxy,
    redis_cluster,
    redis_sentinel,
    redis_server,
    tcp_proxy,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]

BEFORE_S = 0.25
"""What a read may take longer before the circuit opens."""

AFTER_S = 0.05
"""And after."""


class Case:
    """A Redis of the test's own and the line to it."""

    def __init__(self, server: RedisServer, proxy: TcpProxy) -> None:
        self.server = server
        self.proxy = proxy

    @contextlib.contextmanager
    def admin(self) -> Iterator[redis.Redis]:
        """A client that goes past the proxy."""
        with redis.Redis.from_url(self.server.url, socket_timeout=5) as client:
            yield client


@contextlib.contextmanager
def killed(case: Case) -> Iterator[None]:
    case.server.kill()
    yield
    case.server.start()


@contextlib.contextmanager
def frozen(case: Case) -> Iterator[None]:
    case.server.freeze()
    yield
    case.server.thaw()


@contextlib.contextmanager
def slow(case: Case) -> Iterator[None]:
    """Nothing passes but every half second."""
    over = threading.Event()

    def hold_back() -> None:
        while not over.is_set():
            case.proxy.freeze()
            over.wait(0.5)
            case.proxy.thaw()
            over.wait(0.002)

    thread = threading.Thread(target=hold_back)
    thread.start()
    yield
    over.set()
    thread.join()
    case.proxy.thaw()


@contextlib.contextmanager
def full(case: Case) -> Iterator[None]:
    with case.admin() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@contextlib.contextmanager
def demoted(case: Case) -> Iterator[None]:
    with case.admin() as client:
        client.replicaof("127.0.0.1", "1")
        yield
        client.replicaof("NO", "ONE")


@contextlib.contextmanager
def loading(case: Case) -> Iterator[None]:
    with case.admin() as client:
        # It answers, with LOADING, after each two MiB.
        client.config_set("rdbcompression", "no")
        for n in range(3_000):
            client.set(f"ballast:{n}", b"x" * 5_000)
        client.save()
    case.server.kill()
    case.server.settings["key-load-delay"] = "400"
    # It waits until everything is loaded.
    starting = threading.Thread(target=case.server.start)
    starting.start()
    yield
    starting.join()
    with case.admin() as client:
        client.flushall()


FAULTS: dict[str, Callable[[Case], AbstractContextManager[None]]] = {
    "killed": killed,
    "frozen": frozen,
    "500 ms slow": slow,
    "out of memory": full,
    "READONLY": demoted,
    "LOADING": loading,
}


@pytest.fixture
def case() -> Generator[Case]:
    with redis_server() as server, tcp_proxy(server.url) as proxy:
        yield Case(server, proxy)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_read_fails_or_waits_for_long(whole: PostgresServer, case: Case, fault: str) -> None:
    with (
        tl.open(whole.url, redis=case.proxy.url(case.server.url)) as store,
        Load(store) as load,
    ):
        load.wait_for_hits()
        usual_s = p99_s(load.reads)
        seen: list[Read] = []
        for _ in range(times(2, 30)):
            start = len(load.reads)
            with FAULTS[fault](case):
                time.sleep(1.2)
                seen += load.reads[start:]
            load.wait_for_hits()
    load.check()
    slack_s = SLACK_S - 0.1
    assert p99_s([read for read in seen if not read.is_open]) <= usual_s + BEFORE_S + slack_s
    assert p99_s([read for read in seen if read.is_open]) <= usual_s + AFTER_S + slack_s
    # Most reads, and not one in a hundred, go past a Redis that does not answer.
    if fault in ("killed", "frozen", "500 ms slow"):
        assert sum(read.is_open for read in seen) > 0.5 * len(seen)


def test_a_failover_of_sentinels_is_not_noticed(whole: PostgresServer) -> None:
    with (
        redis_sentinel() as group,
        tl.open(whole.url, redis=group.url) as store,
        tl.open(whole.url, redis=group.url) as other,
        Load(store, other) as load,
    ):
        load.wait_for_hits()
        for _ in range(times(1, 20)):
            master = group.wait_for_master()
            master.kill()
            group.wait_for_master(other_than=master)
            load.wait_for_hits()
            master.start()
            # It becomes a replica; without two of them a later failover could not be told apart.
            time.sleep(times(1, 3))
    load.check()


def test_a_cluster_that_loses_a_primary_is_not_noticed(whole: PostgresServer) -> None:
    with (
        redis_cluster() as cluster,
        tl.open(whole.url, redis=cluster.url) as store,
        tl.open(whole.url, redis=cluster.url) as other,
        Load(store, other) as load,
    ):
        load.wait_for_hits()
        for _ in range(times(1, 20)):
            port = max(cluster.slots(), key=lambda port: len(cluster.slots()[port]))
            primary = cluster.by_port(port)
            primary.kill()
            time.sleep(1.5)
            cluster.wait_until_whole()
            load.wait_for_hits()
            primary.start()
            time.sleep(times(1, 3))
            cluster.wait_until_whole()
    load.check()


def test_slots_that_move_are_not_noticed(whole: PostgresServer) -> None:
    with (
        redis_cluster() as cluster,
        tl.open(whole.url, redis=cluster.url) as store,
        tl.open(whole.url, redis=cluster.url) as other,
        Load(store, other) as load,
    ):
        load.wait_for_hits()
        for turn in range(times(2, 20)):
            # There and back, those of our own keys among them.
            source, target = cluster.servers[turn % 2], cluster.servers[1 - turn % 2]
            own = cluster.slots()[source.port]
            used = [slot for slot in used_slots(store) if slot in own]
            slots = dict.fromkeys([*used, *own[:1_000]])
            cluster.move_slots(list(slots)[:1_000], source, target)
            load.wait_for_hits()
    load.check()


def used_slots(store: tl.Store) -> list[int]:
    """The slots of the keys that a load uses."""
    l2 = store.caches.l2
    assert l2 is not None
    keys = l2.client.scan(f"{l2.base}*")
    return sorted({key_slot(key) for key in keys})
