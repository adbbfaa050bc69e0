"""Select queries: where, then groups, then order, then a page of it, then what each row makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tierline.query.evaluate.faults import ungrouped
from tierline.query.evaluate.ordering import sorting
from tierline.query.evaluate.registry import Run, Scope, compiled, shape
from tierline.query.evaluate.results import making
from tierline.query.evaluate.scopes import GroupScope, RowScope
from tierline.query.expressions import has_aggregate
from tierline.query.select import Query


@shape(Query)
def _query(query: Query[Any]) -> Run:
    rows = RowScope(query.table)
    keep = _keeping(query, rows)
    if not _is_grouped(query):
        return _paged(query, rows, keep)
    if query.projection is None:
        raise ungrouped(query.table.columns[0].name)
    scope = GroupScope(rows, query.table, query.group_by)
    finish = _paged(query, scope, list)
    group = scope.grouping()
    return lambda given: finish(group(keep(given)))


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
    return bool(query.group_by) or any(
        has_aggregate(node)
        for node in (
            *(output.expr for output in outputs),
            *(key.operand for key in query.order_by),
        )
    )


def _paged(query: Query[Any], scope: Scope, keep: Run) -> Run:
    """Order what was kept, cut the page out of it and make the answer of that."""
    sort = sorting(query.order_by, scope) if query.order_by else None
    start = query.offset or 0
    end = None if query.limit is None else start + query.limit
    make = None if query.projection is None else making(query.projection, scope)

    def run(given: Iterable[Any]) -> list[Any]:
        rows = keep(given)
        if sort is not None:
            sort(rows)
        page = rows[start:end]
        return page if make is None else [make(row) for row in page]

    return run
