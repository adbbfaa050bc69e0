"""The store of spreadsheets: `tl.open_sheets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import gspread
import msgspec

from tierline.cache.strategy import ReadThrough
from tierline.closing import Closing
from tierline.entity import Sheet
from tierline.errors import (
    CellProblem,
    ConfigurationError,
    NotFoundError,
    QueryError,
    RepositoryError,
    SheetLayoutError,
)
from tierline.query import Query
from tierline.query.query import query_given
from tierline.result import Failure, Result, Success, unwrap
from tierline.sheets.http import SheetsCredentials, SheetsHttp, session_of
from tierline.sheets.limiter import Limiter, LocalLimiter, SheetsQuota
from tierline.sheets.sheets import Sheets
from tierline.store.sheet_reads import rows_of_sheets, sheets_of
from tierline.store.sheet_views import SheetView, SheetViews

if TYPE_CHECKING:
    from requests import Session

T = TypeVar("T")


class SheetsStats(msgspec.Struct, frozen=True):
    """What Google was asked since the store was opened.

    Attributes:
        requests: Requests sent, repeated ones too.
        retried: Of them, those that were sent again.
        throttled: Times that Google said the quota ran out.
        waited_s: Seconds spent waiting for the quota.
    """

    requests: int
    retried: int
    throttled: int
    waited_s: float


class SheetStore(Closing):
    """An open handle on spreadsheets; make it with `tl.open_sheets`. Threads may share it."""

    def __init__(self, http: SheetsHttp, cache: ReadThrough | None) -> None:
        self._http = http
        self._cache = cache
        self.sheets = Sheets(http)
        self.views = SheetViews(self.sheets, cache)

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

    def view(
        self, sheet: Sheet[T, Any], /, *, fresh: bool = False
    ) -> Result[SheetView[T], RepositoryError]:
        """All rows that fit, with their row numbers, what does not fit, and how old it all is.

        Args:
            sheet: From `tl.sheet`.
            fresh: Read anew, whatever is kept.

        Errors: as `fetch_all`, but for cells that do not fit: they are in `problems`.
        """
        kept = self.views.get(_sheet_given(sheet, "view"), fresh=fresh)
        if isinstance(kept, Failure):
            kept.failure().operation = "view"
            return kept
        return Success(kept.unwrap().view())

    def check(self, sheet: Sheet[Any, Any], /) -> Result[tuple[CellProblem, ...], RepositoryError]:
        """What in a worksheet does not fit its table: headers and cells; nothing if all does.

        Args:
            sheet: From `tl.sheet`.

        Errors: as `fetch_all`, but for headers and cells that do not fit: they are the answer.
        """
        found = self.view(sheet, fresh=True)
        if isinstance(found, Success):
            return Success(found.unwrap().problems)
        error = found.failure()
        if isinstance(error, SheetLayoutError):
            return Success(error.problems)
        return Failure(error)

    def stats(self) -> SheetsStats:
        """What Google was asked since the store was opened."""
        http = self._http
        return SheetsStats(http.requests, http.retried, http.throttled, http.waited_s)

    def close(self) -> None:
        """Close the connections to Google; idempotent."""
        self._http.close()

    def __repr__(self) -> str:
        cached = f", {self._cache!r}" if self._cache else ""
        return f"<SheetStore {self._http.requests} requests{cached}>"

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
        return rows_of_sheets(self.views, query, sheets, operation, parameters, fresh=fresh)

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


def _sheet_given(given: Sheet[T, Any], operation: str) -> Sheet[T, Any]:
    if not isinstance(cast("object", given), Sheet):
        raise TypeError(f"{operation} takes a sheet made by tl.sheet, not {type(given).__name__}")
    return given


def connect_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> Result[SheetStore, RepositoryError]:
    """Open a store of spreadsheets; the same as `tl.open_sheets`, as a Result.

    Nothing is asked until something is read. Its credentials ask for reading only.

    Args:
        credentials: A service account's key file or the key itself, google-auth's credentials, or
            a gspread client.
        cache: `tl.read_through(ttl_s=…)` keeps worksheets in memory. Old ones are read anew only
            if Drive says that the spreadsheet has changed; `stale_while_revalidate_s` and
            `stale_if_error_s` say how long an old one may be the answer meanwhile.
        quota: `tl.SheetsQuota(…)`: requests a minute that Google allows; its usual ones if None.
        redis: A URL of the Redis where processes share the quota; None shares it by
            `SheetsQuota.processes`.
        prefix: Begins every key in Redis.
        timeout_s: Seconds that a call may take, with waiting for the quota, where no `tl.deadline`
            says otherwise.

    Errors: `ConfigurationError` for a key that cannot be read.

    Raises:
        TypeError: The credentials or the strategy are none.
    """
    if cache is not None and not isinstance(cast("object", cache), ReadThrough):
        raise TypeError(f"cache takes tl.read_through(ttl_s=…), not {cache!r:.80}")
    try:
        if not timeout_s > 0:
            raise ConfigurationError(
                f"timeout_s must be positive, not {timeout_s}", operation="open_sheets"
            )
        session = session_of(credentials, read_only=True)
        limiter = _limiter(quota or SheetsQuota(), redis, prefix, session)
    except RepositoryError as error:
        return Failure(error)
    is_given = isinstance(credentials, gspread.Client)
    http = SheetsHttp(
        session, limiter, timeout_s=timeout_s, read_only=True, owns_session=not is_given
    )
    return Success(SheetStore(http, cache))


def open_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> SheetStore:
    """Open a store of spreadsheets; raises what `tl.connect_sheets` answers as a Failure.

    Example:
        ``with tl.open_sheets("service_account.json") as sheets: ...``
    """
    return unwrap(
        connect_sheets(
            credentials,
            cache=cache,
            quota=quota,
            redis=redis,
            prefix=prefix,
            timeout_s=timeout_s,
        )
    )


def _limiter(quota: SheetsQuota, redis: str | None, prefix: str, session: Session) -> Limiter:
    local = LocalLimiter(quota)
    if redis is None:
        return local
    from tierline.sheets.shared_limiter import SharedLimiter  # noqa: PLC0415

    credentials: Any = getattr(session, "credentials", None)
    user = getattr(credentials, "service_account_email", None) or "default"
    project = getattr(credentials, "project_id", None) or "default"
    return SharedLimiter(redis, quota, local, prefix=prefix, project=project, user=user)
