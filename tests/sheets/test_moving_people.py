"""People sort, insert, move and delete between a read and the write that follows from it.

Whatever they do, the rows that were meant are changed, and every other cell is as they left it:
those of columns that the table does not know, of rows that nobody had read, and of rows that were
hit by mistake.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.sheets.edits import Edit, Updated
from tierline.sheets.http import SheetsHttp
from tierline.sheets.limiter import LocalLimiter, SheetsQuota
from tierline.sheets.sheets import Sheets
from tierline.sheets.snapshot import Snapshot
from tierline.sheets.writing import Written, task_of, tidy, write
from tierline.testing import SheetsServer

RUNS = 5_000 if os.environ.get("TIERLINE_LONG") == "1" else 250
PARTS = 5


class Item(msgspec.Struct, frozen=True):
    """A row."""

    id: int
    name: str
    amount: int | None


HEADER = ["id", "name", "amount", "remark"]


def sheets_of(server: SheetsServer) -> Sheets:
    """What writes through the server's client."""
    limiter = LocalLimiter(SheetsQuota(1_000_000, 1_000_000, 1_000_000, 1_000_000))
    session = server.client().http_client.session
    return Sheets(SheetsHttp(session, limiter, timeout_s=120, owns_session=True), join_s=0)


@pytest.fixture
def sheets(sheets_server: SheetsServer) -> Iterator[Sheets]:
    made = sheets_of(sheets_server)
    yield made
    made.http.close()


class World:
    """A worksheet, and what is to be in it: rows by id, with the column that is not the table's."""

    def __init__(self, server: SheetsServer, rng: random.Random) -> None:
        self.server, self.rng = server, rng
        ids = rng.sample(range(1, 100), rng.randint(3, 9))
        self.rows: dict[int, list[Any]] = {
            n: [n, f"n{n}", rng.choice([n, ""]), f"r{n}"] for n in ids
        }
        self.book = server.add_spreadsheet("Items", [HEADER, *self.rows.values()])
        self.table = tl.sheet(self.book, "Sheet1", Item, key=lambda i: i.id)
        self.next_id = 1_000
        self.gone: set[int] = set()

    def people(self) -> None:  # noqa: C901 (one kind a branch)
        """Somebody does something."""
        rng, server, book = self.rng, self.server, self.book
        values = self.server.values(self.book)
        match rng.choice(["sort", "blank", "new", "delete", "move", "edit", "columns"]):
            case "sort":
                server.sort_rows(book, column=rng.randint(1, 4), descending=rng.random() < 0.5)
            case "blank":
                server.insert_rows(book, at=rng.randint(2, len(values) + 2))
            case "new":
                at = rng.randint(2, len(values) + 1)
                self.next_id += 1
                n = self.next_id
                self.rows[n] = [n, f"p{n}", n, f"q{n}"]
                places = self.places(values)
                server.insert_rows(book, at=at)
                cells = {f"{places[i]}{at}": self.rows[n][i] for i in range(4)}
                server.set_values(book, cells)
            case "delete":
                # What this very write has made may not be there as it is to be.
                found = [one for one in self.found(values) if one[0] in self.rows]
                if found:
                    n, number = rng.choice(found)
                    server.delete_rows(book, at=number)
                    self.rows.pop(n, None)
                    self.gone.add(n)
            case "move":
                at, to = (rng.randint(2, len(values) + 1) for _ in range(2))
                if to not in (at, at + 1):
                    server.move_rows(book, at=at, to=to)
            case "edit":
                found = [one for one in self.found(values) if one[0] in self.rows]
                if found:
                    n, number = rng.choice(found)
                    self.rows[n][3] = f"e{rng.randint(1, 99)}"
                    server.set_values(book, {f"{self.places(values)[3]}{number}": self.rows[n][3]})
            case _:
                span = {"sheetId": 0, "dimension": "COLUMNS"}
                at, to = rng.sample(range(5), 2)
                if to not in (at, at + 1):
                    moved = {"source": span | {"startIndex": at, "endIndex": at + 1}}
                    server.edit(book, {"moveDimension": moved | {"destinationIndex": to}})

    def places(self, values: list[list[Any]]) -> list[str]:
        """The letters of the columns, where they stand now."""
        return ["ABCDEFGH"[values[0].index(name)] for name in HEADER]

    def found(self, values: list[list[Any]]) -> list[tuple[int, int]]:
        """Rows by id, with the number of each."""
        at = values[0].index("id")
        return [
            (int(row[at]), number)
            for number, row in enumerate(values[1:], 2)
            if at < len(row) and isinstance(row[at], int | float)
        ]

    def as_rows(self) -> list[list[Any]]:
        """What is there now, by header, sorted."""
        values = self.server.values(self.book)
        places = [values[0].index(name) for name in HEADER]
        rows = [[row[n] if n < len(row) else "" for n in places] for row in values[1:]]
        return sorted((row for row in rows if any(cell != "" for cell in row)), key=repr)


def _normal(rows: list[list[Any]]) -> list[list[Any]]:
    return sorted(([float(c) if isinstance(c, int) else c for c in row] for row in rows), key=repr)


