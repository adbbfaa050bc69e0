"""The options of a read by a repository that has no cache, or none to be asked."""

from __future__ import annotations

from tierline.cache.strategy import read_options


def uncached_options(
    operation: str,
    *,
    has_strategy: bool,
    fresh: bool,
    ttl_s: float | None,
    stale_ok_s: float | None,
) -> None:
    """Accept what asks for no cache.

    Raises:
        TypeError: An option of caching, of a repository without a cache.
        ValueError: An option is out of range.
    """
    read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
    if not has_strategy and (ttl_s is not None or stale_ok_s is not None):
        raise TypeError(
            f"{operation}: ttl_s= and stale_ok_s= are of a repository with a cache: "
            "tl.repository(store, table, cache=tl.read_through(ttl_s=…))"
        )
