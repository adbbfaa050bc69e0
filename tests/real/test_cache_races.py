"""Readers and writers at once: no read is older than a write that was acknowledged before it."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
import redis
from tests.real.helpers import PAGES, OpenStore, Page, page

import tierline as tl

Pages = tl.Repository[Page, int]


@pytest.mark.parametrize("l2", [False, True])
def test_no_read_is_older_than_the_last_acknowledged_write(
    open_store: OpenStore, *, l2: bool
) -> None:
    tiered = open_store() if l2 else open_store(redis=None)
    repositories = [
        tl.repository(tiered, PAGES, cache=tl.read_through(ttl_s=60)),
        tl.repository(tiered, PAGES, cache=tl.read_through(ttl_s=60, max_entries=1)),
    ]
    repositories[0].create_many([page(1), page(2)]).unwrap()
    acknowledged = [0]
    stale: list[tuple[int, int]] = []
    reads = [0]
    stop = threading.Event()

    def read(repository: Pages) -> None:
        while not stop.is_set():
            floor = acknowledged[0]
            version = repository.get_by_id(1).unwrap().version
            repository.get_by_id(2)  # pushes 1 out of the small cache
            reads[0] += 1
            if version < floor:
                stale.append((version, floor))

    threads = [threading.Thread(target=read, args=(r,)) for r in repositories * 2]
    for thread in threads:
        thread.start()
    began_s = time.monotonic()

    def goes_on() -> bool:
        enough = acknowledged[0] > 20 and reads[0] > 100
        return time.monotonic() - began_s < (1.5 if enough else 30) and not stale

    while goes_on():
        repositories[0].update(page(1, acknowledged[0] + 1)).unwrap()
        acknowledged[0] += 1
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not stale
    assert acknowledged[0] > 20
    assert reads[0] > 100


@pytest.mark.parametrize(("written", "memory"), [(True, "kept"), (True, "lost"), (False, "kept")])
def test_a_fill_that_began_before_a_write_is_refused(
    tiered: tl.Store, open_store: OpenStore, redis_url: str, *, written: bool, memory: str
) -> None:
    plain = tl.repository(tiered, PAGES)
    plain.create(page(1)).unwrap()
    fetched, go_on = threading.Event(), threading.Event()

    def slow_fetch(key: int) -> Any:
        result = plain.get_by_id(key)
        fetched.set()
        assert go_on.wait(10)
        return result

    strategy = tl.read_through(ttl_s=60)
    slow_read = tiered.caches.open(PAGES, strategy).reader(slow_fetch)
    answers: list[Any] = []
    if memory == "lost":
        forget_everything(redis_url, tiered)  # the fill shall begin where nothing is noted
    late = threading.Thread(target=lambda: answers.append(slow_read(1)))
    late.start()
    assert fetched.wait(10)
    if written:
        plain.update(page(1, 1)).unwrap()
    if memory == "lost":
        forget_everything(redis_url, tiered)
    go_on.set()
    late.join(10)
    assert answers == [tl.Success(page(1))]  # it began before the write, so it may be old
    version = 1 if written else 0
    elsewhere = tl.repository(open_store(), PAGES, cache=strategy)
    assert elsewhere.get_by_id(1) == tl.Success(page(1, version))
    cached = tl.repository(tiered, PAGES, cache=strategy)
    assert cached.get_by_id(1) == tl.Success(page(1, version))
    # With nothing written in between, the same fill was accepted: the refusal is no accident.
    l1_hits = tiered.stats().tiers[0].hits
    assert l1_hits == (0 if written else 1)


def forget_everything(redis_url: str, tiered: tl.Store) -> None:
    """What a restart without persistence or an eviction does to the keys of one tiered."""
    assert tiered.caches.l2 is not None
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{tiered.caches.l2._base}*"):
            client.delete(key)


def test_two_databases_do_not_meet_in_one_redis(
    open_store: OpenStore, tiered: tl.Store, pages: Pages, pg_url: str, raw: psycopg.Connection[Any]
) -> None:
    schema = f"{raw.execute('SELECT current_schema()').fetchone()[0]}_b"  # type: ignore[index]
    raw.execute(f"CREATE SCHEMA {schema}")
    try:
        base = pg_url.partition("?")[0]
        other = open_store(f"{base}?options=-c%20search_path%3D{schema}")
        other.create_table(PAGES).unwrap()
        other_pages = tl.repository(other, PAGES, cache=tl.read_through(ttl_s=60))
        pages.create(page(1, 1)).unwrap()
        other_pages.create(page(1, 2)).unwrap()
        for _ in range(2):
            assert pages.get_by_id(1) == tl.Success(page(1, 1))
            assert other_pages.get_by_id(1) == tl.Success(page(1, 2))
        assert tiered.stats().tiers[1].hits == 0
        assert other.stats().tiers[1].hits == 0
        other.close()
    finally:
        raw.execute(f"DROP SCHEMA {schema} CASCADE")
