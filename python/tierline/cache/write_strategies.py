"""Strategies by what a write does; what a read does is said by `tl.read_through`."""

from __future__ import annotations

import math
from typing import TypeAlias, cast, overload

import msgspec

from tierline.cache.strategy import ReadThrough, read_through

PENDING_MAX = 100_000
BATCH_MAX = 1_000


class CacheAside(msgspec.Struct, frozen=True):
    """The repository reads and writes L3; the application keeps what it wants to keep itself."""


class WriteThrough(msgspec.Struct, frozen=True):
    """Reads as read-through; a committed write is read back at once, which fills L1 and L2.

    Attributes:
        reads: What a read does.
    """

    reads: ReadThrough


class WriteBehind(msgspec.Struct, frozen=True):
    """Writes are acknowledged once they are in a journal in Redis, and reach L3 in batches.

    Attributes:
        reads: What a read does, where nothing is pending.
        max_pending: The most operations in the journal, dead letters included.
        batch_size: The most operations of one transaction.
        delay_s: Seconds for which operations are gathered before they are written.
        close_timeout_s: Seconds for which closing the store waits for what is pending.
        durable: Whether a Redis that keeps nothing on disk is refused.
    """

    reads: ReadThrough
    max_pending: int
    batch_size: int
    delay_s: float
    close_timeout_s: float
    durable: bool


Strategy: TypeAlias = ReadThrough | CacheAside | WriteThrough | WriteBehind


def cache_aside() -> CacheAside:
    """Keep nothing in the repository: the application asks, fills and invalidates its own cache.

    Reads go to L3. A write goes to L3, and other repositories of the same table in this store
    forget what they hold of it; what the application keeps in a `tl.Cache`, or by `@tl.cached`, it
    invalidates itself.

    Example:
        ``tl.repository(store, FLIGHTS, cache=tl.cache_aside())``
    """
    return CacheAside()


@overload
def write_through(*, ttl_s: float, max_entries: int = 100_000) -> WriteThrough: ...
@overload
def write_through(*, reads: ReadThrough) -> WriteThrough: ...
def write_through(
    *, ttl_s: float | None = None, max_entries: int = 100_000, reads: ReadThrough | None = None
) -> WriteThrough:
    """Cache what is read, as `tl.read_through` does, and what is written too.

    A write commits in L3 first. Then the tiers forget the row, and it is read back with the
    snapshot that a cache wants to see, so L1 and L2 hold what the database holds: the next read is
    a hit. A tier that is down costs the write nothing but that hit.

    Args:
        ttl_s: Seconds after which a cached entity is no longer served. At least 0.001.
        max_entries: The most entities kept in L1, at least 1.
        reads: Instead of both, everything that `tl.read_through` takes.

    Raises:
        TypeError: Neither or both of `ttl_s` and `reads` are given.
        ValueError: An argument is out of range.

    Example:
        ``tl.repository(store, FLIGHTS, cache=tl.write_through(ttl_s=60))``
    """
    return WriteThrough(_reads("write_through", ttl_s, max_entries, reads))


@overload
def write_behind(
    *,
    ttl_s: float,
    max_entries: int = 100_000,
    max_pending: int = PENDING_MAX,
    batch_size: int = BATCH_MAX,
    delay_s: float = 0.01,
    close_timeout_s: float = 5.0,
    durable: bool = True,
) -> WriteBehind: ...
@overload
def write_behind(
    *,
    reads: ReadThrough,
    max_pending: int = PENDING_MAX,
    batch_size: int = BATCH_MAX,
    delay_s: float = 0.01,
    close_timeout_s: float = 5.0,
    durable: bool = True,
) -> WriteBehind: ...
def write_behind(
    *,
    ttl_s: float | None = None,
    max_entries: int = 100_000,
    reads: ReadThrough | None = None,
    max_pending: int = PENDING_MAX,
    batch_size: int = BATCH_MAX,
    delay_s: float = 0.01,
    close_timeout_s: float = 5.0,
    durable: bool = True,
) -> WriteBehind:
    """Acknowledge writes once they are journalled in Redis, and write them to L3 in batches.

    `create`, `update`, `upsert`, `delete` and their verbs for many rows answer when the journal has
    the operation. What the database refuses later is a dead letter: see `store.write_behind`. Reads
    by key see what is pending; queries read L3. Other verbs wait until the journal is empty.

    Args:
        ttl_s: Seconds after which a cached entity is no longer served. At least 0.001.
        max_entries: The most entities kept in L1, at least 1.
        reads: Instead of both, everything that `tl.read_through` takes.
        max_pending: The most operations in the journal, dead letters included; beyond it writes
            answer with a `PoolExhaustedError`.
        batch_size: The most operations of one transaction, from 1 to 10,000.
        delay_s: Seconds for which operations are gathered before they are written.
        close_timeout_s: Seconds for which closing the store waits for what is pending; the rest
            stays in the journal for the next process that opens the table.
        durable: Refuse a Redis that keeps nothing on disk, or may evict the journal.

    Raises:
        TypeError: Neither or both of `ttl_s` and `reads` are given; an argument is of another type.
        ValueError: An argument is out of range.

    Example:
        ``tl.repository(store, FLIGHTS, cache=tl.write_behind(ttl_s=60))``
    """
    known = _reads("write_behind", ttl_s, max_entries, reads)
    _check_count("max_pending", max_pending, 1, 10_000_000)
    _check_count("batch_size", batch_size, 1, 10_000)
    _check_seconds("delay_s", delay_s)
    _check_seconds("close_timeout_s", close_timeout_s)
    if not isinstance(cast("object", durable), bool):
        raise TypeError(f"durable is True or False, not {durable!r:.80}")
    return WriteBehind(
        known, max_pending, batch_size, float(delay_s), float(close_timeout_s), durable
    )


def reads_of(strategy: Strategy | None) -> ReadThrough | None:
    """How reads are cached; None for not at all."""
    match strategy:
        case None | CacheAside():
            return None
        case ReadThrough():
            return strategy
        case _:
            return strategy.reads


def _reads(
    name: str, ttl_s: float | None, max_entries: int, reads: ReadThrough | None
) -> ReadThrough:
    if (ttl_s is None) == (reads is None):
        raise TypeError(f"{name} takes ttl_s=, or reads=tl.read_through(ttl_s=…)")
    if reads is None:
        assert ttl_s is not None
        return read_through(ttl_s=ttl_s, max_entries=max_entries)
    if not isinstance(cast("object", reads), ReadThrough):
        raise TypeError(f"{name}: reads takes tl.read_through(ttl_s=…), not {reads!r:.80}")
    return reads


def _check_count(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r:.80}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:,} to {most:,}, not {value!r}")


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {value!r:.80}")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must not be negative, not {value!r}")