def _edit(world: World, found: Snapshot[Item]) -> tuple[Edit, dict[int, Item | None]]:
    """Changes of some rows, and what each row that changes is to be."""
    rng, values = world.rng, world.table.validator.values
    updated: list[Updated] = []
    deleted: list[int] = []
    changes: dict[int, Item | None] = {}
    for entity, number in zip(found.rows, found.numbers, strict=True):
        match rng.choice(["keep", "keep", "change", "remove"]):
            case "change":
                after = Item(entity.id, f"w{entity.id}", rng.choice([None, 5, entity.amount]))
                updated.append(Updated(number, values(entity), values(after)))
                changes[entity.id] = after
            case "remove":
                deleted.append(number)
                changes[entity.id] = None
            case _:
                pass
    created = [Item(500 + n, f"c{n}", n) for n in range(rng.choice([0, 0, 1, 2]))]
    changes |= {one.id: one for one in created}
    return Edit([values(one) for one in created], updated, deleted), changes


def _expected(
    world: World, found: Snapshot[Item], changes: dict[int, Item | None]
) -> dict[int, list[Any]]:
    """What people left, with the changes."""
    rows, before = dict(world.rows), {one.id: one for one in found.rows}
    for n, after in changes.items():
        if after is None:
            rows.pop(n, None)
        elif n not in before:
            rows[n] = [n, after.name, after.amount, ""]
        elif n in rows:
            amount = "" if after.amount is None else after.amount
            is_same = before[n].amount == after.amount
            rows[n] = [n, after.name, rows[n][2] if is_same else amount, rows[n][3]]
    return rows


def run(server: SheetsServer, sheets: Sheets, seed: int) -> Written:
    """One read, people, one write, people."""
    world = World(server, random.Random(seed))
    table, rng = world.table, world.rng
    found = tl.unwrap(sheets.read(table))
    edit, changes = _edit(world, found)
    if not changes:
        return Written(0)
    for _ in range(rng.choice([0, 1, 1, 2])):
        times = rng.randint(1, 3)
        server.before_next(lambda times=times: [world.people() for _ in range(times)])
    written = tl.unwrap(write(sheets, table, found, task_of(table, found, edit), op_id=f"s{seed}"))
    expected = _expected(world, found, changes)
    assert _normal(world.as_rows()) == _normal(list(expected.values())), f"seed {seed}"
    # Who deletes a row leaves nothing to change; nobody else is said to have been lost.
    assert {key[0] for key in written.lost} <= world.gone
    tidy(sheets)
    assert server.titles(world.book) == ["Sheet1"]
    server.rest()
    return written


@pytest.mark.parametrize("part", range(PARTS))
def test_every_row_is_as_it_was_meant(
    sheets_server: SheetsServer, sheets: Sheets, part: int
) -> None:
    batches = [run(sheets_server, sheets, seed).batches for seed in range(part, RUNS, PARTS)]
    # People came in between, and not only once.
    assert max(batches) > 2


def _garden(server: SheetsServer) -> tl.Sheet[Item, int]:
    rows = [[n, f"n{n}", n, f"r{n}"] for n in (1, 2, 3)]
    book = server.add_spreadsheet("Items", [HEADER, *rows])
    return tl.sheet(book, "Sheet1", Item, key=lambda i: i.id)


def test_columns_may_move_while_a_row_comes_back(
    sheets_server: SheetsServer, sheets: Sheets
) -> None:
    table = _garden(sheets_server)
    found = tl.unwrap(sheets.read(table))

    def move_columns() -> None:
        span = {"sheetId": 0, "dimension": "COLUMNS", "startIndex": 3, "endIndex": 4}
        sheets_server.edit(
            table.spreadsheet, {"moveDimension": {"source": span, "destinationIndex": 1}}
        )

    # Row 2 is another one when it is deleted, and comes back under other columns.
    sheets_server.before_next(lambda: sheets_server.move_rows(table.spreadsheet, at=2, to=5))
    sheets_server.before_next(move_columns)
    task = task_of(table, found, Edit(deleted=[2]))
    assert tl.unwrap(write(sheets, table, found, task, op_id="x")).batches > 2
    assert sorted(sheets_server.values(table.spreadsheet)[1:]) == [
        [2, "r2", "n2", 2],
        [3, "r3", "n3", 3],
    ]


def test_a_cell_that_people_change_before_it_is_put_back_is_theirs(
    sheets_server: SheetsServer, sheets: Sheets
) -> None:
    table = _garden(sheets_server)
    found = tl.unwrap(sheets.read(table))
    values = table.validator.values
    updated = Updated(2, values(Item(1, "n1", 1)), values(Item(1, "w1", 1)))
    sheets_server.before_next(lambda: sheets_server.move_rows(table.spreadsheet, at=2, to=5))
    # Row 2 has the name by mistake; somebody repairs it before the second batch does.
    sheets_server.before_next(lambda: sheets_server.set_values(table.spreadsheet, {"B2": "mine"}))
    tl.unwrap(write(sheets, table, found, task_of(table, found, Edit((), [updated])), op_id="y"))
    assert sheets_server.values(table.spreadsheet)[1:] == [
        [2, "mine", 2, "r2"],
        [3, "n3", 3, "r3"],
        [1, "w1", 1, "r1"],
    ]
