"""Requests about cells: update, append, repeat, copy, cut, sort, find and replace, validate."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tierline.testing.sheets.cell import BLANK, Cell, CellError, Scalar
from tierline.testing.sheets.entered import CELL_CHARS_MAX
from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.grid import Place, places, put, used
from tierline.testing.sheets.masks import Mask, as_list, as_object, is_object, lean, merged, names
from tierline.testing.sheets.ranges import Bounds
from tierline.testing.sheets.request import (
    Context,
    Handler,
    fields,
    object_at,
    target,
    target_bounds,
)
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet, within_limit


def blanked(sheet: Sheet, bounds: Bounds) -> dict[Place, Cell]:
    """The cells of a box that have a value, without it."""
    return {
        place: msgspec.structs.replace(cell, value=None, formula=None)
        for place in places(used(sheet.grid, bounds))
        if not (cell := sheet.grid.cell(*place)).is_empty
    }


def _entered(given: Json) -> tuple[Scalar | None, str | None]:
    """The value and formula of an ExtendedValue: no parsing happens, whatever the text says."""
    for kind, value in given.items():
        if kind == "numberValue":
            return float(value), None
        if kind == "boolValue":
            return bool(value), None
        if kind == "formulaValue":
            return None, str(value)
        if kind == "stringValue":
            if len(str(value)) > CELL_CHARS_MAX:
                raise invalid(
                    f"Your input contains more than the maximum of {CELL_CHARS_MAX} characters in "
                    "a single cell."
                )
            return str(value) or None, None
        raise invalid(f'Unknown name "{kind}" at userEnteredValue: Cannot find field.')
    return None, None


_COLOURS = ("backgroundColor", "foregroundColor")


def styled(form: Json, mask: Mask | None = None) -> Json:
    """A format with each colour in its old and its new form."""
    result: Json = {}
    for name, value in form.items():
        inner = (mask or {}).get(name)
        result[name] = styled(value, inner) if is_object(value) else value
    for colour in _COLOURS:
        style = f"{colour}Style"
        if colour in form and (mask is None or not mask or colour in mask or style not in form):
            result[style] = {"rgbColor": form[colour]}
        elif style in form:
            result[colour] = as_object(form[style]).get("rgbColor", {})
    return result


def changed(cell: Cell, given: Json, mask: Mask) -> Cell:
    """A cell after an update of the fields that a mask names."""
    everything = "*" in mask
    if everything or "userEnteredValue" in mask:
        value, formula = _entered(as_object(given.get("userEnteredValue")))
        cell = msgspec.structs.replace(cell, value=value, formula=formula)
    if everything or "userEnteredFormat" in mask:
        inner = mask.get("userEnteredFormat", {})
        wanted = as_object(given.get("userEnteredFormat"))
        form = styled(lean(merged(cell.format or {}, wanted, inner)), inner)
        cell = msgspec.structs.replace(cell, format=form or None)
    if everything or "note" in mask:
        cell = msgspec.structs.replace(cell, note=given.get("note") or None)
    if everything or "dataValidation" in mask:
        rule = as_object(given.get("dataValidation"))
        cell = msgspec.structs.replace(cell, validation=rule or None)
    return cell


_CELL_FIELDS = {"userEnteredValue", "userEnteredFormat", "note", "dataValidation", "*",
                "textFormatRuns", "hyperlink", "pivotTable", "chipRuns"}  # fmt: skip


def _cell_mask(given: Json) -> Mask:
    mask = fields(given)
    for name in mask:
        if name not in _CELL_FIELDS:
            raise invalid(f"Invalid field: {names(mask)[0]}")
    return mask


def update_cells(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """Write cells by type. Cells of the range that the rows do not cover lose the masked fields."""
    mask = _cell_mask(given)
    rows = [as_list(as_object(row).get("values")) for row in as_list(given.get("rows"))]
    if isinstance(given.get("range"), dict):
        sheet, bounds = target_bounds(book, as_object(given["range"]))
    else:
        start = object_at(given, "start")
        top, left = int(start.get("rowIndex") or 0), int(start.get("columnIndex") or 0)
        sheet = book.sheet(int(start.get("sheetId") or 0))
        width = max((len(row) for row in rows), default=0)
        bounds = Bounds(top, left, top + len(rows), left + width)
        whole = sheet.grid.whole
        if bounds.bottom > whole.bottom or bounds.right > whole.right:
            raise invalid("Attempting to write past the last row or column of the sheet.")
    covered: dict[Place, Json] = {}
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            covered[bounds.top + i, bounds.left + j] = as_object(cell)
    if any(not bounds.holds(*place) for place in covered):
        raise invalid(
            "Attempting to write column or row outside of the range: the rows hold more cells."
        )
    rest: dict[Place, Json] = {
        place: {} for place in places(used(sheet.grid, bounds)) if place not in covered
    }
    cells = {
        place: changed(sheet.grid.cell(*place), wanted, mask)
        for place, wanted in {**rest, **covered}.items()
    }
    return book.write(sheet, cells, context.user), None


def append_cells(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """Write rows below the last row with data; no table is looked for."""
    mask = _cell_mask(given)
    sheet = book.sheet(int(given.get("sheetId") or 0))
    top = max((row for row, _, _ in sheet.grid.filled()), default=-1) + 1
    cells = {
        (top + i, j): changed(sheet.grid.cell(top + i, j), as_object(cell), mask)
        for i, row in enumerate(as_list(given.get("rows")))
        for j, cell in enumerate(as_list(as_object(row).get("values")))
    }
    return book.write(sheet, cells, context.user), None


def repeat_cell(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """One cell's fields, everywhere in a range."""
    mask, wanted = _cell_mask(given), object_at(given, "cell")
    sheet, bounds = target_bounds(book, object_at(given, "range"))
    cells = {place: changed(sheet.grid.cell(*place), wanted, mask) for place in places(bounds)}
    return book.write(sheet, cells, context.user), None


