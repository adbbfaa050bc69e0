"""Strategies: how a repository uses the tiers, as values."""

from __future__ import annotations

import math

import msgspec

TTL_S_MIN = 0.001
"""The core counts time in milliseconds."""

_LEASE_S_MIN = 0.01
# A fill that takes longer is refused anyway.
_LEASE_S_MAX = 30.0


class ReadThrough(msgspec.Struct, frozen=True):
    """Reads go L1 → L2 → L3 and fill upward; writes go to L3, then invalidate L2 and L1.

    Attributes:
        ttl_s: Seconds after which a cached entity is no longer served.
        max_entries: The most entities kept in L1; those asked for only once go first.
        lease_s: How long other processes wait for who loads a key; None for not at all.
    """

    ttl_s: float
    max_entries: int
    lease_s: float | None = None


def read_through(
    *, ttl_s: float, max_entries: int = 100_000, lease_s: float | None = None
) -> ReadThrough:
    """Cache what `get_by_id` reads.

    Args:
        ttl_s: Seconds after which a cached entity is no longer served: the bound on how stale a
            read may be when somebody writes past this store. At least 0.001.
        max_entries: The most entities kept in L1, at least 1.
        lease_s: With Redis: of all processes that ask for a key that no tier has, one loads it, and
            the others wait for it so many seconds at most, should it be killed. Longer than such a
            load takes; from 0.01 to 30. It is worth its price, a script instead of a GET for each
            read of L2, where loads are slow or the database must be spared. None lets each load.

    Raises:
        ValueError: An argument is out of range.
    """
    if not (math.isfinite(ttl_s) and ttl_s >= TTL_S_MIN):
        raise ValueError(f"ttl_s must be at least {TTL_S_MIN} seconds, not {ttl_s!r}")
    if max_entries < 1:
        raise ValueError(f"max_entries must be at least 1, not {max_entries!r}")
    if lease_s is not None and not _LEASE_S_MIN <= lease_s <= _LEASE_S_MAX:
        raise ValueError(
            f"lease_s must be from {_LEASE_S_MIN} to {_LEASE_S_MAX} seconds, not {lease_s!r}"
        )
    return ReadThrough(float(ttl_s), max_entries, None if lease_s is None else float(lease_s))
