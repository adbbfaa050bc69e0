"""Timing side by side: every contender once a round, in turn, so that a busy machine hits them all.

What counts is the least of a contender's rounds, the one in which nobody else had the processor.
Medians move with whatever else runs; least figures of one run come out alike again and again. Only
ratios of one run mean anything; the figures themselves do not transfer to another machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any, Protocol, cast


class Contender(Protocol):
    """Something that can be measured again and again."""

    def sample(self, slice_s: float) -> float:
        """One measurement in seconds or bytes, taking about `slice_s` seconds."""
        ...

    def call(self) -> object:
        """The work once."""
        ...

    def answer(self) -> object:
        """What the work comes to; the same for all contenders."""
        ...


@dataclass
class Timed:
    """Work that is timed here.

    Attributes:
        work: Does `operations` operations.
        check: Answers what one operation comes to, in a form equal for all contenders.
        before: Runs before each time, untimed.
    """

    work: Callable[[], object]
    operations: int
    check: Callable[[], object]
    before: Callable[[], object] | None = None
    _repeats: int = 0

    def sample(self, slice_s: float) -> float:
        """Seconds an operation."""
        if not self._repeats:
            self.call()
            once_s = self._time(1) * self.operations if self.before is None else slice_s
            self._repeats = max(1, round(slice_s / once_s))
        if self.before is not None:
            self.before()
        return self._time(self._repeats)

    def call(self) -> object:
        """The work once, with what comes before it."""
        if self.before is not None:
            self.before()
        return self.work()

    def answer(self) -> object:
        """The check's answer."""
        return self.check()

    def _time(self, repeats: int) -> float:
        work = self.work
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - began) / (repeats * self.operations)


@dataclass(frozen=True)
class Probed:
    """Work that measures itself, such as a child process that reports a figure."""

    probe: Callable[[], float]

    def sample(self, slice_s: float) -> float:  # noqa: ARG002 (the probe knows its own length)
        """The probe's figure."""
        return self.probe()

    def call(self) -> object:
        """The work once."""
        return self.probe()

    def answer(self) -> None:
        """Nothing: a figure is all there is."""


class Deferred:
    """A contender that is made when it is first needed, such as a large cache that is filled."""

    def __init__(self, make: Callable[[], Contender]) -> None:
        self._make = make

    @cached_property
    def made(self) -> Contender:
        """The contender itself."""
        return self._make()

    def sample(self, slice_s: float) -> float:
        """The contender's measurement."""
        return self.made.sample(slice_s)

    def call(self) -> object:
        """The work once."""
        return self.made.call()

    def answer(self) -> object:
        """The contender's answer."""
        return self.made.answer()


def interleave(
    contenders: Mapping[str, Contender],
    *,
    rounds: tuple[int, int],
    seconds: float,
    slice_s: float,
) -> dict[str, list[float]]:
    """Every contender's samples, one a round; who begins a round changes from round to round.

    Args:
        contenders: Who competes.
        rounds: The fewest and the most rounds.
        seconds: Between them, go on until a contender has had about so much time.
        slice_s: Seconds one sample takes, unless the work once takes longer.
    """
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    fewest, most = rounds
    gc.collect()
    until = time.monotonic() + seconds * len(names)
    for turn in range(most):
        if turn >= fewest and time.monotonic() >= until:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(contenders[name].sample(slice_s))
    return samples


def fresh(loop: Callable[..., Any]) -> Callable[..., Any]:
    """The loop with bytecode of its own.

    The interpreter specialises bytecode for the types it meets; a loop shared between contenders
    would be fast for none of them.
    """
    function = cast("FunctionType", loop)
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)
