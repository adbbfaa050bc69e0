"""`then`, `flow`, `collect` and do-notation keep the laws of results."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Self, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.pointfree import bind, map_
from returns.result import Failure, Success

import tierline as tl

Number: TypeAlias = tl.Result[int, tl.QueryError]
Step: TypeAlias = Callable[[int], Number]

FAILED = tl.Failure(tl.QueryError("given"))
RESULTS: st.SearchStrategy[Any] = st.integers().map(tl.Success) | st.just(FAILED)


def _step(add: int, fails_on: int) -> Step:
    refused: Number = tl.Failure(tl.QueryError(f"fails on multiples of {fails_on}"))
    return lambda n: refused if n % fails_on == 0 else tl.Success(n + add)


STEPS = st.builds(_step, st.integers(), st.integers(1, 4))


def succeed(n: int) -> Number:
    return tl.Success(n)


@given(st.integers(), STEPS)
def test_then_after_success_is_the_function(n: int, step: Step) -> None:
    assert tl.then(step)(tl.Success(n)) == step(n)


@given(RESULTS)
def test_then_of_success_changes_nothing(result: Number) -> None:
    assert tl.then(succeed)(result) == result


@given(RESULTS, STEPS, STEPS)
def test_then_is_associative(result: Number, first: Step, second: Step) -> None:
    def both(n: int) -> Number:
        return tl.then(second)(first(n))

    assert tl.then(second)(tl.then(first)(result)) == tl.then(both)(result)


def test_then_hands_a_failure_on_as_it_is_and_calls_nothing() -> None:
    def never(_: int) -> Number:
        raise AssertionError

    assert tl.then(never)(FAILED) is FAILED


@given(RESULTS, STEPS)
def test_then_is_bind_of_the_returns_library(result: Any, step: Step) -> None:
    assert tl.then(step)(result) == result.bind(step)


@given(st.integers(), st.lists(STEPS, max_size=6))
def test_flow_is_one_call_after_the_other(n: int, steps: list[Step]) -> None:
    flow: Any = tl.flow
    expected: Any = tl.Success(n)
    for step in steps:
        expected = tl.then(step)(expected)
    assert flow(tl.Success(n), *map(tl.then, steps)) == expected


@given(st.lists(RESULTS, max_size=6))
def test_collect_is_all_the_values_or_the_first_failure(results: list[Number]) -> None:
    collected = tl.collect(results)
    if all(isinstance(result, tl.Success) for result in results):
        assert collected == tl.Success([tl.unwrap(result) for result in results])
    else:
        assert collected is FAILED


def test_collect_looks_no_further_than_the_first_failure() -> None:
    def results() -> Generator[Any]:
        yield tl.Success(1)
        yield FAILED
        raise AssertionError

    assert tl.collect(results()) is FAILED
    assert tl.collect(iter([])) == tl.Success([])


@given(st.integers(), STEPS, STEPS)
def test_do_is_then_written_as_steps(n: int, first: Step, second: Step) -> None:
    @tl.do
    def both(n: int) -> Generator[tl.Failure[tl.QueryError], None, int]:
        once = yield from tl.ask(first(n))
        return (yield from tl.ask(second(once)))

    assert both(n) == tl.then(second)(first(n))


Steps: TypeAlias = Generator[tl.Failure[tl.QueryError], None, int]


def test_do_without_a_question_answers_with_its_value() -> None:
    @tl.do
    def nothing() -> Steps:
        yield from ()
        return 7

    assert nothing() == tl.Success(7)


def test_do_stops_at_the_first_failure_and_cleans_up_before_it_answers() -> None:
    seen: list[str] = []

    @tl.do
    def steps() -> Steps:
        try:
            seen.append("began")
            n = yield from tl.ask(FAILED)
            seen.append("went on")
            return n
        finally:
            seen.append("cleaned up")

    assert steps() is FAILED
    assert seen == ["began", "cleaned up"]


def test_do_runs_context_managers_to_their_end() -> None:
    class Resource:
        closed = False

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.closed = True

    resource = Resource()

    @tl.do
    def steps() -> Steps:
        with resource:
            return (yield from tl.ask(FAILED))

    assert steps() is FAILED
    assert resource.closed


def test_do_lets_an_exception_through() -> None:
    @tl.do
    def steps() -> Steps:
        n = yield from tl.ask(tl.Success(0))
        return 1 // n

    with pytest.raises(ZeroDivisionError):
        steps()


def test_do_can_be_called_again_and_keeps_its_name() -> None:
    @tl.do
    def add(a: int, *, b: int = 1) -> Steps:
        """Add."""
        return a + (yield from tl.ask(tl.Success(b)))

    assert [add(1), add(1, b=2)] == [tl.Success(2), tl.Success(3)]
    assert (add.__name__, add.__doc__) == ("add", "Add.")


def test_asking_outside_do_says_what_is_missing() -> None:
    asked = tl.ask(FAILED)
    assert next(asked) is FAILED
    with pytest.raises(AssertionError, match="must be run by @tl"):
        next(asked)


def test_results_are_those_of_the_returns_library() -> None:
    assert (tl.Success, tl.Failure) == (Success, Failure)
    assert tl.flow(tl.Success(1), map_(lambda n: n + 1), bind(_step(1, 5))) == tl.Success(3)
