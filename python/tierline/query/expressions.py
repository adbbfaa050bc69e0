"""Expression nodes: what a traced lambda becomes. Frozen values, no behaviour.

Comparisons follow SQL: with NULL on either side the answer is unknown, and a
`where` keeps only rows whose answer is true. `IsNull` asks for NULL itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Literal, TypeAlias

import msgspec

from tierline.entity.types import BOOL, ColumnType

ComparisonOperator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]
ArithmeticOperator: TypeAlias = Literal["+", "-", "*", "/", "//", "%"]
TextTest: TypeAlias = Literal["startswith", "endswith", "contains"]
AggregateFunction: TypeAlias = Literal[
    "count", "sum", "avg", "min", "max", "array_agg", "string_agg"
]


WindowFunction: TypeAlias = Literal[
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile",
    "lag", "lead", "first_value", "last_value", "nth_value",
]  # fmt: skip
Alias: TypeAlias = tuple[int, int]
"""Which source of which query a column is of: how deep the query is nested in lambdas of others,
and the source's position in it."""

OWN: Alias = (0, 0)


class Expr(msgspec.Struct, frozen=True):
    """A node; every node has a `type`."""

    @property
    def type(self) -> ColumnType:
        """The type of the expression's value."""
        return BOOL


class ColumnRef(Expr, frozen=True):
    """A column of a query's table, or of another of its sources."""

    name: str
    column_type: ColumnType
    alias: Alias = OWN

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
        """The operand's type; of an Enum's number, the number's."""
        type_ = self.operand.type
        return type_ if type_.choices is None else msgspec.structs.replace(type_, choices=None)


class Aggregate(Expr, frozen=True):
    """A function over the rows of a group; without an operand it counts rows.

    Attributes:
        separator: What `string_agg` puts between two texts.
        order_by: In which order `array_agg` and `string_agg` take the values.
        condition: Which rows are taken; all if there is none.
    """

    function: AggregateFunction
    operand: Expr | None
    distinct: bool
    result_type: ColumnType
    separator: Expr | None = None
    order_by: tuple[Ordering, ...] = ()
    condition: Expr | None = None

    @property
    def type(self) -> ColumnType:
        """The type of the result."""
        return self.result_type


def parts(node: Expr) -> Iterator[Any]:
    """An expression and everything in it, tuples opened; nested queries are not entered."""
    # Not recursive: an expression may be nested as deep as its maker liked.
    open_nodes: list[Any] = [node]
    while open_nodes:
        current = open_nodes.pop()
        yield current
        if type(current) is tuple:
            open_nodes += current
        else:
            open_nodes += _nodes_of(type(current))(current)


def columns_in(nodes: Iterable[object]) -> list[ColumnRef]:
    """The columns in expressions, and in everything in them; nested queries are not entered."""
    # As `parts`, but without a generator: what every lambda makes is looked through.
    columns: list[ColumnRef] = []
    open_nodes: list[Any] = list(nodes)
    while open_nodes:
        current = open_nodes.pop()
        kind = current.__class__
        if kind is ColumnRef:
            columns.append(current)
        elif kind is tuple:
            open_nodes += current
        elif kind not in _LEAVES:
            open_nodes += _nodes_of(kind)(current)
    return columns


def kinds_in(node: object) -> set[type]:
    """The classes of an expression and of everything in it; a nested query is one."""
    # As `parts`, but without a generator: every condition of every query is looked through.
    kinds: set[type] = set()
    open_nodes: list[Any] = [node]
    while open_nodes:
        current = open_nodes.pop()
        kind = current.__class__
        if kind is tuple:
            open_nodes += current
        elif kind not in _LEAVES:
            kinds.add(kind)
            open_nodes += _nodes_of(kind)(current)
    return kinds


def _nodes_of(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    """What takes from a node of a kind all that nodes may stand in."""
    found = _NODES_OF.get(kind)
    if found is None:
        hints: dict[str, Any] = {}
        if issubclass(kind, (Expr, Ordering)):
            for base in reversed(kind.__mro__):
                hints |= getattr(base, "__annotations__", {})
        found = _NODES_OF[kind] = _getter(
            [name for name, hint in hints.items() if not _is_plain(str(hint))]
        )
    return found


_NODES_OF: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    # Of a single name it is no tuple.
    only = attrgetter(*names)
    return lambda node: (only(node),)


def _is_plain(annotation: str) -> bool:
    """Whether a field of that annotation never holds a node."""
    return annotation in _PLAIN or annotation.startswith("Literal[")


_PLAIN = frozenset(
    ("str", "bool", "Any", "ColumnType", "Alias", "int | None", "ComparisonOperator",
     "ArithmeticOperator", "TextTest", "AggregateFunction", "WindowFunction")
)  # fmt: skip


def has_window(node: Expr) -> bool:
    """Whether a window function stands anywhere in an expression."""
    return not kinds_in(node).isdisjoint(WINDOWS)


def has_aggregate(node: Expr) -> bool:
    """Whether an aggregate stands anywhere in an expression."""
    return Aggregate in kinds_in(node)


class Ordering(msgspec.Struct, frozen=True):
    """One key of an ordering. PostgreSQL puts NULL last ascending and first descending."""

    operand: Expr
    descending: bool = False
    nulls: Literal["first", "last"] | None = None


class Ranked(Expr, frozen=True):
    """A function that has a value only among other rows; stands in `tl.over`."""

    function: WindowFunction
    operands: tuple[Expr, ...]
    result_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type of the result."""
        return self.result_type


class Frame(Expr, frozen=True):
    """Which rows around the current one are taken.

    Attributes:
        unit: What the bounds count.
        start: How many before (negative) or after; None for all before.
        end: The same of the last one; None for all after.
    """

    unit: Literal["ROWS", "GROUPS"]
    start: int | None
    end: int | None


class Window(Expr, frozen=True):
    """The value of a function over the rows of a partition."""

    function: Expr
    partition_by: tuple[Expr, ...]
    order_by: tuple[Ordering, ...]
    frame: Frame | None

    @property
    def type(self) -> ColumnType:
        """The function's type."""
        return self.function.type


WINDOWS = frozenset((Window, Ranked))
"""Nodes that have a value among other rows only."""

_LEAVES = frozenset((ColumnRef, Value, type(None)))
