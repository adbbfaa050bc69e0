"""A PostgreSQL 18 of one's own, from a wheel: no root, no set-up, no TCP port."""

from tierline.postgres.embedded.server import EmbeddedServer, start_or_join

__all__ = ["EmbeddedServer", "start_or_join"]
