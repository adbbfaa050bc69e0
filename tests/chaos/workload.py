"""Threads that append and read at random, and what they saw of each other as a history."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.chaos.lists import Aborted, Committed, Ended, Runner, Session, Unknown
from tests.histories.anomalies import Level
from tests.histories.history import Append, Operation, Outcome, Read, Transaction

HOT_KEYS = 5
APPENDS_A_KEY = 24
"""A key that has so many is left for a new one, so that lists stay short."""
OPERATIONS_MAX = 5
JOIN_S = 60.0

Plan = list[tuple[bool, int]]
"""Whether to append, and the key."""


class Keys:
    """A few keys at a time that everybody uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh = itertools.count(1)
        self._hot = [next(self._fresh) for _ in range(HOT_KEYS)]
        self._appends = [0] * HOT_KEYS

    def plan(self, chance: random.Random) -> Plan:
        """What a transaction is to do."""
        with self._lock:
            return [self._operation(chance) for _ in range(chance.randint(1, OPERATIONS_MAX))]

    def all(self) -> range:
        """Every key that was ever planned with."""
        return range(1, max(self._hot) + 1)

    def _operation(self, chance: random.Random) -> tuple[bool, int]:
        slot, appends = chance.randrange(HOT_KEYS), chance.random() < 0.5
        if appends and self._appends[slot] == APPENDS_A_KEY:
            self._hot[slot], self._appends[slot] = next(self._fresh), 0
        self._appends[slot] += appends
        return appends, self._hot[slot]


class Recorder:
    """Runs functions by a runner and keeps each of their runs as a transaction."""

    def __init__(self, runner: Runner, values: Iterator[int]) -> None:
        self.runner = runner
        self.transactions: list[Transaction] = []
        self._values = values

    def run(self, work: Callable[[RecordedSession], object], isolation: Level) -> Ended:
        """Run a function; all its runs but the last were undone."""
        runs: list[tuple[float, list[Operation]]] = []

        def recorded(session: Session) -> object:
            operations: list[Operation] = []
            runs.append((time.monotonic(), operations))
            return work(RecordedSession(session, operations, self._values))

        ended = self.runner.run(recorded, isolation)
        now_s = time.monotonic()
        for n, (began_s, operations) in enumerate(runs):
            outcome = outcome_of(ended) if n == len(runs) - 1 else Outcome.ABORTED
            self.transactions.append(Transaction(tuple(operations), outcome, began_s, now_s))
        return ended


class RecordedSession(NamedTuple):
    """A session whose operations are written down; an append before it is sent."""

    session: Session
    operations: list[Operation]
    values: Iterator[int]

    def append(self, key: int) -> None:
        """Append a number that was never used before."""
        value = next(self.values)
        self.operations.append(Append(key, value))
        self.session.append(key, value)

    def read(self, key: int) -> tuple[int, ...]:
        """Read a list."""
        values = self.session.read(key)
        self.operations.append(Read(key, values))
        return values

    def perform(self, plan: Plan) -> None:
        """Do what is planned."""
        for appends, key in plan:
            if appends:
                self.append(key)
            else:
                self.read(key)


def outcome_of(ended: Ended) -> Outcome:
    """The outcome of a transaction as a history has it."""
    match ended:
        case Committed():
            return Outcome.COMMITTED
        case Aborted():
            return Outcome.ABORTED
        case Unknown():
            return Outcome.UNKNOWN


class Workload:
    """A number of threads that run transactions until enough are committed."""

    def __init__(
        self,
        runners: list[Runner],
        isolation: Level,
        commits: int,
        *,
        seed: int = 0,
    ) -> None:
        self.isolation = isolation
        self.keys = Keys()
        # `next` of a count is one step of the interpreter: no two threads get the same.
        values = itertools.count(1)
        self.recorders = [Recorder(runner, values) for runner in runners]
        self.commits_wanted = commits
        self.commits = 0
        self._seed = seed
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> list[Transaction]:
        """Run all threads, and a function of one's own beside them; then read every list.

        Raises:
            BaseException: What a thread raised.
        """
        threads = [
            threading.Thread(target=self._work, args=(n, recorder))
            for n, recorder in enumerate(self.recorders)
        ]
        for thread in threads:
            thread.start()
        try:
            meanwhile()
        except BaseException:
            self.commits_wanted = 0
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]
        self._look_at_all(self.recorders[0])
        return [one for recorder in self.recorders for one in recorder.transactions]

    @property
    def done(self) -> bool:
        """Whether enough are committed, or a thread gave up."""
        return self.commits >= self.commits_wanted or bool(self._errors)

    def _work(self, number: int, recorder: Recorder) -> None:
        chance = random.Random(f"{self._seed} {number}")
        try:
            while not self.done:
                plan = self.keys.plan(chance)
                ended = recorder.run(_doing(plan), self.isolation)
                if isinstance(ended, Committed):
                    with self._lock:
                        self.commits += 1
                elif isinstance(ended, Aborted):
                    time.sleep(0.01)  # the server is not there, perhaps
        except BaseException as error:  # noqa: BLE001 (raised by `run`)
            self._errors.append(error)

    def _look_at_all(self, recorder: Recorder) -> None:
        plan = [(False, key) for key in self.keys.all()]
        until_s = time.monotonic() + JOIN_S
        while not isinstance(ended := recorder.run(_doing(plan), self.isolation), Committed):
            if time.monotonic() > until_s:
                raise AssertionError(f"the lists cannot be read at the end: {ended}")
            time.sleep(0.1)


def _doing(plan: Plan) -> Callable[[RecordedSession], None]:
    return lambda session: session.perform(plan)


@contextmanager
def closing(runners: list[Runner]) -> Iterator[list[Runner]]:
    """Close runners after a block."""
    try:
        yield runners
    finally:
        for runner in runners:
            runner.close()
