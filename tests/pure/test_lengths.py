"""`--long` holds wherever tests are asked for, and runs those that kill servers on each version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import LONG

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import pytest

class Look:
    def pytest_collection_finish(self, session):
        from tests.chaos.lengths import IS_LONG, SLACK_S
        versions = [sum(f"postgres{v}" in item.name for item in session.items) for v in (18, 16)]
        print("found", IS_LONG, SLACK_S, versions[0] == versions[1] > 5)

options = ["--long", "--collect-only", "-q", "-p", "no:cacheprovider"]
pytest.main([*options, "tests/chaos/test_restarts.py"], plugins=[Look()])
"""


def test_a_folder_that_is_named_runs_long_too() -> None:
    # Conftests of what is named are read before the options are.
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != LONG},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "found True 0.1 True" in done.stdout, done.stdout + done.stderr
