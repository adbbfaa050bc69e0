"""The native cache, as its stub describes it."""

from __future__ import annotations

import math
import sys
import time
from types import GenericAlias
from typing import Any

import pytest

from tierline._core import Cache, CacheStats, advance_clock

ATOMS: list[Any] = [
    0,
    -1,
    2**70,
    0.5,
    math.inf,
    True,
    None,
    "",
    "text",
    "émoji 🦀",
    b"text",
    (1, "a"),
    (1, ("a", (None, b"x"))),
    (),
    frozenset({1}),
]


def stats(cache: Cache[Any, Any]) -> dict[str, int]:
    """The counters that are not zero, without the weight, which is tested with weights."""
    names = [name for name in dir(CacheStats) if not name.startswith("_") and name != "weight"]
    counters = {name: getattr(cache.stats(), name) for name in names}
    return {name: count for name, count in counters.items() if count}


def twin(key: Any) -> Any:
    """An equal key that is another object wherever Python allows it."""
    match key:
        case str():
            return "".join(list(key))
        case bytes():
            return bytes(bytearray(key))
        case tuple():
            return tuple(twin(item) for item in key)
        case int() if not isinstance(key, bool):
            return int(str(key))
        case _:
            return key


@pytest.mark.parametrize("key", ATOMS, ids=repr)
def test_a_stored_value_is_found_by_any_equal_key(key: Any) -> None:
    cache: Cache[Any, str] = Cache(64)
    for other in ATOMS:
        cache[other] = f"value of {other!r}"
    assert cache.get(twin(key)) == f"value of {key!r}"
    assert cache[twin(key)] == f"value of {key!r}"
    assert twin(key) in cache


@pytest.mark.parametrize(
    ("stored", "asked"), [(1, 1.0), (1.0, 1), (1, True), (False, 0.0), ((1, 2.0), (True, 2))]
)
def test_numbers_are_one_key_across_types_as_in_a_dict(stored: Any, asked: Any) -> None:
    cache: Cache[Any, str] = Cache(4)
    cache[stored] = "value"
    assert cache[asked] == "value"
    cache[asked] = "new"
    assert [type(key) for key in cache] == [type(stored)]


def test_keys_that_share_a_hash_are_told_apart() -> None:
    # A string and a tuple whose hash is forced by an int of the same hash, and -1 next to -2.
    cache: Cache[Any, int] = Cache(8)
    keys: list[Any] = [-1, -2, hash("a"), "a", hash((1, 2)), (1, 2), hash(b"x"), b"x"]
    for index, key in enumerate(keys):
        cache[key] = index
    assert [cache[key] for key in keys] == list(range(8))


def test_ints_and_strs_of_every_size_are_told_apart() -> None:
    bits = (0, 29, 30, 31, 60, 61, 62, 90, 200)
    ints = [s * (2**n + step) for n in bits for step in (-1, 0, 1) for s in (-1, 1)]
    sizes, ends = (0, 1, 3, 7, 8, 9, 15, 16, 17, 40), ("", "b", "ß", "中", "🐍")
    texts = [letter * size + end for letter in "aéλ🦀" for size in sizes for end in ends]
    # Of one hash: an int and another beyond the modulus of Python's hashes.
    keys = list(dict.fromkeys([*ints, *texts, 5, 5 + sys.hash_info.modulus]))
    cache: Cache[Any, Any] = Cache(1_000)
    for key in keys:
        cache[key] = key
    assert len(cache) == len(keys)
    for key in keys:
        assert cache[twin(key)] == key


def test_nan_is_found_by_identity_only() -> None:
    cache: Cache[Any, int] = Cache(4)
    nan = float("nan")
    cache[nan] = 1
    assert cache.get(nan) == 1
    assert cache.get(float("nan")) is None
    assert cache.get((nan,)) is None


def test_a_deeply_nested_tuple_is_compared_by_python() -> None:
    def nest() -> Any:
        key: Any = "core"
        for _ in range(50):
            key = (key,)
        return key

    cache: Cache[Any, int] = Cache(4)
    cache[nest()] = 1
    assert cache[nest()] == 1
    assert len(cache) == 1


def test_a_missing_key_gives_the_default_or_a_key_error() -> None:
    cache: Cache[Any, int] = Cache(4)
    marker = object()
    assert cache.get("k") is None
    assert cache.get("k", marker) is marker
    with pytest.raises(KeyError):
        cache.pop("k")
    assert cache.pop("k", marker) is marker
    for key in ("k", (1, 2)):
        with pytest.raises(KeyError) as read:
            cache[key]
        with pytest.raises(KeyError) as deleted:
            del cache[key]
        assert read.value.args == deleted.value.args == (key,)


