"""Servers to be killed, frozen and cut off: each test module has its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer, postgres_replica, postgres_server


class Entry(msgspec.Struct, frozen=True):
    """A row that tells who wrote it, and when in the order of their writes."""

    id: int
    writer: int
    n: int


ENTRIES = tl.table(Entry, name="entries", key=lambda e: e.id)


@pytest.fixture(scope="module")
def server(version: Version) -> Generator[PostgresServer]:
    """A server of the module's own."""
    with postgres_server(version) as own:
        yield own


@pytest.fixture
def whole(server: PostgresServer) -> Generator[PostgresServer]:
    """The module's server, running and with an empty table of entries before and after."""
    _heal(server)
    with tl.open(server.url) as store:
        store.drop_table(ENTRIES, missing_ok=True).unwrap()
        store.create_table(ENTRIES).unwrap()
    yield server
    _heal(server)


class Trio(NamedTuple):
    """A primary and two replicas that follow it."""

    primary: PostgresServer
    replicas: tuple[PostgresServer, PostgresServer]

    @property
    def urls(self) -> tuple[str, list[str]]:
        """What `tl.open` takes."""
        return self.primary.url, [one.url for one in self.replicas]

    def open(self, policy: Any = "prefer-replica", **options: Any) -> tl.Store:
        """A store on all three."""
        reads = options.pop("reads", None) or tl.reads(policy)
        url, replicas = self.urls
        return tl.open(url, replicas=replicas, reads=reads, **options)


@pytest.fixture
def trio(version: Version) -> Generator[Trio]:
    """Three servers of the test's own, asynchronous."""
    with make_trio(version) as servers:
        yield servers


class make_trio:  # noqa: N801 - used like a function
    """Three servers for a block.

    Args:
        version: The version of PostgreSQL.
        synchronous: Whether the primary acknowledges only what one replica has.
    """

    def __init__(self, version: Version, *, synchronous: bool = False) -> None:
        self._version: Version = version
        self._synchronous = synchronous
        self._stack = ExitStack()

    def __enter__(self) -> Trio:
        settings = {"wal_level": "replica", "wal_receiver_status_interval": "1s"}
        primary = self._stack.enter_context(postgres_server(self._version, settings=settings))
        first, second = (self._stack.enter_context(postgres_replica(primary)) for _ in range(2))
        with tl.open(primary.url) as store:
            store.create_table(ENTRIES).unwrap()
        if self._synchronous:
            with psycopg.connect(primary.url, autocommit=True) as session:
                session.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")
                session.execute("SELECT pg_reload_conf()")
        return Trio(primary, (first, second))

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def promote(server: PostgresServer) -> None:
    """Make a replica a primary; it is one when this returns."""
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("SELECT pg_promote(true, 30)")


def _heal(server: PostgresServer) -> None:
    server.thaw()
    server.start()


Ask = Callable[[], object]
