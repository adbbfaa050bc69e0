"""Mistakes that both type checkers must find, on exactly the marked lines; never run."""

from __future__ import annotations

from collections.abc import Generator
from typing import assert_never

from reveal import (
    AIRLINES,
    FLIGHTS,
    LEGS,
    Airline,
    CarrierDelay,
    Flight,
    Leg,
    load,
    show,
    summarise,
)

import tierline as tl


def misspelt_fields() -> None:
    tl.table(Flight, name="flights", key=lambda f: f.idd)  # rejected
    tl.select(FLIGHTS, where=lambda f: f.orgin == "JFK")  # rejected
    tl.select(FLIGHTS, order_by=lambda f: f.delay)  # rejected
    tl.select(FLIGHTS, order_by=lambda f: tl.desc(f.delay))  # rejected
    tl.project(tl.select(FLIGHTS), lambda f: f.orgin)  # rejected
    tl.project(tl.select(FLIGHTS), lambda f: tl.count(), group_by=lambda f: f.orgin)  # rejected
    FLIGHTS.index(lambda f: f.orgin)  # rejected
    FLIGHTS.unique(lambda f: (f.origin, f.destination))  # rejected
    FLIGHTS.foreign_key(lambda f: f.airline, AIRLINES)  # rejected


def wrong_operands() -> None:
    tl.select(FLIGHTS, where=lambda f: f.origin < 3)  # rejected
    tl.select(FLIGHTS, where=lambda f: f.origin == 3)  # rejected
    tl.select(FLIGHTS, where=lambda f: f.dep_delay == "late")  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.some(f.dep_delay) < "late")  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.origin, 3))  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.origin, [3]))  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.origin, (3,)))  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.dep_delay, ["1"]))  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.id, [1, None]))  # rejected
    tl.select(FLIGHTS, where=lambda f: f.id > "3")  # rejected
    tl.select(FLIGHTS, where=lambda f: f.origin + 1 > "a")  # rejected
    tl.select(FLIGHTS, where=lambda f: f.id.startswith("3"))  # rejected
    tl.select(FLIGHTS, where=lambda f: f.dep_delay > 60)  # rejected
    tl.select(FLIGHTS, where=lambda f: -f.dep_delay == 60)  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.contains(f.id, "3"))  # rejected
    tl.select(FLIGHTS, where=lambda f: (f.id > 3) & f.origin)  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.not_(f.origin))  # rejected


def conditions_that_are_none() -> None:
    tl.select(FLIGHTS, where=lambda f: f.origin)  # rejected
    tl.select(FLIGHTS, where=lambda f: f.id + 1)  # rejected
    tl.select(FLIGHTS, where=True)  # rejected
    tl.select(FLIGHTS, where=lambda: True)  # rejected


def wrong_options() -> None:
    tl.select(FLIGHTS, filter=lambda f: f.id > 3)  # rejected
    tl.select(FLIGHTS, limit="10")  # rejected
    tl.select(FLIGHTS, order_by=lambda f: tl.desc(f.id, nulls="middle"))  # rejected
    tl.select(Flight)  # rejected
    tl.read_through(60)  # rejected
    tl.read_through(ttl_s="60")  # rejected
    tl.read_through(ttl_s=60, lease_s="1")  # rejected
    tl.open("postgresql://h/d", cache="redis://h")  # rejected
    tl.open(5432)  # rejected
    tl.table(Flight, key=lambda f: f.id)  # rejected
    FLIGHTS.foreign_key(lambda f: f.carrier, AIRLINES, on_delete="forget")  # rejected


def keys_of_another_type() -> None:
    # A foreign key's columns have the type of the other table's key.
    FLIGHTS.foreign_key(lambda f: f.id, AIRLINES)  # rejected
    FLIGHTS.foreign_key(lambda f: f.carrier, LEGS)  # rejected
    LEGS.foreign_key(lambda leg: (leg.carrier, leg.number), FLIGHTS)  # rejected


