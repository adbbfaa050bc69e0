"""`tl.cast`: a value as another type, where SQL and Python agree on what that is.

| to | from |
|---|---|
| `int` | numbers (the fraction is cut off, as `int` does), bool, text |
| `float`, `Decimal` | numbers, text; a float becomes the Decimal of its shortest text |
| `bool` | numbers (whether it is not 0), text (`true`, `false`, `yes`, `no`, `1`, `0`, …) |
| `str` | every scalar, as PostgreSQL writes it; an instant in UTC |
| `date`, `time` | datetimes (an instant in UTC), text in ISO 8601 |
| `datetime` | dates and datetimes without a zone (taken in UTC), text in ISO 8601 |
| `timedelta`, `UUID`, `bytes`, an Enum | text; an Enum of integers from integers |
| any of these, a Struct, list or dict | JSON |
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar, overload
from typing import cast as typed

import msgspec

from tierline.entity.types import ColumnType, Wire
from tierline.query.calls import Cast, JsonPath
from tierline.query.documents import json_type
from tierline.query.tracing import Traced

T = TypeVar("T")

_NUMBERS: tuple[Wire, ...] = ("int8", "float8", "numeric")
_FROM: dict[Wire, tuple[Wire, ...]] = {
    "int8": (*_NUMBERS, "bool", "text"),
    "float8": (*_NUMBERS, "text"),
    "numeric": (*_NUMBERS, "text"),
    "bool": ("bool", *_NUMBERS, "text"),
    "text": (*_NUMBERS, "bool", "text", "uuid", "date", "time", "timetz", "timestamp",
             "timestamptz", "interval"),
    "date": ("date", "timestamp", "timestamptz", "text"),
    "time": ("time", "timestamp", "timestamptz", "text"),
    "timetz": ("timetz", "text"),
    "timestamptz": ("timestamptz", "timestamp", "date", "text"),
    "timestamp": ("timestamptz", "timestamp", "date", "text"),
    "interval": ("interval", "text"),
    "uuid": ("uuid", "text"),
    "bytea": ("bytea", "text"),
}  # fmt: skip


Plain: TypeAlias = (
    str
    | bytes
    | float
    | Decimal
    | uuid.UUID
    | dt.date
    | dt.time
    | dt.timedelta
    | enum.Enum
    | msgspec.Struct
    | Collection[Any]
)
"""Every value that is not None."""


@overload
def cast(value: Plain, to: type[T]) -> T: ...
@overload
def cast(value: Plain | None, to: type[T]) -> T | None: ...
def cast(value: object, to: type[T]) -> T | None:
    """A value as another type; NULL stays NULL, so a field that may be None still may be.

    What stands in JSON of no type, such as ``dict[str, Any]``, may be missing: to the type checkers
    too it is an optional value then.

    Args:
        value: A field or expression; JSON too, which has no type of its own: see the example.
        to: The Python type; the table at the top of `tierline.query.casts` says what becomes of
            what. `datetime` is one with a time zone.

    Errors, when it runs: `QueryError` for a value that the type cannot hold, such as a text that
    is no number.

    Raises:
        TypeError: There is no cast between the types, or the value is a plain one: Python's own
            conversions do that.

    Example:
        ``tl.some(tl.cast(f.extra["size"], int)) > 3`` for ``extra: dict[str, Any]``
    """
    if not isinstance(value, Traced):
        raise TypeError(f"cast takes a field of the traced entity; convert {value!r} in Python")
    expr = value.expr
    target = json_type(to)
    if expr.type.wire == "jsonb":
        if isinstance(expr, JsonPath):
            return typed("T", Traced(JsonPath(expr.operand, expr.steps, target, is_cast=True)))
        return typed("T", Traced(JsonPath(expr, (), target, is_cast=True)))
    if expr.type.wire not in _FROM.get(target.wire, ()):
        raise TypeError(f"{expr.type.sql} cannot be cast to {_name(to)}{_hint(expr.type)}")
    return typed("T", Traced(Cast(expr, target)))


def _name(to: Any) -> str:
    return getattr(to, "__name__", repr(to))


def _hint(type_: ColumnType) -> str:
    return "; use `.total_seconds()`" if type_.wire == "interval" else ""
