"""Random scripts on a real database and a spreadsheet: nothing is lost, whatever dies when."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from tests.sync.real.places import sheets_of
from tests.sync.real.world import THINGS, Crashes, dying, run

import tierline as tl
from tierline.sheets import http
from tierline.sheets.retrying import pause_s
from tierline.testing import SheetsServer

SCRIPTS, SCRIPTS_LONG = 40, 2_000


def without_pause(*arguments: Any, **options: Any) -> float | None:
    """No pause, where there would be one."""
    return None if pause_s(*arguments, **options) is None else 0.0


@pytest.mark.timeout(3_600)
def test_scripts(
    pg_url: str,
    sheets_server: SheetsServer,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    long = pytestconfig.getoption("long", default=False)
    seeds = range(SCRIPTS)
    if long:
        seeds = range(start := random.SystemRandom().randrange(2**31), start + SCRIPTS_LONG)
    # Whoever waits before another try waits for nothing here.
    monkeypatch.setattr(http, "pause_s", without_pause)
    counts: Counter[str] = Counter()
    crashes = Crashes(random.Random(0))
    with tl.open(pg_url, timeout_s=30, sheets=sheets_of(sheets_server)) as store, dying(crashes):
        store.create_table(THINGS).unwrap()
        for seed in seeds:
            try:
                counts += run(seed, sheets_server, store, crashes)
            except Exception as error:
                error.add_note(f"script {seed}")
                raise
    assert counts["done"] > len(seeds), counts
    if not long:
        assert counts["crash late"] > 0
