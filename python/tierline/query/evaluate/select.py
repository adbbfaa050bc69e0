"""Select queries: where, then groups, then order, then a page of it, then what each row makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tierline.query.assignments import RowRef
from tierline.query.evaluate.faults import unlisted
from tierline.query.evaluate.ordering import sorting
from tierline.query.evaluate.registry import (
    NOT_IN_MEMORY,
    Run,
    Scope,
    compiled,
    not_in_memory,
    shape,
)
from tierline.query.evaluate.results import making
from tierline.query.evaluate.scopes import GroupScope, RowScope
from tierline.query.evaluate.values import Convert, Read, key
from tierline.query.expressions import (
    Expr,
    Frame,
    Ranked,
    Value,
    Window,
    has_aggregate,
    parts,
)
from tierline.query.parameters import Param
from tierline.query.query import Compound, Cte, CteRef, Join, Lock, Query
from tierline.query.subqueries import Exists, InQuery, Scalar


@shape(Query)
def _query(query: Query[Any]) -> Run:
    _check_sources(query)
    rows = RowScope(query.table)
    keep = _keeping(query, rows)
    if not _is_grouped(query):
        return _paged(query, rows, keep)
    scope = GroupScope(rows, query.table, query.group_by)
    having = None if query.having is None else compiled(query.having, scope)
    finish = _paged(query, scope, list)
    grouped = scope.grouping()

    def run(given: Iterable[Any]) -> list[Any]:
        groups = grouped(keep(given))
        return finish(groups if having is None else [g for g in groups if having(g) is True])

    return run


def _check_sources(query: Query[Any]) -> None:
    """Refuse what reads more than the rows of one table.

    Raises:
        TypeError: The query does.
    """
    if query.joins:
        kind: type[Any] = Join
    elif query.relation is not None:
        kind = type(query.relation)
    elif query.lock is not None:
        kind = Lock
    else:
        return
    raise not_in_memory(kind)


def _keeping(query: Query[Any], scope: Scope) -> Callable[[Iterable[Any]], list[Any]]:
    entity = query.table.entity
    holds = None if query.where is None else compiled(query.where, scope)

    def keep(given: Iterable[Any]) -> list[Any]:
        rows = list(given)
        for row in rows:
            if not isinstance(row, entity):
                raise TypeError(f"expected rows of {entity.__name__}, got {type(row).__name__}")
        return rows if holds is None else [row for row in rows if holds(row) is True]

    return keep


def _is_grouped(query: Query[Any]) -> bool:
    outputs = query.projection.outputs if query.projection else ()
    expressions = [output.expr for output in outputs] + [key.operand for key in query.order_by]
    return bool(query.group_by) or query.having is not None or any(map(has_aggregate, expressions))


def _paged(query: Query[Any], scope: Scope, keep: Run) -> Run:
    """Order what was kept, cut the page out of it and make the answer of that."""
    outputs = [output.expr for output in query.answer.outputs]
    if query.projection is None:
        # For what it raises: a group of entities has no one value in each column.
        for node in outputs:
            compiled(node, scope)
    sort = sorting(query.order_by, scope) if query.order_by else None
    differ = _differing(query, outputs, scope) if query.distinct else None
    start = query.offset or 0
    end = None if query.limit is None else start + query.limit
    make = None if query.projection is None else making(query.projection, scope)

    def run(given: Iterable[Any]) -> list[Any]:
        rows = keep(given)
        if sort is not None:
            sort(rows)
        if differ is not None:
            rows = differ(rows)
        page = rows[start:end]
        return page if make is None else [make(row) for row in page]

    return run


def _differing(
    query: Query[Any], outputs: list[Expr], scope: Scope
) -> Callable[[list[Any]], list[Any]]:
    """The function that leaves out rows whose outputs came before.

    Raises:
        QueryError: The rows are ordered by something that is no output.
    """
    # An expression with values in it reads differently each time, unless it is a group's key.
    said = [
        node
        for node in outputs
        if node in query.group_by or not any(isinstance(part, Value) for part in parts(node))
    ]
    if any(ordering.operand not in said for ordering in query.order_by):
        raise unlisted()
    reads = [(compiled(node, scope), key(node.type)) for node in outputs]

    def differ(rows: list[Any]) -> list[Any]:
        seen: dict[tuple[Any, ...], Any] = {}
        for row in rows:
            seen.setdefault(_identity(row, reads), row)
        return list(seen.values())

    return differ


def _identity(row: Any, reads: list[tuple[Read, Convert | None]]) -> tuple[Any, ...]:
    values = ((read(row), convert) for read, convert in reads)
    return tuple(
        value if value is None or convert is None else convert(value) for value, convert in values
    )


NOT_IN_MEMORY.update(
    {
        Param: "its value is given when the query runs in a store",
        RowRef: "it is of the two rows of an upsert, which the database brings together",
        Join: "it reads rows of several tables",
        Query: "it reads another query's rows; evaluate that one first",
        Compound: "it reads the rows of two queries; evaluate each, and put them together",
        Cte: "it reads another query's rows",
        CteRef: "it reads another query's rows",
        Lock: "only a database locks rows",
        Exists: "it reads another query's rows",
        Scalar: "it reads another query's rows",
        InQuery: "it reads another query's rows; evaluate that one, and give is_in the list",
        Window: "window functions need a database",
        Ranked: "window functions need a database",
        Frame: "window functions need a database",
    }
)
