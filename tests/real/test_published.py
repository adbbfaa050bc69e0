"""The Redis backplane: what the library writes is announced before it commits, without triggers."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from tests.real.helpers import OWNERS, PAGES, Item, Owner, Page, failure, page, wait_until
from tests.real.test_backplane import EXACT, Mixed

import tierline as tl
from tierline.cache.hearing import HearingCache
from tierline.cache.published import KEYS_MAX, PublishedCaches
from tierline.cache.subscribing import _Listener
from tierline.postgres import Session
from tierline.postgres.two_phase import Participant
from tierline.store import taking_part, two_phase
from tierline.store.published import PublishedBackplane
from tierline.testing import PostgresServer, postgres_server

pytestmark = pytest.mark.usefixtures("patient_redis")

Pages = tl.Repository[Page, int]
Raw = psycopg.Connection[Any]
Open = Callable[..., tl.Store]

CACHED = tl.read_through(ttl_s=600)
# Longer than any test, so that nothing is read anew because the horizon has passed.
PATIENT_S = 60.0


@pytest.fixture
def opened(pg_url: str, redis_url: str, redis_prefix: str) -> Generator[Open]:
    """Opens stores that announce through Redis, on one database with the table of pages."""
    with ExitStack() as stores:

        def open_one(**options: Any) -> tl.Store:
            options = {
                "max_staleness_s": PATIENT_S,
                "timeout_s": 10,
                "redis": redis_url,
                "prefix": redis_prefix,
                **options,
            }
            return stores.enter_context(tl.open(pg_url, backplane="redis", **options))

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
        yield open_one


@pytest.fixture(scope="module")
def second() -> Generator[PostgresServer]:
    """A second cluster."""
    with postgres_server(16, settings={"max_prepared_transactions": "2"}) as server:
        yield server


def caught_up(*stores: tl.Store) -> None:
    """They have heard of everything until now."""
    for store in stores:
        assert store.backplane is not None
        assert store.backplane.catch_up(10)


def published(store: tl.Store) -> PublishedCaches:
    assert isinstance(store.caches, PublishedCaches)
    return store.caches


def l1_hits(store: tl.Store) -> int:
    return store.stats().tiers[0].hits


def is_hit(store: tl.Store, read: Callable[[], object]) -> bool:
    before = l1_hits(store)
    read()
    return l1_hits(store) > before


def epoch(store: tl.Store) -> str | None:
    cache = published(store).hearing()[0]
    assert isinstance(cache, HearingCache)
    assert cache.member is not None
    return cache.member.epoch


def before_commit(store: tl.Store, act: Callable[[], object]) -> None:
    """Have something happen once, between the next announcement of a store and its COMMIT."""
    caches = published(store)
    announce = caches.announce

    def announced(written: Any, xid: int) -> tl.RepositoryError | None:
        refused = announce(written, xid)
        del caches.announce  # type: ignore[attr-defined] - the method is there again
        act()
        return refused

    caches.announce = announced  # type: ignore[method-assign]


def repositories(*stores: tl.Store) -> list[Pages]:
    return [tl.repository(store, PAGES, cache=CACHED) for store in stores]


Verb = Callable[[tl.Store, Pages], tl.Result[Any, Any]]

WRITES: dict[str, tuple[Verb, Page | None]] = {
    "update": (lambda _, pages: pages.update(page(1, 7)), page(1, 7)),
    "change": (lambda _, pages: pages.update(tl.change(page(1), version=7)), page(1, 7)),
    "upsert": (lambda _, pages: pages.upsert(page(1, 7)), page(1, 7)),
    "update_many": (lambda _, pages: pages.update_many([page(1, 7)]), page(1, 7)),
    "upsert_many": (lambda _, pages: pages.upsert_many([page(1, 7)]), page(1, 7)),
    "update_where": (
        lambda _, pages: pages.update_where(
            set=lambda p: tl.set(p.version).to(7), where=lambda p: p.id < 2
        ),
        page(1, 7),
    ),
    "execute": (
        lambda store, _: store.execute(
            tl.update(PAGES, set=lambda p: tl.set(p.version).to(7), where=lambda p: p.id == 1)
        ),
        page(1, 7),
    ),
    "returning": (
        lambda store, _: store.fetch_all(
            tl.update(
                PAGES,
                set=lambda p: tl.set(p.version).to(7),
                where=lambda p: p.id == 1,
                returning=lambda row: row,
            )
        ),
        page(1, 7),
    ),
    "transaction": (
        lambda store, _: store.transaction(lambda tx: tl.repository(tx, PAGES).update(page(1, 7))),
        page(1, 7),
    ),
    "delete": (lambda _, pages: pages.delete(1), None),
    "delete_many": (lambda _, pages: pages.delete_many([1, 2]), None),
    "delete_where": (lambda _, pages: pages.delete_where(lambda p: p.id < 5), None),
    "another key": (
        lambda store, _: store.execute(
            tl.update(PAGES, set=lambda p: tl.set(p.id).to(9), where=lambda p: p.id == 1)
        ),
        None,
    ),
}


@pytest.mark.parametrize("verb", WRITES)
def test_what_a_store_writes_is_heard_by_the_others(opened: Open, verb: str) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store, other)
    assert cached.get_by_id(1) == tl.Success(page(1))
    assert is_hit(other, lambda: cached.get_by_id(1))
    write, expected = WRITES[verb]
    write(store, pages).unwrap()
    caught_up(other)
    for read in (pages.get_by_id, cached.get_by_id):
        if expected is None:
            failure(read(1), tl.NotFoundError)
        else:
            assert read(1) == tl.Success(expected)


def test_other_rows_stay_cached(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store, other)
    for key in (1, 2):
        cached.get_by_id(key).unwrap()
    pages.update(page(1, 7)).unwrap()
    caught_up(other)
    assert is_hit(other, lambda: cached.get_by_id(2))
    assert not is_hit(other, lambda: cached.get_by_id(1))


@pytest.mark.parametrize("rows", [KEYS_MAX, KEYS_MAX + 1])
def test_too_many_rows_are_the_whole_table(opened: Open, rows: int) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create_many([page(n) for n in range(1, rows + 2)]).unwrap()
    caught_up(store, other)
    for key in (1, rows + 1):
        cached.get_by_id(key).unwrap()
    pages.update_many([page(n, 7) for n in range(1, rows + 1)]).unwrap()
    caught_up(other)
    assert is_hit(other, lambda: cached.get_by_id(rows + 1)) == (rows == KEYS_MAX)
    assert cached.get_by_id(1) == tl.Success(page(1, 7))


def test_keys_of_every_kind_are_found(opened: Open) -> None:
    store, other = opened(), opened()
    store.create_table(EXACT).unwrap()
    mixed, cached = (tl.repository(one, EXACT, cache=CACHED) for one in (store, other))
    one = Mixed(
        'a"\\é\n',
        uuid.UUID(int=7),
        Decimal("1.50"),
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12, 0, 0, 7, tzinfo=dt.timezone(dt.timedelta(hours=3))),
        True,
        0,
    )
    second = msgspec.structs.replace(one, text="b")
    mixed.create_many([one, second]).unwrap()
    caught_up(store, other)
    for row in (one, second):
        cached.get_by_id(EXACT.key_of(row)).unwrap()
    mixed.update(msgspec.structs.replace(one, n=7)).unwrap()
    caught_up(other)
    assert is_hit(other, lambda: cached.get_by_id(EXACT.key_of(second)))
    assert cached.get_by_id(EXACT.key_of(one)).unwrap().n == 7


def test_rows_that_go_with_deleted_ones_are_heard_of(opened: Open) -> None:
    table = tl.table(Item, name="items", key=lambda i: i.id).foreign_key(
        lambda i: i.owner, OWNERS, on_delete="cascade"
    )
    store, other = opened(), opened()
    store.create_table(OWNERS).unwrap()
    store.create_table(table).unwrap()
    tl.repository(store, OWNERS).create(Owner(1, "a")).unwrap()
    tl.repository(store, table).create(Item(1, "sku", owner=1)).unwrap()
    items = tl.repository(other, table, cache=CACHED)
    owned = tl.cached_query(tl.select(table), ttl_s=600)
    caught_up(other)
    assert items.get_by_id(1) == tl.Success(Item(1, "sku", owner=1))
    assert is_hit(other, lambda: items.get_by_id(1))
    assert other.fetch_all(owned).map(len) == tl.Success(1)
    # Only the table that is deleted from is known here.
    tl.repository(store, OWNERS).delete(1).unwrap()
    caught_up(other)
    failure(items.get_by_id(1), tl.NotFoundError)
    wait_until(lambda: other.fetch_all(owned) == tl.Success([]))


def test_a_dropped_table_is_forgotten(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create(page(1)).unwrap()
    caught_up(other)
    cached.get_by_id(1).unwrap()
    store.drop_table(PAGES).unwrap()
    caught_up(other)
    failure(cached.get_by_id(1), tl.QueryError)
    store.create_table(PAGES).unwrap()
    failure(store.drop_table(OWNERS), tl.QueryError)
    assert store.drop_table(OWNERS, missing_ok=True) == tl.Success(None)


def test_nothing_is_kept_of_a_row_between_its_announcement_and_its_commit(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(other)
    cached.get_by_id(1).unwrap()
    seen: list[object] = []

    def read() -> None:
        caught_up(other)
        seen.append(cached.get_by_id(1))
        seen.append(is_hit(other, lambda: cached.get_by_id(1)))
        cached.get_by_id(2).unwrap()
        seen.append(is_hit(other, lambda: cached.get_by_id(2)))

    before_commit(store, read)
    pages.update(page(1, 7)).unwrap()
    assert seen == [tl.Success(page(1)), False, True]
    # There is no second announcement, and none is needed.
    assert cached.get_by_id(1) == tl.Success(page(1, 7))
    assert is_hit(other, lambda: cached.get_by_id(1))


def test_what_is_rolled_back_after_its_announcement_is_cached_again(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create(page(1)).unwrap()
    caught_up(other)

    def end() -> None:
        raise KeyboardInterrupt

    before_commit(store, end)
    with pytest.raises(KeyboardInterrupt):
        pages.update(page(1, 7))
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1))
    assert is_hit(other, lambda: cached.get_by_id(1))


def test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it(opened: Open) -> None:
    store = opened()
    (pages,) = repositories(store)
    pages.create(page(1)).unwrap()
    began: list[tuple[tl.Store, Pages]] = []

    def begin() -> None:
        newcomer = opened()
        (cached,) = repositories(newcomer)
        caught_up(newcomer)
        assert cached.get_by_id(1) == tl.Success(page(1))
        began.append((newcomer, cached))

    before_commit(store, begin)
    pages.update(page(1, 7)).unwrap()
    ((newcomer, cached),) = began
    assert cached.get_by_id(1) == tl.Success(page(1, 7))
    assert is_hit(newcomer, lambda: cached.get_by_id(1))


def test_a_cache_that_is_opened_after_an_announcement_refuses_what_lacks_it(opened: Open) -> None:
    store, other = opened(), opened()
    tl.repository(store, PAGES).create(page(1)).unwrap()
    began: list[Pages] = []

    def begin() -> None:
        caught_up(other)
        # Two transactions are open, so that the latest says nothing of the other.
        tl.repository(store, PAGES).create(page(2)).unwrap()
        caught_up(other)
        (cached,) = repositories(other)
        caught_up(other)
        assert cached.get_by_id(1) == tl.Success(page(1))
        began.append(cached)

    before_commit(store, begin)
    tl.repository(store, PAGES).update(page(1, 7)).unwrap()
    assert began[0].get_by_id(1) == tl.Success(page(1, 7))


def test_a_result_that_was_read_before_the_commit_goes_when_it_has_ended(opened: Open) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store, other = opened(), opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(other)
    assert other.fetch_all(query).map(len) == tl.Success(2)

    def read() -> None:
        caught_up(other)
        assert other.fetch_all(query, fresh=True).map(len) == tl.Success(2)

    before_commit(store, read)
    pages.update(page(1, 7)).unwrap()
    # A heartbeat asks first what has ended.
    caught_up(other)
    assert other.fetch_all(query) == tl.Success([page(2)])


def test_a_result_goes_when_its_change_is_heard_behind_the_heartbeat(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store, other = opened(), opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(other)
    assert other.fetch_all(query).map(len) == tl.Success(2)
    beat = _Listener._beat

    def late(listener: _Listener, connection: Any, hearing: Any) -> None:
        # As if it were on its way when the listener looked for messages, and committed by now.
        monkeypatch.setattr(_Listener, "_beat", beat)
        pages.update(page(1, 7)).unwrap()
        beat(listener, connection, hearing)

    monkeypatch.setattr(_Listener, "_beat", late)
    caught_up(other)
    assert other.fetch_all(query) == tl.Success([page(2)])


def test_who_begins_to_listen_after_an_announcement_drops_results_when_it_has_ended(
    opened: Open,
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store = opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    began: list[tl.Store] = []

    def begin() -> None:
        newcomer = opened()
        caught_up(newcomer)
        assert newcomer.fetch_all(query).map(len) == tl.Success(2)
        began.append(newcomer)

    before_commit(store, begin)
    pages.update(page(1, 7)).unwrap()
    caught_up(*began)
    assert began[0].fetch_all(query) == tl.Success([page(2)])


def test_what_was_announced_before_it_listened_is_told_again_when_it_has_ended(
    opened: Open,
) -> None:
    store = opened()
    (pages,) = repositories(store)
    pages.create(page(1)).unwrap()
    caught_up(store)
    began: list[tuple[tl.Store, int]] = []
    told: list[int] = []

    def begin() -> None:
        newcomer = opened()
        repositories(newcomer)
        caught_up(newcomer)
        (cache,) = published(newcomer).hearing()
        cache.announce = lambda _, xid: told.append(xid)  # type: ignore[method-assign]
        began.append((newcomer, max(xid for _, xid in published(store)._said)))

    before_commit(store, begin)
    pages.update(page(1, 7)).unwrap()
    ((newcomer, xid),) = began
    caught_up(newcomer)
    # Whoever stood still meanwhile may have forgotten that it was told.
    assert xid in told


def test_no_result_waits_for_what_the_database_cannot_tell(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store, other = opened(), opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(other)

    def read() -> None:
        caught_up(other)
        assert other.fetch_all(query).map(len) == tl.Success(2)
        monkeypatch.setattr(other.backplane, "_ended", lambda _: None)

    before_commit(store, read)
    pages.update(page(1, 7)).unwrap()
    caught_up(other)
    assert other.fetch_all(query) == tl.Success([page(2)])


def test_what_a_thread_committed_and_has_not_told_goes_with_the_heartbeat(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store = opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store)
    assert store.fetch_all(query).map(len) == tl.Success(2)
    # As if the thread that wrote stood still behind its COMMIT.
    with monkeypatch.context() as stopped:
        stopped.setattr(store.caches, "invalidate", lambda *_, **__: None)
        pages.update(page(1, 7)).unwrap()
    caught_up(store)
    assert store.fetch_all(query) == tl.Success([page(2)])


def test_own_results_that_a_change_does_not_concern_stay(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 3), ttl_s=600)
    store = opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2, 3)]).unwrap()
    caught_up(store)
    assert store.fetch_all(query) == tl.Success([page(2, 3)])
    hits = store.caches.queries.stats().hits
    # On a busy machine the end may be seen before the thread that wrote has told the results.
    with monkeypatch.context() as later:
        later.setattr(published(store), "look_back", lambda _: None)
        pages.update(page(1, 7)).unwrap()
    caught_up(store)
    assert store.fetch_all(query) == tl.Success([page(2, 3)])
    assert store.caches.queries.stats().hits == hits + 1


def test_a_result_goes_when_a_commit_that_was_not_answered_is_seen_late(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    store = opened()
    (pages,) = repositories(store)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store)
    assert store.fetch_all(query).map(len) == tl.Success(2)
    left: list[Session] = []

    def unanswered(session: Session) -> tl.Result[None, tl.RepositoryError]:
        left.append(session)
        unknown = tl.CommitUnknownError("", operation="transaction")
        unknown.xid = session.xid
        return tl.Failure(unknown)

    # The caches are told while it still runs, and so is a read.
    with monkeypatch.context() as cut:
        cut.setattr(Session, "commit", unanswered)
        cut.setattr(Session, "close", lambda _: None)
        cut.setattr("tierline.store.running.outcome", lambda *_, **__: None)
        failure(pages.update(page(1, 7)), tl.CommitUnknownError)
    caught_up(store)
    assert store.fetch_all(query).map(len) == tl.Success(2)
    (session,) = left
    session.commit().unwrap()
    session.close()
    caught_up(store)
    assert store.fetch_all(query) == tl.Success([page(2)])


def test_what_was_cached_in_another_life_of_the_database_is_forgotten(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create(page(1)).unwrap()
    caught_up(other)
    cached.get_by_id(1).unwrap()
    assert isinstance(other.backplane, PublishedBackplane)
    # As if ids were given again: what is kept is believed to include the next change.
    (cache,) = published(other).hearing()
    announce = cache.announce
    monkeypatch.setattr(cache, "announce", lambda *_: None)
    monkeypatch.setattr(other.backplane, "_history", "an earlier one")
    starts = other.backplane.health().starts
    pages.update(page(1, 7)).unwrap()
    wait_until(lambda: other.backplane is not None and other.backplane.health().starts > starts)
    monkeypatch.setattr(cache, "announce", announce)
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1, 7))


def test_who_stood_still_forgets_what_lacks_a_change_that_ended_meanwhile(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(), opened()
    pages, cached = repositories(store, other)
    pages.create(page(1)).unwrap()
    caught_up(other)
    heard: list[int] = []
    monkeypatch.setattr("tierline.cache.published._AGAIN_S", -1.0)
    caches = published(other)
    hear = caches.hear

    def counted(announcement: Any) -> None:
        heard.append(announcement.xid)
        hear(announcement)

    monkeypatch.setattr(caches, "hear", counted)
    pages.update(page(1, 7)).unwrap()
    caught_up(other)
    caught_up(other)
    # When it was published, and when it was found to have ended so late.
    assert len(heard) >= 2
    assert len(set(heard)) == 1
    assert cached.get_by_id(1) == tl.Success(page(1, 7))


def test_what_stays_open_for_long_is_announced_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.cache.published._AGAIN_S", 0.0)
    store, other = opened(), opened()
    pages, _ = repositories(store, other)
    pages.create(page(1)).unwrap()
    caught_up(other)
    cache = published(other).hearing()[0]
    told: list[int] = []
    announce = cache.l1.announce

    class Told:
        def __getattr__(self, name: str) -> Any:
            return getattr(l1, name)

        def announce(self, key: int, xid: int) -> bool:
            told.append(key)
            return announce(key, xid)

    l1 = cache.l1
    cache.l1 = Told()  # type: ignore[assignment]

    def beats() -> None:
        for _ in range(3):
            caught_up(other)

    before_commit(store, beats)
    pages.update(page(1, 7)).unwrap()
    assert len(told) >= 3
    caught_up(other)
    told.clear()
    caught_up(other)
    assert told == []
    assert not published(other).asks


@pytest.mark.parametrize("message", [b"!", b"[", b"[1]", b"\xff"])
def test_a_message_that_cannot_be_read_stands_for_anything(
    opened: Open, redis_url: str, message: bytes
) -> None:
    store = opened()
    (pages,) = repositories(store)
    pages.create(page(1)).unwrap()
    caught_up(store)
    pages.get_by_id(1).unwrap()
    channel = published(store).channel
    with redis.Redis.from_url(redis_url) as client:
        client.publish(channel, message)
    wait_until(lambda: store.backplane.health().starts == 2)  # type: ignore[union-attr]
    assert not is_hit(store, lambda: pages.get_by_id(1))


def test_a_newcomer_shares_l2_when_a_witness_has_answered(opened: Open) -> None:
    store = opened(max_staleness_s=1.0)
    (pages,) = repositories(store)
    pages.create_many([page(n) for n in range(KEYS_MAX + 1)]).unwrap()
    wait_until(lambda: epoch(store))
    caught_up(store)
    pages.get_by_id(1).unwrap()
    newcomer = opened(max_staleness_s=1.0)
    (cached,) = repositories(newcomer)
    wait_until(lambda: epoch(newcomer) and epoch(newcomer) == epoch(store))

    def shares() -> bool:
        # A machine that stands still for a second takes both beyond their horizon for a moment.
        pages.get_by_id(1).unwrap()
        newcomer.caches.all()[0].l1.clear()
        assert cached.get_by_id(1) == tl.Success(page(1))
        return any(tier.tier == "L2" and tier.hits for tier in newcomer.stats().tiers)

    wait_until(shares)


def test_a_newcomer_is_not_told_of_a_whole_table_before_its_change_has_ended(opened: Open) -> None:
    store, other = opened(max_staleness_s=1.0), opened(max_staleness_s=1.0)
    pages, _ = repositories(store, other)
    pages.create_many([page(n) for n in range(KEYS_MAX + 1)]).unwrap()
    caught_up(store, other)
    wait_until(lambda: epoch(store) and epoch(other))
    shared = published(other).shared
    assert shared is not None
    member = published(other).hearing()[0].member
    assert member is not None
    waiting: list[bool] = []

    def look() -> None:
        caught_up(other)
        time.sleep(0.3)
        waiting.append(bool(member.waiting))

    before_commit(store, look)
    pages.update_where(set=lambda p: tl.set(p.version).to(7), where=lambda p: p.id >= 0).unwrap()
    assert waiting == [True]
    wait_until(lambda: not member.waiting)


def test_both_sides_of_a_distributed_transaction_are_announced(
    opened: Open,
    second: PostgresServer,
    redis_url: str,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        tl.open(second.url, redis=redis_url, prefix=redis_prefix, backplane="redis") as b,
        tl.open(second.url, redis=redis_url, prefix=redis_prefix, backplane="redis") as hears_b,
    ):
        a, hears_a = opened(), opened()
        for store in (a, b):
            store.drop_table(PAGES, missing_ok=True).unwrap()
            store.create_table(PAGES).unwrap()
            tl.repository(store, PAGES).create(page(1)).unwrap()
        cached = repositories(hears_a, hears_b)
        caught_up(hears_a, hears_b)
        for one in cached:
            assert one.get_by_id(1) == tl.Success(page(1))

        def both(txs: Any) -> tl.Result[int, tl.RepositoryError]:
            for name in ("a", "b"):
                tl.repository(txs[name], PAGES).update(page(1, 7)).unwrap()
            return tl.Success(0)

        stores = {"a": a, "b": b}
        tl.distributed_setup(a).unwrap()
        # Told before they are prepared, not only when they are committed.
        before = {name: len(published(store)._said) for name, store in stores.items()}
        told: list[bool] = []

        def step(name: str) -> None:
            _, _, part = name.partition("prepared ")
            if part:
                told.append(len(published(stores[part])._said) > before[part])

        monkeypatch.setattr(two_phase, "_step", step)
        tl.distributed(stores, both, coordinator="a").unwrap()
        assert told[:2] == [True, True]
        caught_up(hears_a, hears_b)
        for one in cached:
            assert one.get_by_id(1) == tl.Success(page(1, 7))


def test_a_result_goes_when_what_was_left_prepared_is_committed_by_another(
    opened: Open,
    pg_url: str,
    second: PostgresServer,
    redis_url: str,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
    with (
        tl.open(second.url, redis=redis_url, prefix=redis_prefix, backplane="redis") as b,
        tl.open(pg_url) as plain_a,
        tl.open(second.url) as plain_b,
    ):
        a = opened()
        b.drop_table(PAGES, missing_ok=True).unwrap()
        b.create_table(PAGES).unwrap()
        for store in (a, b):
            tl.repository(store, PAGES).create_many([page(1), page(2)]).unwrap()
        tl.distributed_setup(a).unwrap()

        def both(txs: Any) -> tl.Result[int, tl.RepositoryError]:
            for name in ("a", "b"):
                tl.repository(txs[name], PAGES).update(page(1, 7)).unwrap()
            return tl.Success(0)

        with monkeypatch.context() as left:
            lost = tl.Failure(tl.ConnectionError("", operation="distributed"))
            left.setattr(Participant, "finish", lambda *_: False)
            left.setattr(taking_part, "finish_prepared", lambda *_: lost)
            done = tl.distributed({"a": a, "b": b}, both, coordinator="a")
        failure(done, tl.CommitUnknownError)
        caught_up(b)
        assert b.fetch_all(query).map(len) == tl.Success(2)
        tl.recover({"a": plain_a, "b": plain_b}, coordinator="a", grace_s=0).unwrap()
        caught_up(b)
        assert b.fetch_all(query) == tl.Success([page(2)])


def test_what_goes_past_the_library_is_seen_after_the_time_to_live(opened: Open, raw: Raw) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=0.5))
    pages.create(page(1)).unwrap()
    caught_up(store)
    pages.get_by_id(1).unwrap()
    raw.execute("UPDATE pages SET version = 7")
    wait_until(lambda: pages.get_by_id(1) == tl.Success(page(1, 7)))


def test_stores_of_one_url_share_a_thread_and_a_line(opened: Open, redis_url: str) -> None:
    def listeners() -> int:
        return sum(thread.name == "tierline-subscriber" for thread in threading.enumerate())

    stores = [opened() for _ in range(3)]
    caught_up(*stores)
    assert listeners() == 1
    with redis.Redis.from_url(redis_url) as client:
        assert client.pubsub_numsub(published(stores[0]).channel)[0][1] == 1
    for store in stores[:2]:
        store.close()
    caught_up(stores[2])
    assert listeners() == 1
    stores[2].close()
    assert listeners() == 0
    # And one that comes later begins another.
    caught_up(opened())
    assert listeners() == 1


def test_an_account_needs_no_more_than_its_prefix(
    opened: Open, redis_url: str, redis_prefix: str
) -> None:
    name = f"user{secrets.token_hex(4)}"
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser(
            name,
            enabled=True,
            nopass=True,
            keys=[f"{redis_prefix}*"],
            channels=[f"{redis_prefix}*"],
            categories=["+@all", "-@admin", "-@dangerous"],
            reset=True,
            reset_channels=True,
        )
        try:
            store = opened(redis=redis_url.replace("redis://", f"redis://{name}:x@"))
            other = opened()
            pages, cached = repositories(store, other)
            pages.create(page(1)).unwrap()
            caught_up(store, other)
            cached.get_by_id(1).unwrap()
            pages.update(page(1, 7)).unwrap()
            caught_up(other)
            assert cached.get_by_id(1) == tl.Success(page(1, 7))
            store.close()
        finally:
            client.acl_deluser(name)


def test_options_that_cannot_work_are_refused(pg_url: str, redis_url: str) -> None:
    def opening(**options: Any) -> Any:
        return tl.connect(pg_url, **{"backplane": "redis", "redis": redis_url, **options})

    with pytest.raises(TypeError, match='goes with redis="redis://'):
        opening(redis=None)
    for options, says in (
        ({"backplane": "reddis"}, "'postgres' or 'redis'"),
        ({"redis": "redis+sentinel://a,b/primary"}, "one server"),
        ({"redis": "redis+cluster://a"}, "one server"),
        ({"unannounced_writes": "ignore"}, "unannounced_writes"),
        ({"max_staleness_s": 0.01}, "max_staleness_s"),
    ):
        failure(opening(**options), tl.ConfigurationError, says)
