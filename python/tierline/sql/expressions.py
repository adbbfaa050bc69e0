"""Expressions to SQL text: one function a kind of node."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from tierline.entity import ColumnType
from tierline.errors import QueryError
from tierline.query.expressions import (
    Aggregate,
    Alias,
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
    Ranked,
    TextMatch,
    Value,
    Window,
)
from tierline.query.parameters import Param
from tierline.query.subqueries import Exists, InQuery, Scalar
from tierline.sql.identifiers import quote


class Parameters:
    """The parameters of a statement being compiled, in order, and the names in sight.

    Attributes:
        values: What travels beside the text.
        types: The types of the values.
        scopes: For each query that is being rendered, outermost first, the SQL name of each of its
            sources; empty while there is but one source and its name can be left out.
        subquery: Renders a query inside an expression.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.types: list[ColumnType] = []
        self.scopes: list[dict[Alias, str]] = []
        self.subquery: Callable[[Any], str] = _no_subqueries
        # Expressions that must read the same wherever they stand again, with their text: PostgreSQL
        # takes `a % $1` and `a % $2` for different group keys.
        self.shared: list[tuple[Expr, str]] = []

    def add(self, value: Any, type_: ColumnType) -> str:
        """Take a parameter; answers its placeholder."""
        self.values.append(value)
        self.types.append(type_)
        return f"${len(self.values)}"

    def column(self, node: ColumnRef) -> str:
        """The text of a column."""
        for scope in reversed(self.scopes):
            if node.alias in scope:
                return f"{scope[node.alias]}.{quote(node.name)}"
        if any(self.scopes):
            # Without its source's name it would be taken for a column of another source.
            raise QueryError(
                f"the field {node.name!r} is of a row that is out of sight here: a common table "
                "expression or a recursion cannot use a row of the query around it, and a row is "
                "not to be used outside its own lambda"
            )
        return quote(node.name)

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
                if node.counts_rows:
                    # What holds in one place holds in all: they get one value.
                    self.values[n - 1] = node
                return f"${n}"
        return self.add(node, node.type)


def _no_subqueries(query: Any) -> str:
    raise QueryError(f"{query!r} cannot stand in this statement")


def render(node: Expr, parameters: Parameters) -> str:
    """The SQL text of an expression; values become parameters."""
    for shared, text in parameters.shared:
        if shared == node:
            return text
    kind = type(node)
    function = _BY_KIND.get(kind)
    if function is None:
        function = _BY_KIND[kind] = _render.dispatch(kind)
    return function(node, parameters)


# What `singledispatch` finds, without its checks.
_BY_KIND: dict[type, Callable[[Any, Parameters], str]] = {}


def render_shared(node: Expr, parameters: Parameters) -> str:
    """The text of an expression that reads the same wherever it stands again."""
    text = render(node, parameters)
    parameters.shared.append((node, text))
    return text


@singledispatch
def _render(node: Expr, parameters: Parameters) -> str:  # noqa: ARG001 (one signature for all)
    raise TypeError(f"no SQL for {type(node).__name__}")


register = _render.register
"""Decorates the function that renders a kind of node."""


@_render.register
def _(node: ColumnRef, parameters: Parameters) -> str:
    return parameters.column(node)


@_render.register
def _(node: Value, parameters: Parameters) -> str:
    return parameters.add(node.value, node.value_type)


@_render.register
def _(node: Param, parameters: Parameters) -> str:
    return parameters.add_named(node)


@_render.register
def _(node: Comparison, parameters: Parameters) -> str:
    left, right = render(node.left, parameters), render(node.right, parameters)
    if node.operator not in ("=", "<>"):
        right = collated(right, node.right.type)
    return f"({left} {node.operator} {right})"


def collated(text: str, type_: ColumnType) -> str:
    """An operand that is put in order: text by code point, whatever the database's collation.

    Equality needs no collation, so it can use an index of any.
    """
    ordered = type_.element or type_
    return f'{text} COLLATE "C"' if ordered.wire == "text" else text


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
    if "date" in (node.left.type.wire, node.right.type.wire):
        return _date_arithmetic(node, left, right)
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


