"""Answers when a read is slow or fails: what is old by time, within the strategy's windows.

L1 keeps an entity past its time for as long as a window is open; whatever invalidates it takes it
out, and the horizon hides it, so what is found here is old by time alone.
"""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.sharing import Fetched
from tierline.cache.strategy import TTL_S_MIN, ReadOptions, ReadThrough
from tierline.deadline import deadline, remaining_s
from tierline.errors import (
    ConnectionError,  # noqa: A004
    NotFoundError,
    PoolExhaustedError,
    RepositoryError,
    TimeoutError,  # noqa: A004
    late_load,
)

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=RepositoryError)

BACKGROUND_MAX = 64
"""Reads in the background that one cache has at the same time; more are made by who asks."""

_TROUBLE = (ConnectionError, TimeoutError, PoolExhaustedError)


class StaleStats(NamedTuple):
    """Counters since the cache was made.

    Attributes:
        answers: Answers that were past their time.
        age_s_max: How many seconds past its time the oldest of them was.
    """

    answers: int
    age_s_max: float


class _Task(Generic[T]):
    """A read in the background."""

    def __init__(self, token: int) -> None:
        self.token = token
        self.process = os.getpid()
        self.ended = threading.Event()
        self.found: Fetched[T] | None = None
        self.error: BaseException | None = None


class Resilience(Generic[T, K]):
    """The reads of one cache under its strategy.

    Args:
        l1: The cache.
        strategy: With its windows and limits.
        table: The table's name, for errors.
    """

    def __init__(self, l1: Cache[K, Fetched[T]], strategy: ReadThrough, table: str) -> None:
        self._l1 = l1
        self._strategy = strategy
        self._table = table
        self._lock = threading.Lock()
        self._tasks: dict[K, _Task[T]] = {}
        self._answers = 0
        self._age_s_max = 0.0

    def stats(self) -> StaleStats:
        """The counters."""
        return StaleStats(self._answers, self._age_s_max)

    def stale(self, key: K, within_s: float) -> Success[T] | None:
        """What is kept and at most so many seconds past its time, as an answer."""
        aged = self._l1.stale(key)
        if aged is None or not isinstance(aged[0], Success) or aged[1] > within_s:
            return None
        self._count(aged[1])
        return aged[0]

    def read(self, key: K, load: Callable[[K], Fetched[T]]) -> Fetched[T]:
        """What is kept if it will do, or else what `load` comes to, or what stands in for it.

        Args:
            key: What is wanted; L1 has nothing fresh of it.
            load: Reads it and keeps it in L1; shared with others that ask.
        """
        strategy = self._strategy
        aged = self._l1.stale(key)
        if aged is None or not isinstance(aged[0], Success):
            return self._limited(key, load, strategy.hard_timeout_s)
        value, overdue_s, may_try = aged
        if overdue_s <= strategy.stale_while_revalidate_s:
            if may_try:
                self._l1.hold_off(key)
                self._begin(key, load)
            self._count(overdue_s)
            return value
        if overdue_s <= strategy.stale_if_error_s and not may_try:
            self._count(overdue_s)
            return value
        limits = [
            limit
            for limit in (strategy.soft_timeout_s, strategy.hard_timeout_s)
            if limit is not None
        ]
        found = self._limited(key, load, min(limits, default=None))
        if isinstance(found, Failure):
            error = found.failure()
            if isinstance(error, _TROUBLE):
                self._l1.hold_off(key)
                # Asked again: what was invalidated meanwhile stands in for nothing.
                stand_in = self.stale(key, strategy.stale_if_error_s)
                return found if stand_in is None else stand_in
        return found

    def many(
        self,
        entities: dict[K, T],
        missing: Iterable[K],
        failure: Failure[E],
        options: ReadOptions,
    ) -> Success[dict[K, T]] | Failure[E]:
        """What stands in for a read of many keys that failed, if every one of them has something.

        Args:
            entities: What is known of other keys.
            missing: What was to be read.
            failure: What it came to.
            options: Of the call.
        """
        if options.fresh or not isinstance(failure.failure(), _TROUBLE):
            return failure
        stale: dict[K, tuple[T, float]] = {}
        for key in missing:
            aged = self._l1.stale(key)
            if aged is None or not isinstance(aged[0], Success):
                return failure
            if aged[1] > self._strategy.stale_if_error_s:
                return failure
            stale[key] = (aged[0].unwrap(), aged[1])
        for key, (_, overdue_s) in stale.items():
            self._l1.hold_off(key)
            self._count(overdue_s)
        return Success(entities | {key: entity for key, (entity, _) in stale.items()})

    def failed(self, key: K, failure: Failure[RepositoryError], token: int) -> None:
        """After a read that found no row: that stands in for what was kept, and is kept."""
        if not isinstance(failure.failure(), NotFoundError):
            return
        negative_ttl_s = self._strategy.negative_ttl_s
        # Refused if the row was created meanwhile.
        if negative_ttl_s is not None and self._l1.fill(key, failure, token, ttl_s=negative_ttl_s):
            return
        if self._l1.stale(key) is not None:
            self._l1.invalidate(key)

    def _limited(
        self, key: K, load: Callable[[K], Fetched[T]], limit_s: float | None
    ) -> Fetched[T]:
        """What a read comes to that is waited for so long; it goes on."""
        if limit_s is None:
            return load(key)
        task = self._begin(key, load)
        if task is None:
            with deadline(limit_s):
                return load(key)
        task.ended.wait(min(limit_s, remaining_s()))
        if task.error is not None:
            raise task.error
        if task.found is None:
            error = late_load()
            error.operation, error.table = "get_by_id", self._table
            return Failure(error)
        return task.found

    def _begin(self, key: K, load: Callable[[K], Fetched[T]]) -> _Task[T] | None:
        """The read of a key in the background, begun if there is none; None if there are many."""
        # The token comes first: a read that began before a write is nobody's who asks after it.
        mine = _Task[T](self._l1.begin(key))
        with self._lock:
            if any(task.process != mine.process for task in self._tasks.values()):
                # A fork copies the tasks and not their threads.
                self._tasks.clear()
            task = self._tasks.get(key)
            if task is not None and self._l1.is_current(key, task.token):
                return task
            if len(self._tasks) >= BACKGROUND_MAX:
                return None
            self._tasks[key] = mine

        def run() -> None:
            try:
                mine.found = load(key)
            except BaseException as error:  # noqa: BLE001 - raised in whoever waits
                mine.error = error
            finally:
                with self._lock:
                    if self._tasks.get(key) is mine:
                        del self._tasks[key]
                mine.ended.set()

        thread = threading.Thread(target=run, name="tierline-reload", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left, or the interpreter is about to end.
            with self._lock:
                self._tasks.pop(key, None)
            return None
        return mine

    def _count(self, overdue_s: float) -> None:
        if overdue_s <= 0:
            # Only its early end has come.
            return
        with self._lock:
            self._answers += 1
            self._age_s_max = max(self._age_s_max, overdue_s)


def early_s(strategy: ReadThrough, rest_s: float, took_s: float) -> float:
    """How many seconds before its end an entity is to be read anew, by chance.

    XFetch draws at each read; drawn once, when the entity is kept, a hit needs no clock and no
    chance, and each process still has a moment of its own.
    """
    if strategy.eager_beta == 0:
        return 0.0
    drawn = took_s * strategy.eager_beta * -math.log(1.0 - random.random())  # noqa: S311
    soon_s = min(drawn, rest_s / 2)
    return soon_s if soon_s >= TTL_S_MIN else 0.0
