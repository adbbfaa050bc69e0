"""The watches of one store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from tierline.entity import Sheet
from tierline.errors import RepositoryError
from tierline.result import Failure, Result, Success
from tierline.sheets.channels import check_address, notice_of
from tierline.sheets.http import SheetsHttp
from tierline.store.sheet_watch import ChangeHandler, ErrorHandler, SheetWatch, WatchOptions

T = TypeVar("T")


class Watches:
    """Opens watches, and closes those that are open; safe to share between threads.

    Args:
        http: What asks Google.
        changed: Called with a worksheet that has changed, before that is told.
        clock: The time of day, for channels.
    """

    def __init__(
        self,
        http: SheetsHttp,
        *,
        changed: Callable[[Sheet[Any, Any]], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._open: frozenset[SheetWatch[Any]] = frozenset()
        self._is_closed = False

    def open(
        self,
        sheet: Sheet[T, Any],
        handler: ChangeHandler[T],
        *,
        every_s: float,
        on_error: ErrorHandler | None,
        known: Iterable[T] | None,
        address: str | None,
        safety_net_s: float,
    ) -> Result[SheetWatch[T], RepositoryError]:
        """Begin to watch; see `SheetStore.watch`."""
        if not isinstance(cast("object", sheet), Sheet):
            raise TypeError(f"watch takes a sheet made by tl.sheet, not {type(sheet).__name__}")
        if not callable(cast("object", handler)):
            raise TypeError(f"watch takes a function of a tl.Changed, not {handler!r:.80}")
        if on_error is not None and not callable(cast("object", on_error)):
            raise TypeError(f"watch: on_error is a function of an error, not {on_error!r:.80}")
        for name, seconds in (("every_s", every_s), ("safety_net_s", safety_net_s)):
            if not seconds > 0:
                raise ValueError(f"watch: {name} must be positive, not {seconds!r}")
        if address is not None:
            check_address(address)
        rows = None if known is None else _by_key(sheet, known)
        options = WatchOptions(every_s, on_error, address, safety_net_s, self._changed, self._clock)
        watch = SheetWatch(self._http, sheet, handler, options, self._forget)
        # Before its channel is opened, whose first notice may be here before the answer.
        with self._lock:
            if self._is_closed:
                raise RuntimeError("watch: the store of sheets is closed; open another")
            self._open |= {watch}
        try:
            started = watch.start(rows)
        except BaseException:
            self._forget(watch)
            raise
        if isinstance(started, Failure):
            self._forget(watch)
            error = started.failure()
            error.operation, error.table = "watch", error.table or sheet.name
            return started
        return Success(watch)

    def notified(self, headers: Mapping[str, Any]) -> bool:
        """Wake the watch that a request of Drive is for; see `SheetStore.notified`."""
        notice = notice_of(headers)
        return notice is not None and any(watch.notified(notice) for watch in self._open)

    def close(self) -> None:
        """Close every watch; idempotent."""
        with self._lock:
            self._is_closed = True
            watches = self._open
        for watch in watches:
            watch.close()

    def _forget(self, watch: SheetWatch[Any]) -> None:
        with self._lock:
            self._open -= {watch}


class Watchable:
    """The verbs of a store of sheets that watch."""

    watches: Watches

    def watch(
        self,
        sheet: Sheet[T, Any],
        handler: ChangeHandler[T],
        /,
        *,
        every_s: float = 10.0,
        on_error: ErrorHandler | None = None,
        known: Iterable[T] | None = None,
        address: str | None = None,
        safety_net_s: float = 300.0,
    ) -> Result[SheetWatch[T], RepositoryError]:
        """Tell of every row that is created, changed or removed, until it is closed.

        Drive is asked for the spreadsheet's version, which costs nothing of the quota of cells; the
        worksheet is read if that has changed. Rows are compared by key, so sorting and moving them
        changes nothing. A row that does not fit its table is held: nothing is told of it until it
        fits again, and it counts as there. Of several changes between two looks the last is seen.

        Args:
            sheet: From `tl.sheet`.
            handler: Takes a `tl.Changed`: `create`, `update` with the row before and after, or
                `delete` of a row that is gone. A thread of the watch calls it, one event after
                another; what it raises goes to `threading.excepthook`, and the watch goes on.
            every_s: Seconds between two looks. Errors that pass make it look less often, up to
                every five minutes, and are the watch's `error` meanwhile.
            on_error: Takes a `SheetLayoutError` when other headers or cells than before do not
                fit, and the error that ends the watch. Without it they go to
                `threading.excepthook`.
            known: The rows as they were known before, such as `rows` of an earlier watch: what is
                different now is told first. Without it, only what changes from now on.
            address: `https://…` where Drive shall tell of changes, so that they are seen at once:
                a request there is given to `notified`.
            safety_net_s: Seconds between two looks while Drive tells of changes.

        Errors: as `view`, for the first look. `AccessDeniedError`, `NotFoundError` and
        `ConfigurationError` end a watch later on. An address that Drive does not take is a
        `ConfigurationError`.

        Raises:
            TypeError: The sheet, a handler or a row of `known` is none.
            ValueError: A number of seconds is not positive, or the address is none of HTTPS.

        Example:
            ``with unwrap(sheets.watch(BIRDS, print)) as watch: watch.wait()``
        """
        return self.watches.open(
            sheet,
            handler,
            every_s=every_s,
            on_error=on_error,
            known=known,
            address=address,
            safety_net_s=safety_net_s,
        )

    def notified(self, headers: Mapping[str, Any], /) -> bool:
        """Let the watches look, if a request is one of Drive; whether it is.

        It is a hint and no more: its token is compared, and Drive is asked what is true. Answer it
        with 204, or with 404 if it is of none of this store's watches.

        Args:
            headers: The request's headers, or the `environ` of WSGI.
        """
        return self.watches.notified(headers)


def _by_key(sheet: Sheet[T, Any], known: Iterable[T]) -> dict[Any, T]:
    rows: dict[Any, T] = {}
    for row in known:
        if not isinstance(cast("object", row), sheet.entity):
            raise TypeError(f"watch: known holds {sheet.entity.__name__}s, not {row!r:.80}")
        rows[sheet.key_of(row)] = row
    return rows
