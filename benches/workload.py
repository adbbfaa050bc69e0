"""A benchmark as a value: who competes, what is measured, and the budgets it is held against."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from measure import Contender, interleave
from world import World

OURS = "tierline"

Unit: TypeAlias = Literal["ns", "us", "ms", "bytes"]
_SCALE: Mapping[str, float] = {"ns": 1e9, "us": 1e6, "ms": 1e3, "bytes": 1.0}

Build: TypeAlias = Callable[[World], Mapping[str, Contender]]


@dataclass(frozen=True)
class Budget:
    """How large our figure may be.

    Attributes:
        limit: The most that is allowed; None if the figure is shown and nothing is asked of it.
        kind: What is held against the limit: our figure over the best peer's (`ratio`), our figure
            less the best peer's (`excess`), or our figure alone (`absolute`).
        peers: The peers compared with.
        strict: Whether the limit itself is already too much.
        note: Said beside the verdict.
    """

    limit: float | None
    kind: Literal["ratio", "excess", "absolute"]
    peers: tuple[str, ...] = ()
    strict: bool = False
    note: str = ""


def at_most(factor: float, peer: str, *, note: str = "") -> Budget:
    """Our figure is at most `factor` times the peer's."""
    return Budget(factor, "ratio", (peer,), note=note)


def faster_than(*peers: str) -> Budget:
    """Our figure is below every one of the peers'."""
    return Budget(1.0, "ratio", peers, strict=True)


def above_by_at_most(excess: float, peer: str) -> Budget:
    """Our figure is at most so many units above the peer's."""
    return Budget(excess, "excess", (peer,))


def no_more_than(figure: float) -> Budget:
    """Our figure is at most this many units."""
    return Budget(figure, "absolute")


def shown_against(peer: str) -> Budget:
    """Everybody's figure is shown as a multiple of the peer's; the design says nothing of it."""
    return Budget(None, "ratio", (peer,))


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: The fewest and the most samples of each contender.
        seconds: Between them, go on until a contender has had about so much time.
        slice_s: Seconds one sample takes, unless the work once takes longer.
        beside: Whether peers that no budget names are measured too.
    """

    rounds: tuple[int, int]
    seconds: float
    slice_s: float
    beside: bool


# Many short slices, of which the least counts.
FULL = Effort(rounds=(7, 300), seconds=2.0, slice_s=0.003, beside=True)
QUICK = Effort(rounds=(3, 50), seconds=0.4, slice_s=0.002, beside=False)


class Result(msgspec.Struct, frozen=True):
    """One budget and what was measured.

    Attributes:
        name: The workload's name.
        group: l1, l2, l3, bulk, import or sheets.
        unit: Of `ours`, `peers` and, unless the budget is a ratio, `measured` and `budget`.
        ours: Our figure; None if it could not be measured.
        peers: Each installed peer's.
        against: The peer that counts: the best of those the budget names.
        ratio: Our figure over that peer's.
        kind: What is held against the budget: `ratio`, `excess` or `absolute`.
        measured: The figure held against the budget; None if no such peer is installed.
        budget: The most that is allowed; None if there is no budget.
        strict: Whether the budget itself is already too much.
        holds: Whether it is kept; None if nothing was measured, or there is no budget.
        noise: The median round over the least, of the contender for whom that is most.
        note: What else there is to say.
    """

    name: str
    group: str
    unit: str
    ours: float | None
    peers: dict[str, float]
    against: str | None
    ratio: float | None
    kind: str
    measured: float | None
    budget: float | None
    strict: bool
    holds: bool | None
    noise: float | None
    note: str


@dataclass(frozen=True)
class Workload:
    """A benchmark.

    Attributes:
        name: What is done.
        group: l1, l2, l3, bulk, import or sheets.
        unit: What figures are shown in.
        budgets: What our figure is held against.
        beside: Peers that no budget names, measured to give the figures a scale.
        once: Whether one sample is enough.
        build: Makes the contenders whose packages are installed.
    """

    name: str
    group: str
    unit: Unit
    budgets: tuple[Budget, ...]
    beside: tuple[str, ...]
    once: bool
    build: Build

    @property
    def named(self) -> tuple[str, ...]:
        """Ours and the peers that budgets name."""
        return tuple(dict.fromkeys((OURS, *(p for budget in self.budgets for p in budget.peers))))

    def run(self, world: World, effort: Effort) -> list[Result]:
        """Measure every contender side by side; one result a budget.

        Raises:
            AssertionError: A contender does other work than ours.
        """
        wanted = (*self.named, *self.beside) if effort.beside else self.named
        contenders = {name: c for name, c in self.build(world).items() if name in wanted}
        check_same_work(self, contenders)
        samples = interleave(
            contenders,
            rounds=(1, 1) if self.once else effort.rounds,
            seconds=effort.seconds,
            slice_s=effort.slice_s,
        )
        scale_by = _SCALE[self.unit]
        figures = {n: min(s) * scale_by for n, s in samples.items()}
        noise = max(
            (statistics.median(s) / min(s) for s in samples.values() if min(s) > 0), default=1
        )
        return [_held(self, budget, figures, noise) for budget in self.budgets]

    def unmeasured(self, why: str) -> list[Result]:
        """What is said of the budgets when nothing could be measured."""
        return [
            Result(name=self.name, group=self.group, unit=self.unit, ours=None, peers={},
                   against=None, ratio=None, kind=budget.kind, measured=None, budget=budget.limit,
                   strict=budget.strict, holds=None, noise=None, note=why)
            for budget in self.budgets
        ]  # fmt: skip


def workload(
    group: str,
    name: str,
    unit: Unit,
    *budgets: Budget,
    beside: tuple[str, ...] = (),
    once: bool = False,
) -> Callable[[Build], Workload]:
    """Make a workload of a function that builds its contenders; its docstring says the claim."""
    return lambda build: Workload(name, group, unit, budgets, beside, once, build)


def check_same_work(workload: Workload, contenders: Mapping[str, Contender]) -> None:
    """Compare every contender's answer with ours.

    Raises:
        AssertionError: One differs.
    """
    ours = contenders[OURS].answer()
    for name, contender in contenders.items():
        theirs = contender.answer()
        if theirs != ours:
            raise AssertionError(f"{workload.name}: {name} answers {theirs!r}, ours is {ours!r}")


def _held(workload: Workload, budget: Budget, figures: Mapping[str, float], noise: float) -> Result:
    """What our figure comes to beside the best peer that the budget names."""
    ours = figures[OURS]
    rivals = {peer: figures[peer] for peer in budget.peers if peer in figures}
    against = min(rivals, key=lambda peer: rivals[peer], default=None)
    ratio = None if against is None else ours / rivals[against]
    excess = None if against is None else ours - rivals[against]
    measured = {"ratio": ratio, "excess": excess, "absolute": ours}[budget.kind]
    holds, note = None, budget.note
    if measured is None:
        note = "the peer is not installed"
    elif budget.limit is not None:
        holds = measured < budget.limit if budget.strict else measured <= budget.limit
    return Result(name=workload.name, group=workload.group, unit=workload.unit, ours=ours,
                  peers={name: figure for name, figure in figures.items() if name != OURS},
                  against=against, ratio=ratio, kind=budget.kind, measured=measured,
                  budget=budget.limit, strict=budget.strict, holds=holds, noise=noise,
                  note=note)  # fmt: skip
