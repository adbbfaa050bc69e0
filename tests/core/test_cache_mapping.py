"""`Cache` as the `MutableMapping` and the cache that cachetools describes."""

from __future__ import annotations

import operator
import threading
from collections.abc import Hashable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import cachetools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_cache_hazards import eager_switches, in_threads

from tierline._core import Cache, advance_clock

POLICIES: list[Any] = ["s3fifo", "lru"]


class Sized(Cache[str, str]):
    """A cache that says itself what its values weigh."""

    def getsizeof(self, value: str, /) -> int:
        return len(value)


class Doubling(Cache[int, int]):
    """A cache that computes what it does not hold."""

    def __missing__(self, key: int, /) -> int:
        if key < 0:
            raise ZeroDivisionError
        if key < 100:
            self[key] = key * 2
        return key * 2


def of(items: Mapping[Any, Any], maxsize: int = 8) -> Cache[Any, Any]:
    cache: Cache[Any, Any] = Cache(maxsize, policy="lru")
    cache.update(items)
    return cache


def test_it_is_a_mutable_mapping() -> None:
    cache: Cache[str, int] = Cache(4)
    assert isinstance(cache, MutableMapping)
    assert issubclass(Cache, MutableMapping)
    assert isinstance(Sized(4), MutableMapping)
    # As every mapping that can change.
    assert not isinstance(cache, Hashable)
    assert not cache
    cache["a"] = 1
    assert cache
    assert dict(cache) == {"a": 1}
    match cache:
        case {"a": value}:
            assert value == 1
        case _:
            pytest.fail("it does not match as a mapping")


def test_without_weights_each_entry_weighs_one() -> None:
    cache: Cache[str, str] = Cache(3)
    assert (cache.maxsize, cache.currsize, cache.getsizeof("long text")) == (3, 0, 1)
    cache.update(a="x", b="long text")
    assert cache.currsize == len(cache) == 2


def test_a_derived_class_may_define_the_weight() -> None:
    cache = Sized(10, policy="lru")
    cache["a"] = "1234"
    cache.set("b", "12345")
    assert (cache.currsize, cache.getsizeof("123")) == (9, 3)
    assert cache.get_or_load("c", lambda _: "12") == "12"
    assert (list(cache), cache.currsize) == (["b", "c"], 7)
    with pytest.raises(ValueError, match="value too large"):
        cache["d"] = "12345678901"
    assert cache.setdefault("d", "12345678901") == "12345678901"
    assert "d" not in cache


def test_a_derived_class_may_ask_its_base_for_the_weight() -> None:
    class Heavier(Cache[str, str]):
        def getsizeof(self, value: str, /) -> int:
            return super().getsizeof(value) + 1

    class Same(Sized):
        pass

    heavier = Heavier(10)
    heavier["a"] = "text"
    assert heavier.currsize == 2
    same = Same(10)
    same["a"] = "text"
    assert same.currsize == 4
    # What the constructor is given goes before the method, as in cachetools.
    given_one = Sized(10, lambda value: 7)
    given_one["a"] = "text"
    assert given_one.currsize == 7


def test_what_a_weighing_method_raises_changes_nothing() -> None:
    class Failing(Cache[str, str]):
        def getsizeof(self, value: str, /) -> int:
            if value == "bad":
                raise ZeroDivisionError
            return -1 if value == "negative" else 1

    cache = Failing(10)
    cache["k"] = "old"
    with pytest.raises(ZeroDivisionError):
        cache["k"] = "bad"
    with pytest.raises(ValueError, match="negative"):
        cache["k"] = "negative"
    assert cache["k"] == "old"


@pytest.mark.parametrize("policy", POLICIES)
def test_popitem_hands_out_every_live_entry_once(policy: Any) -> None:
    cache: Cache[int, str] = Cache(8, policy=policy)
    cache.set(-1, "dead", ttl_s=100)
    for key in range(5):
        cache[key] = str(key)
    advance_clock(200)
    popped = [cache.popitem() for _ in range(5)]
    assert sorted(popped) == [(key, str(key)) for key in range(5)]
    with pytest.raises(KeyError):
        cache.popitem()


def test_under_lru_popitem_takes_the_least_recently_used() -> None:
    cache = of({1: "a", 2: "b", 3: "c"})
    assert cache[1] == "a"
    assert [cache.popitem() for _ in range(3)] == [(2, "b"), (3, "c"), (1, "a")]
    assert cache.stats().evictions == 0


def test_a_missing_item_is_what_a_derived_class_says() -> None:
    cache = Doubling(4)
    assert [cache[key] for key in (3, 3, 200, 200)] == [6, 6, 400, 400]
    assert list(cache) == [3]
    with pytest.raises(ZeroDivisionError):
        cache[-1]
    # Only `[]` asks for it.
    assert cache.get(7) is None
    assert cache.get(7, 1) == 1
    assert 7 not in cache
    assert cache.pop(7, None) is None
    with pytest.raises(KeyError):
        cache.pop(7)
    with pytest.raises(KeyError):
        del cache[7]
    assert cache.setdefault(7, 0) == 0
    with pytest.raises(KeyError, match="'k'"):
        Cache[str, int](1).__missing__("k")


