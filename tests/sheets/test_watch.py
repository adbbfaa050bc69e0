"""Watching a worksheet: what changes is told, and what does not fit is held."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from tests.real.helpers import WAIT_S, wait_until
from tests.sheets.birds import BIRDS, ROWS, Bird, birds_of
from tests.sheets.watching import NEVER_S, SOON_S, Watching, birds, watching

import tierline as tl
from tierline.testing.sheets import SheetsServer

__all__ = ["birds", "watching"]


def test_what_people_do_is_told(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    began = dt.datetime.now(dt.UTC)
    watch = watching.start(birds)
    assert watch.rows == BIRDS
    server.set_values(book, {"B2": "crane"})
    crane = Bird(1, "crane", BIRDS[0].seen)
    event = heard.events.get(timeout=WAIT_S)
    assert (event.operation, event.key, event.old, event.new) == ("update", 1, BIRDS[0], crane)
    assert (event.table, event.fields) == (birds, ("name",))
    assert began <= event.at <= dt.datetime.now(dt.UTC)
    server.set_values(book, {"A5": 4, "B5": "wren"})
    assert heard.next() == ("create", 4, None, Bird(4, "wren", None))
    server.delete_rows(book, at=3)
    assert heard.next() == ("delete", 2, BIRDS[1], None)
    wait_until(lambda: watch.rows == [crane, BIRDS[2], Bird(4, "wren", None)])
    assert heard.is_quiet()


def test_rows_that_are_sorted_and_moved_have_not_changed(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    server, book = watching.server, birds.spreadsheet
    watching.start(birds)
    server.sort_rows(book, column=2)
    server.move_rows(book, at=4, to=2)
    server.insert_rows(book, at=3, count=2)
    server.set_values(book, {"F1": "a note"})
    watching.looked_again()
    assert watching.heard.is_quiet()


def test_cells_are_read_only_if_the_spreadsheet_has_changed(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    def reads() -> int:
        return sum("/spreadsheets/" in one.path for one in watching.server.requests)

    watching.start(birds)
    watching.looked_again(5)
    assert reads() == 1
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    watching.heard.next()
    watching.looked_again(5)
    assert reads() == 2


def test_what_changes_while_it_is_read_is_seen_the_next_time(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    server, book = watching.server, birds.spreadsheet

    def before_the_version() -> None:
        server.set_values(book, {"B2": "crane"})
        server.before_next(before_the_cells, on="reads")

    def before_the_cells() -> None:
        server.before_next(behind_the_cells, on="reads")

    def behind_the_cells() -> None:
        server.set_values(book, {"B3": "gull"})

    watching.start(birds)
    server.before_next(before_the_version, on="reads")
    assert [watching.heard.next()[3].name for _ in range(2)] == ["crane", "gull"]


@pytest.mark.parametrize(
    ("spoil", "repair"),
    [
        pytest.param({"C3": "soon"}, {"C3": ""}, id="a cell of another type"),
        pytest.param({"B3": '=UPPER("owl")'}, {"B3": "owl"}, id="a formula"),
        pytest.param({"A3": ""}, {"A3": 2}, id="no key"),
        pytest.param({"A3": "two"}, {"A3": 2}, id="a key of another type"),
        pytest.param({"B1": "Name of it"}, {"B1": "name"}, id="another header"),
        pytest.param({"A5": 2, "B5": "gull"}, {"A5": "", "B5": ""}, id="two rows of one key"),
    ],
)
def test_what_does_not_fit_is_told_and_its_rows_are_held(
    watching: Watching, birds: tl.Sheet[Bird, int], spoil: dict[str, Any], repair: dict[str, Any]
) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    watch = watching.start(birds)
    server.set_values(book, spoil)
    error = heard.next_error()
    assert isinstance(error, tl.SheetLayoutError)
    assert (error.operation, error.table) == ("watch", "Sheet1")
    assert watch.problems == error.problems
    watching.looked_again()
    assert heard.is_quiet()
    assert watch.rows == BIRDS
    assert f"{len(error.problems)} problems" in repr(watch)
    server.set_values(book, repair)
    wait_until(lambda: watch.problems == ())
    watching.looked_again()
    assert heard.is_quiet()
    # Deletions are told again.
    server.delete_rows(book, at=3)
    assert heard.next()[:2] == ("delete", 2)


def test_only_what_may_be_the_row_is_held(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    watch = watching.start(birds)
    server.set_values(book, {"C2": "soon"})
    heard.next_error()
    # The row that does not fit is known by its key, so the others go on.
    server.delete_rows(book, at=3)
    assert heard.next() == ("delete", 2, BIRDS[1], None)
    # One without a key may be any: row 3 stays, until it is known.
    server.set_values(book, {"A3": ""})
    heard.next_error()
    watching.looked_again()
    assert heard.is_quiet()
    assert watch.rows == [BIRDS[0], BIRDS[2]]
    server.set_values(book, {"A3": 3})
    server.set_values(book, {"C2": "2026-03-02"})
    assert heard.next() == (
        "update", 1, BIRDS[0], Bird(1, "heron", dt.date(2026, 3, 2)),
    )  # fmt: skip


@pytest.mark.parametrize("cells", ["C2:C4", "A3:B3", "A2:A4"])
def test_merged_cells_are_no_changes(
    watching: Watching, birds: tl.Sheet[Bird, int], cells: str
) -> None:
    watch = watching.start(birds)
    sheet = watching.server.client().open_by_key(birds.spreadsheet).sheet1
    sheet.merge_cells(cells)
    assert "is merged" in str(watching.heard.next_error())
    watching.looked_again()
    assert watching.heard.is_quiet()
    assert watch.rows == BIRDS


def test_of_two_rows_with_one_key_neither_is_believed(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    """Somebody pastes a copy above the row, and goes on typing in it."""
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    watch = watching.start(birds)
    server.insert_rows(book, at=2)
    server.set_values(book, {"A2": 2, "B2": "gull"})
    assert "has the same key" in str(heard.next_error())
    watching.looked_again()
    assert heard.is_quiet()
    assert watch.rows == BIRDS
    server.set_values(book, {"A2": 4})
    assert heard.next() == ("create", 4, None, Bird(4, "gull", None))
    watching.looked_again()
    assert heard.is_quiet()


class Pair(msgspec.Struct, frozen=True):
    left: int
    right: str
    note: str


def test_keys_of_several_fields_are_held_too(
    sheets_server: SheetsServer, watching: Watching
) -> None:
    rows: list[list[Any]] = [["right", "note", "left"], ["a", "", 1], ["b", "", 1], ["b", "", 2]]
    book = sheets_server.add_spreadsheet("Pairs", rows)
    pairs = tl.sheet(book, "Sheet1", Pair, key=lambda p: (p.left, p.right))
    seen: list[Any] = []
    with tl.unwrap(
        watching.store.watch(
            pairs,
            lambda event: seen.append((event.operation, event.key)),
            every_s=0.01,
            on_error=watching.heard.errors.put,
        )
    ) as watch:
        sheets_server.set_values(book, {"B2": "=1/0"})
        watching.heard.next_error()
        sheets_server.delete_rows(book, at=3)
        wait_until(lambda: len(watch.rows) == 2)
        sheets_server.delete_rows(book, at=2)
        wait_until(lambda: len(watch.rows) == 1)
    assert seen == [("delete", (1, "b")), ("delete", (1, "a"))]


def test_who_goes_on_hears_first_what_changed_meanwhile(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    with watching.start(birds) as watch:
        known = watch.rows
    server.set_values(book, {"B2": "crane"})
    server.delete_rows(book, at=3)
    watching.start(birds, known=known, every_s=NEVER_S)
    assert [heard.next()[:2] for _ in range(2)] == [("delete", 2), ("update", 1)]
    with watching.start(birds, known=[], every_s=NEVER_S):
        assert [heard.next()[:2] for _ in range(2)] == [("create", 1), ("create", 3)]
    with pytest.raises(TypeError, match="known holds Birds, not 7"):
        watching.start(birds, known=[7])


def test_what_was_not_told_is_told_to_who_goes_on(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    """Closed between two events: the rows are those that were told of."""
    told: list[Any] = []

    def handler(event: tl.Changed[Bird]) -> None:
        told.append(event.key)
        watch.close()

    watch = tl.unwrap(watching.store.watch(birds, handler, every_s=0.01))
    watching.server.set_values(birds.spreadsheet, {"B2": "crane", "B3": "gull", "B4": "wren"})
    assert watch.wait(WAIT_S) is None
    assert not watch.is_open
    assert told == [1]
    watching.start(birds, known=watch.rows, every_s=NEVER_S)
    assert [watching.heard.next()[1] for _ in range(2)] == [2, 3]


def test_a_row_that_never_fitted_is_new_when_it_does(
    sheets_server: SheetsServer, watching: Watching
) -> None:
    birds = birds_of(sheets_server, [*ROWS, ["x", "wren", ""]], bad_rows="skip")
    watch = watching.start(birds)
    assert [one.cell for one in watch.problems] == ["A5"]
    assert isinstance(watching.heard.next_error(), tl.SheetLayoutError)
    sheets_server.set_values(birds.spreadsheet, {"A5": 4})
    assert watching.heard.next() == ("create", 4, None, Bird(4, "wren", None))


def test_problems_are_told_when_they_change_and_not_before(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    watching.start(birds)
    server.set_values(book, {"C2": "soon"})
    heard.next_error()
    server.set_values(book, {"F1": "a note"})
    server.set_values(book, {"B3": "gull"})
    assert heard.next()[:2] == ("update", 2)
    assert heard.is_quiet()
    server.set_values(book, {"C3": "later"})
    error = heard.next_error()
    assert isinstance(error, tl.SheetLayoutError)
    assert [one.cell for one in error.problems] == ["C2", "C3"]


def test_a_worksheet_that_is_renamed_is_a_problem_and_no_deletion(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    server, book, heard = watching.server, birds.spreadsheet, watching.heard
    watch = watching.start(birds)
    server.rename_worksheet(book, title="Old birds")
    assert "no worksheet 'Sheet1'; there are 'Old birds'" in str(heard.next_error())
    assert watch.rows == BIRDS
    assert "3 held" in repr(watch)
    server.rename_worksheet(book, "Old birds", title="Sheet1")
    wait_until(lambda: watch.problems == ())
    server.delete_rows(book, at=2)
    assert heard.next()[:2] == ("delete", 1)


def test_who_hears_of_a_change_reads_no_older_rows(
    sheets_server: SheetsServer, birds: tl.Sheet[Bird, int]
) -> None:
    cache = tl.read_through(ttl_s=3600)
    read: list[list[Bird]] = []
    with tl.open_sheets(sheets_server.client(), cache=cache) as store:
        assert tl.unwrap(store.fetch_all(tl.select(birds))) == BIRDS

        def handler(_: tl.Changed[Bird]) -> None:
            read.append(tl.unwrap(store.fetch_all(tl.select(birds))))

        tl.unwrap(store.watch(birds, handler, every_s=SOON_S))
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        wait_until(lambda: read)
    assert read[0] == [Bird(1, "crane", BIRDS[0].seen), *BIRDS[1:]]


def test_what_a_repository_writes_is_told_too(
    sheets_server: SheetsServer, birds: tl.Sheet[Bird, int]
) -> None:
    with tl.open_sheets(sheets_server.client(), write=True) as store:
        watching = Watching(sheets_server, store)
        watching.start(birds)
        rows = tl.repository(store, birds)
        wren = Bird(4, "wren", None)
        tl.unwrap(rows.create(wren))
        assert watching.heard.next() == ("create", 4, None, wren)
        tl.unwrap(rows.delete(2))
        assert watching.heard.next() == ("delete", 2, BIRDS[1], None)
        assert watching.heard.is_quiet()
