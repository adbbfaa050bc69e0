"""Readers and a writer that go on while Redis is mistreated, and what they saw.

What a store wrote it must never read older again, whatever Redis does; another store may read old
for as long as the first could not tell Redis, so it is only asked for answers.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.chaos.conftest import ENTRIES, Entry

import tierline as tl

_KEYS = range(1, 9)
_PAUSE_S = 0.001


class Read(NamedTuple):
    """A read: when it began, what it took, and whether the circuit was open by then."""

    began_s: float
    cost_s: float
    is_open: bool


class Load:
    """One writer and two readers on one store, for a block; a reader on another.

    Attributes:
        reads: Every read of the first store.
        failures: Answers that were a `Failure`.
        wrong: Reads older than a write that had been acknowledged: key, floor, what was read.
    """

    def __init__(self, store: tl.Store, other: tl.Store | None = None) -> None:
        self.store = store
        self.reads: list[Read] = []
        self.failures: list[Any] = []
        self.wrong: list[tuple[int, int, int]] = []
        # L1 keeps one entry, so that nearly every read asks L2.
        strategy = tl.read_through(ttl_s=60, max_entries=1)
        self._entries = tl.repository(store, ENTRIES, cache=strategy)
        self._floor = dict.fromkeys(_KEYS, 0)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._write),
            *(threading.Thread(target=self._read) for _ in range(2)),
        ]
        if other is not None:
            elsewhere = tl.repository(other, ENTRIES, cache=strategy)
            self._threads.append(threading.Thread(target=self._ask, args=(elsewhere,)))

    def __enter__(self) -> Self:
        self._entries.create_many(Entry(key, 0, 0) for key in _KEYS).unwrap()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def is_open(self) -> bool:
        """Whether the circuit of a server is open."""
        assert self.store.caches.l2 is not None
        nodes = self.store.caches.l2.client._route.nodes()
        return any(node.circuit.opened_s is not None for node in nodes)

    def hits(self) -> int:
        """Hits in L2 of the first store."""
        assert self.store.caches.l2 is not None
        return self.store.caches.l2.stats().hits

    def wait_for_hits(self, limit_s: float = 60) -> None:
        """Wait until L2 answers again."""
        hits, until_s = self.hits(), time.monotonic() + limit_s
        while self.hits() < hits + 20:
            assert time.monotonic() < until_s, "L2 is not used again"
            time.sleep(0.01)

    def check(self) -> None:
        """Nothing failed, and nothing was older than what had been written."""
        assert self.failures == []
        assert self.wrong == []
        assert len(self.reads) > 100

    def _write(self) -> None:
        number = 0
        while not self._over.wait(5 * _PAUSE_S):
            number += 1
            for key in _KEYS:
                written = self._entries.update(Entry(key, 0, number))
                if isinstance(written, tl.Failure):
                    self.failures.append(written)
                else:
                    self._floor[key] = number
                if self._over.wait(_PAUSE_S):
                    return

    def _read(self) -> None:
        while not self._over.is_set():
            for key in _KEYS:
                floor, is_open, began_s = self._floor[key], self.is_open, time.monotonic()
                answer = self._entries.get_by_id(key)
                self.reads.append(Read(began_s, time.monotonic() - began_s, is_open))
                match answer:
                    case tl.Success(entry):
                        if entry.n < floor:
                            self.wrong.append((key, floor, entry.n))
                    case _:
                        self.failures.append(answer)
                time.sleep(_PAUSE_S)

    def _ask(self, entries: tl.Repository[Entry, int]) -> None:
        while not self._over.wait(_PAUSE_S):
            for key in _KEYS:
                if isinstance(answer := entries.get_by_id(key), tl.Failure):
                    self.failures.append(answer)


def p99_s(reads: list[Read]) -> float:
    """What 99 of 100 reads took at most."""
    costs = sorted(read.cost_s for read in reads)
    return costs[int(len(costs) * 0.99)] if costs else 0.0
