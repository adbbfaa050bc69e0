"""Requests about the spreadsheet and its worksheets as wholes."""

from __future__ import annotations

import msgspec

from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.grid import Grid, resize
from tierline.testing.sheets.masks import as_object, lean, merged, names
from tierline.testing.sheets.ranges import bounded
from tierline.testing.sheets.request import Context, Handler, fields, object_at
from tierline.testing.sheets.resource import sheet_properties
from tierline.testing.sheets.spreadsheet import Placed, Sheet, Spreadsheet, within_limit


def _ids(book: Spreadsheet) -> set[int]:
    return {sheet.id for sheet in book.sheets}


def _check_title(book: Spreadsheet, title: str, own: int | None = None) -> None:
    if not title:
        raise invalid("The sheet name cannot be empty.")
    if any(sheet.title.casefold() == title.casefold() for sheet in book.sheets if sheet.id != own):
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')


def _placed_at(book: Spreadsheet, sheet: Sheet, index: int | None) -> Spreadsheet:
    at = len(book.sheets) if index is None else min(index, len(book.sheets))
    sheets = (*book.sheets[:at], sheet, *book.sheets[at:])
    return within_limit(msgspec.structs.replace(book, sheets=sheets))


def _free_title(book: Spreadsheet, stem: str) -> str:
    number = len(book.sheets) + 1
    while book.titled(f"{stem}{number}"):
        number += 1
    return f"{stem}{number}"


def _counts(given: Json, old: Grid) -> tuple[int, int]:
    rows = int(given.get("rowCount") or old.row_count)
    columns = int(given.get("columnCount") or old.column_count)
    if rows < 1 or columns < 1:
        raise invalid("A sheet must have at least one row and one column.")
    return rows, columns


def _rest(given: Json) -> Json:
    """The properties that are kept as they are: without what the sheet holds itself."""
    own = ("sheetId", "title", "index", "sheetType")
    kept = lean({name: value for name, value in given.items() if name not in own})
    counts = ("rowCount", "columnCount")
    inner = as_object(kept.pop("gridProperties", {}))
    inner = {name: value for name, value in inner.items() if name not in counts}
    return as_object(kept) | ({"gridProperties": inner} if inner else {})


def new_sheet(book: Spreadsheet, given: Json, context: Context) -> Sheet:
    """A worksheet of the properties that a request gives.

    Raises:
        ApiError: Its title or id is taken.
    """
    title = str(given.get("title") or _free_title(book, "Sheet"))
    _check_title(book, title)
    taken = _ids(book)
    sheet_id = int(given["sheetId"]) if given.get("sheetId") else context.new_id(taken)
    if sheet_id in taken:
        raise invalid(f"Sheet with id {sheet_id} already exists.")
    rows, columns = _counts(as_object(given.get("gridProperties")), Grid())
    return Sheet(sheet_id, title, Grid(rows, columns), _rest(given))


