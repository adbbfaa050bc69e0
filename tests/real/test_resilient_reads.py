"""Read-through repositories whose server is slow or away: what stands in, and what never does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import msgspec
import psycopg
import pytest
from returns.result import Failure
from tests.core.test_loading import in_thread
from tests.real.helpers import PAGES, Page, failure, page, wait_until

import tierline as tl
from tierline._core import advance_clock

AWAY = Failure(tl.ConnectionError("the server is away"))

Pages = tl.Repository[Page, int]


class Server:
    """A store's reads from PostgreSQL: counted, and let fail or hang on request."""

    def __init__(self, store: tl.Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        self.is_away = False
        self.go = threading.Event()
        self.go.set()
        database: Any = store.database
        self._inside = threading.local()
        for name in ("fetch", "fetch_current", "fetch_latest"):
            monkeypatch.setattr(database, name, self._watched(getattr(database, name)))

    def _watched(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        def watched(statement: Any, values: Any) -> Any:
            if statement.table is not PAGES or statement.writes or vars(self._inside):
                return fetch(statement, values)
            # One of these calls another.
            self._inside.once = True
            try:
                found = fetch(statement, values)
            finally:
                del self._inside.once
            go = self.go
            self.reads += 1
            assert go.wait(20)
            return AWAY if self.is_away else found

        return watched


@pytest.fixture(params=["alone", "hearing"])
def store(request: pytest.FixtureRequest, pg_url: str) -> Generator[tl.Store]:
    """A store without Redis, without a backplane and with one."""
    backplane = None if request.param == "alone" else "postgres"
    with tl.open(
        pg_url, pool_size=8, timeout_s=30, backplane=backplane, max_staleness_s=3600
    ) as opened:
        opened.create_table(PAGES).unwrap()
        if backplane:
            opened.install_backplane([PAGES]).unwrap()
        yield opened


@pytest.fixture
def server(store: tl.Store, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(store, monkeypatch)


def opened(store: tl.Store, **options: Any) -> Pages:
    """A repository with page 1, read once."""
    pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60, **options))
    assert pages.create(page(1)) == tl.Success(page(1))
    wait_until(lambda: pages.get_by_id(1) is pages.get_by_id(1))
    return pages


def stale_stats(store: tl.Store) -> tuple[int, float]:
    tier = store.stats().tiers[0]
    return tier.stale, tier.stale_age_s_max


def behind(raw: psycopg.Connection[Any], version: int) -> None:
    """Change page 1 so that no trigger tells of it."""
    with raw.transaction():
        raw.execute("alter table pages disable trigger user")
        raw.execute("update pages set version = %s where id = 1", [version])
        raw.execute("alter table pages enable trigger user")


def test_what_is_old_by_time_stands_in_for_a_read_that_failed(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, stale_if_error_s=600, retry_s=30)
    assert stale_stats(store) == (0, 0.0)
    advance_clock(100)
    server.is_away, before = True, server.reads
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert server.reads == before + 1
    # No other try for a while.
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert server.reads == before + 1
    assert pages.get_many([1]) == tl.Success({1: page(1)})
    advance_clock(31)
    assert pages.get_by_id(1) == tl.Success(page(1))
    answers, age_s = stale_stats(store)
    assert answers == 4
    assert 70 < age_s < 75
    # Beyond the window nothing does.
    advance_clock(600)
    assert pages.get_by_id(1) == AWAY


def test_an_answer_stands_in_for_nothing_and_nothing_for_it(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    pages = opened(store, stale_if_error_s=600, retry_s=0.001)
    advance_clock(100)
    with raw.transaction():
        raw.execute("alter table pages disable trigger user")
        raw.execute("delete from pages")
        raw.execute("alter table pages enable trigger user")
    failure(pages.get_by_id(1), tl.NotFoundError)
    # What was kept of a row that is gone is gone.
    server.is_away = True
    assert pages.get_by_id(1) == AWAY


@pytest.mark.parametrize("how", ["update", "many", "transaction", "during"])
def test_what_a_write_made_stale_is_never_served(store: tl.Store, server: Server, how: str) -> None:
    pages = opened(store, stale_while_revalidate_s=600, stale_if_error_s=600, retry_s=0.001)
    advance_clock(100)
    if how == "during":
        pages = opened_again(store, stale_if_error_s=6000)
        pages.get_by_id(1).unwrap()
        advance_clock(100)
        server.is_away = True
        server.go.clear()
        before = server.reads
        reading = in_thread(lambda: pages.get_by_id(1))
        wait_until(lambda: server.reads == before + 1)
        pages.update(page(1, version=2)).unwrap()
        server.go.set()
        assert reading() == AWAY
        return
    if how == "update":
        pages.update(page(1, version=2)).unwrap()
    elif how == "many":
        pages.update_many([page(1, version=2)]).unwrap()
    else:
        store.transaction(lambda tx: tl.repository(tx, PAGES).update(page(1, version=2))).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1, version=2))
    server.is_away = True
    pages.update(page(1, version=3)).unwrap()
    assert pages.get_by_id(1) == AWAY
    assert pages.get_by_id(1, stale_ok_s=600) == AWAY
    assert pages.get_many([1]) == AWAY


