"""The deadline of a transaction, and the server's limit on its statements, which follows it."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from tierline.deadline import due_s
from tierline.postgres.connection import Connection
from tierline.postgres.watchdog import Guard
from tierline.sql import Compiled
from tierline.sql.transactions import limit

# The server's limit follows the deadline whenever it is so much too long.
_SLACK = 1.25

_LIMIT_SLACK_S = 0.1

# A server that has frozen is not waited for longer, to be told that a transaction is given up.
_TIDY_S = 1.0

_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class SessionLimits:
    """When a transaction must have ended.

    Args:
        deadline_s: On the monotonic clock; infinity leaves it to each statement's own.
        timeout_s: The longest that a statement may take anyway.
    """

    def __init__(self, deadline_s: float, timeout_s: float) -> None:
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._set_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._deadline_s

    def step(self) -> Compiled | None:
        """What tells the server how long the next statement may take, if it must be told."""
        if self._deadline_s == math.inf:
            return None
        shortest = min(self._deadline_s - time.monotonic(), self._timeout_s)
        if self._set_s is not None and self._set_s <= shortest * _SLACK:
            return None
        self._set_s = shortest
        return limit(shortest)

    @contextmanager
    def watched(self, guard: Guard) -> Generator[None]:
        """Have the watchdog end what is done in the block, when it is due."""
        # The server's own limit comes first, because it leaves the connection whole.
        own_s = time.monotonic() + self._timeout_s + _LIMIT_SLACK_S
        guard.begin(min(self._deadline_s, due_s(), own_s))
        try:
            yield
        finally:
            guard.end()

    def forget(self) -> None:
        """The server may have gone back to an earlier limit."""
        self._set_s = None


def tidy(connection: Connection) -> None:
    """Undo what was not committed, so that the connection is at rest; what fails leaves it so."""
    connection.guard.begin(time.monotonic() + _TIDY_S)
    with suppress(psycopg.Error):
        if connection.pgconn.transaction_status in _IN_TRANSACTION:
            connection.command(b"ROLLBACK")
        while connection.stale and not connection.lost:
            connection.forget(connection.stale.pop())
