"""The Redis backplane while Redis, its line or a writer is away: nothing older than is promised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.real.helpers import PAGES, Page, failure, page, wait_until
from tests.real.test_published import CACHED, PATIENT_S, before_commit, caught_up, is_hit, published

import tierline as tl
from tierline.cache.strategy import PLAIN
from tierline.testing import RedisServer, TcpProxy, redis_server, tcp_proxy

Pages = tl.Repository[Page, int]
Open = Callable[..., tuple[tl.Store, Pages]]

ROOT = Path(__file__).resolve().parents[2]
STALENESS_S = 0.5


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Redis, to be killed and frozen."""
    with redis_server() as own:
        yield own


@pytest.fixture
def line(server: RedisServer) -> Iterator[TcpProxy]:
    """A line to it."""
    with tcp_proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def opened(pg_url: str, server: RedisServer) -> Generator[Open]:
    """Opens stores that announce through that Redis, each with a repository of pages."""
    with ExitStack() as stores:

        def open_one(**options: Any) -> tuple[tl.Store, Pages]:
            options = {
                "max_staleness_s": PATIENT_S,
                "timeout_s": 10,
                "redis": server.url,
                **options,
            }
            store = stores.enter_context(tl.open(pg_url, backplane="redis", **options))
            return store, tl.repository(store, PAGES, cache=CACHED)

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
            tl.repository(maker, PAGES).create_many([page(1), page(2)]).unwrap()
        yield open_one


def starts(store: tl.Store) -> int:
    assert store.backplane is not None
    return store.backplane.health().starts


def cached(store: tl.Store, pages: Pages) -> None:
    caught_up(store)
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert is_hit(store, lambda: pages.get_by_id(1))


@pytest.mark.parametrize("how", ["cut off", "frozen"])
def test_who_is_cut_off_serves_nothing_beyond_the_horizon(
    opened: Open, server: RedisServer, line: TcpProxy, how: str
) -> None:
    _, pages = opened()
    other, others = opened(redis=line.url(server.url), max_staleness_s=STALENESS_S)
    cached(other, others)
    if how == "cut off":
        line.refuse()
        line.cut()
    else:
        line.freeze()
    pages.update(page(1, 7)).unwrap()
    ended_s = time.monotonic() + STALENESS_S
    while time.monotonic() < ended_s:
        assert others.get_by_id(1).unwrap().version in (0, 7)
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    assert others.get_by_id(2) == tl.Success(page(2))
    assert not is_hit(other, lambda: others.get_by_id(2))
    line.allow()
    line.thaw()
    wait_until(lambda: is_hit(other, lambda: others.get_by_id(1)))
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    # A line that was only slow has lost nothing.
    assert (starts(other) > 1) >= (how == "cut off")


def test_what_is_missed_while_the_line_is_cut_is_not_served_after(
    opened: Open, server: RedisServer, line: TcpProxy
) -> None:
    store, pages = opened()
    # Its horizon does not end: what was missed must go because it listens anew.
    other, others = opened(redis=line.url(server.url))
    cached(other, others)
    line.refuse()
    line.cut()
    pages.update(page(1, 7)).unwrap()
    line.allow()
    wait_until(lambda: starts(other) == 2)
    caught_up(store, other)
    assert others.get_by_id(1) == tl.Success(page(1, 7))


def test_a_read_that_began_before_the_line_was_cut_is_not_kept(
    opened: Open, server: RedisServer, line: TcpProxy
) -> None:
    store, pages = opened()
    other, others = opened(redis=line.url(server.url))
    caught_up(store, other)
    cache = published(other).hearing()[0]
    load = cache._begin(1)
    rows = others._look(1, latest=True).unwrap()
    line.cut()
    pages.update(page(1, 7)).unwrap()
    wait_until(lambda: starts(other) == 2)
    caught_up(other)
    assert not cache._fill_l1_seen(1, rows[0], load, PLAIN)
    assert others.get_by_id(1) == tl.Success(page(1, 7))


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_without_redis_reads_go_on_and_writes_are_refused(
    opened: Open, server: RedisServer, how: str
) -> None:
    store, pages = opened(max_staleness_s=STALENESS_S)
    cached(store, pages)
    server.kill() if how == "killed" else server.freeze()
    refused = failure(pages.update(page(1, 7)), tl.ConnectionError, "unannounced_writes")
    assert refused.operation == "announce"
    failure(
        store.transaction(lambda tx: tl.repository(tx, PAGES).update(page(1, 7))),
        tl.ConnectionError,
    )
    time.sleep(STALENESS_S)
    for _ in range(3):
        assert pages.get_by_id(1) == tl.Success(page(1))
    assert not is_hit(store, lambda: pages.get_by_id(1))
    server.start() if how == "killed" else server.thaw()
    wait_until(lambda: isinstance(pages.update(page(1, 8)), tl.Success))
    wait_until(lambda: is_hit(store, lambda: pages.get_by_id(1)))
    assert pages.get_by_id(1) == tl.Success(page(1, 8))


