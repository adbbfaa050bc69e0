"""Arrays: comparing some or all elements, containing, and having elements in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from tierline.entity.types import ColumnType
from tierline.query.calls import ArrayAll, ArrayAny, Call
from tierline.query.evaluate.expressions import OPERATORS, cast_to, common_type, implicit_cast
from tierline.query.evaluate.functions import function, operands
from tierline.query.evaluate.registry import Scope, compiled, evaluation, strict
from tierline.query.evaluate.values import Convert, Read, key, ordered_key


@evaluation(ArrayAny)
def _array_any(node: ArrayAny, scope: Scope) -> Read:
    return _quantified(node, scope, any)


@evaluation(ArrayAll)
def _array_all(node: ArrayAll, scope: Scope) -> Read:
    return _quantified(node, scope, all)


def _quantified(
    node: ArrayAny | ArrayAll, scope: Scope, judge: Callable[[Iterable[object]], bool]
) -> Read:
    element = cast("ColumnType", node.array.type.element)
    common = common_type(element, node.operand.type)
    convert = (key if node.operator in ("=", "<>") else ordered_key)(common)
    prepare = _composed(implicit_cast(element.wire, common.wire), convert)
    test = OPERATORS[node.operator]
    read = cast_to(common.wire, node.operand, scope)
    items = compiled(node.array, scope)

    def answer(row: Any) -> bool | None:
        value, found = read(row), items(row)
        if found is None:
            return None
        if value is None:
            # Of no elements nothing is asked.
            return None if found else judge(())
        against = value if convert is None else convert(value)
        return judge(test(item if prepare is None else prepare(item), against) for item in found)

    return answer


def _composed(first: Convert | None, second: Convert | None) -> Convert | None:
    if first is None or second is None:
        return second if first is None else first
    return lambda value: second(first(value))


def _element_set(node: Call) -> Callable[[Iterable[Any]], frozenset[Any]]:
    """From an array to its elements as they compare; a set field has no order, and needs none."""
    convert = key(cast("ColumnType", node.operands[0].type.element))
    return frozenset if convert is None else lambda items: frozenset(map(convert, items))


@function("array_contains")
def _array_contains(node: Call, scope: Scope) -> Read:
    elements = _element_set(node)

    def contains(left: Any, right: Any) -> bool:
        return elements(left) >= elements(right)

    return strict(contains, *operands(node, scope))


@function("array_overlaps")
def _array_overlaps(node: Call, scope: Scope) -> Read:
    elements = _element_set(node)

    def overlaps(left: Any, right: Any) -> bool:
        return not elements(left).isdisjoint(elements(right))

    return strict(overlaps, *operands(node, scope))
