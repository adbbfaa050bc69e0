"""`Sheets`: reads worksheets; requests of the same moment are one."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from tierline.entity import Sheet
from tierline.errors import DecodeError, QueryError, RepositoryError
from tierline.result import Failure, Result, Success
from tierline.sheets.grid import FIELDS, Book, quoted, read_book
from tierline.sheets.http import SheetsHttp
from tierline.sheets.snapshot import Snapshot, missing_worksheet, snapshot

T = TypeVar("T")

_BOOKS = "https://sheets.googleapis.com/v4/spreadsheets"
JOIN_S = 0.02
"""Reads of one spreadsheet that begin within this time are one request."""


class _Round:
    """One request that several threads wait for."""

    def __init__(self) -> None:
        self.titles: set[str] = set()
        self.done = threading.Event()
        self.answer: Result[Book, RepositoryError] | None = None


class Sheets:
    """Reads worksheets through one client; safe to share between threads."""

    def __init__(self, http: SheetsHttp) -> None:
        self.http = http
        self._lock = threading.Lock()
        self._rounds: dict[str, _Round] = {}

    def read(self, sheet: Sheet[T, Any]) -> Result[Snapshot[T], RepositoryError]:
        """The worksheet as it is now, cells that do not fit apart.

        Errors: `SheetLayoutError` if it is not there or its headers do not fit; what asking Google
        comes to.
        """
        answered = self._book(sheet.spreadsheet, sheet.worksheet)
        if isinstance(answered, Failure):
            error = answered.failure()
            if isinstance(error, QueryError):
                # Google says no more of a range it cannot find.
                titles = self._titles(sheet.spreadsheet)
                if isinstance(titles, Success) and sheet.worksheet not in titles.unwrap():
                    known = ", ".join(map(repr, titles.unwrap()))
                    return Failure(missing_worksheet(sheet, f"; there are {known}"))
            error.table = error.table or sheet.name
            return answered
        try:
            return Success(snapshot(sheet, answered.unwrap()))
        except RepositoryError as error:
            return Failure(error)

    def _book(self, spreadsheet: str, title: str) -> Result[Book, RepositoryError]:
        with self._lock:
            joined = self._rounds.get(spreadsheet)
            leads = joined is None
            if joined is None:
                joined = self._rounds[spreadsheet] = _Round()
            joined.titles.add(title)
        if not leads:
            joined.done.wait()
            if joined.answer is not None and len(joined.titles) == 1:
                return joined.answer
            if isinstance(joined.answer, Success):
                return joined.answer
            # Another's worksheet may be what is not there.
            return self._ask(spreadsheet, [title])
        try:
            time.sleep(JOIN_S)
            with self._lock:
                del self._rounds[spreadsheet]
            joined.answer = self._ask(spreadsheet, sorted(joined.titles))
        finally:
            with self._lock:
                if self._rounds.get(spreadsheet) is joined:
                    del self._rounds[spreadsheet]
            joined.done.set()
        if isinstance(joined.answer, Failure) and len(joined.titles) > 1:
            return self._ask(spreadsheet, [title])
        return joined.answer

    def _ask(self, spreadsheet: str, titles: list[str]) -> Result[Book, RepositoryError]:
        params = {"ranges": [quoted(title) for title in titles], "fields": FIELDS}
        answered = self.http.ask(
            "GET", f"{_BOOKS}/{quote(spreadsheet, safe='')}", repeat="read", params=params
        )
        if isinstance(answered, Failure):
            return answered
        try:
            return Success(read_book(answered.unwrap()))
        except msgspec.DecodeError as error:
            broken = DecodeError("Google's answer cannot be read; it was cut or is of another kind")
            broken.__cause__ = error
            return Failure(broken)

    def _titles(self, spreadsheet: str) -> Result[list[str], RepositoryError]:
        answered = self.http.ask(
            "GET",
            f"{_BOOKS}/{quote(spreadsheet, safe='')}",
            repeat="read",
            params={"fields": "sheets(properties(title))"},
        )
        if isinstance(answered, Failure):
            return answered
        book = read_book(answered.unwrap())
        return Success([one.properties.title for one in book.sheets])

    def __repr__(self) -> str:
        return f"<Sheets {self.http.requests} requests>"
