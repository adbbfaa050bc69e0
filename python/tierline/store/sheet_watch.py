"""Watching a worksheet: changes of its rows are told to a handler, while it is open.

Drive is asked for the spreadsheet's version, which costs nothing of the quota of cells, and the
worksheet is read only if that has changed. Drive's own notifications only say when to ask.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from returns.result import Failure as AnyFailure

from tierline.closing import Closing
from tierline.deadline import deadline
from tierline.entity import Sheet
from tierline.errors import (
    AccessDeniedError,
    CellProblem,
    ConfigurationError,
    ConnectionError,  # noqa: A004 (the field's word)
    NotFoundError,
    RateLimitedError,
    RepositoryError,
    SheetLayoutError,
    TimeoutError,  # noqa: A004 (the field's word)
)
from tierline.query.writes import Returning, Write
from tierline.repository.events import Changed
from tierline.result import Failure, Result, Success
from tierline.sheets.background import in_background
from tierline.sheets.channels import Notice, is_from
from tierline.sheets.http import SheetsHttp
from tierline.sheets.observing import Observed, observe
from tierline.sheets.sheets import Sheets
from tierline.sheets.snapshot import layout_error
from tierline.store.sheet_changes import changes, held_rows
from tierline.store.sheet_channel import OpenChannel

T = TypeVar("T")

ChangeHandler: TypeAlias = Callable[[Changed[T]], None]
ErrorHandler: TypeAlias = Callable[[RepositoryError], object]

_FINAL = (AccessDeniedError, ConfigurationError, NotFoundError)
"""Errors after which nothing will be seen any more."""

PASSING = (ConnectionError, TimeoutError, RateLimitedError)
"""Errors that say nothing of what is in the worksheet, nor of what is asked for."""

_LOOK_S = 30.0
_STOP_S = 5.0
_PAUSE_MAX_S = 300.0


class WatchOptions(NamedTuple):
    """How a worksheet is watched.

    Attributes:
        every_s: Seconds between two looks.
        on_error: Who is told of what does not fit, and of what ends the watch.
        address: Where Drive tells of changes; None for nowhere.
        safety_net_s: Seconds between two looks while Drive tells of changes.
        changed: Called before changes are told, so that what is kept of the worksheet is forgotten.
        clock: The time of day.
    """

    every_s: float
    on_error: ErrorHandler | None
    address: str | None
    safety_net_s: float
    changed: Callable[[Sheet[Any, Any]], object]
    clock: Callable[[], float] = time.time


class SheetWatch(Closing, Generic[T]):
    """A worksheet whose changes are told; from `sheets.watch`. Close it, or its store.

    Its handler is called by a thread of its own, one event after another.
    """

    def __init__(
        self,
        http: SheetsHttp,
        sheet: Sheet[T, Any],
        handler: ChangeHandler[T],
        options: WatchOptions,
        closed: Callable[[SheetWatch[Any]], None],
    ) -> None:
        self._http = http
        # Nobody who waits for an answer is to join a read that lets others go first.
        self._sheets = Sheets(http, join_s=0)
        self._sheet = sheet
        self._handler = handler
        self._options = options
        self._closed = closed
        self._lock = threading.Lock()
        self._known: dict[Any, T] = {}
        self._problems: tuple[CellProblem, ...] = ()
        self._held = 0
        self._version: str | None = None
        self._seen_s = time.monotonic()
        self._error: RepositoryError | None = None
        self._ended: RepositoryError | None = None
        self._failures = 0
        self._hinted = self._was_hinted = False
        self._stop, self._wake, self._over = threading.Event(), threading.Event(), threading.Event()
        self._channel: OpenChannel | None = None
        if options.address is not None:
            token = secrets.token_urlsafe(32)
            self._channel = OpenChannel(
                http, sheet.spreadsheet, options.address, token, options.clock
            )
        self._thread = threading.Thread(
            target=self._run, name=f"tierline-sheet-watch-{sheet.worksheet}", daemon=True
        )

    @property
    def rows(self) -> list[T]:
        """The rows as they were told of: what `known=` takes to go on later.

        Rows that do not fit at the moment are as they were when they last did.
        """
        with self._lock:
            return list(self._known.values())

    @property
    def problems(self) -> tuple[CellProblem, ...]:
        """What does not fit in the worksheet; its rows are held as they were."""
        return self._problems

    @property
    def error(self) -> RepositoryError | None:
        """Why it is not up to date, or hears nothing of Drive; None if all is well."""
        told = None if self._channel is None else self._channel.error
        return self._ended or self._error or told

    @property
    def is_open(self) -> bool:
        """Whether changes are still told."""
        return not self._over.is_set()

    def wait(self, timeout_s: float | None = None) -> RepositoryError | None:
        """Wait until it ends, or for some time; what ended it, or None.

        Args:
            timeout_s: Seconds; None for as long as it takes.
        """
        self._over.wait(timeout_s)
        return self._ended

    def close(self) -> None:
        """Tell no more; idempotent. It waits for a request that is under way, and the handler."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def notified(self, notice: Notice) -> bool:
        """Look soon, if a request is one of Drive for this watch; whether it is."""
        channel = self._channel
        if channel is None or not is_from(notice, channel.ids, channel.token):
            return False
        if notice.state != "sync":
            self._hinted = True
            self._wake.set()
        return True

    def start(self, known: dict[Any, T] | None) -> Result[None, RepositoryError]:
        """Look for the first time, and begin.

        Errors: what Google answers; then nothing has begun.
        """
        if self._channel is not None:
            # Opened before the cells are read: of what changes afterwards, Drive tells.
            self._channel.keep()
            error = self._channel.error
            if error is not None and not isinstance(error, PASSING):
                return Failure(error)
        looked = self._look()
        if isinstance(looked, Failure):
            self._give_up_channel()
            return looked
        seen = looked.unwrap()
        assert seen is not None
        self._known = dict(seen.rows) if known is None else known
        self._first = seen
        try:
            self._thread.start()
        except BaseException:
            self._give_up_channel()
            raise
        return Success(None)

    def _run(self) -> None:
        try:
            self._take(self._first, self._read_at)
            del self._first
            while not self._stop.is_set() and self._ended is None:
                self._wake.wait(self._pause_s())
                self._wake.clear()
                if not self._stop.is_set():
                    self._turn()
        finally:
            self._give_up_channel()
            self._over.set()
            self._closed(self)

    def _pause_s(self) -> float:
        """Seconds until the next look."""
        options, channel = self._options, self._channel
        if self._failures:
            limit_s = max(options.every_s, _PAUSE_MAX_S)
            return min(options.every_s * 2.0 ** min(self._failures, 30), limit_s)
        if channel is None or channel.due_s() <= 0:
            return options.every_s
        # A notice may come before what it tells of can be seen.
        rest_s = options.every_s if self._was_hinted else options.safety_net_s
        return min(rest_s, channel.due_s())

    def _turn(self) -> None:
        """Look once, and tell."""
        self._was_hinted, self._hinted = self._hinted, False
        try:
            with deadline(_LOOK_S), in_background(self._stop):
                is_mute = self._channel is not None and self._channel.keep()
                looked = self._look()
        except Exception as mistake:  # noqa: BLE001 (of ours: it must not end it in silence)
            _report(mistake)
            self._failures += 1
            return
        if self._stop.is_set():
            return
        if self._channel is not None and self._channel.error is not None and is_mute:
            self._tell_error(self._channel.error)
        if isinstance(looked, Success):
            self._is_well()
            seen = looked.unwrap()
            if seen is not None:
                self._take(seen, self._read_at)
            return
        error = looked.failure()
        if isinstance(error, SheetLayoutError):
            self._is_well()
            self._held = len(self._known)
            self._tell_problems(error.problems, error)
        elif isinstance(error, _FINAL):
            self._ended = error
            self._tell_error(error)
        else:
            self._error = error
            self._failures += 1

    def _is_well(self) -> None:
        self._error, self._failures, self._seen_s = None, 0, time.monotonic()

    def _look(self) -> Result[Observed[T] | None, RepositoryError]:
        """What is in the worksheet; None if the spreadsheet has not changed."""
        told = self._sheets.version(self._sheet.spreadsheet)
        version = told.value_or(None)
        if version is not None and version == self._version:
            return Success(None)
        if isinstance(told, Failure) and not isinstance(told.failure(), _FINAL):
            return told
        # Without Drive's API the cells are read each time; and they say whether all is lost.
        self._read_at = dt.datetime.now(dt.UTC)
        seen = observe(self._http, self._sheet)
        if isinstance(seen, Success) or isinstance(seen.failure(), SheetLayoutError):
            # Asked for before the cells: whatever changes in between is read again the next time.
            self._version = version
            self._options.changed(self._sheet)
        return seen

    def _take(self, seen: Observed[T], at: dt.datetime) -> None:
        """Tell what is different now."""
        self._held = held_rows(self._known, seen)
        for event in changes(self._sheet, self._known, seen, at):
            if self._stop.is_set():
                # What was not told is told to who goes on with `rows`.
                return
            self._tell(event)
            with self._lock:
                if event.new is None:
                    del self._known[event.key]
                else:
                    self._known[event.key] = event.new
        error = layout_error(self._sheet, seen.problems) if seen.problems else None
        self._tell_problems(seen.problems, error)

    def _tell_problems(
        self, problems: tuple[CellProblem, ...], error: SheetLayoutError | None
    ) -> None:
        """Tell of what does not fit, unless it was told."""
        before, self._problems = self._problems, problems
        if error is not None and problems != before:
            self._tell_error(error)

    def _tell(self, event: Changed[T]) -> None:
        try:
            answer = cast("object", self._handler(event))
        except Exception as error:  # noqa: BLE001 (whatever a handler raises is reported)
            _report(error)
            return
        if isinstance(answer, (Write, Returning, AnyFailure)):
            told = (
                f"the handler of a watch answered with {answer!r:.80}; a sheet has no transaction, "
                "so write with store.execute(…), and answer with None"
            )
            _report(TypeError(told))

    def _tell_error(self, error: RepositoryError) -> None:
        error.operation = error.operation or "watch"
        error.table = error.table or self._sheet.name
        if self._options.on_error is None:
            _report(error)
            return
        try:
            self._options.on_error(error)
        except Exception as raised:  # noqa: BLE001 (whatever a handler raises is reported)
            _report(raised)

    def _give_up_channel(self) -> None:
        if self._channel is not None:
            with deadline(_STOP_S):
                self._channel.stop()

    def __repr__(self) -> str:
        parts = [f"{len(self._known)} rows"]
        if self._held:
            parts.append(f"{self._held} held")
        if self._problems:
            parts.append(f"{len(self._problems)} problems")
        if self._ended is not None:
            parts.append(f"ended by {self._ended!r:.200}")
        elif not self.is_open:
            parts.append("closed")
        else:
            heard = self._channel is not None and self._channel.due_s() > 0
            every_s = self._options.safety_net_s if heard else self._options.every_s
            parts.append(
                f"told by Drive, and asking every {every_s:g} s"
                if heard
                else f"asking every {every_s:g} s"
            )
            parts.append(f"up to date {time.monotonic() - self._seen_s:.1f} s ago")
            if self.error is not None:
                parts.append(f"{self._failures} failures in a row, the last {self.error!r:.200}")
        return f"<SheetWatch {self._sheet.worksheet!r}: {', '.join(parts)}>"


def _report(error: Exception) -> None:
    """Report an exception as one of this thread."""
    report = (type(error), error, error.__traceback__, threading.current_thread())
    threading.excepthook(threading.ExceptHookArgs(report))
