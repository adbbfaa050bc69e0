"""The options of a database: how its servers are used."""

from __future__ import annotations

import msgspec

from tierline.postgres.dialing import Credentials
from tierline.postgres.pool import PoolOptions


class DatabaseOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a database is used.

    Attributes:
        pool: How many connections to each server.
        timeout_s: Seconds that a call may take when its context has no deadline.
        connect_timeout_s: Seconds that an attempt to connect may take; at least 2 in effect.
        credentials: Asked before each attempt to connect.
    """

    pool: PoolOptions = PoolOptions()
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    credentials: Credentials | None = None
