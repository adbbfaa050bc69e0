"""The verbs of queries on sheets, which a store of spreadsheets and a transaction of one share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from tierline.entity import Sheet
from tierline.errors import NotFoundError, QueryError, RepositoryError
from tierline.query import Query
from tierline.query.query import query_given
from tierline.result import Failure, Result, Success
from tierline.store.sheet_reads import rows_of_sheets, sheets_of

T = TypeVar("T")


class SheetVerbs(ABC):
    """Answers queries on sheets."""

    @abstractmethod
    def read_rows(
        self, sheets: Sequence[Sheet[Any, Any]], *, fresh: bool
    ) -> Result[list[list[Any]], RepositoryError]:
        """The rows of several worksheets."""

    def fetch_all(
        self, query: Query[T], /, *, fresh: bool = False, **parameters: object
    ) -> Result[list[T], RepositoryError]:
        """Every row of a query on sheets.

        The worksheets are read in one request, and the query is evaluated on their rows.

        Args:
            query: From `tl.select`, `tl.project`, `tl.join` and the like, on `tl.sheet`s.
            fresh: Read anew, whatever is kept.
            **parameters: A value for each `tl.param` in it.

        Errors: `SheetLayoutError` with every cell that does not fit; `NotFoundError`,
        `AccessDeniedError`, `RateLimitedError`, `ConnectionError`, `TimeoutError`.

        Raises:
            TypeError: It reads tables of a database, cannot be evaluated in memory, or a parameter
                is wrong.
        """
        return self.rows(query, "fetch_all", parameters, fresh=fresh)

    def fetch_one(
        self, query: Query[T], /, *, fresh: bool = False, **parameters: object
    ) -> Result[T, RepositoryError]:
        """The only row of a query; arguments as for `fetch_all`.

        Errors: `NotFoundError` if there is none, `QueryError` if there are more.
        """
        found = self._at_most_one(query, "fetch_one", parameters, fresh=fresh)
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        if rows:
            return Success(rows[0])
        return Failure(
            NotFoundError("no row fits the query", operation="fetch_one", table=query.table.name)
        )

    def fetch_maybe(
        self, query: Query[T], /, *, fresh: bool = False, **parameters: object
    ) -> Result[T | None, RepositoryError]:
        """The only row of a query, or None; arguments as for `fetch_all`.

        Errors: `QueryError` if there are more.
        """
        found = self._at_most_one(query, "fetch_maybe", parameters, fresh=fresh)
        if isinstance(found, Failure):
            return found
        rows = found.unwrap()
        return Success(rows[0] if rows else None)

    def count(
        self, query: Query[Any], /, *, fresh: bool = False, **parameters: object
    ) -> Result[int, RepositoryError]:
        """How many rows a query has; arguments as for `fetch_all`."""
        found = self.rows(query, "count", parameters, fresh=fresh)
        return found if isinstance(found, Failure) else Success(found.unwrap()[0])

    def exists(
        self, query: Query[Any], /, *, fresh: bool = False, **parameters: object
    ) -> Result[bool, RepositoryError]:
        """Whether a query has any row; arguments as for `fetch_all`."""
        found = self.rows(query, "exists", parameters, fresh=fresh)
        return found if isinstance(found, Failure) else Success(found.unwrap()[0])

    def rows(
        self,
        query: Query[Any],
        operation: str,
        parameters: dict[str, object],
        *,
        fresh: bool,
    ) -> Result[list[Any], RepositoryError]:
        """The rows of an operation of a query; of `count` and `exists` the one answer."""
        query_given(operation, query)
        sheets = sheets_of(query)
        if not sheets:
            raise TypeError(
                f"{operation}: {query.table.name} is a table of a database, and these are sheets; "
                "describe it with tl.sheet, or use a store of tl.open"
            )
        return rows_of_sheets(self.read_rows, query, sheets, operation, parameters, fresh=fresh)

    def _at_most_one(
        self, query: Query[Any], operation: str, parameters: dict[str, object], *, fresh: bool
    ) -> Result[list[Any], RepositoryError]:
        found = self.rows(query, operation, parameters, fresh=fresh)
        if isinstance(found, Success) and len(found.unwrap()) > 1:
            return Failure(
                QueryError(
                    "more than one row fits the query; use fetch_all, or limit=1 for any of them",
                    operation=operation,
                    table=query.table.name,
                )
            )
        return found
