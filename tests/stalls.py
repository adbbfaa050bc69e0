"""How long this machine stood still, which a bound on time is not to blame on what it bounds."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import final

NAP_S = 0.005
# A thread that naps always wakes a little late.
PUNCTUAL_S = 0.002


@final
class Stalls:
    """The times at which a thread that naps for 5 ms woke late; made by `watching_stalls`."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._due_s = time.monotonic() + NAP_S
        self._found: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def note(self, due_s: float, woke_s: float) -> None:
        """Remember that it should have woken then, and did at another time."""
        with self._lock:
            if woke_s - due_s > PUNCTUAL_S:
                self._found.append((due_s, woke_s))
            self._due_s = woke_s + NAP_S

    def seconds(self, from_s: float, until_s: float | None = None) -> float:
        """For how long the machine stood still between two moments of the monotonic clock.

        Each stall counts, for each may have been waited for: when the one who notices a deadline
        wakes late, and then the one who is told.

        Args:
            from_s: When. What is late by then is not blamed for what comes later.
            until_s: Until when; the present without it.
        """
        until_s = time.monotonic() if until_s is None else until_s
        with self._lock:
            # The last one is still asleep, too long perhaps.
            last = (self._due_s, max(self._due_s, until_s))
            found = [*self._found, *([last] if last[1] - last[0] > PUNCTUAL_S else [])]
        return sum(max(0.0, min(until_s, woke) - max(from_s, due)) for due, woke in found)

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            due_s = time.monotonic() + NAP_S
            time.sleep(NAP_S)
            self.note(due_s, time.monotonic())


@contextmanager
def no_collections() -> Generator[None]:
    """Have no garbage collected during a block whose processor time is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def watching_stalls() -> Generator[Stalls]:
    """Watch for a block."""
    stalls = Stalls()
    try:
        yield stalls
    finally:
        stalls.stop()
