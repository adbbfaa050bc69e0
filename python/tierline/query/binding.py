"""A query with the values of its parameters in their places, for evaluation in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tierline.entity import Table
from tierline.entity.types import ColumnType, is_tuple
from tierline.query.expressions import Value
from tierline.query.parameters import Param, binder
from tierline.query.query import Query

R = TypeVar("R")

_LEAVES: tuple[type[Any], ...] = (Value, Table, ColumnType)


def bound(query: Query[R], given: Mapping[str, object]) -> Query[R]:
    """The query with values in place of its parameters.

    Raises:
        TypeError: A parameter is missing, unknown or of another type.
        ValueError: A number of rows is negative.
    """
    found: dict[int, Param] = {}
    _look(query, found, set())
    places = tuple(found.values())
    values = binder(places)(given)
    if not places:
        return query
    by_id = {id(place): value for place, value in zip(places, values, strict=True)}
    made: Query[R] = _with(query, by_id, {})
    return made


def _look(node: Any, found: dict[int, Param], seen: set[int]) -> None:
    if isinstance(node, Param):
        found[id(node)] = node
    elif is_tuple(node):
        for item in node:
            _look(item, found, seen)
    elif (
        isinstance(node, msgspec.Struct) and not isinstance(node, _LEAVES) and id(node) not in seen
    ):
        seen.add(id(node))
        for name in node.__struct_fields__:
            _look(getattr(node, name), found, seen)


def _with(node: Any, values: dict[int, Any], made: dict[int, Any]) -> Any:
    if isinstance(node, Param):
        value = values[id(node)]
        # Limits and offsets are plain numbers, not expressions.
        return value if node.counts_rows else Value(value, node.value_type)
    if is_tuple(node):
        return _same_kind(node, [_with(item, values, made) for item in node])
    if not isinstance(node, msgspec.Struct) or isinstance(node, _LEAVES):
        return node
    if id(node) not in made:
        old = {name: getattr(node, name) for name in node.__struct_fields__}
        new = {name: _with(value, values, made) for name, value in old.items()}
        changed = {name: value for name, value in new.items() if value is not old[name]}
        made[id(node)] = msgspec.structs.replace(node, **changed) if changed else node
    return made[id(node)]


def _same_kind(old: tuple[Any, ...], items: list[Any]) -> tuple[Any, ...]:
    if all(new is was for new, was in zip(items, old, strict=True)):
        return old
    kind: Any = type(old)
    return tuple(items) if kind is tuple else kind(*items)
