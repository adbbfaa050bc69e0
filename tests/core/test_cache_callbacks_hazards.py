"""Callbacks that use the cache, fail, or do worse; each scenario in a child process.

Listeners, weighers, functions for times to live and loaders are Python code that a cache calls.
None of it may hang, crash or corrupt it.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.scenarios import Scenarios
from tests.core.test_cache_hazards import eager_switches, in_threads

from tierline._core import Cache, advance_clock

scenario = Scenarios("test_cache_callbacks_hazards")


def check(cache: Cache[Any, Any]) -> None:
    """A cache that has been through something still works."""
    cache.clear()
    cache["check"] = 1
    assert cache.pop("check") == 1
    assert (len(cache), cache.currsize) == (0, 0)


def churn(cache: Cache[Any, Any]) -> None:
    """A bit of everything that a callback could do to the cache that calls it."""
    cache.get("a")
    cache["from callback"] = 1
    cache.get_or_load("loaded from callback", lambda _: 2)
    cache.pop("from callback", None)
    cache.invalidate("a")
    cache.invalidate_tag("x")
    cache.touch("b")
    cache.expire()
    list(cache.items())
    cache.stats()
    cache.copy()
    cache.clear()


def guarded(act: Callable[[Cache[Any, Any]], object]) -> Callable[[Cache[Any, Any]], None]:
    """The act, but not within itself."""
    busy = threading.local()

    def once(cache: Cache[Any, Any]) -> None:
        if not getattr(busy, "now", False):
            busy.now = True
            try:
                act(cache)
            finally:
                busy.now = False

    return once


def calling(
    option: str, act: Callable[[Cache[Any, Any]], object], **options: Any
) -> Cache[Any, Any]:
    """A small cache whose callback of that name first acts on it."""
    answers = {"listener": None, "weigher": 1, "getsizeof": 1, "ttl_s": 100.0}

    def callback(*_: Any) -> Any:
        act(cache)
        return answers[option]

    cache: Cache[Any, Any] = Cache(4, **{option: callback}, **options)  # type: ignore[arg-type]
    return cache


def use(cache: Cache[Any, Any], rounds: int = 20) -> None:
    """Everything that calls a callback."""
    for turn in range(rounds):
        for key in ("a", "b", turn):
            cache[key] = turn
            cache.set(key, turn, tags=("x",))
            cache.fill(key, turn, cache.begin(key))
            cache.setdefault(f"default {turn}", turn)
            cache.get_or_load(f"loaded {turn}", lambda _: 1)
            cache.get_or_load_many(["a", "m"], lambda keys: dict.fromkeys(keys, 1))
            cache.touch(key, ttl_s=10)
            cache.touch(key)
        cache.set_absent("a", ttl_s=10)
        cache.announce("b", turn)
        cache.set("ends", 1, ttl_s=1)
        advance_clock(2)
        cache.get("ends")
        cache.set("tagged", 1, tags=("x",))
        cache.invalidate_tag("x")
        cache.restore(cache.snapshot())
        cache.invalidate_many(["tagged", "b"])
        cache.expire()
        cache.invalidate_all()
        cache["a"] = 1
        cache.clear()


@scenario
def a_callback_may_do_anything_to_the_cache_that_calls_it() -> None:
    for option in ("listener", "weigher", "getsizeof", "ttl_s"):
        for policy in ("lru", "s3fifo"):
            cache = calling(option, guarded(churn), policy=policy)
            use(cache)
            assert cache.currsize == len(cache) <= 4
            check(cache)


@scenario
def callbacks_may_act_on_the_cache_in_four_threads() -> None:
    for option in ("listener", "weigher", "ttl_s"):
        cache = calling(option, guarded(churn))
        with eager_switches():
            in_threads(*[lambda cache=cache: use(cache, 5)] * 4)
        assert cache.currsize == len(cache) <= 4


@scenario
def callbacks_may_let_other_threads_run() -> None:
    for option in ("listener", "weigher", "ttl_s"):
        cache = calling(option, lambda _: time.sleep(0.0001))
        in_threads(*[lambda cache=cache: use(cache, 3)] * 4)
        assert cache.currsize == len(cache) <= 4


@scenario
def callbacks_may_run_a_full_collection() -> None:
    for option in ("listener", "weigher", "ttl_s"):
        cache = calling(option, lambda _: gc.collect())
        cache["knot"] = knot = [cache]
        knot.append(knot)  # type: ignore[arg-type]
        use(cache, 2)
        check(cache)


@scenario
def a_listener_that_stores_for_ever_ends_in_an_error() -> None:
    depth: list[int] = []

    def listen(key: int, value: int, cause: str) -> None:
        depth.append(key)
        cache[key + 1] = value

    cache: Cache[int, int] = Cache(1, listener=listen)
    cache[0] = 0
    # The error is told where there is no depth left to act on it, and goes no further.
    sys.unraisablehook = lambda _: None
    cache[1] = 1
    assert len(depth) > 100
    assert len(cache) == 1


@scenario
def a_weigher_that_stores_for_ever_ends_in_an_error() -> None:
    for option in ("weigher", "ttl_s"):

        def store(cache: Cache[Any, Any]) -> None:
            cache["another"] = 1

        cache = calling(option, store)
        for _ in range(2):
            with pytest.raises(RecursionError):
                cache["k"] = 1
        assert len(cache) == 0


@scenario
def a_method_that_weighs_may_use_its_cache() -> None:
    class Weighing(Cache[Any, Any]):
        def getsizeof(self, value: Any, /) -> int:
            self.pop("a", None)
            self.get("b")
            return 1

        def __missing__(self, key: Any, /) -> Any:
            self.clear()
            self[key] = key
            return self[key]

    cache = Weighing(4)
    use(cache)
    assert cache["missing"] == "missing"
    check(cache)


@scenario
def errors_of_every_callback_reach_the_caller_and_change_nothing() -> None:
    for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit):
        for option in ("weigher", "getsizeof", "ttl_s"):
            armed = threading.Event()

            def fail(_: Any, error: Any = error, armed: Any = armed) -> None:
                if armed.is_set():
                    raise error

            cache = calling(option, fail)
            cache["old"] = 1
            armed.set()
            stores: list[Callable[[], object]] = [
                lambda cache=cache: cache.__setitem__("old", 2),
                lambda cache=cache: cache.set("old", 2),
                lambda cache=cache: cache.set("new", 2, tags=("x",)),
                lambda cache=cache: cache.set_many({"new": 2}),
                lambda cache=cache: cache.update(new=2),
                lambda cache=cache: cache.setdefault("new", 2),
                lambda cache=cache: cache.fill("old", 2, cache.begin("old")),
                lambda cache=cache: cache.get_or_load("new", len),
                lambda cache=cache: cache.get_or_load_many(["new"], lambda _: {"new": 1}),
            ]
            for store in stores:
                with pytest.raises(error):
                    store()
                assert dict(cache.items()) == {"old": 1}
                assert cache.currsize == 1
            armed.clear()
            # No flight was left behind.
            assert cache.get_or_load("new", len) == 3
            check(cache)


@pytest.mark.parametrize("name", scenario.functions)
def test_in_a_child_process(name: str) -> None:
    scenario.run(name)


if __name__ == "__main__":
    scenario.main()
