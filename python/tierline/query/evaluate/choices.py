"""Choices between values: `case`, `coalesce`, `nullif`, `greatest`, `least`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tierline.query.calls import Call, Case
from tierline.query.evaluate.expressions import cast_to, common_type
from tierline.query.evaluate.functions import function
from tierline.query.evaluate.registry import Scope, compiled, evaluation
from tierline.query.evaluate.values import Read, key, ordered_key


@evaluation(Case)
def _case(node: Case, scope: Scope) -> Read:
    wire = node.result_type.wire
    branches = [
        (compiled(condition, scope), cast_to(wire, value, scope))
        for condition, value in node.branches
    ]
    otherwise = None if node.otherwise is None else cast_to(wire, node.otherwise, scope)

    def choose(row: Any) -> Any:
        for holds, value in branches:
            if holds(row) is True:
                return value(row)
        return None if otherwise is None else otherwise(row)

    return choose


def _cast_operands(node: Call, scope: Scope) -> list[Read]:
    return [cast_to(node.type.wire, operand, scope) for operand in node.operands]


@function("coalesce")
def _coalesce(node: Call, scope: Scope) -> Read:
    reads = _cast_operands(node, scope)

    def first(row: Any) -> Any:
        return next((value for read in reads if (value := read(row)) is not None), None)

    return first


@function("nullif")
def _nullif(node: Call, scope: Scope) -> Read:
    left, right = node.operands
    common = common_type(left.type, right.type)
    convert = key(common)
    read, other = (cast_to(common.wire, operand, scope) for operand in (left, right))

    def unless(row: Any) -> Any:
        value, excluded = read(row), other(row)
        if value is None or excluded is None:
            return value
        if convert is None:
            return None if value == excluded else value
        return None if convert(value) == convert(excluded) else value

    return unless


@function("greatest")
def _greatest(node: Call, scope: Scope) -> Read:
    return _extreme(node, scope, operator.gt)


@function("least")
def _least(node: Call, scope: Scope) -> Read:
    return _extreme(node, scope, operator.lt)


def _extreme(node: Call, scope: Scope, beats: Callable[[Any, Any], bool]) -> Read:
    """The first of those that no other beats."""
    reads, convert = _cast_operands(node, scope), ordered_key(node.type)

    def chosen(row: Any) -> Any:
        best = best_key = None
        for value in [read(row) for read in reads]:
            if value is None:
                continue
            value_key = value if convert is None else convert(value)
            if best is None or beats(value_key, best_key):
                best, best_key = value, value_key
        return best

    return chosen
