"""What the tests know of the machine that they run on."""

from __future__ import annotations

import gc
import time

import pytest
from tests.stalls import NAP_S, Stalls, no_collections, watching_stalls


def told(*stalls: tuple[float, float]) -> Stalls:
    """Stalls of a thread that has stopped, of which only these are known."""
    with watching_stalls() as watching:
        pass
    watching._found.clear()
    for due_s, woke_s in stalls:
        watching.note(due_s, woke_s)
    return watching


def test_a_stall_counts_as_far_as_it_lies_between_two_moments() -> None:
    stalls = told((10.0, 10.3), (12.0, 12.1))
    assert stalls.seconds(9.0, 12.1) == pytest.approx(0.4)
    assert stalls.seconds(10.2, 12.1) == pytest.approx(0.2)
    assert stalls.seconds(10.3, 12.05) == pytest.approx(0.05)
    assert stalls.seconds(10.4, 11.9) == 0
    assert stalls.seconds(13.0, 12.0) == 0


def test_waking_a_little_late_is_no_stall() -> None:
    assert told((10.0, 10.0015)).seconds(9.0, 10.0015) == 0


def test_a_nap_that_has_not_ended_counts_as_soon_as_it_is_too_long() -> None:
    stalls = told((10.0, 10.3))
    assert stalls.seconds(10.3, 10.3 + NAP_S + 0.2) == pytest.approx(0.2)
    assert stalls.seconds(10.3, 10.3 + NAP_S + 0.001) == 0


def test_a_thread_that_lets_nobody_run_is_a_stall() -> None:
    with watching_stalls() as stalls:
        began_s = time.monotonic()
        # One call of C that keeps the interpreter.
        while stalls.seconds(began_s) < 0.05:
            sum(range(3_000_000))
    assert stalls.seconds(0.0, began_s - 1) == 0


def test_nothing_is_collected_while_the_processor_is_measured() -> None:
    with no_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
