"""Rules on what may stand in which clause, so that mistakes are found when a query is built."""

from __future__ import annotations

from typing import Any

from tierline.entity import Table
from tierline.query.expressions import (
    Aggregate,
    ColumnRef,
    Expr,
    Ordering,
    Ranked,
    Window,
    has_aggregate,
    has_window,
    kinds_in,
    parts,
)
from tierline.query.query import Compound, Cte, CteRef, Query, Relation


def outputs_of(query: Query[Any]) -> list[Expr]:
    """What a projection makes of each row; nothing if the query has none."""
    return [] if query.projection is None else [out.expr for out in query.projection.outputs]


def is_aggregate(query: Query[Any]) -> bool:
    """Whether the answer's rows are no rows of the sources, but counted or added up from them."""
    return bool(query.group_by) or any(
        has_aggregate(expr) and not has_window(expr) for expr in outputs_of(query)
    )


def check_ranked(expr: Expr) -> None:
    """A function such as `tl.rank` has a value only in `tl.over`.

    Raises:
        TypeError: It stands outside.
    """
    if Ranked not in kinds_in(expr):
        return
    found = list(parts(expr))
    inside = {id(part.function) for part in found if isinstance(part, Window)}
    for part in found:
        if isinstance(part, Ranked) and id(part) not in inside:
            raise TypeError(f"{part.function} has a value in a window only: tl.over(…, order_by=…)")


def check_distinct(query: Query[Any]) -> None:
    """Rows that came together from several have but their own values to be ordered by.

    Raises:
        TypeError: They are ordered by others.
    """
    if not query.distinct:
        return
    made = [output.expr for output in query.answer.outputs]
    if any(key.operand not in made for key in query.order_by):
        raise TypeError("distinct rows are ordered by what they are made of: give such an order_by")


def check_lockable(query: Query[Any]) -> None:
    """Only rows that stand in a table as they are read can be locked.

    Raises:
        TypeError: The query answers with others.
    """
    windows = any(map(has_window, outputs_of(query)))
    if query.distinct or windows or is_aggregate(query):
        raise TypeError("for_update: groups and distinct rows are no rows that could be locked")
    if any(join.kind == "LEFT JOIN" for join in query.joins):
        raise TypeError("for_update: a left join has rows without a right side to lock; use join")
    for source in query.sources:
        _check_source(source)


def _check_source(source: Relation) -> None:
    match source:
        case Table():
            pass
        case Query():
            check_lockable(source)
        case Compound():
            raise TypeError("for_update: rows of a union and the like cannot be locked")
        case Cte() | CteRef():
            # PostgreSQL would take the lock for one on nothing, and not say so.
            raise TypeError("for_update: lock the rows inside the common table expression")


def check_group_ordering(query: Query[Any]) -> None:
    """Groups are ordered by what they have in common, or by aggregates.

    Raises:
        TypeError: They are ordered by something else.
    """
    if not query.group_by or _is_by_whole_rows(query):
        return
    for key in query.order_by:
        if not _has_one_value(key.operand, query):
            raise TypeError(
                "project: a group has no one value of what it is ordered by; order by group keys "
                "or aggregates: project(…, group_by=, order_by=), and rows inside an aggregate: "
                "tl.array_agg(…, order_by=)"
            )


def _is_by_whole_rows(query: Query[Any]) -> bool:
    """Whether each group is one row of a table, by its key, so that all its columns are known."""
    table = query.sources[0]
    if not isinstance(table, Table) or len(query.sources) > 1:
        return False
    names = {key.name for key in query.group_by if isinstance(key, ColumnRef)}
    return names.issuperset(table.key)


def _has_one_value(node: Any, query: Query[Any]) -> bool:
    """Whether an expression is made of group keys, aggregates and values."""
    # Not recursive: an expression may be nested as deep as its maker liked.
    open_nodes: list[Any] = [node]
    while open_nodes:
        current = open_nodes.pop()
        if type(current) is tuple:
            open_nodes += current
        elif isinstance(current, Ordering):
            open_nodes.append(current.operand)
        elif isinstance(current, Expr) and not isinstance(current, Aggregate):
            if current in query.group_by:
                continue
            # A row of a query around it is the same for all groups.
            if isinstance(current, ColumnRef) and current.alias[0] == query.level:
                return False
            open_nodes += (getattr(current, name) for name in current.__struct_fields__)
    return True
