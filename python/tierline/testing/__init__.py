"""For tests: real servers on loopback, a Sheets server, and the clock of the caches."""

from tierline._core import advance_clock
from tierline.testing.servers import (
    PostgresServer,
    RedisCluster,
    RedisSentinels,
    RedisServer,
    TcpProxy,
    postgres_replica,
    postgres_server,
    redis_cluster,
    redis_sentinel,
    redis_server,
    tcp_proxy,
)
from tierline.testing.sheets import SheetsServer

__all__ = [
    "PostgresServer",
    "RedisCluster",
    "RedisSentinels",
    "RedisServer",
    "SheetsServer",
    "TcpProxy",
    "advance_clock",
    "postgres_replica",
    "postgres_server",
    "redis_cluster",
    "redis_sentinel",
    "redis_server",
    "tcp_proxy",
]
