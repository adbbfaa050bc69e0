"""A worksheet as it was at one moment: its rows as entities, and where they stand. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Sheet
from tierline.errors import CellProblem, SheetLayoutError
from tierline.query.evaluate.zones import zone as zone_named
from tierline.sheets.grid import Book, Cell, GridRange, Row, Worksheet, cell_name
from tierline.sheets.layout import Layout, bind
from tierline.sheets.marks import PREFIX
from tierline.sheets.reading_cells import CellReader, UnfitCellError, cell_reader

T = TypeVar("T")

_UTC = ZoneInfo("UTC")
_PROBLEMS_MAX = 100
"""Problems listed of one worksheet: more would help nobody."""


class Snapshot(NamedTuple, Generic[T]):
    """A worksheet's rows at one moment.

    Attributes:
        rows: The entities, in the order of the rows.
        numbers: The row of each, counted from 1.
        problems: Cells that do not fit; their rows are not among the entities.
        layout: Where the columns stand.
        sheet_id: The worksheet's id.
        row_count: Rows of the grid, empty ones too.
        zone: The spreadsheet's time zone.
        formats: How the last row's numbers are shown, by column of the grid counted from 0.
        column_count: Columns of the grid.
    """

    rows: list[T]
    numbers: list[int]
    problems: tuple[CellProblem, ...]
    layout: Layout
    sheet_id: int
    row_count: int
    zone: ZoneInfo
    formats: dict[int, dict[str, str]]
    column_count: int


def snapshot(sheet: Sheet[T, Any], book: Book) -> Snapshot[T]:
    """The rows of a worksheet.

    Raises:
        SheetLayoutError: It is not there, or its header row does not fit the table.
    """
    found = worksheet_of(sheet, book)
    data = found.data[0].rowData if found.data else []
    layout = bind(sheet, data)
    if not isinstance(layout, Layout):
        raise layout_error(sheet, layout)
    zone = zone_named(book.properties.timeZone) or _UTC
    merged = _merged(sheet, found.merges, layout)
    rows, numbers, problems = _rows(sheet, data, layout, zone)
    return Snapshot(
        rows,
        numbers,
        (*merged, *problems)[:_PROBLEMS_MAX],
        layout,
        found.properties.sheetId,
        found.properties.gridProperties.rowCount,
        zone,
        _formats(data, numbers),
        found.properties.gridProperties.columnCount,
    )


def _formats(data: list[Row], numbers: list[int]) -> dict[int, dict[str, str]]:
    """How the cells of the last row of the table are shown, where anything says so."""
    if not numbers:
        return {}
    found: dict[int, dict[str, str]] = {}
    for column, cell in enumerate(data[numbers[-1] - 1].values):
        form = None if cell.effectiveFormat is None else cell.effectiveFormat.numberFormat
        if form is not None and form.type:
            pattern = {"pattern": form.pattern} if form.pattern else {}
            found[column] = {"type": form.type, **pattern}
    return found


def layout_error(sheet: Sheet[Any, Any], problems: tuple[CellProblem, ...]) -> SheetLayoutError:
    """The error that lists what does not fit."""
    error = SheetLayoutError(problems, table=sheet.name)
    by_header = {sheet.header_of(column.field): column.field for column in sheet.columns}
    error.fields = tuple(
        dict.fromkeys(by_header[one.header] for one in problems if one.header in by_header)
    )
    return error


def strictly(sheet: Sheet[T, Any], found: Snapshot[T]) -> Snapshot[T]:
    """The snapshot, if nothing in it is unfit or the table skips what is.

    Raises:
        SheetLayoutError: Cells do not fit.
    """
    if found.problems and sheet.bad_rows == "fail":
        raise layout_error(sheet, found.problems)
    return found


def missing_worksheet(sheet: Sheet[Any, Any], titles: list[str]) -> SheetLayoutError:
    """The error of a worksheet that is not among those that are there."""
    known = ", ".join(repr(title) for title in titles if not title.startswith(PREFIX))
    problem = CellProblem(
        "", "", f"the spreadsheet has no worksheet {sheet.worksheet!r}; there are {known}"
    )
    return SheetLayoutError((problem,), table=sheet.name)


def worksheet_of(sheet: Sheet[Any, Any], book: Book) -> Worksheet:
    """The worksheet of a table.

    Raises:
        SheetLayoutError: It is not there.
    """
    found = book.worksheet(sheet.worksheet)
    if found is not None:
        return found
    raise missing_worksheet(sheet, [found.properties.title for found in book.sheets])


def _merged(
    sheet: Sheet[Any, Any], merges: list[GridRange], layout: Layout
) -> tuple[CellProblem, ...]:
    """Only the first cell of merged ones has the value; the others would be read as empty."""
    problems: list[CellProblem] = []
    for merge in merges:
        columns = range(merge.startColumnIndex, merge.endColumnIndex)
        for column, place in zip(sheet.columns, layout.columns, strict=True):
            if place in columns and merge.endRowIndex > sheet.header_row:
                name = cell_name(max(merge.startRowIndex, sheet.header_row), place)
                problems.append(
                    CellProblem(name, sheet.header_of(column.field), "is merged; unmerge the cells")
                )
    return tuple(problems)


def _rows(
    sheet: Sheet[T, Any], data: list[Row], layout: Layout, zone: ZoneInfo
) -> tuple[list[T], list[int], list[CellProblem]]:
    readers = [
        (place, column.name, cell_reader(column, zone, computed=column.field in sheet.computed))
        for column, place in zip(sheet.columns, layout.columns, strict=True)
    ]
    read: list[dict[str, Any]] = []
    numbers: list[int] = []
    problems: list[CellProblem] = []
    for number, row in enumerate(data[sheet.header_row :], sheet.header_row):
        cells = row.values
        width = len(cells)
        try:
            values = {
                name: reader(cells[place] if place < width else _EMPTY)
                for place, name, reader in readers
            }
        except UnfitCellError:
            if not _is_blank(cells, layout):
                problems += _unfit(sheet, readers, cells, number)
            continue
        if not cells or _is_blank(cells, layout):
            continue
        read.append(values)
        numbers.append(number + 1)
    rows, kept, unfit = _entities(sheet, read, numbers, layout)
    rows, kept, twice = _only_once(sheet, rows, kept, layout)
    return rows, kept, sorted([*problems, *unfit, *twice], key=lambda one: one.row)


_EMPTY = Cell()


def _is_blank(cells: list[Cell], layout: Layout) -> bool:
    """Whether a row has nothing in the table's columns: people leave such rows between others."""
    width = len(cells)
    return all(place >= width or (cells[place].effectiveValue is None) for place in layout.columns)


