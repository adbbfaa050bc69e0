"""How often a client asked a server, for the statistics."""

from __future__ import annotations

import threading


class RoundTrips:
    """A count; safe to share between threads, and with what a process forks.

    Attributes:
        number: What was sent and waited for, however many commands it held.
    """

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one."""
        with self._lock:
            self.number += 1

    def renew(self) -> None:
        """Begin anew in a child process: another thread may have held the lock."""
        self._lock = threading.Lock()
