"""The watchdog frees who waits for a line that is dead, and nobody else."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from tests.real.helpers import failure
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres import watchdog
from tierline.postgres.watchdog import Guard, Watchdog
from tierline.testing import tcp_proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(20)]


def test_a_line_that_carries_nothing_frees_its_caller(pg_url: str, stalls: Stalls) -> None:
    with tcp_proxy(pg_url) as proxy, tl.open(proxy.url(pg_url), pool_size=1) as store:
        one = tl.sql("select 1", into=int)
        store.fetch_one(one).unwrap()
        proxy.freeze()
        began_s = time.monotonic()
        with tl.deadline(0.3):
            failure(store.fetch_one(one), tl.TimeoutError)
        assert 0.3 <= time.monotonic() - began_s < 2.0 + stalls.seconds(began_s)
        proxy.thaw()
        assert store.fetch_one(one) == tl.Success(1)


def test_what_the_server_says_of_a_late_statement_stands(
    store: tl.Store, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server is given the time to say it, however slow the machine.
    monkeypatch.setattr(watchdog, "GRACE_S", 10.0)
    raw.execute(
        "CREATE FUNCTION lose_late() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_sleep(10); RETURN 1; EXCEPTION WHEN query_canceled THEN "
        "RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
    )
    with tl.deadline(1.0):
        failure(store.fetch_one(tl.sql("select lose_late()", into=int)), tl.ConflictError)
    assert store.fetch_one(tl.sql("select 1", into=int)) == tl.Success(1)


class _EndsMeanwhile:
    """A lock that is taken just when the call ends."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __enter__(self) -> None:
        self._guard._due_s = float("inf")

    def __exit__(self, *error: object) -> None:
        pass


def test_a_call_that_ends_during_the_look_is_left_alone() -> None:
    cancelled: list[int] = []
    one, other = socket.socketpair()
    with one, other:
        guard: Any = Guard(Watchdog(), one.fileno(), lambda: cancelled.append(1))
        guard.begin(time.monotonic() + 60)
        lock, guard._lock = guard._lock, _EndsMeanwhile(guard)
        guard.look(time.monotonic() + 100)
        guard._lock = lock
        assert guard.end()
        time.sleep(0.05)
        assert cancelled == []
        guard.close()
