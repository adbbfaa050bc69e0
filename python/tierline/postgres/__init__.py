"""The PostgreSQL performer: L3."""

from tierline.postgres.counters import Reads
from tierline.postgres.database import Database
from tierline.postgres.embedded import EmbeddedServer, start_or_join
from tierline.postgres.outcome import outcome
from tierline.postgres.pool import PoolStats
from tierline.postgres.session import Session

__all__ = [
    "Database",
    "EmbeddedServer",
    "PoolStats",
    "Reads",
    "Session",
    "outcome",
    "start_or_join",
]
