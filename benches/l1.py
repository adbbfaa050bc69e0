"""L1: the native cache beside other caches, and a repository's hit beside `dict.get`.

Written as users write it, `cache.get(key)` in a loop, whose own 4 ns or so are in every figure.
Keys asked for equal the stored ones but are other objects, as those that a request brings are.
lru-dict knows no time to live and competes without one where the others have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tierline as tl
from caches import KINDS, PEERS, VALUE, Keys, Kind, installed_kinds
from entities import FLIGHTS
from measure import Contender, Timed, fresh
from workload import OURS, Budget, Workload, at_most, faster_than, workload
from world import World

_CAPACITY = 4096
_FILLED = 1024
_EVICTING_CAPACITY = 1024
_TTL_S = 60.0

_OTHERS = faster_than(*(peer for peer in PEERS if peer != "cachebox"))
_ALL = faster_than(*PEERS)


def _ints(count: int = _FILLED, start: int = 1000) -> Keys:
    """New objects, above the small numbers that Python keeps one object of."""
    return [int(str(n)) for n in range(start, start + count)]


def _strs(count: int = _FILLED, start: int = 1000) -> Keys:
    return [f"flight:{n}" for n in range(start, start + count)]


def _hit(
    name: str, keys: Callable[[], Keys], *, ttl_s: float | None, same: bool = False
) -> Workload:
    """A hit costs at most 0.85 of cachebox's LRUCache, with TTL 0.6 of its TTLCache.

    It costs less than in every other cache. Statistics are on.
    """

    def contender(kind: Kind) -> Contender:
        stored = keys()
        asked = stored if same else keys()
        cache = _filled(kind, stored, _CAPACITY, ttl_s)
        return Timed(kind.reads(cache, asked), len(asked), lambda: kind.value(cache, asked[-1]))

    return _workload(name, contender, _cachebox(ttl_s), _OTHERS)


def _hit_bound(name: str, *, ttl_s: float | None) -> Workload:
    """The same with `get = cache.get` before the loop, so that finding the method costs nothing."""

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, _strs(), _CAPACITY, ttl_s)
        asked = _strs()
        work = partial(fresh(_call_each), cache.get, asked)
        return Timed(work, len(asked), lambda: kind.value(cache, asked[-1]))

    return _workload(name, contender, _cachebox(ttl_s), _OTHERS)


def _miss(name: str, keys: Callable[[int, int], Keys]) -> Workload:
    """A miss costs less than in every other cache."""

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, keys(_FILLED, 1000), _CAPACITY, None)
        absent = keys(_FILLED, 1_000_000)
        return Timed(kind.reads(cache, absent), len(absent), lambda: kind.value(cache, absent[-1]))

    return _workload(name, contender, _ALL)


def _overwrite(name: str, keys: Callable[[], Keys]) -> Workload:
    """Storing under a key that is there costs less than in every other cache."""

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, keys(), _CAPACITY, None)
        again = keys()
        work = kind.writes(cache, again, None)
        return Timed(work, len(again), lambda: kind.value(cache, again[-1]))

    return _workload(name, contender, _ALL)


def _evict(name: str, *, ttl_s: float | None) -> Workload:
    """Storing in the place of another entry costs less than in every other cache."""
    keys = _strs(4 * _EVICTING_CAPACITY)

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, (), _EVICTING_CAPACITY, ttl_s)
        work = kind.writes(cache, keys, ttl_s)

        def is_bounded() -> bool:
            work()
            return sum(kind.value(cache, key) is VALUE for key in keys) <= _EVICTING_CAPACITY

        return Timed(work, len(keys), is_bounded)

    return _workload(name, contender, _ALL, beside=())


@workload(
    "l1", "repository.get_by_id, L1 hit", "ns", at_most(2.0, "dict", note="for now at most 3")
)
def repository_hit(world: World) -> Mapping[str, Contender]:
    """A hit through the repository, which answers a Result, costs at most 2 `dict.get`."""
    cache = tl.read_through(ttl_s=60 * _TTL_S)
    flights: tl.Repository[Any, Any] = tl.repository(world.store, FLIGHTS, cache=cache)
    results = {key: flights.get_by_id(key) for key in _ints()}
    asked = _ints()
    last = asked[-1]
    kept = KINDS["dict"].reads(results, asked)
    return {
        OURS: Timed(
            partial(fresh(_read_each), flights, asked), len(asked), lambda: flights.get_by_id(last)
        ),
        "dict": Timed(kept, len(asked), lambda: results[last]),
    }


def _call_each(get: Callable[[Any], object], keys: Keys) -> None:
    for key in keys:
        get(key)


def _read_each(flights: tl.Repository[Any, Any], keys: Keys) -> None:
    for key in keys:
        flights.get_by_id(key)


def _filled(kind: Kind, keys: Keys, capacity: int, ttl_s: float | None) -> Any:
    cache = kind.make(capacity, ttl_s)
    kind.writes(cache, keys, ttl_s)()
    return cache


def _cachebox(ttl_s: float | None) -> Budget:
    return at_most(0.85 if ttl_s is None else 0.6, "cachebox")


def _workload(
    name: str,
    contender: Callable[[Kind], Contender],
    *budgets: Budget,
    beside: tuple[str, ...] = ("dict",),
) -> Workload:
    def build(_world: World) -> Mapping[str, Contender]:
        competing = (OURS, *PEERS, *beside)
        return {n: contender(kind) for n, kind in installed_kinds().items() if n in competing}

    return workload("l1", name, "ns", *budgets, beside=beside)(build)


WORKLOADS = (
    _hit("get hit, int keys", _ints, ttl_s=None),
    _hit("get hit, str keys", _strs, ttl_s=None),
    _hit("get hit, str keys, same objects", _strs, ttl_s=None, same=True),
    _hit_bound("get hit, str keys, get bound before", ttl_s=None),
    _hit("get hit with TTL, int keys", _ints, ttl_s=_TTL_S),
    _hit("get hit with TTL, str keys", _strs, ttl_s=_TTL_S),
    _hit("get hit with TTL, str keys, same objects", _strs, ttl_s=_TTL_S, same=True),
    _hit_bound("get hit with TTL, str keys, get bound before", ttl_s=_TTL_S),
    _miss("get miss, int keys", _ints),
    _miss("get miss, str keys", _strs),
    _overwrite("overwrite, int keys", _ints),
    _overwrite("overwrite, str keys", _strs),
    _evict("set evicting", ttl_s=None),
    _evict("set evicting with TTL", ttl_s=_TTL_S),
    repository_hit,
)
