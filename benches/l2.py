"""L2: a hit in Redis through the repository beside redis-py itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import redis

import tierline as tl
from entities import FLIGHTS, Flight
from measure import Contender, Timed, fresh
from workload import OURS, at_most, shown_against, workload
from world import World

_KEYS = tuple(range(1001, 1021))
# What a store gives its own client: with a limit redis-py polls the socket before each read.
_SOCKET_TIMEOUT_S = 0.2


@workload(
    "l2",
    "L2 hit",
    "us",
    at_most(1.15, "redis-py"),
    beside=("redis-py with a timeout",),
)
def hit(world: World) -> Mapping[str, Contender]:
    """A hit in L2 costs at most 1.15 of a bare GET and the decoding of the entity.

    L1 has room for one entry, so each read of the loop misses it.
    """
    store = world.store_with_redis
    flights = tl.repository(store, FLIGHTS, cache=tl.read_through(ttl_s=3600, max_entries=1))
    plain = redis.Redis.from_url(world.redis.url)
    limited = redis.Redis.from_url(world.redis.url, socket_timeout=_SOCKET_TIMEOUT_S)
    encode = msgspec.msgpack.Encoder().encode
    for key in _KEYS:
        # The first read fills L2.
        plain.set(f"flight:{key}", encode(tl.unwrap(flights.get_by_id(key))))

    def ours() -> Flight:
        loads = _l3_reads(store)
        flight = tl.unwrap(flights.get_by_id(_KEYS[0]))
        assert _l3_reads(store) == loads, "L2 answers"
        return flight

    def bare(client: Any) -> Contender:
        decode = msgspec.msgpack.Decoder(Flight).decode
        work = partial(fresh(_get_and_decode), client.get, decode, [f"flight:{k}" for k in _KEYS])
        return Timed(work, len(_KEYS), lambda: decode(client.get(f"flight:{_KEYS[0]}")))

    return {
        OURS: Timed(partial(fresh(_read_each), flights.get_by_id, _KEYS), len(_KEYS), ours),
        "redis-py": bare(plain),
        "redis-py with a timeout": bare(limited),
    }


@workload("l2", "get_many(100) from L2", "us", at_most(1.2, "redis-py"))
def many(world: World) -> Mapping[str, Contender]:
    """A hundred keys from L2 cost at most 1.2 of a bare MGET and the decoding of each.

    L1 has room for one entry: a hundred misses of it, and a hundred fills, are in our time.
    """
    store = world.store_with_redis
    flights = tl.repository(store, FLIGHTS, cache=tl.read_through(ttl_s=3600, max_entries=1))
    keys = list(range(1, 101))
    names = [f"flight:{key}" for key in keys]
    plain = redis.Redis.from_url(world.redis.url)
    encode = msgspec.msgpack.Encoder().encode
    decode = msgspec.msgpack.Decoder(Flight).decode
    for key, flight in tl.unwrap(flights.get_many(keys)).items():
        plain.set(f"flight:{key}", encode(flight))

    def ours() -> Flight:
        loads = _l3_reads(store)
        found = tl.unwrap(flights.get_many(keys))
        assert _l3_reads(store) == loads, "L2 answers"
        return found[keys[0]]

    def bare() -> dict[int, Flight]:
        return {key: decode(data) for key, data in zip(keys, plain.mget(names), strict=True)}

    return {
        OURS: Timed(partial(flights.get_many, keys), 1, ours),
        "redis-py": Timed(bare, 1, lambda: bare()[keys[0]]),
    }


@workload("l2", "L2 hit with leases", "us", shown_against("without leases"))
def leased_hit(world: World) -> Mapping[str, Contender]:
    """What a hit in L2 costs when a miss would take a lease in the same call."""

    def contender(lease_s: float | None) -> Contender:
        cache = tl.read_through(ttl_s=3600, max_entries=1, lease_s=lease_s)
        flights = tl.repository(world.store_with_redis, FLIGHTS, cache=cache)
        work = partial(fresh(_read_each), flights.get_by_id, _KEYS)
        return Timed(work, len(_KEYS), lambda: tl.unwrap(flights.get_by_id(_KEYS[0])))

    return {OURS: contender(5.0), "without leases": contender(None)}


def _read_each(get_by_id: Callable[[int], object], keys: Sequence[int]) -> None:
    for key in keys:
        get_by_id(key)


def _get_and_decode(
    get: Callable[[str], bytes], decode: Callable[[bytes], object], keys: Sequence[str]
) -> None:
    for key in keys:
        decode(get(key))


def _l3_reads(store: tl.Store) -> int:
    l3 = store.stats().tiers[-1]
    return l3.hits + l3.misses


WORKLOADS = (hit, leased_hit, many)
