"""The spreadsheet as `spreadsheets.get` answers it, with or without the cells."""

from __future__ import annotations

from typing import Any

from tierline.testing.sheets.cell_json import cell_writer
from tierline.testing.sheets.errors import Json
from tierline.testing.sheets.grid import used
from tierline.testing.sheets.masks import (
    Mask,
    as_list,
    as_object,
    bad_mask,
    names,
    project,
)
from tierline.testing.sheets.ranges import Bounds, Box, grid_range
from tierline.testing.sheets.spreadsheet import (
    Placed,
    Sheet,
    Spreadsheet,
    may_edit,
    placed_json,
)

_TOP = {"spreadsheetId", "properties", "sheets", "namedRanges", "spreadsheetUrl",
        "developerMetadata", "dataSources", "dataSourceSchedules", "*"}  # fmt: skip
_SHEET = {"properties", "data", "merges", "conditionalFormats", "filterViews", "protectedRanges",
          "basicFilter", "charts", "bandedRanges", "developerMetadata", "rowGroups",
          "columnGroups", "slicers", "tables", "*"}  # fmt: skip
_DATA = {"startRow", "startColumn", "rowData", "rowMetadata", "columnMetadata", "*"}
_CELL = {"userEnteredValue", "effectiveValue", "formattedValue", "userEnteredFormat",
         "effectiveFormat", "hyperlink", "note", "textFormatRuns", "dataValidation",
         "pivotTable", "dataSourceTable", "dataSourceFormula", "chipRuns", "*"}  # fmt: skip


def check_mask(mask: Mask) -> None:
    """Refuse a mask with a field that a spreadsheet does not have.

    Raises:
        ApiError: It has one.
    """
    known = {
        "": _TOP,
        "sheets.": _SHEET,
        "sheets.data.": _DATA,
        "sheets.data.rowData.": {"values", "*"},
        "sheets.data.rowData.values.": _CELL,
    }
    for path in names(mask):
        parent, _, name = path.rpartition(".")
        allowed = known.get(f"{parent}." if parent else "")
        if allowed is not None and name not in allowed:
            raise bad_mask(path)


def sheet_properties(book: Spreadsheet, sheet: Sheet) -> Json:
    """`properties` of a worksheet."""
    inner = as_object(sheet.properties.get("gridProperties"))
    counts = {"rowCount": sheet.grid.row_count, "columnCount": sheet.grid.column_count}
    return {
        "sheetId": sheet.id,
        "title": sheet.title,
        "index": [one.id for one in book.sheets].index(sheet.id),
        "sheetType": "GRID",
        **sheet.properties,
        "gridProperties": {**counts, **inner},
    }


def group_json(group: Placed, sheet_id: int) -> Json:
    """A group of rows or columns."""
    box, rows = group.box, group.body["dimension"] == "ROWS"
    ends = (box.top, box.bottom) if rows else (box.left, box.right)
    span: Json = {"sheetId": sheet_id} if sheet_id else {}
    span |= {"dimension": group.body["dimension"], "startIndex": ends[0], "endIndex": ends[1]}
    return {"range": span} | {k: v for k, v in group.body.items() if k != "dimension"}


def named_range_json(named: Placed) -> Json:
    """A named range."""
    sheet_id = int(named.body.get("sheetId") or 0)
    body = {name: value for name, value in named.body.items() if name != "sheetId"}
    return {**body, "range": grid_range(named.box, sheet_id)}


def _protection(placed: Placed, sheet: Sheet, book: Spreadsheet, user: str) -> Json:
    body = placed_json(placed, sheet.id)
    can = may_edit(placed.body, user, book.owner)
    body["requestingUserCanEdit"] = can
    if not can:
        # Who may not edit is not told who may.
        body.pop("editors", None)
        body.pop("requestingUserCanEdit")
    return body


