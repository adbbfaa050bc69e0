"""Readers, writers and what is announced, in every order: tiers end equal to the source, or empty.

Two stores in one process, each with an L1 of its own, over one Redis and one PostgreSQL, both real.
A run is of one row: two readers, two writers, and with a backplane what either store hears. After
it, everything is heard; then L1 and L2 hold what PostgreSQL does, or nothing. And no read answered
with anything older than the last write that its own store had acknowledged before it.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
import psycopg
import pytest
from tests.conftest import LONG
from tests.real.helpers import PAGES, Page, page, wait_until, with_application
from tests.schedules.scheduler import Pick, Run, Scheduler, at_random, systematic
from tests.schedules.tiers import SteppedListener, install, join, pass_on

import tierline as tl
from tierline.cache.hearing_caches import HearingCaches
from tierline.cache.redis import RedisTier
from tierline.cache.tables import TableCache

Writers = tuple[str, str]

IS_LONG = os.environ.get(LONG) == "1"
STALENESS_S = 300.0
_COOL_DOWN_S = 1.1
ROWS = 20_000
SYSTEMATIC, RANDOM = (1_400, 600) if IS_LONG else (30, 20)
DELAYS_MAX = 3

# What a reader waits for another's load, which stands still meanwhile: as little as may be.
LEASE_S = 0.01
APPLICATION = "tierline_schedules"

# Who writes: a verb and a store; `past` writes past both, in a transaction of two steps.
HEARD: Sequence[Writers] = (
    ("update 0", "update 1"),
    ("update 0", "update past"),
    ("update 0", "delete 1"),
    ("delete 0", "update past"),
    ("update 1", "delete past"),
    ("update past", "delete past"),
)
ALONE: Sequence[Writers] = (
    ("update 0", "update 0"),
    ("update 0", "delete 0"),
    ("update 0", "update 1"),
    ("delete 0", "update 1"),
)


class World:
    """Two stores, and the run that they are in."""

    def __init__(self, url: str, raw: psycopg.Connection[Any], scheduler: Scheduler) -> None:
        self.stores: list[tl.Store] = []
        self.repositories: list[tl.Repository[Page, int]] = []
        self.url = url
        self.raw = raw
        self.scheduler = scheduler
        self.past: list[psycopg.Connection[Any]] = []
        self.keys = itertools.count(1)
        self.key = 0
        # Every state of the row, as the writes made it; None for no row.
        self.history: list[int | None] = []
        self.acknowledged = [0, 0]

    @property
    def hears(self) -> bool:
        return self.stores[0].backplane is not None

    def caches(self) -> list[TableCache[Page, int]]:
        return [store.caches.of(PAGES)[0] for store in self.stores]

    def stepped(self, label: str) -> None:
        """Note what has become of the row."""
        if label in ("send", "write", "commit"):
            now = self.source()
            if now != self.history[-1]:
                self.history.append(now)

    def source(self) -> int | None:
        row = self.raw.execute("SELECT version FROM pages WHERE id = %s", (self.key,)).fetchone()
        return None if row is None else row[0]

    def read(self, number: int, times: int) -> None:
        """A reader of a store."""
        for n in range(times):
            if n:
                self.scheduler.step("read again")
            floor = self.acknowledged[number]
            found = self.repositories[number].get_by_id(self.key)
            version = None if isinstance(found, tl.Failure) else found.unwrap().version
            if version is None:
                assert isinstance(found.failure(), tl.NotFoundError), found
            at = self.history.index(version)
            assert at >= floor, f"read {version} after {self.history[floor]} was acknowledged"

    def write(self, what: str, version: int) -> None:
        """A writer."""
        verb, _, where = what.partition(" ")
        if where == "past":
            self._write_past(verb, version)
            return
        number = int(where)
        if verb == "update":
            done: Any = self.repositories[number].update(page(self.key, version))
        else:
            done = self.repositories[number].delete(self.key)
        if isinstance(done, tl.Success):
            now = version if verb == "update" else None
            self.acknowledged[number] = max(self.acknowledged[number], self.history.index(now))
        else:
            assert isinstance(done.failure(), tl.NotFoundError), done

    def _write_past(self, verb: str, version: int) -> None:
        connection = self.past[version - 1]
        self.scheduler.step("write")
        if verb == "update":
            connection.execute("UPDATE pages SET version = %s WHERE id = %s", (version, self.key))
        else:
            connection.execute("DELETE FROM pages WHERE id = %s", (self.key,))
        self.scheduler.step("commit")
        connection.commit()

    def hear(self, number: int) -> None:
        """What a store does by itself."""
        for _ in range(2):
            SteppedListener.made[number].pump()
            pass_on(self.stores[number])

    def faults(self) -> int:
        return sum(self.l2(number).stats().errors for number in (0, 1))

    def l2(self, number: int) -> RedisTier:
        found = self.stores[number].caches.l2
        assert found is not None
        return found

    def programs(self, writers: Writers) -> Mapping[str, Callable[[], object]]:
        programs: dict[str, Callable[[], object]] = {
            "reader of 0": lambda: self.read(0, 2),
            "reader of 1": lambda: self.read(1, 1),
        }
        for n, what in enumerate(writers, start=1):
            programs[f"writer {n}, {what}"] = lambda what=what, n=n: self.write(what, n)  # type: ignore[misc]
        if self.hears:
            programs["hearing of 0"] = lambda: self.hear(0)
            programs["hearing of 1"] = lambda: self.hear(1)
        return programs

    def run(self, writers: Writers, pick: Pick) -> Run:
        """One order, and what it led to."""
        self.key = next(self.keys)
        self.history = [0]
        self.acknowledged = [0, 0]
        faults = self.faults()
        found = self.scheduler.run(self.programs(writers), pick)
        if self.hears:
            for store in self.stores:
                assert store.backplane is not None
                assert store.backplane.catch_up(10)
                wait_until(lambda: pass_on(store))  # noqa: B023 - called at once
        if self.faults() != faults:
            # A Redis that is too slow is another test's matter. It is left alone for a while.
            time.sleep(_COOL_DOWN_S)
            return found
        try:
            self.check(writers)
        except AssertionError as error:
            error.add_note("\n".join(found.steps))
            raise
        return found

    def check(self, writers: Writers) -> None:
        """Every tier holds what the source does, or nothing."""
        source = self.source()
        for number, cache in enumerate(self.caches()):
            kept = cache.l1.get(self.key)
            # Without a backplane a store hears of its own writes only.
            if self.hears or all(what.endswith(str(number)) for what in writers):
                assert kept is None or kept.unwrap().version == source, f"L1 of {number}: {kept}"
        shared = self.in_l2()
        assert shared is None or shared.version == source, f"L2: {shared}, not {source}"

    def in_l2(self) -> Page | None:
        cache = self.caches()[0]
        decode = msgspec.msgpack.Decoder(Page).decode
        if self.hears:
            spot = cache._spot(self.key)  # type: ignore[attr-defined]
            assert spot is not None
            value = cache._floors.get(spot, PAGES.fingerprint, decode, 3600)  # type: ignore[attr-defined]
            return None if value is None else value.entity
        name = f"{cache.beginning}[{self.key}]"
        found = self.l2(0).get(name, PAGES.fingerprint, decode, 3600)
        return None if found is None else found[0]


@pytest.fixture
def worlds(
    pg_url: str, redis_url: str, redis_prefix: str, raw: psycopg.Connection[Any]
) -> Generator[Callable[..., World]]:
    """Makes a world, with a backplane or without."""
    url = with_application(pg_url, APPLICATION)
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        f"WHERE NOT l.granted AND a.application_name = '{APPLICATION}')"
    )

    def is_waiting() -> bool:
        (found,) = raw.execute(waiting).fetchone() or (False,)
        return bool(found)

    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:

        def make(*, hears: bool, lease_s: float | None = None) -> World:
            scheduler = Scheduler(
                is_waiting,
                lambda label: world.stepped(label),  # noqa: PLW0108 - made below
            )
            world = World(url, raw, scheduler)
            with tl.open(pg_url) as maker:
                maker.create_table(PAGES).unwrap()
                if hears:
                    maker.install_backplane([PAGES]).unwrap()
            raw.execute(
                "INSERT INTO pages SELECT n, 'page-' || n, 0, NULL FROM generate_series(1, %s) n",
                (ROWS,),
            )
            install(patch, scheduler.step)
            cached = tl.read_through(ttl_s=3600, lease_s=lease_s)
            options: dict[str, Any] = {
                "redis": redis_url, "prefix": redis_prefix, "timeout_s": 120, "pool_size": 4
            }  # fmt: skip
            if hears:
                options |= {"backplane": "postgres", "max_staleness_s": STALENESS_S}
            for _ in range(2):
                store = opened.enter_context(tl.open(url, **options))
                world.stores.append(store)
                world.repositories.append(tl.repository(store, PAGES, cache=cached))
                connection = psycopg.connect(url, connect_timeout=10)
                world.past.append(opened.enter_context(connection))
            if hears:
                for store in world.stores:
                    assert isinstance(store.caches, HearingCaches)
                    join(store, *world.stores)
            return world

        yield make


def some_of(world: World, writers: Writers, seed: int, share: int = 1) -> Iterator[Run]:
    """The orders that are tried, or a share of them."""

    def run(pick: Pick) -> Run:
        return world.run(writers, pick)

    yield from itertools.islice(
        systematic(run, delays_max=DELAYS_MAX, seed=seed), SYSTEMATIC // share
    )
    yield from itertools.islice(at_random(run, seed=seed), RANDOM // share)


@pytest.mark.timeout(3600 if IS_LONG else 900)
@pytest.mark.parametrize("hears", [True, False], ids=["heard", "alone"])
def test_every_order_ends_with_tiers_equal_to_the_source_or_empty(
    worlds: Callable[..., World], *, hears: bool
) -> None:
    world = worlds(hears=hears)
    tried: set[tuple[Writers, tuple[str, ...]]] = set()
    began_s = time.monotonic()
    for seed, writers in enumerate(HEARD if hears else ALONE):
        for found in some_of(world, writers, seed):
            tried.add((writers, found.steps))
    print(f"\n{len(tried)} orders in {time.monotonic() - began_s:.1f} s")  # noqa: T201
    assert len(tried) > 0.9 * (SYSTEMATIC + RANDOM) * len(HEARD if hears else ALONE)
    # The races were met, each of them, and decided.
    l1 = [cache.l1.stats() for cache in world.caches()]
    l2 = [world.l2(number).stats() for number in (0, 1)]
    met = all(stats.refused_fills and stats.hits for stats in (*l1, *l2))
    assert met or world.faults(), (l1, l2)


@pytest.mark.timeout(3600 if IS_LONG else 900)
@pytest.mark.parametrize("hears", [True, False], ids=["heard", "alone"])
def test_a_lease_decides_nothing(worlds: Callable[..., World], *, hears: bool) -> None:
    world = worlds(hears=hears, lease_s=LEASE_S)
    for seed, writers in enumerate(HEARD if hears else ALONE):
        for _ in some_of(world, writers, seed, share=5):
            pass
    assert world.faults() or all(world.l2(number).stats().hits for number in (0, 1))


@pytest.mark.timeout(900)
def test_the_same_picks_give_the_same_order(worlds: Callable[..., World]) -> None:
    world = worlds(hears=True)
    for writers in HEARD:
        for found in itertools.islice(some_of(world, writers, seed=1, share=5), 10):
            again = world.run(writers, lambda n, _, found=found: found.picks[n])  # type: ignore[misc]
            assert world.faults() or again == found
