"""`Sheets`: reads worksheets; requests of the same moment are one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from tierline.deadline import remaining_s
from tierline.entity import Sheet
from tierline.errors import DecodeError, QueryError, RepositoryError
from tierline.result import Failure, Result, Success
from tierline.sheets.grid import (
    FIELDS,
    MARKER_FIELDS,
    Book,
    WorksheetProperties,
    quoted,
    read_book,
)
from tierline.sheets.http import SheetsHttp
from tierline.sheets.snapshot import Snapshot, missing_worksheet, snapshot

if TYPE_CHECKING:
    from tierline.sheets.shared_cells import SharedCells

T = TypeVar("T")

_FILES = "https://www.googleapis.com/drive/v3/files"
_FOREVER_S = threading.TIMEOUT_MAX
_BOOKS = "https://sheets.googleapis.com/v4/spreadsheets"
JOIN_S = 0.02
"""Reads of one spreadsheet that begin within this time are one request."""


class _Round:
    """One request that several threads wait for."""

    def __init__(self) -> None:
        self.titles: set[str] = set()
        self.done = threading.Event()
        self.answer: Result[Book, RepositoryError] | None = None


class Leftovers:
    """Worksheets of copies that batches have made and nobody needs any more, by spreadsheet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, list[int]] = {}

    def add(self, spreadsheet: str, sheet_ids: Sequence[int]) -> None:
        """They may be deleted."""
        with self._lock:
            if sheet_ids:
                self._ids.setdefault(spreadsheet, []).extend(sheet_ids)

    def take(self, spreadsheet: str) -> list[int]:
        """Those of a spreadsheet, which nobody else is given."""
        with self._lock:
            return self._ids.pop(spreadsheet, [])

    def spreadsheets(self) -> list[str]:
        """Where there are any."""
        with self._lock:
            return list(self._ids)


class _FileVersion(msgspec.Struct):
    version: str


def _unreadable(error: Exception) -> DecodeError:
    broken = DecodeError("Google's answer cannot be read; it was cut, or is of another kind")
    broken.__cause__ = error
    return broken


