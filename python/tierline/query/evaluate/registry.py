"""The tables of what can be evaluated: one for expressions, one for what queries read from.

To add a kind of node, write a function from the node and a scope to a `Read`, and register it:

    @evaluation(Case)
    def _(node: Case, scope: Scope) -> Read:
        ...

in a module that `evaluate/__init__.py` imports. What cannot be evaluated goes into `NOT_IN_MEMORY`
with its reason, which is then said when the query is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from tierline.query.evaluate.contexts import Captures, Context
from tierline.query.evaluate.values import Read
from tierline.query.expressions import Aggregate, ColumnRef, Expr, Window

N = TypeVar("N", bound=Expr)
S = TypeVar("S")

Run: TypeAlias = Callable[[Context], list[Any]]
"""From what a query runs in to rows, which are not to be changed."""


class Source(NamedTuple):
    """Rows that a query reads from: what a relation becomes.

    Attributes:
        rows: The rows, in whatever form is quick.
        column: By a column's name, from such a row to its kept value.
        is_whole: Whether the rows are the entities or Structs that were given.
        is_fixed: Whether the rows stay the same during an evaluation.
    """

    rows: Run
    column: Callable[[str], Read]
    is_whole: bool
    is_fixed: bool


class Scope(Protocol):
    """Where an expression's leaves get their values: one row, or a group of rows."""

    def known(self, node: Expr) -> Read | None:
        """How to read an expression that has its value already, such as a group's key."""
        ...

    def column(self, node: ColumnRef) -> Read:
        """How to read a column.

        Raises:
            QueryError: The column has no one value here.
        """
        ...

    def aggregate(self, node: Aggregate) -> Read:
        """How to read an aggregate.

        Raises:
            TypeError: There are no groups here.
        """
        ...

    def window(self, node: Window) -> Read:
        """How to read the value of a function over other rows.

        Raises:
            TypeError: There are no other rows here.
        """
        ...

    def context(self) -> Read:
        """How to read what the query runs in.

        Raises:
            TypeError: There is but a row here, and no table.
        """
        ...


Compile: TypeAlias = Callable[[Any, Scope], Read]

EXPRESSIONS: dict[type[Expr], Compile] = {}
"""How to compile each kind of expression."""

SOURCES: dict[type[Any], Callable[[Any, Captures | None], Source]] = {}
"""How to compile each kind of relation, inside a query of which it may take values."""

NOT_IN_MEMORY: dict[type[Any], str] = {}
"""Kinds of expressions and queries that only a database can answer, with the reason."""


def evaluation(kind: type[N]) -> Callable[[Callable[[N, Scope], Read]], None]:
    """Register how a kind of expression is compiled."""

    def register(build: Callable[[N, Scope], Read]) -> None:
        EXPRESSIONS[kind] = build

    return register


def source(
    kind: type[S],
) -> Callable[[Callable[[S, Captures | None], Source]], None]:
    """Register how a kind of relation is compiled."""

    def register(build: Callable[[S, Captures | None], Source]) -> None:
        SOURCES[kind] = build

    return register


def source_of(relation: Any, captures: Captures | None) -> Source:
    """What a relation becomes.

    Args:
        relation: A table, a query, or queries put together.
        captures: What the query that reads it takes from the one around it; None if there is none.

    Raises:
        TypeError: It cannot be evaluated in memory.
        QueryError: It has no meaning, as PostgreSQL would say too.
    """
    for kind in relation.__class__.__mro__:
        if kind in SOURCES:
            return SOURCES[kind](relation, captures)
    raise not_in_memory(relation.__class__)


def compiled(node: Expr, scope: Scope) -> Read:
    """The function that an expression becomes.

    Raises:
        TypeError: It cannot be evaluated in memory.
        QueryError: It has no meaning in the scope, as PostgreSQL would say too.
    """
    known = scope.known(node)
    if known is not None:
        return known
    build = EXPRESSIONS.get(type(node))
    if build is None:
        raise not_in_memory(type(node))
    return build(node, scope)


def why_not(kind: type[Any]) -> str | None:
    """Why a construct is not evaluated in memory, if that is known.

    What lies above this package says it itself, in an attribute of the class.
    """
    reason: str | None = NOT_IN_MEMORY.get(kind) or getattr(kind, "not_in_memory", None)
    return reason


def not_in_memory(kind: type[Any]) -> TypeError:
    """What is raised for a construct that only a database can answer."""
    reason = why_not(kind) or "no evaluation is known for it"
    return TypeError(f"{kind.__name__} cannot be evaluated in memory: {reason}")


def strict(function: Callable[..., Any], *operands: Read) -> Read:
    """Apply a function to values; NULL if one of them is NULL, after all were looked at."""
    if len(operands) == 1:
        (only,) = operands

        def apply_one(row: Any) -> Any:
            value = only(row)
            return None if value is None else function(value)

        return apply_one
    if len(operands) == 2:
        first, second = operands

        def apply_two(row: Any) -> Any:
            left, right = first(row), second(row)
            return None if left is None or right is None else function(left, right)

        return apply_two

    def apply_all(row: Any) -> Any:
        values = [operand(row) for operand in operands]
        return None if None in values else function(*values)

    return apply_all
