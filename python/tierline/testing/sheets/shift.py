"""Inserting, deleting and moving rows or columns: everything that lies on cells moves with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.testing.sheets import grid as grids
from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.masks import as_object
from tierline.testing.sheets.ranges import Box
from tierline.testing.sheets.spreadsheet import Placed, Sheet, Spreadsheet, within_limit

# Where a stretch `start` to `end` comes to lie, or None where nothing of it is left.
Shift = Callable[[int, int], tuple[int, int] | None]


def inserted(at: int, count: int) -> Shift:
    """How stretches move when `count` are inserted before `at`."""

    def shift(start: int, end: int) -> tuple[int, int] | None:
        return start + count * (at <= start), end + count * (at < end)

    return shift


def deleted(start: int, end: int) -> Shift:
    """How stretches move when those from `start` to `end` are deleted."""

    def place(edge: int) -> int:
        return edge - max(0, min(edge, end) - start)

    def shift(first: int, last: int) -> tuple[int, int] | None:
        moved = place(first), place(last)
        return moved if moved[0] < moved[1] else None

    return shift


def reordered(order: list[int]) -> Shift:
    """How stretches move with a new order: those that would fall apart stay where they are."""
    new_place = {old: new for new, old in enumerate(order)}

    def shift(first: int, last: int) -> tuple[int, int] | None:
        found = [new_place.get(index, index) for index in range(first, last)]
        together = found == list(range(found[0], found[0] + len(found))) if found else False
        return (found[0], found[-1] + 1) if together else (first, last)

    return shift


def _box(box: Box, shift: Shift, *, rows: bool) -> Box | None:
    start, end = (box.top, box.bottom) if rows else (box.left, box.right)
    # An end that is the grid's stays the grid's.
    if end is None:
        moved = shift(start, start + 1)
        start = start if start == 0 or moved is None else moved[0]
    else:
        moved = shift(start, end)
        if moved is None:
            return None
        start, end = moved
    return box._replace(top=start, bottom=end) if rows else box._replace(left=start, right=end)


def _placed(placed: tuple[Placed, ...], shift: Shift, *, rows: bool) -> tuple[Placed, ...]:
    return tuple(
        msgspec.structs.replace(one, box=box)
        for one in placed
        if (box := _box(one.box, shift, rows=rows)) is not None
    )


def _indexed(properties: dict[int, Json], shift: Shift) -> dict[int, Json]:
    return {
        moved[0]: body
        for index, body in properties.items()
        if (moved := shift(index, index + 1)) is not None
    }


def _group_is(group: Placed, *, rows: bool) -> bool:
    return bool(group.body["dimension"] == "ROWS") == rows


def shifted(
    book: Spreadsheet, sheet: Sheet, grid: grids.Grid, shift: Shift, *, rows: bool
) -> Spreadsheet:
    """The spreadsheet with a sheet's new grid and everything on it moved."""
    mine = [group for group in sheet.groups if _group_is(group, rows=rows)]
    others = [group for group in sheet.groups if not _group_is(group, rows=rows)]
    filters = _placed((sheet.filter,) if sheet.filter else (), shift, rows=rows)
    changed = msgspec.structs.replace(
        sheet,
        grid=grid,
        merges=_placed(sheet.merges, shift, rows=rows),
        protections=_placed(sheet.protections, shift, rows=rows),
        groups=(*_placed(tuple(mine), shift, rows=rows), *others),
        filter=next(iter(filters), None),
        rows=_indexed(sheet.rows, shift) if rows else sheet.rows,
        columns=sheet.columns if rows else _indexed(sheet.columns, shift),
    )
    named: list[Placed] = []
    for one in book.named_ranges:
        here = int(one.body.get("sheetId") or 0) == sheet.id
        named += _placed((one,), shift, rows=rows) if here else (one,)
    metadata = [
        moved
        for entry in book.metadata
        if (moved := _metadata(entry, sheet.id, shift, rows=rows)) is not None
    ]
    return msgspec.structs.replace(
        book.with_sheet(changed), named_ranges=tuple(named), metadata=tuple(metadata)
    )


def _metadata(entry: Json, sheet_id: int, shift: Shift, *, rows: bool) -> Json | None:
    location = as_object(entry.get("location"))
    span = as_object(location.get("dimensionRange"))
    if not span or int(span.get("sheetId") or 0) != sheet_id:
        return entry
    if (span.get("dimension") == "ROWS") != rows:
        return entry
    moved = shift(int(span.get("startIndex") or 0), int(span["endIndex"]))
    if moved is None:
        return None
    span = {**span, "startIndex": moved[0], "endIndex": moved[1]}
    return {**entry, "location": {**location, "dimensionRange": span}}


def insert(book: Spreadsheet, sheet: Sheet, at: int, count: int, *, rows: bool) -> Spreadsheet:
    """Insert blank rows or columns before an index."""
    grid = (grids.insert_rows if rows else grids.insert_columns)(sheet.grid, at, count)
    return within_limit(shifted(book, sheet, grid, inserted(at, count), rows=rows))


def delete(book: Spreadsheet, sheet: Sheet, start: int, end: int, *, rows: bool) -> Spreadsheet:
    """Delete rows or columns.

    Raises:
        ApiError: None would be left.
    """
    whole = sheet.grid.row_count if rows else sheet.grid.column_count
    if start == 0 and end >= whole:
        what = "rows" if rows else "columns"
        raise invalid(f"You can't delete all the {what} on the sheet.")
    # Known from questions of users, not from recordings.
    frozen = _frozen(sheet, rows=rows)
    if frozen and start <= frozen and end >= whole:
        what = "rows" if rows else "columns"
        raise invalid(f"Sorry, it is not possible to delete all non-frozen {what}.")
    grid = (grids.delete_rows if rows else grids.delete_columns)(sheet.grid, start, end)
    return shifted(book, sheet, grid, deleted(start, end), rows=rows)


def _frozen(sheet: Sheet, *, rows: bool) -> int:
    """How many rows or columns stay when others are scrolled."""
    grid: Any = sheet.properties.get("gridProperties") or {}
    return int(grid.get("frozenRowCount" if rows else "frozenColumnCount") or 0)


def move(
    book: Spreadsheet, sheet: Sheet, start: int, end: int, to: int, *, rows: bool
) -> Spreadsheet:
    """Move rows or columns before an index, counted before the move."""
    whole = sheet.grid.row_count if rows else sheet.grid.column_count
    order = grids.moved(list(range(whole)), start, end, to)
    reorder: Any = grids.reorder_rows if rows else grids.reorder_columns
    return shifted(book, sheet, reorder(sheet.grid, order), reordered(order), rows=rows)
