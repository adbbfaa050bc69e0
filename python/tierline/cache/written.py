"""What a write touched, as the caches are told."""

from __future__ import annotations

from typing import Any, NamedTuple

from tierline.entity import Table
from tierline.query.changes import RowChange


class Written(NamedTuple):
    """Rows that were written.

    Attributes:
        table: Whose.
        keys: Their keys; None for any.
        deleted: Whether they were deleted, and rows of other tables perhaps with them.
        changes: The rows before and after, where they are known.
    """

    table: Table[Any, Any]
    keys: tuple[Any, ...] | None
    deleted: bool
    changes: tuple[RowChange, ...] | None
