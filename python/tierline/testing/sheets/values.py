"""The `values` endpoints: what is read and what a write makes of a spreadsheet."""

from __future__ import annotations

from typing import NamedTuple

from tierline.testing.sheets import shift
from tierline.testing.sheets.cell import Cell, Scalar
from tierline.testing.sheets.entered import enter
from tierline.testing.sheets.errors import Json, invalid, invalid_field
from tierline.testing.sheets.grid import Place, places, used
from tierline.testing.sheets.masks import as_list, as_object, is_list, is_object
from tierline.testing.sheets.ranges import Bounds, a1
from tierline.testing.sheets.shown import rendered
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet
from tierline.testing.sheets.tables import last_table


class Rendering(NamedTuple):
    """How values are answered."""

    option: str = "FORMATTED_VALUE"
    dates_as_text: bool = False
    by_column: bool = False


class Writing(NamedTuple):
    """How values are taken, and by whom."""

    user_entered: bool
    user: str
    include_values: bool = False
    rendering: Rendering = Rendering()


def _choice(given: Json, name: str, allowed: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if value not in allowed:
        raise invalid_field(
            f"Invalid value at '{name}' (type.googleapis.com/google.apps.sheets.v4), \"{value}\"",
            name,
            f"Invalid value at '{name}', \"{value}\"",
        )
    return str(value)


def rendering(given: Json, *, prefix: str = "") -> Rendering:
    """The options of a read; a prefix of "response" for those of a write's answer."""
    render, dates = "valueRenderOption", "dateTimeRenderOption"
    if prefix:
        render, dates = (
            prefix + render[0].upper() + render[1:],
            prefix + dates[0].upper() + dates[1:],
        )
    options = ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA")
    return Rendering(
        _choice(given, render, options) or "FORMATTED_VALUE",
        _choice(given, dates, ("SERIAL_NUMBER", "FORMATTED_STRING")) == "FORMATTED_STRING",
        _dimension(given) == "COLUMNS",
    )


def writing(given: Json, user: str) -> Writing:
    """The options of a write.

    Raises:
        ApiError: `valueInputOption` is missing.
    """
    option = _choice(given, "valueInputOption", ("RAW", "USER_ENTERED"))
    if option is None:
        raise invalid("'valueInputOption' is required but not specified")
    include = given.get("includeValuesInResponse")
    return Writing(
        option == "USER_ENTERED",
        user,
        include is True or str(include).lower() == "true",
        rendering(given | {"majorDimension": None}, prefix="response"),
    )


def _dimension(given: Json) -> str | None:
    return _choice(given, "majorDimension", ("ROWS", "COLUMNS", "DIMENSION_UNSPECIFIED"))


def read_values(sheet: Sheet, bounds: Bounds, how: Rendering) -> Json:
    """A ValueRange: without the empty cells and rows at the ends."""
    value_of = sheet.values()
    part = used(sheet.grid, bounds)

    def shown(row: int, column: int, cell: Cell) -> Scalar:
        if cell.is_empty:
            return ""
        # Constants need no look at formulas, and there are many of them.
        value = cell.value if cell.formula is None else value_of(row, column)
        return rendered(cell, value, option=how.option, dates_as_text=how.dates_as_text)

    lines: list[list[Scalar]] = [
        [
            shown(row, part.left + offset, cell)
            for offset, cell in enumerate(sheet.grid.row(row, part.left, part.right))
        ]
        for row in range(part.top, part.bottom)
    ]
    if how.by_column:
        width = part.right - part.left
        lines = [
            [line[column] if column < len(line) else "" for line in lines]
            for column in range(width)
        ]
    for line in lines:
        while line and line[-1] == "":
            line.pop()
    while lines and not lines[-1]:
        lines.pop()
    dimension = "COLUMNS" if how.by_column else "ROWS"
    answer: Json = {"range": a1(sheet.title, bounds), "majorDimension": dimension}
    return answer | ({"values": lines} if lines else {})


def found_values(book: Spreadsheet, text: str) -> tuple[Sheet, Bounds]:
    """The worksheet and cells that a read of a range answers.

    Raises:
        ApiError: There are none.
    """
    sheet, box = book.range(text)
    return sheet, sheet.bounds(box)


def given_cells(body: Json, where: str = "data.values") -> dict[Place, Scalar]:
    """The values of a ValueRange by their place in it; nulls are left out.

    Raises:
        ApiError: They are no list of lists of scalars.
    """
    lines = body.get("values")
    kind = "type.googleapis.com/google.protobuf.ListValue"
    if lines is not None and not is_list(lines):
        message = f"Invalid value at '{where}' ({kind}), \"{lines}\""
        raise invalid_field(message, where, message)
    found: dict[Place, Scalar] = {}
    by_column = _dimension(body) == "COLUMNS"
    for i, line in enumerate(as_list(lines)):
        if not is_list(line):
            message = f"Invalid value at '{where}[{i}]' ({kind}), \"{line}\""
            raise invalid_field(message, f"{where}[{i}]", message)
        for j, value in enumerate(line):
            if is_object(value) or is_list(value):
                shown = "struct_value" if is_object(value) else "list_value"
                raise invalid(f"Invalid values[{i}][{j}]: {shown}")
            if value is not None:
                found[(j, i) if by_column else (i, j)] = value
    return found


def _extent(body: Json) -> tuple[int, int]:
    """The rows and columns of a ValueRange, nulls counted."""
    lines = as_list(body.get("values"))
    long, wide = len(lines), max((len(as_list(line)) for line in lines), default=0)
    return (wide, long) if _dimension(body) == "COLUMNS" else (long, wide)


def write_values(
    book: Spreadsheet, sheet: Sheet, at: Place, body: Json, how: Writing, *, where: str = ""
) -> tuple[Spreadsheet, Json]:
    """Write a ValueRange from a cell on; the grid grows where it must."""
    given = given_cells(body)
    cells = {
        (at[0] + row, at[1] + column): enter(
            sheet.grid.cell(at[0] + row, at[1] + column),
            value,
            user_entered=how.user_entered,
            locale=book.locale,
            where=where,
        )
        for (row, column), value in given.items()
    }
    book = book.write(sheet, cells, how.user)
    rows, columns = _extent(body)
    written = Bounds(at[0], at[1], at[0] + rows, at[1] + columns)
    answer: Json = {"spreadsheetId": book.id, "updatedRange": a1(sheet.title, written)}
    if given:
        answer |= {
            "updatedRows": len({row for row, _ in given}),
            "updatedColumns": len({column for _, column in given}),
            "updatedCells": len(given),
        }
    if how.include_values:
        shown = how.rendering._replace(by_column=_dimension(body) == "COLUMNS")
        answer["updatedData"] = read_values(book.sheet(sheet.id), written, shown)
    return book, answer


def update_values(
    book: Spreadsheet, text: str, body: Json, how: Writing, where: str = ""
) -> tuple[Spreadsheet, Json]:
    """What `values.update` does: values may not leave the range, or the grid if it is one cell."""
    given_cells(body)
    sheet, box = book.range(text)
    bounds = sheet.bounds(box)
    rows, columns = _extent(body)
    single = box.bottom == box.top + 1 and box.right == box.left + 1
    limit = sheet.grid.whole if single else bounds
    over_row, over_column = bounds.top + rows > limit.bottom, bounds.left + columns > limit.right
    if over_row or over_column:
        shown = a1(sheet.title, bounds)
        if over_row:
            raise invalid(
                f"{where}Requested writing within range [{shown}], but tried writing to row "
                f"[{limit.bottom + 1}]"
            )
        first = a1(sheet.title, Bounds(0, limit.right, 1, limit.right + 1)).rpartition("!")[2][:-1]
        raise invalid(
            f"{where}Requested writing within range [{shown}], but tried writing to column "
            f"[{first}]"
        )
    return write_values(book, sheet, (bounds.top, bounds.left), body, how, where=where)


def append_values(
    book: Spreadsheet, text: str, body: Json, how: Writing, *, insert: bool
) -> tuple[Spreadsheet, Json]:
    """What `values.append` does: below the last table of the range, or at its start without one."""
    given_cells(body)
    sheet, box = book.range(text)
    bounds = sheet.bounds(box)
    table = last_table(sheet.grid, bounds)
    at = (bounds.top, bounds.left) if table is None else (table.bottom, table.left)
    if insert and table is not None and at[0] < sheet.grid.row_count:
        rows, _ = _extent(body)
        book = shift.insert(book, sheet, at[0], rows, rows=True)
        sheet = book.sheet(sheet.id)
    book, updates = write_values(book, sheet, at, body, how)
    found = {} if table is None else {"tableRange": a1(sheet.title, table)}
    return book, {"spreadsheetId": book.id, **found, "updates": updates}


def clear_values(book: Spreadsheet, text: str, user: str) -> tuple[Spreadsheet, str]:
    """Clear a range's values; formats and notes stay. Answers the range as cleared."""
    sheet, box = book.range(text)
    bounds = sheet.bounds(box)
    book.allow(sheet, bounds, user)
    return clear_cells(book, sheet, bounds, user), a1(sheet.title, bounds)


def clear_cells(book: Spreadsheet, sheet: Sheet, bounds: Bounds, user: str) -> Spreadsheet:
    """Clear the values of some cells."""
    cells = {
        place: Cell(format=cell.format, note=cell.note, validation=cell.validation)
        for place in places(used(sheet.grid, bounds))
        if not (cell := sheet.grid.cell(*place)).is_empty
    }
    return book.write(sheet, cells, user)


def batch_update_values(book: Spreadsheet, body: Json, user: str) -> tuple[Spreadsheet, Json]:
    """What `values.batchUpdate` does: all ranges or none."""
    how = writing(body, user)
    responses: list[Json] = []
    touched: set[tuple[str, int, int]] = set()
    for i, data in enumerate(as_list(body.get("data"))):
        block = as_object(data)
        given = given_cells(block, f"data[{i}].values")
        book, answer = update_values(
            book, str(block.get("range", "")), block, how, f"Invalid data[{i}]: "
        )
        responses.append(answer)
        sheet, box = book.range(str(block.get("range", "")))
        touched |= {(sheet.title, box.top + row, box.left + column) for row, column in given}
    totals = {
        "totalUpdatedRows": len({(title, row) for title, row, _ in touched}),
        "totalUpdatedColumns": len({(title, column) for title, _, column in touched}),
        "totalUpdatedCells": sum(int(answer.get("updatedCells", 0)) for answer in responses),
        "totalUpdatedSheets": len({title for title, _, _ in touched}),
    }
    return book, {"spreadsheetId": book.id, **totals, "responses": responses}
