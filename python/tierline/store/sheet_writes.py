"""Writes to worksheets: verbs on the rows as they are now, and what they changed as one batch.

A spreadsheet has one write in flight. Who comes meanwhile waits, and then all go together: one
read, each verb in turn on its rows, and one batch with the cells that differ in the end.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tierline.deadline import remaining_s
from tierline.entity import Sheet
from tierline.errors import (
    AccessDeniedError,
    ConflictError,
    OutcomeUnknownError,
    QueryError,
    RepositoryError,
    SheetLayoutError,
    TimeoutError,  # noqa: A004 (the field's word)
    ValidationError,
)
from tierline.repository.events import Subscriptions
from tierline.repository.rows import Identity
from tierline.repository.sheet import SheetRows
from tierline.result import Failure, Result, Success
from tierline.sheets.edits import Edit, Updated, Values
from tierline.sheets.sheets import Sheets
from tierline.sheets.snapshot import Snapshot, layout_error, snapshot, strictly, worksheet_of
from tierline.sheets.targets import identity_reader
from tierline.sheets.writing import task_of, write

if TYPE_CHECKING:
    from collections.abc import Generator

A = TypeVar("A")


class Base:
    """A worksheet as it was read, with its rows to be changed.

    Args:
        sheet: The table.
        found: What was read.
        held: The row of each key whose row does not fit.
        subscriptions: Who hears of changes.
    """

    def __init__(
        self,
        sheet: Sheet[Any, Any],
        found: Snapshot[Any],
        held: dict[Identity, int],
        subscriptions: Subscriptions,
    ) -> None:
        self.sheet = sheet
        self.found = found
        self.held = held
        self.rows: SheetRows[Any, Any] = SheetRows(sheet, found.rows, subscriptions)
        self.before = dict(self.rows.rows.by_key)
        self._numbers = dict(zip(self.before, found.numbers, strict=True))

    def changed(self, keys: Sequence[Identity]) -> list[Identity]:
        """Those of some keys whose rows are no longer as they were read."""
        now = self.rows.rows.by_key
        return [key for key in keys if self.before.get(key) is not now.get(key)]

    def edit(self, keys: Sequence[Identity]) -> Edit:
        """What became of rows.

        Raises:
            SheetLayoutError: A new row has the key of one that does not fit.
        """
        values, now = self.sheet.validator.values, self.rows.rows.by_key
        created: list[Values] = []
        updated: list[Updated] = []
        deleted: list[int] = []
        for key in self.changed(keys):
            before, after = self.before.get(key), now.get(key)
            if after is None:
                deleted.append(self._numbers[key])
            elif before is not None:
                updated.append(Updated(self._numbers[key], values(before), values(after)))
            elif key in self.held:
                raise self._unfit(self.held[key])
            else:
                created.append(values(after))
        return Edit(created, updated, deleted)

    def _unfit(self, number: int) -> SheetLayoutError:
        problems = tuple(one for one in self.found.problems if one.row == number)
        return layout_error(self.sheet, problems or self.found.problems)


class _Call:
    """One verb that waits for its turn."""

    def __init__(
        self, sheet: Sheet[Any, Any], action: Callable[[SheetRows[Any, Any]], Any]
    ) -> None:
        self.sheet = sheet
        self.action = action
        self.is_taken = False
        self.answer: Result[Any, RepositoryError] | None = None
        self.raised: BaseException | None = None
        self.keys: list[Identity] = []

    def run(self, base: Base) -> None:
        """Run the verb on the rows."""
        try:
            self.answer = self.action(base.rows)
        except BaseException as error:  # noqa: BLE001 (raised again where it was called)
            self.raised = error
            return
        self.keys = base.rows.written() if isinstance(self.answer, Success) else []


class SheetWrites:
    """Writes worksheets of one store; safe to share between threads.

    Args:
        sheets: What asks Google.
        subscriptions: Who hears of changes.
        forget: Called with a worksheet that was written, or may have been.
    """

    def __init__(
        self,
        sheets: Sheets,
        subscriptions: Subscriptions,
        forget: Callable[[Sheet[Any, Any]], None],
    ) -> None:
        self.subscriptions = subscriptions
        self._sheets = sheets
        self._forget = forget
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._owners: dict[str, int] = {}
        self._waiting: dict[Sheet[Any, Any], list[_Call]] = {}
        self._sent: dict[str, int] = {}

    def edit(
        self,
        sheet: Sheet[Any, Any],
        action: Callable[[SheetRows[Any, Any]], Result[A, RepositoryError]],
    ) -> Result[A, RepositoryError]:
        """Run a verb on the rows as they are now, and write what it changed."""
        call = _Call(sheet, action)
        with self._lock:
            self._waiting.setdefault(sheet, []).append(call)
        try:
            self._in_turn(sheet, call)
        finally:
            self._leave(sheet, call)
        if call.raised is not None:
            raise call.raised
        if call.answer is None:
            return Failure(_late(call))
        return call.answer

    def _in_turn(self, sheet: Sheet[Any, Any], call: _Call) -> None:
        with self.turn(sheet.spreadsheet) as is_mine:
            if is_mine and call.answer is None and call.raised is None:
                self._perform(sheet, self._take(sheet), call)

    @contextmanager
    def turn(self, spreadsheet: str) -> Generator[bool]:
        """Be the only one who writes to a spreadsheet; False if the time is over before.

        Raises:
            TypeError: This thread is the one already, and would wait for itself.
        """
        me = threading.get_ident()
        with self._lock:
            lock = self._turns.setdefault(spreadsheet, threading.Lock())
            if self._owners.get(spreadsheet) == me:
                raise TypeError(
                    "this would wait for itself: in a transaction of the spreadsheet write through "
                    "tl.repository(tx, …), and in a subscriber not at all"
                )
        left_s = remaining_s()
        is_mine = lock.acquire(timeout=left_s if left_s < threading.TIMEOUT_MAX else -1)
        try:
            if is_mine:
                self._owners[spreadsheet] = me
            yield is_mine
        finally:
            if is_mine:
                del self._owners[spreadsheet]
                lock.release()

    def waiting(self, sheet: Sheet[Any, Any]) -> int:
        """How many verbs wait for their turn."""
        with self._lock:
            return len(self._waiting.get(sheet, ()))

    def sent(self, spreadsheet: str) -> int:
        """How often a spreadsheet was written: the same number means that nothing came between."""
        with self._lock:
            return self._sent.get(spreadsheet, 0)

    def read(self, sheet: Sheet[Any, Any]) -> Result[Base, RepositoryError]:
        """The rows as they are now."""
        answered = self._sheets.book(sheet.spreadsheet, [sheet.worksheet])
        if isinstance(answered, Failure):
            return self._sheets.explained(answered, sheet.spreadsheet, [sheet])
        book = answered.unwrap()
        try:
            found = strictly(sheet, snapshot(sheet, book))
            data = worksheet_of(sheet, book).data if found.problems else []
            rows = data[0].rowData if data else []
        except RepositoryError as error:
            return Failure(error)
        held: dict[Identity, int] = {}
        if found.problems:
            read, known = identity_reader(sheet, found.zone), set(found.numbers)
            for number in range(sheet.header_row + 1, len(rows) + 1):
                key = None if number in known else read(rows[number - 1], found.layout)
                if key is not None:
                    held.setdefault(key, number)
        return Success(Base(sheet, found, held, self.subscriptions))

    def write(
        self, base: Base, keys: Sequence[Identity]
    ) -> Result[dict[Identity, RepositoryError], RepositoryError]:
        """Send what became of rows, in its turn; the keys of those that could not be written."""
        sheet = base.sheet
        if base.rows.emitted:
            raise TypeError(
                f"a subscriber of the sheet {sheet.name!r} answered with writes, and spreadsheets "
                "write no tables; answer with None, or with a Failure to refuse the change"
            )
        try:
            edit = base.edit(keys)
        except RepositoryError as error:
            return Failure(error)
        if not any(edit):
            return Success({})
        try:
            task = task_of(sheet, base.found, edit)
            written = write(self._sheets, sheet, base.found, task, op_id=secrets.token_hex(12))
        finally:
            # It may have happened also where it failed.
            with self._lock:
                self._sent[sheet.spreadsheet] = self._sent.get(sheet.spreadsheet, 0) + 1
            self._forget(sheet)
        if isinstance(written, Failure):
            return written
        done = written.unwrap()
        return Success(dict.fromkeys(done.lost, _deleted()) | dict.fromkeys(done.stale, _changed()))

    def _take(self, sheet: Sheet[Any, Any]) -> list[_Call]:
        with self._lock:
            calls = self._waiting.pop(sheet, [])
            for call in calls:
                call.is_taken = True
            return calls

    def _perform(self, sheet: Sheet[Any, Any], calls: list[_Call], own: _Call) -> None:
        """One read, each verb, one batch."""
        based = self.read(sheet)
        if isinstance(based, Failure):
            self._refuse(calls, own, based)
            return
        base = based.unwrap()
        for call in calls:
            call.run(base)
        keys = list(dict.fromkeys(key for call in calls for key in call.keys))
        try:
            written = self.write(base, keys)
        except BaseException as error:
            for call in calls:
                if call.keys and call is not own:
                    call.raised = error
            raise
        writing = [call for call in calls if base.changed(call.keys)]
        if isinstance(written, Success):
            for call in writing:
                refusals = [written.unwrap().get(key) for key in call.keys]
                call.answer = next((Failure(one) for one in refusals if one), call.answer)
        elif len(writing) > 1 and isinstance(written.failure(), _OF_ONE):
            # Nothing was written: each by itself, so that none is refused for another.
            self._one_by_one(sheet, writing)
        else:
            self._refuse(writing, own, written)

    def _one_by_one(self, sheet: Sheet[Any, Any], calls: list[_Call]) -> None:
        for call in calls:
            try:
                self._perform(sheet, [call], call)
            except Exception as error:  # noqa: BLE001 (raised again where it was called)
                call.raised = error

    def _refuse(self, calls: list[_Call], own: _Call, failed: Failure[RepositoryError]) -> None:
        """Answer with a failure; others than whose time is over may try by themselves."""
        is_late = isinstance(failed.failure(), TimeoutError)
        for call in calls:
            if call is own or not is_late:
                call.answer = failed
            else:
                call.answer, call.is_taken = None, False
                with self._lock:
                    self._waiting.setdefault(call.sheet, []).append(call)

    def _leave(self, sheet: Sheet[Any, Any], call: _Call) -> None:
        """Wait no longer."""
        with self._lock:
            waiting = self._waiting.get(sheet, [])
            if call in waiting:
                waiting.remove(call)


_OF_ONE = (ValidationError, SheetLayoutError, QueryError, AccessDeniedError)
"""Refusals of a whole batch for what one verb of it may have brought."""


def _late(call: _Call) -> RepositoryError:
    if call.is_taken:
        return OutcomeUnknownError(
            "the time was over while it was written together with others; read, and see"
        )
    return TimeoutError(
        "the time was over while another write to the spreadsheet was waited for",
        stage="deadline",
    )


def _deleted() -> RepositoryError:
    return ConflictError(
        "somebody has deleted the row meanwhile; read, and decide anew whether to create it"
    )


def _changed() -> RepositoryError:
    return ConflictError(
        "somebody else changed the row while it was written, and it is as they left it; read it "
        "again and repeat the change"
    )
