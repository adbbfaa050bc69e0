"""People at the spreadsheet, masked reads, and how answers travel."""

from __future__ import annotations

import ipaddress
import json
import urllib.request
from typing import Any

import pytest
import requests

from tierline.testing.sheets import SheetsServer, cut_body
from tierline.testing.sheets.cell import Cell
from tierline.testing.sheets.cell_json import cell_json, cell_writer
from tierline.testing.sheets.masks import parse, project

_CELL = "effectiveValue,userEnteredValue.formulaValue,effectiveFormat.numberFormat.type"
_SHEETS = (
    "sheets(properties(sheetId,title,gridProperties),"
    f"data(startRow,startColumn,rowData.values({_CELL})))"
)
_ROWS = [["id", "bird"], [1, "owl"], [2, "lark"], [3, "heron"]]


@pytest.fixture
def book_id(sheets_server: SheetsServer) -> str:
    """Three birds below a header."""
    return sheets_server.add_spreadsheet("Birds", _ROWS)


def _post(server: SheetsServer, book_id: str, body: Any, **query: str) -> requests.Response:
    url = f"{server.url}/v4/spreadsheets/{book_id}:batchUpdate"
    return requests.post(url, json=body, params=query, timeout=20)


def _get(server: SheetsServer, book_id: str, **query: str) -> requests.Response:
    return requests.get(f"{server.url}/v4/spreadsheets/{book_id}", params=query, timeout=20)


def test_a_person_edits(sheets_server: SheetsServer, book_id: str) -> None:
    sheets_server.sort_rows(book_id, column=2)
    assert [row[0] for row in sheets_server.values(book_id)] == ["id", 3, 2, 1]
    sheets_server.sort_rows(book_id, column=1, descending=True)
    assert [row[0] for row in sheets_server.values(book_id)] == ["id", 3, 2, 1]
    sheets_server.insert_rows(book_id, at=2, count=2)
    assert sheets_server.values(book_id)[1:4] == [[], [], [3, "heron"]]
    sheets_server.delete_rows(book_id, at=2, count=2)
    sheets_server.move_rows(book_id, at=4, to=2)
    assert [row[0] for row in sheets_server.values(book_id)] == ["id", 1, 3, 2]
    sheets_server.set_values(book_id, {"B2": "5%", "C2": "=A2+1"})
    assert sheets_server.values(book_id)[1] == [1, 0.05, 2]
    sheets_server.rename_worksheet(book_id, title="It's")
    sheets_server.set_values(book_id, {"B2": 5}, "It's")
    assert sheets_server.values(book_id, "It's")[1] == [1, 5, 2]
    assert sheets_server.requests == []


def test_what_a_person_cannot_do_changes_nothing(sheets_server: SheetsServer, book_id: str) -> None:
    title = {"addSheet": {"properties": {"title": "Sheet2"}}}
    with pytest.raises(ValueError, match="already exists"):
        sheets_server.edit(book_id, title, title)
    with pytest.raises(ValueError, match="50000 characters"):
        sheets_server.set_values(book_id, {"A2": 9, "A3": "a" * 50_001})
    with pytest.raises(KeyError, match="Sheet2"):
        sheets_server.insert_rows(book_id, "Sheet2", at=1)
    assert sheets_server.values(book_id) == _ROWS


def test_a_person_sorts_between_a_read_and_a_write(
    sheets_server: SheetsServer, book_id: str
) -> None:
    sheet = sheets_server.client().open_by_key(book_id).sheet1
    sheets_server.before_next(lambda: sheets_server.sort_rows(book_id, column=2), on="writes")
    row = sheet.col_values(2).index("owl") + 1
    sheet.update([["tawny owl"]], f"B{row}")
    assert sheets_server.values(book_id)[1] == [3, "tawny owl"]
    sheet.update([["owl"]], "B4")
    assert [line[0] for line in sheets_server.values(book_id)] == ["id", 3, 2, 1]


def test_a_masked_read_has_what_the_mask_names(sheets_server: SheetsServer, book_id: str) -> None:
    typed = {"C1": "2026-03-01", "C2": "2026-03-01 10:00:00", "C3": "10:30", "C4": "5%"}
    typed |= {"D1": "$5", "D2": "=1/0", "D3": "=A2+1"}
    sheets_server.set_values(book_id, typed)
    answer = _get(sheets_server, book_id, fields=_SHEETS, ranges="Sheet1!C1:D4").json()
    (sheet,) = answer["sheets"]
    assert sorted(sheet["properties"]) == ["gridProperties", "sheetId", "title"]
    (data,) = sheet["data"]
    assert (data.get("startRow", 0), data["startColumn"]) == (0, 2)
    rows = [row["values"] for row in data["rowData"]]
    kinds = [row[0]["effectiveFormat"]["numberFormat"]["type"] for row in rows]
    assert kinds == ["DATE", "DATE_TIME", "TIME", "PERCENT"]
    assert rows[0][1]["effectiveFormat"]["numberFormat"] == {"type": "CURRENCY"}
    assert rows[1][1]["effectiveValue"]["errorValue"]["type"] == "DIVIDE_BY_ZERO"
    assert rows[1][1]["userEnteredValue"] == {"formulaValue": "=1/0"}
    assert rows[2][1]["effectiveValue"] == {"numberValue": 2}


