"""The floor rule: what a PostgreSQL snapshot does not include is neither kept nor served.

A value stays, and is accepted, only if every transaction that was announced for its key is settled
in the snapshot under which it was read.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierline._core import Cache, advance_clock

FLOOR_S = 600.0


def pg_snapshot(xmin: int, xmax: int, running: tuple[int, ...] = ()) -> bytes:
    """`pg_snapshot` as PostgreSQL sends it in binary."""
    return struct.pack(f">iqq{len(running)}q", len(running), xmin, xmax, *running)


def floored(**options: Any) -> Cache[str, str]:
    """A cache to which transaction 12 was announced to change the key `k`."""
    cache: Cache[str, str] = Cache(8, floor_s=FLOOR_S, **options)
    assert not cache.announce("k", 12)
    return cache


def fill(cache: Cache[str, str], snapshot: bytes | None, key: str = "k", **options: Any) -> bool:
    return cache.fill(key, "value", cache.begin(key), snapshot=snapshot, **options)


# As `pg_current_snapshot()` prints them, and whether transaction 12 is settled there.
SNAPSHOTS = {
    "13:13:": True,
    "10:15:10,11,14": True,
    "10:13:": True,
    "10:15:12": False,
    "10:15:11,12,14": False,
    "10:12:": False,
    "12:12:": False,
    "1:1:": False,
}


def from_text(text: str) -> bytes:
    xmin, xmax, running = text.split(":")
    return pg_snapshot(int(xmin), int(xmax), tuple(map(int, filter(None, running.split(",")))))


@pytest.mark.parametrize(("snapshot", "settled"), list(SNAPSHOTS.items()))
def test_a_value_is_accepted_if_its_snapshot_settles_what_was_announced(
    snapshot: str, *, settled: bool
) -> None:
    cache = floored()
    assert fill(cache, from_text(snapshot)) is settled
    assert cache.get("k") == ("value" if settled else None)
    assert cache.stats().refused_fills == (not settled)


@pytest.mark.parametrize(("snapshot", "settled"), list(SNAPSHOTS.items()))
def test_an_entry_stays_if_its_snapshot_settles_what_is_announced(
    snapshot: str, *, settled: bool
) -> None:
    told: list[Any] = []
    cache: Cache[str, str] = Cache(8, listener=lambda *left: told.append(left))
    assert fill(cache, from_text(snapshot))
    assert cache.announce("k", 12) is not settled
    assert ("k" in cache) is settled
    assert told == ([] if settled else [("k", "value", "invalidated")])
    assert cache.stats().invalidations == (not settled)


def test_every_announced_transaction_must_be_settled() -> None:
    cache = floored()
    cache.announce("k", 14)
    cache.announce("k", 14)
    assert not fill(cache, pg_snapshot(13, 13))
    assert not fill(cache, pg_snapshot(12, 15, (12,)))
    assert not fill(cache, pg_snapshot(10, 15, (14,)))
    assert fill(cache, pg_snapshot(10, 15, (11,)))
    assert cache.announce("k", 11)


def test_other_keys_have_floors_of_their_own() -> None:
    cache = floored()
    assert fill(cache, pg_snapshot(1, 1), key="other")
    assert fill(cache, None, key="another")
    assert not cache.announce("k", 13)
    assert sorted(cache) == ["another", "other"]


def test_without_a_snapshot_nothing_is_known_of_an_announced_key() -> None:
    cache = floored()
    assert not fill(cache, None)
    # As a loader gives none, its values are handed out and not kept.
    assert cache.get_or_load("k", lambda _: "loaded") == "loaded"
    assert cache.get_or_load_many("ok", lambda keys: dict.fromkeys(keys, "loaded")) == {
        "o": "loaded",
        "k": "loaded",
    }
    assert list(cache) == ["o"]
    assert cache.stats().refused_fills == 3


def test_an_entry_without_a_snapshot_does_not_stay() -> None:
    cache: Cache[str, str] = Cache(8)
    cache["set"] = "value"
    cache.get_or_load("loaded", str)
    cache.set_absent("absent", ttl_s=1_000)
    for key in ("set", "loaded", "absent"):
        assert cache.announce(key, 1)
    assert len(cache) == 0


def test_a_value_that_is_set_is_the_callers_own_affair() -> None:
    cache = floored()
    cache["k"] = "mine"
    assert cache["k"] == "mine"


def test_an_invalidation_refuses_what_the_snapshot_would_allow() -> None:
    cache = floored()
    token = cache.begin("k")
    cache.invalidate("k")
    assert not cache.fill("k", "value", token, snapshot=pg_snapshot(13, 13))
    token = cache.begin("k")
    cache.invalidate_tag("t")
    assert not cache.fill("k", "value", token, snapshot=pg_snapshot(13, 13), tags=("t",))
    assert cache.fill("k", "value", token, snapshot=pg_snapshot(13, 13))


def test_of_a_standby_only_what_lies_below_xmin_is_known() -> None:
    # As PostgreSQL 18 gave it on a standby while 754 was running: `754:756:`.
    cache: Cache[str, str] = Cache(8)
    cache.announce("k", 754)
    assert not fill(cache, pg_snapshot(754, 756), standby=True)
    assert fill(cache, pg_snapshot(755, 756), standby=True)
    assert cache.announce("k", 755)
    assert fill(cache, pg_snapshot(754, 756))
    assert not cache.announce("k", 755)


def test_a_floor_ends() -> None:
    cache = floored()
    advance_clock(FLOOR_S - 1)
    assert not fill(cache, pg_snapshot(12, 12))
    assert not fill(cache, None)
    advance_clock(2)
    # A load that begins after it sees what was committed by then.
    assert fill(cache, pg_snapshot(12, 12))
    assert fill(cache, None)


def test_a_load_that_began_before_a_floor_is_refused_when_it_has_ended() -> None:
    cache: Cache[str, str] = Cache(8, floor_s=FLOOR_S)
    early = cache.begin("k")
    cache.announce("k", 12)
    late = cache.begin("k")
    advance_clock(FLOOR_S + 1)
    # Nobody knows any more what it may have missed.
    assert not cache.fill("k", "value", early, snapshot=pg_snapshot(99, 99))
    assert not cache.fill("other", "value", early)
    assert cache.fill("k", "value", late)


def test_announced_again_a_floor_is_kept_for_longer() -> None:
    cache = floored()
    advance_clock(FLOOR_S - 100)
    cache.announce("k", 12)
    advance_clock(200)
    assert not fill(cache, pg_snapshot(12, 12))
    advance_clock(FLOOR_S)
    assert fill(cache, pg_snapshot(12, 12))


def test_a_standby_that_lags_behind_an_ended_floor_is_refused() -> None:
    cache = floored()
    advance_clock(FLOOR_S + 1)
    assert not fill(cache, pg_snapshot(12, 20), standby=True)
    assert not fill(cache, pg_snapshot(12, 20), key="other", standby=True)
    assert fill(cache, pg_snapshot(13, 20), standby=True)


def test_a_transaction_may_have_changed_every_key() -> None:
    told: list[Any] = []
    cache: Cache[str, str] = Cache(8, floor_s=FLOOR_S, listener=lambda *left: told.append(left))
    fill(cache, pg_snapshot(13, 13), key="new")
    fill(cache, pg_snapshot(12, 12), key="old")
    cache["set"] = "value"
    cache.set_absent("absent", ttl_s=1_000)
    assert cache.announce_all(12) == 3
    assert list(cache) == ["new"]
    assert sorted(key for key, *_ in told) == ["old", "set"]
    for key in ("k", "old"):
        assert not fill(cache, None, key=key)
        assert not fill(cache, pg_snapshot(10, 15, (12,)), key=key)
        assert fill(cache, pg_snapshot(10, 15, (11,)), key=key)
    assert cache.announce_all(12) == 0
    advance_clock(FLOOR_S + 1)
    assert fill(cache, None)


def test_more_announcements_than_are_remembered_become_one_floor() -> None:
    cache: Cache[int, str] = Cache(8, floor_s=FLOOR_S)
    for xid in range(1, 66_000):
        cache.announce(xid, xid)

    def try_fill(snapshot: bytes | None) -> bool:
        return cache.fill(-1, "value", cache.begin(-1), snapshot=snapshot)

    # Of a key that was never announced: that is safe, and ends with the floor.
    assert not try_fill(None)
    assert not try_fill(pg_snapshot(100, 100))
    assert try_fill(pg_snapshot(66_000, 66_000))
    advance_clock(FLOOR_S + 1)
    assert try_fill(None)


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"754:756:",
        pg_snapshot(1, 1)[:-1],
        pg_snapshot(1, 1) + b"\0",
        pg_snapshot(0, 1),
        pg_snapshot(2, 1),
        pg_snapshot(2, 5, (5,)),
        pg_snapshot(2, 5, (1,)),
        pg_snapshot(2, 5, (4, 3)),
        pg_snapshot(2, 5, (3, 3)),
        struct.pack(">iqq", 1, 2, 5),
        struct.pack(">iqq", -1, 2, 5),
    ],
    ids=repr,
)
def test_other_bytes_are_no_snapshot(snapshot: bytes) -> None:
    cache: Cache[str, str] = Cache(8)
    with pytest.raises(ValueError, match="pg_snapshot"):
        fill(cache, snapshot)
    assert len(cache) == 0


def test_a_snapshot_is_bytes_and_a_transaction_a_number_of_64_bits() -> None:
    cache: Any = Cache(8)
    for wrong in ("754:756:", 7):
        with pytest.raises(TypeError):
            fill(cache, wrong)
    for xid in (-1, 2**64):
        with pytest.raises(OverflowError):
            cache.announce("k", xid)
        with pytest.raises(OverflowError):
            cache.announce_all(xid)
    with pytest.raises(TypeError, match="unhashable"):
        cache.announce([], 1)
    # The largest that PostgreSQL sends.
    assert cache.fill("k", 1, cache.begin("k"), snapshot=pg_snapshot(2**63 - 1, 2**63 - 1))
    assert not cache.announce("k", 2**63 - 2)
    assert cache.announce("k", 2**63 - 1)


KEYS = (1, 2, 3)


@dataclass
class Naive:
    """The rule, written down: every announcement, value and load, and time in floors' lengths."""

    now: float = 0.0
    moment: int = 0
    # The key or None for all, the transaction, its moment, and when it ends.
    announced: list[tuple[int | None, int, int, float]] = field(default_factory=list)
    invalidated: dict[int, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    held: dict[int, tuple[int, Read | None]] = field(default_factory=dict)

    def announce(self, key: int | None, xid: int) -> int:
        self.moment += 1
        self.announced.append((key, xid, self.moment, self.now + FLOOR_S))
        lost = [
            held
            for held, (_, read) in self.held.items()
            if key in (None, held) and not (read and read.settles(xid))
        ]
        for held in lost:
            del self.held[held]
        return len(lost)

    def invalidate(self, key: int) -> bool:
        self.moment += 1
        self.invalidated[key] = self.moment
        return self.held.pop(key, None) is not None

    def accepts(self, key: int, token: int, read: Read | None) -> bool:
        kept = [a for a in self.announced if a[3] > self.now]
        forgotten = [a for a in self.announced if a[3] <= self.now]
        if token < max([self.invalidated[key], *(moment for _, _, moment, _ in forgotten)]):
            return False
        about = [xid for where, xid, *_ in kept if where in (None, key)]
        if read is None:
            return not about
        lag = read.standby and any(not read.settles(xid) for _, xid, *_ in forgotten)
        return all(read.settles(xid) for xid in about) and not lag


@dataclass(frozen=True)
class Read:
    """A snapshot that a value was read under."""

    xmin: int
    xmax: int
    running: tuple[int, ...]
    standby: bool

    def settles(self, xid: int) -> bool:
        below = xid < self.xmin
        return below if self.standby else below or (xid < self.xmax and xid not in self.running)


@st.composite
def reads(draw: st.DrawFn) -> Read:
    xmin = draw(st.integers(1, 12))
    xmax = draw(st.integers(xmin, 14))
    running = draw(st.sets(st.integers(xmin, xmax - 1))) if xmin < xmax else set()
    return Read(xmin, xmax, tuple(sorted(running)), draw(st.booleans()))


STEP = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(KEYS)),
    # Which of the loads that have begun, and what it read.
    st.tuples(st.just("fill"), st.integers(0, 9), st.none() | reads()),
    st.tuples(st.just("fill"), st.integers(0, 9), reads()),
    st.tuples(st.just("announce"), st.sampled_from(KEYS), st.integers(1, 13)),
    st.tuples(st.just("announce_all"), st.integers(1, 13)),
    st.tuples(st.just("invalidate"), st.sampled_from(KEYS)),
    st.tuples(st.just("wait"), st.sampled_from((200.0, 400.0))),
)


