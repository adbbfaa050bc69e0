"""One PostgreSQL server: its connections, its circuit, and what is known of its role."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from tierline.circuit import Circuit
from tierline.deadline import due_s
from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection
from tierline.postgres.dialing import Credentials, Dialer, UnfitServerError
from tierline.postgres.errors import no_connection
from tierline.postgres.performer import about
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

    def no_connection(
        self, error: Exception, statement: Statement, began_s: float
    ) -> RepositoryError:
        """The error value of a statement for which there was no connection."""
        now_s = time.monotonic()
        found = no_connection(
            error,
            in_use=self.pool.in_use,
            size=self.pool.options.size,
            elapsed_s=now_s - began_s,
            is_due=now_s >= due_s(),
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
        connection.timeline = int(timeline, 16) if timeline else 0
        self.state = msgspec.structs.replace(
            self.state,
            role="replica" if follows else "primary",
            timeline=connection.timeline or self.state.timeline,
            version=connection.info.server_version,
        )

    def __repr__(self) -> str:
        return f"<Node {self.location}: {self.state.role}, circuit {self.dialer.circuit.state}>"
