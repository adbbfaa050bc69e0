"""The native cache against plain models that go through the same steps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tierline._core import Cache

KEYS = st.one_of(
    st.integers(-2, 4),
    st.sampled_from([0.0, 1.0, 1.5, True, None, "a", b"a", (), ("a",), ("a", 1), frozenset("a")]),
)


class CacheAgainstModel(RuleBasedStateMachine):
    """The model holds its entries in order of use."""

    maxsize = 4

    def __init__(self) -> None:
        super().__init__()
        self.cache: Cache[Any, int] = Cache(self.maxsize, policy="lru")
        self.model: OrderedDict[Any, int] = OrderedDict()
        self.counted = dict.fromkeys(["hits", "misses", "evictions", "invalidations"], 0)

    def store(self, key: Any, value: int) -> None:
        self.model[key] = value
        self.model.move_to_end(key)
        if len(self.model) > self.maxsize:
            self.model.popitem(last=False)
            self.counted["evictions"] += 1

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        found = key in self.model
        self.counted["hits" if found else "misses"] += 1
        if found:
            self.model.move_to_end(key)
        assert self.cache.get(key) == self.model.get(key)

    @rule(key=KEYS, value=st.integers())
    def set(self, key: Any, value: int) -> None:
        self.cache[key] = value
        self.store(key, value)

    @rule(key=KEYS, value=st.integers())
    def fill(self, key: Any, value: int) -> None:
        assert self.cache.fill(key, value, self.cache.begin(key))
        self.store(key, value)

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        assert self.cache.pop(key, None) == self.model.pop(key, None)

    @rule(key=KEYS)
    def invalidate(self, key: Any) -> None:
        found = self.model.pop(key, None) is not None
        self.counted["invalidations"] += found
        token = self.cache.begin(key)
        assert self.cache.invalidate(key) == found
        assert not self.cache.fill(key, 0, token)

    @rule()
    def invalidate_all(self) -> None:
        assert self.cache.invalidate_all() == len(self.model)
        self.counted["invalidations"] += len(self.model)
        self.model.clear()

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @invariant()
    def both_hold_the_same(self) -> None:
        assert list(self.cache) == list(self.model)
        assert len(self.cache) == len(self.model)
        assert all(key in self.cache for key in self.model)
        counters = self.cache.stats()
        assert {name: getattr(counters, name) for name in self.counted} == self.counted


class WeighedCacheAgainstModel(RuleBasedStateMachine):
    """What a cache may forget is its own affair; what it still holds is not.

    The model holds the last value of every key, with its weight.
    """

    maxsize = 20

    def __init__(self) -> None:
        super().__init__()
        self.cache: Cache[Any, tuple[int, int]] = Cache(1)
        self.model: dict[Any, tuple[int, int]] = {}
        self.gets = 0

    @initialize(policy=st.sampled_from(["s3fifo", "lru"]))
    def make(self, policy: Any) -> None:
        self.cache = Cache(self.maxsize, policy=policy, getsizeof=lambda value: value[0])

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        self.gets += 1
        found = self.cache.get(key)
        assert found is None or found == self.model[key]

    @rule(key=KEYS, value=st.tuples(st.integers(0, 22), st.integers()))
    def set(self, key: Any, value: tuple[int, int]) -> None:
        if value[0] > self.maxsize:
            with pytest.raises(ValueError, match="value too large"):
                self.cache[key] = value
            assert key not in self.cache
            return
        self.cache[key] = self.model[key] = value
        assert key in self.cache

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        popped = self.cache.pop(key, None)
        assert popped is None or popped == self.model[key]
        assert key not in self.cache

    @rule(key=KEYS)
    def invalidate(self, key: Any) -> None:
        held = key in self.cache
        assert self.cache.invalidate(key) == held
        assert key not in self.cache

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        assert self.cache.currsize == len(self.cache) == 0

    @invariant()
    def what_is_held_is_right_and_within_the_bound(self) -> None:
        keys = list(self.cache)
        assert len(keys) == len(self.cache)
        assert all(key in self.model for key in keys)
        assert self.cache.currsize == sum(self.model[key][0] for key in keys) <= self.maxsize
        assert self.cache.stats().hits + self.cache.stats().misses == self.gets


TestCacheAgainstModel = CacheAgainstModel.TestCase
TestWeighedCacheAgainstModel = WeighedCacheAgainstModel.TestCase
