"""`store.cache` without Redis: keys that are never taken for each other, types, tags and loads."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.cache.application import ApplicationCache
from tierline.cache.application_keys import l1_key, l2_key, space_beginning, tag_name
from tierline.cache.cached_functions import stored_function
from tierline.testing import advance_clock


class Seat(msgspec.Struct, frozen=True):
    row: int
    letter: str


@pytest.fixture
def cache() -> ApplicationCache:
    return ApplicationCache(None)


# Keys

_PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=3),
    st.binary(max_size=2),
    st.decimals(allow_nan=False, allow_infinity=False, places=1),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
)
KEYS: Any = st.recursive(_PARTS, lambda keys: st.lists(keys, max_size=3).map(tuple), max_leaves=4)

LOOKALIKES: list[Any] = [
    1, True, 1.0, "1", Decimal(1), b"1", ("1",), (1,), (True,), (1.0,), ((1,),), 0, False, 0.0,
    -0.0, "", b"", (), None, (None,), "None", "null", "[1]", '["1"]', b"31", Decimal("1.0"),
    dt.date(2013, 1, 1), dt.datetime(2013, 1, 1, tzinfo=dt.UTC), "2013-01-01", UUID(int=0),
    str(UUID(int=0)), ("a", "b"), ("ab",), ("a,b",), ("a", ("b",)), (("a",), "b"),
    '{"bytes":"31"}',
]  # fmt: skip


def shown(key: Any) -> str:
    return f"{type(key).__name__} {key!r}"


def parts(key: Any) -> Any:
    return tuple(map(parts, key)) if type(key) is tuple else shown(key)


def test_keys_that_look_alike_have_names_of_their_own() -> None:
    for encode in (l1_key, lambda key: l2_key("s", key)):
        names = [encode(key) for key in LOOKALIKES]
        assert len(set(names)) == len({repr(parts(key)) for key in LOOKALIKES})


@given(st.tuples(st.text(max_size=3), KEYS), st.tuples(st.text(max_size=3), KEYS))
def test_two_keys_have_one_name_only_if_they_are_one(
    one: tuple[str, Any], other: tuple[str, Any]
) -> None:
    same = (one[0], parts(one[1])) == (other[0], parts(other[1]))
    assert (l2_key(*one) == l2_key(*other)) == same
    assert (l1_key(one[1]) == l1_key(other[1])) == (parts(one[1]) == parts(other[1]))


@given(st.text(max_size=4), st.text(max_size=4), KEYS)
def test_a_space_begins_as_no_other_does(one: str, other: str, key: Any) -> None:
    name = l2_key(other, key)
    assert name is not None
    assert name.startswith(space_beginning(one)) == (one == other)
    assert not (tag_name(one) or "").startswith(space_beginning(other))


def test_half_a_letter_is_a_key_of_l1_only(cache: ApplicationCache) -> None:
    for key in ("\ud800", ("\ud800",), ("\ud801",)):
        assert l2_key("s", key) is None
        cache.put(key, repr(key))
        assert cache.get(key, str) == repr(key)


@pytest.mark.parametrize("key", [[1], {"a": 1}, object(), Seat(1, "A"), ("a", [1])])
def test_what_is_no_key_is_a_type_error_that_says_what_is(
    cache: ApplicationCache, key: Any
) -> None:
    for verb in (lambda: cache.get(key, int), lambda: cache.put(key, 1)):
        with pytest.raises(TypeError, match="no key of a cache: write a str"):
            verb()


# Spaces


def test_a_space_keeps_values_of_its_type(cache: ApplicationCache) -> None:
    seats = cache.space("seats", Seat, ttl_s=60)
    assert seats.get(("UA1", 1)) is None
    seats.put(("UA1", 1), Seat(1, "A"))
    assert seats.get(("UA1", 1)) == Seat(1, "A")
    with pytest.raises(TypeError, match="space 'seats' keeps Seat, not str"):
        seats.put(1, "A")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="space 'seats' keeps Seat, not int"):
        seats.get_or_load(1, lambda n: n)  # type: ignore[arg-type, return-value]
    assert seats.get(1) is None


def test_spaces_of_different_names_do_not_meet(cache: ApplicationCache) -> None:
    one, other = (cache.space(name, int, ttl_s=60) for name in ("one", "other"))
    one.put("k", 1)
    cache.put("k", 3)
    assert (one.get("k"), other.get("k"), cache.get("k", int)) == (1, None, 3)
    one.clear()
    assert (one.get("k"), cache.get("k", int)) == (None, 3)


def test_a_name_is_one_space(cache: ApplicationCache) -> None:
    cache.space("n", int, ttl_s=60).put("k", 1)
    assert cache.space("n", int, ttl_s=60).get("k") == 1
    for into, ttl_s, entries in ((str, 60, 10_000), (int, 61, 10_000), (int, 60, 1)):
        with pytest.raises(ValueError, match="is one of int with ttl_s=60"):
            cache.space("n", into, ttl_s=ttl_s, max_entries=entries)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ttl_s": 0}, "ttl_s must be at least"),
        ({"ttl_s": 1, "max_entries": 0}, "max_entries must"),
    ],
)
def test_a_space_refuses_what_is_out_of_range(
    cache: ApplicationCache, options: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        cache.space("n", int, **options)
    with pytest.raises(ValueError, match="a space has a name"):
        cache.space("", int, ttl_s=1)


def test_an_int_is_a_float_as_type_checkers_say(cache: ApplicationCache) -> None:
    rates = cache.space("rates", float, ttl_s=60)
    rates.put("EUR", 1)
    assert rates.get("EUR") == 1


def test_a_read_asks_for_a_type(cache: ApplicationCache) -> None:
    cache.put("k", [1, 2])
    assert cache.get("k", list[int]) == [1, 2]
    assert cache.get("k", list[str]) is None
    assert cache.get("k", str) is None
    assert cache.get_or_load("k", str, lambda key: key * 2) == "kk"
    assert (cache.get("k", str), cache.get("k", list[int])) == ("kk", None)


def test_a_value_goes_with_its_time(cache: ApplicationCache) -> None:
    space = cache.space("s", int, ttl_s=60)
    space.put("short", 1, ttl_s=5)
    space.put("long", 1, ttl_s=600)
    space.put("own", 1)
    advance_clock(10)
    assert [space.get(key) for key in ("short", "own", "long")] == [None, 1, 1]
    advance_clock(60)
    assert [space.get(key) for key in ("short", "own", "long")] == [None, None, 1]


def test_threads_that_ask_at_once_share_one_load(cache: ApplicationCache) -> None:
    space = cache.space("s", int, ttl_s=60)
    begun, go, calls = threading.Event(), threading.Event(), []

    def load(key: str) -> int:
        calls.append(key)
        begun.set()
        assert go.wait(20)
        return len(key)

    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(space.get_or_load("abc", load)))
        for _ in range(4)
    ]
    threads[0].start()
    assert begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(20)
    assert answers == [3] * 4
    assert calls == ["abc"]


@pytest.mark.parametrize("forget", ["key", "tag", "space", "put"])
def test_what_is_forgotten_during_a_load_is_not_kept(cache: ApplicationCache, forget: str) -> None:
    space = cache.space("s", int, ttl_s=60)

    def load(_: str) -> int:
        match forget:
            case "key":
                space.invalidate("k")
            case "tag":
                cache.invalidate_tag("t")
            case "space":
                space.clear()
            case _:
                space.put("k", 2)
        return 1

    assert space.get_or_load("k", load, tags=["t"]) == 1
    assert space.get("k") == (2 if forget == "put" else None)


def test_a_failure_is_handed_out_and_not_kept(cache: ApplicationCache) -> None:
    space = cache.space("s", int, ttl_s=60)
    missing: tl.Failure[tl.NotFoundError] = tl.Failure(tl.NotFoundError("none"))
    answers: list[tl.Result[int, tl.NotFoundError]] = [missing, tl.Success(1)]
    loader = lambda _: answers.pop(0)
    assert space.get_or_fetch("k", loader) is missing
    assert space.get_or_fetch("k", loader) == tl.Success(1)
    assert space.get_or_fetch("k", loader) == tl.Success(1)
    assert cache.get_or_fetch("k", int, lambda _: missing) is missing


def test_what_a_loader_raises_is_raised_and_not_kept(cache: ApplicationCache) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", float, lambda _: 1 / 0)
    assert cache.get_or_load("k", float, lambda _: 0.5) == 0.5


def test_a_tag_reaches_every_space(cache: ApplicationCache) -> None:
    space = cache.space("s", int, ttl_s=60)
    space.put("a", 1, tags=["x", "y"])
    space.put("b", 1, tags=["y"])
    cache.put("c", 1, tags=["x"])
    cache.invalidate_tag("x")
    assert (space.get("a"), space.get("b"), cache.get("c", int)) == (None, 1, None)


@pytest.mark.parametrize(("tags", "says"), [("x", "several texts"), ([1], "a tag is a str")])
def test_what_are_no_tags_is_a_type_error(cache: ApplicationCache, tags: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        cache.put("k", 1, tags=tags)


def test_statistics_are_by_space(cache: ApplicationCache) -> None:
    assert cache.stats() == {}
    cache.space("unused", int, ttl_s=60)
    space = cache.space("s", int, ttl_s=60)
    space.get("k")
    space.put("k", 1)
    space.get("k")
    (stats,) = cache.stats().values()
    assert (stats.hits, stats.misses, stats.entries) == (1, 1, 1)
    assert repr(space) == "<CacheSpace 's' of int>"
    assert repr(cache) == "<ApplicationCache: unused, s>"


# Functions


def remembering(cache: ApplicationCache, function: Any, **options: Any) -> Any:
    given: dict[str, Any] = {"ttl_s": 60, "key": None, "tags": (), "max_entries": 10}
    return stored_function(cache, function, **(given | options))


def test_a_function_is_called_once_for_the_same_arguments(cache: ApplicationCache) -> None:
    calls: list[Any] = []

    def f(a: Any, *, b: Any = 0) -> list[str]:
        calls.append((a, b))
        return [repr((a, b))]

    kept = remembering(cache, f)
    for arguments in (1, True, 1.0, "1", (1,), None):
        assert kept(arguments) is kept(arguments)
        assert kept(arguments, b=2) == kept(arguments, b=2) == [repr((arguments, 2))]
    assert len(calls) == 12
    info = kept.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize) == (12, 12, 10, 10)
    kept.cache_clear()
    assert kept.cache_info()[:2] == (0, 0)
    kept(1)
    assert len(calls) == 13
    assert kept.__wrapped__ is f
    assert kept.__name__ == "f"


def test_positional_and_named_arguments_do_not_collide(cache: ApplicationCache) -> None:
    kept = remembering(cache, _shown)
    assert kept((1,), (("x", 2),)) != kept(1, x=2) != kept(1, ("x", 2))
    assert kept(1, 2) != kept((1, 2))
    assert kept() != kept(())


def _shown(*args: Any, **kwargs: Any) -> str:
    return repr((args, kwargs))


def test_one_result_is_forgotten(cache: ApplicationCache) -> None:
    calls: list[int] = []

    def f(n: int) -> int:
        calls.append(n)
        return n

    kept = remembering(cache, f)
    assert (kept(1), kept(2)) == (1, 2)
    assert kept.cache_invalidate(1) is True
    assert kept.cache_invalidate(1) is False
    assert (kept(1), kept(2)) == (1, 2)
    assert calls == [1, 2, 1]


def test_keys_and_tags_are_made_of_the_arguments(cache: ApplicationCache) -> None:
    calls: list[str] = []

    def f(request: dict[str, str]) -> str:
        calls.append(request["id"])
        return request["id"]

    kept = remembering(cache, f, key=lambda r: r["id"], tags=lambda r: [f"id:{r['id']}"])
    kept({"id": "a", "at": "1"})
    kept({"id": "a", "at": "2"})
    cache.invalidate_tag("id:b")
    kept({"id": "a"})
    assert calls == ["a"]
    cache.invalidate_tag("id:a")
    kept({"id": "a"})
    assert calls == ["a", "a"]


def test_a_method_needs_a_key(cache: ApplicationCache) -> None:
    class Airport:
        def __init__(self, code: str) -> None:
            self.code = code

        def name(self) -> str:
            return f"airport {self.code}"

    kept = remembering(cache, Airport.name)
    with pytest.raises(TypeError, match="a cached function takes key="):
        kept(Airport("JFK"))
    Airport.name = remembering(cache, Airport.__dict__["name"], key=lambda self: self.code)  # type: ignore[method-assign]
    assert Airport("JFK").name() == "airport JFK"
    assert Airport("LGA").name() == "airport LGA"


def test_only_the_success_of_a_result_is_kept(cache: ApplicationCache) -> None:
    answers = [tl.Failure(tl.NotFoundError("none")), tl.Success(1), tl.Success(2)]

    def f() -> tl.Result[int, tl.NotFoundError]:
        return answers.pop(0)

    kept = remembering(cache, f)
    assert isinstance(kept(), tl.Failure)
    assert kept() == kept() == tl.Success(1)


def test_a_function_that_is_defined_anew_does_not_answer_with_the_old_results(
    cache: ApplicationCache,
) -> None:
    def defined(answer: int) -> Any:
        def f() -> int:
            return answer

        return remembering(cache, f)

    assert defined(1)() == 1
    assert defined(2)() == 2


def test_what_cannot_be_kept_so_is_refused_when_it_is_decorated(cache: ApplicationCache) -> None:
    async def coroutine() -> int:
        return 1

    def bare(n):  # type: ignore[no-untyped-def]
        return n

    with pytest.raises(TypeError, match=r"is a coroutine function.*tl\.cached"):
        remembering(cache, coroutine)
    with pytest.raises(TypeError, match="does not say what it returns: annotate it"):
        remembering(cache, bare)
    with pytest.raises(ValueError, match="ttl_s must be at least"):
        remembering(cache, _shown, ttl_s=0)
    with pytest.raises(TypeError, match="several texts"):
        remembering(cache, _shown, tags="x")
