"""Expressions: comparison, three-valued logic, membership and text tests."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from tierline.entity.types import ColumnType
from tierline.query.evaluate import numeric, temporal
from tierline.query.evaluate.registry import (
    Scope,
    compiled,
    evaluation,
    not_in_memory,
    strict,
)
from tierline.query.evaluate.values import Convert, Read, constant, key, ordered_key
from tierline.query.expressions import (
    Aggregate,
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Logic,
    Membership,
    Not,
    TextMatch,
    Value,
)

Operator: TypeAlias = Callable[[Any, Any], Any]

OPERATORS: dict[str, Operator] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# What PostgreSQL casts implicitly; a date is its midnight, in UTC beside a zoned timestamp.
_CASTS: dict[tuple[str, str], Convert] = {
    ("int8", "numeric"): Decimal,
    ("int8", "float8"): float,
    ("numeric", "float8"): numeric.to_float,
    ("date", "timestamp"): temporal.midnight,
    ("date", "timestamptz"): temporal.midnight,
}

# Later ones take in earlier ones.
_NUMBERS = ("int8", "numeric", "float8")
_INSTANTS = ("date", "timestamp", "timestamptz")


def implicit_cast(from_: str, to: str) -> Convert | None:
    """The function that PostgreSQL casts implicitly with; None where the types are the same."""
    return _CASTS.get((from_, to))


def cast_to(wire: str, node: Expr, scope: Scope) -> Read:
    """An expression with PostgreSQL's implicit cast to another type, where it needs one."""
    read = compiled(node, scope)
    convert = implicit_cast(node.type.wire, wire)
    if convert is None:
        return read
    if isinstance(node, Value):
        return _constantly(convert(read(None)))
    return strict(convert, read)


def common_type(left: ColumnType, right: ColumnType) -> ColumnType:
    """The type that both sides of a comparison are cast to."""
    for family in (_NUMBERS, _INSTANTS):
        if left.wire in family and right.wire in family:
            return max(left, right, key=lambda side: family.index(side.wire))
    return left


@evaluation(ColumnRef)
def _column(node: ColumnRef, scope: Scope) -> Read:
    return scope.column(node)


@evaluation(Aggregate)
def _aggregate(node: Aggregate, scope: Scope) -> Read:
    return scope.aggregate(node)


@evaluation(Value)
def _value(node: Value, scope: Scope) -> Read:
    del scope
    return _constantly(constant(node.value, node.value_type))


def _constantly(value: Any) -> Read:
    return lambda _: value


@evaluation(Comparison)
def _comparison(node: Comparison, scope: Scope) -> Read:
    common = common_type(node.left.type, node.right.type)
    convert = (key if node.operator in ("=", "<>") else ordered_key)(common)
    test = OPERATORS[node.operator]
    left = _keyed(cast_to(common.wire, node.left, scope), convert)
    if not isinstance(node.right, Value):
        return strict(test, left, _keyed(cast_to(common.wire, node.right, scope), convert))
    # The everyday case: a field and a value, whose key is made once.
    fixed = _keyed(cast_to(common.wire, node.right, scope), convert)(None)

    def compare(row: Any) -> Any:
        value = left(row)
        return None if value is None else test(value, fixed)

    return compare


def _keyed(read: Read, convert: Convert | None) -> Read:
    return read if convert is None else strict(convert, read)


@evaluation(Logic)
def _logic(node: Logic, scope: Scope) -> Read:
    left, right = compiled(node.left, scope), compiled(node.right, scope)
    # False decides a conjunction and true a disjunction, whatever else is unknown.
    decisive = node.operator == "or"

    def combine(row: Any) -> Any:
        first = left(row)
        if first is decisive:
            return decisive
        second = right(row)
        if second is decisive:
            return decisive
        return None if first is None or second is None else not decisive

    return combine


@evaluation(Not)
def _not(node: Not, scope: Scope) -> Read:
    return strict(operator.not_, compiled(node.operand, scope))


@evaluation(IsNull)
def _is_null(node: IsNull, scope: Scope) -> Read:
    operand = compiled(node.operand, scope)
    return lambda row: operand(row) is None


@evaluation(Membership)
def _membership(node: Membership, scope: Scope) -> Read:
    operand, convert = compiled(node.operand, scope), key(node.operand.type)
    if not isinstance(node.values, Value):
        raise not_in_memory(type(node.values))
    items = constant(node.values.value, node.values.type)
    # Nothing is in an empty list, not even NULL.
    if not items:
        return strict_false(operand)
    found = frozenset(items if convert is None else map(convert, items))
    return strict(found.__contains__, _keyed(operand, convert))


def strict_false(operand: Read) -> Read:
    """False for every row; the operand is still evaluated, for its errors."""

    def answer(row: Any) -> bool:
        operand(row)
        return False

    return answer


_TEXT_TESTS: dict[str, Operator] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
}


@evaluation(TextMatch)
def _text_match(node: TextMatch, scope: Scope) -> Read:
    return strict(_TEXT_TESTS[node.test], compiled(node.operand, scope), compiled(node.part, scope))
