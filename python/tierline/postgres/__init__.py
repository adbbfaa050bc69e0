"""The PostgreSQL performer: L3."""

from tierline.postgres.database import Database, PoolStats, Reads
from tierline.postgres.embedded import EmbeddedServer, start_or_join

__all__ = ["Database", "EmbeddedServer", "PoolStats", "Reads", "start_or_join"]
