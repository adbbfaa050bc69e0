"""The pool of connections to one server: psycopg's, with the warmest connections kept in front.

`psycopg_pool` hands out the connection that has rested longest, so a single thread walks through
all of them, and each time meets a server process whose memory has gone cold: on two cores that
doubles the time of a point read. A few connections therefore rest in front of the pool, the last
used first. They go back to it after a while, for its checks of age.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec
from psycopg_pool import ConnectionPool, PoolTimeout

from tierline.postgres.connection import Connection

_WARM_MAX = 2
_WARM_S_MAX = 60.0
_CLOSE_TIMEOUT_S = 1.0


class PoolStats(msgspec.Struct, frozen=True):
    """The pool at one moment.

    Attributes:
        size: Connections open or being opened.
        idle: Connections waiting to be used.
        in_use: Connections lent out.
        waiting: Callers waiting for one.
    """

    size: int
    idle: int
    in_use: int
    waiting: int


class Pool:
    """Connections to one server; safe to share between threads.

    Args:
        conninfo: What to connect to.
        size: The most connections at a time.
        timeout_s: Seconds a caller waits for one.
        configure: Called with each new connection.

    Raises:
        PoolTimeout: The first connection could not be made in time.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        timeout_s: float,
        configure: Callable[[Connection], None],
    ) -> None:
        self.size = size
        self._warm: deque[Connection] = deque()
        self._lent: set[Connection] = set()
        self._waiting: set[int] = set()
        self._closed = False
        self._pool = ConnectionPool(
            conninfo,
            connection_class=Connection,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=size,
            timeout=timeout_s,
            configure=configure,
            name="tierline-l3",
            open=True,
        )
        try:
            # Or the first caller, finding none ready, would have a second one made.
            self._pool.wait(timeout_s)
        except PoolTimeout:
            self._pool.close(timeout=_CLOSE_TIMEOUT_S)
            raise

    @property
    def in_use(self) -> int:
        """Connections lent out."""
        return len(self._lent)

    def take(self) -> Connection:
        """Borrow a connection.

        Raises:
            PoolTimeout: None became free in time.
            PoolClosed: The pool is closed.
        """
        connection = self._warmest() or self._wait()
        self._lent.add(connection)
        return connection

    def give_back(self, connection: Connection, *, well: bool, now_s: float) -> None:
        """Return a borrowed connection.

        Args:
            connection: What `take` answered with.
            well: Whether its last command succeeded; else psycopg's pool looks it over.
            now_s: The monotonic time, about.
        """
        self._lent.discard(connection)
        if well and connection.pgconn.parameter_status(b"client_encoding") != b"UTF8":
            # Somebody's SQL changed it: texts would silently become others for whoever is next.
            # (What fails is rolled back, and the setting with it.)
            connection.close()
            well = False
        rested_s = now_s - connection.warm_since_s
        if not well or rested_s > _WARM_S_MAX or len(self._warm) >= _WARM_MAX:
            self._pool.putconn(connection)
            return
        self._warm.append(connection)
        # Somebody may have begun to wait, or to close, between the look and the append. They look
        # here after announcing themselves, and we look at them after the append: one of us sees.
        if self._waiting or self._closed:
            self._cool_down()

    def drain(self) -> None:
        """Close the idle connections; those lent out follow when they come back."""
        self._cool_down()
        self._pool.drain()

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        measured = self._pool.get_stats()
        return PoolStats(
            size=measured.get("pool_size", 0),
            idle=measured.get("pool_available", 0) + len(self._warm),
            in_use=len(self._lent),
            waiting=len(self._waiting),
        )

    def close(self) -> None:
        """Close every connection that is not lent out; the others when they come back."""
        self._closed = True
        self._cool_down()
        self._pool.close(timeout=_CLOSE_TIMEOUT_S)

    def _warmest(self) -> Connection | None:
        try:
            return self._warm.pop()
        except IndexError:
            return None

    def _wait(self) -> Connection:
        """Take from psycopg's pool, which makes a connection or waits for one."""
        thread = threading.get_ident()
        self._waiting.add(thread)
        try:
            # One may have come to rest in front before we announced ourselves.
            connection = self._warmest()
            if connection is None:
                connection = self._pool.getconn()
                connection.warm_since_s = time.monotonic()
            return connection
        finally:
            self._waiting.discard(thread)

    def _cool_down(self) -> None:
        """Give the connections in front back to psycopg's pool."""
        while (connection := self._warmest()) is not None:
            self._pool.putconn(connection)
