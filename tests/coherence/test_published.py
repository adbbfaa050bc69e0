"""The model of announcements through Redis: nothing that may not be, and without a guard it is."""

from __future__ import annotations

import math
import os

import pytest
from tests.coherence.published import GUARDS, explore
from tests.conftest import LONG

IS_LONG = os.environ.get(LONG) == "1"

# The shortest ways come first: half of these show every guard that is missing.
MOST = math.inf if IS_LONG else 100_000

pytestmark = pytest.mark.timeout(3600 if IS_LONG else 600)

# Two writers and a cut line are some tens of millions of states.
CASES = [(1, 1), (2, 0), *([(1, 2)] if IS_LONG else [])]


@pytest.mark.parametrize(("writers", "faults"), CASES)
def test_nothing_wrong_can_be_reached(writers: int, faults: int) -> None:
    states, wrong = explore(writers=writers, faults=faults, most=MOST)
    assert wrong is None
    assert states >= 100_000


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_needed(guard: str) -> None:
    # Whichever shows it in fewer states.
    cases = [(1, 1), (2, 0)] if guard != "floors hold every transaction" else [(2, 0)]
    found = (explore(guard, writers=one, faults=two, most=MOST)[1] for one, two in cases)
    assert any(found)
