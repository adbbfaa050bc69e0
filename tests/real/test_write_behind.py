"""Write-behind on real servers: what is acknowledged, what reads see, what L3 refuses."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Annotated, Any, Self

import msgspec
import psycopg
import pytest
import redis
from tests.real.helpers import wait_until

import tierline as tl
from tierline.cache.intents import Intent
from tierline.cache.journal_line import Line, Script
from tierline.cache.operations import Entry, Operation, OperationId, Written
from tierline.testing import RedisServer, redis_server, tcp_proxy

FLUSH_S = 30.0


class Item(msgspec.Struct, frozen=True):
    """A row with rules that L3 alone can judge."""

    id: int
    name: str
    quantity: Annotated[int, msgspec.Meta(ge=0)] = 0


ITEMS = tl.table(Item, name="items", key=lambda i: i.id).unique(lambda i: i.name)
# Nothing is written before a test looks.
SLOW = tl.write_behind(ttl_s=60, delay_s=0.2)
BEHIND = tl.write_behind(ttl_s=60)

Open = Callable[..., tl.Store]


@pytest.fixture(scope="module")
def journal_redis() -> Generator[RedisServer]:
    """A Redis that keeps what it is given."""
    with redis_server(settings={"appendonly": "yes"}) as server:
        yield server


@pytest.fixture
def open_behind(pg_url: str, journal_redis: RedisServer) -> Generator[Open]:
    """Opens stores on one database and one Redis, with the table of items."""
    with tl.open(pg_url) as maker:
        maker.create_table(ITEMS).unwrap()
    prefix = f"test-{secrets.token_hex(6)}"
    with ExitStack() as stores:

        def open_one(url: str = pg_url, **options: Any) -> tl.Store:
            chosen = {"redis": journal_redis.url, "prefix": prefix, "timeout_s": 10} | options
            return stores.enter_context(tl.open(url, **chosen))

        yield open_one


def item(id_: int, quantity: int = 0) -> Item:
    return Item(id_, f"item-{id_}", quantity)


def stored(url: str) -> dict[int, int]:
    """What the table holds."""
    with psycopg.connect(url, autocommit=True) as raw:
        return dict(raw.execute("SELECT id, quantity FROM items").fetchall())  # type: ignore[arg-type]


def flush(store: tl.Store) -> None:
    store.write_behind.flush(deadline_s=FLUSH_S).unwrap()


def counts(store: tl.Store) -> tl.WriteBehindStats:
    (found,) = store.write_behind.stats()
    return found


class Held:
    """A lock on the table, which nothing passes."""

    def __init__(self, url: str) -> None:
        self._session = psycopg.connect(url)
        self._session.execute("LOCK TABLE items IN SHARE MODE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()


def test_writes_reach_l3_in_order_and_by_batches(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    with Held(pg_url):
        for n in range(100):
            items.upsert(item(n % 10, n)).unwrap()
    flush(store)
    assert stored(pg_url) == {n: 90 + n for n in range(10)}
    found = counts(store)
    assert (found.acknowledged, found.applied, found.pending) == (100, 100, 0)
    # What waited behind the lock was one batch.
    assert found.rows <= 20
    assert found.batches <= 2


def test_every_verb_is_journalled(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    told: list[int] = []
    assert items.create(item(1)) == tl.Success(item(1))
    assert items.update(item(1, 5)) == tl.Success(item(1, 5))
    assert items.create_many([item(2), item(3)], progress=told.append) == tl.Success(2)
    assert items.upsert_many([item(3, 7), item(4, 7)]) == tl.Success(2)
    assert items.update_many([item(2, 8)]) == tl.Success(1)
    assert items.delete(3) == tl.Success(None)
    assert items.delete(item(4)) == tl.Success(None)
    assert items.delete_many([77, 78]) == tl.Success(2)
    flush(store)
    assert stored(pg_url) == {1: 5, 2: 8}
    assert told == [2]
    assert store.write_behind.dead_letters(ITEMS) == tl.Success([])


def test_reads_by_key_see_what_is_pending(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create_many([item(1, 1), item(2, 1)]).unwrap()
    flush(store)
    assert items.get_many([1, 2, 3]).unwrap() == {1: item(1, 1), 2: item(2, 1)}
    with Held(pg_url):
        items.update(item(1, 2)).unwrap()
        items.delete(2).unwrap()
        items.create(item(3, 3)).unwrap()
        assert items.get_by_id(1) == tl.Success(item(1, 2))
        assert isinstance(items.get_by_id(2).failure(), tl.NotFoundError)
        assert items.get_many([3, 2, 1]).unwrap() == {3: item(3, 3), 1: item(1, 2)}
        assert (items.exists(1), items.exists(2)) == (tl.Success(True), tl.Success(False))
        # Queries say what L3 has.
        assert items.count() == tl.Success(2)
        assert stored(pg_url) == {1: 1, 2: 1}
        # So do other processes, if they ask by key.
        other = tl.repository(open_behind(), ITEMS, cache=BEHIND)
        assert other.get_by_id(1) == tl.Success(item(1, 2))
        assert isinstance(other.get_by_id(2).failure(), tl.NotFoundError)
        assert other.get_many([1, 2, 3]).unwrap() == {3: item(3, 3), 1: item(1, 2)}
    flush(store)
    assert stored(pg_url) == {1: 2, 3: 3}
    assert items.get_by_id(1) == tl.Success(item(1, 2))
    assert other.get_by_id(3) == tl.Success(item(3, 3))


def test_no_read_is_older_than_the_last_acknowledged_write(open_behind: Open) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, delay_s=0))
    items.upsert(item(1, 0)).unwrap()
    acknowledged, older = [0], []
    end = threading.Event()

    def read() -> None:
        while not end.wait(0.0005):
            least = acknowledged[0]
            seen = items.get_by_id(1).unwrap().quantity
            if seen < least:
                older.append((seen, least))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(1, 200):
        items.upsert(item(1, n)).unwrap()
        acknowledged[0] = n
    end.set()
    for reader in readers:
        reader.join()
    assert older == []


def test_a_row_that_others_change_afterwards_is_seen(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create(item(1, 1)).unwrap()
    flush(store)
    plain = tl.repository(store, ITEMS)
    plain.update(item(1, 2)).unwrap()
    assert items.get_by_id(1) == tl.Success(item(1, 2))


def test_what_needs_l3_waits_for_what_is_pending(open_behind: Open, pg_url: str) -> None:
    items = tl.repository(open_behind(), ITEMS, cache=SLOW)
    items.create(item(1, 1)).unwrap()
    assert items.get_or_create(item(1, 9)).unwrap() == (item(1, 1), False)
    items.upsert(item(1, 2)).unwrap()
    assert items.update_where(
        set=lambda i: tl.set(i.quantity).to(i.quantity + 1), where=lambda i: i.id == 1
    ) == tl.Success(1)
    assert items.get_by_id(1) == tl.Success(item(1, 3))
    items.upsert(item(1, 4)).unwrap()
    assert items.update(tl.change(item(1, 4), quantity=5)) == tl.Success(item(1, 5))
    items.upsert(item(2, 4)).unwrap()
    assert items.delete_where(lambda i: i.quantity == 4) == tl.Success(1)
    items.upsert(item(3)).unwrap()
    assert items.purge(3) == tl.Success(None)
    assert stored(pg_url) == {1: 5}


def test_what_l3_refuses_is_a_dead_letter_and_blocks_nobody(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=SLOW)
    for n in range(50):
        items.create(item(n, 1)).unwrap()
    flush(store)
    seen: list[tl.Event] = []
    with store.on_event(seen.append):
        for n in range(50):
            items.upsert(item(n, 2)).unwrap()
        items.create(item(7, 3)).unwrap()
        items.create(Item(100, "item-8")).unwrap()
        items.update(item(101, 3)).unwrap()
        for n in range(50, 80):
            items.create(item(n, 2)).unwrap()
        flush(store)
    assert stored(pg_url) == dict.fromkeys(range(80), 2)
    letters = store.write_behind.dead_letters(ITEMS).unwrap()
    assert [(one.operation, one.key, one.error) for one in letters] == [
        ("create", 7, "DuplicateError"),
        ("create", 100, "DuplicateError"),
        ("update", 101, "NotFoundError"),
    ]
    assert letters[1].entity == Item(100, "item-8")
    assert letters[0].sqlstate == "23505"
    assert sum(isinstance(one, tl.DeadLettered) for one in seen) == 3
    assert sum(one.operations for one in seen if isinstance(one, tl.WroteBehind)) == 80
    # They can be tried again once what was in the way is gone.
    items.delete(8).unwrap()
    assert store.write_behind.retry(ITEMS, letters[1:2]) == tl.Success(1)
    assert store.write_behind.drop(ITEMS, letters[:1]) == tl.Success(1)
    flush(store)
    assert stored(pg_url)[100] == 0
    assert [one.key for one in store.write_behind.dead_letters(ITEMS).unwrap()] == [101]
    assert store.write_behind.drop(ITEMS, letters) == tl.Success(1)


def test_what_cannot_be_read_is_a_dead_letter(
    open_behind: Open, journal_redis: RedisServer, pg_url: str
) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create(item(1)).unwrap()
    flush(store)
    with redis.Redis.from_url(journal_redis.url) as client:
        name = f"{store.write_behind.open(ITEMS, BEHIND).journal.name}:journal"
        client.xadd(name, {"anything": "else"})
        client.xadd(name, {"o": "p", "k": "[5]", "p": b"\xc1"})
    items.create(item(2)).unwrap()
    flush(store)
    assert stored(pg_url) == {1: 0, 2: 0}
    letters = store.write_behind.dead_letters(ITEMS).unwrap()
    assert [(one.operation, one.error) for one in letters] == [("", "ValidationError")] * 2


def test_a_handler_that_refuses_makes_a_dead_letter(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=SLOW)

    def refuse(changed: tl.Changed[Item]) -> tl.Reaction:
        if changed.key == 3:
            raise ArithmeticError("three")
        return None

    with store.subscribe(ITEMS, refuse):
        for n in range(6):
            items.create(item(n)).unwrap()
        flush(store)
    assert sorted(stored(pg_url)) == [0, 1, 2, 4, 5]
    assert [one.error for one in store.write_behind.dead_letters(ITEMS).unwrap()] == [
        "ArithmeticError"
    ]


def test_a_full_journal_refuses_and_takes_again(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, max_pending=10))
    with Held(pg_url):
        items.upsert_many(item(n) for n in range(8)).unwrap()
        refused = items.upsert_many(item(n) for n in range(10, 13))
        assert isinstance(refused.failure(), tl.PoolExhaustedError)
        assert isinstance(items.get_by_id(10).failure(), tl.NotFoundError)
        items.upsert(item(8)).unwrap()
        items.upsert(item(9)).unwrap()
        error = items.upsert(item(10)).failure()
        assert isinstance(error, tl.PoolExhaustedError)
        assert (error.table, error.operation) == ("items", "upsert")
        late = store.write_behind.flush(deadline_s=0.2).failure()
        assert isinstance(late, tl.TimeoutError)
        assert counts(store).refused == 4
    flush(store)
    assert sorted(stored(pg_url)) == list(range(10))
    items.upsert(item(10)).unwrap()


def test_a_batch_is_journalled_as_a_whole(open_behind: Open) -> None:
    items = tl.repository(open_behind(), ITEMS, cache=BEHIND)
    bad = items.upsert_many([item(1), Item(2, "x", -1)]).failure()
    assert isinstance(bad, tl.ValidationError)
    assert bad.errors[0].path == "[1].quantity"
    assert isinstance(items.upsert_many([item(1), item(1)]).failure(), tl.ValidationError)
    many = items.upsert_many(item(n) for n in range(10_001)).failure()
    assert isinstance(many, tl.ValidationError)
    assert isinstance(items.get_by_id(1).failure(), tl.NotFoundError)
    assert items.upsert_many([]) == tl.Success(0)


def test_what_a_process_left_is_finished_by_the_next(open_behind: Open, pg_url: str) -> None:
    with Held(pg_url):
        first = open_behind()
        items = tl.repository(first, ITEMS, cache=tl.write_behind(ttl_s=60, close_timeout_s=0))
        items.upsert_many(item(n, n) for n in range(20)).unwrap()
        first.close()
        assert isinstance(items.upsert(item(1)).failure(), tl.ConnectionError)
    second = open_behind()
    tl.repository(second, ITEMS, cache=BEHIND)
    wait_until(lambda: len(stored(pg_url)) == 20)
    flush(second)
    assert counts(second).pending == 0


def test_closing_a_store_passes_on_what_there_is_time_for(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, close_timeout_s=30)).upsert_many(
        item(n) for n in range(500)
    ).unwrap()
    store.close()
    assert len(stored(pg_url)) == 500


def test_two_consumers_do_everything_once(open_behind: Open, pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as raw:
        raw.execute("CREATE TABLE log (id bigint, quantity bigint, at bigserial)")
        raw.execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO log (id, quantity) VALUES (NEW.id, NEW.quantity); RETURN NULL; END $$"
        )
        raw.execute(
            "CREATE TRIGGER note AFTER INSERT OR UPDATE ON items FOR EACH ROW "
            "EXECUTE FUNCTION note()"
        )
    stores = [open_behind() for _ in range(2)]
    journals: Any = [
        store.write_behind.open(ITEMS, tl.write_behind(ttl_s=60, batch_size=7)) for store in stores
    ]
    # The lease is what keeps the second from trying; nothing more may depend on it.
    for journal in journals:
        journal._is_my_turn = lambda: True
    items = [
        tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, batch_size=7))
        for store in stores
    ]
    for n in range(600):
        items[n % 2].upsert(item(n % 30, n)).unwrap()
    for store in stores:
        flush(store)
    assert stored(pg_url) == {n: 570 + n for n in range(30)}
    with psycopg.connect(pg_url, autocommit=True) as raw:
        rows = raw.execute("SELECT id, quantity FROM log ORDER BY at").fetchall()
    by_key: dict[int, list[int]] = {}
    for id_, quantity in rows:
        by_key.setdefault(id_, []).append(quantity)
    # Each at most once, and never an older one after a newer one.
    assert all(seen == sorted(set(seen)) for seen in by_key.values())


def test_a_forked_child_writes_and_reads_by_itself(open_behind: Open, pg_url: str) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create(item(1, 1)).unwrap()
    flush(store)
    items.get_by_id(1)
    with Held(pg_url):
        items.update(item(1, 2)).unwrap()
        behind: Any = store.write_behind.open(ITEMS, BEHIND)
        holder = behind._holder
        with warnings.catch_warnings():
            # Newer Pythons warn of every fork beside a thread.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            if behind._holder == holder or len(behind._own):
                os._exit(2)
            seen = items.get_by_id(1) == tl.Success(item(1, 2))
            wrote = items.create(item(2, 2)) == tl.Success(item(2, 2))
            own = items.get_by_id(2) == tl.Success(item(2, 2))
            os._exit(0 if seen and wrote and own else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert items.get_by_id(2) == tl.Success(item(2, 2))
    flush(store)
    assert stored(pg_url) == {1: 2, 2: 2}


def test_l3_may_be_away_for_a_while(open_behind: Open, pg_url: str) -> None:
    with tcp_proxy(pg_url) as proxy:
        store = open_behind(proxy.url(pg_url), timeout_s=3)
        items = tl.repository(store, ITEMS, cache=BEHIND)
        items.create(item(1, 1)).unwrap()
        flush(store)
        proxy.refuse()
        proxy.cut()
        for n in range(20):
            items.upsert(item(n, 2)).unwrap()
        assert items.get_by_id(1) == tl.Success(item(1, 2))
        late = store.write_behind.flush(deadline_s=0.5).failure()
        assert isinstance(late, tl.TimeoutError)
        wait_until(lambda: counts(store).errors > 0)
        wait_until(lambda: counts(store).pending == 20)
        assert counts(store).lag_s > 0
        assert "write-behind items: 20 pending for" in repr(store.stats())
        proxy.allow()
        flush(store)
        assert stored(pg_url) == dict.fromkeys(range(20), 2)


def test_redis_may_be_killed_and_come_back(
    open_behind: Open, journal_redis: RedisServer, pg_url: str
) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    with Held(pg_url):
        items.create(item(1, 1)).unwrap()
        journal_redis.kill()
        error = items.create(item(2, 1)).failure()
        assert isinstance(error, (tl.ConnectionError, tl.OutcomeUnknownError))
        assert isinstance(items.create(item(3, 1)).failure(), tl.ConnectionError)
        # What was acknowledged is seen, what was not is not.
        assert items.get_by_id(1) == tl.Success(item(1, 1))
        assert isinstance(items.get_by_id(3).failure(), tl.NotFoundError)
        journal_redis.start()
        items.create(item(4, 1)).unwrap()
    flush(store)
    assert stored(pg_url).keys() - {2} == {1, 4}
    assert counts(store).lost == 0


def test_a_frozen_redis_leaves_the_outcome_open(journal_redis: RedisServer) -> None:
    line = Line(journal_redis.url)
    script = Script(b"return redis.call('INCR', KEYS[1])", writes=True)
    assert line.run_script(script, [b"frozen"], []) == tl.Success(1)
    journal_redis.freeze()
    try:
        with tl.deadline(0.5):
            sent = line.run_script(script, [b"frozen"], []).failure()
    finally:
        journal_redis.thaw()
    assert isinstance(sent, tl.OutcomeUnknownError)
    # It was done once or not at all, and the late answer is nobody's.
    assert line.ask("GET", b"frozen") in (tl.Success(b"1"), tl.Success(b"2"))
    journal_redis.kill()
    try:
        unsent = line.run_script(script, [b"frozen"], []).failure()
        assert isinstance(unsent, tl.ConnectionError)
    finally:
        journal_redis.start()
    with tl.deadline(0.01):
        assert isinstance(line.ask("PING").failure(), tl.TimeoutError)
    line.close()


def test_a_redis_that_forgets_is_refused_unless_told_otherwise(
    open_behind: Open, redis_url: str, pg_url: str
) -> None:
    store = open_behind(redis=redis_url)
    with pytest.raises(tl.ConfigurationError, match="appendonly"):
        tl.repository(store, ITEMS, cache=BEHIND)
    items = tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, durable=False))
    items.create(item(1)).unwrap()
    flush(store)
    assert stored(pg_url) == {1: 0}


def test_a_redis_that_evicts_is_refused(open_behind: Open) -> None:
    settings = {
        "appendonly": "yes",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
    }
    with redis_server(settings=settings) as evicting:
        store = open_behind(redis=evicting.url)
        with pytest.raises(tl.ConfigurationError, match="evicts"):
            tl.repository(store, ITEMS, cache=BEHIND)


def test_snapshots_are_enough_to_be_kept(open_behind: Open) -> None:
    with redis_server() as saving, redis.Redis.from_url(saving.url) as client:
        client.config_set("save", "3600 1")
        store = open_behind(redis=saving.url)
        assert tl.repository(store, ITEMS, cache=BEHIND).create(item(1)) == tl.Success(item(1))
        flush(store)


def test_a_redis_that_lost_the_journal_says_so_and_goes_on(open_behind: Open, pg_url: str) -> None:
    with redis_server() as forgetful:
        store = open_behind(redis=forgetful.url, timeout_s=1)
        items = tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, durable=False))
        items.create(item(1, 1)).unwrap()
        flush(store)
        with Held(pg_url):
            items.update(item(1, 2)).unwrap()
            items.create(item(2, 2)).unwrap()
            forgetful.restart()
            wait_until(lambda: counts(store).lost == 2)
            assert items.get_by_id(1) == tl.Success(item(1, 1))
        items.create(item(3, 3)).unwrap()
        flush(store)
        assert stored(pg_url) == {1: 1, 3: 3}


def test_an_id_that_l3_has_passed_is_not_given_again(open_behind: Open, pg_url: str) -> None:
    with redis_server() as forgetful:
        store = open_behind(redis=forgetful.url)
        items = tl.repository(store, ITEMS, cache=tl.write_behind(ttl_s=60, durable=False))
        items.create(item(1, 1)).unwrap()
        flush(store)
        # As if Redis's clock had been an hour ahead when the last operations were written.
        with psycopg.connect(pg_url, autocommit=True) as raw:
            raw.execute("UPDATE tierline_write_behind SET applied_ms = applied_ms + 3600000")
        forgetful.restart()
        items.create(item(2, 2)).unwrap()
        flush(store)
        assert stored(pg_url) == {1: 1, 2: 2}


def test_a_consumer_that_died_before_the_tiers_forgot_is_made_up_for(
    open_behind: Open, pg_url: str
) -> None:
    store = open_behind(timeout_s=1)
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create(item(1, 1)).unwrap()
    flush(store)
    reader = tl.repository(store, ITEMS, cache=tl.read_through(ttl_s=60))
    assert reader.get_by_id(1) == tl.Success(item(1, 1))
    journal = store.write_behind.open(ITEMS, BEHIND)
    with Held(pg_url):
        items.update(item(1, 2)).unwrap()
        # Another consumer writes it, and is gone before it tells anybody.
        with psycopg.connect(pg_url) as raw:
            raw.execute(
                "UPDATE tierline_write_behind SET applied_ms = %s, applied_seq = %s",
                (journal.journal.last().unwrap().ms, journal.journal.last().unwrap().seq),
            )
    with psycopg.connect(pg_url, autocommit=True) as raw:
        raw.execute("UPDATE items SET quantity = 2")
    flush(store)
    assert reader.get_by_id(1) == tl.Success(item(1, 2))


def test_with_a_backplane_pending_and_applied_writes_are_seen(
    open_behind: Open, pg_url: str
) -> None:
    store = open_behind(backplane="postgres")
    store.install_backplane([ITEMS]).unwrap()
    other = open_behind(backplane="postgres")
    items = tl.repository(store, ITEMS, cache=BEHIND)
    theirs = tl.repository(other, ITEMS, cache=BEHIND)
    for n in range(30):
        mine = items if n % 2 else theirs
        mine.upsert(item(1, n)).unwrap()
        assert mine.get_by_id(1) == tl.Success(item(1, n))
        if n % 5 == 0:
            flush(store)
            flush(other)
            assert mine.get_by_id(1) == tl.Success(item(1, n))


def test_what_write_behind_is_not_for_is_refused(open_behind: Open, pg_url: str) -> None:
    class Stamped(msgspec.Struct, frozen=True):
        id: int
        at: dt.datetime | None = None

    stamped = tl.table(Stamped, name="stamped", key=lambda s: s.id, updated_at=lambda s: s.at)
    store = open_behind()
    with pytest.raises(TypeError, match="write_through"):
        tl.repository(store, stamped, cache=BEHIND)
    tl.repository(store, ITEMS, cache=BEHIND)
    with pytest.raises(ValueError, match="other options"):
        tl.repository(store, ITEMS, cache=SLOW)

    def inside(tx: tl.Transaction) -> tl.Result[None, tl.RepositoryError]:
        with pytest.raises(TypeError, match="transaction"):
            tl.repository(tx, ITEMS, cache=BEHIND)
        return tl.Success(None)

    store.transaction(inside).unwrap()
    with tl.open(pg_url) as without, pytest.raises(tl.ConfigurationError, match="redis="):
        tl.repository(without, ITEMS, cache=BEHIND)
    with pytest.raises(TypeError, match="not written behind"):
        store.write_behind.dead_letters(stamped)
    with pytest.raises(TypeError, match="dead_letters"):
        store.write_behind.retry(ITEMS, ["1-0"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="deadline_s"):
        store.write_behind.flush(deadline_s="soon")  # type: ignore[arg-type]


def test_mutable_entities_are_copied_in_and_out(open_behind: Open) -> None:
    class Loose(msgspec.Struct):
        id: int
        note: str

    loose = tl.table(Loose, name="loose", key=lambda row: row.id, copy=True)
    store = open_behind()
    store.create_table(loose).unwrap()
    rows = tl.repository(store, loose, cache=SLOW)
    given = Loose(1, "a")
    rows.create(given).unwrap()
    given.note = "b"
    rows.get_by_id(1).unwrap().note = "c"
    rows.get_many([1]).unwrap()[1].note = "d"
    assert rows.get_by_id(1) == tl.Success(Loose(1, "a"))
    flush(store)
    rows.get_by_id(1).unwrap().note = "e"
    rows.get_by_id(1).unwrap().note = "f"
    assert rows.get_by_id(1) == tl.Success(Loose(1, "a"))


def test_operations_leave_the_journal_after_l2_has_forgotten(open_behind: Open) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    l2: Any = store.caches.l2
    l2._drop = lambda _: False
    items.create(item(1)).unwrap()
    late = store.write_behind.flush(deadline_s=1).failure()
    assert isinstance(late, tl.TimeoutError)
    assert counts(store).pending == 1
    del l2._drop
    flush(store)


def test_what_l3_has_is_not_pending_again(open_behind: Open) -> None:
    behind: Any = open_behind().write_behind.open(ITEMS, BEHIND)
    own = behind._own
    own.learn(OperationId(10, 0))
    own.add([Intent("upsert", 1, item(1))], [OperationId(9, 5)])
    assert own.get(1) is None
    # Threads come in another order than their operations have.
    own.add([Intent("upsert", 1, item(1, 2))], [OperationId(12, 0)])
    own.add([Intent("upsert", 1, item(1, 1))], [OperationId(11, 0)])
    assert own.get(1) == tl.Success(item(1, 2))


def test_what_is_past_is_not_refused_again(open_behind: Open) -> None:
    store = open_behind()
    items = tl.repository(store, ITEMS, cache=BEHIND)
    items.create(item(1)).unwrap()
    flush(store)
    behind: Any = store.write_behind.open(ITEMS, BEHIND)
    consumer, applied = behind._consumer, behind._consumer.progress().unwrap().applied
    for id_ in (applied, OperationId(1, 0)):
        old = Operation(Entry(id_, Written(b"c", b"[1]", b"")), None)
        assert consumer._refuse(old, tl.QueryError("late")) == tl.Success(None)
    assert consumer.progress().unwrap() == (applied, {})


def test_a_script_for_another_run_of_redis_is_not_sent(journal_redis: RedisServer) -> None:
    line = Line(journal_redis.url)
    script = Script(b"return redis.call('SET', KEYS[1], '1')", writes=True)
    refused = line.run_script(script, [b"other-run"], [], on_run=b"another")
    assert isinstance(refused.failure(), tl.ConnectionError)
    assert line.ask("EXISTS", b"other-run") == tl.Success(0)
    line.close()


def test_either_version_of_postgresql_does(pg_url_each: str, journal_redis: RedisServer) -> None:
    prefix = f"test-{secrets.token_hex(6)}"
    with tl.open(pg_url_each, redis=journal_redis.url, prefix=prefix) as store:
        store.create_table(ITEMS).unwrap()
        items = tl.repository(store, ITEMS, cache=BEHIND)
        items.create_many([item(1, 1), item(2, 1)]).unwrap()
        items.update(item(1, 2)).unwrap()
        items.delete(2).unwrap()
        items.create(item(1, 3)).unwrap()
        flush(store)
        assert stored(pg_url_each) == {1: 2}
        (letter,) = store.write_behind.dead_letters(ITEMS).unwrap()
        assert (letter.key, letter.error) == (1, "DuplicateError")
        through = tl.repository(store, ITEMS, cache=tl.write_through(ttl_s=60))
        assert through.upsert(item(1, 4)) == tl.Success(item(1, 4))
        assert items.get_by_id(1) == tl.Success(item(1, 4))
