"""What the process around a cache may go through; each scenario in a child process.

It ends with a full cache, forks while values are reloaded, or unwinds a panic of the native module.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.scenarios import Scenarios
from tests.core.test_cache_hazards import Key, Value, eager_switches, in_threads
from tests.core.test_loading import Slow, in_thread, until_waiting

from tierline._core import Cache, advance_clock

scenario = Scenarios("test_cache_process_hazards")


@scenario
def the_interpreter_ends_with_a_full_cache() -> None:
    caches: list[Cache[Any, Any]] = []
    for policy in ("lru", "s3fifo"):
        cache: Cache[Any, Any] = Cache(
            1_000,
            policy=policy,  # type: ignore[arg-type]
            ttl_s=lambda *_: 60.0,
            weigher=lambda *_: 1,
            listener=lambda *_: time.sleep(0),
        )

        def act(cache: Any = cache) -> None:
            cache.get(1)
            cache["from del"] = 1

        for index in range(1_000):
            cache.set((index, Key(str(index))), Value(act), tags=("x",))
            cache[index] = [cache]
        cache.set_absent("absent", ttl_s=60)
        caches.append(cache)
    # Known to everything that is torn down at the end.
    sys.modules["cached"] = caches  # type: ignore[assignment]
    vars(threading)["cached"] = caches


def for_ever(act: Callable[[int], object]) -> None:
    """Let daemon threads do something until the interpreter ends, and a little before."""

    def body() -> None:
        index = 0
        while True:
            act(index)
            index += 1

    for _ in range(4):
        threading.Thread(target=body, daemon=True).start()
    time.sleep(0.1)


def a_while(*_: Any) -> int:
    """Answer after having let other threads run."""
    time.sleep(0)
    return 1


@scenario
def the_interpreter_ends_while_daemons_use_a_full_cache() -> None:
    cache: Cache[int, Any] = Cache(100)

    def act(index: int) -> None:
        cache[index % 300] = [cache]
        cache.set(index % 300, 1, tags=("x",))
        cache.get_or_load(index % 400, lambda key: [key])

    for_ever(act)


@scenario
def the_interpreter_ends_while_daemons_run_listeners() -> None:
    cache: Cache[int, int] = Cache(10, listener=a_while)
    for_ever(lambda index: cache.set(index, index))


@scenario
def the_interpreter_ends_while_daemons_run_weighers() -> None:
    by_entry: Cache[int, int] = Cache(10, weigher=a_while)
    by_value: Cache[int, int] = Cache(10, a_while)
    for_ever(lambda index: (by_entry.set(index, index), by_value.set(index, index)))


@scenario
def the_interpreter_ends_while_daemons_run_functions_for_times_to_live() -> None:
    cache: Cache[int, int] = Cache(10, ttl_s=a_while)
    for_ever(lambda index: cache.set(index, index))


@scenario
def the_interpreter_ends_while_daemons_run_methods_of_a_derived_class() -> None:
    class Derived(Cache[int, int]):
        def getsizeof(self, value: int, /) -> int:
            return a_while()

        def __missing__(self, key: int, /) -> int:
            return a_while()

    cache = Derived(10)
    for_ever(lambda index: (cache[index], cache.set(index, index)))


@scenario
def the_interpreter_ends_while_values_are_reloaded() -> None:
    cache: Cache[int, Any] = Cache(100, ttl_s=100, stale_while_revalidate_s=1_000)
    for key in range(10):
        cache[key] = key
    advance_clock(200)
    began = threading.Semaphore(0)

    def count_for_ever(key: int) -> Any:
        began.release()
        while True:
            time.sleep(0)

    def sleep_for_long(key: int) -> Any:
        began.release()
        time.sleep(1_000)

    for key in range(10):
        load = count_for_ever if key % 2 else sleep_for_long
        assert cache.get_or_load(key, load) == key
    for _ in range(10):
        assert began.acquire(timeout=10)


@scenario
def at_exit_a_stale_value_is_served_though_no_thread_can_start() -> None:
    import atexit  # noqa: PLC0415 - part of the scenario

    cache: Cache[str, int] = Cache(100, ttl_s=100, stale_while_revalidate_s=1_000)
    cache["k"] = 1
    advance_clock(200)
    answers: list[int] = []

    class Late:
        def __del__(self) -> None:
            answers.append(cache.get_or_load("k", len))
            assert answers == [1]

    atexit.register(lambda: answers.append(cache.get_or_load("k", len)) or answers.clear())
    late = Late()
    vars(threading)["late"] = late


@scenario
def a_child_process_reloads_what_its_parent_was_reloading() -> None:
    cache: Cache[int, int] = Cache(100, ttl_s=100, stale_while_revalidate_s=1_000, retry_s=10)
    for key in range(20):
        cache[key] = 0
    advance_clock(200)
    load = Slow(lambda _: 1)
    for key in range(16):
        assert cache.get_or_load(key, load) == 0
    advance_clock(20)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        mine = threading.Event()
        # The parent's threads are not here: a new one is started for each key.
        for key in range(16):
            assert cache.get_or_load(key, lambda key: (mine.wait(10), 2)[1]) == 0
        mine.set()
        for thread in threading.enumerate():
            if thread.name == "tierline-reload":
                thread.join(10)
        os._exit(0 if [cache.get(key) for key in range(16)] == [2] * 16 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    load.go.set()


@scenario
def a_process_may_fork_while_threads_do_everything() -> None:
    left: list[Any] = []
    cache: Cache[Any, Any] = Cache(
        64, ttl_s=1, idle_s=1, listener=lambda *_: left.append(1), weigher=lambda *_: 1
    )
    done = threading.Event()

    def use() -> None:
        index = 0
        while not done.is_set():
            cache.set(index % 100, index, tags=("x", f"t{index % 7}"))
            cache.get_or_load(index % 130, lambda key: key)
            cache.touch(index % 90)
            cache.announce(index % 50, index)
            if index % 10 == 0:
                cache.invalidate_tag("x")
            index += 1

    def fork() -> None:
        try:
            for _ in range(30):
                child = os.fork()
                if child == 0:
                    signal.alarm(10)
                    cache.set("child", 1, tags=("x",))
                    good = cache["child"] == 1 and cache.currsize == len(cache) <= 64
                    cache.invalidate_tag("x")
                    good = good and "child" not in cache
                    os._exit(0 if good else 1)
                _, status = os.waitpid(child, 0)
                assert os.waitstatus_to_exitcode(status) == 0
        finally:
            done.set()

    with eager_switches():
        in_threads(fork, use, use)


def panic_class() -> type[BaseException]:
    """What stands for a panic: raised in a callback, it unwinds the Rust code once more."""
    with pytest.raises(ZeroDivisionError):
        Cache[str, int](1).get_or_load("k", lambda _: 1 // 0)
    (found,) = (
        kind for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException"
    )
    return found


@scenario
def a_panic_anywhere_is_an_exception_and_the_cache_goes_on() -> None:
    panic = panic_class()
    armed = False

    def act(*_: Any) -> Any:
        if armed:
            raise panic("on purpose")
        return 1

    def key() -> Key:
        return Key("k", act)

    cache: Cache[Any, Any] = Cache(4, policy="lru")
    weighed: Cache[Any, Any] = Cache(4, weigher=act, ttl_s=act)
    listened: Cache[Any, Any] = Cache(1, listener=act)
    read = cache.reader(act)
    calls: list[Callable[[], object]] = [
        lambda: cache.get(key()),
        lambda: cache[key()],
        lambda: cache.__setitem__(key(), 1),
        lambda: cache.__delitem__(key()),
        lambda: key() in cache,
        lambda: cache.set(key(), 1, tags=("x",)),
        lambda: cache.fill(key(), 1, 0),
        lambda: cache.pop(key(), None),
        lambda: cache.invalidate(key()),
        lambda: cache.setdefault(key(), 1),
        lambda: cache.get_or_load(key(), str),
        lambda: cache.get_or_load("other", act),
        lambda: cache.get_or_load_many(["other"], act),
        lambda: read("other"),
        lambda: read(key()),
        lambda: weighed.__setitem__("k", 1),
        lambda: weighed.get_or_load("k", str),
        lambda: weighed.touch("held"),
        lambda: listened.__setitem__("k", 1),
        listened.clear,
    ]
    for call in calls:
        armed = False
        for each in (cache, weighed, listened):
            each.clear()
        cache[key()] = weighed["held"] = listened["held"] = 1
        armed = True
        with pytest.raises(panic):
            call()
        armed = False
        # Nothing is left locked, no flight under way, no count wrong.
        for each in (cache, weighed, listened):
            assert each.get_or_load("other", lambda _: 7) == 7
            assert each.currsize == len(each)
            each["check"] = 1
            assert each.pop("check") == 1


@scenario
def a_panic_of_a_loader_wakes_its_waiters() -> None:
    panic = panic_class()
    cache: Cache[str, int] = Cache(4)

    def act(_: str) -> int:
        raise panic("on purpose")

    load = Slow(act)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(8)]
    until_waiting()
    load.go.set()
    for result in results:
        with pytest.raises(panic):
            result()
    assert cache.get_or_load("k", len) == 1


@pytest.mark.parametrize("name", scenario.functions)
def test_in_a_child_process(name: str) -> None:
    scenario.run(name)


if __name__ == "__main__":
    scenario.main()
