"""Which columns of a query are of rows outside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tierline.entity import Table
from tierline.query.expressions import Alias, ColumnRef, Expr, parts
from tierline.query.query import Compound, Cte, CteRef, Query, Relation
from tierline.query.subqueries import Exists, InQuery, Scalar


def check_uncorrelated(what: str, query: Query[Any]) -> None:
    """A common table expression stands apart from the query around it, and sees no row of it.

    Raises:
        TypeError: The query uses such a row.
    """
    column = next(_outer(query, frozenset()), None)
    if column is not None:
        raise TypeError(
            f"{what}: the field {column.name!r} is of a row of the query around it, which a common "
            "table expression cannot use; join it, or use the query without tl.cte"
        )


def _outer(query: Query[Any], inner: frozenset[Alias]) -> Iterator[ColumnRef]:
    """The columns of a query that are of no source in sight."""
    sources = query.sources
    own = inner | {(query.level, position) for position in range(len(sources))}
    for source in sources:
        yield from _outer_of(source, inner)
    for expr in _expressions(query):
        for part in parts(expr):
            if isinstance(part, ColumnRef):
                if part.alias not in own:
                    yield part
            elif isinstance(part, (Exists, Scalar, InQuery)):
                yield from _outer(part.query, own)


def _outer_of(source: Relation, inner: frozenset[Alias]) -> Iterator[ColumnRef]:
    match source:
        case Table() | CteRef() | Cte():
            # A common table expression inside was looked at when it was built.
            return
        case Query():
            yield from _outer(source, inner)
        case Compound(left=left, right=right):
            yield from _outer(left, inner)
            yield from _outer(right, inner)


def _expressions(query: Query[Any]) -> Iterator[Expr]:
    if query.projection is not None:
        yield from (output.expr for output in query.projection.outputs)
    yield from (clause for clause in (query.where, query.having) if clause is not None)
    yield from query.group_by
    yield from (key.operand for key in query.order_by)
    yield from (join.on for join in query.joins if join.on is not None)
