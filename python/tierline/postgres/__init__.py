"""The PostgreSQL performer: L3."""

from tierline.postgres.database import Database, Reads
from tierline.postgres.embedded import EmbeddedServer, start_or_join
from tierline.postgres.pool import PoolStats

__all__ = ["Database", "EmbeddedServer", "PoolStats", "Reads", "start_or_join"]
