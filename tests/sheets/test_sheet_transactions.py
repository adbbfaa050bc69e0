"""A transaction on a worksheet: one read, any number of verbs, one batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from returns.result import Failure, Success
from tests.sheets.birds import BIRDS, Bird, birds_of

import tierline as tl
from tierline.testing import SheetsServer

NEW = Bird(9, "wren", None)
MUCH = tl.SheetsQuota(1_000_000, 1_000_000, 1_000_000, 1_000_000)


@pytest.fixture
def sheets(sheets_server: SheetsServer) -> Iterator[tl.WritableSheetStore]:
    with tl.open_sheets(sheets_server.client(), write=True, quota=MUCH) as store:
        yield store


def test_twenty_operations_are_two_requests(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)

    def work(tx: tl.SheetTransaction) -> tl.Result[int, tl.RepositoryError]:
        birds = tl.repository(tx, table)
        for n in range(10, 20):
            tl.unwrap(birds.create(Bird(n, f"b{n}", None)))
        for n in range(10, 19):
            tl.unwrap(birds.update(Bird(n, f"c{n}", None)))
        tl.unwrap(birds.update(Bird(1, "crow", None)))
        assert tx.count(tl.select(table)) == Success(13)
        return birds.count()

    assert sheets.transaction(work) == Success(13)
    assert sheets.stats().requests == 2
    rows = tl.unwrap(sheets.fetch_all(tl.select(table)))
    assert rows[0] == Bird(1, "crow", None)
    assert [bird.name for bird in rows[3:]] == [*(f"c{n}" for n in range(10, 19)), "b19"]


def test_a_failure_or_an_exception_writes_nothing(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)

    def fails(tx: tl.SheetTransaction) -> tl.Result[None, tl.RepositoryError]:
        birds = tl.repository(tx, table)
        tl.unwrap(birds.create(NEW))
        assert birds.get_by_id(9) == Success(NEW)
        return birds.delete(77)

    assert isinstance(sheets.transaction(fails).failure(), tl.NotFoundError)

    def raises(tx: tl.SheetTransaction) -> tl.Result[Bird, tl.RepositoryError]:
        tl.unwrap(tl.repository(tx, table).create(NEW))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sheets.transaction(raises)
    wrong: Any = lambda tx: 7
    with pytest.raises(TypeError, match=r"must return tl\.Success"):
        sheets.transaction(wrong)
    assert sheets.fetch_all(tl.select(table)) == Success(BIRDS)
    # Its turn was given back.
    assert tl.repository(sheets, table).create(NEW) == Success(NEW)


def test_it_writes_one_worksheet_and_reads_others(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    one, other = birds_of(sheets_server), birds_of(sheets_server)

    def work(tx: tl.SheetTransaction) -> tl.Result[int, tl.RepositoryError]:
        tl.unwrap(tl.repository(tx, one).create(NEW))
        found = tl.repository(tx, other).count()
        with pytest.raises(TypeError, match="a transaction writes one worksheet"):
            tl.repository(tx, other).create(NEW)
        return found

    assert sheets.transaction(work) == Success(3)
    assert sheets.count(tl.select(other)) == Success(3)
    assert sheets.count(tl.select(one)) == Success(4)


def test_it_runs_again_if_another_write_of_the_store_came_first(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    runs: list[str] = []

    def work(tx: tl.SheetTransaction) -> tl.Result[Bird, tl.RepositoryError]:
        birds = tl.repository(tx, table)
        name = tl.unwrap(birds.get_by_id(1)).name
        runs.append(name)
        if len(runs) == 1:
            tl.unwrap(tl.repository(sheets, table).update(Bird(1, "crow", None)))
        return birds.update(Bird(1, f"{name}!", None))

    assert sheets.transaction(work) == Success(Bird(1, "crow!", None))
    assert runs == ["heron", "crow"]


def test_it_gives_up_if_others_always_come_first(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    others = tl.repository(sheets, table)
    runs: list[int] = []

    def work(tx: tl.SheetTransaction) -> tl.Result[Bird, tl.RepositoryError]:
        birds = tl.repository(tx, table)
        tl.unwrap(birds.count())
        runs.append(1)
        tl.unwrap(others.update(Bird(2, f"owl{len(runs)}", None)))
        return birds.update(Bird(1, "crow", None))

    beaten = sheets.transaction(work).failure()
    assert isinstance(beaten, tl.ConflictError)
    assert beaten.attempt == len(runs) == 10


def test_its_handle_is_of_no_use_behind_it(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    kept: list[tl.SheetTransaction] = []

    def keep(tx: tl.SheetTransaction) -> Success[None]:
        kept.append(tx)
        return Success(None)

    assert sheets.transaction(keep) == Success(None)
    with pytest.raises(TypeError, match="is over"):
        tl.repository(kept[0], table).count()
    assert sheets.stats().requests == 0
    assert "SheetTransaction" in repr(kept[0])


def test_a_layout_that_does_not_fit_is_its_answer(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server, [["id", "nom", "seen"]])
    answered = sheets.transaction(lambda tx: tl.repository(tx, table).create(NEW))
    assert isinstance(answered, Failure)
    assert isinstance(answered.failure(), tl.SheetLayoutError)


def test_who_would_wait_for_itself_is_told(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    outside = tl.repository(sheets, table)

    def work(tx: tl.SheetTransaction) -> tl.Result[Bird, tl.RepositoryError]:
        made = tl.repository(tx, table).create(NEW)
        outside.delete(1)
        return made

    with tl.deadline(20), pytest.raises(TypeError, match="would wait for itself"):
        sheets.transaction(work)

    def hear(event: tl.Changed[Bird]) -> None:
        outside.delete(2)

    with (
        tl.deadline(20),
        outside.subscribe(hear),
        pytest.raises(TypeError, match="would wait for itself"),
    ):
        outside.create(NEW)
    assert outside.list() == Success(BIRDS)
