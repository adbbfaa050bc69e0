"""The verbs of queries and writes, over what runs statements and what keeps rows above it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from returns.result import Failure, Success

from tierline.cache.queries import CachedQuery
from tierline.cache.strategy import ReadOptions, read_options
from tierline.entity import Sheet, Table
from tierline.errors import NotFoundError, QueryError, RepositoryError
from tierline.query import Query, Returning, Write
from tierline.query.paging import Page, PageQuery
from tierline.query.query import Fetchable
from tierline.repository.behind import BehindsPort
from tierline.repository.events import Subscriptions
from tierline.repository.ports import CachesPort, TransactionPort
from tierline.repository.writes import perform_returning, perform_write
from tierline.result import Result
from tierline.sql import Compiled, Plan, RawSql, compile_explain
from tierline.store.batches import Batch
from tierline.store.cached import CurrentPort, cached_rows
from tierline.store.loader import Loader
from tierline.store.query_port import QueryPort
from tierline.store.runnable import explainable, runnable, runnable_page
from tierline.store.streams import Stream

if TYPE_CHECKING:
    from tierline.store.sheet_store import SheetStore

T = TypeVar("T")
K = TypeVar("K")

Readable: TypeAlias = Fetchable[T] | Returning[T] | CachedQuery[T]
"""What has rows: a query, a write that answers, or a query whose result is kept."""


D = TypeVar("D", bound=QueryPort)
C = TypeVar("C", bound=CachesPort)


class Verbs(ABC, Generic[D, C]):
    """What a store and a transaction have in common.

    Attributes:
        database: Runs statements.
        caches: Keeps rows above it.
        subscriptions: Who hears of changes.
        sheets: Reaches spreadsheets; None if the store was opened without.
    """

    database: D
    caches: C
    subscriptions: Subscriptions
    sheets: SheetStore | None = None
    _cursor_secret: bytes

    @property
    @abstractmethod
    def write_behind(self) -> BehindsPort | None:
        """The journals of writes; None where writes go to L3 themselves."""

    @abstractmethod
    def atomically(
        self, function: Callable[[TransactionPort], Result[T, RepositoryError]]
    ) -> Result[T, RepositoryError]:
        """Run a function so that what it does is kept as a whole, if it succeeds, or not at all."""

    def fetch_all(
        self,
        query: Readable[T],
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
        **parameters: object,
    ) -> Result[list[T], RepositoryError]:
        """Every row of a query, or of a write with `returning`.

        Args:
            query: From `tl.select`, `tl.project`, `tl.sql` or `tl.returning`, or `tl.cached_query`.
            fresh: Read a cached query's result anew, whatever is kept. In a transaction, and of
                other queries, every read does.
            ttl_s: Seconds for which a cached query's result, if it is read now, is fresh.
            stale_ok_s: Seconds past its time up to which a cached query's result that is still kept
                is the answer; nothing is kept beyond the strategy's windows.
            **parameters: A value for each `tl.param` in it.

        Raises:
            TypeError: A parameter is missing, unknown or of another type; an option of caching
                without `tl.cached_query`; `fresh=` with `stale_ok_s=`.
            ValueError: An option is out of range.
        """
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        return self._rows(query, "fetch_all", parameters, options)

    def fetch_one(
        self,
        query: Readable[T],
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
        **parameters: object,
    ) -> Result[T, RepositoryError]:
        """The only row of a query, or of a write; arguments as for `fetch_all`.

        Errors: `NotFoundError` if there is none, `QueryError` if there are more.
        """
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        found = self._at_most_one(query, "fetch_one", parameters, options)
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        if rows:
            return Success(rows[0])
        return Failure(
            NotFoundError("no row fits the query", operation="fetch_one", table=_table_name(query))
        )

    def fetch_maybe(
        self,
        query: Readable[T],
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
        **parameters: object,
    ) -> Result[T | None, RepositoryError]:
        """The only row of a query, or of a write, or None; arguments as for `fetch_all`.

        Errors: `QueryError` if there are more.
        """
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        found = self._at_most_one(query, "fetch_maybe", parameters, options)
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        return Success(rows[0] if rows else None)

    def fetch_page(
        self, page: PageQuery[T], /, **parameters: object
    ) -> Result[Page[T], RepositoryError]:
        """A page of a query's rows, from `tl.page`; parameters as for `fetch_all`.

        What a page costs is where its rows are in an index over the ordering, not how many rows
        come before it; `store.explain` takes a page too, and shows whether one is entered.

        Errors: `ValidationError` for a cursor that is not one of this query, its values, its
        parameters and this store.
        """
        found = runnable_page(page, self._cursor_secret, parameters)
        if isinstance(found, Failure):
            return found
        compiled, bookmarks = found
        result = self.database.fetch(*compiled)
        if isinstance(result, Failure):
            return result
        return Success(bookmarks.page(page, result.unwrap()))

    def count(
        self,
        query: Query[Any] | CachedQuery[Any],
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
        **parameters: object,
    ) -> Result[int, RepositoryError]:
        """How many rows a query has; the other arguments as for `fetch_all`."""
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        return self._scalar(query, "count", parameters, options)

    def exists(
        self,
        query: Query[Any] | CachedQuery[Any],
        /,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
        **parameters: object,
    ) -> Result[bool, RepositoryError]:
        """Whether a query has any row; the other arguments as for `fetch_all`."""
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        return self._scalar(query, "exists", parameters, options)

    def execute(
        self, statement: Write | RawSql, /, **parameters: object
    ) -> Result[int, RepositoryError]:
        """Perform a write, or run SQL made by `tl.sql`; how many rows it changed.

        No cache hears of what SQL changed.

        Args:
            statement: From `tl.insert`, `tl.upsert`, `tl.update`, `tl.delete` or `tl.sql`.
            **parameters: A value for each `tl.param` in it.

        Errors: `ValidationError`, `DuplicateError`, `ConstraintError`.

        Raises:
            TypeError: It answers with rows; a parameter is missing, unknown or of another type.
        """
        if isinstance(statement, Write):
            return perform_write(self, statement, "execute", parameters)
        if not isinstance(cast("object", statement), RawSql):
            hint = "write tl.sql(…); " if isinstance(statement, str) else ""
            raise TypeError(
                f"execute takes tl.insert, upsert, update, delete or SQL made by tl.sql; {hint}"
                "what answers with rows goes to fetch_all, fetch_one or fetch_maybe"
            )
        run = runnable(statement, "execute")
        if isinstance(run, Failure):
            return run
        return self.database.execute(run.statement, run.bind(parameters))

    def fetch_batch(self, batch: Batch[T], /, **parameters: object) -> Result[T, RepositoryError]:
        """Every row of several queries, in one round trip once each has been prepared.

        The batch is one transaction: all queries succeed, or the first error is the answer, it
        says which query it is about, and nothing that they wrote is kept.

        Args:
            batch: From `tl.batch`.
            **parameters: A value for each `tl.param`; those of one name get the same.

        Raises:
            TypeError: A parameter is missing, unknown or of another type.
        """
        runs = [runnable(query, "fetch_batch") for query in batch.queries]
        compiled: list[Compiled] = []
        used: set[str] = set()
        for run in runs:
            if isinstance(run, Failure):
                return run
            given = {name: parameters[name] for name in run.names if name in parameters}
            used |= given.keys()
            compiled.append(Compiled(run.statement, run.bind(given)))
        if unknown := parameters.keys() - used:
            raise TypeError(f"no query of the batch has a parameter {', '.join(sorted(unknown))}")
        result = self.database.fetch_batch(compiled)
        if isinstance(result, Failure):
            return result
        return Success(cast("T", tuple(result.unwrap())))

    def stream(
        self, query: Fetchable[T], /, *, size: int = 1000, **parameters: object
    ) -> Stream[T]:
        """The rows of a query in batches, each a Result, so that memory holds one batch.

        It is one transaction; `timeout_s` is the limit of each batch. Closed early, the query is
        ended. A `Failure` is the last batch.

        Args:
            query: From `tl.select`, `tl.project` or `tl.sql`.
            size: The most rows of a batch.
            **parameters: A value for each `tl.param` in it.

        Raises:
            TypeError: A parameter is missing, unknown or of another type.
            ValueError: `size` is not positive.

        Example:
            ``with store.stream(query) as batches: ...``
        """
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        run = runnable(query, "stream")
        if isinstance(run, Failure):
            return Stream(iter([run]))
        return Stream(self.database.stream(run.statement, run.bind(parameters), size))

    def explain(
        self,
        query: Fetchable[Any] | PageQuery[Any] | RawSql,
        /,
        *,
        analyze: bool = False,
        **parameters: object,
    ) -> Result[Plan, RepositoryError]:
        """How PostgreSQL runs a query.

        Args:
            query: From `tl.select`, `tl.project`, `tl.page` or `tl.sql`.
            analyze: Run it to see how long each step takes; what it writes is undone.
            **parameters: A value for each `tl.param` in it.

        Raises:
            TypeError: A parameter is missing, unknown or of another type.
        """
        compiled = explainable(query, self._cursor_secret, parameters)
        if isinstance(compiled, Failure):
            return compiled
        result = self.database.explain(*compile_explain(compiled, analyze=analyze))
        return result if isinstance(result, Failure) else Success(result.unwrap()[0][0])

    def loader(self, table: Table[T, K]) -> Loader[T, K]:
        """Gathers reads by key and makes them one statement; see `Loader`."""
        return Loader(self.database, self.caches, table)

    def _rows(
        self,
        query: Readable[T],
        operation: str,
        parameters: dict[str, object],
        options: ReadOptions,
    ) -> Result[list[T], RepositoryError]:
        if isinstance(query, Returning):
            return perform_returning(self, query, operation, parameters)
        if isinstance(query, CachedQuery):
            cached: CachedQuery[Any] = cast("Any", query)
            queries = self.caches.queries
            if queries is not None:
                # What keeps results reads them of a store's own database.
                database = cast("CurrentPort", self.database)
                return cached_rows(
                    queries, database, cached, operation, parameters, options=options
                )
            query = cached.query
        elif options.ttl_s is not None or options.stale_ok_s > 0:
            raise TypeError(
                f"{operation}: ttl_s= and stale_ok_s= are of tl.cached_query; this query is "
                "asked each time"
            )
        if isinstance(query, Query) and isinstance(query.table, Sheet):
            return self._sheets(operation).rows(query, operation, parameters, fresh=options.fresh)
        run = runnable(query, operation)
        if isinstance(run, Failure):
            return run
        return self.database.fetch(run.statement, run.bind(parameters))

    def _sheets(self, operation: str) -> SheetStore:
        if self.sheets is None:
            raise TypeError(
                f"{operation} of a sheet: open the store with sheets=tl.open_sheets(…); "
                "transactions read no sheets"
            )
        return self.sheets

    def _at_most_one(
        self,
        query: Readable[T],
        operation: str,
        parameters: dict[str, object],
        options: ReadOptions,
    ) -> Result[list[T], RepositoryError]:
        result: Result[list[T], RepositoryError] = self._rows(query, operation, parameters, options)
        if isinstance(result, Success) and len(result.unwrap()) > 1:
            return Failure(
                QueryError(
                    "the write is done and has more than one row; use fetch_all for such a one"
                    if isinstance(query, Returning)
                    else "more than one row fits the query; use fetch_all, or limit=1 for any of "
                    "them",
                    operation=operation,
                    table=_table_name(query),
                )
            )
        return result

    def _scalar(
        self,
        query: Query[Any] | CachedQuery[Any],
        operation: str,
        parameters: dict[str, object],
        options: ReadOptions,
    ) -> Result[Any, RepositoryError]:
        if isinstance(query, CachedQuery) and isinstance(query.query, RawSql):
            raise TypeError(f"{operation} takes no SQL; write the SQL that {operation}s")
        result: Result[list[Any], RepositoryError] = self._rows(
            query, operation, parameters, options
        )
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])


def _table_name(query: object) -> str | None:
    inner: object = cast("Any", query).query if isinstance(query, CachedQuery) else query
    return inner.table.name if isinstance(inner, (Query, Returning)) else None
