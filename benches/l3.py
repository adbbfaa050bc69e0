"""L3: one row by its key, and a query run again, beside the drivers themselves."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import psycopg

import orms
import tierline as tl
from entities import FLIGHT_COUNT, FLIGHTS, Flight
from measure import Contender, Timed, fresh
from workload import OURS, above_by_at_most, at_most, workload
from world import World, installed, waiting

_KEYS = tuple(random.Random(1).sample(range(1, FLIGHT_COUNT + 1), 20))
_TIMES = 20
_QUERY = tl.select(FLIGHTS, where=lambda f: f.id == 4242)
_BY_ID_QUERY = tl.select(FLIGHTS, where=lambda f: f.id == tl.param("id", int))
_COLUMNS = "id, carrier, origin, dest, dep_delay"
_BY_ID = f"SELECT {_COLUMNS} FROM flights WHERE id = %s"
_BY_ID_NUMBERED = f"SELECT {_COLUMNS} FROM flights WHERE id = $1"


@workload(
    "l3",
    "get_by_id from L3",
    "us",
    at_most(1.15, "psycopg"),
    beside=("asyncpg", *orms.NAMES),
)
def get_by_id(world: World) -> Mapping[str, Contender]:
    """A read by key costs at most 1.15 of a bare psycopg cursor.

    The cursor is reused, prepared and binary, on one connection in autocommit, and makes the same
    Struct.
    """
    flights = tl.repository(world.store, FLIGHTS)
    cursor = world.cursor(Flight)
    last = _KEYS[-1]
    contenders: dict[str, Contender] = {
        OURS: Timed(
            partial(fresh(_read_each), flights.get_by_id, _KEYS),
            len(_KEYS),
            lambda: tl.unwrap(flights.get_by_id(last)),
        ),
        "psycopg": Timed(
            partial(fresh(_execute_each), cursor, _KEYS),
            len(_KEYS),
            lambda: cursor.execute(_BY_ID, (last,)).fetchone(),
        ),
    }
    if installed("asyncpg"):
        contenders["asyncpg"] = _asyncpg(world)
    return contenders | orms.getting(world, _KEYS)


@workload(
    "l3",
    "a prepared query again",
    "us",
    above_by_at_most(4.0, "psycopg"),
)
def query_again(world: World) -> Mapping[str, Contender]:
    """`store.fetch_maybe` of a query that was run before takes at most 4 us more than psycopg."""
    store = world.store
    cursor = world.cursor(Flight)
    keys = (4242,) * _TIMES
    return {
        OURS: Timed(
            partial(fresh(_fetch_again), store.fetch_maybe, _TIMES),
            _TIMES,
            lambda: tl.unwrap(store.fetch_maybe(_QUERY)),
        ),
        "psycopg": Timed(
            partial(fresh(_execute_each), cursor, keys),
            _TIMES,
            lambda: cursor.execute(_BY_ID, (4242,)).fetchone(),
        ),
    }


@workload(
    "l3",
    "run a prepared query again: our part",
    "us",
    above_by_at_most(4.0, "psycopg"),
    beside=("asyncpg", *orms.NAMES),
)
def query_with_parameters_again(world: World) -> Mapping[str, Contender]:
    """`store.fetch_all` of a query with a `tl.param` takes at most 4 us more than psycopg."""
    store = world.store
    cursor = world.cursor(Flight)
    last = _KEYS[-1]
    contenders: dict[str, Contender] = {
        OURS: Timed(
            partial(fresh(_fetch_each), store.fetch_all, _KEYS),
            len(_KEYS),
            lambda: tl.unwrap(store.fetch_all(_BY_ID_QUERY, id=last)),
        ),
        "psycopg": Timed(
            partial(fresh(_execute_all_each), cursor, _KEYS),
            len(_KEYS),
            lambda: cursor.execute(_BY_ID, (last,)).fetchall(),
        ),
    }
    if installed("asyncpg"):
        contenders["asyncpg"] = _asyncpg_query(world)
    return contenders | orms.querying(world, _KEYS)


def _asyncpg(world: World) -> Contender:
    connection = world.asyncpg

    async def fetch_each() -> Flight | None:
        flight = None
        for key in _KEYS:
            flight = Flight(*await connection.fetchrow(_BY_ID_NUMBERED, key))
        return flight

    work = waiting(world, fetch_each)
    return Timed(work, len(_KEYS), work)


def _asyncpg_query(world: World) -> Contender:
    connection = world.asyncpg

    async def fetch_each() -> list[Flight]:
        flights: list[Flight] = []
        for key in _KEYS:
            flights = [Flight(*row) for row in await connection.fetch(_BY_ID_NUMBERED, key)]
        return flights

    work = waiting(world, fetch_each)
    return Timed(work, len(_KEYS), work)


def _read_each(get: Callable[[int], object], keys: Sequence[int]) -> None:
    for key in keys:
        get(key)


def _execute_each(cursor: psycopg.Cursor[Flight], keys: Sequence[int]) -> None:
    for key in keys:
        cursor.execute(_BY_ID, (key,)).fetchone()


def _execute_all_each(cursor: psycopg.Cursor[Flight], keys: Sequence[int]) -> None:
    for key in keys:
        cursor.execute(_BY_ID, (key,)).fetchall()


def _fetch_each(fetch_all: Callable[..., object], keys: Sequence[int]) -> None:
    for key in keys:
        fetch_all(_BY_ID_QUERY, id=key)


def _fetch_again(fetch_maybe: Callable[[tl.Query[Flight]], object], times: int) -> None:
    for _ in range(times):
        fetch_maybe(_QUERY)


WORKLOADS = (get_by_id, query_again, query_with_parameters_again)
