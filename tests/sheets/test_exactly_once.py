"""Batches that take effect once, whatever becomes of their answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from returns.result import Failure, Success
from tests.sheets.test_asking import Time

import tierline as tl
from tierline.sheets.http import SheetsHttp
from tierline.sheets.limiter import LocalLimiter, SheetsQuota
from tierline.sheets.marker import send_batch
from tierline.sheets.marks import IN_FLIGHT_S, KEEP_S, Marks, made_at_s, marker_of, name_of
from tierline.testing import SheetsServer
from tierline.testing.sheets.faults import (
    Fault,
    cut_body,
    error_after_apply,
    reset_after_apply,
    reset_before_apply,
    too_many_requests,
    unavailable,
)

_RUNS = 200
_THREADS = 4
_VALUES = "sheets(data(rowData(values(effectiveValue))))"
_DAY_1 = 1_800_000_000.0

FAULTS: dict[str, Callable[[], Fault]] = {
    "429": too_many_requests,
    "503": unavailable,
    "500 after": error_after_apply,
    "500 after, of a read too": lambda: error_after_apply(on="all"),
    "reset after": reset_after_apply,
    "reset after, of a read too": lambda: reset_after_apply(on="all"),
    "reset before": reset_before_apply,
    "cut": lambda: cut_body(20),
    "cut to nothing": lambda: cut_body(0),
}


@pytest.fixture
def moved(sheets_server: SheetsServer) -> Time:
    return Time(sheets_server)


def http_of(server: SheetsServer, moved: Time, *, timeout_s: float = 36_000) -> SheetsHttp:
    """A client whose clocks move only when it sleeps."""
    limiter = LocalLimiter(SheetsQuota(100_000, 100_000, 100_000, 100_000), moved.clock)
    session = server.client().http_client.session
    http = SheetsHttp(session, limiter, timeout_s=timeout_s, clock=moved.clock, sleep=moved.sleep)
    http.marks = Marks(lambda: _DAY_1 + moved.now_s)
    return http


def append(*numbers: float) -> list[Mapping[str, Any]]:
    """A batch that does something else if it arrives twice."""
    rows = [{"values": [{"userEnteredValue": {"numberValue": number}}]} for number in numbers]
    return [{"appendCells": {"sheetId": 0, "rows": rows, "fields": "userEnteredValue"}}]


def shown(body: bytes) -> list[float]:
    """The numbers that an answer reads back."""
    (sheet,) = msgspec.json.decode(body)["updatedSpreadsheet"]["sheets"]
    (data,) = sheet["data"]
    return [row["values"][0]["effectiveValue"]["numberValue"] for row in data["rowData"]]


def markers(server: SheetsServer, book: str) -> dict[str, str]:
    """The named ranges of a spreadsheet."""
    ranges = server.client().open_by_key(book).list_named_ranges()
    return {one["namedRangeId"]: one["name"] for one in ranges}


def send(http: SheetsHttp, book: str, number: int) -> tl.Result[bytes, tl.RepositoryError]:
    """Append a number, and read the column back."""
    return send_batch(
        http,
        book,
        append(number),
        op_id=f"op-{number}",
        response_ranges=["Sheet1!A:A"],
        response_fields=_VALUES,
    )


def test_no_row_is_lost_or_doubled_whatever_the_network_does(
    sheets_server: SheetsServer, moved: Time
) -> None:
    draw = random.Random(7)
    met = 0
    for run in range(_RUNS):
        book = sheets_server.add_spreadsheet("Numbers", [[0]])
        http = http_of(sheets_server, moved)
        wanted: list[float] = [0]
        for number in range(1, draw.randint(2, 4)):
            names = draw.choices(list(FAULTS), k=draw.randint(0, 5))
            sheets_server.inject(*(FAULTS[name]() for name in names))
            answered = send(http, book, number)
            assert isinstance(answered, Success), (run, names, answered)
            wanted.append(number)
            assert shown(answered.unwrap()) == wanted, (run, names)
            met += len(names) - sheets_server.faults_waiting
            sheets_server.clear_faults()
        assert sheets_server.values(book) == [[number] for number in wanted], run
        sheets_server.clear_requests()
    assert met > _RUNS


@pytest.mark.parametrize("fault", list(FAULTS))
def test_each_fault_alone_and_eleven_of_it(
    sheets_server: SheetsServer, moved: Time, fault: str
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    sheets_server.inject(FAULTS[fault]())
    assert shown(send(http, book, 1).unwrap()) == [0, 1]
    assert sheets_server.faults_waiting == 0
    sheets_server.inject(*(FAULTS[fault]() for _ in range(11)))
    answered = send(http, book, 2)
    sheets_server.clear_faults()
    if isinstance(answered, Failure):
        error = answered.failure()
        unknown = isinstance(error, tl.OutcomeUnknownError)
        landed = unknown and error.resolve() == Success(True)
    else:
        landed = True
    assert sheets_server.values(book) == ([[0], [1], [2]] if landed else [[0], [1]])


def test_what_is_not_ambiguous_costs_one_request(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 1))
    sheets_server.clear_requests()
    for number in range(2, 6):
        tl.unwrap(send(http, book, number))
    assert [request.is_read for request in sheets_server.requests] == [False] * 4
    # Each has deleted the marker before it.
    assert list(markers(sheets_server, book)) == ["tierline_op-5"]


def test_a_lost_answer_costs_one_read_and_what_it_wrote_is_read_back(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    plain = msgspec.json.decode(tl.unwrap(send(http, book, 1)))
    sheets_server.clear_requests()
    sheets_server.inject(reset_after_apply())
    lost = msgspec.json.decode(tl.unwrap(send(http, book, 2)))
    asked = [request.query.get("fields") for request in sheets_server.requests]
    assert asked[1:] == [["spreadsheetId,namedRanges(namedRangeId,name)"], [_VALUES]]
    assert lost.keys() == plain.keys() == {"spreadsheetId", "updatedSpreadsheet"}
    assert lost["updatedSpreadsheet"].keys() == plain["updatedSpreadsheet"].keys()
    sheets_server.inject(reset_after_apply())
    without = send_batch(http, book, append(3), op_id="op-3")
    assert msgspec.json.decode(tl.unwrap(without)) == {"spreadsheetId": book}


def test_what_a_worksheet_is_read_by_is_read_back_by_default(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    for n, fault in enumerate((None, reset_after_apply())):
        if fault is not None:
            sheets_server.inject(fault)
        answered = send_batch(http, book, append(n), op_id=f"{n}", response_ranges=["Sheet1"])
        told = msgspec.json.decode(tl.unwrap(answered))["updatedSpreadsheet"]
        assert told["spreadsheetId"] == book
        assert len(told["sheets"][0]["data"][0]["rowData"]) == 2 + n


@pytest.mark.parametrize("lands", [True, False])
def test_an_outcome_that_nobody_tells_is_told_later(
    sheets_server: SheetsServer, moved: Time, *, lands: bool
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved, timeout_s=120)
    tl.unwrap(send(http, book, 1))
    # Every attempt fails, and so does every look; a landed one is refused the second time.
    sheets_server.inject(error_after_apply() if lands else reset_before_apply())
    sheets_server.inject(unavailable(times=10_000))
    error = send(http, book, 2).failure()
    assert isinstance(error, tl.OutcomeUnknownError)
    assert error.op_id == "op-2"
    assert "resolve()" in str(error)
    assert error.resolve(within_s=5) == Failure(error)
    sheets_server.clear_faults()
    assert error.resolve() == Success(lands)
    assert sheets_server.values(book) == ([[0], [1], [2]] if lands else [[0], [1]])
    # The answer stays, also when its marker has gone.
    moved.sleep(IN_FLIGHT_S + 1)
    tl.unwrap(send(http, book, 3))
    assert "tierline_op-2" not in markers(sheets_server, book)
    assert error.resolve() == Success(lands)


def test_what_is_told_not_to_have_happened_never_will(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 1))
    reached, arrives = threading.Event(), threading.Event()

    def late() -> None:
        reached.set()
        arrives.wait(240)

    # The server has the request and does not look at it yet; nothing else moves the clock.
    sheets_server.before_next(late, on="writes")
    sheets_server.inject(unavailable(times=10_000, on="reads"))
    impatient = SheetsHttp(
        http.session,
        LocalLimiter(SheetsQuota(), moved.clock),
        timeout_s=0.5,
        clock=moved.clock,
        sleep=moved.sleep,
    )
    impatient.marks = http.marks
    unknown = send(impatient, book, 2).failure()
    sheets_server.clear_faults()
    assert reached.wait(240)
    assert isinstance(unknown, tl.OutcomeUnknownError)
    assert unknown.resolve(within_s=240) == Success(False)
    sheets_server.clear_requests()
    arrives.set()
    _wait_for_a_request(sheets_server)
    assert [request.status for request in sheets_server.requests] == [400]
    assert sheets_server.values(book) == [[0], [1]]
    given_up = send(http, book, 2).failure()
    assert isinstance(given_up, tl.ConflictError)
    assert "another operation" in str(given_up)


def _wait_for_a_request(server: SheetsServer) -> None:
    for _ in range(24_000):
        if server.requests:
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_the_marker_of_what_may_still_arrive_is_kept(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    sheets_server.inject(reset_before_apply(on="writes"))
    tl.unwrap(send(http, book, 1))
    tl.unwrap(send(http, book, 2))
    assert set(markers(sheets_server, book)) == {"tierline_op-1", "tierline_op-2"}
    moved.sleep(IN_FLIGHT_S + 1)
    tl.unwrap(send(http, book, 3))
    assert set(markers(sheets_server, book)) == {"tierline_op-3"}


def _add_range(marker: str, name: str) -> dict[str, Any]:
    place = {"sheetId": 0, "startRowIndex": 0, "endRowIndex": 1}
    return {"addNamedRange": {"namedRange": {"namedRangeId": marker, "name": name, "range": place}}}


def test_markers_of_others_stay_for_a_day_and_other_ranges_for_ever(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    now_s = _DAY_1 + moved.now_s
    theirs = {
        marker_of("young"): name_of("young", now_s - 60),
        marker_of("renamed"): "Total",
        "tierline-like": name_of("foreign", now_s - KEEP_S - 60),
        "123": "Prices",
    }
    old = {marker_of("old"): name_of("old", now_s - KEEP_S - 60)}
    for marker, name in (theirs | old).items():
        sheets_server.edit(book, _add_range(marker, name))
    http = http_of(sheets_server, moved)
    for number in (1, 2, 3):
        tl.unwrap(send(http, book, number))
    assert markers(sheets_server, book).keys() == {*theirs, "tierline_op-3"}
    moved.sleep(KEEP_S)
    tl.unwrap(send(http, book, 4))
    assert markers(sheets_server, book).keys() == {*theirs, "tierline_op-4"} - {"tierline_young"}


def test_a_marker_that_others_have_deleted_stops_no_batch(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 1))
    sheets_server.edit(book, {"deleteNamedRange": {"namedRangeId": "tierline_op-1"}})
    assert shown(tl.unwrap(send(http, book, 2))) == [0, 1, 2]
    assert list(markers(sheets_server, book)) == ["tierline_op-2"]


def test_what_is_sent_again_after_a_crash_happens_once(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    for _ in range(3):
        # A process that knows nothing of those before it, but for the operation's id.
        assert shown(tl.unwrap(send(http_of(sheets_server, moved), book, 1))) == [0, 1]
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 2))
    assert shown(tl.unwrap(send(http, book, 1))) == [0, 1, 2]


def test_a_refusal_is_one_and_nothing_happened(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 1))
    bad = [*append(2), {"deleteSheet": {"sheetId": 77}}]
    assert isinstance(send_batch(http, book, bad, op_id="bad").failure(), tl.QueryError)
    sheets_server.inject(reset_before_apply(on="writes"))
    assert isinstance(send_batch(http, book, bad, op_id="bad").failure(), tl.QueryError)
    assert sheets_server.values(book) == [[0], [1]]
    # What it would have deleted is deleted by the next.
    tl.unwrap(send(http, book, 3))
    assert "tierline_op-1" not in markers(sheets_server, book)


def test_what_has_landed_and_cannot_be_read_back_is_no_failure_to_write(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved, timeout_s=120)
    tl.unwrap(send(http, book, 1))
    sheets_server.inject(reset_after_apply(), unavailable(times=10_000, on="reads", skip=1))
    error = send(http, book, 2).failure()
    assert isinstance(error, tl.OutcomeUnknownError)
    assert error.resolve() == Success(True)
    assert sheets_server.values(book) == [[0], [1], [2]]


def test_after_a_day_nobody_can_say(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved, timeout_s=120)
    tl.unwrap(send(http, book, 1))
    sheets_server.inject(reset_after_apply(), unavailable(times=10_000))
    error = send(http, book, 2).failure()
    assert isinstance(error, tl.OutcomeUnknownError)
    sheets_server.clear_faults()
    moved.sleep(KEEP_S)
    assert error.resolve() == Failure(error)


def test_a_certain_failure_after_an_ambiguous_one_is_ambiguous(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved, timeout_s=240)
    tl.unwrap(send(http, book, 1))
    sheets_server.inject(reset_before_apply(on="writes"), too_many_requests(100, on="writes"))
    error = send(http, book, 2).failure()
    assert isinstance(error, tl.OutcomeUnknownError)
    assert isinstance(error.__cause__, (tl.RateLimitedError, tl.TimeoutError))
    sheets_server.clear_faults()
    # The quota has to be waited for.
    assert error.resolve(within_s=240) == Success(False)


def test_certain_failures_are_told_as_they_are(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved, timeout_s=240)
    tl.unwrap(send(http, book, 1))
    sheets_server.inject(too_many_requests(100, on="writes"))
    # Which of them depends on what is left for a last pause.
    assert isinstance(send(http, book, 2).failure(), (tl.RateLimitedError, tl.TimeoutError))
    sheets_server.clear_faults()
    assert shown(tl.unwrap(send(http, book, 2))) == [0, 1, 2]
    assert isinstance(send(http, "1AbC", 2).failure(), tl.NotFoundError)


def test_threads_take_no_markers_from_each_other(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    sheets_server.inject(error_after_apply(), reset_before_apply(), reset_after_apply())
    begin = threading.Barrier(_THREADS)

    def work(first: int) -> None:
        begin.wait(240)
        for number in range(first, first + 5):
            tl.unwrap(send(http, book, number))

    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(work, 10 * n) for n in range(1, _THREADS + 1)]:
            done.result(240)
    numbers = sorted(row[0] for row in sheets_server.values(book))
    assert numbers == [0, *(10 * n + i for n in range(1, _THREADS + 1) for i in range(5))]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"spreadsheetId": "1A'])
def test_an_answer_that_cannot_be_read_is_a_lost_one(
    sheets_server: SheetsServer, moved: Time, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    tl.unwrap(send(http, book, 1))
    answers, ask = [body], http.ask

    def cut(*asked: Any, **options: Any) -> Any:
        answered = ask(*asked, **options)
        return Success(answers.pop()) if answers else answered

    # A proxy may end an answer as if it were whole.
    monkeypatch.setattr(http, "ask", cut)
    assert shown(tl.unwrap(send(http, book, 2))) == [0, 1, 2]
    assert answers == []


def test_an_error_of_no_operation_cannot_be_resolved() -> None:
    error = tl.OutcomeUnknownError("no answer")
    assert error.op_id is None
    assert error.resolve() == Failure(error)


def test_the_marker_lies_on_a_worksheet_that_is_there(
    sheets_server: SheetsServer, moved: Time
) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    sheets_server.edit(book, {"addSheet": {"properties": {"sheetId": 5, "title": "Five"}}})
    sheets_server.edit(book, {"deleteSheet": {"sheetId": 0}})
    http = http_of(sheets_server, moved)
    rows = [{"values": [{"userEnteredValue": {"numberValue": 1}}]}]
    requests = [
        {"addSheet": {"properties": {"sheetId": 6, "title": "Six"}}},
        {"appendCells": {"sheetId": 6, "rows": rows, "fields": "userEnteredValue"}},
        {"appendCells": {"sheetId": 5, "rows": rows, "fields": "userEnteredValue"}},
    ]
    tl.unwrap(send_batch(http, book, requests, op_id="six"))
    assert sheets_server.values(book, "Six") == [[1]]


@pytest.mark.parametrize("op_id", ["", "a b", "ä", "a" * 101, "a\n"])
def test_an_id_that_google_may_refuse_is_refused(
    sheets_server: SheetsServer, moved: Time, op_id: str
) -> None:
    http = http_of(sheets_server, moved)
    with pytest.raises(ValueError, match="an op_id is 1 to 100 letters"):
        send_batch(http, "1AbC", append(1), op_id=op_id)
    with pytest.raises(ValueError, match="at least one request"):
        send_batch(http, "1AbC", [], op_id="a")
    assert sheets_server.requests == []


def test_a_name_tells_when_it_was_made() -> None:
    assert made_at_s("tierline_a", name_of("a", 12.5)) == 12
    assert made_at_s("tierline_a", name_of("a", 12.5, void=True)) == 12
    assert made_at_s("other_a", name_of("a", 12.5)) is None
    assert made_at_s("tierline_a", "Total") is None


def test_a_marker_lies_on_a_worksheet_that_stays(sheets_server: SheetsServer, moved: Time) -> None:
    book = sheets_server.add_spreadsheet("Numbers", [[0]])
    http = http_of(sheets_server, moved)
    sheets_server.edit(book, {"addSheet": {"properties": {"sheetId": 77, "title": "old"}}})
    batch = [
        {"deleteSheet": {"sheetId": 77}},
        {"addSheet": {"properties": {"sheetId": 78, "title": "new"}}},
        *append(1),
    ]
    assert isinstance(send_batch(http, book, batch, op_id="first"), Success)
    assert list(markers(sheets_server, book)) == [marker_of("first")]
