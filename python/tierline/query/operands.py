"""Operands: the types that plain values get in a query, and what operators make of types."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, cast

import msgspec

from tierline.entity.types import BOOL, FLOAT8, INT8, TEXT, ColumnType, scalar_type
from tierline.entity.validation import INT8_MAX, INT8_MIN
from tierline.query.expressions import ArithmeticOperator, Value

NUMERIC = scalar_type("numeric", Decimal)
TIMESTAMPTZ = scalar_type("timestamptz", dt.datetime)
TIMESTAMP = scalar_type("timestamp", dt.datetime)
INTERVAL = scalar_type("interval", dt.timedelta)

_TYPES: dict[type, ColumnType] = {
    bool: BOOL,
    float: FLOAT8,
    str: TEXT,
    Decimal: NUMERIC,
    bytes: scalar_type("bytea", bytes),
    uuid.UUID: scalar_type("uuid", uuid.UUID),
    dt.date: scalar_type("date", dt.date),
    dt.timedelta: INTERVAL,
}

_TEMPORAL = ("timestamptz", "timestamp", "date")


def literal(value: object, beside: ColumnType) -> Value:
    """A plain value as a parameter; its type comes from what it stands beside.

    Raises:
        TypeError: The value does not fit beside that type.
    """
    if value is None:
        raise TypeError("a comparison with None is never true in SQL; use `tl.is_null(…)`")
    if beside.is_number and isinstance(value, (int, float, Decimal)) and beside.choices is None:
        if not isinstance(value, bool):
            return number(value)
    elif beside.wire in _TEMPORAL and isinstance(value, dt.datetime):
        return _instant(value, beside)
    return Value(fitted(value, beside), beside)


def number(value: float | Decimal) -> Value:
    """A number as a parameter of its own type; integers beyond 64 bits travel as numeric."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (
            Value(value, INT8) if INT8_MIN <= value <= INT8_MAX else Value(Decimal(value), NUMERIC)
        )
    return Value(value, _TYPES[type(value)])


def _instant(value: dt.datetime, beside: ColumnType) -> Value:
    zoned = value.tzinfo is not None
    if beside.wire == "timestamptz" and not zoned:
        raise TypeError("a timestamptz field is compared with a datetime that has a time zone")
    if beside.wire != "timestamptz" and zoned:
        raise TypeError(f"a {beside.sql} field is compared with a datetime without a time zone")
    return Value(value, TIMESTAMPTZ if zoned else TIMESTAMP)


def fitted(value: object, type_: ColumnType) -> Any:
    """The value as it travels for a column type.

    Raises:
        TypeError: It is of another type.
    """
    if type_.choices is not None:
        wire = value.value if isinstance(value, enum.Enum) else value
        if wire in type_.choices:
            return wire
        raise TypeError(f"{value!r} is not one of {list(type_.choices.values())}")
    if type_.wire == "jsonb":
        return json_of(value)
    if type_.wire == "array":
        return _array(value, type_)
    try:
        return msgspec.convert(
            value,
            _instance_of(type_),
            builtin_types=(bytes, dt.date, dt.time, dt.datetime, dt.timedelta, Decimal, uuid.UUID),
        )
    except msgspec.ValidationError:
        raise TypeError(f"{value!r} does not fit beside a field of type {type_.sql}") from None


# Stands for every document with half a letter: no server and no encoder takes it.
_UNSTORABLE = b'"\\ud800"'


def json_of(value: object) -> bytes:
    """A document as it travels.

    What PostgreSQL cannot hold, such as half a letter, is no mistake of whoever wrote the query: it
    is refused where values are encoded, as in plain text.

    Raises:
        TypeError: It has no JSON form.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return _UNSTORABLE
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{value!r} has no JSON form") from None


def _array(value: object, type_: ColumnType) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"{value!r} does not fit beside a field of type {type_.sql}")
    element = cast("ColumnType", type_.element)
    return [fitted(item, element) for item in in_one_order(cast("Collection[object]", value))]


def in_one_order(values: Collection[object]) -> Collection[object]:
    """The values; those of a set in an order that is the same in every process.

    A set of texts has another order in each, and a page's cursor is bound to the values.
    """
    return sorted(values, key=repr) if isinstance(values, AbstractSet) else values


def _instance_of(type_: ColumnType) -> Any:
    """The plain type without declared bounds: a value outside them matches nothing."""
    plain = {"bool": bool, "int8": int, "float8": float, "numeric": Decimal, "text": str,
             "bytea": bytes, "uuid": uuid.UUID, "date": dt.date, "interval": dt.timedelta,
             "time": dt.time, "timetz": dt.time}  # fmt: skip
    return plain.get(type_.wire, type_.annotation)


def type_of(value: object) -> ColumnType:
    """The column type of a plain value that stands beside nothing.

    Raises:
        TypeError: No column type holds it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return INT8
    if isinstance(value, dt.datetime):
        return TIMESTAMP if value.tzinfo is None else TIMESTAMPTZ
    try:
        return _TYPES[type(value)]
    except KeyError:
        raise TypeError(f"{value!r} cannot be part of a query") from None


def comparable(left: ColumnType, right: ColumnType) -> bool:
    """Whether values of the two types can be compared."""
    return (
        left.oid == right.oid
        or (left.is_number and right.is_number)
        or (left.wire in _TEMPORAL and right.wire in _TEMPORAL)
    )


def result_type(operator: ArithmeticOperator, left: ColumnType, right: ColumnType) -> ColumnType:
    """The type that an operator makes of two types.

    Raises:
        TypeError: It has no meaning for them.
    """
    if left.is_number and right.is_number:
        return _number_type(operator, left, right)
    match operator, left.wire, right.wire:
        case "+", "text", "text":
            return TEXT
        case (("+" | "-"), ("timestamptz" | "timestamp" | "interval"), "interval"):
            return left
        case "+", "interval", ("timestamptz" | "timestamp" | "date"):
            return right
        case (("+" | "-"), "date", "interval"):
            return left
        case "-", "date", "date":
            return INTERVAL
        case "-", ("timestamptz" | "timestamp"), same if same == left.wire:
            return INTERVAL
        case (("*" | "/"), "interval", ("int8" | "float8")):
            return INTERVAL
        case _:
            raise TypeError(f"{left.sql} {operator} {right.sql} has no meaning here")


def _number_type(operator: ArithmeticOperator, left: ColumnType, right: ColumnType) -> ColumnType:
    wires = {left.wire, right.wire}
    if "float8" in wires:
        if operator in ("//", "%"):
            raise TypeError(f"{operator} has no exact meaning on floats; use integers or Decimal")
        return FLOAT8
    if "numeric" in wires:
        return NUMERIC
    return FLOAT8 if operator == "/" else INT8
