"""Reading many cells together: the same as one by one, whatever they hold."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success
from tests.sheets.birds import BIRDS, ROWS, Bird, birds_of

import tierline as tl
from tierline.sheets.grid import (
    Book,
    Cell,
    CellErrorValue,
    CellFormat,
    CellValue,
    Entered,
    EnteredCell,
    NumberFormat,
    read_book,
)
from tierline.sheets.reading_cells import EXACT_MAX, UnfitCellError, cell_reader
from tierline.sheets.reading_columns import column_reader, is_plain, values_of
from tierline.sheets.snapshot import snapshot
from tierline.testing import SheetsServer


class Kinds(msgspec.Struct, frozen=True):
    """A field of every kind that is read together, and of some that are not."""

    id: int
    count: int | None
    text: str
    note: str | None
    ratio: float
    share: float | None
    flag: bool
    maybe: bool | None
    day: dt.date
    until: dt.date | None
    at: dt.datetime | None
    money: Decimal | None


_TABLE = tl.sheet("1AbC", "Kinds", Kinds, key=lambda k: k.id)
_UTC = ZoneInfo("UTC")

_VALUES = st.one_of(
    st.none(),
    st.builds(CellValue, numberValue=st.sampled_from([0.0, 1.0, -3.0, 46082.0, 0.5, 46082.25])),
    st.builds(CellValue, numberValue=st.sampled_from([1e15, -1e15, 1e300, 9e9, float(EXACT_MAX)])),
    st.builds(CellValue, stringValue=st.sampled_from(["", "heron", "7", "2026-03-01", "TRUE"])),
    st.builds(CellValue, boolValue=st.booleans()),
    st.builds(CellValue, errorValue=st.builds(CellErrorValue)),
)
_FORMATS = st.one_of(
    st.none(),
    st.builds(CellFormat),
    st.sampled_from(["DATE", "TIME", "DATE_TIME", "PERCENT", ""]).map(
        lambda kind: CellFormat(NumberFormat(kind))
    ),
)
_ENTERED = st.sampled_from([None, Entered(), Entered("=1+1")])
_CELLS = st.builds(EnteredCell, _VALUES, _FORMATS, _ENTERED)


@st.composite
def _columns(draw: st.DrawFn) -> list[EnteredCell]:
    """Most cells alike, as in a worksheet, so that whole columns are; or none like another."""
    usual = draw(st.one_of(st.just(_CELLS), st.lists(_CELLS, min_size=1, max_size=3).map(
        st.sampled_from
    )))  # fmt: skip
    return draw(st.lists(usual, max_size=8))


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("column", _TABLE.columns, ids=lambda column: column.field)
@given(cells=_columns())
def test_many_cells_are_read_as_one_by_one(
    column: Any, cells: list[EnteredCell], *, computed: bool
) -> None:
    one = cell_reader(column, _UTC, computed=computed)
    many = column_reader(column, one, may_be_computed=computed)
    try:
        wanted = [(type(value), value) for value in map(one, cells)]
    except UnfitCellError:
        assert many(cells, values_of(cells)) is None
        return
    found = many(cells, values_of(cells))
    assert found is not None
    assert [(type(value), value) for value in found] == wanted


def _body(*rows: list[dict[str, Any]] | dict[str, Any]) -> bytes:
    header = [{"effectiveValue": {"stringValue": text}} for text in ("id", "name", "seen")]
    data = [{"values": row} if isinstance(row, list) else row for row in (header, *rows)]
    sheet = {"properties": {"title": "Sheet1"}, "data": [{"rowData": data}]}
    return json.dumps({"sheets": [sheet]}).encode()


def _row(number: int, name: str = "owl", **entered: str) -> list[dict[str, Any]]:
    return [
        {"effectiveValue": {"numberValue": number}, "userEnteredValue": entered},
        {"effectiveValue": {"stringValue": name}, "userEnteredValue": {}},
    ]


_BIRDS_AT = tl.sheet("1AbC", "Sheet1", Bird, key=lambda b: b.id)
_MANY = 2500


def _read(body: bytes) -> tuple[Book, Any]:
    book = read_book(body)
    return book, snapshot(_BIRDS_AT, book)


def test_rows_of_a_large_worksheet_are_decoded_where_they_are_read() -> None:
    rows: list[Any] = [_row(number) for number in range(2, _MANY)]
    # Nothing, nothing again, a cell short of it, and one in a column of nobody's.
    rows[100:100] = [{}, [], _row(100_000)[:1], [{}, {}, {}, _row(1)[0]]]
    rows[1000] = _row(7777, "x")[1:]
    book, found = _read(_body(*rows))
    assert [one.cell for one in found.problems] == ["A1002"]
    assert found.problems[0].problem.startswith("is the text 'x', not a whole number")
    assert len(found.rows) == len(rows) - 4
    assert (found.numbers[0], found.numbers[-1]) == (2, len(rows) + 1)
    assert found.numbers[99:102] == [101, 104, 106]
    assert found.rows[100] == Bird(100_000, "", None)
    assert book.sheets[0].data[0].rowData[1].values[1].effectiveValue == CellValue(None, "owl")


@pytest.mark.parametrize("count", [1, _MANY])
def test_a_formula_is_found_wherever_it_is(count: int) -> None:
    # The name of a formula's field as a text is none.
    rows = [_row(number, '"formulaValue":') for number in range(2, count + 2)]
    book, found = _read(_body(*rows))
    assert found.problems == ()
    assert book.sheets[0].data[0].may_have_formulas is False
    rows[count // 2] = _row(1, formulaValue="=2-1")
    _, found = _read(_body(*rows))
    [problem] = found.problems
    assert problem.cell == f"A{count // 2 + 2}"
    assert problem.problem.startswith("holds a formula")


@pytest.mark.parametrize("count", [1, _MANY])
def test_what_is_no_row_is_told(count: int) -> None:
    rows: list[Any] = [*[_row(number) for number in range(2, count + 2)], {"values": 5}]
    with pytest.raises((tl.DecodeError, msgspec.DecodeError)):
        _read(_body(*rows))


def test_what_is_no_row_is_a_failure_of_the_read(
    sheets_server: SheetsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    birds = birds_of(sheets_server)
    rows: list[Any] = [*[_row(number) for number in range(2, _MANY)], {"values": 5}]
    with tl.open_sheets(sheets_server.client()) as sheets:
        monkeypatch.setattr("tierline.sheets.sheets.read_book", lambda _: read_book(_body(*rows)))
        found = sheets.fetch_all(tl.select(birds))
    assert isinstance(found.failure(), tl.DecodeError)


class Notes(msgspec.Struct, frozen=True):
    """What may be empty."""

    id: int
    name: str
    note: str | None = None
    count: int | None = None
    raw: bytes = b""


def test_empty_cells_are_none_where_they_may_be(sheets_server: SheetsServer) -> None:
    rows = [["id", "name", "note", "count", "raw"], [1], [2, "owl", "seen", 3, "AA=="], [3, "x"]]
    book = sheets_server.add_spreadsheet("Notes", rows)
    notes = tl.sheet(book, "Sheet1", Notes, key=lambda n: n.id)
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(notes)) == Success(
            [Notes(1, ""), Notes(2, "owl", "seen", 3, b"\0"), Notes(3, "x")]
        )


class Placed(msgspec.Struct, frozen=True, rename="camel"):
    """A key of two columns, whose names are others than their fields'."""

    grid_row: int
    grid_column: int


