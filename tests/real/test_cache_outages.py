"""Redis killed, frozen, forgetful or full of strange bytes: no read fails, none is stale."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.real.helpers import PAGES, OpenStore, Page, failure, page, wait_until
from tests.stalls import Stalls, watching_stalls

import tierline as tl
from tierline._core import pack_frame
from tierline.testing import RedisServer
from tierline.testing import redis_server as run_redis

Pages = tl.Repository[Page, int]

ONE_WAIT_S = 0.5
"""What a Redis that does not answer may cost one call: its socket timeout, and some slack."""


@pytest.fixture
def server() -> Generator[RedisServer]:
    """A Redis of the test's own, to be mistreated."""
    with run_redis() as own:
        yield own


@pytest.fixture
def tiered(open_store: OpenStore, server: RedisServer) -> tl.Store:
    return open_store(redis=server.url)


def l2(store: tl.Store) -> Any:
    """L2's counters."""
    assert store.caches.l2 is not None
    return store.caches.l2.stats()


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call answers, and how long it takes apart from what the machine stands still."""
    with watching_stalls() as stalls:
        began_s = time.monotonic()
        result = call()
        return result, time.monotonic() - began_s - stalls.seconds(began_s)


def uncached(store: tl.Store) -> Pages:
    """A repository whose L1 forgets at once, so that every read asks L2."""
    return tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60, max_entries=1))


def read_past_l1(pages: Pages, id_: int) -> Any:
    """Read a page from below L1: another one is read first and pushes it out."""
    pages.get_by_id(99).unwrap()
    return pages.get_by_id(id_)


@pytest.fixture
def asking(tiered: tl.Store) -> Pages:
    """Pages 1 and 99, read once, in a repository whose L1 holds one entry."""
    pages = uncached(tiered)
    pages.create_many([page(1), page(99)]).unwrap()
    assert read_past_l1(pages, 1) == tl.Success(page(1))
    return pages


def test_a_redis_that_is_not_there_when_the_store_opens_is_no_error(
    open_store: OpenStore,
) -> None:
    store = open_store(redis="redis://127.0.0.1:1")
    pages = uncached(store)
    assert pages.create(page(1)) == tl.Success(page(1))
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert l2(store).errors >= 1
    assert "127.0.0.1:1/" in repr(store)


def test_a_killed_redis_fails_no_read_and_no_write(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    server.kill()
    assert read_past_l1(asking, 1) == tl.Success(page(1))
    assert l2(tiered).errors == 1
    assert asking.update(page(1, 1)) == tl.Success(page(1, 1))
    assert asking.create_many([page(2), page(3)]) == tl.Success(2)
    assert asking.delete(2) == tl.Success(None)
    assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
    failure(asking.get_by_id(2), tl.NotFoundError)
    assert l2(tiered).skipped > 0


def test_a_restarted_redis_is_used_again(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    server.kill()
    read_past_l1(asking, 1).unwrap()
    asking.update(page(1, 1)).unwrap()
    server.start()
    fills = l2(tiered).fills

    def is_filled() -> bool:
        assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
        return bool(l2(tiered).fills > fills)

    wait_until(is_filled, 5)
    hits = l2(tiered).hits
    assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
    assert l2(tiered).hits > hits


def test_a_frozen_redis_costs_one_short_wait_and_then_nothing(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    server.freeze()
    first, cost_s = timed(lambda: read_past_l1(asking, 1))
    assert first == tl.Success(page(1))
    assert cost_s < ONE_WAIT_S
    errors = l2(tiered).errors
    _, many_s = timed(lambda: [read_past_l1(asking, 1).unwrap() for _ in range(20)])
    assert many_s < 0.7  # 40 reads of L3, none of which waits for Redis
    assert l2(tiered).errors == errors == 1
    server.thaw()


@pytest.mark.parametrize("reads_in_between", [False, True])
def test_after_an_outage_nothing_older_than_the_last_write_is_served(
    tiered: tl.Store, server: RedisServer, asking: Pages, *, reads_in_between: bool
) -> None:
    """The old values survive in a frozen Redis: only what was remembered can drop them."""
    asking.create(page(2)).unwrap()
    read_past_l1(asking, 2).unwrap()
    server.freeze()
    written, cost_s = timed(lambda: asking.update(page(1, 1)))
    assert written == tl.Success(page(1, 1))
    assert cost_s < ONE_WAIT_S
    assert asking.delete(2) == tl.Success(None)
    if reads_in_between:
        assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
        failure(read_past_l1(asking, 2), tl.NotFoundError)
    server.thaw()
    hits = l2(tiered).hits

    def redis_is_used_again() -> bool:
        assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
        failure(read_past_l1(asking, 2), tl.NotFoundError)
        return bool(l2(tiered).hits > hits + 3)

    wait_until(redis_is_used_again, 5)


def test_after_an_outage_another_store_reads_no_older_value_from_redis(
    open_store: OpenStore, tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    server.freeze()
    asking.update(page(1, 1)).unwrap()
    server.thaw()

    def is_dropped() -> bool:
        read_past_l1(asking, 1).unwrap()  # a call after the cool-down drops what is pending
        return l2(tiered).invalidations > invalidations

    invalidations = l2(tiered).invalidations
    wait_until(is_dropped, 5)
    elsewhere = tl.repository(open_store(redis=server.url), PAGES, cache=tl.read_through(ttl_s=60))
    assert elsewhere.get_by_id(1) == tl.Success(page(1, 1))


def test_a_redis_restarted_from_an_old_dump_serves_nothing_older_than_the_last_write(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.save()  # with version 0
        asking.update(page(1, 1)).unwrap()
        assert asking.get_by_id(1) == tl.Success(page(1, 1))
        server.kill()
        server.start()
        assert b"page-1" in (client.get(value_key(client, 1)) or b""), "the dump was loaded"
    hits = l2(tiered).hits

    def is_used_again() -> bool:
        assert read_past_l1(asking, 1) == tl.Success(page(1, 1))
        return bool(l2(tiered).hits >= hits + 3)

    wait_until(is_used_again, 5)


def test_a_full_redis_fails_no_read_and_serves_nothing_old(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        for version in range(1, 4):
            assert asking.update(page(1, version)) == tl.Success(page(1, version))
            assert read_past_l1(asking, 1) == tl.Success(page(1, version))
        assert l2(tiered).errors > 0
        client.config_set("maxmemory", 0)
    assert read_past_l1(asking, 1) == tl.Success(page(1, 3))


# Strange bytes


class Other(msgspec.Struct, frozen=True):
    """The schema of another release."""

    id: int
    slug: str
    version: str
    parent: int | None = None


Framed = Callable[[str], bytes]
"""Makes a frame's bytes for a place: its key and the reign of the server."""


