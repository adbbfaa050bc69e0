"""Keys and values whose own methods do strange things; each scenario in a child process."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.scenarios import Scenarios
from tests.core.test_cache_callbacks_hazards import check, guarded
from tests.core.test_cache_hazards import Key, Value, eager_switches, in_threads

from tierline._core import Cache

scenario = Scenarios("test_cache_objects_hazards")


@scenario
def a_hash_that_raises_or_changes_leaves_the_cache_sound() -> None:
    class Fickle:
        hashes: list[int]

        def __init__(self) -> None:
            self.hashes = [1]

        def __hash__(self) -> int:
            if not self.hashes:
                raise ZeroDivisionError
            return self.hashes[0]

    cache: Cache[Any, Any] = Cache(8)
    key = Fickle()
    cache[key] = "first"
    key.hashes[0] = 2
    assert cache.get(key) is None
    assert key not in cache
    cache[key] = "second"
    assert (len(cache), list(cache)) == (2, [key, key])
    # Whatever a mapping makes of them: one key, for they are one object.
    assert len(cache.items()) == 1
    key.hashes.clear()
    calls: list[Callable[[Any], object]] = [
        *(cache.get, cache.pop, cache.touch, cache.begin, cache.invalidate, cache.setdefault),
        *(cache.__contains__, cache.__getitem__, cache.__delitem__, cache.reader(str)),
        lambda key: cache.set(key, 1),
        lambda key: cache.__setitem__(key, 1),
        lambda key: cache.set_absent(key, ttl_s=1),
        lambda key: cache.announce(key, 1),
        lambda key: cache.is_current(key, 0),
        lambda key: cache.fill(key, 1, 0),
        lambda key: cache.get_or_load(key, str),
        lambda key: cache.get_many([key]),
        lambda key: cache.set_many([(key, 1)]),
        lambda key: cache.get_or_load_many([key], dict.fromkeys),
        lambda key: cache.invalidate_many([key]),
    ]
    for call in calls:
        with pytest.raises(ZeroDivisionError):
            call(key)
        with pytest.raises(TypeError, match="unhashable"):
            call([])
    key.hashes.append(1)
    assert cache[key] == "first"
    for step in range(20):
        key.hashes[0] = step
        cache[key] = step
        cache[step] = step
    assert len(cache) == 8
    check(cache)


@scenario
def eq_may_do_anything_to_the_cache_in_four_threads() -> None:
    acts: list[Callable[[Cache[Any, Any]], object]] = [
        lambda cache: cache.get("other"),
        lambda cache: cache.clear(),
        lambda _: time.sleep(0.0002),
        lambda _: gc.collect(0),
    ]
    for act in acts:
        cache: Cache[Any, Any] = Cache(16)
        once = guarded(act)

        def body(cache: Any = cache, once: Any = once) -> None:
            for turn in range(20):
                cache[Key("k", lambda: once(cache))] = turn
                cache[turn] = turn
                value = cache.get(Key("k"))
                assert value is None or value in range(20)
                cache.pop(Key("absent"), None)

        with eager_switches():
            in_threads(*[body] * 4)
        assert len(cache) <= 16
        check(cache)


@scenario
def del_may_let_other_threads_run_as_values_leave() -> None:
    for policy in ("lru", "s3fifo"):
        released: list[int] = []
        cache: Cache[Any, Any] = Cache(8, policy=policy)  # type: ignore[arg-type]

        def act(cache: Any = cache, released: Any = released) -> None:
            time.sleep(0)
            cache.get(3)
            cache["from del"] = len(cache)
            released.append(1)

        def body(cache: Any = cache, act: Any = act) -> None:
            for turn in range(200):
                cache[turn % 12] = Value(act)
                if turn % 20 == 0:
                    cache.clear()
                if turn % 50 == 0:
                    cache.invalidate_all()

        with eager_switches():
            in_threads(*[body] * 4)
        cache.clear()
        assert len(released) == 800
        assert len(cache) <= 1


@scenario
def cycles_through_every_part_of_a_cache_are_freed() -> None:
    class Owner:
        cache: Any

        def call(self, *_: Any) -> Any:
            return 1

    class Derived(Cache[Any, Any]):
        owner: Any

    def by_option(option: str) -> Callable[[Owner], Any]:
        return lambda owner: Cache(4, **{option: owner.call})  # type: ignore[arg-type]

    def by_attribute(owner: Owner) -> Any:
        derived = Derived(4)
        derived.owner = owner
        return derived

    def by_value(owner: Owner) -> Any:
        cache: Cache[Any, Any] = Cache(4)
        cache.set("owner", owner, tags=("x",), ttl_s=5)
        return cache

    def by_copy(owner: Owner) -> Any:
        return Cache(4, listener=owner.call).copy()

    makes: list[Callable[[Owner], Any]] = [
        *map(by_option, ("listener", "weigher", "getsizeof", "ttl_s")),
        *(by_attribute, by_value, by_copy),
    ]
    gc.disable()
    dead = []
    for make in makes:
        owner = Owner()
        owner.cache = make(owner)
        owner.cache["k"] = 1
        owner.cache["k"] = 2
        dead.append(weakref.ref(owner))
        del owner
    gc.collect()
    assert [reference() for reference in dead] == [None] * len(makes)


@scenario
def weights_of_all_sizes_keep_the_count_right() -> None:
    huge = 2**63 - 1
    for policy in ("lru", "s3fifo"):
        cache: Cache[int, int] = Cache(huge, lambda value: value, policy=policy)  # type: ignore[arg-type]
        cache[0] = huge
        cache[1] = 0
        assert (len(cache), cache.currsize) == (2, huge)
        cache[2] = huge
        assert (0 in cache, cache.currsize) == (False, huge)
        cache[2] = huge - 1
        cache[3] = 1
        assert cache.currsize == huge
        for weight in (2**63, 2**64, 2**64 - 1, 2**200):
            with pytest.raises(ValueError, match="value too large"):
                cache[4] = weight
        for weight in (-1, -(2**63), -(2**200)):
            with pytest.raises(ValueError, match="negative"):
                cache[3] = weight
        assert cache[3] == 1
        cache[5] = True
        cache.clear()
        assert cache.currsize == 0


@pytest.mark.parametrize("name", scenario.functions)
def test_in_a_child_process(name: str) -> None:
    scenario.run(name)


if __name__ == "__main__":
    scenario.main()
