"""A table of birds in a worksheet, for the tests of reading."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

import tierline as tl
from tierline.testing import SheetsServer


class Bird(msgspec.Struct, frozen=True):
    """A row."""

    id: int
    name: str
    seen: dt.date | None


ROWS: list[list[Any]] = [
    ["id", "name", "seen"],
    [1, "heron", "2026-03-01"],
    [2, "owl", ""],
    [3, "lark", "2026-04-02"],
]
BIRDS = [
    Bird(1, "heron", dt.date(2026, 3, 1)),
    Bird(2, "owl", None),
    Bird(3, "lark", dt.date(2026, 4, 2)),
]


def birds_of(
    server: SheetsServer, rows: list[list[Any]] | None = None, **options: Any
) -> tl.Sheet[Bird, int]:
    """A spreadsheet with these rows, as a table."""
    book = server.add_spreadsheet("Birds", ROWS if rows is None else rows)
    return tl.sheet(book, "Sheet1", Bird, key=lambda b: b.id, **options)