def framed(payload: bytes, table: tl.Table[Any, Any] = PAGES, age_s: float = 0) -> Framed:
    written_at_ms = int((time.time() - age_s) * 1000)
    fingerprint = table.fingerprint
    return lambda place: pack_frame(
        payload, fingerprint=fingerprint, written_at_ms=written_at_ms, place=place
    )


def put(client: redis.Redis, what: bytes | Framed, id_: int = 1) -> bytes:
    """Put bytes where a page is kept, and say what they are."""
    key = value_key(client, id_)
    reign = str(client.info("replication")["master_replid"])[:16]
    value = what if isinstance(what, bytes) else what(f"{reign} {key.decode()}")
    client.set(key, value)
    return value


OTHER = tl.table(Other, name="pages", key=lambda p: p.id)
GOOD = msgspec.msgpack.encode(page(1, 7))
STRANGE: dict[str, bytes | Framed] = {
    "nothing": b"",
    "text": b"hello",
    "random": bytes(range(256)),
    "truncated": lambda place: framed(GOOD)(place)[:-1],
    "head only": lambda place: framed(GOOD)(place)[:12],
    "longer": lambda place: framed(GOOD)(place) + b"\0",
    "one bit off": lambda place: framed(GOOD)(place)[:-1] + bytes([framed(GOOD)(place)[-1] ^ 1]),
    "no frame": GOOD,
    "another key's": lambda place: framed(GOOD)(place.replace("[1]", "[2]")),
    "another reign's": lambda place: framed(GOOD)("0" * 16 + place[16:]),
    "another fingerprint": framed(GOOD, OTHER),
    "another schema": framed(msgspec.msgpack.encode(Other(1, "x", "seven")), OTHER),
    "another schema, our fingerprint": framed(msgspec.msgpack.encode(Other(1, "x", "seven"))),
    "too old": framed(GOOD, age_s=61),
    "no UTF-8": framed(GOOD.replace(b"page-1", b"\xff\xfe\xfd\xff\xfe\xfd")),
    "empty payload": framed(b""),
    "nested too deep": framed(b"\x91" * 100_000),
    "pickle": b"cos\nsystem\n(S'true'\ntR.",
    "framed pickle": framed(b"cos\nsystem\n(S'true'\ntR."),
}


