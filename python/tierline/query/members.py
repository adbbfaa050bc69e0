"""What traced values have: attributes, methods and operations by type, as tables to look up.

The modules of each type fill the tables when `tierline.query` is imported.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from tierline.entity.types import ColumnType, Wire

Member: TypeAlias = Callable[[Any], Any]
"""From a traced value to its attribute."""

MEMBERS: dict[Wire, dict[str, Member]] = {}
"""Attributes and methods by name, for each type."""

OPERATIONS: dict[tuple[Wire, str], Callable[..., Any]] = {}
"""What Python's syntax and built-ins ask for (`[]`, `abs`, `round`, …), for each type."""

INSIDE: dict[Wire, Callable[[Any, str], Any]] = {}
"""For types whose attributes are fields that users named: they hide every other member."""


def method(function: Callable[..., Any]) -> Member:
    """The member that is a method: the function with the traced value as its first argument."""
    return lambda operand: partial(function, operand)


def member(operand: Any, name: str) -> Any:
    """The attribute or method of a traced value.

    Raises:
        AttributeError: Its type has none of that name; the message lists those that there are.
    """
    type_: ColumnType = operand.expr.type
    inside = INSIDE.get(type_.wire)
    if inside is not None and not name.startswith("__"):
        return inside(operand, name)
    members = MEMBERS.get(type_.wire, {})
    if name in members and (name != "value" or _is_enum(type_)):
        return members[name](operand)
    known = [one for one in members if one != "value" or _is_enum(type_)]
    there_are = f"there are {', '.join(known)}" if known else "there are none"
    raise AttributeError(
        f"{name!r} cannot be traced on a {type_.sql} field; {there_are}, and functions such as "
        "tl.length, tl.contains, tl.matches, tl.cast, tl.is_null"
    )


def _is_enum(type_: ColumnType) -> bool:
    return isinstance(type_.annotation, type) and issubclass(type_.annotation, enum.Enum)


_INSTEAD = {
    "abs": "abs needs a number or an interval",
    "round": "round needs a number",
    "floor": "floor needs a number",
    "ceil": "ceil needs a number",
    "trunc": "trunc needs a number",
    "[]": "text, arrays and JSON have positions; a set has none, so ask tl.is_in(x, field)",
}


def operate(name: str, operand: Any, *arguments: object) -> Any:
    """What an operation of Python's makes of a traced value.

    Raises:
        TypeError: Its type has no such operation.
    """
    found = OPERATIONS.get((operand.expr.type.wire, name))
    if found is None:
        raise TypeError(
            f"{name} cannot be traced on a {operand.expr.type.sql} field; {_INSTEAD[name]}"
        )
    return found(operand, *arguments)
