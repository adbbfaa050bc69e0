"""Recipes: expressions as trees of tuples, which read well in a failure.

`build` makes of a recipe what a user's lambda would write.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import tierline as tl

Recipe = tuple[Any, ...]

OPERATORS: dict[str, Callable[..., Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge, "+": operator.add, "-": operator.sub,
    "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "&": operator.and_, "|": operator.or_, "neg": operator.neg, "not": tl.not_,
    "null": tl.is_null, "in": tl.is_in, "contains": tl.contains,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "count": tl.count, "kinds": lambda value: tl.count(value, distinct=True),
    "sum": tl.sum, "avg": tl.avg, "min": tl.min, "max": tl.max, "filtered": tl.filtered,
    "array_agg": lambda value, key: tl.array_agg(value, order_by=key),
    "string_agg": lambda value, key: tl.string_agg(value, ", ", order_by=tl.desc(key)),
    "abs": abs, "round": round, "floor": math.floor, "ceil": math.ceil, "truncate": math.trunc,
    "length": tl.length, "coalesce": tl.coalesce, "nullif": tl.nullif, "greatest": tl.greatest,
    "least": tl.least, "between": tl.between, "like": tl.like, "ilike": tl.ilike,
    "matches": tl.matches, "at_zone": tl.at_zone, "item": operator.getitem,
    "contains_all": tl.contains_all, "overlaps": tl.overlaps,
    "case": lambda condition, value, otherwise: tl.case((condition, value), otherwise=otherwise),
    "when": lambda condition, value: tl.case((condition, value)),
    "slice": lambda value, start, stop: value[start:stop],
    "reverse": lambda value: value[::-1],
    "trunc": tl.trunc,
    "trunc_zone": lambda unit, value, zone: tl.trunc(unit, value, zone=zone),
    "cast_int": lambda value: tl.cast(value, int),
    "cast_float": lambda value: tl.cast(value, float),
    "cast_decimal": lambda value: tl.cast(value, Decimal),
    "cast_text": lambda value: tl.cast(value, str),
    "cast_bool": lambda value: tl.cast(value, bool),
    "cast_date": lambda value: tl.cast(value, dt.date),
    "cast_instant": lambda value: tl.cast(value, dt.datetime),
    "cast_uuid": lambda value: tl.cast(value, uuid.UUID),
    "any": lambda symbol, array, value: OPERATORS[symbol](tl.any_(array), value),
    "all": lambda symbol, array, value: OPERATORS[symbol](tl.all_(array), value),
}  # fmt: skip
_ATTRIBUTES = ("year", "month", "day", "hour", "minute", "second", "microsecond", "days", "seconds",
               "microseconds")  # fmt: skip
_METHODS = ("lower", "upper", "strip", "lstrip", "rstrip", "replace", "date", "weekday",
            "isoweekday", "timestamp", "total_seconds", "time")  # fmt: skip
for _name in _ATTRIBUTES:
    OPERATORS[f".{_name}"] = operator.attrgetter(_name)
for _name in _METHODS:
    OPERATORS[f".{_name}()"] = lambda value, *rest, name=_name: getattr(value, name)(*rest)

COMPARE = ("==", "!=", "<", "<=", ">", ">=")
AGGREGATES = ("count", "kinds", "sum", "avg", "min", "max", "array_agg", "string_agg")
CONDITIONAL = ("case", "when", "coalesce", "greatest", "least")
"""Of which PostgreSQL may look at an operand earlier than it needs to."""


def build(recipe: Recipe, over: Any) -> Any:
    """The expression as a user's lambda would write it."""
    match recipe:
        case ("field", name):
            return getattr(over, name)
        case ("value", value):
            return value
        case (name, *operands):
            return OPERATORS[name](*(build(operand, over) for operand in operands))
    raise AssertionError(recipe)


def parts(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe and every recipe in it."""
    yield recipe
    if recipe[0] not in ("field", "value"):
        for operand in recipe[1:]:
            yield from parts(operand)