def _pasted(old: Cell, new: Cell, kind: str) -> Cell:
    if kind == "PASTE_FORMAT":
        return msgspec.structs.replace(old, format=new.format)
    if kind in ("PASTE_VALUES", "PASTE_FORMULA"):
        return msgspec.structs.replace(old, value=new.value, formula=new.formula)
    if kind == "PASTE_DATA_VALIDATION":
        return msgspec.structs.replace(old, validation=new.validation)
    return new


def copy_paste(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Copy a range, as often as the destination holds it; formulas are copied as they are."""
    source, taken = target_bounds(book, object_at(given, "source"))
    sheet, box = target(book, object_at(given, "destination"))
    onto = sheet.bounds(box)
    height, width = taken.bottom - taken.top, taken.right - taken.left
    turned = given.get("pasteOrientation") == "TRANSPOSE"
    high, wide = (width, height) if turned else (height, width)
    onto = onto._replace(
        bottom=onto.top + max((onto.bottom - onto.top) // high, 1) * high,
        right=onto.left + max((onto.right - onto.left) // wide, 1) * wide,
    )
    kind = str(given.get("pasteType") or "PASTE_NORMAL")
    cells: dict[Place, Cell] = {}
    for row, column in places(onto):
        i, j = (row - onto.top) % high, (column - onto.left) % wide
        i, j = (j, i) if turned else (i, j)
        new = source.grid.cell(taken.top + i, taken.left + j)
        cells[row, column] = _pasted(sheet.grid.cell(row, column), new, kind)
    return book.write(sheet, cells, context.user), None


def cut_paste(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Move a range to another place."""
    source, taken = target_bounds(book, object_at(given, "source"))
    corner = object_at(given, "destination")
    top, left = int(corner.get("rowIndex") or 0), int(corner.get("columnIndex") or 0)
    kind = str(given.get("pasteType") or "PASTE_NORMAL")
    moving = {
        (row - taken.top + top, column - taken.left + left): source.grid.cell(row, column)
        for row, column in places(taken)
    }
    cleared = msgspec.structs.replace(
        source, grid=put(source.grid, dict.fromkeys(places(used(source.grid, taken)), BLANK))
    )
    book.allow(source, taken, context.user)
    book = book.with_sheet(cleared)
    sheet = book.sheet(int(corner.get("sheetId") or 0))
    cells = {at: _pasted(sheet.grid.cell(*at), cell, kind) for at, cell in moving.items()}
    return book.write(sheet, cells, context.user), None


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers before texts before booleans before errors, as the spreadsheet sorts them."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, float | int):
        return 0, value
    if isinstance(value, CellError):
        return 3, ""
    return 1, str(value).casefold()


def sort_range(book: Spreadsheet, given: Json, context: Context) -> tuple[Spreadsheet, Json | None]:
    """Sort the rows of a range; empty cells come last, up or down."""
    sheet, bounds = target_bounds(book, object_at(given, "range"))
    part = used(sheet.grid, bounds)
    value_of = sheet.values()
    order = list(range(part.top, part.bottom))
    for spec in reversed(as_list(given.get("sortSpecs"))):
        column = int(as_object(spec).get("dimensionIndex") or 0)
        down = as_object(spec).get("sortOrder") == "DESCENDING"
        filled = [row for row in order if value_of(row, column) is not None]
        empty = [row for row in order if value_of(row, column) is None]
        # A stable sort, also where it goes down.
        filled.sort(key=lambda row, column=column: _rank(value_of(row, column)), reverse=down)
        order = filled + empty
    cells = {
        (part.top + i, column): sheet.grid.cell(row, column)
        for i, row in enumerate(order)
        for column in range(part.left, part.right)
    }
    return book.write(sheet, cells, context.user), None


def find_replace(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """Replace texts in constants; formulas are left alone."""
    find = str(given.get("find") or "")
    pattern = find if given.get("searchByRegex") else re.escape(find)
    if given.get("matchEntireCell"):
        pattern = f"^(?:{pattern})$"
    wanted = re.compile(pattern, 0 if given.get("matchCase") else re.IGNORECASE)
    changed_count = 0
    for sheet in book.sheets if given.get("allSheets") else [_searched(book, given)]:
        cells: dict[Place, Cell] = {}
        for row, column, cell in sheet.grid.filled():
            if isinstance(cell.value, str) and wanted.search(cell.value):
                text = wanted.sub(str(given.get("replacement") or ""), cell.value)
                cells[row, column] = msgspec.structs.replace(cell, value=text or None)
        changed_count += len(cells)
        book = book.write(sheet, cells, context.user)
    return book, {"valuesChanged": changed_count} if changed_count else {}


def _searched(book: Spreadsheet, given: Json) -> Sheet:
    inner = as_object(given.get("range"))
    return book.sheet(int(given.get("sheetId") or inner.get("sheetId") or 0))


def set_validation(
    book: Spreadsheet, given: Json, context: Context
) -> tuple[Spreadsheet, Json | None]:
    """A rule for the cells of a range, or none where no rule is given."""
    sheet, bounds = target_bounds(book, object_at(given, "range"))
    rule = as_object(given.get("rule"))
    cells = {
        place: msgspec.structs.replace(sheet.grid.cell(*place), validation=lean(rule) or None)
        for place in places(bounds)
    }
    return within_limit(book.write(sheet, cells, context.user)), None


CELL_REQUESTS: dict[str, Handler] = {
    "appendCells": append_cells,
    "copyPaste": copy_paste,
    "cutPaste": cut_paste,
    "findReplace": find_replace,
    "repeatCell": repeat_cell,
    "setDataValidation": set_validation,
    "sortRange": sort_range,
    "updateCells": update_cells,
}
