"""Asking Google: deadlines, quotas, retries, and what each error is called."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gspread
import pytest
import requests
from google.auth.exceptions import RefreshError
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success
from tests.sheets.birds import BIRDS, Bird, birds_of

import tierline as tl
from tierline.sheets.faults import of_answer, of_exception, retry_after_s
from tierline.sheets.http import SheetsHttp
from tierline.sheets.limiter import Kind, LocalLimiter, SheetsQuota, bucket_of
from tierline.sheets.retrying import ATTEMPTS_MAX, pause_s
from tierline.sheets.sheets import Sheets
from tierline.testing import SheetsServer
from tierline.testing.sheets import Quotas
from tierline.testing.sheets.client import new_client
from tierline.testing.sheets.faults import (
    Fault,
    api_disabled,
    cut_body,
    delayed,
    error_after_apply,
    expired_token,
    reset_after_apply,
    reset_before_apply,
    robot_page,
    too_many_requests,
    unavailable,
)

_WRITE = "https://sheets.googleapis.com/v4/spreadsheets/{}:batchUpdate"
_APPEND = json.dumps(
    {
        "requests": [
            {
                "appendCells": {
                    "sheetId": 0,
                    "rows": [{"values": [{"userEnteredValue": {"numberValue": 9}}]}],
                    "fields": "userEnteredValue",
                }
            }
        ]
    }
).encode()


class Time:
    """A clock that only sleeping moves, for us and for the server."""

    def __init__(self, server: SheetsServer) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []
        self._server = server

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept.append(seconds)
        self._server.advance(seconds)


@pytest.fixture
def moved(sheets_server: SheetsServer) -> Time:
    return Time(sheets_server)


def _http(
    server: SheetsServer, moved: Time, *, timeout_s: float = 600, quota: SheetsQuota | None = None
) -> SheetsHttp:
    limiter = LocalLimiter(quota or SheetsQuota(10_000, 10_000, 10_000, 10_000), moved.clock)
    session = server.client().http_client.session
    return SheetsHttp(session, limiter, timeout_s=timeout_s, clock=moved.clock, sleep=moved.sleep)


_PASSING: dict[str, Callable[[], Fault]] = {
    "429": lambda: too_many_requests(2),
    "429 after 7 s": lambda: too_many_requests(2, retry_after_s=7),
    "robots": robot_page,
    "503": unavailable,
    "500": lambda: error_after_apply(on="all"),
    "reset before": reset_before_apply,
    "reset after": lambda: reset_after_apply(on="all"),
    "cut": lambda: cut_body(20),
}


@pytest.mark.parametrize("fault", list(_PASSING))
def test_a_read_outlives_what_passes(sheets_server: SheetsServer, moved: Time, fault: str) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(_PASSING[fault]())
    sheets = Sheets(_http(sheets_server, moved))
    assert tl.unwrap(sheets.read(birds)).rows == BIRDS
    assert sheets_server.faults_waiting == 0
    assert moved.slept


def test_who_is_told_to_wait_waits(sheets_server: SheetsServer, moved: Time) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(too_many_requests(1, retry_after_s=7))
    tl.unwrap(Sheets(_http(sheets_server, moved)).read(birds))
    assert 7 <= sum(moved.slept) < 9


def test_an_exceeded_quota_is_waited_out(sheets_server: SheetsServer, moved: Time) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(too_many_requests(1))
    tl.unwrap(Sheets(_http(sheets_server, moved)).read(birds))
    assert 60 <= sum(moved.slept) < 62


@pytest.mark.parametrize("fault", list(_PASSING))
@pytest.mark.parametrize("repeat", ["once", "idempotent"])
def test_a_write_that_may_have_happened_is_not_repeated_unless_it_may(
    sheets_server: SheetsServer, moved: Time, fault: str, repeat: Any
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[1]])
    sheets_server.inject(_PASSING[fault]())
    http = _http(sheets_server, moved)
    answered = http.ask("POST", _WRITE.format(book), repeat=repeat, body=_APPEND)
    rows = len(sheets_server.values(book)) - 1
    if repeat == "idempotent":
        # Nothing says that the batch is one that may be repeated, but for the caller.
        assert isinstance(answered, Success)
        assert rows >= 1
    elif isinstance(answered, Success):
        assert rows == 1
    else:
        assert isinstance(answered.failure(), tl.OutcomeUnknownError)
        assert rows <= 1


def test_attempts_and_time_are_bounded(sheets_server: SheetsServer, moved: Time) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(unavailable(times=100))
    error = Sheets(_http(sheets_server, moved)).read(birds).failure()
    assert isinstance(error, tl.ConnectionError)
    assert error.attempt == ATTEMPTS_MAX
    sheets_server.clear_faults()
    sheets_server.inject(too_many_requests(100))
    error = Sheets(_http(sheets_server, moved, timeout_s=30)).read(birds).failure()
    assert isinstance(error, tl.RateLimitedError)
    assert error.elapsed_s is not None
    assert error.elapsed_s < 30


def test_a_server_that_never_answers_is_waited_for_until_the_deadline(
    sheets_server: SheetsServer,
) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(delayed(60))
    with tl.open_sheets(sheets_server.client()) as sheets:
        began_s = time.monotonic()
        with tl.deadline(0.3):
            error = sheets.fetch_all(tl.select(birds)).failure()
        assert isinstance(error, tl.TimeoutError)
        assert error.stage == "deadline"
        assert time.monotonic() - began_s < 30
        with tl.deadline(0.0):
            assert isinstance(sheets.fetch_all(tl.select(birds)).failure(), tl.TimeoutError)


def _serve_once(answer: bytes, *, pause_s: float = 0.0) -> tuple[str, threading.Thread]:
    """A server of one connection, which sends the bytes of an answer one after another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as line:
            line.recv(65_536)
            for n in range(len(answer)):
                try:
                    line.sendall(answer[n : n + 1])
                except OSError:
                    return
                time.sleep(pause_s)
            # Closed with something unread, the line would be reset.
            line.shutdown(socket.SHUT_WR)
            while line.recv(65_536):
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


