"""The grid: rows of cells as a frozen value; each change is a new grid that shares the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from tierline.testing.sheets.cell import BLANK, Cell
from tierline.testing.sheets.ranges import Bounds

Row = tuple[Cell, ...]
# Where a cell stands: its row and its column.
Place = tuple[int, int]


class Grid(msgspec.Struct, frozen=True):
    """Cells of a sheet. Rows and cells that are blank at the ends need not be there.

    Args:
        row_count: The rows it has.
        column_count: The columns it has.
        rows: The cells, as far as there are some.
    """

    row_count: int = 1000
    column_count: int = 26
    rows: tuple[Row, ...] = ()

    def cell(self, row: int, column: int) -> Cell:
        """The cell at a place; blank where nothing was ever written."""
        if row < len(self.rows) and column < len(self.rows[row]):
            return self.rows[row][column]
        return BLANK

    def row(self, row: int, left: int, right: int) -> Row:
        """The cells of a row between two columns, as far as there are some."""
        return self.rows[row][left:right] if row < len(self.rows) else ()

    def filled(self) -> Iterator[tuple[int, int, Cell]]:
        """Every cell with a value or a formula, with its place."""
        for row, cells in enumerate(self.rows):
            for column, cell in enumerate(cells):
                if not cell.is_empty:
                    yield row, column, cell

    @property
    def whole(self) -> Bounds:
        """All its cells."""
        return Bounds(0, 0, self.row_count, self.column_count)


def put(grid: Grid, cells: Mapping[Place, Cell]) -> Grid:
    """The grid with other cells at some places; it grows where they lie outside."""
    if not cells:
        return grid
    rows = list(grid.rows)
    by_row: dict[int, dict[int, Cell]] = {}
    for (row, column), cell in cells.items():
        by_row.setdefault(row, {})[column] = cell
    rows.extend([()] * (max(by_row) + 1 - len(rows)))
    widest = grid.column_count
    for row, changed in by_row.items():
        line = list(rows[row])
        line.extend([BLANK] * (max(changed) + 1 - len(line)))
        for column, cell in changed.items():
            line[column] = cell
        rows[row] = tuple(line)
        widest = max(widest, len(line))
    return Grid(max(grid.row_count, len(rows)), widest, tuple(rows))


def places(bounds: Bounds) -> Iterator[Place]:
    """Every place of a box, row by row."""
    for row in range(bounds.top, bounds.bottom):
        for column in range(bounds.left, bounds.right):
            yield row, column


def used(grid: Grid, bounds: Bounds) -> Bounds:
    """The part of a box in which there can be cells at all, so that loops are short."""
    bottom = max(min(bounds.bottom, len(grid.rows)), bounds.top)
    right = max((len(row) for row in grid.rows[bounds.top : bottom]), default=0)
    return bounds._replace(bottom=bottom, right=max(min(bounds.right, right), bounds.left))


def resize(grid: Grid, row_count: int, column_count: int) -> Grid:
    """The grid with other sizes; what lies outside is lost."""
    rows = grid.rows[:row_count]
    if column_count < grid.column_count:
        rows = tuple(row[:column_count] for row in rows)
    return Grid(row_count, column_count, rows)


def insert_rows(grid: Grid, at: int, count: int) -> Grid:
    """Blank rows before a row."""
    rows = grid.rows
    if at < len(rows):
        rows = (*rows[:at], *[()] * count, *rows[at:])
    return Grid(grid.row_count + count, grid.column_count, rows)


def insert_columns(grid: Grid, at: int, count: int) -> Grid:
    """Blank columns before a column."""
    blanks = (BLANK,) * count
    rows = tuple((*row[:at], *blanks, *row[at:]) if at < len(row) else row for row in grid.rows)
    return Grid(grid.row_count, grid.column_count + count, rows)


def delete_rows(grid: Grid, start: int, end: int) -> Grid:
    """Without some rows."""
    rows = (*grid.rows[:start], *grid.rows[end:])
    return Grid(grid.row_count - (end - start), grid.column_count, rows)


def delete_columns(grid: Grid, start: int, end: int) -> Grid:
    """Without some columns."""
    rows = tuple((*row[:start], *row[end:]) for row in grid.rows)
    return Grid(grid.row_count, grid.column_count - (end - start), rows)


def moved(order: list[int], start: int, end: int, to: int) -> list[int]:
    """An order with a run of it moved before `to`, counted before the move."""
    run = order[start:end]
    rest = order[:start] + order[end:]
    at = to if to <= start else to - len(run)
    return rest[:at] + run + rest[at:]


def reorder_rows(grid: Grid, order: Iterable[int]) -> Grid:
    """The rows in another order."""
    rows = tuple(grid.rows[row] if row < len(grid.rows) else () for row in order)
    return msgspec.structs.replace(grid, rows=rows)


def reorder_columns(grid: Grid, order: list[int]) -> Grid:
    """The columns in another order."""
    rows = tuple(
        tuple(row[column] if column < len(row) else BLANK for column in order) for row in grid.rows
    )
    return msgspec.structs.replace(grid, rows=rows)