def add_sheet(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """A new worksheet."""
    properties = as_object(given.get("properties"))
    sheet = new_sheet(book, properties, context)
    index = properties.get("index")
    book = _placed_at(book, sheet, None if index is None else int(index))
    return book, {"properties": sheet_properties(book, sheet)}


def duplicate_sheet(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """A copy of a worksheet."""
    source = book.sheet(int(given.get("sourceSheetId") or 0))
    title = str(given.get("newSheetName") or _free_title(book, f"Copy of {source.title} "))
    _check_title(book, title)
    new_id = given.get("newSheetId")
    sheet_id = context.new_id(_ids(book)) if new_id is None else int(new_id)
    if sheet_id in _ids(book):
        raise invalid(f"Sheet with id {sheet_id} already exists.")
    sheet = msgspec.structs.replace(source, id=sheet_id, title=title)
    index = given.get("insertSheetIndex")
    book = _placed_at(book, sheet, 0 if index is None else int(index))
    return book, {"properties": sheet_properties(book, sheet)}


def delete_sheet(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Without a worksheet; one that is seen has to stay."""
    gone = book.sheet(int(given.get("sheetId") or 0))
    rest = tuple(sheet for sheet in book.sheets if sheet.id != gone.id)
    if not any(not sheet.properties.get("hidden") for sheet in rest):
        raise invalid("You can't remove all the visible sheets in a document.")
    named = tuple(n for n in book.named_ranges if int(n.body.get("sheetId") or 0) != gone.id)
    return msgspec.structs.replace(book, sheets=rest, named_ranges=named), None


def update_sheet(book: Spreadsheet, given: Json, _: Context) -> tuple[Spreadsheet, Json | None]:
    """Other properties of a worksheet: its title, place, size, colour and so on."""
    wanted = object_at(given, "properties")
    mask = fields(given)
    sheet = book.sheet(int(wanted.get("sheetId") or 0))
    known = {"sheetId", "title", "index", "sheetType", "gridProperties", "hidden", "tabColor",
             "tabColorStyle", "rightToLeft", "*"}  # fmt: skip
    if unknown := [name for name in mask if name not in known]:
        raise invalid(f"Invalid field: {unknown[0]}")
    before = sheet_properties(book, sheet)
    after = merged(before, {**before, **wanted} if "*" in mask else wanted, mask)
    if "title" in mask:
        _check_title(book, str(after.get("title") or ""), own=sheet.id)
    # A count that the mask names and the request does not give is not set to nothing.
    rows, columns = _counts(as_object(after.get("gridProperties")), sheet.grid)
    grid = sheet.grid
    if (rows, columns) != (grid.row_count, grid.column_count):
        grid = resize(grid, rows, columns)
    changed = msgspec.structs.replace(
        sheet, title=str(after["title"]), grid=grid, properties=_coloured(_rest(after), mask)
    )
    book = within_limit(book.with_sheet(cut(changed)))
    if all(one.properties.get("hidden") for one in book.sheets):
        raise invalid("You can't hide all the sheets in a document.")
    if "index" in names(mask):
        at, to = book.sheets.index(book.sheet(sheet.id)), int(wanted.get("index") or 0)
        if not 0 <= to <= len(book.sheets):
            raise invalid(f"Invalid index: {to}.")
        order = list(book.sheets)
        moving = order.pop(at)
        # The index counts the places before the move.
        order.insert(to if to <= at else to - 1, moving)
        book = msgspec.structs.replace(book, sheets=tuple(order))
    return book, None


def _coloured(properties: Json, mask: Json) -> Json:
    """The colour of a tab is told in an old and a new form, which agree."""
    style = as_object(as_object(properties.get("tabColorStyle")).get("rgbColor"))
    if "tabColorStyle" in mask:
        properties.pop("tabColor", None)
        if style:
            return properties | {"tabColor": style}
        properties.pop("tabColorStyle", None)
    elif properties.get("tabColor"):
        return properties | {"tabColorStyle": {"rgbColor": properties["tabColor"]}}
    return properties


def cut(sheet: Sheet) -> Sheet:
    """A sheet without what lies outside of its grid since it is smaller."""
    rows, columns = sheet.grid.row_count, sheet.grid.column_count

    def inside(placed: Placed) -> Placed | None:
        box = bounded(placed.box, rows, columns)
        if box.top >= box.bottom or box.left >= box.right:
            return None
        kept = placed.box._replace(
            bottom=placed.box.bottom and box.bottom, right=placed.box.right and box.right
        )
        return msgspec.structs.replace(placed, box=kept)

    return msgspec.structs.replace(
        sheet,
        merges=tuple(p for one in sheet.merges if (p := inside(one))),
        protections=tuple(p for one in sheet.protections if (p := inside(one))),
        groups=tuple(p for one in sheet.groups if (p := inside(one))),
        filter=sheet.filter and inside(sheet.filter),
        rows={i: body for i, body in sheet.rows.items() if i < rows},
        columns={i: body for i, body in sheet.columns.items() if i < columns},
    )


def update_spreadsheet(
    book: Spreadsheet, given: Json, _: Context
) -> tuple[Spreadsheet, Json | None]:
    """Another title, locale or time zone."""
    after = merged(book.properties, object_at(given, "properties"), fields(given))
    if not after.get("title"):
        raise invalid("The spreadsheet's title cannot be empty.")
    return msgspec.structs.replace(book, properties=after), None


SHEET_REQUESTS: dict[str, Handler] = {
    "addSheet": add_sheet,
    "deleteSheet": delete_sheet,
    "duplicateSheet": duplicate_sheet,
    "updateSheetProperties": update_sheet,
    "updateSpreadsheetProperties": update_spreadsheet,
}
