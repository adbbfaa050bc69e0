"""The compile time of a fresh query: from the code that describes it to text and values.

Ours traces its lambdas and renders the text each time. SQLAlchemy builds the statement anew and
finds its text in a warm cache, as its engines do: `_compile_w_cache` is what they call, and what is
left to do with its answer is to take the values out. Nothing is sent in either case.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tierline as tl
from entities import FLIGHTS
from measure import Contender, Timed, fresh
from tierline.sql import compile_query
from workload import OURS, Workload, at_most, workload
from world import World, installed

PEER = "sqlalchemy core"
_TIMES = 20

Build = Callable[[int], Any]


class Description(NamedTuple):
    """One query, in our words and in SQLAlchemy's."""

    ours: Build
    theirs: Callable[[Any, Any], Build]


def _by_key(number: int) -> tl.Query[Any]:
    return tl.select(FLIGHTS, where=lambda f: f.id == number)


def _chosen(number: int) -> tl.Query[Any]:
    return tl.select(
        FLIGHTS,
        where=lambda f: (
            (f.origin == "JFK") & (tl.some(f.dep_delay) > number) & f.dest.startswith("D")
        ),
        order_by=lambda f: (tl.desc(f.dep_delay), f.id),
        limit=10,
    )


def _grouped(number: int) -> tl.Query[Any]:
    return tl.project(
        tl.select(FLIGHTS, where=lambda f: f.id > number),
        lambda f: (f.carrier, tl.avg(f.dep_delay), tl.count()),
        group_by=lambda f: f.carrier,
        order_by=lambda _: tl.desc(tl.count()),
        limit=10,
    )


def _joined(number: int) -> tl.Query[Any]:
    return tl.project(
        tl.where(
            tl.join(FLIGHTS, FLIGHTS, lambda f, g: f.dest == g.origin), lambda f, _: f.id > number
        ),
        lambda f, g: (f.id, g.id, g.dest),
        order_by=lambda f, g: (f.id, g.id),
    )


def _their_chosen(sa: Any, flights: Any) -> Build:
    return lambda number: (
        sa.select(flights)
        .where(
            flights.c.origin == "JFK",
            flights.c.dep_delay > number,
            flights.c.dest.startswith("D", autoescape=True),
        )
        .order_by(flights.c.dep_delay.desc(), flights.c.id)
        .limit(10)
    )


def _their_grouped(sa: Any, flights: Any) -> Build:
    return lambda number: (
        sa.select(flights.c.carrier, sa.func.avg(flights.c.dep_delay), sa.func.count())
        .where(flights.c.id > number)
        .group_by(flights.c.carrier)
        .order_by(sa.func.count().desc())
        .limit(10)
    )


def _their_joined(sa: Any, flights: Any) -> Build:
    others = flights.alias()
    return lambda number: (
        sa.select(flights.c.id, others.c.id, others.c.dest)
        .join_from(flights, others, flights.c.dest == others.c.origin)
        .where(flights.c.id > number)
        .order_by(flights.c.id, others.c.id)
    )


DESCRIPTIONS: Mapping[str, Description] = {
    "one condition": Description(
        _by_key, lambda sa, flights: lambda number: sa.select(flights).where(flights.c.id == number)
    ),
    "conditions, order and limit": Description(_chosen, _their_chosen),
    "groups": Description(_grouped, _their_grouped),
    "a join": Description(_joined, _their_joined),
}


def _workload(name: str, description: Description) -> Workload:
    def build(world: World) -> Mapping[str, Contender]:
        del world
        contenders: dict[str, Contender] = {OURS: _timed(_ours(description.ours))}
        if installed("sqlalchemy"):
            contenders[PEER] = _timed(_theirs(description))
        return contenders

    return workload("l3", f"compile a fresh query: {name}", "us", at_most(1.0, PEER))(build)


def _timed(compile_one: Callable[[int], tuple[str, list[Any]]]) -> Contender:
    loop = fresh(_each)
    return Timed(lambda: loop(compile_one, _TIMES), _TIMES, lambda: compile_one(4242)[1])


def _each(compile_one: Callable[[int], object], times: int) -> None:
    for number in range(times):
        compile_one(number)


def _ours(build: Build) -> Callable[[int], tuple[str, list[Any]]]:
    def compile_one(number: int) -> tuple[str, list[Any]]:
        statement, values = compile_query(build(number))
        # The name is what a connection finds the prepared statement by.
        assert statement.name
        return statement.sql, list(values)

    return compile_one


def _theirs(description: Description) -> Callable[[int], tuple[str, list[Any]]]:
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    dialect = importlib.import_module("sqlalchemy.dialects.postgresql.psycopg").dialect()
    cache = importlib.import_module("sqlalchemy.util").LRUCache(500)
    text = sqlalchemy.Text
    flights = sqlalchemy.Table(
        "flights",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True),
        *(sqlalchemy.Column(name, text) for name in ("carrier", "origin", "dest")),
        sqlalchemy.Column("dep_delay", sqlalchemy.BigInteger),
    )
    build = description.theirs(sqlalchemy, flights)

    def compile_one(number: int) -> tuple[str, list[Any]]:
        compiled, extracted, *_ = build(number)._compile_w_cache(
            dialect, compiled_cache=cache, column_keys=[]
        )
        values = compiled.construct_params(extracted_parameters=extracted)
        return compiled.string, [values[name] for name in compiled.bind_names.values()]

    return compile_one


WORKLOADS = tuple(_workload(name, description) for name, description in DESCRIPTIONS.items())
