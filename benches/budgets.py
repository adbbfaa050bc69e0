"""Every budget of the design, measured side by side: ours, each peer, the ratio, the verdict.

    python benches/budgets.py [--only NAME] [--quick] [--json FILE]

It reports and never fails a build. Figures of one run compare with each other and nothing else.
Hit ratios need recorded traces and have a script of their own, `hit_ratio.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

import bulk
import cached
import compiling
import facades
import growth
import imports
import invalidation
import l1
import l2
import l3
import pages
import sheets
import threads
import transactions
from tierline import _core
from workload import FULL, QUICK, Effort, Result, Workload
from world import World, installed

WORKLOADS: tuple[Workload, ...] = (
    *l1.WORKLOADS,
    *cached.WORKLOADS,
    *facades.WORKLOADS,
    *threads.WORKLOADS,
    *growth.WORKLOADS,
    *l2.WORKLOADS,
    *l3.WORKLOADS,
    *transactions.WORKLOADS,
    *invalidation.WORKLOADS,
    *pages.WORKLOADS,
    *compiling.WORKLOADS,
    *bulk.WORKLOADS,
    *imports.WORKLOADS,
    *sheets.WORKLOADS,
)

NOT_BUILT = ("query to Arrow: at most 1.0 x ADBC",)
"""Budgets whose subject does not exist yet."""

# Beyond this a contender may have had no quiet round at all, and the ratio may be wrong.
_NOISE_MAX = 1.5

_PACKAGES = (
    "asyncpg", "cachebox", "cachetools", "cashews", "django", "dogpile", "lru", "moka_py", "peewee",
    "piccolo", "sqlalchemy", "theine",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON if asked to."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder for {options.json}")
    chosen = [w for w in WORKLOADS if not options.only or _is_meant(w, options.only)]
    if not chosen:
        groups = ", ".join(dict.fromkeys(workload.group for workload in WORKLOADS))
        print(f"nothing is called {options.only!r}; groups are {groups}, and names are:")
        for workload in WORKLOADS:
            print(f"  {workload.name}")
        return 2
    began = time.monotonic()
    _print_notes()
    results: list[Result] = []
    with World() as world:
        for workload in chosen:
            found = _run(workload, world, QUICK if options.quick else FULL)
            _print_results(workload, found)
            results += found
    _print_end(results, time.monotonic() - began, everything=not options.only)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the budgets of the design.")
    parser.add_argument("--only", metavar="NAME", help="a group, or a part of benchmarks' names")
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two: fewer rounds and peers"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser


def _is_meant(workload: Workload, name: str) -> bool:
    return workload.group == name or name.lower() in workload.name.lower()


def _print_notes() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    build = _core.__build__
    print(f"tierline {build['version']} ({build['profile']}, {build['gil']}), Python {version}")
    print("each figure is the least of a contender's rounds; the contenders take turns")
    if build["profile"] != "release":
        print("WARNING: the native core is a debug build; no figure of it means anything")
    missing = [package for package in _PACKAGES if not installed(package)]
    if missing:
        print(f"not installed, so left out: {', '.join(missing)}")


def _run(workload: Workload, world: World, effort: Effort) -> list[Result]:
    try:
        return workload.run(world, effort)
    except Exception as error:
        # One broken benchmark says so and keeps nobody from the others.
        return workload.unmeasured(f"{type(error).__name__}: {error}")


def _print_results(workload: Workload, results: Sequence[Result]) -> None:
    unit = "µs" if workload.unit == "us" else workload.unit
    ours = results[0].ours
    figure = "not measured" if ours is None else f"{_shown(ours)} {unit}"
    print(f"\n{workload.group}  {workload.name}: {figure}")
    noise = results[0].noise
    if noise is not None and noise > _NOISE_MAX:
        print(f"      the machine is busy: somebody's median is {noise:.1f} x its least")
    if results[0].peers:
        peers = ", ".join(f"{name} {_shown(figure)}" for name, figure in results[0].peers.items())
        print(f"      beside {peers}")
    for result in results:
        print(f"      {_verdict(result, unit)}", flush=True)


def _verdict(result: Result, unit: str) -> str:
    note = f" ({result.note})" if result.note else ""
    if result.measured is None:
        return f"no verdict{note}"
    if result.budget is None:
        return f"shown  {_multiples(result)}{note}"
    match result.kind:
        case "ratio":
            said = f"{result.measured:.2f} x {result.against}"
        case "excess":
            said = f"{result.measured:+.1f} {unit} to {result.against}"
        case _:
            said = f"{_shown(result.measured)} {unit}"
    comparison = "below" if result.strict else "at most"
    verdict = "holds " if result.holds else "MISSES"
    return f"{verdict} {said}, budget {comparison} {result.budget:g}{note}"


def _multiples(result: Result) -> str:
    """Everybody's figure over that of the peer compared with."""
    assert result.against is not None, "a measured figure was compared"
    unit = result.peers[result.against]
    others = {n: figure / unit for n, figure in result.peers.items() if n != result.against}
    beside = "".join(f", {name} {multiple:.2f}" for name, multiple in others.items())
    return f"{result.measured:.2f} x {result.against}{beside}"


def _shown(figure: float) -> str:
    # Adding zero takes the sign from a negative zero.
    return f"{round(figure, 1) + 0.0:,.1f}"


def _print_end(results: Sequence[Result], elapsed_s: float, *, everything: bool) -> None:
    if everything:
        print()
        for budget in NOT_BUILT:
            print(f"not built yet: {budget}")
    held = sum(result.holds is True for result in results)
    held_against = sum(result.budget is not None for result in results)
    print(f"\n{held} of {held_against} budgets hold; measured in {elapsed_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
