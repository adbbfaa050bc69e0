"""L1 from several threads: 95 % get and 5 % set on one cache, ours beside each peer.

A figure is the time from the first thread's start to the last one's end over the operations of all
threads together. With the GIL more threads get no more done; what is held is that they do not get
less done by waiting for each other. cachetools asks its users to hold a lock, so it is used so.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from caches import KINDS, PEERS, VALUE, Keys, Kind, installed_kinds
from measure import Contender, fresh
from workload import OURS, Workload, at_most, faster_than, workload
from world import World

_CAPACITY = 4096
# Odd, so that every key is set once in a thread's turn and not one in four of them often.
_FILLED = 1023
_GETS_A_SET = 19
_COUNTS = (1, 2, 3, 4)
# Several times as long as a thread may keep the GIL, which is 5 ms, so that it changes hands.
_SLICE_S = 0.03
_BARRIER_TIMEOUT_S = 10.0
# Every Python before 3.13 has one.
_HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

_ALONE = f"{OURS} alone"
"""Ours with one thread."""

Round = tuple[Keys, Any]
"""The keys to get, and the one to set after them."""


def _keys() -> list[str]:
    return [f"flight:{n}" for n in range(1000, 1000 + _FILLED)]


def _rounds(thread: int) -> list[Round]:
    """A thread's turn: each key is got 19 times and set once; each thread begins elsewhere."""
    keys, size = _keys(), _GETS_A_SET + 1
    first = thread * _FILLED // max(_COUNTS)
    turn = (keys[first:] + keys[:first]) * size
    return [(turn[at : at + size - 1], turn[at + size - 1]) for at in range(0, len(turn), size)]


def _assigning(cache: Any, rounds: Sequence[Round]) -> None:
    for asked, stored in rounds:
        for key in asked:
            cache.get(key)
        cache[stored] = VALUE


def _setting(cache: Any, rounds: Sequence[Round]) -> None:
    for asked, stored in rounds:
        for key in asked:
            cache.get(key)
        cache.set(stored, VALUE)


def _locking(lock: AbstractContextManager[object], cache: Any, rounds: Sequence[Round]) -> None:
    for asked, stored in rounds:
        for key in asked:
            with lock:
                cache.get(key)
        with lock:
            cache[stored] = VALUE


def _loop(kind: Kind) -> Callable[[Any, Sequence[Round]], None]:
    if kind.package == "cachetools":
        return partial(fresh(_locking), threading.Lock())
    return fresh(_assigning if kind.assigns else _setting)


class Threaded:
    """Threads on one cache that begin together."""

    def __init__(self, kind: Kind, threads: int) -> None:
        self._kind = kind
        self._cache = kind.make(_CAPACITY, None)
        kind.writes(self._cache, _keys(), None)()
        self._loop = _loop(kind)
        self._rounds = [_rounds(thread) for thread in range(threads)]
        self._repeats = 0

    def sample(self, slice_s: float) -> float:
        """Seconds an operation, from all threads."""
        if not self._repeats:
            self._run(1)
            once_s = self._run(1) * self._operations
            self._repeats = max(1, round(max(slice_s, _SLICE_S) / once_s))
        return self._run(self._repeats)

    def call(self) -> object:
        """The work once."""
        return self._run(1)

    def answer(self) -> object:
        """How many of the keys have their value after the threads."""
        self._run(1)
        return sum(self._kind.value(self._cache, key) is VALUE for key in _keys())

    @property
    def _operations(self) -> int:
        return sum(len(asked) + 1 for rounds in self._rounds for asked, _ in rounds)

    def _run(self, repeats: int) -> float:
        """Seconds an operation."""
        together = threading.Barrier(len(self._rounds))

        def turn(rounds: Sequence[Round]) -> tuple[float, float]:
            loop, cache = self._loop, self._cache
            together.wait(_BARRIER_TIMEOUT_S)
            began = time.perf_counter()
            for _ in range(repeats):
                loop(cache, rounds)
            return began, time.perf_counter()

        with ThreadPoolExecutor(len(self._rounds)) as pool:
            spans = list(pool.map(turn, self._rounds))
        elapsed_s = max(ended for _, ended in spans) - min(began for began, _ in spans)
        return elapsed_s / (repeats * self._operations)


def _threads(count: int) -> Workload:
    """Ours is faster than every peer; four threads take at most 1.15 of what one takes with a GIL.

    Without a GIL more threads ought to take less, and no figure is known yet to hold them to.
    """

    def build(_world: World) -> Mapping[str, Contender]:
        contenders: dict[str, Contender] = {
            name: Threaded(kind, count) for name, kind in installed_kinds().items()
        }
        if count == max(_COUNTS):
            contenders[_ALONE] = Threaded(KINDS[OURS], 1)
        return contenders

    budgets = [faster_than(*PEERS)]
    if count == max(_COUNTS) and _HAS_GIL:
        budgets.append(at_most(1.15, _ALONE))
    name = f"get and set by {count} thread{'s' if count > 1 else ''}"
    return workload("l1", name, "ns", *budgets, beside=("dict", _ALONE))(build)


WORKLOADS = tuple(_threads(count) for count in _COUNTS)
