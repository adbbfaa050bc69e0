"""Which keys a cache says are asked for most."""

from __future__ import annotations

import pytest

from tierline._core import Cache, advance_clock


def filled(size: int, **options: object) -> Cache[int, int]:
    cache: Cache[int, int] = Cache(size, **options)  # type: ignore[arg-type]
    cache.set_many((n, n) for n in range(100))
    return cache


def test_what_was_asked_for_more_often_comes_first_whenever_it_came() -> None:
    cache = filled(1_000)
    for key in (7, 7, 50, 50, 3):
        cache.get(key)
    assert cache.hottest(5) == [50, 7, 3, 99, 98]


def test_under_lru_it_is_what_was_used_last() -> None:
    cache = filled(1_000, policy="lru")
    cache.get(7)
    cache.get(3)
    assert cache.hottest(3) == [3, 7, 99]


def test_a_full_cache_ranks_what_stayed() -> None:
    cache = filled(50)
    assert len(cache.hottest(1_000)) == len(cache) == 50
    hot = cache.hottest(1)[0]
    other = cache.hottest(50)[-1]
    cache.get(other)
    assert cache.hottest(1) == [other] != [hot]


@pytest.mark.parametrize("count", [0, 1])
def test_no_more_than_asked_for(count: int) -> None:
    assert len(filled(1_000).hottest(count)) == count


def test_what_is_past_its_time_is_not_hot() -> None:
    cache: Cache[int, int] = Cache(10, ttl_s=60)
    cache[1] = 1
    advance_clock(61)
    cache[2] = 2
    assert cache.hottest(10) == [2]


def test_looking_changes_nothing() -> None:
    cache = filled(1_000)
    before = cache.stats().hits, list(cache)
    cache.hottest(100)
    assert (cache.stats().hits, list(cache)) == before
