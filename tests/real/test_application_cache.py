"""`store.cache` on real Redis: what another process finds and forgets there, dead or alive."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import pytest
import redis
from tests.real.helpers import OpenStore, wait_until

import tierline as tl
from tierline.cache.application_keys import l2_key
from tierline.testing import tcp_proxy

pytestmark = pytest.mark.usefixtures("patient_redis")

DEAD_REDIS = "redis://127.0.0.1:1/0"
ROUNDS = 40


class Seat(msgspec.Struct, frozen=True):
    row: int
    letter: str


class Berth(msgspec.Struct, frozen=True):
    """What a seat's bytes could be read as."""

    row: int
    letter: str
    deck: int = 1


@pytest.fixture
def two(open_store: OpenStore) -> tuple[tl.Store, tl.Store]:
    """Two stores of one Redis: as two processes they share no L1."""
    return open_store(), open_store()


def l2(store: tl.Store) -> tl.TierStats:
    return next(tier for tier in store.stats().tiers if tier.tier == "L2")


def test_another_process_finds_what_was_put(two: tuple[tl.Store, tl.Store]) -> None:
    one, other = two
    one.cache.space("seats", Seat, ttl_s=60).put(("UA1", 1), Seat(1, "A"), tags=["UA1"])
    assert other.cache.space("seats", Seat, ttl_s=60).get(("UA1", 1)) == Seat(1, "A")
    one.cache.put("n", [1, 2])
    assert other.cache.get("n", list[int]) == [1, 2]
    assert other.cache.get("n", list[int]) == [1, 2]
    (hits,) = (stats.hits for name, stats in other.cache.stats().items() if not name)
    assert hits == 1


def test_another_process_loads_nothing_that_was_loaded(two: tuple[tl.Store, tl.Store]) -> None:
    calls: list[str] = []

    def load(key: str) -> Seat:
        calls.append(key)
        return Seat(1, key)

    for store in two:
        space = store.cache.space("seats", Seat, ttl_s=60)
        assert space.get_or_load("A", load, tags=["x"]) == Seat(1, "A")
    assert calls == ["A"]


def test_what_is_forgotten_in_one_process_is_not_in_l2_for_another(
    two: tuple[tl.Store, tl.Store],
) -> None:
    one, other = two
    spaces = [store.cache.space("s", int, ttl_s=60) for store in two]
    for key in ("key", "tag", "space", "kept"):
        spaces[0].put(key, 1, tags=[key])
    spaces[0].invalidate("key")
    one.cache.invalidate_tag("tag")
    assert [spaces[1].get(key) for key in ("key", "tag", "kept")] == [None, None, 1]
    spaces[0].clear()
    assert spaces[1].get("space") is None
    # Its own L1 has it until its time ends: no backplane told it.
    assert spaces[1].get("kept") == 1
    other.cache.invalidate_tag("kept")
    assert spaces[1].get("kept") is None


def test_a_tag_of_another_process_s_value_reaches_the_l1_it_came_to(
    two: tuple[tl.Store, tl.Store],
) -> None:
    one, other = two
    one.cache.put("k", 1, tags=["x", "y"])
    assert other.cache.get("k", int) == 1
    other.cache.invalidate_tag("y")
    assert other.cache.get("k", int) is None


def test_a_value_with_a_tag_that_the_caller_does_not_name_is_loaded_anew(
    two: tuple[tl.Store, tl.Store],
) -> None:
    one, other = two
    one.cache.put("k", 1, tags=["x", "y"])
    assert other.cache.get_or_load("k", int, lambda _: 2, tags=["x"]) == 2
    # L1 would not have known of "y", so this would be 1 still.
    other.cache.invalidate_tag("y")
    assert other.cache.get("k", int) == 2


@pytest.mark.parametrize("forget", ["key", "tag", "put"])
def test_a_load_that_another_process_overtook_fills_nothing(
    two: tuple[tl.Store, tl.Store], forget: str
) -> None:
    spaces = [store.cache.space("s", int, ttl_s=60) for store in two]
    spaces[1].put("warm", 0, tags=["t"])

    def load(_: str) -> int:
        match forget:
            case "key":
                spaces[1].invalidate("k")
            case "tag":
                two[1].cache.invalidate_tag("t")
            case _:
                spaces[1].put("k", 2)
        return 1

    assert spaces[0].get_or_load("k", load, tags=["t"]) == 1
    # What L2 has, that is.
    spaces[1]._shelf.l1.clear()
    assert spaces[1].get("k") == (2 if forget == "put" else None)


def test_writers_of_one_key_come_to_the_same_end_in_both_tiers(
    two: tuple[tl.Store, tl.Store],
) -> None:
    one, other = two
    space = one.cache.space("s", int, ttl_s=60)
    start = threading.Barrier(4)

    def write(writer: int) -> None:
        for n in range(ROUNDS):
            start.wait(20)
            space.put(n, writer)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join(60)
    shared = other.cache.space("s", int, ttl_s=60)
    # A Redis that a busy machine kept waiting has none, and says nothing.
    ends = [(space.get(n), shared.get(n)) for n in range(ROUNDS)]
    assert [end for end in ends if None not in end and len(set(end)) > 1] == []


