"""Bulk: 100,000 rows of nine columns into Structs, and 100,000 Structs into a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
import psycopg

import tierline as tl
from entities import SINK, SOURCE, Item
from measure import Contender, Timed
from workload import OURS, at_most, faster_than, workload
from world import World, installed, waiting

_COLUMNS = tuple(column.name for column in SOURCE.columns)
_TYPES = ("int8", "text", "text", "bool", "int8", "float8", "timestamptz", "numeric", "uuid")
_SELECT_SOURCE = f"SELECT {', '.join(_COLUMNS)} FROM bulk_source"
_SELECT_SINK = f"SELECT {', '.join(_COLUMNS)} FROM bulk_sink"
_COPY_SINK = f"COPY bulk_sink ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_ALL = tl.select(SOURCE)


@workload(
    "bulk",
    "100,000 rows to Structs",
    "ms",
    at_most(0.65, "psycopg"),
    faster_than("asyncpg"),
)
def read(world: World) -> Mapping[str, Contender]:
    """Reading into Structs takes at most 0.65 of psycopg's `args_row`, and less than asyncpg."""
    assert world.items, "the table is filled"
    store = world.store
    cursor = world.cursor(Item)

    def ours() -> list[Item]:
        return tl.unwrap(store.fetch_all(_ALL))

    def with_psycopg() -> list[Item]:
        return cursor.execute(_SELECT_SOURCE).fetchall()

    works = {OURS: ours, "psycopg": with_psycopg}
    if installed("asyncpg"):
        connection = world.asyncpg

        async def fetch() -> list[Item]:
            return [Item(*record) for record in await connection.fetch(_SELECT_SOURCE)]

        works["asyncpg"] = waiting(world, fetch)
    return {name: Timed(work, 1, partial(_in_short, work)) for name, work in works.items()}


@workload(
    "bulk",
    "100,000 Structs to a table",
    "ms",
    at_most(0.6, "asyncpg"),
    at_most(1.0, "psycopg"),
)
def write(world: World) -> Mapping[str, Contender]:
    """Writing takes at most 0.6 of asyncpg's `copy_records_to_table`, and no more than psycopg.

    psycopg copies in binary with its types set. Everybody begins with Structs and an empty table.
    """
    entities = world.items
    repository = tl.repository(world.store, SINK)
    connection = world.connection
    works: dict[str, Callable[[], object]] = {
        OURS: lambda: tl.unwrap(repository.create_many(entities)),
        "psycopg": lambda: _copy(connection, entities),
    }
    if installed("asyncpg"):
        sink = world.asyncpg

        async def copy() -> None:
            records = map(msgspec.structs.astuple, entities)
            await sink.copy_records_to_table("bulk_sink", records=records, columns=_COLUMNS)

        works["asyncpg"] = waiting(world, copy)

    def empty() -> None:
        connection.execute("TRUNCATE bulk_sink")

    def written(work: Callable[[], object]) -> object:
        empty()
        work()
        return _in_short(lambda: world.cursor(Item).execute(_SELECT_SINK))

    return {name: Timed(w, 1, partial(written, w), before=empty) for name, w in works.items()}


def _copy(connection: psycopg.Connection[Any], entities: Iterable[Item]) -> None:
    with connection.cursor() as cursor, cursor.copy(_COPY_SINK) as copy:
        copy.set_types(_TYPES)
        for entity in entities:
            copy.write_row(msgspec.structs.astuple(entity))


def _in_short(rows: Callable[[], Iterable[Item]]) -> tuple[int, int]:
    """How many rows there are, and a number that is the same for the same rows in any order."""
    values = [msgspec.structs.astuple(row) for row in rows()]
    return len(values), sum(map(hash, values))


WORKLOADS = (read, write)
