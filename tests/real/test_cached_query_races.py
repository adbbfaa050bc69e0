"""Cached queries while others write: nobody reads what was before a write that has returned."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.conftest import LONG

import tierline as tl
from tierline.testing import advance_clock

IS_LONG = os.environ.get(LONG) == "1"
SECONDS = 60.0 if IS_LONG else 3.0
KEYS = 6


class Counter(msgspec.Struct, frozen=True):
    """A row whose number only grows, in a group that it may leave."""

    id: int
    kind: str
    number: int


COUNTERS = tl.table(Counter, name="cached_counters", key=lambda c: c.id)
OF_KIND = tl.cached_query(
    tl.select(COUNTERS, where=lambda c: c.kind == tl.param("kind", str), order_by=lambda c: c.id),
    ttl_s=3600,
)
OF_RANGE = tl.cached_query(
    tl.select(
        COUNTERS,
        where=lambda c: tl.between(c.id, tl.param("low", int), tl.param("high", int)),
        order_by=lambda c: c.id,
    ),
    ttl_s=3600,
)
TOTAL = tl.cached_query(
    tl.project(tl.select(COUNTERS), lambda c: tl.sum(c.number)),
    ttl_s=3600,
)


@pytest.fixture
def counters(pg_url_each: str) -> Any:
    with tl.open(pg_url_each, pool_size=8, timeout_s=20) as store:
        store.create_table(COUNTERS).unwrap()
        tl.repository(store, COUNTERS).create_many(
            [Counter(n, "even" if n % 2 == 0 else "odd", 0) for n in range(KEYS)]
        ).unwrap()
        yield store


def by_value(store: tl.Store, key: int, number: int) -> None:
    write = tl.update(
        COUNTERS,
        set=lambda c: tl.set(c.number).to(number),
        where=lambda c: c.id == key,
    )
    store.execute(write).unwrap()


def by_key(store: tl.Store, key: int, number: int) -> None:
    kind = "even" if number % 3 else "odd"
    tl.unwrap(tl.repository(store, COUNTERS).update(Counter(key, kind, number)))


def by_change(store: tl.Store, key: int, number: int) -> None:
    repository = tl.repository(store, COUNTERS)
    tl.unwrap(repository.update(tl.change(repository.get_by_id(key).unwrap(), number=number)))


def in_transaction(store: tl.Store, key: int, number: int) -> None:
    tl.unwrap(
        store.transaction(
            lambda tx: tl.repository(tx, COUNTERS).update(Counter(key, "odd", number))
        )
    )


def by_upsert(store: tl.Store, key: int, number: int) -> None:
    tl.unwrap(tl.repository(store, COUNTERS).upsert(Counter(key, "even", number)))


def in_bulk(store: tl.Store, key: int, number: int) -> None:
    tl.unwrap(tl.repository(store, COUNTERS).update_many([Counter(key, "even", number)]))


WAYS: tuple[Callable[[tl.Store, int, int], None], ...] = (
    by_value,
    by_key,
    by_change,
    in_transaction,
    by_upsert,
    in_bulk,
)


@pytest.mark.timeout(300)
def test_no_read_is_older_than_a_write_that_has_returned(  # noqa: C901 (three kinds of reads)
    counters: tl.Store,
) -> None:
    """Each writer owns its keys; the floor of a key is what its last finished write set."""
    store = counters
    floors = [0] * KEYS
    over = threading.Event()
    wrong: list[str] = []
    reads = [0]

    def writes(own: range) -> None:
        rng = random.Random(own.start)
        number = 0
        while not over.is_set():
            number += 1
            key = rng.choice(own)
            rng.choice(WAYS)(store, key, number)
            floors[key] = number

    def look(rows: list[Counter], before: list[int]) -> None:
        wrong.extend(f"{row} after {before[row.id]}" for row in rows if row.number < before[row.id])

    def asks(seed: int) -> None:
        rng = random.Random(seed)
        while not over.is_set():
            before = list(floors)
            match rng.randrange(3):
                case 0:
                    sides = [store.fetch_all(OF_KIND, kind=k).unwrap() for k in ("even", "odd")]
                    for rows in sides:
                        look(rows, before)
                case 1:
                    low = rng.randrange(KEYS)
                    rows = store.fetch_all(OF_RANGE, low=low, high=low + 1).unwrap()
                    look(rows, before)
                    if len(rows) < min(2, KEYS - low):
                        wrong.append(f"{rows} of {low}")
                case _:
                    total = store.fetch_one(TOTAL).unwrap()
                    if (total or 0) < sum(before):
                        wrong.append(f"{total} < {sum(before)}")
            reads[0] += 1

    failures: list[BaseException] = []

    def guarded(work: Callable[..., None], *args: Any) -> Callable[[], None]:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 (shown by the test)
                failures.append(error)
                over.set()

        return run

    threads = [
        threading.Thread(target=guarded(writes, range(n, n + 3))) for n in range(0, KEYS, 3)
    ] + [threading.Thread(target=guarded(asks, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    over.wait(SECONDS)
    over.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures
    assert not wrong, wrong[:5]
    stats = store.caches.queries.stats()
    print(f"{reads[0]} reads, {sum(floors)} writes at least; {stats}")  # noqa: T201
    assert stats.hits > 0
    assert stats.invalidated > 0


def test_a_read_under_way_is_not_kept_when_a_write_overtakes_it(counters: tl.Store) -> None:
    store = counters
    database: Any = store.database
    plain = database.fetch_latest
    reading, go_on = threading.Event(), threading.Event()

    def slow(statement: Any, values: Any) -> Any:
        found = plain(statement, values)
        reading.set()
        assert go_on.wait(10)
        return found

    database.fetch_latest = slow
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(store.fetch_all(OF_KIND, kind="odd").unwrap())
    )
    thread.start()
    assert reading.wait(10)
    database.fetch_latest = plain
    by_value(store, 1, 7)
    # Whoever asks after the write does not wait for the old read, and does not get it.
    assert store.fetch_all(OF_KIND, kind="odd").unwrap()[0] == Counter(1, "odd", 7)
    go_on.set()
    thread.join(10)
    assert answers[0][0] == Counter(1, "odd", 0)
    assert store.fetch_all(OF_KIND, kind="odd").unwrap()[0] == Counter(1, "odd", 7)


def test_a_transaction_drops_results_when_it_commits_and_not_before(counters: tl.Store) -> None:
    store = counters
    assert store.fetch_one(TOTAL).unwrap() == 0

    def write(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        tl.unwrap(tl.repository(tx, COUNTERS).update(Counter(1, "odd", 5)))
        # Its own reads go past what is kept; others read what is committed.
        assert tx.fetch_one(TOTAL).unwrap() == 5
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(store.fetch_one(TOTAL).unwrap()))
        thread.start()
        thread.join(10)
        assert seen == [0]
        return tl.Success(1)

    tl.unwrap(store.transaction(write))
    assert store.fetch_one(TOTAL).unwrap() == 5


def test_rows_that_go_with_deleted_ones_take_results_along(pg_url_each: str) -> None:
    class Above(msgspec.Struct, frozen=True):
        id: int

    class Below(msgspec.Struct, frozen=True):
        id: int
        above: int

    parents = tl.table(Above, name="cached_above", key=lambda a: a.id)
    children = tl.table(Below, name="cached_below", key=lambda b: b.id).foreign_key(
        lambda b: b.above, parents, on_delete="cascade"
    )
    with tl.open(pg_url_each) as store:
        store.create_table(parents).unwrap()
        store.create_table(children).unwrap()
        tl.repository(store, parents).create_many([Above(1), Above(2)]).unwrap()
        tl.repository(store, children).create_many([Below(1, 1), Below(2, 2)]).unwrap()
        counted = tl.cached_query(tl.select(children), ttl_s=3600)
        assert store.count(counted) == tl.Success(2)
        tl.unwrap(tl.repository(store, parents).delete(1))
        assert store.count(counted) == tl.Success(1)


def test_a_result_has_no_more_than_its_time(counters: tl.Store, pg_url_each: str) -> None:
    short = tl.cached_query(TOTAL.query, ttl_s=60)
    assert counters.fetch_one(short).unwrap() == 0
    with tl.open(pg_url_each) as other:
        by_value(other, 1, 9)
    assert counters.fetch_one(short).unwrap() == 0
    assert counters.fetch_one(short, fresh=True).unwrap() == 9
    with tl.open(pg_url_each) as other:
        by_value(other, 1, 10)
    advance_clock(61)
    assert counters.fetch_one(short).unwrap() == 10
