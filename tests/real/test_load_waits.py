"""Reads that share a load of PostgreSQL: who waits, for how long, and who loads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from tests.core.test_loading import in_thread, until_waiting
from tests.real.helpers import PAGES, Page, failure, page, wait_until

import tierline as tl

SHORT_S = 0.15
"""A deadline that passes while the table stays locked."""

Read = Callable[[], "tl.Result[Any, tl.RepositoryError]"]


@pytest.fixture(params=["alone", "hearing"])
def store(request: pytest.FixtureRequest, pg_url: str) -> Generator[tl.Store]:
    """A store without Redis, without a backplane and with one."""
    backplane = None if request.param == "alone" else "postgres"
    with tl.open(pg_url, pool_size=8, timeout_s=30, backplane=backplane) as opened:
        opened.create_table(PAGES).unwrap()
        if backplane:
            opened.install_backplane([PAGES]).unwrap()
        yield opened


@pytest.fixture
def pages(store: tl.Store) -> tl.Repository[Page, int]:
    """A repository of pages that may keep them."""
    made = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60))
    made.create(page(1)).unwrap()
    if store.backplane is not None:
        wait_until(lambda: made.get_by_id(1) is made.get_by_id(1))
        store.caches.of(PAGES)[0].l1.clear()
    return made


@contextmanager
def locked(raw: psycopg.Connection[Any]) -> Generator[None]:
    """Nobody reads the table of pages meanwhile."""
    with raw.transaction():
        raw.execute("lock table pages in access exclusive mode")
        yield


def readers_waiting(url: str) -> int:
    """How many sessions wait for the table."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as own:
        found = own.execute(
            "select count(*) from pg_locks where relation = 'pages'::regclass and not granted"
        ).fetchone()
    assert found is not None
    return int(found[0])


def reads(store: tl.Store) -> int:
    """Statements that read pages by key or as a cached query."""
    return store.caches.of(PAGES)[0].l1.stats().loads


def cached_query() -> Any:
    return tl.cached_query(tl.select(PAGES, where=lambda p: p.id == 1), ttl_s=60)


@pytest.fixture(params=["entity", "query"])
def read(request: pytest.FixtureRequest, store: tl.Store, pages: tl.Repository[Page, int]) -> Read:
    """A read of page 1 that is kept."""
    if request.param == "entity":
        return lambda: pages.get_by_id(1)
    query = cached_query()
    return lambda: store.fetch_one(query)


def hurried(read: Read) -> Any:
    with tl.deadline(SHORT_S):
        return read()


def test_who_waits_for_a_load_that_hangs_ends_by_the_deadline(
    read: Read, raw: psycopg.Connection[Any], pg_url: str
) -> None:
    with locked(raw):
        leader = in_thread(read)
        wait_until(lambda: readers_waiting(pg_url) == 1)
        late = failure(hurried(read), tl.TimeoutError, "another caller was loading")
        assert late.stage == "load"
        assert (late.operation, late.table) in (("get_by_id", "pages"), ("fetch_one", "pages"))
        # It waited for the other's load and asked nothing itself.
        assert readers_waiting(pg_url) == 1
    assert leader() == tl.Success(page(1))
    with tl.deadline(0):
        assert read() == tl.Success(page(1))


def test_a_load_that_ends_with_its_own_deadline_is_not_the_answer_of_others(
    read: Read,
    store: tl.Store,
    raw: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database: Any = store.database
    began, go = threading.Event(), threading.Event()

    def slow(fetch: Any, statement: Any, values: Any) -> Any:
        # The backplane reads, too.
        if statement.table is PAGES:
            began.set()
            assert go.wait(20)
        return fetch(statement, values)

    for name in ("fetch_latest", "fetch_current"):
        monkeypatch.setattr(database, name, partial(slow, getattr(database, name)))

    leader = in_thread(lambda: hurried(read))
    assert began.wait(20)
    patient = in_thread(read)
    until_waiting()
    with locked(raw):
        go.set()
        failure(leader(), tl.TimeoutError)
    assert patient() == tl.Success(page(1))


def test_a_key_that_everybody_asks_for_is_read_once(
    store: tl.Store, pages: tl.Repository[Page, int], raw: psycopg.Connection[Any], pg_url: str
) -> None:
    before = reads(store)
    began = threading.Barrier(33)

    def ask() -> Any:
        began.wait(10)
        return pages.get_by_id(1)

    with locked(raw):
        answers = [in_thread(ask) for _ in range(32)]
        began.wait(10)
        wait_until(lambda: readers_waiting(pg_url) == 1)
        misses = store.caches.of(PAGES)[0].l1
        wait_until(lambda: misses.stats().misses >= 32)
        time.sleep(0.05)
    assert {answer().unwrap() for answer in answers} == {page(1)}
    assert reads(store) - before == 1


def test_who_asks_after_a_write_shares_no_load_that_began_before(
    store: tl.Store, pages: tl.Repository[Page, int], pg_url: str
) -> None:
    database: Any = store.database
    name = "fetch_latest" if store.backplane is not None else "fetch_current"
    fetch = getattr(database, name)
    read_old, go = threading.Event(), threading.Event()

    def slow(statement: Any, values: Any) -> Any:
        found = fetch(statement, values)
        if not read_old.is_set():
            read_old.set()
            assert go.wait(20)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, name, slow)
        first = in_thread(lambda: pages.get_by_id(1))
        assert read_old.wait(20)
        pages.update(page(1, version=2)).unwrap()
        assert pages.get_by_id(1) == tl.Success(page(1, version=2))
        go.set()
        assert first() == tl.Success(page(1))
    assert pages.get_by_id(1) == tl.Success(page(1, version=2))
