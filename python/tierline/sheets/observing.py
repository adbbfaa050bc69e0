"""A worksheet as somebody sees it who looks again and again: which rows are there, fit or not."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from tierline.entity import Sheet
from tierline.errors import CellProblem, DecodeError, QueryError, RepositoryError
from tierline.result import Failure, Result, Success
from tierline.sheets.grid import FIELDS, Book, Cell, Row, Worksheet, quoted, read_book
from tierline.sheets.http import SheetsHttp
from tierline.sheets.layout import Layout
from tierline.sheets.reading_cells import CellReader, UnfitCellError, cell_reader
from tierline.sheets.snapshot import Snapshot, missing_worksheet, snapshot

T = TypeVar("T")

_BOOKS = "https://sheets.googleapis.com/v4/spreadsheets"
_EMPTY = Cell()
_KEPT = (bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, uuid.UUID)


class Observed(NamedTuple, Generic[T]):
    """What is in a worksheet.

    Attributes:
        rows: The entities of the rows that fit, by key.
        held: The keys of rows that are there and do not fit: nothing is known of their values.
        is_vague: Whether there are rows whose key cannot be read: any other may be among them.
        problems: What does not fit.
    """

    rows: dict[Any, T]
    held: frozenset[Any]
    is_vague: bool
    problems: tuple[CellProblem, ...]


def observe(http: SheetsHttp, sheet: Sheet[T, Any]) -> Result[Observed[T], RepositoryError]:
    """What is in a worksheet now.

    Errors: as `Sheets.read`.
    """
    asked = _book(http, sheet, {"ranges": quoted(sheet.worksheet), "fields": FIELDS})
    if isinstance(asked, Failure):
        if isinstance(asked.failure(), QueryError):
            # Google says no more of a worksheet that is not there.
            titles = _titles(http, sheet)
            if isinstance(titles, Success) and sheet.worksheet not in titles.unwrap():
                return Failure(missing_worksheet(sheet, titles.unwrap()))
        return asked
    try:
        return Success(observed(sheet, asked.unwrap()))
    except RepositoryError as error:
        return Failure(error)


def _book(
    http: SheetsHttp, sheet: Sheet[Any, Any], params: dict[str, str]
) -> Result[Book, RepositoryError]:
    url = f"{_BOOKS}/{quote(sheet.spreadsheet, safe='')}"
    answered = http.ask("GET", url, repeat="read", params=params)
    if isinstance(answered, Failure):
        return answered
    try:
        return Success(read_book(answered.unwrap()))
    except msgspec.DecodeError as error:
        broken = DecodeError("Google's answer cannot be read; it was cut, or is of another kind")
        broken.__cause__ = error
        return Failure(broken)


def _titles(http: SheetsHttp, sheet: Sheet[Any, Any]) -> Result[list[str], RepositoryError]:
    asked = _book(http, sheet, {"fields": "sheets(properties(title))"})
    if isinstance(asked, Failure):
        return asked
    return Success([one.properties.title for one in asked.unwrap().sheets])


def observed(sheet: Sheet[T, Any], book: Book) -> Observed[T]:
    """What is in a worksheet, by what Google answered.

    Raises:
        SheetLayoutError: It is not there, or its header row does not fit the table.
    """
    found = snapshot(sheet, book)
    worksheet = next(one for one in book.sheets if one.properties.title == sheet.worksheet)
    merged = _merged(sheet, worksheet, found.layout)
    rows = {
        sheet.key_of(row): row
        for row, number in zip(found.rows, found.numbers, strict=True)
        if number not in merged
    }
    if not found.problems:
        return Observed(rows, frozenset(), is_vague=False, problems=())
    held, is_vague = _held(sheet, found, worksheet, merged)
    # Of two rows with one key nobody knows which is the true one.
    fit = {key: row for key, row in rows.items() if key not in held}
    return Observed(fit, held, is_vague, found.problems)


def _held(
    sheet: Sheet[Any, Any], found: Snapshot[Any], worksheet: Worksheet, merged: dict[int, bool]
) -> tuple[frozenset[Any], bool]:
    """The keys of the rows that do not fit, and whether there are rows without any."""
    readers = [
        (found.layout.columns[n], column.field, cell_reader(column, found.zone, computed=False))
        for n, column in enumerate(sheet.columns)
        if column in sheet.key_columns
    ]
    fit = set(found.numbers) - merged.keys()
    held: set[Any] = set()
    is_vague = any(merged.values())
    data = worksheet.data[0].rowData if worksheet.data else []
    for number, row in enumerate(data[sheet.header_row :], sheet.header_row + 1):
        if number in fit or merged.get(number) or _is_blank(row, found.layout):
            continue
        try:
            held.add(_key(sheet, readers, row))
        except (UnfitCellError, msgspec.ValidationError):
            is_vague = True
    return frozenset(held), is_vague


def _key(sheet: Sheet[Any, Any], readers: list[tuple[int, str, CellReader]], row: Row) -> Any:
    """The key of a row whose other cells may be anything.

    Raises:
        UnfitCellError: It has none.
        msgspec.ValidationError: It breaks a rule of its field's type.
    """
    parts: dict[str, Any] = {}
    for place, field, reader in readers:
        value = reader(row.values[place] if place < len(row.values) else _EMPTY)
        parts[field] = msgspec.convert(value, sheet.annotations[field], builtin_types=_KEPT)
    key = tuple(parts[column.field] for column in sheet.key_columns)
    return key[0] if len(key) == 1 else key


def _is_blank(row: Row, layout: Layout) -> bool:
    width = len(row.values)
    return all(
        place >= width or row.values[place].effectiveValue is None for place in layout.columns
    )


def _merged(sheet: Sheet[Any, Any], worksheet: Worksheet, layout: Layout) -> dict[int, bool]:
    """The rows with merged cells in the table's columns, and whether their key is among these."""
    keys = {
        layout.columns[n] for n, column in enumerate(sheet.columns) if column in sheet.key_columns
    }
    rows: dict[int, bool] = {}
    for merge in worksheet.merges:
        columns = set(range(merge.startColumnIndex, merge.endColumnIndex))
        if columns.isdisjoint(layout.columns):
            continue
        for row in range(max(merge.startRowIndex, sheet.header_row), merge.endRowIndex):
            rows[row + 1] = rows.get(row + 1, False) or not columns.isdisjoint(keys)
    return rows
