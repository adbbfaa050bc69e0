"""A server that is stopped, frozen or cut off under its readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry
from tests.chaos.lengths import IS_LONG, SLACK_S, times
from tests.real.helpers import backends, is_idle, wait_until, with_application
from tests.stalls import Stalls

import tierline as tl
from tierline.testing import PostgresServer, tcp_proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800 if IS_LONG else 120)]

DEADLINE_S = 1.0


class Readers:
    """Threads that read one row again and again, each within a deadline."""

    def __init__(self, store: tl.Store, count: int, stalls: Stalls) -> None:
        self._stalls = stalls
        self._entries = tl.repository(store, ENTRIES)
        self._stopped = threading.Event()
        self.late_s: list[float] = []
        self.errors: list[tl.RepositoryError] = []
        self.raised: list[BaseException] = []
        self.last_success_s = 0.0
        self._threads = [threading.Thread(target=self._read) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        while not self._stopped.is_set():
            began_s = time.monotonic()
            try:
                with tl.deadline(DEADLINE_S):
                    result = self._entries.get_by_id(1)
            except BaseException as error:  # noqa: BLE001 - none may escape
                self.raised.append(error)
                return
            ended_s = time.monotonic()
            due_s = began_s + DEADLINE_S
            self.late_s.append(ended_s - due_s - self._stalls.seconds(due_s, ended_s))
            if isinstance(result, tl.Failure):
                self.errors.append(result.failure())
                time.sleep(0.01)
            else:
                self.last_success_s = ended_s

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a reader hangs"


@pytest.fixture
def filled(whole: PostgresServer) -> PostgresServer:
    """The server with one row."""
    with tl.open(whole.url) as store:
        tl.repository(store, ENTRIES).create(Entry(1, 0, 0)).unwrap()
    return whole


@pytest.mark.each_version
def test_readers_outlive_restarts(filled: PostgresServer, stalls: Stalls) -> None:
    slowest_s = 0.0
    with tl.open(filled.url, pool=tl.PoolOptions(size=8)) as store:
        readers = Readers(store, 16, stalls)
        try:
            for _ in range(times(3, 50)):
                filled.stop()
                filled.start()
                accepted_s = time.monotonic()
                wait_until(lambda began_s=accepted_s: readers.last_success_s > began_s)  # type: ignore[misc]
                took_s = readers.last_success_s - accepted_s
                slowest_s = max(slowest_s, took_s - stalls.seconds(accepted_s))
        finally:
            readers.stop()
        assert readers.raised == []
        assert slowest_s <= 1.5 + (SLACK_S - 0.1)
        assert max(readers.late_s) <= SLACK_S
        kinds = {type(error) for error in readers.errors}
        assert tl.PoolExhaustedError not in kinds, "the server is away, nobody uses up the pool"
        wait_until(lambda: is_idle(store))


@pytest.mark.each_version
def test_frozen_backends_cost_their_callers_the_deadline_and_no_more(
    filled: PostgresServer, stalls: Stalls
) -> None:
    whole_s = 0.0
    with (
        tl.open(with_application(filled.url, "frozen"), pool_size=8) as store,
        ThreadPoolExecutor(8) as threads,
    ):
        entries = tl.repository(store, ENTRIES)

        def late() -> float:
            began_s = time.monotonic()
            with tl.deadline(0.5):
                result = entries.get_by_id(1)
            late_s = time.monotonic() - began_s - 0.5
            assert isinstance(result, tl.Failure)
            assert isinstance(result.failure(), tl.TimeoutError), result
            return late_s - stalls.seconds(began_s + 0.5)

        def works() -> bool:
            with tl.deadline(0.5):
                return isinstance(entries.get_by_id(1), tl.Success)

        for _ in range(times(2, 30)):
            wait_until(works)
            filled.freeze()
            late_s = [one.result() for one in [threads.submit(late) for _ in range(8)]]
            filled.thaw()
            thawed_s = time.monotonic()
            assert max(late_s) <= SLACK_S
            results = [threads.submit(works) for _ in range(8)]
            wait_until(lambda those=results: all(one.result() for one in those))  # type: ignore[misc]
            whole_s = max(whole_s, time.monotonic() - thawed_s - stalls.seconds(thawed_s))
        assert whole_s <= 2 + (SLACK_S - 0.1)
        assert is_idle(store)


Trouble = Callable[[], None]


@pytest.fixture(params=["frozen postmaster", "black hole", "deaf port"])
def unreachable(
    request: pytest.FixtureRequest, filled: PostgresServer
) -> Generator[tuple[str, Trouble, Trouble]]:
    """A URL, what makes its server unreachable, and what heals it."""
    if request.param == "frozen postmaster":
        yield filled.url, filled.freeze, filled.thaw
        return
    with tcp_proxy(filled.url) as proxy:
        if request.param == "black hole":
            yield proxy.url(filled.url), proxy.freeze, proxy.thaw
        else:

            def deafen() -> None:
                proxy.refuse()
                proxy.cut()

            yield proxy.url(filled.url), deafen, proxy.allow


def test_connecting_is_bounded_and_given_up_after_three_failures(
    unreachable: tuple[str, Trouble, Trouble], stalls: Stalls
) -> None:
    url, harm, heal = unreachable
    with tl.open(url, connect_timeout_s=2, pool_size=2) as store:
        entries = tl.repository(store, ENTRIES)
        for _ in range(times(1, 30)):
            probes: list[float] = []
            with store.on_event(
                lambda event, probes=probes: (
                    probes.append(time.monotonic())
                    if isinstance(event, tl.CircuitChanged) and event.after == "half-open"
                    else None
                )
            ):
                harm()
                store.drain()

                def refused() -> bool:
                    began_s = time.monotonic()
                    with tl.deadline(0.5):
                        result = entries.get_by_id(1)
                    assert isinstance(result, tl.Failure)
                    late_s = time.monotonic() - began_s - 0.5
                    assert late_s <= SLACK_S + stalls.seconds(began_s + 0.5)
                    return store.health().nodes[0].circuit != "closed"

                wait_until(refused, 30)
                until_s = time.monotonic() + 2.5
                while time.monotonic() < until_s:
                    refused()
                    time.sleep(0.02)
                heal()
            # What is heard of late seems to be followed too soon.
            pauses = [
                after - before + stalls.seconds(before - 1, after)
                for before, after in pairwise(probes)
            ]
            assert all(pause >= 0.99 for pause in pauses), pauses
            wait_until(lambda: isinstance(entries.get_by_id(1), tl.Success))


@pytest.mark.each_version
def test_sessions_that_are_ended_while_idle_cost_no_read(
    filled: PostgresServer, stalls: Stalls
) -> None:
    took_s: list[float] = []
    with (
        psycopg.connect(filled.url, autocommit=True) as admin,
        tl.open(
            with_application(filled.url, "idle"), pool=tl.PoolOptions(size=8, size_min=8)
        ) as store,
    ):
        store.warm_up().unwrap()
        entries = tl.repository(store, ENTRIES)
        for _ in range(times(20, 200)):
            for pid in backends(admin, "idle"):
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
            began_s = time.monotonic()
            assert entries.get_by_id(1) == tl.Success(Entry(1, 0, 0))
            took_s.append(time.monotonic() - began_s - stalls.seconds(began_s))
        took_s.sort()
        assert took_s[int(len(took_s) * 0.99) - 1] <= 0.05 + (SLACK_S - 0.1)


def test_a_spike_is_served_by_few_connections(filled: PostgresServer, stalls: Stalls) -> None:
    """Fifty callers at once, where connecting takes far longer than a statement."""
    pool = tl.PoolOptions(size=20, size_min=5)
    crowd = threading.Barrier(50)
    sleep = tl.sql("select 1 from pg_sleep(0.002)", into=int)
    with tcp_proxy(filled.url) as proxy:
        with tl.open(proxy.url(filled.url), pool=pool) as store:
            store.warm_up().unwrap()
            store.fetch_one(sleep).unwrap()
            proxy.connect_delay_s = 0.15
            for _ in range(times(3, 50)):

                def ask(_: int) -> tuple[tl.Result[int, tl.RepositoryError], float]:
                    crowd.wait(30)
                    began_s = time.monotonic()
                    answer = store.fetch_one(sleep)
                    return answer, time.monotonic() - began_s - stalls.seconds(began_s)

                with ThreadPoolExecutor(50) as threads:
                    answers = list(threads.map(ask, range(50)))
                assert [answer for answer, _ in answers] == [tl.Success(1)] * 50
                # Those that rest serve most of them before another connection is there.
                assert max(took_s for _, took_s in answers) < 0.3 + SLACK_S
            assert is_idle(store)
            assert store.database.stats().size <= 20
        # One more looked at the server when the store was opened.
        assert proxy.taken <= 20 + 1


def test_a_crowd_is_refused_at_once_beyond_the_bound(
    filled: PostgresServer, stalls: Stalls
) -> None:
    options = tl.PoolOptions(size=8, waiting_max=16)
    refused_s: list[float] = []
    served: list[float] = []
    with tl.open(filled.url, pool=options) as store:
        sleep = tl.sql("select 1 from pg_sleep(0.05)", into=int)

        def work(_: int) -> None:
            for _ in range(times(5, 50)):
                began_s = time.monotonic()
                result = store.fetch_one(sleep)
                took_s = time.monotonic() - began_s
                if isinstance(result, tl.Success):
                    served.append(took_s)
                else:
                    assert isinstance(result.failure(), tl.PoolExhaustedError), result
                    refused_s.append(took_s - stalls.seconds(began_s))
                    time.sleep(0.02)

        with ThreadPoolExecutor(64) as threads:
            list(threads.map(work, range(64)))
        assert refused_s
        assert served
        refused_s.sort()
        # The median, because 64 threads share the interpreter.
        assert refused_s[len(refused_s) // 2] <= 0.005 + (SLACK_S - 0.1)
        assert is_idle(store)
