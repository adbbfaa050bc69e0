"""Bounds by weight, and the policies as users meet them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from tierline._core import Cache

POLICIES: list[Any] = ["s3fifo", "lru"]


def weighed(maxsize: int, **options: Any) -> Cache[str, Any]:
    """A cache whose values are their own weights."""
    return Cache(maxsize, getsizeof=lambda value: value, **options)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_weights_together_stay_within_the_bound(policy: Any) -> None:
    cache = weighed(10, policy=policy)
    for index in range(100):
        cache[str(index)] = index % 7
        assert cache.currsize == sum(cache[key] for key in cache) <= 10
    cache.clear()
    assert (cache.currsize, len(cache)) == (0, 0)


def test_an_entry_may_be_weighed_with_its_key() -> None:
    cache: Cache[str, str] = Cache(10, weigher=lambda key, value: len(key) + len(value))
    cache["ab"] = "cde"
    cache.set("f", "g")
    assert cache.currsize == 7
    assert cache.pop("f") == "g"
    assert cache.currsize == 5


def test_without_weights_entries_are_counted() -> None:
    cache: Cache[str, str] = Cache(2)
    cache["a"] = "long text"
    assert (cache.currsize, cache.getsizeof("long text")) == (1, 1)


def test_a_new_value_brings_its_own_weight() -> None:
    cache = weighed(10, policy="lru")
    for key, weight in [("a", 2), ("b", 3), ("c", 4)]:
        cache[key] = weight
    cache["a"] = 1
    assert cache.currsize == 8
    cache["a"] = 5
    assert (list(cache), cache.currsize) == (["c", "a"], 9)
    assert cache.stats().evictions == 1


def test_entries_without_weight_take_no_room() -> None:
    cache = weighed(1)
    for index in range(1_000):
        cache[str(index)] = 0
    cache["heavy"] = 1
    assert (len(cache), cache.currsize) == (1_001, 1)


def test_what_is_too_heavy_is_refused_and_removes_the_older_value() -> None:
    cache = weighed(10)
    for weight in (11, 2**63, 2**200):
        cache["k"] = cache["other"] = 1
        with pytest.raises(ValueError, match="value too large"):
            cache["k"] = weight
        assert list(cache) == ["other"]
        with pytest.raises(ValueError, match="value too large"):
            cache.set("other", weight)
        assert cache.currsize == 0
    assert cache.stats().evictions == 0


def test_a_fill_of_what_is_too_heavy_stores_nothing() -> None:
    cache = weighed(10)
    cache["k"] = 1
    assert not cache.fill("k", 11, cache.begin("k"))
    assert "k" not in cache
    assert cache.fill("k", 10, cache.begin("k"))
    token = cache.begin("k")
    cache.invalidate("k")
    assert not cache.fill("k", 1, token)
    assert cache.currsize == 0


@pytest.mark.parametrize(
    ("weight", "error"), [(-1, ValueError), (1.0, TypeError), ("1", TypeError), (None, TypeError)]
)
def test_what_is_no_weight_is_refused_and_changes_nothing(
    weight: Any, error: type[Exception]
) -> None:
    answers: list[Any] = [1]
    cache: Cache[str, str] = Cache(10, getsizeof=lambda _: answers[-1])
    cache["k"] = "old"
    answers.append(weight)
    for store in (cache.__setitem__, cache.set):
        with pytest.raises(error, match="a weight must"):
            store("k", "new")
    with pytest.raises(error, match="a weight must"):
        cache.getsizeof("new")
    assert (cache["k"], cache.currsize) == ("old", 1)


def test_what_a_weigher_raises_reaches_the_caller() -> None:
    def weigh(value: object) -> int:
        if value == "bad":
            raise KeyboardInterrupt
        return 1

    cache: Cache[str, str] = Cache(10, getsizeof=weigh)
    cache["k"] = "old"
    with pytest.raises(KeyboardInterrupt):
        cache["k"] = "bad"
    with pytest.raises(KeyboardInterrupt):
        cache.fill("k", "bad", cache.begin("k"))
    assert cache["k"] == "old"


def test_a_weigher_may_use_the_cache() -> None:
    def weigh(key: int, value: int) -> int:
        cache.get(key)
        cache.pop(key - 1, None)
        if value:
            cache[key + 1] = value - 1
        return 1

    cache: Cache[int, int] = Cache(8, weigher=weigh)
    cache[1] = 5
    assert cache.currsize == len(cache)
    cache.clear()
    assert cache.currsize == 0


def test_a_cycle_through_a_weigher_is_collected() -> None:
    class Owner:
        def weigh(self, value: object) -> int:
            return len(repr(value))

    owner: Any = Owner()
    owner.cache = Cache(100, getsizeof=owner.weigh)
    owner.cache["k"] = "v"
    dead = weakref.ref(owner)
    del owner
    gc.collect()
    assert dead() is None


def test_the_options_are_checked() -> None:
    wrong: Any = "lfu"
    with pytest.raises(ValueError, match="policy must be"):
        Cache(1, policy=wrong)
    with pytest.raises(TypeError, match="not both"):
        Cache(1, getsizeof=len, weigher=lambda _key, _value: 1)
    for option in ("getsizeof", "weigher"):
        with pytest.raises(TypeError, match=f"{option} must be callable"):
            Cache(1, **{option: wrong})
    for maxsize in (2**63, -1):
        with pytest.raises(ValueError, match="maxsize"):
            weighed(maxsize)
    cache: Cache[str, str] = Cache(2**63 - 1, weigher=lambda _key, _value: 1)
    assert (cache.maxsize, cache.policy) == (2**63 - 1, "s3fifo")
    with pytest.raises(TypeError, match="with its key"):
        cache.getsizeof("value")


def hit_ratio(policy: Any, maxsize: int, keys: list[int]) -> float:
    cache: Cache[int, int] = Cache(maxsize, policy=policy)
    for key in keys:
        if cache.get(key) is None:
            cache[key] = key
    return cache.stats().hits / len(keys)


def test_a_loop_that_does_not_fit_still_hits() -> None:
    keys = list(range(1_000)) * 20
    assert hit_ratio("lru", 100, keys) == 0
    assert hit_ratio("s3fifo", 100, keys) > 0.05


def test_a_scan_leaves_half_of_what_is_asked_for_often() -> None:
    often = [index % 50 for index in range(20_000)]
    scan = list(range(1_000, 21_000))
    keys = [key for pair in zip(often, scan, strict=True) for key in pair]
    assert hit_ratio("lru", 60, keys) == 0
    assert hit_ratio("s3fifo", 60, keys) > 0.25


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("maxsize", [1, 2, 3])
def test_the_smallest_caches_work(policy: Any, maxsize: int) -> None:
    cache: Cache[int, int] = Cache(maxsize, policy=policy)
    for index in range(200):
        cache[index % 5] = index
        assert cache.get(index % 5) == index
        assert len(cache) == min(maxsize, index + 1)
        if index % 7 == 0:
            assert cache.get(index % 5, 0) == index
