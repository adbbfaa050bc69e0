"""The types that users of cached queries see; never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

import tierline as tl


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str | None


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)

LARGE = tl.select(PLANES, where=lambda p: tl.some(p.seats) > tl.param("seats", int))


def queries(store: tl.Store, tx: tl.Transaction) -> None:
    large = tl.cached_query(LARGE, ttl_s=60)
    assert_type(large, tl.CachedQuery[Plane])
    assert_type(store.fetch_all(large, seats=150), tl.Result[list[Plane], tl.RepositoryError])
    assert_type(tx.fetch_all(large, seats=150), tl.Result[list[Plane], tl.RepositoryError])
    assert_type(
        store.fetch_all(large, fresh=True, seats=150), tl.Result[list[Plane], tl.RepositoryError]
    )
    assert_type(store.fetch_one(large, seats=1), tl.Result[Plane, tl.RepositoryError])
    assert_type(store.fetch_maybe(large, seats=1), tl.Result[Plane | None, tl.RepositoryError])
    assert_type(store.count(large, seats=1), tl.Result[int, tl.RepositoryError])
    assert_type(store.exists(large, fresh=True, seats=1), tl.Result[bool, tl.RepositoryError])
    assert_type(store.count(large, ttl_s=5, seats=1), tl.Result[int, tl.RepositoryError])
    robust = tl.cached_query(LARGE, strategy=tl.read_through(ttl_s=60, stale_if_error_s=600))
    assert_type(robust, tl.CachedQuery[Plane])
    assert_type(
        tx.fetch_all(robust, stale_ok_s=5, seats=1), tl.Result[list[Plane], tl.RepositoryError]
    )


def shapes(store: tl.Store) -> None:
    tails = tl.cached_query(tl.project(LARGE, lambda p: p.tail), ttl_s=1)
    assert_type(tails, tl.CachedQuery[str])
    joined = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
    assert_type(tl.cached_query(joined, ttl_s=1), tl.CachedQuery[tuple[Flight, Plane]])
    counted = tl.cached_query(
        tl.sql("select count(*) from planes", into=int), ttl_s=1, reads=(PLANES,)
    )
    assert_type(counted, tl.CachedQuery[int])
    assert_type(store.fetch_one(counted), tl.Result[int, tl.RepositoryError])
