"""Merging a row of the sheet and a row of the database on what both had when they were last equal.

A cell: with b in the base, s in the sheet and p in the database,

    s == p   ->  s: nothing to do. This rule makes a pass after a crash harmless.
    s == b   ->  p: only the database has changed it.
    p == b   ->  s: only the sheet has changed it.
    else     ->  a conflict, and the policy says who is right.

A row that one side lacks was deleted there if it is in the base, and is new on the other side if it
is not. An edit beats a deletion, unless the rules say otherwise.

A merge says what the base is at two moments: `base_now` holds once the database has been written,
`base_after` once the sheet has been, too. A cell that the sheet is still to get has in `base_now`
what the sheet has, even after a conflict: that value has been dealt with, so a pass that runs after
a crash neither asks again nor takes it for a new edit.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from tierline.entity import Table
from tierline.sync.cells import Cell, same
from tierline.sync.changes import Decision, Delete, Insert, Note, Update
from tierline.sync.policies import Policy, Take, Verdict, check_policy, checked, manual
from tierline.sync.rows import BaseRow, Cells, Conflict, DatabaseRow, SheetRow, Side

Deletions: TypeAlias = Literal["edit_wins", "delete_wins"]
"""Who is right if one side has deleted a row that the other has changed."""


class Rules(msgspec.Struct, frozen=True):
    """How rows are merged; build it with `rules`.

    Attributes:
        fields: The fields that are kept equal, without the key.
        policy: Who is right in a conflict.
        deletions: Who is right if an edit meets a deletion.
        owners: Fields of which one side is always right, such as a column of formulas.
        makes_ids: Whether rows without id get one.
    """

    fields: tuple[str, ...]
    policy: Policy
    deletions: Deletions
    owners: dict[str, Side]
    makes_ids: bool


def rules(
    table: Table[Any, Any],
    *,
    policy: Policy = manual,
    deletions: Deletions = "edit_wins",
    owners: dict[str, Side] | None = None,
) -> Rules:
    """The rules for a table.

    The key identifies rows and the version counts writes, so neither is merged. Ids are made where
    the key is one integer or one UUID.

    Args:
        table: The table.
        policy: Who is right in a conflict.
        deletions: "edit_wins" brings a row back that was deleted on one side and changed on the
            other; "delete_wins" deletes it and tells.
        owners: Fields of which one side is always right. What the table's stamps say is the
            database's.

    Raises:
        TypeError: The policy is no function, or a field is not there or cannot have an owner.
        ValueError: An option is none of those above.
    """
    check_policy(policy, table)
    if deletions not in ("edit_wins", "delete_wins"):
        raise ValueError(f'deletions must be "edit_wins" or "delete_wins", not {deletions!r}')
    left_out = {*table.key, table.version, table.deleted_at}
    fields = tuple(column.field for column in table.columns if column.name not in left_out)
    stamps: dict[str, Side] = {
        table.column(name).field: "database"
        for name in (table.created_at, table.updated_at)
        if name is not None
    }
    given: dict[str, Side] = owners or {}
    if unknown := sorted(given.keys() - set(fields)):
        raise TypeError(f"owners: {table.name} merges no field {', '.join(unknown)}")
    if wrong := sorted({str(side) for side in given.values()} - {"sheet", "database"}):
        raise ValueError(f'owners: a side is "sheet" or "database", not {wrong[0]!r}')
    key = table.key_columns
    makes_ids = table.has_integer_key or (len(key) == 1 and key[0].type.wire == "uuid")
    return Rules(fields, policy, deletions, stamps | given, makes_ids)


class MergedCells(NamedTuple):
    """What becomes of the cells of a row that both sides have.

    Attributes:
        sheet: Cells that the sheet gets.
        database: Cells that the database gets.
        base_now: The base once the database has been written.
        base_after: The base once the sheet has been written, too.
        decisions: The conflicts.
    """

    sheet: dict[str, Cell]
    database: dict[str, Cell]
    base_now: dict[str, Cell]
    base_after: dict[str, Cell]
    decisions: list[Decision]


def merged_cells(rules: Rules, id_: str, base: Cells, sheet: Cells, database: Cells) -> MergedCells:
    """The cells of a row, merged; a cell that is unknown on one side stays as it is on both.

    Raises:
        TypeError: The policy answers no verdict.
    """
    found = MergedCells({}, {}, {}, {}, [])
    for field in rules.fields:
        if field not in sheet or field not in database:
            _stay(found, base, field)
            continue
        s, p = sheet[field], database[field]
        if same(s, p):
            found.base_now[field] = found.base_after[field] = s
            continue
        conflict = Conflict(id_, field, base.get(field), s, p)
        match _verdict(rules, conflict, found.decisions, is_known=field in base):
            case "sheet":
                found.database[field] = s
                found.base_now[field] = found.base_after[field] = s
            case "database":
                found.sheet[field] = p
                found.base_now[field], found.base_after[field] = s, p
            case "wait":
                _stay(found, base, field)
            case Take(cell=cell):
                if not same(cell, s):
                    found.sheet[field] = cell
                if not same(cell, p):
                    found.database[field] = cell
                found.base_now[field], found.base_after[field] = s, cell
    return found


def _stay(found: MergedCells, base: Cells, field: str) -> None:
    if field in base:
        found.base_now[field] = found.base_after[field] = base[field]


def _verdict(rules: Rules, cell: Conflict, decisions: list[Decision], *, is_known: bool) -> Verdict:
    """Which side is right about a cell; it is a conflict only if both sides have changed it."""
    sheet_is_old = is_known and same(cell.sheet, cell.base)
    database_is_old = is_known and same(cell.database, cell.base)
    owner = rules.owners.get(cell.field)
    if owner is not None:
        verdict: Verdict = owner
        is_conflict = not (database_is_old if owner == "sheet" else sheet_is_old)
    elif sheet_is_old:
        return "database"
    elif database_is_old:
        return "sheet"
    else:
        verdict, is_conflict = checked(rules.policy(cell)), True
    if is_conflict:
        decisions.append(Decision(cell, verdict))
    return verdict


class MergedRow(NamedTuple):
    """What becomes of a row.

    Attributes:
        sheet: What is done in the sheet.
        database: What is done in the database.
        base_now: The row in the base once the database has been written; None for no change.
        base_after: The row in the base once the sheet has been written, too; None for no change.
        decisions: The conflicts.
        notes: What people may want to know.
    """

    sheet: Insert | Update | Delete | None = None
    database: Insert | Update | Delete | None = None
    base_now: BaseRow | None = None
    base_after: BaseRow | None = None
    decisions: tuple[Decision, ...] = ()
    notes: tuple[Note, ...] = ()


NOTHING = MergedRow()


def merged_row(
    rules: Rules,
    id_: str,
    base: BaseRow | None,
    sheet: SheetRow | None,
    database: DatabaseRow | None,
) -> MergedRow:
    """A row, merged.

    Raises:
        TypeError: The policy answers no verdict.
    """
    if sheet is not None and database is not None:
        return _on_both(rules, id_, base, sheet, database)
    if sheet is not None:
        return _only_in_sheet(rules, id_, base, sheet)
    if database is not None:
        return _only_in_database(rules, id_, base, database)
    if base is not None and not base.is_deleted:
        tombstone = BaseRow(base.cells, is_deleted=True)
        return MergedRow(base_now=tombstone, base_after=tombstone)
    return NOTHING


def _on_both(
    rules: Rules, id_: str, base: BaseRow | None, sheet: SheetRow, database: DatabaseRow
) -> MergedRow:
    # A row that both sides have put back is joined: neither has seen the other's.
    known: Cells = {} if base is None or base.is_deleted else base.cells
    found = merged_cells(rules, id_, known, sheet.cells, database.cells)
    now, after = BaseRow(found.base_now), BaseRow(found.base_after)
    return MergedRow(
        Update(id_, sheet.place, found.sheet) if found.sheet else None,
        Update(id_, database.version, found.database) if found.database else None,
        None if now == base else now,
        None if after == base else after,
        tuple(found.decisions),
    )


def _only_in_sheet(rules: Rules, id_: str, base: BaseRow | None, sheet: SheetRow) -> MergedRow:
    if not _is_whole(rules, sheet.cells):
        return _held(id_, f"row {sheet.place} ({id_}) has cells that cannot be read")
    row = BaseRow({field: sheet.cells[field] for field in rules.fields})
    insert = MergedRow(None, Insert(id_, row.cells), row, row)
    if base is None:
        return insert
    if base.is_deleted:
        return insert._replace(notes=(_restored(id_, "sheet"),))
    delete = MergedRow(Delete(id_, sheet.place), None, None, BaseRow(base.cells, is_deleted=True))
    if not _is_edited(rules, base, sheet.cells, "sheet"):
        return delete
    if rules.deletions == "edit_wins":
        return insert._replace(notes=(_revived(id_, "database", "sheet"),))
    return delete._replace(notes=(_overruled(id_, "database", "sheet"),))


def _only_in_database(
    rules: Rules, id_: str, base: BaseRow | None, database: DatabaseRow
) -> MergedRow:
    if not _is_whole(rules, database.cells):
        return _held(id_, f"{id_} has values in the database that a sheet cannot hold")
    row = BaseRow({field: database.cells[field] for field in rules.fields})
    append = MergedRow(Insert(id_, row.cells), None, None, row)
    if base is None:
        return append
    if base.is_deleted:
        return append._replace(notes=(_restored(id_, "database"),))
    tombstone = BaseRow(base.cells, is_deleted=True)
    delete = MergedRow(None, Delete(id_, database.version), tombstone, tombstone)
    if not _is_edited(rules, base, database.cells, "database"):
        return delete
    if rules.deletions == "edit_wins":
        return append._replace(notes=(_revived(id_, "sheet", "database"),))
    return delete._replace(notes=(_overruled(id_, "sheet", "database"),))


def _is_whole(rules: Rules, cells: Cells) -> bool:
    return all(field in cells for field in rules.fields)


def _is_edited(rules: Rules, base: BaseRow, cells: Cells, side: Side) -> bool:
    """Whether a side has changed a row since; what the other side owns is no edit."""
    return any(
        field not in base.cells or not same(cells[field], base.cells[field])
        for field in rules.fields
        if rules.owners.get(field, side) == side
    )


def _held(id_: str, text: str) -> MergedRow:
    return MergedRow(notes=(Note("held", id_, f"{text}; it is left as it is"),))


def _restored(id_: str, side: Side) -> Note:
    return Note("restored", id_, f"{id_} had been deleted and is in the {side} again")


def _revived(id_: str, deleted: Side, edited: Side) -> Note:
    text = f"{id_} was deleted in the {deleted} and changed in the {edited}; it comes back"
    return Note("revived", id_, text)


def _overruled(id_: str, deleted: Side, edited: Side) -> Note:
    text = f"{id_} was deleted in the {deleted} and changed in the {edited}; it is deleted"
    return Note("overruled", id_, text)
