"""When a request is sent again: pure functions of what failed and of the time that is left.

Full jitter over an exponential base (M. Brooker, "Exponential Backoff and Jitter"), at most 64 s,
as Google asks for. The first time a quota ran out the next minute is waited for, since then all of
it is there again.
"""

from __future__ import annotations

from tierline.sheets.faults import Fault
from tierline.sheets.limiter import MINUTE_S

ATTEMPTS_MAX = 8
_BASE_S = 0.5
_CAP_S = 64.0


def pause_s(
    fault: Fault, attempt: int, left_s: float, random: float, *, may_repeat: bool
) -> float | None:
    """Seconds to wait before the next attempt; None if there is to be none.

    Args:
        fault: What failed.
        attempt: Which attempt it was, counted from 1.
        left_s: Seconds until the call must have ended.
        random: From 0 to 1.
        may_repeat: Whether the request may take effect twice.
    """
    if attempt >= ATTEMPTS_MAX or fault.again == "never":
        return None
    if fault.again == "unsure" and not may_repeat:
        return None
    if fault.wait_s is not None:
        # A little later than all others that were told the same.
        wait_s = fault.wait_s + random
    elif fault.is_quota and attempt == 1:
        wait_s = MINUTE_S + random
    else:
        wait_s = random * min(_CAP_S, _BASE_S * 2**attempt)
    return wait_s if wait_s < left_s else None
