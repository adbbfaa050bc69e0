"""About ten questions, each a value described first and performed by the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from rich.console import Console

import tierline as tl
from tierline.cli.demo.entities import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER

T = TypeVar("T")


class CarrierDelay(msgspec.Struct, frozen=True):
    """How late a carrier is on average."""

    carrier: str
    mean_delay: float | None
    flights: int


LATE_FROM_JFK = tl.select(
    FLIGHTS,
    where=lambda f: (f.origin == "JFK") & (tl.some(f.dep_delay) > 60),
    order_by=lambda f: tl.desc(f.dep_delay),
    limit=5,
)
BY_CARRIER = tl.project(
    tl.select(FLIGHTS),
    lambda f: CarrierDelay(f.carrier, tl.avg(f.dep_delay), tl.count()),
    group_by=lambda f: f.carrier,
    order_by=lambda f: tl.desc(tl.avg(f.dep_delay), nulls="last"),
    limit=5,
)
NEVER_LEFT = tl.select(FLIGHTS, where=lambda f: tl.is_null(f.dep_time))
LONGEST = tl.select(FLIGHTS, order_by=lambda f: (tl.desc(f.distance), f.id), limit=1)
DESTINATIONS = tl.project(
    tl.select(FLIGHTS),
    lambda f: (f.dest, tl.count()),
    group_by=lambda f: f.dest,
    order_by=lambda _: tl.desc(tl.count()),
    limit=5,
)
BY_HOUR = tl.project(
    tl.select(FLIGHTS, where=lambda f: tl.not_(tl.is_null(f.dep_delay))),
    lambda f: (f.hour, tl.avg(f.dep_delay)),
    group_by=lambda f: f.hour,
    order_by=lambda f: tl.desc(tl.avg(f.dep_delay)),
    limit=3,
)
MADE_UP_TIME = tl.select(FLIGHTS, where=lambda f: tl.some(f.dep_delay) - tl.some(f.arr_delay) >= 30)
OLDEST = tl.select(PLANES, order_by=lambda p: (tl.asc(p.year, nulls="last"), p.tailnum), limit=3)
BOEING_7X7 = tl.select(
    PLANES, where=lambda p: (p.manufacturer == "BOEING") & p.model.startswith("7")
)
FOG = tl.project(
    tl.select(WEATHER, where=lambda w: tl.some(w.visib) < 1),
    lambda w: (w.origin, tl.count()),
    group_by=lambda w: w.origin,
    order_by=lambda _: tl.desc(tl.count()),
)


def ask_all(store: tl.Store, console: Console) -> None:
    """Ask every question and print its answer."""
    airlines = tl.repository(store, AIRLINES, cache=tl.read_through(ttl_s=60))
    airports = tl.repository(store, AIRPORTS, cache=tl.read_through(ttl_s=60))

    def airline(carrier: str) -> str:
        return tl.unwrap(airlines.get_by_id(carrier)).name

    def airport(code: str) -> str:
        return airports.get_by_id(code).map(lambda found: found.name).value_or(code)

    def ask(
        question: str,
        answer: Callable[[], tl.Result[T, tl.RepositoryError]],
        say: Callable[[T], str],
    ) -> None:
        began = time.perf_counter()
        result = answer()
        took_ms = (time.perf_counter() - began) * 1e3
        said = repr(result) if isinstance(result, tl.Failure) else say(result.unwrap())
        console.print(f"[bold]{question}[/] [dim]({took_ms:.1f} ms)[/]\n  {said}", highlight=False)

    console.rule("Questions")
    ask(
        "Which flights left JFK latest?",
        lambda: store.fetch_all(LATE_FROM_JFK),
        lambda rows: _list(f"{f.carrier}{f.flight} to {f.dest} {f.dep_delay} min" for f in rows),
    )
    ask(
        "Which carriers are late on average?",
        lambda: store.fetch_all(BY_CARRIER),
        lambda rows: _list(f"{airline(r.carrier)} {r.mean_delay or 0:.1f} min" for r in rows),
    )
    ask("How many flights never left?", lambda: store.count(NEVER_LEFT), "{:,}".format)
    ask(
        "Which flight is the longest?",
        lambda: store.fetch_one(LONGEST),
        lambda f: f"{f.origin} to {airport(f.dest)}, {f.distance:,} miles",
    )
    ask(
        "Where does New York fly to most?",
        lambda: store.fetch_all(DESTINATIONS),
        lambda rows: _list(f"{airport(dest)} {count:,}" for dest, count in rows),
    )
    ask(
        "At what hour are departures worst?",
        lambda: store.fetch_all(BY_HOUR),
        lambda rows: _list(f"{hour}:00 {mean or 0:.1f} min" for hour, mean in rows),
    )
    ask(
        "How many made up half an hour in the air?",
        lambda: store.count(MADE_UP_TIME),
        "{:,}".format,
    )
    ask(
        "Which planes are the oldest?",
        lambda: store.fetch_all(OLDEST),
        lambda rows: _list(f"{p.tailnum} {p.manufacturer} {p.year}" for p in rows),
    )
    ask("How many Boeing 7x7 are there?", lambda: store.count(BOEING_7X7), "{:,}".format)
    ask(
        "Where is fog most frequent?",
        lambda: store.fetch_all(FOG),
        lambda rows: _list(f"{origin} {hours} hours" for origin, hours in rows),
    )


def _list(parts: Iterable[str]) -> str:
    return "; ".join(parts)
