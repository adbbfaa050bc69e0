"""From changes of rows to the requests of one batch: only cells that differ, and no more. Pure.

The order is that of safety: cells first, then deletions from the last row upwards, so that no
request moves what a later one names; then new rows, which a deletion could otherwise meet if people
have removed rows meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from tierline.entity import Sheet
from tierline.errors import FieldError, ValidationError
from tierline.sheets.snapshot import Snapshot
from tierline.sheets.writing_cells import (
    FORMATTED_FIELDS,
    CellJson,
    CellWriter,
    UnstorableError,
    cell_writer,
    fields_of,
)

Values: TypeAlias = tuple[Any, ...]
"""A row's values in column order, as `Table.validator` hands them out."""

Request: TypeAlias = dict[str, Any]


class Updated(NamedTuple):
    """A row that is there, as it was read and as it is to be.

    Attributes:
        number: Its row, counted from 1.
        before: Its values as they were read.
        after: Its values as they are to be.
    """

    number: int
    before: Values
    after: Values


class Edit(NamedTuple):
    """What is to change in a worksheet.

    Attributes:
        created: New rows.
        updated: Rows that are there.
        deleted: The numbers of rows that go.
    """

    created: Sequence[Values] = ()
    updated: Sequence[Updated] = ()
    deleted: Sequence[int] = ()


class _Change(NamedTuple):
    """One cell that differs, by grid row and column counted from 0."""

    row: int
    column: int
    fields: str
    cell: CellJson


def requests_of(sheet: Sheet[Any, Any], found: Snapshot[Any], edit: Edit) -> list[Request]:
    """The requests of a `spreadsheets.batchUpdate` that make the edit.

    Raises:
        ValidationError: Values that no cell can hold; all of them are listed.
    """
    writers = [cell_writer(column, found.zone) for column in sheet.columns]
    errors: list[FieldError] = []
    changes = [
        change
        for updated in edit.updated
        for change in _changes(sheet, found, updated, writers, errors)
    ]
    new = [_new_row(sheet, found, values, writers, errors) for values in edit.created]
    if errors:
        raise ValidationError(tuple(errors), table=sheet.name)
    requests = [_update(found.sheet_id, block) for block in _blocks(changes)]
    spans = _spans(edit.deleted)
    if sum(end - start for start, end in spans) >= found.row_count - sheet.header_row:
        # A worksheet has to keep a row below its frozen ones.
        more = {"sheetId": found.sheet_id, "dimension": "ROWS", "length": 1}
        requests.append({"appendDimension": more})
    requests += [_deletion(found.sheet_id, span) for span in spans]
    if new:
        requests.append(
            {
                "appendCells": {
                    "sheetId": found.sheet_id,
                    "rows": [{"values": cells} for cells in new],
                    "fields": FORMATTED_FIELDS,
                }
            }
        )
    return requests


def _made(
    sheet: Sheet[Any, Any], n: int, value: Any, writer: CellWriter, errors: list[FieldError]
) -> CellJson:
    try:
        return writer(value)
    except UnstorableError as unstorable:
        errors.append(FieldError(sheet.columns[n].field, str(unstorable)))
        return {}


def _changes(
    sheet: Sheet[Any, Any],
    found: Snapshot[Any],
    updated: Updated,
    writers: list[CellWriter],
    errors: list[FieldError],
) -> Iterable[_Change]:
    for n, column in enumerate(sheet.columns):
        before, after = updated.before[n], updated.after[n]
        if before == after and type(before) is type(after):
            continue
        if column.field in sheet.computed:
            errors.append(
                FieldError(column.field, "is computed by the worksheet; do not change it")
            )
            continue
        cell = _made(sheet, n, after, writers[n], errors)
        yield _Change(updated.number - 1, found.layout.columns[n], fields_of(column), cell)


def _new_row(
    sheet: Sheet[Any, Any],
    found: Snapshot[Any],
    values: Values,
    writers: list[CellWriter],
    errors: list[FieldError],
) -> list[CellJson]:
    """A row's cells from the first column; those of other columns stay empty."""
    cells: list[CellJson] = [{} for _ in range(max(found.layout.columns) + 1)]
    for n, column in enumerate(sheet.columns):
        if column.field not in sheet.computed:
            place = found.layout.columns[n]
            cells[place] = _like_above(
                _made(sheet, n, values[n], writers[n], errors), found.formats.get(place)
            )
    return cells


def _like_above(cell: CellJson, form: dict[str, str] | None) -> CellJson:
    """The cell, shown as the one above is: new rows would otherwise lose a column's format."""
    own = cell.get("userEnteredFormat", {}).get("numberFormat")
    if form is None or (own is not None and own["type"] != form["type"]):
        return cell
    if "numberValue" not in cell.get("userEnteredValue", {}):
        return cell
    return {**cell, "userEnteredFormat": {"numberFormat": form}}


def _blocks(changes: list[_Change]) -> list[list[list[_Change]]]:
    """Changes as rectangles: cells side by side, then such rows below each other."""
    rows: list[list[_Change]] = []
    for change in sorted(changes, key=lambda one: (one.row, one.column)):
        last = rows[-1][-1] if rows else None
        if (
            last is not None
            and last.row == change.row
            and last.column + 1 == change.column
            and last.fields == change.fields
        ):
            rows[-1].append(change)
        else:
            rows.append([change])
    rows.sort(key=lambda row: (row[0].column, len(row), row[0].fields, row[0].row))
    blocks: list[list[list[_Change]]] = []
    for row in rows:
        above = blocks[-1][-1] if blocks else None
        if above is not None and _continues(above, row):
            blocks[-1].append(row)
        else:
            blocks.append([row])
    return blocks


def _continues(above: list[_Change], row: list[_Change]) -> bool:
    return (
        above[0].row + 1 == row[0].row
        and above[0].column == row[0].column
        and len(above) == len(row)
        and above[0].fields == row[0].fields
    )


def _update(sheet_id: int, block: list[list[_Change]]) -> Request:
    first = block[0][0]
    return {
        "updateCells": {
            "range": {
                "sheetId": sheet_id,
                "startRowIndex": first.row,
                "endRowIndex": first.row + len(block),
                "startColumnIndex": first.column,
                "endColumnIndex": first.column + len(block[0]),
            },
            "rows": [{"values": [change.cell for change in row]} for row in block],
            "fields": first.fields,
        }
    }


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Rows to delete as spans from 0, the last first."""
    ordered = sorted(set(numbers))
    offset: Callable[[tuple[int, int]], int] = lambda pair: pair[1] - pair[0]  # noqa: E731
    spans: list[tuple[int, int]] = []
    for _, group in groupby(enumerate(ordered), key=offset):
        found = [number for _, number in group]
        spans.append((found[0] - 1, found[-1]))
    return spans[::-1]


def _deletion(sheet_id: int, span: tuple[int, int]) -> Request:
    start, end = span
    return {
        "deleteDimension": {
            "range": {
                "sheetId": sheet_id,
                "dimension": "ROWS",
                "startIndex": start,
                "endIndex": end,
            }
        }
    }
