"""How long Redis is waited for: its own limit, or half of what the caller's deadline leaves.

L3 is left the other half. redis-py has one limit a connection, so it is set when one is taken.
"""

from __future__ import annotations

import math
import time
from typing import Any, cast

import redis

from tierline.deadline import due_s

LIMIT_S = 0.2
"""redis-py's own limits would block for a minute on a frozen server."""

LIMIT_S_MIN = 0.02
"""With less there is no sense in reading.

An invalidation is given as much whatever the deadline is, or others would go on reading what was
before.
"""


def limit_s() -> float:
    """Seconds that an answer of Redis may take now; 0 if there is no time for any."""
    due = due_s()
    if due == math.inf:
        return LIMIT_S
    half_s = (due - time.monotonic()) / 2
    return min(LIMIT_S, half_s) if half_s >= LIMIT_S_MIN else 0.0


class LimitedPool(redis.ConnectionPool):
    """A pool whose connections are waited for as long as the context of their user allows."""

    def make_connection(self) -> Any:
        """A connection that is not yet connected."""
        connection: Any = super().make_connection()
        connect = connection.connect

        def limited() -> None:
            # A connection that was lost is connected again, by somebody else perhaps.
            connection.socket_timeout = connection.socket_connect_timeout = _limit_s()
            connect()

        connection.connect = limited
        return connection

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connected connection."""
        connection: Any = cast("Any", super()).get_connection(*args, **options)
        line, limit = connection._sock, _limit_s()  # noqa: SLF001 - it has no other name
        if line is not None and line.gettimeout() != limit:
            line.settimeout(limit)
        return connection


def _limit_s() -> float:
    return limit_s() or LIMIT_S_MIN
