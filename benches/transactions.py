"""Transactions: an empty one, and one of one insert, beside bare psycopg on one connection."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import tierline as tl
from entities import Flight
from measure import Contender, Timed
from workload import OURS, shown_against, workload
from world import World

_TIMES = 20
_SINK = tl.table(Flight, name="transaction_sink", key=lambda f: f.id)
_INSERT = "INSERT INTO transaction_sink VALUES (%s, %s, %s, %s, %s)"


@workload("l3", "an empty transaction", "us", shown_against("psycopg"))
def empty(world: World) -> Mapping[str, Contender]:
    """A transaction in which nothing is done: ours sends nothing, psycopg BEGIN and COMMIT."""
    store, connection = world.store, world.connection

    def ours() -> None:
        for _ in range(_TIMES):
            tl.unwrap(store.transaction(lambda _: tl.Success(None)))

    def with_psycopg() -> None:
        for _ in range(_TIMES):
            with connection.transaction():
                pass

    return {
        OURS: Timed(ours, _TIMES, lambda: None),
        "psycopg": Timed(with_psycopg, _TIMES, lambda: None),
    }


@workload("l3", "a transaction of one insert", "us", shown_against("psycopg"))
def one_insert(world: World) -> Mapping[str, Contender]:
    """One row: ours is two round trips, psycopg's three. The cursor is reused and prepared."""
    store, connection = world.store, world.connection
    tl.unwrap(store.create_table(_SINK, exist_ok=True))
    cursor = connection.cursor(binary=True)
    numbers = itertools.count()

    def flight() -> Flight:
        return Flight(next(numbers), "UA", "JFK", "LAX", None)

    def insert(tx: tl.Transaction) -> tl.Result[Flight, tl.RepositoryError]:
        return tl.repository(tx, _SINK).create(flight())

    def ours() -> None:
        for _ in range(_TIMES):
            tl.unwrap(store.transaction(insert))

    def with_psycopg() -> None:
        for _ in range(_TIMES):
            new = flight()
            with connection.transaction():
                cursor.execute(_INSERT, (new.id, new.carrier, new.origin, new.dest, new.dep_delay))

    def clear() -> None:
        connection.execute("TRUNCATE transaction_sink")

    def written(work: Callable[[], object]) -> object:
        clear()
        work()
        return tl.unwrap(store.count(tl.select(_SINK)))

    works = {OURS: ours, "psycopg": with_psycopg}
    return {
        name: Timed(work, _TIMES, partial(written, work), before=clear)
        for name, work in works.items()
    }


WORKLOADS = (empty, one_insert)
