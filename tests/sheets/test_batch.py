"""`batchUpdate`, field masks, developer metadata and cells by type, against the documentation."""

from __future__ import annotations

from typing import Any

import gspread
import pytest
from gspread.exceptions import APIError

from tierline.testing.sheets import SheetsServer
from tierline.testing.sheets.batch import HANDLERS


def run(book: gspread.Spreadsheet, *requests: dict[str, Any], **rest: Any) -> Any:
    """A batch's answer."""
    return book.batch_update({"requests": list(requests), **rest})


def refusal(book: gspread.Spreadsheet, *requests: dict[str, Any]) -> str:
    """The message of a batch that is refused."""
    with pytest.raises(APIError) as refused:
        run(book, *requests)
    assert refused.value.response.status_code == 400
    return str(refused.value.error["message"])


def cells(*values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"values": [{"userEnteredValue": value} for value in values]}]


def test_a_batch_is_all_or_nothing(sheets_server: SheetsServer, book: gspread.Spreadsheet) -> None:
    before = book.get_lastUpdateTime()
    message = refusal(
        book,
        {"updateCells": {"start": {}, "rows": cells({"stringValue": "a"}), "fields": "*"}},
        {"updateSheetProperties": {"properties": {"hidden": True}, "fields": "hidden"}},
    )
    assert message == (
        "Invalid requests[1].updateSheetProperties: You can't hide all the sheets in a document."
    )
    assert sheets_server.values(book.id) == []
    assert book.get_lastUpdateTime() == before


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"deleteSheet": {"sheetId": 0}}, "remove all the visible sheets"),
        ({"deleteSheet": {"sheetId": 7}}, "No grid with id: 7"),
        ({"addSheet": {"properties": {"title": "Sheet1"}}}, "already exists"),
        ({"nonsense": {}}, 'Unknown name "nonsense"'),
        ({"updateCells": {"start": {}, "rows": []}}, "At least one field must be listed"),
        ({"updateCells": {"start": {}, "rows": [], "fields": "nope"}}, "Invalid field: nope"),
        (
            {"deleteDimension": {"range": {"dimension": "ROWS", "endIndex": 1000}}},
            "delete all the rows",
        ),
        (
            {"deleteDimension": {"range": {"dimension": "ROWS", "endIndex": 1001}}},
            "after last row in grid[1000]",
        ),
        (
            {"appendDimension": {"dimension": "ROWS", "length": 400_000}},
            "above the limit of 10000000 cells",
        ),
        ({"deleteNamedRange": {"namedRangeId": "x"}}, "No named range with id: x"),
    ],
)
def test_requests_that_are_refused(
    book: gspread.Spreadsheet, request_: dict[str, Any], message: str
) -> None:
    assert message in refusal(book, request_)


def test_an_empty_and_a_huge_batch_are_refused(book: gspread.Spreadsheet) -> None:
    assert refusal(book) == "Must specify at least one request."
    many = [{"clearBasicFilter": {}}] * 100_001
    assert refusal(book, *many) == "Cannot exceed 100000 requests in a single batch."


def test_cells_are_written_by_type_and_nothing_is_parsed(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    rows = cells(
        {"stringValue": "=1+1"}, {"numberValue": 7}, {"boolValue": True}, {"stringValue": "007"},
        {"formulaValue": "=B1*2"},
    )  # fmt: skip
    run(book, {"updateCells": {"start": {}, "rows": rows, "fields": "userEnteredValue"}})
    assert sheets_server.values(book.id) == [["=1+1", 7, True, "007", 14]]
    assert sheets_server.formulas(book.id) == {"Sheet1!E1": "=B1*2"}


def test_cells_that_rows_do_not_cover_lose_the_masked_fields(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["a", "b"], ["c", "d"]], "A1")
    book.sheet1.update_note("B2", "kept")
    area = {"endRowIndex": 2, "endColumnIndex": 2}
    rows = cells({"stringValue": "x"})
    run(book, {"updateCells": {"range": area, "rows": rows, "fields": "userEnteredValue"}})
    assert sheets_server.values(book.id) == [["x"]]
    assert book.sheet1.get_note("B2") == "kept"


