"""Connections to Redis that are kept: closed, demoted, promoted and redirected under our hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from tests.real.helpers import wait_until

from tierline.cache.redis_calls import Script
from tierline.cache.redis_client import RedisClient
from tierline.cache.redis_faults import RedisFaultError
from tierline.testing import RedisCluster, RedisServer, redis_cluster, redis_server


@pytest.fixture(scope="module")
def cluster() -> Generator[RedisCluster]:
    with redis_cluster() as six:
        yield six


@pytest.fixture
def own() -> Generator[tuple[RedisServer, redis.Redis, RedisClient]]:
    """A server of the test's own, an administrator of it, and a client that has asked once."""
    with redis_server() as server, redis.Redis.from_url(server.url) as admin:
        client = RedisClient(server.url)
        assert client.get("x").value is None
        yield server, admin, client
        client.close()


def fault(call: Callable[[], object]) -> str:
    with pytest.raises(RedisFaultError) as caught:
        call()
    return caught.value.fault


def test_a_connection_that_was_closed_while_it_was_kept_is_replaced(
    own: tuple[RedisServer, redis.Redis, RedisClient],
) -> None:
    _, admin, client = own
    for _ in range(3):
        admin.client_kill_filter(_type="normal", skipme=True)
        assert client.get("x").value is None


def test_a_replica_is_not_asked(own: tuple[RedisServer, redis.Redis, RedisClient]) -> None:
    server, admin, kept = own
    admin.replicaof("127.0.0.1", "1")
    fresh = RedisClient(server.url)
    assert fault(lambda: fresh.get("x")) == "readonly"
    assert fault(lambda: fresh.get("x")) == "open"
    fresh.close()
    time.sleep(1.1)  # by then a connection that is kept is asked again
    assert fault(lambda: kept.get("x")) == "readonly"
    admin.replicaof("NO", "ONE")
    wait_until(lambda: answers(kept), 5)


def answers(client: RedisClient) -> bool:
    try:
        client.get("x")
    except RedisFaultError:
        return False
    return True


def test_a_server_that_is_promoted_again_has_another_reign(
    own: tuple[RedisServer, redis.Redis, RedisClient],
) -> None:
    server, admin, client = own
    before = client.get("x").reign
    assert before == client.get("x").reign != "-"
    admin.replicaof("127.0.0.1", "1")
    admin.replicaof("NO", "ONE")
    fresh = RedisClient(server.url)
    assert fresh.get("x").reign != before
    fresh.close()
    time.sleep(1.1)
    assert client.get("x").reign != before


def test_after_close_nothing_looks_after_the_servers(
    own: tuple[RedisServer, redis.Redis, RedisClient],
) -> None:
    server, _, client = own
    server.kill()
    assert fault(lambda: client.get("x")) == "gone"
    assert "tierline-redis-heal" in {thread.name for thread in threading.enumerate()}
    client.close()
    assert "tierline-redis-heal" not in {thread.name for thread in threading.enumerate()}


def test_a_slot_on_its_way_and_one_that_has_moved_are_followed(cluster: RedisCluster) -> None:
    cluster.wait_until_whole()
    client = RedisClient(cluster.url)
    names = [f"k{n}" for n in range(50)]
    script = Script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
    answered = client.run_many(script, [([f"{{{name}}}"], [name]) for name in names])
    assert [getattr(one, "value", one) for one in answered] == [name.encode() for name in names]
    owned = cluster.slots()
    source, target = (cluster.by_port(port) for port in list(owned)[:2])
    mine = [
        key for key in (f"{{{n}}}" for n in names) if key_slot(key.encode()) in owned[source.port]
    ]
    assert len(mine) > 5
    ids = {one.port: ask(one, "CLUSTER MYID") for one in (source, target)}
    for key in mine:
        slot = key_slot(key.encode())
        ask(target, f"CLUSTER SETSLOT {slot} IMPORTING {ids[source.port]}")
        ask(source, f"CLUSTER SETSLOT {slot} MIGRATING {ids[target.port]}")
        ask(source, f"MIGRATE 127.0.0.1 {target.port} {key} 0 5000")
        assert client.get(key).value == key[1:-1].encode(), "ASK"
        for one in (target, source):
            ask(one, f"CLUSTER SETSLOT {slot} NODE {ids[target.port]}")
        assert client.get(key).value == key[1:-1].encode(), "MOVED"
    found = client.get_many([f"{{{name}}}" for name in names])
    assert not any(isinstance(one, RedisFaultError) for one in found)
    cluster.move_slots([key_slot(key.encode()) for key in mine], target, source)
    client.close()


def ask(server: RedisServer, command: str) -> Any:
    with redis.Redis(server.host, server.port, decode_responses=True) as client:
        return client.execute_command(*command.split(" "))
