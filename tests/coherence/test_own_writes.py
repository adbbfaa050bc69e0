"""What a store does when it hears its own writes: nothing wrong can be reached."""

from __future__ import annotations

import pytest
from tests.coherence.own_writes import EARLY_GUARDS, GUARDS, SCRIPTS, Op, explore

EITHER = pytest.mark.parametrize("early", [False, True], ids=["at commit", "early"])


@EITHER
@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
def test_nothing_wrong_can_be_reached(script: tuple[Op, ...], *, early: bool) -> None:
    found = explore(script, early=early)
    assert found.wrong is None
    assert found.states > 500


@EITHER
@pytest.mark.parametrize("script", [("told B",), ("told B", "told B")], ids=", ".join)
def test_what_a_write_does_not_concern_stays(script: tuple[Op, ...], *, early: bool) -> None:
    assert explore(script, early=early).spares


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_needed(guard: str) -> None:
    assert any(explore(script, guard).wrong for script in SCRIPTS)


@pytest.mark.parametrize("guard", EARLY_GUARDS)
def test_every_guard_of_prepared_transactions_is_needed(guard: str) -> None:
    assert any(explore(script, guard, early=True).wrong for script in SCRIPTS)
