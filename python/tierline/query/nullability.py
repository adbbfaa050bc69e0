"""Which expressions of a query may be NULL, as far as tables and joins tell."""

from __future__ import annotations

from typing import Any

from tierline.entity import Table
from tierline.query.expressions import (
    Aggregate,
    Arithmetic,
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Logic,
    Negative,
    Not,
    Value,
)
from tierline.query.query import Compound, Cte, CteRef, Query, Relation


def may_be_null(query: Query[Any], expr: Expr) -> bool:
    """Whether an expression has NULL for some row of a query.

    A column that a table declares without None is believed never to hold one. What is not known is
    taken for NULL.

    Args:
        query: The query that the expression stands in.
        expr: Its columns are those of the query's sources.
    """
    match expr:
        case ColumnRef():
            return _column_may_be_null(query, expr)
        case Value(value=value):
            return value is None
        case IsNull() | Aggregate(function="count"):
            return False
        case Not(operand) | Negative(operand):
            return may_be_null(query, operand)
        case (
            Arithmetic(left=left, right=right)
            | Comparison(left=left, right=right)
            | Logic(left=left, right=right)
        ):
            return may_be_null(query, left) or may_be_null(query, right)
        case _:
            return True


def is_stored(query: Query[Any], expr: Expr) -> bool:
    """Whether an expression is a table's column as it is stored, so that an index may order it."""
    if not isinstance(expr, ColumnRef):
        return False
    source = _source(query, expr)
    return isinstance(source, Table) and not _may_miss(query, expr)


def _column_may_be_null(query: Query[Any], column: ColumnRef) -> bool:
    source = _source(query, column)
    return source is None or _may_miss(query, column) or _source_may_be_null(source, column.name)


def _source(query: Query[Any], column: ColumnRef) -> Relation | None:
    """What a column is of; None if that is no source of the query."""
    level, position = column.alias
    return query.sources[position] if level == query.level else None


def _may_miss(query: Query[Any], column: ColumnRef) -> bool:
    """Whether a column is of the right side of a left join."""
    position = column.alias[1]
    return position > 0 and query.joins[position - 1].kind == "LEFT JOIN"


def _source_may_be_null(source: Relation, name: str) -> bool:
    match source:
        case Table():
            return source.column(name).nullable
        case Query():
            return _output_may_be_null(source, _position(source, name))
        case Compound(left=left, right=right):
            position = _position(left, name)
            return _output_may_be_null(left, position) or _output_may_be_null(right, position)
        case Cte(base=base, step=None):
            return _output_may_be_null(base, _position(base, name))
        case Cte() | CteRef():
            return True


def _position(query: Query[Any], name: str) -> int:
    return [output.name for output in query.answer.outputs].index(name)


def _output_may_be_null(query: Query[Any], position: int) -> bool:
    return may_be_null(query, query.answer.outputs[position].expr)
