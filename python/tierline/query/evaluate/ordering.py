"""ORDER BY: a stable sort, with NULL where PostgreSQL puts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tierline.query.evaluate.registry import Scope, compiled
from tierline.query.evaluate.values import Read, ordered_key
from tierline.query.expressions import Ordering


def sorting(keys: Sequence[Ordering], scope: Scope) -> Callable[[list[Any]], None]:
    """The function that sorts rows in place; rows that tie stay as they are.

    Raises:
        TypeError: Values of a key cannot be ordered in memory.
    """
    # The last key first: each stable sort keeps what the one before it made of its ties.
    steps = [(_sort_key(key, scope), key.descending) for key in reversed(keys)]

    def sort(rows: list[Any]) -> None:
        for key, descending in steps:
            rows.sort(key=key, reverse=descending)

    return sort


def _sort_key(ordering: Ordering, scope: Scope) -> Read:
    read = compiled(ordering.operand, scope)
    convert = ordered_key(ordering.operand.type)
    nulls_last = not ordering.descending if ordering.nulls is None else ordering.nulls == "last"
    # A descending sort turns the ranks around.
    null = (1 if nulls_last != ordering.descending else -1, None)

    def sort_key(row: Any) -> tuple[int, Any]:
        value = read(row)
        if value is None:
            return null
        return 0, value if convert is None else convert(value)

    return sort_key
