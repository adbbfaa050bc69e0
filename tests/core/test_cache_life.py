"""How long entries live: times to live, jitter, idleness, absence, the horizon.

Time is moved, never waited for. It is moved in steps so long that real time does not matter.
"""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import pytest

from tierline._core import Cache, advance_clock


def counters(cache: Cache[Any, Any]) -> tuple[int, int, int]:
    stats = cache.stats()
    return stats.hits, stats.misses, stats.expirations


def test_the_clock_moves_ahead_only() -> None:
    cache: Cache[str, int] = Cache(4, ttl_s=100)
    cache["k"] = 1
    advance_clock(0)
    advance_clock(90)
    assert cache.get("k") == 1
    advance_clock(20)
    assert cache.get("k") is None
    for seconds in (-1, 0.0001, math.nan, math.inf):
        with pytest.raises(ValueError, match="seconds must be"):
            advance_clock(seconds)


def test_a_function_may_say_how_long_an_entry_lives() -> None:
    asked: list[tuple[str, int]] = []

    def ttl(key: str, value: int) -> float | None:
        asked.append((key, value))
        return value or None

    cache: Cache[str, int] = Cache(8, ttl_s=ttl)
    assert cache.ttl_s is ttl
    cache["set"] = 100
    cache.set("own", 100, ttl_s=1_000)
    cache.fill("filled", 300, cache.begin("filled"))
    cache.get_or_load("loaded", lambda _: 100)
    cache["for ever"] = 0
    assert asked == [("set", 100), ("filled", 300), ("loaded", 100), ("for ever", 0)]
    advance_clock(200)
    assert sorted(cache) == ["filled", "for ever", "own"]
    advance_clock(200)
    assert sorted(cache) == ["for ever", "own"]
    advance_clock(10**9)
    assert list(cache) == ["for ever"]


@pytest.mark.parametrize("answer", [0, -1, math.nan, math.inf, "60"])
def test_what_is_no_time_to_live_is_refused_and_changes_nothing(answer: Any) -> None:
    answers: list[Any] = [100.0]
    cache: Cache[str, int] = Cache(8, ttl_s=lambda _key, _value: answers[-1])
    cache["k"] = 1
    answers.append(answer)
    error = TypeError if isinstance(answer, str) else ValueError
    for store in (
        lambda: cache.__setitem__("k", 2),
        lambda: cache.set("k", 2),
        lambda: cache.fill("k", 2, cache.begin("k")),
        lambda: cache.setdefault("other", 2),
        lambda: cache.get_or_load("other", len),
        lambda: cache.touch("k"),
    ):
        with pytest.raises(error):
            store()
    assert dict(cache.items()) == {"k": 1}


def test_jitter_shortens_each_life_by_its_own_part() -> None:
    cache: Cache[int, int] = Cache(4_096, ttl_s=100_000, ttl_jitter=0.5)
    for key in range(1_000):
        cache[key] = key
    held = [len(list(cache))]
    for _ in range(10):
        advance_clock(10_000)
        held.append(len(list(cache)))
    # None ends before half of it, none lives beyond it, and between they leave evenly.
    assert held[4] == 1_000
    assert held[10] == 0
    left = [before - after for before, after in pairwise(held[5:])]
    assert all(100 < count < 300 for count in left)


def test_jitter_concerns_own_times_to_live_too() -> None:
    cache: Cache[int, int] = Cache(4_096, ttl_jitter=1.0)
    for key in range(500):
        cache.set(key, key, ttl_s=100_000)
    cache[-1] = 0
    advance_clock(50_000)
    assert 150 < len(list(cache)) < 350
    advance_clock(50_000)
    assert list(cache) == [-1]


def test_without_jitter_entries_end_together() -> None:
    cache: Cache[int, int] = Cache(4_096, ttl_s=100_000)
    for key in range(100):
        cache[key] = key
    advance_clock(99_000)
    assert len(list(cache)) == 100
    advance_clock(1_000)
    assert list(cache) == []


def test_an_entry_that_is_not_used_ends() -> None:
    cache: Cache[str, int] = Cache(8, idle_s=300)
    for key in ("get", "load", "many", "touch", "in", "idle"):
        cache[key] = 1
    for _ in range(3):
        advance_clock(200)
        assert cache.get("get") == 1
        assert cache.get_or_load("load", len) == 1
        assert cache.get_many(["many"]) == {"many": 1}
        assert cache.touch("touch")
        # To look whether it is there is no use of it.
        assert "idle" not in cache or "in" in cache
    assert sorted(cache) == ["get", "load", "many", "touch"]
    advance_clock(400)
    assert list(cache) == []


