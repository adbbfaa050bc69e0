"""The server's fixture, as people take it, and a worksheet on it."""

from __future__ import annotations

import gspread
import pytest

from tierline.testing.sheets import SheetsServer
from tierline.testing.sheets.fixture import sheets_server

__all__ = ["sheets_server"]


@pytest.fixture
def book(sheets_server: SheetsServer) -> gspread.Spreadsheet:
    """An empty spreadsheet."""
    return sheets_server.client().create("Birds")


@pytest.fixture
def sheet(book: gspread.Spreadsheet) -> gspread.Worksheet:
    """Its first sheet."""
    return book.sheet1
