"""L2 under the PostgreSQL backplane: shared between processes, and never behind what they heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from tests.real.helpers import L2_COMMANDS, PAGES, Page, failure, page, wait_until
from tests.stalls import Stalls

import tierline as tl
from tierline.cache.floors import FloorTier
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.testing import redis_cluster, redis_sentinel, redis_server

pytestmark = pytest.mark.usefixtures("patient_redis")

Raw = psycopg.Connection[Any]
Pages = tl.Repository[Page, int]
Open = Callable[..., tuple[tl.Store, Pages]]

CACHED = tl.read_through(ttl_s=600)
STALENESS_S = 1.0


@pytest.fixture
def opened(pg_url: str, redis_url: str, redis_prefix: str) -> Generator[Open]:
    """Opens stores with a backplane and L2 on one database, each with a repository of pages."""
    with ExitStack() as stores:

        def open_one(**options: Any) -> tuple[tl.Store, Pages]:
            options = {
                "max_staleness_s": STALENESS_S,
                "timeout_s": 10,
                "redis": redis_url,
                "prefix": redis_prefix,
                **options,
            }
            store = stores.enter_context(tl.open(pg_url, backplane="postgres", **options))
            return store, tl.repository(store, PAGES, cache=CACHED)

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
            maker.install_backplane([PAGES]).unwrap()
        yield open_one


def test_a_write_that_a_rule_makes_another_is_noted_too(opened: Open, raw: Raw) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    raw.execute(
        "CREATE VIEW shown AS SELECT * FROM pages;"
        "CREATE RULE shown AS ON UPDATE TO shown DO INSTEAD "
        "UPDATE pages SET version = NEW.version WHERE id = OLD.id"
    )
    shown = tl.repository(store, tl.table(Page, name="shown", key=lambda p: p.id))
    assert shown.update(page(1, 7)) == tl.Success(page(1, 7))
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def cache_of(store: tl.Store) -> HearingCache[Page, int]:
    assert isinstance(store.caches, HearingCaches)
    (cache,) = store.caches.hearing()
    return cache


def epoch(store: tl.Store) -> str | None:
    member = cache_of(store).member
    assert member is not None
    return member.epoch


def joined(store: tl.Store) -> tl.Store:
    wait_until(lambda: epoch(store))
    return store


def settled(*stores: tl.Store) -> None:
    """Everything is heard and passed on."""
    for store in stores:
        assert store.backplane is not None
        assert store.backplane.catch_up(10)
        member = cache_of(store).member
        assert member is not None
        wait_until(lambda: not member.waiting)  # noqa: B023 - called at once


def l2_hits(store: tl.Store) -> int:
    return next(tier.hits for tier in store.stats().tiers if tier.tier == "L2")


def test_processes_share_what_one_has_read(opened: Open, raw: Raw) -> None:
    (store, pages), (other, others) = opened(), opened()
    pages.create(page(1)).unwrap()
    settled(joined(store), joined(other))
    assert epoch(store) == epoch(other)
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert others.get_by_id(1) == tl.Success(page(1))
    assert l2_hits(other) == 1
    raw.execute("UPDATE pages SET version = 7")
    settled(store, other)
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    assert pages.get_by_id(1) == tl.Success(page(1, 7))
    assert l2_hits(store) == 1
    assert l2_hits(other) == 1


@pytest.mark.parametrize("statement", ["TRUNCATE pages", "DELETE FROM pages"])
def test_a_whole_table_is_forgotten(opened: Open, raw: Raw, statement: str) -> None:
    (store, pages), (other, others) = opened(), opened()
    pages.create_many([page(n) for n in range(1_000)]).unwrap()
    settled(joined(store), joined(other))
    for key in (1, 2, 3):
        pages.get_by_id(key).unwrap()
    raw.execute(statement)  # type: ignore[arg-type]
    settled(store, other)
    for key in (1, 2, 3):
        failure(pages.get_by_id(key), tl.NotFoundError)
        failure(others.get_by_id(key), tl.NotFoundError)
    # They go on together, and so does who comes later.
    pages.create(page(1, 7)).unwrap()
    pages.get_by_id(1).unwrap()
    settled(store, other)
    third, thirds = opened()
    joined(third)
    assert others.get_by_id(1) == thirds.get_by_id(1) == tl.Success(page(1, 7))
    assert l2_hits(other) == l2_hits(third) == 1


def test_a_newcomer_reads_when_a_witness_has_answered(opened: Open) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    settled(joined(store))
    pages.get_by_id(1).unwrap()
    newcomer, others = opened()
    joined(newcomer)
    assert epoch(newcomer) == epoch(store)
    assert others.get_by_id(1) == tl.Success(page(1))
    assert l2_hits(newcomer) == 1


def test_a_newcomer_waits_for_a_witness_that_is_behind(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = opened()
    settled(joined(store))
    assert isinstance(store.caches, HearingCaches)
    assert store.caches.shared is not None
    with monkeypatch.context() as behind:
        behind.setattr(store.caches.shared.membership, "_pass_on", lambda _: False)
        newcomer, _ = opened()
        end_s = time.monotonic() + STALENESS_S
        while time.monotonic() < end_s:
            assert epoch(newcomer) is None
            time.sleep(0.01)
    joined(newcomer)
    assert epoch(newcomer) == epoch(store)


def test_without_a_witness_a_newcomer_begins_another_epoch(
    opened: Open, raw: Raw, stalls: Stalls
) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    settled(joined(store))
    pages.get_by_id(1).unwrap()
    before = epoch(store)
    store.close()
    raw.execute("UPDATE pages SET version = 7")  # nobody hears of it
    began_s = time.monotonic()
    newcomer, others = opened()
    assert others.get_by_id(1) == tl.Success(page(1, 7))
    joined(newcomer)
    assert time.monotonic() - began_s < 3 * STALENESS_S + stalls.seconds(began_s)
    assert epoch(newcomer) not in (None, before)
    assert others.get_by_id(1) == tl.Success(page(1, 7))


def test_who_missed_something_trusts_nobody_until_told(opened: Open, raw: Raw) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    settled(joined(store))
    pages.get_by_id(1).unwrap()
    before = epoch(store)
    raw.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE query LIKE 'NOTIFY tierline%'"
    )
    with raw.transaction():
        raw.execute("ALTER TABLE pages DISABLE TRIGGER USER; UPDATE pages SET version = 7")
        raw.execute("ALTER TABLE pages ENABLE TRIGGER USER")
    wait_until(lambda: epoch(store) not in (None, before))
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def planted(store: tl.Store, version: int, snapshot: bytes) -> None:
    """Put a value into L2 as a process would that is behind."""
    cache = cache_of(store)
    spot = cache._spot(1)
    assert spot is not None
    assert cache._floors is not None
    value = cache._floors.value(
        spot,
        msgspec.msgpack.encode(page(1, version)),
        fingerprint=PAGES.fingerprint,
        read_at_ms=time.time_ns() // 1_000_000,
        snapshot=snapshot,
        standby=False,
    )
    with redis.Redis.from_url(store.caches.l2.location) as client:  # type: ignore[union-attr]
        client.set(spot.value, value)


def snapshot_of(raw: Raw) -> bytes:
    row = raw.execute("SELECT pg_snapshot_send(pg_current_snapshot())").fetchone()
    assert row is not None
    found: bytes = row[0]
    return found


@pytest.mark.parametrize("many", [False, True])
def test_a_frame_that_lacks_what_was_heard_is_not_served(
    opened: Open, raw: Raw, *, many: bool
) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    old = snapshot_of(raw)
    settled(joined(store))
    raw.execute("UPDATE pages SET version = 7")
    settled(store)
    planted(store, 0, old)
    if many:
        assert pages.get_many([1]) == tl.Success({1: page(1, 7)})
    else:
        assert pages.get_by_id(1) == tl.Success(page(1, 7))
    assert l2_hits(store) == 1


def test_many_keys_are_shared_in_one_call(opened: Open, raw: Raw) -> None:
    (store, pages), (other, others) = opened(), opened()
    pages.create_many([page(n) for n in range(10)]).unwrap()
    settled(joined(store), joined(other))
    everything = {n: page(n) for n in range(10)}
    assert pages.get_many(range(10)) == tl.Success(everything)
    reads = other.stats().tiers[-1].hits
    assert others.get_many(range(10)) == tl.Success(everything)
    assert (l2_hits(other), other.stats().tiers[-1].hits) == (10, reads)
    raw.execute("UPDATE pages SET version = 7 WHERE id < 5")
    settled(store, other)
    changed = {n: page(n, 7) if n < 5 else page(n) for n in range(10)}
    assert others.get_many(range(10)) == tl.Success(changed)
    assert pages.get_many([*range(10), 99]) == tl.Success(changed)
    assert l2_hits(store) == 5


@pytest.mark.parametrize("what", ["nothing", "key", "reign", "snapshot", "server"])
def test_a_value_is_bound_to_its_key_its_reign_and_its_snapshot(
    opened: Open, raw: Raw, what: str
) -> None:
    store, _ = opened()
    settled(joined(store))
    cache = cache_of(store)
    spot = cache._spot(1)
    assert spot is not None
    assert cache._floors is not None
    elsewhere = {"key": spot._replace(value=f"{spot.value}0"), "reign": spot._replace(reign="0")}
    value = cache._floors.value(
        elsewhere.get(what, spot),
        msgspec.msgpack.encode(page(1, 7)),
        fingerprint=PAGES.fingerprint,
        read_at_ms=time.time_ns() // 1_000_000,
        snapshot=snapshot_of(raw),
        standby=what == "server",
    )
    if what == "snapshot":
        value = value[:20] + bytes([value[20] ^ 1]) + value[21:]
    if what == "server":
        value = b"P" + value[1:]
    with redis.Redis.from_url(store.caches.l2.location) as client:  # type: ignore[union-attr]
        client.set(spot.value, value)
    found = cache._floors.get(spot, PAGES.fingerprint, cache._decode, 60)
    assert (found is not None) == (what == "nothing")


def test_a_server_that_was_promoted_is_trusted_anew(opened: Open, raw: Raw) -> None:
    """Another may have been master meanwhile, and have heard what this one did not."""
    with redis_server() as server, redis.Redis.from_url(server.url) as admin:
        store, pages = opened(redis=server.url)
        pages.create(page(1)).unwrap()
        settled(joined(store))
        pages.get_by_id(1).unwrap()
        before = epoch(store)
        spot = cache_of(store)._spot(1)
        assert spot is not None
        kept = admin.get(spot.value)
        assert kept
        admin.replicaof("127.0.0.1", "1")
        raw.execute("UPDATE pages SET version = 7")
        admin.replicaof("NO", "ONE")
        admin.set(spot.value, kept)
        admin.delete(spot.floor)
        wait_until(lambda: epoch(store) not in (None, before), 20)
        settled(store)
        newcomer, others = opened(redis=server.url)
        joined(newcomer)
        assert others.get_by_id(1) == tl.Success(page(1, 7))
        assert pages.get_by_id(1) == tl.Success(page(1, 7))


@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_every_topology_is_shared(opened: Open, raw: Raw, topology: str) -> None:
    with redis_sentinel() if topology == "sentinel" else redis_cluster() as servers:
        (store, pages), (other, others) = opened(redis=servers.url), opened(redis=servers.url)
        pages.create_many([page(n) for n in range(20)]).unwrap()
        settled(joined(store), joined(other))
        assert epoch(store) == epoch(other)
        for n in range(20):
            pages.get_by_id(n).unwrap()
            assert others.get_by_id(n) == tl.Success(page(n))
        assert l2_hits(other) == 20
        raw.execute("UPDATE pages SET version = 7 WHERE id < 10")
        settled(store, other)
        for n in range(20):
            assert others.get_by_id(n) == tl.Success(page(n, 7 if n < 10 else 0))
        raw.execute("TRUNCATE pages")
        settled(store, other)
        failure(others.get_by_id(1), tl.NotFoundError)
        store.close()
        other.close()


def test_a_small_account_is_enough_to_share(
    opened: Open, raw: Raw, redis_url: str, redis_prefix: str
) -> None:
    allowed = (*L2_COMMANDS, "getrange", "exists")
    rules = ("reset", "on", ">sesame", f"~{redis_prefix}*", *(f"+{name}" for name in allowed))
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "sharer", *rules)
        url = redis_url.replace("://", "://sharer:sesame@")
        (store, pages), (other, others) = opened(redis=url), opened(redis=url)
        pages.create_many([page(1), page(2)]).unwrap()
        settled(joined(store), joined(other))
        pages.get_many([1, 2]).unwrap()
        assert others.get_by_id(1) == tl.Success(page(1))
        raw.execute("UPDATE pages SET version = 7 WHERE id = 1")
        settled(store, other)
        assert others.get_many([1, 2]) == tl.Success({1: page(1, 7), 2: page(2)})
        raw.execute("TRUNCATE pages")
        settled(store, other)
        failure(others.get_by_id(2), tl.NotFoundError)
        for one in (store, other):
            assert one.caches.l2 is not None
            assert one.caches.l2.stats().errors == 0
            one.close()
        client.execute_command("ACL", "DELUSER", "sharer")


def test_what_is_shared_is_encrypted(opened: Open, redis_url: str, redis_prefix: str) -> None:
    keys = tl.EncryptionKeys(current="a", keys={"a": b"a" * 32})
    (store, pages), (other, others) = opened(encryption=keys), opened(encryption=keys)
    pages.create(page(1)).unwrap()
    settled(joined(store), joined(other))
    pages.get_by_id(1).unwrap()
    assert others.get_by_id(1) == tl.Success(page(1))
    assert l2_hits(other) == 1
    with redis.Redis.from_url(redis_url) as client:
        values = [
            client.get(key) or b""
            for key in client.scan_iter(f"{redis_prefix}*")
            if client.type(key) == b"string"
        ]
    assert not any(b"page-" in value for value in values)


def test_after_a_write_its_process_reads_nothing_older_from_l2(opened: Open, raw: Raw) -> None:
    store, pages = opened(max_staleness_s=60.0)  # nothing but the write itself says so in time
    pages.create(page(1)).unwrap()
    old = snapshot_of(raw)
    settled(joined(store))
    assert store.backplane is not None
    store.backplane.close()
    for version in range(1, 20):
        pages.update(page(1, version)).unwrap()
        planted(store, 0, old)
        assert pages.get_by_id(1) == tl.Success(page(1, version))


@pytest.mark.parametrize("garbage", [b"", b"x", b"P" + b"\xff" * 40, b"P" + b"\0" * 60])
def test_garbage_in_l2_is_a_miss(opened: Open, raw: Raw, garbage: bytes) -> None:
    store, pages = opened()
    pages.create(page(1)).unwrap()
    settled(joined(store))
    spot = cache_of(store)._spot(1)
    assert spot is not None
    with redis.Redis.from_url(store.caches.l2.location) as client:  # type: ignore[union-attr]
        client.set(spot.value, garbage)
    assert pages.get_by_id(1) == tl.Success(page(1))
    with redis.Redis.from_url(store.caches.l2.location) as client:  # type: ignore[union-attr]
        client.set(spot.value, garbage)
    raw.execute("UPDATE pages SET version = 7")
    settled(store)
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def head(xmin: int, xmax: int, *running: int) -> bytes:
    words = (xmin, xmax, *running)
    return len(running).to_bytes(4, "big") + b"".join(word.to_bytes(8, "big") for word in words)


@pytest.mark.parametrize("standby", [False, True])
@pytest.mark.parametrize("big", [0, 2**40])
def test_scripts_judge_as_the_core_does(opened: Open, *, standby: bool, big: int) -> None:
    store, _ = opened()
    joined(store)
    assert store.caches.l2 is not None
    floors = FloorTier(store.caches.l2)
    snapshot = head(big + 10, big + 15, big + 10, big + 12)
    value = (b"S" if standby else b"P") + snapshot + b"frame"
    for xid in range(big + 8, big + 17):
        core: tl.Cache[int, int] = tl.Cache(1)
        core.announce(1, xid)
        expected = core.fill(1, 1, core.begin(1), snapshot=snapshot, standby=standby)
        for first in ("floor", "value"):
            spot = floors.spot(f"{standby}{first}{xid}", "e", 0)
            assert spot is not None
            if first == "floor":
                assert floors.raise_floor(spot, [xid]) is False
                assert floors.fill(spot, value, 60) is expected
            else:
                assert floors.fill(spot, value, 60) is True
                assert floors.raise_floor(spot, [xid]) is not expected


def test_a_long_floor_becomes_one_number(opened: Open) -> None:
    store, _ = opened()
    joined(store)
    assert store.caches.l2 is not None
    floors = FloorTier(store.caches.l2)
    spot = floors.spot("long", "e", 0)
    assert spot is not None
    floors.raise_floor(spot, range(100, 140))
    assert floors.fill(spot, b"P" + head(139, 200), 60) is False
    assert floors.fill(spot, b"P" + head(140, 200), 60) is True
    floors.raise_floor(spot, [150])
    assert floors.fill(spot, b"P" + head(140, 200, 150), 60) is False
    assert floors.fill(spot, b"P" + head(140, 200, 151), 60) is True


def test_redis_may_go_and_come_back(opened: Open, raw: Raw) -> None:
    with redis_server() as server:
        store, pages = opened(redis=server.url)
        pages.create(page(1)).unwrap()
        settled(joined(store))
        pages.get_by_id(1).unwrap()
        before = epoch(store)
        server.kill()
        for version in range(1, 4):
            raw.execute("UPDATE pages SET version = %s", (version,))
            assert store.backplane is not None
            store.backplane.catch_up(10)
            assert pages.get_by_id(1) == tl.Success(page(1, version))
        server.start()
        wait_until(lambda: epoch(store) not in (None, before))
        settled(store)
        assert pages.get_by_id(1) == tl.Success(page(1, 3))
