"""Coroutine functions that remember what they returned: concurrent awaits share one task."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from time import perf_counter_ns
from typing import Any

from tierline._core import Memo
from tierline.deadline import remaining_s
from tierline.errors import late_load

_MISSING: Any = object()

# What each task awaits in another's flight, so that no two await each other.
_awaited: dict[asyncio.Task[Any], _Flight] = {}


class _Flight:
    """One call under way: a task of its own, so that whoever awaits it may be cancelled.

    Attributes:
        loop: Where the task runs.
        token: The fill token under which it began.
        task: The task, from the moment it exists.
        outcome: For those who await it in other threads' loops.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, token: int) -> None:
        self.loop = loop
        self.token = token
        self.task: asyncio.Task[Any] | None = None
        self.outcome: Future[Any] = Future()

    def land(self, task: asyncio.Task[Any]) -> None:
        """Hand the task's outcome on."""
        if task.cancelled():
            self.outcome.cancel()
        elif (error := task.exception()) is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())


def remembering(
    function: Callable[..., Coroutine[Any, Any, Any]], memo: Memo
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A coroutine function that asks the memo's cache first."""
    cache = memo.cache
    flights: dict[Any, _Flight] = {}

    async def load(key: Any, flight: _Flight, call: Callable[[], Any]) -> Any:
        began_ns, ok = perf_counter_ns(), False
        try:
            value = await call()
            ok = True
            # Kept before it lands: whoever comes after finds the one or the other.
            cache.fill(key, value, flight.token)
        finally:
            memo.count_load(ok, perf_counter_ns() - began_ns)
            leave(key, flight)
        return value

    def leave(key: Any, flight: _Flight) -> None:
        if flights.get(key) is flight:
            del flights[key]

    def board(key: Any, loop: asyncio.AbstractEventLoop) -> tuple[_Flight, bool]:
        """The flight to await, and whether the caller leads it."""
        token = cache.begin(key)
        mine = _Flight(loop, token)
        flight = flights.setdefault(key, mine)
        stale = not flight.loop.is_running() or not cache.is_current(key, flight.token)
        if flight is not mine and stale:
            # Its key was invalidated since it began, or nobody runs it any more.
            flight = flights[key] = mine
        return flight, flight is mine

    async def remembered(*args: Any, **kwargs: Any) -> Any:
        key = memo.cache_key(*args, **kwargs)
        value = cache.get(key, _MISSING)
        while value is _MISSING:
            loop = asyncio.get_running_loop()
            flight, leads = board(key, loop)
            if leads and key in cache:
                # Another thread's flight has landed since the miss.
                leave(key, flight)
                flight.outcome.cancel()
                value = cache.get(key, _MISSING)
                continue
            if leads:
                call = functools.partial(function, *args, **kwargs)
                flight.task = loop.create_task(load(key, flight, call))
                flight.task.add_done_callback(flight.land)
            value = await _in_time(flight, loop)
        return value

    return remembered


async def _in_time(flight: _Flight, loop: asyncio.AbstractEventLoop) -> Any:
    """What the flight comes to, if it does by the deadline of whoever awaits it.

    Raises:
        tl.TimeoutError: It does not. It goes on.
    """
    remaining = remaining_s()
    if remaining == math.inf:
        return await _outcome(flight, loop)
    limit = asyncio.timeout(remaining)
    try:
        async with limit:
            return await _outcome(flight, loop)
    except TimeoutError:
        if limit.expired():
            raise late_load() from None
        raise


async def _outcome(flight: _Flight, loop: asyncio.AbstractEventLoop) -> Any:
    """What the flight comes to; cancelling the one who awaits leaves the flight alone.

    Raises:
        RuntimeError: The flight awaits, directly or not, the task that asks.
    """
    if flight.loop is not loop:
        try:
            return await asyncio.shield(asyncio.wrap_future(flight.outcome))
        except asyncio.CancelledError:
            if flight.outcome.cancelled() and not _is_cancelling():
                # The other loop ended before the call did.
                return _MISSING
            raise
    me = asyncio.current_task()
    if me is None or flight.task is None or _awaits(flight, me):
        raise RuntimeError(
            "a cached coroutine awaits the result that it is itself to return; "
            "it would wait for itself"
        )
    _awaited[me] = flight
    try:
        return await asyncio.shield(flight.task)
    finally:
        del _awaited[me]


def _awaits(flight: _Flight | None, task: asyncio.Task[Any]) -> bool:
    while flight is not None:
        if flight.task is task:
            return True
        flight = None if flight.task is None else _awaited.get(flight.task)
    return False


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
