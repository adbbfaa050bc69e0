"""Exceptions, interrupts and ends of processes, anywhere: no connection is lost or left unclean."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.chaos.conftest import ENTRIES, Entry
from tests.chaos.lengths import IS_LONG, times
from tests.real.helpers import backends, is_idle, wait_until, with_application
from tests.stalls import Stalls

import tierline as tl
from tierline.testing import PostgresServer

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(1800 if IS_LONG else 120),
]

SOURCE = Path(tl.__file__).parents[1]


class _Own(BaseException):
    """Raised by the test, in places that know nothing of it."""


def test_exceptions_anywhere_leave_the_pool_as_it_was(whole: PostgresServer) -> None:
    draw = random.Random(5)
    options = tl.PoolOptions(size=4, size_min=4)
    with (
        psycopg.connect(whole.url, autocommit=True) as admin,
        tl.open(with_application(whole.url, "leaks"), pool=options) as store,
    ):
        store.warm_up().unwrap()
        entries = tl.repository(store, ENTRIES)
        files = _open_files()

        def work(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
            inner = tl.repository(tx, ENTRIES)
            place = draw.randrange(6)
            if place == 0:
                raise _Own
            inner.create(Entry(draw.randrange(10**9), 0, 0))
            if place == 1:
                raise LookupError
            if place == 2:
                return tx.fetch_one(tl.sql("select 1 / 0", into=int))
            if place == 3:
                tx.transaction(_raise, savepoint=True)
            return tl.Success(1)

        numbers = tl.sql("select generate_series(1, 1000)", into=int)
        for _ in range(times(300, 10_000)):
            with suppress(_Own, LookupError):
                store.transaction(work)
            if draw.random() < 0.2:
                with store.stream(numbers, size=10) as batches:
                    next(iter(batches))
            entries.get_by_id(1)
        assert is_idle(store)
        wait_until(lambda: store.database.stats().size == 4)
        assert _open_files() <= files + 2
        rows = admin.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'leaks' AND state LIKE 'idle in transaction%'"
        ).fetchone()
        assert rows == (0,)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _raise(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
    tx.fetch_one(tl.sql("select 1", into=int))
    raise LookupError


@pytest.fixture
def swallowed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when an interrupt comes during a finaliser, where Python can raise nothing."""
    found = threading.Event()
    tell = sys.unraisablehook

    def hear(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            found.set()
        else:
            tell(what)

    monkeypatch.setattr(sys, "unraisablehook", hear)
    return found


def test_interrupts_at_any_moment_leave_the_pool_healthy(
    whole: PostgresServer, swallowed: threading.Event
) -> None:
    draw = random.Random(7)
    main = threading.main_thread().ident or 0
    with tl.open(with_application(whole.url, "interrupts"), pool_size=2) as store:
        entries = tl.repository(store, ENTRIES)
        entries.create(Entry(1, 0, 0)).unwrap()
        interrupted = 0
        for n in range(times(40, 500)):
            delay_s, struck = draw.uniform(0, 0.01), threading.Event()

            def strike(delay_s: float = delay_s, struck: threading.Event = struck) -> None:
                time.sleep(delay_s)
                swallowed.set()
                while not struck.wait(0.002):
                    if swallowed.is_set():
                        swallowed.clear()
                        signal.pthread_kill(main, signal.SIGINT)

            thread = threading.Thread(target=strike)
            try:
                thread.start()
                while True:
                    entries.get_by_id(1)
                    store.transaction(
                        lambda tx, n=n: tl.repository(tx, ENTRIES).upsert(Entry(2, n, n))  # type: ignore[misc]
                    )
            except KeyboardInterrupt:
                struck.set()
                interrupted += 1
            thread.join()
            assert entries.get_by_id(1) == tl.Success(Entry(1, 0, 0))
        assert interrupted == times(40, 500)
        assert is_idle(store)
        assert store.database.stats().size <= 2


_CHILD = """
import sys, threading
import tierline as tl
store = tl.open(sys.argv[1], pool=tl.PoolOptions(size=4, size_min=4))
store.warm_up().unwrap()
def work():
    while True:
        store.fetch_one(tl.sql("select 1", into=int))
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
store.fetch_one(tl.sql("select 1", into=int)).unwrap()
print("ready", flush=True)
"""


def test_a_process_ends_within_a_second_though_its_store_is_open(
    whole: PostgresServer, stalls: Stalls
) -> None:
    with psycopg.connect(whole.url, autocommit=True) as admin:
        for _ in range(times(3, 200)):
            child = subprocess.Popen(
                [sys.executable, "-c", _CHILD, with_application(whole.url, "ending")],
                env=os.environ | {"PYTHONPATH": os.pathsep.join((str(SOURCE), *sys.path))},
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout is not None
            with child.stdout:
                assert child.stdout.readline() == "ready\n"
                began_s = time.monotonic()
                assert child.wait(20) == 0
            limit_s = 1.0 if IS_LONG else 4.0
            assert time.monotonic() - began_s <= limit_s + stalls.seconds(began_s)
            wait_until(lambda: not backends(admin, "ending"))


_PARENT = """
import os, sys, traceback
import tierline as tl
store = tl.open(sys.argv[1], pool_size=2)
pid = tl.sql("select pg_backend_pid()", into=int)
mine = {store.fetch_one(pid).unwrap()}
for _ in range(int(sys.argv[2])):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, str(store.fetch_one(pid).unwrap()).encode())
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as line:
        said = line.read()
    assert os.waitpid(child, 0)[1] == 0, said
    assert int(said) not in mine
    assert store.fetch_one(pid).unwrap() in mine, "the parent lost its connection"
print("shared nothing", flush=True)
store.close()
"""


def test_children_share_no_socket_with_their_parent(whole: PostgresServer) -> None:
    # In a process of its own: this one has threads of other tests, which a fork cuts off anywhere.
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, with_application(whole.url, "parent"), str(times(4, 100))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(SOURCE), *sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "shared nothing\n", done.stderr
    with psycopg.connect(whole.url, autocommit=True) as admin:
        wait_until(lambda: not backends(admin, "parent"))
