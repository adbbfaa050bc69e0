"""A spreadsheet as a frozen value, and finding a sheet or range in it."""

from __future__ import annotations

from typing import Any

import msgspec

from tierline.testing.sheets.cell import Cell
from tierline.testing.sheets.errors import ApiError, Json, invalid, protected_cell
from tierline.testing.sheets.formula import Lookup, evaluator
from tierline.testing.sheets.grid import Grid, Place, put
from tierline.testing.sheets.masks import as_list, as_object
from tierline.testing.sheets.ranges import (
    Bounds,
    Box,
    a1,
    bounded,
    grid_range,
    parse_cells,
    quote_title,
    split_title,
)

CELLS_MAX = 10_000_000


class Placed(msgspec.Struct, frozen=True):
    """Something that lies on cells and moves with them: a merge, a protection, a named range.

    Args:
        box: Its cells.
        body: The rest of its JSON.
    """

    box: Box
    body: Json = msgspec.field(default_factory=dict[str, Any])


class Sheet(msgspec.Struct, frozen=True):
    """A worksheet: its properties, its grid and what is pinned to its cells.

    Args:
        id: `sheetId`.
        title: Its title.
        grid: Its cells.
        properties: What else `properties` holds; `gridProperties` without the counts.
        rows: `rowMetadata` of the rows that have some.
        columns: `columnMetadata` of the columns that have some.
        merges: Merged ranges.
        protections: Protected ranges.
        groups: Groups of rows or columns, by dimension.
        filter: The basic filter.
    """

    id: int
    title: str
    grid: Grid = Grid()
    properties: Json = msgspec.field(default_factory=dict[str, Any])
    rows: dict[int, Json] = msgspec.field(default_factory=dict[int, Json])
    columns: dict[int, Json] = msgspec.field(default_factory=dict[int, Json])
    merges: tuple[Placed, ...] = ()
    protections: tuple[Placed, ...] = ()
    groups: tuple[Placed, ...] = ()
    filter: Placed | None = None

    def bounds(self, box: Box) -> Bounds:
        """The part of a box that lies in the grid.

        Raises:
            ApiError: It begins outside.
        """
        grid = self.grid
        if box.top >= grid.row_count or box.left >= grid.column_count:
            shown = a1(self.title, _closed(box))
            raise invalid(
                f"Range ({shown}) exceeds grid limits. Max rows: {grid.row_count}, "
                f"max columns: {grid.column_count}"
            )
        return bounded(box, grid.row_count, grid.column_count)

    def values(self) -> Lookup:
        """What each cell is worth, formulas computed."""
        return evaluator(self.grid.cell)


class Spreadsheet(msgspec.Struct, frozen=True):
    """A spreadsheet.

    Args:
        id: Its 44 characters.
        properties: `title`, `locale`, `timeZone` and so on.
        sheets: Its worksheets in order.
        named_ranges: Ranges by name; `sheetId` is in their body.
        metadata: Developer metadata.
        owner: Who may do everything.
    """

    id: str
    properties: Json
    sheets: tuple[Sheet, ...]
    named_ranges: tuple[Placed, ...] = ()
    metadata: tuple[Json, ...] = ()
    owner: str = ""

    @property
    def title(self) -> str:
        """Its title, which is the file's name too."""
        return str(self.properties["title"])

    @property
    def locale(self) -> str:
        """Its locale, such as en_US."""
        return str(self.properties.get("locale", "en_US"))

    def sheet(self, sheet_id: int) -> Sheet:
        """The worksheet with an id.

        Raises:
            ApiError: There is none.
        """
        for sheet in self.sheets:
            if sheet.id == sheet_id:
                return sheet
        raise invalid(f"No grid with id: {sheet_id}")

    def with_sheet(self, changed: Sheet) -> Spreadsheet:
        """The spreadsheet with one worksheet replaced."""
        return msgspec.structs.replace(
            self, sheets=tuple(changed if s.id == changed.id else s for s in self.sheets)
        )

    def titled(self, title: str) -> Sheet | None:
        """The worksheet with a title; capitals count only where two differ in nothing else."""
        folded = title.casefold()
        exact = [sheet for sheet in self.sheets if sheet.title == title]
        alike = [sheet for sheet in self.sheets if sheet.title.casefold() == folded]
        return next(iter([*exact, *alike]), None)

    def range(self, text: str) -> tuple[Sheet, Box]:
        """The worksheet and box that a range names.

        Raises:
            ApiError: `Unable to parse range`.
        """
        title, cells = split_title(text)
        sheet = self.sheets[0] if title is None else self.titled(title)
        if sheet is None:
            raise _unparsed(text)
        if cells is None:
            return sheet, Box()
        if box := parse_cells(cells):
            return sheet, box
        if title is None and (named := self.titled(cells)):
            return named, Box()
        for named_range in self.named_ranges:
            if named_range.body["name"].casefold() == cells.casefold():
                return self.sheet(int(named_range.body.get("sheetId") or 0)), named_range.box
        raise _unparsed(text)

    @property
    def cell_count(self) -> int:
        """All cells of all grids, filled or not."""
        return sum(sheet.grid.row_count * sheet.grid.column_count for sheet in self.sheets)

    def allow(self, sheet: Sheet, bounds: Bounds, user: str) -> None:
        """Refuse an edit of cells that are protected against a user.

        Raises:
            ApiError: They are.
        """
        for protection in sheet.protections:
            if may_edit(protection.body, user, self.owner):
                continue
            box = bounded(protection.box, sheet.grid.row_count, sheet.grid.column_count)
            if box.meets(bounds):
                raise protected_cell()

    def write(self, sheet: Sheet, cells: dict[Place, Cell], user: str) -> Spreadsheet:
        """The spreadsheet with other cells in one of its sheets.

        Raises:
            ApiError: Some are protected, or there would be too many.
        """
        if sheet.protections:
            for row, column in cells:
                self.allow(sheet, Bounds(row, column, row + 1, column + 1), user)
        written = self.with_sheet(msgspec.structs.replace(sheet, grid=put(sheet.grid, cells)))
        return within_limit(written)


def within_limit(book: Spreadsheet) -> Spreadsheet:
    """The spreadsheet, unless it has more cells than one may have."""
    if book.cell_count > CELLS_MAX:
        raise invalid(
            "This action would increase the number of cells in the workbook above the limit of "
            f"{CELLS_MAX} cells."
        )
    return book


def may_edit(body: Json, user: str, owner: str) -> bool:
    """Whether a protection lets a user edit."""
    return bool(body.get("warningOnly")) or user == owner or user in users_of(body)


def users_of(body: Json) -> list[str]:
    """Who may edit in spite of a protection."""
    return [str(user) for user in as_list(as_object(body.get("editors")).get("users"))]


def _unparsed(text: str) -> ApiError:
    """Ranges in messages have a title in quotes only where it needs them."""
    title, cells = split_title(text)
    shown = text if title is None else quote_title(title) + ("" if cells is None else f"!{cells}")
    return invalid(f"Unable to parse range: {shown}")


def _closed(box: Box) -> Bounds:
    bottom = box.top + 1 if box.bottom is None else box.bottom
    return Bounds(box.top, box.left, bottom, box.left + 1 if box.right is None else box.right)


def placed_json(placed: Placed, sheet_id: int) -> Json:
    """The JSON of a placed thing: its range and the rest."""
    return {**placed.body, "range": grid_range(placed.box, sheet_id)}