def test_appended_cells_come_after_the_last_row_with_data(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["a"], [""], ["", "", "c"]], "A1")
    rows = cells({"stringValue": "next"})
    run(book, {"appendCells": {"rows": rows, "fields": "userEnteredValue"}})
    assert sheets_server.values(book.id)[3] == ["next"]


def test_a_typed_read_tells_values_formulas_errors_and_dates(book: gspread.Spreadsheet) -> None:
    book.sheet1.update([["2020-01-01", "=1/0", "'007", 1.5, True]], "A1", raw=False)
    mask = (
        "sheets(properties(sheetId,title,gridProperties),data(startRow,startColumn,"
        "rowData.values(userEnteredValue,effectiveValue,effectiveFormat.numberFormat.type)))"
    )
    found = book.client.spreadsheets_get(book.id, {"fields": mask, "ranges": "Sheet1!A1:E2"})
    assert set(found) == {"sheets"}
    (row,) = found["sheets"][0]["data"][0]["rowData"]
    date, error, text, number, flag = row["values"]
    assert date["effectiveFormat"] == {"numberFormat": {"type": "DATE"}}
    assert date["effectiveValue"] == {"numberValue": 43831}
    assert error["userEnteredValue"] == {"formulaValue": "=1/0"}
    assert error["effectiveValue"]["errorValue"]["type"] == "DIVIDE_BY_ZERO"
    assert text["effectiveValue"] == {"stringValue": "007"}
    assert (number["effectiveValue"], flag["effectiveValue"]) == (
        {"numberValue": 1.5}, {"boolValue": True},
    )  # fmt: skip


def test_a_bad_mask_is_refused(book: gspread.Spreadsheet) -> None:
    for mask in ("nope", "sheets.nope", "sheets(properties", "sheets.data.rowData.values.nope"):
        with pytest.raises(APIError) as refused:
            book.client.spreadsheets_get(book.id, {"fields": mask})
        told = refused.value.error["details"][0]["fieldViolations"][0]["description"]
        assert "Error expanding 'fields' parameter" in told


def test_a_marker_makes_a_batch_that_happens_once(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    marker = {
        "addNamedRange": {
            "namedRange": {"namedRangeId": "op_1", "name": "op_1", "range": {"endRowIndex": 1}}
        }
    }
    row = {"appendCells": {"rows": cells({"numberValue": 1}), "fields": "userEnteredValue"}}
    run(book, marker, row)
    assert "A named range with id 'op_1' already exists" in refusal(book, marker, row)
    assert sheets_server.values(book.id) == [[1]]


def test_named_ranges_and_metadata_move_with_rows(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["a"], ["b"], ["c"]], "A1")
    book.sheet1.define_named_range("A2:A2", "Middle")
    column = {"dimension": "ROWS", "startIndex": 1, "endIndex": 2}
    created = run(
        book,
        {
            "createDeveloperMetadata": {
                "developerMetadata": {
                    "metadataKey": "row",
                    "metadataValue": "b",
                    "visibility": "DOCUMENT",
                    "location": {"dimensionRange": column},
                }
            }
        },
    )
    metadata_id = created["replies"][0]["createDeveloperMetadata"]["developerMetadata"][
        "metadataId"
    ]
    lookup = {"dataFilters": [{"developerMetadataLookup": {"metadataId": metadata_id}}]}
    url = f"https://sheets.googleapis.com/v4/spreadsheets/{book.id}"

    def filtered() -> Any:
        answer = book.client.request("post", f"{url}/values:batchGetByDataFilter", json=lookup)
        return [one["valueRange"]["values"] for one in answer.json().get("valueRanges", [])]

    book.sheet1.insert_row(["top"], 1)
    assert book.values_get("Middle")["values"] == [["b"]]
    assert filtered() == [[["b"]]]
    run(
        book,
        {
            "moveDimension": {
                "source": {"dimension": "ROWS", "startIndex": 2, "endIndex": 3},
                "destinationIndex": 0,
            }
        },
    )
    assert sheets_server.values(book.id) == [["b"], ["top"], ["a"], ["c"]]
    assert book.values_get("Middle")["values"] == [["b"]]
    assert filtered() == [[["b"]]]
    found = book.client.request("post", f"{url}/developerMetadata:search", json=lookup).json()
    entry = found["matchedDeveloperMetadata"][0]["developerMetadata"]
    assert entry["location"]["locationType"] == "ROW"
    book.sheet1.delete_rows(1)
    assert filtered() == []
    with pytest.raises(APIError, match="Unable to parse range"):
        book.values_get("Middle")


