"""The protocol's model: nothing that may not be can be reached, and without a guard it can."""

from __future__ import annotations

import os

import pytest
from tests.coherence.model import GUARDS, MIXES, Mix, explore
from tests.conftest import LONG

IS_LONG = os.environ.get(LONG) == "1"

pytestmark = pytest.mark.timeout(3600 if IS_LONG else 120)


def _starts(mix: Mix) -> int:
    """How many processes may start again: both make some millions of states."""
    if IS_LONG:
        return 2
    # Where announcements come before COMMIT there are the most states.
    return 0 if "published" in mix else 1


@pytest.mark.parametrize("standbys", [False, True], ids=["primary", "standbys"])
@pytest.mark.parametrize("mix", MIXES, ids="-".join)
def test_nothing_wrong_can_be_reached(mix: Mix, *, standbys: bool) -> None:
    found = explore(mix, standbys=standbys, starts=_starts(mix))
    assert found.wrong is None
    assert found.states > 10_000


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_needed(guard: str) -> None:
    standbys = "standbys" in guard
    mixes: tuple[Mix, ...] = (("library", "foreign"), ("published", "published"))
    if "published" in guard:
        mixes = mixes[1:]
    assert any(explore(mix, guard, standbys=standbys).wrong for mix in mixes)
