"""Real servers for the tests, one of each a session, and how long tests go on.

`pytest --long` runs each test to its full figures, with new random examples each time. Without it
the examples are the same in every run: a change is judged by what it changed.

Tests that take `version` or `pg_url` run on PostgreSQL 18; those marked `each_version` on 16 too,
and with `--long` those marked `chaos`.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import pytest
import redis
from hypothesis import HealthCheck, settings
from tests.stalls import Stalls, watching_stalls

from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer, RedisServer
from tierline.testing import postgres_server as run_postgres
from tierline.testing import redis_server as run_redis

LONG = "TIERLINE_LONG"
VERSIONS: tuple[Version, ...] = (18, 16)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`."""
    parser.addoption("--long", action="store_true", help="run each test to its full figures")


def pytest_configure(config: pytest.Config) -> None:
    """Say in the environment, where child processes see it too, how long tests go on."""
    if config.getoption("--long"):
        os.environ[LONG] = "1"
    # How fast a machine is that does other things too says nothing of what is tested.
    settings.register_profile(
        "tierline",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=os.environ.get(LONG) != "1",
    )
    settings.load_profile("tierline")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on each version of PostgreSQL what is marked so."""
    if "version" in metafunc.fixturenames and _is_for_each_version(metafunc.definition):
        names = [f"postgres{version}" for version in VERSIONS]
        metafunc.parametrize("version", VERSIONS, ids=names, indirect=True, scope="module")


def _is_for_each_version(test: pytest.Item) -> bool:
    marks = ("each_version", "chaos") if os.environ.get(LONG) == "1" else ("each_version",)
    return any(test.get_closest_marker(mark) for mark in marks)


@pytest.fixture(scope="module")
def version(request: pytest.FixtureRequest) -> Version:
    """The version of PostgreSQL that the test runs on."""
    found: Version = getattr(request, "param", VERSIONS[0])
    return found


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Generator[None]:
    """Interrupts reach the tests that send them, and only as Python lets them.

    A shell starts background jobs with SIGINT ignored, and their children inherit that. And Python
    swallows an interrupt that happens to come while it runs a finaliser, such as a weak set's: it
    tells `sys.unraisablehook`, which would be a test's failure.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook

    def tell(found: sys.UnraisableHookArgs) -> None:
        if found.exc_type is not KeyboardInterrupt:
            hook(found)

    sys.unraisablehook = tell
    yield
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def stalls() -> Generator[Stalls]:
    """For how long this machine stands still during the test, to be added to bounds on time."""
    with watching_stalls() as watching:
        yield watching


@pytest.fixture(scope="session")
def postgres18() -> Generator[PostgresServer]:
    """PostgreSQL 18, shared by the session: take `pg_url` to write, and do not stop it."""
    with run_postgres(18) as server:
        yield server


@pytest.fixture(scope="session")
def postgres16() -> Generator[PostgresServer]:
    """PostgreSQL 16, shared by the session."""
    with run_postgres(16) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Generator[RedisServer]:
    """Redis, shared by the session: take `redis_prefix` for keys, and do not stop it."""
    with run_redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the session's Redis."""
    return redis_server.url


@pytest.fixture
def pg_url(request: pytest.FixtureRequest, version: Version) -> Generator[str]:
    """A URL whose connections land in a new, empty schema of the session's PostgreSQL."""
    with fresh_schema(request.getfixturevalue(f"postgres{version}")) as url:
        yield url


@pytest.fixture(params=["postgres18", "postgres16"])
def pg_url_each(request: pytest.FixtureRequest) -> Generator[str]:
    """As `pg_url`, once on each version."""
    with fresh_schema(request.getfixturevalue(request.param)) as url:
        yield url


@pytest.fixture
def redis_prefix(redis_url: str) -> Generator[str]:
    """A prefix for the keys of one test, which are deleted after it."""
    prefix = f"test-{secrets.token_hex(6)}:"
    yield prefix
    with redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        keys = list(client.scan_iter(match=f"{prefix}*", count=1000))
        if keys:
            client.delete(*keys)


@contextmanager
def fresh_schema(server: PostgresServer) -> Generator[str]:
    """Make a schema, yield a URL that leads into it, and drop it with all it holds."""
    name = f"test_{secrets.token_hex(6)}"
    _execute(server, f"CREATE SCHEMA {name}")
    try:
        yield f"{server.url}?options=-c%20search_path%3D{name}"
    finally:
        # A connection that the test left open may hold a lock on what is dropped.
        _execute(server, "SET lock_timeout = '10s'", f"DROP SCHEMA {name} CASCADE")


def _execute(server: PostgresServer, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True, connect_timeout=10) as connection:
        for statement in statements:
            connection.execute(statement)
