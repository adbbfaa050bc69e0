"""Results of cached queries under the backplane: what anybody changes is heard there too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from tests.real.helpers import PAGES, Page, page, wait_until
from tests.real.test_backplane import caught_up, opened  # noqa: F401 - a fixture

import tierline as tl

Raw = psycopg.Connection[Any]
Open = Callable[..., tl.Store]

OLD = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)


def served(store: tl.Store) -> int:
    """How many reads of cached queries were answered by what is kept."""
    return next(tier.hits for tier in store.stats().tiers if tier.tier == "L1 queries")


def keep(store: tl.Store) -> list[Page]:
    """A result that is kept, and seen to be."""
    first = store.fetch_all(OLD).unwrap()
    before = served(store)
    assert store.fetch_all(OLD).unwrap() == first
    assert served(store) == before + 1
    return first


def test_what_anybody_changes_drops_the_result(opened: Open, raw: Raw) -> None:  # noqa: F811
    store = opened()
    tl.repository(store, PAGES).create_many([page(1), page(2)]).unwrap()
    caught_up(store)
    assert len(keep(store)) == 2
    raw.execute("UPDATE pages SET version = 7 WHERE id = 1")
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([page(2)])


def test_the_stores_own_writes_are_seen_with_an_l2_too(
    opened: Open,  # noqa: F811
    redis_url: str,
    redis_prefix: str,
) -> None:
    store = opened(redis=redis_url, prefix=redis_prefix)
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1), page(2, version=3)]).unwrap()
    caught_up(store)
    keep(store)
    pages.update(page(2, version=4)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([page(1)])
    pages.update(page(2)).unwrap()
    assert store.fetch_all(OLD).map(len) == tl.Success(2)


def test_another_stores_write_drops_it(opened: Open) -> None:  # noqa: F811
    store, other = opened(), opened()
    tl.repository(store, PAGES).create(page(1)).unwrap()
    caught_up(store)
    keep(store)
    tl.repository(other, PAGES).update(page(1, version=2)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([])


def test_nothing_is_served_beyond_the_horizon(opened: Open, raw: Raw) -> None:  # noqa: F811
    store = opened(max_staleness_s=0.5)
    tl.repository(store, PAGES).create(page(1)).unwrap()
    caught_up(store)
    keep(store)
    assert store.backplane is not None
    store.backplane.close()
    wait_until(lambda: store.backplane is not None and store.backplane.health().age_s > 0.5)
    raw.execute("UPDATE pages SET version = 7")
    assert store.fetch_all(OLD) == tl.Success([])
