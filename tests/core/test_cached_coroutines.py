"""`tl.cached` on coroutine functions."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from tests.core.test_loading import in_thread

import tierline as tl


class Gate:
    """A cached coroutine function that waits to be let go, and what it was called with."""

    def __init__(self, error: type[BaseException] | None = None, **options: Any) -> None:
        self.calls: list[Any] = []
        self.began = asyncio.Event()
        self.go = asyncio.Event()

        async def fetch(x: Any) -> Any:
            self.calls.append(x)
            self.began.set()
            await self.go.wait()
            if error is not None:
                raise error
            return len(self.calls)

        self.fetch = tl.cached(**options)(fetch)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 10))


def test_a_result_is_remembered() -> None:
    calls: list[int] = []

    @tl.cached
    async def fetch(x: int, *, y: int = 0) -> None:
        """Fetch it."""
        calls.append(x + y)
        await asyncio.sleep(0)

    async def main() -> None:
        for _ in range(2):
            await fetch(1)
            await fetch(1, y=2)
        assert calls == [1, 3]
        assert fetch.cache_info() == (2, 2, 1024, 2)
        assert fetch.cache_info().stats.loads == 2
        assert fetch.cache_info().stats.load_ns > 0
        assert fetch.cache_invalidate(1) is True
        await fetch(1)
        assert calls == [1, 3, 1]
        fetch.cache_clear()
        assert fetch.cache_info() == (0, 0, 1024, 0)

    run(main())
    assert inspect.iscoroutinefunction(fetch)
    assert fetch.__doc__ == "Fetch it."
    assert list(inspect.signature(fetch).parameters) == ["x", "y"]
    # A loop of its own, and what the other loop loaded is still there.
    run(fetch(7))
    run(fetch(7))
    assert calls == [1, 3, 1, 7]


def test_concurrent_awaits_share_one_call() -> None:
    async def main() -> None:
        gate = Gate()
        tasks = [asyncio.create_task(gate.fetch("k")) for _ in range(20)]
        await gate.began.wait()
        gate.go.set()
        assert await asyncio.gather(*tasks) == [1] * 20
        assert gate.calls == ["k"]

    run(main())


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError])
def test_an_exception_is_shared_and_not_remembered(error: type[Exception]) -> None:
    async def main() -> None:
        gate = Gate(error)
        tasks = [asyncio.create_task(gate.fetch("k")) for _ in range(5)]
        await gate.began.wait()
        gate.go.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} == {error}
        assert len({id(end) for end in ended}) == 1
        assert gate.calls == ["k"]
        with pytest.raises(error):
            await gate.fetch("k")
        assert gate.calls == ["k", "k"]
        assert gate.fetch.cache_info().stats.failed_loads == 2

    run(main())


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_cancelled_await_leaves_the_call_to_the_others(cancelled: int) -> None:
    async def main() -> None:
        gate = Gate()
        tasks = [asyncio.create_task(gate.fetch("k")) for _ in range(3)]
        await gate.began.wait()
        # The first began the call, which is not its own for all that.
        tasks.pop(cancelled).cancel()
        await asyncio.sleep(0)
        gate.go.set()
        assert await asyncio.gather(*tasks) == [1, 1]
        assert await gate.fetch("k") == 1
        assert gate.calls == ["k"]

    run(main())


def test_a_timeout_leaves_the_call_running_and_its_result_is_kept() -> None:
    async def main() -> None:
        gate = Gate()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.fetch("k"), 0.01)
        gate.go.set()
        assert await gate.fetch("k") == 1
        assert gate.calls == ["k"]

    run(main())


def test_nobody_who_awaits_after_an_invalidation_gets_the_older_result() -> None:
    async def main() -> None:
        gate = Gate()
        before = asyncio.create_task(gate.fetch("k"))
        await gate.began.wait()
        gate.began.clear()
        assert gate.fetch.cache_invalidate("k") is False
        after = [asyncio.create_task(gate.fetch("k")) for _ in range(3)]
        await gate.began.wait()
        gate.go.set()
        assert await before == 2  # read when it was let go, and not kept
        assert await asyncio.gather(*after) == [2, 2, 2]
        assert gate.calls == ["k", "k"]
        assert gate.fetch.cache_info().stats.refused_fills == 1

    run(main())


def test_a_coroutine_that_awaits_its_own_result_is_told() -> None:
    @tl.cached
    async def ping(x: int) -> int:
        return await pong(x)

    @tl.cached
    async def pong(x: int) -> int:
        await asyncio.sleep(0)
        return await ping(x)

    @tl.cached
    async def alone(x: int) -> int:
        return await alone(x)

    async def main() -> None:
        for call in (ping, pong, alone):
            with pytest.raises(RuntimeError, match="wait for itself"):
                await call(1)
        ended = await asyncio.gather(ping(2), pong(2), return_exceptions=True)
        assert [type(end) for end in ended] == [RuntimeError, RuntimeError]

    run(main())


def test_steps_of_a_recursive_coroutine_are_remembered() -> None:
    calls: list[int] = []

    @tl.cached
    async def fibonacci(n: int) -> int:
        calls.append(n)
        if n < 2:
            return n
        return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))

    assert run(fibonacci(30)) == 832_040
    assert len(calls) == 31


def test_methods_and_partials_remember() -> None:
    class Client:
        def __init__(self, name: str) -> None:
            self.name = name

        @tl.cached
        async def fetch(self, x: int) -> tuple[str, int]:
            return (self.name, x)

    async def three(a: int, b: int, c: int) -> list[int]:
        return [a, b, c]

    async def main() -> None:
        one, two = Client("one"), Client("two")
        assert await one.fetch(1) is await one.fetch(1)
        assert await two.fetch(1) == ("two", 1)
        assert Client.fetch.cache_info().misses == 2
        partial = tl.cached(functools.partial(three, 1, 2))
        assert await partial(3) is await partial(3)

    run(main())


def test_loops_of_several_threads_share_one_call() -> None:
    calls: list[int] = []
    began, go = threading.Event(), threading.Event()

    @tl.cached
    async def fetch(x: int) -> object:
        calls.append(x)
        began.set()
        await asyncio.to_thread(go.wait, 10)
        return object()

    first = in_thread(lambda: run(fetch(1)))
    assert began.wait(10)
    others = [in_thread(lambda: run(fetch(1))) for _ in range(4)]
    time.sleep(0.05)
    go.set()
    assert {first(), *(other() for other in others)} == {run(fetch(1))}
    assert calls == [1]


def test_a_call_whose_loop_has_ended_is_made_again() -> None:
    calls: list[int] = []
    began = threading.Event()

    @tl.cached
    async def fetch(x: int) -> int:
        calls.append(x)
        began.set()
        if len(calls) == 1:
            await asyncio.sleep(20)
        return x

    async def give_up() -> None:
        asyncio.create_task(fetch(1))  # noqa: RUF006 (it is to be cancelled by the loop's end)
        await asyncio.to_thread(began.wait, 10)
        await asyncio.sleep(0.1)

    ended = in_thread(lambda: asyncio.run(give_up()))
    assert began.wait(10)
    assert run(fetch(1)) == 1
    ended()
    assert calls == [1, 1]


def test_importing_the_decorator_does_not_load_asyncio() -> None:
    code = "import sys, tierline as tl; tl.cached(len); print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "False\n"
