"""A process that reads and writes rows through every tier, and notes when it saw which version.

Each row has one writer, who counts its versions up. The clock is the system's monotonic one, the
same in every process. Run as `python -m tests.chaos.observer OPTIONS`, it ends when its input does.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from tests.chaos.conftest import ENTRIES, Entry

import tierline as tl

CACHED = tl.read_through(ttl_s=600)
_FLUSH_S = 0.1
_PAUSE_S = 0.004


class Options(msgspec.Struct, frozen=True):
    """What a process is told.

    Attributes:
        url: The primary.
        replicas: What follows it.
        redis: L2.
        log: Where it writes what it saw.
        writer: Its number.
        mine: The rows that it writes.
        rows: All rows.
        max_staleness_s: The bound.
        backplane: Which.
    """

    url: str
    replicas: list[str]
    redis: str | None
    log: str
    writer: int
    mine: list[int]
    rows: list[int]
    max_staleness_s: float
    backplane: Literal["postgres", "redis"] = "postgres"


class Seen(msgspec.Struct, frozen=True, tag=True):
    """When the last read began that found this version."""

    row: int
    n: int
    began_s: float


class Written(msgspec.Struct, frozen=True, tag=True):
    """When a version was acknowledged."""

    row: int
    n: int
    acknowledged_s: float


class Behind(msgspec.Struct, frozen=True, tag=True):
    """A read found less than its own process had written before."""

    row: int
    n: int
    expected: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A read failed."""

    row: int
    error: str


Note = Seen | Written | Behind | Failed


class Observer:
    """One process."""

    def __init__(self, options: Options, store: tl.Store) -> None:
        self._options = options
        self._store = store
        self._entries = tl.repository(store, ENTRIES, cache=CACHED)
        self._acknowledged = dict.fromkeys(options.mine, -1)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, int], float] = {}
        self._notes: list[Note] = []

    def run(self) -> None:
        """Read and write until the input ends."""
        threads = [
            threading.Thread(target=target) for target in (self._read, self._read, self._write)
        ]
        for thread in threads:
            thread.start()
        ended = threading.Thread(target=self._wait, daemon=True)
        ended.start()
        with Path(self._options.log).open("ab") as log:
            while not self._stop.wait(_FLUSH_S):
                self._flush(log)
            for thread in threads:
                thread.join(20)
            self._flush(log)

    def _wait(self) -> None:
        sys.stdin.read()
        self._stop.set()

    def _flush(self, log: Any) -> None:
        with self._lock:
            seen, self._seen = self._seen, {}
            notes, self._notes = self._notes, []
        notes += [Seen(row, n, began_s) for (row, n), began_s in seen.items()]
        log.writelines(msgspec.json.encode(note) + b"\n" for note in notes)
        log.flush()

    def _read(self) -> None:
        while not self._stop.is_set():
            for row in self._options.rows:
                expected = self._acknowledged.get(row, -1)
                began_s = time.monotonic()
                found = self._entries.get_by_id(row)
                with self._lock:
                    if isinstance(found, tl.Failure):
                        self._notes.append(Failed(row, repr(found.failure())[:200]))
                        continue
                    n = found.unwrap().n
                    self._seen[row, n] = max(began_s, self._seen.get((row, n), 0.0))
                    if n < expected:
                        self._notes.append(Behind(row, n, expected))
            time.sleep(0.0005)

    def _write(self) -> None:
        options = self._options
        plain = tl.repository(self._store, ENTRIES)
        counts = {row: plain.get_by_id(row).unwrap().n for row in options.mine}
        turn = 0
        while not self._stop.is_set():
            for row in options.mine:
                turn += 1
                entry = Entry(row, options.writer, counts[row] + 1)
                done = self._transaction(entry) if turn % 5 == 0 else self._entries.update(entry)
                if isinstance(done, tl.Success):
                    counts[row] += 1
                    self._acknowledged[row] = counts[row]
                    with self._lock:
                        self._notes.append(Written(row, counts[row], time.monotonic()))
                else:
                    # It may have happened.
                    counts[row] = plain.get_by_id(row).map(lambda e: e.n).value_or(counts[row])
                time.sleep(_PAUSE_S)

    def _transaction(self, entry: Entry) -> tl.Result[Entry, tl.RepositoryError]:
        def write(tx: tl.Transaction) -> tl.Result[Entry, tl.RepositoryError]:
            done = tl.repository(tx, ENTRIES).update(entry)
            time.sleep(0.01)
            return done

        return self._store.transaction(write)


def main() -> None:
    """Run one process."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    with tl.open(
        options.url,
        replicas=options.replicas,
        reads=tl.reads("round-robin") if options.replicas else None,
        redis=options.redis,
        backplane=options.backplane,
        max_staleness_s=options.max_staleness_s,
        timeout_s=10,
    ) as store:
        Observer(options, store).run()


if __name__ == "__main__":
    main()
