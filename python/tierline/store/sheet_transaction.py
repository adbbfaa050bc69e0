"""A transaction on a worksheet: verbs on its rows in memory, and one batch in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar, cast

from tierline.entity import Sheet
from tierline.errors import (
    ConflictError,
    RepositoryError,
    TimeoutError,  # noqa: A004 (the field's word)
)
from tierline.repository.events import Subscriptions
from tierline.repository.rows import Identity
from tierline.repository.sheet import SheetRows
from tierline.result import Failure, Result, Success
from tierline.store.sheet_verbs import SheetVerbs
from tierline.store.sheet_writes import Base, SheetWrites

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")
E = TypeVar("E", bound=Exception)

_TRIES = 10


class SheetTransaction(SheetVerbs):
    """The handle of one transaction, which `sheets.transaction` gives to its function.

    `tl.repository(tx, SHEET)` is a repository inside it, and queries see what it wrote. Each
    worksheet is read once; one of them may be written, since only a batch of one is atomic.
    """

    def __init__(self, writes: SheetWrites, stack: ExitStack) -> None:
        self._writes = writes
        self._stack = stack
        self._bases: dict[Sheet[Any, Any], tuple[Base, int]] = {}
        self._written: Base | None = None
        self._keys: dict[Identity, None] = {}
        self._is_over = False
        self.is_stale = False

    @property
    def sheet_subscriptions(self) -> Subscriptions:
        """Who hears of changes."""
        return self._writes.subscriptions

    def sheet_rows(
        self, sheet: Sheet[T, K], *, fresh: bool
    ) -> Result[SheetRows[T, K], RepositoryError]:
        """The rows, with what the transaction wrote; `fresh` makes no difference."""
        del fresh
        base = self._base(sheet)
        return base if isinstance(base, Failure) else Success(base.unwrap().rows)

    def sheet_edit(
        self,
        sheet: Sheet[T, K],
        action: Callable[[SheetRows[T, K]], Result[A, RepositoryError]],
    ) -> Result[A, RepositoryError]:
        """Run a verb on the rows; they are written when the transaction ends."""
        found = self._base(sheet)
        if isinstance(found, Failure):
            return found
        base = found.unwrap()
        if self._written is None:
            refusal = self._begin(base)
            if refusal is not None:
                return Failure(refusal)
        elif self._written is not base:
            raise TypeError(
                f"a transaction writes one worksheet, and this one writes "
                f"{self._written.sheet.name!r}; write {sheet.name!r} in another"
            )
        answer = action(base.rows)
        if isinstance(answer, Success):
            self._keys |= dict.fromkeys(base.rows.written())
        return answer

    def read_rows(
        self, sheets: Sequence[Sheet[Any, Any]], *, fresh: bool
    ) -> Result[list[list[Any]], RepositoryError]:
        """The rows of several worksheets, with what the transaction wrote."""
        del fresh
        rows: list[list[Any]] = []
        for sheet in sheets:
            base = self._base(sheet)
            if isinstance(base, Failure):
                return base
            rows.append(list(base.unwrap().rows.rows.by_key.values()))
        return Success(rows)

    def commit(self) -> Result[None, RepositoryError]:
        """Send what was written."""
        self._is_over = True
        if self._written is None:
            return Success(None)
        sent = self._writes.write(self._written, list(self._keys))
        if isinstance(sent, Failure):
            return sent
        for error in sent.unwrap().values():
            return Failure(error)
        return Success(None)

    def end(self) -> None:
        """It is of no use any more."""
        self._is_over = True

    def _base(self, sheet: Sheet[Any, Any]) -> Result[Base, RepositoryError]:
        if self._is_over:
            raise TypeError("the transaction is over; its handle is of use only in its function")
        known = self._bases.get(sheet)
        if known is not None:
            return Success(known[0])
        sent = self._writes.sent(sheet.spreadsheet)
        found = self._writes.read(sheet)
        if isinstance(found, Success):
            self._bases[sheet] = (found.unwrap(), sent)
        return found

    def _begin(self, base: Base) -> RepositoryError | None:
        """From here on nobody else of this store writes to the spreadsheet."""
        spreadsheet = base.sheet.spreadsheet
        if not self._stack.enter_context(self._writes.turn(spreadsheet)):
            return TimeoutError(
                "the time was over while another write to the spreadsheet was waited for",
                stage="deadline",
            )
        if self._writes.sent(spreadsheet) != self._bases[base.sheet][1]:
            self.is_stale = True
            return ConflictError("another write of this store came first; the function runs again")
        self._written = base
        return None

    def __repr__(self) -> str:
        written = "" if self._written is None else f", {len(self._keys)} rows written"
        return f"<SheetTransaction {len(self._bases)} worksheets{written}>"


def run_sheet_transaction(
    writes: SheetWrites, function: Callable[[SheetTransaction], Success[T] | Failure[E]]
) -> Success[T] | Failure[E | RepositoryError]:
    """Run a function, and send what it wrote if it succeeds.

    Raises:
        TypeError: The function answers with something else than a Result.
    """
    for _ in range(_TRIES):
        with ExitStack() as stack:
            tx = SheetTransaction(writes, stack)
            try:
                answer = function(tx)
                if not isinstance(cast("object", answer), (Success, Failure)):
                    raise TypeError(
                        f"the function of a transaction answered with {type(answer).__name__}; it "
                        "must return tl.Success(…) to write or tl.Failure(…) to write nothing"
                    )
                if tx.is_stale:
                    continue
                if isinstance(answer, Failure):
                    return answer
                sent = tx.commit()
            finally:
                tx.end()
            if isinstance(sent, Failure):
                sent.failure().operation = "transaction"
                return sent
            return answer
    beaten = ConflictError(
        "other writes of this store came first each time; try again", operation="transaction"
    )
    beaten.attempt = _TRIES
    return Failure(beaten)
