"""Who waits for an answer goes before what runs in the background, and can end its waits."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success
from tests.real.helpers import wait_until
from tests.sheets.birds import BIRDS, birds_of
from tests.sheets.test_asking import Time
from tests.sheets.timed import http_of

import tierline as tl
from tierline.sheets import shared_limiter
from tierline.sheets.background import in_background, is_background
from tierline.sheets.limiter import Kind, LocalLimiter, bucket_of, needed
from tierline.sheets.shared_limiter import SharedLimiter
from tierline.sheets.sheets import Sheets
from tierline.testing import SheetsServer
from tierline.testing.sheets import unavailable

READ: Kind = "read"


def test_the_background_leaves_half_of_the_burst() -> None:
    limiter = LocalLimiter(tl.SheetsQuota(), lambda: 1000.0)
    taken = 0
    while limiter.wait_s(READ, background=True) <= 0:
        taken += 1
    assert taken == 5
    while limiter.wait_s(READ) <= 0:
        taken += 1
    assert taken == bucket_of(60).burst


def test_who_waits_for_an_answer_goes_first() -> None:
    now = [1000.0]
    limiter = LocalLimiter(tl.SheetsQuota(), lambda: now[0])
    while limiter.wait_s(READ) <= 0:
        pass
    wait_s = limiter.wait_s(READ)
    assert limiter.wait_s(READ, background=True) > 5 * wait_s
    now[0] += wait_s + 0.001
    assert limiter.wait_s(READ, background=True) > 0
    assert limiter.wait_s(READ) == 0


@given(quota=st.integers(1, 1000))
def test_the_background_gets_its_turn_from_a_full_bucket(quota: int) -> None:
    bucket = bucket_of(quota)
    assert 1 <= needed(bucket, background=True) <= bucket.burst
    assert needed(bucket, background=False) == 1
    now = [1000.0]
    limiter = LocalLimiter(tl.SheetsQuota(quota, quota, quota, quota), lambda: now[0])
    assert limiter.wait_s(READ, background=True) == 0
    while (wait_s := limiter.wait_s(READ, background=True)) > 0:
        now[0] += wait_s + 0.001
    assert now[0] < 1000 + 240


def test_processes_leave_it_to_each_other(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine is not a Redis that is away.
    monkeypatch.setattr(shared_limiter, "_TIMEOUT_S", 60)
    quota = tl.SheetsQuota(user_reads=12)

    def limiter(user: str) -> SharedLimiter:
        return SharedLimiter(
            redis_url, quota, LocalLimiter(quota), prefix=redis_prefix, project="birds", user=user
        )

    waits: list[float] = []
    for n in itertools.count():
        with ExitStack() as stack:
            one, other = limiter(f"{n}"), limiter(f"{n}")
            stack.callback(one.close)
            stack.callback(other.close)
            began_s = time.monotonic()
            waits = [
                one.wait_s(READ, background=True),
                other.wait_s(READ, background=True),
                other.wait_s(READ),
                one.wait_s(READ),
            ]
        # Six seconds bring a token back: then the machine stood still, and nothing is said.
        if time.monotonic() - began_s < 5:
            break
    assert [wait_s > 0 for wait_s in waits] == [False, True, False, True]


def test_requests_of_the_background_are_known_by_their_context(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    http = http_of(sheets_server, Time(sheets_server), quota=tl.SheetsQuota(user_reads=12))
    sheets = Sheets(http, join_s=0)
    with in_background():
        assert is_background()
        tl.unwrap(sheets.read(birds))
        with tl.deadline(1.0):
            # The second token is for others.
            error = sheets.read(birds).failure()
    assert isinstance(error, tl.TimeoutError)
    assert not is_background()
    assert tl.unwrap(sheets.read(birds)).rows == BIRDS


def test_what_is_revalidated_leaves_others_their_share(sheets_server: SheetsServer) -> None:
    birds = birds_of(sheets_server)
    seen: list[bool] = []
    cache = tl.read_through(ttl_s=0.001, stale_while_revalidate_s=600)
    with tl.open_sheets(sheets_server.client(), cache=cache) as sheets:
        limiter = sheets._http._limiter
        whole = limiter.wait_s

        def noted(kind: Kind, *, background: bool = False) -> float:
            seen.append(background)
            return whole(kind, background=background)

        limiter.wait_s = noted  # type: ignore[method-assign]
        assert sheets.fetch_all(tl.select(birds)) == Success(BIRDS)
        time.sleep(0.002)
        sheets_server.set_values(birds.spreadsheet, {"B2": "crane"})
        sheets.fetch_all(tl.select(birds))
        wait_until(lambda: sheets.views._kept[birds].snapshot.rows[0].name == "crane")
    assert seen == [False, True]


@pytest.mark.parametrize("waits", ["quota", "attempts"])
def test_waits_of_the_background_end_when_it_is_told_to_stop(
    sheets_server: SheetsServer, waits: str
) -> None:
    birds = birds_of(sheets_server)
    stop, began, ended = threading.Event(), threading.Event(), threading.Event()
    with tl.open_sheets(sheets_server.client(), timeout_s=3600) as store:
        http = store._http
        if waits == "quota":
            http._limiter.ran_out(READ, 3000)
        else:
            sheets_server.inject(unavailable(times=1000))
        http._sleep = lambda _: pytest.fail("it can be stopped")

        def read() -> None:
            with in_background(stop):
                began.set()
                Sheets(http, join_s=0).read(birds)
            ended.set()

        thread = threading.Thread(target=read)
        thread.start()
        began.wait()
        stop.set()
        thread.join(60)
    assert ended.is_set()
