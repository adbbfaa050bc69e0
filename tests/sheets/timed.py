"""A client whose clock only its waits move, for tests of what it does in time."""

from __future__ import annotations

from tests.sheets.test_asking import Time

import tierline as tl
from tierline.sheets.http import SheetsHttp
from tierline.sheets.limiter import LocalLimiter
from tierline.testing import SheetsServer

PLENTY = tl.SheetsQuota(10_000, 10_000, 10_000, 10_000)


def http_of(
    server: SheetsServer, time: Time, *, quota: tl.SheetsQuota = PLENTY, timeout_s: float = 600
) -> SheetsHttp:
    """A client of the server."""
    limiter = LocalLimiter(quota, time.clock)
    session = server.client().http_client.session
    return SheetsHttp(session, limiter, timeout_s=timeout_s, clock=time.clock, sleep=time.sleep)