def opened_again(store: tl.Store, **options: Any) -> Pages:
    return tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60, **options))


def test_a_stale_entity_is_served_while_it_is_read_anew(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    pages = opened(store, stale_while_revalidate_s=600, retry_s=30)
    behind(raw, 7)
    advance_clock(100)
    server.go.clear()
    before = server.reads
    assert pages.get_by_id(1) == tl.Success(page(1))
    wait_until(lambda: server.reads == before + 1)
    # Nobody else reads it meanwhile, and nobody waits.
    assert [pages.get_by_id(1) for _ in range(5)] == [tl.Success(page(1))] * 5
    server.go.set()
    wait_until(lambda: pages.get_by_id(1) == tl.Success(page(1, version=7)))
    assert server.reads == before + 1


def test_a_slow_read_is_waited_for_so_long_and_kept(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    pages = opened(store, stale_if_error_s=600, soft_timeout_s=0.05, retry_s=600)
    behind(raw, 7)
    advance_clock(100)
    server.go.clear()
    assert pages.get_by_id(1) == tl.Success(page(1))
    server.go.set()
    wait_until(lambda: pages.get_by_id(1) == tl.Success(page(1, version=7)))


def test_without_anything_old_a_slow_read_ends_at_the_hard_timeout(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, stale_if_error_s=600, soft_timeout_s=0.02, hard_timeout_s=0.1)
    store.caches.of(PAGES)[0].l1.clear()
    server.go.clear()
    before = server.reads
    late = failure(pages.get_by_id(1), tl.TimeoutError, "goes on")
    assert (late.stage, late.operation, late.table) == ("load", "get_by_id", "pages")
    # Whoever asks next waits for the same read.
    failure(pages.get_by_id(1), tl.TimeoutError)
    assert server.reads == before + 1
    server.go.set()
    wait_until(lambda: pages.get_by_id(1) == tl.Success(page(1)))
    assert server.reads == before + 1


def test_a_read_in_the_background_that_a_write_overtook_is_nobodys(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, hard_timeout_s=20)
    store.caches.of(PAGES)[0].l1.clear()
    server.go.clear()
    before = server.reads
    first = in_thread(lambda: pages.get_by_id(1))
    wait_until(lambda: server.reads == before + 1)
    pages.update(page(1, version=2)).unwrap()
    second = in_thread(lambda: pages.get_by_id(1))
    wait_until(lambda: server.reads == before + 2)
    server.go.set()
    assert first() == tl.Success(page(1))
    assert second() == tl.Success(page(1, version=2))


def test_the_deadline_holds_for_a_read_in_the_background(store: tl.Store, server: Server) -> None:
    pages = opened(store, stale_if_error_s=600, hard_timeout_s=20, retry_s=600)
    advance_clock(100)
    server.go.clear()
    with tl.deadline(0.05):
        assert pages.get_by_id(1) == tl.Success(page(1))
    store.caches.of(PAGES)[0].l1.clear()
    with tl.deadline(0.05):
        failure(pages.get_by_id(1), tl.TimeoutError)
    server.go.set()


def test_that_a_row_is_not_there_is_remembered_until_it_is_created(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, negative_ttl_s=30)
    # A backplane's caches remember nothing without a snapshot in their first minute.
    advance_clock(61)
    failure(pages.get_by_id(2), tl.NotFoundError)
    before = server.reads
    failure(pages.get_by_id(2), tl.NotFoundError)
    assert pages.get_many([2]) == tl.Success({})
    assert server.reads == before
    pages.create(page(2)).unwrap()
    assert pages.get_by_id(2) == tl.Success(page(2))
    failure(pages.get_by_id(3), tl.NotFoundError)
    assert pages.get_many([3, 4]) == tl.Success({})
    before = server.reads
    failure(pages.get_by_id(4), tl.NotFoundError)
    assert server.reads == before
    advance_clock(31)
    failure(pages.get_by_id(3), tl.NotFoundError)
    assert server.reads == before + 1
    tl.repository(store, PAGES).create_many([page(3), page(4)]).unwrap()
    assert pages.get_many([3, 4]) == tl.Success({3: page(3), 4: page(4)})


def test_a_create_during_the_read_that_found_nothing_is_seen(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, negative_ttl_s=30)
    advance_clock(61)
    server.go.clear()
    before = server.reads
    reading = in_thread(lambda: pages.get_by_id(2))
    wait_until(lambda: server.reads == before + 1)
    pages.create(page(2)).unwrap()
    server.go.set()
    failure(reading(), tl.NotFoundError)
    assert pages.get_by_id(2) == tl.Success(page(2))


def test_an_entity_is_read_anew_before_its_time_is_over(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    # So eager that the moment lies at half of its time, the earliest there is.
    pages = opened(store, eager_beta=1e9)
    behind(raw, 7)
    before = server.reads
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert server.reads == before
    advance_clock(31)
    assert pages.get_by_id(1) == tl.Success(page(1))
    wait_until(lambda: pages.get_by_id(1) == tl.Success(page(1, version=7)))
    assert server.reads == before + 1
    # None of it was past its time.
    assert stale_stats(store) == (0, 0.0)


def test_one_call_may_read_anew(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    pages = opened(store, stale_if_error_s=600)
    behind(raw, 7)
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert pages.get_by_id(1, fresh=True) == tl.Success(page(1, version=7))
    behind(raw, 8)
    assert pages.get_by_id(1) == tl.Success(page(1, version=7))
    assert pages.get_many([1], fresh=True) == tl.Success({1: page(1, version=8)})
    assert pages.get_by_id(1) == tl.Success(page(1, version=8))
    server.is_away = True
    assert pages.get_by_id(1, fresh=True) == AWAY
    assert pages.get_many([1], fresh=True) == AWAY
    # The others keep what they had.
    assert pages.get_by_id(1) == tl.Success(page(1, version=8))


def test_a_read_that_began_before_a_fresh_one_does_not_replace_it(
    store: tl.Store, server: Server, raw: psycopg.Connection[Any]
) -> None:
    pages = opened(store)
    store.caches.of(PAGES)[0].l1.clear()
    server.go.clear()
    before = server.reads
    slow = in_thread(lambda: pages.get_by_id(1))
    wait_until(lambda: server.reads == before + 1)
    slow_may_go, server.go = server.go, threading.Event()
    server.go.set()
    behind(raw, 7)
    assert pages.get_by_id(1, fresh=True) == tl.Success(page(1, version=7))
    slow_may_go.set()
    assert slow() == tl.Success(page(1))
    assert pages.get_by_id(1) == tl.Success(page(1, version=7))


def test_one_call_may_keep_for_longer_or_accept_what_is_older(
    store: tl.Store, server: Server
) -> None:
    pages = opened(store, stale_if_error_s=600, retry_s=0.001)
    advance_clock(100)
    before = server.reads
    assert pages.get_by_id(1, stale_ok_s=45) == tl.Success(page(1))
    assert pages.get_many([1], stale_ok_s=45) == tl.Success({1: page(1)})
    assert server.reads == before
    assert pages.get_by_id(1, stale_ok_s=10, ttl_s=500) == tl.Success(page(1))
    assert server.reads == before + 1
    advance_clock(400)
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert server.reads == before + 1
    assert pages.get_many([1], fresh=True, ttl_s=500) == tl.Success({1: page(1)})
    advance_clock(400)
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert server.reads == before + 2


def test_fail_safe_ends_at_the_horizon(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tl.open(pg_url, backplane="postgres") as store:
        store.create_table(PAGES).unwrap()
        store.install_backplane([PAGES]).unwrap()
        pages = opened(
            store, stale_while_revalidate_s=600, stale_if_error_s=600, soft_timeout_s=0.01
        )
        server = Server(store, monkeypatch)
        advance_clock(100)
        server.is_away = True
        # Moving the clock of caches ahead has moved them beyond the horizon, until the next beat.
        wait_until(lambda: pages.get_by_id(1) == AWAY)
        store.caches.of(PAGES)[0].l1.serve_until(0.0)
        for read in (
            pages.get_by_id(1), pages.get_by_id(1, stale_ok_s=600), pages.get_many([1])
        ):  # fmt: skip
            assert read == AWAY


def test_mutable_entities_are_copied_whatever_stands_in(pg_url: str) -> None:
    class Note(msgspec.Struct):
        id: int
        text: str

    notes_table = tl.table(Note, name="notes", key=lambda n: n.id, copy=True)
    with tl.open(pg_url) as store:
        store.create_table(notes_table).unwrap()
        cache = tl.read_through(ttl_s=60, stale_if_error_s=600)
        notes = tl.repository(store, notes_table, cache=cache)
        notes.create(Note(1, "a")).unwrap()
        notes.get_by_id(1).unwrap()
        advance_clock(100)
        notes.get_by_id(1, stale_ok_s=600).unwrap().text = "b"
        assert notes.get_by_id(1, stale_ok_s=600).unwrap().text == "a"


def test_options_that_ask_for_nothing_are_refused(store: tl.Store) -> None:
    plain = tl.repository(store, PAGES)
    assert plain.create(page(1)) == tl.Success(page(1))
    assert plain.get_by_id(1, fresh=True) == tl.Success(page(1))
    for call in (plain.get_by_id, lambda key, **options: plain.get_many([key], **options)):
        with pytest.raises(TypeError, match=r"tl\.read_through"):
            call(1, ttl_s=5)
        with pytest.raises(TypeError, match=r"tl\.read_through"):
            call(1, stale_ok_s=5)
    cached = opened_again(store)
    for call in (cached.get_by_id, lambda key, **options: cached.get_many([key], **options)):
        with pytest.raises(TypeError, match="leave stale_ok_s= out"):
            call(1, fresh=True, stale_ok_s=5)
        with pytest.raises(ValueError, match="ttl_s must be at least"):
            call(1, ttl_s=0)
        with pytest.raises(ValueError, match="stale_ok_s must be 0 or more"):
            call(1, stale_ok_s=-1)
    with pytest.raises(TypeError):
        cached.get_by_id(1, 2)  # type: ignore[call-arg, misc]
    # In a transaction nothing is cached, and the same calls hold.
    found = store.transaction(
        lambda tx: tl.repository(tx, PAGES, cache=tl.read_through(ttl_s=5)).get_by_id(
            1, ttl_s=5, stale_ok_s=1
        )
    )
    assert found == tl.Success(page(1))
