"""`get_or_load` and `get_or_load_many`, as the stub describes them."""

from __future__ import annotations

import threading
import time
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest

from tierline._core import Cache


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Start the call in a thread; returns what waits for its value, or raises what it raised."""
    ended: list[tuple[Any, BaseException | None]] = []

    def body() -> None:
        try:
            ended.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            ended.append((None, error))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(10)
        assert ended, "the thread hangs"
        ((value, error),) = ended
        if error is not None:
            raise error
        return value

    return result


class Slow:
    """A loader that begins, waits to be let go, and counts its calls."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        self.act = act
        self.calls: list[Any] = []
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self, key: Any) -> Any:
        self.calls.append(key)
        self.began.set()
        assert self.go.wait(10)
        return self.act(key)


def until_waiting() -> None:
    """Give started threads the time to begin to wait; too little only tests less."""
    time.sleep(0.05)


def test_a_missing_value_is_loaded_once_and_kept() -> None:
    cache: Cache[str, int] = Cache(4)
    calls: list[str] = []

    def load(key: str) -> int:
        calls.append(key)
        return len(key)

    assert [cache.get_or_load("abc", load) for _ in range(3)] == [3, 3, 3]
    assert calls == ["abc"]
    counters = cache.stats()
    assert (counters.hits, counters.misses, counters.fills) == (2, 1, 1)
    assert (counters.loads, counters.failed_loads) == (1, 0)


def test_none_is_a_value() -> None:
    cache: Cache[str, None] = Cache(4)
    calls: list[str] = []
    for _ in range(2):
        assert cache.get_or_load("k", calls.append) is None
    assert calls == ["k"]


def test_loads_are_counted_and_timed() -> None:
    cache: Cache[int, int] = Cache(4)

    def load(key: int) -> int:
        time.sleep(0.02)
        return 1 // key

    cache.get_or_load(1, load)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load(0, load)
    counters = cache.stats()
    assert (counters.loads, counters.failed_loads, counters.misses) == (2, 1, 2)
    assert 40e6 <= counters.load_ns < 10e9
    assert 0 not in cache


def test_a_loaded_value_lives_as_long_as_asked() -> None:
    cache: Cache[str, int] = Cache(4, ttl_s=60)
    cache.get_or_load("short", len, ttl_s=0.01)
    cache.get_or_load("long", len)
    time.sleep(0.05)
    assert "short" not in cache
    assert "long" in cache


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan")])
def test_a_wrong_ttl_is_refused_before_anything_is_loaded(ttl_s: float) -> None:
    cache: Cache[str, int] = Cache(4)
    with pytest.raises(ValueError, match="ttl_s"):
        cache.get_or_load("k", len, ttl_s=ttl_s)
    with pytest.raises(ValueError, match="ttl_s"):
        cache.get_or_load_many(["k"], lambda _: {}, ttl_s=ttl_s)
    assert cache.stats().misses == 0


def test_an_unknown_policy_is_refused() -> None:
    cache: Cache[str, int] = Cache(4)
    with pytest.raises(ValueError, match="on_error"):
        cache.get_or_load("k", len, on_error="ignore")  # type: ignore[arg-type]


def test_unhashable_keys_are_refused() -> None:
    cache: Cache[Any, int] = Cache(4)
    with pytest.raises(TypeError, match="unhashable"):
        cache.get_or_load([], len)
    with pytest.raises(TypeError, match="unhashable"):
        cache.get_or_load_many([[]], lambda _: {})


def test_threads_share_one_call() -> None:
    cache: Cache[str, object] = Cache(4)
    load = Slow(lambda _: object())
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(16)]
    until_waiting()
    load.go.set()
    (value,) = {result() for result in results}
    assert cache.get("k") is value
    assert load.calls == ["k"]
    counters = cache.stats()
    assert (counters.hits, counters.misses, counters.loads) == (1, 16, 1)


def test_threads_that_wait_leave_the_interpreter_to_others() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(len)
    waiters = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(4)]
    assert load.began.wait(10)
    began = time.monotonic()
    assert sum(range(100_000)) > 0
    assert cache.get_or_load("other", len) == 5
    assert time.monotonic() - began < 5
    load.go.set()
    assert [result() for result in waiters] == [1] * 4