def _date_arithmetic(node: Arithmetic, left: str, right: str) -> str:
    """Of an interval, a date takes the whole days, rounded down as in a timedelta's `days`."""
    if node.result_type.wire == "interval":
        return f"make_interval(days => {left} - {right})"
    if node.left.type.wire == "interval":
        left, right = right, left
    return f"({left} {node.operator} floor(extract(epoch FROM {right}) / 86400)::integer)"


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
    return _cast_back(node, _aggregate(node, parameters))


def _aggregate(node: Aggregate, parameters: Parameters) -> str:
    inside = "*" if node.operand is None else render(node.operand, parameters)
    if node.function in ("min", "max") and node.operand is not None:
        inside = collated(inside, node.operand.type)
    if node.distinct:
        inside = f"DISTINCT {inside}"
    if node.separator is not None:
        inside += f", {render(node.separator, parameters)}"
    if node.order_by:
        keys = ", ".join(render_ordering(key, parameters) for key in node.order_by)
        inside += f" ORDER BY {keys}"
    call = f"{node.function}({inside})"
    if node.condition is not None:
        call += f" FILTER (WHERE {render(node.condition, parameters)})"
    return call


def _cast_back(node: Expr, call: str) -> str:
    # PostgreSQL widens: avg and sum of bigint are numeric.
    if (
        isinstance(node, Aggregate)
        and node.function in ("sum", "avg")
        and node.operand is not None
        and node.operand.type.wire == "int8"
    ):
        return f"{call}::{node.result_type.sql}"
    if isinstance(node, Aggregate) and node.function == "array_agg":
        # Of no rows PostgreSQL makes NULL; a list of no values is an empty list.
        return f"coalesce({call}, '{{}}')"
    return call


@_render.register
def _(node: Ranked, parameters: Parameters) -> str:
    counts = [f"{render(operand, parameters)}::integer" for operand in node.operands[1:]]
    if node.function == "ntile":
        return f"ntile({render(node.operands[0], parameters)}::integer)"
    first = [render(operand, parameters) for operand in node.operands[:1]]
    return f"{node.function}({', '.join(first + counts)})"


@_render.register
def _(node: Window, parameters: Parameters) -> str:
    function = node.function
    if isinstance(function, Aggregate):
        call = _aggregate(function, parameters)
    else:
        call = render(function, parameters)
    clauses: list[str] = []
    if node.partition_by:
        keys = ", ".join(render(key, parameters) for key in node.partition_by)
        clauses.append(f"PARTITION BY {keys}")
    if node.order_by:
        keys = ", ".join(render_ordering(key, parameters) for key in node.order_by)
        clauses.append(f"ORDER BY {keys}")
    if node.frame is not None:
        start, end = _bound(node.frame.start, "PRECEDING"), _bound(node.frame.end, "FOLLOWING")
        clauses.append(f"{node.frame.unit} BETWEEN {start} AND {end}")
    return _cast_back(function, f"{call} OVER ({' '.join(clauses)})")


def _bound(rows: int | None, unbounded: str) -> str:
    if rows is None:
        return f"UNBOUNDED {unbounded}"
    if rows == 0:
        return "CURRENT ROW"
    return f"{abs(rows)} {'PRECEDING' if rows < 0 else 'FOLLOWING'}"


@_render.register
def _(node: Exists, parameters: Parameters) -> str:
    return f"EXISTS ({parameters.subquery(node.query)})"


@_render.register
def _(node: Scalar, parameters: Parameters) -> str:
    return f"({parameters.subquery(node.query)})"


@_render.register
def _(node: InQuery, parameters: Parameters) -> str:
    return f"({render(node.operand, parameters)} IN ({parameters.subquery(node.query)}))"


def render_ordering(ordering: Ordering, parameters: Parameters) -> str:
    """One key of an ORDER BY clause."""
    direction = " DESC" if ordering.descending else ""
    nulls = f" NULLS {ordering.nulls.upper()}" if ordering.nulls else ""
    operand = collated(render(ordering.operand, parameters), ordering.operand.type)
    return f"{operand}{direction}{nulls}"
