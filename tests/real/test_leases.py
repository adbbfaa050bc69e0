"""Leases: of all processes that ask for a cold key one loads it, and no read is wrong without."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import msgspec
import psycopg
import pytest
from tests.conftest import LONG
from tests.real.helpers import PAGES, OpenStore, Page, failure, page, wait_until, with_application
from tests.real.leaseholder import Options, Told

import tierline as tl
from tierline.cache.hearing import HearingCache
from tierline.cache.leases import Lease, Leases
from tierline.cache.redis_client import RedisClient
from tierline.testing import redis_server

pytestmark = pytest.mark.usefixtures("patient_redis")

Raw = psycopg.Connection[Any]
Start = Callable[..., "Reader"]
Pair = tuple[tl.Store, tl.Store]

IS_LONG = os.environ.get(LONG) == "1"
APPLICATION = "tierline_leases"
PROCESSES = 4
THREADS = 50 if IS_LONG else 4
# Longer than anything here takes, so that nobody gives up waiting because the machine is slow.
LEASE_S = 25.0
TRIES = 5
KILLS = 20 if IS_LONG else 1
KILLED_LEASE_S = 0.5
# Beyond the lease: what is asked of a quiet machine, and what of any.
TAKEN_OVER_S = 0.1 if IS_LONG else 10.0


class Reader:
    """A process of `leaseholder`."""

    def __init__(self, options: Options) -> None:
        command = [
            sys.executable, "-m", "tests.real.leaseholder", msgspec.json.encode(options).decode()
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def wait(self) -> None:
        """Until it can be asked."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def ask(self, key: int) -> None:
        """Have it read a key."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{key}\n")

    def told(self) -> Told:
        """What came of it."""
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline(), type=Told)

    def kill(self) -> None:
        """Kill it at once."""
        self._process.kill()
        self._process.wait(20)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.stdout.close()


@pytest.fixture(params=[False, True], ids=["alone", "heard"])
def start(
    request: pytest.FixtureRequest, pg_url: str, redis_url: str, redis_prefix: str
) -> Generator[Start]:
    """Starts processes that share a database and Redis, with a backplane and without."""
    with tl.open(pg_url) as maker, ExitStack() as started:
        maker.create_table(PAGES).unwrap()
        if request.param:
            maker.install_backplane([PAGES]).unwrap()
        tl.repository(maker, PAGES).create_many([page(n, n) for n in range(1, 51)]).unwrap()

        def one(*, threads: int = 1, lease_s: float | None = LEASE_S) -> Reader:
            url = with_application(pg_url, APPLICATION)
            options = Options(url, redis_url, redis_prefix, request.param, threads, lease_s)
            reader = Reader(options)
            started.callback(reader.close)
            return reader

        yield one


@pytest.fixture
def held(pg_url: str) -> Generator[Raw]:
    """A connection for a transaction in which loads wait."""
    with psycopg.connect(pg_url, connect_timeout=10) as connection:
        yield connection


def hold(connection: Raw) -> None:
    connection.execute("LOCK TABLE pages IN ACCESS EXCLUSIVE MODE")


def loading(raw: Raw, application: str = APPLICATION) -> int:
    """How many sessions wait for the table."""
    row = raw.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND application_name = %s",
        (application,),
    ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


@pytest.mark.timeout(120)
def test_one_process_loads_a_cold_key_for_all(start: Start, raw: Raw, held: Raw) -> None:
    readers = [start(threads=THREADS) for _ in range(PROCESSES)]
    for reader in readers:
        reader.wait()
    for key in range(1, TRIES + 1):
        hold(held)
        for reader in readers:
            reader.ask(key)
        wait_until(lambda: loading(raw))
        held.rollback()
        told = [reader.told() for reader in readers]
        for one in told:
            assert one.versions == [key] * THREADS
        if not any(one.errors for one in told):
            assert sum(one.loads for one in told) == 1
            return
    raise AssertionError("Redis was too slow each time")


@pytest.mark.timeout(600 if IS_LONG else 120)
def test_a_killed_holder_is_followed_when_its_lease_has_run_out(
    start: Start, raw: Raw, held: Raw
) -> None:
    other = start(lease_s=KILLED_LEASE_S)
    other.wait()
    took_s = []
    for key in range(1, KILLS + 1):
        holder = start(lease_s=KILLED_LEASE_S)
        holder.wait()
        hold(held)
        holder.ask(key)
        wait_until(lambda: loading(raw))
        holder.kill()
        other.ask(key)
        held.rollback()
        told = other.told()
        assert told.versions == [key]
        assert told.loads == 1
        took_s.append(told.seconds)
        wait_until(lambda: not loading(raw))
    assert max(took_s) <= KILLED_LEASE_S + TAKEN_OVER_S
    print(f"\ntaken over after {max(took_s):.3f} s at most, lease {KILLED_LEASE_S} s")  # noqa: T201


def leased(store: tl.Store, lease_s: float = LEASE_S) -> tl.Repository[Page, int]:
    return tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60, lease_s=lease_s))


def leases_of(store: tl.Store) -> Leases:
    found = store.caches.of(PAGES)[0].leases
    assert found is not None
    return found


def client_of(store: tl.Store) -> RedisClient:
    assert store.caches.l2 is not None
    return store.caches.l2.client


def spot_of(store: tl.Store, key: int) -> tuple[str, str]:
    """Where L2 keeps a key, and what a fill of it must match."""
    cache = store.caches.of(PAGES)[0]
    if isinstance(cache, HearingCache):
        wait_until(lambda: cache._spot(key))
        heard = cache._spot(key)
        assert heard is not None
        return heard.value, heard.floor
    assert store.caches.l2 is not None
    spot = store.caches.l2.spot(f"{cache.beginning}[{key}]")
    assert spot is not None
    return spot


def taken(store: tl.Store, key: int) -> Lease:
    """Take the lease on a cold key, as a process does that is about to load it."""
    asked = leases_of(store).get(*spot_of(store, key), lambda reply: reply)
    assert asked.lease is not None
    assert not asked.waited
    return asked.lease


def test_what_is_not_there_is_not_waited_for(
    open_store: OpenStore, pg_url: str, raw: Raw, held: Raw
) -> None:
    stores = [open_store(with_application(pg_url, f"lease{n}")) for n in (0, 1)]
    first, second = (leased(store) for store in stores)
    hold(held)
    found: list[Any] = []
    readers = [
        threading.Thread(target=lambda one=one: found.append(one.get_by_id(1)))  # type: ignore[misc]
        for one in (first, second)
    ]
    readers[0].start()
    wait_until(lambda: loading(raw, "lease0"))
    readers[1].start()
    began_s = time.monotonic()
    held.rollback()
    for reader in readers:
        reader.join(20)
    assert time.monotonic() - began_s < LEASE_S / 2
    for one in found:
        failure(one, tl.NotFoundError)
    assert len(found) == 2


def test_a_write_ends_the_lease_on_its_row(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    pages, others = leased(store), leased(other)
    pages.create(page(1)).unwrap()
    taken(other, 1)
    pages.update(page(1, 7)).unwrap()
    began_s = time.monotonic()
    assert pages.get_by_id(1) == others.get_by_id(1) == tl.Success(page(1, 7))
    assert time.monotonic() - began_s < LEASE_S / 2


def test_a_lease_is_waited_for_no_longer_than_it_lives(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    pages, others = leased(store), leased(other, 0.05)
    pages.create(page(1)).unwrap()
    taken(store, 1)
    began_s = time.monotonic()
    assert others.get_by_id(1) == tl.Success(page(1))
    assert 0.05 <= time.monotonic() - began_s < LEASE_S / 2


def test_a_deadline_leaves_half_for_the_database(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    pages, others = leased(store), leased(other)
    pages.create(page(1)).unwrap()
    taken(store, 1)
    began_s = time.monotonic()
    with tl.deadline(6.0):
        assert others.get_by_id(1) == tl.Success(page(1))
    assert 2.9 < time.monotonic() - began_s < 5.9


def test_a_lease_that_is_lost_or_not_ours_is_left_alone(open_store: OpenStore) -> None:
    store = open_store()
    pages = leased(store)
    pages.create(page(1)).unwrap()
    lease = taken(store, 1)
    leases_of(store).give_up(Lease(lease.key, b"another "))
    client = client_of(store)
    assert client.get(lease.key).value[:8] == lease.token
    client.execute("DEL", lease.key, key=lease.key)
    leases_of(store).give_up(lease)
    assert client.get(lease.key).value is None
    assert pages.get_by_id(1) == tl.Success(page(1))


def test_a_lease_asked_for_twice_is_ones_own(open_store: OpenStore) -> None:
    store = open_store()
    leased(store)
    lease = taken(store, 1)

    def again(token: bytes) -> Any:
        keys = [*spot_of(store, 1), lease.key]
        return client_of(store).run(leases_of(store)._take, keys, [token, 1000, b"", 0]).value

    assert again(lease.token) == 1
    assert again(b"another ") == 0


@pytest.fixture(params=[False, True], ids=["alone", "heard"])
def pair(
    request: pytest.FixtureRequest, pg_url: str, redis_url: str, redis_prefix: str
) -> Generator[Pair]:
    """Two stores that share a database and Redis, with a backplane and without."""
    options: dict[str, Any] = {"redis": redis_url, "prefix": redis_prefix, "timeout_s": 30}
    with tl.open(pg_url) as maker:
        maker.create_table(PAGES).unwrap()
        if request.param:
            maker.install_backplane([PAGES]).unwrap()
            options |= {"backplane": "postgres", "max_staleness_s": 60}
        tl.repository(maker, PAGES).create(page(1)).unwrap()
    with tl.open(pg_url, **options) as first, tl.open(pg_url, **options) as second:
        for store in (first, second):
            leased(store)
        for store in (first, second):
            spot_of(store, 1)
        yield first, second


def test_a_fresh_read_takes_no_lease_and_waits_for_none(pair: Pair) -> None:
    pages = leased(pair[1])
    assert pages.get_by_id(1, fresh=True) == tl.Success(page(1))
    failure(pages.get_by_id(2, fresh=True), tl.NotFoundError)
    # Not even for a moment: who gives a lease up leaves a mark in its place.
    assert client_of(pair[1]).get(f"{spot_of(pair[1], 2)[1]}l").value is None
    taken(pair[0], 2)
    began_s = time.monotonic()
    failure(pages.get_by_id(2, fresh=True), tl.NotFoundError)
    assert time.monotonic() - began_s < LEASE_S / 2


def test_what_cannot_be_shared_is_not_waited_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Page) -> bytes:
        raise OverflowError("too large for L2")

    first, second = map(leased, pair)
    monkeypatch.setattr(pair[0].caches.of(PAGES)[0], "_encode", refuse)
    began_s = time.monotonic()
    assert first.get_by_id(1) == second.get_by_id(1) == tl.Success(page(1))
    assert time.monotonic() - began_s < LEASE_S / 2


def test_without_redis_each_loads_for_itself(open_store: OpenStore) -> None:
    with redis_server() as server:
        store = open_store(redis=server.url)
        pages = leased(store)
        pages.create(page(1)).unwrap()
        taken(store, 1)
        server.kill()
        began_s = time.monotonic()
        assert pages.get_by_id(1) == tl.Success(page(1))
        assert time.monotonic() - began_s < LEASE_S / 2


@pytest.mark.parametrize("lease_s", [0.0, -1.0, 0.001, 31.0, float("nan"), float("inf")])
def test_a_lease_lives_for_moments(lease_s: float) -> None:
    with pytest.raises(ValueError, match="lease_s must be from"):
        tl.read_through(ttl_s=60, lease_s=lease_s)
