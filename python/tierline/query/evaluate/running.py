"""Aggregates that are added to row by row, for the frames of windows that only grow."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from tierline.query.evaluate import machine, numeric
from tierline.query.evaluate.aggregates import extreme_of
from tierline.query.evaluate.registry import Scope, compiled
from tierline.query.evaluate.values import Read, ordered_key
from tierline.query.expressions import Aggregate

Running: TypeAlias = tuple[Callable[[Any], None], Callable[[], Any]]
"""Adds a row, and answers with the aggregate of those that were added."""


class _Steps(NamedTuple):
    """How a state takes another value, and what the aggregate is then."""

    add: Callable[[Any, Any], Any]
    result: Callable[[Any, int], Any]


def running(node: Aggregate, scope: Scope) -> Callable[[], Running] | None:
    """The function that begins to add; None for an aggregate that is computed of all rows at once.

    Args:
        node: The aggregate.
        scope: Where its operand is evaluated.
    """
    if node.distinct or node.order_by:
        return None
    steps = _steps(node)
    if steps is None:
        return None
    operand = _always if node.operand is None else compiled(node.operand, scope)
    holds = _always if node.condition is None else compiled(node.condition, scope)
    return lambda: _begin(steps, operand, holds)


def _always(_: Any) -> bool:
    return True


def _begin(steps: _Steps, operand: Read, holds: Read) -> Running:
    state: Any = None
    count = 0

    def add(row: Any) -> None:
        nonlocal state, count
        if holds(row) is not True:
            return
        value = operand(row)
        if value is not None:
            state = value if count == 0 else steps.add(state, value)
            count += 1

    return add, lambda: steps.result(state, count)


def _steps(node: Aggregate) -> _Steps | None:
    if node.function == "count":
        return _Steps(_state, _count)
    if node.operand is None:
        return None
    type_ = node.operand.type
    if node.function in ("min", "max"):
        return _Steps(
            extreme_of(ordered_key(type_), greatest=node.function == "max"), _of_some(_state)
        )
    return _ARITHMETIC.get((node.function, type_.wire))


def _of_some(result: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """NULL if no value was added."""
    return lambda state, count: result(state, count) if count else None


def _state(state: Any, _: Any) -> Any:
    return state


def _count(_: Any, count: int) -> int:
    return count


def _plus(left: int, right: int) -> int:
    return left + right


def _numeric_plus(left: Decimal, right: Decimal) -> Decimal:
    return numeric.total((left, right))


def _int8(state: int, _: int) -> int:
    return machine.int8(state)


def _int8_mean(state: int, count: int) -> float:
    return numeric.to_float(numeric.divide(Decimal(state), Decimal(count)))


def _numeric_mean(state: Decimal, count: int) -> Decimal:
    return numeric.divide(state, Decimal(count))


_ARITHMETIC: dict[tuple[str, str], _Steps] = {
    ("sum", "int8"): _Steps(_plus, _of_some(_int8)),
    ("sum", "float8"): _Steps(machine.float8_add, _of_some(_state)),
    ("sum", "numeric"): _Steps(_numeric_plus, _of_some(_state)),
    ("avg", "int8"): _Steps(_plus, _of_some(_int8_mean)),
    ("avg", "numeric"): _Steps(_numeric_plus, _of_some(_numeric_mean)),
}
