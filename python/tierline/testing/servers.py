"""Everything a test can start: PostgreSQL, Redis, and a line between them that can be cut."""

from tierline.testing.postgres_server import PostgresServer, postgres_replica, postgres_server
from tierline.testing.redis_server import RedisServer, redis_server
from tierline.testing.redis_topologies import (
    RedisCluster,
    RedisSentinels,
    redis_cluster,
    redis_sentinel,
)
from tierline.testing.tcp_proxy import TcpProxy, tcp_proxy

__all__ = [
    "PostgresServer",
    "RedisCluster",
    "RedisSentinels",
    "RedisServer",
    "TcpProxy",
    "postgres_replica",
    "postgres_server",
    "redis_cluster",
    "redis_sentinel",
    "redis_server",
    "tcp_proxy",
]
