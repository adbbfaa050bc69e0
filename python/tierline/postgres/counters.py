"""What L3 counts of its operations."""

from __future__ import annotations

import threading

import msgspec


class Reads(msgspec.Struct, frozen=True):
    """L3's counters since the store was opened.

    Attributes:
        found: Reads that answered with a row.
        empty: Reads that answered with none.
        errors: Operations that failed.
    """

    found: int
    empty: int
    errors: int


class Counters:
    """Counts operations across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = self._empty = self._errors = 0

    def read(self, *, found: bool) -> None:
        """A read succeeded."""
        with self._lock:
            if found:
                self._found += 1
            else:
                self._empty += 1

    def error(self) -> None:
        """An operation failed."""
        with self._lock:
            self._errors += 1

    def reads(self) -> Reads:
        """The counters at this moment."""
        with self._lock:
            return Reads(self._found, self._empty, self._errors)
