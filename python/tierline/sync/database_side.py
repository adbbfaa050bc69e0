"""The table's side of a pass: its rows, and the writes of a plan, in one transaction."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from returns.result import Failure, Success

from tierline.entity import Column, Table, change
from tierline.errors import RepositoryError
from tierline.repository import Repository, repository
from tierline.repository.ports import TransactionPort
from tierline.sheets.writing_cells import CellWriter, UnstorableError, cell_writer
from tierline.sync.cells import Cell, canonical, row_id, value_of
from tierline.sync.pair import Sync
from tierline.sync.plan import SideChanges
from tierline.sync.rows import DatabaseRow
from tierline.sync.sheet_side import key_of, wire

_SHORT = 10_000
"""A text of at most so many characters fits into a cell, whatever they are."""
_ONE_BY_ONE_MAX = 20
"""More rows than this are written at once."""


class DatabaseSide(NamedTuple):
    """A table as it was read.

    Attributes:
        rows: Its rows by id.
        entities: The same as entities.
        deleted: Rows that are marked as deleted, by id.
    """

    rows: dict[str, DatabaseRow]
    entities: dict[str, Any]
    deleted: dict[str, Any]


def database_side(
    sync: Sync[Any, Any], tx: TransactionPort
) -> Success[DatabaseSide] | Failure[RepositoryError]:
    """Every row of the table, as the transaction sees them."""
    table = sync.table
    listed = repository(tx, table).list(include_deleted=True)
    if isinstance(listed, Failure):
        return listed
    mark = None if table.deleted_at is None else table.column(table.deleted_at).field
    version = None if table.version is None else table.column(table.version).field
    columns = [(field, table.by_field[field], _checker(sync, field)) for field in sync.rules.fields]
    found = DatabaseSide({}, {}, {})
    for entity in listed.unwrap():
        id_ = row_id(table, entity)
        if mark is not None and getattr(entity, mark) is not None:
            found.deleted[id_] = entity
            continue
        cells: dict[str, Cell] = {}
        for field, column, check in columns:
            cell = canonical(column, getattr(entity, field))
            if cell is None or _is_storable(sync.sheet.by_field[field], cell, check):
                cells[field] = cell
        found.rows[id_] = DatabaseRow(0 if version is None else getattr(entity, version), cells)
        found.entities[id_] = entity
    return Success(found)


def _checker(sync: Sync[Any, Any], field: str) -> CellWriter | None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    column = sync.sheet.by_field[field]
    sized = column.type.wire in ("text", "jsonb", "array", "float8", "numeric", "bytea")
    return cell_writer(column, ZoneInfo("UTC")) if sized else None


def _is_storable(column: Column, cell: Cell, check: CellWriter | None) -> bool:
    """Whether a sheet can hold it: not what is too long, and no NaN."""
    if check is None or (isinstance(cell, str) and len(cell) <= _SHORT and cell[-1:] not in "Nyn"):
        return True
    try:
        check(wire(column, cell))
    except UnstorableError:
        return False
    return True


def write_database(
    sync: Sync[Any, Any], tx: TransactionPort, side: DatabaseSide, changes: SideChanges
) -> Success[None] | Failure[RepositoryError]:
    """Write what a plan changes in the table."""
    table = sync.table
    rows = repository(tx, table)
    new: list[Any] = []
    changed: list[Any] = []
    for insert in changes.inserts:
        gone = side.deleted.get(insert.id)
        if gone is None:
            new.append(_entity(table, insert.id, dict(insert.cells)))
            continue
        restored = rows.restore(table.key_of(gone))
        if isinstance(restored, Failure):
            return restored
        changed.append((restored.unwrap(), _values(table, dict(insert.cells))))
    changed += [(side.entities[one.id], _values(table, dict(one.cells))) for one in changes.updates]
    for failed in (
        rows.create_many(new) if new else None,
        _update(rows, changed),
        rows.delete_many([table.key_of(side.entities[one.id]) for one in changes.deletes])
        if changes.deletes
        else None,
    ):
        if isinstance(failed, Failure):
            return failed
    return Success(None)


def _update(
    rows: Repository[Any, Any], changed: list[tuple[Any, dict[str, Any]]]
) -> Failure[RepositoryError] | None:
    if len(changed) > _ONE_BY_ONE_MAX:
        many = rows.update_many(
            msgspec.structs.replace(entity, **values) for entity, values in changed
        )
        return many if isinstance(many, Failure) else None
    for entity, values in changed:
        one = rows.update(change(entity, **values))
        if isinstance(one, Failure):
            return one
    return None


def _values(table: Table[Any, Any], cells: dict[str, Cell]) -> dict[str, Any]:
    return {field: value_of(table.by_field[field], cell) for field, cell in cells.items()}


def _entity(table: Table[Any, Any], id_: str, cells: dict[str, Cell]) -> Any:
    key = key_of(table.key_columns, id_)
    parts = key if len(table.key_columns) > 1 else (key,)
    values = {column.field: part for column, part in zip(table.key_columns, parts, strict=True)}
    values |= _values(table, cells)
    entity: Any = table.entity
    for field in msgspec.structs.fields(entity):
        if field.required and field.name not in values:
            # The version counts from 0; the clock of the database sets the others.
            is_version = table.version == table.by_field[field.name].name
            values[field.name] = 0 if is_version else None
    return entity(**values)
