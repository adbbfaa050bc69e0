"""How long Redis is waited for: its own limit, or half of what the caller's deadline leaves.

L3 is left the other half.
"""

from __future__ import annotations

import math
import time

from tierline.deadline import due_s

LIMIT_S = 0.2
"""The most that Redis may take of one call."""

LIMIT_S_MIN = 0.02
"""With less there is no sense in reading.

An invalidation is given as much whatever the deadline is, or others would go on reading what was
before.
"""


def limit_s() -> float:
    """Seconds that an answer of Redis may take now; 0 if there is no time for any."""
    due = due_s()
    if due == math.inf:
        return LIMIT_S
    half_s = (due - time.monotonic()) / 2
    return min(LIMIT_S, half_s) if half_s >= LIMIT_S_MIN else 0.0
