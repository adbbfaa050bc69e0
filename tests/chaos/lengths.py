"""How long tests go on: not asked by a conftest, which is read before `--long` is."""

from __future__ import annotations

import os

from tests.conftest import LONG

IS_LONG = os.environ.get(LONG) == "1"

# What is promised is 0.1 s beyond the deadline. A machine that runs other tests is not held to it.
SLACK_S = 0.1 if IS_LONG else 1.0


def times(short: int, long: int) -> int:
    """How often something is done: in CI, and with `--long`."""
    return long if IS_LONG else short