def test_none_is_a_value_like_any_other() -> None:
    cache: Cache[str, None] = Cache(4)
    cache["k"] = None
    marker = object()
    assert cache.get("k", marker) is None
    assert cache.pop("k", marker) is None
    assert "k" not in cache


def test_under_lru_the_least_recently_used_entry_goes_first() -> None:
    cache: Cache[int, int] = Cache(3, policy="lru")
    for key in (1, 2, 3):
        cache[key] = key
    assert cache.get(1) == 1
    cache[2] = 22
    assert list(cache) == [3, 1, 2]
    cache[4] = 4
    assert list(cache) == [1, 2, 4]
    assert stats(cache) == {"hits": 1, "evictions": 1, "replacements": 1, "entries": 3}


def test_asking_whether_a_key_is_there_neither_counts_nor_refreshes() -> None:
    cache: Cache[int, int] = Cache(2, policy="lru")
    cache[1] = cache[2] = 0
    assert 1 in cache
    assert 3 not in cache
    assert list(cache) == [1, 2]
    assert stats(cache) == {"entries": 2}


def test_iterating_sees_a_snapshot() -> None:
    cache: Cache[int, int] = Cache(8)
    for key in range(4):
        cache[key] = key
    seen = []
    for key in cache:
        seen.append(key)
        cache.pop(key)
        cache[key + 100] = key
    assert seen == [0, 1, 2, 3]


def test_an_overwritten_key_stays_the_object_it_was() -> None:
    cache: Cache[Any, int] = Cache(2)
    first = ("key", 1)
    cache[first] = 1
    cache[twin(first)] = 2
    assert [key is first for key in cache] == [True]


def test_clearing_keeps_the_counters() -> None:
    cache: Cache[int, int] = Cache(4)
    cache[1] = 1
    assert (cache.get(1), cache.get(2)) == (1, None)
    cache.clear()
    assert len(cache) == 0
    assert list(cache) == []
    assert stats(cache) == {"hits": 1, "misses": 1, "cleared": 1}
    cache[3] = 3
    assert cache[3] == 3


def test_an_expired_entry_is_a_miss_and_is_removed() -> None:
    cache: Cache[str, int] = Cache(8, ttl_s=60)
    for key in ("get", "item", "pop", "invalidate", "in"):
        cache[key] = 1
    cache.set("long", 1, ttl_s=600)
    assert cache["get"] == 1
    advance_clock(61)
    assert list(cache) == ["long"]
    assert len(cache) == 6
    assert cache.get("get") is None
    with pytest.raises(KeyError):
        cache["item"]
    assert cache.pop("pop", 7) == 7
    assert not cache.invalidate("invalidate")
    assert "in" not in cache
    assert cache["long"] == 1
    assert stats(cache) == {"hits": 2, "misses": 2, "expirations": 4, "entries": 2}


def test_an_entry_has_its_own_ttl_and_a_new_value_a_new_one() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set("short", 1, ttl_s=0.02)
    cache.set("again", 1, ttl_s=0.02)
    cache.fill("filled", 1, cache.begin("filled"), ttl_s=0.02)
    cache["again"] = 2
    time.sleep(0.05)
    assert [cache.get(key) for key in ("short", "filled", "again")] == [None, None, 2]


