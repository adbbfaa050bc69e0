"""What is asked in the background: it leaves a share of the quota to whoever waits for an answer.

What runs in the background says so by its context, so that it is known where the quota is waited
for, however many functions lie between. It can be told to stop: then it waits for nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class _Work(NamedTuple):
    """Work in the background, and what ends its waits; None if nothing does."""

    stop: threading.Event | None


_WORK: ContextVar[_Work | None] = ContextVar("tierline_sheets_background", default=None)


@contextmanager
def in_background(stop: threading.Event | None = None) -> Generator[None]:
    """Let the requests of a block be those that nobody waits for.

    Args:
        stop: Ends their waits for the quota and between attempts once it is set.
    """
    token = _WORK.set(_Work(stop))
    try:
        yield
    finally:
        _WORK.reset(token)


def is_background() -> bool:
    """Whether nobody waits for what is asked here."""
    return _WORK.get() is not None


def is_stopped() -> bool:
    """Whether what is asked here is wanted no more."""
    work = _WORK.get()
    return work is not None and work.stop is not None and work.stop.is_set()


def rest(seconds: float, sleep: Callable[[float], None]) -> None:
    """Wait, or until what is asked here is wanted no more.

    Args:
        seconds: How long.
        sleep: Waits where nothing can stop it.
    """
    work = _WORK.get()
    if work is None or work.stop is None:
        sleep(seconds)
    else:
        work.stop.wait(seconds)
