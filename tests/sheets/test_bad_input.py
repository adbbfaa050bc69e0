"""Everything bad that can come in: each is an error that says what, where and what to do.

What is tested at length elsewhere is here once all the same, so that the list can be read in one
place. Rows that are sorted or moved between a read and a write are those of the repository's tests,
and what Google may have done although nobody heard of it those of `test_exactly_once.py`.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, NamedTuple

import gspread
import msgspec
import pytest
from returns.result import Success
from tests.sheets.birds import ROWS, Bird, birds_of
from tests.sheets.test_asking import Time
from tests.sheets.timed import http_of

import tierline as tl
from tierline.sheets.edits import Edit, Updated, requests_of
from tierline.sheets.marker import send_batch
from tierline.sheets.sheets import Sheets
from tierline.testing import SheetsServer
from tierline.testing.sheets import (
    Fault,
    api_disabled,
    delayed,
    robot_page,
    unavailable,
)
from tierline.testing.sheets.exchange import Reply

ROBOT = "robot@example.com"
BIG = 12_345_678_901_234_567


def _said(error: tl.RepositoryError, kind: type[tl.RepositoryError], *parts: str) -> None:
    assert isinstance(error, kind), error
    for part in parts:
        assert part in str(error), error
    # Where: which table, and what was asked of it.
    assert str(error.operation) in str(error)
    assert str(error.table) in str(error)


def _read(
    server: SheetsServer,
    sheet: tl.Sheet[Any, Any],
    credentials: Any = None,
    within_s: float = 3600.0,
) -> tl.RepositoryError:
    """The error of reading a worksheet."""
    with tl.open_sheets(credentials or server.client()) as sheets, tl.deadline(within_s):
        return sheets.fetch_all(tl.select(sheet)).failure()


def _read_rows(server: SheetsServer, rows: list[list[Any]], **options: Any) -> tl.RepositoryError:
    return _read(server, birds_of(server, rows, **options))


# Of the account.


def test_no_such_spreadsheet(sheets_server: SheetsServer) -> None:
    nowhere = tl.sheet("1" + "x" * 43, "Sheet1", Bird, key=lambda b: b.id)
    error = _read(sheets_server, nowhere)
    _said(error, tl.NotFoundError, "no such spreadsheet", "check the id, and share")


def test_no_access(sheets_server: SheetsServer) -> None:
    error = _read(sheets_server, birds_of(sheets_server), sheets_server.client("ada@example.com"))
    _said(error, tl.AccessDeniedError, "refuses the credentials' account", "share the spreadsheet")


def test_the_api_is_disabled(sheets_server: SheetsServer) -> None:
    sheets_server.inject(api_disabled())
    error = _read(sheets_server, birds_of(sheets_server))
    _said(error, tl.ConfigurationError, "is not enabled", "enable the Google Sheets API")


def _robot(server: SheetsServer, birds: tl.Sheet[Any, Any]) -> tuple[Any, gspread.Client]:
    key = server.service_account(ROBOT)
    server.share(birds.spreadsheet, ROBOT, "writer")
    return key, server.connect(gspread.service_account_from_dict(key))


def test_an_expired_token(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    _, client = _robot(sheets_server, birds)
    with tl.open_sheets(client) as sheets:
        assert isinstance(sheets.fetch_all(tl.select(birds)), Success)
        # A service account gets another by itself.
        sheets_server.revoke_tokens()
        assert isinstance(sheets.fetch_all(tl.select(birds)), Success)
    bare = sheets_server.client("ada@example.com")
    sheets_server.advance(3600)
    error = _read(sheets_server, birds, bare)
    _said(error, tl.AccessDeniedError, "have expired or are revoked", "make new ones")


def test_a_revoked_key(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    key, client = _robot(sheets_server, birds)
    sheets_server.revoke_key(key)
    error = _read(sheets_server, birds, client)
    _said(error, tl.AccessDeniedError, "gives no token", "download another key")


def _answers(status: int, content_type: str, body: bytes, on: str, times: int) -> Fault:
    reply = Reply(status, body, content_type)
    return Fault(name="answer", times=times, on="token" if on == "token" else "all", reply=reply)


def test_invalid_grant(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    _, client = _robot(sheets_server, birds)
    grant = json.dumps({"error": "invalid_grant", "error_description": "Bad Request"}).encode()
    # From where tokens come.
    sheets_server.inject(_answers(400, "application/json", grant, "token", 1))
    error = _read(sheets_server, birds, client)
    _said(error, tl.AccessDeniedError, "gives no token", "set it, or download another key")
    # In place of an answer, where an error is an object.
    sheets_server.inject(_answers(400, "application/json", b'{"error":"invalid_grant"}', "all", 1))
    _said(_read(sheets_server, birds), tl.QueryError, "refuses the request", "invalid_grant")


# Of the way to Google.


@pytest.mark.parametrize(
    ("fault", "status"),
    [(unavailable(times=99), "503"), (unavailable(times=99, status=502), "502")],
)
def test_an_html_page_of_an_error(sheets_server: SheetsServer, fault: Fault, status: str) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(fault)
    error = Sheets(http_of(sheets_server, Time(sheets_server))).read(birds).failure()
    assert isinstance(error, tl.ConnectionError)
    assert f"answers with {status}" in str(error)
    assert "try again later" in str(error)
    assert "<" not in str(error)


def test_an_html_page_of_a_quota(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(robot_page(times=99))
    http = http_of(sheets_server, Time(sheets_server), timeout_s=50)
    error = Sheets(http).read(birds).failure()
    assert isinstance(error, tl.RateLimitedError)
    assert "ask less often, or ask Google for more" in str(error)


def test_an_html_page_of_success(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(_answers(200, "text/html; charset=utf-8", b"<p>Log in</p>", "all", 99))
    error = Sheets(http_of(sheets_server, Time(sheets_server))).read(birds).failure()
    assert isinstance(error, tl.ConnectionError)
    assert "a page of text/html; is there a proxy that asks to log in?" in str(error)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"sheets": 7}', b"\xff"])
def test_json_that_is_none_of_googles(sheets_server: SheetsServer, body: bytes) -> None:
    birds = birds_of(sheets_server)
    sheets_server.inject(_answers(200, "application/json; charset=UTF-8", body, "all", 1))
    _said(_read(sheets_server, birds), tl.DecodeError, "cannot be read", "it was cut")


def test_a_server_that_never_answers(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    within_s = 0.2
    sheets_server.inject(delayed(3600))
    error = _read(sheets_server, birds, within_s=within_s)
    while sheets_server.faults_waiting:
        # The time was over before it was asked.
        within_s *= 3
        error = _read(sheets_server, birds, within_s=within_s)
    _said(error, tl.TimeoutError, "did not answer in time", "allow more")


# Of the worksheet as a whole.


def test_a_wrong_sheet_name(sheets_server: SheetsServer) -> None:
    book = birds_of(sheets_server).spreadsheet
    missing = tl.sheet(book, "Birds of prey", Bird, key=lambda b: b.id)
    error = _read(sheets_server, missing)
    _said(error, tl.SheetLayoutError, "no worksheet 'Birds of prey'; there are 'Sheet1'")


def test_an_empty_sheet(sheets_server: SheetsServer) -> None:
    error = _read_rows(sheets_server, [])
    _said(error, tl.SheetLayoutError, "A1", "row 1 has no headers", "write them, or set header_row")


def test_a_header_only(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server, [ROWS[0]])
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success([])


def test_merged_cells(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    sheets_server.client().open_by_key(birds.spreadsheet).sheet1.merge_cells("B3:B4")
    error = _read(sheets_server, birds)
    _said(error, tl.SheetLayoutError, "B3 (name)", "is merged; unmerge the cells")


def test_fifty_thousand_rows(sheets_server: SheetsServer) -> None:
    rows: list[list[Any]] = [ROWS[0], *([n, "x", ""] for n in range(50_000))]
    rows[40_000][0] = "many"
    birds = birds_of(sheets_server, rows)
    error = _read(sheets_server, birds)
    _said(error, tl.SheetLayoutError, "A40001 (id)", "the text 'many', not a whole number")
    assert len(sheets_server.requests) == 1


# Of rows and cells, when they are read.


class _Cell(NamedTuple):
    rows: list[list[Any]]
    where: str
    what: str
    to_do: str


_CELLS = {
    "duplicate ids": _Cell([[1, "owl"]], "A3 (id)", "row 2 has the same key", "one of its own"),
    "a pasted row without an id": _Cell([["", "owl"]], "A3 (id)", "is empty", "fill it in"),
    "pasted text": _Cell([["2 birds", "owl"]], "A3 (id)", "the text '2 birds'", "a whole number"),
    "seventeen digits": _Cell([[BIG, "owl"]], "A3 (id)", "over 15 digits", "keep it as plain text"),
    "a date of no format": _Cell(
        [[2, "owl", 46_082]], "C3 (seen)", "the number 46082, not a date", "format the column"
    ),
    "a date of another locale": _Cell(
        [[2, "owl", "31.12.2025"]], "C3 (seen)", "the text '31.12.2025'", "write it as 2026-03-01"
    ),
    "a formula": _Cell([[2, '="o"&"wl"']], "B3 (name)", "holds a formula", "put a value there"),
    "not a number": _Cell([["=0/0", "owl"]], "A3 (id)", "holds a formula", "put a value there"),
}


@pytest.mark.parametrize("name", list(_CELLS))
def test_a_cell_that_does_not_fit(sheets_server: SheetsServer, name: str) -> None:
    bad = _CELLS[name]
    error = _read_rows(sheets_server, [*ROWS[:2], *bad.rows])
    _said(error, tl.SheetLayoutError, bad.where, bad.what, bad.to_do)
    assert isinstance(error, tl.SheetLayoutError)
    assert f"{error.problems[0].cell} ({error.problems[0].header})" == bad.where


class Price(msgspec.Struct, frozen=True):
    id: int
    price: float


def _prices(server: SheetsServer, locale: str, typed: str) -> tl.Sheet[Price, int]:
    book = server.add_spreadsheet("Prices", [["id", "price"], [1, typed]], locale=locale)
    return tl.sheet(book, "Sheet1", Price, key=lambda p: p.id)


@pytest.mark.parametrize(
    ("locale", "typed", "price"), [("de_DE", "2,5", 2.5), ("en_US", "2.5", 2.5)]
)
def test_numbers_are_those_of_the_spreadsheets_locale(
    sheets_server: SheetsServer, locale: str, typed: str, price: float
) -> None:
    book = sheets_server.add_spreadsheet(
        "Prices", [["id", "price", "day"], [1, typed]], locale=locale
    )
    prices = tl.sheet(book, "Sheet1", Price, key=lambda p: p.id)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(prices)) == Success([Price(1, price)])


@pytest.mark.parametrize(("locale", "typed"), [("de_DE", "2.5x"), ("en_US", "2,5 EUR")])
def test_a_wrong_locale(sheets_server: SheetsServer, locale: str, typed: str) -> None:
    book = sheets_server.add_spreadsheet(
        "Prices", [["id", "price", "day"], [1, typed]], locale=locale
    )
    prices = tl.sheet(book, "Sheet1", Price, key=lambda p: p.id)
    error = _read(sheets_server, prices)
    _said(
        error,
        tl.SheetLayoutError,
        "B2 (price)",
        f"the text {typed!r}",
        "as the spreadsheet's locale",
    )


def test_dates_before_1900(sheets_server: SheetsServer) -> None:
    rows = [ROWS[0], [1, "dodo", "'1662-07-01"], [2, "auk", "1899-12-30"]]
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = tl.unwrap(sheets.fetch_all(tl.select(birds)))
    assert [bird.seen for bird in found] == [dt.date(1662, 7, 1), dt.date(1899, 12, 30)]


# Of values, when they are written.


class Wide(msgspec.Struct, frozen=True):
    id: int
    text: str = ""
    number: float = 0.0
    big: int = 0
    day: dt.date | None = None


@pytest.fixture
def wide(sheets_server: SheetsServer) -> tl.Sheet[Wide, int]:
    book = sheets_server.add_spreadsheet(
        "Wide", [["id", "text", "number", "big", "day"], [1, "", 0, 0]]
    )
    return tl.sheet(book, "Sheet1", Wide, key=lambda w: w.id)


def _written(
    server: SheetsServer, wide: tl.Sheet[Wide, int], row: Wide, client: Any = None
) -> tl.Result[bytes, tl.RepositoryError]:
    http = http_of(server, Time(server))
    found = tl.unwrap(Sheets(http).read(wide))
    values = wide.validator.values(row)
    requests = requests_of(wide, found, Edit(created=[values]))
    if client is not None:
        http.session = client.http_client.session
    return send_batch(http, wide.spreadsheet, requests, op_id="a")


@pytest.mark.parametrize(
    ("row", "field", "what", "to_do"),
    [
        (Wide(2, text="x" * 50_001), "text", "50001 characters", "keep it elsewhere, or in parts"),
        (Wide(2, text="\N{OWL}" * 25_001), "text", "50002 characters", "a cell holds 50000"),
        (Wide(2, number=float("nan")), "number", "is nan", "use None or a number"),
        (Wide(2, number=float("-inf")), "number", "is -inf", "use None or a number"),
    ],
)
def test_a_value_that_no_cell_holds(
    sheets_server: SheetsServer,
    wide: tl.Sheet[Wide, int],
    row: Wide,
    field: str,
    what: str,
    to_do: str,
) -> None:
    with pytest.raises(tl.ValidationError, match=to_do) as refused:
        _written(sheets_server, wide, row)
    (problem,) = refused.value.errors
    assert (problem.path, what in problem.problem) == (field, True)
    assert refused.value.table == "Sheet1"
    assert len(sheets_server.values(wide.spreadsheet)) == 2


@pytest.mark.parametrize(
    "row",
    [
        Wide(2, text="x" * 50_000),
        Wide(2, big=BIG),
        Wide(2, big=-(2**63)),
        Wide(2, day=dt.date(1662, 7, 1)),
        Wide(2, day=dt.date(1, 1, 1)),
        Wide(2, text='=IMPORTXML("http://x","//y")'),
    ],
    ids=["50,000 characters", "17 digits", "19 digits", "1662", "the year 1", "a formula's text"],
)
def test_a_value_at_the_edge_comes_back(
    sheets_server: SheetsServer, wide: tl.Sheet[Wide, int], row: Wide
) -> None:
    assert isinstance(_written(sheets_server, wide, row), Success)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert tl.unwrap(sheets.fetch_all(tl.select(wide)))[-1] == row
    assert sheets_server.formulas(wide.spreadsheet) == {}


def test_a_protected_cell(sheets_server: SheetsServer, wide: tl.Sheet[Wide, int]) -> None:
    _, robot = _robot(sheets_server, wide)
    sheet = sheets_server.client().open_by_key(wide.spreadsheet).sheet1
    sheet.add_protected_range("A1:E100")
    error = _written(sheets_server, wide, Wide(2), robot).failure()
    assert isinstance(error, tl.QueryError)
    assert "protected cell" in str(error)
    assert "contact the spreadsheet owner to remove protection" in str(error)
    assert len(sheets_server.values(wide.spreadsheet)) == 2


def test_the_limit_of_the_grid(sheets_server: SheetsServer, wide: tl.Sheet[Wide, int]) -> None:
    http = http_of(sheets_server, Time(sheets_server))
    found = tl.unwrap(Sheets(http).read(wide))
    before, after = (wide.validator.values(Wide(1, text=text)) for text in ("", "x"))
    # The worksheet has become smaller since it was read.
    requests = requests_of(wide, found, Edit(updated=[Updated(1_001, before, after)]))
    error = send_batch(http, wide.spreadsheet, requests, op_id="a").failure()
    assert isinstance(error, tl.QueryError)
    assert "Range (Sheet1!B1001) exceeds grid limits. Max rows: 1000" in str(error)
    # More than a spreadsheet may hold.
    grow = {"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 500_000}}
    error = send_batch(http, wide.spreadsheet, [grow], op_id="b").failure()
    assert isinstance(error, tl.QueryError)
    assert "above the limit of 10000000 cells" in str(error)


@pytest.mark.parametrize(
    ("row", "kind", "parts"),
    [
        (Wide(1), tl.DuplicateError, ["1"]),
        (Wide(2, text="x" * 50_001), tl.ValidationError, ["text", "50001 characters"]),
        (Wide(2, number=float("nan")), tl.ValidationError, ["number", "is nan"]),
        (Wide(2, text="not mine"), tl.RepositoryError, ["protected cell"]),
    ],
    ids=["duplicate id", "50,001 characters", "NaN", "protected"],
)
def test_what_a_repository_refuses(
    sheets_server: SheetsServer,
    wide: tl.Sheet[Wide, int],
    row: Wide,
    kind: type[tl.RepositoryError],
    parts: list[str],
) -> None:
    _, robot = _robot(sheets_server, wide)
    if row.text == "not mine":
        sheet = sheets_server.client().open_by_key(wide.spreadsheet).sheet1
        sheet.add_protected_range("A1:E100")
    with tl.open_sheets(robot, write=True) as sheets:
        error = tl.repository(sheets, wide).create(row).failure()
    _said(error, kind, *parts)
    assert len(sheets_server.values(wide.spreadsheet)) == 2