@pytest.mark.parametrize("ttl_s", [0, -1, 0.0009, math.nan, math.inf, -math.inf])
def test_a_ttl_out_of_range_is_refused(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        Cache(1, ttl_s=ttl_s)
    cache: Cache[int, int] = Cache(1)
    with pytest.raises(ValueError, match="ttl_s"):
        cache.set(1, 1, ttl_s=ttl_s)
    with pytest.raises(ValueError, match="ttl_s"):
        cache.fill(1, 1, cache.begin(1), ttl_s=ttl_s)
    assert len(cache) == 0


@pytest.mark.parametrize("maxsize", [-1, 2**32 - 1, 2**32, 10**40])
def test_a_bound_out_of_range_is_refused(maxsize: int) -> None:
    with pytest.raises(ValueError, match="maxsize"):
        Cache(maxsize)


def test_a_bound_or_a_ttl_of_another_type_is_refused() -> None:
    wrong: Any = "8"
    with pytest.raises(TypeError):
        Cache(wrong)
    with pytest.raises(TypeError):
        Cache(8, ttl_s=wrong)


def test_the_settings_can_be_read() -> None:
    cache: Cache[int, int] = Cache(2**32 - 2, ttl_s=1.5)
    assert (cache.maxsize, cache.ttl_s) == (2**32 - 2, 1.5)
    assert Cache(1).ttl_s is None
    assert repr(cache) == "<Cache of 0 entries, maxsize=4294967294, ttl_s=1.5>"
    assert isinstance(Cache[int, str], GenericAlias)


def test_get_takes_one_or_two_arguments() -> None:
    cache: Any = Cache(1)
    with pytest.raises(TypeError, match="get takes 1 or 2 arguments, not 0"):
        cache.get()
    with pytest.raises(TypeError, match="get takes 1 or 2 arguments, not 3"):
        cache.get(1, 2, 3)
    with pytest.raises(TypeError):
        cache.get(key=1)
    with pytest.raises(TypeError):
        Cache.get(1, 2)  # type: ignore[call-overload]


@pytest.mark.parametrize("invalidate", ["one", "many", "all"])
def test_a_fill_that_began_before_an_invalidation_is_refused(invalidate: str) -> None:
    cache: Cache[str, int] = Cache(4)
    token = cache.begin("k")
    match invalidate:
        case "one":
            assert not cache.invalidate("k")
        case "many":
            assert cache.invalidate_many(["other", "k"]) == 0
        case _:
            assert cache.invalidate_all() == 0
    assert not cache.fill("k", 1, token)
    assert "k" not in cache
    assert cache.fill("k", 2, cache.begin("k"))
    assert cache["k"] == 2
    assert stats(cache) == {"fills": 1, "refused_fills": 1, "hits": 1, "entries": 1}


def test_many_fills_are_as_each() -> None:
    cache: Cache[str, int] = Cache(8)
    tokens = cache.begin_many(["a", "b", "c"])
    assert len(tokens) == 3
    cache.invalidate("b")
    assert cache.fill_many(["a", "b", "c"], [1, 2, 3], tokens, [60.0, 60.0, 0.001]) == 2
    assert stats(cache) == {"fills": 2, "refused_fills": 1, "entries": 2}
    assert "b" not in cache
    assert cache["a"] == 1
    time.sleep(0.01)
    assert "c" not in cache
    assert cache.fill_many([], [], [], []) == 0
    for keys, ttls_s in ((["a"], []), ([], [1.0]), (["a", "b"], [1.0])):
        with pytest.raises(ValueError, match="length"):
            cache.fill_many(keys, [1], tokens[:1], ttls_s)
    with pytest.raises(ValueError, match="ttl"):
        cache.fill_many(["a"], [1], cache.begin_many(["a"]), [-1.0])
    with pytest.raises(TypeError):
        cache.begin_many([[]])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


def test_a_fill_is_not_refused_for_other_reasons() -> None:
    cache: Cache[str, int] = Cache(4)
    token = cache.begin("k")
    cache["k"] = 1
    cache.pop("k")
    cache.clear()
    assert cache.fill("k", 2, token)
    assert cache.fill("k", 3, token)
    assert cache["k"] == 3


def test_invalidations_count_the_entries_they_removed() -> None:
    cache: Cache[int, int] = Cache(16)
    for key in range(10):
        cache[key] = key
    assert cache.invalidate(0)
    assert not cache.invalidate(0)
    assert cache.invalidate_many(key for key in (1, 2, 99)) == 2
    assert cache.invalidate_all() == 7
    assert stats(cache) == {"invalidations": 10}


def test_a_reader_loads_on_a_miss_only_and_leaves_filling_to_the_loader() -> None:
    cache: Cache[int, str] = Cache(4)
    loads: list[int] = []

    def load(key: int) -> str:
        loads.append(key)
        token = cache.begin(key)
        value = str(key)
        if key > 0:
            cache.fill(key, value, token)
        return value

    read = cache.reader(load)
    assert [read(key) for key in (1, 1, 0, 0, 1)] == ["1", "1", "0", "0", "1"]
    assert loads == [1, 0, 0]
    assert stats(cache) == {"hits": 2, "misses": 3, "fills": 1, "entries": 1}


def test_a_reader_returns_the_very_object_that_is_cached() -> None:
    cache: Cache[int, object] = Cache(4)
    value = object()
    cache[1] = value
    assert cache.reader(lambda _: None)(1) is value


def test_a_reader_passes_on_what_its_loader_raises() -> None:
    def load(key: int) -> int:
        raise LookupError(key)

    read = Cache[int, int](4).reader(load)
    with pytest.raises(LookupError) as raised:
        read(3)
    assert raised.value.args == (3,)
    wrong: Any = read
    for arguments in ((), (1, 2)):
        with pytest.raises(TypeError):
            wrong(*arguments)


def test_stats_are_a_snapshot_that_compares_and_prints() -> None:
    cache: Cache[int, int] = Cache(4)
    before = cache.stats()
    assert before == cache.stats()
    cache.get(1)
    assert before != cache.stats()
    assert repr(before) == (
        "CacheStats(hits=0, misses=0, stale_hits=0, negative_hits=0, loads=0, failed_loads=0, "
        "load_ns=0, fills=0, refused_fills=0, evictions=0, expirations=0, replacements=0, "
        "invalidations=0, cleared=0, entries=0, weight=0)"
    )
    with pytest.raises(AttributeError):
        before.hits = 1  # type: ignore[misc]
