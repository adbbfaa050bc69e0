"""What was measured of hit ratios, and what the budgets say of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

OURS = "tierline"
OUR_LRU = "tierline lru"
OPTIMUM = "optimum"

_BELOW_LRU_MAX = 1.5
_LOOPS = ("gli", "loop")
_LOOPS_MIN = 5.0
# What is printed has one decimal.
_SAME = 0.05


class Cell(msgspec.Struct, frozen=True):
    """One trace at one capacity, with every cache's hits in percent."""

    trace: str
    share: int
    keys: int
    capacity: int
    requests: int
    hits: dict[str, float]

    @property
    def name(self) -> str:
        """The trace, and the capacity in percent of its keys."""
        return f"{self.trace} {100 // self.share} %"


class Verdict(msgspec.Struct, frozen=True):
    """A clause of the budget and whether it holds."""

    claim: str
    measured: float
    holds: bool


def means(cells: Sequence[Cell]) -> dict[str, float]:
    """Every cache's mean over all cells."""
    return {name: statistics.fmean(cell.hits[name] for cell in cells) for name in cells[0].hits}


def rivals(cells: Sequence[Cell]) -> list[str]:
    """Everybody but ours and the optimum, the best mean first."""
    mean = means(cells)
    others = [name for name in mean if name not in (OURS, OUR_LRU, OPTIMUM)]
    return sorted(others, key=lambda name: -mean[name])


def same_as_lru(cells: Sequence[Cell]) -> list[str]:
    """The caches that hit as plain LRU does in every cell."""
    return [
        name
        for name in cells[0].hits
        if name != "LRU" and all(abs(c.hits[name] - c.hits["LRU"]) < _SAME for c in cells)
    ]


def shown(cells: Sequence[Cell]) -> list[str]:
    """The rivals that hit otherwise than plain LRU, and LRU itself."""
    same = same_as_lru(cells)
    return [name for name in rivals(cells) if name not in same]


def better(cell: Cell, names: Sequence[str]) -> dict[str, float]:
    """By how many points which of the caches beat ours, the best first."""
    ahead = {name: cell.hits[name] - cell.hits[OURS] for name in names}
    return {
        name: points
        for name, points in sorted(ahead.items(), key=lambda item: -item[1])
        if points >= _SAME
    }


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """The clauses of the budget."""
    mean = means(cells)
    best = rivals(cells)[0]
    below = max((cell.hits["LRU"] - cell.hits[OURS], cell.trace) for cell in cells)
    loops = [cell.hits[OURS] for cell in cells if cell.trace in _LOOPS and cell.share == 10]
    found = [
        Verdict(
            claim=f"mean above everybody else's: {mean[OURS]:.2f} %, the next is {best}",
            measured=mean[OURS] - mean[best],
            holds=mean[OURS] > mean[best],
        ),
        Verdict(
            claim=f"at most {_BELOW_LRU_MAX} points under LRU; most so on {below[1]}",
            measured=below[0],
            holds=below[0] <= _BELOW_LRU_MAX,
        ),
    ]
    if loops:
        claim = f"above {_LOOPS_MIN:g} % at a tenth of the keys on {' and '.join(_LOOPS)}"
        found.append(Verdict(claim=claim, measured=min(loops), holds=min(loops) > _LOOPS_MIN))
    return found