def test_a_body_that_comes_too_slowly_is_not_waited_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    url, thread = _serve_once(head + b" " * 1000, pause_s=0.01)
    client = new_client(url, None)
    with (
        closing(client.http_client.session),
        tl.open_sheets(client) as sheets,
        tl.deadline(0.5),
    ):
        birds = tl.sheet("1AbC", "Sheet1", Bird, key=lambda b: b.id)
        error = sheets.fetch_all(tl.select(birds)).failure()
    # Either limit may be the one that ends it; the whole would take ten seconds and more.
    assert isinstance(error, tl.TimeoutError)
    thread.join(60)


def test_a_page_in_place_of_an_answer_is_told(moved: Time, sheets_server: SheetsServer) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<ok>"
    url, thread = _serve_once(page)
    http = _http(sheets_server, moved)
    with closing(new_client(url, None).http_client.session) as session:
        http.session = session
        answered = http.ask("POST", _WRITE.format("1AbC"), repeat="once", body=_APPEND)
    error = answered.failure()
    assert isinstance(error, tl.OutcomeUnknownError)
    assert "a page of text/html" in str(error)
    thread.join(60)


def test_a_broken_record_of_tls_is_no_proof_that_nothing_happened() -> None:
    assert of_exception(requests.exceptions.SSLError("bad record")).again == "unsure"
    assert of_exception(requests.exceptions.ConnectTimeout()).again == "safe"
    refused = _refused()
    assert of_exception(refused).again == "safe"


def _refused() -> Exception:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    try:
        requests.get(f"http://127.0.0.1:{port}", timeout=30)
    except requests.ConnectionError as error:
        return error
    raise AssertionError(port)


def test_expired_tokens_are_renewed(sheets_server: SheetsServer) -> None:
    key = sheets_server.service_account("robot@example.com")
    birds = birds_of(sheets_server)
    sheets_server.share(birds.spreadsheet, "robot@example.com", "reader")
    client = sheets_server.connect(gspread.service_account_from_dict(key))
    with tl.open_sheets(client) as sheets:
        sheets_server.inject(expired_token())
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        sheets_server.revoke_tokens()
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        sheets_server.revoke_tokens()
        sheets_server.revoke_key(key)
        error = sheets.fetch_all(tl.select(birds)).failure()
    assert isinstance(error, tl.AccessDeniedError)
    assert "gives no token" in str(error)
    assert isinstance(error.__cause__, RefreshError)


def test_a_key_file_is_a_credential(sheets_server: SheetsServer, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(sheets_server.service_account("robot@example.com")))
    with tl.open_sheets(path) as sheets:
        assert repr(sheets) == "<SheetStore 0 requests>"
    path.write_text("{")
    with pytest.raises(tl.ConfigurationError, match="is no JSON"):
        tl.open_sheets(path)


def test_no_access_and_no_api_are_told(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client("ada@example.com")) as sheets:
        error = sheets.fetch_all(tl.select(birds)).failure()
        assert isinstance(error, tl.AccessDeniedError)
        assert "share the spreadsheet" in str(error)
        sheets_server.inject(api_disabled())
        error = sheets.fetch_all(tl.select(birds)).failure()
        assert isinstance(error, tl.ConfigurationError)
        assert "enable the Google Sheets API" in str(error)
        assert error.table == "Sheet1"


def test_what_is_opened_for_reading_writes_nothing(sheets_server: SheetsServer) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[1]])
    with tl.open_sheets(sheets_server.client()) as sheets:
        http: SheetsHttp = sheets._http
        with pytest.raises(tl.AccessDeniedError, match="opened for reading"):
            http.values_clear(book, "A1")
    assert sheets_server.requests == []


def test_gspreads_own_methods_go_the_same_way(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[1]])
    http = _http(sheets_server, moved)
    sheets_server.inject(unavailable(times=2))
    assert http.values_get(book, "A1")["values"] == [["1"]]
    assert http.requests == 3
    assert http.retried == 2
    sheets_server.inject(reset_after_apply())
    with pytest.raises(tl.OutcomeUnknownError):
        http.values_append(book, "A1", {"valueInputOption": "RAW"}, {"values": [[2]]})
    assert sheets_server.values(book) == [[1], [2]]


