"""Expression nodes: what a traced lambda becomes. Frozen values, no behaviour.

Comparisons follow SQL: with NULL on either side the answer is unknown, and a
`where` keeps only rows whose answer is true. `IsNull` asks for NULL itself.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from tierline.entity.types import BOOL, ColumnType

ComparisonOperator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]
ArithmeticOperator: TypeAlias = Literal["+", "-", "*", "/", "//", "%"]
TextTest: TypeAlias = Literal["startswith", "endswith", "contains"]
AggregateFunction: TypeAlias = Literal["count", "sum", "avg", "min", "max"]


class Expr(msgspec.Struct, frozen=True):
    """A node; every node has a `type`."""

    @property
    def type(self) -> ColumnType:
        """The type of the expression's value."""
        return BOOL


class ColumnRef(Expr, frozen=True):
    """A column of the selected table."""

    name: str
    column_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The column's type."""
        return self.column_type


class Value(Expr, frozen=True):
    """A value from the lambda's surroundings; it travels as a parameter, never as text."""

    value: Any
    value_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type the parameter is sent as."""
        return self.value_type


class Comparison(Expr, frozen=True):
    """`left operator right`."""

    operator: ComparisonOperator
    left: Expr
    right: Expr


class Logic(Expr, frozen=True):
    """`left and right`, or `left or right`, in three-valued logic."""

    operator: Literal["and", "or"]
    left: Expr
    right: Expr


class Not(Expr, frozen=True):
    """The negation of a boolean."""

    operand: Expr


class IsNull(Expr, frozen=True):
    """Whether the operand is NULL; never unknown."""

    operand: Expr


class Membership(Expr, frozen=True):
    """Whether the operand equals one of the values of an array parameter."""

    operand: Expr
    values: Expr


class TextMatch(Expr, frozen=True):
    """Whether a text starts with, ends with or contains another, taken literally."""

    test: TextTest
    operand: Expr
    part: Expr


class Arithmetic(Expr, frozen=True):
    """`left operator right` on numbers, dates and intervals, with Python's meaning."""

    operator: ArithmeticOperator
    left: Expr
    right: Expr
    result_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type of the result."""
        return self.result_type


class Negative(Expr, frozen=True):
    """The number with its sign changed."""

    operand: Expr

    @property
    def type(self) -> ColumnType:
        """The operand's type."""
        return self.operand.type


class Aggregate(Expr, frozen=True):
    """A function over the rows of a group; without an operand it counts rows."""

    function: AggregateFunction
    operand: Expr | None
    distinct: bool
    result_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type of the result."""
        return self.result_type


def has_aggregate(node: Expr) -> bool:
    """Whether an aggregate stands anywhere in an expression."""
    # Not recursive: an expression may be nested as deep as its maker liked.
    open_nodes: list[Any] = [node]
    while open_nodes:
        current = open_nodes.pop()
        if isinstance(current, Aggregate):
            return True
        if isinstance(current, Expr):
            open_nodes += (getattr(current, name) for name in current.__struct_fields__)
    return False


class Ordering(msgspec.Struct, frozen=True):
    """One key of an ordering. PostgreSQL puts NULL last ascending and first descending."""

    operand: Expr
    descending: bool = False
    nulls: Literal["first", "last"] | None = None
