"""Birds in a worksheet and in a table."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import msgspec

import tierline as tl
from tierline.testing import SheetsServer

QUOTA = tl.SheetsQuota(10**9, 10**9, 10**9, 10**9)
HEADER: list[Any] = ["id", "name", "count"]


class Bird(msgspec.Struct, frozen=True):
    """A row of the table."""

    id: int
    name: str
    count: int | None = None
    version: int = 0


class BirdRow(msgspec.Struct, frozen=True):
    """A row of the worksheet."""

    id: int
    name: str
    count: int | None


BIRDS = tl.table(Bird, name="birds", key=lambda b: b.id, version=lambda b: b.version)


class Place:
    """Both sides of a pair.

    Attributes:
        server: The spreadsheet's.
        book: The spreadsheet's id.
        store: Reaches both.
        sheet: The worksheet.
        birds: The table's repository.
    """

    def __init__(self, server: SheetsServer, book: str, store: tl.Store) -> None:
        self.server = server
        self.book = book
        self.store = store
        self.sheet = tl.sheet(book, "Sheet1", BirdRow, key=lambda b: b.id)
        self.birds = tl.repository(store, BIRDS)

    def pair(self, **options: Any) -> tl.Sync[Bird, int]:
        """The pair."""
        return tl.sync(self.sheet, BIRDS, **options)

    def type(self, **cells: Any) -> None:
        """Type values into cells, as a person does."""
        self.server.set_values(self.book, cells)

    def in_sheet(self) -> list[list[Any]]:
        """The rows of the worksheet, below its header."""
        return self.server.values(self.book)[1:]

    def in_table(self) -> list[tuple[int, str, int | None]]:
        """The rows of the table."""
        rows = self.birds.list(order_by=lambda b: b.id).unwrap()
        return [(bird.id, bird.name, bird.count) for bird in rows]

    def calls(self) -> list[str]:
        """What Google was asked."""
        return [f"{one.method} {one.path.rpartition('/')[2]}" for one in self.server.requests]


def sheets_of(server: SheetsServer, **options: Any) -> tl.SheetStore:
    """The server's spreadsheets, to be written."""
    return tl.open_sheets(server.client(), write=True, quota=QUOTA, **options)


@contextmanager
def placed(url: str, server: SheetsServer, **options: Any) -> Generator[Place]:
    """A store with the table, and a worksheet with its header."""
    book = server.add_spreadsheet("Birds", [HEADER])
    with tl.open(url, timeout_s=30, sheets=sheets_of(server), **options) as store:
        store.create_table(BIRDS, exist_ok=True).unwrap()
        yield Place(server, book, store)
