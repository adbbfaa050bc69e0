"""A spreadsheet that does not answer is not waited for by everybody."""

from __future__ import annotations

import time

import pytest
from returns.result import Success
from tests.sheets.birds import BIRDS, Bird, birds_of
from tests.sheets.test_asking import Time
from tests.sheets.timed import http_of

import tierline as tl
from tierline.sheets.circuits import CALLS_MAX, PATIENT_S, Circuits, place_of
from tierline.sheets.sheets import Sheets
from tierline.testing import SheetsServer
from tierline.testing.sheets import api_disabled, delayed, too_many_requests, unavailable


@pytest.fixture
def moved(sheets_server: SheetsServer) -> Time:
    return Time(sheets_server)


@pytest.fixture
def birds(sheets_server: SheetsServer) -> tl.Sheet[Bird, int]:
    return birds_of(sheets_server)


def _asked(server: SheetsServer, sheets: Sheets, birds: tl.Sheet[Bird, int]) -> int:
    """How many requests a read that fails takes."""
    before = len(server.requests)
    assert isinstance(sheets.read(birds).failure(), tl.ConnectionError)
    return len(server.requests) - before


def test_after_some_calls_that_fail_the_next_fail_at_once(
    sheets_server: SheetsServer, moved: Time, birds: tl.Sheet[Bird, int]
) -> None:
    other = birds_of(sheets_server)
    sheets = Sheets(http_of(sheets_server, moved), join_s=0)
    sheets_server.inject(unavailable(times=10_000))
    for _ in range(CALLS_MAX):
        assert _asked(sheets_server, sheets, birds) > 1
    began_s = moved.now_s
    assert _asked(sheets_server, sheets, birds) == 0
    assert moved.now_s == began_s
    error = sheets.read(birds).failure()
    assert "asked once a second at most" in str(error)
    # After a pause one call may ask, once.
    moved.sleep(1.0)
    assert [_asked(sheets_server, sheets, birds) for _ in range(3)] == [1, 0, 0]
    # Others are others' matter, and so is Drive.
    sheets_server.clear_faults()
    assert tl.unwrap(sheets.read(other)).rows == BIRDS
    assert isinstance(sheets.version(birds.spreadsheet), Success)
    assert _asked(sheets_server, sheets, birds) == 0
    moved.sleep(1.0)
    assert tl.unwrap(sheets.read(birds)).rows == BIRDS
    sheets_server.inject(unavailable())
    assert tl.unwrap(sheets.read(birds)).rows == BIRDS


def test_who_gets_an_answer_has_not_failed(
    sheets_server: SheetsServer, moved: Time, birds: tl.Sheet[Bird, int]
) -> None:
    sheets = Sheets(http_of(sheets_server, moved, timeout_s=50), join_s=0)
    for _ in range(2 * CALLS_MAX):
        # The quota, and what Google refuses, are answers.
        for fault in (too_many_requests(times=8), api_disabled()):
            sheets_server.inject(fault)
            before = len(sheets_server.requests)
            assert not isinstance(sheets.read(birds), Success)
            assert len(sheets_server.requests) > before
            sheets_server.clear_faults()
            moved.sleep(61)
    for _ in range(3):
        # One call that ends well makes those before forgotten.
        for _ in range(CALLS_MAX - 1):
            sheets_server.inject(unavailable(times=8))
            assert _asked(sheets_server, sheets, birds) > 0
            sheets_server.clear_faults()
        assert isinstance(sheets.read(birds), Success)


def test_a_probe_that_is_not_sent_lets_another_probe() -> None:
    now = [1000.0]
    circuits = Circuits(lambda: now[0])
    for _ in range(CALLS_MAX):
        assert circuits.begin("a") == "free"
        circuits.end("a", works=False)
    assert circuits.begin("a") == "refused"
    now[0] += 1
    assert [circuits.begin("a"), circuits.begin("a")] == ["probe", "refused"]
    circuits.end("a", works=None)
    now[0] += 1
    assert circuits.begin("a") == "probe"
    circuits.end("a", works=True)
    assert [circuits.begin("a"), circuits.begin("a")] == ["free", "free"]


def test_who_is_in_a_hurry_says_nothing_of_google(
    sheets_server: SheetsServer, birds: tl.Sheet[Bird, int]
) -> None:
    with tl.open_sheets(sheets_server.client()) as sheets:
        for _ in range(CALLS_MAX):
            sheets_server.inject(delayed(0.2))
            with tl.deadline(0.05):
                began_s = time.monotonic()
                error = sheets.fetch_all(tl.select(birds)).failure()
            assert isinstance(error, tl.TimeoutError)
            if time.monotonic() - began_s > PATIENT_S:
                pytest.skip("the machine stood still")
            sheets_server.clear_faults()
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("https://sheets.googleapis.com/v4/spreadsheets/1AbC", "v4/spreadsheets/1AbC"),
        ("https://sheets.googleapis.com/v4/spreadsheets/1AbC:batchUpdate", "v4/spreadsheets/1AbC"),
        ("https://sheets.googleapis.com/v4/spreadsheets/1AbC/values/A1", "v4/spreadsheets/1AbC"),
        ("https://www.googleapis.com/drive/v3/files/1AbC?x=1", "drive/v3/files/1AbC"),
        ("https://www.googleapis.com/drive/v3/channels/stop", None),
        ("https://www.googleapis.com/drive/v3/files", None),
    ],
)
def test_a_circuit_is_a_spreadsheets_and_an_apis(endpoint: str, place: str | None) -> None:
    assert place_of(endpoint) == place
