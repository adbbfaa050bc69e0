"""Quotas: reads and writes a minute, for the project and for each user."""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from tierline.testing.sheets.clock import Clock
from tierline.testing.sheets.errors import ApiError, Json

PROJECT = "603366585132"
_WINDOW_S = 60.0


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests a minute are answered; a batch is one request.

    Args:
        reads: Of the whole project.
        writes: Of the whole project.
        user_reads: Of each user.
        user_writes: Of each user.
        window: "fixed" starts again with every minute of the server's clock; "sliding" looks at the
            last 60 seconds. Which of the two Google has is not documented.
    """

    reads: int = 300
    writes: int = 300
    user_reads: int = 60
    user_writes: int = 60
    window: Literal["fixed", "sliding"] = "fixed"


class QuotaCounter:
    """The four counters of a server; its caller holds the lock."""

    def __init__(self, quotas: Quotas, clock: Clock) -> None:
        self._quotas = quotas
        self._clock = clock
        self._taken: dict[tuple[str, str | None], deque[float]] = {}

    def take(self, user: str, *, write: bool) -> None:
        """Count a request, or refuse it: a refused one does not count.

        Raises:
            ApiError: 429, as Google words it.
        """
        now = self._clock.seconds()
        kind = "write" if write else "read"
        own = self._quotas.user_writes if write else self._quotas.user_reads
        whole = self._quotas.writes if write else self._quotas.reads
        counters = [self._live((kind, user), now), self._live((kind, None), now)]
        if len(counters[0]) >= own:
            raise exceeded(kind, own, per_user=True)
        if len(counters[1]) >= whole:
            raise exceeded(kind, whole, per_user=False)
        for counter in counters:
            counter.append(now)

    def _live(self, key: tuple[str, str | None], now: float) -> deque[float]:
        counter = self._taken.setdefault(key, deque())
        fixed = self._quotas.window == "fixed"
        begin = now // _WINDOW_S * _WINDOW_S if fixed else now - _WINDOW_S
        while counter and (counter[0] < begin or (not fixed and counter[0] == begin)):
            counter.popleft()
        return counter


def exceeded(kind: str, value: int, *, per_user: bool) -> ApiError:
    """The answer to one request too many."""
    name = kind.capitalize()
    limit = f"{name} requests per minute" + (" per user" if per_user else "")
    metadata: Json = {
        "service": "sheets.googleapis.com",
        "consumer": f"projects/{PROJECT}",
        "quota_limit": f"{name}RequestsPerMinutePer{'User' if per_user else 'Project'}",
        "quota_limit_value": str(value),
        "quota_location": "global",
        "quota_metric": f"sheets.googleapis.com/{kind}_requests",
        "quota_unit": "1/min/{project}" + ("/{user}" if per_user else ""),
    }
    help_url = "https://cloud.google.com/docs/quota#requesting_higher_quota"
    return ApiError(
        429,
        f"Quota exceeded for quota metric '{name} requests' and limit '{limit}' of service "
        f"'sheets.googleapis.com' for consumer 'project_number:{PROJECT}'.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com",
                "metadata": metadata,
            },
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [{"description": "Request a higher quota limit.", "url": help_url}],
            },
        ],
    )
