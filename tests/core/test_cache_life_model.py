"""The native cache against a model with a clock of its own: random scripts, compared step by step.

With `pytest --long` the scripts are many and long.
"""

from __future__ import annotations

import os
import sys
import time
from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.cache_model import MISSING, Model, Options

from tierline._core import Cache, advance_clock

LONG = os.environ.get("TIERLINE_LONG") == "1"

KEYS = st.sampled_from([0, 1, "a", ("a", 1)])
VALUES = st.integers(0, 9)
# Times are hundreds of seconds: the real time that passes meanwhile makes no difference.
OWN_TTL = st.sampled_from([None, None, None, 100, 300])
TAGS = st.frozensets(st.sampled_from(["x", "y"]), max_size=2)
LOADED = st.sampled_from([1, 2, KeyError(), ZeroDivisionError(), ZeroDivisionError()])
OPTIONS = st.builds(
    Options,
    maxsize=st.sampled_from([1, 2, 3, 4]),
    ttl_s=st.sampled_from([inf, 100, 100, 300]),
    idle_s=st.sampled_from([inf, inf, inf, 300]),
    stale_if_error_s=st.sampled_from([0, 400, 800, 800]),
    negative_ttl_s=st.sampled_from([None, 200]),
    retry_s=st.sampled_from([0, 100]),
)
COUNTERS = [
    *("hits", "misses", "stale_hits", "negative_hits", "loads", "failed_loads", "fills"),
    *("refused_fills", "evictions", "expirations", "replacements", "invalidations", "cleared"),
]


def limit(seconds: float) -> float | None:
    return None if seconds == inf else seconds


