"""The same read from each tier, with its time; then the tiers' counters."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

import tierline as tl
from tierline.cli.demo.entities import FLIGHTS, PLANES, Flight

_CACHE = tl.read_through(ttl_s=60)
_READS = 2_000
_DEAD_REDIS = "redis://127.0.0.1:1/0"
_TAILNUM = "N14228"


def show(
    store: tl.Store, console: Console, *, redis: str | None, reopen: tuple[str | None, str | None]
) -> None:
    """Print where three reads of one plane come from, and what a read of each tier costs."""
    console.rule("Tiers")
    url, path = reopen
    _one_plane(store, console, other=(url, path, redis))
    _stopped_redis(console, url, path)
    times, elsewhere = _times(store, url, path, redis)
    _table([*store.stats().tiers, *elsewhere], console, times)


def _one_plane(
    store: tl.Store, console: Console, other: tuple[str | None, str | None, str | None]
) -> None:
    """A second store stands for a second process: its L1 is empty, but L2 is shared."""
    url, path, redis = other
    planes = tl.repository(store, PLANES, cache=_CACHE)
    _read_plane(console, store, planes, "first read")
    if redis is not None:
        with tl.open(url, path=path, redis=redis) as second:
            there = tl.repository(second, PLANES, cache=_CACHE)
            _read_plane(console, second, there, "another process")
    _read_plane(console, store, planes, "read again")


def _read_plane(
    console: Console, store: tl.Store, planes: tl.Repository[Any, str], what: str
) -> None:
    before = _hits(store)
    began = time.perf_counter()
    result = planes.get_by_id(_TAILNUM)
    took_us = (time.perf_counter() - began) * 1e6
    tier = next((tier for tier, hits in _hits(store).items() if hits > before.get(tier, 0)), "none")
    plane = result.map(lambda p: f"{p.manufacturer} {p.model}").value_or("not found")
    console.print(f"{_TAILNUM}, {what}: {plane}, from {tier} in {took_us:,.1f} µs", highlight=False)


def _hits(store: tl.Store) -> dict[str, int]:
    return {tier.tier.split()[0]: tier.hits for tier in store.stats().tiers
            if not tier.tier.startswith("L1") or tier.tier == "L1 planes"}  # fmt: skip


def _stopped_redis(console: Console, url: str | None, path: str | None) -> None:
    """A Redis that is not there costs a moment, never an answer."""
    with tl.open(url, path=path, redis=_DEAD_REDIS) as store:
        planes = tl.repository(store, PLANES, cache=_CACHE)
        found = planes.get_by_id(_TAILNUM)
        l2 = next(tier for tier in store.stats().tiers if tier.tier == "L2")
        kind = type(found).__name__
        console.print(
            f"With a stopped Redis the read is still a [green]{kind}[/]; L2 counts "
            f"{l2.errors} error and is left alone for a second",
            highlight=False,
        )


def _times(
    store: tl.Store, url: str | None, path: str | None, redis: str | None
) -> tuple[dict[str, float], list[tl.TierStats]]:
    """Median seconds of one read, by tier; and L2 as another process saw it."""
    keys = list(range(1, _READS + 1))
    flights = tl.repository(store, FLIGHTS, cache=_CACHE)
    times = {"L3": _median_s(flights, keys)}
    elsewhere: list[tl.TierStats] = []
    if redis is not None:
        with tl.open(url, path=path, redis=redis) as second:
            times["L2 there"] = _median_s(tl.repository(second, FLIGHTS, cache=_CACHE), keys)
            seen = next(tier for tier in second.stats().tiers if tier.tier == "L2")
            elsewhere.append(msgspec.structs.replace(seen, tier="L2 there"))
    times["L1 flights"] = _median_s(flights, keys)
    return times, elsewhere


def _median_s(flights: tl.Repository[Flight, int], keys: list[int]) -> float:
    samples: list[float] = []
    for key in keys:
        began = time.perf_counter()
        flights.get_by_id(key)
        samples.append(time.perf_counter() - began)
    return median(samples)


def _table(tiers: list[tl.TierStats], console: Console, times: dict[str, float]) -> None:
    table = Table(title="Reads by tier (there: in the other process)")
    table.add_column("tier")
    for heading in ("hits", "misses", "hit ratio", "loads", "evictions", "one read"):
        table.add_column(heading, justify="right")
    for tier in tiers:
        took_s = times.get(tier.tier)
        table.add_row(
            tier.tier,
            f"{tier.hits:,}",
            f"{tier.misses:,}",
            "-" if tier.hit_ratio is None else f"{tier.hit_ratio:.1%}",
            f"{tier.loads:,}",
            f"{tier.evictions:,}",
            "-" if took_s is None else f"{took_s * 1e6:,.2f} µs",
        )
    console.print(table)
