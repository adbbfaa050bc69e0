"""For tests: real servers on loopback, and the clock of the caches."""

from tierline._core import advance_clock
from tierline.testing.servers import (
    PostgresServer,
    RedisServer,
    TcpProxy,
    postgres_replica,
    postgres_server,
    redis_server,
    tcp_proxy,
)

__all__ = [
    "PostgresServer",
    "RedisServer",
    "TcpProxy",
    "advance_clock",
    "postgres_replica",
    "postgres_server",
    "redis_server",
    "tcp_proxy",
]
