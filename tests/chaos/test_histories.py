"""Isolation as clients see it while the server is killed: no history shows what its level forbids.

The same threads run over psycopg, whose transactions are PostgreSQL's own, and over a store's
transactions, which are run again, and whose lost commits are asked about.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from itertools import count

import psycopg
import pytest
from tests.chaos.killing import Killer
from tests.chaos.lists import (
    CREATE,
    LOST_TO_OTHERS,
    Committed,
    PsycopgRunner,
    PsycopgSession,
    Runner,
    Session,
    StoreRunner,
)
from tests.chaos.workload import RecordedSession, Recorder, Workload
from tests.histories.anomalies import Anomaly, Kind, Level, forbidden
from tests.histories.checker import check
from tests.histories.history import Transaction

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer, postgres_server

LONG = os.environ.get("TIERLINE_LONG") == "1"
COMMITS = 20_000 if LONG else 400
THREADS = 8
KILL_EVERY_S = 5.0
DRIVERS = ("psycopg", "store")


@pytest.fixture(scope="module")
def server(version: Version) -> Generator[PostgresServer]:
    """A server that may be killed; deadlocks, which hot keys make all the time, are soon found."""
    with postgres_server(version, settings={"deadlock_timeout": "5ms"}) as started:
        yield started


class Lists:
    """Runners over an empty table of lists."""

    def __init__(self, server: PostgresServer, closing: ExitStack) -> None:
        self.server = server
        self._closing = closing
        with psycopg.connect(server.url, autocommit=True, connect_timeout=10) as connection:
            connection.execute("DROP TABLE IF EXISTS lists")
            connection.execute(CREATE)

    def runners(self, driver: str, number: int) -> list[Runner]:
        """Runners for so many threads, closed after the test."""
        runners: list[Runner]
        if driver == "store":
            store = self._closing.enter_context(tl.open(self.server.url, pool_size=number))
            runners = [StoreRunner(store, deadline_s=20.0) for _ in range(number)]
        else:
            runners = [PsycopgRunner(self.server.url) for _ in range(number)]
        for runner in runners:
            self._closing.callback(runner.close)
        return runners


@pytest.fixture
def lists(server: PostgresServer) -> Generator[Lists]:
    with ExitStack() as closing:
        yield Lists(server, closing)


@pytest.mark.chaos
@pytest.mark.timeout(1_800 if LONG else 120)
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_no_history_shows_what_its_level_forbids(
    lists: Lists, driver: str, isolation: Level, capsys: pytest.CaptureFixture[str]
) -> None:
    killer = Killer(lists.server)
    workload = Workload(lists.runners(driver, THREADS), isolation, COMMITS)
    began_s = time.monotonic()
    if LONG:
        history = workload.run(lambda: killer.every(KILL_EVERY_S, lambda: workload.done))
    else:
        history = workload.run(lambda: _kill_half_way(killer, workload))
    took_s = time.monotonic() - began_s
    found = check(history)
    checked_s = time.monotonic() - began_s - took_s
    if LONG:
        with capsys.disabled():
            sys.stdout.write(
                f"\n{driver}, {isolation}: {workload.commits} commits, {killer.kills} kills,"
                f" {_outcomes(history)}, {took_s:.1f} s, checked in {checked_s:.1f} s;"
                f" found {_kinds(found)}\n"
            )
    assert forbidden(found, isolation) == ()
    assert workload.commits >= COMMITS
    assert killer.kills >= 1


@pytest.mark.chaos
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_same_threads_lose_updates_at_read_committed(lists: Lists, driver: str) -> None:
    workload = Workload(lists.runners(driver, THREADS), "read committed", COMMITS)
    found = check(workload.run())
    kinds = {anomaly.kind for anomaly in found}
    assert Kind.LOST_UPDATE in kinds
    assert Kind.G_SINGLE in kinds
    assert forbidden(found, "read committed") == ()


class Script:
    """Two transactions that both read before either appends."""

    def __init__(self, runners: list[Runner], isolation: Level) -> None:
        values = count(1)
        self._recorders = [Recorder(runner, values) for runner in runners]
        self._isolation = isolation
        self._have_read = threading.Barrier(2, timeout=10)

    def run(self, *plans: tuple[int, int]) -> list[Transaction]:
        """Run one transaction a plan: the key it reads, and the key it then appends to."""
        threads = [
            threading.Thread(target=self._run, args=(recorder, plan))
            for recorder, plan in zip(self._recorders, plans, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        reader = self._recorders[0]
        reader.run(lambda session: [session.read(key) for key in (1, 2)], self._isolation)
        return [one for recorder in self._recorders for one in recorder.transactions]

    def _run(self, recorder: Recorder, plan: tuple[int, int]) -> None:
        runs = count()

        def work(session: RecordedSession) -> None:
            session.read(plan[0])
            if next(runs) == 0:
                self._have_read.wait()
            session.append(plan[1])

        assert isinstance(recorder.run(work, self._isolation), Committed)


SKEW = ((1, 2), (2, 1))
SAME_KEY = ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("isolation", "plans", "kinds"),
    [
        ("read committed", SAME_KEY, {Kind.LOST_UPDATE, Kind.G_SINGLE}),
        ("repeatable read", SAME_KEY, set[Kind]()),
        ("repeatable read", SKEW, {Kind.G2_ITEM}),
        ("serializable", SKEW, set[Kind]()),
    ],
)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_level_shows_what_it_allows(
    lists: Lists,
    driver: str,
    isolation: Level,
    plans: tuple[tuple[int, int], tuple[int, int]],
    kinds: set[Kind],
) -> None:
    history = Script(lists.runners(driver, 2), isolation).run(*plans)
    assert {anomaly.kind for anomaly in check(history)} == kinds


class HalfRetrySession(PsycopgSession):
    """The classic mistake: only the statement that failed is run again."""

    def append(self, key: int, value: int) -> None:
        try:
            super().append(key, value)
        except LOST_TO_OTHERS:
            self.connection.rollback()
            super().append(key, value)


class HalfRetryRunner(PsycopgRunner):
    """Runs half a transaction again."""

    def session(self, connection: psycopg.Connection) -> Session:
        return HalfRetrySession(connection)


def test_a_transaction_of_which_half_is_retried_is_found(lists: Lists) -> None:
    runners: list[Runner] = [HalfRetryRunner(lists.server.url) for _ in range(2)]
    try:
        found = check(Script(runners, "repeatable read").run(*SAME_KEY))
    finally:
        for runner in runners:
            runner.close()
    assert {anomaly.kind for anomaly in found} == {Kind.LOST_UPDATE, Kind.G_SINGLE}


def _kill_half_way(killer: Killer, workload: Workload) -> None:
    while workload.commits < COMMITS / 2 and not workload.done:
        time.sleep(0.001)
    killer.postmaster()


def _kinds(found: tuple[Anomaly, ...]) -> dict[str, int]:
    return dict(Counter(anomaly.kind.name for anomaly in found))


def _outcomes(history: list[Transaction]) -> dict[str, int]:
    return dict(Counter(one.outcome.value for one in history))
