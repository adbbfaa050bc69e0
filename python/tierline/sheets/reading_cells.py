"""From cells to values: by a column's type, exactly, or with the reason why not.

Nothing is guessed. A number is a date only where it is formatted as one and the field is a date; a
text is a number only where that loses nothing and the field's type is kept as text: long integers
and decimals. A formula or an error is never taken for a value.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import uuid
from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Column
from tierline.sheets.grid import Cell, CellValue
from tierline.sheets.serials import instant_of, moment_of, span_of

CellReader: TypeAlias = Callable[[Cell], Any]
"""The value of a cell, None for an empty one; raises `UnfitCellError`."""

EXACT_MAX = 999_999_999_999_999
"""The largest integer that a spreadsheet shows whole: fifteen digits."""

DATE_FORMATS = frozenset(("DATE", "TIME", "DATE_TIME"))
"""Formats that show a number as a moment."""

DAY_FORMATS = frozenset(("DATE", "DATE_TIME"))
"""Those of them that show a day."""


class UnfitCellError(Exception):
    """A cell does not fit its column; the text says why and what to do."""


def cell_reader(column: Column, zone: ZoneInfo, *, computed: bool) -> CellReader:
    """What reads the cells of a column.

    Args:
        column: The column.
        zone: The spreadsheet's time zone.
        computed: Whether formulas are expected there.
    """
    convert = _converter(column, zone)
    empty = value_when_empty(column)
    may_be_empty = column.nullable or empty is not None

    def read(cell: Cell) -> Any:
        value = cell.effectiveValue
        if not computed and cell.formula is not None:
            raise UnfitCellError(
                "holds a formula; name its field in computed=, or put a value there"
            )
        if value is None:
            if may_be_empty:
                return empty
            raise UnfitCellError("is empty; fill it in, or let the field be None")
        if value.errorValue is not None:
            raise UnfitCellError(f"has the error {value.errorValue.type}; repair its formula")
        return convert(value, cell)

    return read


def value_when_empty(column: Column) -> str | bytes | None:
    """The value of an empty cell: None where that is allowed, and where there is none."""
    if column.nullable:
        return None
    if column.type.wire == "bytea":
        return b""
    has_empty = column.type.choices is None or "" in column.type.choices
    return "" if column.type.wire == "text" and has_empty else None


def _converter(column: Column, zone: ZoneInfo) -> Callable[[CellValue, Cell], Any]:
    if column.type.wire in ("array", "jsonb"):
        return _document(column.type.annotation)
    readers: dict[str, Callable[[CellValue, Cell], Any]] = {
        "text": _text,
        "bool": _bool,
        "int8": _integer,
        "float8": _float,
        "numeric": _decimal,
        "uuid": _parsed("a UUID", uuid.UUID),
        "bytea": _parsed("bytes in base64", _bytes),
        "date": _date,
        "time": _time,
        "timetz": _parsed("a time such as 09:30:00+02:00", _zoned_time),
        "interval": _interval,
        "timestamp": lambda value, cell: _moment(value, cell, None),
        "timestamptz": lambda value, cell: _moment(value, cell, zone),
    }
    return readers[column.type.wire]


def _what(value: CellValue, cell: Cell) -> str:
    """What a cell holds, for the reader of an error."""
    if value.boolValue is not None:
        return "a checkbox or TRUE/FALSE"
    if value.stringValue is not None:
        return f"the text {value.stringValue!r:.60}"
    shown = f"{value.numberValue:.15g}"
    if cell.format_type in DATE_FORMATS:
        return f"the number {shown} that is shown as a {cell.format_type.lower().replace('_', ' ')}"
    return f"the number {shown}"


def _unfit(value: CellValue, cell: Cell, wanted: str) -> UnfitCellError:
    return UnfitCellError(f"is {_what(value, cell)}, not {wanted}")


def _text(value: CellValue, cell: Cell) -> str:
    if value.stringValue is not None:
        return value.stringValue
    if value.boolValue is not None:
        return "TRUE" if value.boolValue else "FALSE"
    number = value.numberValue
    if number is None or cell.format_type in DATE_FORMATS:
        raise _unfit(value, cell, "a text; format the column as plain text")
    if number.is_integer():
        if abs(number) > EXACT_MAX:
            raise _unfit(value, cell, "a text; its last digits are lost, format it as plain text")
        return str(int(number))
    return repr(number)


def _bool(value: CellValue, cell: Cell) -> bool:
    if value.boolValue is not None:
        return value.boolValue
    text = (value.stringValue or "").strip().upper()
    if text not in ("TRUE", "FALSE"):
        raise _unfit(value, cell, "TRUE or FALSE")
    return text == "TRUE"


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def _integer(value: CellValue, cell: Cell) -> int:
    number = value.numberValue
    if number is not None and cell.format_type not in DATE_FORMATS and number.is_integer():
        if abs(number) > EXACT_MAX:
            raise _unfit(
                value, cell, "exact: over 15 digits the last are lost, so keep it as plain text"
            )
        return int(number)
    text = (value.stringValue or "").strip()
    if not _INTEGER.fullmatch(text):
        raise _unfit(value, cell, "a whole number")
    return int(text)


def _float(value: CellValue, cell: Cell) -> float:
    if value.numberValue is None or cell.format_type in DATE_FORMATS:
        raise _unfit(
            value, cell, "a number; type it as the spreadsheet's locale has it, or clear the format"
        )
    return value.numberValue


_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def _decimal(value: CellValue, cell: Cell) -> Decimal:
    if value.numberValue is not None and cell.format_type not in DATE_FORMATS:
        # A spreadsheet's numbers have fifteen digits that count.
        return Decimal(f"{value.numberValue:.15g}")
    text = (value.stringValue or "").strip()
    if not _DECIMAL.fullmatch(text):
        raise _unfit(value, cell, "a decimal number")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _unfit(value, cell, "a decimal number") from None


def _parsed(wanted: str, parse: Callable[[str], Any]) -> Callable[[CellValue, Cell], Any]:
    def read(value: CellValue, cell: Cell) -> Any:
        if value.stringValue is None:
            raise _unfit(value, cell, wanted)
        try:
            return parse(value.stringValue.strip())
        except ValueError:
            raise _unfit(value, cell, wanted) from None

    return read


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


def _zoned_time(text: str) -> dt.time:
    found = dt.time.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def _document(annotation: Any) -> Callable[[CellValue, Cell], Any]:
    decoder = msgspec.json.Decoder(annotation)

    def parse(text: str) -> Any:
        try:
            return decoder.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(text) from error

    return _parsed("JSON", parse)


_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date(value: CellValue, cell: Cell) -> dt.date:
    wanted = "a date; format the column as a date, or write it as 2026-03-01"
    if value.stringValue is not None and _ISO_DATE.fullmatch(value.stringValue.strip()):
        try:
            return dt.date.fromisoformat(value.stringValue.strip())
        except ValueError:
            raise _unfit(value, cell, wanted) from None
    found = _shown_moment(value, cell, DAY_FORMATS)
    if found is None or found.time() != dt.time(0):
        raise _unfit(value, cell, wanted)
    return found.date()


def _time(value: CellValue, cell: Cell) -> dt.time:
    wanted = "a time of day; format the column as a time, or write it as 09:30:00"
    if value.stringValue is not None:
        try:
            found = dt.time.fromisoformat(value.stringValue.strip())
        except ValueError:
            raise _unfit(value, cell, wanted) from None
        if found.tzinfo is None:
            return found
    moment = _shown_moment(value, cell, ("TIME", "DATE_TIME"))
    if moment is None or not 0 <= (value.numberValue or 0) < 1:
        raise _unfit(value, cell, wanted)
    return moment.time()


def _interval(value: CellValue, cell: Cell) -> dt.timedelta:
    wanted = "a duration; format the column as a duration, or write it as PT90S"
    try:
        if value.stringValue is not None:
            return msgspec.convert(value.stringValue.strip(), dt.timedelta, strict=False)
        if value.numberValue is not None and cell.format_type in ("TIME", "DATE_TIME"):
            return span_of(value.numberValue)
    except (msgspec.ValidationError, OverflowError):
        pass
    raise _unfit(value, cell, wanted)


def _moment(value: CellValue, cell: Cell, zone: ZoneInfo | None) -> dt.datetime:
    wanted = "a date and time; format the column so, or write it as 2026-03-01 09:30:00"
    found: dt.datetime | None = None
    if value.stringValue is not None:
        try:
            found = dt.datetime.fromisoformat(value.stringValue.strip())
        except ValueError:
            raise _unfit(value, cell, wanted) from None
    else:
        found = _shown_moment(value, cell, DAY_FORMATS)
    if found is not None and zone is not None:
        found = instant_of(found, zone) if found.tzinfo is None else found.astimezone(dt.UTC)
    if found is None or (zone is None and found.tzinfo is not None):
        raise _unfit(value, cell, wanted)
    return found


def _shown_moment(value: CellValue, cell: Cell, formats: Collection[str]) -> dt.datetime | None:
    """The moment of a number that is shown as one; of others it would be a guess."""
    if value.numberValue is None or cell.format_type not in formats:
        return None
    return moment_of(value.numberValue)
