"""L1 as it grows from 1,000 to 1,000,000 entries: how fast, how large, what it costs the collector.

The smaller sizes have no budget; they show how the cost grows, ours and each peer's against a
dict's. Size and collection are measured in a child process of each cache, which holds nothing
else: `python benches/growth.py NAME memory|collection COUNT` prints one figure, in bytes or
seconds.
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

from caches import KINDS, PEERS, VALUE, Keys, Kind, installed_kinds
from measure import Contender, Deferred, Probed, Timed
from workload import Build, Workload, at_most, no_more_than, shown_against, workload
from world import World

MILLION = 1_000_000
_TIMED = (1_000, 10_000, 100_000, MILLION)
# Below this the pages and pauses of the process itself are larger than the cache's.
_WEIGHED = (100_000, MILLION)
_ASKED = 100_000
_CHILD_TIMEOUT_S = 60.0
_COLLECTIONS = 9
_BESIDE = ("dict", *PEERS)
_MAKE_KEY: Mapping[str, Callable[[int], object]] = {"int": int, "str": "flight:{}".format}


def _get(kind_of_key: str, count: int) -> Workload:
    """A hit in random order costs at most 1.4 `dict.get` at 1,000,000 entries."""

    def build(_world: World) -> Mapping[str, Contender]:
        make_key = _MAKE_KEY[kind_of_key]
        stored = [make_key(n) for n in range(count)]
        asked = random.Random(1).sample(stored, min(count, _ASKED)) * max(1, _ASKED // count)
        # A million entries of a peer that is not asked for would take seconds and memory.
        return {
            name: Deferred(partial(_filled, kind, stored, asked))
            for name, kind in installed_kinds().items()
        }

    budget = at_most(1.4, "dict") if count == MILLION else shown_against("dict")
    return workload("l1", f"get hit at {count:,}, {kind_of_key} keys", "ns", budget, beside=PEERS)(
        build
    )


def _filled(kind: Kind, stored: Keys, asked: Keys) -> Contender:
    cache = kind.make(len(stored), None)
    kind.writes(cache, stored, None)()
    work = kind.reads(cache, asked)
    # The others' turns empty the processor's caches, and in use a small cache would be in them. Of
    # a large one a part is asked for, and would be in them as if it were all.
    before = work if len(stored) <= _ASKED else None
    return Timed(
        work,
        len(asked),
        lambda: sum(kind.value(cache, key) is VALUE for key in asked),
        before,
    )


def _in_child(what: str, count: int) -> Build:
    def build(_world: World) -> Mapping[str, Contender]:
        return {name: Probed(partial(_child, name, what, count)) for name in installed_kinds()}

    return build


def _memory(count: int) -> Workload:
    """An entry takes at most 75 bytes beyond its key and its value at 1,000,000 entries."""
    budget = no_more_than(75) if count == MILLION else shown_against("dict")
    name = f"bytes an entry at {count:,}"
    return workload("l1", name, "bytes", budget, beside=_BESIDE, once=True)(
        _in_child("memory", count)
    )


def _collection(count: int) -> Workload:
    """A full collection takes at most 1 ms longer when keys and values are atomic."""
    name = f"added to gc.collect() at {count:,}"
    return workload("l1", name, "ms", no_more_than(1.0), beside=_BESIDE, once=True)(
        _in_child("collection", count)
    )


WORKLOADS = (
    *(_get(key, count) for key in _MAKE_KEY for count in _TIMED),
    *(_memory(count) for count in _WEIGHED),
    *(_collection(count) for count in _WEIGHED),
)


def _child(name: str, what: str, count: int) -> float:
    done = subprocess.run(
        [sys.executable, Path(__file__), name, what, str(count)],
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
    print(_MEASURES[sys.argv[2]](sys.argv[1], int(sys.argv[3])))
