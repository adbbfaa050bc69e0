"""The server's clock: real time, and what a test adds to it instead of waiting."""

from __future__ import annotations

import datetime as dt
import threading
import time


class Clock:
    """Time for quotas, tokens and `modifiedTime`."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._last = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._mutex = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        with self._mutex:
            self._ahead_s += seconds

    def seconds(self) -> float:
        """Seconds since some moment; never less than before."""
        return time.monotonic() + self._ahead_s

    def stamp(self) -> str:
        """Now, as Drive writes it; later than any before, so that order is seen."""
        with self._mutex:
            now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._ahead_s)
            self._last = max(now, self._last + dt.timedelta(milliseconds=1))
            return (
                self._last.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self._last.microsecond // 1000:03}Z"
            )
