"""What is written, and what is read back: entered and raw values, shown and unshown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import gspread
import pytest
from gspread.exceptions import APIError
from hypothesis import given
from hypothesis import strategies as st

from tierline.testing.sheets import SheetsServer
from tierline.testing.sheets.entered import read
from tierline.testing.sheets.ranges import Box, column_index, column_name, parse_cells
from tierline.testing.sheets.serials import moment, serial

EPOCH = moment(0)


@pytest.mark.parametrize(
    ("value", "formatted", "unformatted"),
    [
        ("0042", "42", 42),
        ("007", "7", 7),
        ("'007", "007", "007"),
        ("2,000,000.01", "2,000,000.01", 2000000.01),
        ("1,23", "1,23", "1,23"),
        ("2020-01-01", "2020-01-01", 43831),
        ("1/2/2020", "1/2/2020", 43832),
        ("2020-01-01 12:00:00", "2020-01-01 12:00:00", 43831.5),
        ("6:30", "6:30", 0.2708333333333333),
        ("1899-12-29", "1899-12-29", -1),
        ("2020-13-01", "2020-13-01", "2020-13-01"),
        ("50%", "50%", 0.5),
        ("$1.50", "$1.50", 1.5),
        ("1e3", "1.00E+03", 1000),
        ("3_1_0", "3_1_0", "3_1_0"),
        ("true", "TRUE", True),
        ("nan", "nan", "nan"),
        ("inf", "inf", "inf"),
        ("٣", "٣", "٣"),
        ("=1/1024", "0.0009765625", 0.0009765625),
        ("=1/3", "0.3333333333", 1 / 3),
        ("=1/0", "#DIV/0!", "#DIV/0!"),
        ("=NOPE()", "#NAME?", "#NAME?"),
        ('="a"&"b"', "ab", "ab"),
        ("=(", "#ERROR!", "#ERROR!"),
        ("+1+1", "2", 2),
        ("=A1", "#REF!", "#REF!"),
        (1.45, "1.45", 1.45),
        (True, "TRUE", True),
    ],
)
def test_what_a_person_would_have_typed(
    sheet: gspread.Worksheet, value: Any, formatted: str, unformatted: Any
) -> None:
    sheet.update([[value]], "A1", raw=False)
    found = sheet.acell("A1", value_render_option="UNFORMATTED_VALUE").value
    assert (found, type(found)) == (unformatted, type(unformatted))
    assert sheet.acell("A1").value == formatted


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "0042", "2020-01-01", "TRUE", "'x"])
def test_raw_texts_stay_texts(
    sheets_server: SheetsServer, sheet: gspread.Worksheet, value: str
) -> None:
    sheet.update([[value]], "A1", raw=True)
    assert sheets_server.values(sheet.spreadsheet_id) == [[value]]
    assert sheets_server.formulas(sheet.spreadsheet_id) == {}


def test_formulas_are_told_as_formulas(
    sheets_server: SheetsServer, sheet: gspread.Worksheet
) -> None:
    sheet.update([[2, "=A1*21"], ["=SUM(A1:B1)", "=HYPERLINK(A1)"]], "A1", raw=False)
    assert sheet.get("A1:B2") == [["2", "42"], ["44", "#NAME?"]]
    assert sheet.get("B1", value_render_option="FORMULA") == [["=A1*21"]]
    assert list(sheets_server.formulas(sheet.spreadsheet_id)) == [
        "Sheet1!B1", "Sheet1!A2", "Sheet1!B2",
    ]  # fmt: skip


def test_numbers_are_doubles(sheets_server: SheetsServer, sheet: gspread.Worksheet) -> None:
    sheet.update([[12345678901234567]], "A1")
    assert sheets_server.values(sheet.spreadsheet_id) == [[12345678901234568]]
    assert sheet.acell("A1").value == "1.23457E+16"


def test_dates_are_texts_only_where_that_is_asked(sheet: gspread.Worksheet) -> None:
    sheet.update([["2020-01-01", "=1+1"]], "A1", raw=False)
    get = sheet.get
    options = {"value_render_option": "UNFORMATTED_VALUE"}
    assert get("A1", **options) == [[43831]]
    assert get("A1", date_time_render_option="FORMATTED_STRING", **options) == [["2020-01-01"]]
    assert get("A1:B1", value_render_option="FORMULA") == [[43831, "=1+1"]]


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("de_DE", "1,5", 1.5),
        ("de_DE", "1.234,5", 1234.5),
        ("en_US", "1,234.5", 1234.5),
        ("de_DE", "2.1.2020", 43832.0),
        ("en_GB", "2/1/2020", 43832.0),
        ("en_US", "1/2/2020", 43832.0),
        ("en_US", "1,5", "1,5"),
    ],
)
def test_numbers_and_dates_are_read_by_the_locale(locale: str, text: str, value: object) -> None:
    assert read(text, locale).value == value


def test_nulls_are_skipped_and_empty_texts_clear(sheet: gspread.Worksheet) -> None:
    sheet.update([["a", "b"], ["c", "d"]], "A1")
    answer = sheet.update([[None, ""], ["x", None]], "A1", include_values_in_response=True)
    assert (answer["updatedRows"], answer["updatedColumns"], answer["updatedCells"]) == (2, 2, 2)
    assert answer["updatedData"]["values"] == [["a"], ["x", "d"]]


def test_columns_are_read_and_written(sheet: gspread.Worksheet) -> None:
    sheet.update([["a", "b"], ["c"]], "A1", major_dimension=gspread.utils.Dimension.cols)
    assert sheet.get("A1:B2") == [["a", "c"], ["b"]]
    assert sheet.get("A1:B2", major_dimension=gspread.utils.Dimension.cols) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("Sheet1", "Sheet1!A1:Z1000"),
        ("'Sheet1'", "Sheet1!A1:Z1000"),
        ("sheet1!A1", "Sheet1!A1"),
        ("A1:A", "Sheet1!A1:A1000"),
        ("A1:1", "Sheet1!A1:Z1"),
        ("B:B", "Sheet1!B1:B1000"),
        ("2:3", "Sheet1!A2:Z3"),
        ("D4:A1", "Sheet1!A1:D4"),
        ("$A$1:B2", "Sheet1!A1:B2"),
        ("Y999:AB2000", "Sheet1!Y999:Z1000"),
        ("'D3'!A1", "'D3'!A1"),
        ("'it''s'!B2", "'it''s'!B2"),
        ("D3", "Sheet1!D3"),
    ],
)
def test_a_range_is_echoed_as_google_does(
    book: gspread.Spreadsheet, text: str, range_: str
) -> None:
    book.add_worksheet("D3", 10, 10)
    book.add_worksheet("it's", 10, 10)
    assert book.values_get(text)["range"] == range_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NOPE!A5:F15", "Unable to parse range: NOPE!A5:F15"),
        ("nonsense", "Unable to parse range: nonsense"),
        ("A0", "Unable to parse range: A0"),
        (
            "A1001",
            "Range (Sheet1!A1001) exceeds grid limits. Max rows: 1000, max columns: 26",
        ),
        (
            "AA1:AB1",
            "Range (Sheet1!AA1:AB1) exceeds grid limits. Max rows: 1000, max columns: 26",
        ),
    ],
)
def test_ranges_that_are_none(book: gspread.Spreadsheet, text: str, message: str) -> None:
    with pytest.raises(APIError) as refused:
        book.values_get(text)
    assert refused.value.response.status_code == 400
    assert refused.value.error["message"] == message


APPENDS = [
    ("Sheet1", "Sheet1!B7"),
    ("B4", "Sheet1!B7"),
    ("C5:D5", "Sheet1!B7"),
    ("B2:D4", "Sheet1!B7"),
    ("A3:G10", "Sheet1!B7"),
    ("A1", "Sheet1!A3"),
    ("E4", "Sheet1!E4"),
    ("A4", "Sheet1!A4"),
]


@pytest.mark.parametrize(("text", "written"), APPENDS)
def test_appending_finds_the_table_that_google_finds(
    book: gspread.Spreadsheet, text: str, written: str
) -> None:
    # The example of Google's guide: tables in A1:C2 and in B4:D6.
    book.sheet1.update([["x", "y", "z"]] * 2, "A1")
    book.sheet1.update([["x", "y", "z"]] * 3, "B4")
    answer = book.values_append(text, {"valueInputOption": "RAW"}, {"values": [["n"]]})
    assert answer["updates"]["updatedRange"] == written
    assert ("tableRange" in answer) == (text not in ("E4", "A4"))


def test_appending_may_insert_rows(sheet: gspread.Worksheet) -> None:
    sheet.update([["a"], ["b"], [""], ["below"]], "A1")
    sheet.append_rows([["c"], ["d"]], table_range="A1", insert_data_option="INSERT_ROWS")
    assert sheet.col_values(1) == ["a", "b", "c", "d", "", "below"]
    assert sheet.spreadsheet.sheet1.row_count == 1002


def test_appending_at_the_end_of_the_grid_grows_it(book: gspread.Spreadsheet) -> None:
    small = book.add_worksheet("Small", 2, 2)
    small.update([["a"], ["b"]], "A1")
    small.append_row(["c", "d", "e"])
    assert small.get_all_values() == [["a", "", ""], ["b", "", ""], ["c", "d", "e"]]
    again = book.worksheet("Small")
    assert (again.row_count, again.col_count) == (3, 3)


def test_a_long_table_is_found_at_once(sheets_server: SheetsServer) -> None:
    book_id = sheets_server.add_spreadsheet("Long", [[i, i, i] for i in range(3000)])
    sheet = sheets_server.client().open_by_key(book_id).sheet1
    assert sheet.append_row(["x"])["tableRange"] == "Sheet1!A1:C3000"


def test_a_write_may_not_leave_its_range(sheet: gspread.Worksheet) -> None:
    for values, told in (
        ([["a", "b", "c"]], "tried writing to column [C]"),
        ([["a"], ["b"], ["c"]], "tried writing to row [3]"),
    ):
        with pytest.raises(APIError, match="Requested writing within range") as refused:
            sheet.update(values, "A1:B2")
        assert told in refused.value.error["message"]
    with pytest.raises(APIError, match="tried writing to column"):
        sheet.update([["a", "b"]], "Z1")
    assert sheet.get_all_values() == [[]]


def test_a_cell_holds_50_000_characters(sheet: gspread.Worksheet) -> None:
    sheet.update([["x" * 50_000]], "A1")
    with pytest.raises(APIError, match="more than the maximum of 50000 characters"):
        sheet.update([["x" * 50_001]], "A1")
    with pytest.raises(APIError) as refused:
        sheet.batch_update(
            [{"range": "A1", "values": [["a"]]}, {"range": "A2", "values": [["x" * 50_001]]}]
        )
    assert refused.value.error["message"].startswith("Invalid data[1]: Your input contains more")
    assert sheet.acell("A1").value == "x" * 50_000


@pytest.mark.parametrize("values", ["X", ["a"], [[["a"]]], [[{"a": 1}]]])
def test_values_that_are_none(book: gspread.Spreadsheet, values: Any) -> None:
    with pytest.raises(APIError) as refused:
        book.values_update("A1", {"valueInputOption": "RAW"}, {"values": values})
    assert refused.value.response.status_code == 400
    with pytest.raises(APIError, match="'valueInputOption' is required"):
        book.values_update("A1", {}, {"values": [["a"]]})


def test_totals_of_a_batch_count_rows_and_columns_once(book: gspread.Spreadsheet) -> None:
    answer = book.values_batch_update(
        {
            "valueInputOption": "RAW",
            "data": [
                {"range": "A1:D1", "values": [[1, 2, 3, 4]]},
                {"range": "A2:D2", "values": [[1, 2, 3, 4]]},
            ],
        }
    )
    totals = {name: value for name, value in answer.items() if name.startswith("total")}
    assert totals == {
        "totalUpdatedRows": 2,
        "totalUpdatedColumns": 4,
        "totalUpdatedCells": 8,
        "totalUpdatedSheets": 1,
    }


@given(st.integers(0, 18277))
def test_columns_have_names(index: int) -> None:
    assert column_index(column_name(index)) == index


@given(st.integers(0, 999), st.integers(0, 701), st.integers(1, 99), st.integers(1, 99))
def test_boxes_have_names(top: int, left: int, height: int, width: int) -> None:
    box = Box(top, left, top + height, left + width)
    corners = (
        f"{column_name(left)}{top + 1}:{column_name(left + width - 1)}{top + height}",
        f"{column_name(left + width - 1)}{top + height}:{column_name(left)}{top + 1}",
    )
    assert [parse_cells(text) for text in corners] == [box, box]


@given(st.integers(-73_000, 110_000), st.integers(0, 86_399))
def test_moments_have_serials(day: int, second: int) -> None:
    at = EPOCH + dt.timedelta(days=day, seconds=second)
    assert moment(serial(at)) == at
