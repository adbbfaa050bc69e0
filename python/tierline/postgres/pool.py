"""The pool of connections to one server: psycopg's, with the warmest connections kept in front.

`psycopg_pool` hands out the connection that has rested longest, so a single thread walks through
all of them, and each time meets a server process whose memory has gone cold: on two cores that
doubles the time of a point read. A few connections therefore rest in front of the pool, the last
used first. They go back to it after a while, for its checks of age.

Whether a connection that has rested still lives is asked of its socket, not of the server: an ended
session has left its last words there.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import msgspec
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from tierline.postgres.connection import Connection
from tierline.postgres.dialing import Dialer
from tierline.postgres.forking import disown, renew_in_children

_WARM_MAX = 2
_WARM_S_MAX = 60.0
_CLOSE_TIMEOUT_S = 1.0

# A connection that was used this short a time ago is taken to live.
_FRESH_S = 0.02

# A waiting caller looks this often whether the server can be reached at all.
_LOOK_S = 0.5
_LOOK_IN_TROUBLE_S = 0.1


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections a pool keeps, and for how long.

    Attributes:
        size: The most connections at a time.
        size_min: Connections kept open when nobody uses them; those beyond it close after `idle_s`.
        waiting_max: Callers that may wait for a connection; further ones are refused at once.
        lifetime_s: Seconds after which a connection is replaced, about, so that not all are at
            once.
        idle_s: Seconds of rest after which a connection beyond `size_min` is closed.
    """

    size: int = 8
    size_min: int = 1
    waiting_max: int = 1000
    lifetime_s: float = 3600.0
    idle_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("size", "waiting_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.size_min <= self.size:
            raise ValueError(f"size_min must lie between 0 and size, not {self.size_min}")
        for name in ("lifetime_s", "idle_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


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
        dialer: Makes them.
        options: How many, and for how long.

    It connects when it is first used, or waited for.
    """

    def __init__(self, dialer: Dialer, options: PoolOptions) -> None:
        self.options = options
        self._dialer = dialer
        self._closed = False
        self._start()
        renew_in_children(self)

    def _start(self) -> None:
        self._warm: deque[Connection] = deque()
        self._lent: set[Connection] = set()
        self._waiting: set[int] = set()
        self._drained_s = 0.0
        self._opening = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None

    def renew(self) -> None:
        """Begin with no connection, in the child of a fork, which may never need one."""
        disown(self._pool)
        self._start()

    def wait(self, timeout_s: float) -> None:
        """Wait until `size_min` connections are open.

        Raises:
            PoolTimeout: They were not in time. The pool is closed then.
        """
        try:
            # Or the first caller, finding none ready, would have a second one made.
            self._open().wait(timeout_s)
        except PoolTimeout:
            self.close()
            raise

    @property
    def in_use(self) -> int:
        """Connections lent out."""
        return len(self._lent)

    def take(self, now_s: float, due_s: float) -> Connection:
        """Borrow a connection; the watchdog ends what is done with it when it is due.

        Args:
            now_s: The monotonic time.
            due_s: When the caller must be done.

        Raises:
            PoolTimeout: None became free in time.
            TooManyRequests: Too many wait already.
            CircuitOpenError: The server cannot be reached.
            PoolClosed: The pool is closed.
        """
        connection = self._warmest() or self._wait(due_s)
        while now_s - connection.rested_since_s > _FRESH_S and connection.has_news:
            connection = self._another(connection, due_s)
        connection.guard.begin(due_s)
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
        connection.rested_since_s = now_s
        in_time = connection.guard.end()
        # If not in time, a cancellation may be under way, and would hit whoever uses it next. If
        # the encoding was changed by somebody's SQL, texts would silently become others. (What
        # fails is rolled back, and the setting with it.)
        if not in_time or (
            well and connection.pgconn.parameter_status(b"client_encoding") != b"UTF8"
        ):
            connection.close()
            well = False
        rested_s = now_s - connection.warm_since_s
        if not well or rested_s > _WARM_S_MAX or len(self._warm) >= _WARM_MAX:
            _send_home(connection)
            return
        self._warm.append(connection)
        # Somebody may have begun to wait, or to close, between the look and the append. They look
        # here after announcing themselves, and we look at them after the append: one of us sees.
        if self._waiting or self._closed:
            self._cool_down()

    def resize(self, options: PoolOptions) -> None:
        """Keep more or fewer connections from now on.

        Those lent out are closed when they come back; until then both are open.
        """
        with self._opening:
            before, self._pool, self.options = self._pool, self._make(options), options
        self._cool_down()
        if before is not None:
            before.close(timeout=_CLOSE_TIMEOUT_S)

    def drain(self, because: Connection | None = None) -> None:
        """Close the idle connections; those lent out follow when they come back.

        Args:
            because: A connection whose end is the reason. Those made since the last time are
                spared, if it is older.
        """
        if because is not None and because.made_s <= self._drained_s:
            return
        self._drained_s = time.monotonic()
        self._cool_down()
        self._open().drain()

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        measured = self._pool.get_stats() if self._pool is not None else {}
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
        if self._pool is not None:
            self._pool.close(timeout=_CLOSE_TIMEOUT_S)

    def _open(self) -> ConnectionPool[Connection]:
        """The pool of psycopg, made when first needed."""
        if self._pool is None:
            with self._opening:
                if self._closed:
                    raise PoolClosed("the pool is closed")
                if self._pool is None:
                    self._pool = self._make(self.options)
        return self._pool

    def _make(self, options: PoolOptions) -> ConnectionPool[Connection]:
        return ConnectionPool(
            self._dialer.conninfo,
            connection_class=self._dialer.connection_class,
            kwargs={"autocommit": True},
            min_size=options.size_min,
            max_size=options.size,
            max_waiting=options.waiting_max,
            max_lifetime=options.lifetime_s,
            max_idle=options.idle_s,
            # Trying again is the dialer's and the callers' part: psycopg's pool would double its
            # pauses up to minutes, and a server that is back would wait for it.
            reconnect_timeout=0.0,
            name="tierline-l3",
            open=True,
        )

    def _warmest(self) -> Connection | None:
        try:
            return self._warm.pop()
        except IndexError:
            return None

    def _wait(self, due_s: float) -> Connection:
        """Take from psycopg's pool, which makes a connection or waits for one."""
        thread = threading.get_ident()
        self._waiting.add(thread)
        try:
            # One may have come to rest in front before we announced ourselves.
            connection = self._warmest()
            while connection is None:
                self._dialer.check()
                now_s = time.monotonic()
                look_s = _LOOK_IN_TROUBLE_S if self._dialer.circuit.failures else _LOOK_S
                pool = self._open()
                try:
                    connection = pool.getconn(min(due_s - now_s, look_s))
                    connection.home = pool
                    connection.warm_since_s = time.monotonic()
                except PoolTimeout:
                    if time.monotonic() >= due_s:
                        raise
                except PoolClosed:
                    # Closed for good, or another has taken its place.
                    if self._closed or pool is self._pool:
                        raise
                except BaseException as error:
                    if not isinstance(error, Exception):
                        # Interrupted while it waited, psycopg's pool may hand a connection to
                        # somebody who is gone; so another pool takes its place.
                        self.resize(self.options)
                    raise
            return connection
        finally:
            self._waiting.discard(thread)

    def _another(self, dead: Connection, due_s: float) -> Connection:
        """A connection instead of one whose session was ended, probably not as the only one."""
        dead.close()
        _send_home(dead)
        self.drain(dead)
        return self._wait(due_s)

    def _cool_down(self) -> None:
        """Give the connections in front back to psycopg's pool."""
        while (connection := self._warmest()) is not None:
            _send_home(connection)


def _send_home(connection: Connection) -> None:
    """Give a connection back to the pool that made it."""
    if connection.home is not None:
        connection.home.putconn(connection)
