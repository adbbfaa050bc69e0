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
        ttl_s: Seconds after which a cached entity is no longer fresh.
        max_entries: The most entities kept in L1; those asked for only once go first.
        stale_while_revalidate_s: Seconds for which it is still served while it is read anew.
        stale_if_error_s: Seconds for which it stands in for a read that failed.
        retry_s: Seconds between two tries to read a stale entity anew.
        soft_timeout_s: Seconds that a read is waited for before a stale entity stands in.
        hard_timeout_s: Seconds that a read is waited for at all.
        negative_ttl_s: Seconds for which it is remembered that a row is not there.
        ttl_jitter: The part of each time to live up to which chance shortens it.
        eager_beta: How eagerly entities are read anew before their time is over; 0 is never.
        lease_s: How long other processes wait for who loads a key; None for not at all.
    """

    ttl_s: float
    max_entries: int
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    retry_s: float = 1.0
    soft_timeout_s: float | None = None
    hard_timeout_s: float | None = None
    negative_ttl_s: float | None = None
    ttl_jitter: float = 0.0
    eager_beta: float = 0.0
    lease_s: float | None = None

    @property
    def kept_s(self) -> float:
        """Seconds for which an entity is kept after its time, for whatever it may be good then."""
        return max(self.stale_while_revalidate_s, self.stale_if_error_s)

    @property
    def is_resilient(self) -> bool:
        """Whether there is more to a read than to make it."""
        limits = (self.soft_timeout_s, self.hard_timeout_s, self.negative_ttl_s)
        return self.kept_s > 0 or self.eager_beta > 0 or any(limit is not None for limit in limits)


def read_through(
    *,
    ttl_s: float,
    max_entries: int = 100_000,
    stale_while_revalidate_s: float = 0.0,
    stale_if_error_s: float = 0.0,
    retry_s: float = 1.0,
    soft_timeout_s: float | None = None,
    hard_timeout_s: float | None = None,
    negative_ttl_s: float | None = None,
    ttl_jitter: float = 0.0,
    eager_beta: float = 0.0,
    lease_s: float | None = None,
) -> ReadThrough:
    """Cache what `get_by_id` reads.

    What a write or an announcement has made invalid is gone at once, whatever the windows say: only
    what is old by time is served stale, and with a backplane nothing beyond `max_staleness_s`.

    Args:
        ttl_s: Seconds after which a cached entity is no longer fresh: the bound on how stale a
            read may be when somebody writes past this store. At least 0.001. The windows below
            add to it.
        max_entries: The most entities kept in L1, at least 1.
        stale_while_revalidate_s: Seconds after `ttl_s` during which an entity is still served, at
            once, while one thread in the background reads it anew.
        stale_if_error_s: Seconds after `ttl_s` during which it stands in for a read that failed
            because the server or the line did (`ConnectionError`, `TimeoutError`,
            `PoolExhaustedError`).
        retry_s: Seconds between two tries to read a stale entity anew; until then it is served.
        soft_timeout_s: Seconds that a read is waited for if there is an entity within
            `stale_if_error_s`, which then is the answer. The read goes on, and is kept.
        hard_timeout_s: Seconds that a read is waited for at all; then the answer is `TimeoutError`,
            of stage `load`. The read goes on, and is kept.
        negative_ttl_s: Seconds for which it is remembered that a row is not there, unless it is
            created; None does not remember it.
        ttl_jitter: The part of each time to live, 0 to 1, up to which chance shortens it, so that
            what was read together is not read anew together.
        eager_beta: Above 0, an entity is read anew in the background before its time is over, the
            earlier the longer a read takes and the larger this is; 1 suits (XFetch: Vattani,
            Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", 2015). The
            moment is drawn when the entity is kept, so that a hit costs nothing.
        lease_s: With Redis: of all processes that ask by `get_by_id` for a key that no tier has,
            one loads it, and the others wait for it so many seconds at most, should it be killed.
            Longer than such a load takes; from 0.01 to 30. It is worth its price, a script instead
            of a GET for each read of L2, where loads are slow or the database must be spared. None
            lets each load.

    Raises:
        ValueError: An argument is out of range.
    """
    check_ttl_s(ttl_s)
    if max_entries < 1:
        raise ValueError(f"max_entries must be at least 1, not {max_entries!r}")
    for name, seconds in (
        ("stale_while_revalidate_s", stale_while_revalidate_s),
        ("stale_if_error_s", stale_if_error_s),
        ("retry_s", retry_s),
    ):
        if seconds != 0:
            _check(name, seconds)
    for name, limit_s in (
        ("soft_timeout_s", soft_timeout_s),
        ("hard_timeout_s", hard_timeout_s),
        ("negative_ttl_s", negative_ttl_s),
    ):
        if limit_s is not None:
            _check(name, limit_s)
    if not 0 <= ttl_jitter <= 1:
        raise ValueError(f"ttl_jitter must be from 0 to 1, not {ttl_jitter!r}")
    if not (math.isfinite(eager_beta) and eager_beta >= 0):
        raise ValueError(f"eager_beta must be 0 or more, not {eager_beta!r}")
    if soft_timeout_s is not None and stale_if_error_s == 0:
        raise ValueError("soft_timeout_s needs stale_if_error_s: what else should be the answer?")
    if lease_s is not None and not _LEASE_S_MIN <= lease_s <= _LEASE_S_MAX:
        raise ValueError(
            f"lease_s must be from {_LEASE_S_MIN} to {_LEASE_S_MAX} seconds, not {lease_s!r}"
        )
    return ReadThrough(
        float(ttl_s),
        max_entries,
        float(stale_while_revalidate_s),
        float(stale_if_error_s),
        float(retry_s),
        soft_timeout_s,
        hard_timeout_s,
        negative_ttl_s,
        float(ttl_jitter),
        float(eager_beta),
        None if lease_s is None else float(lease_s),
    )


def check_ttl_s(ttl_s: float) -> float:
    """A time to live.

    Raises:
        ValueError: It is no finite number of seconds, or too few.
    """
    _check("ttl_s", ttl_s)
    return float(ttl_s)


def _check(name: str, seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= TTL_S_MIN):
        raise ValueError(f"{name} must be at least {TTL_S_MIN} seconds, not {seconds!r}")


class ReadOptions(msgspec.Struct, frozen=True):
    """What one call wants of the caches.

    Attributes:
        fresh: Ask no cache.
        ttl_s: Seconds for which what is read is fresh, instead of the strategy's.
        stale_ok_s: Seconds past its time up to which what is kept will do.
    """

    fresh: bool = False
    ttl_s: float | None = None
    stale_ok_s: float = 0.0


PLAIN = ReadOptions()
"""A call without options."""


def read_options(*, fresh: bool, ttl_s: float | None, stale_ok_s: float | None) -> ReadOptions:
    """The options of a call.

    Raises:
        TypeError: A fresh read is to be stale.
        ValueError: An argument is out of range.
    """
    if not (fresh or ttl_s is not None or stale_ok_s is not None):
        return PLAIN
    if ttl_s is not None:
        _check("ttl_s", ttl_s)
    if stale_ok_s is not None:
        if fresh:
            raise TypeError("fresh=True reads anew: leave stale_ok_s= out, or fresh=")
        if not (math.isfinite(stale_ok_s) and stale_ok_s >= 0):
            raise ValueError(f"stale_ok_s must be 0 or more seconds, not {stale_ok_s!r}")
    return ReadOptions(fresh, ttl_s, stale_ok_s or 0.0)
