"""Moments in which a sync without its guards would lose or double something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.sync.real.places import QUOTA, Bird, BirdRow, Place

import tierline as tl
from tierline.sheets.http import SheetsHttp


class DiedError(Exception):
    """The process ends here."""


def caught(place: Place, pair: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Sync until the batch is on its way; what lets it arrive."""
    ask = SheetsHttp.ask
    late: list[Callable[[], object]] = []

    def asked(self: SheetsHttp, method: str, endpoint: str, **options: Any) -> Any:
        if method == "POST":
            sent = {**options, "end_s": None}
            late.append(lambda: ask(self, method, endpoint, **sent))
            raise DiedError
        return ask(self, method, endpoint, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SheetsHttp, "ask", asked)
        with pytest.raises(DiedError):
            place.store.sync(pair)
    return late[0]


@pytest.fixture
def synced(place: Place) -> Place:
    """A place with a bird on both sides."""
    place.birds.create_many([Bird(1, "heron", 3), Bird(2, "owl", 1)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    return place


def rename(place: Place, id_: int, name: str) -> None:
    place.birds.update(tl.change(place.birds.get_by_id(id_).unwrap(), name=name)).unwrap()


def test_a_batch_that_arrives_late_does_nothing(
    synced: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(synced, 1, "eagle")
    arrives = caught(synced, synced.pair(), monkeypatch)
    report = synced.store.sync(synced.pair()).unwrap()
    assert report.resumed == "never"
    synced.type(B2="sea eagle")
    arrives()
    assert synced.in_sheet()[0] == [1, "sea eagle", 3]
    synced.store.sync(synced.pair()).unwrap()
    assert synced.in_table()[0] == (1, "sea eagle", 3)


def test_a_batch_that_arrives_before_anybody_looks_has_landed(
    synced: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(synced, 1, "eagle")
    arrives = caught(synced, synced.pair(), monkeypatch)
    arrives()
    synced.type(B2="sea eagle")
    report = synced.store.sync(synced.pair()).unwrap()
    assert report.resumed == "landed"
    # The edit was made by somebody who had seen the eagle.
    assert report.conflicts == ()
    assert synced.in_table()[0] == (1, "sea eagle", 3)


def test_a_plan_tells_what_landed_and_what_may_still(
    synced: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(synced, 1, "eagle")
    arrives = caught(synced, synced.pair(), monkeypatch)
    plan = synced.store.sync(synced.pair(), dry_run=True).unwrap()
    assert str(plan) == "sheet: update 1: name = 'eagle'"
    arrives()
    assert synced.store.sync(synced.pair(), dry_run=True).unwrap().is_empty


def test_the_app_is_not_written_over_without_a_version_either(place: Place) -> None:
    table = tl.table(BirdRow, name="plain", key=lambda b: b.id)
    place.store.create_table(table).unwrap()
    rows = tl.repository(place.store, table)
    rows.create(BirdRow(1, "heron", 3)).unwrap()
    pair = tl.sync(place.sheet, table)
    place.store.sync(pair).unwrap()
    place.type(B2="grey heron")
    written: list[object] = []

    def write(now: tl.SyncProgress) -> None:
        if now.stage == "write table" and not written:
            changed = tl.change(rows.get_by_id(1).unwrap(), name="eagle")
            written.append(rows.update(changed).unwrap())

    report = place.store.sync(pair, progress=write).unwrap()
    assert [str(one) for one in report.waiting] == [
        "row 1, name: was 'heron', sheet 'grey heron', database 'eagle'; waits for a decision"
    ]
    assert rows.list().unwrap() == [BirdRow(1, "eagle", 3)]


def test_a_pass_that_lost_its_lock_begins_anew(synced: Place) -> None:
    rename(synced, 1, "eagle")
    stages: list[str] = []

    def overtake(now: tl.SyncProgress) -> None:
        stages.append(now.stage)
        if now.stage == "read sheet" and stages.count("read sheet") == 1:
            synced.store.execute(
                tl.sql("UPDATE tierline_sync_pair SET generation = generation + 1")
            ).unwrap()

    synced.store.sync(synced.pair(), progress=overtake).unwrap()
    assert stages.count("read sheet") == 2
    assert synced.in_sheet()[0] == [1, "eagle", 3]


def test_merged_cells_are_left_alone(synced: Place) -> None:
    book = synced.server.client().open_by_key(synced.book)
    book.sheet1.merge_cells("B2:C2")
    synced.store.sync(synced.pair()).unwrap()
    assert synced.in_table()[0] == (1, "heron", 3)
    book.sheet1.unmerge_cells("B2:C2")
    book.sheet1.merge_cells("A2:A3")
    report = synced.store.sync(synced.pair()).unwrap()
    # A row whose id cannot be read may be any row, so none is taken for deleted.
    assert {note.kind for note in report.notes} == {"held"}
    assert len(synced.in_table()) == 2


def test_a_key_that_is_no_key_deletes_nothing(synced: Place) -> None:
    synced.type(A2="one", B3="barn owl")
    report = synced.store.sync(synced.pair()).unwrap()
    assert [note.text for note in report.notes] == ["row 2: its id cannot be read"]
    assert synced.in_table() == [(1, "heron", 3), (2, "barn owl", 1)]


def test_what_is_kept_of_a_sheet_is_read_anew(synced: Place) -> None:
    synced.store.sheets = tl.open_sheets(
        synced.server.client(), write=True, quota=QUOTA, cache=tl.read_through(ttl_s=600)
    )
    query = tl.select(synced.sheet, where=lambda b: b.id == 1)
    assert synced.store.fetch_one(query).unwrap().name == "heron"
    rename(synced, 1, "eagle")
    synced.store.sync(synced.pair()).unwrap()
    assert synced.store.fetch_one(query).unwrap().name == "eagle"


def test_a_conflict_that_is_over_leaves_the_queue(synced: Place) -> None:
    synced.type(B2="grey heron")
    rename(synced, 1, "eagle")
    synced.store.sync(synced.pair()).unwrap()
    (old,) = synced.store.sync_conflicts(synced.pair()).unwrap()
    synced.type(B2="eagle")
    synced.store.sync(synced.pair()).unwrap()
    assert synced.store.sync_conflicts(synced.pair()).unwrap() == []
    assert synced.store.sync_decide(synced.pair(), {old.token: "sheet"}).unwrap() == 0


def test_a_sequence_gives_the_ids(place: Place) -> None:
    place.store.execute(
        tl.sql("ALTER TABLE birds ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 500)")
    ).unwrap()
    place.type(B2="lark", C2=2)
    place.store.sync(place.pair()).unwrap()
    assert place.in_sheet() == [[500, "lark", 2]]
    assert place.in_table() == [(500, "lark", 2)]


def test_uuids_are_made(place: Place) -> None:
    import uuid  # noqa: PLC0415

    made = msgspec.defstruct(
        "Tagged", [("id", uuid.UUID), ("name", str), ("count", int | None)], frozen=True
    )
    key: Any = lambda row: row.id
    table = tl.table(made, name="tagged", key=key)
    place.store.create_table(table).unwrap()
    place.type(B2="lark", C2=2)
    pair = tl.sync(tl.sheet(place.book, "Sheet1", made, key=key), table)
    place.store.sync(pair).unwrap()
    (row,) = place.store.fetch_all(tl.select(table)).unwrap()
    assert place.in_sheet() == [[str(row.id), "lark", 2]]  # type: ignore[attr-defined]


def test_rows_that_moved_while_a_sender_died_are_put_right(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 6)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    rename(place, 1, "eagle")
    rename(place, 2, "lark")
    arrives = caught(place, place.pair(), monkeypatch)
    place.server.sort_rows(place.book, column=1, descending=True)
    arrives()
    # It wrote on the rows of the fourth and the fifth.
    assert [row[1] for row in place.in_sheet()] == ["eagle", "lark", "bird 3", "bird 2", "bird 1"]
    report = place.store.sync(place.pair()).unwrap()
    assert report.conflicts == ()
    names = [(5, "bird 5"), (4, "bird 4"), (3, "bird 3"), (2, "lark"), (1, "eagle")]
    assert [(row[0], row[1]) for row in place.in_sheet()] == names
    assert [(row[0], row[1]) for row in place.in_table()] == names[::-1]


def test_a_row_that_was_deleted_by_mistake_comes_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 6)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.birds.delete(1).unwrap()
    arrives = caught(place, place.pair(), monkeypatch)
    place.server.sort_rows(place.book, column=1, descending=True)
    arrives()
    assert [row[0] for row in place.in_sheet()] == [4, 3, 2, 1]
    place.store.sync(place.pair()).unwrap()
    assert sorted(row[0] for row in place.in_sheet()) == [2, 3, 4, 5]
    assert [row[0] for row in place.in_table()] == [2, 3, 4, 5]


def test_an_id_that_was_written_over_comes_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 4)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.type(B5="a new one", C5=0)
    arrives = caught(place, place.pair(), monkeypatch)
    place.server.sort_rows(place.book, column=3)
    arrives()
    assert [row[0] for row in place.in_sheet()] == ["", 1, 2, 4]
    place.store.sync(place.pair()).unwrap()
    assert sorted(row[:2] for row in place.in_sheet()) == [
        [1, "bird 1"],
        [2, "bird 2"],
        [3, "bird 3"],
        [4, "a new one"],
    ]
    assert [row[:2] for row in place.in_table()][-1] == (4, "a new one")


def test_what_was_written_on_a_blank_row_goes(
    synced: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(synced, 1, "eagle")
    arrives = caught(synced, synced.pair(), monkeypatch)
    synced.server.insert_rows(synced.book, at=2)
    arrives()
    assert synced.in_sheet() == [["", "eagle"], [1, "heron", 3], [2, "owl", 1]]
    synced.store.sync(synced.pair()).unwrap()
    assert synced.in_sheet() == [[1, "eagle", 3], [2, "owl", 1]]
    assert synced.in_table() == [(1, "eagle", 3), (2, "owl", 1)]
