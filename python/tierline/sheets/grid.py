"""What the Sheets API answers a read of cells with, typed, and the mask that asks for no more."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from tierline.errors import DecodeError

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
    """One cell of an answer in which nothing is a formula."""

    effectiveValue: CellValue | None = None  # noqa: N815
    effectiveFormat: CellFormat | None = None  # noqa: N815

    @property
    def formula(self) -> str | None:
        """Its formula, if it is one."""
        return None

    @property
    def format_type(self) -> str:
        """How a number in it is shown; empty where nothing says so."""
        form = self.effectiveFormat
        return "" if form is None or form.numberFormat is None else form.numberFormat.type


class EnteredCell(Cell, gc=False):
    """One cell, which may be a formula."""

    userEnteredValue: Entered | None = None  # noqa: N815

    @property
    def formula(self) -> str | None:
        """Its formula, if it is one."""
        entered = self.userEnteredValue
        return None if entered is None else entered.formulaValue


C = TypeVar("C", bound=Cell)


class RowOf(msgspec.Struct, Generic[C], gc=False):
    """The cells of a row, without the empty ones at its end."""

    values: list[C] = []


Row: TypeAlias = RowOf[Cell]

_ROW = msgspec.json.Decoder(Row)
_ENTERED_ROW = msgspec.json.Decoder(RowOf[EnteredCell])


_ROWS_KEPT_MAX = 1000
"""Rows of a range that are decoded with it. Cells of more take memory that is slow to fill and to
free, so those are decoded where they are read."""


class GridData(msgspec.Struct, dict=True):
    """The cells of a range.

    Attributes:
        encoded: Its rows as they came.
    """

    startRow: int = 0  # noqa: N815
    startColumn: int = 0  # noqa: N815
    encoded: list[msgspec.Raw] = msgspec.field(name="rowData", default_factory=list[msgspec.Raw])

    def __post_init__(self) -> None:
        """Decode a few rows now, so that what is no answer is found at once."""
        if self.row_count <= _ROWS_KEPT_MAX:
            self.__dict__["rowData"] = list(map(_ENTERED_ROW.decode, self.encoded))

    @cached_property
    def rowData(self) -> list[Row]:  # noqa: N802
        """All rows.

        Raises:
            DecodeError: They are none.
        """
        return self.decoded(0, self.row_count)

    @property
    def row_count(self) -> int:
        """How many rows came."""
        return len(self.encoded)

    @property
    def may_have_formulas(self) -> bool:
        """Whether a cell may be a formula."""
        return self._decoder is _ENTERED_ROW

    def has_no_formulas(self) -> None:
        """What was entered in its cells needs no object, for no formula is among it."""
        self.__dict__["decoder"] = _ROW

    @property
    def _decoder(self) -> msgspec.json.Decoder[Any]:
        found: msgspec.json.Decoder[Any] = self.__dict__.get("decoder", _ENTERED_ROW)
        return found

    def decoded(self, first: int, end: int) -> list[Row]:
        """Some rows, which are not kept.

        Raises:
            DecodeError: They are none.
        """
        whole: list[Row] | None = self.__dict__.get("rowData")
        if whole is not None:
            return whole[first:end]
        try:
            return list(map(self._decoder.decode, self.encoded[first:end]))
        except msgspec.DecodeError as error:
            broken = DecodeError("Google's answer cannot be read; it is of another kind")
            raise broken from error


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
    book = _DECODER.decode(body)
    # Quotes within a text are escaped, so this stands nowhere but where a cell has a formula.
    if b'"formulaValue"' not in body:
        for sheet in book.sheets:
            for data in sheet.data:
                data.has_no_formulas()
    return book


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
