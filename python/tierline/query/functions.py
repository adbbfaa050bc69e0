"""What lambdas call: `tl.some`, `tl.is_null`, `tl.desc`, the aggregates.

Typed as functions on plain values, so that a lambda over an entity type-checks;
under tracing they build expressions. Those that have a plain meaning keep it on
plain values: the same predicate also runs on real objects.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast, overload

import msgspec

from tierline.entity.types import FLOAT8, INT8, TEXT, array_of
from tierline.query.arrays import is_element
from tierline.query.expressions import (
    Aggregate,
    Expr,
    IsNull,
    Logic,
    Membership,
    Not,
    Ordering,
    Value,
    has_aggregate,
    has_window,
)
from tierline.query.operands import NUMERIC, comparable, fitted, in_one_order
from tierline.query.parameters import Param
from tierline.query.query import Query
from tierline.query.subqueries import in_query
from tierline.query.tracing import Traced, TracedRow, boolean, columns_of, ordering_of, text_match

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
    """Whether the field is NULL, or whether there is no row on the right side of a left join."""
    if isinstance(value, TracedRow):
        # A row that is not there has NULL in every column, one that is has not.
        tests: list[Expr] = [IsNull(column) for column in columns_of(value)]
        return cast("bool", Traced(functools.reduce(functools.partial(Logic, "and"), tests)))
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
@overload
def is_in(value: P | None, values: Query[P]) -> bool: ...
@overload
def is_in(value: E | None, values: Query[E]) -> bool: ...
def is_in(value: object, values: Collection[object] | Query[Any]) -> bool:
    """Whether a value equals one of others, or one that a query of one value answers with.

    Args:
        value: A field or expression, or a plain value to look up in an array field.
        values: Plain values, a query, or an array field: ``tl.is_in("new", f.tags)``.

    Raises:
        TypeError: A value is None or of another type than the field, or `values` is one text.
    """
    given: object = values
    if isinstance(given, Traced):
        if isinstance(given.expr, Param) and isinstance(value, Traced):
            return cast("bool", Traced(_in_parameter(value.expr, given.expr)))
        return cast("bool", is_element(value, given))
    if isinstance(values, Query):
        if not isinstance(value, Traced):
            raise TypeError("is_in takes a traced field beside a query")
        return cast("bool", in_query(value.expr, values))
    if isinstance(values, (str, bytes)):
        raise TypeError(
            "is_in takes a collection of values; put one in a list, or use tl.contains for text"
        )
    if not isinstance(value, Traced):
        return value in values
    return cast("bool", Traced(_in_values(value.expr, values)))


def _in_values(operand: Expr, values: Collection[object]) -> Membership:
    items: list[Any] = []
    for item in in_one_order(values):
        if item is None:
            raise TypeError("is_in: None equals nothing in SQL; add `| tl.is_null(…)`")
        if isinstance(item, Traced):
            raise TypeError("is_in takes plain values; compare fields with `==` and `|`")
        items.append(fitted(item, operand.type))
    if operand.type.wire in ("array", "jsonb"):
        raise TypeError(f"is_in cannot look up a {operand.type.sql} field")
    element = msgspec.structs.replace(operand.type, choices=None)
    return Membership(operand, Value(items, array_of(element)))


def _in_parameter(operand: Expr, values: Param) -> Membership:
    element = values.type.element
    if element is None or not comparable(operand.type, element):
        raise TypeError(f"is_in: {operand.type.sql} is not looked up in {values.type.sql}")
    return Membership(operand, values)


def contains(text: str, part: str) -> bool:
    """Whether the text contains the part, taken literally and with its case."""
    sides: tuple[object, object] = (text, part)
    if any(isinstance(side, Traced) for side in sides):
        return cast("bool", text_match("contains", text, part))
    return part in text


def asc(value: object, *, nulls: Literal["first", "last"] | None = None) -> Ordering:
    """Order ascending; NULL comes last unless `nulls` says otherwise."""
    return Ordering(_field(value, "asc").expr, nulls=_nulls(nulls))


def desc(value: object, *, nulls: Literal["first", "last"] | None = None) -> Ordering:
    """Order descending; NULL comes first, as in PostgreSQL, unless `nulls` says otherwise."""
    return Ordering(_field(value, "desc").expr, descending=True, nulls=_nulls(nulls))


def _nulls(place: Literal["first", "last"] | None) -> Literal["first", "last"] | None:
    if place not in ("first", "last", None):
        raise ValueError(f"nulls come 'first' or 'last', not {place!r}")
    return place


def _field(value: object, function: str) -> Traced:
    if isinstance(value, Traced):
        return value
    raise TypeError(f"{function} takes a field of the traced entity, not {value!r}")


def _grouped(function: str, value: object) -> Expr:
    """What an aggregate is of."""
    operand = _field(value, function).expr
    if has_aggregate(operand) or has_window(operand):
        raise TypeError(f"{function} of an aggregate has no meaning; project the groups first")
    return operand


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


def filtered(value: T, condition: bool) -> T:  # noqa: FBT001 (a condition is no switch)
    """An aggregate of those rows only for which a condition is true.

    Example:
        ``tl.filtered(tl.count(), tl.some(f.dep_delay) > 60)``

    Raises:
        TypeError: The value is no aggregate.
    """
    given: Any = value
    if not isinstance(given, Traced) or not isinstance(given.expr, Aggregate):
        raise TypeError("filtered takes an aggregate, such as tl.count(), and a condition")
    test = boolean(condition, "filtered")
    if has_aggregate(test) or has_window(test):
        raise TypeError("filtered chooses rows before they are grouped; use having, or project")
    if given.expr.condition is not None:
        test = Logic("and", given.expr.condition, test)
    return cast("T", Traced(msgspec.structs.replace(given.expr, condition=test)))


def array_agg(value: T, *, order_by: object = None) -> list[T]:
    """The values of a group as a list; an empty one of no rows.

    Args:
        value: A field that is not optional: a list of a column has no NULL in it.
        order_by: A field, ``tl.desc(field)``, or a tuple of them; in no particular order if none.
    """
    operand = _grouped("array_agg", value)
    if operand.type.wire in ("array", "jsonb") or operand.type.choices is not None:
        raise TypeError(f"array_agg has no meaning for {operand.type.sql} here")
    ordering = () if order_by is None else ordering_of(order_by)
    made = Aggregate("array_agg", operand, False, array_of(operand.type), order_by=ordering)
    return cast("list[T]", Traced(made))


def string_agg(value: str, separator: str, *, order_by: object = None) -> str | None:
    """The texts of a group in one, a separator between them; None if all are NULL.

    Args:
        value: A text.
        separator: What stands between two of them.
        order_by: A field, ``tl.desc(field)``, or a tuple of them; in no particular order if none.
    """
    operand = _grouped("string_agg", value)
    if operand.type.wire != "text":
        raise TypeError(f"string_agg needs text, not {operand.type.sql}")
    ordering = () if order_by is None else ordering_of(order_by)
    between = Value(fitted(separator, TEXT), TEXT)
    made = Aggregate("string_agg", operand, False, TEXT, between, ordering)
    return cast("str | None", Traced(made))


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
    operand = _grouped(function, value)
    type_ = operand.type
    if function in ("min", "max") and type_.wire not in _ORDERED:
        raise TypeError(f"{function} has no meaning for {type_.sql}")
    if function in ("sum", "avg") and not type_.is_number:
        raise TypeError(f"{function} needs numbers, not {type_.sql}")
    if function == "count":
        result = INT8
    elif function == "avg":
        result = NUMERIC if type_.wire == "numeric" else FLOAT8
    elif function == "sum":
        # The sum of an Enum's numbers is a number, not a member.
        result = msgspec.structs.replace(type_, choices=None)
    else:
        result = type_
    return Traced(Aggregate(function, operand, distinct, result))
