"""Where two things that the cache does meet: absence and tags, a listener and counters, others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

import tierline as tl
from tierline._core import Cache, advance_clock


def absent_if(cache: Cache[str, int], *, overtaken: bool) -> None:
    """Load nothing under "a" with a tag, which is invalidated meanwhile or not."""

    def load(_: str) -> int:
        if overtaken:
            cache.invalidate_tag("t")
        raise KeyError

    with pytest.raises(KeyError):
        cache.get_or_load("a", load, tags=["t"])


def absent_of_many_if(cache: Cache[str, int], *, overtaken: bool) -> None:
    def load(_: list[str]) -> dict[str, int]:
        if overtaken:
            cache.invalidate_tag("t")
        return {}

    assert cache.get_or_load_many(["a"], load, tags=["t"]) == {}


@pytest.mark.parametrize("load", [absent_if, absent_of_many_if])
def test_remembered_absence_has_the_tags_of_its_load(load: Any) -> None:
    cache: Cache[str, int] = Cache(10, negative_ttl_s=100)
    load(cache, overtaken=True)
    assert cache.stats().refused_fills == 1
    load(cache, overtaken=False)
    with pytest.raises(KeyError):
        cache.get_or_load("a", ord)
    cache.invalidate_tag("t")
    assert cache.get_or_load("a", ord) == 97


ENDING = """
import sys, threading, time
from tierline import Cache

class Slow:
    '''Takes long for what {method} names; the interpreter ends meanwhile, and takes longer.'''
    def __init__(self, last=False):
        self.last = last
    def __hash__(self):
        return self.pause("hash", 1)
    def __eq__(self, other):
        return self.pause("eq", False)
    def __del__(self, sleep=time.sleep):
        if self.last:
            sleep(0.6)
        else:
            self.pause("del", None)
    def pause(self, name, answer, sleep=time.sleep):
        if armed and name == "{method}":
            begun.set()
            sleep(0.3)
        return answer

armed, begun = False, threading.Event()
sys.last_to_go = Slow(last=True)
cache = Cache(10)
cache["value"] = Slow()
cache[Slow()] = 1
armed = True
threading.Thread(target=lambda: {act}, daemon=True).start()
begun.wait()
"""


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("hash", "cache.get(Slow())"),
        ("eq", "cache.get(Slow())"),
        ("del", "cache.set('value', 2)"),
        ("del", "cache.clear()"),
    ],
)
def test_the_interpreter_ends_while_an_objects_own_code_runs(method: str, act: str) -> None:
    code = ENDING.format(method=method, act=act)
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (child.returncode, child.stderr) == (0, "")


def test_a_cache_works_for_what_goes_last_when_the_interpreter_ends() -> None:
    code = """
import os, sys
import tierline as tl

cache = tl.Cache(10, weigher=lambda key, value: 1)
cached = tl.cached(len)

class Last:
    def __del__(self, cache=cache, cached=cached, write=os.write):
        cache["a"] = cached("abc")
        try:
            cache[[]] = 1
        except TypeError:
            pass
        write(1, str(cache["a"]).encode())

