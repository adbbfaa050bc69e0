"""The types that users of the local Sheets server see; never run."""

from __future__ import annotations

from typing import Any, assert_type

from tierline.testing import SheetsServer
from tierline.testing.sheets import Fault, Quotas, SeenRequest, too_many_requests
from tierline.testing.sheets.fixture import sheets_server

assert_type(too_many_requests(3, retry_after_s=2, on="writes"), Fault)


def test_with_the_fixture(sheets_server: SheetsServer) -> None:
    book_id = sheets_server.add_spreadsheet("Birds", [["id"], [1]])
    assert_type(book_id, str)
    assert_type(sheets_server.requests, list[SeenRequest])
    assert_type(sheets_server.values(book_id), list[list[bool | float | str]])
    assert_type(sheets_server.formulas(book_id), dict[str, str])
    assert_type(sheets_server.service_account(), dict[str, Any])
    assert_type(sheets_server.set_values(book_id, {"B2": 5}), None)
    assert_type(sheets_server.sort_rows(book_id, column=2, descending=True), None)
    assert_type(sheets_server.before_next(lambda: None, on="writes"), None)


def by_hand() -> None:
    with SheetsServer(quotas=Quotas(window="sliding")) as server:
        assert_type(server, SheetsServer)


__all__ = ["sheets_server"]
