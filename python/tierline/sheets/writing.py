"""Writes to a worksheet: one batch, exactly once, on the rows that were meant.

Between a read and a batch people may sort, insert and delete rows. What a batch did is therefore
looked at: its answer shows the keys of the rows that it changed and the header. If something else
stands there, or rows were removed, the copies that the batch made first tell what it was (see
`tierline.sheets.targets`), and another batch makes it good, until nothing is left to do.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import msgspec

from tierline.entity import Sheet
from tierline.errors import (
    ConflictError,
    OutcomeUnknownError,
    QueryError,
    RepositoryError,
    SheetLayoutError,
)
from tierline.result import Failure, Result, Success
from tierline.sheets.copies import Copies
from tierline.sheets.edits import Edit, Request
from tierline.sheets.grid import Book, Cell, Row, column_letters, quoted
from tierline.sheets.layout import texts
from tierline.sheets.marker import send_batch
from tierline.sheets.marks import PREFIX
from tierline.sheets.missed import (
    Sent,
    is_as_meant,
    misplaced,
    missed,
    numbers_after,
)
from tierline.sheets.sheets import Sheets
from tierline.sheets.snapshot import Snapshot, snapshot, worksheet_of
from tierline.sheets.targets import (
    Identity,
    Located,
    Target,
    Task,
    copied,
    joined,
    located,
    requests_for,
)

ROUNDS_MAX = 12
"""Batches in which a write must have reached its rows: nobody sorts that fast for that long."""

ORPHANED_S = 7 * 86_400.0
"""How long copies whose process died are there for whoever looks into what it left."""

_TIDY_S = 10.0
_BOOKS = "https://sheets.googleapis.com/v4/spreadsheets"
_TITLE = re.compile(PREFIX + r"(\d{1,12})_[0-9a-f]{1,8}")


class Written(NamedTuple):
    """What a write came to.

    Attributes:
        batches: How many it took.
        lost: Keys of rows that were to change and that people have deleted meanwhile.
        stale: Keys of rows that had another version when the batch came; they are as they were.
    """

    batches: int
    lost: tuple[Identity, ...] = ()
    stale: tuple[Identity, ...] = ()


_Place: TypeAlias = tuple[Snapshot[Any], Located]
"""A worksheet anew, and where the rows of a task stand in it."""


class _Answer(msgspec.Struct):
    updatedSpreadsheet: Book = msgspec.field(default_factory=Book)  # noqa: N815 (the API's name)


def task_of(sheet: Sheet[Any, Any], found: Snapshot[Any], edit: Edit) -> Task:
    """The task of an edit of rows that were read."""
    rows = dict(zip(found.numbers, found.rows, strict=True))

    version = None if sheet.version is None else sheet.column(sheet.version).field

    def target(number: int) -> Target:
        row = rows[number]
        was = None if version is None else getattr(row, version)
        return Target(number, sheet.read_key(sheet.key_of(row)), version=was)

    changed = [target(one.number)._replace(changed=one) for one in edit.updated]
    removed = [target(number)._replace(removed=True) for number in edit.deleted]
    return Task(edit.created, [*changed, *removed])


def write(
    sheets: Sheets,
    sheet: Sheet[Any, Any],
    found: Snapshot[Any],
    task: Task,
    *,
    op_id: str,
    extra: Sequence[Request] = (),
) -> Result[Written, RepositoryError]:
    """Do a task in a worksheet.

    Args:
        sheets: What asks Google.
        sheet: The table.
        found: The worksheet as it was read.
        task: What is to be done; rows are named by their numbers in `found`.
        op_id: Names the operation, for `send_batch`; at most 90 letters and digits.
        extra: Requests of the first batch, before all others.

    Errors: `ValidationError` for values that no cell can hold, `OutcomeUnknownError` if it is not
    known what was written, or where; `ConflictError` if people kept moving rows. The text says
    where the old content of rows is if it could not be put back. Any other error says that
    nothing was written.
    """
    done: list[Copies] = []
    lost: tuple[Identity, ...] = ()
    stale: tuple[Identity, ...] = ()
    later = Task()
    is_first = True
    for round_ in range(ROUNDS_MAX):
        sent = _sent(sheets, sheet, found, task, f"{op_id}_{round_}", extra if is_first else ())
        if isinstance(sent, Success):
            is_first = False
            outcome = sent.unwrap()
            stale += outcome.left.stale
            done += [] if outcome.copies is None else [outcome.copies]
            left = joined(outcome.left, later)
            again = _read(sheets, sheet, left) if left else Success((found, Located(left)))
        elif isinstance(sent.failure(), QueryError):
            again = _refused(sheets, sheet, found, task, later, sent)
        else:
            again = sent
        if isinstance(again, Failure):
            return Failure(_half_done(sheet, again.failure(), done)) if done else again
        found, place = again.unwrap()
        task, later, lost = place.task, place.later, lost + place.lost
        if not task:
            sheets.leftovers.add(sheet.spreadsheet, [one.sheet_id for one in done])
            return Success(Written(round_ + 1, lost, stale))
    return Failure(_half_done(sheet, _restless(), done) if done else _restless())


def tidy(sheets: Sheets) -> None:
    """Delete the copies that nobody needs, and those that died with their process a week ago.

    What cannot be reached is left: it is hidden, and says nothing.
    """
    for spreadsheet in sheets.leftovers.spreadsheets():
        own = set(sheets.leftovers.take(spreadsheet))
        end_s = sheets.http.end_s(_TIDY_S)
        there = sheets.worksheets(spreadsheet, end_s)
        if isinstance(there, Failure):
            continue
        oldest_s = sheets.http.marks.now_s() - ORPHANED_S
        old = [
            one.sheetId
            for one in there.unwrap()
            if one.sheetId in own or _made_at_s(one.title, oldest_s) < oldest_s
        ]
        if old:
            sheets.http.ask(
                "POST",
                f"{_BOOKS}/{quote(spreadsheet, safe='')}:batchUpdate",
                repeat="once",
                params={"fields": "spreadsheetId"},
                body=msgspec.json.encode({"requests": _deletions(old)}),
                end_s=end_s,
            )


def _made_at_s(title: str, otherwise_s: float) -> float:
    """When a worksheet of copies was made."""
    found = _TITLE.fullmatch(title)
    return otherwise_s if found is None else float(found[1])


class _Outcome(NamedTuple):
    """What one batch came to: where it kept rows, and what is left to do."""

    copies: Copies | None
    left: Task


def _sent(  # noqa: PLR0917 (all of one batch)
    sheets: Sheets,
    sheet: Sheet[Any, Any],
    found: Snapshot[Any],
    task: Task,
    name: str,
    extra: Sequence[Request],
) -> Result[_Outcome, RepositoryError]:
    """One batch, and what it did that was not meant."""
    copies_id = secrets.randbelow(2**31 - 1) + 1
    title = f"{PREFIX}{int(sheets.http.marks.now_s())}_{copies_id:x}"
    copies = copied(task, found, copies_id, title)
    try:
        requests = [*extra, *requests_for(sheet, found, task, copies)]
    except RepositoryError as error:
        return Failure(error)
    if not requests:
        return Success(_Outcome(None, Task()))
    ranges = _ranges(sheet, found, task)
    answered = _batched(sheets, sheet.spreadsheet, requests, name, ranges)
    if isinstance(answered, Failure):
        return answered
    header, keys = _seen(sheet, answered.unwrap())
    sent = Sent(found, task, requests, copies or Copies(0, "", (), 0))
    if task.removed:
        return Success(_Outcome(None, misplaced(sent, texts(header))))
    if copies is None:
        return Success(_Outcome(None, missed(sheet, sent, [header])))
    if is_as_meant(sheet, sent, texts(header), keys):
        return Success(_Outcome(copies, Task()))
    looked = sheets.book(sheet.spreadsheet, [copies.title])
    if isinstance(looked, Failure):
        return Failure(_unchecked(looked.failure(), copies))
    kept = looked.unwrap().worksheet(copies.title)
    rows = [] if kept is None or not kept.data else kept.data[0].rowData
    return Success(_Outcome(copies, missed(sheet, sent, rows)))


def _batched(
    sheets: Sheets,
    spreadsheet: str,
    requests: Sequence[Request],
    name: str,
    ranges: Sequence[str],
) -> Result[Book, RepositoryError]:
    """Send a batch that deletes the copies of those before it, too; what it shows."""
    old = sheets.leftovers.take(spreadsheet)
    sent = [*requests, *_deletions(old)]
    answered = send_batch(sheets.http, spreadsheet, sent, op_id=name, response_ranges=ranges)
    if old and isinstance(answered, Failure) and isinstance(answered.failure(), QueryError):
        # People may have deleted them: the batch by itself says whether it was that.
        answered = send_batch(
            sheets.http, spreadsheet, requests, op_id=f"{name}r", response_ranges=ranges
        )
    if isinstance(answered, Failure):
        if not isinstance(answered.failure(), (QueryError, OutcomeUnknownError)):
            sheets.leftovers.add(spreadsheet, old)
        return answered
    try:
        return Success(msgspec.json.decode(answered.unwrap(), type=_Answer).updatedSpreadsheet)
    except msgspec.DecodeError:
        # It shows nothing, so the copies are looked at.
        return Success(Book())


def _deletions(sheet_ids: Sequence[int]) -> list[Request]:
    return [{"deleteSheet": {"sheetId": one}} for one in sheet_ids]


def _ranges(sheet: Sheet[Any, Any], found: Snapshot[Any], task: Task) -> list[str]:
    """The header, and the keys of the rows that change, where they stand behind the batch."""
    title = quoted(sheet.worksheet)
    ranges = [f"{title}!{sheet.header_row}:{sheet.header_row}"]
    after = numbers_after(task)
    numbers = [after(target.number) for target in task.targets if not target.removed]
    if numbers:
        key = _key_places(sheet, found)
        first, last = column_letters(min(key)), column_letters(max(key))
        ranges.append(f"{title}!{first}{min(numbers)}:{last}{max(numbers)}")
    return ranges


def _key_places(sheet: Sheet[Any, Any], found: Snapshot[Any]) -> list[int]:
    return [
        place
        for place, column in zip(found.layout.columns, sheet.columns, strict=True)
        if column.name in sheet.key
    ]


def _seen(sheet: Sheet[Any, Any], book: Book) -> tuple[Row, dict[int, Row]]:
    """The header row, and other rows by number, of what an answer shows."""
    shown = book.worksheet(sheet.worksheet)
    header, rows = Row(), dict[int, Row]()
    for data in [] if shown is None else shown.data:
        before = [Cell()] * data.startColumn
        for number, row in enumerate(data.rowData, data.startRow + 1):
            whole = Row([*before, *row.values])
            if number == sheet.header_row:
                header = whole
            else:
                rows[number] = whole
    return header, rows


def _read(sheets: Sheets, sheet: Sheet[Any, Any], task: Task) -> Result[_Place, RepositoryError]:
    """The worksheet anew, and a task with its rows where they stand now."""
    answered = sheets.book(sheet.spreadsheet, [sheet.worksheet])
    if isinstance(answered, Failure):
        return answered
    book = answered.unwrap()
    try:
        now = snapshot(sheet, book)
        data = worksheet_of(sheet, book).data
        rows = data[0].rowData if data else []
    except RepositoryError as error:
        return Failure(error)
    return Success((now, located(sheet, now, rows, task)))


def _refused(  # noqa: PLR0917 (all of one batch)
    sheets: Sheets,
    sheet: Sheet[Any, Any],
    found: Snapshot[Any],
    task: Task,
    later: Task,
    refusal: Failure[RepositoryError],
) -> Result[_Place, RepositoryError]:
    """What to try after a refusal, if rows have moved: they may have been outside of the grid."""
    again = _read(sheets, sheet, joined(task, later))
    if isinstance(again, Failure):
        # A worksheet that is gone says more than a range that cannot be parsed.
        return again if isinstance(again.failure(), SheetLayoutError) else refusal
    now, place = again.unwrap()
    if list(place.task.targets) == list(task.targets) and now.layout == found.layout:
        return refusal
    return again


def _restless() -> ConflictError:
    return ConflictError("people kept moving rows; try again when they rest")


def _unchecked(cause: RepositoryError, copies: Copies) -> OutcomeUnknownError:
    error = OutcomeUnknownError(
        "the batch has happened, but whether it met the rows that were meant could not be seen: "
        f"{cause.message}; the hidden worksheet {copies.title!r} has them as they were"
    )
    error.__cause__ = cause
    error.resolved_by(lambda _: True)
    return error


def _half_done(
    sheet: Sheet[Any, Any], cause: RepositoryError, done: Sequence[Copies]
) -> RepositoryError:
    """Rows were moved while they were written, and what that did could not all be made good."""
    titles = ", ".join(repr(one.title) for one in done)
    error = OutcomeUnknownError(
        "rows were moved while they were written, and not all could be put right: "
        f"{cause.message}; as they were before, they are in the hidden worksheet {titles}",
        table=sheet.name,
    )
    error.__cause__ = cause
    return error
