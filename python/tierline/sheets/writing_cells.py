"""From values to cells, so that reading them gives the same values back.

Values are typed (`userEnteredValue`), never text that a spreadsheet would parse: what begins with
`=` is stored as the text that it is. What a spreadsheet's numbers cannot hold exactly is kept as
text: integers over fifteen digits, decimals, dates before 1900, and moments between microseconds or
in an hour that a clock shows twice.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Column
from tierline.sheets.reading_cells import EXACT_MAX
from tierline.sheets.serials import local, serial, span_of

CHARS_MAX = 50_000
"""The most that a cell holds."""

CellJson: TypeAlias = dict[str, Any]
CellWriter: TypeAlias = Callable[[Any], CellJson]
"""The cell of a value, as `updateCells` takes it; raises `UnstorableError`."""

VALUE_FIELDS = "userEnteredValue"
FORMATTED_FIELDS = "userEnteredValue,userEnteredFormat.numberFormat"

_FORMATS = {
    "date": {"type": "DATE", "pattern": "yyyy-mm-dd"},
    "time": {"type": "TIME", "pattern": "hh:mm:ss"},
    "timestamp": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm:ss"},
    "timestamptz": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm:ss"},
    "interval": {"type": "TIME", "pattern": "[h]:mm:ss"},
}
_DAY_US = 86_400_000_000
_MICROSECOND = dt.timedelta(microseconds=1)


class UnstorableError(Exception):
    """No cell can hold a value; the text says why and what to do."""


def fields_of(column: Column) -> str:
    """The fields of a cell that writing a column sets."""
    return FORMATTED_FIELDS if column.type.wire in _FORMATS else VALUE_FIELDS


def cell_writer(column: Column, zone: ZoneInfo) -> CellWriter:
    """What makes the cells of a column, of values as `Table.validator` hands them out.

    Args:
        column: The column.
        zone: The spreadsheet's time zone.
    """
    wire = column.type.wire
    makers: dict[str, Callable[[Any], CellJson]] = {
        "text": _text,
        "bool": lambda value: _cell("boolValue", value),
        "int8": _integer,
        "float8": _float,
        "numeric": _decimal,
        "uuid": lambda value: _text(str(value)),
        "bytea": lambda value: _text(base64.b64encode(value).decode()),
        "date": lambda value: _moment(_midnight(value), wire, value.isoformat()),
        "time": lambda value: _duration(_since_midnight(value), wire, value.isoformat()),
        "timetz": lambda value: _text(value.isoformat()),
        "interval": lambda value: _duration(value, wire, msgspec.to_builtins(value)),
        "timestamp": lambda value: _moment(value, wire, value.isoformat(" ")),
        "timestamptz": lambda value: _moment(
            local(value, zone), wire, value.astimezone(dt.UTC).isoformat(" ")
        ),
        "jsonb": lambda value: _text(bytes(value).decode()),
        "array": lambda value: _text(msgspec.json.encode(value).decode()),
    }
    make = makers[wire]

    def write(value: Any) -> CellJson:
        if value is None:
            return {}
        cell = make(value)
        if not cell and column.nullable:
            raise UnstorableError("is empty, which an empty cell is not told from; use None")
        return cell

    return write


def _cell(kind: str, value: object) -> CellJson:
    return {"userEnteredValue": {kind: value}}


def _text(value: str) -> CellJson:
    # Google counts as JavaScript does: letters beyond the first 65,536 are two.
    size = len(value) if value.isascii() else len(value.encode("utf-16-le")) // 2
    if size > CHARS_MAX:
        raise UnstorableError(
            f"has {size} characters; a cell holds {CHARS_MAX}, so keep it elsewhere, or in parts"
        )
    return _cell("stringValue", value) if value else {}


def _integer(value: int) -> CellJson:
    if abs(value) <= EXACT_MAX:
        return _cell("numberValue", value)
    return _text(str(value))


def _float(value: float) -> CellJson:
    if not math.isfinite(value):
        raise UnstorableError(f"is {value}, which no spreadsheet has; use None or a number")
    return _cell("numberValue", value)


def _decimal(value: Decimal) -> CellJson:
    if not value.is_finite():
        raise UnstorableError(f"is {value}, which no spreadsheet has; use None or a number")
    return _text(str(value))


def _formatted(number: float, wire: str) -> CellJson:
    return {
        **_cell("numberValue", number),
        "userEnteredFormat": {"numberFormat": _FORMATS[wire]},
    }


def _midnight(value: dt.date) -> dt.datetime:
    return dt.datetime.combine(value, dt.time())


def _since_midnight(value: dt.time) -> dt.timedelta:
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    return dt.timedelta(seconds=seconds, microseconds=value.microsecond)


def _moment(value: dt.datetime | None, wire: str, text: str) -> CellJson:
    number = None if value is None else serial(value)
    return _text(text) if number is None else _formatted(number, wire)


def _duration(value: dt.timedelta, wire: str, text: str) -> CellJson:
    number = value // _MICROSECOND / _DAY_US
    # Days before 1900 are shown otherwise by every spreadsheet.
    exact = number >= 0 and span_of(number) == value
    return _formatted(number, wire) if exact else _text(text)
