"""Strategies: how a repository uses the tiers, as values."""

from __future__ import annotations

import math

import msgspec

TTL_S_MIN = 0.001
"""The core counts time in milliseconds."""


class ReadThrough(msgspec.Struct, frozen=True):
    """Reads go L1 → L2 → L3 and fill upward; writes go to L3, then invalidate L2 and L1.

    Attributes:
        ttl_s: Seconds after which a cached entity is no longer served.
        max_entries: The most entities kept in L1; those asked for only once go first.
    """

    ttl_s: float
    max_entries: int


def read_through(*, ttl_s: float, max_entries: int = 100_000) -> ReadThrough:
    """Cache what `get_by_id` reads.

    Args:
        ttl_s: Seconds after which a cached entity is no longer served: the bound on how stale a
            read may be when somebody writes past this store. At least 0.001.
        max_entries: The most entities kept in L1, at least 1.

    Raises:
        ValueError: An argument is out of range.
    """
    if max_entries < 1:
        raise ValueError(f"max_entries must be at least 1, not {max_entries!r}")
    return ReadThrough(check_ttl_s(ttl_s), max_entries)


def check_ttl_s(ttl_s: float) -> float:
    """A time to live.

    Raises:
        ValueError: It is no finite number of seconds, or too few.
    """
    if not (math.isfinite(ttl_s) and ttl_s >= TTL_S_MIN):
        raise ValueError(f"ttl_s must be at least {TTL_S_MIN} seconds, not {ttl_s!r}")
    return float(ttl_s)
