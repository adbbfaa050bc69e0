"""What a batch did whose sender died before it looked: it may have met rows that had moved. Pure.

A batch names rows by number, and whoever sends it looks afterwards whether it met those that were
meant (`tierline.sheets.writing`). If the sender dies in between, the next pass does, by what both
sides had: a row that has none of what was written for it, while another row has exactly that, was
missed. Both get what they should have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tierline.sync.cells import Cell, same
from tierline.sync.operations import Operation
from tierline.sync.rows import BaseRow, Cells, SheetRow


class Landed(NamedTuple):
    """What an operation that has landed left.

    Attributes:
        wrong: The cells that rows should have and do not, by id.
        strays: Numbers of rows that consist of what another row should have got.
        renamed: The ids that were written over, by the numbers of their rows.
        base: The rows of the base that hold now.
        forgotten: Rows of the base that nobody can say of who deleted them.
    """

    wrong: dict[str, dict[str, Cell]]
    strays: tuple[int, ...]
    renamed: dict[int, str]
    base: dict[str, BaseRow]
    forgotten: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether it met the rows that were meant."""
        return not (self.wrong or self.strays or self.renamed)


def landed(
    base: Mapping[str, BaseRow], operation: Operation, sheet: tuple[SheetRow, ...]
) -> Landed:
    """Compare the sheet with what an operation should have made of it.

    Args:
        base: The base before it.
        operation: The operation, whose batch has landed.
        sheet: The rows of the sheet now.
    """
    expected = {**base, **operation.base}
    rows = {row.id: row for row in sheet if row.id is not None}
    wrong: dict[str, dict[str, Cell]] = {}
    strays: list[int] = []
    for id_, written in _written(base, operation).items():
        own = rows.get(id_)
        if own is None or _has(own.cells, written):
            continue
        for row in sheet:
            if row.id == id_ or not _has(row.cells, written):
                continue
            if row.id is None:
                # What a new row had before is in no base; what was meant for another is known.
                _expect(wrong, id_, expected, written)
                if _is_only(row.cells, written):
                    strays.append(row.place)
            elif _should_differ(expected.get(row.id), written):
                _expect(wrong, id_, expected, written)
                _expect(wrong, row.id, expected, written)
    renamed = _renamed(expected, operation, rows)
    strays += [
        rows[id_].place
        for id_ in operation.born
        if id_ in rows and _is_only(rows[id_].cells, {}) and rows[id_].place not in renamed
    ]
    kept, forgotten = _deletions(base, operation, rows)
    return Landed(wrong, tuple(strays), renamed, kept, forgotten)


def _written(base: Mapping[str, BaseRow], operation: Operation) -> dict[str, dict[str, Cell]]:
    """What was written in rows that were there, by id."""
    found: dict[str, dict[str, Cell]] = {}
    for id_, after in operation.base.items():
        now = base.get(id_)
        if now is None or now.is_deleted or after.is_deleted:
            continue
        cells = {
            field: cell
            for field, cell in after.cells.items()
            if field not in now.cells or not same(cell, now.cells[field])
        }
        if cells:
            found[id_] = cells
    return found


def _has(cells: Cells, written: Cells) -> bool:
    return all(field in cells and same(cells[field], cell) for field, cell in written.items())


def _is_only(cells: Cells, written: Cells) -> bool:
    return all(cell is None or cell == "" for field, cell in cells.items() if field not in written)


def _should_differ(row: BaseRow | None, written: Cells) -> bool:
    """Whether a row that has it should have something else."""
    if row is None or row.is_deleted:
        return False
    return not _has(row.cells, written) and all(field in row.cells for field in written)


def _renamed(
    expected: Mapping[str, BaseRow], operation: Operation, rows: Mapping[str, SheetRow]
) -> dict[int, str]:
    """Rows that have the id of a new one, and all that an old one had whose id is gone."""
    gone = {id_: row for id_, row in expected.items() if not row.is_deleted and id_ not in rows}
    found: dict[int, str] = {}
    for new in operation.born:
        row = rows.get(new)
        if row is None or not row.cells:
            continue
        for id_, old in gone.items():
            if row.cells.keys() == old.cells.keys() and _has(row.cells, old.cells):
                found[row.place] = id_
    return found


def _expect(
    wrong: dict[str, dict[str, Cell]], id_: str, expected: Mapping[str, BaseRow], written: Cells
) -> None:
    cells = expected[id_].cells
    wrong.setdefault(id_, {}).update({field: cells[field] for field in written})


def _deletions(
    base: Mapping[str, BaseRow], operation: Operation, rows: Mapping[str, SheetRow]
) -> tuple[dict[str, BaseRow], tuple[str, ...]]:
    """The base that holds, and what is to be forgotten where a deletion has met another row."""
    missed = {
        id_
        for id_, after in operation.base.items()
        if after.is_deleted and id_ in rows and id_ in base and not base[id_].is_deleted
    }
    if not missed:
        return operation.base, ()
    kept = {id_: row for id_, row in operation.base.items() if id_ not in missed}
    live = {**base, **kept}
    gone = tuple(id_ for id_, row in live.items() if not row.is_deleted and id_ not in rows)
    # Rows of which the batch or a person may have been the end come back, as new ones.
    return {id_: row for id_, row in kept.items() if id_ not in gone}, gone
