"""What is counted of L2."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec

from tierline.cache.round_trips import RoundTrips


class L2Stats(msgspec.Struct, frozen=True):
    """L2's counters since the store was opened.

    Attributes:
        hits: Reads it answered.
        misses: Reads it could not answer.
        fills: Values it took.
        refused_fills: Values that came too late.
        invalidations: Names it was told to forget.
        errors: Calls that failed.
        skipped: Calls that were not made: it is left alone, or the deadline is near.
        round_trips: How often a server was asked; one trip may ask for many values.
        bytes_read: Of the values it answered with, as it keeps them.
        bytes_written: Of the values it was given, as it keeps them.
        payload_bytes: The same before they were framed, compressed and encrypted.
    """

    hits: int
    misses: int
    fills: int
    refused_fills: int
    invalidations: int
    errors: int
    skipped: int
    round_trips: int
    bytes_read: int
    bytes_written: int
    payload_bytes: int


class L2Counters:
    """The counters of one L2; safe to share between threads.

    Args:
        trips: What its client counts.
    """

    def __init__(self, trips: RoundTrips) -> None:
        self._trips = trips
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(L2Stats.__struct_fields__, 0)

    def count(self, name: str, number: int = 1) -> None:
        """Count something by its name in `L2Stats`."""
        with self._lock:
            self._counts[name] += number

    def answered(self, *, hits: int, misses: int, read_bytes: int) -> None:
        """Count what reads were answered with."""
        with self._lock:
            counts = self._counts
            counts["hits"] += hits
            counts["misses"] += misses
            counts["bytes_read"] += read_bytes

    def given(self, sizes: Iterable[tuple[int, int]], answers: Iterable[object | None]) -> None:
        """Count the values of fills that were answered, whether they were kept or refused.

        Args:
            sizes: How many bytes each has as it is kept, and before.
            answers: What Redis said of each; None if it did not.
        """
        given = [size for size, answer in zip(sizes, answers, strict=True) if answer is not None]
        with self._lock:
            self._counts["bytes_written"] += sum(kept for kept, _ in given)
            self._counts["payload_bytes"] += sum(before for _, before in given)

    def stats(self) -> L2Stats:
        """The counters now."""
        with self._lock:
            counts = {**self._counts, "round_trips": self._trips.number}
        return L2Stats(**counts)
