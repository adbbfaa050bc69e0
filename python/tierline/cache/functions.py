"""`tl.cached`: a function that remembers what it returned."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, Self, TypeVar, overload

from tierline._core import Cache, CacheStats, Memo

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

MAXSIZE = 1024
"""Results kept unless the decorator is told otherwise: some hundred KiB beside the values."""

CO_COROUTINE = 0x80
"""The bit in a code object's flags that makes `async def`; `inspect` has it and is slow to load."""


class _Counts(NamedTuple):
    hits: int
    misses: int
    maxsize: int
    currsize: int


class CacheInfo(_Counts):
    """What `functools.lru_cache` tells, with the same fields, and more.

    Attributes:
        hits: Calls answered from the cache, since it was last cleared.
        misses: The other calls; those that waited for another's call are among them.
        maxsize: The most results kept.
        currsize: Results kept.
        stats: Every counter of the cache, since the function was decorated.
    """

    stats: CacheStats


class CachedMethod(Protocol[P, R_co]):
    """A cached function bound to an instance."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The remembered result of these arguments and this instance."""
        ...

    def cache_info(self) -> CacheInfo:
        """Hits, misses and sizes, of all instances together."""
        ...

    def cache_clear(self) -> None:
        """Forget every result, of all instances."""
        ...


class CachedFunction(Protocol[P, R_co]):
    """A function that remembers what it returned, as `tl.cached` makes it."""

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself, without a cache."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The remembered result of these arguments, or what the function returns now.

        Raises:
            TypeError: An argument cannot be hashed.
        """
        ...

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[Any, Q], R],
        instance: object,
        owner: type[Any] | None = None,
        /,
    ) -> CachedMethod[Q, R]: ...
    def cache_info(self) -> CacheInfo:
        """Hits, misses and sizes."""
        ...

    def cache_clear(self) -> None:
        """Forget every result, also of calls that have begun."""
        ...

    def cache_invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of these arguments; whether one was kept.

        A call of them that has begun is not remembered either. The first argument of a method is
        the instance.
        """
        ...


@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    *,
    maxsize: int = MAXSIZE,
    ttl_s: float | None = None,
    ttl_jitter: float = 0.0,
    stale_while_revalidate_s: float = 0.0,
    stale_if_error_s: float = 0.0,
    retry_s: float = 1.0,
    key: Callable[..., Hashable] | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
def cached(
    function: Callable[P, R] | None = None,
    /,
    *,
    maxsize: int = MAXSIZE,
    ttl_s: float | None = None,
    ttl_jitter: float = 0.0,
    stale_while_revalidate_s: float = 0.0,
    stale_if_error_s: float = 0.0,
    retry_s: float = 1.0,
    key: Callable[..., Hashable] | None = None,
) -> CachedFunction[P, R] | Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Remember what a function, method or coroutine function returns.

    Calls with the same arguments at the same time share one call: the others wait for its result,
    or its exception, which is not remembered. A result that is None is remembered. Arguments are
    the same if they are equal and passed alike: `f(1)` and `f(x=1)` are remembered apart.

    Args:
        function: What to decorate, if nothing else is given: `@tl.cached`.
        maxsize: The most results kept.
        ttl_s: Seconds a result is fresh, or None for no limit.
        ttl_jitter: The part of each time to live, 0 to 1, up to which chance shortens it.
        stale_while_revalidate_s: Seconds after `ttl_s` during which a result is still returned, at
            once, while one call in the background (a thread, or a task of the same loop) makes
            another.
        stale_if_error_s: Seconds after `ttl_s` during which a result stands in for a call that
            raises an `Exception`, which then goes to `sys.unraisablehook`, or of a coroutine to its
            loop's exception handler.
        retry_s: Seconds between two tries to make a stale result anew; until then it is returned.
        key: Makes the key of a call from its arguments, instead of the arguments themselves.

    Raises:
        ValueError: A number is out of range.
        TypeError: What is decorated cannot be called.
    """

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        cache: Cache[Any, Any] = Cache(
            maxsize,
            ttl_s=ttl_s,
            ttl_jitter=ttl_jitter,
            stale_while_revalidate_s=stale_while_revalidate_s,
            stale_if_error_s=stale_if_error_s,
            retry_s=retry_s,
        )
        made: CachedFunction[P, R] = _decorated(function, cache, key)
        return made

    return decorate if function is None else decorate(function)


def _decorated(
    function: Callable[..., Any], cache: Cache[Any, Any], key: Callable[..., Hashable] | None
) -> Any:
    memo = Memo(function, cache, key)
    decorated: Any = memo
    if is_coroutine_function(function):
        # Imported when first used, for it needs asyncio, which takes longer to load than the rest.
        from tierline.cache.coroutines import remembering  # noqa: PLC0415

        decorated = remembering(function, memo)
        decorated.cache_invalidate = memo.cache_invalidate
        decorated.cache = cache
    functools.update_wrapper(decorated, function)
    counters = _Counters(cache)
    decorated.cache_info = counters.info
    decorated.cache_clear = counters.clear
    return decorated


def is_coroutine_function(function: Any) -> bool:
    """Whether a call gives a coroutine; looks through partials and bound methods."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & CO_COROUTINE)


class _Counters:
    """The cache's counters since it was last cleared, as `functools.lru_cache` counts."""

    def __init__(self, cache: Cache[Any, Any]) -> None:
        self._cache = cache
        self._cleared = cache.stats()

    def info(self) -> CacheInfo:
        now, then = self._cache.stats(), self._cleared
        info = CacheInfo(
            now.hits - then.hits, now.misses - then.misses, self._cache.maxsize, now.entries
        )
        info.stats = now
        return info

    def clear(self) -> None:
        self._cache.invalidate_all()
        self._cleared = self._cache.stats()
