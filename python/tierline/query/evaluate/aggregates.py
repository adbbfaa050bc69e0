"""Aggregates: from the rows of a group to one value."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from tierline.query.evaluate import machine, numeric
from tierline.query.evaluate.faults import out_of_range
from tierline.query.evaluate.ordering import sorting
from tierline.query.evaluate.registry import Scope, compiled
from tierline.query.evaluate.values import Convert, key, ordered_key
from tierline.query.expressions import Aggregate, Value

Fold: TypeAlias = Callable[[Sequence[Any]], Any]
"""From the rows of a group to an aggregate's value."""

Finish: TypeAlias = Callable[[list[Any]], Any]
"""From the values that are not NULL, in the order of the rows; there is at least one."""


def fold(node: Aggregate, scope: Scope) -> Fold:
    """The function that an aggregate becomes.

    Args:
        node: The aggregate.
        scope: Where its operand is evaluated: one row of the group.

    Raises:
        TypeError: It cannot be evaluated in memory.
    """
    take = _taking(node, scope)
    if node.operand is None:
        return lambda rows: len(take(rows))
    operand = compiled(node.operand, scope)
    finish = _finish(node)
    if node.function == "count":
        return lambda rows: finish([v for row in take(rows) if (v := operand(row)) is not None])
    # A list is the only aggregate that NULL has a place in, and that is there without any rows.
    is_list = node.function == "array_agg"

    def run(rows: Sequence[Any]) -> Any:
        values = [value for row in take(rows) if (value := operand(row)) is not None or is_list]
        return finish(values) if values or is_list else None

    return run


def _taking(node: Aggregate, scope: Scope) -> Fold:
    """Which rows of the group are taken, and in which order."""
    holds = None if node.condition is None else compiled(node.condition, scope)
    sort = sorting(node.order_by, scope) if node.order_by else None

    def take(rows: Sequence[Any]) -> Sequence[Any]:
        taken = rows if holds is None else [row for row in rows if holds(row) is True]
        if sort is None:
            return taken
        ordered = list(taken)
        sort(ordered)
        return ordered

    return take


def _distinct_count(convert: Convert | None) -> Callable[[list[Any]], int]:
    return lambda values: len(set(values if convert is None else map(convert, values)))


def _finish(node: Aggregate) -> Finish:
    assert node.operand is not None
    type_ = node.operand.type
    if node.function == "count":
        return _distinct_count(key(type_)) if node.distinct else len
    if node.function == "array_agg":
        return tuple
    if node.function == "string_agg":
        assert isinstance(node.separator, Value)
        separator: str = node.separator.value
        return separator.join
    if node.function in ("min", "max"):
        return _extreme(ordered_key(type_), greatest=node.function == "max")
    return _ARITHMETIC[node.function, type_.wire]


def _extreme(convert: Convert | None, *, greatest: bool) -> Finish:
    chosen = extreme_of(convert, greatest=greatest)
    return lambda values: functools.reduce(chosen, values)


def extreme_of(convert: Convert | None, *, greatest: bool) -> Callable[[Any, Any], Any]:
    """The lesser or greater of two; of equal ones, such as 1.0 and 1.00, the second."""

    def chosen(left: Any, right: Any) -> Any:
        first, second = (left, right) if convert is None else (convert(left), convert(right))
        return left if (first > second if greatest else first < second) else right

    return chosen


def _int8_sum(values: list[int]) -> int:
    return machine.int8(sum(values))


def _float8_sum(values: list[float]) -> float:
    return functools.reduce(machine.float8_add, values)


def _int8_mean(values: list[int]) -> float:
    return numeric.to_float(numeric.divide(Decimal(sum(values)), Decimal(len(values))))


def _numeric_mean(values: list[Decimal]) -> Decimal:
    return numeric.divide(numeric.total(values), Decimal(len(values)))


def _float8_mean(values: list[float]) -> float:
    """`float8_accum` of float.c: it minds squares too, and so fails where they overflow."""
    count = total = squares = 0.0
    for value in values:
        before, count = count, count + 1
        known = math.isinf(total)
        total += value
        if before > 0:
            distance = value * count - total
            squares += distance * distance / (count * before)
            if math.isinf(total) or math.isinf(squares):
                if not (known or math.isinf(value)):
                    raise out_of_range("double precision")
                squares = math.nan
        elif not math.isfinite(value):
            squares = math.nan
    return total / count


_ARITHMETIC: dict[tuple[str, str], Finish] = {
    ("sum", "int8"): _int8_sum,
    ("sum", "float8"): _float8_sum,
    ("sum", "numeric"): numeric.total,
    ("avg", "int8"): _int8_mean,
    ("avg", "float8"): _float8_mean,
    ("avg", "numeric"): _numeric_mean,
}
