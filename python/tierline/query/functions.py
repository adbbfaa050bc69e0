"""What lambdas call: `tl.some`, `tl.is_null`, `tl.desc`, the aggregates.

Typed as functions on plain values, so that a lambda over an entity type-checks;
under tracing they build expressions. Those that have a plain meaning keep it on
plain values: the same predicate also runs on real objects.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast, overload

import msgspec

from tierline.entity.types import FLOAT8, INT8, array_of
from tierline.query.expressions import (
    Aggregate,
    Expr,
    IsNull,
    Membership,
    Not,
    Ordering,
    Value,
    has_aggregate,
)
from tierline.query.operands import NUMERIC, comparable, fitted
from tierline.query.parameters import Param
from tierline.query.tracing import Traced, boolean, text_match

T = TypeVar("T")
N = TypeVar("N", int, float, Decimal)
M = TypeVar("M", float, Decimal)
E = TypeVar("E", bound=enum.Enum)
# Constrained, so that a list of another type does not widen it to `object`.
P = TypeVar(
    "P", str, int, float, Decimal, bytes, uuid.UUID, dt.datetime, dt.date, dt.time, dt.timedelta
)


def some(value: T | None) -> T:
    """The value of an optional field, for comparing it; a NULL matches no comparison.

    Raises:
        ValueError: Called on a plain None.
    """
    if value is None:
        raise ValueError("some(None): there is no value; test with tl.is_null first")
    return value


def is_null(value: object) -> bool:
    """Whether the field is NULL."""
    return cast("bool", Traced(IsNull(value.expr))) if isinstance(value, Traced) else value is None


def not_(condition: bool) -> bool:  # noqa: FBT001 (a condition is what it negates)
    """The negation of a condition; unknown stays unknown."""
    given: Any = condition
    if isinstance(given, Traced):
        return cast("bool", Traced(Not(boolean(given, "not_"))))
    return not condition


@overload
def is_in(value: E | None, values: Collection[E]) -> bool: ...
@overload
def is_in(value: P | None, values: Collection[P]) -> bool: ...
def is_in(value: object, values: Collection[object]) -> bool:
    """Whether the field equals one of the values.

    Raises:
        TypeError: A value is None or of another type than the field, or `values` is one text.
    """
    if isinstance(values, (str, bytes)):
        raise TypeError(
            "is_in takes a collection of values; put one in a list, or use tl.contains for text"
        )
    if not isinstance(value, Traced):
        return value in values
    operand = value.expr
    given: object = values
    if isinstance(given, Traced):
        return cast("bool", Traced(Membership(operand, _array_parameter(operand, given.expr))))
    items: list[Any] = []
    for item in values:
        if item is None:
            raise TypeError("is_in: None equals nothing in SQL; add `| tl.is_null(…)`")
        if isinstance(item, Traced):
            raise TypeError("is_in takes plain values; compare fields with `==` and `|`")
        items.append(fitted(item, operand.type))
    if operand.type.wire in ("array", "jsonb"):
        raise TypeError(f"is_in cannot look up a {operand.type.sql} field")
    element = msgspec.structs.replace(operand.type, choices=None)
    return cast("bool", Traced(Membership(operand, Value(items, array_of(element)))))


def _array_parameter(operand: Expr, values: Expr) -> Param:
    if not isinstance(values, Param):
        raise TypeError("is_in takes values or a tl.param; compare fields with `==` and `|`")
    element = values.type.element
    if element is None or not comparable(operand.type, element):
        raise TypeError(f"is_in: {operand.type.sql} is not looked up in {values.type.sql}")
    return values


def contains(text: str, part: str) -> bool:
    """Whether the text contains the part, taken literally and with its case."""
    sides: tuple[object, object] = (text, part)
    if any(isinstance(side, Traced) for side in sides):
        return cast("bool", text_match("contains", text, part))
    return part in text


def asc(value: object, *, nulls: Literal["first", "last"] | None = None) -> Ordering:
    """Order ascending; NULL comes last unless `nulls` says otherwise."""
    return Ordering(_field(value, "asc").expr, nulls=nulls)


def desc(value: object, *, nulls: Literal["first", "last"] | None = None) -> Ordering:
    """Order descending; NULL comes first, as in PostgreSQL, unless `nulls` says otherwise."""
    return Ordering(_field(value, "desc").expr, descending=True, nulls=nulls)


def _field(value: object, function: str) -> Traced:
    if isinstance(value, Traced):
        return value
    raise TypeError(f"{function} takes a field of the traced entity, not {value!r}")


def count(value: object = ..., *, distinct: bool = False) -> int:
    """How many rows, or how many values that are not NULL, a group has."""
    if value is ...:
        if distinct:
            raise TypeError("count(distinct=True) needs a field")
        return cast("int", Traced(Aggregate("count", None, distinct=False, result_type=INT8)))
    return cast("int", _aggregate("count", value, distinct=distinct))


def sum(value: N | None) -> N | None:  # noqa: A001 (the field's word; reached as tl.sum)
    """The sum of a group's values; None if all are NULL."""
    return cast("N | None", _aggregate("sum", value))


def avg(value: M | None) -> M | None:
    """The mean of a group's values; None if all are NULL."""
    return cast("M | None", _aggregate("avg", value))


def min(value: T | None) -> T | None:  # noqa: A001 (the field's word; reached as tl.min)
    """The least of a group's values; None if all are NULL."""
    return cast("T | None", _aggregate("min", value))


def max(value: T | None) -> T | None:  # noqa: A001 (the field's word; reached as tl.max)
    """The greatest of a group's values; None if all are NULL."""
    return cast("T | None", _aggregate("max", value))


# What PostgreSQL 16 and 18 both have min and max for.
_ORDERED = frozenset(
    ("int8", "float8", "numeric", "text", "date", "timestamptz", "timestamp", "time", "timetz",
     "interval")
)  # fmt: skip


def _aggregate(
    function: Literal["count", "sum", "avg", "min", "max"], value: object, *, distinct: bool = False
) -> Traced:
    operand = _field(value, function).expr
    type_ = operand.type
    if has_aggregate(operand):
        raise TypeError(f"{function} of an aggregate has no meaning; project the groups first")
    if function in ("min", "max") and type_.wire not in _ORDERED:
        raise TypeError(f"{function} has no meaning for {type_.sql}")
    if function in ("sum", "avg") and not type_.is_number:
        raise TypeError(f"{function} needs numbers, not {type_.sql}")
    if function == "count":
        result = INT8
    elif function == "avg":
        result = NUMERIC if type_.wire == "numeric" else FLOAT8
    else:
        result = type_
    return Traced(Aggregate(function, operand, distinct, result))
