"""Changes of rows as requests: only what differs, and nothing that moves what follows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.sheets.birds import BIRDS, Bird, birds_of

import tierline as tl
from tierline.sheets.edits import Edit, Updated, requests_of
from tierline.sheets.grid import read_book
from tierline.sheets.snapshot import Snapshot, snapshot
from tierline.testing import SheetsServer


def _read(server: SheetsServer, birds: tl.Sheet[Bird, int]) -> Snapshot[Bird]:
    with tl.open_sheets(server.client()) as sheets:
        return tl.unwrap(sheets.views.get(birds, fresh=True)).snapshot


def _values(birds: tl.Sheet[Bird, int], *rows: Bird) -> list[tuple[Any, ...]]:
    return [birds.validator.values(row) for row in rows]


def _perform(server: SheetsServer, birds: tl.Sheet[Bird, int], edit: Edit) -> list[dict[str, Any]]:
    requests = requests_of(birds, _read(server, birds), edit)
    if requests:
        server.client().http_client.batch_update(birds.spreadsheet, {"requests": requests})
    return requests


def _now(server: SheetsServer, birds: tl.Sheet[Bird, int]) -> list[Bird]:
    return _read(server, birds).rows


def test_only_cells_that_differ_are_written(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    crane = Bird(1, "crane", BIRDS[0].seen)
    before, after = _values(birds, BIRDS[0], crane)
    requests = _perform(sheets_server, birds, Edit(updated=[Updated(2, before, after)]))
    assert [request["updateCells"]["range"]["startColumnIndex"] for request in requests] == [1]
    assert requests[0]["updateCells"]["fields"] == "userEnteredValue"
    assert _now(sheets_server, birds) == [crane, *BIRDS[1:]]
    assert _perform(sheets_server, birds, Edit(updated=[Updated(2, after, after)])) == []


def test_rows_below_each_other_are_one_request(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    new = [Bird(bird.id, bird.name.upper(), bird.seen) for bird in BIRDS]
    updated = [
        Updated(n, *_values(birds, before, after))
        for n, (before, after) in enumerate(zip(BIRDS, new, strict=True), 2)
    ]
    assert len(_perform(sheets_server, birds, Edit(updated=updated))) == 1
    assert _now(sheets_server, birds) == new


def test_new_rows_come_behind_the_last_and_keep_its_format(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    wren = Bird(4, "=wren", dt.date(2026, 5, 5))
    _perform(sheets_server, birds, Edit(created=_values(birds, wren)))
    assert _now(sheets_server, birds) == [*BIRDS, wren]
    assert sheets_server.formulas(birds.spreadsheet) == {}


def test_rows_are_deleted_from_the_last(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    requests = _perform(sheets_server, birds, Edit(deleted=[2, 4]))
    starts = [request["deleteDimension"]["range"]["startIndex"] for request in requests]
    assert starts == [3, 1]
    assert _now(sheets_server, birds) == [BIRDS[1]]


def test_everything_at_once(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    lark = Bird(3, "skylark", None)
    edit = Edit(
        created=_values(birds, Bird(9, "wren", None)),
        updated=[Updated(4, *_values(birds, BIRDS[2], lark))],
        deleted=[2],
    )
    _perform(sheets_server, birds, edit)
    assert _now(sheets_server, birds) == [BIRDS[1], lark, Bird(9, "wren", None)]


def test_columns_between_are_left_alone(sheets_server: SheetsServer) -> None:
    rows = [["name", "note", "id", "seen"], ["heron", "=1+1", 1, ""], ["owl", "mine", 2, ""]]
    birds = birds_of(sheets_server, rows)
    heron, crane = Bird(1, "heron", None), Bird(7, "crane", dt.date(2026, 1, 1))
    edit = Edit(
        created=_values(birds, Bird(3, "lark", None)),
        updated=[Updated(2, *_values(birds, heron, crane))],
    )
    _perform(sheets_server, birds, edit)
    assert sheets_server.formulas(birds.spreadsheet) == {"Sheet1!B2": "=1+1"}
    assert _now(sheets_server, birds)[0] == crane
    assert sheets_server.values(birds.spreadsheet)[2][1] == "mine"


def test_what_cannot_be_written_is_told_before_anything_is(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    edit = Edit(created=_values(birds, Bird(4, "x" * 50_001, None)))
    sheets_server.clear_requests()
    with pytest.raises(tl.ValidationError, match="name: has 50001 characters"):
        requests_of(birds, _read(sheets_server, birds), edit)
    assert all(request.is_read for request in sheets_server.requests)


def test_what_is_computed_is_not_written(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server, computed=lambda b: b.name)
    before, after = _values(birds, BIRDS[0], Bird(1, "crane", BIRDS[0].seen))
    with pytest.raises(tl.ValidationError, match="is computed by the worksheet"):
        requests_of(birds, _read(sheets_server, birds), Edit(updated=[Updated(2, before, after)]))


def test_an_empty_answer_is_an_empty_book() -> None:
    birds = tl.sheet("1AbC", "Sheet1", Bird, key=lambda b: b.id)
    with pytest.raises(tl.SheetLayoutError, match="no worksheet 'Sheet1'"):
        snapshot(birds, read_book(b"{}"))
