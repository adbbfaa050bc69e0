"""Hit ratios on recorded traces: ours, the peers', plain LRU's and the best possible.

    python benches/hit_ratio.py [--quick] [--json FILE] [FOLDER]

The folder of the traces may also be given by `TIERLINE_TRACES`. Every cache is asked for each key
in turn and given those that it misses. Capacities are 2 % and 10 % of the distinct keys. `--quick`
reads the first 150,000 requests of each trace.
"""

from __future__ import annotations

import argparse
import heapq
import importlib
import statistics
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import traces
from tierline import Cache
from traces import Trace
from world import installed

OURS = "tierline"
_QUICK = 150_000
_SHARES = (50, 10)
"""One part in so many of the distinct keys."""

_BELOW_LRU_MAX = 1.5
_LOOPS = ("gli", "loop")
_LOOPS_MIN = 5.0

Replay = Callable[[Trace, int], float]


def _replayed(make: Callable[[int], Any], *, assigns: bool = True) -> Replay:
    """The share of hits, in percent, of a cache with `get`."""

    def replay(trace: Trace, capacity: int) -> float:
        cache = make(capacity)
        get, hits = cache.get, 0
        store = cache.__setitem__ if assigns else cache.set
        for key in trace:
            if get(key) is None:
                store(key, key + 1)
            else:
                hits += 1
        return 100 * hits / len(trace)

    return replay


def _theine(trace: Trace, capacity: int) -> float:
    cache = importlib.import_module("theine").Cache(capacity)
    hits = 0
    for key in trace:
        if cache.get(key)[1]:
            hits += 1
        else:
            cache.set(key, key + 1)
    return 100 * hits / len(trace)


def lru(trace: Trace, capacity: int) -> float:
    """Plain least recently used, as short as it can be written."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in held:
            held.move_to_end(key)
            hits += 1
        else:
            if len(held) == capacity:
                held.popitem(last=False)
            held[key] = None
    return 100 * hits / len(trace)


def optimum(trace: Trace, capacity: int) -> float:
    """Bélády's: what is asked for last goes first."""
    following, seen = [0] * len(trace), dict[int, int]()
    for at in range(len(trace) - 1, -1, -1):
        following[at] = seen.get(trace[at], len(trace))
        seen[trace[at]] = at
    due: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for key, later in zip(trace, following, strict=True):
        if key in due:
            hits += 1
        elif len(due) == capacity:
            while True:
                at, last = heapq.heappop(latest)
                # Older notes of a key that has been asked for since are passed over.
                if due.get(last) == -at:
                    break
            del due[last]
        due[key] = later
        heapq.heappush(latest, (-later, key))
    return 100 * hits / len(trace)


def _make(package: str, name: str, **options: object) -> Callable[[int], Any]:
    return lambda capacity: getattr(importlib.import_module(package), name)(capacity, **options)


PEERS: Mapping[str, tuple[str, Replay]] = {
    "cachebox LFU": ("cachebox", _replayed(_make("cachebox", "LFUCache"))),
    "moka tlfu": ("moka_py", _replayed(_make("moka_py", "Moka", policy="tiny_lfu"), assigns=False)),
    "theine": ("theine", _theine),
    "cachetools LRU": ("cachetools", _replayed(_make("cachetools", "LRUCache"))),
    "cachetools LFU": ("cachetools", _replayed(_make("cachetools", "LFUCache"))),
}
"""The packages, with what must be installed for each."""

SLOW = ("cachetools LFU",)
"""Left out in quick runs."""

REFERENCES: Mapping[str, Replay] = {"optimum": optimum, "LRU": lru}


class Cell(msgspec.Struct, frozen=True):
    """One trace at one capacity, with every cache's hits in percent."""

    trace: str
    share: int
    capacity: int
    requests: int
    hits: dict[str, float]


class Verdict(msgspec.Struct, frozen=True):
    """A clause of the budget and whether it holds."""

    claim: str
    measured: float
    holds: bool


def contenders(*, quick: bool) -> dict[str, Replay]:
    """Ours, the references and the installed peers."""
    ours = {
        OURS: _replayed(Cache),
        "tierline lru": _replayed(lambda capacity: Cache(capacity, policy="lru")),
    }
    peers = {
        name: replay
        for name, (package, replay) in PEERS.items()
        if installed(package) and not (quick and name in SLOW)
    }
    return {**ours, **REFERENCES, **peers}


def measure(name: str, trace: Trace, replays: Mapping[str, Replay]) -> list[Cell]:
    """Replay one trace at both capacities."""
    keys = len(set(trace))
    return [
        Cell(
            trace=name,
            share=share,
            capacity=max(1, keys // share),
            requests=len(trace),
            hits={name: replay(trace, max(1, keys // share)) for name, replay in replays.items()},
        )
        for share in _SHARES
    ]


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """The clauses of the budget."""
    means = {name: statistics.fmean(cell.hits[name] for cell in cells) for name in cells[0].hits}
    best = max((mean, name) for name, mean in means.items() if name in PEERS or name == "LRU")
    below = max((cell.hits["LRU"] - cell.hits[OURS], cell.trace) for cell in cells)
    loops = [cell.hits[OURS] for cell in cells if cell.trace in _LOOPS and cell.share == 10]
    found = [
        Verdict(
            claim=f"mean above every peer's: {means[OURS]:.2f} %, best peer is {best[1]}",
            measured=means[OURS] - best[0],
            holds=means[OURS] > best[0],
        ),
        Verdict(
            claim=f"at most {_BELOW_LRU_MAX} points under LRU; most so on {below[1]}",
            measured=below[0],
            holds=below[0] <= _BELOW_LRU_MAX,
        ),
    ]
    if loops:
        claim = f"above {_LOOPS_MIN} % at a tenth of the keys on {' and '.join(_LOOPS)}"
        found.append(Verdict(claim=claim, measured=min(loops), holds=min(loops) > _LOOPS_MIN))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; never fails for a budget that is missed."""
    parser = argparse.ArgumentParser(description="Hit ratios on recorded traces.")
    parser.add_argument("folder", nargs="?", type=Path, default=traces.folder())
    parser.add_argument("--quick", action="store_true", help="150,000 requests of each trace")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args(arguments)
    if options.folder is None or not options.folder.is_dir():
        print("no traces: name their folder, or set TIERLINE_TRACES")
        return 2
    replays = contenders(quick=options.quick)
    print(f"{'':16}" + "".join(f"{name:>15}" for name in replays))
    cells: list[Cell] = []
    for name, whole in traces.available(options.folder):
        found = measure(name, whole[:_QUICK] if options.quick else whole, replays)
        for cell in found:
            _print(f"{cell.trace} {100 // cell.share} %", cell.hits)
        cells += found
    if not cells:
        print(f"none of the traces is in {options.folder}")
        return 2
    _print("mean", {n: statistics.fmean(cell.hits[n] for cell in cells) for n in replays})
    for verdict in verdicts(cells):
        held = "holds " if verdict.holds else "MISSES"
        print(f"{held} {verdict.claim} ({verdict.measured:+.2f})")
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(cells)) + b"\n")
    return 0


def _print(name: str, hits: Mapping[str, float]) -> None:
    print(f"{name:16}" + "".join(f"{share:15.1f}" for share in hits.values()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
