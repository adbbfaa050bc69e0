"""Deadlines: nested, carried to threads, refused when they make no sense."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

import tierline as tl
from tierline.deadline import due_s


def test_without_a_deadline_nothing_is_due() -> None:
    assert due_s() == math.inf
    assert tl.remaining_s() == math.inf


def test_the_tighter_of_nested_deadlines_holds() -> None:
    with tl.deadline(10):
        outer_s = due_s()
        with tl.deadline(60):
            assert due_s() == outer_s
        with tl.deadline(1):
            assert due_s() < outer_s - 8
        assert due_s() == outer_s
        assert 9 < tl.remaining_s() <= 10
    assert due_s() == math.inf


def test_it_ends_with_its_block_also_by_an_exception() -> None:
    with pytest.raises(LookupError), tl.deadline(0):
        raise LookupError(tl.remaining_s() == 0)
    assert due_s() == math.inf


def test_a_thread_has_its_own_unless_it_is_carried() -> None:
    seen: list[float] = []
    with tl.deadline(5):
        for target in (lambda: seen.append(due_s()), tl.carried(lambda: seen.append(due_s()))):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert seen == [math.inf, due_s()]


@pytest.mark.parametrize("wrong", ["2", None, True, 1j])
def test_what_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a number of seconds"), tl.deadline(wrong):
        pass


@pytest.mark.parametrize("wrong", [-1, math.nan, -math.inf])
def test_what_lies_in_the_past_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="cannot be"), tl.deadline(wrong):
        pass


def test_infinity_bounds_nothing() -> None:
    with tl.deadline(math.inf):
        assert due_s() == math.inf
    with tl.deadline(1e300):
        assert due_s() > time.monotonic() + 1e299
