"""What the server has rendered is kept until the spreadsheet changes, and keeps nobody waiting."""

from __future__ import annotations

import threading
from typing import Any

import gspread
import pytest

from tierline.testing import SheetsServer
from tierline.testing.sheets import sheets_api, values
from tierline.testing.sheets.renderings import KEPT_BYTES_MIN, Renderings

_ROWS = [["id", "name"], *([n, f"bird number {n}"] for n in range(3000))]


@pytest.fixture
def large(sheets_server: SheetsServer) -> gspread.Worksheet:
    """A worksheet whose answer is large enough to be kept."""
    book_id = sheets_server.add_spreadsheet("Birds", _ROWS)
    return sheets_server.client().open_by_key(book_id).sheet1


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each range that is rendered."""
    found: list[str] = []
    render = values.read_values

    def counted(sheet: Any, bounds: Any, how: Any) -> Any:
        found.append(sheet.title)
        return render(sheet, bounds, how)

    monkeypatch.setattr(sheets_api, "read_values", counted)
    return found


def test_a_large_answer_is_rendered_once(large: gspread.Worksheet, rendered: list[str]) -> None:
    first = large.get_values()
    assert (len(first), first[-1]) == (3001, ["2999", "bird number 2999"])
    assert large.get_values() == first
    assert len(rendered) == 1
    # Another question has another answer.
    assert large.get_values("A1:B3000") == first[:3000]
    assert large.get_values(value_render_option="FORMULA")[1] == [0, "bird number 0"]
    assert len(rendered) == 3


@pytest.mark.parametrize("by_a_person", [True, False])
def test_a_change_is_seen_at_once(
    sheets_server: SheetsServer, large: gspread.Worksheet, *, by_a_person: bool
) -> None:
    assert large.get_values()[1][1] == "bird number 0"
    if by_a_person:
        sheets_server.set_values(large.spreadsheet_id, {"B2": "owl"})
    else:
        large.update([["owl"]], "B2")
    assert large.get_values()[1][1] == "owl"


def test_who_may_see_nothing_is_shown_nothing_that_is_kept(
    sheets_server: SheetsServer, large: gspread.Worksheet
) -> None:
    large.get_values()
    stranger = sheets_server.client("ada@example.com").http_client
    with pytest.raises(gspread.exceptions.APIError) as refused:
        stranger.values_get(large.spreadsheet_id, "Sheet1")
    assert refused.value.response.status_code == 403
    sheets_server.share(large.spreadsheet_id, "ada@example.com", "reader")
    assert len(stranger.values_get(large.spreadsheet_id, "Sheet1")["values"]) == 3001


def test_each_user_is_shown_what_is_theirs(
    sheets_server: SheetsServer, large: gspread.Worksheet
) -> None:
    book_id = large.spreadsheet_id
    protected = {"range": {"startRowIndex": 0, "endRowIndex": 1}, "editors": {"users": ["x@y.z"]}}
    sheets_server.edit(book_id, {"addProtectedRange": {"protectedRange": protected}})
    sheets_server.share(book_id, "ada@example.com", "reader")
    params = {"fields": "sheets(protectedRanges,data.rowData.values.effectiveValue)"}
    clients = [large.client, sheets_server.client("ada@example.com").http_client]
    found = [client.spreadsheets_get(book_id, params)["sheets"][0] for client in clients]
    # Who may not edit is not told who may.
    assert [("editors" in one["protectedRanges"][0]) for one in found] == [True, False]
    assert found[0]["data"] == found[1]["data"]


def test_rendering_keeps_nobody_waiting(
    sheets_server: SheetsServer, large: gspread.Worksheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sheets_server.client().create("Owls").sheet1
    render = values.read_values
    renders, goes_on, answered = threading.Event(), threading.Event(), threading.Event()
    found: list[Any] = []

    def slow(sheet: Any, bounds: Any, how: Any) -> Any:
        if sheet.grid.row_count > 3000:
            renders.set()
            goes_on.wait(30)
        return render(sheet, bounds, how)

    monkeypatch.setattr(sheets_api, "read_values", slow)

    def read() -> None:
        found.append(large.get_values())
        answered.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert renders.wait(60)
        # Others are answered meanwhile, and what is rendered is what there was.
        other.update([["heron"]], "A1")
        assert other.get_values() == [["heron"]]
        sheets_server.set_values(large.spreadsheet_id, {"B2": "owl"})
        assert not answered.is_set()
    finally:
        goes_on.set()
        reader.join()
    assert found[0][1][1] == "bird number 0"
    assert large.get_values()[1][1] == "owl"


def test_what_is_kept_is_bounded() -> None:
    part = b"x" * KEPT_BYTES_MIN
    kept = Renderings(3 * KEPT_BYTES_MIN)
    source = object()
    made: list[int] = []

    def ask(number: int, body: bytes = part) -> None:
        def render() -> bytes:
            made.append(number)
            return body

        assert kept.body(number, source, render).plain == body

    for number in (1, 2, 3, 1, 4):
        ask(number)
    # The one that was asked for longest ago had to go.
    assert (made, len(kept)) == ([1, 2, 3, 4], 3)
    ask(1)
    ask(3)
    ask(2)
    assert made == [1, 2, 3, 4, 2]
    # What is small or larger than all is rendered each time.
    for body in (b"", part * 4):
        ask(5, body)
        ask(5, body)
    assert made[5:] == [5, 5, 5, 5]
    assert len(kept) == 3
    assert repr(kept) == f"<Renderings 3 kept, {3 * KEPT_BYTES_MIN} bytes>"


def test_what_is_kept_is_of_the_same_value() -> None:
    kept = Renderings()
    bodies = [b"1" * KEPT_BYTES_MIN, b"2" * KEPT_BYTES_MIN]
    sources = [object(), object()]
    for source, body in zip(sources, bodies, strict=True):
        assert kept.body("same", source, lambda body=body: body).plain == body
    found = kept.body("same", sources[1], lambda: b"")
    assert found.plain == bodies[1]
    assert found.zipped is found.zipped