def value_key(client: redis.Redis, id_: int) -> bytes:
    """The key under which a page is kept."""
    (key,) = [key for key in client.scan_iter(match="*") if key.endswith(b"[%d]}" % id_)]
    return bytes(key)


@pytest.mark.parametrize("what", STRANGE)
def test_a_frame_that_does_not_fit_is_a_counted_miss_and_is_replaced(
    tiered: tl.Store, server: RedisServer, asking: Pages, what: str
) -> None:
    with redis.Redis.from_url(server.url) as client:
        key = value_key(client, 1)
        put(client, framed(GOOD))
        assert read_past_l1(asking, 1) == tl.Success(page(1, 7)), "a fitting frame is served"
        strange = put(client, STRANGE[what])
        misses = l2(tiered).misses
        assert read_past_l1(asking, 1) == tl.Success(page(1))
        assert l2(tiered).misses == misses + 1
        assert l2(tiered).errors == 0
        assert client.get(key) != strange
        hits = l2(tiered).hits
        assert read_past_l1(asking, 1) == tl.Success(page(1))
        assert l2(tiered).hits > hits


def test_a_key_of_another_kind_fails_no_read(
    tiered: tl.Store, server: RedisServer, asking: Pages
) -> None:
    with redis.Redis.from_url(server.url) as client:
        key = value_key(client, 1)
        client.delete(key)
        client.rpush(key, "a list")
        assert read_past_l1(asking, 1) == tl.Success(page(1))
        assert asking.update(page(1, 1)) == tl.Success(page(1, 1))
        assert read_past_l1(asking, 1) == tl.Success(page(1, 1))


