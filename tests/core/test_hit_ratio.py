"""The default policy keeps its hit ratios: on made-up requests, and on recorded ones if found.

The recorded traces are not part of this repository; `benches/traces.py` says where they are looked
for. `benches/hit_ratio.py` shows what other caches reach on them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest
from benches import traces

from tierline._core import Cache

SLACK = 0.5
"""Points that a change may cost before it is noticed."""

# Percent of hits with room for 2 % and for 10 % of the distinct keys.
RECORDED = {
    "OLTP": (53.9, 68.5),
    "orm-busy": (78.8, 86.4),
    "web07": (48.6, 58.3),
    "w106": (77.2, 86.1),
    "corda": (33.3, 33.3),
    "multi3": (27.8, 46.7),
    "2_pools": (50.3, 54.3),
    "gli": (2.5, 14.6),
    "loop": (1.8, 9.0),
}


def hits(trace: list[int], capacity: int, policy: Literal["s3fifo", "lru"] | None = None) -> float:
    """The share of hits, in percent, of a cache that is given what it misses."""
    cache: Cache[int, int] = Cache(capacity, policy=policy) if policy else Cache(capacity)
    get, found = cache.get, 0
    for key in trace:
        if get(key) is None:
            cache[key] = key + 1
        else:
            found += 1
    return 100 * found / len(trace)


def popular_with_scans_and_a_loop() -> Iterable[int]:
    """Popular keys by Zipf's law; now and then keys that never come again, and ones that all do."""
    chosen = random.Random(1)
    for turn in range(40):
        yield from (int(2000 ** chosen.random()) for _ in range(1000))
        yield from range(10_000 + 400 * turn, 10_400 + 400 * turn)
        yield from range(5000, 5300)


def a_loop() -> Iterable[int]:
    """The same keys round and round, ten times as many as fit."""
    return list(range(1000)) * 20


def each_key_twice() -> Iterable[int]:
    """Each key comes once more soon after: who keeps the old ones, as SIEVE does, has no hit."""
    for key in range(20_000):
        yield key
        if key >= 200:
            yield key - 200


# The requests, how many keys fit, our hits in percent, and how many LRU has.
MADE_UP = [
    pytest.param(popular_with_scans_and_a_loop, 200, 38.8, 31.5, id="popular, scans, a loop"),
    pytest.param(a_loop, 100, 8.5, 0.0, id="a loop"),
    pytest.param(each_key_twice, 500, 49.4, 49.7, id="each key twice"),
]


@pytest.mark.parametrize(("made", "capacity", "ours", "lru"), MADE_UP)
def test_made_up_requests_hit_as_often_as_ever(
    made: Any, capacity: int, ours: float, lru: float
) -> None:
    trace = list(made())
    assert hits(trace, capacity) >= ours - SLACK
    # What LRU reaches says what the floor is worth: it is out of LRU's reach in two of three.
    assert hits(trace, capacity, "lru") == pytest.approx(lru, abs=0.05)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_hit_as_often_as_ever(name: str) -> None:
    trace = recorded(name)
    keys = len(set(trace))
    small, large = RECORDED[name]
    assert hits(trace, keys // 50) >= small - SLACK
    assert hits(trace, keys // 10) >= large - SLACK


def recorded(name: str) -> traces.Trace:
    """A trace, or a skipped test."""
    file, read = traces.TRACES[name]
    folder = traces.folder()
    if folder is None:
        pytest.skip("there is no folder of traces: set TIERLINE_TRACES to it")
    path: Path = folder / file
    if not path.exists():
        pytest.skip(f"{file} is not in the folder of traces")
    try:
        return traces.load(path, read)
    except ModuleNotFoundError as error:
        pytest.skip(f"{file} cannot be unpacked without the program zstd or {error.name}")
