"""Expressions to SQL text: one function a kind of node."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from tierline.entity import ColumnType
from tierline.errors import QueryError
from tierline.query.expressions import (
    Aggregate,
    Arithmetic,
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Logic,
    Membership,
    Negative,
    Not,
    Ordering,
    TextMatch,
    Value,
)
from tierline.query.parameters import Param
from tierline.sql.identifiers import quote


class Parameters:
    """The parameters of a statement being compiled, in order."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.types: list[ColumnType] = []
        # Expressions that must read the same wherever they stand again, with their text: PostgreSQL
        # takes `a % $1` and `a % $2` for different group keys.
        self.shared: list[tuple[Expr, str]] = []

    def add(self, value: Any, type_: ColumnType) -> str:
        """Take a parameter; answers its placeholder."""
        self.values.append(value)
        self.types.append(type_)
        return f"${len(self.values)}"

    def add_named(self, node: Param) -> str:
        """Take a parameter that is given later; one name is one parameter wherever it stands.

        Raises:
            TypeError: The name stands elsewhere with another type.
        """
        for n, value in enumerate(self.values, 1):
            if isinstance(value, Param) and value.name == node.name:
                if (value.type.sql, value.nullable) != (node.type.sql, node.nullable):
                    raise TypeError(
                        f"parameter {node.name!r} is {value.type.sql} in one place and "
                        f"{node.type.sql} in another; give it one type, or two names"
                    )
                return f"${n}"
        return self.add(node, node.type)


def render(node: Expr, parameters: Parameters) -> str:
    """The SQL text of an expression; values become parameters."""
    for shared, text in parameters.shared:
        if shared == node:
            return text
    return _render(node, parameters)


def render_shared(node: Expr, parameters: Parameters) -> str:
    """The text of an expression that reads the same wherever it stands again."""
    text = render(node, parameters)
    parameters.shared.append((node, text))
    return text


@singledispatch
def _render(node: Expr, parameters: Parameters) -> str:  # noqa: ARG001 (one signature for all)
    raise TypeError(f"no SQL for {type(node).__name__}")


@_render.register
def _(node: ColumnRef, parameters: Parameters) -> str:  # noqa: ARG001 (one signature for all)
    return quote(node.name)


@_render.register
def _(node: Value, parameters: Parameters) -> str:
    return parameters.add(node.value, node.value_type)


@_render.register
def _(node: Param, parameters: Parameters) -> str:
    return parameters.add_named(node)


@_render.register
def _(node: Comparison, parameters: Parameters) -> str:
    return f"({render(node.left, parameters)} {node.operator} {render(node.right, parameters)})"


@_render.register
def _(node: Logic, parameters: Parameters) -> str:
    left, right = render(node.left, parameters), render(node.right, parameters)
    return f"({left} {node.operator.upper()} {right})"


@_render.register
def _(node: Not, parameters: Parameters) -> str:
    return f"(NOT {render(node.operand, parameters)})"


@_render.register
def _(node: IsNull, parameters: Parameters) -> str:
    return f"({render(node.operand, parameters)} IS NULL)"


@_render.register
def _(node: Membership, parameters: Parameters) -> str:
    return f"({render(node.operand, parameters)} = ANY({render(node.values, parameters)}))"


@_render.register
def _(node: TextMatch, parameters: Parameters) -> str:
    text, part = render(node.operand, parameters), render(node.part, parameters)
    match node.test:
        case "startswith":
            return f"starts_with({text}, {part})"
        case "endswith":
            return f"(right({text}, char_length({part})) = {part})"
        case "contains":
            return f"(strpos({text}, {part}) > 0)"


@_render.register
def _(node: Arithmetic, parameters: Parameters) -> str:
    left, right = render(node.left, parameters), render(node.right, parameters)
    if node.operator in ("//", "%") and len(left) + len(right) > _REPEATED_MAX:
        raise QueryError("the query nests // or % too deeply; compute in steps, or with Decimal")
    if node.operator == "//":
        if node.result_type.wire == "numeric":
            return f"div({left}, {right})"
        return f"({left} / {right} - CASE WHEN {_signs_differ(left, right)} THEN 1 ELSE 0 END)"
    if node.operator == "%":
        if node.result_type.wire == "numeric":
            return f"mod({left}, {right})"
        rest = f"{left} % {right}"
        return f"({rest} + CASE WHEN {_signs_differ(left, right)} THEN {right} ELSE 0 END)"
    if node.operator == "+" and node.result_type.wire == "text":
        return f"({left} || {right})"
    if node.operator == "/" and node.left.type.wire == node.right.type.wire == "int8":
        return f"({left}::double precision / {right})"
    return f"({left} {node.operator} {right})"


# Floor division of integers repeats its operands, so nesting multiplies the text.
_REPEATED_MAX = 10_000


def _signs_differ(left: str, right: str) -> str:
    """When Python's floor division and PostgreSQL's truncation are one apart."""
    return f"{left} % {right} <> 0 AND ({left} % {right} < 0) <> ({right} < 0)"


@_render.register
def _(node: Negative, parameters: Parameters) -> str:
    return f"(- {render(node.operand, parameters)})"


@_render.register
def _(node: Aggregate, parameters: Parameters) -> str:
    if node.operand is None:
        return "count(*)"
    distinct = "DISTINCT " if node.distinct else ""
    call = f"{node.function}({distinct}{render(node.operand, parameters)})"
    # PostgreSQL widens: avg and sum of bigint are numeric.
    if node.function in ("sum", "avg") and node.operand.type.wire == "int8":
        return f"{call}::{node.result_type.sql}"
    return call


def render_ordering(ordering: Ordering, parameters: Parameters) -> str:
    """One key of an ORDER BY clause."""
    direction = " DESC" if ordering.descending else ""
    nulls = f" NULLS {ordering.nulls.upper()}" if ordering.nulls else ""
    return f"{render(ordering.operand, parameters)}{direction}{nulls}"