def test_an_error_that_is_a_text_or_html_is_told() -> None:
    refused = of_answer(400, {}, b'{"error": "invalid_grant"}')
    assert isinstance(refused.error, tl.QueryError)
    assert "invalid_grant" in str(refused.error)
    page = of_answer(502, {}, b"<html>502</html>")
    assert isinstance(page.error, tl.ConnectionError)
    usage = b'{"error": {"errors": [{"domain": "usageLimits", "reason": "rateLimitExceeded"}]}}'
    assert of_answer(403, {}, usage).is_quota
    assert of_answer(403, {}, b"null").again == "never"
    with pytest.raises(ZeroDivisionError):
        of_exception(ZeroDivisionError())


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (None, None), ("Wed", None), ("", None)]
)
def test_retry_after_is_a_number_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


def test_pauses_stay_within_what_is_left() -> None:
    fault = of_answer(503, {}, b"")
    for attempt, random in itertools.product(range(1, ATTEMPTS_MAX), (0.0, 0.5, 1.0)):
        pause = pause_s(fault, attempt, 1000.0, random, may_repeat=True)
        assert pause is not None
        assert 0 <= pause <= 64
        assert pause_s(fault, attempt, pause, random, may_repeat=True) is None
        assert pause_s(fault, attempt, 1000.0, random, may_repeat=False) is None
    assert pause_s(fault, ATTEMPTS_MAX, 1000.0, 0.5, may_repeat=True) is None


def _passes(limiter: LocalLimiter, now: list[float], kind: Kind, until_s: float) -> Iterator[float]:
    while now[0] < until_s:
        wait_s = limiter.wait_s(kind)
        if wait_s <= 0:
            yield now[0]
        else:
            now[0] += wait_s + 1e-6


@given(quota=st.integers(1, 400), idle_s=st.floats(0, 200))
def test_no_minute_sees_more_than_the_quota(quota: int, idle_s: float) -> None:
    now = [0.0]
    limiter = LocalLimiter(SheetsQuota(quota, quota, 10_000, 10_000), lambda: now[0])
    first = list(_passes(limiter, now, "read", 100.0))
    now[0] += idle_s
    times = first + list(_passes(limiter, now, "read", now[0] + 150))
    for n, at_s in enumerate(times):
        within = sum(1 for other in times[n:] if other < at_s + 60)
        assert within <= quota
    # Neither does it starve: most of the quota is used.
    assert len(first) >= quota


@given(quota=st.integers(1, 1000))
def test_a_bucket_is_below_its_quota(quota: int) -> None:
    bucket = bucket_of(quota)
    assert bucket.burst >= 1
    assert bucket.rate_per_s > 0
    assert bucket.burst + 60 * bucket.rate_per_s <= max(quota, 2)


def test_a_quota_of_google_ends_all_passing(moved: Time) -> None:
    limiter = LocalLimiter(SheetsQuota(), moved.clock)
    assert limiter.wait_s("read") == 0
    limiter.ran_out("read", 60)
    assert limiter.wait_s("read") == pytest.approx(60)
    limiter.ran_out("read", 90, projects=True)
    assert limiter.wait_s("read") == pytest.approx(90)
    assert limiter.wait_s("write") == 0


@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_google_never_says_429_to_who_keeps_its_quota(window: Any) -> None:
    quotas = Quotas(user_reads=12, window=window)
    with SheetsServer(quotas=quotas) as server:
        moved = Time(server)
        birds = birds_of(server)
        http = _http(server, moved, quota=SheetsQuota(user_reads=12))
        sheets = Sheets(http, join_s=0)
        for _ in range(40):
            assert isinstance(sheets.read(birds), Success)
    assert http.throttled == 0
    assert http.waited_s > 60


def test_who_cannot_wait_is_told(sheets_server: SheetsServer, moved: Time) -> None:
    birds = birds_of(sheets_server)
    sheets = Sheets(
        _http(sheets_server, moved, timeout_s=5, quota=SheetsQuota(user_reads=1)), join_s=0
    )
    assert isinstance(sheets.read(birds), Success)
    error = sheets.read(birds).failure()
    assert isinstance(error, tl.TimeoutError)
    assert "the quota was waited for" in str(error)
    assert len(sheets_server.requests) == 1


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="user_reads must be at least 1"):
        tl.SheetsQuota(user_reads=0)
    with pytest.raises(ValueError, match="16 processes cannot share 8 requests"):
        tl.SheetsQuota(user_reads=8, processes=16)


def test_statistics_count(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client()) as sheets:
        sheets_server.inject(reset_before_apply())
        sheets.fetch_all(tl.select(birds))
        assert sheets.stats() == tl.SheetsStats(requests=2, retried=1, throttled=0, waited_s=0.0)
        assert isinstance(sheets.fetch_all(tl.select(birds)), Success)
    assert not isinstance(sheets.stats(), Failure)
