"""What goes wrong comes back as a value: a duplicate, a missing key, a bad entity, a dead Redis."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console

import tierline as tl
from tierline.cli.demo.entities import FLIGHTS, PLANES, TRACKED_FLIGHTS


def show(store: tl.Store, console: Console) -> None:
    """Provoke each failure and print it."""
    console.rule("Failures are values")
    flights = tl.repository(store, FLIGHTS)
    first = tl.unwrap(flights.get_by_id(1))

    _print(console, "A flight that exists", flights.create(first))
    bad = msgspec.structs.replace(first, id=0, month=13, origin="JOHN F KENNEDY", distance=-1)
    _print(console, "A flight with three bad fields", flights.create(bad))
    _print(console, "A flight that does not exist", flights.get_by_id(-1))

    planes = tl.project(tl.select(PLANES), lambda p: p.tailnum)
    known = tl.unwrap(store.fetch_all(planes))
    orphans = tl.select(
        FLIGHTS,
        where=lambda f: tl.not_(tl.is_null(f.tailnum)) & tl.not_(tl.is_in(f.tailnum, known)),
    )
    console.print(
        f"{tl.unwrap(store.count(orphans)):,} flights name a plane that `planes` lacks; "
        "1,000 flights into a table that insists:",
        highlight=False,
    )
    tracked = tl.repository(store, TRACKED_FLIGHTS)
    sample = tl.unwrap(store.fetch_all(tl.select(FLIGHTS, order_by=lambda f: f.id, limit=1_000)))
    _print(console, "  all or nothing", tracked.create_many(sample))
    _print(console, "  rows in it afterwards", tracked.count())


def _print(console: Console, what: str, result: tl.Result[Any, tl.RepositoryError]) -> None:
    if isinstance(result, tl.Failure):
        error = result.failure()
        answer = f"[red]Failure[/] {type(error).__name__}: {error}"
    else:
        answer = f"[green]Success[/] {result.unwrap()}"
    console.print(f"{what}: {answer}", highlight=False)
