"""What changed between two looks at a worksheet, as change events. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

from tierline.entity import Sheet
from tierline.repository.events import Changed, changed
from tierline.sheets.observing import Observed

T = TypeVar("T")


def changes(
    sheet: Sheet[T, Any], known: Mapping[Any, T], seen: Observed[T], at: dt.datetime
) -> list[Changed[T]]:
    """The events that lead from what was known to what is seen; rows that went come first.

    A row that does not fit is held: nothing is told of it until it fits again. If a row has no
    readable key, those that are missing may be it, and are held too.

    Args:
        sheet: The table.
        known: The rows that were told of, by key.
        seen: What is in the worksheet now.
        at: When it was read.
    """
    gone = [] if seen.is_vague else [key for key in known if key not in seen.rows]
    events = [changed(sheet, known[key], None, at) for key in gone if key not in seen.held]
    events += [changed(sheet, known.get(key), row, at) for key, row in seen.rows.items()]
    return [event for event in events if event is not None]


def held_rows(known: Mapping[Any, T], seen: Observed[T]) -> int:
    """How many rows that were told of stay as they were because they do not fit, or may not."""
    if seen.is_vague:
        return sum(1 for key in known if key not in seen.rows)
    return sum(1 for key in known if key in seen.held)
