"""The types that plain values travel as where nothing stands beside them, as in `tl.sql`."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec

from tierline.entity.types import BOOL, FLOAT8, TEXT, ColumnType, array_of, scalar_type
from tierline.query.expressions import Value
from tierline.query.operands import NUMERIC, json_of, number, type_of

UNKNOWN = ColumnType("unknown", 0, frozenset(), "text", object)
"""The type of NULL and of an empty array: the server takes the one that fits."""

_JSONB = scalar_type("jsonb", object)
_EMPTY_ARRAY = "{}"


def plain_value(name: str, value: object) -> Value:
    """A value as a parameter of the type that its class says.

    Args:
        name: What it is called, for the message.
        value: None, a scalar, a Collection of scalars (one array), a Mapping or a Struct (JSON).

    Raises:
        TypeError: No column type holds it.
    """
    try:
        return _value(value)
    except TypeError as error:
        raise TypeError(f"sql: the value {name!r}: {error}") from None


def _value(value: object) -> Value:
    if isinstance(value, enum.Enum):
        return _value(value.value)
    if value is None:
        return Value(None, UNKNOWN)
    if isinstance(value, (Mapping, msgspec.Struct)):
        return Value(json_of(cast("object", value)), _JSONB)
    if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
        return _array(cast("Collection[object]", value))
    return _scalar(value)


def _scalar(value: object) -> Value:
    # Subclasses, such as a NumPy float, travel as what they are.
    match value:
        case bool():
            return Value(value, BOOL)
        case int():
            return number(value)
        case float():
            return Value(float(value), FLOAT8)
        case str():
            return Value(value, TEXT)
        case dt.time():
            return Value(value, scalar_type("time" if value.tzinfo is None else "timetz", dt.time))
        case _:
            return Value(value, type_of(value))


def _array(items: Collection[object]) -> Value:
    found = [_value(item) for item in items]
    if not found:
        return Value(_EMPTY_ARRAY, UNKNOWN)
    types = {item.type.sql: item.type for item in found}
    if "unknown" in types:
        raise TypeError("an array with None or an empty list; leave them out")
    if types.keys() <= {"bigint", "numeric"}:
        element = types.get("numeric", found[0].type)
    elif types.keys() == {"bigint", "double precision"}:
        element = FLOAT8
    elif len(types) == 1:
        element = found[0].type
    else:
        raise TypeError(f"an array of different types: {', '.join(sorted(types))}")
    if element.wire == "array":
        raise TypeError("an array of arrays; give it one dimension, or JSON")
    values: list[Any] = [item.value for item in found]
    if element is NUMERIC:
        values = [Decimal(value) for value in values]
    return Value(values, array_of(msgspec.structs.replace(element, choices=None)))
