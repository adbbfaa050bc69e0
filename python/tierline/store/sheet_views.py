"""Worksheets that are kept for a while, and asked for anew only if the spreadsheet has changed."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tierline.cache.strategy import ReadThrough
from tierline.deadline import deadline, remaining_s
from tierline.entity import Sheet
from tierline.errors import (
    CellProblem,
    ConnectionError,  # noqa: A004 (the field's word)
    RateLimitedError,
    RepositoryError,
    TimeoutError,  # noqa: A004 (the field's word)
    late_load,
)
from tierline.result import Failure, Result, Success, collect
from tierline.sheets.background import in_background
from tierline.sheets.sheets import Sheets
from tierline.sheets.snapshot import Snapshot, strictly

T = TypeVar("T")

_REVALIDATION_S = 30.0


class SheetView(msgspec.Struct, Generic[T], frozen=True):
    """A worksheet's rows, and how old they are.

    Attributes:
        rows: The entities, in the order of the worksheet.
        numbers: The row of each, counted from 1.
        problems: Cells that do not fit; their rows are left out.
        read_at: When it was last known to be so.
        age_s: Seconds since then.
        stale_because: Why it could not be read anew; None if it is as fresh as was asked for.
    """

    rows: list[T]
    numbers: list[int]
    problems: tuple[CellProblem, ...]
    read_at: dt.datetime
    age_s: float
    stale_because: RepositoryError | None = None

    def __repr__(self) -> str:
        problems = f", {len(self.problems)} problems" if self.problems else ""
        stale = "" if self.stale_because is None else ", stale"
        return f"<SheetView {len(self.rows)} rows{problems}, {self.age_s:.1f} s old{stale}>"


class Kept(NamedTuple):
    """A snapshot, and since when it is known to be so."""

    snapshot: Snapshot[Any]
    version: str | None
    at_s: float
    why: RepositoryError | None = None

    def age_s(self) -> float:
        """Seconds since it was known to be so."""
        return max(0.0, time.monotonic() - self.at_s)

    def view(self) -> SheetView[Any]:
        """What a caller sees of it."""
        found, age_s = self.snapshot, self.age_s()
        read_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        return SheetView(found.rows, found.numbers, found.problems, read_at, age_s, self.why)


class SheetViews:
    """Reads worksheets, through what is kept of them if there is a strategy.

    Args:
        sheets: Reads.
        strategy: How long what was read is kept; None reads each time.
    """

    def __init__(self, sheets: Sheets, strategy: ReadThrough | None) -> None:
        self._sheets = sheets
        # Nobody who waits for an answer is to join a read that lets others go first.
        self._background = Sheets(sheets.http, join_s=0, shared=sheets.shared)
        self._strategy = strategy
        self._kept: dict[Sheet[Any, Any], Kept] = {}
        self._locks: dict[Sheet[Any, Any], threading.Lock] = {}
        self._retry_at_s: dict[Sheet[Any, Any], float] = {}
        self._writes: dict[str, int] = {}
        self._lock = threading.Lock()

    def forget(self, sheet: Sheet[Any, Any]) -> None:
        """Its spreadsheet was written: what was read before, or began to be, is kept no longer."""
        with self._lock:
            book = sheet.spreadsheet
            self._writes[book] = self._writes.get(book, 0) + 1
            self._kept = {one: kept for one, kept in self._kept.items() if one.spreadsheet != book}

    def _keep(self, sheet: Sheet[Any, Any], kept: Kept, writes: int) -> None:
        """Keep it, unless a write came in between."""
        with self._lock:
            if self._writes.get(sheet.spreadsheet, 0) == writes:
                self._kept[sheet] = kept

    def get(self, sheet: Sheet[Any, Any], *, fresh: bool) -> Result[Kept, RepositoryError]:
        """The worksheet, as fresh as the strategy says."""
        strategy = self._strategy
        if strategy is None:
            return self._read(sheet, None)
        kept = None if fresh else self._kept.get(sheet)
        if kept is not None:
            age_s = kept.age_s()
            if age_s <= strategy.ttl_s:
                return Success(kept)
            if age_s <= strategy.ttl_s + strategy.stale_while_revalidate_s:
                self._revalidate(sheet, kept)
                return Success(kept)
        return self._fresh(sheet, strategy, fresh=fresh)

    def get_all(
        self, sheets: Sequence[Sheet[Any, Any]], *, fresh: bool
    ) -> Result[list[Snapshot[Any]], RepositoryError]:
        """Several worksheets; without a strategy those of one spreadsheet are of one moment.

        Errors: `SheetLayoutError` for cells that do not fit, where the table does not skip them.
        """
        read = self._all(sheets, fresh=fresh)
        if isinstance(read, Failure):
            return read
        try:
            return Success([strictly(*pair) for pair in zip(sheets, read.unwrap(), strict=True)])
        except RepositoryError as error:
            return Failure(error)

    def _all(
        self, sheets: Sequence[Sheet[Any, Any]], *, fresh: bool
    ) -> Result[list[Snapshot[Any]], RepositoryError]:
        if self._strategy is None:
            return self._sheets.read_all(sheets)
        kept = collect(self.get(sheet, fresh=fresh) for sheet in sheets)
        if isinstance(kept, Failure):
            return kept
        return Success([one.snapshot for one in kept.unwrap()])

    def _fresh(
        self, sheet: Sheet[Any, Any], strategy: ReadThrough, *, fresh: bool
    ) -> Result[Kept, RepositoryError]:
        asked_s = time.monotonic()
        with self._lock:
            lock = self._locks.setdefault(sheet, threading.Lock())
        left_s = remaining_s()
        if not lock.acquire(timeout=left_s if left_s < threading.TIMEOUT_MAX else -1):
            return Failure(late_load())
        try:
            return self._read_once(sheet, strategy, asked_s, fresh=fresh)
        finally:
            lock.release()

    def _read_once(
        self, sheet: Sheet[Any, Any], strategy: ReadThrough, asked_s: float, *, fresh: bool
    ) -> Result[Kept, RepositoryError]:
        """Read it, unless another has done so while this call waited; under the sheet's lock."""
        kept = self._kept.get(sheet)
        if (
            kept is not None
            and not fresh
            and (kept.at_s >= asked_s or kept.age_s() <= strategy.ttl_s)
        ):
            return Success(kept)
        may_stand_in = (
            kept is not None
            and not fresh
            and kept.age_s() <= strategy.ttl_s + strategy.stale_if_error_s
        )
        if may_stand_in and time.monotonic() < self._retry_at_s.get(sheet, 0.0):
            assert kept is not None
            return Success(kept)
        writes = self._writes.get(sheet.spreadsheet, 0)
        answered = self._read(sheet, kept)
        if isinstance(answered, Success):
            self._keep(sheet, answered.unwrap(), writes)
            return answered
        error = answered.failure()
        if kept is None or not may_stand_in or not isinstance(error, _PASSING):
            return answered
        self._retry_at_s[sheet] = time.monotonic() + strategy.retry_s
        stale = kept._replace(why=error)
        self._keep(sheet, stale, writes)
        return Success(stale)

    def _read(
        self, sheet: Sheet[Any, Any], kept: Kept | None, sheets: Sheets | None = None
    ) -> Result[Kept, RepositoryError]:
        sheets = sheets or self._sheets
        version: str | None = None
        at_s = time.monotonic()
        if self._strategy is not None:
            # Asked for before the cells: whatever changes in between is read again the next time.
            told = sheets.version(sheet.spreadsheet)
            if isinstance(told, Success):
                version = told.unwrap()
                if kept is not None and version == kept.version:
                    return Success(Kept(kept.snapshot, version, at_s))
            elif isinstance(told.failure(), _PASSING):
                return told
            # Without Drive's API the cells are read each time.
        at_s = time.monotonic()
        read = sheets.read(sheet, version)
        return read if isinstance(read, Failure) else Success(Kept(read.unwrap(), version, at_s))

    def _revalidate(self, sheet: Sheet[Any, Any], kept: Kept) -> None:
        """Read it anew in the background, once at a time."""
        with self._lock:
            lock = self._locks.setdefault(sheet, threading.Lock())
            if time.monotonic() < self._retry_at_s.get(sheet, 0.0):
                return
            if not lock.acquire(blocking=False):
                return

        writes = self._writes.get(sheet.spreadsheet, 0)

        def run() -> None:
            try:
                with deadline(_REVALIDATION_S), in_background():
                    answered = self._read(sheet, kept, self._background)
                if isinstance(answered, Success):
                    self._keep(sheet, answered.unwrap(), writes)
                    return
                strategy = self._strategy
                retry_s = 0.0 if strategy is None else strategy.retry_s
                self._retry_at_s[sheet] = time.monotonic() + retry_s
                self._keep(sheet, kept._replace(why=answered.failure()), writes)
            finally:
                lock.release()

        try:
            threading.Thread(target=run, name="tierline-sheet", daemon=True).start()
        except RuntimeError:
            # No thread is to be had: the next caller may try again.
            lock.release()


_PASSING = (ConnectionError, TimeoutError, RateLimitedError)
"""Errors that say nothing of what is in the worksheet."""
