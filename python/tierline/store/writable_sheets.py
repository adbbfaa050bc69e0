"""The store of spreadsheets that writes them, too: `tl.open_sheets(…, write=True)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tierline.cache.strategy import ReadThrough
from tierline.entity import Sheet
from tierline.errors import RepositoryError
from tierline.repository.events import Subscriptions
from tierline.repository.sheet import SheetRows
from tierline.result import Failure, Result, Success
from tierline.sheets.http import SheetsHttp
from tierline.sheets.snapshot import Snapshot, strictly
from tierline.sheets.writing import tidy
from tierline.store.sheet_store import SheetStore
from tierline.store.sheet_transaction import SheetTransaction, run_sheet_transaction
from tierline.store.sheet_writes import SheetWrites

if TYPE_CHECKING:
    from tierline.sheets.shared_cells import SharedCells

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")
E = TypeVar("E", bound=Exception)


class WritableSheetStore(SheetStore):
    """An open handle on spreadsheets that may be written. Threads may share it.

    `tl.repository(sheets, SHEET)` is the repository of a worksheet, with every verb that one of a
    table has.
    """

    def __init__(
        self, http: SheetsHttp, cache: ReadThrough | None, shared: SharedCells | None = None
    ) -> None:
        super().__init__(http, cache, shared)
        self.writes = SheetWrites(self._sheets, Subscriptions(""), self.views.forget)
        self._rows: dict[Sheet[Any, Any], tuple[Snapshot[Any], SheetRows[Any, Any]]] = {}

    @property
    def sheet_subscriptions(self) -> Subscriptions:
        """Who hears of changes."""
        return self.writes.subscriptions

    def sheet_rows(
        self, sheet: Sheet[T, K], *, fresh: bool
    ) -> Result[SheetRows[T, K], RepositoryError]:
        """The rows, as fresh as the cache's strategy says; for repositories."""
        kept = self.views.get(sheet, fresh=fresh)
        if isinstance(kept, Failure):
            return kept
        found = kept.unwrap().snapshot
        known = self._rows.get(sheet)
        if known is not None and known[0] is found:
            return Success(known[1])
        try:
            strictly(sheet, found)
        except RepositoryError as error:
            return Failure(error)
        rows = SheetRows(sheet, found.rows, self.sheet_subscriptions)
        self._rows[sheet] = (found, rows)
        return Success(rows)

    def sheet_edit(
        self,
        sheet: Sheet[T, K],
        action: Callable[[SheetRows[T, K]], Result[A, RepositoryError]],
    ) -> Result[A, RepositoryError]:
        """Run a verb on the rows as they are now, and write what it changed; for repositories."""
        return self.writes.edit(sheet, action)

    def transaction(
        self, function: Callable[[SheetTransaction], Success[T] | Failure[E]], /
    ) -> Success[T] | Failure[E | RepositoryError]:
        """Run a function whose writes are one batch: a Success sends it, a Failure does not.

        Each worksheet is read once, and one of them may be written; what people change meanwhile
        stays, cell by cell, except where the function wrote. If another write of this store came
        first, the function runs again.

        Args:
            function: Given a `tl.SheetTransaction`; answers with a Result, which is the answer.

        Errors: those of the function; `SheetLayoutError` for cells that do not fit;
        `OutcomeUnknownError` if it is not known whether the batch arrived; `ConflictError` if
        people have deleted a row that it changed (what else it wrote is written), or if other
        writes came first each time; what asking Google comes to.

        Raises:
            TypeError: It writes two worksheets, or answers with something else than a Result.

        Example:
            ``sheets.transaction(lambda tx: tl.repository(tx, BIRDS).create_many(new))``
        """
        return run_sheet_transaction(self.writes, function)

    def close(self) -> None:
        """Delete what writes have left hidden, and close the connections; idempotent."""
        tidy(self._sheets)
        super().close()
