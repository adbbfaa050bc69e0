"""L1: a hit of a decorated function, beside `functools.lru_cache` and other caches' decorators.

`functools.lru_cache` and moka-py's, theine's and cachebox's decorators are used as their pages say;
`functools.lru_cache` knows no time to live and competes without one where the others have one.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import tierline as tl
from measure import Contender, Timed, fresh
from workload import OURS, Workload, at_most, faster_than, workload
from world import World, installed

_CAPACITY = 4096
_CALLED = 1024
_TTL_S = 60.0

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Decorate = Callable[[float | None], Decorator]


def _ours(ttl_s: float | None) -> Decorator:
    return tl.cached(maxsize=_CAPACITY, ttl_s=ttl_s)


def _functools(_ttl_s: float | None) -> Decorator:
    return functools.lru_cache(maxsize=_CAPACITY)


def _cachebox(ttl_s: float | None) -> Decorator:
    cachebox = importlib.import_module("cachebox")
    bounded = cachebox.LRUCache(_CAPACITY) if ttl_s is None else cachebox.TTLCache(_CAPACITY, ttl_s)
    decorator: Decorator = cachebox.cached(bounded)
    return decorator


def _moka(ttl_s: float | None) -> Decorator:
    moka = importlib.import_module("moka_py")
    decorator: Decorator = moka.cached(maxsize=_CAPACITY, ttl=ttl_s, policy="lru")
    return decorator


def _cachetools(ttl_s: float | None) -> Decorator:
    cachetools = importlib.import_module("cachetools")
    bounded = (
        cachetools.LRUCache(_CAPACITY) if ttl_s is None else cachetools.TTLCache(_CAPACITY, ttl_s)
    )
    decorator: Decorator = cachetools.cached(bounded)
    return decorator


def _theine(ttl_s: float | None) -> Decorator:
    theine = importlib.import_module("theine")
    timeout = None if ttl_s is None else timedelta(seconds=ttl_s)
    decorator: Decorator = theine.Memoize(_CAPACITY, timeout)
    return decorator


_DECORATORS: Mapping[str, tuple[str, Decorate]] = {
    OURS: ("tierline", _ours),
    "functools": ("functools", _functools),
    "cachebox": ("cachebox", _cachebox),
    "moka-py": ("moka_py", _moka),
    "cachetools": ("cachetools", _cachetools),
    "theine": ("theine", _theine),
}
"""By name: the package, and what makes its decorator from the seconds that results live."""

_BUDGETS = (
    at_most(1.1, "functools"),
    faster_than(*(name for name in _DECORATORS if name not in (OURS, "functools"))),
)


def _identity(x: object) -> object:
    return x


def _first(x: object, y: object) -> object:  # noqa: ARG001 (a part of the key)
    return x


def _one_each(function: Callable[..., object], arguments: Sequence[object]) -> None:
    for argument in arguments:
        function(argument)


def _two_each(function: Callable[..., object], arguments: Sequence[object]) -> None:
    for argument in arguments:
        function(argument, 1)


def _named_each(function: Callable[..., object], arguments: Sequence[object]) -> None:
    for argument in arguments:
        function(argument, y=1)


def _method_each(owner: Any, arguments: Sequence[object]) -> None:
    for argument in arguments:
        owner.method(argument)


def _strs() -> list[str]:
    return [f"flight:{n}" for n in range(1000, 1000 + _CALLED)]


def _ints() -> list[int]:
    return [int(str(n)) for n in range(1000, 1000 + _CALLED)]


def _hit(
    name: str,
    arguments: Callable[[], Sequence[object]],
    *,
    ttl_s: float | None = None,
    function: Callable[..., object] = _identity,
    each: Callable[..., None] = _one_each,
) -> Workload:
    """A hit costs at most 1.1 of `functools.lru_cache` and less than in every other cache."""

    def contender(decorate: Decorate) -> Contender:
        decorated: Any = decorate(ttl_s)(function)
        each(decorated, arguments())
        asked = arguments()
        work = partial(fresh(each), decorated, asked)
        extra = () if function is _identity else (1,)
        return Timed(work, len(asked), lambda: decorated(asked[-1], *extra))

    return _workload(name, contender)


def _method_hit(name: str) -> Workload:
    """The same of a method, called on an instance."""

    def contender(decorate: Decorate) -> Contender:
        class Owner:
            method = decorate(None)(lambda _, x: x)

        owner = Owner()
        _method_each(owner, _strs())
        asked = _strs()
        work = partial(fresh(_method_each), owner, asked)
        return Timed(work, len(asked), lambda: owner.method(asked[-1]))

    return _workload(name, contender)


def _workload(name: str, contender: Callable[[Decorate], Contender]) -> Workload:
    def build(_world: World) -> Mapping[str, Contender]:
        return {
            name: contender(decorate)
            for name, (package, decorate) in _DECORATORS.items()
            if installed(package)
        }

    return workload("l1", name, "ns", *_BUDGETS)(build)


WORKLOADS = (
    _hit("@tl.cached hit, a str", _strs),
    _hit("@tl.cached hit, an int", _ints),
    _hit("@tl.cached hit with TTL, a str", _strs, ttl_s=_TTL_S),
    _hit("@tl.cached hit with TTL, an int", _ints, ttl_s=_TTL_S),
    _hit("@tl.cached hit, two arguments", _strs, function=_first, each=_two_each),
    _hit("@tl.cached hit, a named argument", _strs, function=_first, each=_named_each),
    _method_hit("@tl.cached hit, a method"),
)
