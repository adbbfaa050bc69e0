"""Opening stores of spreadsheets: `tl.open_sheets` and `tl.connect_sheets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, overload

import gspread

from tierline.cache.strategy import ReadThrough
from tierline.errors import ConfigurationError, RepositoryError
from tierline.result import Failure, Result, Success, unwrap
from tierline.sheets.http import SheetsCredentials, SheetsHttp, session_of
from tierline.sheets.limiter import Limiter, LocalLimiter, SheetsQuota
from tierline.store.sheet_store import SheetStore
from tierline.store.writable_sheets import WritableSheetStore

if TYPE_CHECKING:
    from requests import Session

    from tierline.sheets.shared_cells import SharedCells


@overload
def connect_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: Literal[False] = False,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> Result[SheetStore, RepositoryError]: ...
@overload
def connect_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: Literal[True],
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> Result[WritableSheetStore, RepositoryError]: ...
def connect_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: bool = False,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> Result[Any, RepositoryError]:
    """Open a store of spreadsheets; the same as `tl.open_sheets`, as a Result.

    Nothing is asked until something is read. Its credentials ask for reading only,
    unless it writes.

    Args:
        credentials: A service account's key file or the key itself, google-auth's credentials, or
            a gspread client.
        write: Open it for writing too: only then it has repositories and transactions.
        cache: `tl.read_through(ttl_s=…)` keeps worksheets in memory. Old ones are read anew only
            if Drive says that the spreadsheet has changed; `stale_while_revalidate_s` and
            `stale_if_error_s` say how long an old one may be the answer meanwhile.
        quota: `tl.SheetsQuota(…)`: requests a minute that Google allows; its usual ones if None.
        redis: A URL of the Redis where processes share the quota, and with `cache` the cells: one
            of them reads a worksheet that has changed. None shares the quota by
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
        session = session_of(credentials, read_only=not write)
        limiter = _limiter(quota or SheetsQuota(), redis, prefix, session)
    except RepositoryError as error:
        return Failure(error)
    is_given = isinstance(credentials, gspread.Client)
    http = SheetsHttp(
        session, limiter, timeout_s=timeout_s, read_only=not write, owns_session=not is_given
    )
    kind = WritableSheetStore if write else SheetStore
    return Success(kind(http, cache, _shared(redis, prefix) if cache is not None else None))


@overload
def open_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: Literal[False] = False,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> SheetStore: ...
@overload
def open_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: Literal[True],
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> WritableSheetStore: ...
def open_sheets(
    credentials: SheetsCredentials,
    /,
    *,
    write: bool = False,
    cache: ReadThrough | None = None,
    quota: SheetsQuota | None = None,
    redis: str | None = None,
    prefix: str = "tierline",
    timeout_s: float = 120.0,
) -> Any:
    """Open a store of spreadsheets; raises what `tl.connect_sheets` answers as a Failure.

    Example:
        ``with tl.open_sheets("service_account.json") as sheets: ...``
    """
    connect: Any = connect_sheets
    return unwrap(
        connect(
            credentials,
            write=write,
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


def _shared(redis: str | None, prefix: str) -> SharedCells | None:
    if redis is None:
        return None
    from tierline.sheets.shared_cells import SharedCells  # noqa: PLC0415

    return SharedCells(redis, prefix)
