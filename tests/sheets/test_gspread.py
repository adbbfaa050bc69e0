"""Every public method of gspread's Worksheet, Spreadsheet and Client, unmodified, on the server."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gspread
import pytest
from gspread.utils import ExportFormat, MergeType, ValidationConditionType

from tierline.testing.sheets import SheetsServer

CLASSES = (gspread.Worksheet, gspread.Spreadsheet, gspread.Client)
# What is not called here, and why.
EXCUSED: dict[str, str] = {
    "Client.expiry": "a property of credentials, which a bare session does not have",
    "Client.set_timeout": "sets a number of the client and asks no server",
}


def public(cls: type) -> list[str]:
    """The public methods of a class, and its properties."""
    return [
        f"{cls.__name__}.{name}"
        for name, member in inspect.getmembers(cls)
        if name[0] != "_" and (inspect.isfunction(member) or isinstance(member, property))
    ]


PUBLIC = sorted(name for cls in CLASSES for name in public(cls))


@contextmanager
def recorded(called: set[str]) -> Iterator[None]:
    """Note which methods and properties are used."""
    with pytest.MonkeyPatch.context() as patch:
        for cls in CLASSES:
            for full in public(cls):
                name = full.partition(".")[2]
                member = inspect.getattr_static(cls, name)
                if isinstance(member, property):
                    getter = noting(member.fget, full, called)
                    patch.setattr(cls, name, property(getter, member.fset))
                else:
                    patch.setattr(cls, name, noting(member, full, called))
        yield


def noting(function: Any, name: str, called: set[str]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        called.add(name)
        return function(*args, **kwargs)

    return noted


def reads(book: gspread.Spreadsheet) -> None:
    sheet = book.sheet1
    sheet.update([["id", "name"], [1, "heron"], [2, "owl"]], "A1")
    assert sheet.acell("B2").value == "heron"
    assert sheet.cell(3, 2).value == "owl"
    assert [cell.value for cell in sheet.range("A2:B2")] == ["1", "heron"]
    assert sheet.get("A1:B1") == [["id", "name"]]
    assert sheet.get_values("A2:B3") == [["1", "heron"], ["2", "owl"]]
    assert sheet.get_all_values() == [["id", "name"], ["1", "heron"], ["2", "owl"]]
    assert sheet.get_all_records() == [{"id": 1, "name": "heron"}, {"id": 2, "name": "owl"}]
    assert len(sheet.get_all_cells()) == 26_000
    assert sheet.row_values(2) == ["1", "heron"]
    assert sheet.col_values(2) == ["name", "heron", "owl"]
    assert sheet.batch_get(["A1:A2", "B3"]) == [[["id"], ["1"]], [["owl"]]]
    assert sheet.find("owl").address == "B3"  # type: ignore[union-attr]
    assert [cell.address for cell in sheet.findall("heron")] == ["B2"]
    assert [list(row) for row in sheet.expand("A1")] == sheet.get_all_values()
    assert sheet.id == 0
    assert sheet.title == "Sheet1"
    assert sheet.url.endswith("#gid=0")
    assert sheet.index == 0
    assert sheet.spreadsheet is book
    assert (sheet.row_count, sheet.col_count, sheet.column_count) == (1000, 26, 26)


def writes(book: gspread.Spreadsheet) -> None:
    sheet = book.sheet1
    sheet.update_acell("A1", "=1+2")
    assert sheet.acell("A1", value_render_option="UNFORMATTED_VALUE").value == 3
    sheet.update_cell(1, 2, "0042")
    cells = sheet.range("A2:B2")
    for cell in cells:
        cell.value = cell.address
    sheet.update_cells(cells)
    sheet.batch_update([{"range": "A3:B3", "values": [["x", "y"]]}])
    assert sheet.get_all_values() == [["3", "42"], ["A2", "B2"], ["x", "y"]]
    assert sheet.append_row(["p", "q"])["updates"]["updatedRange"] == "Sheet1!A4:B4"
    assert sheet.append_rows([["r"], ["s"]])["updates"]["updatedRange"] == "Sheet1!A5:A6"
    sheet.insert_row(["top"], 1)
    sheet.insert_rows([["a"], ["b"]], 2)
    assert sheet.col_values(1)[:4] == ["top", "a", "b", "3"]
    sheet.insert_cols([["new", "column"]], 1)
    assert sheet.get("A1:B2") == [["new", "top"], ["column", "a"]]
    sheet.delete_columns(1)
    sheet.delete_rows(2, 3)
    sheet.delete_dimension(gspread.utils.Dimension.rows, 1, 1)
    assert sheet.row_values(1) == ["3", "42"]
    sheet.batch_clear(["A1:A2"])
    assert sheet.get("A1:B1") == [["", "42"]]
    sheet.clear()
    assert sheet.get_all_values() == [[]]


def formats(book: gspread.Spreadsheet) -> None:
    sheet = book.sheet1
    sheet.update([["c", "3"], ["a", "1"], ["b", "2"]], "A1")
    sheet.sort((1, "asc"))
    assert sheet.col_values(1) == ["a", "b", "c"]
    sheet.format("A1:B1", {"textFormat": {"bold": True}})
    sheet.batch_format([{"range": "A2", "format": {"backgroundColor": {"red": 1.0}}}])
    sheet.merge_cells("A5:B6", MergeType.merge_rows)
    sheet.unmerge_cells("A5:B6")
    sheet.batch_merge([{"range": "A7:B8", "mergeType": MergeType.merge_all}])
    sheet.freeze(rows=1, cols=2)
    sheet.set_basic_filter("A1:B3")
    sheet.clear_basic_filter()
    sheet.update_note("A1", "first")
    sheet.insert_note("A2", "second")
    assert sheet.get_note("A1") == "first"
    sheet.update_notes({"B1": "third"})
    sheet.insert_notes({"B2": "fourth"})
    assert sheet.get_notes() == [["first", "third"], ["second", "fourth"]]
    sheet.clear_note("A1")
    sheet.clear_notes(["A2", "B1", "B2"])
    assert sheet.get_notes() == [[]]
    sheet.update_tab_color("#ff7f00")
    assert sheet.get_tab_color() == "#FF7F00"
    again = book.sheet1
    assert again.tab_color is not None
    assert (again.frozen_row_count, again.frozen_col_count) == (1, 2)
    sheet.clear_tab_color()
    assert sheet.get_tab_color() is None
    sheet.hide_gridlines()
    assert book.sheet1.is_gridlines_hidden
    sheet.show_gridlines()
    sheet.add_validation("C1", ValidationConditionType.one_of_list, ["x"])
    sheet.copy_range("A1:B1", "D1:E1")
    assert sheet.get("D1:E1") == [["a", "1"]]
    sheet.cut_range("D1:E1", "F1")
    assert sheet.get("D1:G1") == [["", "", "a", "1"]]


def dimensions(book: gspread.Spreadsheet) -> None:
    sheet = book.sheet1
    sheet.resize(rows=20, cols=10)
    sheet.add_rows(5)
    sheet.add_cols(2)
    assert (book.sheet1.row_count, book.sheet1.col_count) == (25, 12)
    sheet.columns_auto_resize(0, 1)
    sheet.rows_auto_resize(0, 1)
    sheet.add_dimension_group_columns(0, 2)
    sheet.add_dimension_group_rows(0, 2)
    assert len(sheet.list_dimension_group_columns()) == 1
    assert len(sheet.list_dimension_group_rows()) == 1
    sheet.delete_dimension_group_columns(0, 2)
    sheet.delete_dimension_group_rows(0, 2)
    for method in (sheet.hide_columns, sheet.unhide_columns, sheet.hide_rows, sheet.unhide_rows):
        method(0, 2)
    named = sheet.define_named_range("A1:B2", "Corner")
    range_id = named["replies"][0]["addNamedRange"]["namedRange"]["namedRangeId"]
    assert len(book.named_range("Corner")) == 4
    assert [one["name"] for one in book.list_named_ranges()] == ["Corner"]
    sheet.delete_named_range(range_id)
    protected = sheet.add_protected_range("A1:B2", ["ada@example.com"], [], "locked")
    protection = protected["replies"][0]["addProtectedRange"]["protectedRange"]
    assert book.list_protected_ranges(sheet.id)[0]["description"] == "locked"
    sheet.delete_protected_range(protection["protectedRangeId"])
    assert book.list_protected_ranges(sheet.id) == []


def sheets(book: gspread.Spreadsheet) -> None:
    second = book.add_worksheet("Second", 10, 5)
    assert [one.title for one in book.worksheets()] == ["Sheet1", "Second"]
    assert [one.title for one in book] == ["Sheet1", "Second"]
    assert book.worksheet("Second").id == second.id
    assert book.get_worksheet(1).id == second.id
    assert book.get_worksheet_by_id(second.id).title == "Second"
    second.update_title("2nd")
    second.update_index(0)
    assert [one.title for one in book.worksheets()] == ["2nd", "Sheet1"]
    second.hide()
    assert book.worksheet("2nd").isSheetHidden
    second.show()
    copy = second.duplicate(new_sheet_name="Third")
    book.duplicate_sheet(second.id, new_sheet_name="Fourth")
    book.reorder_worksheets(
        [book.worksheet(title) for title in ("Sheet1", "2nd", "Third", "Fourth")]
    )
    assert [one.title for one in book.worksheets()] == ["Sheet1", "2nd", "Third", "Fourth"]
    book.del_worksheet(copy)
    book.del_worksheet_by_id(book.worksheet("Fourth").id)
    second.copy_to(book.id)
    assert [one.title for one in book.worksheets()][-1] == "Copy of 2nd"


def spreadsheet(book: gspread.Spreadsheet) -> None:
    assert len(book.id) == 44
    assert book.url.endswith(book.id)
    assert book.title == "Birds"
    assert (book.locale, book.timezone) == ("en_US", "Etc/GMT")
    book.update_title("Birds 2")
    book.update_locale("de_DE")
    book.update_timezone("Europe/Berlin")
    book.values_update("Sheet1!A1", {"valueInputOption": "RAW"}, {"values": [["a"]]})
    book.values_append("Sheet1!A1", {"valueInputOption": "RAW"}, {"values": [["b"]]})
    assert book.values_get("Sheet1")["values"] == [["a"], ["b"]]
    assert len(book.values_batch_get(["A1", "A2"])["valueRanges"]) == 2
    book.values_batch_update(
        {"valueInputOption": "RAW", "data": [{"range": "B1", "values": [[1]]}]}
    )
    book.values_clear("A1")
    book.values_batch_clear(body={"ranges": ["A2", "B1"]})
    assert "values" not in book.values_get("Sheet1")
    book.batch_update({"requests": [{"appendDimension": {"dimension": "ROWS", "length": 1}}]})
    fetched = book.fetch_sheet_metadata()
    assert fetched["properties"]["title"] == "Birds 2"
    assert book.sheet1.row_count == 1001
    before = book.get_lastUpdateTime()
    book.sheet1.update_acell("A1", "x")
    book.update_drive_metadata()
    with pytest.warns(DeprecationWarning, match="lastUpdateTime"):
        assert book.lastUpdateTime > before
    assert book.creationTime < book.get_lastUpdateTime()
    assert book.export(ExportFormat.CSV) == b"x"


def sharing(book: gspread.Spreadsheet) -> None:
    book.share("ada@example.com", "user", "writer")
    shared = {one.get("emailAddress"): one["id"] for one in book.list_permissions()}
    ada = str(shared["ada@example.com"])
    book.transfer_ownership(ada)
    book.accept_ownership(ada)
    roles = {one.get("emailAddress"): one["role"] for one in book.list_permissions()}
    assert roles["ada@example.com"] == "owner"
    book.share("", "anyone", "reader")
    book.share("bob@example.com", "user", "reader")
    assert book.remove_permissions("bob@example.com", "reader")
    assert "bob@example.com" not in {one.get("emailAddress") for one in book.list_permissions()}


def files(client: gspread.Client) -> None:
    book = client.create("Owls")
    assert client.open("Owls").id == book.id
    assert client.open_by_key(book.id).title == "Owls"
    assert client.open_by_url(book.url).id == book.id
    assert [one.id for one in client.openall("Owls")] == [book.id]
    assert "Owls" in [one["name"] for one in client.list_spreadsheet_files()]
    assert client.get_file_drive_metadata(book.id)["name"] == "Owls"
    client.import_csv(book.id, "a,1\nb,2\n")
    assert client.open_by_key(book.id).sheet1.get_all_values() == [["a", "1"], ["b", "2"]]
    assert client.export(book.id, ExportFormat.CSV) == b"a,1\r\nb,2"
    client.insert_permission(book.id, "ada@example.com", "user", "reader")
    (ada,) = [one for one in client.list_permissions(book.id) if one["role"] == "reader"]
    client.remove_permission(book.id, str(ada["id"]))
    copy = client.copy(book.id, "Owls 2", copy_permissions=True)
    assert copy.sheet1.get_all_values() == [["a", "1"], ["b", "2"]]
    client.del_spreadsheet(book.id)
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open("Owls")
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key(book.id)


PARTS = (reads, writes, formats, dimensions, sheets, spreadsheet, sharing)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_methods_of_sheets_and_spreadsheets(
    part: Callable[[gspread.Spreadsheet], None], book: gspread.Spreadsheet
) -> None:
    part(book)


def test_methods_of_the_client(sheets_server: SheetsServer) -> None:
    files(sheets_server.client())


def test_every_public_method_is_called_or_excused(sheets_server: SheetsServer) -> None:
    called: set[str] = set()
    with recorded(called):
        for part in PARTS:
            part(sheets_server.client().create("Birds"))
        files(sheets_server.client())
    assert sorted(set(PUBLIC) - called - set(EXCUSED)) == []
    assert set(EXCUSED) & called == set()
    assert set(EXCUSED) <= set(PUBLIC)
    assert len(PUBLIC) > 100
