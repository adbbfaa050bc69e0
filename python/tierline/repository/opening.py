"""From a store, a table and a strategy to the repository that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

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

if TYPE_CHECKING:
    from tierline.repository.sheet import SheetsPort

T = TypeVar("T")
K = TypeVar("K")


@overload
def repository(store: SheetsPort, table: Sheet[T, K]) -> Repository[T, K]: ...
@overload
def repository(
    store: StorePort, table: Table[T, K], *, cache: Strategy | None = None
) -> Repository[T, K]: ...
def repository(
    store: StorePort | SheetsPort, table: Table[T, K], *, cache: Strategy | None = None
) -> Repository[T, K]:
    """The repository of a table in a store.

    Args:
        store: An open store, or a transaction of one. For a sheet one that reaches spreadsheets:
            `tl.open_sheets(…, write=True)`, its transaction, or a store that was opened with it.
        table: The table, from `tl.table` or `tl.sheet`.
        cache: How it uses the tiers: `tl.read_through(ttl_s=…)`, `tl.write_through(ttl_s=…)`,
            `tl.write_behind(ttl_s=…)` or `tl.cache_aside()`; None reads and writes L3.

    Raises:
        TypeError: The strategy is none; `tl.write_behind` for a transaction, or for a table with
            columns that the database sets; a sheet in a store that does not write spreadsheets, or
            a strategy for one: `tl.open_sheets` takes that.
        ConfigurationError: `tl.write_behind` without a Redis that keeps what it is given.

    Example:
        ``tl.repository(store, FLIGHTS, cache=tl.read_through(ttl_s=60))``
    """
    given: Any = cache
    if isinstance(table, Sheet):
        # It evaluates queries in memory, which is large, and few need.
        from tierline.repository.sheet import SheetRepository  # noqa: PLC0415

        return SheetRepository(_writable(store, table, given), table)
    match given:
        case None | ReadThrough() | CacheAside():
            return Repository(_database(store, table), table, reads_of(given))
        case WriteThrough():
            return ThroughRepository(_database(store, table), table, given.reads)
        case WriteBehind():
            return BehindRepository(_database(store, table), table, given)
        case _:
            raise TypeError(
                "cache takes tl.read_through(ttl_s=…), tl.write_through(ttl_s=…), "
                f"tl.write_behind(ttl_s=…) or tl.cache_aside(), not {given!r:.80}"
            )


def _database(store: StorePort | SheetsPort, table: Table[Any, Any]) -> StorePort:
    given: Any = store
    if not hasattr(given, "database"):
        raise TypeError(
            f"{table.name!r} is a table of a database, and these are spreadsheets; use a store of "
            "tl.open"
        )
    return cast("StorePort", store)


def _writable(
    store: StorePort | SheetsPort, sheet: Sheet[Any, Any], strategy: object
) -> SheetsPort:
    if strategy is not None:
        raise TypeError(
            f"{sheet.name!r} is a sheet, whose cache is the store's: "
            "tl.open_sheets(…, cache=tl.read_through(ttl_s=…))"
        )
    given: Any = store
    sheets: Any = given if hasattr(given, "sheet_rows") else getattr(given, "sheets", None)
    if not hasattr(sheets, "sheet_edit"):
        raise TypeError(
            f"{sheet.name!r} is a sheet, and this store does not write spreadsheets: open them "
            "with tl.open_sheets(…, write=True), or read with fetch_all, fetch_one, fetch_maybe, "
            "count or exists; in tests take tl.memory_repository"
        )
    return cast("SheetsPort", sheets)
