"""What a store does when it hears its own writes: nothing wrong can be reached."""

from __future__ import annotations

import pytest
from tests.coherence.own_writes import GUARDS, SCRIPTS, Op, explore


@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
def test_nothing_wrong_can_be_reached(script: tuple[Op, ...]) -> None:
    found = explore(script)
    assert found.wrong is None
    assert found.states > 500


@pytest.mark.parametrize("script", [("told B",), ("told B", "told B")], ids=", ".join)
def test_what_a_write_does_not_concern_stays(script: tuple[Op, ...]) -> None:
    assert explore(script).spares


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_needed(guard: str) -> None:
    assert any(explore(script, guard).wrong for script in SCRIPTS)
