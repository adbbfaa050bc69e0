"""The deadline of a transaction, and the server's limit on its statements, which follows it."""

from __future__ import annotations

import time

from tierline.sql import Compiled
from tierline.sql.transactions import limit

# The server's limit follows the deadline whenever it is so much too long.
_SLACK = 1.25


class SessionLimits:
    """When a transaction must have ended.

    Args:
        deadline_s: On the monotonic clock; None sets no limits.
        timeout_s: The longest that a statement may take anyway.
    """

    def __init__(self, deadline_s: float | None, timeout_s: float) -> None:
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._set_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline_s is not None and time.monotonic() >= self._deadline_s

    def step(self) -> Compiled | None:
        """What tells the server how long the next statement may take, if it must be told."""
        if self._deadline_s is None:
            return None
        shortest = min(self._deadline_s - time.monotonic(), self._timeout_s)
        if self._set_s is not None and self._set_s <= shortest * _SLACK:
            return None
        self._set_s = shortest
        return limit(shortest)

    def forget(self) -> None:
        """The server may have gone back to an earlier limit."""
        self._set_s = None
