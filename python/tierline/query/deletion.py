"""Soft deletion: the condition that leaves deleted rows out."""

from __future__ import annotations

from typing import Any

from tierline.entity import Table
from tierline.query.expressions import ColumnRef, Expr, IsNull, Logic
from tierline.query.sight import depth


def not_deleted(table: Table[Any, Any], condition: Expr | None = None) -> Expr | None:
    """A condition that holds for living rows only; the condition itself if none are ever deleted.

    Args:
        table: The table; rows of one without `deleted_at=` all live.
        condition: What must hold besides.
    """
    if table.deleted_at is None:
        return condition
    type_ = table.column(table.deleted_at).type
    lives = IsNull(ColumnRef(table.deleted_at, type_, (depth(), 0)))
    return lives if condition is None else Logic("and", condition, lives)
