"""`tl.deadline` over waits for another caller's load: the wait ends, and the load goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.test_loading import Slow, in_thread, until_waiting

import tierline as tl
from tierline._core import Cache

HANG_S = 0.05
"""A deadline that passes during a load that nobody lets go."""

Ask = Callable[[Cache[str, Any], Any], Any]


def one(cache: Cache[str, Any], load: Any) -> Any:
    return cache.get_or_load("k", load)


def many(cache: Cache[str, Any], load: Any) -> Any:
    return cache.get_or_load_many(["k"], lambda keys: {key: load(key) for key in keys})["k"]


def shared(cache: Cache[str, Any], load: Any) -> Any:
    def kept(key: str) -> Any:
        token = cache.begin(key)
        value = load(key)
        cache.fill(key, value, token)
        return value

    return cache.load_shared("k", kept)


ASK = pytest.mark.parametrize("ask", [one, many, shared])


def is_late(error: tl.TimeoutError) -> bool:
    return error.stage == "load" and "goes on" in str(error)


@ASK
def test_a_wait_ends_with_the_deadline_and_the_load_goes_on(ask: Ask) -> None:
    cache: Cache[str, Any] = Cache(4)
    slow = Slow(str.upper)
    leader = in_thread(lambda: ask(cache, slow))
    assert slow.began.wait(10)
    with pytest.raises(tl.TimeoutError) as raised, tl.deadline(HANG_S):
        ask(cache, slow)
    assert is_late(raised.value)
    slow.go.set()
    assert leader() == "K"
    assert cache.get("k") == "K"
    assert slow.calls == ["k"]


@ASK
def test_a_wait_of_another_thread_than_the_first_ends_too(ask: Ask) -> None:
    cache: Cache[str, Any] = Cache(4)
    slow = Slow(str.upper)
    leader = in_thread(lambda: ask(cache, slow))
    assert slow.began.wait(10)

    def hurried() -> Any:
        with tl.deadline(HANG_S):
            return ask(cache, slow)

    waits = [in_thread(hurried) for _ in range(4)]
    for wait in waits:
        with pytest.raises(tl.TimeoutError):
            wait()
    slow.go.set()
    assert leader() == "K"


@ASK
def test_who_waits_with_time_enough_gets_the_value(ask: Ask) -> None:
    cache: Cache[str, Any] = Cache(4)
    slow = Slow(str.upper)
    leader = in_thread(lambda: ask(cache, slow))
    assert slow.began.wait(10)

    def patient() -> Any:
        with tl.deadline(60):
            return ask(cache, slow)

    waits = [in_thread(patient) for _ in range(4)]
    until_waiting()
    with pytest.raises(tl.TimeoutError), tl.deadline(HANG_S):
        ask(cache, slow)
    slow.go.set()
    assert [wait() for wait in (leader, *waits)] == ["K"] * 5
    assert slow.calls == ["k"]


@ASK
def test_a_value_that_is_there_is_served_after_the_deadline_too(ask: Ask) -> None:
    cache: Cache[str, Any] = Cache(4)
    cache["k"] = 1
    with tl.deadline(0):
        assert ask(cache, None) == 1


def test_a_deadline_does_not_end_the_callers_own_load() -> None:
    cache: Cache[str, float] = Cache(4)
    with tl.deadline(0):
        assert cache.get_or_load("k", lambda _: tl.remaining_s()) == 0


def test_a_deadline_ends_a_long_wait_only_once_it_has_passed() -> None:
    cache: Cache[str, Any] = Cache(4)
    slow = Slow(str.upper)
    leader = in_thread(lambda: one(cache, slow))
    assert slow.began.wait(10)
    began_s = time.monotonic()
    with pytest.raises(tl.TimeoutError), tl.deadline(HANG_S):
        one(cache, slow)
    assert time.monotonic() - began_s >= HANG_S
    slow.go.set()
    assert leader() == "K"


def test_a_circle_of_waits_that_a_deadline_broke_is_none() -> None:
    cache: Cache[str, Any] = Cache(4)
    a, b = Slow(str.upper), Slow(str.upper)

    def nested(key: str) -> Any:
        with contextlib.suppress(tl.TimeoutError), tl.deadline(HANG_S):
            cache.get_or_load("a", str)
        return b(key)

    def after(_: Any) -> Any:
        return cache.get_or_load("b", str)

    first = in_thread(lambda: cache.get_or_load("a", a))
    assert a.began.wait(10)
    second = in_thread(lambda: cache.get_or_load("b", nested))
    assert b.began.wait(10)
    # The second thread waits for the first no more, so the first may wait for it.
    a.act = after
    a.go.set()
    until_waiting()
    b.go.set()
    assert first() == second() == "B"


def test_a_cached_function_is_waited_for_until_the_deadline() -> None:
    slow = Slow(str.upper)
    remembered = tl.cached(slow)
    leader = in_thread(lambda: remembered("k"))
    assert slow.began.wait(10)
    with pytest.raises(tl.TimeoutError) as raised, tl.deadline(HANG_S):
        remembered("k")
    assert is_late(raised.value)
    slow.go.set()
    assert leader() == "K"
    with tl.deadline(0):
        assert remembered("k") == "K"
    assert slow.calls == ["k"]


def test_a_cached_coroutine_is_awaited_until_the_deadline() -> None:
    async def main() -> None:
        calls: list[str] = []
        go = asyncio.Event()

        @tl.cached
        async def fetch(key: str) -> str:
            calls.append(key)
            await go.wait()
            return key.upper()

        leader = asyncio.create_task(fetch("k"))
        await asyncio.sleep(0)
        with pytest.raises(tl.TimeoutError) as raised, tl.deadline(HANG_S):
            await fetch("k")
        assert is_late(raised.value)
        # Also who began the call only awaits it.
        with pytest.raises(tl.TimeoutError), tl.deadline(HANG_S):
            await fetch("other")
        go.set()
        assert await leader == "K"
        with tl.deadline(0):
            assert await fetch("k") == "K"
        assert await fetch("other") == "OTHER"
        assert calls == ["k", "other"]

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_timeout_of_the_coroutines_own_is_its_own() -> None:
    async def main() -> None:
        @tl.cached
        async def fetch(key: str) -> str:
            raise TimeoutError(key)

        with pytest.raises(TimeoutError, match="k"), tl.deadline(60):
            await fetch("k")

    asyncio.run(asyncio.wait_for(main(), 10))


def test_beyond_the_horizon_nobody_joins_a_load_that_began_before() -> None:
    cache: Cache[str, Any] = Cache(4)
    values = iter(("old", "new"))
    slow = Slow(lambda _: next(values))
    leader = in_thread(lambda: one(cache, slow))
    assert slow.began.wait(10)
    cache.serve_until(0.0)
    slow.go.set()
    cache_asked = [one(cache, slow), leader()]
    assert sorted(cache_asked) == ["new", "old"]
    assert len(slow.calls) == 2


def test_a_shared_load_that_raises_is_its_callers_alone() -> None:
    cache: Cache[str, int] = Cache(4)
    outcomes: list[Any] = [ValueError("no"), 7]
    began, go = threading.Event(), threading.Event()

    def load(_: str) -> int:
        outcome = outcomes.pop(0)
        began.set()
        assert go.wait(10)
        if isinstance(outcome, Exception):
            raise outcome
        return int(outcome)

    leader = in_thread(lambda: cache.load_shared("k", load))
    assert began.wait(10)
    waiter = in_thread(lambda: cache.load_shared("k", load))
    until_waiting()
    go.set()
    with pytest.raises(ValueError, match="no"):
        leader()
    assert waiter() == 7
    assert cache.get("k") is None


def test_a_shared_load_may_ask_for_what_it_loads() -> None:
    cache: Cache[str, int] = Cache(4)
    assert cache.load_shared("k", lambda key: cache.load_shared(key, len)) == 1


def test_shared_loads_that_need_each_other_are_made_alone() -> None:
    cache: Cache[str, str] = Cache(4)
    both = threading.Barrier(2)

    def load(key: str) -> str:
        both.wait(10)
        return key + cache.load_shared("ba"["ab".index(key)], str.upper)

    first, second = (in_thread(lambda key=key: cache.load_shared(key, load)) for key in "ab")
    assert (first()[0], second()[0]) == ("a", "b")
