"""Real servers for tests, on loopback."""

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
    "postgres_replica",
    "postgres_server",
    "redis_server",
    "tcp_proxy",
]
