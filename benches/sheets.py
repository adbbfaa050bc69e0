"""Sheets: a worksheet of 50,000 rows and ten columns into Structs, beside gspread by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import gspread
import msgspec

import tierline as tl
from measure import Contender, Timed
from sightings import HEADER, ROW_COUNT, Served, Sighting
from workload import OURS, at_most, no_more_than, workload
from world import World

_EPOCH_ORDINAL = dt.date(1899, 12, 30).toordinal()


def _of_texts(worksheet: gspread.Worksheet) -> list[Sighting]:
    """By hand: every cell as it is shown, a dict a row, and msgspec makes the types of texts."""
    header, *rows = worksheet.get_values()
    dicts = [{name: cell or None for name, cell in zip(header, row, strict=True)} for row in rows]
    return msgspec.convert(dicts, list[Sighting], strict=False)


def _of_values(worksheet: gspread.Worksheet) -> list[Sighting]:
    """By hand: numbers as numbers, which loses no digits, and dates of days since 1899."""
    header, *rows = worksheet.get_values(value_render_option=_UNFORMATTED)
    seen = header.index("seen")
    dicts: list[dict[str, Any]] = []
    for row in rows:
        row[seen] = dt.date.fromordinal(row[seen] + _EPOCH_ORDINAL)
        cells = zip(header, row, strict=True)
        dicts.append({name: None if cell == "" else cell for name, cell in cells})
    return msgspec.convert(dicts, list[Sighting], strict=False, builtin_types=(dt.date,))


_UNFORMATTED = gspread.utils.ValueRenderOption.unformatted


@workload(
    "sheets",
    f"{ROW_COUNT:,} x {len(HEADER)} cells to Structs",
    "ms",
    at_most(1.2, "gspread"),
    beside=("gspread, unformatted",),
)
def read(world: World) -> Mapping[str, Contender]:
    """Reading takes at most 1.2 of gspread's `get_values`, dicts by the header, and msgspec.

    Nothing is cached by anybody. The server keeps what it rendered, and everybody has asked once
    before it counts. Ours also tells formulas, errors and merged cells from values, dates from
    numbers, headers that moved, and keys that are there twice.
    """
    served = world.sheets
    store = tl.open_sheets(served.client, quota=_NO_QUOTA)
    world.at_close(store.close)
    query = tl.select(served.sheet)
    works: dict[str, Callable[[], list[Sighting]]] = {
        OURS: lambda: tl.unwrap(store.fetch_all(query)),
        "gspread": partial(_of_texts, served.worksheet),
        "gspread, unformatted": partial(_of_values, served.worksheet),
    }
    return {name: Timed(work, 1, partial(_in_short, work)) for name, work in works.items()}


def _in_short(rows: Callable[[], list[Sighting]]) -> tuple[int, int]:
    """How many rows there are, and a number that is the same for the same rows."""
    found = rows()
    return len(found), hash(tuple(found))


@dataclass(frozen=True)
class Counted:
    """Work of which the requests are counted.

    Attributes:
        served: The server.
        book: Makes the spreadsheet that is worked on, or answers with it.
        work: Does it.
        check: What it came to, the same for all contenders.
    """

    served: Served
    book: Callable[[], str]
    work: Callable[[str], object]
    check: Callable[[str], object]

    def sample(self, slice_s: float) -> float:  # noqa: ARG002 (it is counted, not timed)
        """Requests sent."""
        book_id = self.book()
        before = self.served.requests
        self.work(book_id)
        return self.served.requests - before

    def call(self) -> object:
        """The work once."""
        return self.work(self.book())

    def answer(self) -> object:
        """What the work comes to."""
        book_id = self.book()
        self.work(book_id)
        return self.check(book_id)


@workload(
    "sheets",
    f"requests of reading {ROW_COUNT:,} x {len(HEADER)} cells",
    "calls",
    no_more_than(1),
    beside=("gspread",),
    once=True,
)
def requests_of_reading(world: World) -> Mapping[str, Contender]:
    """One request; gspread asks for the spreadsheet's properties twice before it reads."""
    served = world.sheets
    store = tl.open_sheets(served.client, quota=_NO_QUOTA)
    world.at_close(store.close)
    query, book_id = tl.select(served.sheet), served.worksheet.spreadsheet_id
    title = served.worksheet.title
    works: dict[str, Callable[[str], list[Sighting]]] = {
        OURS: lambda _: tl.unwrap(store.fetch_all(query)),
        "gspread": lambda book_id: _of_texts(served.client.open_by_key(book_id).worksheet(title)),
    }
    return {
        name: Counted(served, lambda: book_id, work, partial(_rows_in_short, work))
        for name, work in works.items()
    }


