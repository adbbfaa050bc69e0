"""Canonical cells: a column's value as a JSON scalar that depends on the value alone.

Sheet, database and base are compared in this form only, so how a cell is shown, how many zeros a
decimal has and in which zone an instant was read make no difference. There are no JSON numbers with
a fraction: the base is kept as `jsonb`, which gives 1e25 back as an integer.

| column | canonical form |
|---|---|
| `bool`, `int` | itself |
| `float` | text of at most fifteen digits, as many as a spreadsheet shows |
| `Decimal` | text of all its digits, without zeros that do not count |
| `str` | itself with line feeds as line ends; an empty one is None where None is allowed |
| `datetime` | ISO 8601, an instant in UTC |
| `date`, `time`, `timedelta`, `UUID` | ISO 8601, or the usual text |
| `bytes` | base64 |
| `Enum`, `Literal` | the value |
| arrays, documents | JSON with sorted keys, a set's items sorted |
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias, cast

import msgspec

from tierline.entity import Column, ColumnType, Table
from tierline.entity.types import is_dict, is_list, wire_value

Cell: TypeAlias = bool | int | str | None
"""A canonical cell."""


def same(left: Cell, right: Cell) -> bool:
    """Whether two canonical cells are equal; True is not 1."""
    return type(left) is type(right) and left == right


def canonical(column: Column, value: Any) -> Cell:
    """The canonical form of a column's value.

    Args:
        column: The column.
        value: A value of the column's type, or None.

    Raises:
        TypeError: It is no value of that type.
    """
    if value is None or (value == "" and column.nullable):
        # An empty cell of a sheet is both.
        return None
    try:
        return _of_type(column.type, value)
    except (AttributeError, ValueError, OverflowError, msgspec.ValidationError) as error:
        raise TypeError(
            f"{column.field}: {type(value).__name__} is no value of {column.type.sql}"
        ) from error


def value_of(column: Column, cell: Cell) -> Any:
    """The value of a canonical cell: what `canonical` gives the same form again.

    Raises:
        TypeError: The column's type has no value of this form.
    """
    if cell is None:
        return None
    try:
        return _value(column.type, cell)
    except (ArithmeticError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise TypeError(f"{column.field}: the base holds no value of {column.type.sql}") from error


def cells_of(table: Table[Any, Any], entity: Any, fields: tuple[str, ...]) -> dict[str, Cell]:
    """The canonical cells of some of an entity's fields, by field.

    Raises:
        TypeError: A value does not fit its column.
    """
    return {field: canonical(table.by_field[field], getattr(entity, field)) for field in fields}


def row_id(table: Table[Any, Any], entity: Any) -> str:
    """What identifies a row on both sides and in the base: its key, as text.

    A key of several columns is a JSON array.
    """
    key = [canonical(column, getattr(entity, column.field)) for column in table.key_columns]
    return str(key[0]) if len(key) == 1 else msgspec.json.encode(key).decode()


def _of_type(type_: ColumnType, value: Any) -> Cell:
    if type_.choices is not None:
        return cast("Cell", wire_value(value))
    return _CANONICAL[type_.wire](type_, value)


def _text(_: ColumnType, value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _float(_: ColumnType, value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124
    # Minus zero is equal to zero.
    return f"{value + 0.0:.15g}" if value else "0"


def _decimal(_: ColumnType, value: Decimal) -> str:
    """All digits: `Decimal.normalize` would round them to the context's precision."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return "NaN" if value.is_nan() else "-Infinity" if sign else "Infinity"
    kept = "".join(map(str, digits)).rstrip("0").lstrip("0")
    if not kept:
        return "0"
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    number = Decimal((sign, tuple(map(int, kept)), exponent + trailing))
    # Spelled out as far as anybody reads it.
    return f"{number:f}" if abs(number.adjusted()) <= _SPELLED_OUT_MAX else str(number)


_SPELLED_OUT_MAX = 30


def _instant(_: ColumnType, value: dt.datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("an instant has a zone")
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"


def _moment(_: ColumnType, value: dt.datetime) -> str:
    if value.tzinfo is not None:
        raise ValueError("a timestamp has no zone")
    return value.isoformat()


def _date(_: ColumnType, value: dt.date) -> str:
    if isinstance(value, dt.datetime):
        raise ValueError("a date has no time")
    return value.isoformat()


def _array(type_: ColumnType, value: Any) -> str:
    element = cast("ColumnType", type_.element)
    items = [None if item is None else _of_type(element, item) for item in value]
    if isinstance(value, (set, frozenset)):
        items.sort(key=lambda item: (str(type(item)), str(item)))
    return msgspec.json.encode(items).decode()


def _document(_: ColumnType, value: Any) -> str:
    plain = msgspec.to_builtins(value, order="sorted")
    return msgspec.json.encode(_whole_numbers(plain), order="sorted").decode()


def _whole_numbers(value: object) -> object:
    """JSON whose whole numbers are integers: `jsonb` does not keep 1.0 and 1e25 apart from them."""
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))
    if is_dict(value):
        return {name: _whole_numbers(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_numbers(item) for item in cast("list[object]", value)]
    return value


def _plain(kind: type[Any]) -> Callable[[ColumnType, Any], Cell]:
    def canonical_of(_: ColumnType, value: Any) -> Cell:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise ValueError(f"no {kind.__name__}")
        return kind(value)  # type: ignore[no-any-return]

    return canonical_of


_CANONICAL: dict[str, Callable[[ColumnType, Any], Cell]] = {
    "bool": _plain(bool),
    "int8": _plain(int),
    "float8": _float,
    "numeric": _decimal,
    "text": _text,
    "bytea": lambda _, value: base64.b64encode(value).decode(),
    "uuid": lambda _, value: str(uuid.UUID(int=value.int)),
    "timestamptz": _instant,
    "timestamp": _moment,
    "date": _date,
    "time": lambda _, value: value.isoformat(),
    "timetz": lambda _, value: value.isoformat(),
    "interval": lambda _, value: msgspec.to_builtins(value + dt.timedelta()),
    "array": _array,
    "jsonb": _document,
}


def _value(type_: ColumnType, cell: Any) -> Any:
    if type_.choices is not None:
        return type_.choices[cell]
    match type_.wire:
        case "float8" | "numeric":
            return (float if type_.wire == "float8" else Decimal)(cell)
        case "array":
            element = cast("ColumnType", type_.element)
            items = msgspec.json.decode(cell)
            if not is_list(items) or type_.container is None:
                raise ValueError("no array")
            return type_.container(
                [None if item is None else _value(element, item) for item in items]
            )
        case "jsonb":
            return msgspec.json.decode(cell, type=type_.annotation)
        case _:
            return msgspec.convert(cell, _TYPES[type_.wire])


# An array's elements have no annotation of their own, and bounds are the table's to check.
_TYPES: dict[str, type[Any]] = {
    "bool": bool,
    "int8": int,
    "text": str,
    "bytea": bytes,
    "uuid": uuid.UUID,
    "timestamptz": dt.datetime,
    "timestamp": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "timetz": dt.time,
    "interval": dt.timedelta,
}
