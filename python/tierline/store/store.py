"""The store: L1, L2 and L3 wired together behind the verbs of queries."""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec
from returns.result import Failure, Success

from tierline.cache.redis import RedisTier
from tierline.cache.tables import Caches
from tierline.entity import Table
from tierline.errors import DuplicateError, NotFoundError, QueryError, RepositoryError
from tierline.postgres import Database, EmbeddedServer
from tierline.query import Query, Returning, Write
from tierline.query.paging import Page, PageQuery
from tierline.repository.writes import perform_returning, perform_write
from tierline.result import Result
from tierline.sql import (
    Statement,
    compile_count,
    compile_exists,
    compile_page,
    compile_query,
    create_schema_sql,
    create_table_sql,
    drop_table_sql,
)
from tierline.store.stats import Stats, TierStats

T = TypeVar("T")


class Store:
    """An open handle on all tiers; make it with `tl.open` or `tl.connect`.

    A store is safe to share between threads. As a context manager it closes
    everything it started. Its verbs are bound functions, so they compose:
    ``tl.flow(query, store.fetch_all, tl.then(summarise))``.

    Attributes:
        database: L3.
        caches: L1 and L2.
    """

    def __init__(
        self,
        database: Database,
        caches: Caches,
        server: EmbeddedServer | None = None,
        *,
        cursor_secret: bytes | None = None,
    ) -> None:
        self.database = database
        self.caches = caches
        self._server = server
        self._cursor_secret = cursor_secret or secrets.token_bytes(32)
        self._closed = False

    def fetch_all(self, query: Query[T] | Returning[T]) -> Result[list[T], RepositoryError]:
        """Every row of a query, or of a write with `returning`."""
        if isinstance(query, Returning):
            return perform_returning(self, query, "fetch_all")
        compiled = _compiled(query, "fetch_all")
        if isinstance(compiled, Failure):
            return compiled
        return self.database.fetch(*compiled.unwrap())

    def fetch_one(self, query: Query[T] | Returning[T]) -> Result[T, RepositoryError]:
        """The only row of a query, or of a write with `returning`.

        Errors: `NotFoundError` if there is none, `QueryError` if there are more.
        """
        found = self._at_most_one(query, "fetch_one")
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        if rows:
            return Success(rows[0])
        return Failure(
            NotFoundError("no row fits the query", operation="fetch_one", table=query.table.name)
        )

    def fetch_maybe(self, query: Query[T] | Returning[T]) -> Result[T | None, RepositoryError]:
        """The only row of a query, or of a write with `returning`; or None.

        Errors: `QueryError` if there are more.
        """
        found = self._at_most_one(query, "fetch_maybe")
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        return Success(rows[0] if rows else None)

    def execute(self, write: Write) -> Result[int, RepositoryError]:
        """Perform a write; answers with how many rows it changed.

        Errors: `ValidationError`, `DuplicateError`, `ConstraintError`.

        Raises:
            TypeError: It is no write, or one with `returning`.
        """
        if not isinstance(cast("object", write), Write):
            raise TypeError(
                "execute takes tl.insert, upsert, update or delete; what answers with rows goes to "
                "fetch_all, fetch_one or fetch_maybe"
            )
        return perform_write(self, write)

    def fetch_page(self, page: PageQuery[T]) -> Result[Page[T], RepositoryError]:
        """A page of a query's rows, from `tl.page`.

        Errors: `ValidationError` for a cursor that is not one of this query and store.
        """
        try:
            compiled, bookmarks = compile_page(page, self._cursor_secret)
        except RepositoryError as error:
            return Failure(_about(error, "fetch_page", page.query.table))
        result = self.database.fetch(*compiled)
        if isinstance(result, Failure):
            return result
        return Success(bookmarks.page(page, result.unwrap()))

    def count(self, query: Query[Any]) -> Result[int, RepositoryError]:
        """How many rows a query has."""
        return self._scalar(query, "count")

    def exists(self, query: Query[Any]) -> Result[bool, RepositoryError]:
        """Whether a query has any row."""
        return self._scalar(query, "exists")

    def create_schema(self, name: str, *, exist_ok: bool = False) -> Result[None, RepositoryError]:
        """Create a schema, for tables declared with `schema=`.

        Errors: `ConfigurationError` for a name that cannot be an identifier, `QueryError` if the
        schema exists.
        """
        try:
            sql = create_schema_sql(name, exist_ok=exist_ok)
        except RepositoryError as error:
            error.operation = "create_schema"
            return Failure(error)
        return self._define(Statement("create_schema", sql, (), None, writes=True))

    def create_table(
        self, table: Table[Any, Any], *, exist_ok: bool = False
    ) -> Result[None, RepositoryError]:
        """Create a table with its constraints and indexes, all or nothing.

        Args:
            table: From `tl.table`; tables it refers to must exist.
            exist_ok: Leave an existing table of that name as it is.

        Errors: `ConfigurationError` for a name that cannot be an identifier, `QueryError` if the
        table exists.
        """
        try:
            sql = create_table_sql(table, exist_ok=exist_ok)
        except RepositoryError as error:
            return Failure(_about(error, "create_table", table))
        return self._define(Statement("create_table", sql, (), table, writes=True))

    def drop_table(
        self, table: Table[Any, Any], *, missing_ok: bool = False
    ) -> Result[None, RepositoryError]:
        """Drop a table with its rows; every tier forgets them.

        Errors: `QueryError` if it does not exist, or other tables refer to it.
        """
        try:
            sql = drop_table_sql(table, missing_ok=missing_ok)
        except RepositoryError as error:
            return Failure(_about(error, "drop_table", table))
        result = self.database.script(Statement("drop_table", sql, (), table, writes=True))
        self.caches.invalidate_table(table)
        return result

    def stats(self) -> Stats:
        """Hits, misses, loads and evictions of each tier since the store was opened."""
        tiers = [_l1_stats(cache.table.name, cache.l1.stats()) for cache in self.caches.all()]
        if self.caches.l2 is not None:
            tiers.append(_l2_stats(self.caches.l2))
        reads = self.database.reads()
        tiers.append(
            TierStats(
                "L3", hits=reads.found, misses=reads.empty, loads=reads.found, errors=reads.errors
            )
        )
        return Stats(tuple(tiers))

    def close(self) -> None:
        """Close the connections, and stop the embedded server unless others use it; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self.database.close()
            if self.caches.l2 is not None:
                self.caches.l2.close()
        finally:
            if self._server is not None:
                self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        tiers = ["L1 memory"]
        if self.caches.l2 is not None:
            tiers.append(f"L2 {self.caches.l2.location}")
        major = self.database.server_version // 10_000
        place = f"embedded in {self._server.data_dir}" if self._server else self.database.location
        tiers.append(f"L3 PostgreSQL {major} {place}")
        closed = ", closed" if self._closed else ""
        return f"<Store {' | '.join(tiers)}{closed}>"

    def _define(self, statement: Statement) -> Result[None, RepositoryError]:
        result = self.database.script(statement)
        if isinstance(result, Failure) and isinstance(result.failure(), DuplicateError):
            # Another session took the name between PostgreSQL's look and its write, IF NOT EXISTS
            # or not. It has committed by now, so the next look sees it.
            return self.database.script(statement)
        return result

    def _at_most_one(
        self, query: Query[T] | Returning[T], operation: str
    ) -> Result[list[T], RepositoryError]:
        result: Result[list[T], RepositoryError]
        if isinstance(query, Returning):
            result = perform_returning(self, query, operation)
        else:
            compiled = _compiled(query, operation)
            if isinstance(compiled, Failure):
                return compiled
            result = self.database.fetch(*compiled.unwrap())
        if isinstance(result, Success) and len(result.unwrap()) > 1:
            return Failure(
                QueryError(
                    "the write is done and has more than one row; use fetch_all for such a one"
                    if isinstance(query, Returning)
                    else "more than one row fits the query; use fetch_all, or limit=1 for any of "
                    "them",
                    operation=operation,
                    table=query.table.name,
                )
            )
        return result

    def _scalar(self, query: Query[Any], operation: str) -> Result[Any, RepositoryError]:
        compiled = _compiled(query, operation)
        if isinstance(compiled, Failure):
            return compiled
        result = self.database.fetch(*compiled.unwrap())
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])


_Compiled = tuple[Statement, tuple[Any, ...]]


def _compiled(query: Query[Any], operation: str) -> Result[_Compiled, RepositoryError]:
    """The query's statement for an operation, compiled once a query."""
    # A query is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query)
    result = memo.get(operation)
    if result is None:
        try:
            result = Success(_compile(query, operation))
        except RepositoryError as error:
            return Failure(_about(error, operation, query.table))
        memo[operation] = result
    found: Success[_Compiled] = result
    return found


def _compile(query: Query[Any], operation: str) -> _Compiled:
    match operation:
        case "count":
            return compile_count(query)
        case "exists":
            return compile_exists(query)
        case "fetch_all":
            return compile_query(query, operation)
        case _:
            # Two rows are enough to know that there is more than one.
            limit = 2 if query.limit is None else min(query.limit, 2)
            return compile_query(msgspec.structs.replace(query, limit=limit), operation)


def _about(error: RepositoryError, operation: str, table: Table[Any, Any]) -> RepositoryError:
    error.operation = operation
    error.table = table.name
    return error


def _l1_stats(table: str, stats: Any) -> TierStats:
    return TierStats(
        f"L1 {table}",
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.fills,
        evictions=stats.evictions + stats.expirations,
        invalidations=stats.invalidations,
        entries=stats.entries,
    )


def _l2_stats(l2: RedisTier) -> TierStats:
    stats = l2.stats()
    return TierStats(
        "L2",
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.fills,
        invalidations=stats.invalidations,
        errors=stats.errors,
    )
