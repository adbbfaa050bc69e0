"""From columns of cells to columns of values: what `reading_cells` reads, many cells at a time.

Most columns hold one kind of value in every cell. Those are told by looking at all their cells at
once; of others each cell is read by itself, so that both come to the same.
"""

from __future__ import annotations

import datetime as dt
import inspect
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import compress
from operator import attrgetter
from typing import Any, TypeAlias, cast

from tierline.entity import Column, Sheet
from tierline.entity.types import without_none
from tierline.sheets.grid import Cell, CellValue
from tierline.sheets.reading_cells import (
    DATE_FORMATS,
    DAY_FORMATS,
    EXACT_MAX,
    CellReader,
    UnfitCellError,
    value_when_empty,
)
from tierline.sheets.serials import day_of

ColumnReader: TypeAlias = Callable[[Sequence[Cell], list[CellValue | None]], list[Any] | None]
"""The values of cells, given with what each is worth; None if one of them does not fit."""

_Cells: TypeAlias = Sequence[Cell]
_Values: TypeAlias = list[CellValue]
_ReadAll: TypeAlias = Callable[[_Cells, _Values], list[Any] | None]

_VALUE = attrgetter("effectiveValue")
_FORMAT = attrgetter("effectiveFormat")
_FORMAT_TYPE = attrgetter("format_type")
_NUMBER_FORMAT_TYPE = attrgetter("effectiveFormat.numberFormat.type")
_NUMBER = attrgetter("numberValue")
_TEXT = attrgetter("stringValue")
_BOOL = attrgetter("boolValue")


def column_reader(column: Column, read: CellReader, *, may_be_computed: bool) -> ColumnReader:
    """What reads the cells of a column together.

    Args:
        column: The column.
        read: What reads one of them.
        may_be_computed: Whether formulas are expected there, or there are none.
    """
    make = _ALIKE.get(column.type.wire)
    alike = None if make is None else make()
    empty = value_when_empty(column)
    may_be_empty = column.nullable or empty is not None

    def read_all(cells: _Cells, values: list[CellValue | None]) -> list[Any] | None:
        if alike is None or (not may_be_computed and _has_formula(cells)):
            return _one_by_one(read, cells)
        if all(values):
            return alike(cells, cast("_Values", values)) or _one_by_one(read, cells)
        if not may_be_empty:
            return None
        filled = alike(list(compress(cells, values)), list(filter(None, values)))
        if filled is None:
            return _one_by_one(read, cells)
        rest = iter(filled)
        return [empty if value is None else next(rest) for value in values]

    return read_all


def values_of(cells: _Cells) -> list[CellValue | None]:
    """What each cell is worth; None for an empty one."""
    return list(map(_VALUE, cells))


def _one_by_one(read: CellReader, cells: _Cells) -> list[Any] | None:
    try:
        return [read(cell) for cell in cells]
    except UnfitCellError:
        return None


def _has_formula(cells: _Cells) -> bool:
    return any(cell.formula is not None for cell in cells)


def _numbers(cells: _Cells, values: _Values) -> list[float] | None:
    """Numbers, if all are and none is shown as a date."""
    found = list(map(_NUMBER, values))
    if None in found:
        return None
    if any(map(_FORMAT, cells)) and not DATE_FORMATS.isdisjoint(map(_FORMAT_TYPE, cells)):
        return None
    return found


def _integers(cells: _Cells, values: _Values) -> list[int] | None:
    found = _numbers(cells, values)
    if found is None or not all(map(float.is_integer, found)):
        return None
    if max(found, default=0) > EXACT_MAX or min(found, default=0) < -EXACT_MAX:
        return None
    return list(map(int, found))


def _texts(_cells: _Cells, values: _Values) -> list[str] | None:
    found = list(map(_TEXT, values))
    return None if None in found else found


def _booleans(_cells: _Cells, values: _Values) -> list[bool] | None:
    found = list(map(_BOOL, values))
    return None if None in found else found


class _Days(dict[float, "dt.date | None"]):
    """The days of serial numbers: most are there many times."""

    def __missing__(self, number: float) -> dt.date | None:
        day = self[number] = day_of(number)
        return day


def _dates() -> _ReadAll:
    days = _Days()

    def read(cells: _Cells, values: _Values) -> list[dt.date | None] | None:
        """Dates, if all are numbers that are shown as one."""
        numbers = list(map(_NUMBER, values))
        try:
            shown = set(map(_NUMBER_FORMAT_TYPE, cells))
        except AttributeError:
            # Something has no format.
            return None
        if None in numbers or not shown <= DAY_FORMATS:
            return None
        found = list(map(days.__getitem__, numbers))
        return None if None in found else found

    return read


_ALIKE: dict[str, Callable[[], _ReadAll]] = {
    "bool": lambda: _booleans,
    "date": _dates,
    "float8": lambda: _numbers,
    "int8": lambda: _integers,
    "text": lambda: _texts,
}
"""By how a column's values travel; None from one of these says that not all cells are alike."""


def is_plain(sheet: Sheet[Any, Any]) -> bool:
    """Whether values of the columns' types make an entity as they are, with no rule left to check.

    Then the entity's own constructor makes it, in a tenth of the time of `msgspec.convert`.
    """
    entity: Any = sheet.entity
    if hasattr(entity, "__post_init__"):
        return False
    taken = inspect.signature(entity).parameters.values()
    by_place = [one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
    return by_place == [column.field for column in sheet.columns] and all(
        without_none(annotation)[0] in _PLAIN for annotation in sheet.annotations.values()
    )


_PLAIN = {
    bool, bytes, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal, float, int, str, uuid.UUID,
}  # fmt: skip
