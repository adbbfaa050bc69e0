"""What a pass knows of a row on each side, and where the sides disagree. Cells are canonical."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from tierline.sync.cells import Cell

Side: TypeAlias = Literal["sheet", "database"]

Cells: TypeAlias = Mapping[str, Cell]
"""Canonical cells by field. A field that is not there is *unknown*: a formula's error, a text that
is no number. What is unknown is neither taken for empty nor written over."""


class SheetRow(NamedTuple):
    """A row of the sheet.

    Attributes:
        place: The row's number, counted from 1: where it stood when it was read.
        id: Its id; None if it has none yet.
        cells: Its cells.
        id_is_unknown: Whether its id could not be read, so that it may be any row.
    """

    place: int
    id: str | None
    cells: Cells
    id_is_unknown: bool = False


class DatabaseRow(NamedTuple):
    """A row of the database.

    Attributes:
        version: What a write checks that it is still the same.
        cells: Its cells.
    """

    version: int
    cells: Cells


class BaseRow(NamedTuple):
    """What both sides had when they were last equal.

    Attributes:
        cells: The cells; one that was never equal is not there.
        is_deleted: Whether both sides have deleted the row: a tombstone.
    """

    cells: Cells
    is_deleted: bool = False


class Sides(NamedTuple):
    """All that a pass has read.

    Attributes:
        base: The base, by id.
        sheet: The sheet's rows, from top to bottom.
        database: The database's rows, by id.
    """

    base: Mapping[str, BaseRow]
    sheet: tuple[SheetRow, ...]
    database: Mapping[str, DatabaseRow]

    @property
    def known_rows(self) -> int:
        """How many rows both sides had when they were last equal."""
        return sum(not row.is_deleted for row in self.base.values())


class Conflict(NamedTuple):
    """A cell that both sides have changed, each in another way.

    Attributes:
        id: The row's id.
        field: The field.
        base: What both had before; None too if they were never equal.
        sheet: What the sheet has.
        database: What the database has.
    """

    id: str
    field: str
    base: Cell
    sheet: Cell
    database: Cell

    @property
    def token(self) -> str:
        """Identifies the conflict: another value on any side makes it another one."""
        digest = hashlib.blake2b(msgspec.json.encode(tuple(self)), digest_size=12)
        return digest.hexdigest()

    def __str__(self) -> str:
        return (
            f"row {self.id}, {self.field}: was {shown(self.base)}, "
            f"sheet {shown(self.sheet)}, database {shown(self.database)}"
        )


_SHOWN_MAX = 40


def shown(cell: Cell) -> str:
    """A cell for people, cut if it is long."""
    if cell is None:
        return "empty"
    text = repr(cell)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
