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
_FIRST = 1000
_ABSENT = 1_000_000
_EVICTING_CAPACITY = 1024
_TTL_S = 60.0

_OTHERS = faster_than(*(peer for peer in PEERS if peer != "cachebox"))
_ALL = faster_than(*PEERS)
_WITH_ITEMS = tuple(peer for peer in PEERS if KINDS[peer].assigns)

MakeKeys = Callable[[int, int], Keys]
"""So many keys from a number on; always new objects."""


def _ints(count: int = _FILLED, start: int = _FIRST) -> Keys:
    """New objects, above the small numbers that Python keeps one object of."""
    return [int(str(n)) for n in range(start, start + count)]


def _strs(count: int = _FILLED, start: int = _FIRST) -> Keys:
    return [f"flight:{n}" for n in range(start, start + count)]


def _tuples(count: int = _FILLED, start: int = _FIRST) -> Keys:
    """Composite keys, as of a table with two columns in its primary key."""
    return [("UA", int(str(n))) for n in range(start, start + count)]


_KEYS: Mapping[str, MakeKeys] = {"int": _ints, "str": _strs, "tuple": _tuples}
_LIVES: Mapping[str, float | None] = {"": None, " with TTL": _TTL_S}


def _hit(kind_of_key: str, life: str, *, same: bool = False) -> Workload:
    """A hit of an int or a str costs at most 0.85 of cachebox's LRUCache, with TTL 0.6 of TTLCache.

    It costs less than in every other cache, for tuples than in cachebox too. Statistics are on.
    """
    keys, ttl_s = _KEYS[kind_of_key], _LIVES[life]
    name = f"get hit{life}, {kind_of_key} keys{', same objects' if same else ''}"
    budgets = (_ALL,) if kind_of_key == "tuple" else (_cachebox(ttl_s), _OTHERS)

    def contender(kind: Kind) -> Contender:
        stored = keys(_FILLED, _FIRST)
        asked = stored if same else keys(_FILLED, _FIRST)
        cache = _filled(kind, stored, _CAPACITY, ttl_s)
        return Timed(kind.reads(cache, asked), len(asked), lambda: kind.value(cache, asked[-1]))

    return _workload(name, contender, *budgets)


def _hit_bound(life: str) -> Workload:
    """The same with `get = cache.get` before the loop, so that finding the method costs nothing."""
    ttl_s = _LIVES[life]

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, _strs(), _CAPACITY, ttl_s)
        asked = _strs()
        work = partial(fresh(_call_each), cache.get, asked)
        return Timed(work, len(asked), lambda: kind.value(cache, asked[-1]))

    name = f"get hit{life}, str keys, get bound before"
    return _workload(name, contender, _cachebox(ttl_s), _OTHERS)


def _item(kind_of_key: str, life: str) -> Workload:
    """`cache[key]` costs less than in every other cache that has it, and times to live if asked.

    lru-dict, which has none, is shown beside the others.
    """
    keys, ttl_s = _KEYS[kind_of_key], _LIVES[life]

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, keys(_FILLED, _FIRST), _CAPACITY, ttl_s)
        asked = keys(_FILLED, _FIRST)
        work = kind.reads_items(cache, asked)
        return Timed(work, len(asked), lambda: kind.value(cache, asked[-1]))

    name = f"cache[key] hit{life}, {kind_of_key} keys"
    rivals = _WITH_ITEMS if ttl_s is None else [peer for peer in _WITH_ITEMS if peer != "lru-dict"]
    return _workload(name, contender, faster_than(*rivals), peers=_WITH_ITEMS)


def _miss(kind_of_key: str, life: str) -> Workload:
    """A miss costs less than in every other cache."""
    keys, ttl_s = _KEYS[kind_of_key], _LIVES[life]

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, keys(_FILLED, _FIRST), _CAPACITY, ttl_s)
        absent = keys(_FILLED, _ABSENT)
        return Timed(kind.reads(cache, absent), len(absent), lambda: kind.value(cache, absent[-1]))

    return _workload(f"get miss{life}, {kind_of_key} keys", contender, _ALL)


def _overwrite(kind_of_key: str) -> Workload:
    """Storing under a key that is there costs less than in every other cache."""
    keys = _KEYS[kind_of_key]

    def contender(kind: Kind) -> Contender:
        cache = _filled(kind, keys(_FILLED, _FIRST), _CAPACITY, None)
        again = keys(_FILLED, _FIRST)
        work = kind.writes(cache, again, None)
        return Timed(work, len(again), lambda: kind.value(cache, again[-1]))

    return _workload(f"overwrite, {kind_of_key} keys", contender, _ALL)


def _evict(kind_of_key: str, life: str) -> Workload:
    """Storing in the place of another entry costs less than in every other cache."""
    ttl_s = _LIVES[life]

    def contender(kind: Kind) -> Contender:
        keys = _KEYS[kind_of_key](4 * _EVICTING_CAPACITY, _FIRST)
        cache = _filled(kind, (), _EVICTING_CAPACITY, ttl_s)
        work = kind.writes(cache, keys, ttl_s)

        def is_bounded() -> bool:
            work()
            return sum(kind.value(cache, key) is VALUE for key in keys) <= _EVICTING_CAPACITY

        return Timed(work, len(keys), is_bounded)

    return _workload(f"set evicting{life}, {kind_of_key} keys", contender, _ALL, beside=())


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
    peers: tuple[str, ...] = PEERS,
    beside: tuple[str, ...] = ("dict",),
) -> Workload:
    def build(_world: World) -> Mapping[str, Contender]:
        competing = (OURS, *peers, *beside)
        return {n: contender(kind) for n, kind in installed_kinds().items() if n in competing}

    return workload("l1", name, "ns", *budgets, beside=beside)(build)


WORKLOADS = (
    *(_hit(key, life) for life in _LIVES for key in _KEYS),
    *(_hit("str", life, same=True) for life in _LIVES),
    *(_hit_bound(life) for life in _LIVES),
    *(_item(key, life) for life in _LIVES for key in _KEYS),
    *(_miss(key, life) for life in _LIVES for key in _KEYS),
    *(_overwrite(key) for key in _KEYS),
    *(_evict(key, life) for life in _LIVES for key in _KEYS),
    repository_hit,
)
