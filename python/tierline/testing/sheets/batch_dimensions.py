"""Requests about rows and columns: insert, append, delete, move, group, hide, resize."""

from __future__ import annotations

import msgspec

from tierline.testing.sheets import shift
from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.grid import resize
from tierline.testing.sheets.masks import lean, merged
from tierline.testing.sheets.ranges import Bounds, Box
from tierline.testing.sheets.request import Context, Handler, Span, fields, object_at, span
from tierline.testing.sheets.resource import group_json
from tierline.testing.sheets.shown import formatted
from tierline.testing.sheets.spreadsheet import Placed, Sheet, Spreadsheet, within_limit

# What a character of the default font takes, and a cell's padding: near enough for a test.
_CHARACTER_PIXELS, _PADDING_PIXELS = 7, 6


def insert(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Insert blank rows or columns."""
    at = span(book, object_at(given, "range"), grows=True)
    count = at.end - at.start
    return shift.insert(book, at.sheet, at.start, count, rows=at.rows), None


def append(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """More rows or columns at the end."""
    sheet = book.sheet(int(given.get("sheetId") or 0))
    length = int(given.get("length") or 0)
    if length < 1:
        raise invalid("Length must be positive.")
    rows, columns = (length, 0) if given.get("dimension") == "ROWS" else (0, length)
    grid = resize(sheet.grid, sheet.grid.row_count + rows, sheet.grid.column_count + columns)
    return within_limit(book.with_sheet(msgspec.structs.replace(sheet, grid=grid))), None


def delete(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Delete rows or columns; a protected one cannot be deleted."""
    at = span(book, object_at(given, "range"))
    book.allow(at.sheet, _bounds(at), context.user)
    return shift.delete(book, at.sheet, at.start, at.end, rows=at.rows), None


def move(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Move rows or columns elsewhere."""
    at = span(book, object_at(given, "source"))
    to = int(given.get("destinationIndex") or 0)
    if at.start < to < at.end:
        raise invalid("Destination index is within the source range.")
    book.allow(at.sheet, _bounds(at), context.user)
    return shift.move(book, at.sheet, at.start, at.end, to, rows=at.rows), None


def _bounds(at: Span) -> Bounds:
    whole = at.sheet.grid.whole
    if at.rows:
        return whole._replace(top=at.start, bottom=at.end)
    return whole._replace(left=at.start, right=at.end)


def _with_properties(book: Spreadsheet, at: Span, properties: dict[int, Json]) -> Spreadsheet:
    kept = {index: body for index, body in sorted(properties.items()) if body}
    if at.rows:
        return book.with_sheet(msgspec.structs.replace(at.sheet, rows=kept))
    return book.with_sheet(msgspec.structs.replace(at.sheet, columns=kept))


def update_properties(
    book: Spreadsheet, given: Json, _: Context
) -> tuple[Spreadsheet, Json | None]:
    """Hide, show or resize rows or columns."""
    at = span(book, object_at(given, "range"))
    mask, wanted = fields(given), object_at(given, "properties")
    old = at.sheet.rows if at.rows else at.sheet.columns
    new = {i: lean(merged(old.get(i, {}), wanted, mask)) for i in range(at.start, at.end)}
    return _with_properties(book, at, {**old, **new}), None


def auto_resize(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """As wide as the longest text; widths are estimated, for there are no fonts here."""
    at = span(book, object_at(given, "dimensions"))
    if at.rows:
        return book, None
    new = {column: {"pixelSize": _width(at.sheet, column)} for column in range(at.start, at.end)}
    old = at.sheet.columns
    return _with_properties(
        book, at, {**old, **{i: {**old.get(i, {}), **new[i]} for i in new}}
    ), None


def _width(sheet: Sheet, column: int) -> int:
    value_of = sheet.values()
    longest = max(
        (
            len(formatted(value_of(row, column), sheet.grid.cell(row, column).number_format))
            for row in range(len(sheet.grid.rows))
        ),
        default=0,
    )
    return max(longest * _CHARACTER_PIXELS + _PADDING_PIXELS, 21)


def _group_box(at: Span) -> Box:
    return Box(at.start, 0, at.end, None) if at.rows else Box(0, at.start, None, at.end)


def add_group(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """A group of rows or columns; one around or in another is a level deeper."""
    at = span(book, object_at(given, "range"))
    dimension = "ROWS" if at.rows else "COLUMNS"
    whole = at.sheet.grid.whole
    bounds = _bounds(at)
    depth = 1 + sum(
        group.body["dimension"] == dimension and Bounds(*_closed(group.box, whole)).contains(bounds)
        for group in at.sheet.groups
    )
    group = Placed(_group_box(at), {"dimension": dimension, "depth": depth})
    control = "rowGroupControlAfter" if at.rows else "columnGroupControlAfter"
    inner = {**at.sheet.properties.get("gridProperties", {}), control: True}
    sheet = msgspec.structs.replace(
        at.sheet,
        groups=(*at.sheet.groups, group),
        properties={**at.sheet.properties, "gridProperties": inner},
    )
    groups = [
        group_json(one, sheet.id) for one in sheet.groups if one.body["dimension"] == dimension
    ]
    return book.with_sheet(sheet), {"dimensionGroups": groups}


def _closed(box: Box, whole: Bounds) -> tuple[int, int, int, int]:
    bottom = whole.bottom if box.bottom is None else box.bottom
    return box.top, box.left, bottom, whole.right if box.right is None else box.right


def delete_group(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Without the deepest group of these rows or columns."""
    at = span(book, object_at(given, "range"))
    dimension = "ROWS" if at.rows else "COLUMNS"
    mine = [
        group
        for group in at.sheet.groups
        if group.body["dimension"] == dimension and group.box == _group_box(at)
    ]
    if not mine:
        raise invalid("There is no dimension group in the given range.")
    gone = max(mine, key=lambda group: int(group.body["depth"]))
    sheet = msgspec.structs.replace(
        at.sheet, groups=tuple(group for group in at.sheet.groups if group is not gone)
    )
    left = [group_json(one, sheet.id) for one in sheet.groups if one.body["dimension"] == dimension]
    return book.with_sheet(sheet), {"dimensionGroups": left} if left else {}


DIMENSION_REQUESTS: dict[str, Handler] = {
    "addDimensionGroup": add_group,
    "appendDimension": append,
    "autoResizeDimensions": auto_resize,
    "deleteDimension": delete,
    "deleteDimensionGroup": delete_group,
    "insertDimension": insert,
    "moveDimension": move,
    "updateDimensionProperties": update_properties,
}
