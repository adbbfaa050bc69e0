"""Which row of the sheet is which: by the id that stands in it.

An id moves with its row when people sort, insert, cut and paste. The row's number does not, and two
rows may well be equal. A copied row brings its id along: the one that is as it was when the sides
were last equal keeps it, otherwise the upper one; the others are new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tierline.sync.cells import same
from tierline.sync.changes import Birth, Note
from tierline.sync.rows import Cells, SheetRow, Sides


class Identified(NamedTuple):
    """The rows of a sheet by id.

    Attributes:
        rows: The row of each id.
        births: Rows that get an id.
        notes: Pasted rows, and rows without id that get none.
        is_complete: Whether every id could be read; otherwise a row that seems to be missing may be
            there after all.
    """

    rows: Mapping[str, SheetRow]
    births: tuple[Birth, ...]
    notes: tuple[Note, ...]
    is_complete: bool


def identified(sides: Sides, *, makes_ids: bool) -> Identified:
    """The rows of the sheet by id.

    Args:
        sides: Both sides and the base.
        makes_ids: Whether rows without id get one. A key that means something, such as a code,
            cannot be made up.
    """
    by_id: dict[str, list[SheetRow]] = {}
    births: list[Birth] = []
    notes: list[Note] = []
    is_complete = True
    for row in sides.sheet:
        if row.id_is_unknown:
            is_complete = False
            notes.append(Note("held", None, f"row {row.place}: its id cannot be read"))
        elif row.id is not None:
            by_id.setdefault(row.id, []).append(row)
        elif makes_ids:
            births.append(Birth(row.place, None))
        else:
            text = f"row {row.place} has no id; fill in its key"
            notes.append(Note("unidentified", None, text))
    rows: dict[str, SheetRow] = {}
    for id_, found in by_id.items():
        kept = rows[id_] = found[0] if len(found) == 1 else _original(id_, found, sides)
        for copy in found:
            if copy is kept:
                continue
            if makes_ids:
                births.append(Birth(copy.place, id_))
            notes.append(_pasted(id_, kept, copy, makes_ids=makes_ids))
    births.sort()
    return Identified(rows, tuple(births), tuple(notes), is_complete)


def _pasted(id_: str, kept: SheetRow, copy: SheetRow, *, makes_ids: bool) -> Note:
    end = "it becomes a row of its own" if makes_ids else "give it a key of its own"
    return Note("pasted", id_, f"row {copy.place} has the id {id_} of row {kept.place}; {end}")


def _original(id_: str, found: list[SheetRow], sides: Sides) -> SheetRow:
    base, database = sides.base.get(id_), sides.database.get(id_)
    last: Cells = {} if base is None else base.cells
    now: Cells = {} if database is None else database.cells
    # `max` takes the first of equals.
    return max(found, key=lambda row: (_equal(row.cells, last), _equal(row.cells, now)))


def _equal(left: Cells, right: Cells) -> int:
    """How many cells are equal."""
    return sum(field in right and same(cell, right[field]) for field, cell in left.items())
