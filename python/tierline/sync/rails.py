"""When a plan is refused as a whole: it would do what nobody is likely to have meant.

A sheet that is suddenly empty has more often been cleared by accident, or read from the wrong
place, than emptied on purpose; to delete the table's rows after it would be the real loss.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import msgspec

from tierline.entity import Sheet, Table
from tierline.errors import ConfigurationError
from tierline.sync.merge import Rules
from tierline.sync.plan import Plan, SideChanges
from tierline.sync.rows import Sides


class Rails(msgspec.Struct, frozen=True):
    """The limits of a plan; build it with `rails`.

    Attributes:
        max_deletes: The part of the rows that one pass may delete on one side.
        may_be_empty: Whether a side may have lost all its rows.
    """

    max_deletes: float = 0.5
    may_be_empty: bool = False


def rails(*, max_deletes: float = 0.5, may_be_empty: bool = False) -> Rails:
    """The limits of a plan.

    Args:
        max_deletes: The part of the rows that one pass may delete on one side, from 0 to 1. A
            single row may always be deleted, unless it is 0.
        may_be_empty: Let a side have no rows though there were some.

    Raises:
        TypeError: An option is of another type.
        ValueError: The part is not from 0 to 1.
    """
    given = cast("object", max_deletes)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"max_deletes is a part such as 0.5, not {type(given).__name__}")
    if not 0 <= given <= 1:
        raise ValueError(f"max_deletes is a part of the rows, from 0 to 1, not {given}")
    if not isinstance(cast("object", may_be_empty), bool):
        raise TypeError(f"may_be_empty is a bool, not {type(may_be_empty).__name__}")
    return Rails(float(given), may_be_empty)


def refusal(rails: Rails, sides: Sides, plan: Plan) -> ConfigurationError | None:
    """Why a plan is not performed, or None if it may be.

    Args:
        rails: The limits.
        sides: What the plan was made of.
        plan: The plan.
    """
    known = sides.known_rows
    for name, rows, lost in (
        ("sheet", len(sides.sheet), plan.database.deletes),
        ("database", len(sides.database), plan.sheet.deletes),
    ):
        if known and not rows and lost and not rails.may_be_empty:
            return _refused(
                f"the {name} has no rows, and there were {known}; put them back, or allow it with "
                "may_be_empty=True"
            )
    return _too_many("sheet", rails, plan.sheet, known) or _too_many(
        "database", rails, plan.database, known
    )


def _too_many(
    name: str, rails: Rails, changes: SideChanges, known: int
) -> ConfigurationError | None:
    deletes = len(changes.deletes)
    allowed = rails.max_deletes * known
    if deletes <= allowed or (deletes == 1 and rails.max_deletes > 0):
        return None
    return _refused(
        f"{deletes} of {known} rows would be deleted in the {name}, more than the part "
        f"{rails.max_deletes:g}; look at the plan of a dry run, and allow it with max_deletes="
    )


def fingerprint(sheet: Sheet[Any, Any], table: Table[Any, Any], rules: Rules) -> str:
    """What the base was made for: fields, headers, types, key and owners.

    Under another mapping the base's cells would mean something else. Where columns stand, and the
    policy, make no difference.
    """
    mapping = [
        (sheet.spreadsheet, sheet.worksheet, table.schema, table.name, list(table.key)),
        [_column(sheet, table, field) for field in rules.fields],
        sorted(rules.owners.items()),
    ]
    return hashlib.blake2b(msgspec.json.encode(mapping), digest_size=16).hexdigest()


def _column(sheet: Sheet[Any, Any], table: Table[Any, Any], field: str) -> tuple[object, ...]:
    column = table.by_field[field]
    choices = sorted(map(str, column.type.choices or ()))
    return field, sheet.header_of(field), column.name, column.type.sql, column.nullable, choices


def changed_mapping(stored: str, now: str) -> ConfigurationError | None:
    """Why a base of another mapping is not used, or None if it is of this one.

    Args:
        stored: The fingerprint that the base was made for.
        now: Today's.
    """
    if stored == now:
        return None
    return _refused(
        "the fields, headers, types or the key are not those that the base was made for; build it "
        "anew with resync, which joins both sides"
    )


def _refused(message: str) -> ConfigurationError:
    return ConfigurationError(message, operation="sync")
