"""Reads through a table's cache, with the options of one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from returns.primitives.container import BaseContainer
from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.resilience import Resilience
from tierline.cache.sharing import Fetched, sharing
from tierline.cache.strategy import PLAIN, ReadOptions, ReadThrough, read_options
from tierline.entity import Table
from tierline.errors import NotFoundError, RepositoryError

T = TypeVar("T")
K = TypeVar("K")
K_contra = TypeVar("K_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)

_NEW: Any = Success.__new__
_SET_VALUE: Any = cast("Any", BaseContainer)._inner_value.__set__  # noqa: SLF001 (what it sets itself)


class ReadByKey(Protocol[K_contra, T_co]):
    """`get_by_id` of a repository."""

    def __call__(
        self,
        key: K_contra,
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Success[T_co] | Failure[RepositoryError]:
        """The entity that has a key.

        Args:
            key: The key.
            fresh: Ask no cache; what is read is kept.
            ttl_s: Seconds for which what is read is fresh, instead of the strategy's.
            stale_ok_s: Seconds past its time up to which what L1 still keeps is the answer; it
                keeps nothing beyond the strategy's windows.

        Errors: `NotFoundError`; `ValidationError` for a value that no key can have.

        Raises:
            TypeError: `fresh=` with `stale_ok_s=`, or an option of caching without a cache.
            ValueError: An option is out of range.
        """
        ...


class Cached(Protocol[T, K]):
    """What is read through."""

    table: Table[T, K]
    strategy: ReadThrough
    l1: Cache[K, Fetched[T]]
    resilience: Resilience[T, K]


def reading(cache: Cached[T, K], load: Callable[[K, ReadOptions], Fetched[T]]) -> ReadByKey[K, T]:
    """A native function that answers from L1, and otherwise as the strategy and the call say.

    Args:
        cache: What is read through.
        load: Reads below L1 and fills it.
    """
    l1, resilience, name = cache.l1, cache.resilience, cache.table.name

    def missed(options: ReadOptions) -> Callable[[K], Fetched[T]]:
        def led(key: K) -> Fetched[T]:
            return load(key, options)

        shared = sharing(l1, led, "get_by_id", name)
        return partial(resilience.read, load=shared) if cache.strategy.is_resilient else shared

    read_plainly = missed(PLAIN)

    def read_with(
        key: K,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Fetched[T]:
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        if options.fresh:
            # A load that began before must not replace what this one reads.
            l1.refuse_loads(key)
            return load(key, options)
        found = l1.get(key)
        if found is None and options.stale_ok_s > 0:
            found = resilience.stale(key, options.stale_ok_s)
        if found is not None:
            return found
        return read_plainly(key) if options.ttl_s is None else missed(options)(key)

    return l1.reader(read_plainly, read_with)


def kept(
    cache: Cached[T, K], keys: Iterable[K], options: ReadOptions
) -> tuple[dict[K, T], list[K]]:
    """The entities that L1 has for a read of many keys, and the keys to be read."""
    wanted = list(keys)
    if options.fresh:
        for key in wanted:
            cache.l1.refuse_loads(key)
        return {}, wanted
    found = cache.l1.get_many(wanted)
    entities = {
        key: result.unwrap() for key, result in found.items() if isinstance(result, Success)
    }
    missing: list[K] = []
    for key in wanted:
        if key in found:
            # Or known not to be there.
            continue
        stale = cache.resilience.stale(key, options.stale_ok_s) if options.stale_ok_s > 0 else None
        if stale is None:
            missing.append(key)
        else:
            entities[key] = stale.unwrap()
    return entities, missing


def no_row(table: Table[Any, Any]) -> Failure[RepositoryError]:
    """The answer to a key that no row has."""
    return Failure(NotFoundError("no row has this key", operation="get_by_id", table=table.name))


def successes(values: list[T]) -> list[Fetched[T]]:
    """`Success` of each value, without the two calls that its constructor makes of it."""
    made: list[Any] = [_NEW(Success) for _ in values]
    for success, value in zip(made, values, strict=True):
        _SET_VALUE(success, value)
    return made
