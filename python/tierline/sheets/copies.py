"""Worksheets that keep rows as they were before a batch, and how rows come back from them. Pure.

Such a worksheet is hidden, made by the batch itself, and deleted when all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tierline.entity import Sheet
from tierline.sheets.edits import Request
from tierline.sheets.grid import Cell, CellValue, Row
from tierline.sheets.snapshot import Snapshot
from tierline.sheets.writing_cells import CellJson

Cells: TypeAlias = Mapping[int, CellValue | None]
"""What is in cells of a row, by column of the grid counted from 0."""

Header: TypeAlias = tuple[str, ...]
"""The texts of a header row, by column."""


class Content(NamedTuple):
    """What is in some cells of a row.

    Attributes:
        header: The headers when it was so: people move columns, too.
        values: What is in each cell.
    """

    header: Header = ()
    values: Cells = MappingProxyType({})

    def under(self, header: Header) -> dict[int, CellValue | None]:
        """The same, by the columns as they stand under other headers."""
        return {_moved(n, self.header, header): value for n, value in self.values.items()}

    def stands_alike(self, one: Header, other: Header) -> bool:
        """Whether its columns stand in the same places under both headers."""
        return all(
            _moved(n, self.header, one) == _moved(n, self.header, other) for n in self.values
        )


def _moved(column: int, before: Header, now: Header) -> int:
    """Where a column stands now: by its header, or as the same one of those without a header."""
    name = before[column] if column < len(before) else ""
    if name:
        return now.index(name) if now.count(name) == 1 else column
    nth = before[:column].count("") + max(0, column - len(before))
    without = [place for place, text in enumerate(now) if not text]
    return without[nth] if nth < len(without) else len(now) + nth - len(without)


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
        content: What is in them: these cells are to be put back.
        over: What stands there instead: a cell that people have changed since is theirs.
    """

    sheet_id: int
    row: int
    content: Content
    over: Content = Content()


class Removed(NamedTuple):
    """A row that was removed by mistake.

    Attributes:
        number: Where it stood.
        saved: All of it.
    """

    number: int
    saved: Saved


def still_wrong(row: Row, restored: Sequence[Saved], header: Header) -> tuple[Saved, ...]:
    """Of what is to be put back into a row the cells that still have what is wrong, in order."""
    now: dict[int, CellValue | None] = {}
    kept: list[Saved] = []
    for saved in restored:
        over, content = saved.over.under(header), saved.content.under(header)
        columns: dict[int, CellValue | None] = {}
        for place, n in zip(content, saved.content.values, strict=True):
            if now.get(place, cell_at(row, place).effectiveValue) == over.get(place):
                columns[n] = now[place] = content[place]
        if columns:
            kept.append(saved._replace(content=Content(saved.content.header, columns)))
    return tuple(kept)


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


def putting_back(sheet_id: int, number: int, saved: Saved, header: Header) -> list[Request]:
    """Put cells back into a row, under the headers that they were under."""
    places = [(n, _moved(n, saved.content.header, header)) for n in sorted(saved.content.values)]
    requests: list[Request] = []
    for _, group in groupby(
        enumerate(places), key=lambda one: (one[1][0] - one[0], one[1][1] - one[0])
    ):
        run = [pair for _, pair in group]
        (first, onto), count = run[0], len(run)
        requests.append(
            _paste(
                _area(saved.sheet_id, saved.row, 1, first, count),
                _area(sheet_id, number - 1, 1, onto, count),
            )
        )
    return requests


def bringing_back(found: Snapshot[Any], removed: Sequence[Removed]) -> list[Request]:
    """Insert rows that were removed, where they stood."""
    rows = {"sheetId": found.sheet_id, "dimension": "ROWS"}
    requests: list[Request] = []
    # From the last upwards, so that none moves where another is to stand.
    for one in sorted(removed, key=lambda one: -one.number):
        index = inserted_at(found, one) - 1
        requests.append(
            {
                "insertDimension": {
                    "range": rows | {"startIndex": index, "endIndex": index + 1},
                    "inheritFromBefore": True,
                }
            }
        )
        requests += putting_back(found.sheet_id, index + 1, one.saved, found.layout.header)
    return requests


def inserted_at(found: Snapshot[Any], one: Removed) -> int:
    """Where a row comes back."""
    return max(2, min(one.number, found.row_count))


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


_EMPTY = Cell()


def cell_at(row: Row, column: int) -> Cell:
    """A cell of a row, which ends with its last one that has anything."""
    return row.values[column] if column < len(row.values) else _EMPTY


def _value(cell: CellJson) -> CellValue | None:
    entered = cell.get("userEnteredValue")
    return None if entered is None else msgspec.convert(entered, CellValue)
