"""What the benchmarks share: real servers, connections and the flights in them, made on demand."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import args_row

import tierline as tl
from entities import FLIGHTS, SINK, SOURCE, Item, flights, items
from sightings import Served
from tierline.testing import PostgresServer, RedisServer, postgres_server, redis_server

T = TypeVar("T")


class World:
    """Servers and connections, started when first asked for and stopped by `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    @cached_property
    def postgres(self) -> PostgresServer:
        """PostgreSQL 18; nothing in it works in the background."""
        return self._stack.enter_context(postgres_server(18, settings={"autovacuum": "off"}))

    @cached_property
    def redis(self) -> RedisServer:
        """Redis."""
        return self._stack.enter_context(redis_server())

    @cached_property
    def store(self) -> tl.Store:
        """A store on PostgreSQL that holds the flights."""
        store = self._stack.enter_context(tl.open(self.postgres.url))
        tl.unwrap(store.create_table(FLIGHTS))
        tl.unwrap(tl.repository(store, FLIGHTS).create_many(flights()))
        return store

    @cached_property
    def store_with_redis(self) -> tl.Store:
        """A store on the same PostgreSQL, and Redis."""
        assert self.store, "the flights are there"
        return self._stack.enter_context(tl.open(self.postgres.url, redis=self.redis.url))

    @cached_property
    def items(self) -> list[Item]:
        """The items that `bulk_source` holds; `bulk_sink` is an empty table of the same shape."""
        made = items()
        tl.unwrap(self.store.create_table(SOURCE))
        tl.unwrap(self.store.create_table(SINK))
        tl.unwrap(tl.repository(self.store, SOURCE).create_many(made))
        return made

    @cached_property
    def connection(self) -> psycopg.Connection[Any]:
        """A bare psycopg connection: autocommit, every statement prepared at its first use."""
        connection = psycopg.connect(self.postgres.url, autocommit=True, prepare_threshold=0)
        return self._stack.enter_context(connection)

    @cached_property
    def sheets(self) -> Served:
        """A Sheets server in a process of its own, with a worksheet that holds the sightings."""
        served = Served()
        self._stack.callback(served.close)
        return served

    def cursor(self, into: type[T]) -> psycopg.Cursor[T]:
        """A cursor to be reused, with binary results made into `into` by position."""
        return self.connection.cursor(binary=True, row_factory=args_row(into))

    @cached_property
    def asyncpg(self) -> Any:
        """A bare asyncpg connection; `wait` runs what it answers with."""
        url = self.postgres.url
        connection = self.wait(importlib.import_module("asyncpg").connect(url))
        self._stack.callback(lambda: self.wait(connection.close()))
        return connection

    @cached_property
    def sqlalchemy(self) -> Any:
        """A SQLAlchemy connection by psycopg, in autocommit, that prepares at the first use."""
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        engine = sqlalchemy.create_engine(
            self.postgres.url.replace("postgresql://", "postgresql+psycopg://"),
            isolation_level="AUTOCOMMIT",
            connect_args={"prepare_threshold": 0},
        )
        self._stack.callback(engine.dispose)
        return self._stack.enter_context(engine.connect())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._loop.run_until_complete(work)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._stack.callback(loop.close)
        return loop

    def at_close(self, callback: Callable[[], object]) -> None:
        """Call this before what was opened earlier is closed."""
        self._stack.callback(callback)

    def close(self) -> None:
        """Close what was opened, the last first."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def installed(package: str) -> bool:
    """Whether a peer's package can be imported."""
    return importlib.util.find_spec(package) is not None


def waiting(world: World, work: Callable[[], Coroutine[Any, Any, T]]) -> Callable[[], T]:
    """A plain function that runs a coroutine function in the world's event loop."""
    return lambda: world.wait(work())
