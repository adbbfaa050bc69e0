"""A worksheet on the local server and a table on PostgreSQL, to be kept equal."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.sync.real.places import Place, placed

from tierline.testing import SheetsServer
from tierline.testing.sheets.fixture import sheets_server

__all__ = ["sheets_server"]


@pytest.fixture
def place(pg_url: str, sheets_server: SheetsServer) -> Generator[Place]:
    """A store on an empty schema with the table of birds, and an empty worksheet of them."""
    with placed(pg_url, sheets_server) as found:
        yield found