@given(damage=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_payload_under_the_right_fingerprint_raises_nothing(
    tiered: tl.Store, server: RedisServer, asking: Pages, damage: list[tuple[int, int]]
) -> None:
    payload = bytearray(GOOD)
    for position, byte in damage:
        payload[position % len(payload)] = byte
    with redis.Redis.from_url(server.url) as client:
        put(client, framed(bytes(payload)))
    answer = read_past_l1(asking, 1).unwrap()
    # Whatever still reads as a page is one that nobody can tell from a real one.
    assert isinstance(answer, Page)
    assert l2(tiered).errors == 0


class Loose(msgspec.Struct, frozen=True):
    id: int
    data: dict[str, Any]


@pytest.mark.parametrize("number", [10**30, -(2**70), 1.5, 2**64])
def test_an_entity_that_messagepack_cannot_hold_is_still_read(
    tiered: tl.Store, raw: psycopg.Connection[Any], number: float
) -> None:
    table = tl.table(Loose, name="loose", key=lambda x: x.id)
    tiered.create_table(table).unwrap()
    raw.execute("INSERT INTO loose VALUES (1, jsonb_build_object('n', %s::numeric))", (number,))
    loose = tl.repository(tiered, table, cache=tl.read_through(ttl_s=60))
    for _ in range(2):
        assert loose.get_by_id(1) == tl.Success(Loose(1, {"n": number}))


def test_options_in_the_redis_url_do_not_change_how_frames_are_read(
    open_store: OpenStore, server: RedisServer
) -> None:
    store = open_store(redis=f"{server.url}?decode_responses=true&socket_timeout=30")
    pages = uncached(store)
    pages.create_many([page(1), page(99)]).unwrap()
    for _ in range(2):
        assert read_past_l1(pages, 1) == tl.Success(page(1))
    assert l2(store).hits > 0
    server.freeze()
    _, cost_s = timed(lambda: read_past_l1(pages, 1).unwrap())
    assert cost_s < ONE_WAIT_S


@pytest.mark.parametrize("setting", ["right", "wrong"])
def test_a_password_is_used_and_never_shown(open_store: OpenStore, setting: str) -> None:
    with run_redis(settings={"requirepass": "sesame"}) as server:
        url = server.url if setting == "right" else server.url.replace("sesame", "wrong-sesame")
        store = open_store(redis=url)
        pages = uncached(store)
        pages.create_many([page(1), page(99)]).unwrap()
        for _ in range(2):
            assert read_past_l1(pages, 1) == tl.Success(page(1))
        assert (l2(store).hits > 0) == (setting == "right")
        assert (l2(store).errors > 0) == (setting == "wrong")
        assert "sesame" not in f"{store!r} {store.caches.l2!r} {store.stats()!r}"


@pytest.mark.parametrize("left_s", [0.06, 0.2, 5.0])
def test_a_frozen_redis_takes_half_of_what_a_deadline_leaves(
    tiered: tl.Store, asking: Pages, server: RedisServer, stalls: Stalls, left_s: float
) -> None:
    server.freeze()
    began_s = time.monotonic()
    with tl.deadline(left_s):
        result = read_past_l1(asking, 1)
    took_s = time.monotonic() - began_s
    lost_s = stalls.seconds(began_s)
    # A machine that stands still leaves PostgreSQL no time.
    assert result == tl.Success(page(1)) or lost_s > left_s / 4
    assert min(0.2, left_s / 2) * 0.9 <= took_s < left_s + lost_s
    assert l2(tiered).errors == 1
    server.thaw()


def test_a_limit_ends_with_its_deadline(
    tiered: tl.Store, asking: Pages, server: RedisServer, stalls: Stalls
) -> None:
    with tl.deadline(0.1):
        read_past_l1(asking, 1)
    read_past_l1(asking, 1).unwrap()
    server.freeze()
    began_s = time.monotonic()
    read_past_l1(asking, 1)
    assert 0.18 <= time.monotonic() - began_s < ONE_WAIT_S + stalls.seconds(began_s)
    server.thaw()


def test_a_connection_made_under_a_deadline_is_bounded_by_it(
    open_store: OpenStore, server: RedisServer, stalls: Stalls
) -> None:
    store = open_store(redis=server.url)
    pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60))
    server.freeze()
    began_s = time.monotonic()
    with tl.deadline(0.2):
        answer = pages.get_by_id(1)
    took_s = time.monotonic() - began_s
    lost_s = stalls.seconds(began_s)
    # A machine that stands still leaves PostgreSQL no time.
    assert isinstance(answer.failure(), tl.NotFoundError) or lost_s > 0.05
    assert took_s < 0.15 + lost_s
    server.thaw()


def test_without_time_redis_is_left_out_of_reads_and_told_of_writes(
    tiered: tl.Store, asking: Pages, server: RedisServer
) -> None:
    before = l2(tiered)
    with tl.deadline(0.03):
        asking.get_by_id(1)
        asking.get_by_id(99)
    assert l2(tiered).skipped > before.skipped
    assert l2(tiered).hits == before.hits
    assert tiered.caches.l2 is not None
    with tl.deadline(0):
        tiered.caches.l2.invalidate(["x"])
    assert l2(tiered).invalidations == before.invalidations + 1
    # A frozen Redis costs such a write little more than nothing, and is told later.
    server.freeze()
    with tl.deadline(0):
        _, took_s = timed(lambda: tiered.caches.l2.invalidate(["x"]))  # type: ignore[union-attr]
    assert took_s < 0.1
    server.thaw()

    def is_told() -> bool:
        read_past_l1(asking, 1).unwrap()
        return bool(l2(tiered).invalidations == before.invalidations + 2)

    wait_until(is_told, 10)


def test_who_reads_what_another_is_reading_waits_no_longer_than_its_own_deadline(
    open_store: OpenStore, pg_url: str
) -> None:
    store = open_store(redis=None)
    pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60))
    pages.create(page(1)).unwrap()
    with psycopg.connect(pg_url) as blocker:
        blocker.execute("LOCK TABLE pages IN ACCESS EXCLUSIVE MODE")
        loads = threading.Thread(target=lambda: pages.get_by_id(1))
        loads.start()
        time.sleep(0.2)
        with tl.deadline(0.3):
            answer, took_s = timed(lambda: pages.get_by_id(1))
        failure(answer, tl.TimeoutError)
        assert took_s < 0.3 + 1.0
        blocker.rollback()
        loads.join(10)
    assert pages.get_by_id(1) == tl.Success(page(1))
