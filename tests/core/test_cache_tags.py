"""Tags: labels by which entries and loads are invalidated together."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from tests.core.test_cache_hazards import eager_switches, in_threads
from tests.core.test_loading import Slow, in_thread, until_waiting

from tierline._core import Cache, advance_clock

WRONG_TAGS: list[Any] = ["one", b"one", 7, [7], [b"one"], ["right", None]]


def test_an_invalidated_tag_takes_its_entries_along_and_no_others() -> None:
    cache: Cache[str, int] = Cache(8)
    read = cache.reader(lambda _: -1)
    cache.set("a", 1, tags=("x",))
    cache.set("b", 2, tags=("x", "y"))
    cache.set("c", 3, tags=("y",))
    cache["d"] = 4
    cache.invalidate_tag("x")
    assert list(cache) == ["c", "d"]
    assert (cache.get("a"), read("b"), "a" in cache, "b" in cache) == (None, -1, False, False)
    with pytest.raises(KeyError):
        cache["a"]
    assert (cache["c"], read("d")) == (3, 4)
    cache.invalidate_tag("y")
    assert list(cache) == ["d"]


def test_a_tag_that_nobody_carries_may_be_invalidated() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set("a", 1, tags=("x",))
    for tag in ("y", "", "émoji 🦀", "x" * 10_000):
        cache.invalidate_tag(tag)
    assert cache["a"] == 1
    cache.set("b", 1, tags=("", "émoji 🦀"))
    cache.invalidate_tag("émoji 🦀")
    assert "b" not in cache


def test_entries_stay_until_they_are_met() -> None:
    told: list[Any] = []
    cache: Cache[int, int] = Cache(64, listener=lambda *left: told.append(left))
    for key in range(20):
        cache.set(key, key, tags=("x",))
    cache.invalidate_tag("x")
    assert (len(cache), cache.currsize, list(cache), told) == (20, 20, [], [])
    assert cache.get(3) is None
    assert cache.pop(4, None) is None
    assert not cache.invalidate(5)
    assert told == [(key, key, "invalidated") for key in (3, 4, 5)]
    # What is past its time is returned; what is outdated only leaves.
    assert cache.expire() == []
    assert (len(cache), len(told)) == (0, 20)
    assert {cause for *_, cause in told} == {"invalidated"}
    assert (cache.stats().invalidations, cache.stats().expirations) == (20, 0)


def test_outdated_entries_that_nobody_asks_for_leave_as_others_are_stored() -> None:
    cache: Cache[int, int] = Cache(1_000)
    for key in range(100):
        cache.set(key, key, tags=("x",))
    cache.invalidate_tag("x")
    for key in range(1_000, 1_200):
        cache[key] = key
    assert len(cache) == 200


def test_what_is_stored_after_the_invalidation_lives() -> None:
    cache: Cache[str, int] = Cache(8)
    for value in range(3):
        cache.set("a", value, tags=("x",))
        cache.set("b", value, tags=("x",))
        assert cache.get_many("ab") == {"a": value, "b": value}
        cache.invalidate_tag("x")
        assert cache.get_many("a") == {}


def test_a_new_value_brings_its_own_tags() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set("a", 1, tags=("x",))
    cache.set("a", 2, tags=("y",))
    cache.set("b", 1, tags=("x",))
    cache["b"] = 2
    cache.invalidate_tag("x")
    assert cache.get_many("ab") == {"a": 2, "b": 2}
    cache.invalidate_tag("y")
    assert cache.get_many("ab") == {"b": 2}


def test_a_touch_keeps_the_tags() -> None:
    cache: Cache[str, int] = Cache(8, ttl_s=100)
    cache.set("a", 1, tags=("x",))
    cache.touch("a", ttl_s=1_000)
    advance_clock(200)
    assert cache["a"] == 1
    cache.invalidate_tag("x")
    assert not cache.touch("a")
    assert "a" not in cache


def test_an_outdated_entry_is_not_brought_back_by_its_last_companion_leaving() -> None:
    cache: Cache[str, int] = Cache(8)
    for key in "abc":
        cache.set(key, 1, tags=("x", f"own {key}"))
    cache.invalidate_tag("x")
    cache.invalidate("a")
    cache.set("b", 2)
    assert "c" not in cache
    cache.set("d", 1, tags=("x",))
    assert ("c" in cache, "d" in cache) == (False, True)


def test_many_are_set_with_tags() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set_many({"a": 1, "b": 2}, tags=(tag for tag in ("x", "x")))
    cache["c"] = 3
    cache.invalidate_tag("x")
    assert list(cache) == ["c"]


def test_a_fill_is_refused_if_one_of_its_tags_was_invalidated_meanwhile() -> None:
    cache: Cache[str, int] = Cache(8)
    token = cache.begin("a")
    cache.invalidate_tag("x")
    assert cache.is_current("a", token)
    assert not cache.fill("a", 1, token, tags=("y", "x"))
    assert "a" not in cache
    assert cache.fill("a", 1, token, tags=("y",))
    assert cache.fill("a", 2, cache.begin("a"), tags=("x",))
    assert cache["a"] == 2
    assert cache.stats().refused_fills == 1


def test_a_load_that_an_invalidated_tag_overtakes_is_not_kept() -> None:
    cache: Cache[str, str] = Cache(8)
    old, new = Slow(lambda _: "old"), Slow(lambda _: "new")
    before = [in_thread(lambda: cache.get_or_load("k", old, tags=("x",))) for _ in range(3)]
    assert old.began.wait(10)
    until_waiting()
    cache.invalidate_tag("x")
    # Whoever asks from now on is not handed what was read before.
    after = in_thread(lambda: cache.get_or_load("k", new, tags=("x",)))
    assert new.began.wait(10)
    old.go.set()
    assert [result() for result in before] == ["old"] * 3
    assert "k" not in cache
    new.go.set()
    assert after() == "new" == cache["k"]


def test_loaded_values_carry_their_tags() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.get_or_load("a", ord, tags=["x"])
    cache.get_or_load_many("bc", lambda keys: dict.fromkeys(keys, 1), tags={"x", "y"})
    cache.invalidate_tag("y")
    assert list(cache) == ["a"]
    cache.invalidate_tag("x")
    assert list(cache) == []


def test_a_load_of_many_that_an_invalidated_tag_overtakes_is_not_kept() -> None:
    cache: Cache[str, int] = Cache(8)

    def load(keys: list[str]) -> dict[str, int]:
        cache.invalidate_tag("x")
        return dict.fromkeys(keys, 1)

    assert cache.get_or_load_many("ab", load, tags=("x",)) == {"a": 1, "b": 1}
    assert list(cache) == []
    assert cache.stats().refused_fills == 2


def test_a_stale_value_is_no_answer_once_its_tag_was_invalidated() -> None:
    cache: Cache[str, int] = Cache(8, stale_while_revalidate_s=1_000)
    cache.set("k", 1, ttl_s=100, tags=("x",))
    advance_clock(200)
    cache.invalidate_tag("x")
    assert cache.get_or_load("k", lambda _: 2) == 2


@pytest.mark.parametrize("tags", WRONG_TAGS, ids=repr)
def test_what_are_no_tags_is_refused_before_anything_happens(tags: Any) -> None:
    cache: Cache[str, int] = Cache(8)
    cache["k"] = 1
    for call in (
        lambda: cache.set("k", 2, tags=tags),
        lambda: cache.set_many({"k": 2}, tags=tags),
        lambda: cache.fill("k", 2, cache.begin("k"), tags=tags),
        lambda: cache.get_or_load("new", len, tags=tags),
        lambda: cache.get_or_load_many(["new"], lambda _: {}, tags=tags),
    ):
        with pytest.raises(TypeError):
            call()
    assert dict(cache.items()) == {"k": 1}
    assert cache.stats().misses == cache.stats().loads == 0


def test_a_tag_must_be_text() -> None:
    cache: Any = Cache(8)
    for tag in (None, 7, b"x", ("x",)):
        with pytest.raises(TypeError, match="a tag must be a str"):
            cache.invalidate_tag(tag)


def test_thousands_of_tags_do_not_get_in_each_others_way() -> None:
    cache: Cache[int, int] = Cache(10_000)
    for key in range(5_000):
        cache.set(key, key, tags=(f"t{key}", f"group {key % 10}"))
    for key in range(0, 5_000, 2):
        cache.invalidate_tag(f"t{key}")
    assert sorted(cache) == list(range(1, 5_000, 2))
    cache.invalidate_tag("group 1")
    assert sorted(cache) == [key for key in range(1, 5_000, 2) if key % 10 != 1]


def test_no_read_is_older_than_an_invalidation_of_its_tag() -> None:
    cache: Cache[str, int] = Cache(8)
    truth = [0]
    chance = random.Random(1)
    done = threading.Event()

    def load(_: str) -> int:
        value = truth[0]
        for _ in range(chance.randrange(8)):
            time.sleep(0)  # the value is on its way while other threads run
        return value

    def write() -> None:
        try:
            for version in range(1, 1_500):
                truth[0] = version
                cache.invalidate_tag("x")
                for key in ("j", "k"):
                    assert cache.get_or_load(key, load, tags=("x",)) == version
                    time.sleep(0)
        finally:
            done.set()

    def keep_reading() -> None:
        newest = 0
        while not done.is_set():
            value = cache.get_or_load("k", load, tags=("x",))
            assert value >= newest
            newest = value
            time.sleep(0)

    with eager_switches():
        in_threads(write, keep_reading, keep_reading)
