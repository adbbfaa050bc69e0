"""Ports: what a repository needs from a store, so that it knows no driver."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from returns.result import Failure, Success

from tierline.cache import ReadThrough
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.query.changes import RowChange
from tierline.query.paging import Page, PageQuery
from tierline.result import Result
from tierline.sql import Staged, Statement

if TYPE_CHECKING:
    from tierline.cache.query_cache import QueryCache
    from tierline.cache.tables import TableCache
    from tierline.repository.behind import BehindsPort
    from tierline.repository.events import Subscriptions

T = TypeVar("T")
K = TypeVar("K")


class DatabasePort(Protocol):
    """Runs statements."""

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""
        ...

    def fetch_current(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """As `fetch`, with all that this process wrote in any context: what a cache may keep."""
        ...

    def fetch_latest(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The same from a server that takes writes."""
        ...

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """How many rows a statement changed."""
        ...

    def copy_in(
        self,
        statement: Statement,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """How many rows were written, all or none."""
        ...

    def move_in(
        self,
        staged: Staged,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """How many rows a bulk write changed; of a whole one that changed fewer, nothing stays."""
        ...


class CachesPort(Protocol):
    """Keeps entities above the database."""

    @property
    def announces(self) -> bool:
        """Whether each write must be in a transaction, which is announced before it commits."""
        ...

    def open(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K] | None:
        """The cache of a table; None where its rows are not to be kept."""
        ...

    @property
    def queries(self) -> QueryCache | None:
        """Keeps the results of queries; None where they are not to be kept."""
        ...

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make every tier forget rows."""
        ...

    def invalidate_table(
        self,
        table: Table[Any, Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make every tier forget a table."""
        ...

    def watched(self, table: Table[Any, Any]) -> bool:
        """Whether it is worth knowing a table's rows before and after a write."""
        ...

    def all(self) -> list[TableCache[Any, Any]]:
        """Every cache that may be read."""
        ...

    def in_use(self, table: Table[Any, Any]) -> bool:
        """Whether a tier may hold rows of a table, or rows that its deletions change."""
        ...


class StorePort(Protocol):
    """An open handle on all tiers, or a transaction of one."""

    @property
    def database(self) -> DatabasePort:
        """L3."""
        ...

    @property
    def caches(self) -> CachesPort:
        """L1 and L2."""
        ...

    def fetch_page(self, page: PageQuery[T], /) -> Success[Page[T]] | Failure[RepositoryError]:
        """A page of a query's rows."""
        ...

    @property
    def subscriptions(self) -> Subscriptions:
        """Who hears of changes."""
        ...

    @property
    def write_behind(self) -> BehindsPort | None:
        """The journals of writes; None where writes go to L3 themselves."""
        ...

    def atomically(
        self, function: Callable[[TransactionPort], Result[T, RepositoryError]]
    ) -> Result[T, RepositoryError]:
        """Run a function so that what it does is kept as a whole, if it succeeds, or not at all."""
        ...


class TransactionPort(StorePort, Protocol):
    """A transaction of a store."""

    def began_at(self) -> Result[dt.datetime, RepositoryError]:
        """When it began, by the database's clock."""
        ...
