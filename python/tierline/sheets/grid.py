"""What the Sheets API answers a read of cells with, typed, and the mask that asks for no more."""

from __future__ import annotations

import msgspec

FIELDS = (
    "spreadsheetId,properties(timeZone),sheets(properties(sheetId,title,gridProperties),merges,"
    "data(startRow,startColumn,rowData.values(effectiveValue,userEnteredValue.formulaValue,"
    "effectiveFormat.numberFormat)))"
)
"""One read tells a cell's value with its type, and whether it is a formula or a date."""

MARKER_FIELDS = "namedRanges(namedRangeId,name)"
"""What batches before have left."""


class CellErrorValue(msgspec.Struct, gc=False):
    """Why a formula has no value."""

    type: str = "ERROR"
    message: str = ""


class CellValue(msgspec.Struct, gc=False):
    """A cell's value: one of these is set."""

    numberValue: float | None = None  # noqa: N815 (the API's names)
    stringValue: str | None = None  # noqa: N815
    boolValue: bool | None = None  # noqa: N815
    errorValue: CellErrorValue | None = None  # noqa: N815


class Entered(msgspec.Struct, gc=False):
    """What was typed, where it is a formula."""

    formulaValue: str | None = None  # noqa: N815


class NumberFormat(msgspec.Struct, gc=False):
    """How a number is shown: `DATE`, `PERCENT` and so on."""

    type: str = ""
    pattern: str = ""


class CellFormat(msgspec.Struct, gc=False):
    """How a cell is shown."""

    numberFormat: NumberFormat | None = None  # noqa: N815


class Cell(msgspec.Struct, gc=False):
    """One cell."""

    effectiveValue: CellValue | None = None  # noqa: N815
    userEnteredValue: Entered | None = None  # noqa: N815
    effectiveFormat: CellFormat | None = None  # noqa: N815

    @property
    def format_type(self) -> str:
        """How a number in it is shown; empty where nothing says so."""
        form = self.effectiveFormat
        return "" if form is None or form.numberFormat is None else form.numberFormat.type


class Row(msgspec.Struct, gc=False):
    """The cells of a row, without the empty ones at its end."""

    values: list[Cell] = []


class GridData(msgspec.Struct):
    """The cells of a range."""

    startRow: int = 0  # noqa: N815
    startColumn: int = 0  # noqa: N815
    rowData: list[Row] = []  # noqa: N815


class GridProperties(msgspec.Struct, frozen=True):
    """How large a worksheet is."""

    rowCount: int = 0  # noqa: N815
    columnCount: int = 0  # noqa: N815


class WorksheetProperties(msgspec.Struct, frozen=True):
    """What a worksheet is called."""

    sheetId: int = 0  # noqa: N815
    title: str = ""
    gridProperties: GridProperties = GridProperties()  # noqa: N815


class GridRange(msgspec.Struct):
    """A rectangle, from its first to behind its last row and column, counted from 0."""

    startRowIndex: int = 0  # noqa: N815
    endRowIndex: int = 0  # noqa: N815
    startColumnIndex: int = 0  # noqa: N815
    endColumnIndex: int = 0  # noqa: N815


class Worksheet(msgspec.Struct):
    """A worksheet with its cells."""

    properties: WorksheetProperties = WorksheetProperties()
    merges: list[GridRange] = []
    data: list[GridData] = []


class BookProperties(msgspec.Struct, frozen=True):
    """What is true of a whole spreadsheet."""

    timeZone: str = "Etc/GMT"  # noqa: N815


class NamedRange(msgspec.Struct):
    """A range that has a name: markers of batches are."""

    namedRangeId: str = ""  # noqa: N815
    name: str = ""


class Book(msgspec.Struct):
    """A spreadsheet."""

    spreadsheetId: str = ""  # noqa: N815
    properties: BookProperties = BookProperties()
    sheets: list[Worksheet] = []
    namedRanges: list[NamedRange] = []  # noqa: N815

    def worksheet(self, title: str) -> Worksheet | None:
        """The worksheet that has a title."""
        return next((one for one in self.sheets if one.properties.title == title), None)


_DECODER = msgspec.json.Decoder(Book)


def read_book(body: bytes) -> Book:
    """The spreadsheet that an answer shows.

    Raises:
        msgspec.DecodeError: It is no such answer.
    """
    return _DECODER.decode(body)


def column_letters(column: int) -> str:
    """The letters of a column counted from 0: `A`, …, `Z`, `AA`."""
    letters = ""
    column += 1
    while column:
        column, last = divmod(column - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def cell_name(row: int, column: int) -> str:
    """The A1 name of a cell, counted from 0."""
    return f"{column_letters(column)}{row + 1}"


def quoted(title: str) -> str:
    """A worksheet's title as a range begins with it."""
    return "'" + title.replace("'", "''") + "'"
