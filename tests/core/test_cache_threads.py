"""Eight threads, a mixed load and values that say whether they are right.

With `pytest --long` each thread makes two million operations.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.test_cache_hazards import in_threads

from tierline._core import Cache

LONG = os.environ.get("TIERLINE_LONG") == "1"
THREADS = 8
OPERATIONS = 2_000_000 if LONG else 250_000
KEYS = 1_000
MAXSIZE = 100

Value = tuple[Any, int, int]
"""The key that it was stored under, a number, and a sum over both."""


def weight_of(value: Value) -> int:
    return value[1] % 7


def value_of(key: Any, number: int) -> Value:
    return (key, number, hash(key) ^ number)


def is_right(key: Any, value: Value | None) -> bool:
    return value is None or (value[0] == key and value[2] == hash(key) ^ value[1])


def change(cache: Cache[Any, Value], key: Any, step: int) -> None:
    """Take something out, now and then a great deal."""
    if step % 4_096 == 15:
        cache.invalidate_tag("tag")
    elif step % 65_536 == 31:
        cache.clear()
    elif step % 64 == 47:
        cache.invalidate(key)
    else:
        cache.touch(key)


def worker(cache: Cache[Any, Value], seed: int, gets: list[int]) -> Callable[[], None]:
    """Everything that reads and writes; adds to `gets` how often a key was asked for."""
    chance = random.Random(seed)
    names = [key if key % 3 else f"key {key}" if key % 2 else (key, "key") for key in range(KEYS)]
    # Few are asked for often.
    keys = [names[int(chance.paretovariate(0.3)) % KEYS] for _ in range(4_096)]

    def load(key: Any) -> Value:
        return value_of(key, seed)

    def body() -> None:
        asked = 0
        get, put = cache.get, cache.__setitem__
        for step in range(OPERATIONS):
            key = keys[(step * 7 + seed) % 4_096]
            turn = step % 16
            if turn < 9:
                asked += 1
                assert is_right(key, get(key))
            elif turn < 12:
                put(key, value_of(key, step))
            elif turn == 12:
                asked += 1
                assert is_right(key, cache.get_or_load(key, load))
            elif turn == 13:
                cache.fill(key, value_of(key, step), cache.begin(key), tags=("tag",))
            elif turn == 14:
                assert is_right(key, cache.pop(key, None))
            else:
                change(cache, key, step)
            if turn % 4 == 0:
                assert cache.currsize <= MAXSIZE
        gets.append(asked)

    return body


@pytest.mark.timeout(3_600 if LONG else 300)
@pytest.mark.parametrize("weighs", [False, True], ids=["entries", "weights"])
@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_threads_see_right_values_exact_counts_and_no_excess(policy: Any, *, weighs: bool) -> None:
    cache: Cache[Any, Value] = Cache(MAXSIZE, weight_of if weighs else None, policy=policy)
    gets: list[int] = []
    in_threads(*(worker(cache, seed, gets) for seed in range(THREADS)))
    stats = cache.stats()
    assert len(gets) == THREADS
    assert stats.hits + stats.misses == sum(gets)
    assert min(stats.hits, stats.misses, stats.evictions) > OPERATIONS // 10
    items = dict(cache.items())
    assert all(is_right(key, value) for key, value in items.items())
    assert stats.weight == cache.currsize <= MAXSIZE
    cache.invalidate_tag("tag")
    cache.expire()
    held = cache.values()
    assert len(cache) == len(held)
    assert cache.currsize == (sum(map(weight_of, held)) if weighs else len(held))
    print(f"{policy} {'weights' if weighs else 'entries'}: {stats}")  # noqa: T201 - the figures
