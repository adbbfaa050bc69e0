"""A worksheet as it was at one moment: its rows as entities, and where they stand. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from itertools import compress, zip_longest
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Sheet
from tierline.errors import CellProblem, SheetLayoutError
from tierline.query.evaluate.zones import zone as zone_named
from tierline.sheets.grid import (
    Book,
    Cell,
    CellValue,
    GridData,
    GridRange,
    Row,
    Worksheet,
    cell_name,
)
from tierline.sheets.layout import HEADERS_LOOKED_FOR, Layout, bind
from tierline.sheets.marks import PREFIX
from tierline.sheets.reading_cells import CellReader, UnfitCellError, cell_reader
from tierline.sheets.reading_columns import ColumnReader, column_reader, is_plain, values_of

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
    data = found.data[0] if found.data else GridData()
    layout = bind(sheet, data.decoded(0, max(sheet.header_row, HEADERS_LOOKED_FOR)))
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


def _formats(data: GridData, numbers: list[int]) -> dict[int, dict[str, str]]:
    """How the cells of the last row of the table are shown, where anything says so."""
    if not numbers:
        return {}
    found: dict[int, dict[str, str]] = {}
    [last] = data.decoded(numbers[-1] - 1, numbers[-1])
    for column, cell in enumerate(last.values):
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
    sheet: Sheet[T, Any], data: GridData, layout: Layout, zone: ZoneInfo
) -> tuple[list[T], list[int], list[CellProblem]]:
    ones: list[CellReader] = []
    manys: list[ColumnReader] = []
    for column in sheet.columns:
        computed = column.field in sheet.computed
        ones.append(cell_reader(column, zone, computed=computed))
        may_be = computed or not data.may_have_formulas
        manys.append(column_reader(column, ones[-1], may_be_computed=may_be))
    table = _Table([[] for _ in ones], [])
    problems: list[CellProblem] = []
    for first in range(sheet.header_row, data.row_count, _BLOCK_ROWS):
        block = _block(data.decoded(first, first + _BLOCK_ROWS), first + 1, layout)
        read = _read_columns(block, manys)
        if read is None:
            read, unfit = _read_cells(sheet, block, ones, layout)
            problems += unfit
        for whole, more in zip(table.columns, read.columns, strict=True):
            whole.extend(more)
        table.numbers.extend(read.numbers)
    rows, kept, unfit = _entities(sheet, table, layout)
    rows, kept, twice = _only_once(sheet, rows, kept, layout)
    return rows, kept, sorted([*problems, *unfit, *twice], key=lambda one: one.row)


_BLOCK_ROWS = 256
"""Rows read together: a processor's cache holds their cells while column after column is read."""

_EMPTY = Cell()


class _Table(NamedTuple):
    """Values in the order of the table's columns, and the row of each, counted from 1."""

    columns: list[list[Any]]
    numbers: list[int]


class _Block(NamedTuple):
    """Some rows: the cells of each of the table's columns, what they are worth, and the rows."""

    columns: list[tuple[Cell, ...]]
    values: list[list[CellValue | None]]
    numbers: list[int]


def _block(rows: list[Row], number: int, layout: Layout) -> _Block:
    """Rows of which the first has this number, without those that are blank.

    Blank is what has nothing in the table's columns: people leave such rows between others.
    """
    grid = list(zip_longest(*[row.values for row in rows], fillvalue=_EMPTY))
    nothing = (_EMPTY,) * len(rows)
    columns = [grid[place] if place < len(grid) else nothing for place in layout.columns]
    values = [values_of(column) for column in columns]
    numbers = list(range(number, number + len(rows)))
    if any(map(all, values)):
        return _Block(columns, values, numbers)
    filled = [any(row) for row in zip(*values, strict=True)]
    return _Block(
        [tuple(compress(column, filled)) for column in columns],
        [list(compress(column, filled)) for column in values],
        list(compress(numbers, filled)),
    )


def _read_columns(block: _Block, readers: list[ColumnReader]) -> _Table | None:
    """The values of rows that all fit; None if one does not."""
    columns: list[list[Any]] = []
    for reader, cells, values in zip(readers, block.columns, block.values, strict=True):
        read = reader(cells, values)
        if read is None:
            return None
        columns.append(read)
    return _Table(columns, block.numbers)


def _read_cells(
    sheet: Sheet[Any, Any], block: _Block, readers: list[CellReader], layout: Layout
) -> tuple[_Table, list[CellProblem]]:
    """The values of the rows that fit, and what is wrong with the cells of the others."""
    read: list[list[Any]] = []
    numbers: list[int] = []
    problems: list[CellProblem] = []
    for number, cells in zip(block.numbers, zip(*block.columns, strict=True), strict=True):
        try:
            read.append([reader(cell) for reader, cell in zip(readers, cells, strict=True)])
            numbers.append(number)
        except UnfitCellError:
            problems += _unfit(sheet, readers, cells, number, layout)
    columns = list(map(list[Any], zip(*read, strict=True))) if read else [[] for _ in readers]
    return _Table(columns, numbers), problems


def _unfit(
    sheet: Sheet[Any, Any],
    readers: list[CellReader],
    cells: tuple[Cell, ...],
    number: int,
    layout: Layout,
) -> list[CellProblem]:
    problems: list[CellProblem] = []
    for column, place, reader, cell in zip(
        sheet.columns, layout.columns, readers, cells, strict=True
    ):
        try:
            reader(cell)
        except UnfitCellError as unfit:
            header = sheet.header_of(column.field)
            problems.append(CellProblem(cell_name(number - 1, place), header, str(unfit)))
    return problems


def _entities(
    sheet: Sheet[T, Any], table: _Table, layout: Layout
) -> tuple[list[T], list[int], list[CellProblem]]:
    """The entities; the rules of the fields' types are checked here."""
    if is_plain(sheet):
        return list(map(sheet.entity, *table.columns)), table.numbers, []
    names = [column.name for column in sheet.columns]
    read = [dict(zip(names, values, strict=True)) for values in zip(*table.columns, strict=True)]
    try:
        kind: Any = list[sheet.entity]  # type: ignore[name-defined]
        made: list[T] = msgspec.convert(read, kind, builtin_types=KEPT)
    except msgspec.ValidationError:
        pass
    else:
        return made, table.numbers, []
    rows: list[T] = []
    kept: list[int] = []
    problems: list[CellProblem] = []
    for values, number in zip(read, table.numbers, strict=True):
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
    keys = list(map(attrgetter(*[column.field for column in sheet.key_columns]), rows))
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