def test_idleness_and_a_time_to_live_end_an_entry_whichever_is_first() -> None:
    cache: Cache[str, int] = Cache(8, ttl_s=500, idle_s=300)
    cache["used"] = cache["idle"] = 1
    cache.set("long", 1, ttl_s=10_000)
    for _ in range(2):
        advance_clock(200)
        assert cache.get("used") == cache.get("long") == 1
    assert "idle" not in cache
    advance_clock(200)
    assert cache.get("used") is None
    assert cache.get("long") == 1
    advance_clock(400)
    assert cache.get("long") is None


def test_a_touch_begins_a_life_anew() -> None:
    cache: Cache[str, int] = Cache(8, ttl_s=300, policy="lru")
    cache.update(own=1, longer=2, untouched=3)
    advance_clock(200)
    assert cache.touch("own")
    assert cache.touch("longer", ttl_s=1_000)
    assert list(cache) == ["untouched", "own", "longer"]
    advance_clock(200)
    assert list(cache) == ["own", "longer"]
    advance_clock(200)
    assert list(cache) == ["longer"]
    assert not cache.touch("own")
    assert not cache.touch("never there")
    assert cache.stats().hits == cache.stats().misses == 0
    with pytest.raises(ValueError, match="ttl_s"):
        cache.touch("longer", ttl_s=-1)


def test_a_touch_may_end_what_was_to_live_for_ever_and_the_other_way_round() -> None:
    cache: Cache[str, int] = Cache(8)
    cache["a"] = 1
    cache.set("b", 2, ttl_s=100)
    assert cache.touch("a", ttl_s=100)
    assert cache.touch("b")
    advance_clock(200)
    assert list(cache) == ["b"]


def test_a_touch_asks_the_function_anew() -> None:
    spans = [100.0]
    cache: Cache[str, int] = Cache(8, ttl_s=lambda _key, _value: spans[-1])
    cache["k"] = 1
    spans.append(1_000.0)
    assert cache.touch("k")
    advance_clock(500)
    assert cache["k"] == 1


def test_expire_removes_and_returns_what_is_past_its_time() -> None:
    cache: Cache[str, int] = Cache(16, policy="lru")
    for key in ("a", "b", "c"):
        cache.set(key, ord(key), ttl_s=100)
    cache.set("d", 0, ttl_s=1_000)
    cache["e"] = 0
    cache.set_absent("absent", ttl_s=100)
    assert cache.expire() == []
    advance_clock(200)
    assert len(cache) == 6
    assert cache.expire() == [("a", 97), ("b", 98), ("c", 99)]
    assert (len(cache), list(cache)) == (2, ["d", "e"])
    assert cache.expire() == []
    assert counters(cache) == (0, 0, 4)


def test_entries_that_nobody_asks_for_leave_as_others_are_stored() -> None:
    cache: Cache[int, int] = Cache(1_000, ttl_s=100)
    for key in range(100):
        cache[key] = key
    advance_clock(200)
    for key in range(1_000, 1_200):
        cache[key] = key
    assert len(cache) == 200
    assert counters(cache) == (0, 0, 100)


def test_absence_is_remembered_for_its_time() -> None:
    cache: Cache[str, int] = Cache(8, negative_ttl_s=100)
    calls: list[str] = []

    def load(key: str) -> int:
        calls.append(key)
        raise KeyError(key)

    for _ in range(3):
        with pytest.raises(KeyError):
            cache.get_or_load("k", load)
    assert calls == ["k"]
    assert (cache.get("k"), cache.get("k", 7), "k" in cache, list(cache)) == (None, 7, False, [])
    with pytest.raises(KeyError):
        cache["k"]
    assert len(cache) == 1
    assert not cache.touch("k")
    assert (cache.stats().hits, cache.stats().misses, cache.stats().negative_hits) == (5, 1, 5)
    advance_clock(200)
    with pytest.raises(KeyError):
        cache.get_or_load("k", load)
    assert len(calls) == 2
    cache["k"] = 1
    assert cache.get_or_load("k", load) == 1


def test_absence_is_not_remembered_unless_asked_for() -> None:
    cache: Cache[str, int] = Cache(8)
    calls: list[str] = []

    def load(key: str) -> int:
        calls.append(key)
        raise KeyError(key)

    for _ in range(2):
        with pytest.raises(KeyError):
            cache.get_or_load("k", load)
        assert cache.get_or_load_many("ab", lambda keys: calls.extend(keys) or {}) == {}
    assert calls == ["k", "a", "b"] * 2
    with pytest.raises(ValueError, match="negative_ttl_s"):
        cache.set_absent("k")


