"""`tl.cached`: results past their time that still do, while another is made or if that fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.test_cache_stale import reloads, until_reloaded
from tests.core.test_loading import in_thread

import tierline as tl
from tierline._core import advance_clock

TTL_S, WINDOW_S = 100, 1_000


class Counting:
    """A function of any arguments that may be held, or fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails = False
        self.go = threading.Event()
        self.go.set()

    def __call__(self, *args: Any, **named: Any) -> int:
        self.calls.append((*args, *named.items()))
        assert self.go.wait(10)
        if self.fails:
            raise ZeroDivisionError
        return len(self.calls)


def cached(function: Callable[..., Any], **windows: float) -> Any:
    return tl.cached(ttl_s=TTL_S, **windows)(function)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(),
        lambda f: f(1),
        lambda f: f("a"),
        lambda f: f(1, [].__class__),
        lambda f: f(1, x=2, y=(3, 4)),
        lambda f: f(x=2),
        lambda f: f(1.5),
    ],
)
def test_a_stale_result_is_returned_while_one_thread_makes_another(
    call: Callable[[Any], int],
) -> None:
    counting = Counting()
    function = cached(counting, stale_while_revalidate_s=WINDOW_S)
    assert call(function) == 1
    advance_clock(TTL_S + 1)
    counting.go.clear()
    assert [call(function) for _ in range(20)] == [1] * 20
    callers = [in_thread(lambda: call(function)) for _ in range(4)]
    assert [result() for result in callers] == [1] * 4
    assert len(reloads()) == 1
    counting.go.set()
    until_reloaded()
    assert call(function) == 2
    # With the same arguments.
    assert counting.calls[0] == counting.calls[1]
    assert len(counting.calls) == 2
    info = function.cache_info()
    assert (info.hits, info.misses, info.stats.stale_hits, info.stats.loads) == (25, 1, 24, 2)


def test_without_a_window_nobody_gets_what_is_past_its_time() -> None:
    function = cached(Counting())
    assert function(1) == 1
    advance_clock(TTL_S + 1)
    assert function(1) == 2


def test_beyond_the_window_a_result_is_gone() -> None:
    function = cached(Counting(), stale_while_revalidate_s=WINDOW_S, stale_if_error_s=WINDOW_S)
    assert function(1) == 1
    advance_clock(TTL_S + WINDOW_S)
    assert function(1) == 2
    assert function.cache_info()[:2] == (0, 2)


def test_a_result_stands_in_for_a_call_that_fails(unraisable: list[BaseException]) -> None:
    counting = Counting()
    function = cached(counting, stale_if_error_s=WINDOW_S, retry_s=30)
    assert function(1, x=2) == 1
    advance_clock(TTL_S + 1)
    counting.fails = True
    assert [function(1, x=2) for _ in range(5)] == [1] * 5
    # One try, and no other for a while.
    assert len(counting.calls) == 2
    assert [type(error) for error in unraisable] == [ZeroDivisionError]
    advance_clock(31)
    counting.fails = False
    assert function(1, x=2) == 3
    assert function.cache_info().stats.stale_hits == 5


def test_what_was_invalidated_stands_in_for_nothing() -> None:
    counting = Counting()
    function = cached(counting, stale_if_error_s=WINDOW_S, stale_while_revalidate_s=WINDOW_S)
    assert function(1) == 1
    advance_clock(TTL_S + 1)
    function.cache_invalidate(1)
    counting.fails = True
    with pytest.raises(ZeroDivisionError):
        function(1)


def test_an_interrupt_is_no_failure_to_stand_in_for() -> None:
    def interrupted(_: int) -> int:
        if advanced:
            raise KeyboardInterrupt
        return 1

    advanced: list[int] = []
    function = cached(interrupted, stale_if_error_s=WINDOW_S)
    assert function(1) == 1
    advance_clock(TTL_S + 1)
    advanced.append(1)
    with pytest.raises(KeyboardInterrupt):
        function(1)


def test_methods_go_on_with_their_instance() -> None:
    class Sums:
        def __init__(self, start: int) -> None:
            self.start = start

        @tl.cached(ttl_s=TTL_S, stale_while_revalidate_s=WINDOW_S)
        def plus(self, number: int, *, twice: bool = False) -> int:
            self.start += 1
            return self.start + number * (2 if twice else 1)

    one, other = Sums(0), Sums(100)
    assert (one.plus(1), other.plus(2, twice=True)) == (2, 105)
    advance_clock(TTL_S + 1)
    assert (one.plus(1), other.plus(2, twice=True)) == (2, 105)
    until_reloaded()
    assert (one.plus(1), other.plus(2, twice=True)) == (3, 106)


def test_a_stale_result_of_a_coroutine_is_returned_while_a_task_makes_another() -> None:
    calls: list[int] = []

    @tl.cached(ttl_s=TTL_S, stale_while_revalidate_s=WINDOW_S)
    async def fetch(number: int) -> int:
        calls.append(number)
        await go.wait()
        return len(calls)

    async def run() -> None:
        go.set()
        assert await fetch(7) == 1
        advance_clock(TTL_S + 1)
        go.clear()
        assert await asyncio.gather(*(fetch(7) for _ in range(5))) == [1] * 5
        await asyncio.sleep(0)
        assert calls == [7, 7]
        go.set()
        for _ in range(100):
            await asyncio.sleep(0)
            if await fetch(7) != 1:
                break
        assert await fetch(7) == 2
        assert calls == [7, 7]
        assert fetch.cache_info().misses == 1

    go = asyncio.Event()
    asyncio.run(run())


def test_a_result_stands_in_for_a_coroutine_that_fails() -> None:
    calls: list[int] = []
    told: list[dict[str, Any]] = []

    @tl.cached(ttl_s=TTL_S, stale_if_error_s=WINDOW_S, retry_s=30)
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        calls.append(number)
        if len(calls) == 2:
            raise ZeroDivisionError
        return len(calls)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        assert await fetch(7) == 1
        advance_clock(TTL_S + 1)
        assert await asyncio.gather(*(fetch(7) for _ in range(5))) == [1] * 5
        assert await fetch(7) == 1
        assert len(calls) == 2
        advance_clock(31)
        assert await fetch(7) == 3

    asyncio.run(run())
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


def test_a_loop_that_ends_during_a_reload_hangs_nobody() -> None:
    @tl.cached(ttl_s=TTL_S, stale_while_revalidate_s=WINDOW_S)
    async def fetch(number: int) -> int:
        if is_slow:
            await asyncio.sleep(60)
        return number

    is_slow: list[int] = []
    assert asyncio.run(fetch(7)) == 7
    advance_clock(TTL_S + 1)
    is_slow.append(1)
    assert asyncio.run(fetch(7)) == 7
    is_slow.clear()
    advance_clock(2)
    # The reload went with its loop; another takes its place.
    assert asyncio.run(fetch(7)) == 7


@pytest.mark.parametrize("wrong", ["ttl_jitter", "stale_while_revalidate_s", "stale_if_error_s"])
def test_windows_out_of_range_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        cached(len, **{wrong: -1.0})
