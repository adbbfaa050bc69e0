"""How often Google is asked: never above the quota in any minute, whichever minute it counts.

A bucket of `burst` tokens that is refilled at a rate lets pass at most `burst + 60 x rate` requests
in any 60 seconds, so these are chosen to stay below the quota together. A plain bucket of 60 that
is refilled by 1 a second would let 119 pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import msgspec

Kind: TypeAlias = Literal["read", "write"]

MINUTE_S = 60.0
"""After which all of a quota is there again, whichever minute Google counts."""
_BURST_SHARE = 6
RESERVE = 0.5
"""The share of a bucket's burst that what is asked in the background leaves there."""


class SheetsQuota(msgspec.Struct, frozen=True):
    """Requests a minute that Google allows; the defaults are those of every new project.

    Attributes:
        user_reads: Reads of one account.
        user_writes: Writes of one account.
        project_reads: Reads of all accounts of a project.
        project_writes: Writes of all accounts of a project.
        processes: How many processes share the quota, where no Redis tells them of each other.
    """

    user_reads: int = 60
    user_writes: int = 60
    project_reads: int = 300
    project_writes: int = 300
    processes: int = 1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"SheetsQuota: {name} must be at least 1, not {value}")
        smallest = min(self.user_reads, self.user_writes, self.project_reads, self.project_writes)
        if self.processes > smallest:
            raise ValueError(
                f"SheetsQuota: {self.processes} processes cannot share {smallest} requests a "
                "minute; let them share it through Redis"
            )

    def per_minute(self, kind: Kind) -> tuple[int, int]:
        """The quota of a user and of the project."""
        if kind == "read":
            return self.user_reads, self.project_reads
        return self.user_writes, self.project_writes


class Bucket(msgspec.Struct, frozen=True):
    """How a quota is kept: a burst, and tokens a second, together below it in any minute."""

    burst: float
    rate_per_s: float


def bucket_of(quota: float) -> Bucket:
    """The bucket of a quota a minute: a sixth of it at once, the rest evenly."""
    burst = max(1.0, quota // _BURST_SHARE)
    return Bucket(burst, max(quota - burst, quota / 2 if quota < 2 else 1.0) / MINUTE_S)


def needed(bucket: Bucket, *, background: bool) -> float:
    """The tokens that must be there for a turn, which takes one.

    So whoever waits for an answer finds a share of the burst, and goes first while it is empty.
    """
    return 1 + min(bucket.burst - 1, bucket.burst * RESERVE) if background else 1.0


class Limiter(Protocol):
    """Says when the next request may go."""

    def wait_s(self, kind: Kind, *, background: bool = False) -> float:
        """Take a turn and answer 0, or answer how many seconds to wait before asking again.

        Args:
            kind: Which quota.
            background: Whether nobody waits for the answer, so that others go first.
        """
        ...

    def ran_out(self, kind: Kind, for_s: float, *, projects: bool = False) -> None:
        """Google itself says that a quota ran out, the user's or the project's: wait so long."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class LocalLimiter:
    """A limiter for the threads of one process."""

    def __init__(self, quota: SheetsQuota, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets = {
            kind: [_Level(bucket_of(limit / quota.processes)) for limit in quota.per_minute(kind)]
            for kind in ("read", "write")
        }

    def wait_s(self, kind: Kind, *, background: bool = False) -> float:
        """As `Limiter.wait_s`."""
        now_s = self._clock()
        with self._lock:
            levels = self._buckets[kind]
            wait_s = max(level.wait_s(now_s, background=background) for level in levels)
            if wait_s <= 0:
                for level in levels:
                    level.take()
                return 0.0
            return wait_s

    def ran_out(self, kind: Kind, for_s: float, *, projects: bool = False) -> None:
        """As `Limiter.ran_out`."""
        with self._lock:
            level = self._buckets[kind][projects]
            level.blocked_until_s = max(level.blocked_until_s, self._clock() + for_s)

    def empty(self) -> None:
        """Leave nothing of the burst: it may have been used elsewhere."""
        with self._lock:
            for levels in self._buckets.values():
                for level in levels:
                    level.wait_s(self._clock())
                    level.tokens = 0.0

    def close(self) -> None:
        """As `Limiter.close`; there is nothing."""


class _Level:
    """How full a bucket is."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.tokens = bucket.burst
        self.at_s: float | None = None
        self.blocked_until_s = 0.0

    def wait_s(self, now_s: float, *, background: bool = False) -> float:
        since_s = 0.0 if self.at_s is None else max(0.0, now_s - self.at_s)
        self.tokens = min(self.bucket.burst, self.tokens + since_s * self.bucket.rate_per_s)
        self.at_s = now_s
        missing = max(0.0, needed(self.bucket, background=background) - self.tokens)
        return max(missing / self.bucket.rate_per_s, self.blocked_until_s - now_s)

    def take(self) -> None:
        self.tokens -= 1
