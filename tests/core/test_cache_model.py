"""The native cache under LRU against an `OrderedDict` that goes through the same steps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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
        assert self.cache.pop(key) == self.model.pop(key, None)

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


TestCacheAgainstModel = CacheAgainstModel.TestCase
