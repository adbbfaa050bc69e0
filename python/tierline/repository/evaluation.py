"""What a repository in memory needs of in-memory evaluation, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tierline.entity import Table
from tierline.query.assignments import Assignment
from tierline.query.evaluate.registry import compiled
from tierline.query.evaluate.scopes import RowScope
from tierline.query.evaluate.values import given
from tierline.query.expressions import Expr


def condition(table: Table[Any, Any], where: Expr | None) -> Callable[[Any], bool]:
    """Whether a condition is true for an entity; unknown is not true."""
    if where is None:
        return lambda _entity: True
    holds = compiled(where, RowScope(table))
    return lambda entity: holds(entity) is True


def assigning(
    table: Table[Any, Any], assignments: tuple[Assignment, ...]
) -> Callable[[Any], dict[str, Any]]:
    """From an entity to the new values of its fields."""
    scope = RowScope(table)
    steps = [(item.column, compiled(item.value, scope)) for item in assignments]

    def values(entity: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, read in steps:
            column = table.column(name)
            value = read(entity)
            if value is not None:
                convert = given(column.type)
                value = value if convert is None else convert(value)
                if column.type.wire == "float8":
                    value = float(cast("float", value))
            found[column.field] = value
        return found

    return values
