"""L1 at 1,000,000 entries: how fast, how large, and what it costs the cyclic collector.

Size and collection are measured in a child process of each cache, which holds nothing else:
`python benches/million.py NAME memory|collection` prints one figure, in bytes or seconds.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from caches import KINDS, PEERS, VALUE, installed_kinds
from measure import Contender, Probed, Timed
from workload import OURS, Build, Workload, at_most, no_more_than, workload
from world import World

COUNT = 1_000_000
_ASKED = 100_000
_CHILD_TIMEOUT_S = 60.0
_COLLECTIONS = 9


def _get(name: str, key: Callable[[int], object]) -> Workload:
    """A hit in random order costs at most 1.4 `dict.get` at the same size."""

    def build(_world: World) -> Mapping[str, Contender]:
        stored = [key(n) for n in range(COUNT)]
        asked = random.Random(1).sample(stored, _ASKED)

        def contender(name: str) -> Contender:
            kind = KINDS[name]
            cache = kind.make(COUNT, None)
            kind.writes(cache, stored, None)()
            return Timed(kind.reads(cache, asked), _ASKED, lambda: kind.value(cache, asked[-1]))

        return {name: contender(name) for name in (OURS, "dict")}

    return workload("l1", name, "ns", at_most(1.4, "dict"))(build)


def _in_child(what: str) -> Build:
    def build(_world: World) -> Mapping[str, Contender]:
        return {name: Probed(partial(_child, name, what)) for name in installed_kinds()}

    return build


def _memory() -> Workload:
    """An entry takes at most 75 bytes beyond its key and its value."""
    name = "bytes an entry at 1,000,000"
    beside = ("dict", *PEERS)
    return workload("l1", name, "bytes", no_more_than(75), beside=beside, once=True)(
        _in_child("memory")
    )


def _collection() -> Workload:
    """A full collection takes at most 1 ms longer when keys and values are atomic."""
    name = "added to gc.collect() at 1,000,000"
    beside = ("dict", *PEERS)
    return workload("l1", name, "ms", no_more_than(1.0), beside=beside, once=True)(
        _in_child("collection")
    )


WORKLOADS = (
    _get("get hit at 1,000,000, int keys", int),
    _get("get hit at 1,000,000, str keys", "flight:{}".format),
    _memory(),
    _collection(),
)


def _child(name: str, what: str) -> float:
    done = subprocess.run(
        [sys.executable, Path(__file__), name, what],
        capture_output=True,
        text=True,
        timeout=_CHILD_TIMEOUT_S,
        check=True,
    )
    return float(done.stdout)


def measure_memory(name: str, count: int) -> float:
    """Bytes that the process grows by for an entry whose key and value are there before."""
    keys = list(range(1000, 1000 + count))
    cache = KINDS[name].make(count, None)
    fill = KINDS[name].writes(cache, keys, None)
    gc.collect()
    before = _resident()
    fill()
    return (_resident() - before) / count


def measure_collection(name: str, count: int) -> float:
    """Seconds that a full collection takes longer for a cache of atomic keys and values."""
    KINDS[name].make(1, None)
    # What was imported is not looked through again: it would drown the cache's part.
    gc.collect()
    gc.freeze()
    cache = KINDS[name].make(count, None)
    before = _collect_s()
    # Not `writes`: a list of the keys would itself be something to collect.
    if KINDS[name].assigns:
        for key in range(1000, 1000 + count):
            cache[key] = VALUE
    else:
        for key in range(1000, 1000 + count):
            cache.set(key, VALUE)
    return _collect_s() - before


def _collect_s() -> float:
    times: list[float] = []
    for _ in range(_COLLECTIONS):
        began = time.perf_counter()
        gc.collect()
        times.append(time.perf_counter() - began)
    return min(times)


def _resident() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    shown = subprocess.run(
        ["/bin/ps", "-o", "rss=", "-p", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(shown.stdout) * 1024


if __name__ == "__main__":
    _MEASURES = {"memory": measure_memory, "collection": measure_collection}
    print(_MEASURES[sys.argv[2]](sys.argv[1], COUNT))