def test_pop_takes_one_or_two_arguments() -> None:
    cache: Any = of({1: "a"})
    with pytest.raises(TypeError, match="pop takes 1 or 2 arguments, not 3"):
        cache.pop(1, 2, 3)
    with pytest.raises(TypeError):
        cache.pop()
    assert cache.pop(1) == "a"
    assert cache.pop(1, None) is None
    assert cache.stats().hits == cache.stats().misses == 0


def test_a_default_is_set_once() -> None:
    cache: Cache[str, Any] = Cache(4)
    assert cache.setdefault("a", 1) == 1
    assert cache.setdefault("a", 2) == 1
    assert cache.setdefault("b") is None
    assert cache.setdefault("b", 2) is None
    cache.set("c", "dead", ttl_s=100)
    advance_clock(200)
    assert cache.setdefault("c", "new") == cache["c"] == "new"
    cache.set_absent("d", ttl_s=100)
    assert cache.setdefault("d", "there") == cache["d"] == "there"


def test_all_threads_get_one_and_the_same_default() -> None:
    for _ in range(50):
        cache: Cache[int, object] = Cache(64)
        got: list[list[object]] = []

        def body(cache: Any = cache, got: Any = got) -> None:
            got.append([cache.setdefault(key, object()) for key in range(20)])

        with eager_switches():
            in_threads(*[body] * 8)
        assert len(got) == 8
        assert all(one is first for row in got for one, first in zip(row, got[0], strict=True))


def test_update_takes_what_a_dict_takes() -> None:
    cache: Cache[Any, Any] = Cache(16, policy="lru")
    cache.update({1: "a"})
    cache.update([(2, "b"), [3, "c"]])
    cache.update(((key, "d") for key in (4, 5)), items=6, self=7)
    cache.update(MappingProxyType({8: "e"}))
    cache.update(of({9: "f"}))
    cache.update()
    expected = {1: "a", 2: "b", 3: "c", 4: "d", 5: "d", "items": 6, "self": 7, 8: "e", 9: "f"}
    assert dict(cache) == expected
    with pytest.raises(TypeError):
        cache.update(7)
    with pytest.raises(ValueError):
        cache.update([(1, 2, 3)])
    assert dict(cache) == expected


def test_many_are_set_and_got_at_once() -> None:
    cache: Cache[str, int] = Cache(8)
    cache.set_many({"a": 1, "b": 2})
    cache.set_many(zip("cd", (3, 4), strict=True), ttl_s=100)
    assert cache.get_many(iter("abcdx")) == {"a": 1, "b": 2, "c": 3, "d": 4}
    advance_clock(200)
    assert cache.get_many("abcd") == {"a": 1, "b": 2}
    assert (cache.stats().hits, cache.stats().misses) == (6, 3)
    with pytest.raises(TypeError, match="unhashable"):
        cache.set_many([("e", 5), ([], 6), ("f", 7)])  # type: ignore[list-item]
    assert sorted(cache) == ["a", "b", "e"]
    with pytest.raises(ValueError, match="ttl_s"):
        cache.set_many({"g": 1}, ttl_s=0)


def test_views_are_of_a_snapshot_and_work_as_sets() -> None:
    cache = of({"a": 1, "b": 2, "c": 3})
    keys, values, items = cache.keys(), cache.values(), cache.items()
    cache["d"] = 4
    del cache["a"]
    assert (list(keys), list(values)) == (["a", "b", "c"], [1, 2, 3])
    assert list(items) == [("a", 1), ("b", 2), ("c", 3)]
    assert (len(keys), len(values), len(items)) == (3, 3, 3)
    assert cache.keys() & {"b", "x"} == {"b"}
    assert cache.keys() | {"x"} == {"b", "c", "d", "x"}
    assert cache.keys() - {"b"} == {"c", "d"}
    assert cache.keys() ^ {"b", "x"} == {"c", "d", "x"}
    assert cache.keys() >= {"b", "c"}
    assert cache.keys().isdisjoint({"a"})
    assert ("b", 2) in cache.items()
    assert cache.items() & {("b", 2), ("c", 0)} == {("b", 2)}
    assert 4 in cache.values()
    assert cache.stats().hits == cache.stats().misses == 0


def test_views_hold_what_is_live() -> None:
    cache = of({"a": 1})
    cache.set("dead", 2, ttl_s=100)
    cache.set("outdated", 3, tags=("t",))
    cache.set_absent("absent", ttl_s=1_000)
    advance_clock(200)
    cache.invalidate_tag("t")
    assert list(cache) == list(cache.keys()) == ["a"]
    assert list(cache.items()) == [("a", 1)]
    assert len(cache) == 4


