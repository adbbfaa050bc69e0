"""`store.cache`, cached functions, warming and statistics beside backplanes and leases."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from tests.real.helpers import PAGES, Page, page, wait_until

import tierline as tl
from tierline.cache.floors import FloorTier
from tierline.cache.hearing import HearingCache
from tierline.cache.redis import L2Stats
from tierline.store.backplane import BackplaneName

pytestmark = pytest.mark.usefixtures("patient_redis")

# Long enough to be compressed.
SLUG = "page " * 1_000
COUNT = 20


class Opened(NamedTuple):
    store: tl.Store
    pages: tl.Repository[Page, int]


class Way(NamedTuple):
    """How the stores hear of each other, and whether they take leases."""

    backplane: BackplaneName | None
    lease_s: float | None


@pytest.fixture(
    params=[Way(name, lease_s) for name in (None, "postgres", "redis") for lease_s in (None, 5.0)],
    ids=lambda way: f"{way.backplane}-{'leases' if way.lease_s else 'plain'}",
)
def two(
    request: pytest.FixtureRequest, pg_url: str, redis_url: str, redis_prefix: str
) -> Generator[tuple[Opened, Opened]]:
    """Two stores that share a database and Redis: as two processes they share no L1."""
    way: Way = request.param
    with ExitStack() as stores:

        def opened() -> Opened:
            store = stores.enter_context(
                tl.open(
                    pg_url,
                    redis=redis_url,
                    prefix=redis_prefix,
                    backplane=way.backplane,
                    # Nothing is to be read anew because a busy machine let the horizon pass.
                    max_staleness_s=60,
                    timeout_s=10,
                )
            )
            cached = tl.read_through(ttl_s=600, lease_s=way.lease_s)
            return Opened(store, tl.repository(store, PAGES, cache=cached))

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
            maker.install_backplane([PAGES]).unwrap()
            rows = (Page(n, SLUG) for n in range(COUNT))
            tl.repository(maker, PAGES).create_many(rows).unwrap()
        both = opened(), opened()
        for one in both:
            _wait_for_l2(one.store)
        yield both


def _wait_for_l2(store: tl.Store) -> None:
    """Wait until a store that hears may use L2."""
    if store.backplane is None:
        return
    assert store.backplane.catch_up(10)
    (cache,) = store.caches.of(PAGES)
    assert isinstance(cache, HearingCache)
    wait_until(lambda: cache._spot(0))


def l2(store: tl.Store) -> L2Stats:
    assert store.caches.l2 is not None
    return store.caches.l2.stats()


def entries(store: tl.Store) -> int | None:
    return store.stats().tables["pages"].entries


def test_the_application_s_values_are_shared_and_forgotten(two: tuple[Opened, Opened]) -> None:
    one, other = (opened.store for opened in two)
    spaces = [store.cache.space("seats", int, ttl_s=60) for store in (one, other)]
    for key in ("key", "tag", "kept"):
        spaces[0].put(key, 1, tags=[key])
    spaces[0].invalidate("key")
    one.cache.invalidate_tag("tag")
    assert [spaces[1].get(key) for key in ("key", "tag", "kept")] == [None, None, 1]
    assert spaces[1].get_or_load("loaded", lambda _: 2, tags=["tag"]) == 2
    assert spaces[0].get_or_load("loaded", lambda _: 3, tags=["tag"]) == 2


def test_a_cached_function_reads_through_a_repository(two: tuple[Opened, Opened]) -> None:
    calls: list[int] = []

    def defined(opened: Opened) -> Any:
        @opened.store.cached(ttl_s=60, tags=lambda id_: [f"page:{id_}"])
        def version(id_: int) -> int:
            calls.append(id_)
            return opened.pages.get_by_id(id_).unwrap().version

        return version

    one, other = map(defined, two)
    assert (one(1), other(1), calls) == (0, 0, [1])
    two[0].pages.update(Page(1, SLUG, 7)).unwrap()
    two[0].store.cache.invalidate_tag("page:1")
    assert (one(1), calls) == (7, [1, 1])


def test_what_one_process_warms_the_other_finds_in_l2(two: tuple[Opened, Opened]) -> None:
    for opened in two:
        report = opened.store.warm(PAGES, range(COUNT)).unwrap()
        assert (report.rows, entries(opened.store)) == (COUNT, COUNT)
    one, other = (l2(opened.store) for opened in two)
    assert (one.fills, one.hits) == (COUNT, 0)
    assert (other.fills, other.hits) == (0, COUNT)
    assert other.bytes_read == one.bytes_written > 0
    assert one.payload_bytes > COUNT * len(SLUG) > 5 * one.bytes_written
    assert one.round_trips > 0
    assert other.round_trips > 0


def test_one_read_counts_its_bytes_as_many_do(two: tuple[Opened, Opened]) -> None:
    for opened in two:
        opened.pages.get_by_id(3).unwrap()
    one, other = (l2(opened.store) for opened in two)
    assert (one.fills, other.hits) == (1, 1)
    assert other.bytes_read == one.bytes_written > 0
    assert one.payload_bytes > len(SLUG)
    line = next(tier for tier in two[0].store.stats().tiers if tier.tier == "L2")
    assert line.compression is not None
    assert line.compression > 5


def test_statistics_say_how_far_a_store_has_heard(two: tuple[Opened, Opened]) -> None:
    one = two[0].store
    stats = one.stats()
    if one.backplane is None:
        assert stats.backplane is None
        return
    assert stats.backplane is not None
    assert 0 <= stats.backplane.age_s < 60
    assert stats.backplane.silent_tables == ()
    assert "horizon" in repr(stats)


def test_a_fill_that_came_too_late_is_counted(two: tuple[Opened, Opened]) -> None:
    tier = two[0].store.caches.l2
    assert tier is not None
    token = tier.begin("late")
    assert token is not None
    tier.invalidate(["late"])
    tier.fill("late", b"\x01", 1, token, 60)
    assert (tier.stats().fills, tier.stats().refused_fills) == (0, 1)
    floors = FloorTier(tier)
    spot = floors.spot("late", "e", 0)
    assert spot is not None
    floors.raise_floor(spot, [10])
    # A snapshot in which 10 is still to come.
    value = b"P" + (0).to_bytes(4, "big") + (10).to_bytes(8, "big") * 2 + b"frame"
    assert floors.fill(spot, value, 60) is False
    assert tier.stats().refused_fills == 2
    line = next(tier for tier in two[0].store.stats().tiers if tier.tier == "L2")
    assert line.refused == 2


def test_a_page_that_is_written_is_read_anew(two: tuple[Opened, Opened]) -> None:
    one, other = two
    for opened in two:
        opened.store.warm(PAGES, [1]).unwrap()
    one.pages.update(page(1, 7)).unwrap()
    assert one.pages.get_by_id(1) == tl.Success(page(1, 7))
    if other.store.backplane is not None:
        assert other.store.backplane.catch_up(10)
        assert other.pages.get_by_id(1) == tl.Success(page(1, 7))