def test_metadata_ids_are_unique_and_entries_change_and_go(book: gspread.Spreadsheet) -> None:
    create = {
        "createDeveloperMetadata": {
            "developerMetadata": {
                "metadataId": 7,
                "metadataKey": "k",
                "visibility": "DOCUMENT",
                "location": {"spreadsheet": True},
            }
        }
    }
    run(book, create)
    assert "already exists" in refusal(book, create)
    chosen = {"developerMetadataLookup": {"metadataKey": "k"}}
    run(
        book,
        {
            "updateDeveloperMetadata": {
                "dataFilters": [chosen],
                "developerMetadata": {"metadataValue": "v"},
                "fields": "metadataValue",
            }
        },
    )
    url = f"https://sheets.googleapis.com/v4/spreadsheets/{book.id}/developerMetadata"
    assert book.client.request("get", f"{url}/7").json()["metadataValue"] == "v"
    run(book, {"deleteDeveloperMetadata": {"dataFilter": chosen}})
    assert book.client.request("post", f"{url}:search", json={"dataFilters": [chosen]}).json() == {}


def test_a_batch_answers_what_became_of_the_cells(book: gspread.Spreadsheet) -> None:
    rows = cells({"stringValue": "x"})
    answer = run(
        book,
        {"updateCells": {"start": {"rowIndex": 1}, "rows": rows, "fields": "userEnteredValue"}},
        includeSpreadsheetInResponse=True,
        responseRanges=["Sheet1!A1:A2"],
        responseIncludeGridData=True,
    )
    data = answer["updatedSpreadsheet"]["sheets"][0]["data"][0]["rowData"]
    assert data[1]["values"][0]["effectiveValue"] == {"stringValue": "x"}


def test_rows_sort_numbers_before_texts_and_empty_cells_last(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["b"], [10], [""], ["a"], [9]], "A1")
    area = {"endRowIndex": 5, "endColumnIndex": 1}
    for order, wanted in (("ASCENDING", [9, 10, "a", "b"]), ("DESCENDING", ["b", "a", 10, 9])):
        specs = [{"dimensionIndex": 0, "sortOrder": order}]
        run(book, {"sortRange": {"range": area, "sortSpecs": specs}})
        assert [row[0] for row in sheets_server.values(book.id)] == wanted


def test_texts_are_found_and_replaced(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["heron", "=LEN(A1)"]], "A1", raw=False)
    answer = run(book, {"findReplace": {"find": "HER", "replacement": "h", "allSheets": True}})
    assert answer["replies"] == [{"findReplace": {"valuesChanged": 1}}]
    assert sheets_server.values(book.id) == [["hon", 3]]


def test_merging_keeps_the_first_value(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    book.sheet1.update([["a", "b"], ["c", "d"]], "A1")
    book.sheet1.merge_cells("A1:B2")
    assert sheets_server.values(book.id) == [["a"]]
    with pytest.raises(APIError, match="select all cells in a merged range"):
        book.sheet1.unmerge_cells("A1:A2")


def test_the_requests_that_the_reference_lists_are_there() -> None:
    listed = {
        "updateSheetProperties",
        "mergeCells",
        "addSheet",
        "updateCells",
        "deleteSheet",
        "sortRange",
        "updateSpreadsheetProperties",
        "updateDimensionProperties",
        "addNamedRange",
        "setBasicFilter",
        "insertDimension",
        "deleteNamedRange",
        "unmergeCells",
        "deleteDimension",
        "addDimensionGroup",
        "deleteDimensionGroup",
        "addProtectedRange",
        "updateNamedRange",
        "autoResizeDimensions",
        "clearBasicFilter",
        "copyPaste",
        "cutPaste",
        "repeatCell",
        "setDataValidation",
        "deleteProtectedRange",
        "appendCells",
        "createDeveloperMetadata",
        "updateDeveloperMetadata",
        "deleteDeveloperMetadata",
        "moveDimension",
        "appendDimension",
        "duplicateSheet",
    }
    assert listed <= set(HANDLERS)