@pytest.mark.parametrize("mask", [_CELL, "effectiveValue.numberValue", "note", "formattedValue"])
@pytest.mark.parametrize(
    "cell",
    [
        Cell(),
        Cell(1.5),
        Cell("owl", note="seen"),
        Cell(formula="=1+1"),
        Cell(2.0, format={"numberFormat": {"type": "DATE", "pattern": "d"}}),
    ],
)
def test_the_quick_way_to_a_masked_cell_is_the_slow_one(mask: str, cell: Cell) -> None:
    tree = parse(mask)
    value = 2.0 if cell.formula else cell.value
    assert cell_writer(tree)(cell, value) == project(cell_json(cell, value), tree)


def test_a_batch_answers_the_masked_spreadsheet(sheets_server: SheetsServer, book_id: str) -> None:
    body = {
        "requests": [{"addSheet": {"properties": {"title": "Notes"}}}],
        "includeSpreadsheetInResponse": True,
        "responseIncludeGridData": True,
        "responseRanges": ["Sheet1!A2:A2"],
    }
    fields = f"replies,updatedSpreadsheet({_SHEETS})"
    answer = _post(sheets_server, book_id, body, fields=fields).json()
    assert sorted(answer) == ["replies", "updatedSpreadsheet"]
    (sheet,) = answer["updatedSpreadsheet"]["sheets"]
    values = sheet["data"][0]["rowData"][0]["values"]
    assert values == [{"effectiveValue": {"numberValue": 1}, "userEnteredValue": {}}]


def test_a_batch_with_a_wrong_mask_changes_nothing(
    sheets_server: SheetsServer, book_id: str
) -> None:
    body = {"requests": [{"addSheet": {}}], "includeSpreadsheetInResponse": True}
    refused = _post(sheets_server, book_id, body, fields="updatedSpreadsheet(birds)")
    assert refused.status_code == 400
    assert len(sheets_server.client().open_by_key(book_id).worksheets()) == 1


def test_a_named_range_of_a_taken_id_undoes_the_batch(
    sheets_server: SheetsServer, book_id: str
) -> None:
    area = {"sheetId": 0, "startRowIndex": 0, "endRowIndex": 1}
    named = {"namedRangeId": "mark", "name": "mark", "range": area}
    body = {"requests": [{"addNamedRange": {"namedRange": named}}]}
    assert _post(sheets_server, book_id, body).status_code == 200
    cells = {"rows": [{"values": [{"userEnteredValue": {"numberValue": 9}}]}]}
    more = {"appendCells": {"sheetId": 0, "fields": "userEnteredValue", **cells}}
    again = {"addNamedRange": {"namedRange": {**named, "name": "other"}}}
    refused = _post(sheets_server, book_id, {"requests": [more, again]})
    assert refused.status_code == 400
    assert sheets_server.values(book_id) == _ROWS


def test_answers_are_compact_and_zipped_where_asked_for(
    sheets_server: SheetsServer, book_id: str
) -> None:
    url = f"{sheets_server.url}/v4/spreadsheets/{book_id}"
    with urllib.request.urlopen(f"{url}?prettyPrint=false", timeout=20) as plain:
        body = plain.read()
        assert plain.headers["Content-Encoding"] is None
    assert b"\n" not in body
    zipped = _get(sheets_server, book_id)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.text.startswith('{\n  "')
    assert zipped.json() == json.loads(body)


def test_a_cut_answer_is_not_zipped(sheets_server: SheetsServer, book_id: str) -> None:
    sheets_server.inject(cut_body(5, on="reads"))
    url = f"{sheets_server.url}/v4/spreadsheets/{book_id}"
    with requests.get(url, stream=True, timeout=20) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.raw.read(5) == b'{\n  "'


def test_a_server_listens_on_loopback_only(sheets_server: SheetsServer) -> None:
    address = sheets_server.url.removeprefix("http://").partition(":")[0]
    assert ipaddress.ip_address(address).is_loopback