def test_what_a_loader_of_many_leaves_out_is_remembered_as_absent() -> None:
    cache: Cache[str, int] = Cache(8, negative_ttl_s=100)
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        asked.append(keys)
        return {key: 1 for key in keys if key != "x"}

    for _ in range(2):
        assert cache.get_or_load_many("axb", load) == {"a": 1, "b": 1}
    assert asked == [["a", "x", "b"]]
    with pytest.raises(KeyError):
        cache.get_or_load("x", len)
    advance_clock(200)
    assert cache.get_or_load_many("axb", load) == {"a": 1, "b": 1}
    assert asked[1:] == [["x"]]


def test_absence_can_be_told_and_taken_back() -> None:
    cache: Cache[str, int] = Cache(8, negative_ttl_s=100)
    cache["k"] = 1
    cache.set_absent("k")
    cache.set_absent("long", ttl_s=1_000)
    assert cache.get("k") is None
    assert cache.pop("k", 7) == 7
    assert not cache.invalidate("k")
    assert cache.get_or_load("k", len) == 1
    advance_clock(500)
    with pytest.raises(KeyError):
        cache.get_or_load("long", len)
    cache.invalidate_all()
    assert cache.get_or_load("long", len) == 4
    with pytest.raises(ValueError, match="ttl_s"):
        cache.set_absent("k", ttl_s=0)


def test_absence_found_before_an_invalidation_is_not_remembered() -> None:
    cache: Cache[str, int] = Cache(8, negative_ttl_s=100)

    def load(key: str) -> int:
        cache.invalidate(key)
        raise KeyError(key)

    with pytest.raises(KeyError):
        cache.get_or_load("k", load)
    assert cache.get_or_load("k", len) == 1


def test_nothing_is_served_beyond_the_horizon() -> None:
    cache: Cache[str, int] = Cache(8, stale_if_error_s=1_000, negative_ttl_s=1_000)
    read = cache.reader(lambda _: -1)
    cache["k"] = 1
    cache.set_absent("absent")
    cache.serve_until(time.monotonic() + 100)
    assert cache.get("k") == cache["k"] == read("k") == 1
    advance_clock(200)
    assert cache.get("k") is None
    assert read("k") == -1
    assert "k" not in cache
    assert (list(cache), dict(cache.items()), len(cache)) == ([], {}, 2)
    assert cache.get_many("k") == {}
    assert cache.pop("k", 7) == 7
    assert not cache.touch("k")
    assert cache.copy() == {}
    with pytest.raises(KeyError):
        cache["k"]
    with pytest.raises(KeyError):
        cache.popitem()
    # No entry stands in for a load either, and absence is no answer.
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", lambda _: 1 // 0)
    assert cache.get_or_load("absent", len) == 6
    assert cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, 2)) == {"k": 2}
    # Entries stay, and are served again when it moves on.
    assert cache.get("k") is None
    cache.serve_until(time.monotonic() + 100)
    assert (cache["k"], cache["absent"]) == (2, 6)
    cache.serve_until(None)
    advance_clock(10_000)
    assert cache["k"] == 2


def test_the_horizon_is_a_moment_of_the_monotonic_clock() -> None:
    cache: Cache[str, int] = Cache(8)
    cache["k"] = 1
    cache.serve_until(time.monotonic() - 1)
    assert cache.get("k") is None
    cache.serve_until(time.monotonic() + 60)
    assert cache.get("k") == 1
    cache.serve_until(0.0)
    assert cache.get("k") is None
    for moment in (math.nan, math.inf):
        with pytest.raises(TypeError, match=r"time\.monotonic"):
            cache.serve_until(moment)


def test_an_ended_entry_is_removed_beyond_the_horizon_too() -> None:
    cache: Cache[str, int] = Cache(8, ttl_s=100)
    cache["k"] = 1
    cache.serve_until(time.monotonic())
    advance_clock(200)
    assert cache.expire() == [("k", 1)]


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("ttl_jitter", (-0.1, 1.1, math.nan)),
        ("idle_s", (0, -1, math.nan, math.inf)),
        ("stale_while_revalidate_s", (-1, 0.0001, math.nan, math.inf)),
        ("stale_if_error_s", (-1, 0.0001, math.nan, math.inf)),
        ("retry_s", (-1, 0.0001, math.nan, math.inf)),
        ("negative_ttl_s", (0, -1, math.nan, math.inf)),
        ("floor_s", (0, -1, math.nan, math.inf)),
    ],
)
def test_a_span_out_of_range_is_refused(option: str, values: tuple[float, ...]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=option):
            Cache(1, **{option: value})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Cache(1, **{option: "1"})  # type: ignore[arg-type]
