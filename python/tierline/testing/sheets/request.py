"""What every request of a batch is given, and what they read from its JSON."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.masks import Mask, as_object, parse
from tierline.testing.sheets.ranges import Bounds, Box, box_of
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet


class Context(NamedTuple):
    """Who asks, and where ids come from.

    Args:
        user: The caller's address.
        random: Ids are drawn from it, so they are the same in every run of one seed.
    """

    user: str
    random: random.Random

    def new_id(self, taken: set[int]) -> int:
        """An id that is not taken."""
        while (found := self.random.randrange(1, 2**31)) in taken:
            pass
        return found


# A request's JSON to the spreadsheet after it and the reply: None for the empty reply.
Handler = Callable[[Spreadsheet, Json, Context], tuple[Spreadsheet, Json | None]]


class Span(NamedTuple):
    """Some rows or columns of a sheet."""

    sheet: Sheet
    rows: bool
    start: int
    end: int


def target(book: Spreadsheet, given: Json) -> tuple[Sheet, Box]:
    """The sheet and box of a GridRange."""
    return book.sheet(int(given.get("sheetId") or 0)), box_of(given)


def target_bounds(book: Spreadsheet, given: Json) -> tuple[Sheet, Bounds]:
    """The sheet and cells of a GridRange that has to lie in the grid."""
    sheet, box = target(book, given)
    return sheet, sheet.bounds(box)


def span(book: Spreadsheet, given: Json, *, grows: bool = False) -> Span:
    """A DimensionRange.

    Raises:
        ApiError: It is empty or ends outside of the grid.
    """
    sheet = book.sheet(int(given.get("sheetId") or 0))
    dimension = given.get("dimension")
    if dimension not in ("ROWS", "COLUMNS"):
        raise invalid("No dimension specified.")
    rows = dimension == "ROWS"
    whole = sheet.grid.row_count if rows else sheet.grid.column_count
    start = int(given.get("startIndex") or 0)
    end = whole if given.get("endIndex") is None else int(given["endIndex"])
    if not 0 <= start < end:
        raise invalid(f"range.startIndex[{start}] must be less than range.endIndex[{end}].")
    if (start > whole) if grows else (end > whole):
        raise invalid(
            f"range.endIndex[{end}] is after last {'row' if rows else 'column'} in grid[{whole}]"
        )
    return Span(sheet, rows, start, end)


def fields(given: Json) -> Mask:
    """The mask of an update.

    Raises:
        ApiError: There is none.
    """
    if not given.get("fields"):
        raise invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all.)")
    return parse(str(given["fields"]))


def object_at(given: Json, name: str) -> Json:
    """The object of a request.

    Raises:
        ApiError: It is missing.
    """
    if not isinstance(given.get(name), dict):
        raise invalid(f"Must specify {name}.")
    return as_object(given[name])
