"""What users see of raw SQL, parameters, batches, streams, plans and loaders; never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import msgspec

import tierline as tl


class Flight(msgspec.Struct, frozen=True):
    id: int
    origin: str
    delay: int | None


class Total(msgspec.Struct, frozen=True):
    origin: str
    flights: int


FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
BY_ORIGIN = tl.select(FLIGHTS, where=lambda f: f.origin == tl.param("origin", str))
TOTALS = tl.sql("select origin, count(*) as flights from flights group by 1", into=Total)
COUNT = tl.sql("select count(*) from {t}", into=int, t=FLIGHTS)
PAIRS = tl.sql("select origin, delay from flights", into=tuple[str, int | None])


def raw_sql_has_the_type_of_its_rows() -> None:
    assert_type(TOTALS, tl.RawQuery[Total])
    assert_type(COUNT, tl.RawQuery[int])
    assert_type(PAIRS, tl.RawQuery[tuple[str, int | None]])
    assert_type(tl.sql("delete from flights"), tl.RawSql)
    assert_type(tl.sql("id = {id}", id=5), tl.RawSql)
    assert_type(TOTALS.sql, str)
    assert_type(BY_ORIGIN.sql, str)


def a_store_answers_with_the_same_types(store: tl.Store) -> None:
    assert_type(store.fetch_all(TOTALS), tl.Result[list[Total], tl.RepositoryError])
    assert_type(store.fetch_one(COUNT), tl.Result[int, tl.RepositoryError])
    assert_type(
        store.fetch_maybe(PAIRS), tl.Result[tuple[str, int | None] | None, tl.RepositoryError]
    )
    assert_type(
        store.fetch_all(BY_ORIGIN, origin="JFK"), tl.Result[list[Flight], tl.RepositoryError]
    )
    assert_type(store.count(BY_ORIGIN, origin="JFK"), tl.Result[int, tl.RepositoryError])
    assert_type(store.execute(tl.sql("delete from flights")), tl.Result[int, tl.RepositoryError])


def verbs_are_functions(store: tl.Store) -> None:
    def size(flights: list[Flight]) -> tl.Result[int, tl.NotFoundError]:
        return tl.Success(len(flights))

    query = tl.select(FLIGHTS)
    assert_type(
        tl.flow(query, store.fetch_all, tl.then(size)),
        tl.Result[int, tl.RepositoryError | tl.NotFoundError],
    )


def a_parameter_is_a_value_of_its_type() -> None:
    assert_type(tl.param("n", int), int)
    assert_type(tl.param("ns", list[int]), list[int])
    # What a union as a value is the type of, no checker says; it is allowed.
    tl.sql("select {n}", into=int | None, n=tl.param("n", int | None))
    assert_type(tl.param("n", tl.optional(int)), int | None)
    assert_type(tl.sql("select max(id) from t", into=tl.optional(int)), tl.RawQuery[int | None])
    names = tl.sql("select max(a) from t", into=tl.optional(list[str]))
    assert_type(names, tl.RawQuery[list[str] | None])
    tl.select(FLIGHTS, limit=tl.param("rows", int), offset=tl.param("skip", int))
    tl.select(FLIGHTS, limit=tl.param("rows", str))  # rejected
    tl.limit(tl.select(FLIGHTS), tl.param("rows", tl.optional(int)))  # rejected
    tl.optional(5)  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.id, tl.param("ids", list[int])))
    tl.select(FLIGHTS, where=lambda f: tl.some(f.delay) > tl.param("delay", int) + 1)


def a_batch_is_a_tuple(store: tl.Store) -> None:
    assert_type(
        tl.batch(BY_ORIGIN, COUNT, TOTALS),
        tl.Batch[tuple[list[Flight], list[int], list[Total]]],
    )
    assert_type(
        store.fetch_batch(tl.batch(COUNT, TOTALS)),
        tl.Result[tuple[list[int], list[Total]], tl.RepositoryError],
    )
    many = [COUNT, COUNT]
    assert_type(tl.batch(*many), tl.Batch[tuple[list[int], ...]])


def a_stream_is_batches_of_rows(store: tl.Store) -> None:
    with store.stream(TOTALS, size=10) as batches:
        assert_type(batches, tl.Stream[Total])
        for batch in batches:
            assert_type(batch, tl.Result[list[Total], tl.RepositoryError])


def a_loader_knows_keys_and_entities(store: tl.Store) -> None:
    with store.loader(FLIGHTS) as load:
        assert_type(load, tl.Loader[Flight, int])
        assert_type(load(1), tl.Deferred[Flight, int])
        assert_type(load(1).result(), tl.Result[Flight, tl.RepositoryError])
        assert_type(load.many([1, 2]), tl.Result[dict[int, Flight], tl.RepositoryError])


def a_plan_has_steps(store: tl.Store) -> None:
    assert_type(store.explain(TOTALS), tl.Result[tl.Plan, tl.RepositoryError])
    assert_type(store.explain(BY_ORIGIN, origin="JFK"), tl.Result[tl.Plan, tl.RepositoryError])
    render: Callable[[tl.PlanNode], str] = repr
    del render


def mistakes(store: tl.Store, name: str) -> None:
    store.fetch_all(tl.sql("delete from flights"))  # rejected
    store.fetch_all("select 1")  # rejected
    store.execute("delete from flights")  # rejected
    store.execute(tl.select(FLIGHTS))  # rejected
    store.fetch_batch(BY_ORIGIN)  # rejected
    tl.batch(tl.sql("select 1"), COUNT)  # rejected
    tl.sql(5, into=int)  # rejected
    tl.sql("select 1", into=5)  # rejected
    tl.param("n", 5)  # rejected
    tl.param(5, int)  # rejected
    tl.identifier(5)  # rejected
    tl.param("n", int).upper()  # rejected
    tl.select(FLIGHTS, where=lambda f: f.id + tl.param("n", str) > 3)  # rejected
    store.stream(TOTALS, size="10")  # rejected
    store.explain(TOTALS, analyze="yes")  # rejected
    store.loader(Flight)  # rejected
    store.loader(FLIGHTS)("1")  # rejected
    tl.unwrap(store.fetch_one(COUNT)).upper()  # rejected
    del name