def test_a_shared_error_is_one_exception_for_all() -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(lambda _: 1 // 0)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(8)]
    until_waiting()
    load.go.set()
    errors = set()
    for result in results:
        with pytest.raises(ZeroDivisionError) as caught:
            result()
        errors.add(caught.value)
    assert len(errors) == 1
    assert load.calls == ["k"]
    assert cache.get_or_load("k", len) == 1


def test_with_retry_the_next_waiter_loads() -> None:
    cache: Cache[str, int] = Cache(4)

    def act(_: str) -> int:
        if len(load.calls) < 4:
            raise ZeroDivisionError
        return 7

    load = Slow(act)
    results = [in_thread(lambda: cache.get_or_load("k", load, on_error="retry")) for _ in range(8)]
    until_waiting()
    load.go.set()
    ended: list[Any] = []
    for result in results:
        try:
            ended.append(result())
        except ZeroDivisionError:
            ended.append(None)
    assert sorted(ended, key=str) == [7] * 5 + [None] * 3
    assert len(load.calls) == 4


def test_a_loader_that_asks_for_its_own_key_is_refused() -> None:
    cache: Cache[str, int] = Cache(4)
    errors: list[RuntimeError] = []

    def load(key: str) -> int:
        for ask in (
            lambda: cache.get_or_load(key, load),
            lambda: cache.get_or_load_many(["x", key], lambda keys: dict.fromkeys(keys, 0)),
        ):
            with pytest.raises(RuntimeError, match="asked for the key it is loading") as caught:
                ask()
            errors.append(caught.value)
        return 7

    assert cache.get_or_load("k", load) == 7
    assert len(errors) == 2
    assert cache.get_or_load("x", len) == 1


def test_a_loader_may_load_other_keys() -> None:
    cache: Cache[int, int] = Cache(64)

    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        return cache.get_or_load(n - 1, fibonacci) + cache.get_or_load(n - 2, fibonacci)

    assert cache.get_or_load(40, fibonacci) == 102_334_155
    assert cache.stats().loads == 41


@pytest.mark.parametrize("everything", [False, True])
def test_a_load_that_was_overtaken_by_an_invalidation_is_not_kept(*, everything: bool) -> None:
    cache: Cache[str, int] = Cache(4)
    load = Slow(lambda _: 1)
    results = [in_thread(lambda: cache.get_or_load("k", load)) for _ in range(3)]
    assert load.began.wait(10)
    until_waiting()
    if everything:
        cache.invalidate_all()
    else:
        cache.invalidate("k")
    load.go.set()
    assert [result() for result in results] == [1, 1, 1]
    assert "k" not in cache
    assert cache.stats().refused_fills == 1
    assert cache.get_or_load("k", lambda _: 2) == 2
    assert cache.get("k") == 2


def test_nobody_who_asks_after_an_invalidation_gets_the_older_value() -> None:
    cache: Cache[str, str] = Cache(4)
    old, new = Slow(lambda _: "old"), Slow(lambda _: "new")
    before = in_thread(lambda: cache.get_or_load("k", old))
    assert old.began.wait(10)
    cache.invalidate("k")
    after = [in_thread(lambda: cache.get_or_load("k", new)) for _ in range(3)]
    assert new.began.wait(10)
    until_waiting()
    # The older load ends while the newer is under way, and must leave it alone.
    old.go.set()
    assert before() == "old"
    assert "k" not in cache
    after.append(in_thread(lambda: cache.get_or_load("k", new)))
    until_waiting()
    new.go.set()
    assert [result() for result in after] == ["new"] * 4
    assert cache.get("k") == "new"
    assert new.calls == ["k"]


def test_a_value_set_during_a_load_is_not_lost_to_the_next_reader() -> None:
    cache: Cache[str, str] = Cache(4)

    def load(key: str) -> str:
        cache.invalidate(key)
        cache[key] = "written"
        return "loaded"

    assert cache.get_or_load("k", load) == "loaded"
    assert cache.get("k") == "written"


def test_many_loads_only_what_is_missing_and_keeps_the_order_asked_for() -> None:
    cache: Cache[str, int] = Cache(8)
    cache["b"] = 20
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        asked.append(keys)
        return {key: ord(key) for key in reversed(keys)}

    found = cache.get_or_load_many(iter("abca"), load)
    assert list(found.items()) == [("a", 97), ("b", 20), ("c", 99)]
    assert asked == [["a", "c"]]
    assert cache.get_or_load_many("abc", load) == found
    assert len(asked) == 1
    counters = cache.stats()
    assert (counters.hits, counters.misses, counters.loads, counters.fills) == (4, 2, 1, 2)
    assert cache.get_or_load_many([], load) == {}


def test_many_leaves_out_what_the_loader_leaves_out() -> None:
    cache: Cache[str, int] = Cache(8)
    found = cache.get_or_load_many("abc", lambda keys: UserDict({keys[1]: 1, "other": 2}))
    assert found == {"b": 1}
    assert list(cache) == ["b"]


def test_many_refuses_an_answer_that_is_no_mapping() -> None:
    cache: Cache[str, int] = Cache(8)
    with pytest.raises(TypeError):
        cache.get_or_load_many("abc", lambda keys: [1, 2, 3])  # type: ignore[arg-type, return-value]
    assert cache.get_or_load_many("abc", lambda keys: dict.fromkeys(keys, 1)) == dict.fromkeys(
        "abc", 1
    )
    assert cache.stats().failed_loads == 1


def test_many_waits_for_what_others_load_and_they_for_it() -> None:
    cache: Cache[str, str] = Cache(8)
    single = Slow(lambda key: f"single {key}")
    many = Slow(lambda keys: {key: f"many {key}" for key in keys})
    one = in_thread(lambda: cache.get_or_load("b", single))
    assert single.began.wait(10)
    all_three = in_thread(lambda: cache.get_or_load_many("abc", many))
    assert many.began.wait(10)
    other = in_thread(lambda: cache.get_or_load("c", single))
    until_waiting()
    many.go.set()
    assert other() == "many c"
    single.go.set()
    assert one() == "single b"
    assert all_three() == {"a": "many a", "b": "single b", "c": "many c"}
    assert (single.calls, many.calls) == (["b"], [["a", "c"]])


def test_whoever_waits_for_a_key_that_many_left_out_loads_it() -> None:
    cache: Cache[str, int] = Cache(8)
    many = Slow(lambda keys: {})
    nothing = in_thread(lambda: cache.get_or_load_many("ab", many))
    assert many.began.wait(10)
    single = in_thread(lambda: cache.get_or_load("a", ord))
    until_waiting()
    many.go.set()
    assert nothing() == {}
    assert single() == 97


def test_calls_of_many_in_opposite_orders_do_not_wait_for_each_other_for_ever() -> None:
    cache: Cache[int, int] = Cache(512)

    def load(keys: list[int]) -> dict[int, int]:
        time.sleep(0.001)
        return {key: key for key in keys}

    for start in range(0, 400, 20):
        keys = list(range(start, start + 20))
        up = in_thread(lambda keys=keys: cache.get_or_load_many(keys, load))
        down = in_thread(lambda keys=keys: cache.get_or_load_many(keys[::-1], load))
        assert up() == down() == {key: key for key in keys}


def test_an_error_of_many_reaches_every_waiter() -> None:
    cache: Cache[str, int] = Cache(8)
    many = Slow(lambda keys: 1 // 0)
    first = in_thread(lambda: cache.get_or_load_many("ab", many))
    assert many.began.wait(10)
    shared = in_thread(lambda: cache.get_or_load("b", ord))
    retried = in_thread(lambda: cache.get_or_load("a", ord, on_error="retry"))
    again = in_thread(lambda: cache.get_or_load_many("a", lambda keys: {"a": 97}, on_error="retry"))
    until_waiting()
    many.go.set()
    for result in (first, shared):
        with pytest.raises(ZeroDivisionError):
            result()
    assert retried() == 97
    assert again() == {"a": 97}


def test_keys_that_need_each_other_raise_instead_of_waiting_for_ever() -> None:
    cache: Cache[str, str] = Cache(8)
    other: Cache[str, str] = Cache(8)
    both = threading.Barrier(2, timeout=10)

    def load_a(_: str) -> str:
        both.wait()
        return "a" + other.get_or_load("b", load_b)

    def load_b(_: str) -> str:
        both.wait()
        return "b" + cache.get_or_load("a", load_a)

    results = [
        in_thread(lambda: cache.get_or_load("a", load_a)),
        in_thread(lambda: other.get_or_load("b", load_b)),
    ]
    for result in results:
        with pytest.raises(RuntimeError, match="deadlock"):
            result()
    assert cache.get_or_load("a", str) == "a"


def test_a_chain_of_waits_that_is_no_circle_ends_well() -> None:
    cache: Cache[int, int] = Cache(8)
    last = Slow(lambda key: key)

    def load(key: int) -> int:
        return cache.get_or_load(key + 1, load if key < 3 else last) + 1

    results = [in_thread(lambda key=key: cache.get_or_load(key, load)) for key in (3, 2, 1, 0)]
    assert last.began.wait(10)
    until_waiting()
    last.go.set()
    assert [result() for result in results] == [5, 6, 7, 8]
    assert last.calls == [4]


def test_a_value_that_is_too_heavy_is_handed_out_and_not_kept() -> None:
    cache: Cache[str, str] = Cache(10, weigher=lambda _, value: len(value))
    for _ in range(2):
        assert cache.get_or_load("k", lambda _: "x" * 11) == "x" * 11
    assert cache.get_or_load_many("ab", lambda keys: dict(zip(keys, ("x" * 11, "y"), strict=True)))
    assert list(cache) == ["b"]
    assert cache.stats().loads == 3


def test_an_error_of_the_weigher_reaches_the_caller_and_the_waiters_load_themselves() -> None:
    failing = True

    def weigh(_key: str, _value: int) -> int:
        if failing:
            raise ZeroDivisionError
        return 1

    cache: Cache[str, int] = Cache(10, weigher=weigh)
    load = Slow(len)
    first = in_thread(lambda: cache.get_or_load("k", load))
    assert load.began.wait(10)
    second = in_thread(lambda: cache.get_or_load("k", load))
    until_waiting()
    load.go.set()
    with pytest.raises(ZeroDivisionError):
        first()
    with pytest.raises(ZeroDivisionError):
        second()
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load_many("ab", lambda keys: dict.fromkeys(keys, 1))
    failing = False
    assert cache.get_or_load("k", load) == 1
    assert cache.get_or_load_many("ab", lambda keys: dict.fromkeys(keys, 1)) == {"a": 1, "b": 1}
