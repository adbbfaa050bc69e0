"""What became of a transaction whose COMMIT was never answered: the server is asked."""

from __future__ import annotations

import time

from returns.result import Failure

from tierline.errors import (
    ConnectionError,  # noqa: A004
    PoolExhaustedError,
)
from tierline.postgres.database import Database
from tierline.sql.transactions import END, STATUS

_WAIT_S_MIN = 0.005
_WAIT_S_MAX = 0.25
# A session that was cut off may run on for as long as nobody tells it.
_GRACE_S = 0.5


def outcome(
    database: Database, xid: int, timeline: int, until_s: float, *, incarnation: str = ""
) -> bool | None:
    """Whether a transaction was committed; None if that cannot be learnt.

    A session that still runs it is ended after a moment: then it is decided.

    Args:
        database: Where it ran.
        xid: Its id.
        timeline: Of the server that it ran on.
        until_s: When to give up, on the monotonic clock.
        incarnation: The life of the server that gave the id. After a crash the id may be another
            transaction's, so that a commit can no longer be proved, only its absence.
    """
    began_s = time.monotonic()
    wait_s = _WAIT_S_MIN
    while True:
        rest_s = until_s - time.monotonic()
        found = database.ask(STATUS, (str(xid), incarnation), max(rest_s, 0.0), timeline)
        if isinstance(found, Failure):
            if not isinstance(found.failure(), (ConnectionError, PoolExhaustedError)):
                # Another server, perhaps, which never heard of it.
                return None
        else:
            (status,) = found.unwrap()
            if status != "in progress":
                return None if status is None else status == "committed"
            if time.monotonic() - began_s >= _GRACE_S:
                database.ask(END, (str(xid),), max(rest_s, 0.0), timeline)
        if time.monotonic() + wait_s >= until_s:
            return None
        time.sleep(wait_s)
        wait_s = min(wait_s * 2, _WAIT_S_MAX)
