"""Worksheets that are kept: asked for anew only if the spreadsheet has changed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from returns.result import Success
from tests.sheets.birds import BIRDS, Bird, birds_of

import tierline as tl
from tierline.sheets.sheets import Sheets
from tierline.store import sheet_views
from tierline.testing import SheetsServer
from tierline.testing.sheets.faults import api_disabled, delayed, unavailable

# Longer than a test takes, and shorter than a read of the clock.
_LONG_S, _NOTHING_S = 600.0, 0.001


def _paths(server: SheetsServer) -> list[str]:
    return ["drive" if "/drive/" in one.path else "cells" for one in server.requests]


def _old() -> None:
    time.sleep(2 * _NOTHING_S)


def test_what_is_fresh_is_not_asked_for(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_LONG_S)
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        for _ in range(3):
            assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        assert _paths(sheets_server) == ["drive", "cells"]
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        assert tl.unwrap(sheets.fetch_all(tl.select(birds), fresh=True))[0].name == "crane"
        assert tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name == "crane"


def test_what_is_old_is_read_only_if_the_spreadsheet_has_changed(
    sheets_server: SheetsServer,
) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_NOTHING_S)
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        for _ in range(3):
            assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
            _old()
        assert _paths(sheets_server) == ["drive", "cells", "drive", "drive"]
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        assert tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name == "crane"
        assert _paths(sheets_server)[4:] == ["drive", "cells"]


def test_without_drives_api_the_cells_are_read_each_time(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client(), cache=tl.read_through(ttl_s=_NOTHING_S)) as sheets:
        for _ in range(2):
            sheets_server.inject(api_disabled())
            assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
            _old()
    assert _paths(sheets_server) == ["drive", "cells"] * 2


def test_what_is_kept_stands_in_for_a_read_that_fails_and_says_how_old_it_is(
    sheets_server: SheetsServer,
) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_NOTHING_S, stale_if_error_s=_LONG_S, retry_s=_NOTHING_S)
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        first = tl.unwrap(sheets.view(birds))
        assert first.stale_because is None
        _old()
        sheets_server.inject(unavailable(times=1000))
        with tl.deadline(0.5):
            stale = tl.unwrap(sheets.view(birds))
        assert stale.rows == BIRDS
        assert isinstance(stale.stale_because, (tl.ConnectionError, tl.TimeoutError))
        assert stale.age_s > 0
        assert "stale" in repr(stale)
        with tl.deadline(0.5):
            assert not isinstance(sheets.view(birds, fresh=True), Success)
        sheets_server.clear_faults()
        _old()
        fresh = tl.unwrap(sheets.view(birds))
        assert fresh.stale_because is None
        assert fresh.read_at > first.read_at


def test_an_old_one_is_served_at_once_while_it_is_read_anew(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_NOTHING_S, stale_while_revalidate_s=_LONG_S)
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        _old()
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        until_s = time.monotonic() + 30
        while tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name != "crane":
            assert time.monotonic() < until_s
            time.sleep(0.01)


def test_many_who_ask_at_once_are_one_request(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_LONG_S)
    found: list[Any] = []
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        threads = [
            threading.Thread(target=lambda: found.append(sheets.fetch_all(tl.select(birds))))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [Success(BIRDS)] * 16
    assert _paths(sheets_server) == ["drive", "cells"]


def test_rows_that_do_not_fit_are_an_error_however_they_are_kept(
    sheets_server: SheetsServer,
) -> None:
    birds = birds_of(sheets_server, [["id", "name", "seen"], ["x", "owl", ""]])
    skipping = tl.sheet(birds.spreadsheet, "Sheet1", Bird, key=lambda b: b.id, bad_rows="skip")
    with tl.open_sheets(sheets_server.client(), cache=tl.read_through(ttl_s=_LONG_S)) as sheets:
        for _ in range(2):
            assert isinstance(sheets.fetch_all(tl.select(birds)).failure(), tl.SheetLayoutError)
            assert sheets.fetch_all(tl.select(skipping)) == Success([])


def test_what_changes_while_it_is_read_is_read_again(sheets_server: SheetsServer) -> None:
    """The version is asked for before the cells, so that a change in between is seen later."""
    birds = birds_of(sheets_server)
    book = birds.spreadsheet
    original = Sheets.read
    changes = ["stork"]

    def read(self: Sheets, sheet: Any, version: str | None = None) -> Any:
        found = original(self, sheet, version)
        while changes:
            sheets_server.set_values(book, {"B2": changes.pop()})
        return found

    cache = tl.read_through(ttl_s=_NOTHING_S)
    with (
        pytest.MonkeyPatch.context() as patched,
        tl.open_sheets(sheets_server.client(), cache=cache) as sheets,
    ):
        patched.setattr(Sheets, "read", read)
        assert tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name == "heron"
        _old()
        assert tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name == "stork"


def test_who_waits_for_another_waits_until_the_deadline(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(
        sheets_server.client(), cache=tl.read_through(ttl_s=_LONG_S), timeout_s=60
    ) as sheets:
        sheets_server.inject(delayed(30, on="reads"))

        def read() -> None:
            with tl.deadline(5):
                sheets.fetch_all(tl.select(birds))

        first = threading.Thread(target=read)
        first.start()
        while sheets_server.faults_waiting:
            time.sleep(0.001)
        with tl.deadline(0.3):
            error = sheets.fetch_all(tl.select(birds)).failure()
        assert isinstance(error, tl.TimeoutError)
        assert error.stage == "load"
        first.join()


def test_without_a_thread_the_old_one_is_still_served(
    sheets_server: SheetsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    birds = birds_of(sheets_server)
    cache = tl.read_through(ttl_s=_NOTHING_S, stale_while_revalidate_s=_LONG_S)

    def no_thread(*_: object, **__: object) -> Any:
        raise RuntimeError("can't start new thread")

    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        _old()
        with monkeypatch.context() as patched:
            patched.setattr(sheet_views.threading, "Thread", no_thread)
            for _ in range(2):
                assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        with tl.deadline(30):
            assert isinstance(sheets.fetch_all(tl.select(birds), fresh=True), Success)


def test_what_was_read_before_an_own_write_is_not_kept(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client(), cache=tl.read_through(ttl_s=3600)) as sheets:
        views, read = sheets.views, sheets.views._sheets.read

        def read_then_write(sheet: Any, version: str | None = None) -> Any:
            found = read(sheet, version)
            # A write of this store, whose batch came behind that read.
            sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
            views.forget(birds)
            return found

        views._sheets.read = read_then_write  # type: ignore[method-assign]
        tl.unwrap(sheets.fetch_all(tl.select(birds)))
        views._sheets.read = read  # type: ignore[method-assign]
        assert tl.unwrap(sheets.fetch_all(tl.select(birds)))[0].name == "crane"


def test_processes_share_cells_through_redis(
    sheets_server: SheetsServer, redis_url: str, redis_prefix: str
) -> None:
    birds = birds_of(sheets_server)

    def reads() -> int:
        return sum("/v4/" in one.path and one.method == "GET" for one in sheets_server.requests)

    def opened() -> tl.SheetStore:
        cache = tl.read_through(ttl_s=60)
        return tl.open_sheets(
            sheets_server.client(), cache=cache, redis=redis_url, prefix=redis_prefix
        )

    with opened() as one, opened() as other:
        first = tl.unwrap(one.fetch_all(tl.select(birds), fresh=True))
        before = reads()
        assert tl.unwrap(other.fetch_all(tl.select(birds), fresh=True)) == first
        assert reads() == before
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        assert tl.unwrap(other.fetch_all(tl.select(birds), fresh=True))[0].name == "crane"
        assert reads() == before + 1
        assert tl.unwrap(one.fetch_all(tl.select(birds), fresh=True))[0].name == "crane"
        assert reads() == before + 1
    missing = tl.sheet(birds.spreadsheet, "Nests", Bird, key=lambda b: b.id)
    with opened() as one:
        failure = one.fetch_all(tl.select(missing)).failure()
        assert isinstance(failure, tl.SheetLayoutError)
    broken = "redis://127.0.0.1:1/0"
    with tl.open_sheets(
        sheets_server.client(), cache=tl.read_through(ttl_s=60), redis=broken
    ) as one:
        assert tl.unwrap(one.fetch_all(tl.select(birds), fresh=True))[0].name == "crane"
