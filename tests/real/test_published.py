"""The Redis backplane: what the library writes is announced before it commits, without triggers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from tests.real.helpers import ITEMS, OWNERS, PAGES, Item, Owner, Page, failure, page, wait_until

import tierline as tl
from tierline.cache.hearing import HearingCache
from tierline.cache.published import KEYS_MAX, PublishedCaches

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


def put(pages: Pages) -> object:
    return pages.update(page(1, 7))


def put_changed(pages: Pages) -> object:
    return pages.update(tl.change(page(1), version=7))


def put_where(pages: Pages) -> object:
    return pages.update_where(set=lambda p: tl.set(p.version).to(7), where=lambda p: p.id < 5)


WRITES: dict[str, Callable[[tl.Store, Pages], object]] = {
    "update": lambda _, pages: pages.update(page(1, 7)),
    "change": lambda _, pages: pages.update(tl.change(page(1), lambda p: {"version": 7})),
    "upsert": lambda _, pages: pages.upsert(page(1, 7)),
    "update_many": lambda _, pages: pages.update_many([page(1, 7)]),
    "upsert_many": lambda _, pages: pages.upsert_many([page(1, 7)]),
    "transaction": lambda store, _: store.transaction(
        lambda tx: tl.repository(tx, PAGES).update(page(1, 7))
    ),
}


def test_it_works(opened: Open) -> None:
    store, other = opened(), opened()
    pages, others = tl.repository(store, PAGES, cache=CACHED), tl.repository(other, PAGES, cache=CACHED)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store, other)
    assert others.get_by_id(1) == tl.Success(page(1))
    assert is_hit(other, lambda: others.get_by_id(1))
    pages.update(page(1, 7)).unwrap()
    caught_up(other)
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    assert is_hit(other, lambda: others.get_by_id(1))
    print(other.backplane.health())
