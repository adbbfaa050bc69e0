"""What both type checkers must say of `tl.Cache`, and the mistakes they must find: never run."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from typing import Any, Literal, assert_type

import tierline as tl
from tierline.testing import advance_clock

Cause = Literal["capacity", "expired", "replaced", "invalidated", "cleared"]


class Weighed(tl.Cache[str, bytes]):
    def getsizeof(self, value: bytes, /) -> int:
        return len(value)

    def __missing__(self, key: str, /) -> bytes:
        return key.encode()


def seconds(key: str, value: int) -> float | None:
    return value if key else None


def tell(key: str, value: int, cause: Cause) -> str:
    return f"{key} {value} {cause}"


def options_know_keys_and_values() -> None:
    cache: tl.Cache[str, int] = tl.Cache(
        100,
        ttl_s=seconds,
        ttl_jitter=0.1,
        idle_s=60,
        stale_while_revalidate_s=60,
        stale_if_error_s=600.0,
        retry_s=0.5,
        negative_ttl_s=None,
        policy="lru",
        weigher=lambda key, value: len(key) + value,
        listener=tell,
        floor_s=30,
    )
    assert_type(cache.ttl_s, float | Callable[[str, int], float | None] | None)
    assert_type(cache.policy, Literal["s3fifo", "lru"])
    assert_type((cache.maxsize, cache.currsize, cache.getsizeof(1)), tuple[int, int, int])
    by_value: tl.Cache[str, list[int]] = tl.Cache(100, len)
    assert_type(by_value["a"], list[int])
    _seconds: tl.Cache[int, int] = tl.Cache(1, ttl_s=seconds)  # rejected
    _listener: tl.Cache[str, str] = tl.Cache(1, listener=tell)  # rejected
    _weigher: tl.Cache[str, int] = tl.Cache(1, weigher=lambda key, value: key)  # rejected
    _getsizeof: tl.Cache[str, int] = tl.Cache(1, len)  # rejected
    tl.Cache[str, int](1, policy="lfu")  # rejected
    tl.Cache[str, int](1, idle="60")  # rejected
    tl.Cache[str, int](1, None, 60.0)  # rejected


def it_is_a_mapping(cache: tl.Cache[str, int]) -> None:
    mapping: MutableMapping[str, int] = cache
    assert_type(cache.keys(), KeysView[str])
    assert_type(cache.values(), ValuesView[int])
    assert_type(cache.items(), ItemsView[str, int])
    assert_type(iter(cache), Iterator[str])
    assert_type(len(cache), int)
    assert_type("a" in cache, bool)
    assert_type(cache == mapping, bool)
    assert_type(cache.pop("a"), int)
    assert_type(cache.pop("a", "none"), int | str)
    assert_type(cache.popitem(), tuple[str, int])
    assert_type(cache.setdefault("a", 1), int)
    cache.update({"a": 1}, b=2)
    cache.update([("a", 1)])
    cache.setdefault("a", "1")  # rejected
    cache.update({"a": "1"})  # rejected
    cache.pop(1)  # rejected
    del cache[1]  # rejected


def many_keep_their_types(cache: tl.Cache[str, int]) -> None:
    assert_type(cache.get_many(["a"]), dict[str, int])
    cache.set_many({"a": 1}, ttl_s=60, tags=["x"])
    cache.set_many((key, 1) for key in "ab")
    cache.get_many([1])  # rejected
    cache.set_many({"a": "1"})  # rejected
    cache.set_many(["a"])  # rejected


def lives_and_tags(cache: tl.Cache[str, int]) -> None:
    cache.set("a", 1, ttl_s=60, tags=("x", "y"))
    cache.set_absent("a", ttl_s=1)
    assert_type(cache.touch("a", ttl_s=60), bool)
    assert_type(cache.expire(), list[tuple[str, int]])
    assert_type(cache.get_or_load("a", len, tags=["x"]), int)
    assert_type(cache.get_or_load_many("ab", lambda ks: dict.fromkeys(ks, 1)), dict[str, int])
    advance_clock(60)
    cache.set("a", 1, 60)  # rejected
    cache.set("a", 1, tags=[1])  # rejected
    cache.set("a", 1, ttl_s="60")  # rejected
    cache.set_absent(1)  # rejected
    cache.touch("a", 60)  # rejected
    cache.get_or_load("a", len, tags=1)  # rejected
    advance_clock("60")  # rejected


def changes(cache: tl.Cache[str, int]) -> None:
    token = cache.begin("a")
    assert_type(cache.is_current("a", token), bool)
    assert_type(cache.fill("a", 1, token, snapshot=b"", standby=True, tags=["x"]), bool)
    assert_type(cache.begin_many(["a"]), list[int])
    assert_type(cache.fill_many(["a"], [1], [token], [1.0]), int)
    assert_type(cache.invalidate("a"), bool)
    assert_type(cache.invalidate_many(["a"]), int)
    assert_type(cache.invalidate_all(), int)
    assert_type(cache.announce("a", 7), bool)
    assert_type(cache.announce_all(7), int)
    cache.invalidate_tag("x")
    cache.serve_until(1.5)
    cache.serve_until(None)
    cache.fill("a", 1)  # rejected
    cache.fill_many(["a"], ["1"], [token], [1.0])  # rejected
    cache.fill("a", 1, token, snapshot="1:1:")  # rejected
    cache.announce("a")  # rejected
    cache.announce(7, 7)  # rejected
    cache.invalidate_tag(7)  # rejected
    cache.serve_until("now")  # rejected


def copies_and_snapshots(cache: tl.Cache[str, int]) -> None:
    assert_type(cache.copy(), tl.Cache[str, int])
    data = cache.snapshot(enc_hook=repr)
    assert_type(data, bytes)
    assert_type(cache.restore(data, key=str, value=int | None), int)
    cache.restore(memoryview(data))
    cache.restore("text")  # rejected
    cache.restore(data, str, int)  # rejected
    cache.snapshot(repr)  # rejected


def classes_derive(cache: Weighed, caches: dict[str, tl.Cache[Any, Any]]) -> None:
    assert_type(Weighed(10), Weighed)
    assert_type(cache["a"], bytes)
    assert_type(cache.copy(), tl.Cache[str, bytes])
    caches["a"] = cache
    cache["a"] = "text"  # rejected


def counters_are_read_only(cache: tl.Cache[str, int]) -> None:
    stats = cache.stats()
    assert_type(stats.stale_hits + stats.negative_hits + stats.failed_loads + stats.load_ns, int)
    assert_type(stats.refused_fills + stats.expirations + stats.cleared + stats.weight, int)
    stats.hits = 1  # rejected
    cache.maxsize = 1  # rejected
