"""Whatever people do between two looks: the events lead to what is there, and none is a lie."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sheets.birds import BIRDS, Bird, birds_of
from tests.sheets.test_asking import Time
from tests.sheets.timed import http_of

import tierline as tl
from tierline.sheets.observing import observe
from tierline.store.sheet_changes import changes
from tierline.testing import SheetsServer

_AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
_ROWS = st.integers(2, 7)
_HEADERS = {"A1": "id", "B1": "name", "C1": "seen"}

_GOOD = st.one_of(
    st.tuples(st.just("A"), st.integers(1, 6)),
    st.tuples(st.just("B"), st.sampled_from(["heron", "owl", "lark", ""])),
    st.tuples(st.just("C"), st.sampled_from(["2026-03-01", "2026-04-02", ""])),
)
_BAD = st.sampled_from(
    [("A", ""), ("A", "x"), ("A", 2.5), ("A", "=1+1"), ("B", "=1/0"), ("C", "soon"), ("C", 7)]
)
_EDITS = st.one_of(
    st.tuples(st.just("type"), _ROWS, _GOOD),
    st.tuples(st.just("type"), _ROWS, _BAD),
    st.tuples(st.just("delete"), _ROWS, st.just(None)),
    st.tuples(st.just("insert"), _ROWS, st.just(None)),
    st.tuples(st.just("sort"), _ROWS, st.sampled_from([1, 2, 3])),
    st.tuples(st.just("rename"), st.sampled_from(list(_HEADERS)), st.just(None)),
    st.tuples(st.just("repair"), st.just(0), st.just(None)),
)
_LOOKS = st.lists(st.lists(_EDITS, min_size=1, max_size=3), min_size=1, max_size=6)


def _edit(server: SheetsServer, book: str, edit: tuple[str, Any, Any]) -> None:
    match edit:
        case ("type", row, (column, value)):
            server.set_values(book, {f"{column}{row}": value})
        case ("delete", row, _):
            server.delete_rows(book, at=row)
        case ("insert", row, _):
            server.insert_rows(book, at=row)
        case ("sort", _, column):
            server.sort_rows(book, column=column)
        case ("rename", cell, _):
            server.set_values(book, {cell: f"{_HEADERS[cell]} of it"})
        case _:
            server.set_values(book, _HEADERS)


def _keys(server: SheetsServer, book: str) -> set[Any]:
    """What stands in the column of the key, whatever it is."""
    return {row[0] for row in server.values(book)[1:] if row}


@settings(max_examples=150)
@given(looks=_LOOKS)
def test_events_lead_to_what_is_there(looks: list[list[tuple[str, Any, Any]]]) -> None:
    with SheetsServer() as server:
        birds = birds_of(server)
        http = http_of(server, Time(server))
        known = {bird.id: bird for bird in BIRDS}
        for edits in [*looks, [("repair", 0, None)]]:
            for edit in edits:
                _edit(server, birds.spreadsheet, edit)
            looked = observe(http, birds)
            if not isinstance(looked, tl.Success):
                assert isinstance(looked.failure(), tl.SheetLayoutError)
                continue
            seen = looked.unwrap()
            events = changes(birds, known, seen, _AT)
            there = _keys(server, birds.spreadsheet)
            for event in events:
                assert event.old == known.get(event.key)
                if event.new is None:
                    assert event.key not in there
                    del known[event.key]
                else:
                    assert event.key in there
                    known[event.key] = event.new
            # Nothing is left to tell, and nothing that fits is left out.
            assert changes(birds, known, seen, _AT) == []
            assert {key: known[key] for key in seen.rows} == seen.rows
            if not seen.problems:
                assert known == seen.rows
                assert known.keys() == {key for key in there if isinstance(key, int)}


def test_fifty_thousand_rows_are_compared(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server, [["id", "name", "seen"], [1, "x"]])
    known = {n: Bird(n, "heron", None) for n in range(50_000)}
    seen = tl.unwrap(observe(http_of(sheets_server, Time(sheets_server)), birds))
    rows = {**known, 7: Bird(7, "crane", None), 50_000: Bird(50_000, "wren", None)}
    del rows[8]
    events = changes(birds, known, seen._replace(rows=rows), _AT)
    assert [(event.operation, event.key) for event in events] == [
        ("delete", 8), ("update", 7), ("create", 50_000),
    ]  # fmt: skip
