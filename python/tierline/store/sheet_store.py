"""The store of spreadsheets: `tl.open_sheets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from tierline.cache.strategy import ReadThrough
from tierline.closing import Closing
from tierline.entity import Sheet
from tierline.errors import (
    CellProblem,
    RepositoryError,
    SheetLayoutError,
)
from tierline.result import Failure, Result, Success
from tierline.sheets.http import SheetsHttp
from tierline.sheets.sheets import Sheets
from tierline.store.sheet_verbs import SheetVerbs
from tierline.store.sheet_views import SheetView, SheetViews
from tierline.store.sheet_watches import Watchable, Watches

if TYPE_CHECKING:
    from tierline.sheets.shared_cells import SharedCells

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


class SheetStore(SheetVerbs, Watchable, Closing):
    """An open handle on spreadsheets; make it with `tl.open_sheets`. Threads may share it."""

    def __init__(
        self, http: SheetsHttp, cache: ReadThrough | None, shared: SharedCells | None = None
    ) -> None:
        self._http = http
        self._cache = cache
        self._sheets = Sheets(http, shared=shared)
        self.views = SheetViews(self._sheets, cache)
        self.watches = Watches(http, changed=self.views.forget)

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
        """Close the connections to Google, and what watches; idempotent."""
        self.watches.close()
        if self._sheets.shared is not None:
            self._sheets.shared.close()
        self._http.close()

    @property
    def reader(self) -> Sheets:
        """What asks Google, without any cache; for syncs."""
        return self._sheets

    def __repr__(self) -> str:
        cached = f", {self._cache!r}" if self._cache else ""
        return f"<SheetStore {self._http.requests} requests{cached}>"

    def read_rows(
        self, sheets: Sequence[Sheet[Any, Any]], *, fresh: bool
    ) -> Result[list[list[Any]], RepositoryError]:
        """The rows of several worksheets."""
        read = self.views.get_all(sheets, fresh=fresh)
        return (
            read if isinstance(read, Failure) else Success([found.rows for found in read.unwrap()])
        )


def _sheet_given(given: Sheet[T, Any], operation: str) -> Sheet[T, Any]:
    if not isinstance(cast("object", given), Sheet):
        raise TypeError(f"{operation} takes a sheet made by tl.sheet, not {type(given).__name__}")
    return given
