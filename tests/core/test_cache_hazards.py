"""What has hung, crashed or leaked in other compiled caches.

Each scenario runs in a child process with a time limit: a failure may be a deadlock or a crash.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tierline._core import Cache

LIMIT_S = 10
SCENARIOS: dict[str, Callable[[], None]] = {}


def scenario(function: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[function.__name__] = function
    return function


class Key:
    """A key whose comparison first does something else."""

    def __init__(self, name: str, act: Callable[[], object] = lambda: None) -> None:
        self.name = name
        self.act = act

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        self.act()
        return isinstance(other, Key) and self.name == other.name


class Value:
    """A value that does something when it is released."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


def holding(key: Key, maxsize: int = 8) -> Cache[Any, Any]:
    cache: Cache[Any, Any] = Cache(maxsize)
    cache[key] = "held"
    return cache


def in_threads(*bodies: Callable[[], None]) -> None:
    """Run each body in a thread; raise what any of them raised."""
    errors: list[BaseException] = []

    def guard(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - raised below, in the main thread
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


@contextmanager
def eager_switches() -> Iterator[None]:
    """Let threads interleave far more often than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@scenario
def eq_may_read_the_cache() -> None:
    key = Key("k", lambda: cache.get("other"))
    cache = holding(key)
    cache["other"] = 1
    assert cache.get(Key("k")) == "held"
    assert cache.get(Key("absent")) is None


@scenario
def eq_may_read_the_cache_by_a_key_of_the_same_hash() -> None:
    depth = 0

    def read() -> None:
        nonlocal depth
        depth += 1
        if depth < 20:
            cache.get(Key("k"))

    cache = holding(Key("k", read))
    assert cache.get(Key("k")) == "held"
    assert depth > 1


@scenario
def eq_may_clear_the_cache() -> None:
    def clear() -> None:
        cache.clear()

    cache = holding(Key("k", clear))
    assert cache.get(Key("k")) is None
    cache[Key("k", clear)] = "held"
    cache[Key("k")] = "new"
    assert [(key.name, cache[key]) for key in cache] == [("k", "new")]


@scenario
def eq_may_remove_its_own_entry_and_add_others() -> None:
    def churn() -> None:
        cache.pop(key)
        for index in range(4):
            cache[Key(f"new {index}")] = index

    key = Key("k", churn)
    cache = holding(key, maxsize=4)
    assert cache.get(Key("new 3")) == 3
    assert len(cache) == 4


@scenario
def eq_may_overwrite_the_entry_it_is_compared_for() -> None:
    def overwrite() -> None:
        cache[key] = "newer"

    key = Key("k", overwrite)
    cache = holding(key)
    assert cache.get(Key("k")) == "newer"
    assert cache.pop(Key("k")) == "newer"
    assert len(cache) == 0


@scenario
def eq_that_changes_the_cache_for_ever_ends_in_an_error() -> None:
    def replace_every_key() -> None:
        cache.clear()
        cache[Key("another", replace_every_key)] = 1

    cache = holding(Key("k", replace_every_key))
    with pytest.raises(RuntimeError, match="kept changing"):
        cache.get(Key("absent"))
    assert len(cache) == 1


@scenario
def errors_of_eq_reach_the_caller_and_change_nothing() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    cache = holding(Key("k", fail))
    read = cache.reader(lambda key: "loaded")
    calls: list[Callable[[Any], object]] = [
        cache.get,
        cache.pop,
        cache.__getitem__,
        cache.__contains__,
        cache.__delitem__,
        cache.invalidate,
        read,
        lambda key: cache.invalidate_many([key]),
        lambda key: cache.set(key, 1),
        lambda key: cache.__setitem__(key, 1),
        lambda key: cache.fill(key, 1, cache.begin(key)),
    ]
    for call in calls:
        with pytest.raises(ZeroDivisionError):
            call(Key("k"))
    assert len(cache) == 1
    assert cache.stats().hits == cache.stats().misses == 0


@scenario
def errors_of_hash_reach_the_caller() -> None:
    class Unhashable:
        def __hash__(self) -> int:
            raise ZeroDivisionError

    cache: Cache[Any, Any] = Cache(4)
    for call in (cache.get, cache.pop, cache.begin, cache.invalidate, cache.reader(str)):
        with pytest.raises(ZeroDivisionError):
            call(Unhashable())
        with pytest.raises(TypeError, match="unhashable"):
            call([])


@scenario
def the_truth_value_of_a_comparison_counts_and_may_fail() -> None:
    class Vague:
        def __init__(self, truth: object) -> None:
            self.truth = truth

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> Any:
            return self.truth

    assert holding(Vague([1])).get(Vague([])) == "held"  # type: ignore[arg-type]
    assert holding(Vague([])).get(Vague([1])) is None  # type: ignore[arg-type]

    class Undefined:
        def __bool__(self) -> bool:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        holding(Vague(Undefined())).get(Vague(1))  # type: ignore[arg-type]


@scenario
def many_keys_of_one_hash_are_all_found() -> None:
    cache: Cache[Any, int] = Cache(512)
    for index in range(300):
        cache[Key(str(index))] = index
    assert [cache.get(Key(str(index))) for index in range(300)] == list(range(300))
    assert cache.get(Key("absent")) is None
    assert cache.invalidate_many(Key(str(index)) for index in range(300)) == 300


@scenario
def del_may_use_the_cache_when_a_value_leaves() -> None:
    released: list[int] = []

    def use() -> None:
        released.append(len(cache))
        cache.get("a")
        cache["from del"] = 1
        cache.pop("from del")

    cache: Cache[Any, Any] = Cache(2)
    cache["a"] = Value(use)
    cache["b"] = Value(use)
    cache["c"] = Value(use)  # evicts a
    cache["c"] = Value(use)  # replaces
    cache.pop("c")
    cache.clear()
    cache["d"] = Value(use)
    cache.invalidate("d")
    cache["e"] = Value(use)
    cache.invalidate_all()
    cache.set("f", Value(use), ttl_s=0.001)
    time.sleep(0.02)
    assert cache.get("f") is None
    cache.set("g", Value(use), ttl_s=0.001)
    time.sleep(0.02)
    assert cache.reader(lambda key: "loaded")("g") == "loaded"
    assert len(released) == 8


@scenario
def del_may_use_the_cache_that_is_being_cleared() -> None:
    cache: Cache[Any, Any] = Cache(10_000)

    def refill() -> None:
        cache["refilled"] = 1
        assert len(cache) == 1

    for index in range(1_000):
        cache[index] = Value(refill)
    cache.clear()
    assert list(cache) == ["refilled"]


@scenario
def a_value_is_released_at_once() -> None:
    cache: Cache[Any, Any] = Cache(1)
    events: list[str] = []
    cache.set(1, Value(lambda: events.append("expired")), ttl_s=0.001)
    time.sleep(0.02)
    assert cache.get(1) is None
    assert events == ["expired"]
    cache[1] = Value(lambda: events.append("replaced"))
    cache[1] = Value(lambda: events.append("evicted"))
    cache[2] = 0
    assert events == ["expired", "replaced", "evicted"]


@scenario
def eq_may_wait_while_other_threads_use_the_cache() -> None:
    cache = holding(Key("k", lambda: time.sleep(0.005)), maxsize=64)

    def use() -> None:
        for index in range(50):
            assert cache.get(Key("k")) == "held"
            cache[index] = index

    in_threads(*[use] * 4)


@scenario
def eq_may_run_a_full_collection() -> None:
    cache = holding(Key("k", gc.collect), maxsize=1_000)
    for index in range(500):
        cache[index] = [index]
    for _ in range(20):
        assert cache.get(Key("k")) == "held"
        assert cache.get(Key("absent")) is None


@scenario
def cycles_through_a_cache_are_freed() -> None:
    class Owner:
        cache: Any
        read: Any

    gc.disable()
    dead = []
    for kind in range(4):
        owner = Owner()
        owner.cache = Cache(4)
        match kind:
            case 0:
                owner.cache["owner"] = owner
            case 1:
                owner.cache[owner] = "by key"
            case 2:
                owner.cache["self"] = owner.cache
            case _:
                owner.read = owner.cache.reader(lambda key, owner=owner: owner)
        dead.append(weakref.ref(owner))
        del owner
    gc.collect()
    assert [reference() for reference in dead] == [None] * 4


@scenario
def a_collection_sees_what_only_the_cache_holds() -> None:
    cache: Cache[int, Any] = Cache(100)
    for index in range(50):
        knot: list[Any] = [index]
        knot.append(knot)
        cache[index] = knot
        del knot
    gc.collect()
    assert all(cache[index][1][0] == index for index in range(50))


@scenario
def a_collection_walks_the_entries_only_if_they_can_be_part_of_a_cycle() -> None:
    cache: Cache[Any, Any] = Cache(8)
    cache["text"] = 1.5
    cache[b"bytes"] = None
    assert "text" not in gc.get_referents(cache)
    container: list[int] = []
    cache[1] = container
    assert [referent for referent in gc.get_referents(cache) if referent is container]
    cache.clear()
    cache["text"] = 1.5
    assert "text" not in gc.get_referents(cache)
    cache[container_key := (1, 2)] = 1
    assert container_key in gc.get_referents(cache)


@scenario
def a_loader_may_use_the_cache_and_its_own_reader() -> None:
    cache: Cache[int, int] = Cache(64)

    def load(key: int) -> int:
        token = cache.begin(key)
        value = key if key < 2 else fibonacci(key - 1) + fibonacci(key - 2)
        cache.fill(key, value, token)
        return value

    fibonacci = cache.reader(load)
    assert fibonacci(40) == 102_334_155
    assert cache.stats().misses == 41


@scenario
def a_loader_that_calls_itself_for_ever_ends_in_an_error() -> None:
    cache: Cache[int, int] = Cache(4)

    def load(key: int) -> int:
        return read(key)

    read = cache.reader(load)
    with pytest.raises(RecursionError):
        read(1)
    cache[1] = 1
    assert read(1) == 1


@scenario
def a_process_may_fork_while_another_thread_writes() -> None:
    cache: Cache[int, int] = Cache(256)
    done = threading.Event()

    def write() -> None:
        index = 0
        while not done.is_set():
            cache[index % 1_000] = index
            index += 1

    writer = threading.Thread(target=write)
    writer.start()
    with eager_switches():
        for _ in range(30):
            child = os.fork()
            if child == 0:
                cache[5_000] = 1
                good = cache[5_000] == 1 and len(list(cache)) == len(cache) <= 256
                os._exit(0 if good else 1)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
    done.set()
    writer.join()


@scenario
def threads_may_do_everything_at_once() -> None:
    cache: Cache[Any, Any] = Cache(64, ttl_s=0.02)
    keys = [0, 1.5, "a", b"a", (1, "a"), Key("a"), Key("b"), *range(100, 200)]

    def use(seed: int) -> Callable[[], None]:
        def body() -> None:
            for step in range(4_000):
                key = keys[(step * 31 + seed * 7) % len(keys)]
                match (step + seed) % 7:
                    case 0 | 1:
                        cache[key] = (key, step)
                    case 2 | 3:
                        value = cache.get(key)
                        assert value is None or value[0] == key
                    case 4:
                        cache.invalidate(key)
                    case 5:
                        cache.fill(key, (key, step), cache.begin(key))
                    case _ if step % 500 == 0:
                        cache.clear()
                    case _:
                        cache.pop(key, None)

        return body

    with eager_switches():
        in_threads(*(use(seed) for seed in range(4)))
    counters = cache.stats()
    assert counters.entries == len(cache) <= 64
    assert len(list(cache)) <= 64


@scenario
def no_fill_survives_an_invalidation_that_came_after_its_read() -> None:
    cache: Cache[str, int] = Cache(4)
    truth = [0]
    chance = random.Random(1)
    done = threading.Event()

    def load(key: str) -> int:
        token = cache.begin(key)
        value = truth[0]
        for _ in range(chance.randrange(8)):
            time.sleep(0)  # the value is on its way while other threads run
        cache.fill(key, value, token)
        return value

    read = cache.reader(load)

    def write() -> None:
        try:
            for version in range(1, 3_000):
                truth[0] = version
                cache.invalidate("k")
                for _ in range(4):
                    assert read("k") == version
                    time.sleep(0)
        finally:
            done.set()

    def keep_reading() -> None:
        newest = 0
        while not done.is_set():
            value = read("k")
            assert value >= newest
            newest = value
            time.sleep(0)

    with eager_switches():
        in_threads(write, keep_reading, keep_reading)


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_a_child_process(name: str) -> None:
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, name],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert child.returncode == 0, child.stderr


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
