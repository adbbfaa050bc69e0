"""What both type checkers must say of `tl.cached`, and the mistakes they must find: never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import tierline as tl


@tl.cached
def plain(x: int, *, y: str = "") -> list[str]:
    return [y] * x


@tl.cached(maxsize=10, ttl_s=60.0)
def bounded(x: int) -> str | None:
    return str(x)


def by_id(x: dict[str, int]) -> int:
    return x["id"]


@tl.cached(key=by_id)
def keyed(x: dict[str, int]) -> int:
    return x["id"]


@tl.cached
async def fetch(x: int) -> bytes:
    return bytes(x)


class Client:
    @tl.cached
    def name(self, x: int) -> str:
        return str(x)

    @tl.cached(ttl_s=1)
    async def fetch(self, x: int, /) -> float:
        return x


def calls_keep_their_types() -> None:
    assert_type(plain(1, y="a"), list[str])
    assert_type(bounded(1), str | None)
    assert_type(keyed({"id": 1}), int)
    assert_type(plain.__wrapped__(1, y="a"), list[str])
    plain("a")  # rejected
    plain(1, "a")  # rejected
    plain(1, z="a")  # rejected
    bounded()  # rejected


async def coroutines_keep_their_types(client: Client) -> None:
    assert_type(await fetch(1), bytes)
    assert_type(await client.fetch(1), float)
    await fetch("a")  # rejected
    await client.fetch(x=1)  # rejected


def methods_are_bound(client: Client) -> None:
    assert_type(client.name(1), str)
    assert_type(Client.name(client, 1), str)
    client.name(client, 1)  # rejected
    client.name("a")  # rejected


def the_cache_can_be_managed(client: Client) -> None:
    assert_type(plain.cache_info(), tl.CacheInfo)
    hits, misses, maxsize, currsize = plain.cache_info()
    assert_type((hits, misses, maxsize, currsize), tuple[int, int, int, int])
    assert_type(plain.cache_info().stats.load_ns, int)
    assert_type(plain.cache_invalidate(1, y="a"), bool)
    assert_type(Client.name.cache_invalidate(client, 1), bool)
    assert_type(client.name.cache_info().currsize, int)
    plain.cache_clear()
    plain.cache_invalidate("a")  # rejected
    tl.cached(maxsize="a")  # rejected
    tl.cached(7)  # rejected


def a_cached_function_is_a_function() -> None:
    takes: Callable[[int], str | None] = bounded
    assert_type(list(map(takes, [1])), list[str | None])


def loads_keep_their_types(cache: tl.Cache[str, int]) -> None:
    assert_type(cache.get_or_load("a", len), int)
    assert_type(cache.get_or_load("a", len, ttl_s=1, on_error="retry"), int)
    assert_type(cache.get_or_load_many(["a"], lambda ks: {k: len(k) for k in ks}), dict[str, int])
    cache.get_or_load(1, len)  # rejected
    cache.get_or_load("a", str)  # rejected
    cache.get_or_load("a", len, on_error="ignore")  # rejected
    cache.get_or_load_many("a", len)  # rejected
