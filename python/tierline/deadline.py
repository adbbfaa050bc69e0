"""Deadlines: how long the calls of a block may take in all, whatever they meet.

    with tl.deadline(2.0):
        user = users.get_by_id(7)      # waits, connects, reads, retries: 2 s in all

A deadline belongs to the context (`contextvars`), so threads and coroutines have their own; one
inside another can only be tighter. The clock is the monotonic one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar, cast

__all__ = ["carried", "deadline", "due_s", "remaining_s"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DUE: ContextVar[float] = ContextVar("tierline_deadline", default=math.inf)

due_s: Callable[[], float] = _DUE.get
"""When the calls of this context must have ended, by `time.monotonic`; infinity without a deadline.

A native function: the fast paths ask it at each call.
"""


@contextmanager
def deadline(seconds: float, /) -> Generator[None]:
    """Bound every call of a block: waiting, connecting, statements, commits and retries together.

    A call that cannot end in time answers with `TimeoutError`, whose `stage` says what took it.

    Args:
        seconds: From now. Of nested deadlines the tightest holds.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: It is negative or not a number.

    Example:
        ``with tl.deadline(0.5): users.get_by_id(7)``
    """
    if isinstance(seconds, bool) or not isinstance(cast("object", seconds), (int, float)):
        raise TypeError(f"a deadline is a number of seconds, not {type(seconds).__name__}")
    if not seconds >= 0:
        raise ValueError(f"a deadline cannot be {seconds} s from now")
    token = _DUE.set(min(_DUE.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _DUE.reset(token)


def remaining_s() -> float:
    """Seconds until the deadline of this context: infinity without one, 0 once it has passed."""
    return max(0.0, _DUE.get() - time.monotonic())


def carried(function: Callable[_P, _R], /) -> Callable[_P, _R]:
    """The function in the context of here, deadline included, whichever thread calls it.

    Example:
        ``threading.Thread(target=carried(work)).start()``
    """
    context = copy_context()

    def in_context(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return context.run(function, *args, **kwargs)

    return in_context
