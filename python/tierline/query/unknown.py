"""What is said of a field that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from tierline.entity import Table


def unknown_field(table: Table[Any, Any], field: str) -> str:
    """The message for a field that an entity does not have."""
    return unknown_name(table.entity.__name__, table.by_field, field)


def unknown_name(maker: str, fields: Collection[str], field: str) -> str:
    """The message for a field that none of these is.

    Args:
        maker: What the fields are of.
        fields: Their names.
        field: What was asked for.
    """
    close = difflib.get_close_matches(field, fields, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(fields)}"
    return f"{maker} has no field {field!r}; {hint}"
