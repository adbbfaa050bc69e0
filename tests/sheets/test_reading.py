"""Reading a worksheet as a table: typed, whole, in one request."""

from __future__ import annotations

import datetime as dt
import enum
import threading
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from returns.result import Failure, Success
from tests.sheets.birds import BIRDS, ROWS, Bird, birds_of

import tierline as tl
from tierline.testing import SheetsServer


def _problems(found: tl.Result[Any, tl.RepositoryError]) -> dict[str, str]:
    error = found.failure()
    assert isinstance(error, tl.SheetLayoutError), error
    return {one.cell: one.problem for one in error.problems}


def test_a_worksheet_is_read_in_one_request(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
    assert len(sheets_server.requests) == 1


def test_queries_run_on_it(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    named = tl.select(birds, where=lambda b: b.name == tl.param("name", str))
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_one(named, name="owl") == Success(BIRDS[1])
        assert sheets.fetch_maybe(named, name="wren") == Success(None)
        assert isinstance(sheets.fetch_one(named, name="wren").failure(), tl.NotFoundError)
        assert isinstance(sheets.fetch_one(tl.select(birds)).failure(), tl.QueryError)
        assert sheets.count(tl.select(birds, where=lambda b: b.id > 1)) == Success(2)
        assert sheets.exists(named, name="lark") == Success(True)
        rows = tl.param("rows", int)
        some = tl.select(birds, order_by=lambda b: tl.desc(b.id), limit=rows)
        assert sheets.fetch_all(some, rows=2) == Success([BIRDS[2], BIRDS[1]])
        with pytest.raises(TypeError, match="needs the parameters name"):
            sheets.fetch_all(named)
        with pytest.raises(ValueError, match="must not be negative"):
            sheets.fetch_all(some, rows=-1)


def test_worksheets_of_one_spreadsheet_are_joined_from_one_request(
    sheets_server: SheetsServer,
) -> None:
    birds = birds_of(sheets_server)
    book = sheets_server.client().open_by_key(birds.spreadsheet)
    book.add_worksheet("More", 10, 3).update([["id", "name", "seen"], [3, "wren"], [4, "x"]])
    more = tl.sheet(birds.spreadsheet, "More", Bird, key=lambda b: b.id)
    joined = tl.join(birds, more, on=lambda a, b: a.id == b.id)
    names = tl.project(joined, lambda a, b: (a.name, b.name))
    sheets_server.clear_requests()
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(names) == Success([("lark", "wren")])
    assert len(sheets_server.requests) == 1


def test_reads_of_one_moment_are_one_request(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    found: list[Any] = []
    with tl.open_sheets(sheets_server.client()) as sheets:
        # Whoever comes first waits for the others; all are here before it stops waiting.
        begin = threading.Barrier(8)

        def read() -> None:
            begin.wait()
            found.append(sheets.fetch_all(tl.select(birds)))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [Success(BIRDS)] * 8
    assert len(sheets_server.requests) < 8


def test_columns_are_found_by_their_header_wherever_they_stand(
    sheets_server: SheetsServer,
) -> None:
    rows = [["note", " seen ", "", "name", "id"], ["x", "2026-03-01", 7, "heron", 1]]
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS[:1])


def test_headers_may_have_other_names_and_stand_below(sheets_server: SheetsServer) -> None:
    rows = [["Our birds"], [], ["Nr.", "Name", "Last seen"], [1, "heron", "2026-03-01"]]
    headers = {"id": "Nr.", "name": "Name", "seen": "Last seen"}
    birds = birds_of(sheets_server, rows, headers=headers, header_row=3)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS[:1])


def test_blank_rows_are_nothing(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server, [ROWS[0], [], ROWS[1], ["", "", "", "a note"], ROWS[2]])
    with tl.open_sheets(sheets_server.client()) as sheets:
        view = tl.unwrap(sheets.view(birds))
        assert view.rows == BIRDS[:2]
        assert view.numbers == [3, 5]
        assert view.problems == ()
        assert repr(view).startswith("<SheetView 2 rows, 0.")


@pytest.mark.parametrize("rows", [[ROWS[0]], [[*ROWS[0], "more"], []]])
def test_a_worksheet_with_headers_only_has_no_rows(
    sheets_server: SheetsServer, rows: list[list[Any]]
) -> None:
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success([])


@pytest.mark.parametrize(
    ("rows", "cell", "problem"),
    [
        ([], "A1", "row 1 has no headers"),
        ([["id", "name"]], "C1", "no column of row 1 has this header"),
        ([["id", "name", "Seen at"]], "C1", "was it renamed to 'Seen at'"),
        ([["id", "name", "seen", "name"]], "D1", "columns B and D have the same header"),
        ([["Our birds"], ROWS[0]], "A2", "the headers stand in row 2, not in row 1"),
    ],
)
def test_headers_that_do_not_fit_are_told_by_their_place(
    sheets_server: SheetsServer, rows: list[list[Any]], cell: str, problem: str
) -> None:
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = sheets.fetch_all(tl.select(birds))
        assert problem in _problems(found)[cell]
        told = tl.unwrap(sheets.check(birds))
        assert any(problem in one.problem for one in told)


@pytest.mark.parametrize(
    ("row", "cell", "problem"),
    [
        (["x", "owl", ""], "A3", "is the text 'x', not a whole number"),
        (["", "owl", ""], "A3", "is empty"),
        ([2.5, "owl", ""], "A3", "is the number 2.5, not a whole number"),
        (["2026-01-01", "owl", ""], "A3", "is shown as a date"),
        ([True, "owl", ""], "A3", "TRUE/FALSE"),
        ([12345678901234567, "owl", ""], "A3", "over 15 digits"),
        ([1, "owl", ""], "A3", "row 2 has the same key"),
        ([2, "2026-01-01", ""], "B3", "not a text"),
        ([2, "owl", 2020], "C3", "is the number 2020, not a date"),
        ([2, "owl", "31.12.2025"], "C3", "is the text '31.12.2025', not a date"),
        ([2, "owl", "2026-03-01 12:00:00"], "C3", "not a date"),
        ([2, '=UPPER("owl")', ""], "B3", "holds a formula"),
        ([2, "owl", "=1/0"], "C3", "holds a formula"),
    ],
)
def test_cells_that_do_not_fit_are_told_by_their_place(
    sheets_server: SheetsServer, row: list[Any], cell: str, problem: str
) -> None:
    birds = birds_of(sheets_server, [*ROWS[:2], row, ROWS[3]])
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = sheets.fetch_all(tl.select(birds))
        assert problem in _problems(found)[cell]
        assert problem in {one.cell: one.problem for one in tl.unwrap(sheets.check(birds))}[cell]


def test_rows_that_do_not_fit_may_be_skipped(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server, [*ROWS, ["x", "wren", ""]], bad_rows="skip")
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        assert [one.cell for one in tl.unwrap(sheets.view(birds)).problems] == ["A5"]


class Sum(msgspec.Struct, frozen=True):
    id: int
    amount: float
    double: float


def test_computed_fields_are_read_and_their_errors_told(sheets_server: SheetsServer) -> None:
    rows = [["id", "amount", "double"], [1, 2, "=B2*2"], [2, 3, "=B3/0"]]
    book = sheets_server.add_spreadsheet("Sums", rows)
    sums = tl.sheet(book, "Sheet1", Sum, key=lambda s: s.id, computed=lambda s: s.double)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert "has the error DIVIDE_BY_ZERO" in _problems(sheets.fetch_all(tl.select(sums)))["C3"]
        view = tl.unwrap(sheets.view(sums))
        assert view.rows == [Sum(1, 2.0, 4.0)]


def test_merged_cells_are_told(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    sheets_server.client().open_by_key(birds.spreadsheet).sheet1.merge_cells("B3:B4")
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = _problems(sheets.fetch_all(tl.select(birds)))
    assert found["B3"] == "is merged; unmerge the cells"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Wide(msgspec.Struct, frozen=True):
    key: str
    number: float
    money: Decimal
    on: bool
    colour: Colour
    size: Literal[1, 2]
    tags: list[str]
    extra: dict[str, int]
    guid: uuid.UUID
    raw: bytes
    at: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    time: dt.time
    span: dt.timedelta


def test_every_type_has_a_cell(sheets_server: SheetsServer) -> None:
    guid = uuid.UUID(int=7)
    names = [field.name for field in msgspec.structs.fields(Wide)]
    # An apostrophe is how a person says that what follows is text.
    typed = ["'007", 2.5, "'1.10", True, "red", 2, '["a"]', '{"a": 1}', str(guid), "AAE=",
             "2026-07-01 12:00:00", "2026-07-01 12:00:00", "09:30:00", "'PT90S"]  # fmt: skip
    book = sheets_server.add_spreadsheet("Wide", [names, typed], time_zone="Europe/Berlin")
    wide = tl.sheet(book, "Sheet1", Wide, key=lambda w: w.key)
    noon = dt.datetime(2026, 7, 1, 12)  # noqa: DTZ001
    expected = Wide(
        "007", 2.5, Decimal("1.10"), True, Colour.RED, 2, ["a"], {"a": 1}, guid, b"\x00\x01",
        dt.datetime(2026, 7, 1, 10, tzinfo=dt.UTC), noon, dt.time(9, 30), dt.timedelta(seconds=90),
    )  # fmt: skip
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(wide)) == Success([expected])


class Small(msgspec.Struct, frozen=True):
    id: Annotated[int, msgspec.Meta(ge=1)]
    code: Annotated[str, msgspec.Meta(max_length=3)]


def test_rules_of_a_type_are_kept(sheets_server: SheetsServer) -> None:
    book = sheets_server.add_spreadsheet("Small", [["id", "code"], [0, "abc"], [1, "abcd"]])
    small = tl.sheet(book, "Sheet1", Small, key=lambda s: s.id)
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = _problems(sheets.fetch_all(tl.select(small)))
    assert found == {
        "A2": "Expected `int` >= 1",
        "B3": "Expected `str` of length <= 3",
    }


def test_fifty_thousand_rows_are_one_request(sheets_server: SheetsServer) -> None:
    rows: list[list[Any]] = [["id", "name", "seen"], *([n, "x", ""] for n in range(50_000))]
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert len(tl.unwrap(sheets.fetch_all(tl.select(birds)))) == 50_000
    assert len(sheets_server.requests) == 1


def test_what_is_not_there_is_told(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    elsewhere = tl.sheet("nope", "Sheet1", Bird, key=lambda b: b.id)
    missing = tl.sheet(birds.spreadsheet, "Birds of prey", Bird, key=lambda b: b.id)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert isinstance(sheets.fetch_all(tl.select(elsewhere)).failure(), tl.NotFoundError)
        error = sheets.fetch_all(tl.select(missing)).failure()
        assert isinstance(error, tl.SheetLayoutError)
        assert "no worksheet 'Birds of prey'; there are 'Sheet1'" in str(error)
        # One that is there is read although another that was asked for with it is not.
        assert isinstance(sheets.fetch_all(tl.select(birds)), Success)


def test_a_store_reads_sheets_too(sheets_server: SheetsServer, pg_url: str) -> None:
    birds = birds_of(sheets_server)
    query = tl.select(birds, where=lambda b: b.id > 2)
    with (
        tl.open(pg_url) as store,
        pytest.raises(TypeError, match="open the store with sheets="),
    ):
        store.fetch_all(query)
    with tl.open(pg_url, sheets=tl.open_sheets(sheets_server.client())) as store:
        assert "Google Sheets" in repr(store)
        assert store.fetch_all(query) == Success([BIRDS[2]])
        assert store.count(query) == Success(1)
        with pytest.raises(TypeError, match="is a sheet, not a table of the database"):
            store.create_table(birds)
        with pytest.raises(TypeError, match="is a sheet, not a table of the database"):
            store.execute(tl.insert(birds, BIRDS[0]))
        with pytest.raises(TypeError, match="this store does not write spreadsheets"):
            tl.repository(store, birds)
        tables = tl.table(Bird, name="birds", key=lambda b: b.id)
        both = tl.join(birds, tables, on=lambda a, b: a.id == b.id)
        with pytest.raises(TypeError, match="reads sheets or tables, not both"):
            store.fetch_all(both)
        with pytest.raises(TypeError, match="transactions read no sheets"):
            store.transaction(lambda tx: tx.fetch_all(query))


def test_mistakes_are_told(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    plain = tl.table(Bird, name="birds", key=lambda b: b.id)
    with tl.open_sheets(sheets_server.client()) as sheets:
        with pytest.raises(TypeError, match="is a table of a database"):
            sheets.fetch_all(tl.select(plain))
        with pytest.raises(TypeError, match=r"takes a sheet made by tl\.sheet"):
            sheets.view(plain)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            sheets.fetch_all(birds)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cache takes tl\.read_through"):
        tl.open_sheets(sheets_server.client(), cache=60)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="service account's key file"):
        tl.open_sheets(7)  # type: ignore[arg-type]
    assert isinstance(tl.connect_sheets("no/such/key.json"), Failure)
    assert isinstance(tl.connect_sheets({"type": "nothing"}).failure(), tl.ConfigurationError)
    with pytest.raises(tl.ConfigurationError, match="timeout_s must be positive"):
        tl.open_sheets(sheets_server.client(), timeout_s=0)
