"""The PostgreSQL performer: L3."""

from tierline.postgres.conninfo import read_hosts
from tierline.postgres.counters import Reads
from tierline.postgres.database import Database
from tierline.postgres.embedded import EmbeddedServer, start_or_join
from tierline.postgres.events import (
    Acquired,
    CircuitChanged,
    DeadLettered,
    Event,
    EventSubscription,
    FailedOver,
    Ran,
    Retried,
    WroteBehind,
)
from tierline.postgres.following import read_after, write_token
from tierline.postgres.health import Health, NodeHealth
from tierline.postgres.options import DatabaseOptions
from tierline.postgres.outcome import outcome
from tierline.postgres.pool import PoolOptions, PoolStats
from tierline.postgres.routed import RoutedDatabase
from tierline.postgres.routing import ReadPolicy
from tierline.postgres.session import Session

__all__ = [
    "Acquired",
    "CircuitChanged",
    "Database",
    "DatabaseOptions",
    "DeadLettered",
    "EmbeddedServer",
    "Event",
    "EventSubscription",
    "FailedOver",
    "Health",
    "NodeHealth",
    "PoolOptions",
    "PoolStats",
    "Ran",
    "ReadPolicy",
    "Reads",
    "Retried",
    "RoutedDatabase",
    "Session",
    "WroteBehind",
    "outcome",
    "read_after",
    "read_hosts",
    "start_or_join",
    "write_token",
]
