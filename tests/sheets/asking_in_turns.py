"""A process of `test_eight_processes.py`: reads a cell again and again, within a shared quota.

    python -m tests.sheets.asking_in_turns REDIS_URL PREFIX

Says when it is ready, reads where to ask from its input, and writes how often it got the cell, and
how many requests that took.
"""

from __future__ import annotations

import json
import os
import sys

import pytest
from returns.result import Success
from tests.conftest import LONG

from tierline.sheets import http as asking
from tierline.sheets import limiter, retrying, shared_limiter
from tierline.sheets.http import SheetsHttp
from tierline.sheets.limiter import LocalLimiter, SheetsQuota
from tierline.sheets.shared_limiter import SharedLimiter
from tierline.testing.sheets.client import new_client

IS_LONG = os.environ.get(LONG) == "1"
MINUTE_S = 60.0 if IS_LONG else 1.0
"""In the short form every minute of the clients, of their limiter and of the server is a second."""

READS = 20 if IS_LONG else 4
QUOTA = 60 if IS_LONG else 12


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _shorten_minutes(patch: pytest.MonkeyPatch) -> None:
    for module in (asking, limiter, retrying):
        patch.setattr(module, "MINUTE_S", MINUTE_S)


def main(redis_url: str, prefix: str) -> None:
    """Read, and tell."""
    patch = pytest.MonkeyPatch()
    _shorten_minutes(patch)
    # A machine that stands still is no Redis that is away.
    patch.setattr(shared_limiter, "_TIMEOUT_S", 60)
    quota = SheetsQuota(user_reads=QUOTA)
    shared = SharedLimiter(
        redis_url, quota, LocalLimiter(quota), prefix=prefix, project="birds", user="ada"
    )
    _say("ready")
    url, book = sys.stdin.readline().split()
    session = new_client(url, None).http_client.session
    http = SheetsHttp(session, shared, timeout_s=900, owns_session=True)
    cell = f"https://sheets.googleapis.com/v4/spreadsheets/{book}/values/A1"
    read = 0
    for _ in range(READS):
        answered = http.ask("GET", cell, repeat="read")
        read += isinstance(answered, Success) and json.loads(answered.unwrap())["values"] == [["7"]]
    _say(f"{read} {http.requests}")
    http.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
