"""Values past their time that still answer loads: while another is loaded, or if that fails."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.core.test_loading import Slow, in_thread, until_waiting

from tierline._core import Cache, advance_clock

TTL_S, WINDOW_S = 100, 1_000
RELOAD_THREAD = "tierline-reload"


def revalidating(**options: Any) -> Cache[str, Any]:
    """A cache with an entry that is just past its time, but within the window."""
    cache: Cache[str, Any] = Cache(64, ttl_s=TTL_S, stale_while_revalidate_s=WINDOW_S, **options)
    cache["k"] = "old"
    advance_clock(TTL_S + 1)
    return cache


def rescuing(**options: Any) -> Cache[str, Any]:
    """A cache with an entry that is just past its time and may stand in for a failed load."""
    cache: Cache[str, Any] = Cache(64, ttl_s=TTL_S, stale_if_error_s=WINDOW_S, **options)
    cache["k"] = "old"
    advance_clock(TTL_S + 1)
    return cache


def reloads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == RELOAD_THREAD]


def until_reloaded() -> None:
    for thread in reloads():
        thread.join(10)
        assert not thread.is_alive()


def fail(_: Any) -> Any:
    raise ZeroDivisionError


def test_a_stale_value_answers_at_once_while_one_thread_loads_another() -> None:
    cache = revalidating()
    load = Slow(lambda _: "new")
    # Nobody waits: the loader is held until all have been answered.
    assert [cache.get_or_load("k", load) for _ in range(20)] == ["old"] * 20
    callers = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(8)]
    assert [result() for result in callers] == ["old"] * 8
    assert load.began.wait(10)
    assert len(reloads()) == 1
    assert all(thread.daemon for thread in reloads())
    load.go.set()
    until_reloaded()
    assert cache.get_or_load("k", load) == "new"
    assert load.calls == ["k"]
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stale_hits, stats.loads) == (29, 0, 28, 1)


def test_a_stale_value_is_for_loads_only() -> None:
    cache = revalidating()
    assert cache.get("k") is None
    assert "k" not in cache
    assert cache.pop("k", None) is None
    assert not cache.touch("k")
    assert (list(cache), len(cache)) == ([], 1)
    assert cache.expire() == []
    assert cache.stats().stale_hits == 0


def test_beyond_the_window_a_value_is_gone() -> None:
    cache = revalidating()
    advance_clock(WINDOW_S)
    assert cache.get_or_load("k", len) == 1
    assert (cache.stats().misses, cache.stats().expirations) == (1, 1)


def test_a_reload_that_fails_is_tried_again_after_a_while(
    unraisable: list[BaseException],
) -> None:
    cache = revalidating(retry_s=50)
    for tries in (1, 2):
        for _ in range(3):
            assert cache.get_or_load("k", fail) == "old"
            until_reloaded()
        assert cache.stats().failed_loads == tries
        advance_clock(60)
    assert [type(error) for error in unraisable] == [ZeroDivisionError] * 2


def test_a_reload_that_finds_nothing_is_remembered(unraisable: list[BaseException]) -> None:
    cache = revalidating(negative_ttl_s=100)

    def load(key: str) -> Any:
        raise KeyError(key)

    assert cache.get_or_load("k", load) == "old"
    until_reloaded()
    with pytest.raises(KeyError):
        cache.get_or_load("k", len)
    assert [type(error) for error in unraisable] == [KeyError]


def test_a_reload_that_an_invalidation_overtakes_is_not_kept() -> None:
    cache = revalidating()
    load = Slow(lambda _: "new")
    assert cache.get_or_load("k", load) == "old"
    assert load.began.wait(10)
    assert not cache.invalidate("k")
    load.go.set()
    until_reloaded()
    assert "k" not in cache
    assert cache.stats().refused_fills == 1


def test_many_are_answered_at_once_and_reloaded_in_one_call() -> None:
    cache = revalidating()
    cache["fresh"] = "fresh"
    cache.set("j", "old", ttl_s=1)
    advance_clock(2)
    load = Slow(lambda keys: {key: f"new {key}" for key in keys})
    found = cache.get_or_load_many(["j", "fresh", "k"], load)
    assert list(found.items()) == [("j", "old"), ("fresh", "fresh"), ("k", "old")]
    assert cache.get_or_load_many(["j", "k"], load) == {"j": "old", "k": "old"}
    load.go.set()
    until_reloaded()
    assert load.calls == [["j", "k"]]
    assert cache.get_many("jk") == {"j": "new j", "k": "new k"}


def test_many_load_what_is_missing_and_reload_what_is_stale() -> None:
    cache = revalidating()
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, str]:
        asked.append(keys)
        return dict.fromkeys(keys, "new")

    assert cache.get_or_load_many(["k", "missing"], load) == {"k": "old", "missing": "new"}
    until_reloaded()
    assert sorted(asked) == [["k"], ["missing"]]
    assert cache["k"] == "new"


def test_a_reload_is_not_begun_while_another_load_goes_on() -> None:
    cache: Cache[str, str] = Cache(8, stale_while_revalidate_s=WINDOW_S)
    slow = Slow(lambda _: "slow")
    first = in_thread(lambda: cache.get_or_load("k", slow))
    assert slow.began.wait(10)
    cache.set("k", "old", ttl_s=TTL_S)
    advance_clock(TTL_S + 1)
    other = Slow(lambda _: "other")
    assert cache.get_or_load("k", other) == "old"
    until_reloaded()
    assert other.calls == []
    slow.go.set()
    assert first() == "slow"
    assert cache["k"] == "slow"


def test_with_many_reloads_under_way_the_caller_loads_itself() -> None:
    cache = revalidating()
    keys = [str(n) for n in range(17)]
    cache.set_many(dict.fromkeys(keys, "old"), ttl_s=1)
    advance_clock(2)
    load = Slow(lambda key: f"new {key}")
    for key in keys[:16]:
        assert cache.get_or_load(key, load) == "old"
    assert len(reloads()) == 16
    mine: list[threading.Thread] = []

    def note(key: str) -> str:
        mine.append(threading.current_thread())
        return f"new {key}"

    assert cache.get_or_load(keys[16], note) == "old"
    assert mine == [threading.current_thread()]
    assert cache[keys[16]] == "new 16"

    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    # Ctrl-C concerns whoever loads, and is not swallowed.
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_load("k", interrupt)
    load.go.set()
    until_reloaded()
    assert cache.get_many(keys) == {key: f"new {key}" for key in keys}
    # Those are over, the callers' own ones too: there are threads for as many again.
    advance_clock(TTL_S + 1)
    again = Slow(lambda key: f"newer {key}")
    for key in keys[:16]:
        assert cache.get_or_load(key, again) == f"new {key}"
    assert len(reloads()) == 16
    again.go.set()
    until_reloaded()


def test_a_stale_value_stands_in_for_a_failed_load(unraisable: list[BaseException]) -> None:
    cache = rescuing(retry_s=50)
    assert cache.get_or_load("k", fail) == "old"
    assert [type(error) for error in unraisable] == [ZeroDivisionError]
    # Until the next try it is served without one.
    assert [cache.get_or_load("k", len) for _ in range(3)] == ["old"] * 3
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stale_hits) == (3, 1, 4)
    assert (stats.loads, stats.failed_loads) == (1, 1)
    advance_clock(60)
    assert cache.get_or_load("k", len) == 1
    assert cache.get("k") == 1


def test_while_the_load_may_succeed_nobody_gets_the_stale_value() -> None:
    cache = rescuing()
    assert cache.get("k") is None
    assert "k" not in cache
    assert cache.get_or_load("k", lambda _: "new") == "new"


def test_beyond_the_window_a_failed_load_raises() -> None:
    cache = rescuing()
    advance_clock(WINDOW_S)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", fail)
    assert cache.stats().stale_hits == 0


def test_waiters_get_the_value_that_stands_in_too(unraisable: list[BaseException]) -> None:
    cache = rescuing()
    load = Slow(fail)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(8)]
    until_waiting()
    load.go.set()
    assert [result() for result in results] == ["old"] * 8
    assert load.calls == ["k"]
    assert len(unraisable) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_raised_though_a_value_could_stand_in(
    error: type[BaseException], unraisable: list[BaseException]
) -> None:
    cache = rescuing()

    def load(_: Any) -> Any:
        raise error

    with pytest.raises(error):
        cache.get_or_load("k", load)
    with pytest.raises(error):
        cache.get_or_load_many("k", load)
    assert unraisable == []
    assert cache.get_or_load("k", fail) == "old"
    assert [type(told) for told in unraisable] == [ZeroDivisionError]


def test_an_invalidated_value_stands_in_for_nothing() -> None:
    cache = rescuing()
    cache.set("tagged", "old", ttl_s=TTL_S, tags=("t",))
    advance_clock(TTL_S + 1)
    cache.invalidate("k")
    cache.invalidate_tag("t")
    for key in ("k", "tagged"):
        with pytest.raises(ZeroDivisionError):
            cache.get_or_load(key, fail)

    def invalidate_and_fail(key: str) -> Any:
        cache.invalidate(key)
        raise ZeroDivisionError

    cache.set("k", "old", ttl_s=1)
    advance_clock(2)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", invalidate_and_fail)


def test_known_absence_goes_before_a_value_that_could_stand_in(
    unraisable: list[BaseException],
) -> None:
    def load(key: str) -> Any:
        raise KeyError(key)

    cache = rescuing(negative_ttl_s=100)
    for _ in range(2):
        with pytest.raises(KeyError):
            cache.get_or_load("k", load)
    assert cache.stats().loads == 1
    # Where absence is not kept, KeyError is an error as any other.
    assert rescuing().get_or_load("k", load) == "old"
    assert [type(error) for error in unraisable] == [KeyError]


def test_stale_values_of_many_stand_in_if_all_that_failed_have_one(
    unraisable: list[BaseException],
) -> None:
    cache = rescuing(retry_s=50)
    cache["fresh"] = "fresh"
    found = cache.get_or_load_many(["fresh", "k"], fail)
    assert list(found.items()) == [("fresh", "fresh"), ("k", "old")]
    assert len(unraisable) == 1
    assert cache.get_or_load_many(["k"], len) == {"k": "old"}  # type: ignore[arg-type]
    advance_clock(60)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load_many(["k", "missing"], fail)
    # Whoever asks for what could stand in is served.
    assert cache.get_or_load("k", fail) == "old"


def test_one_window_may_follow_the_other(unraisable: list[BaseException]) -> None:
    cache: Cache[str, str] = Cache(
        8, ttl_s=TTL_S, stale_while_revalidate_s=300, stale_if_error_s=600, retry_s=10
    )
    cache["k"] = "old"
    advance_clock(TTL_S + 1)
    assert cache.get_or_load("k", fail) == "old"
    until_reloaded()
    assert cache.stats().misses == 0
    advance_clock(400)
    assert cache.get_or_load("k", fail) == "old"
    assert cache.stats().misses == 1
    assert len(unraisable) == 2
    advance_clock(400)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", fail)


def test_without_a_time_to_live_nothing_is_ever_stale() -> None:
    cache: Cache[str, int] = Cache(8, stale_while_revalidate_s=1, stale_if_error_s=1)
    cache["k"] = 1
    advance_clock(10**9)
    assert cache.get("k") == cache.get_or_load("k", fail) == 1
