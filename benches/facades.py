"""A warm hit through the whole of a library, as its users call it, beside caches with two tiers.

dogpile.cache keeps values in its memory backend and cashews in its memory. cashews is asked by
coroutines of one event loop, inside of which its hits are timed. redis-py keeps what it has read in
the process and hears from Redis what has changed (`protocol=3`); what it gives back is decoded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

import tierline as tl
from entities import FLIGHTS, Flight
from measure import Contender, Timed, fresh
from workload import OURS, faster_than, workload
from world import World, installed, waiting

_KEYS = tuple(range(1001, 1201))
_TTL_S = 3600.0


@workload(
    "l1",
    "whole facade: an entity by key",
    "ns",
    faster_than("dogpile.cache", "cashews", "redis-py client-side"),
)
def by_key(world: World) -> Mapping[str, Contender]:
    """A hit of a repository costs less than one of any other."""
    flights = tl.repository(world.store, FLIGHTS, cache=tl.read_through(ttl_s=_TTL_S))
    known = {key: tl.unwrap(flights.get_by_id(key)) for key in _KEYS}
    contenders = {
        OURS: Timed(
            partial(fresh(_call_each), flights.get_by_id, _KEYS),
            len(_KEYS),
            lambda: tl.unwrap(flights.get_by_id(_KEYS[-1])),
        ),
        "redis-py client-side": _client_side(world, known),
    }
    if installed("dogpile"):
        contenders["dogpile.cache"] = _dogpile(known)
    if installed("cashews"):
        contenders["cashews"] = _cashews(world, known)
    return contenders


@workload("l1", "whole facade: a decorated function", "ns", faster_than("dogpile.cache", "cashews"))
def decorated(world: World) -> Mapping[str, Contender]:
    """A hit of `@tl.cached` costs less than one of any other decorator."""

    def name_of(key: int) -> str:
        return f"flight {key}"

    ours = tl.cached(maxsize=10_000, ttl_s=_TTL_S)(name_of)
    contenders: dict[str, Contender] = {OURS: _called(ours)}
    if installed("dogpile"):
        contenders["dogpile.cache"] = _called(_region().cache_on_arguments()(name_of))
    if installed("cashews"):

        async def name_soon(key: int) -> str:
            return f"flight {key}"

        theirs = _cashews_cache(world)(ttl=_TTL_S)(name_soon)
        contenders["cashews"] = _awaited(world, theirs)
    return contenders


def _called(function: Callable[[int], object]) -> Contender:
    _call_each(function, _KEYS)
    work = partial(fresh(_call_each), function, _KEYS)
    return Timed(work, len(_KEYS), lambda: function(_KEYS[-1]))


def _awaited(world: World, function: Callable[[Any], Any]) -> Contender:
    wait_each = partial(fresh(_await_each), function, _KEYS)
    world.wait(wait_each())
    return Timed(
        waiting(world, wait_each), len(_KEYS), waiting(world, partial(function, _KEYS[-1]))
    )


def _call_each(function: Callable[[int], object], keys: Sequence[int]) -> None:
    for key in keys:
        function(key)


async def _await_each(function: Callable[[int], Any], keys: Sequence[int]) -> None:
    for key in keys:
        await function(key)


def _region() -> Any:
    dogpile: Any = importlib.import_module("dogpile.cache")
    return dogpile.make_region().configure("dogpile.cache.memory", expiration_time=_TTL_S)


def _dogpile(known: Mapping[int, Flight]) -> Contender:
    region = _region()
    for key, flight in known.items():
        region.set(f"flight:{key}", flight)

    def get(key: int) -> object:
        return region.get_or_create(f"flight:{key}", lambda: None)

    return _called(get)


def _cashews_cache(world: World) -> Any:
    cashews: Any = importlib.import_module("cashews")
    cache = cashews.Cache()
    cache.setup("mem://", size=10_000)
    # The event loop is made by its first use, and what is made later is closed before.
    world.wait(cache.clear())
    world.at_close(lambda: world.wait(cache.close()))
    return cache


def _cashews(world: World, known: Mapping[int, Flight]) -> Contender:
    cache = _cashews_cache(world)

    async def fill() -> None:
        for key, flight in known.items():
            await cache.set(f"flight:{key}", flight, expire=_TTL_S)

    world.wait(fill())

    async def get(key: int) -> Any:
        return await cache.get(f"flight:{key}")

    return _awaited(world, get)


def _client_side(world: World, known: Mapping[int, Flight]) -> Contender:
    redis: Any = importlib.import_module("redis")
    # It refuses servers below 7.4, which a test's may be; they speak the same.
    proxy: Any = importlib.import_module("redis.connection").CacheProxyConnection
    proxy.MIN_ALLOWED_VERSION = "6.0.0"
    config = importlib.import_module("redis.cache").CacheConfig()
    client = redis.Redis.from_url(world.redis.url, protocol=3, cache_config=config)
    world.at_close(client.close)
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Flight).decode
    for key, flight in known.items():
        client.set(f"facade:{key}", encode(flight))

    def get(key: int) -> Flight:
        return decode(client.get(f"facade:{key}"))

    found = _called(get)
    assert client.get_cache().size >= len(_KEYS), "the client keeps what it has read"
    return found


WORKLOADS = (by_key, decorated)
