"""`store.cached`: a function whose results the store keeps, in L2 too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, cast, get_args, get_origin, get_type_hints

from returns.result import Failure, Success

from tierline._core import CacheStats
from tierline.cache.application import ApplicationCache
from tierline.cache.application_keys import CacheKey
from tierline.cache.functions import CachedFunction, CacheInfo, is_coroutine_function
from tierline.cache.spaces import CacheSpace, tags_of

P = ParamSpec("P")
R = TypeVar("R")

Tags = Iterable[str] | Callable[..., Iterable[str]]
"""Labels, or what makes them from a call's arguments."""


def stored_function(
    cache: ApplicationCache,
    function: Callable[P, R],
    *,
    ttl_s: float,
    key: Callable[..., CacheKey] | None,
    tags: Tags,
    max_entries: int,
) -> CachedFunction[P, R]:
    """A function that keeps what it returns in a space of its own; see `Store.cached`."""
    name = f"{function.__module__}.{function.__qualname__}"
    if is_coroutine_function(function):
        raise TypeError(f"{name} is a coroutine function: Redis would block it; use tl.cached")
    into, is_result = _returned(function, name)
    space: CacheSpace[Any] = cache.replace(name, into, ttl_s, max_entries)
    key_of = _call_key if key is None else key
    tags_for = tags if callable(tags) else _always(tags_of(tags))

    find: Callable[..., Any] = space.get_or_fetch if is_result else space.get_or_load

    @functools.wraps(function)
    def kept(*args: P.args, **kwargs: P.kwargs) -> Any:
        def call(_: CacheKey) -> Any:
            return function(*args, **kwargs)

        return find(key_of(*args, **kwargs), call, tags=tags_for(*args, **kwargs))

    def invalidate(*args: P.args, **kwargs: P.kwargs) -> bool:
        return space.forget(key_of(*args, **kwargs))

    decorated: Any = kept
    counters = _Counters(space)
    decorated.cache_info = counters.info
    decorated.cache_clear = counters.clear
    decorated.cache_invalidate = invalidate
    return cast("CachedFunction[P, R]", decorated)


def _call_key(*args: Any, **kwargs: Any) -> CacheKey:
    if not kwargs and len(args) == 1 and type(args[0]) in (str, int):
        one: CacheKey = args[0]
        return one
    return args, tuple(sorted(kwargs.items()))


def _always(tags: tuple[str, ...]) -> Callable[..., Iterable[str]]:
    return lambda *_args, **_kwargs: tags


def _returned(function: Callable[..., Any], name: str) -> tuple[Any, bool]:
    """The type that a function returns, and whether it is that of a Result's Success."""
    hints = get_type_hints(function)
    if "return" not in hints:
        raise TypeError(f"{name} does not say what it returns: annotate it, so that L2 can tell")
    returned = hints["return"]
    parts = {get_origin(part) or part: part for part in get_args(returned)}
    if set(parts) == {Success, Failure}:
        (into,) = get_args(parts[Success]) or (object,)
        return into, True
    return returned, False


class _Counters:
    """The space's counters since it was last cleared, as `functools.lru_cache` counts."""

    def __init__(self, space: CacheSpace[Any]) -> None:
        self._space = space
        self._cleared = space.stats()

    def info(self) -> CacheInfo:
        now: CacheStats = self._space.stats()
        then = self._cleared
        counts = (now.hits - then.hits, now.misses - then.misses)
        info = CacheInfo(*counts, self._space.max_entries, now.entries)
        info.stats = now
        return info

    def clear(self) -> None:
        self._space.clear()
        self._cleared = self._space.stats()
