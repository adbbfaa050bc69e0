"""The model of results over Redis: nothing that may not be, and without a guard it is."""

from __future__ import annotations

import pytest
from tests.coherence.published_results import GUARDS, explore


def test_nothing_wrong_can_be_reached() -> None:
    states, wrong = explore(faults=2)
    assert wrong is None
    assert states >= 1_000


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_needed(guard: str) -> None:
    assert explore(guard)[1] == "proved but stale"