@settings(max_examples=300)
@given(steps=st.lists(STEP, max_size=40))
def test_any_history_ends_as_the_rule_says(steps: list[Any]) -> None:
    cache: Cache[int, int] = Cache(8, floor_s=FLOOR_S)
    naive, loads = Naive(), [(key, cache.begin(key), 0) for key in KEYS]
    for value, step in enumerate(steps):
        match step:
            case "begin", key:
                loads.append((key, cache.begin(key), naive.moment))
            case "fill", which, read:
                key, token, began = loads[which % len(loads)]
                data = None if read is None else pg_snapshot(read.xmin, read.xmax, read.running)
                standby = read is not None and read.standby
                stored = cache.fill(key, value, token, snapshot=data, standby=standby)
                assert stored is naive.accepts(key, began, read)
                if stored:
                    naive.held[key] = (value, read)
            case "announce", key, xid:
                assert cache.announce(key, xid) == bool(naive.announce(key, xid))
            case "announce_all", xid:
                assert cache.announce_all(xid) == naive.announce(None, xid)
            case "invalidate", key:
                assert cache.invalidate(key) is naive.invalidate(key)
            case "wait", seconds:
                advance_clock(seconds)
                naive.now += seconds
        assert dict(cache.items()) == {key: value for key, (value, _) in naive.held.items()}
        # What is served includes every change that is remembered.
        for key, (_, held_read) in naive.held.items():
            about = [a for a in naive.announced if a[0] in (None, key) and a[3] > naive.now]
            assert all(held_read and held_read.settles(xid) for _, xid, *_ in about)


def test_who_asks_after_an_announcement_shares_no_load_from_before_it() -> None:
    cache: Cache[str, str] = Cache(4)
    began, may_end = threading.Event(), threading.Event()

    def slow(_key: str) -> str:
        began.set()
        assert may_end.wait(10)
        return "old"

    first = threading.Thread(target=lambda: cache.get_or_load("k", slow))
    first.start()
    assert began.wait(10)
    cache.announce("k", 7)
    assert cache.get_or_load("k", lambda _key: "new") == "new"
    may_end.set()
    first.join()
    assert cache.get("k") is None
