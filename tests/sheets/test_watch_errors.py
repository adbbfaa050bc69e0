"""What a watch does when Google, a handler or its owner does not go on."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from typing import Any

import gspread
import pytest
from returns.result import Failure, Success
from tests.real.helpers import WAIT_S, wait_until
from tests.sheets.birds import BIRDS, Bird, birds_of
from tests.sheets.watching import NEVER_S, SOON_S, Watching, birds, watching

import tierline as tl
from tierline.deadline import remaining_s
from tierline.sheets.background import is_background
from tierline.sheets.circuits import CALLS_MAX
from tierline.sheets.sheets import Sheets
from tierline.store.sheet_watch import SheetWatch
from tierline.testing.sheets import (
    Fault,
    SheetsServer,
    api_disabled,
    cut_body,
    delayed,
    expired_token,
    too_many_requests,
    unavailable,
)

__all__ = ["birds", "watching"]


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("tierline-sheet-watch")]


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What goes to `threading.excepthook`."""
    found: list[BaseException] = []

    def hook(report: Any) -> None:
        assert report.thread.name.startswith("tierline-sheet-watch")
        found.append(report.exc_value)

    monkeypatch.setattr(threading, "excepthook", hook)
    return found


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(unavailable(times=100_000), id="503"),
        pytest.param(too_many_requests(times=100_000, retry_after_s=3600), id="429"),
        pytest.param(cut_body(5, times=100_000), id="cut"),
    ],
)
def test_errors_that_pass_are_seen_and_nothing_is_missed(
    watching: Watching,
    birds: tl.Sheet[Bird, int],
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each look tries again for a while; here only once.
    monkeypatch.setattr("tierline.sheets.retrying.ATTEMPTS_MAX", 1)
    server, heard = watching.server, watching.heard
    watch = watching.start(birds, every_s=0.001)
    server.inject(fault)
    server.set_values(birds.spreadsheet, {"B2": "crane"})
    server.delete_rows(birds.spreadsheet, at=3)
    wait_until(lambda: watch.error is not None and "failures in a row" in repr(watch))
    wait_until(lambda: watch._failures >= 2)
    assert watch._pause_s() >= 4 * 0.001
    assert watch.is_open
    assert watch.rows == BIRDS
    assert heard.is_quiet()
    server.clear_faults()
    assert [heard.next()[:2] for _ in range(2)] == [("delete", 2), ("update", 1)]
    wait_until(lambda: watch.error is None)
    assert "failures" not in repr(watch)


def test_pauses_grow_and_are_bounded(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    watch = watching.start(birds, every_s=NEVER_S)
    pauses: list[float] = []
    for n in (0, 1, 2, 1_000):
        watch._failures = n
        pauses.append(watch._pause_s())
    assert pauses == [NEVER_S] * 4
    watch._options = watch._options._replace(every_s=10.0)
    pauses = []
    for n in (0, 1, 2, 1_000):
        watch._failures = n
        pauses.append(watch._pause_s())
    assert pauses == [10, 20, 40, 300]


@pytest.mark.parametrize("loss", ["access", "deleted", "key"])
def test_what_is_lost_for_good_ends_the_watch_and_deletes_nothing(
    sheets_server: SheetsServer, loss: str
) -> None:
    birds = birds_of(sheets_server)
    key = sheets_server.service_account("robot@example.com")
    sheets_server.share(birds.spreadsheet, "robot@example.com", "reader")
    client = sheets_server.connect(gspread.service_account_from_dict(key))
    with tl.open_sheets(client) as store:
        watching = Watching(sheets_server, store)
        watch = watching.start(birds)
        if loss == "access":
            owner = sheets_server.client().open_by_key(birds.spreadsheet)
            owner.remove_permissions("robot@example.com", "reader")
        elif loss == "deleted":
            sheets_server.client().del_spreadsheet(birds.spreadsheet)
        else:
            sheets_server.revoke_key(key)
            sheets_server.revoke_tokens()
        error = watching.heard.next_error()
        assert watch.wait(WAIT_S) is error
        wanted = tl.NotFoundError if loss == "deleted" else tl.AccessDeniedError
        assert isinstance(error, wanted)
        assert (error.operation, error.table) == ("watch", "Sheet1")
        assert watch.error is error
        assert not watch.is_open
        assert "ended by" in repr(watch)
        assert watch.rows == BIRDS
        assert watching.heard.events.empty()
        wait_until(lambda: _threads() == [])


def test_without_drives_api_the_cells_are_read_each_time(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    disabled = api_disabled(times=100_000)
    watching.server.inject(
        Fault(name="no drive", times=100_000, path="/drive/", reply=disabled.reply)
    )
    watch = watching.start(birds)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)
    assert watch.error is None


def test_a_handler_that_fails_ends_nothing(
    watching: Watching, birds: tl.Sheet[Bird, int], reported: list[BaseException]
) -> None:
    names: list[str] = []

    def handler(event: tl.Changed[Bird]) -> None:
        assert event.new is not None
        names.append(event.new.name)
        if event.new.name == "crane":
            raise ZeroDivisionError

    def complain(_: tl.RepositoryError) -> None:
        raise LookupError

    with tl.unwrap(
        watching.store.watch(birds, handler, every_s=SOON_S, on_error=complain)
    ) as watch:
        watching.server.set_values(birds.spreadsheet, {"B2": "crane", "B3": "gull"})
        wait_until(lambda: names == ["crane", "gull"])
        watching.server.set_values(birds.spreadsheet, {"C3": "soon"})
        wait_until(lambda: len(reported) == 2)
        assert watch.is_open
        assert [type(one) for one in reported] == [ZeroDivisionError, LookupError]


def test_what_a_handler_asks_is_no_background(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    seen: list[tuple[bool, float]] = []

    def note(_: object) -> None:
        seen.append((is_background(), remaining_s()))

    with tl.unwrap(watching.store.watch(birds, note, every_s=SOON_S, on_error=note)):
        watching.server.set_values(birds.spreadsheet, {"B2": "crane", "C3": "soon"})
        wait_until(lambda: len(seen) == 2)
    assert seen == [(False, math.inf)] * 2


def test_what_nobody_wants_to_hear_is_reported(
    watching: Watching, birds: tl.Sheet[Bird, int], reported: list[BaseException]
) -> None:
    watch = tl.unwrap(watching.store.watch(birds, lambda _: None, every_s=SOON_S))
    watching.server.set_values(birds.spreadsheet, {"C3": "soon"})
    wait_until(lambda: len(reported) == 1)
    watching.server.client().del_spreadsheet(birds.spreadsheet)
    watch.wait(WAIT_S)
    assert [type(one) for one in reported] == [tl.SheetLayoutError, tl.NotFoundError]


def test_a_handler_that_wants_something_written_is_told_that_it_is_not(
    watching: Watching, birds: tl.Sheet[Bird, int], reported: list[BaseException]
) -> None:
    table = tl.table(Bird, name="birds", key=lambda b: b.id)
    answers: list[Any] = [tl.insert(table, BIRDS[0]), Failure(tl.ConstraintError("no"))]

    def handler(_: tl.Changed[Bird]) -> Any:
        return answers.pop()

    with tl.unwrap(watching.store.watch(birds, handler, every_s=SOON_S)):
        watching.server.set_values(birds.spreadsheet, {"B2": "crane", "B3": "gull"})
        wait_until(lambda: len(reported) == 2)
    assert all("write with store.execute" in str(one) for one in reported)


def test_a_mistake_of_ours_is_reported_and_it_goes_on(
    watching: Watching,
    birds: tl.Sheet[Bird, int],
    reported: list[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = watching.start(birds)
    whole = Sheets.version
    with monkeypatch.context() as patch:

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        patch.setattr(Sheets, "version", broken)
        wait_until(lambda: reported)
    assert Sheets.version is whole
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)
    assert watch.is_open


def test_closing_ends_the_thread(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    watch = watching.start(birds, every_s=NEVER_S)
    assert len(_threads()) == 1
    assert watch.is_open
    assert watch.wait(0.001) is None
    watch.close()
    watch.close()
    assert _threads() == []
    assert not watch.is_open
    assert "closed" in repr(watch)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.is_quiet()
    gone = weakref.ref(watch)
    del watch
    gc.collect()
    assert gone() is None


def test_a_store_closes_what_watches(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    watches = [watching.start(birds, every_s=NEVER_S) for _ in range(3)]
    watching.store.close()
    assert _threads() == []
    assert not any(watch.is_open for watch in watches)
    with pytest.raises(RuntimeError, match="the store of sheets is closed"):
        watching.start(birds)


def test_a_store_of_a_database_closes_what_watches_its_sheets(
    sheets_server: SheetsServer, pg_url: str
) -> None:
    with tl.open(pg_url, sheets=tl.open_sheets(sheets_server.client())) as store:
        assert store.sheets is not None
        watch = Watching(sheets_server, store.sheets).start(birds_of(sheets_server))
        assert watch.is_open
    assert _threads() == []


@pytest.mark.parametrize("waits", ["the quota", "another attempt", "the next look"])
def test_closing_waits_for_no_wait(
    watching: Watching, birds: tl.Sheet[Bird, int], waits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.store.sheet_watch._LOOK_S", 3600.0)
    watch = watching.start(birds, every_s=NEVER_S if waits == "the next look" else SOON_S)
    if waits == "the quota":
        watching.store._http._limiter.ran_out("read", 100)
        watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
        watching.looked_again(1)
    elif waits == "another attempt":
        watching.server.inject(too_many_requests(100_000, retry_after_s=100))
        wait_until(lambda: watching.server.requests[-1].status == 429)
    closing = threading.Thread(target=watch.close)
    closing.start()
    # What it would wait for is 100 seconds away.
    closing.join(60)
    assert not closing.is_alive()


def test_closing_waits_for_the_handler(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    began, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def handler(_: tl.Changed[Bird]) -> None:
        began.set()
        goes_on.wait(WAIT_S)
        ended.set()

    watch = tl.unwrap(watching.store.watch(birds, handler, every_s=SOON_S))
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert began.wait(WAIT_S)
    threading.Timer(0.05, goes_on.set).start()
    watch.close()
    assert ended.is_set()
    assert _threads() == []


def test_the_first_look_is_told_at_once(
    sheets_server: SheetsServer, watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    def refused(given: tl.Sheet[Bird, int]) -> tl.RepositoryError:
        error = watching.store.watch(given, lambda _: None).failure()
        assert error.operation == "watch"
        return error

    nowhere = tl.sheet("nope", "Sheet1", Bird, key=lambda b: b.id)
    assert isinstance(refused(nowhere), tl.NotFoundError)
    elsewhere = tl.sheet(birds.spreadsheet, "Birds", Bird, key=lambda b: b.id)
    assert isinstance(refused(elsewhere), tl.SheetLayoutError)
    headless = birds_of(sheets_server, [["a", "b"]])
    assert isinstance(refused(headless), tl.SheetLayoutError)
    sheets_server.inject(expired_token(times=2))
    assert isinstance(refused(birds), tl.AccessDeniedError)
    sheets_server.inject(delayed(60))
    with tl.deadline(0.2):
        assert isinstance(refused(birds), tl.TimeoutError)
    assert _threads() == []
    assert isinstance(watching.store.watch(birds, lambda _: None), Success)


def test_without_a_thread_nothing_is_watched(
    watching: Watching, birds: tl.Sheet[Bird, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = threading.Thread.start

    def none(thread: threading.Thread) -> None:
        if thread.name.startswith("tierline-sheet-watch"):
            raise RuntimeError("can't start new thread")
        # The server has threads of its own.
        whole(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            watching.start(birds)
    assert watching.store.watches._open == frozenset()


def test_a_look_leaves_others_their_share_of_the_quota(
    watching: Watching, birds: tl.Sheet[Bird, int]
) -> None:
    seen: list[bool] = []
    limiter = watching.store._http._limiter
    whole = limiter.wait_s

    def noted(kind: Any, *, background: bool = False) -> float:
        seen.append(background)
        return whole(kind, background=background)

    limiter.wait_s = noted  # type: ignore[method-assign]
    watching.start(birds)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    watching.heard.next()
    # Somebody waits for the first look.
    assert seen == [False, True]


def test_a_spreadsheet_that_is_down_is_asked_seldom(
    watching: Watching, birds: tl.Sheet[Bird, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.sheets.retrying.ATTEMPTS_MAX", 1)
    monkeypatch.setattr("tierline.store.sheet_watch._PAUSE_MAX_S", 0.001)
    monkeypatch.setattr("tierline.circuit.PAUSE_S", 3600.0)
    watch = watching.start(birds, every_s=0.001)
    watching.server.inject(unavailable(times=100_000))
    wait_until(lambda: watch._failures > 3 * CALLS_MAX)
    assert sum(one.status == 503 for one in watching.server.requests) == CALLS_MAX
    assert "asked once a second at most" in str(watch.error)


def test_mistakes_are_told(watching: Watching, birds: tl.Sheet[Bird, int]) -> None:
    store: Any = watching.store
    table = tl.table(Bird, name="birds", key=lambda b: b.id)
    with pytest.raises(TypeError, match=r"watch takes a sheet made by tl\.sheet, not Table"):
        store.watch(table, print)
    with pytest.raises(TypeError, match=r"watch takes a function of a tl\.Changed, not 7"):
        store.watch(birds, 7)
    with pytest.raises(TypeError, match="on_error is a function of an error"):
        store.watch(birds, print, on_error="log")
    for name in ("every_s", "safety_net_s"):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            store.watch(birds, print, **{name: 0})
    assert SheetWatch is tl.SheetWatch
