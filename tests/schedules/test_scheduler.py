"""The scheduler: one thread at a time, every order once, the same order again."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.schedules.scheduler import Pick, Run, Scheduler, at_random, systematic

FIRST: Pick = lambda _n, _width: 0


def letters(scheduler: Scheduler, said: list[str], word: str) -> Callable[[], None]:
    def spell() -> None:
        for n, letter in enumerate(word):
            if n:
                scheduler.step(f"before {letter}")
            said.append(letter)

    return spell


def spelling(*words: str) -> tuple[Callable[[Pick], Run], list[str]]:
    """Actors that spell words, and what was said in the last run."""
    scheduler = Scheduler()
    said: list[str] = []

    def run(pick: Pick) -> Run:
        said.clear()
        return scheduler.run({word: letters(scheduler, said, word) for word in words}, pick)

    return run, said


def test_without_delays_one_goes_on_to_its_end() -> None:
    run, said = spelling("abc", "de")
    found = run(FIRST)
    assert "".join(said) == "abcde"
    assert found.steps == ("abc: begin", "abc: before b", "abc: before c", "de: begin",
                           "de: before e")  # fmt: skip


@pytest.mark.parametrize("words", [("abc", "de"), ("ab", "cd", "ef"), ("abc", "def")])
def test_every_order_comes_once(words: tuple[str, ...]) -> None:
    run, said = spelling(*words)
    orders = ["".join(said) for _ in systematic(run, delays_max=100)]
    possible = math.factorial(sum(map(len, words)))
    for word in words:
        possible //= math.factorial(len(word))
    assert len(set(orders)) == len(orders) == possible
    for order in orders:
        assert all("".join(c for c in order if c in word) == word for word in words)


def test_few_delays_come_first_and_no_more_than_allowed() -> None:
    run, _ = spelling("abc", "def", "gh")
    delays = [sum(found.picks) for found in systematic(run, delays_max=2)]
    assert delays == sorted(delays)
    assert delays[0] == 0
    assert delays[-1] == 2


def test_the_same_seed_gives_the_same_orders() -> None:
    run, _ = spelling("abc", "def", "gh")
    some = [found.steps for found in itertools.islice(at_random(run, seed=7), 20)]
    assert some == [found.steps for found in itertools.islice(at_random(run, seed=7), 20)]
    assert some != [found.steps for found in itertools.islice(at_random(run, seed=8), 20)]
    assert len(set(some)) > 10


def test_a_lost_update_is_found() -> None:
    scheduler = Scheduler()
    balance = [0]

    def pay() -> None:
        before = balance[0]
        scheduler.step("write")
        balance[0] = before + 1

    def run(pick: Pick) -> Run:
        balance[0] = 0
        return scheduler.run({"one": pay, "two": pay}, pick)

    assert {balance[0] for _ in systematic(run, delays_max=0)} == {2}
    assert {balance[0] for _ in systematic(run, delays_max=1)} == {1, 2}


def test_who_waits_for_another_inside_of_a_step_goes_on_after_it() -> None:
    free = threading.Event()
    waits: list[bool] = []
    scheduler = Scheduler(lambda: bool(waits) and not free.is_set())
    said: list[str] = []

    def wait() -> None:
        waits.append(True)
        free.wait(10)
        said.append("waited")

    def let() -> None:
        said.append("one")
        scheduler.step("two")
        said.append("two")
        free.set()

    def run(pick: Pick) -> Run:
        free.clear()
        waits.clear()
        said.clear()
        return scheduler.run({"wait": wait, "let": let}, pick)

    for _ in systematic(run, delays_max=3):
        assert said == ["one", "two", "waited"]


def test_what_an_actor_raises_is_raised_with_the_order() -> None:
    scheduler = Scheduler()

    def fail() -> Any:
        scheduler.step("a step")
        raise KeyError("what")

    with pytest.raises(KeyError) as caught:
        scheduler.run({"one": fail, "two": lambda: None}, FIRST)
    assert caught.value.__notes__ == ["one: begin\none: a step\ntwo: begin"]


def test_a_step_is_nothing_to_other_threads() -> None:
    Scheduler().step("here")
