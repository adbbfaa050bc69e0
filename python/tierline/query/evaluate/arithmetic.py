"""Arithmetic, with the types and errors of the statement that the same expression becomes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tierline.query.evaluate import machine, moments, numeric, temporal
from tierline.query.evaluate.expressions import Operator, cast_to
from tierline.query.evaluate.registry import Scope, compiled, evaluation, strict
from tierline.query.evaluate.values import Convert, Read
from tierline.query.expressions import Arithmetic, Negative

# Both sides are cast to the type of the result.
_NUMBERS: dict[str, dict[str, Operator]] = {
    "int8": {
        "+": machine.int8_add,
        "-": machine.int8_subtract,
        "*": machine.int8_multiply,
        "//": machine.int8_divide_down,
        "%": machine.int8_remainder,
    },
    "float8": {
        "+": machine.float8_add,
        "-": machine.float8_subtract,
        "*": machine.float8_multiply,
        "/": machine.float8_divide,
    },
    "numeric": {
        "+": numeric.add,
        "-": numeric.subtract,
        "*": numeric.multiply,
        "/": numeric.divide,
        "//": numeric.divide_down,
        "%": numeric.remainder,
    },
}

_INTERVALS: dict[str, Operator] = {"+": temporal.add, "-": temporal.subtract}
_SCALED: dict[str, Operator] = {"*": temporal.multiply, "/": temporal.divide}
_INSTANTS: dict[str, Operator] = {
    "+": temporal.instant_add,
    "-": temporal.instant_subtract,
}


@evaluation(Arithmetic)
def _arithmetic(node: Arithmetic, scope: Scope) -> Read:
    wire = node.result_type.wire
    if wire in _NUMBERS:
        left, right = cast_to(wire, node.left, scope), cast_to(wire, node.right, scope)
        return strict(_NUMBERS[wire][node.operator], left, right)
    if node.operator in _SCALED:
        factor = cast_to("float8", node.right, scope)
        return strict(_SCALED[node.operator], compiled(node.left, scope), factor)
    left, right = compiled(node.left, scope), compiled(node.right, scope)
    if wire == "text":
        return strict(operator.add, left, right)
    if "date" in (node.left.type.wire, node.right.type.wire):
        return strict(_dates(node), left, right)
    return strict(_temporal(node), left, right)


def _dates(node: Arithmetic) -> Operator:
    """The function for differences of dates, and for dates and whole days of intervals."""
    if node.left.type.wire == "interval":
        return _swapped(moments.date_add)
    if node.right.type.wire == "interval":
        return moments.date_add if node.operator == "+" else moments.date_subtract
    return lambda left, right: temporal.Interval(left - right, 0)


def _temporal(node: Arithmetic) -> Operator:
    """The function for sums and differences of instants and intervals."""
    intervals = (node.left.type.wire == "interval", node.right.type.wire == "interval")
    if all(intervals):
        return _INTERVALS[node.operator]
    if not any(intervals):
        return temporal.instant_difference
    if intervals[0]:
        return _swapped(temporal.instant_add)
    return _INSTANTS[node.operator]


def _swapped(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda left, right: function(right, left)


_NEGATIVES: dict[str, Convert] = {
    "int8": machine.int8_negative,
    "float8": machine.float8_negative,
    "numeric": numeric.negative,
    "interval": temporal.negative,
}


@evaluation(Negative)
def _negative(node: Negative, scope: Scope) -> Read:
    return strict(_NEGATIVES[node.operand.type.wire], compiled(node.operand, scope))
