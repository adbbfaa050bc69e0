"""What is kept equal, as an inert value: `tl.sync(SHEET, TABLE, policy=…)`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from tierline.entity import Sheet, Table
from tierline.sync.merge import Deletions, Rules, rules
from tierline.sync.policies import Policy, manual
from tierline.sync.rails import Rails, fingerprint, rails
from tierline.sync.rows import Side

T = TypeVar("T")
K = TypeVar("K")


class Sync(msgspec.Struct, Generic[T, K], frozen=True, eq=False):
    """A worksheet and a table that are kept equal; build it with `tl.sync`.

    Attributes:
        sheet: The worksheet.
        table: The table.
        rules: How rows are merged.
        rails: When a plan is refused as a whole.
    """

    sheet: Sheet[Any, K]
    table: Table[T, K]
    rules: Rules
    rails: Rails

    @property
    def id(self) -> str:
        """Names the pair in the database and in the sheet."""
        parts = [self.sheet.spreadsheet, self.sheet.worksheet, self.table.schema, self.table.name]
        return hashlib.blake2b(msgspec.json.encode(parts), digest_size=6).hexdigest()

    @property
    def fingerprint(self) -> str:
        """What the base is made for."""
        return fingerprint(self.sheet, self.table, self.rules)

    def __repr__(self) -> str:
        fields = ", ".join(self.rules.fields)
        return f"<Sync {self.sheet.worksheet!r} with {self.table.name}: {fields}>"


def sync(
    sheet: Sheet[Any, K],
    table: Table[T, K],
    *,
    policy: Policy = manual,
    deletions: Deletions = "edit_wins",
    owners: Mapping[str, Side] | None = None,
    max_deletes: float = 0.5,
    may_be_empty: bool = False,
) -> Sync[T, K]:
    """Say that a worksheet and a table are to be kept equal; `store.sync` does it.

    Both have the same key, which identifies a row on either side. What is merged are the fields
    that both have; the version and a deletion's mark are the table's own.

    Args:
        sheet: From `tl.sheet`.
        table: From `tl.table`, with the same key.
        policy: Who is right where both sides have changed a cell: `tl.sheet_wins`,
            `tl.database_wins`, `tl.manual`, `tl.per_field({…})` or a pure function from a
            `tl.Conflict` to a verdict.
        deletions: "edit_wins" brings a row back that was deleted on one side and changed on the
            other; "delete_wins" deletes it and tells.
        owners: Fields of which one side is always right. Those that the sheet computes are the
            sheet's, and the table's stamps are the database's.
        max_deletes: The part of the rows that one pass may delete on one side.
        may_be_empty: Let a side have lost all its rows.

    Raises:
        TypeError: The sheet or the table is none; they have another key, or a field of another
            type; a new row of the sheet could not be inserted; an option is of another type.
        ValueError: An option is out of range.

    Example:
        ``store.sync(tl.sync(BIRD_SHEET, BIRDS, policy=tl.sheet_wins))``
    """
    if not isinstance(cast("object", sheet), Sheet):
        raise TypeError(f"sync takes a sheet made by tl.sheet first, not {type(sheet).__name__}")
    if not isinstance(cast("object", table), Table) or isinstance(table, Sheet):
        raise TypeError(f"sync takes a table made by tl.table second, not {type(table).__name__}")
    _check_key(sheet, table)
    given: dict[str, Side] = dict(owners or {})
    for field in sorted(sheet.computed & table.by_field.keys()):
        if given.setdefault(field, "sheet") != "sheet":
            raise TypeError(f"owners: the sheet computes {field}, so it cannot be written there")
    made = rules(table, policy=policy, deletions=deletions, owners=given)
    fields = tuple(field for field in made.fields if field in sheet.by_field)
    if not fields:
        raise TypeError(f"sync: {sheet.name} and {table.name} have no field in common but the key")
    for field in fields:
        _check_type(sheet, table, field)
    if left_out := sorted(given.keys() - set(fields)):
        raise TypeError(f"owners: {sheet.name} has no field {', '.join(left_out)}")
    _check_insertable(table, {*fields, *(column.field for column in table.key_columns)})
    kept = {field: side for field, side in made.owners.items() if field in fields}
    limits = rails(max_deletes=max_deletes, may_be_empty=may_be_empty)
    return Sync(sheet, table, msgspec.structs.replace(made, fields=fields, owners=kept), limits)


def _check_key(sheet: Sheet[Any, Any], table: Table[Any, Any]) -> None:
    left = [column.field for column in sheet.key_columns]
    right = [column.field for column in table.key_columns]
    if left != right:
        raise TypeError(
            f"sync: the key of {sheet.name} is {', '.join(left)} and that of {table.name} is "
            f"{', '.join(right)}; a row is found on both sides by the same"
        )
    for field in left:
        _check_type(sheet, table, field)


def _check_type(sheet: Sheet[Any, Any], table: Table[Any, Any], field: str) -> None:
    left, right = sheet.by_field[field], table.by_field[field]
    if (left.type.sql, left.nullable) != (right.type.sql, right.nullable):
        raise TypeError(
            f"sync: {field} is {_shown(left)} in {sheet.name} and {_shown(right)} in {table.name}; "
            "give it one type"
        )


def _shown(column: Any) -> str:
    return f"{column.type.sql}{'' if column.nullable else ' not null'}"


def _check_insertable(table: Table[Any, Any], given: set[str]) -> None:
    """Refuse fields that neither the sheet nor a default gives: no row could come from there."""
    managed = {table.column(name).field for name in table.managed}
    entity: Any = table.entity
    for field in msgspec.structs.fields(entity):
        if field.required and field.name not in given | managed:
            raise TypeError(
                f"sync: the sheet lacks {field.name}, which {table.entity.__name__} has no default "
                "for, so rows of the sheet could not be inserted; give it a default"
            )
