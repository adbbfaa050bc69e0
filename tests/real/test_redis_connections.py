"""Connections to Redis that are kept: closed, demoted, promoted and redirected under our hands."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from tests.real.helpers import wait_until

from tierline.cache import redis_limits
from tierline.cache.redis_calls import Script
from tierline.cache.redis_client import RedisClient
from tierline.cache.redis_faults import RedisFaultError
from tierline.testing import RedisCluster, RedisServer, redis_cluster, redis_server

pytestmark = pytest.mark.usefixtures("patient_redis")


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


@contextmanager
def trickling(answer: bytes) -> Iterator[int]:
    """The port of a server that says it is a master, and then answers a byte each 20 ms."""
    over = threading.Event()
    role = b"role:master\r\nmaster_replid:0123456789abcdef\r\n"

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError), listener.accept()[0] as line:
                while (asked := line.recv(65_536)) and not over.is_set():
                    if b"INFO" in asked:
                        line.sendall(b"$%d\r\n%s\r\n" % (len(role), role))
                    if b"GET" in asked:
                        for byte in answer:
                            line.sendall(bytes([byte]))
                            if over.wait(0.02):
                                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


def test_an_answer_that_trickles_is_waited_for_no_longer_than_a_whole_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_limits, "LIMIT_S", 0.2)
    with trickling(b"$200\r\n" + b"x" * 200 + b"\r\n") as port:
        client = RedisClient(f"redis://127.0.0.1:{port}")
        began_s = time.monotonic()
        assert fault(lambda: client.get("x")) == "frozen"
        assert time.monotonic() - began_s < 2
        client.close()


def test_any_command_is_sent_once_and_on_a_connection_that_is_open(
    own: tuple[RedisServer, redis.Redis, RedisClient],
) -> None:
    _, admin, client = own
    for number in range(1, 4):
        assert client.execute("RPUSH", "list", b"x", key="list").value == number
        admin.client_kill_filter(_type="normal", skipme=True)
    assert fault(lambda: client.execute("INCR", "list", key="list")) == "refused"
    assert client.execute("LRANGE", "list", 0, -1, key="list").value == [b"x"] * 3
    script = Script("return redis.call('LLEN', KEYS[1])")
    assert client.run(script, ["list"], []).value == 3


def test_a_command_that_blocks_is_waited_for(
    own: tuple[RedisServer, redis.Redis, RedisClient],
) -> None:
    _, admin, client = own
    assert client.execute("BLPOP", "none", 0.4, key="none", within_s=30).value is None
    admin.rpush("list", "x")
    assert client.execute("BLPOP", "list", 10, key="list", within_s=30).value == [b"list", b"x"]


def test_a_command_that_may_have_been_done_is_not_sent_again() -> None:
    """The server closes the line without an answer, and counts."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            role = b"role:master\r\nmaster_replid:0123456789abcdef\r\n"
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as line:
                        while data := line.recv(65_536):
                            if b"INFO" in data:
                                line.sendall(b"$%d\r\n%s\r\n" % (len(role), role))
                            if b"GET" in data:
                                line.sendall(b"$-1\r\n")
                            if b"RPUSH" in data:
                                asked.append(data)
                                break

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = RedisClient(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        assert client.get("x").value is None
        assert fault(lambda: client.execute("RPUSH", "x", b"1", key="x")) == "gone"
        client.close()
        listener.shutdown(socket.SHUT_RDWR)
    assert len(asked) == 1


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
