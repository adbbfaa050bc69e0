"""Copies of a cache: in memory, and as bytes for another process."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import struct
import subprocess
import sys
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline._core import Cache, advance_clock

TYPE = tuple[str, int, int, list[tuple[Any, Any, int | None, list[int]]]]


class Point(msgspec.Struct, frozen=True):
    x: int
    y: float


def filled(**options: Any) -> Cache[str, int]:
    cache: Cache[str, int] = Cache(8, policy="lru", **options)
    cache.update(a=1, b=2)
    cache.set("c", 3, ttl_s=500)
    return cache


def content(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)


def changed(data: bytes, **parts: Any) -> bytes:
    """A snapshot of which some parts are others: `name`, `version`, `taken_ms`, `rows`."""
    whole = dict(zip(("name", "version", "taken_ms", "rows"), content(data), strict=True))
    return msgspec.msgpack.encode(list((whole | parts).values()))


def refuse(cache: Cache[Any, Any], data: Any, **types: Any) -> None:
    """Restoring raises `ValueError` and stores nothing."""
    before = dict(cache.items())
    with pytest.raises(ValueError, match="not a snapshot"):
        cache.restore(data, **types)
    assert dict(cache.items()) == before


@pytest.mark.parametrize("make", [Cache.copy, copy.copy], ids=["copy", "copy.copy"])
def test_a_copy_has_the_same_options_and_entries_and_is_another(make: Any) -> None:
    told: list[Any] = []
    cache: Cache[str, int] = Cache(
        3, lambda _: 1, ttl_s=1_000, policy="lru", listener=lambda *left: told.append(left)
    )
    cache.update(a=1, b=2, c=3)
    assert cache["a"] == 1
    twin = make(cache)
    assert type(twin) is Cache
    assert (twin.maxsize, twin.ttl_s, twin.policy) == (3, 1_000, "lru")
    assert list(twin.items()) == [("b", 2), ("c", 3), ("a", 1)]
    twin["d"] = 4
    assert told == [("b", 2, "capacity")]
    assert cache == {"a": 1, "b": 2, "c": 3}
    del cache["c"]
    assert "c" in twin
    assert twin.stats().hits == 0
    value: list[int] = []
    shared: Cache[str, list[int]] = Cache(2)
    shared["k"] = value
    assert make(shared)["k"] is value


def test_entries_of_a_copy_have_the_life_that_is_left() -> None:
    cache = filled(ttl_s=1_000, stale_if_error_s=10_000)
    advance_clock(300)
    twin = cache.copy()
    advance_clock(300)
    assert list(twin) == ["a", "b"]
    advance_clock(500)
    assert list(twin) == []
    # The windows are copied too, and what is stored now has the whole time.
    twin["d"] = 4
    advance_clock(900)
    assert list(twin) == ["d"]
    assert list(cache.copy()) == []


def test_only_live_entries_are_copied() -> None:
    cache = filled(stale_while_revalidate_s=10_000)
    cache.set("outdated", 1, tags=("t",))
    cache.set_absent("absent", ttl_s=10_000)
    cache.invalidate_tag("t")
    advance_clock(600)
    assert (len(cache), len(cache.copy())) == (5, 2)
    assert [row[0] for row in content(cache.snapshot())[3]] == ["a", "b"]


def test_tags_are_copied() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set("a", 1, tags=("t", "u"))
    cache.set("b", 2, tags=("v",))
    restored: Cache[str, int] = Cache(8)
    assert restored.restore(cache.snapshot()) == 2
    for other in (cache.copy(), restored):
        other.invalidate_tag("u")
        assert list(other) == ["b"]
        other.invalidate_tag("v")
        assert list(other) == []
    assert sorted(cache) == ["a", "b"]


def test_floors_apply_to_the_entries_of_a_copy() -> None:
    cache: Cache[str, int] = Cache(8)
    snapshot = struct.pack(">iqq", 0, 13, 13)
    cache.fill("k", 1, cache.begin("k"), snapshot=snapshot)
    for xid, dropped in ((12, False), (13, True)):
        assert cache.copy().announce("k", xid) is dropped


def test_a_derived_class_says_itself_how_it_is_copied() -> None:
    class Derived(Cache[str, int]):
        pass

    class Copied(Cache[str, int]):
        def copy(self) -> Copied:
            twin = Copied(self.maxsize)
            twin.update(self)
            return twin

        __copy__ = copy

    for make in (Cache.copy, copy.copy):
        with pytest.raises(TypeError, match="Derived must define copy itself"):
            make(Derived(1))
    mine = Copied(4)
    mine["a"] = 1
    assert copy.copy(mine) == {"a": 1}
    # A snapshot is of what it holds, whatever its class.
    assert Derived(8).restore(mine.snapshot()) == 1


def test_a_snapshot_restores_what_it_was_taken_of_in_order() -> None:
    cache = filled()
    assert cache["a"] == 1
    other: Cache[str, int] = Cache(8, policy="lru")
    data = cache.snapshot()
    assert other.restore(data) == 3
    assert list(other.items()) == [("b", 2), ("c", 3), ("a", 1)]
    for form in (bytearray(data), memoryview(data)):
        assert Cache[str, int](8).restore(form, key=str, value=int) == 3
    assert other.stats().hits == other.stats().misses == other.stats().fills == 0
    advance_clock(600)
    assert list(other) == ["b", "a"]


def test_what_does_not_fit_makes_room_or_is_left_out() -> None:
    cache = filled()
    small: Cache[str, int] = Cache(2, policy="lru")
    assert small.restore(cache.snapshot()) == 3
    assert list(small) == ["b", "c"]
    light: Cache[str, int] = Cache(2, lambda value: value)
    assert light.restore(cache.snapshot()) == 2
    assert light.currsize <= 2
    assert Cache[str, int](0).restore(cache.snapshot()) == 0


def test_what_came_since_is_newer() -> None:
    cache = filled()
    data = cache.snapshot()
    cache["a"] = 10
    cache.invalidate("b")
    cache.set_absent("c", ttl_s=100)
    assert cache.restore(data) == 1
    assert dict(cache.items()) == {"a": 10, "b": 2}
    assert cache.restore(data) == 0


def test_entries_are_as_old_as_the_snapshot() -> None:
    cache = filled(ttl_s=10_000)
    cache.touch("a", ttl_s=100)
    data = cache.snapshot()
    _, _, taken_ms, rows = content(data)
    assert [rest_ms for _, _, rest_ms, _ in rows] == pytest.approx([1e7, 5e5, 1e5], abs=2_000)
    hour_ms = 3_600_000
    cases = {
        "now": (taken_ms, ["b", "c", "a"]),
        "200 s ago": (taken_ms - 200_000, ["b", "c"]),
        "an hour ago": (taken_ms - hour_ms, []),
        "an hour ahead": (taken_ms + hour_ms, ["b", "c", "a"]),
    }
    for moved_ms, left in cases.values():
        other: Cache[str, int] = Cache(8, policy="lru")
        other.restore(changed(data, taken_ms=moved_ms))
        # A time to live of 10,000 s outlives an hour.
        assert [key for key in other if key != "b"] == [key for key in left if key != "b"]
        assert "b" in other
    late: Cache[str, int] = Cache(8, policy="lru")
    assert late.restore(changed(data, taken_ms=taken_ms - hour_ms)) == 1
    advance_clock(6_300)
    assert "b" in late
    advance_clock(200)
    assert "b" not in late


def test_values_filled_with_a_snapshot_of_postgresql_are_left_out() -> None:
    cache = filled()
    cache.fill("row", 4, cache.begin("row"), snapshot=struct.pack(">iqq", 0, 13, 13))
    assert cache["row"] == 4
    other: Cache[str, int] = Cache(8)
    assert other.restore(cache.snapshot()) == 3
    assert "row" not in other


def test_keys_and_values_are_what_msgspec_encodes() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    values: dict[tuple[str, int], Point | None] = {("a", 1): Point(1, 2.5), ("b", -(2**63)): None}
    cache: Cache[Any, Any] = Cache(8)
    cache.update(values)
    other: Cache[Any, Any] = Cache(8)
    assert other.restore(cache.snapshot(), key=tuple[str, int], value=Point | None) == 2
    assert other == values
    for key, kind in [
        (uuid.UUID(int=7), uuid.UUID),
        (moment, dt.datetime),
        (b"k", bytes),
        (1.5, float),
        (None, None),
        (frozenset({1}), frozenset[int]),
    ]:
        one, two = Cache[Any, Any](1), Cache[Any, Any](1)
        one[key] = [key]
        assert two.restore(one.snapshot(), key=kind, value=list[kind]) == 1  # type: ignore[valid-type]
        assert two == {key: [key]}


def test_hooks_see_what_msgspec_does_not_know() -> None:
    cache: Cache[str, complex] = Cache(4)
    cache["k"] = 1 + 2j
    with pytest.raises(TypeError, match="complex"):
        cache.snapshot()
    data = cache.snapshot(enc_hook=lambda value: (value.real, value.imag))
    other: Cache[str, complex] = Cache(4)
    assert other.restore(data, value=complex, dec_hook=lambda _, pair: complex(*pair)) == 1
    assert other["k"] == 1 + 2j

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(ZeroDivisionError):
        cache.snapshot(enc_hook=fail)
    refuse(other, data, value=complex, dec_hook=fail)
    with pytest.raises(KeyboardInterrupt):
        other.restore(data, value=complex, dec_hook=interrupt)


def test_another_type_is_refused_as_a_whole() -> None:
    data = filled().snapshot()
    for types in ({"value": str}, {"key": int}, {"value": Point}, {"key": bytes, "value": int}):
        refuse(Cache(8), data, **types)
    mixed: Cache[Any, Any] = Cache(8, policy="lru")
    mixed.update({"a": 1, "b": "text"})
    target: Cache[str, int] = Cache(8)
    target["old"] = 0
    refuse(target, mixed.snapshot(), value=int)


def test_keys_that_come_out_unhashable_are_refused_as_a_whole() -> None:
    cache: Cache[Any, int] = Cache(8, policy="lru")
    cache.update({"a": 1, ("t", 1): 2})
    # Without its type a tuple comes out as a list.
    refuse(Cache(8), cache.snapshot())
    assert Cache[Any, int](8).restore(cache.snapshot(), key=str | tuple[str, int]) == 2


def test_foreign_bytes_are_refused() -> None:
    data = filled().snapshot()
    for other in (
        b"",
        b"\0",
        b"not a snapshot",
        pickle.dumps({"a": 1}),
        msgspec.msgpack.encode({"a": 1}),
        msgspec.json.encode(content(data)),
        data + b"\0",
        changed(data, name="cachetools"),
        changed(data, version=2),
        changed(data, version=True),
        changed(data, taken_ms="now"),
        changed(data, taken_ms=-1),
        changed(data, taken_ms=2**64 - 1)[:-1],
        changed(data, rows={}),
        changed(data, rows=[["a", 1, None]]),
        changed(data, rows=[["a", 1, None, [], 0]]),
        changed(data, rows=[["z", 1, None, []], ["a", 1, 0.5, []]]),
        changed(data, rows=[["z", 1, None, []], ["a", 1, None, ["t"]]]),
        changed(data, rows=[["z", 1, None, []], ["a", 1, -1, []]]),
        changed(data, rows=[["z", 1, None, []], ["a", 1, None, [-1]]]),
    ):
        refuse(Cache(8), other)
    for wrong in (None, 7, "text"):
        with pytest.raises((TypeError, ValueError)):
            Cache(8).restore(wrong)  # type: ignore[arg-type]


def test_cut_bytes_are_refused() -> None:
    data = filled().snapshot()
    cache: Cache[str, int] = Cache(8)
    for length in range(len(data)):
        refuse(cache, data[:length])


@given(noise=st.binary(max_size=60), at=st.integers(0, 200))
def test_damaged_bytes_are_refused_or_read_as_other_data(noise: bytes, at: int) -> None:
    data = filled().snapshot()
    cache: Cache[str, int] = Cache(8)
    try:
        restored = cache.restore(data[:at] + noise + data[at + len(noise) :], key=str, value=int)
    except ValueError:
        assert len(cache) == 0
    else:
        assert len(cache) <= restored
        assert all(type(key) is str and type(value) is int for key, value in cache.items())


def test_extreme_numbers_are_taken_for_what_they_say() -> None:
    data = filled().snapshot()
    rows = [["now", 1, 0, []], ["ever", 2, 2**64 - 1, [2**64 - 1, 0, 0]]]
    cache: Cache[str, int] = Cache(8)
    assert cache.restore(changed(data, rows=rows)) == 1
    assert cache.restore(changed(data, rows=[], taken_ms=2**64 - 1)) == 0
    assert cache == {"ever": 2}
    assert cache.invalidate("ever")


def test_nothing_in_a_snapshot_is_run() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit('it ran')",))

    cache: Cache[str, Any] = Cache(4)
    cache["k"] = Bomb()
    with pytest.raises(TypeError):
        cache.snapshot()
    cache["k"] = pickle.dumps(Bomb())
    other: Cache[str, Any] = Cache(4)
    assert other.restore(cache.snapshot()) == 1
    assert other["k"] == cache["k"]
    # Types of the format's own stay what they are: numbered bytes.
    cache["k"] = msgspec.msgpack.Ext(5, b"import os")
    assert Cache[str, Any](4).restore(cache.snapshot()) == 1
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        refuse(Cache(4), pickle.dumps(Bomb(), protocol))


def test_a_cache_itself_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(filled())


def test_another_process_reads_it() -> None:
    cache: Cache[str, int] = Cache(8, policy="lru")
    cache["a"] = 1
    cache.set("b", 2, ttl_s=500, tags=("t",))
    script = (
        "import sys\n"
        "from tierline._core import Cache, advance_clock\n"
        "cache = Cache(8, policy='lru')\n"
        "print(cache.restore(sys.stdin.buffer.read()), dict(cache.items()))\n"
        "cache.invalidate_tag('t')\n"
        "print(dict(cache.items()))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script],
        input=cache.snapshot(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert child.stdout.decode().splitlines() == ["2 {'a': 1, 'b': 2}", "{'a': 1}"], child.stderr
