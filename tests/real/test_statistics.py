"""Statistics of real tiers: by table, by query, of L2's bytes and of the horizon."""

from __future__ import annotations

import pytest
from tests.real.helpers import PAGES, OpenStore, page

import tierline as tl


def tier(store: tl.Store, name: str) -> tl.TierStats:
    return next(tier for tier in store.stats().tiers if tier.tier == name)


def test_a_table_has_its_counters_over_all_its_caches(tiered: tl.Store) -> None:
    pages = [tl.repository(tiered, PAGES, cache=tl.read_through(ttl_s=s)) for s in (60, 30)]
    pages[0].create(page(1)).unwrap()
    for repository in pages:
        repository.get_by_id(1).unwrap()
        repository.get_by_id(1).unwrap()
    found = tiered.stats().tables["pages"]
    assert (found.hits, found.misses, found.entries) == (2, 2, 2)


def test_l2_counts_bytes_and_round_trips(tiered: tl.Store) -> None:
    pages = tl.repository(tiered, PAGES, cache=tl.read_through(ttl_s=60, max_entries=1))
    pages.create_many(page(n) for n in range(2)).unwrap()
    for n in (0, 1):
        pages.get_by_id(n).unwrap()
    before = tier(tiered, "L2")
    assert before.payload_bytes > 0
    assert before.bytes_written > 0
    assert before.compression is not None
    pages.get_by_id(0).unwrap()
    after = tier(tiered, "L2")
    assert after.round_trips == before.round_trips + 1
    assert after.bytes_read - before.bytes_read == before.bytes_written // 2


def test_each_cached_query_has_its_counters(store: tl.Store) -> None:
    store.create_table(PAGES).unwrap()
    first = tl.cached_query(tl.select(PAGES, where=lambda p: p.id == tl.param("id", int)), ttl_s=60)
    assert store.stats().queries == ()
    for id_ in (1, 1, 2):
        store.fetch_all(first, id=id_).unwrap()
    store.count(first, id=1).unwrap()
    tl.repository(store, PAGES).create(page(1)).unwrap()
    rows, count = store.stats().queries
    assert (rows.operation, rows.table) == ("fetch_all", "pages")
    assert (rows.hits, rows.loads, rows.invalidations) == (1, 2, 1)
    assert (count.operation, count.hits, count.loads, count.invalidations) == ("count", 0, 1, 1)
    assert rows.load_s > 0
    assert rows.hit_ratio == pytest.approx(1 / 3)
    assert "count SELECT" in repr(store.stats())


def test_a_space_has_a_line(store: tl.Store) -> None:
    store.cache.space("airports", str, ttl_s=60).put("JFK", "Kennedy")
    store.cache.put("n", 1)
    store.cache.get("n", int)
    tiers = {tier.tier: tier for tier in store.stats().tiers}
    assert tiers["L1 cache airports"].entries == 1
    assert tiers["L1 cache"].hits == 1


def test_the_horizon_and_the_servers_are_there(pg_url: str) -> None:
    with tl.open(pg_url, backplane="postgres") as store:
        assert store.backplane is not None
        store.backplane.catch_up(10)
        stats = store.stats()
        assert stats.backplane is not None
        assert 0 <= stats.backplane.age_s < 60
        assert stats.health is not None
        assert stats.health.ok
        assert "horizon" in repr(stats)


def test_a_store_without_a_backplane_has_no_horizon(
    tiered: tl.Store, open_store: OpenStore
) -> None:
    assert tiered.stats().backplane is None
    assert "horizon" not in repr(tiered.stats())