def test_what_is_committed_unannounced_is_announced_when_redis_can_be_reached(
    opened: Open, server: RedisServer, line: TcpProxy
) -> None:
    store, pages = opened(redis=line.url(server.url), unannounced_writes="commit")
    other, others = opened()
    caught_up(store)
    cached(other, others)
    line.refuse()
    line.cut()
    pages.update(page(1, 7)).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1, 7))
    # The other one's line stands, so it serves what was before: that is what was asked for.
    caught_up(other)
    assert others.get_by_id(1) == tl.Success(page(1))
    line.allow()
    wait_until(lambda: others.get_by_id(1) == tl.Success(page(1, 7)))
    caught_up(store)
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def test_too_much_that_is_owed_stands_for_anything(
    opened: Open, server: RedisServer, line: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.cache.published._OWED_MAX", 2)
    _, pages = opened(redis=line.url(server.url), unannounced_writes="commit")
    other, others = opened()
    cached(other, others)
    line.refuse()
    line.cut()
    for n in (1, 2, 3, 4):
        pages.upsert(page(n, 7)).unwrap()
    line.allow()
    wait_until(lambda: others.get_by_id(1) == tl.Success(page(1, 7)))
    wait_until(lambda: starts(other) >= 2)


def test_redis_may_lose_everything_while_a_writer_is_about_to_commit(
    opened: Open, server: RedisServer
) -> None:
    (store, pages), (other, others) = opened(), opened()
    cached(other, others)

    def restart() -> None:
        server.kill()
        server.start()
        wait_until(lambda: starts(other) == 2)
        caught_up(other)
        assert others.get_by_id(1) == tl.Success(page(1))

    before_commit(store, restart)
    pages.update(page(1, 7)).unwrap()
    assert others.get_by_id(1) == tl.Success(page(1, 7))


_WRITER = """
import os, signal, sys
import tierline as tl
from tests.real.helpers import PAGES, page
from tests.real.test_published import before_commit

store = tl.open(sys.argv[1], redis=sys.argv[2], backplane="redis")
moment = sys.argv[3]
def die():
    os.kill(os.getpid(), int(sys.argv[4]))
if moment == "before":
    before_commit(store, die)
tl.repository(store, PAGES).update(page(1, 7)).unwrap()
die()
"""


def writer(pg_url: str, redis_url: str, moment: str, number: int) -> subprocess.Popen[bytes]:
    """A process that gets a signal before or after its COMMIT."""
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, pg_url, redis_url, moment, str(number)], cwd=ROOT
    )


@pytest.mark.parametrize(("moment", "left"), [("before", 0), ("after", 7)])
def test_a_writer_may_be_killed_before_or_after_its_commit(
    opened: Open, pg_url: str, server: RedisServer, moment: str, left: int
) -> None:
    other, others = opened()
    cached(other, others)
    assert writer(pg_url, server.url, moment, signal.SIGKILL).wait(60) == -signal.SIGKILL
    caught_up(other)
    assert others.get_by_id(1) == tl.Success(page(1, left))
    # The server ends the transaction as soon as it sees that the line is closed.
    wait_until(lambda: is_hit(other, lambda: others.get_by_id(1)))
    assert others.get_by_id(1) == tl.Success(page(1, left))


def test_a_writer_that_is_frozen_before_its_commit_keeps_its_row_from_being_cached(
    opened: Open, pg_url: str, server: RedisServer
) -> None:
    other, others = opened()
    cached(other, others)
    process = writer(pg_url, server.url, "before", signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        caught_up(other)
        for _ in range(2):
            assert others.get_by_id(1) == tl.Success(page(1))
            assert not is_hit(other, lambda: others.get_by_id(1))
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: others.get_by_id(1) == tl.Success(page(1, 7)))
        assert is_hit(other, lambda: others.get_by_id(1))
    finally:
        process.kill()
        process.wait(20)


def test_a_fork_listens_on_a_line_of_its_own(opened: Open) -> None:
    store, pages = opened()
    other, others = opened()
    cached(other, others)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            caught_up(other)
            others.get_by_id(1).unwrap()
            code = 0 if is_hit(other, lambda: others.get_by_id(1)) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pages.update(page(1, 7)).unwrap()
    caught_up(store, other)
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    assert starts(other) == 1