def test_keys_have_names_of_fields_and_columns(sheets_server: SheetsServer) -> None:
    rows = [["gridRow", "gridColumn"], [1, 2], [1, 3], [1, 2]]
    book = sheets_server.add_spreadsheet("Placed", rows)
    placed = tl.sheet(
        book, "Sheet1", Placed, key=lambda p: (p.grid_row, p.grid_column), bad_rows="skip"
    )
    with tl.open_sheets(sheets_server.client()) as sheets:
        assert sheets.fetch_all(tl.select(placed)) == Success([Placed(1, 2), Placed(1, 3)])


class Checked(msgspec.Struct, frozen=True):
    """A rule of a field's type."""

    id: int
    count: Annotated[int, msgspec.Meta(ge=0)]


class Chosen(msgspec.Struct, frozen=True):
    """Some values only."""

    id: int
    size: Literal["s", "m"] | None


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Built by names only."""

    id: int


class Refusing(msgspec.Struct, frozen=True):
    """A rule of its own."""

    id: int

    def __post_init__(self) -> None:
        if self.id == 13:
            raise ValueError("thirteen")


class Plain(msgspec.Struct, frozen=True):
    """Nothing left to check."""

    id: int
    ref: uuid.UUID | None


def test_entities_with_rules_are_checked(sheets_server: SheetsServer) -> None:
    plain = {
        made: is_plain(tl.sheet("1AbC", "S", made, key=lambda m: m.id))
        for made in (Bird, Kinds, Plain, Checked, Chosen, Named, Refusing)
    }
    assert [made for made, is_so in plain.items() if is_so] == [Bird, Kinds, Plain]
    wrong: list[tuple[Any, list[list[Any]]]] = [
        (Checked, [["id", "count"], [1, 1], [2, -1]]),
        (Chosen, [["id", "size"], [1, "s"], [2, "l"]]),
        (Refusing, [["id"], [1], [13]]),
    ]
    with tl.open_sheets(sheets_server.client()) as sheets:
        for made, rows in wrong:
            book = sheets_server.add_spreadsheet("Rules", rows)
            table = tl.sheet(book, "Sheet1", made, key=lambda m: m.id, bad_rows="skip")
            assert len(tl.unwrap(sheets.fetch_all(tl.select(table)))) == 1
        book = sheets_server.add_spreadsheet("Names", [["id"], [1]])
        named = tl.sheet(book, "Sheet1", Named, key=lambda n: n.id)
        assert sheets.fetch_all(tl.select(named)) == Success([Named(id=1)])


def test_rows_of_a_large_worksheet_are_the_rows_of_the_server(sheets_server: SheetsServer) -> None:
    rows = [ROWS[0], *([n, f"bird {n}", "2026-03-01"] for n in range(4, 1500)), *ROWS[1:]]
    birds = birds_of(sheets_server, rows)
    with tl.open_sheets(sheets_server.client()) as sheets:
        found = tl.unwrap(sheets.fetch_all(tl.select(birds)))
    assert len(found) == len(rows) - 1
    assert found[0] == Bird(4, "bird 4", dt.date(2026, 3, 1))
    assert found[-3:] == BIRDS


def test_a_cell_of_an_answer_without_formulas_is_none() -> None:
    assert Cell().formula is None
    assert EnteredCell().formula is None
    assert EnteredCell(userEnteredValue=Entered("=1")).formula == "=1"
