"""One PostgreSQL server: its connections, its circuit, and what is known of its role."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg_pool import TooManyRequests

from tierline.errors import DecodeError, RepositoryError
from tierline.postgres.circuit import Circuit
from tierline.postgres.connection import Connection, column_types
from tierline.postgres.dialing import Credentials, Dialer, UnfitServerError
from tierline.postgres.errors import FATAL_STATES, TYPE_STATES, classify, no_connection, overdue
from tierline.postgres.pool import Pool, PoolOptions
from tierline.postgres.routing import UNKNOWN, NodeState
from tierline.sql import Statement


class Node:
    """One server; safe to share between threads.

    Args:
        conninfo: A libpq string that names one host.
        location: Where that is, without secrets.
        pool: How many connections, and for how long.
        timeout_s: Seconds that a statement may run.
        connect_timeout_s: Seconds that an attempt to connect may take.
        credentials: Asked before each attempt to connect.
        is_fit: Whether a server that takes writes may be used, by its timeline.
        on_circuit: Called with the node and its circuit, before and after, when it changes.

    Attributes:
        state: What is known of it; replaced by whoever learns more.
    """

    def __init__(
        self,
        conninfo: str,
        location: str,
        *,
        pool: PoolOptions,
        timeout_s: float,
        connect_timeout_s: float,
        credentials: Credentials | None = None,
        is_fit: Callable[[int], bool] = lambda _: True,
        on_circuit: Callable[[Node, Circuit, Circuit], None] | None = None,
    ) -> None:
        self.location = location
        self.state: NodeState = UNKNOWN
        self._timeout_s = timeout_s
        self._is_fit = is_fit
        self.dialer = Dialer(
            conninfo,
            connect_timeout_s=connect_timeout_s,
            prepare=self._prepare,
            credentials=credentials,
            on_change=None
            if on_circuit is None
            else lambda before, after: on_circuit(self, before, after),
        )
        self.pool = Pool(self.dialer, pool)

    def failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began_s: float
    ) -> RepositoryError:
        """The error value of a statement that failed; what it says of the server is heeded."""
        elapsed_s = time.monotonic() - began_s
        if connection.guard.overdue:
            return overdue(error, statement, elapsed_s=elapsed_s)
        lost = connection.lost or error.sqlstate in FATAL_STATES
        if lost:
            connection.close()
            # What ended this session has probably ended the idle ones too.
            self.pool.drain(connection)
        mismatch = None if lost else _mismatch(error, statement, connection)
        return classify(error, statement, lost=lost, elapsed_s=elapsed_s, mismatch=mismatch)

    def no_connection(
        self, error: Exception, statement: Statement, began_s: float, due_s: float
    ) -> RepositoryError:
        """The error value of a statement for which there was no connection."""
        now_s = time.monotonic()
        found = no_connection(
            error,
            in_use=self.pool.in_use,
            size=self.pool.options.size,
            elapsed_s=now_s - began_s,
            is_due=not isinstance(error, TooManyRequests) and now_s >= due_s,
            location=self.location,
        )
        return about(found, statement, began_s)

    def close(self) -> None:
        """Close every connection."""
        self.pool.close()

    def _prepare(self, connection: Connection) -> None:
        """Set a new session up, and see what server it leads to.

        Zoned values come back in UTC; a statement ends at the time limit.
        """
        row: tuple[Any, ...] = (
            connection.execute(
                "SELECT set_config('TimeZone', 'UTC', false), CASE WHEN "
                "current_setting('statement_timeout') = '0' "
                "THEN set_config('statement_timeout', %s, false) END, "
                "pg_is_in_recovery(), CASE WHEN NOT pg_is_in_recovery() "
                "THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END",
                (f"{max(1, round(self._timeout_s * 1000))}ms",),
                prepare=False,
            ).fetchone()
            or ()
        )
        follows, timeline = row[2], row[3]
        if not follows and not self._is_fit(int(timeline, 16)):
            raise UnfitServerError(
                "the server takes writes, but another has been promoted over it; it is not used"
            )

    def __repr__(self) -> str:
        return f"<Node {self.location}: {self.state.role}, circuit {self.dialer.circuit.state}>"


def _mismatch(
    error: psycopg.Error, statement: Statement, connection: Connection
) -> DecodeError | None:
    """Which column has another type than its field, where the server only says which types."""
    if error.sqlstate in TYPE_STATES and statement.table is not None:
        try:
            column_types(connection, statement.operation, statement.table)
        except DecodeError as mismatch:
            return mismatch
        except psycopg.Error:
            pass
    return None


def about(error: RepositoryError, statement: Statement, began_s: float) -> RepositoryError:
    """The error value, with what it is about."""
    error.operation = error.operation or statement.operation
    error.table = error.table or statement.table_name
    error.elapsed_s = time.monotonic() - began_s
    return error
