"""Hit ratios on recorded traces: ours, the peers', plain policies' and the best possible.

    python benches/hit_ratio.py [--quick] [--json FILE] [--markdown FILE] [--plot FILE] [FOLDER]

The folder of the traces may also be given by `TIERLINE_TRACES`. Every cache is asked for each key
in turn and given those that it misses. Capacities are 2 % and 10 % of the distinct keys. `--quick`
reads the first 150,000 requests of each trace.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import hits_page
import hits_plot
import simulators
import traces
from hits import OPTIMUM, OUR_LRU, OURS, Cell, means, verdicts
from tierline import Cache
from traces import Trace
from world import installed

_QUICK = 150_000
_SHARES = (50, 10)
"""One part in so many of the distinct keys."""

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


def _functools(trace: Trace, capacity: int) -> float:
    @functools.lru_cache(maxsize=capacity)
    def load(key: int) -> int:
        return key + 1

    for key in trace:
        load(key)
    return 100 * load.cache_info().hits / len(trace)


def _make(package: str, name: str, **options: object) -> Callable[[int], Any]:
    return lambda capacity: getattr(importlib.import_module(package), name)(capacity, **options)


def _moka(policy: str) -> Replay:
    return _replayed(_make("moka_py", "Moka", policy=policy), assigns=False)


PEERS: Mapping[str, tuple[str, Replay]] = {
    "theine": ("theine", _theine),
    "moka tlfu": ("moka_py", _moka("tiny_lfu")),
    "moka lru": ("moka_py", _moka("lru")),
    "cachebox LRU": ("cachebox", _replayed(_make("cachebox", "LRUCache"))),
    "cachebox LFU": ("cachebox", _replayed(_make("cachebox", "LFUCache"))),
    "cachebox FIFO": ("cachebox", _replayed(_make("cachebox", "FIFOCache"))),
    "lru-dict": ("lru", _replayed(_make("lru", "LRU"))),
    "cachetools LRU": ("cachetools", _replayed(_make("cachetools", "LRUCache"))),
    "cachetools LFU": ("cachetools", _replayed(_make("cachetools", "LFUCache"))),
    "lru_cache": ("functools", _functools),
}
"""The packages, with what must be installed for each."""

SLOW = ("cachetools LFU",)
"""Left out in quick runs."""

REFERENCES: Mapping[str, Replay] = {
    OPTIMUM: simulators.optimum,
    "LRU": simulators.lru,
    "SIEVE": simulators.sieve,
    "S3-FIFO": simulators.s3fifo,
}


def contenders(*, quick: bool) -> dict[str, Replay]:
    """Ours, the references and the installed peers."""
    ours = {
        OURS: _replayed(Cache),
        OUR_LRU: _replayed(lambda capacity: Cache(capacity, policy="lru")),
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
            keys=keys,
            capacity=max(1, keys // share),
            requests=len(trace),
            hits={name: replay(trace, max(1, keys // share)) for name, replay in replays.items()},
        )
        for share in _SHARES
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; never fails for a budget that is missed."""
    options = _options(arguments)
    if options.folder is None or not options.folder.is_dir():
        print("no traces: name their folder, or set TIERLINE_TRACES")
        return 2
    replays = contenders(quick=options.quick)
    print(f"{'':16}" + "".join(f"{name:>15}" for name in replays))
    cells: list[Cell] = []
    for name, whole in traces.available(options.folder):
        found = measure(name, whole[:_QUICK] if options.quick else whole, replays)
        for cell in found:
            _print(cell.name, cell.hits)
        cells += found
    if not cells:
        print(f"none of the traces is in {options.folder}")
        return 2
    _print("mean", means(cells))
    for verdict in verdicts(cells):
        held = "holds " if verdict.holds else "MISSES"
        print(f"{held} {verdict.claim} ({verdict.measured:+.2f})")
    _write(cells, options)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hit ratios on recorded traces.")
    parser.add_argument("folder", nargs="?", type=Path, default=traces.folder())
    parser.add_argument("--quick", action="store_true", help="150,000 requests of each trace")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write them as a page")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw them, as SVG or PNG")
    options = parser.parse_args(arguments)
    for option in ("json", "markdown", "plot"):
        file: Path | None = getattr(options, option)
        if file is not None and not file.absolute().parent.is_dir():
            parser.error(f"--{option}: there is no folder for {file}")
    if options.plot is not None and not installed("matplotlib"):
        parser.error("--plot: matplotlib is not installed")
    return options


def _write(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(cells)) + b"\n")
    if options.markdown is not None:
        options.markdown.write_text(hits_page.page(cells), encoding="utf-8")
    if options.plot is not None:
        hits_plot.draw(cells, options.plot)


def _print(name: str, hits: Mapping[str, float]) -> None:
    print(f"{name:16}" + "".join(f"{share:15.1f}" for share in hits.values()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
