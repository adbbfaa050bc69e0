"""Where a table's columns stand in a worksheet: found by its header row, or the reason why not."""

from __future__ import annotations

import difflib
import unicodedata
from typing import Any, NamedTuple

from tierline.entity import Sheet
from tierline.errors import CellProblem
from tierline.sheets.grid import Row, cell_name, column_letters


class Layout(NamedTuple):
    """Where the columns stand.

    Attributes:
        columns: The grid's column, counted from 0, of each column of the table.
        header: The header row's texts.
    """

    columns: tuple[int, ...]
    header: tuple[str, ...]


def normal(header: str) -> str:
    """A header as it is compared."""
    return unicodedata.normalize("NFC", header).strip()


def texts(row: Row) -> tuple[str, ...]:
    """The texts of a header row, empty where a cell has none."""
    found: list[str] = []
    for cell in row.values:
        value = cell.effectiveValue
        if value is None or value.errorValue is not None:
            found.append("")
        elif value.stringValue is not None:
            found.append(normal(value.stringValue))
        elif value.boolValue is not None:
            found.append("TRUE" if value.boolValue else "FALSE")
        else:
            found.append(f"{value.numberValue:.15g}")
    return tuple(found)


def bind(sheet: Sheet[Any, Any], rows: list[Row]) -> Layout | tuple[CellProblem, ...]:
    """Find each column by its header.

    Args:
        sheet: The table.
        rows: The worksheet's rows from its first; those behind the header row tell where a header
            went that is missing.

    Returns:
        The layout, or every header that is missing or there twice.
    """
    at = sheet.header_row - 1
    header = texts(rows[at]) if at < len(rows) else ()
    wanted = [normal(sheet.header_of(column.field)) for column in sheet.columns]
    problems: list[CellProblem] = []
    columns: list[int] = []
    for name in wanted:
        places = [column for column, found in enumerate(header) if found == name]
        if len(places) == 1:
            columns.append(places[0])
        elif places:
            letters = " and ".join(column_letters(column) for column in places)
            problems.append(
                CellProblem(
                    cell_name(at, places[1]),
                    name,
                    f"columns {letters} have the same header; rename or remove one",
                )
            )
        else:
            problems.append(_missing(name, wanted, header, at))
    if not problems:
        return Layout(tuple(columns), header)
    moved = _moved(wanted, rows, at)
    return tuple(problems) if moved is None else (moved,)


def _missing(name: str, wanted: list[str], header: tuple[str, ...], at: int) -> CellProblem:
    if not any(header):
        return CellProblem(
            cell_name(at, 0), name, f"row {at + 1} has no headers; write them, or set header_row="
        )
    free = [found for found in header if found and found not in wanted]
    folded = {found.casefold(): found for found in free}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        found = folded[close[0]]
        place = cell_name(at, header.index(found))
        return CellProblem(place, name, f"is missing; was it renamed to {found!r}? Rename it back")
    return CellProblem(
        cell_name(at, len(header)), name, f"no column of row {at + 1} has this header; add it"
    )


HEADERS_LOOKED_FOR = 20
"""Rows among which headers are looked for that are not where they should be."""


def _moved(wanted: list[str], rows: list[Row], at: int) -> CellProblem | None:
    """Whether another row has all the headers: somebody inserted or removed rows above."""
    for number, row in enumerate(rows[:HEADERS_LOOKED_FOR]):
        if number != at and set(wanted) <= set(texts(row)):
            return CellProblem(
                cell_name(number, 0),
                wanted[0],
                f"the headers stand in row {number + 1}, not in row {at + 1}; move them back or "
                f"set header_row={number + 1}",
            )
    return None
