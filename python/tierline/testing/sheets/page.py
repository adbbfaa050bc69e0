"""A small page that shows the grids, for a person to look; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tierline.testing.sheets.exchange import Reply, Request
from tierline.testing.sheets.grid import used
from tierline.testing.sheets.ranges import column_name
from tierline.testing.sheets.shown import formatted
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet

# More than a person looks at; the rest is counted.
_ROWS_MAX, _COLUMNS_MAX = 200, 50
_STYLE = """body{font:14px system-ui,sans-serif;margin:1.5rem;color:#222}
table{border-collapse:collapse;margin:.3rem 0 1.5rem}td,th{border:1px solid #ccc;padding:2px 8px}
th{background:#f3f3f3;font-weight:normal;color:#666}td.n{text-align:right}
td.f{color:#06c}td.e{color:#b00}small{color:#777}"""
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("Refresh", "2"),
)


def _page(title: str, body: str, status: int = 200) -> Reply:
    html = (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )
    return Reply(status, html.encode(), "text/html; charset=UTF-8", _HEADERS)


def answer(request: Request, books: Mapping[str, Spreadsheet]) -> Reply:
    """The list of spreadsheets, or the grids of one."""
    if request.path == "/":
        items = "".join(
            f'<li><a href="/view/{book.id}">{escape(book.title)}</a> '
            f"<small>{len(book.sheets)} sheets, {book.id}</small>"
            for book in books.values()
        )
        return _page("Spreadsheets", f"<ul>{items}</ul>" if items else "<p>There are none yet.</p>")
    book = books.get(request.path.removeprefix("/view/"))
    if book is None:
        return _page("No such spreadsheet", '<p><a href="/">All spreadsheets</a></p>', 404)
    grids = "".join(f"<h2>{escape(sheet.title)}</h2>{_table(sheet)}" for sheet in book.sheets)
    return _page(book.title, f'<p><a href="/">All spreadsheets</a></p>{grids}')


def _table(sheet: Sheet) -> str:
    part = used(sheet.grid, sheet.grid.whole)
    value_of = sheet.values()
    columns = range(min(part.right, _COLUMNS_MAX))
    head = "".join(f"<th>{column_name(column)}" for column in columns)
    lines = [f"<tr><th>{head}"]
    for row in range(min(part.bottom, _ROWS_MAX)):
        line = [f"<tr><th>{row + 1}"]
        for column in columns:
            cell, value = sheet.grid.cell(row, column), value_of(row, column)
            kind = "f" if cell.formula else "n" if isinstance(value, float) else ""
            hint = f' title="{escape(cell.formula)}"' if cell.formula else ""
            shown = escape(formatted(value, cell.number_format))
            line.append(f'<td class="{kind}"{hint}>{shown}')
        lines.append("".join(line))
    size = f"{sheet.grid.row_count} x {sheet.grid.column_count} cells"
    if part.bottom > _ROWS_MAX or part.right > _COLUMNS_MAX:
        size += f"; {part.bottom} rows and {part.right} columns are filled, the first are shown"
    return f"<table>{''.join(lines)}</table><small>{size}</small>"
