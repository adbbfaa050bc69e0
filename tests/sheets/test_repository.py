"""A repository over a worksheet: every verb, one batch each, and only cells that differ."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from returns.result import Failure, Success
from tests.sheets.birds import BIRDS, ROWS, Bird, birds_of
from tests.sheets.payloads import PAYLOADS

import tierline as tl
from tierline.testing import SheetsServer
from tierline.testing.sheets.faults import error_after_apply, reset_after_apply, unavailable

DAY = dt.date(2026, 5, 1)
NEW = Bird(9, "wren", DAY)
MUCH = tl.SheetsQuota(1_000_000, 1_000_000, 1_000_000, 1_000_000)


@pytest.fixture
def sheets(sheets_server: SheetsServer) -> Iterator[tl.WritableSheetStore]:
    with tl.open_sheets(sheets_server.client(), write=True, quota=MUCH) as store:
        yield store


def _rows(server: SheetsServer, birds: tl.Sheet[Bird, int]) -> list[Bird]:
    """What a reader of its own sees."""
    with tl.open_sheets(server.client()) as fresh:
        return tl.unwrap(fresh.fetch_all(tl.select(birds)))


def test_every_reading_verb(sheets_server: SheetsServer, sheets: tl.WritableSheetStore) -> None:
    birds = tl.repository(sheets, birds_of(sheets_server))
    assert birds.get_by_id(1) == Success(BIRDS[0])
    assert birds.get_by_id(2, fresh=True) == Success(BIRDS[1])
    assert isinstance(birds.get_by_id(7).failure(), tl.NotFoundError)
    assert birds.get_many([3, 1, 7]) == Success({3: BIRDS[2], 1: BIRDS[0]})
    assert birds.exists(1) == Success(True)
    assert birds.exists(where=lambda b: b.name == "emu") == Success(False)
    assert birds.count(name="owl") == Success(1)
    assert birds.find(lambda b: b.name == "owl") == Success(BIRDS[1])
    assert birds.first(order_by=lambda b: tl.desc(b.id)) == Success(BIRDS[2])
    assert birds.list(where=lambda b: b.id > 1, limit=1) == Success([BIRDS[1]])
    page = tl.unwrap(birds.page(size=2, order_by=lambda b: b.id))
    assert page.items == BIRDS[:2]
    assert (
        tl.unwrap(birds.page(size=2, order_by=lambda b: b.id, after=page.next)).items == BIRDS[2:]
    )
    with pytest.raises(TypeError, match="are of a repository with a cache"):
        birds.get_by_id(1, ttl_s=3)
    assert repr(birds) == "<SheetRepository of Bird in 'Sheet1'>"


def test_every_writing_verb(sheets_server: SheetsServer, sheets: tl.WritableSheetStore) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    assert birds.create(NEW) == Success(NEW)
    assert isinstance(birds.create(NEW).failure(), tl.DuplicateError)
    crow = Bird(1, "crow", None)
    assert birds.update(crow) == Success(crow)
    assert isinstance(birds.update(Bird(8, "emu", None)).failure(), tl.NotFoundError)
    assert birds.update(tl.change(crow, name="rook")) == Success(Bird(1, "rook", None))
    assert birds.upsert(Bird(4, "swan", None)) == Success(Bird(4, "swan", None))
    assert birds.upsert(Bird(4, "swan", DAY)) == Success(Bird(4, "swan", DAY))
    assert birds.get_or_create(Bird(4, "?", None)) == Success((Bird(4, "swan", DAY), False))
    assert birds.get_or_create(Bird(5, "tern", None)) == Success((Bird(5, "tern", None), True))
    assert birds.delete(5) == Success(None)
    assert isinstance(birds.delete(5).failure(), tl.NotFoundError)
    assert birds.purge(9) == Success(None)
    seen: list[int] = []
    more = [Bird(n, f"b{n}", None) for n in range(20, 23)]
    assert birds.create_many(more, progress=seen.append) == Success(3)
    assert seen == [3]
    assert birds.update_many([Bird(n, f"c{n}", DAY) for n in range(20, 23)]) == Success(3)
    assert birds.upsert_many([Bird(22, "d", None), Bird(23, "e", None)]) == Success(2)
    assert birds.update_where(
        set=lambda b: tl.set(b.name).to(b.name.upper()), where=lambda b: b.id > 20
    ) == Success(3)
    assert birds.delete_where(lambda b: b.id == 21) == Success(1)
    assert birds.delete_many([20, 20, 77]) == Success(1)
    assert birds.create_many([]) == Success(0)
    assert birds.delete_many([]) == Success(0)
    expected = [
        Bird(1, "rook", None),
        BIRDS[1],
        BIRDS[2],
        Bird(4, "swan", DAY),
        Bird(22, "D", None),
        Bird(23, "E", None),
    ]
    assert birds.list() == Success(expected)
    assert _rows(sheets_server, table) == expected
    with pytest.raises(TypeError, match="no deleted_at="):
        birds.restore(1)


def test_bad_values_are_refused_before_anything_is_written(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    bad: Any = Bird("x", "emu", None)  # type: ignore[arg-type]
    assert isinstance(birds.create(bad).failure(), tl.ValidationError)
    long = birds.create(Bird(7, "x" * 50_001, None)).failure()
    assert isinstance(long, tl.ValidationError)
    assert "50001 characters" in str(long)
    assert long.operation == "create"
    assert isinstance(birds.create_many([NEW, NEW]).failure(), tl.DuplicateError)
    with pytest.raises(TypeError, match="create another row"):
        birds.update(tl.change(BIRDS[0], id=77))
    keyed = birds.update_where(set=lambda b: tl.set(b.id).to(7), where=lambda b: b.id == 1)
    assert isinstance(keyed.failure(), tl.ValidationError)
    assert "create another row" in str(keyed.failure())
    assert _rows(sheets_server, table) == BIRDS


def test_cells_of_other_columns_and_unchanged_ones_are_left_alone(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    rows = [["note", "id", "name", "seen", "sum"], *(["n", *row, "=B2*2"] for row in ROWS[1:])]
    table = birds_of(sheets_server, rows)
    sheets_server.set_values(table.spreadsheet, {"F2": "right of it"})
    birds = tl.repository(sheets, table)
    tl.unwrap(birds.update(Bird(1, "crow", BIRDS[0].seen)))
    tl.unwrap(birds.create(NEW))
    after = sheets_server.values(table.spreadsheet)
    assert after[1][0] == "n"
    assert after[1][5] == "right of it"
    assert sheets_server.formulas(table.spreadsheet)["Sheet1!E2"] == "=B2*2"
    assert after[4][1:3] == [9, "wren"]


def test_text_that_looks_like_a_formula_stays_text_by_every_verb(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server, [ROWS[0]])
    birds = tl.repository(sheets, table)
    # An empty text and None are told apart by the field's type.
    texts = list(PAYLOADS)
    verbs: list[Callable[[list[Bird]], object]] = [
        birds.create_many,
        lambda rows: [birds.create(row) for row in rows[:6]],
        birds.upsert_many,
        lambda rows: [birds.upsert(row) for row in rows[:6]],
        lambda rows: sheets.transaction(lambda tx: tl.repository(tx, table).create_many(rows)),
    ]
    for n, verb in enumerate(verbs):
        rows = [Bird(1_000 * (n + 1) + i, text, None) for i, text in enumerate(texts)]
        verb(rows)
    tl.unwrap(birds.update_many([Bird(1_000 + i, text * 2, None) for i, text in enumerate(texts)]))
    tl.unwrap(birds.update(Bird(2_000, "=1+1", DAY)))
    tl.unwrap(
        birds.update_where(set=lambda b: tl.set(b.name).to("=2+2"), where=lambda b: b.id == 2_001)
    )
    assert sheets_server.formulas(table.spreadsheet) == {}
    names = {bird.id: bird.name for bird in tl.unwrap(birds.list())}
    assert [names[1_000 + i] for i in range(len(texts))] == [text * 2 for text in texts]
    assert [names[3_000 + i] for i in range(len(texts))] == texts
    assert [names[5_000 + i] for i in range(len(texts))] == texts
    assert names[2_001] == "=2+2"


def test_verbs_of_many_threads_are_lost_nowhere_and_share_batches(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server, [ROWS[0]])
    birds = tl.repository(sheets, table)
    start = threading.Barrier(8)

    def work(thread: int) -> list[tl.Result[Bird, tl.RepositoryError]]:
        start.wait()
        return [birds.create(Bird(100 * thread + n, "x", None)) for n in range(1, 11)]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for part in pool.map(work, range(8)) for answer in part]
    assert all(isinstance(answer, Success) for answer in answers)
    found = sorted(bird.id for bird in _rows(sheets_server, table))
    assert found == sorted(100 * thread + n for thread in range(8) for n in range(1, 11))
    # 80 creates by themselves would be 160 requests.
    assert sheets.stats().requests < 150


def test_one_of_several_joined_verbs_may_fail_by_itself(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    start = threading.Barrier(3)

    def create(bird: Bird) -> tl.Result[Bird, tl.RepositoryError]:
        start.wait()
        return birds.create(bird)

    def wrong() -> str:
        start.wait()
        given: Any = 7
        with pytest.raises(TypeError):
            birds.delete_where(given)
        return "raised"

    with ThreadPoolExecutor(3) as pool:
        good, twice, raised = (
            pool.submit(create, NEW),
            pool.submit(create, BIRDS[0]),
            pool.submit(wrong),
        )
        assert good.result() == Success(NEW)
        assert isinstance(twice.result().failure(), tl.DuplicateError)
        assert raised.result() == "raised"
    assert _rows(sheets_server, table) == [*BIRDS, NEW]


@pytest.mark.parametrize("fault", [unavailable, error_after_apply, reset_after_apply])
def test_a_lost_answer_writes_once(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore, fault: Callable[[], Any]
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    tl.unwrap(birds.count())
    sheets_server.inject(fault())
    assert birds.create(NEW) == Success(NEW)
    assert birds.update(Bird(1, "crow", None)) == Success(Bird(1, "crow", None))
    assert _rows(sheets_server, table) == [Bird(1, "crow", None), *BIRDS[1:], NEW]


def test_own_writes_are_read_though_a_cache_keeps_worksheets(sheets_server: SheetsServer) -> None:
    table = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=3600)
    with tl.open_sheets(sheets_server.client(), write=True, cache=cache) as sheets:
        birds = tl.repository(sheets, table)
        assert birds.count() == Success(3)
        asked = sheets.stats().requests
        assert birds.get_by_id(1) == Success(BIRDS[0])
        assert sheets.stats().requests == asked
        tl.unwrap(birds.create(NEW))
        assert birds.get_by_id(9) == Success(NEW)
        assert sheets.fetch_all(tl.select(table, where=lambda b: b.id == 9)) == Success([NEW])


def test_a_row_that_does_not_fit_is_not_written_twice(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    rows = [*ROWS, [7, "emu", "no date"]]
    strict = birds_of(sheets_server, rows)
    answered = tl.repository(sheets, strict).create(NEW).failure()
    assert isinstance(answered, tl.SheetLayoutError)
    assert "C5" in str(answered)
    table = tl.sheet(strict.spreadsheet, "Sheet1", Bird, key=lambda b: b.id, bad_rows="skip")
    birds = tl.repository(sheets, table)
    assert birds.create(NEW) == Success(NEW)
    refused = birds.create(Bird(7, "emu", None)).failure()
    assert isinstance(refused, tl.SheetLayoutError)
    assert [one.cell for one in refused.problems] == ["C5"]


def test_subscribers_hear_and_may_refuse(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    heard: list[tuple[str, int]] = []

    def hear(event: tl.Changed[Bird]) -> None:
        heard.append((event.operation, event.key))

    with birds.subscribe(hear):
        tl.unwrap(birds.create(NEW))
        tl.unwrap(birds.update(Bird(1, "crow", None)))
        tl.unwrap(birds.delete(2))
    assert heard == [("create", 9), ("update", 1), ("delete", 2)]

    def refuse(event: tl.Changed[Bird]) -> Failure[tl.RepositoryError]:
        return Failure(tl.ConflictError(f"not {event.key}"))

    with birds.subscribe(refuse):
        assert "not 3" in str(birds.delete(3).failure())
    with birds.subscribe(lambda event: tl.insert(table, NEW)), pytest.raises(TypeError):
        birds.delete(3)
    assert [bird.id for bird in _rows(sheets_server, table)] == [1, 3, 9]


class Counted(msgspec.Struct, frozen=True):
    """A row with a version."""

    id: int
    name: str
    version: int = 1


def test_a_version_is_checked_at_the_very_write(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    book = sheets_server.add_spreadsheet(
        "Counted", [["id", "name", "version"], [1, "a", 1], [2, "b", 1]]
    )
    table = tl.sheet(book, "Sheet1", Counted, key=lambda c: c.id, version=lambda c: c.version)
    rows = tl.repository(sheets, table)
    assert rows.update(Counted(1, "c", 1)) == Success(Counted(1, "c", 2))
    assert isinstance(rows.update(Counted(1, "d", 1)).failure(), tl.ConflictError)
    with tl.open_sheets(sheets_server.client(), write=True) as others:
        first = tl.repository(others, table)
        # Between the read and the batch of this store another one is faster.
        sheets_server.before_next(lambda: tl.unwrap(first.update(Counted(1, "e", 2))))
        late = rows.update(Counted(1, "f", 2)).failure()
        assert isinstance(late, tl.ConflictError)
        assert rows.get_by_id(1) == Success(Counted(1, "e", 3))
        sheets_server.before_next(lambda: tl.unwrap(first.update(Counted(2, "g", 1))))
        assert isinstance(rows.delete(2).failure(), tl.ConflictError)
        assert rows.get_by_id(2) == Success(Counted(2, "g", 2))


def test_a_row_that_people_delete_before_its_change_arrives_is_told(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    sheets_server.before_next(lambda: sheets_server.delete_rows(table.spreadsheet, at=2))
    gone = birds.update(Bird(1, "crow", None)).failure()
    assert isinstance(gone, tl.ConflictError)
    assert "deleted the row meanwhile" in str(gone)
    assert _rows(sheets_server, table) == BIRDS[1:]


def test_stores_that_read_only_have_no_repository(sheets_server: SheetsServer) -> None:
    table = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client()) as sheets:
        given: Any = sheets
        with pytest.raises(TypeError, match="write=True"):
            tl.repository(given, table)
    with tl.open_sheets(sheets_server.client(), write=True) as writable:
        given = writable
        with pytest.raises(TypeError, match="whose cache is the store's"):
            tl.repository(given, table, cache=tl.read_through(ttl_s=1))
        plain = tl.table(Bird, name="birds", key=lambda b: b.id)
        with pytest.raises(TypeError, match="is a table of a database"):
            tl.repository(given, plain)


def test_a_store_of_everything_writes_sheets_too(sheets_server: SheetsServer, pg_url: str) -> None:
    table = birds_of(sheets_server)
    with tl.open(pg_url, sheets=tl.open_sheets(sheets_server.client(), write=True)) as store:
        birds = tl.repository(store, table)
        assert birds.create(NEW) == Success(NEW)
        assert store.fetch_all(tl.select(table)) == Success([*BIRDS, NEW])


def test_each_verb_is_one_read_and_one_batch(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    for n in range(3):
        before = sheets.stats().requests
        tl.unwrap(birds.update(Bird(1, f"crow {n}", None)))
        tl.unwrap(birds.create(Bird(50 + n, "x", None)))
        assert sheets.stats().requests - before == 4
    # Of what they left there is only the last.
    assert len(sheets_server.titles(table.spreadsheet)) == 1
    tl.unwrap(birds.update(Bird(1, "crow", None)))
    assert len(sheets_server.titles(table.spreadsheet)) == 2
    assert "tierline" not in str(birds.create(BIRDS[0]).failure())


def test_people_may_delete_the_copies(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    tl.unwrap(birds.update(Bird(1, "crow", None)))
    copies = sheets_server.client().open_by_key(table.spreadsheet).worksheets()[1]
    sheets_server.edit(table.spreadsheet, {"deleteSheet": {"sheetId": copies.id}})
    assert birds.update(Bird(1, "rook", None)) == Success(Bird(1, "rook", None))
    assert _rows(sheets_server, table)[0] == Bird(1, "rook", None)


def test_a_row_may_leave_the_grid_before_it_is_written(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    sheet = sheets_server.client().open_by_key(table.spreadsheet).sheet1
    sheet.resize(rows=4)
    birds = tl.repository(sheets, table)
    sheets_server.before_next(lambda: sheets_server.delete_rows(table.spreadsheet, at=2))
    assert birds.update(Bird(3, "crow", None)) == Success(Bird(3, "crow", None))
    assert _rows(sheets_server, table) == [BIRDS[1], Bird(3, "crow", None)]


def test_every_row_of_a_tight_grid_may_go(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    sheet = sheets_server.client().open_by_key(table.spreadsheet).sheet1
    sheet.resize(rows=4)
    sheet.freeze(rows=1)
    birds = tl.repository(sheets, table)
    assert birds.delete_where(lambda b: b.id > 0) == Success(3)
    assert birds.create(NEW) == Success(NEW)
    assert _rows(sheets_server, table) == [NEW]


def test_copies_whose_process_died_are_deleted_after_a_week(sheets_server: SheetsServer) -> None:
    table = birds_of(sheets_server)
    day_s, now_s = 86_400, int(time.time())
    kept = [f"tierline_{now_s - day_s}_1f", "tierline notes", "tierline_1_not_hex"]
    for title in (*kept, f"tierline_{now_s - 8 * day_s}_1f"):
        sheets_server.edit(table.spreadsheet, {"addSheet": {"properties": {"title": title}}})
    with tl.open_sheets(sheets_server.client(), write=True) as store:
        tl.unwrap(tl.repository(store, table).update(Bird(1, "crow", None)))
    assert sheets_server.titles(table.spreadsheet) == ["Sheet1", *kept]


def test_none_of_several_joined_verbs_is_refused_for_another(
    sheets_server: SheetsServer, sheets: tl.WritableSheetStore
) -> None:
    table = birds_of(sheets_server)
    birds = tl.repository(sheets, table)
    bad, good = threading.Event(), threading.Event()

    def create(bird: Bird, begun: threading.Event) -> tl.Result[Bird, tl.RepositoryError]:
        begun.set()
        return birds.create(bird)

    with ThreadPoolExecutor(2) as pool:
        # Both wait while somebody else has the turn, and then go together.
        with sheets.writes.turn(table.spreadsheet):
            long = pool.submit(create, Bird(7, "x" * 50_001, None), bad)
            fine = pool.submit(create, NEW, good)
            assert bad.wait(60)
            assert good.wait(60)
            while sheets.writes.waiting(table) < 2:
                time.sleep(0.001)
        assert isinstance(long.result().failure(), tl.ValidationError)
        assert fine.result() == Success(NEW)
    assert _rows(sheets_server, table) == [*BIRDS, NEW]
