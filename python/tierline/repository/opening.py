"""From a store, a table and a strategy to the repository that follows it."""

from __future__ import annotations

from typing import Any, TypeVar

from tierline.cache.strategy import ReadThrough
from tierline.cache.write_strategies import (
    CacheAside,
    Strategy,
    WriteBehind,
    WriteThrough,
    reads_of,
)
from tierline.entity import Sheet, Table
from tierline.repository.behind import BehindRepository
from tierline.repository.ports import StorePort
from tierline.repository.repository import Repository
from tierline.repository.through import ThroughRepository

T = TypeVar("T")
K = TypeVar("K")


def repository(
    store: StorePort, table: Table[T, K], *, cache: Strategy | None = None
) -> Repository[T, K]:
    """The repository of a table in a store.

    Args:
        store: An open store.
        table: The table, from `tl.table`.
        cache: How it uses the tiers: `tl.read_through(ttl_s=…)`, `tl.write_through(ttl_s=…)`,
            `tl.write_behind(ttl_s=…)` or `tl.cache_aside()`; None reads and writes L3.

    Raises:
        TypeError: The table is a sheet; the strategy is none; `tl.write_behind` for a transaction,
            or for a table with columns that the database sets.
        ConfigurationError: `tl.write_behind` without a Redis that keeps what it is given.

    Example:
        ``tl.repository(store, FLIGHTS, cache=tl.read_through(ttl_s=60))``
    """
    if isinstance(table, Sheet):
        raise TypeError(
            f"{table.name!r} is a sheet, which is read and not written: use fetch_all, fetch_one, "
            "fetch_maybe, count or exists; in tests tl.memory_repository"
        )
    given: Any = cache
    match given:
        case None | ReadThrough() | CacheAside():
            return Repository(store, table, reads_of(given))
        case WriteThrough():
            return ThroughRepository(store, table, given.reads)
        case WriteBehind():
            return BehindRepository(store, table, given)
        case _:
            raise TypeError(
                "cache takes tl.read_through(ttl_s=…), tl.write_through(ttl_s=…), "
                f"tl.write_behind(ttl_s=…) or tl.cache_aside(), not {given!r:.80}"
            )
