"""Operations: what was sent to the sheet, and what the base is once it has landed.

A spreadsheet has no transactions, but a batch is atomic, and it can move a *marker*: it takes away
the marker of the batch before and puts its own in place. Taking away one that is not there fails
the whole batch. So a batch lands once or never; once another marker is there, it is never.

After a crash, or a reply that never came, the marker says which:

    the operation's own      it has landed: its base holds
    its cancellation         it has not, and will not
    the one before           it has not, but may yet: move the marker on to the cancellation, and
                             look again

Only then may the sheet be read: a batch that lands late would write over what people did meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tierline.sync.plan import Plan
from tierline.sync.rows import BaseRow

Outcome: TypeAlias = Literal["landed", "never", "open"]
"""What became of an operation: "open" as long as it may still land."""


class Operation(msgspec.Struct, frozen=True):
    """A batch for the sheet, noted before it is sent.

    Attributes:
        id: Its own marker.
        after: The marker that it takes away: the one that stood there when the sheet was read.
        base: The rows of the base that hold once it has landed.
        born: The ids that it gives to rows of the sheet.
    """

    id: str
    after: str
    base: dict[str, BaseRow]
    born: tuple[str, ...] = ()

    @property
    def cancellation(self) -> str:
        """The marker that keeps it from landing. Nobody has to note it: it follows from the id."""
        return f"{self.id}x"


def operation(plan: Plan, *, id: str, after: str) -> Operation | None:  # noqa: A002 (its name)
    """The operation of a plan; None if the sheet is sent nothing.

    Args:
        plan: The plan.
        id: An id that no other operation has.
        after: The marker that stood in the sheet when it was read.
    """
    return Operation(id, after, dict(plan.base_after)) if plan.writes_sheet else None


def outcome(operation: Operation, marker: str) -> Outcome:
    """What became of an operation.

    Args:
        operation: The operation.
        marker: The marker that stands in the sheet.
    """
    if marker == operation.id:
        return "landed"
    # A marker that nobody knows was put there by somebody else: what is not there cannot be taken
    # away. If it had landed before, both sides are equal there, which a merge sees by itself.
    return "open" if marker == operation.after else "never"


def settled(base: Mapping[str, BaseRow], changes: Mapping[str, BaseRow]) -> dict[str, BaseRow]:
    """The base with what holds now: a plan's `base_now`, or the base of an operation that landed.

    Args:
        base: The base.
        changes: Its rows that are different now.
    """
    return {**base, **changes}