def test_a_value_s_life_ends_where_the_writer_said(two: tuple[tl.Store, tl.Store]) -> None:
    spaces = [store.cache.space("s", int, ttl_s=60) for store in two]
    spaces[0].put("k", 1, ttl_s=0.4)
    began_s = time.monotonic()
    assert spaces[1].get("k") == 1
    while spaces[1].get("k") is not None:
        assert time.monotonic() - began_s < 20
        time.sleep(0.01)
    # L1 took over what was left of it, and not the space's minute.
    assert time.monotonic() - began_s < 10


def test_a_type_that_has_changed_is_a_miss(two: tuple[tl.Store, tl.Store]) -> None:
    one, other = two
    one.cache.space("seats", Seat, ttl_s=60).put("k", Seat(1, "A"))
    other.cache.space("seats", Berth, ttl_s=60)
    assert other.cache.space("seats", Berth, ttl_s=60).get("k") is None
    one.cache.put("k", "text")
    assert other.cache.get("k", int) is None
    assert l2(other).misses >= 2


def test_a_value_that_messagepack_does_not_hold_stays_in_l1(
    two: tuple[tl.Store, tl.Store],
) -> None:
    one, other = two
    one.cache.put("big", 2**70)
    assert one.cache.get("big", int) == 2**70
    assert other.cache.get("big", int) is None


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00" * 40])
def test_foreign_bytes_under_a_key_are_a_miss(
    tiered: tl.Store, redis_url: str, redis_prefix: str, junk: bytes
) -> None:
    tiered.cache.put("k", 1)
    name = l2_key("", "k")
    with redis.Redis.from_url(redis_url) as client:
        (value,) = [key for key in client.scan_iter(f"{redis_prefix}*")
                    if key.decode().endswith(f"{{{name}}}")]  # fmt: skip
        client.set(value, junk)
    tiered.cache._unnamed.l1.clear()
    assert tiered.cache.get("k", int) is None
    assert tiered.cache.get_or_load("k", int, lambda _: 2) == 2


def test_a_dead_redis_fails_no_read_and_no_write(open_store: OpenStore) -> None:
    store = open_store(redis=DEAD_REDIS)
    space = store.cache.space("s", int, ttl_s=60)
    space.put("a", 1, tags=["t"])
    assert space.get("a") == 1
    assert space.get("b") is None
    assert space.get_or_load("b", lambda _: 2, tags=["t"]) == 2
    space.invalidate("b")
    assert space.get("b") is None
    store.cache.invalidate_tag("t")
    assert space.get("a") is None
    assert l2(store).errors >= 1


def test_what_a_lost_redis_was_not_told_is_dropped_when_it_is_back(
    open_store: OpenStore, redis_url: str
) -> None:
    other = open_store()
    with tcp_proxy(redis_url) as proxy:
        one = open_store(redis=proxy.url(redis_url))
        space = one.cache.space("s", int, ttl_s=60)
        space.put("key", 1)
        space.put("tag", 1, tags=["t"])
        proxy.refuse()
        proxy.cut()
        space.invalidate("key")
        one.cache.invalidate_tag("t")
        assert (space.get("key"), space.get("tag")) == (None, None)
        proxy.allow()
        tier = one.caches.l2
        assert tier is not None
        wait_until(lambda: tier.is_told_all)
        assert (space.get("key"), space.get("tag")) == (None, None)
        shared = other.cache.space("s", int, ttl_s=60)
        assert (shared.get("key"), shared.get("tag")) == (None, None)


def test_a_function_s_results_are_found_by_another_process(
    two: tuple[tl.Store, tl.Store],
) -> None:
    calls: list[int] = []

    def row(n: int) -> Seat:
        calls.append(n)
        return Seat(n, "A")

    one, other = (store.cached(ttl_s=60, tags=lambda n: [f"row:{n}"])(row) for store in two)
    assert one(1) == other(1) == Seat(1, "A")
    assert calls == [1]
    two[1].cache.invalidate_tag("row:1")
    other(1)
    assert calls == [1, 1]


def test_a_function_defined_anew_does_not_find_the_old_results_in_redis(tiered: tl.Store) -> None:
    def defined(answer: int) -> Any:
        @tiered.cached(ttl_s=60)
        def f(n: int) -> int:
            return answer

        return f

    assert defined(1)(0) == 1
    assert defined(2)(0) == 2


def test_tables_and_spaces_share_redis_without_meeting(tiered: tl.Store) -> None:
    names = {l2_key(space, key) for space in ("", "pages") for key in (1, "1", ("pages", 1))}
    assert all(name is not None and name.startswith('["') for name in names)
    assert len(names) == 6
