"""What users see in their editor: type-checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path
from typing import Literal, assert_never, assert_type

import msgspec

import tierline as tl


class Flight(msgspec.Struct, frozen=True, gc=False):
    id: int
    carrier: str
    origin: str
    dest: str
    dep_delay: int | None


class Airline(msgspec.Struct, frozen=True):
    code: str
    name: str


class Leg(msgspec.Struct, frozen=True):
    carrier: str
    number: int
    fare: Decimal
    distance: float


class CarrierDelay(msgspec.Struct, frozen=True):
    carrier: str
    delay: float | None
    flights: int


class LegFare(msgspec.Struct, frozen=True):
    carrier: str
    mean: Decimal | None


FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
AIRLINES = tl.table(Airline, name="airlines", key=lambda a: a.code, schema="public")
LEGS = tl.table(Leg, name="legs", key=lambda leg: (leg.carrier, leg.number), copy=True)


def tables_know_their_entity_and_key() -> None:
    assert_type(FLIGHTS, tl.Table[Flight, int])
    assert_type(AIRLINES, tl.Table[Airline, str])
    assert_type(LEGS, tl.Table[Leg, tuple[str, int]])
    assert_type(FLIGHTS.key_of, Callable[[Flight], int])


def rules_keep_the_type_of_the_table() -> None:
    assert_type(
        FLIGHTS.foreign_key(lambda f: f.carrier, AIRLINES, on_delete="cascade"),
        tl.Table[Flight, int],
    )
    # An optional foreign key is one that may be NULL.
    assert_type(FLIGHTS.foreign_key(lambda f: f.dep_delay, FLIGHTS), tl.Table[Flight, int])
    assert_type(LEGS.unique(lambda leg: leg.fare), tl.Table[Leg, tuple[str, int]])
    assert_type(FLIGHTS.index(lambda f: (f.origin, f.dest)), tl.Table[Flight, int])


def stores_open_as_values_and_as_context_managers() -> None:
    assert_type(tl.connect(), tl.Result[tl.Store, tl.RepositoryError])
    assert_type(
        tl.connect("postgresql://h/d", redis="redis://h"), tl.Result[tl.Store, tl.RepositoryError]
    )
    assert_type(tl.open(path=Path("data"), pool_size=2), tl.Store)
    with tl.open() as store:
        assert_type(store, tl.Store)
        assert_type(store.stats(), tl.Stats)
        assert_type(store.stats().tiers, tuple[tl.TierStats, ...])
        assert_type(store.create_table(FLIGHTS, exist_ok=True), tl.Result[None, tl.RepositoryError])
        assert_type(store.drop_table(FLIGHTS), tl.Result[None, tl.RepositoryError])


def repositories_answer_with_results(store: tl.Store, rows: list[Flight]) -> None:
    flights = tl.repository(store, FLIGHTS, cache=tl.read_through(ttl_s=60))
    assert_type(flights, tl.Repository[Flight, int])
    assert_type(flights.get_by_id(42), tl.Result[Flight, tl.RepositoryError])
    options = flights.get_by_id(42, ttl_s=5, stale_ok_s=30)
    assert_type(options, tl.Result[Flight, tl.RepositoryError])
    assert_type(flights.get_by_id(42, fresh=True), tl.Result[Flight, tl.RepositoryError])
    many = flights.get_many([42], fresh=True, ttl_s=5)
    assert_type(many, tl.Result[dict[int, Flight], tl.RepositoryError])
    assert_type(flights.create(rows[0]), tl.Result[Flight, tl.RepositoryError])
    assert_type(flights.update(rows[0]), tl.Result[Flight, tl.RepositoryError])
    assert_type(flights.delete(42), tl.Result[None, tl.RepositoryError])
    assert_type(flights.exists(42), tl.Result[bool, tl.RepositoryError])
    assert_type(flights.count(where=lambda f: f.id > 3), tl.Result[int, tl.RepositoryError])
    assert_type(flights.create_many(rows), tl.Result[int, tl.RepositoryError])
    assert_type(
        flights.create_many((row for row in rows), progress=lambda n: None),
        tl.Result[int, tl.RepositoryError],
    )
    assert_type(
        flights.list(where=lambda f: f.id > 3, order_by=lambda f: f.id, limit=2, carrier="UA"),
        tl.Result[list[Flight], tl.RepositoryError],
    )
    legs = tl.repository(store, LEGS)
    assert_type(legs, tl.Repository[Leg, tuple[str, int]])
    assert_type(legs.get_by_id(("UA", 7)), tl.Result[Leg, tl.RepositoryError])


def matching_a_result_is_exhaustive(flights: tl.Repository[Flight, int]) -> str:
    result = flights.get_by_id(42)
    match result:
        case tl.Success(flight):
            assert_type(flight, Flight)
            return flight.carrier
        case tl.Failure(tl.NotFoundError()):
            return "none"
        case tl.Failure(error):
            assert_type(error, tl.RepositoryError)
            return error.message
        case _:
            assert_never(result)


def queries_know_their_rows(store: tl.Store) -> None:
    late = tl.select(
        FLIGHTS,
        where=lambda f: (f.origin == "JFK") & (tl.some(f.dep_delay) > 60),
        order_by=lambda f: tl.desc(f.dep_delay),
        limit=10,
    )
    assert_type(late, tl.Query[Flight])
    assert_type(store.fetch_all(late), tl.Result[list[Flight], tl.RepositoryError])
    assert_type(store.fetch_one(late), tl.Result[Flight, tl.RepositoryError])
    assert_type(store.fetch_maybe(late), tl.Result[Flight | None, tl.RepositoryError])
    assert_type(store.count(late), tl.Result[int, tl.RepositoryError])
    assert_type(store.exists(late), tl.Result[bool, tl.RepositoryError])
    # The method belongs to `returns`, which answers with its own base class.
    assert_type(store.fetch_all(late).map(len).unwrap(), int)


def every_test_of_a_field_is_a_condition() -> None:
    tl.select(FLIGHTS, where=lambda f: tl.is_null(f.dep_delay) | tl.not_(f.id <= 3))
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.origin, ["JFK", "LGA"]))
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.dep_delay, range(3)))
    tl.select(FLIGHTS, where=lambda f: tl.contains(f.dest, "A") & f.dest.startswith("L"))
    tl.select(FLIGHTS, where=lambda f: (tl.some(f.dep_delay) + 5) % 2 != f.id // 3)
    tl.select(FLIGHTS, order_by=lambda f: (f.origin, tl.asc(f.dep_delay, nulls="first"), -f.id))


def projections_know_what_they_make(store: tl.Store) -> None:
    by_carrier = tl.project(
        tl.select(FLIGHTS),
        lambda f: CarrierDelay(f.carrier, tl.avg(f.dep_delay), tl.count()),
        group_by=lambda f: f.carrier,
    )
    assert_type(by_carrier, tl.Query[CarrierDelay])
    assert_type(store.fetch_all(by_carrier), tl.Result[list[CarrierDelay], tl.RepositoryError])
    fares = tl.project(
        tl.select(LEGS),
        lambda leg: LegFare(leg.carrier, tl.avg(leg.fare)),
        group_by=lambda leg: leg.carrier,
        order_by=lambda leg: tl.desc(tl.avg(leg.fare)),
        limit=3,
    )
    assert_type(fares, tl.Query[LegFare])
    assert_type(tl.project(tl.select(FLIGHTS), lambda f: f.origin), tl.Query[str])
    assert_type(tl.project(tl.select(FLIGHTS), lambda f: (f.id, f.dest)), tl.Query[tuple[int, str]])
    assert_type(tl.project(tl.select(FLIGHTS), lambda f: tl.max(f.id)), tl.Query[int | None])
    assert_type(tl.project(tl.select(FLIGHTS), lambda _: tl.count()), tl.Query[int])
    assert_type(
        tl.project(tl.select(LEGS), lambda leg: (tl.sum(leg.fare), tl.min(leg.carrier))),
        tl.Query[tuple[Decimal | None, str | None]],
    )
    assert_type(
        tl.project(tl.select(LEGS), lambda leg: (tl.sum(leg.number), tl.sum(leg.distance))),
        tl.Query[tuple[int | None, float | None]],
    )


def load(number: int) -> tl.Result[str, tl.NotFoundError]:
    return tl.Success(str(number))


def summarise(text: str) -> tl.Result[float, tl.ValidationError]:
    return tl.Success(float(text))


def show(number: float) -> tl.Result[bytes, tl.QueryError]:
    return tl.Success(str(number).encode())


def errors_add_up_along_a_flow(store: tl.Store) -> None:
    assert_type(
        tl.flow(3, load, tl.then(summarise)),
        tl.Result[float, tl.NotFoundError | tl.ValidationError],
    )
    assert_type(
        tl.flow(3, load, tl.then(summarise), tl.then(show)),
        tl.Result[bytes, tl.NotFoundError | tl.ValidationError | tl.QueryError],
    )
    assert_type(
        tl.then(summarise)(load(3)), tl.Result[float, tl.NotFoundError | tl.ValidationError]
    )
    assert_type(tl.flow(" a ", str.strip, len), int)
    assert_type(tl.flow(3, load), tl.Result[str, tl.NotFoundError])

    def longest(flights: list[Flight]) -> tl.Result[Flight, tl.QueryError]:
        return tl.Success(flights[0])

    assert_type(
        tl.flow(tl.select(FLIGHTS), store.fetch_all, tl.then(longest)),
        tl.Result[Flight, tl.RepositoryError | tl.QueryError],
    )


@tl.do
def total(number: int) -> Generator[tl.Failure[tl.NotFoundError | tl.ValidationError], None, float]:
    text = yield from tl.ask(load(number))
    assert_type(text, str)
    value = yield from tl.ask(summarise(text))
    assert_type(value, float)
    return value


def steps_answer_with_a_result() -> None:
    assert_type(total(3), tl.Result[float, tl.NotFoundError | tl.ValidationError])
    assert_type(tl.collect([load(1), load(2)]), tl.Result[list[str], tl.NotFoundError])
    assert_type(tl.collect(map(load, range(3))), tl.Result[list[str], tl.NotFoundError])
    assert_type(tl.unwrap(load(3)), str)
    assert_type(load(3).map(len).unwrap(), int)


def caches_know_their_keys_and_values() -> None:
    cache: tl.Cache[str, int] = tl.Cache(100, ttl_s=60)
    assert_type(cache.get("a"), int | None)
    assert_type(cache.get("a", "none"), int | str)
    assert_type(cache.pop("a"), int)
    assert_type(cache["a"], int)
    assert_type(list(cache), list[str])
    assert_type(cache.reader(len), Callable[[str], int])
    assert_type(cache.begin("a"), int)
    assert_type(cache.fill("a", 1, 7), bool)
    assert_type(tl.Cache[str, int](10), tl.Cache[str, int])


def errors_have_typed_attributes(
    timeout: tl.TimeoutError, invalid: tl.ValidationError, error: tl.RepositoryError
) -> None:
    assert_type(
        timeout.stage, Literal["acquire", "connect", "statement", "lock", "load", "deadline"]
    )
    assert_type(invalid.errors, tuple[tl.FieldError, ...])
    assert_type(invalid.errors[0].path, str)
    assert_type(error.sqlstate, str | None)
    assert_type(error.columns, tuple[str, ...])
    assert_type(error.details(), dict[str, object])