class CacheAgainstModel(RuleBasedStateMachine):
    """Both go through the same steps and are asked the same questions."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[type[BaseException]] = []
        self.usual_hook = sys.unraisablehook
        sys.unraisablehook = lambda event: self.reported.append(event.exc_type)

    def teardown(self) -> None:
        sys.unraisablehook = self.usual_hook

    @initialize(options=OPTIONS)
    def make(self, options: Options) -> None:
        self.model = Model(options)
        self.told: list[tuple[Any, Any, str]] = []
        self.cache: Cache[Any, Any] = Cache(
            options.maxsize,
            ttl_s=limit(options.ttl_s),
            idle_s=limit(options.idle_s),
            stale_if_error_s=options.stale_if_error_s,
            retry_s=options.retry_s,
            negative_ttl_s=options.negative_ttl_s,
            policy="lru",
            listener=lambda *left: self.told.append(left),
        )

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        assert self.cache.get(key, MISSING) == self.model.get(key)

    @rule(keys=st.lists(KEYS, max_size=4))
    def get_many(self, keys: list[Any]) -> None:
        found = {key: self.model.get(key) for key in keys}
        expected = {key: value for key, value in found.items() if value is not MISSING}
        assert self.cache.get_many(keys) == expected

    @rule(key=KEYS, value=VALUES, ttl_s=OWN_TTL, tags=TAGS)
    def set(self, key: Any, value: int, ttl_s: float | None, tags: frozenset[str]) -> None:
        self.cache.set(key, value, ttl_s=ttl_s, tags=tags)
        self.model.store(key, value, ttl_s, tags)

    @rule(items=st.lists(st.tuples(KEYS, VALUES), max_size=4), ttl_s=OWN_TTL, tags=TAGS)
    def set_many(self, items: Any, ttl_s: float | None, tags: frozenset[str]) -> None:
        self.cache.set_many(items, ttl_s=ttl_s, tags=tags)
        for key, value in items:
            self.model.store(key, value, ttl_s, tags)

    @rule(key=KEYS, value=VALUES)
    def set_item(self, key: Any, value: int) -> None:
        self.cache[key] = value
        self.model.store(key, value)

    @rule(key=KEYS, ttl_s=st.sampled_from([100, 300]))
    def set_absent(self, key: Any, ttl_s: float) -> None:
        self.cache.set_absent(key, ttl_s=ttl_s)
        self.model.store(key, None, ttl_s, absent=True)

    @rule(key=KEYS, default=VALUES)
    def setdefault(self, key: Any, default: int) -> None:
        assert self.cache.setdefault(key, default) == self.model.setdefault(key, default)

    @rule(
        keys=st.lists(KEYS, min_size=1, max_size=4),
        loaded=LOADED,
        ttl_s=OWN_TTL,
        tags=TAGS,
        waits=st.integers(0, 2),
    )
    def get_or_load(
        self, keys: list[Any], loaded: Any, ttl_s: float | None, tags: frozenset[str], waits: int
    ) -> None:
        self.advance(waits)

        def load(_: Any) -> Any:
            if isinstance(loaded, Exception):
                raise loaded
            return loaded

        for key in keys:
            try:
                answer = self.cache.get_or_load(key, load, ttl_s=ttl_s, tags=tags)
            except (KeyError, ZeroDivisionError) as error:
                answer = type(error)
            assert answer == self.model.get_or_load(key, loaded, ttl_s, tags)

    @rule(key=KEYS, value=VALUES, tags=TAGS, overtaken=st.sampled_from(["", "", "key", "x", "y"]))
    def fill(self, key: Any, value: int, tags: frozenset[str], overtaken: str) -> None:
        token = self.cache.begin(key)
        if overtaken == "key":
            self.invalidate(key)
        elif overtaken:
            self.invalidate_tag(overtaken)
        current = overtaken != "key" and overtaken not in tags
        assert self.cache.fill(key, value, token, tags=tags) is current
        self.model.counted["fills" if current else "refused_fills"] += 1
        if current:
            self.model.store(key, value, None, tags)

    @rule(key=KEYS, ttl_s=OWN_TTL)
    def touch(self, key: Any, ttl_s: float | None) -> None:
        assert self.cache.touch(key, ttl_s=ttl_s) is self.model.touch(key, ttl_s)

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        assert self.cache.pop(key, MISSING) == self.model.pop(key)

    @rule(key=KEYS)
    def invalidate(self, key: Any) -> None:
        assert self.cache.invalidate(key) is self.model.invalidate(key)

    @rule(tag=st.sampled_from(["x", "y"]))
    def invalidate_tag(self, tag: str) -> None:
        self.cache.invalidate_tag(tag)
        self.model.invalidate_tag(tag)

    # In one rule, so that entries are seldom all gone or out of sight.
    @rule(what=st.sampled_from(["clear", "invalidate_all", "expire", "popitem"]))
    def rare(self, what: str) -> None:
        match what:
            case "clear":
                self.cache.clear()
                self.model.empty("cleared")
            case "invalidate_all":
                assert self.cache.invalidate_all() == self.model.empty("invalidated")
            case "expire":
                assert self.cache.expire() == self.model.expire()
            case _:
                try:
                    answer: Any = self.cache.popitem()
                except KeyError:
                    answer = KeyError
                assert answer == self.model.popitem()

    @rule(steps=st.integers(1, 2))
    def advance(self, steps: int) -> None:
        advance_clock(100 * steps)
        self.model.now += 100 * steps

    @rule(rest_s=st.sampled_from([None, 300]))
    def serve_until(self, rest_s: float | None) -> None:
        self.cache.serve_until(None if rest_s is None else time.monotonic() + rest_s)
        self.model.horizon = inf if rest_s is None else self.model.now + rest_s

    @invariant()
    def both_are_the_same(self) -> None:
        assert self.told == self.model.told
        # Of each load that failed and that a stale value stood in for.
        assert self.reported == self.model.reported
        assert len(self.cache) == self.cache.currsize == len(self.model.items)
        live = [(item.key, item.value) for item in self.model.live()]
        assert list(self.cache.items()) == live
        assert all(key in self.cache for key, _ in live)
        stats = self.cache.stats()
        counted = {name: getattr(stats, name) for name in COUNTERS}
        assert counted == {name: self.model.counted[name] for name in COUNTERS}


@pytest.mark.timeout(3_600 if LONG else 120)
class TestCacheAgainstModel(CacheAgainstModel.TestCase):
    settings = settings(
        max_examples=5_000 if LONG else 200,
        stateful_step_count=100 if LONG else 50,
    )
