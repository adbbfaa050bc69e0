"""Runs real threads one at a time, and tries one order of their steps after another.

A thread that a run has started, an *actor*, stops at each `step` until it is its turn. Who goes on
is picked from those that can; the first of them, which is whoever went last, costs nothing, and
each place further down is a *delay* more. Runs with few delays come first: most races need few.

An actor may come to wait for another inside of a step, as for a lock of a database. Whoever makes
the scheduler says how that is seen; then the others go on, and it once they have let it.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

Pick: TypeAlias = Callable[[int, int], int]
"""From which choice it is and how many can go on to which of them does."""

_STUCK_S = 120.0
_LOOK_S = 0.002


class Run(NamedTuple):
    """One order of steps.

    Attributes:
        picks: Of each choice, which was picked.
        widths: And of how many.
        steps: What was done, by whom.
    """

    picks: tuple[int, ...]
    widths: tuple[int, ...]
    steps: tuple[str, ...]


class _Actor:
    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = threading.Semaphore(0)
        self.label: str | None = "begin"
        self.error: BaseException | None = None


class Scheduler:
    """One run at a time.

    Args:
        is_waiting: Whether an actor waits for another inside of a step.
        stepped: Called after each step with what it was, while every actor stands.
    """

    def __init__(
        self,
        is_waiting: Callable[[], bool] = lambda: False,
        stepped: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._is_waiting = is_waiting
        self._stepped = stepped
        self._own = threading.local()
        self._stopped: queue.SimpleQueue[_Actor] = queue.SimpleQueue()

    def step(self, label: str) -> None:
        """Stop until it is this actor's turn; nothing in any other thread."""
        actor: _Actor | None = getattr(self._own, "actor", None)
        if actor is None:
            return
        actor.label = label
        self._stopped.put(actor)
        actor.turn.acquire()

    def run(self, programs: Mapping[str, Callable[[], object]], pick: Pick) -> Run:
        """Run each program in a thread of its own, in the order that is picked.

        Raises:
            BaseException: What a program raised, once all have ended.
        """
        actors = [_Actor(name) for name in programs]
        threads = [
            threading.Thread(target=self._play, args=(actor, program), daemon=True)
            for actor, program in zip(actors, programs.values(), strict=True)
        ]
        for thread in threads:
            thread.start()
        ready, waiting = set(actors), set[_Actor]()
        picks: list[int] = []
        widths: list[int] = []
        steps: list[str] = []
        last = 0
        while ready or waiting:
            # In the order of the programs, from whoever went last.
            options = [a for a in actors[last:] + actors[:last] if a in ready]
            taken = 0
            if len(options) > 1:
                taken = pick(len(picks), len(options))
                picks.append(taken)
                widths.append(len(options))
            actor = options[taken]
            last = actors.index(actor)
            label = actor.label or ""
            steps.append(f"{actor.name}: {label}")
            ready.remove(actor)
            waiting.add(actor)
            actor.turn.release()
            self._settle(ready, waiting, alone=not ready)
            self._stepped(label)
        for thread in threads:
            thread.join(_STUCK_S)
        for actor in actors:
            if actor.error is not None:
                actor.error.add_note("\n".join(steps))
                raise actor.error
        return Run(tuple(picks), tuple(widths), tuple(steps))

    def _settle(self, ready: set[_Actor], waiting: set[_Actor], *, alone: bool) -> None:
        """Until each actor that goes on has stopped, ended, or waits for another."""
        end_s = time.monotonic() + _STUCK_S
        while waiting:
            try:
                stopped = self._stopped.get(timeout=_LOOK_S)
            except queue.Empty:
                if len(waiting) == 1 and not (alone and not ready) and self._is_waiting():
                    return
                if time.monotonic() > end_s:
                    names = ", ".join(actor.name for actor in waiting)
                    raise AssertionError(f"never came to a step: {names}") from None
                continue
            waiting.remove(stopped)
            if stopped.label is not None:
                ready.add(stopped)

    def _play(self, actor: _Actor, program: Callable[[], object]) -> None:
        self._own.actor = actor
        actor.turn.acquire()
        try:
            program()
        except BaseException as error:  # noqa: BLE001 - raised again by the run
            actor.error = error
        actor.label = None
        self._stopped.put(actor)


def systematic(run: Callable[[Pick], Run], *, delays_max: int, seed: int = 0) -> Iterator[Run]:
    """Every order with at most so many delays, those with few first; none twice.

    Args:
        run: Makes a run, always of the same programs.
        delays_max: The most delays.
        seed: Of the order among those with as many delays, for who stops early.
    """
    chance = random.Random(seed)
    by_delays: list[list[tuple[int, ...]]] = [[] for _ in range(delays_max + 1)]
    by_delays[0].append(())
    for delays, beginnings in enumerate(by_delays):
        while beginnings:
            at = chance.randrange(len(beginnings))
            beginnings[at], beginnings[-1] = beginnings[-1], beginnings[at]
            beginning = beginnings.pop()
            found = run(_following(beginning))
            yield found
            for n in range(len(beginning), len(found.picks)):
                for pick in range(1, min(found.widths[n], delays_max - delays + 1)):
                    by_delays[delays + pick].append((*found.picks[:n], pick))


def at_random(run: Callable[[Pick], Run], *, seed: int) -> Iterator[Run]:
    """Orders without end, of which whoever goes on does so every other time; some may be twice."""
    chance = random.Random(seed)

    def pick(_: int, width: int) -> int:
        return 0 if chance.random() < 0.5 else chance.randrange(width)

    while True:
        yield run(pick)


def _following(beginning: Sequence[int]) -> Pick:
    return lambda n, _: beginning[n] if n < len(beginning) else 0
