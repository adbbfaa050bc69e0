"""Making connections to one server: with fresh credentials, in bounded time, as its circuit allows.

Who connects is psycopg's pool, in its own threads; it is given a class of connections that asks
here first. So every attempt to reach the server passes one place, whoever makes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakSet

import psycopg
from psycopg.conninfo import make_conninfo

from tierline.circuit import Circuit
from tierline.postgres.connection import Connection
from tierline.postgres.forking import disown, renew_in_children

Credentials = Callable[[], dict[str, str]]
"""Asked before each attempt; answers with libpq keywords, such as `{"password": …}`."""


class CircuitOpenError(psycopg.OperationalError):
    """No attempt was made: the last ones failed, and the next may be made later."""


class UnfitServerError(psycopg.OperationalError):
    """The server is there and must not be used: it is behind a newer primary."""


class Dialer:
    """Connects to one server; safe to share between threads.

    Args:
        conninfo: A libpq string that names one host.
        connect_timeout_s: Seconds an attempt may take, with what `prepare` does; libpq takes less
            than 2 as 2.
        prepare: Called with each new connection, to set it up; raising discards it.
        credentials: Asked before each attempt.
        on_change: Called with the circuit's states before and after, when it changes.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        connect_timeout_s: float,
        prepare: Callable[[Connection], None],
        credentials: Credentials | None = None,
        on_change: Callable[[Circuit, Circuit], None] | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._timeout_s = connect_timeout_s
        self._prepare = prepare
        self._credentials = credentials
        self._on_change = on_change
        self.last_error: psycopg.Error | None = None
        self._made: WeakSet[Connection] = WeakSet()
        self.renew()
        renew_in_children(self)
        self.connection_class: type[Connection] = type(
            "DialledConnection", (_Dialled,), {"dialer": self}
        )

    def renew(self) -> None:
        """Begin with a closed circuit and no connection, in the child of a fork."""
        disown(*self._made)
        self._made = WeakSet()
        self._lock = threading.Lock()
        self._circuit = Circuit()

    @property
    def circuit(self) -> Circuit:
        """The circuit at this moment."""
        return self._circuit

    def conninfo(self) -> str:
        """What to connect with now."""
        changes: dict[str, Any] = dict(self._credentials()) if self._credentials else {}
        # libpq counts whole seconds.
        changes["connect_timeout"] = max(2, round(self._timeout_s))
        return make_conninfo(self._conninfo, **changes)

    def made(self, connection: Connection) -> bool:
        """Whether a connection is one of this dialer's."""
        return isinstance(connection, self.connection_class)

    def check(self) -> None:
        """See whether a connection can be hoped for.

        Raises:
            CircuitOpenError: The circuit is open, and it is not yet time for the next attempt.
        """
        if not self._circuit.allows(time.monotonic()):
            raise self._refusal()

    def dial(self) -> Connection:
        """Make a connection.

        Raises:
            CircuitOpenError: The circuit does not allow an attempt now.
            psycopg.Error: The server cannot be reached, or refuses.
        """
        return self.connection_class.connect(self.conninfo(), autocommit=True)

    def attempt(self, connect: Callable[[], Connection]) -> Connection:
        """Connect, as the circuit allows, and tell the circuit how it went.

        Raises:
            CircuitOpenError: The circuit does not allow an attempt now.
            psycopg.Error: The server cannot be reached, or refuses.
        """
        began_s = time.monotonic()
        with self._lock:
            if not self._circuit.allows(began_s):
                raise self._refusal()
            self._circuit = self._circuit.attempted(began_s)
        try:
            connection = connect()
            self._set_up(connection)
        except psycopg.Error as error:
            self.last_error = error
            self._move(lambda circuit: circuit.failed(time.monotonic()))
            raise
        except BaseException:
            # Interrupted, or a fault of the caller's: it says nothing about the server.
            self._move(lambda circuit: circuit.failed(time.monotonic()))
            raise
        self._move(lambda _: Circuit())
        self._made.add(connection)
        return connection

    def _set_up(self, connection: Connection) -> None:
        connection.guard.begin(time.monotonic() + self._timeout_s)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if not connection.guard.end():
            connection.close()
            raise psycopg.OperationalError("the server takes connections and does not answer")

    def _move(self, change: Callable[[Circuit], Circuit]) -> None:
        with self._lock:
            before = self._circuit
            after = self._circuit = change(before)
        if before.state != after.state and self._on_change is not None:
            self._on_change(before, after)

    def _refusal(self) -> CircuitOpenError:
        refusal = CircuitOpenError("the server cannot be reached; it is tried once a second")
        refusal.__cause__ = self.last_error
        return refusal


class _Dialled(Connection):
    """A connection that is made by way of a dialer."""

    dialer: ClassVar[Dialer]

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
        return cls.dialer.attempt(lambda: super(_Dialled, cls).connect(conninfo, **kwargs))
