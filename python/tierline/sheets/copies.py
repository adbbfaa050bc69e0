"""Worksheets that keep rows as they were before a batch, and how rows come back from them. Pure.

Such a worksheet is hidden, made by the batch itself, and deleted when all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tierline.entity import Sheet
from tierline.sheets.edits import Request
from tierline.sheets.grid import CellValue
from tierline.sheets.snapshot import Snapshot
from tierline.sheets.writing_cells import CellJson

Content: TypeAlias = Mapping[int, CellValue | None]
"""What is in some cells of a row, by column of the grid counted from 0."""


class Copies(NamedTuple):
    """A worksheet that keeps rows as they were before a batch: the header, then each row.

    Attributes:
        sheet_id: The worksheet's id.
        title: Its title.
        numbers: The rows that it keeps, as the batch named them, upwards.
        width: Columns that it keeps.
    """

    sheet_id: int
    title: str
    numbers: tuple[int, ...]
    width: int


class Saved(NamedTuple):
    """Cells of a row as they were before a batch.

    Attributes:
        sheet_id: The worksheet of copies that keeps them.
        row: Their row there, counted from 0.
        columns: Which of its cells are to be put back.
        content: What is in them.
    """

    sheet_id: int
    row: int
    columns: tuple[int, ...]
    content: Content


class Removed(NamedTuple):
    """A row that was removed by mistake.

    Attributes:
        number: Where it stood.
        saved: All of it.
        width: Columns of its copy.
    """

    number: int
    saved: Saved
    width: int


def copying(sheet: Sheet[Any, Any], sheet_id: int, copies: Copies) -> list[Request]:
    """Make the worksheet of copies, and copy the rows."""
    rows = [sheet.header_row, *copies.numbers]
    grid = {"rowCount": len(rows), "columnCount": copies.width}
    properties = {
        "sheetId": copies.sheet_id,
        "title": copies.title,
        "hidden": True,
        "gridProperties": grid,
    }
    requests: list[Request] = [{"addSheet": {"properties": properties}}]
    for place, first, count in _runs(rows):
        requests.append(
            _paste(
                _area(sheet_id, first - 1, count, 0, copies.width),
                _area(copies.sheet_id, place, count, 0, copies.width),
            )
        )
    return requests


def _runs(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """Numbers that follow each other: the place of the first, itself, and how many there are."""
    runs: list[tuple[int, int, int]] = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        found = list(group)
        runs.append((found[0][0], found[0][1], len(found)))
    return runs


def putting_back(sheet_id: int, number: int, saved: Saved) -> list[Request]:
    """Put cells back into a row."""
    return [
        _paste(
            _area(saved.sheet_id, saved.row, 1, first, count),
            _area(sheet_id, number - 1, 1, first, count),
        )
        for _, first, count in _runs(saved.columns)
    ]


def bringing_back(found: Snapshot[Any], one: Removed, removed: Sequence[int]) -> list[Request]:
    """Insert a row that was removed where it stood, behind the removal of others."""
    gone = sum(number < one.number for number in removed)
    index = max(1, min(one.number - 1 - gone, found.row_count - len(removed)))
    rows = {"sheetId": found.sheet_id, "dimension": "ROWS"}
    return [
        {
            "insertDimension": {
                "range": rows | {"startIndex": index, "endIndex": index + 1},
                "inheritFromBefore": True,
            }
        },
        _paste(
            _area(one.saved.sheet_id, one.saved.row, 1, 0, one.width),
            _area(found.sheet_id, index, 1, 0, one.width),
        ),
    ]


def _area(sheet_id: int, row: int, rows: int, column: int, columns: int) -> Request:
    return {
        "sheetId": sheet_id,
        "startRowIndex": row,
        "endRowIndex": row + rows,
        "startColumnIndex": column,
        "endColumnIndex": column + columns,
    }


def _paste(source: Request, destination: Request) -> Request:
    return {
        "copyPaste": {"source": source, "destination": destination, "pasteType": "PASTE_NORMAL"}
    }


def written(requests: Iterable[Request], sheet_id: int) -> dict[int, dict[int, CellValue | None]]:
    """What the requests of edits put into cells, by row counted from 1 and column from 0."""
    found: dict[int, dict[int, CellValue | None]] = {}
    for request in requests:
        update = request.get("updateCells")
        if update is None or update["range"]["sheetId"] != sheet_id:
            continue
        area = update["range"]
        for i, row in enumerate(update["rows"], area["startRowIndex"] + 1):
            cells = found.setdefault(i, {})
            for j, cell in enumerate(row["values"], area["startColumnIndex"]):
                cells[j] = _value(cell)
    return found


def appended(requests: Iterable[Request]) -> list[dict[int, CellValue | None]]:
    """What the new rows of a batch have in their cells."""
    return [
        {n: value for n, cell in enumerate(row["values"]) if (value := _value(cell)) is not None}
        for request in requests
        if "appendCells" in request
        for row in request["appendCells"]["rows"]
    ]


def _value(cell: CellJson) -> CellValue | None:
    entered = cell.get("userEnteredValue")
    return None if entered is None else msgspec.convert(entered, CellValue)