def _rows_in_short(work: Callable[[str], list[Sighting]], book_id: str) -> tuple[int, int]:
    return _in_short(lambda: work(book_id))


class Bird(msgspec.Struct, frozen=True):
    """A row of what the script writes to."""

    id: int
    name: str


_BIRDS = [Bird(n, f"bird {n}") for n in range(1, 10)]
_NEW = [Bird(n, f"new {n}") for n in range(10, 20)]
_CHANGED = [Bird(n, f"changed {n}") for n in range(1, 10)]


@workload(
    "sheets",
    "requests of a script of 20 operations",
    "calls",
    at_most(0.1, "gspread"),
    beside=("gspread, opened once",),
    once=True,
)
def requests_of_writing(world: World) -> Mapping[str, Contender]:
    """Ten new rows, nine changed ones and a count take at most a tenth of gspread's requests.

    The script of gspread opens the worksheet where it needs it, as scripts of many functions do;
    one that opens it once is shown beside it. Ours is a transaction.
    """
    served = world.sheets
    store = tl.open_sheets(served.client, write=True, quota=_NO_QUOTA)
    world.at_close(store.close)
    works: dict[str, Callable[[str], object]] = {
        OURS: partial(_in_a_transaction, store),
        "gspread": lambda book_id: _one_by_one(lambda: _opened(served, book_id)),
        "gspread, opened once": lambda book_id: _one_by_one(
            cache(lambda: _opened(served, book_id))
        ),
    }
    return {
        name: Counted(served, partial(_new_book, served), work, partial(_names, served))
        for name, work in works.items()
    }


def _new_book(served: Served) -> str:
    worksheet = served.client.create("Birds").sheet1
    worksheet.update([["id", "name"], *([bird.id, bird.name] for bird in _BIRDS)])
    return worksheet.spreadsheet_id


def _opened(served: Served, book_id: str) -> gspread.Worksheet:
    return served.client.open_by_key(book_id).worksheet("Sheet1")


def _names(served: Served, book_id: str) -> list[list[str]]:
    """The rows at the end."""
    return _opened(served, book_id).get_values()


def _in_a_transaction(store: tl.WritableSheetStore, book_id: str) -> int:
    table = tl.sheet(book_id, "Sheet1", Bird, key=lambda b: b.id)

    def work(tx: tl.SheetTransaction) -> tl.Result[int, tl.RepositoryError]:
        birds = tl.repository(tx, table)
        for bird in _NEW:
            tl.unwrap(birds.create(bird))
        for bird in _CHANGED:
            tl.unwrap(birds.update(bird))
        return birds.count()

    return tl.unwrap(store.transaction(work))


def _one_by_one(worksheet: Callable[[], gspread.Worksheet]) -> int:
    for bird in _NEW:
        worksheet().append_row([bird.id, bird.name])
    for bird in _CHANGED:
        sheet = worksheet()
        found = sheet.find(str(bird.id), in_column=1)
        assert found is not None, "it was there from the beginning"
        sheet.update_cell(found.row, 2, bird.name)
    return len(worksheet().get_all_records())


_NO_QUOTA = tl.SheetsQuota(*[10**9] * 4)

WORKLOADS = (read, requests_of_reading, requests_of_writing)
