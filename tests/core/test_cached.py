"""`tl.cached` on functions and methods."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.test_loading import in_thread, until_waiting

import tierline as tl
from tierline.testing import advance_clock

calls: list[Any] = []


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


@tl.cached
def double(x: Any) -> Any:
    """Twice as much."""
    calls.append(x)
    return x * 2


@tl.cached(maxsize=8)
def pair(a: Any, b: Any = 0, *rest: Any, c: Any = 0, **named: Any) -> Any:
    calls.append((a, b, rest, c, named))
    return len(calls)


@pytest.fixture(autouse=True)
def forget_results() -> None:
    double.cache_clear()
    pair.cache_clear()


def test_a_result_is_remembered() -> None:
    assert [double(4), double(4), double("a"), double("a")] == [8, 8, "aa", "aa"]
    assert calls == [4, "a"]


def test_none_is_remembered() -> None:
    @tl.cached
    def nothing(x: int) -> None:
        calls.append(x)

    nothing(1)
    nothing(1)
    assert calls == [1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: pair(1),
        lambda: pair("a"),
        lambda: pair("a", 2),
        lambda: pair(1, 2, 3, 4),
        lambda: pair(1, c=3),
        lambda: pair(1, c=3, d=4),
        lambda: pair(a=1, b=2),
        lambda: pair((1, 2)),
        lambda: pair(None),
        lambda: pair(b"bytes"),
        lambda: pair(1.5),
        lambda: pair(True),
        lambda: pair(*(1, 2), c=3),
    ],
)
def test_every_way_to_pass_arguments_is_remembered(call: Callable[[], int]) -> None:
    assert call() == call() == 1
    assert len(calls) == 1
    assert pair.cache_info() == (1, 1, 8, 1)


def test_calls_that_differ_are_told_apart() -> None:
    different: list[Callable[[], int]] = [
        lambda: pair(1, 2),
        lambda: pair((1, 2)),
        lambda: pair(((1, 2),)),
        lambda: pair(1, b=2),
        lambda: pair(1, "b", 2),
        lambda: pair(a=1, b=2),
        lambda: pair("ab"),
        lambda: pair("a", "b"),
    ]
    results = [call() for call in different]
    assert results == list(range(1, 9))
    assert [call() for call in different] == results


def test_equal_arguments_are_the_same_as_in_a_dict() -> None:
    assert pair(1, 2.0) == pair(1.0, 2) == pair(True, 2)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "call", [lambda: double([]), lambda: pair(1, {}), lambda: pair(1, c=set()), lambda: pair([1])]
)
def test_unhashable_arguments_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        call()
    assert calls == []


def test_wrong_arguments_raise_what_the_function_raises() -> None:
    for call in (
        double,
        lambda: double(1, 2),  # type: ignore[call-arg]
        lambda: double(y=1),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match="double"):
            call()
    assert double.cache_info().currsize == 0


def test_an_exception_is_not_remembered() -> None:
    @tl.cached
    def fail(x: int) -> float:
        calls.append(x)
        return 1 / x

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail(0)
    assert calls == [0, 0]
    assert fail(1) == 1.0
    stats = fail.cache_info().stats
    assert (stats.loads, stats.failed_loads) == (3, 2)


def test_info_is_that_of_lru_cache_and_more() -> None:
    @functools.lru_cache(maxsize=2)
    def theirs(x: int) -> int:
        return x

    @tl.cached(maxsize=2)
    def ours(x: int) -> int:
        return x

    for x in (1, 2, 1, 3, 1, 1):
        assert ours(x) == theirs(x)
    assert tuple(ours.cache_info()) == tuple(theirs.cache_info())
    assert ours.cache_info()._fields == theirs.cache_info()._fields
    hits, misses, maxsize, currsize = ours.cache_info()
    assert (hits, misses, maxsize, currsize) == (3, 3, 2, 2)
    assert ours.cache_info().stats.loads == 3
    ours.cache_clear()
    theirs.cache_clear()
    assert tuple(ours.cache_info()) == tuple(theirs.cache_info()) == (0, 0, 2, 0)
    assert ours.cache_info().stats.loads == 3


def test_a_result_can_be_forgotten_alone() -> None:
    assert double(1) == 2
    assert double(2) == 4
    assert double.cache_invalidate(1) is True
    assert double.cache_invalidate(1) is False
    double(1)
    double(2)
    assert calls == [1, 2, 1]
    pair(1, c=2)
    assert pair.cache_invalidate(1, c=2) is True
    with pytest.raises(TypeError, match="unhashable"):
        double.cache_invalidate([])


def test_results_live_as_long_as_asked() -> None:
    @tl.cached(ttl_s=60)
    def short(x: int) -> int:
        calls.append(x)
        return x

    short(1)
    short(1)
    advance_clock(61)
    short(1)
    assert calls == [1, 1]


def test_a_key_function_makes_the_key() -> None:
    @tl.cached(key=lambda request, *, verbose=False: request["id"])
    def handle(request: dict[str, int], *, verbose: bool = False) -> int:
        calls.append(request)
        return request["id"]

    assert handle({"id": 1}) == handle({"id": 1, "other": 2}, verbose=True) == 1
    assert len(calls) == 1
    assert handle.cache_invalidate({"id": 1}) is True
    with pytest.raises(KeyError):
        handle({})
    with pytest.raises(TypeError):
        handle()  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", [{"maxsize": -1}, {"ttl_s": 0}])
def test_bounds_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"maxsize|ttl_s"):
        tl.cached(**wrong)(len)


def test_only_callables_can_be_decorated() -> None:
    with pytest.raises(TypeError, match="callable"):
        tl.cached(7)  # type: ignore[call-overload]


def test_it_looks_like_the_function() -> None:
    assert double.__name__ == "double"  # type: ignore[attr-defined]
    assert double.__doc__ == "Twice as much."
    assert double.__module__ == __name__
    assert double.__qualname__ == "double"  # type: ignore[attr-defined]
    assert inspect.get_annotations(double) == {"x": "Any", "return": "Any"}
    assert list(inspect.signature(double).parameters) == ["x"]
    assert double.__wrapped__(3) == 6
    assert "double" in repr(double)
    double.note = "mine"  # type: ignore[attr-defined]
    assert double.note == "mine"  # type: ignore[attr-defined]
    assert callable(double)
    assert double.__call__(5) == 10
    assert weakref.ref(double)() is double


def test_it_copies_and_pickles_by_name_as_functions_do() -> None:
    assert copy.copy(double) is copy.deepcopy(double) is double
    assert copy.deepcopy([double]) == [double]
    assert pickle.dumps(double).endswith(b"double\x94\x93\x94.")


def test_builtins_and_callables_can_be_cached() -> None:
    length = tl.cached(len)
    assert length("abc") == length("abc") == 3
    bound = tl.cached("a-b".split)
    assert bound("-") is bound("-")

    class Adder:
        def __call__(self, x: int) -> int:
            calls.append(x)
            return x + 1

    add = tl.cached(Adder())
    assert add(1) == add(1) == 2
    assert calls == [1]


class Account:
    def __init__(self, number: int) -> None:
        self.number = number

    @tl.cached
    def balance(self, day: int = 0) -> int:
        """The balance."""
        calls.append((self.number, day))
        return self.number + day

    @classmethod
    @tl.cached
    def count(cls, day: int) -> int:
        calls.append((cls, day))
        return day

    @staticmethod
    @tl.cached
    def fee(day: int) -> int:
        calls.append(day)
        return day


def test_methods_remember_by_instance() -> None:
    one, two = Account(100), Account(200)
    for _ in range(2):
        assert (one.balance(), one.balance(1), two.balance(1), one.balance(day=2)) == (
            100, 101, 201, 102,
        )  # fmt: skip
    assert calls == [(100, 0), (100, 1), (200, 1), (100, 2)]
    assert Account.balance(one, 1) == 101
    bound = one.balance
    assert bound(1) == 101
    assert inspect.ismethod(bound)
    assert bound.__self__ is one
    assert bound.__doc__ == "The balance."
    assert bound.cache_info().hits == 6
    assert Account.balance.cache_invalidate(one, 1) is True
    assert len(calls) == 4
    Account.balance.cache_clear()


def test_class_and_static_methods_remember() -> None:
    class Other(Account):
        pass

    assert [Account.count(1), Account(1).count(1), Other.count(1)] == [1, 1, 1]
    assert [Account.fee(2), Account(2).fee(2)] == [2, 2]
    assert calls == [(Account, 1), (Other, 1), 2]


def test_instances_may_define_equality() -> None:
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

        def __hash__(self) -> int:
            return hash(self.x)

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Point) and self.x == other.x

        @tl.cached
        def norm(self) -> int:
            calls.append(self.x)
            return abs(self.x)

    assert Point(-3).norm() == Point(-3).norm() == 3
    assert calls == [-3]


def test_a_recursive_function_remembers_its_steps() -> None:
    @tl.cached
    def fibonacci(n: int) -> int:
        calls.append(n)
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(80) == 23_416_728_348_467_685
    assert len(calls) == 81


def test_a_function_that_needs_its_own_result_is_told() -> None:
    @tl.cached
    def circular(x: int) -> int:
        return circular(x) + 1

    with pytest.raises(RuntimeError, match="asked for the key it is loading"):
        circular(1)


def test_threads_share_one_call() -> None:
    go = threading.Event()

    @tl.cached
    def slow(x: int) -> object:
        calls.append(x)
        assert go.wait(10)
        return object()

    results = [in_thread(lambda: slow(1)) for _ in range(16)]
    until_waiting()
    go.set()
    assert len({id(result()) for result in results}) == 1
    assert calls == [1]


def test_an_invalidation_during_a_call_is_not_lost() -> None:
    began, go = threading.Event(), threading.Event()

    @tl.cached
    def slow(x: int) -> int:
        calls.append(x)
        began.set()
        assert go.wait(10)
        return len(calls)

    for forget in (lambda: slow.cache_invalidate(1), slow.cache_clear):
        calls.clear()
        began.clear()
        go.clear()
        first = in_thread(lambda: slow(1))
        assert began.wait(10)
        forget()
        go.set()
        assert first() == 1
        assert slow(1) == 2
        assert slow(1) == 2
        slow.cache_clear()


def test_hits_leave_nothing_behind() -> None:
    result, argument = object(), str(10**20)

    @tl.cached
    def fetch(x: str) -> object:
        return result

    fetch(argument)
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        for _ in range(1_000):
            fetch(argument)
        assert abs(sys.getallocatedblocks() - before) < 20
    finally:
        gc.enable()
    held = sys.getrefcount(argument), sys.getrefcount(result)
    for _ in range(1_000):
        fetch(argument)
        pair(argument, result)
    pair.cache_clear()
    calls.clear()
    assert (sys.getrefcount(argument), sys.getrefcount(result)) == held


def test_cycles_through_a_cached_function_are_freed() -> None:
    class Owner:
        @functools.cached_property
        def fetch(self) -> Any:
            @tl.cached
            def fetch(x: int) -> Any:
                return self, fetch, x

            return fetch

    gc.disable()
    try:
        owner = Owner()
        owner.fetch(1)
        dead = weakref.ref(owner), weakref.ref(owner.fetch)
        del owner
        gc.collect()
        assert [reference() for reference in dead] == [None, None]
    finally:
        gc.enable()