def _unfit(
    sheet: Sheet[Any, Any],
    readers: list[tuple[int, str, CellReader]],
    cells: list[Cell],
    row: int,
) -> list[CellProblem]:
    problems: list[CellProblem] = []
    for place, name, reader in readers:
        try:
            reader(cells[place] if place < len(cells) else _EMPTY)
        except UnfitCellError as unfit:
            header = sheet.header_of(sheet.column(name).field)
            problems.append(CellProblem(cell_name(row, place), header, str(unfit)))
    return problems


def _entities(
    sheet: Sheet[T, Any], read: list[dict[str, Any]], numbers: list[int], layout: Layout
) -> tuple[list[T], list[int], list[CellProblem]]:
    """The entities; the rules of the fields' types are checked here."""
    try:
        kind: Any = list[sheet.entity]  # type: ignore[name-defined]
        made: list[T] = msgspec.convert(read, kind, builtin_types=KEPT)
    except msgspec.ValidationError:
        pass
    else:
        return made, numbers, []
    rows: list[T] = []
    kept: list[int] = []
    problems: list[CellProblem] = []
    for values, number in zip(read, numbers, strict=True):
        try:
            rows.append(msgspec.convert(values, sheet.entity, builtin_types=KEPT))
            kept.append(number)
        except msgspec.ValidationError:
            problems += _broken(sheet, layout, values, number)
    return rows, kept, problems


def _broken(
    sheet: Sheet[Any, Any], layout: Layout, values: dict[str, Any], number: int
) -> list[CellProblem]:
    """Which cells of a row break a rule of their field's type."""
    problems: list[CellProblem] = []
    for column, place in zip(sheet.columns, layout.columns, strict=True):
        value, annotation = values[column.name], sheet.annotations[column.field]
        try:
            msgspec.convert(value, annotation, builtin_types=KEPT)
        except msgspec.ValidationError as error:
            problems.append(
                CellProblem(cell_name(number - 1, place), sheet.header_of(column.field), f"{error}")
            )
    return problems


def _only_once(
    sheet: Sheet[T, Any], rows: list[T], numbers: list[int], layout: Layout
) -> tuple[list[T], list[int], list[CellProblem]]:
    """The first row of each key, and a problem for each other: somebody pasted a row."""
    keys = [sheet.key_of(row) for row in rows]
    if len(set(keys)) == len(keys):
        return rows, numbers, []
    first: dict[Any, int] = {}
    kept: list[T] = []
    places: list[int] = []
    problems: list[CellProblem] = []
    column = layout.columns[sheet.columns.index(sheet.key_columns[0])]
    header = sheet.header_of(sheet.key_columns[0].field)
    for key, row, number in zip(keys, rows, numbers, strict=True):
        if key in first:
            name = cell_name(number - 1, column)
            problem = f"row {first[key]} has the same key; give this row one of its own"
            problems.append(CellProblem(name, header, problem))
            continue
        first[key] = number
        kept.append(row)
        places.append(number)
    return kept, places, problems


KEPT = (bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, uuid.UUID)
"""Values that come as instances, not as texts of them."""
