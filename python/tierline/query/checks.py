"""Rules on what may stand in which clause, so that mistakes are found when a query is built."""

from __future__ import annotations

from typing import Any

from tierline.entity import Table
from tierline.query.expressions import (
    Expr,
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
