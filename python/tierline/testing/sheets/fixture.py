"""The pytest fixture: `pytest_plugins = ["tierline.testing.sheets.fixture"]` in a conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tierline.testing.sheets.server import SheetsServer


@pytest.fixture
def sheets_server() -> Iterator[SheetsServer]:
    """A Sheets server of the test's own, without spreadsheets and without quotas."""
    with SheetsServer() as server:
        yield server
