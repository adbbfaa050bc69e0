"""What a sync does on either side, on a real database and a spreadsheet."""

from __future__ import annotations

from returns.result import Failure
from tests.sheets.payloads import PAYLOADS
from tests.sync.real.places import BIRDS, Bird, Place

import tierline as tl


def test_rows_of_either_side_come_to_the_other(place: Place) -> None:
    place.birds.create_many([Bird(1, "heron", 3), Bird(2, "owl")]).unwrap()
    place.type(A2=7, B2="lark", C2=2)
    report = place.store.sync(place.pair()).unwrap()
    assert place.in_sheet() == [[7, "lark", 2], [1, "heron", 3], [2, "owl"]]
    assert place.in_table() == [(1, "heron", 3), (2, "owl", None), (7, "lark", 2)]
    assert repr(report) == "<SyncReport: 2 sheet inserts, 1 database inserts>"
    assert place.store.sync(place.pair()).unwrap().plans[0].is_empty


def test_a_row_without_id_gets_one_and_enters_the_table(place: Place) -> None:
    place.birds.create(Bird(4, "heron", 3)).unwrap()
    place.type(B2="lark", C2=2, B3="wren")
    report = place.store.sync(place.pair()).unwrap()
    assert place.in_sheet() == [[5, "lark", 2], [6, "wren"], [4, "heron", 3]]
    assert place.in_table() == [(4, "heron", 3), (5, "lark", 2), (6, "wren", None)]
    assert len(report.plans) == 2


def test_edits_of_different_cells_both_stay(place: Place) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.type(B2="grey heron")
    place.birds.update(tl.change(place.birds.get_by_id(1).unwrap(), count=4)).unwrap()
    place.store.sync(place.pair()).unwrap()
    assert place.in_sheet() == [[1, "grey heron", 4]]
    assert place.in_table() == [(1, "grey heron", 4)]


def test_a_conflict_waits_in_the_queue_until_somebody_decides(place: Place) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    pair = place.pair()
    place.store.sync(pair).unwrap()
    place.type(C2=5)
    place.birds.update(tl.change(place.birds.get_by_id(1).unwrap(), count=4)).unwrap()
    report = place.store.sync(pair).unwrap()
    assert [str(one) for one in report.waiting] == [
        "row 1, count: was 3, sheet 5, database 4; waits for a decision"
    ]
    assert (place.in_sheet(), place.in_table()) == ([[1, "heron", 5]], [(1, "heron", 4)])
    (queued,) = place.store.sync_conflicts(pair).unwrap()
    assert place.store.sync_decide(pair, {queued.token: "sheet"}).unwrap() == 1
    place.store.sync(pair).unwrap()
    assert (place.in_sheet(), place.in_table()) == ([[1, "heron", 5]], [(1, "heron", 5)])
    assert place.store.sync_conflicts(pair).unwrap() == []
    (settled,) = place.store.sync_conflicts(pair, settled=True).unwrap()
    assert settled.verdict == "sheet"


def test_deletions_go_to_the_other_side(place: Place) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 7)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.server.delete_rows(place.book, at=2)
    place.birds.delete(6).unwrap()
    place.store.sync(place.pair()).unwrap()
    assert [row[0] for row in place.in_sheet()] == [2, 3, 4, 5]
    assert [row[0] for row in place.in_table()] == [2, 3, 4, 5]


def test_a_dry_run_tells_and_writes_nothing(place: Place) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    plan = place.store.sync(place.pair(), dry_run=True).unwrap()
    assert str(plan) == "sheet: insert 1: name = 'heron', count = 3"
    assert place.in_sheet() == []
    assert isinstance(
        place.store.fetch_all(tl.sql("SELECT pair FROM tierline_sync_pair", into=str)), Failure
    )


def test_a_cell_that_does_not_fit_is_left_alone_with_its_row_synced(place: Place) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.type(B2="grey heron", C2="many")
    place.store.sync(place.pair()).unwrap()
    assert place.in_sheet() == [[1, "grey heron", "many"]]
    assert place.in_table() == [(1, "grey heron", 3)]


def test_many_rows_are_written_at_once(place: Place) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 61)]).unwrap()
    place.store.sync(place.pair()).unwrap()
    place.type(**{f"C{n + 1}": 0 for n in range(1, 51)})
    place.store.sync(place.pair()).unwrap()
    assert [count for _, _, count in place.in_table()] == [0] * 50 + list(range(51, 61))
    assert place.birds.get_by_id(1).unwrap().version == 1
    assert BIRDS.version == "version"


def test_text_that_looks_like_a_formula_stays_text(place: Place) -> None:
    # Line ends are one and the same to a sync; all else comes to the sheet as it is.
    birds = [Bird(n, text, n) for n, text in enumerate(PAYLOADS, 1)]
    place.birds.create_many(birds).unwrap()
    pair = place.pair()
    place.store.sync(pair).unwrap()
    place.birds.update_many(
        [Bird(bird.id, f"={bird.name}", bird.count, bird.version) for bird in birds]
    ).unwrap()
    place.store.sync(pair).unwrap()
    expected = [f"={text}".replace("\r", "\n") for text in PAYLOADS]
    assert [row[1] for row in place.in_sheet()] == expected
    assert place.server.formulas(place.book) == {}
    assert place.store.sync(pair).unwrap().plans[0].is_empty
    assert [name for _, name, _ in place.in_table()] == [f"={text}" for text in PAYLOADS]
