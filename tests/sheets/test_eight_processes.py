"""Processes that ask a server with Google's quotas, and share what they may through Redis."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.sheets.asking_in_turns import IS_LONG, MINUTE_S, QUOTA, READS

from tierline.testing import SheetsServer
from tierline.testing.sheets import Quotas, quotas, too_many_requests

_PROCESSES = 8
_ROOT = Path(__file__).parents[2]
_REFUSED = 4
"""Fewer than the attempts of one request, so that it may meet them all."""

_CASES: list[tuple[str, int | None]] = [
    ("fixed", None),
    ("sliding", 1),
    *([("fixed", 1), ("sliding", None)] if IS_LONG else []),
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("window", "retry_after_s"), _CASES)
def test_eight_processes_lose_nothing_and_ask_no_more_than_the_quota(
    redis_url: str,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    window: Any,
    retry_after_s: int | None,
) -> None:
    monkeypatch.setattr(quotas, "_WINDOW_S", MINUTE_S)
    command = [sys.executable, "-m", "tests.sheets.asking_in_turns", redis_url, redis_prefix]
    with (
        SheetsServer(quotas=Quotas(user_reads=QUOTA, window=window)) as server,
        ExitStack() as stack,
    ):
        book = server.add_spreadsheet("Numbers", [[7]])
        server.inject(too_many_requests(_REFUSED, retry_after_s=retry_after_s, skip=3))
        pipe = subprocess.PIPE
        processes = [
            stack.enter_context(
                subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)
            )
            for _ in range(_PROCESSES)
        ]
        for process in processes:
            stack.callback(process.kill)
        lines = [process.stdout for process in processes if process.stdout is not None]
        assert [line.readline() for line in lines] == ["ready\n"] * _PROCESSES
        began_s = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{server.url} {book}\n")
            process.stdin.flush()
        told = [[int(number) for number in line.readline().split()] for line in lines]
        elapsed_s = time.monotonic() - began_s
        seen = [request.status for request in server.requests]
    # Nothing is lost, and nobody is left out.
    assert [read for read, _ in told] == [READS] * _PROCESSES
    assert seen.count(200) == _PROCESSES * READS
    assert seen.count(429) >= _REFUSED
    assert sum(requests for _, requests in told) >= len(seen)
    # However long it took, together they asked no more than the quota lets pass in that time: a
    # burst of a sixth of it, and the rest of it evenly over each minute.
    assert len(seen) <= QUOTA / 6 + (QUOTA - QUOTA / 6) / MINUTE_S * elapsed_s + 1