def _sheet(book: Spreadsheet, sheet: Sheet, user: str) -> Json:
    found: Json = {"properties": sheet_properties(book, sheet)}
    lists = {
        "merges": [grid_range(merge.box, sheet.id) for merge in sheet.merges],
        "protectedRanges": [_protection(one, sheet, book, user) for one in sheet.protections],
        "rowGroups": _groups(sheet, "ROWS"),
        "columnGroups": _groups(sheet, "COLUMNS"),
        "developerMetadata": [
            entry
            for entry in book.metadata
            if as_object(entry.get("location")).get("sheetId") == sheet.id
        ],
    }
    if sheet.filter is not None:
        found["basicFilter"] = placed_json(sheet.filter, sheet.id)
    return found | {name: value for name, value in lists.items() if value}


def _groups(sheet: Sheet, dimension: str) -> list[Json]:
    return [group_json(one, sheet.id) for one in sheet.groups if one.body["dimension"] == dimension]


def _data(sheet: Sheet, bounds: Bounds, mask: Mask) -> Json:
    """GridData of a box: as `mask` keeps it, without what is empty at the ends."""
    part, value_of = used(sheet.grid, bounds), sheet.values()
    everything = not mask or "*" in mask
    found: Json = {}
    if everything or "startRow" in mask:
        found |= {"startRow": bounds.top} if bounds.top else {}
    if everything or "startColumn" in mask:
        found |= {"startColumn": bounds.left} if bounds.left else {}
    if everything or "rowData" in mask:
        below = mask.get("rowData", {}).get("values", {})
        one = cell_writer(below)
        rows: list[Json] = []
        for row in range(part.top, part.bottom):
            cells = [
                one(cell, cell.value if cell.formula is None else value_of(row, part.left + i))
                for i, cell in enumerate(sheet.grid.row(row, part.left, part.right))
            ]
            while cells and not cells[-1]:
                cells.pop()
            rows.append({"values": cells} if cells else {})
        while rows and not rows[-1]:
            rows.pop()
        found |= {"rowData": rows} if rows else {}
    for name, properties, size, span in (
        ("rowMetadata", sheet.rows, 21, (bounds.top, bounds.bottom)),
        ("columnMetadata", sheet.columns, 100, (bounds.left, bounds.right)),
    ):
        if everything or name in mask:
            lines = [{"pixelSize": size, **properties.get(i, {})} for i in range(*span)]
            found[name] = project(lines, mask.get(name, {}))
    return found


def spreadsheet_json(
    book: Spreadsheet,
    *,
    user: str,
    mask: Mask | None = None,
    with_data: bool = False,
    ranges: list[tuple[Sheet, Box]] | None = None,
) -> Json:
    """What `spreadsheets.get` answers.

    Args:
        book: The spreadsheet.
        user: Who asks: protections are told as they are for this user.
        mask: The fields to answer; with one, `with_data` does not count.
        with_data: Answer the cells.
        ranges: The cells to answer, and no other sheets than theirs; None for all.
    """
    data_mask: Any = {} if mask is None else mask.get("sheets", {}).get("data", {})
    if mask is not None:
        sheets_mask = mask.get("sheets")
        with_data = "*" in mask or (
            sheets_mask is not None
            and (not sheets_mask or "data" in sheets_mask or "*" in sheets_mask)
        )
    sheets: list[Json] = []
    for sheet in book.sheets:
        boxes = [Box()] if ranges is None else [box for one, box in ranges if one.id == sheet.id]
        if not boxes:
            continue
        found = _sheet(book, sheet, user)
        if with_data:
            found["data"] = [_data(sheet, sheet.bounds(box), data_mask) for box in boxes]
        sheets.append(found)
    answer: Json = {
        "spreadsheetId": book.id,
        "properties": book.properties,
        "sheets": sheets,
        "namedRanges": [named_range_json(named) for named in book.named_ranges],
        "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{book.id}/edit",
        "developerMetadata": [
            entry
            for entry in book.metadata
            if as_object(entry.get("location")).get("locationType") == "SPREADSHEET"
        ],
    }
    for name in ("namedRanges", "developerMetadata"):
        if not as_list(answer[name]):
            del answer[name]
    return answer if mask is None else as_object(project(answer, _projectable(mask)))


def _projectable(mask: Mask) -> Mask:
    """The mask with `data` whole: what is in it was chosen when it was made."""
    if "data" not in mask.get("sheets", {}):
        return mask
    return {**mask, "sheets": {**mask["sheets"], "data": {}}}