sys.last_to_go = Last()
"""
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "3", "")


def test_ctrl_c_while_a_reload_starts_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: Cache[int, threading.Thread] = Cache(100, ttl_s=1, stale_while_revalidate_s=1_000)
    cache.update(dict.fromkeys(range(60), threading.current_thread()))
    advance_clock(2)
    begun = threading.Event()

    def load(_: int) -> threading.Thread:
        begun.set()
        return threading.current_thread()

    for key, error in enumerate([KeyboardInterrupt, RuntimeError] * 20):

        def start(_: threading.Thread, error: type[BaseException] = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            if error is KeyboardInterrupt:
                with pytest.raises(KeyboardInterrupt):
                    cache.get_or_load(key, load)
            else:
                assert cache.get_or_load(key, load) is threading.current_thread()
    assert not begun.is_set()
    # Those that did not start do not count among those under way.
    cache.get_or_load(50, load)
    assert begun.wait(10)
    while cache.get(50) is None:
        pass
    assert cache[50].name == "tierline-reload"


def test_deleting_an_item_is_an_invalidation() -> None:
    cache: Cache[str, int] = Cache(10)
    cache["a"] = 1
    token = cache.begin("a")
    del cache["a"]
    assert cache.stats().invalidations == 1
    assert not cache.fill("a", 1, token)
    token = cache.begin("a")
    with pytest.raises(KeyError, match="a"):
        del cache["a"]
    assert not cache.fill("a", 1, token)
    assert cache.stats().invalidations == 1


def test_a_value_that_one_too_large_displaces_is_counted_as_what_the_listener_is_told() -> None:
    told: list[tuple[str, str, str]] = []
    cache: Cache[str, str] = Cache(
        3, getsizeof=len, ttl_s=100, listener=lambda key, value, why: told.append((key, value, why))
    )
    cache["a"] = "old"
    with pytest.raises(ValueError, match="too large"):
        cache["a"] = "larger"
    cache["b"] = "old"
    advance_clock(200)
    with pytest.raises(ValueError, match="too large"):
        cache["b"] = "larger"
    assert told == [("a", "old", "replaced"), ("b", "old", "expired")]
    assert (cache.stats().replacements, cache.stats().expirations) == (1, 1)


def test_what_is_stored_while_a_snapshot_is_restored_is_newer() -> None:
    saved: Cache[str, str] = Cache(10)
    saved["a"] = "old"

    def weigh(key: str, value: str) -> int:
        if value == "old":
            cache[key] = "new"
        return 1

    cache: Cache[str, str] = Cache(10, weigher=weigh)
    assert cache.restore(saved.snapshot(), key=str, value=str) == 0
    assert cache["a"] == "new"


def test_the_flight_has_landed_when_the_error_it_stands_in_for_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache: Cache[str, int] = Cache(10, ttl_s=1, stale_if_error_s=1_000, retry_s=0)
    cache["a"] = 1
    advance_clock(2)
    answers: list[int] = []

    def ask(_: Any) -> None:
        answers.append(cache.get_or_load("a", ord))

    monkeypatch.setattr(sys, "unraisablehook", ask)
    nothing: dict[str, int] = {}
    assert cache.get_or_load("a", nothing.__getitem__) == 1
    assert answers == [97]


def test_what_is_stale_is_reloaded_though_what_is_missing_cannot_be_loaded() -> None:
    cache: Cache[str, int] = Cache(10, ttl_s=1, stale_while_revalidate_s=1_000, retry_s=1_000)
    cache["a"] = 1
    advance_clock(2)
    reloaded = threading.Event()

    def load(keys: list[str]) -> dict[str, int]:
        if keys != ["a"]:
            raise ValueError
        reloaded.set()
        return {"a": 2}

    with pytest.raises(ValueError, match=r"^$"):
        cache.get_or_load_many("ab", load)
    assert reloaded.wait(10)


def test_caches_in_each_other_die_however_deep_they_lie() -> None:
    class Last:
        def __del__(self) -> None:
            died.append(True)

    died: list[bool] = []
    cache: Cache[str, Any] = Cache(1)
    cache["a"] = Last()
    for _ in range(300_000):
        outer: Cache[str, Any] = Cache(1)
        outer["a"] = cache
        cache = outer
        del outer
    del cache
    assert died


def test_a_call_in_a_loop_that_no_longer_runs_is_not_waited_for() -> None:
    calls: list[int] = []

    @tl.cached
    async def fetch(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            await asyncio.sleep(3_600)
        return x

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fetch(1), 0.01)

    async def ask() -> int:
        return await asyncio.wait_for(fetch(1), 10)

    first = asyncio.new_event_loop()
    first.run_until_complete(give_up())
    assert asyncio.run(ask()) == 1
    assert calls == [1, 1]
    for task in asyncio.all_tasks(first):
        task.cancel()
    first.run_until_complete(asyncio.sleep(0))
    first.close()


def test_stale_hits_are_answers_and_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = threading.Event()

    def report(_: Any) -> None:
        reported.set()

    monkeypatch.setattr(sys, "unraisablehook", report)
    cache: Cache[str, int] = Cache(10, stale_while_revalidate_s=1_000)

    def fail(_: str) -> int:
        raise ValueError

    # A reload that fails answers nobody.
    cache.set("a", 1, ttl_s=1)
    advance_clock(2)
    assert cache.get_or_load("a", fail) == 1
    assert reported.wait(10)
    assert (cache.stats().hits, cache.stats().stale_hits) == (1, 1)

    # What another wrote during a load that failed is fresh.
    def fail_later(key: str) -> int:
        cache[key] = 2
        raise ValueError

    assert cache.get_or_load("b", fail_later) == 2
    assert (cache.stats().misses, cache.stats().stale_hits) == (1, 1)
