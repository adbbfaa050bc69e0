"""Idempotency keys through a crash and a failover, after which no id can be trusted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from tests.chaos.conftest import ENTRIES, Entry, Trio, make_trio, promote
from tests.chaos.lengths import IS_LONG, times
from tests.real.helpers import before_commit, wait_until

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer, TcpProxy, tcp_proxy

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.each_version,
    pytest.mark.timeout(1800 if IS_LONG else 120),
]


@contextmanager
def losing(store: tl.Store, proxy: TcpProxy, meanwhile: Callable[[], None]) -> Generator[None]:
    """Lose the answer to COMMIT, and do something before the line is back."""
    workers: list[threading.Thread] = []

    def lose() -> None:
        proxy.refuse()
        proxy.cut_after(3)

        def work() -> None:
            time.sleep(0.2)
            meanwhile()
            proxy.allow()

        workers.append(threading.Thread(target=work))
        workers[-1].start()

    with before_commit(store, lose):
        yield
    for worker in workers:
        worker.join()


def creating(
    runs: list[int], first_id: int
) -> Callable[[tl.Transaction], tl.Result[int, tl.RepositoryError]]:
    """A function that writes a row for each run."""

    def run(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        runs.append(1)
        made = tl.repository(tx, ENTRIES).create(Entry(first_id + len(runs), 0, 0))
        return made.map(lambda entry: entry.id)

    return run


def test_a_crash_after_a_lost_answer_doubles_nothing(whole: PostgresServer) -> None:
    def crash() -> None:
        whole.kill()
        whole.start()

    with (
        tcp_proxy(whole.url) as proxy,
        tl.open(proxy.url(whole.url), pool_size=1, timeout_s=15) as store,
    ):
        store.create_idempotency_table().unwrap()
        for n in range(times(1, 20)):
            runs: list[int] = []
            run = creating(runs, 10 * n)
            with losing(store, proxy, crash):
                answer = store.transaction(run, idempotency_key=f"k{n}", result=int)
            assert answer == tl.Success(10 * n + 1)
            assert len(runs) == 1
            # A request that comes again is answered the same.
            assert store.transaction(run, idempotency_key=f"k{n}", result=int) == answer
            assert store.count(tl.select(ENTRIES)) == tl.Success(n + 1)


def test_a_failover_after_a_lost_answer_doubles_nothing(version: Version) -> None:
    with make_trio(version, synchronous=True) as trio, tcp_proxy(trio.primary.url) as proxy:
        _fails_over(trio, proxy)


def _fails_over(trio: Trio, proxy: TcpProxy) -> None:
    heir = trio.replicas[0]
    runs: list[int] = []
    # One connection, which is the one that is cut: by another it could ask at once.
    store = tl.open(proxy.url(trio.primary.url), replicas=[heir.url], pool_size=1, timeout_s=20)
    with store:
        store.create_idempotency_table().unwrap()

        def change() -> None:
            with tl.open(heir.url) as own:
                wait_until(lambda: own.count(tl.select(ENTRIES)) == tl.Success(1))
            trio.primary.kill()
            promote(heir)

        run = creating(runs, 0)
        with losing(store, proxy, change):
            assert store.transaction(run, idempotency_key="k", result=int) == tl.Success(1)
        assert runs == [1]
        assert store.count(tl.select(ENTRIES)) == tl.Success(1)