def wrong_aggregates() -> None:
    tl.project(tl.select(FLIGHTS), lambda f: tl.sum(f.origin))  # rejected
    tl.project(tl.select(FLIGHTS), lambda f: tl.avg(f.origin))  # rejected
    tl.project(tl.select(FLIGHTS), lambda f: CarrierDelay(f.carrier, f.origin, 1))  # rejected
    tl.project(tl.select(FLIGHTS), lambda f: CarrierDelay(f.carrier, None))  # rejected
    _wrong: tl.Query[Leg] = tl.project(tl.select(FLIGHTS), lambda f: f.id)  # rejected
    _other: tl.Query[Leg] = tl.select(FLIGHTS)  # rejected


def wrong_keys_and_entities(
    flights: tl.Repository[Flight, int], legs: tl.Repository[Leg, tuple[str, int]], ua: Airline
) -> None:
    flights.get_by_id("42")  # rejected
    flights.delete("42")  # rejected
    flights.exists(None)  # rejected
    legs.get_by_id("UA")  # rejected
    legs.get_by_id((7, "UA"))  # rejected
    flights.create(ua)  # rejected
    flights.update(ua)  # rejected
    flights.create_many([ua])  # rejected
    flights.create_many(ua)  # rejected
    flights.list(limit="3")  # rejected
    flights.list(where=lambda f: f.orgin == "JFK")  # rejected
    flights.count(where=lambda f: f.origin < 3)  # rejected
    flights.find(42)  # rejected


def wrong_stores(store: tl.Store) -> None:
    _wrong: tl.Repository[Leg, int] = tl.repository(store, FLIGHTS)  # rejected
    tl.repository(FLIGHTS, store)  # rejected
    tl.repository(store, FLIGHTS, cache=60)  # rejected
    store.fetch_all(FLIGHTS)  # rejected
    store.fetch_al(tl.select(FLIGHTS))  # rejected
    tl.connect().fetch_all(tl.select(FLIGHTS))  # rejected


def results_taken_for_values(flights: tl.Repository[Flight, int]) -> str:
    _ = flights.get_by_id(42).carrier  # rejected
    return flights.get_by_id(42)  # rejected


def a_match_that_forgets_an_error(result: tl.Result[Flight, tl.NotFoundError]) -> str:
    match result:
        case tl.Success(flight):
            return flight.carrier
        case _:
            assert_never(result)  # rejected


@tl.do
def undeclared(number: int) -> Generator[tl.Failure[tl.NotFoundError], None, float]:
    text = yield from tl.ask(load(number))
    value = yield from tl.ask(summarise(text))  # rejected
    return value


@tl.do
def of_another_type(number: int) -> Generator[tl.Failure[tl.NotFoundError], None, float]:
    text = yield from tl.ask(load(number))
    return text  # rejected


def steps_that_do_not_fit() -> None:
    tl.then(summarise)(load)  # rejected
    tl.then(show)(load(3))  # rejected
    tl.flow(3, load, tl.then(show))  # rejected
    tl.flow(3, load, summarise)  # rejected
    tl.flow("3", load)  # rejected
    tl.unwrap("text")  # rejected
    _narrow: tl.Result[float, tl.NotFoundError] = tl.flow(3, load, tl.then(summarise))  # rejected


def wrong_cache_entries(cache: tl.Cache[str, int]) -> None:
    cache.get(1)  # rejected
    cache.set("a", "1")  # rejected
    cache["a"] = "1"  # rejected
    cache.reader(load)  # rejected
    tl.Cache("100")  # rejected
    cache.get("a").bit_length()  # rejected


def attributes_that_are_not_there(error: tl.RepositoryError, missing: tl.NotFoundError) -> None:
    _ = error.stage  # rejected
    _ = missing.errors  # rejected
    FLIGHTS.name = "other"  # rejected
