"""What a sync refuses as a whole, and who may not do it."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import msgspec
import pytest
from returns.result import Failure
from tests.sync.real.places import BIRDS, QUOTA, Bird, Place

import tierline as tl
from tierline.testing.sheets.faults import reset_after_apply

FLOCK = [Bird(n, f"bird {n}", n) for n in range(1, 7)]


def refused(place: Place, pair: Any = None, **options: Any) -> tl.RepositoryError:
    """Why a sync fails."""
    done = place.store.sync(pair or place.pair(), **options)
    assert isinstance(done, Failure), done
    return done.failure()


@pytest.fixture
def synced(place: Place) -> Place:
    """A place with six birds on both sides."""
    place.birds.create_many(FLOCK).unwrap()
    place.store.sync(place.pair()).unwrap()
    return place


def test_a_sheet_that_is_suddenly_empty_empties_no_table(synced: Place) -> None:
    synced.server.delete_rows(synced.book, at=2, count=6)
    error = refused(synced)
    assert isinstance(error, tl.ConfigurationError)
    assert "the sheet has no rows, and there were 6" in str(error)
    assert len(synced.in_table()) == 6
    plan = synced.store.sync(synced.pair(), dry_run=True).unwrap()
    assert len(plan.database.deletes) == 6
    synced.store.sync(synced.pair(may_be_empty=True, max_deletes=1)).unwrap()
    assert synced.in_table() == []


def test_no_more_than_a_part_is_deleted(synced: Place) -> None:
    synced.birds.delete_many([1, 2, 3, 4]).unwrap()
    assert "4 of 6 rows would be deleted in the sheet" in str(refused(synced))
    assert len(synced.in_sheet()) == 6
    synced.store.sync(synced.pair(max_deletes=0.7)).unwrap()
    assert len(synced.in_sheet()) == 2


def test_another_mapping_takes_a_resync(synced: Place) -> None:
    synced.server.set_values(synced.book, {"B1": "called", "B2": "grey heron"})
    sheet = tl.sheet(
        synced.book, "Sheet1", synced.sheet.entity, key=lambda b: b.id, headers={"name": "called"}
    )
    pair = tl.sync(sheet, BIRDS, policy=tl.sheet_wins)
    assert "resync" in str(refused(synced, pair))
    assert isinstance(synced.store.sync(pair, dry_run=True), Failure)
    plan = synced.store.sync(pair, dry_run=True, resync=True).unwrap()
    assert [str(one) for one in plan.decisions] == [
        "row 1, name: was empty, sheet 'grey heron', database 'bird 1'; the sheet is right"
    ]
    synced.store.sync(pair, resync=True).unwrap()
    assert synced.in_table()[0] == (1, "grey heron", 1)
    assert synced.store.sync(pair).unwrap().plans[0].is_empty


def test_a_database_that_forgot_the_pair_is_told(synced: Place) -> None:
    synced.store.execute(tl.sql("DELETE FROM tierline_sync_pair")).unwrap()
    synced.birds.delete(1).unwrap()
    assert "the database knows nothing of it" in str(refused(synced))
    assert isinstance(synced.store.sync(synced.pair(), dry_run=True), Failure)
    synced.store.sync(synced.pair(), resync=True).unwrap()
    # Without a base nobody knows that it was deleted.
    assert len(synced.in_table()) == 6


def test_whoever_may_only_read_writes_nothing(place: Place) -> None:
    place.birds.create(Bird(1, "heron")).unwrap()
    place.store.sheets = tl.open_sheets(place.server.client(), quota=QUOTA)
    error = refused(place)
    assert isinstance(error, tl.AccessDeniedError)
    assert "write=True" in str(error)
    assert len(place.store.sync(place.pair(), dry_run=True).unwrap().sheet.inserts) == 1


def test_a_spreadsheet_of_others_is_not_synced(place: Place) -> None:
    place.store.sheets = tl.open_sheets(
        place.server.client("mallory@example.com"), write=True, quota=QUOTA
    )
    assert isinstance(refused(place), tl.AccessDeniedError)


def test_a_missing_worksheet_and_headers_are_told(place: Place) -> None:
    other = tl.sheet(place.book, "Sheet2", place.sheet.entity, key=lambda b: b.id)
    error = refused(place, tl.sync(other, BIRDS))
    assert isinstance(error, tl.SheetLayoutError)
    assert "there are 'Sheet1'" in str(error)
    place.type(B1="nom")
    assert isinstance(refused(place), tl.SheetLayoutError)


def test_only_one_at_a_time(synced: Place) -> None:
    synced.type(B2="grey heron")
    asked, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        go_on.wait(30)

    synced.birds.update(tl.change(synced.birds.get_by_id(2).unwrap(), name="eagle")).unwrap()
    first = threading.Thread(
        target=lambda: synced.store.sync(
            synced.pair(), progress=lambda now: wait() if now.stage == "write sheet" else None
        )
    )
    first.start()
    assert asked.wait(30)
    try:
        error = refused(synced)
    finally:
        go_on.set()
        first.join()
    assert isinstance(error, tl.ConflictError)
    assert "somebody else is syncing" in str(error)
    assert synced.store.sync(synced.pair()).unwrap().plans[0].is_empty


def test_a_lost_answer_is_asked_for(synced: Place) -> None:
    synced.birds.update(tl.change(synced.birds.get_by_id(2).unwrap(), name="eagle")).unwrap()
    synced.server.inject(reset_after_apply())
    synced.store.sync(synced.pair()).unwrap()
    assert synced.in_sheet()[1] == [2, "eagle", 2]


def test_what_no_cell_can_hold_is_held(synced: Place) -> None:
    synced.birds.create(Bird(9, "x" * 50_001)).unwrap()
    report = synced.store.sync(synced.pair()).unwrap()
    assert [note.kind for note in report.notes] == ["held"]
    assert len(synced.in_sheet()) == 6


def test_the_app_may_write_while_it_runs(synced: Place) -> None:
    synced.type(B2="grey heron")
    written: list[object] = []

    def write(now: tl.SyncProgress) -> None:
        if now.stage == "write table" and not written:
            bird = synced.birds.get_by_id(1).unwrap()
            written.append(synced.birds.update(tl.change(bird, count=100)).unwrap())

    synced.store.sync(synced.pair(), progress=write).unwrap()
    assert synced.in_table()[0] == (1, "grey heron", 100)
    assert synced.in_sheet()[0] == [1, "grey heron", 100]


def test_a_marker_that_somebody_took_away_is_no_harm(synced: Place) -> None:
    book = synced.server.client().open_by_key(synced.book)
    gone = [one["namedRangeId"] for one in book.list_named_ranges()]
    assert any(one.startswith("tlsync_") for one in gone)
    book.batch_update({"requests": [{"deleteNamedRange": {"namedRangeId": one}} for one in gone]})
    synced.birds.delete(6).unwrap()
    synced.store.sync(synced.pair()).unwrap()
    assert [row[0] for row in synced.in_sheet()] == [1, 2, 3, 4, 5]


def test_pasted_rows_become_rows_of_their_own(synced: Place) -> None:
    synced.type(A8=1, B8="heron's child", C8=1)
    report = synced.store.sync(synced.pair()).unwrap()
    assert "pasted" in [note.kind for note in report.notes]
    assert synced.in_sheet()[-1] == [7, "heron's child", 1]
    assert synced.in_table()[-1] == (7, "heron's child", 1)


def test_a_row_without_id_waits_where_none_can_be_made(place: Place) -> None:
    class Code(msgspec.Struct, frozen=True):
        name: str
        count: int | None = None

    sheet = tl.sheet(place.book, "Sheet1", Code, key=lambda c: c.name)
    codes = tl.table(Code, name="codes", key=lambda c: c.name)
    place.store.create_table(codes).unwrap()
    place.type(C2=5, B3="x", C3=1)
    report = place.store.sync(tl.sync(sheet, codes)).unwrap()
    assert [note.kind for note in report.notes] == ["unidentified"]
    assert place.store.fetch_all(tl.select(codes)).unwrap() == [Code("x", 1)]


def test_softly_deleted_rows_are_not_there_and_come_back(place: Place) -> None:
    class Soft(msgspec.Struct, frozen=True):
        id: int
        name: str
        count: int | None
        created_at: dt.datetime | None = None
        deleted_at: dt.datetime | None = None

    table = tl.table(
        Soft,
        name="soft",
        key=lambda s: s.id,
        created_at=lambda s: s.created_at,
        deleted_at=lambda s: s.deleted_at,
    )
    place.store.create_table(table).unwrap()
    rows = tl.repository(place.store, table)
    rows.create(Soft(1, "heron", 1)).unwrap()
    rows.create(Soft(2, "owl", 2)).unwrap()
    pair = tl.sync(place.sheet, table)
    place.store.sync(pair).unwrap()
    place.server.delete_rows(place.book, at=2)
    place.store.sync(pair).unwrap()
    assert [row.id for row in rows.list().unwrap()] == [2]
    assert len(rows.list(include_deleted=True).unwrap()) == 2
    place.type(A4=1, B4="heron again")
    place.store.sync(pair).unwrap()
    assert {row.id: row.name for row in rows.list().unwrap()} == {1: "heron again", 2: "owl"}


def test_formulas_are_the_sheets(place: Place) -> None:
    sheet = tl.sheet(
        place.book, "Sheet1", place.sheet.entity, key=lambda b: b.id, computed=lambda b: b.count
    )
    place.type(A2=1, B2="heron", C2="=40+2")
    pair = tl.sync(sheet, BIRDS)
    place.store.sync(pair).unwrap()
    assert place.in_table() == [(1, "heron", 42)]
    place.birds.update(tl.change(place.birds.get_by_id(1).unwrap(), count=7)).unwrap()
    place.store.sync(pair).unwrap()
    assert place.in_table() == [(1, "heron", 42)]
    assert place.server.formulas(place.book) == {"Sheet1!C2": "=40+2"}


def test_progress_is_told(synced: Place) -> None:
    synced.type(B2="grey heron")
    told: list[tl.SyncProgress] = []
    synced.store.sync(synced.pair(), progress=told.append).unwrap()
    assert [tuple(now) for now in told] == [
        ("read sheet", 6),
        ("read table", 6),
        ("write table", 1),
    ]
    synced.store.sync(synced.pair(), progress=True).unwrap()


def test_mistakes_are_told_when_the_pair_is_made(place: Place) -> None:
    class Bare(msgspec.Struct, frozen=True):
        id: int
        weight: float

    class Texts(msgspec.Struct, frozen=True):
        id: str
        name: str

    bare = tl.table(Bare, name="bare", key=lambda b: b.id)
    with pytest.raises(TypeError, match="have no field in common"):
        tl.sync(place.sheet, bare)
    with pytest.raises(TypeError, match="id is bigint not null in Sheet1 and text not null"):
        tl.sync(place.sheet, tl.table(Texts, name="texts", key=lambda b: b.id))  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"takes a table made by tl\.table second"):
        tl.sync(place.sheet, place.sheet)
    with pytest.raises(TypeError, match=r"takes a sheet made by tl\.sheet first"):
        tl.sync(BIRDS, BIRDS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes a pair made by tl\.sync"):
        place.store.sync(place.sheet)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no verdict"):
        place.store.sync_decide(place.pair(), {"x": "newest"})  # type: ignore[dict-item]

    class Heavy(msgspec.Struct, frozen=True):
        id: int
        name: str
        weight: float

    with pytest.raises(TypeError, match="the sheet lacks weight"):
        tl.sync(place.sheet, tl.table(Heavy, name="heavy", key=lambda b: b.id))
    sheets, place.store.sheets = place.store.sheets, None
    with pytest.raises(TypeError, match="open the store with sheets="):
        place.store.sync(place.pair())
    place.store.sheets = sheets
