"""Whatever people, the app and crashes do, both sides become equal and no edit is lost silently."""

from __future__ import annotations

import os
import secrets
from collections import Counter

from tests.conftest import LONG
from tests.sync.model import run

SCRIPTS = 2_000


def test_scripts_converge_and_lose_nothing() -> None:
    """Seeded, so the same in every run; `--long` draws twenty times as many, new ones."""
    long = os.environ.get(LONG) == "1"
    start = secrets.randbits(40) if long else 0
    seen: Counter[str] = Counter()
    for seed in range(start, start + SCRIPTS * (20 if long else 1)):
        try:
            seen += run(seed)
        except AssertionError as error:
            raise AssertionError(f"script {seed}: {error}") from error
    # All that can happen has happened, or nothing was shown.
    points = ("read", "rolled back", "database written", "unheard", "late", "sheet written",
              "settled", "probed", "recovered", "dropped", "cancelled")  # fmt: skip
    assert [point for point in points if not seen[f"crash: {point}"]] == []
    things = ("conflicts", "overwritten", "deleted", "inserted", "landed unheard", "restarts")
    assert [thing for thing in things if not seen[thing]] == []
