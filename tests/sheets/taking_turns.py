"""A process that takes turns of a shared quota: `python -m tests.sheets.taking_turns URL PREFIX`.

It says that it is there, begins when a line comes, and then says when it began and ended.
"""

from __future__ import annotations

import sys
import time

from tierline.sheets import shared_limiter
from tierline.sheets.limiter import LocalLimiter, SheetsQuota

TURNS = 80
QUOTA = SheetsQuota(user_reads=3000, project_reads=100_000)
"""So many a minute that what all take is the burst, and some seconds of the rate."""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url: str, prefix: str) -> None:
    """Take turns."""
    # A busy machine is not a Redis that is away.
    shared_limiter._TIMEOUT_S = 60
    limiter = shared_limiter.SharedLimiter(
        url, QUOTA, LocalLimiter(QUOTA), prefix=prefix, project="birds", user="ada"
    )
    _say("here")
    sys.stdin.readline()
    began_s, turns = time.monotonic(), 0
    while turns < TURNS:
        wait_s = limiter.wait_s("read")
        if wait_s <= 0:
            turns += 1
        else:
            time.sleep(wait_s)
    _say(f"{began_s} {time.monotonic()}")
    limiter.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
