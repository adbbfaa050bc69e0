"""The listener: told of each value that leaves, of why, once, when nothing is locked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tierline._core import Cache, advance_clock

Told = list[tuple[Any, Any, str]]


def listened(maxsize: int = 8, **options: Any) -> tuple[Cache[Any, Any], Told]:
    """A cache and what its listener is told."""
    told: Told = []

    def listen(key: Any, value: Any, cause: str) -> None:
        told.append((key, value, cause))

    options.setdefault("policy", "lru")
    return Cache(maxsize, listener=listen, **options), told


def raising(call: Callable[[Cache[Any, Any]], Any]) -> Callable[[Cache[Any, Any]], None]:
    def checked(cache: Cache[Any, Any]) -> None:
        with pytest.raises(KeyError):
            call(cache)

    return checked


def test_what_makes_room_leaves_for_capacity() -> None:
    cache, told = listened(2)
    for key in "abcd":
        cache[key] = ord(key)
    assert told == [("a", 97, "capacity"), ("b", 98, "capacity")]


def test_several_make_room_for_a_heavy_one_in_the_order_in_which_they_go() -> None:
    cache, told = listened(10, getsizeof=lambda value: value)
    for key in "abc":
        cache[key] = 3
    cache["d"] = 7
    assert told == [("a", 3, "capacity"), ("b", 3, "capacity")]
    cache["c"] = 9
    assert told[2:] == [("d", 7, "capacity"), ("c", 3, "replaced")]


def test_a_value_that_another_is_stored_in_place_of_is_replaced() -> None:
    cache, told = listened()
    first = ("k", 1)
    cache[first] = 1
    cache[("k", 1)] = 2
    cache.set(("k", 1), 3, ttl_s=100)
    assert cache.fill(("k", 1), 4, cache.begin(("k", 1)))
    cache.update({first: 5})
    cache.set_absent(first, ttl_s=100)
    assert told == [(first, value, "replaced") for value in (1, 2, 3, 4, 5)]


def test_an_ended_entry_is_expired_whoever_finds_it() -> None:
    finders: dict[str, Callable[[Cache[Any, Any]], Any]] = {
        "get": lambda cache: cache.get("get"),
        "[]": raising(lambda cache: cache["[]"]),
        "pop": lambda cache: cache.pop("pop", None),
        "del": raising(lambda cache: cache.__delitem__("del")),
        "set": lambda cache: cache.set("set", 2),
        "invalidate": lambda cache: cache.invalidate("invalidate"),
        "get_many": lambda cache: cache.get_many(["get_many"]),
        "get_or_load": lambda cache: cache.get_or_load("get_or_load", len),
        "setdefault": lambda cache: cache.setdefault("setdefault", 2),
        "reader": lambda cache: cache.reader(len)("reader"),
        "expire": lambda cache: cache.expire(),
    }
    for name, find in finders.items():
        cache, told = listened(ttl_s=100)
        cache[name] = 1
        advance_clock(200)
        find(cache)
        assert told == [(name, 1, "expired")]


def test_an_ended_entry_is_expired_even_if_it_leaves_to_make_room() -> None:
    cache, told = listened(2, ttl_s=100)
    cache["a"] = 1
    cache.set("b", 2, ttl_s=1_000)
    advance_clock(200)
    cache["c"] = 3
    cache["d"] = 4
    assert told == [("a", 1, "expired"), ("b", 2, "capacity")]


def test_entries_whose_data_changed_are_invalidated() -> None:
    cache, told = listened()
    cache.update(zip("abcdef", range(6), strict=True))
    assert cache.invalidate("a")
    assert not cache.invalidate("never there")
    assert cache.invalidate_many("bx") == 1
    del cache["c"]
    cache.announce("d", 7)
    cache.invalidate_all()
    assert told == [(key, value, "invalidated") for value, key in enumerate("abcdef")]


def test_emptying_tells_of_every_entry() -> None:
    cache, told = listened()
    cache.update(a=1, b=2)
    cache.clear()
    assert sorted(told) == [("a", 1, "cleared"), ("b", 2, "cleared")]
    cache.clear()
    assert len(told) == 2


def test_what_the_caller_gets_is_no_news() -> None:
    cache, told = listened()
    cache.update(a=1, b=2, c=3)
    assert cache.pop("a") == 1
    assert cache.popitem() == ("b", 2)
    cache.get("c")
    cache.touch("c")
    assert cache.copy() == {"c": 3}
    assert told == []


def test_what_was_never_stored_does_not_leave() -> None:
    cache, told = listened(10, getsizeof=lambda value: value)
    with pytest.raises(ValueError, match="value too large"):
        cache["a"] = 11
    assert cache.setdefault("a", 11) == 11
    assert cache.get_or_load("a", lambda _: 11) == 11
    token = cache.begin("a")
    cache.invalidate("a")
    assert not cache.fill("a", 1, token)
    assert told == []


def test_a_value_that_one_too_large_displaced_is_told() -> None:
    cache, told = listened(10, getsizeof=lambda value: value)
    cache["a"] = 1
    with pytest.raises(ValueError, match="value too large"):
        cache["a"] = 11
    assert "a" not in cache
    assert told == [("a", 1, "replaced")]


def test_absence_is_not_told() -> None:
    cache, told = listened(2, negative_ttl_s=100)
    cache.set_absent("a")
    cache["a"] = 1
    for key in "bcd":
        cache.set_absent(key)
    cache.invalidate("d")
    advance_clock(200)
    assert cache.expire() == []
    cache.set_absent("e")
    cache.clear()
    assert told == [("a", 1, "capacity")]


def test_stale_values_are_told_when_they_are_replaced_or_end() -> None:
    cache, told = listened(ttl_s=100, stale_if_error_s=1_000)
    cache.update(a=1, b=2)
    advance_clock(200)
    assert told == []
    assert cache.get_or_load("a", lambda _: 3) == 3
    advance_clock(1_000)
    assert cache.expire() == [("b", 2)]
    assert told == [("a", 1, "replaced"), ("b", 2, "expired")]


def test_an_error_of_the_listener_is_reported_and_changes_nothing(
    unraisable: list[BaseException],
) -> None:
    told: Told = []

    def listen(key: Any, value: Any, cause: str) -> None:
        told.append((key, value, cause))
        raise ZeroDivisionError

    cache: Cache[str, int] = Cache(2, listener=listen, policy="lru")
    for value, key in enumerate("aabcd"):
        cache[key] = value
    assert cache.get_or_load("e", len) == 1
    assert cache.invalidate("e")
    cache.clear()
    causes = ["replaced", *["capacity"] * 3, "invalidated", "cleared"]
    assert [cause for *_, cause in told] == causes
    assert [type(error) for error in unraisable] == [ZeroDivisionError] * 6


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_raised_after_everything_is_done(
    error: type[BaseException], unraisable: list[BaseException]
) -> None:
    told: Told = []

    def listen(key: Any, value: Any, cause: str) -> None:
        told.append((key, value, cause))
        raise error

    def fresh() -> Cache[str, int]:
        told.clear()
        cache: Cache[str, int] = Cache(2, listener=listen, policy="lru", negative_ttl_s=1)
        cache.set_many({"a": 1, "b": 2})
        return cache

    acts: list[tuple[Callable[[Cache[str, int]], Any], list[str], dict[str, int]]] = [
        (lambda cache: cache.set("c", 3), ["a"], {"b": 2, "c": 3}),
        (lambda cache: cache.__setitem__("a", 3), ["a"], {"b": 2, "a": 3}),
        (lambda cache: cache.__delitem__("a"), ["a"], {"b": 2}),
        (lambda cache: cache.setdefault("c", 3), ["a"], {"b": 2, "c": 3}),
        (lambda cache: cache.fill("c", 3, cache.begin("c")), ["a"], {"b": 2, "c": 3}),
        (lambda cache: cache.get_or_load("c", ord), ["a"], {"b": 2, "c": 99}),
        (lambda cache: cache.get_or_load_many("c", lambda _: {"c": 3}), ["a"], {"b": 2, "c": 3}),
        (lambda cache: cache.invalidate("a"), ["a"], {"b": 2}),
        (lambda cache: cache.announce("a", 7), ["a"], {"b": 2}),
        (lambda cache: cache.set_absent("a"), ["a"], {"b": 2}),
        # Of every entry, though the first of them raises.
        (lambda cache: cache.announce_all(7), ["a", "b"], {}),
        (lambda cache: cache.invalidate_all(), ["a", "b"], {}),
        (lambda cache: cache.clear(), ["a", "b"], {}),
    ]
    for act, left, held in acts:
        cache = fresh()
        with pytest.raises(error):
            act(cache)
        assert sorted(key for key, *_ in told) == left
        assert dict(cache.items()) == held
    cache = fresh()
    cache.touch("a", ttl_s=100)
    advance_clock(200)
    with pytest.raises(error):
        cache.get("a")
    assert "a" not in cache
    # A load that ended so is over, for its own thread too.
    cache = fresh()
    with pytest.raises(error):
        cache.get_or_load("c", ord)
    assert cache.pop("c") == 99
    assert cache.get_or_load("c", len) == 1
    assert unraisable == []


def test_it_is_told_by_the_thread_that_made_the_entry_leave() -> None:
    threads: list[threading.Thread] = []
    cache: Cache[str, int] = Cache(
        8, listener=lambda *_: threads.append(threading.current_thread())
    )
    cache.update(a=1, b=2)
    cache.invalidate("a")
    other = threading.Thread(target=cache.clear)
    other.start()
    other.join(10)
    assert threads == [threading.current_thread(), other]


def test_it_finds_the_cache_as_it_is_afterwards() -> None:
    seen: list[Any] = []
    cache: Cache[str, int] = Cache(
        2,
        policy="lru",
        listener=lambda key, value, cause: seen.append((cause, key in cache, sorted(cache))),
    )
    cache.update(a=1, b=2)
    cache["c"] = 3
    cache["c"] = 4
    cache.invalidate("b")
    cache.clear()
    assert seen == [
        ("capacity", False, ["b", "c"]),
        ("replaced", True, ["b", "c"]),
        ("invalidated", False, ["c"]),
        ("cleared", False, []),
    ]


def test_it_may_use_the_cache_that_tells_it() -> None:
    told: Told = []

    def listen(key: int, value: int, cause: str) -> None:
        told.append((key, value, cause))
        # Gives what had to go another chance, once.
        if cause == "capacity" and value > 0:
            cache[key] = value - 1

    cache: Cache[int, int] = Cache(2, policy="lru", listener=listen)
    for key in range(4):
        cache[key] = 1
    assert told[0] == (0, 1, "capacity")
    assert len(cache) == 2
    told.clear()
    cache.clear()
    assert (len(cache), len(told)) == (0, 2)


def test_a_listener_must_be_callable() -> None:
    with pytest.raises(TypeError, match="listener must be callable"):
        Cache(1, listener=7)  # type: ignore[arg-type]


def test_a_copy_tells_the_same_listener_and_copying_tells_nothing() -> None:
    cache, told = listened(2)
    cache.update(a=1, b=2)
    copy = cache.copy()
    assert told == []
    copy["c"] = 3
    assert told == [("a", 1, "capacity")]
