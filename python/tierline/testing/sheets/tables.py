"""Which table `values:append` appends to."""

from __future__ import annotations

from collections.abc import Iterator

from tierline.testing.sheets.grid import Grid, used
from tierline.testing.sheets.ranges import Bounds


def table_at(grid: Grid, row: int, column: int) -> Bounds:
    """The table around a cell: the box grows until the cells around it are empty."""
    box = Bounds(row, column, row + 1, column + 1)
    while (grown := _grown(grid, box)) != box:
        box = grown
    return box


def _grown(grid: Grid, box: Bounds) -> Bounds:
    top, left = max(box.top - 1, 0), max(box.left - 1, 0)

    def any_in_row(row: int) -> bool:
        return any(not cell.is_empty for cell in grid.row(row, left, box.right + 1))

    def any_in_column(column: int) -> bool:
        rows = range(top, min(box.bottom + 1, len(grid.rows)))
        return any(not grid.cell(row, column).is_empty for row in rows)

    # Rows first and as far as they go: a long table is looked at once, not once a row.
    bottom, first = box.bottom, box.top
    while any_in_row(bottom):
        bottom += 1
    while first and any_in_row(first - 1):
        first -= 1
    if (first, bottom) != (box.top, box.bottom):
        return box._replace(top=first, bottom=bottom)
    return box._replace(
        left=left if left < box.left and any_in_column(left) else box.left,
        right=box.right + any_in_column(box.right),
    )


def tables(grid: Grid, within: Bounds) -> Iterator[Bounds]:
    """Every table that has a cell in a box, each once."""
    found: list[Bounds] = []
    part = used(grid, within)
    for row in range(part.top, part.bottom):
        if any(t.contains(Bounds(row, part.left, row + 1, part.right)) for t in found):
            continue
        for column in range(part.left, part.right):
            if grid.cell(row, column).is_empty or any(t.holds(row, column) for t in found):
                continue
            found.append(table_at(grid, row, column))
            yield found[-1]


def last_table(grid: Grid, within: Bounds) -> Bounds | None:
    """The table nearest the end of the range that is searched, or None.

    A row `["x", "", "y"]` is two tables, and the last of them is the one of "y": the next row is
    written below "y", as Google does.
    """
    return max(tables(grid, within), key=lambda box: (box.bottom, box.right), default=None)