def test_equal_is_what_holds_the_same_items() -> None:
    cache = of({"a": 1, "b": 2})
    other: Cache[Any, Any] = Cache(50, getsizeof=lambda _: 3)
    other.update({"b": 2, "a": 1})
    assert cache == other
    assert cache == {"b": 2, "a": 1}
    assert cache == MappingProxyType({"a": 1, "b": 2})
    theirs: cachetools.LRUCache[str, int] = cachetools.LRUCache(4)
    theirs.update(a=1, b=2)
    assert cache == theirs
    other["a"] = 0
    for different in (other, {"a": 1}, {"a": 1, "b": 3}, [("a", 1), ("b", 2)], 7, None):
        assert cache != different
        assert not cache == different  # noqa: SIM201 - the other operator
    other.set("a", 1, ttl_s=100)
    advance_clock(200)
    assert other == {"b": 2}
    with pytest.raises(TypeError):
        operator.lt(cache, other)
    assert cache.stats().hits == cache.stats().misses == 0


def test_it_remembers_for_the_decorator_of_cachetools() -> None:
    calls: list[Any] = []
    cache: Cache[Any, int] = Cache(2, policy="lru")

    @cachetools.cached(cache, lock=threading.Lock(), info=True)
    def add(x: int, y: int = 0) -> int:
        calls.append((x, y))
        return x + y

    assert [add(1), add(1), add(1, y=2), add(1.0)] == [1, 1, 3, 1]
    assert add(5) == 5
    assert calls == [(1, 0), (1, 2), (5, 0)]
    assert add.cache is cache
    assert add.cache_info()[:2] == (2, 3)
    assert add.cache_key(5) in cache
    add.cache_clear()
    assert len(cache) == 0


def test_it_remembers_for_the_method_decorator_of_cachetools() -> None:
    class Service:
        def __init__(self, maxsize: int) -> None:
            self.cache: Cache[Any, int] = Cache(maxsize)
            self.calls = 0

        @cachetools.cachedmethod(operator.attrgetter("cache"))
        def square(self, x: int) -> int:
            self.calls += 1
            return x * x

    one, other = Service(8), Service(0)
    assert [one.square(3), one.square(3), other.square(3), other.square(3)] == [9] * 4
    # Where nothing fits, nothing is kept, and that is no error.
    assert (one.calls, other.calls) == (1, 2)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("getsizeof", [None, lambda _: 1])
def test_a_cache_without_room_refuses_and_works(policy: Any, getsizeof: Any) -> None:
    cache: Cache[str, int] = Cache(0, getsizeof, policy=policy)
    for store in (cache.__setitem__, cache.set):
        with pytest.raises(ValueError, match="value too large"):
            store("a", 1)
    assert not cache.fill("a", 1, cache.begin("a"))
    assert cache.setdefault("a", 1) == 1
    assert cache.get_or_load("a", ord) == 97
    assert cache.get_or_load_many("ab", lambda keys: dict.fromkeys(keys, 1)) == {"a": 1, "b": 1}
    cache.set_absent("a", ttl_s=100)
    assert (cache.maxsize, cache.currsize, len(cache), list(cache)) == (0, 0, 0, [])
    assert cache.get("a") is None
    assert cache.copy().restore(cache.snapshot()) == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("maxsize", [1, 2])
def test_caches_of_one_and_two_entries_keep_the_newest(policy: Any, maxsize: int) -> None:
    cache: Cache[int, int] = Cache(maxsize, policy=policy)
    for key in range(20):
        assert cache.get_or_load(key, lambda key: key) == key
        assert cache.get(key) == key
        assert len(cache) == cache.currsize == min(key + 1, maxsize)
    assert cache.popitem()[0] in range(20)


KEYS = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["get", "[]", "pop", "pop_or_raise", "del", "in"]), KEYS),
    st.tuples(st.sampled_from(["set", "setdefault"]), KEYS, st.integers()),
    st.tuples(st.just("update"), st.dictionaries(KEYS, st.integers(), max_size=3)),
    st.tuples(st.sampled_from(["popitem", "len", "clear"])),
)


def do(cache: MutableMapping[int, int], step: tuple[Any, ...]) -> Any:
    """What a step answers, or the type of what it raises."""
    calls: dict[str, Any] = {
        "get": lambda key: cache.get(key, "none"),
        "[]": cache.__getitem__,
        "pop": lambda key: cache.pop(key, None),
        "pop_or_raise": cache.pop,
        "del": cache.__delitem__,
        "in": cache.__contains__,
        "set": cache.__setitem__,
        "len": cache.__len__,
    }
    name, *arguments = step
    try:
        return (calls.get(name) or getattr(cache, name))(*arguments)
    except (KeyError, ValueError) as error:
        return type(error)


# Not 0: a default that does not fit is returned here and refused there.
@pytest.mark.parametrize("maxsize", [1, 2, 4])
@given(steps=st.lists(STEPS, max_size=40))
def test_under_lru_it_is_the_cache_of_cachetools(maxsize: int, steps: list[Any]) -> None:
    ours: Cache[int, int] = Cache(maxsize, policy="lru")
    theirs: cachetools.LRUCache[int, int] = cachetools.LRUCache(maxsize)
    for step in steps:
        assert do(ours, step) == do(theirs, step), step
        # Asked in a way that changes no order.
        held = {key: cachetools.Cache.__getitem__(theirs, key) for key in theirs}
        assert dict(ours.items()) == held
        assert (ours.currsize, ours.maxsize) == (theirs.currsize, theirs.maxsize)
