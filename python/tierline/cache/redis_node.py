"""One Redis server: its kept connections, and a circuit that opens at the first sign of trouble.

An open circuit is not tried by callers, who would have to wait: `probe` is called from beside.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from tierline.cache.redis_faults import OPENING, RedisFaultError, ReplyError, fault_of
from tierline.cache.redis_url import Login, Place
from tierline.cache.redis_wire import Wire, pack
from tierline.circuit import Circuit
from tierline.deadline import due_s

TIMEOUT_S = 0.2
"""The most that Redis may take of one call. redis-py's own limits would block for a minute."""

_IDLE_MAX = 64
_FAILURES_MAX = 1

_PING = pack("PING")


class Answers(NamedTuple):
    """What a server answered to several commands, and the reign under which it did."""

    replies: list[Any]
    reign: str


class Node:
    """A server; safe to share between threads.

    Attributes:
        place: Where it listens.
        circuit: Whether it is asked at all.

    Args:
        place: Where it listens.
        login: How to begin on a connection.
        failed: Told when the circuit opens.
    """

    def __init__(self, place: Place, login: Login, failed: Callable[[], None]) -> None:
        self.place = place
        self.circuit = Circuit()
        self._login = login
        self._tell = failed
        self._idle: deque[Wire] = deque()
        self._lock = threading.Lock()

    def ask(self, request: bytes, count: int) -> Answers:
        """The answers to so many commands, in `TIMEOUT_S` or up to the context's deadline.

        Errors that Redis answers with are among them, if they do not open the circuit.

        Raises:
            RedisFaultError: There are none. What was asked may have been done.
        """
        if self.circuit.opened_s is not None:
            raise RedisFaultError("open")
        now_s = time.monotonic()
        until_s = min(now_s + TIMEOUT_S, due_s())
        if until_s <= now_s:
            raise RedisFaultError("late")
        try:
            try:
                wire = self._idle.pop()
            except IndexError:
                wire = self._connect(until_s)
            try:
                replies = wire.exchange(request, count, now_s, until_s)
            except ConnectionError:
                # It was closed while it was kept, and so perhaps were others.
                wire.close()
                self.drop_connections()
                wire = self._connect(until_s)
                replies = wire.exchange(request, count, now_s, until_s)
        except Exception as error:
            raise self._failed(error, until_s - now_s) from error
        self._keep(wire)
        for reply in replies:
            if type(reply) is ReplyError and fault_of(reply) in OPENING:
                raise self._failed(reply, TIMEOUT_S)
        return Answers(replies, wire.reign)

    def probe(self) -> bool:
        """Try a server whose circuit is open, if a pause has gone by; whether it answers."""
        with self._lock:
            now_s = time.monotonic()
            if not self.circuit.allows(now_s):
                return False
            self.circuit = self.circuit.attempted(now_s)
        try:
            until_s = now_s + TIMEOUT_S
            wire = self._connect(until_s)
            (reply,) = wire.exchange(_PING, 1, now_s, until_s)
            if isinstance(reply, ReplyError):
                wire.close()
                raise RedisFaultError(fault_of(reply))  # noqa: TRY301 (it fails as the others do)
        except Exception:  # noqa: BLE001 (whatever it is, the server cannot be used)
            self._open(time.monotonic())
            return False
        self._keep(wire)
        with self._lock:
            self.circuit = self.circuit.succeeded()
        return True

    def drop_connections(self) -> None:
        """Close the connections that are kept."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def renew(self) -> None:
        """Begin anew in a child process: close what it inherited, which the parent still uses."""
        self._lock = threading.Lock()
        self.circuit = Circuit()
        self.drop_connections()

    def _connect(self, until_s: float) -> Wire:
        return Wire(self.place, self._login, until_s, has_role=True)

    def _keep(self, wire: Wire) -> None:
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(wire)
        else:
            wire.close()

    def _failed(self, error: Exception, given_s: float) -> RedisFaultError:
        fault = fault_of(error)
        if fault == "frozen" and given_s < TIMEOUT_S:
            # It was given less time than it may take: that says nothing of it.
            return RedisFaultError("late")
        # What is no answer to a command went wrong with the connection, or before there was one.
        if fault in OPENING or not isinstance(error, ReplyError):
            self.drop_connections()
            self._open(time.monotonic())
        return RedisFaultError(fault)

    def _open(self, now_s: float) -> None:
        with self._lock:
            self.circuit = self.circuit.failed(now_s, _FAILURES_MAX)
        self._tell()

    def __repr__(self) -> str:
        return f"<Node {self.place} {self.circuit.state}>"
