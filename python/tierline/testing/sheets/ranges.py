"""Ranges: A1 notation, GridRange and the boxes that both become."""

from __future__ import annotations

import re
from typing import NamedTuple

from tierline.testing.sheets.errors import Json, invalid

_CORNER = re.compile(r"\$?([A-Za-z]{1,3})?\$?([1-9]\d{0,7})?", re.ASCII)
_BARE_TITLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_CELL = re.compile(r"[A-Za-z]{1,3}\d+", re.ASCII)
_QUOTED = re.compile(r"'((?:[^']|'')*)'(?:!(.*))?", re.DOTALL)


class Box(NamedTuple):
    """A rectangle of cells, counted from 0, ends excluded; an end of None is the grid's."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None


class Bounds(NamedTuple):
    """A box whose ends are known."""

    top: int
    left: int
    bottom: int
    right: int

    def holds(self, row: int, column: int) -> bool:
        """Whether the cell lies in it."""
        return self.top <= row < self.bottom and self.left <= column < self.right

    def meets(self, other: Bounds) -> bool:
        """Whether they have a cell in common."""
        return (
            self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def contains(self, other: Bounds) -> bool:
        """Whether every cell of the other lies in it."""
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )


def bounded(box: Box, rows: int, columns: int) -> Bounds:
    """The part of a box that lies in a grid."""
    return Bounds(
        min(box.top, rows),
        min(box.left, columns),
        rows if box.bottom is None else min(box.bottom, rows),
        columns if box.right is None else min(box.right, columns),
    )


def column_name(index: int) -> str:
    """The letters of a column counted from 0: 0 is A, 26 is AA."""
    name = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name


def column_index(name: str) -> int:
    """The column of some letters, counted from 0."""
    number = 0
    for letter in name.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def quote_title(title: str) -> str:
    """A sheet's title as answers show it: quoted unless it is simple and looks like no cell."""
    if _BARE_TITLE.fullmatch(title) and not _CELL.fullmatch(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def a1(title: str, bounds: Bounds) -> str:
    """The A1 notation of a box, with the sheet's title."""
    first = f"{column_name(bounds.left)}{bounds.top + 1}"
    last = f"{column_name(max(bounds.right - 1, bounds.left))}{max(bounds.bottom, bounds.top + 1)}"
    return f"{quote_title(title)}!{first}" + ("" if first == last else f":{last}")


def split_title(text: str) -> tuple[str | None, str | None]:
    """The title and the cells of a range: either may be missing, and "S" may be either.

    A range in quotes is a title; without an exclamation mark the caller has to look which it is.
    """
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1].replace("''", "'"), quoted[2]
    title, mark, cells = text.rpartition("!")
    return (title, cells) if mark else (None, text)


def parse_cells(text: str) -> Box | None:
    """The box of `A1`, `A1:B2`, `A:B`, `1:2`, `A1:B` or `A1:1`; None where it is none of them."""
    first, colon, second = text.partition(":")
    start, end = _CORNER.fullmatch(first), _CORNER.fullmatch(second if colon else first)
    if start is None or end is None or not any(start.groups()) or not any(end.groups()):
        return None
    if not colon and not all(start.groups()):
        return None
    columns = [column_index(name) for name in (start[1], end[1]) if name]
    rows = [int(row) - 1 for row in (start[2], end[2]) if row]
    # Half of a corner is open: its other half is the only one, and the end is the grid's.
    return Box(
        min(rows, default=0),
        min(columns, default=0),
        max(rows) + 1 if len(rows) == 2 else None,
        max(columns) + 1 if len(columns) == 2 else None,
    )


def box_of(grid_range: Json) -> Box:
    """The box of a GridRange; the sheet's id is the caller's."""
    box = Box(
        int(grid_range.get("startRowIndex") or 0),
        int(grid_range.get("startColumnIndex") or 0),
        grid_range.get("endRowIndex"),
        grid_range.get("endColumnIndex"),
    )
    if (box.bottom is not None and box.bottom < box.top) or (
        box.right is not None and box.right < box.left
    ):
        raise invalid("Invalid GridRange: the start is after the end.")
    return box


def grid_range(box: Box, sheet_id: int) -> Json:
    """The GridRange of a box; a sheet id of 0 is left out, as Google leaves it out."""
    found: Json = {}
    if box.top or box.bottom is not None:
        found["startRowIndex"] = box.top
    if box.bottom is not None:
        found["endRowIndex"] = box.bottom
    if box.left or box.right is not None:
        found["startColumnIndex"] = box.left
    if box.right is not None:
        found["endColumnIndex"] = box.right
    return ({"sheetId": sheet_id} if sheet_id else {}) | found
