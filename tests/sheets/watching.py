"""A watch of a worksheet in a test, and what it tells."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from tests.real.helpers import WAIT_S, wait_until
from tests.sheets.birds import Bird, birds_of

import tierline as tl
from tierline.testing import SheetsServer

SOON_S, NEVER_S = 0.01, 3600.0

Told = tuple[str, Any, Any, Any]


class Heard:
    """What a watch tells."""

    def __init__(self) -> None:
        self.events: queue.Queue[tl.Changed[Bird]] = queue.Queue()
        self.errors: queue.Queue[tl.RepositoryError] = queue.Queue()

    def next(self) -> Told:
        event = self.events.get(timeout=WAIT_S)
        return event.operation, event.key, event.old, event.new

    def next_error(self) -> tl.RepositoryError:
        return self.errors.get(timeout=WAIT_S)

    def is_quiet(self) -> bool:
        return self.events.empty() and self.errors.empty()


class Watching:
    """A watch of a worksheet, and who hears of it."""

    def __init__(self, server: SheetsServer, store: tl.SheetStore) -> None:
        self.server, self.store, self.heard = server, store, Heard()

    def start(self, birds: tl.Sheet[Bird, int], **options: Any) -> tl.SheetWatch[Bird]:
        given = {"every_s": SOON_S, "on_error": self.heard.errors.put, **options}
        return tl.unwrap(self.store.watch(birds, self.heard.events.put, **given))

    def looks(self) -> int:
        return sum("/drive/" in one.path for one in self.server.requests)

    def looked_again(self, times: int = 2) -> None:
        """Wait until it has seen what is there now."""
        before = self.looks()
        wait_until(lambda: self.looks() >= before + times)


@pytest.fixture
def watching(sheets_server: SheetsServer) -> Iterator[Watching]:
    """A store of sheets that watches."""
    with tl.open_sheets(sheets_server.client()) as store:
        yield Watching(sheets_server, store)


@pytest.fixture
def birds(sheets_server: SheetsServer) -> tl.Sheet[Bird, int]:
    """What it watches."""
    return birds_of(sheets_server)