class Sheets:
    """Reads worksheets through one client; safe to share between threads."""

    def __init__(
        self, http: SheetsHttp, *, join_s: float = JOIN_S, shared: SharedCells | None = None
    ) -> None:
        self.http = http
        self.shared = shared
        self._join_s = join_s
        self._lock = threading.Lock()
        self._rounds: dict[str, _Round] = {}
        self.leftovers = Leftovers()

    def read(
        self, sheet: Sheet[T, Any], version: str | None = None
    ) -> Result[Snapshot[T], RepositoryError]:
        """The worksheet as it is now, cells that do not fit apart.

        Args:
            sheet: The table.
            version: What Drive has just told: cells that another process has read in this version
                do too.

        Errors: `SheetLayoutError` if it is not there or its headers do not fit; what asking Google
        comes to.
        """
        if version is not None and self.shared is not None:
            return self._read_shared(sheet, version, self.shared)
        read = self.read_all([sheet])
        return read if isinstance(read, Failure) else Success(read.unwrap()[0])

    def _read_shared(
        self, sheet: Sheet[T, Any], version: str, shared: SharedCells
    ) -> Result[Snapshot[T], RepositoryError]:
        place = sheet.spreadsheet, sheet.worksheet
        body = shared.get(*place, version)
        if body is None:
            answered = self._body(sheet.spreadsheet, [sheet.worksheet])
            if isinstance(answered, Failure):
                return self.explained(answered, sheet.spreadsheet, [sheet])
            body = answered.unwrap()
            shared.put(*place, version, body)
        try:
            return Success(snapshot(sheet, read_book(body)))
        except msgspec.DecodeError as error:
            return Failure(_unreadable(error))
        except RepositoryError as error:
            return Failure(error)

    def read_all(
        self, sheets: Sequence[Sheet[Any, Any]]
    ) -> Result[list[Snapshot[Any]], RepositoryError]:
        """Several worksheets, those of one spreadsheet as they were at the same moment."""
        titles: dict[str, set[str]] = {}
        for sheet in sheets:
            titles.setdefault(sheet.spreadsheet, set()).add(sheet.worksheet)
        books: dict[str, Book] = {}
        for spreadsheet, wanted in titles.items():
            answered = self._book(spreadsheet, wanted)
            if isinstance(answered, Failure):
                return self.explained(answered, spreadsheet, sheets)
            books[spreadsheet] = answered.unwrap()
        try:
            return Success([snapshot(sheet, books[sheet.spreadsheet]) for sheet in sheets])
        except RepositoryError as error:
            return Failure(error)

    def version(self, spreadsheet: str) -> Result[str, RepositoryError]:
        """What changes whenever the spreadsheet does; it costs none of the quota of cells.

        Source: `version` of Drive's files, "a monotonically increasing version number".
        """
        answered = self.http.ask(
            "GET",
            f"{_FILES}/{quote(spreadsheet, safe='')}",
            repeat="read",
            params={"fields": "version", "supportsAllDrives": "true"},
        )
        if isinstance(answered, Failure):
            return answered
        try:
            return Success(msgspec.json.decode(answered.unwrap(), type=_FileVersion).version)
        except msgspec.DecodeError as error:
            return Failure(_unreadable(error))

    def explained(
        self,
        failed: Failure[RepositoryError],
        spreadsheet: str,
        sheets: Sequence[Sheet[Any, Any]],
    ) -> Failure[RepositoryError]:
        """A failed read of worksheets, which says of a missing one that it is."""
        error = failed.failure()
        own = [sheet for sheet in sheets if sheet.spreadsheet == spreadsheet]
        if isinstance(error, QueryError):
            # Google says no more of a range than that it cannot be parsed.
            there = self.worksheets(spreadsheet)
            if isinstance(there, Success):
                titles = [one.title for one in there.unwrap()]
                for sheet in own:
                    if sheet.worksheet not in titles:
                        return Failure(missing_worksheet(sheet, titles))
        error.table = error.table or own[0].name
        return failed

    def _book(self, spreadsheet: str, titles: set[str]) -> Result[Book, RepositoryError]:
        """One answer for all who ask within the same moment."""
        with self._lock:
            joined = self._rounds.get(spreadsheet)
            leads = joined is None
            if joined is None:
                joined = self._rounds[spreadsheet] = _Round()
            joined.titles |= titles
        if leads:
            try:
                time.sleep(self._join_s)
                with self._lock:
                    del self._rounds[spreadsheet]
                joined.answer = self._ask(spreadsheet, sorted(joined.titles))
            finally:
                with self._lock:
                    if self._rounds.get(spreadsheet) is joined:
                        del self._rounds[spreadsheet]
                joined.done.set()
        else:
            joined.done.wait(max(0.0, remaining_s()) if remaining_s() < _FOREVER_S else None)
        answer = joined.answer
        if isinstance(answer, Success) or (answer is not None and joined.titles == titles):
            return answer
        # What others asked for, or when they wanted it, may be what failed.
        return self._ask(spreadsheet, sorted(titles))

    def book(self, spreadsheet: str, titles: Sequence[str]) -> Result[Book, RepositoryError]:
        """The cells of worksheets by themselves: no other read is waited for."""
        return self._ask(spreadsheet, list(titles))

    def _body(
        self, spreadsheet: str, titles: list[str]
    ) -> Success[bytes] | Failure[RepositoryError]:
        fields = FIELDS if self.http.read_only else f"{FIELDS},{MARKER_FIELDS}"
        params = {"ranges": [quoted(title) for title in titles], "fields": fields}
        return self.http.ask(
            "GET", f"{_BOOKS}/{quote(spreadsheet, safe='')}", repeat="read", params=params
        )

    def _ask(self, spreadsheet: str, titles: list[str]) -> Result[Book, RepositoryError]:
        answered = self._body(spreadsheet, titles)
        if isinstance(answered, Failure):
            return answered
        try:
            book = read_book(answered.unwrap())
        except msgspec.DecodeError as error:
            return Failure(_unreadable(error))
        if not self.http.read_only:
            # What a first batch would otherwise have to ask for.
            names = {one.namedRangeId: one.name for one in book.namedRanges}
            self.http.marks.learn(spreadsheet, names)
        return Success(book)

    def worksheets(
        self, spreadsheet: str, end_s: float | None = None
    ) -> Result[list[WorksheetProperties], RepositoryError]:
        """Every worksheet of a spreadsheet, hidden ones too."""
        answered = self.http.ask(
            "GET",
            f"{_BOOKS}/{quote(spreadsheet, safe='')}",
            repeat="read",
            params={"fields": "sheets(properties(sheetId,title))"},
            end_s=end_s,
        )
        if isinstance(answered, Failure):
            return answered
        try:
            book = read_book(answered.unwrap())
        except msgspec.DecodeError as error:
            return Failure(_unreadable(error))
        return Success([one.properties for one in book.sheets])

    def __repr__(self) -> str:
        return f"<Sheets {self.http.requests} requests>"
