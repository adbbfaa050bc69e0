"""Keys: from what `get_by_id` is given to the key columns' values."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tierline.entity.types import is_tuple, wire_value
from tierline.entity.validation import BadFieldsError, element_problem
from tierline.errors import FieldError

if TYPE_CHECKING:
    from tierline.entity.column import Column
    from tierline.entity.types import ColumnType

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int8": (int,),
    "float8": (float, int),
    "numeric": (Decimal, int),
    "text": (str,),
    "bytea": (bytes,),
    "uuid": (uuid.UUID,),
    "timestamptz": (dt.datetime,),
    "timestamp": (dt.datetime,),
    "date": (dt.date,),
    "time": (dt.time,),
    "timetz": (dt.time,),
    "interval": (dt.timedelta,),
}


def check_key_types(columns: tuple[Column, ...], what: str) -> None:
    """Refuse key columns whose values have no canonical form.

    Raises:
        TypeError: A column is an array or JSON.
    """
    for column in columns:
        if column.type.wire not in _PYTHON_TYPES:
            raise TypeError(
                f"{what}: field {column.field!r} is {column.type.sql}; a key has scalar fields"
            )


def key_reader(columns: tuple[Column, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a key to its columns' values.

    It raises TypeError for a key of the wrong type or length, which is the
    caller's mistake, and BadFieldsError for a value that no row can have.
    """
    steps = [_part_reader(column) for column in columns]
    if len(steps) == 1:
        step = steps[0]
        return lambda key: (step(key),)
    names = ", ".join(column.field for column in columns)

    def read(key: Any) -> tuple[Any, ...]:
        if not is_tuple(key) or len(key) != len(steps):
            raise TypeError(f"the key is a tuple ({names}), not {key!r}")
        return tuple(step(part) for step, part in zip(steps, key, strict=True))

    return read


def _part_reader(column: Column) -> Callable[[Any], Any]:
    field, type_ = column.field, column.type
    accepted = _accepted(type_)
    is_bool = type_.wire == "bool"

    def read(part: Any) -> Any:
        if not isinstance(part, accepted) or (isinstance(part, bool) and not is_bool):
            names = " or ".join(cls.__name__ for cls in accepted)
            raise TypeError(f"key field {field!r} takes {names}, not {type(part).__name__}")
        value = wire_value(part)
        problem = "is not a number" if value != value else element_problem(value, type_)  # noqa: PLR0124
        if problem is not None:
            raise BadFieldsError((FieldError(field, problem),))
        return _canonical(value, type_.wire)

    return read


def _accepted(type_: ColumnType) -> tuple[type, ...]:
    """The classes a key may be of. An Enum's value is no key: L1 would not find its member."""
    kinds: set[Any] = {type(member) for member in (type_.choices or {}).values()}
    if any(issubclass(kind, enum.Enum) for kind in kinds):
        return tuple(kinds)
    return _PYTHON_TYPES.get(type_.wire, ())


# Enough digits for any numeric (131,072 before the point, 16,383 after), so nothing is rounded.
_WIDE = decimal.Context(prec=150_000)


def _canonical(value: Any, wire: str) -> Any:
    """One form for equal keys, because L2 finds an entry by the key's text."""
    match wire:
        case "numeric":
            return _WIDE.normalize(Decimal(value)) if value else Decimal(0)
        case "float8":
            return float(value) + 0.0  # and -0.0 is 0.0
        case "timestamptz":
            return value.astimezone(dt.UTC)
        case _:
            return value
