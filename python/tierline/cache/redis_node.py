"""One Redis server: its kept connections, and a circuit that opens at the first sign of trouble.

An open circuit is not tried by callers, who would have to wait: `probe` is called from beside.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import redis

from tierline.cache.redis_faults import OPENING, RedisFaultError, fault_of
from tierline.cache.redis_limits import LIMIT_S, limit_s
from tierline.cache.redis_url import Login, Place
from tierline.cache.redis_wire import Wire, pack
from tierline.cache.round_trips import RoundTrips
from tierline.circuit import Circuit

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
        reign: The last that is known; None before the server was asked.

    Args:
        place: Where it listens.
        login: How to begin on a connection.
        failed: Told when the circuit opens.
        trips: Counts what is asked of it, but not probes.
    """

    def __init__(
        self, place: Place, login: Login, failed: Callable[[], None], trips: RoundTrips
    ) -> None:
        self.place = place
        self.circuit = Circuit()
        self.reign: str | None = None
        self._login = login
        self._tell = failed
        self._trips = trips
        self._idle: deque[Wire] = deque()
        self._lock = threading.Lock()

    def ask(
        self, request: bytes, count: int, *, least_s: float = 0.0, within_s: float | None = None
    ) -> Answers:
        """The answers to so many commands, as soon as `limit_s` says.

        Errors that Redis answers with are among them, if they do not open the circuit.

        Args:
            request: The commands, packed.
            count: How many they are.
            least_s: Time that they are given whatever the caller's deadline is.
            within_s: Time that they are given instead; then nothing is sent a second time.

        Raises:
            RedisFaultError: There are none. What was asked may have been done.
        """
        if self.circuit.opened_s is not None:
            raise RedisFaultError("open")
        now_s = time.monotonic()
        given_s = (limit_s() or least_s) if within_s is None else within_s
        if not given_s:
            raise RedisFaultError("late")
        until_s = now_s + given_s
        try:
            wire, is_kept = self._take(until_s, is_checked=within_s is not None)
            self._trips.add()
            try:
                replies = wire.exchange(request, count, now_s, until_s)
            except redis.ConnectionError:
                if not is_kept or within_s is not None:
                    raise
                # It was closed while it was kept, and so perhaps were others.
                self.drop_connections()
                wire = self._connect(until_s)
                self._trips.add()
                replies = wire.exchange(request, count, now_s, until_s)
        except Exception as error:
            raise self._failed(error) from error
        self._keep(wire)
        for reply in replies:
            if isinstance(reply, redis.ResponseError) and fault_of(reply) in OPENING:
                raise self._failed(reply)
        return Answers(replies, wire.reign)

    def known_reign(self) -> str:
        """The reign of the server, as it was when it was last asked.

        Raises:
            RedisFaultError: It cannot be asked.
        """
        reign = self.reign
        if reign is None or self.circuit.opened_s is not None:
            reign = self.ask(_PING, 1).reign
        return reign

    def probe(self) -> bool:
        """Try a server whose circuit is open, if a pause has gone by; whether it answers."""
        with self._lock:
            now_s = time.monotonic()
            if not self.circuit.allows(now_s):
                return False
            self.circuit = self.circuit.attempted(now_s)
        try:
            until_s = now_s + LIMIT_S
            wire = self._connect(until_s)
            (reply,) = wire.exchange(_PING, 1, now_s, until_s)
            if isinstance(reply, redis.ResponseError):
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

    def _take(self, until_s: float, *, is_checked: bool) -> tuple[Wire, bool]:
        """A connection, and whether it had been kept."""
        while True:
            try:
                wire = self._idle.pop()
            except IndexError:
                return self._connect(until_s), False
            if not (is_checked and wire.is_closed()):
                return wire, True
            wire.close()

    def _connect(self, until_s: float) -> Wire:
        return Wire(self.place, self._login, until_s, self._noted)

    def _noted(self, reign: str) -> None:
        if reign != self.reign:
            # What the kept connections know of it is older.
            self.drop_connections()
        self.reign = reign

    def _keep(self, wire: Wire) -> None:
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(wire)
        else:
            wire.close()

    def _failed(self, error: Exception) -> RedisFaultError:
        fault = fault_of(error)
        # What is no answer to a command went wrong with the connection, or before there was one.
        if fault in OPENING or not isinstance(error, redis.ResponseError):
            self.drop_connections()
            self._open(time.monotonic())
        return RedisFaultError(fault)

    def _open(self, now_s: float) -> None:
        with self._lock:
            self.circuit = self.circuit.failed(now_s, _FAILURES_MAX)
        self._tell()

    def __repr__(self) -> str:
        return f"<Node {self.place} {self.circuit.state}>"
