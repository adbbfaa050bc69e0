"""Killing a PostgreSQL server, or parts of it, under its clients."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable

import psycopg

from tierline.testing import PostgresServer

CLIENTS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


class Killer:
    """Kills in turn the postmaster, one backend (so that all restart) and all sessions.

    Attributes:
        kills: How many there were.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.kills = 0
        self._server = server
        self._ways: itertools.cycle[Callable[[], None]] = itertools.cycle(
            (self.postmaster, self.backend, self.sessions)
        )

    def kill(self) -> None:
        """Kill in the next way."""
        next(self._ways)()

    def every(self, period_s: float, until: Callable[[], bool]) -> None:
        """Kill again and again until a condition holds."""
        next_s = time.monotonic() + period_s
        while not until():
            if time.monotonic() >= next_s:
                self.kill()
                next_s = time.monotonic() + period_s
            time.sleep(0.01)

    def postmaster(self) -> None:
        """`kill -9` the server with all its processes, and start it again."""
        self._server.kill()
        self._server.start()
        self.kills += 1

    def backend(self) -> None:
        """`kill -9` one session's process: the server ends all others and recovers."""
        found = self._ask(CLIENTS)
        for pid in found[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    def sessions(self) -> None:
        """End every session in order, as an administrator does."""
        self.kills += bool(self._ask(TERMINATE))

    def _ask(self, sql: str) -> list[int]:
        try:
            with psycopg.connect(self._server.url, autocommit=True, connect_timeout=5) as asking:
                own = asking.info.backend_pid
                return [row[0] for row in asking.execute(sql) if row[0] != own]
        except psycopg.OperationalError:
            # It has been killed already.
            return []
