"""What makes loads hang, repeat or lie elsewhere; each in a child process with a time limit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.core.test_cache_hazards import Key, eager_switches, in_threads
from tests.core.test_loading import Slow, in_thread, until_waiting

import tierline as tl
from tierline._core import Cache

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 30
SCENARIOS: dict[str, Callable[[], None]] = {}


def scenario(function: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[function.__name__] = function
    return function


@scenario
def thirty_two_threads_and_a_raising_loader_make_one_call() -> None:
    def attempt(error: type[BaseException]) -> None:
        cache: Cache[str, int] = Cache(4)

        def fail(_: str) -> int:
            raise error

        load = Slow(fail)
        results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(32)]
        until_waiting()
        load.go.set()
        for result in results:
            with pytest.raises(error):
                result()
        assert load.calls == ["k"]
        assert cache.get_or_load("k", len) == 1

    for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit):
        attempt(error)


@scenario
def tracebacks_of_a_shared_error_do_not_grow_with_the_waiters() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(lambda _: 1 // 0)

    def depth() -> int:
        try:
            cache.get_or_load("k", load)
        except ZeroDivisionError as error:
            return len(traceback.extract_tb(error.__traceback__))
        return 0

    results = [in_thread(depth) for _ in range(32)]
    until_waiting()
    load.go.set()
    # The loader's two frames and the caller's, however many have raised it before.
    assert max(result() for result in results) < 8


@scenario
def a_loader_that_loads_for_ever_ends_in_an_error() -> None:
    cache: Cache[int, int] = Cache(4)

    def load(key: int) -> int:
        return cache.get_or_load(key + 1, load)

    with pytest.raises(RecursionError):
        cache.get_or_load(0, load)
    assert cache.get_or_load(0, lambda key: key) == 0


@scenario
def an_interrupt_of_a_waiter_leaves_the_flight_alone() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(2)]
    assert load.began.wait(10)

    def strike_when_loaded() -> None:
        # Then nothing is left to do but to wait for the other flight.
        while "a" not in cache:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    def wait_for_one() -> None:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        cache.get_or_load("k", load)

    def wait_for_many() -> None:
        threading.Thread(target=strike_when_loaded).start()
        cache.get_or_load_many("ak", lambda keys: dict.fromkeys(keys, 1))

    # The interrupt may come sooner than it should, but not before it is waited for.
    for wait in (wait_for_one, wait_for_many):
        with pytest.raises(KeyboardInterrupt):
            wait()
    assert cache.get("a") == 1
    load.go.set()
    assert [result() for result in results] == [1, 1]
    assert cache.get("k") == 1


@scenario
def an_interrupt_of_the_loader_wakes_the_waiters() -> None:
    cache: Cache[str, int] = Cache(4)
    began = threading.Event()

    def load(_: str) -> int:
        began.set()
        time.sleep(20)
        return 1

    def wait() -> int:
        assert began.wait(10)
        return cache.get_or_load("k", len, on_error="retry")

    def strike() -> None:
        assert began.wait(10)
        time.sleep(0.1)  # for the other to begin to wait; too little only tests less
        os.kill(os.getpid(), signal.SIGINT)

    def load_and_be_struck() -> None:
        threading.Thread(target=strike).start()
        cache.get_or_load("k", load)

    result = in_thread(wait)
    with pytest.raises(KeyboardInterrupt):
        load_and_be_struck()
    assert result() == 1


@scenario
def a_signal_handler_may_wait_for_the_key_that_it_interrupts() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    seen: list[int] = []

    def handle(*_: object) -> None:
        threading.Timer(0.1, load.go.set).start()
        seen.append(cache.get_or_load("k", load))

    signal.signal(signal.SIGUSR1, handle)
    result = in_thread(lambda: cache.get_or_load("k", load))
    assert load.began.wait(10)
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
    assert cache.get_or_load("k", load) == 1
    assert (seen, result()) == ([1], 1)
    assert load.calls == ["k"]


@scenario
def a_signal_handler_may_fork_while_its_thread_waits() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    parent = os.getpid()
    children: list[int] = []

    def handle(*_: object) -> None:
        children.append(os.fork())
        load.go.set()

    signal.signal(signal.SIGUSR1, handle)
    result = in_thread(lambda: cache.get_or_load("k", load))
    assert load.began.wait(10)
    threading.Timer(0.1, lambda: os.kill(parent, signal.SIGUSR1)).start()
    value = cache.get_or_load("k", lambda _: 7)
    if os.getpid() != parent:
        # The thread that loads is not in this process.
        os._exit(0 if value == 7 else 1)
    assert (value, result()) == (1, 1)
    _, status = os.waitpid(children[0], 0)
    assert os.waitstatus_to_exitcode(status) == 0


def in_child(body: Callable[[], bool]) -> None:
    """Fork; the child runs the body, which must not hang and must be true."""
    child = os.fork()
    if child == 0:
        good = False
        try:
            signal.alarm(10)
            good = body()
        finally:
            os._exit(0 if good else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@scenario
def a_fork_during_a_flight_does_not_hang_the_child() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(4)]
    assert load.began.wait(10)
    until_waiting()
    for _ in range(10):
        in_child(lambda: cache.get_or_load("k", lambda _: 7) == 7 == cache["k"])
        in_child(lambda: cache.get_or_load_many("k", lambda _: {"k": 7}) == {"k": 7})
    load.go.set()
    assert [result() for result in results] == [1] * 4


@scenario
def a_loader_may_fork() -> None:
    cache: Cache[str, int] = Cache(4)

    def load(key: str) -> int:
        def child() -> bool:
            with pytest.raises(RuntimeError, match="asked for the key"):
                cache.get_or_load(key, load)
            return cache.get_or_load("other", len) == 5

        until_waiting()
        in_child(child)
        return 1

    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(4)]
    assert [result() for result in results] == [1] * 4


@scenario
def a_process_may_fork_while_flights_begin_and_land() -> None:
    cache: Cache[int, int] = Cache(16)
    done = threading.Event()

    def use() -> None:
        index = 0
        while not done.is_set():
            assert cache.get_or_load(index % 40, lambda key: time.sleep(0) or key) == index % 40
            index += 1

    def fork() -> None:
        try:
            for _ in range(30):
                in_child(
                    lambda: all(cache.get_or_load(key, lambda key: key) == key for key in range(40))
                )
        finally:
            done.set()

    with eager_switches():
        in_threads(fork, use, use, use)


@scenario
def a_loader_may_use_and_clear_the_cache() -> None:
    cache: Cache[str, int] = Cache(4)

    def load(key: str) -> int:
        assert cache.get(key) is None
        cache[key] = -1
        cache.pop(key)
        cache["other"] = 1
        cache.clear()
        cache.invalidate("other")
        assert list(cache) == []
        return len(key)

    assert cache.get_or_load("k", load) == 1
    assert cache["k"] == 1
    assert cache.get_or_load_many(["long"], lambda keys: {key: load(key) for key in keys}) == {
        "long": 4
    }
    assert list(cache) == ["long"]


@scenario
def eq_may_load_and_fail() -> None:
    cache: Cache[Any, str] = Cache(8)
    cache[Key("k", lambda: cache.get_or_load("inner", str))] = "held"
    assert cache.get_or_load(Key("k"), lambda _: "loaded") == "held"
    assert cache["inner"] == "inner"

    failing = False

    def fail() -> None:
        if failing:
            raise ZeroDivisionError

    load = Slow(lambda _: "loaded")
    first = in_thread(lambda: cache.get_or_load(Key("slow", fail), load))
    assert load.began.wait(10)
    failing = True
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load(Key("other"), lambda _: "")
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load_many([1, Key("another")], lambda keys: dict.fromkeys(keys, ""))
    failing = False
    # What the failed call led is not left behind.
    assert cache.get_or_load(1, str) == "1"
    joined = in_thread(lambda: cache.get_or_load(Key("slow"), str))
    until_waiting()
    load.go.set()
    assert first() == joined() == "loaded"


@scenario
def ten_thousand_keys_of_one_hash_are_told_apart() -> None:
    # They all go to one part of a free-threaded cache, which has a share of the bound.
    cache: Cache[Any, int] = Cache(1_000_000)
    modulus = sys.hash_info.modulus
    keys = [7 + index * modulus for index in range(10_000)]
    assert {hash(key) for key in keys} == {7}
    for index, key in enumerate(keys):
        assert cache.get_or_load(key, lambda _, index=index: index) == index
    assert cache.get_or_load_many(keys, lambda _: {}) == dict(zip(keys, range(10_000), strict=True))
    assert cache.stats().loads == 10_000


@scenario
def a_thousand_keys_of_one_hash_that_python_compares_are_told_apart() -> None:
    cache: Cache[Any, str] = Cache(1_000)
    for index in range(1_000):
        assert cache.get_or_load(Key(str(index)), lambda key: key.name) == str(index)
    assert cache.get_or_load(Key("17"), lambda _: "loaded") == "17"


@scenario
def values_and_keys_of_a_flight_are_released_when_it_has_landed() -> None:
    class Thing:
        def __init__(self) -> None:
            alive.add(id(self))
            self.key = id(self)

        def __del__(self) -> None:
            alive.discard(self.key)

    alive: set[int] = set()
    cache: Cache[Any, Any] = Cache(4)
    for _ in range(3):
        load = Slow(lambda _: Thing())
        key = Thing()
        results = [in_thread(lambda k=key, f=load: cache.get_or_load(k, f)) for _ in range(3)]
        until_waiting()
        cache.invalidate(key)
        load.go.set()
        for result in results:
            result()
        del key, load, results, result
    cache.clear()
    assert alive == set()


@scenario
def no_read_is_older_than_an_invalidation_before_it() -> None:
    cache: Cache[str, int] = Cache(4)
    truth = [0]
    chance = random.Random(1)
    done = threading.Event()

    def load(_: str) -> int:
        value = truth[0]
        for _ in range(chance.randrange(8)):
            time.sleep(0)  # the value is on its way while other threads run
        return value

    def load_many(keys: list[str]) -> dict[str, int]:
        return {key: load(key) for key in keys}

    def write() -> None:
        try:
            for version in range(1, 3_000):
                truth[0] = version
                cache.invalidate("k")
                for _ in range(3):
                    assert cache.get_or_load("k", load) == version
                    time.sleep(0)
                assert cache.get_or_load_many("jk", load_many)["k"] == version
        finally:
            done.set()

    def keep_reading() -> None:
        newest = 0
        while not done.is_set():
            value = cache.get_or_load("k", load)
            assert value >= newest
            newest = value
            time.sleep(0)

    with eager_switches():
        in_threads(write, keep_reading, keep_reading)


@scenario
def every_key_is_loaded_once_whatever_threads_do() -> None:
    calls: dict[Any, list[int]] = {}
    cache: Cache[Any, Any] = Cache(4_096)
    keys = [*range(200), *(f"k{n}" for n in range(200)), *((n, "t") for n in range(200))]

    def load(key: Any) -> Any:
        calls.setdefault(key, []).append(1)
        time.sleep(0)
        return (key,)

    def use(seed: int) -> Callable[[], None]:
        def body() -> None:
            mine = keys.copy()
            random.Random(seed).shuffle(mine)
            for start in range(0, len(mine), 10):
                some = mine[start : start + 10]
                if seed % 2:
                    found = cache.get_or_load_many(some, lambda ks: {k: load(k) for k in ks})
                    assert found == {key: (key,) for key in some}
                else:
                    assert [cache.get_or_load(key, load) for key in some] == [(k,) for k in some]

        return body

    with eager_switches():
        in_threads(*(use(seed) for seed in range(8)))
    assert {len(made) for made in calls.values()} == {1}
    assert len(calls) == len(keys)
    counters = cache.stats()
    assert counters.hits + counters.misses == 8 * len(keys)


@scenario
def circles_of_threads_are_broken_and_nobody_hangs() -> None:
    cache: Cache[int, int] = Cache(64)
    failures: list[RuntimeError] = []

    def load(key: int) -> int:
        time.sleep(0)
        try:
            return cache.get_or_load((key + 1) % 5, load)
        except RuntimeError as error:
            failures.append(error)
            return 0

    with eager_switches():
        for _ in range(100):
            cache.clear()
            in_threads(*(lambda key=key: cache.get_or_load(key, load) for key in range(5)))
    assert failures


@scenario
def the_interpreter_ends_while_threads_wait_for_a_flight() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    for _ in range(4):
        in_thread(lambda: cache.get_or_load("k", load))
    assert load.began.wait(10)
    until_waiting()


@scenario
def the_interpreter_ends_while_a_thread_joins_a_flight_at_exit() -> None:
    cache: Cache[str, int] = Cache(4)

    def load(_: str) -> int:
        time.sleep(0.3)
        return 1

    # Not daemons: the interpreter waits for them first.
    for _ in range(4):
        threading.Thread(target=lambda: cache.get_or_load("k", load)).start()


@scenario
def the_interpreter_ends_while_daemons_run_loaders() -> None:
    cache: Cache[int, int] = Cache(8)
    load = tl.cached(lambda key: count_for_ever())

    def count_for_ever() -> int:
        while True:
            time.sleep(0)

    for key in range(3):
        for call in (
            lambda key=key: cache.get_or_load(key, lambda _: count_for_ever()),
            lambda key=key: cache.get_or_load_many([key, 7], lambda _: {7: count_for_ever()}),
            lambda key=key: load(key),
            lambda key=key: cache.reader(lambda _: count_for_ever())(key),
        ):
            threading.Thread(target=call, daemon=True).start()
    until_waiting()


@scenario
def a_cached_function_that_calls_itself_for_ever_ends_in_an_error() -> None:
    @tl.cached
    def down(n: int) -> int:
        return 0 if n == 0 else down(n - 1) + 1

    with pytest.raises(RecursionError):
        down(10**6)
    assert down(100) == 100


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_a_child_process(name: str) -> None:
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.core.test_loading_hazards", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert child.returncode == 0, child.stderr


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
