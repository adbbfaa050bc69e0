"""The watchdog: ends calls that outlive their deadline, whatever the server does.

Neither TCP keepalive nor `tcp_user_timeout` frees a thread from a server that is frozen, because
its kernel goes on acknowledging. The watchdog asks the server to cancel the statement, and shuts
the socket if that has brought no answer within `GRACE_S`.

A call costs two assignments and an uncontended lock. The thread sleeps until the earliest deadline
that it knows, and a call wakes it only if its own is earlier.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_S = 0.05
"""Seconds for the server to cancel what is overdue before the socket is shut."""

_NAP_S_MAX = 1.0
_IDLE_NAPS_MAX = 30
_CANCELS_MAX = 16

_log = logging.getLogger("tierline.postgres")


class Guard:
    """The deadline of what one connection is doing.

    Args:
        watchdog: Who looks after it.
        fileno: The connection's socket. It is duplicated: a number that was closed meanwhile may
            belong to somebody else's file.
        cancel: Asks the server to end the statement; it may block for a second.

    Attributes:
        overdue: Whether a call outlived its deadline. The connection must not be used again: a
            cancellation under way would hit the next statement.
    """

    __slots__ = ("_cancel", "_due_s", "_lock", "_shut_s", "_socket", "_watchdog", "overdue")

    def __init__(self, watchdog: Watchdog, fileno: int, cancel: Callable[[], None]) -> None:
        self._watchdog = watchdog
        self._cancel = cancel
        self._socket = socket.socket(fileno=os.dup(fileno))
        self._lock = threading.Lock()
        self._due_s = math.inf
        self._shut_s = math.inf
        self.overdue = False
        watchdog.watch(self)

    def begin(self, due_s: float) -> None:
        """A call begins that must have ended at this monotonic time."""
        self._due_s = due_s
        if due_s < self._watchdog.wakes_s:
            self._watchdog.wake()

    def end(self) -> bool:
        """The call has ended; whether it was in time."""
        with self._lock:
            self._due_s = math.inf
        return not self.overdue

    def close(self) -> None:
        """The connection is closed."""
        self._watchdog.forget(self)
        with self._lock:
            self._due_s = math.inf
            self._socket.close()

    def disown(self) -> None:
        """Close this process's copy of the socket; the parent of a fork goes on using its own."""
        self._socket.close()

    def look(self, now_s: float) -> float:
        """Act if the call is overdue; when to look again."""
        if self._due_s > now_s:
            return self._due_s
        with self._lock:
            if self._due_s > now_s:
                # It ended while the lock was taken, so nothing of it is touched any more.
                return self._due_s
            if not self.overdue:
                self.overdue = True
                self._shut_s = now_s + GRACE_S
                self._watchdog.cancel(self._cancel)
            elif now_s >= self._shut_s:
                self._shut_s = math.inf
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            return self._shut_s


class Watchdog:
    """Looks after the connections of one process; the thread starts with the first of them."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with no thread and nothing to look after; also in the child of a fork."""
        self.wakes_s = math.inf
        self._guards: set[Guard] = set()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._cancels = threading.BoundedSemaphore(_CANCELS_MAX)
        self._thread: threading.Thread | None = None

    def watch(self, guard: Guard) -> None:
        """Look after a connection."""
        with self._lock:
            self._guards.add(guard)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="tierline-watchdog", daemon=True
                )
                self._thread.start()

    def forget(self, guard: Guard) -> None:
        """Look after it no longer."""
        with self._lock:
            self._guards.discard(guard)

    def wake(self) -> None:
        """Something is due earlier than was known."""
        self._woken.set()

    def cancel(self, action: Callable[[], None]) -> None:
        """Run a cancellation beside; its server may be the one that does not answer."""
        # More than a few at once, and it is the server that is in trouble, not a statement.
        if not self._cancels.acquire(blocking=False):
            return

        def run() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - whatever it is, the socket is shut anyway
                _log.debug("a cancellation failed: %s", type(error).__name__)
            finally:
                self._cancels.release()

        threading.Thread(target=run, name="tierline-cancel", daemon=True).start()

    def _run(self) -> None:
        idle_naps = 0
        while True:
            self._woken.clear()
            # Whoever begins during the look wakes us again, as it may have been overlooked.
            self.wakes_s = math.inf
            with self._lock:
                guards = tuple(self._guards)
            now_s = time.monotonic()
            next_s = min((guard.look(now_s) for guard in guards), default=math.inf)
            idle_naps = idle_naps + 1 if next_s == math.inf else 0
            if idle_naps <= _IDLE_NAPS_MAX:
                # Napping on is cheaper than being woken by each of many calls in a row.
                next_s = min(next_s, now_s + _NAP_S_MAX)
            self.wakes_s = next_s
            del guards
            self._woken.wait(None if next_s == math.inf else max(0.0, next_s - time.monotonic()))


WATCHDOG = Watchdog()
"""The watchdog of this process."""

# A child has neither the thread nor the right to use its parent's connections.
os.register_at_fork(after_in_child=WATCHDOG.restart)
