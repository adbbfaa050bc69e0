"""The sheet's side of a pass: from a worksheet to rows, and from a plan to what is written. Pure.

A cell that does not fit its field is *unknown*, and so is one of merged cells: nothing is done with
it on either side. A row without id is one that a person has just written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tierline.entity import Column, Sheet
from tierline.entity.validation import text_problem
from tierline.sheets.copies import Content
from tierline.sheets.edits import Updated, Values
from tierline.sheets.grid import Book, Cell, GridRange
from tierline.sheets.reading_cells import UnfitCellError, cell_reader
from tierline.sheets.snapshot import KEPT, Snapshot, snapshot, worksheet_of
from tierline.sheets.targets import Target, Task
from tierline.sync.cells import Cell as Canonical
from tierline.sync.cells import canonical, value_of
from tierline.sync.pair import Sync
from tierline.sync.plan import Plan
from tierline.sync.repairs import Landed
from tierline.sync.rows import Cells, SheetRow

FENCE = "tlsync_"
"""Begins the ids of the named ranges that say which operation wrote last."""

_EMPTY = Cell()


class SheetSide(NamedTuple):
    """A worksheet as it was read.

    Attributes:
        rows: Its rows.
        snapshot: Where its columns stand.
        contents: What is in each row, by number, to find it again.
        fences: The markers that stand there.
    """

    rows: tuple[SheetRow, ...]
    snapshot: Snapshot[Any]
    contents: Mapping[int, Content]
    fences: tuple[str, ...]

    @property
    def marker(self) -> str:
        """The marker that an operation takes away: all that stand there, mostly one."""
        return "+".join(self.fences)


def fence_of(pair: str, id_: str) -> str:
    """The marker of an operation."""
    return f"{FENCE}{pair}_{id_}"


def marker_of(fences: Sequence[str], own: str, after: str) -> str:
    """Which of the markers of an operation stands there; what stands beside it was late."""
    if own in fences:
        return own
    return after if set(after.split("+")) <= set(fences) else "+".join(fences)


def sheet_side(sync: Sync[Any, Any], book: Book) -> SheetSide:
    """The rows of a worksheet.

    Raises:
        SheetLayoutError: It is not there, or its header row does not fit.
    """
    sheet = sync.sheet
    found = snapshot(sheet, book)
    worksheet = worksheet_of(sheet, book)
    data = worksheet.data[0].rowData if worksheet.data else []
    places = dict(zip((one.field for one in sheet.columns), found.layout.columns, strict=True))
    reader = _Reader(sync, places, found)
    merged = _merged(worksheet.merges, set(places.values()))
    rows: list[SheetRow] = []
    contents: dict[int, Content] = {}
    for number, row in enumerate(data[sheet.header_row :], sheet.header_row + 1):
        cells = row.values
        if _is_blank(cells, places):
            continue
        rows.append(reader.row(number, cells, merged.get(number, frozenset())))
        values = {place: _at(cells, place).effectiveValue for place in found.layout.columns}
        contents[number] = Content(found.layout.header, values)
    prefix = fence_of(sync.id, "")
    fences = sorted(
        one.namedRangeId for one in book.namedRanges if one.namedRangeId.startswith(prefix)
    )
    return SheetSide(tuple(rows), found, contents, tuple(fences))


def _at(cells: list[Cell], place: int) -> Cell:
    return cells[place] if place < len(cells) else _EMPTY


def _is_blank(cells: list[Cell], places: Mapping[str, int]) -> bool:
    return all(_at(cells, place).effectiveValue is None for place in places.values())


def _merged(merges: list[GridRange], columns: set[int]) -> dict[int, frozenset[int]]:
    """Columns of the table that are merged with others, by row."""
    found: dict[int, frozenset[int]] = {}
    for merge in merges:
        covered = columns & set(range(merge.startColumnIndex, merge.endColumnIndex))
        for row in range(merge.startRowIndex, merge.endRowIndex if covered else 0):
            found[row + 1] = found.get(row + 1, frozenset()) | covered
    return found


class _Reader:
    """Reads rows of one worksheet."""

    def __init__(
        self, sync: Sync[Any, Any], places: Mapping[str, int], found: Snapshot[Any]
    ) -> None:
        self._sheet = sheet = sync.sheet
        self._places = places

        def read(field: str) -> Callable[[Cell], Any]:
            column = sheet.by_field[field]
            return cell_reader(column, found.zone, computed=field in sheet.computed)

        self._fields = [
            (field, sheet.by_field[field], read(field), sheet.annotations[field])
            for field in sync.rules.fields
        ]
        self._key = [
            (column, read(column.field), sheet.annotations[column.field])
            for column in sheet.key_columns
        ]

    def row(self, number: int, cells: list[Cell], merged: frozenset[int]) -> SheetRow:
        known: dict[str, Canonical] = {}
        for field, column, read, annotation in self._fields:
            place = self._places[field]
            if place not in merged:
                value = _read(column, read, annotation, _at(cells, place))
                if not isinstance(value, _Unknown):
                    known[field] = value
        id_ = self._id(cells, merged)
        if isinstance(id_, _Unknown):
            return SheetRow(number, None, known, id_is_unknown=True)
        return SheetRow(number, id_, known)

    def _id(self, cells: list[Cell], merged: frozenset[int]) -> str | _Unknown | None:
        places = [self._places[column.field] for column, _, _ in self._key]
        if merged.intersection(places):
            return UNKNOWN
        if all(_holds_nothing(_at(cells, place)) for place in places):
            return None
        parts: list[Canonical] = []
        for (column, read, annotation), place in zip(self._key, places, strict=True):
            part = _read(column, read, annotation, _at(cells, place))
            if isinstance(part, _Unknown) or part is None or part == "":
                return UNKNOWN
            parts.append(part)
        return str(parts[0]) if len(parts) == 1 else msgspec.json.encode(parts).decode()


class _Unknown:
    """What a cell holds that does not fit."""


UNKNOWN = _Unknown()


def _holds_nothing(cell: Cell) -> bool:
    value = cell.effectiveValue
    return cell.formula is None and (value is None or value.stringValue == "")


def _read(
    column: Column, read: Callable[[Cell], Any], annotation: Any, cell: Cell
) -> Canonical | _Unknown:
    try:
        value = msgspec.convert(read(cell), annotation, builtin_types=KEPT)
        found = canonical(column, value)
    except (UnfitCellError, msgspec.ValidationError, TypeError):
        return UNKNOWN
    if isinstance(found, str) and text_problem(found) is not None:
        return UNKNOWN
    return found


_OLD: Any = object()
"""What stands in a cell that is not written, and so is not told."""


def task_of(sync: Sync[Any, Any], side: SheetSide, plan: Plan, ids: Mapping[int, str]) -> Task:
    """What a plan does in the sheet.

    Args:
        sync: The pair.
        side: The worksheet as it was read.
        plan: The plan.
        ids: The new ids of rows, by number.
    """
    sheet = sync.sheet
    births = [
        Target(
            birth.place,
            None,
            content=side.contents[birth.place],
            changed=_updated(sheet, birth.place, _key_cells(sheet, ids[birth.place])),
        )
        for birth in plan.births
    ]
    updates = [
        Target(one.at, _identity(sheet, one.id), changed=_updated(sheet, one.at, dict(one.cells)))
        for one in plan.sheet.updates
    ]
    deletes = [Target(one.at, _identity(sheet, one.id), removed=True) for one in plan.sheet.deletes]
    created = [
        _values(sheet, {**_key_cells(sheet, one.id), **one.cells}) for one in plan.sheet.inserts
    ]
    return Task(created, [*births, *updates, *deletes])


def repair_of(sync: Sync[Any, Any], side: SheetSide, found: Landed) -> Task:
    """What puts rows right that a batch has met by mistake, and takes away what it has made."""
    places = {row.id: row.place for row in reversed(side.rows) if row.id is not None}
    targets = [
        Target(
            places[id_],
            _identity(sync.sheet, id_),
            changed=_updated(sync.sheet, places[id_], dict(cells)),
        )
        for id_, cells in found.wrong.items()
    ]
    targets += [
        Target(
            number,
            None,
            content=side.contents[number],
            changed=_updated(sync.sheet, number, _key_cells(sync.sheet, id_)),
        )
        for number, id_ in found.renamed.items()
    ]
    targets += [
        Target(number, None, content=side.contents[number], removed=True) for number in found.strays
    ]
    return Task((), targets)


def key_of(columns: Sequence[Column], id_: str) -> Any:
    """The key that an id stands for."""
    cells = [id_] if len(columns) == 1 else msgspec.json.decode(id_)
    parts = [
        value_of(column, _part(column, cell)) for column, cell in zip(columns, cells, strict=True)
    ]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _part(column: Column, cell: Any) -> Any:
    if column.type.wire == "int8" and isinstance(cell, str):
        return int(cell)
    return cell == "True" if column.type.wire == "bool" and isinstance(cell, str) else cell


def _key_cells(sheet: Sheet[Any, Any], id_: str) -> dict[str, Canonical]:
    columns = sheet.key_columns
    cells = [id_] if len(columns) == 1 else msgspec.json.decode(id_)
    return {column.field: _part(column, cell) for column, cell in zip(columns, cells, strict=True)}


def _identity(sheet: Sheet[Any, Any], id_: str) -> tuple[Any, ...]:
    return sheet.read_key(key_of(sheet.key_columns, id_))


def _updated(sheet: Sheet[Any, Any], number: int, cells: Cells) -> Updated:
    before: Values = tuple(_OLD for _ in sheet.columns)
    after = tuple(
        wire(column, cells[column.field]) if column.field in cells else _OLD
        for column in sheet.columns
    )
    return Updated(number, before, after)


def _values(sheet: Sheet[Any, Any], cells: Cells) -> Values:
    return tuple(
        wire(column, cells[column.field]) if column.field in cells else None
        for column in sheet.columns
    )


def wire(column: Column, cell: Canonical) -> Any:
    """The value of a canonical cell as it travels to a sheet."""
    if cell is None or column.type.choices is not None:
        return cell
    if column.type.wire == "jsonb":
        return str(cell).encode()
    return value_of(column, cell)
