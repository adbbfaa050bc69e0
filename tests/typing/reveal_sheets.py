"""The types that users of sheets see; never run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import assert_type

import msgspec

import tierline as tl


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str
    seen: dt.date | None


BIRDS = tl.sheet("1AbC", "Birds", Bird, key=lambda b: b.id, computed=lambda b: b.seen)
assert_type(BIRDS, tl.Sheet[Bird, int])
PAIRS = tl.sheet("1AbC", "Pairs", Bird, key=lambda b: (b.id, b.name))
assert_type(PAIRS, tl.Sheet[Bird, tuple[int, str]])
QUERY = tl.select(BIRDS, where=lambda b: b.name == "owl")
assert_type(QUERY, tl.Query[Bird])


def reading(sheets: tl.SheetStore) -> None:
    assert_type(sheets.fetch_all(QUERY), tl.Result[list[Bird], tl.RepositoryError])
    assert_type(sheets.fetch_one(QUERY), tl.Result[Bird, tl.RepositoryError])
    assert_type(sheets.fetch_maybe(QUERY), tl.Result[Bird | None, tl.RepositoryError])
    assert_type(sheets.count(QUERY), tl.Result[int, tl.RepositoryError])
    assert_type(sheets.exists(QUERY), tl.Result[bool, tl.RepositoryError])
    assert_type(sheets.check(BIRDS), tl.Result[tuple[tl.CellProblem, ...], tl.RepositoryError])
    assert_type(sheets.stats(), tl.SheetsStats)
    names = tl.project(QUERY, lambda b: b.name)
    assert_type(sheets.fetch_all(names), tl.Result[list[str], tl.RepositoryError])
    view = sheets.view(BIRDS)
    assert_type(view, tl.Result[tl.SheetView[Bird], tl.RepositoryError])
    assert_type(tl.unwrap(view).rows, list[Bird])


def opening() -> None:
    quota = tl.SheetsQuota(user_reads=120)
    assert_type(tl.open_sheets("key.json", quota=quota), tl.SheetStore)
    assert_type(
        tl.connect_sheets(Path("key.json"), cache=tl.read_through(ttl_s=60)),
        tl.Result[tl.SheetStore, tl.RepositoryError],
    )
    with tl.open(sheets=tl.open_sheets({"type": "service_account"})) as store:
        assert_type(store.sheets, tl.SheetStore | None)
        assert_type(store.fetch_all(QUERY), tl.Result[list[Bird], tl.RepositoryError])


def telling(error: tl.SheetLayoutError) -> None:
    assert_type(error.problems, tuple[tl.CellProblem, ...])
    assert_type(error.problems[0].row, int)


def watching(sheets: tl.SheetStore, environ: dict[str, object]) -> None:
    def handler(event: tl.Changed[Bird]) -> None:
        assert_type(event.old, Bird | None)
        assert_type(event.new, Bird | None)

    watched = sheets.watch(BIRDS, handler, address="https://example.com", known=[])
    assert_type(watched, tl.Result[tl.SheetWatch[Bird], tl.RepositoryError])
    seen: list[tl.Changed[Bird]] = []
    with tl.unwrap(sheets.watch(BIRDS, seen.append, every_s=1, on_error=print)) as watch:
        assert_type(watch, tl.SheetWatch[Bird])
        assert_type(watch.rows, list[Bird])
        assert_type(watch.problems, tuple[tl.CellProblem, ...])
        assert_type(watch.error, tl.RepositoryError | None)
        assert_type(watch.is_open, bool)
        assert_type(watch.wait(1.5), tl.RepositoryError | None)
    assert_type(sheets.notified(environ), bool)
    assert_type(sheets.notified({"X-Goog-Channel-ID": "a"}), bool)


def writing(sheets: tl.WritableSheetStore, store: tl.Store) -> None:
    birds = tl.repository(sheets, BIRDS)
    assert_type(birds, tl.Repository[Bird, int])
    assert_type(tl.repository(store, BIRDS), tl.Repository[Bird, int])
    assert_type(tl.repository(sheets, PAIRS), tl.Repository[Bird, tuple[int, str]])
    assert_type(birds.create(Bird(1, "owl", None)), tl.Result[Bird, tl.RepositoryError])
    assert_type(birds.delete(1), tl.Result[None, tl.RepositoryError])

    def work(tx: tl.SheetTransaction) -> tl.Result[int, tl.RepositoryError]:
        assert_type(tl.repository(tx, BIRDS), tl.Repository[Bird, int])
        assert_type(tx.fetch_all(QUERY), tl.Result[list[Bird], tl.RepositoryError])
        return tl.repository(tx, BIRDS).count()

    assert_type(sheets.transaction(work), tl.Result[int, tl.RepositoryError])


def opening_for_writing() -> None:
    assert_type(tl.open_sheets("key.json", write=True), tl.WritableSheetStore)
    assert_type(tl.open_sheets("key.json", write=False), tl.SheetStore)
    assert_type(
        tl.connect_sheets("key.json", write=True),
        tl.Result[tl.WritableSheetStore, tl.RepositoryError],
    )
