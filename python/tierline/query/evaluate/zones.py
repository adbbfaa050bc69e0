"""Time zones: what the clocks of a region show at an instant, and the instant of what they show.

Only regions (`Europe/Berlin`) and `UTC` are known here: other names, such as `CET`, PostgreSQL may
take for an abbreviation with a fixed offset, and read by rules of its own.
"""

from __future__ import annotations

import datetime as dt
import functools
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tierline.query.evaluate.temporal import (
    DAY,
    EPOCH,
    checked_instant,
    from_datetime,
    from_naive,
    to_naive,
)

_SECOND = 1_000_000
# The calendar and the rules of a zone repeat.
_CYCLE = 146_097 * DAY
# Python's years, but for those at their ends, where another zone's day may lie outside.
_FIRST = from_naive(EPOCH.replace(year=2))
_LAST = from_naive(EPOCH.replace(year=9999))


@functools.lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo | None:
    """The zone of a name; None for UTC.

    Raises:
        TypeError: It is no region's.
    """
    if name == "UTC":
        return None
    if "/" in name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise TypeError(
        f"the zone {name!r} cannot be evaluated in memory: only UTC and regions by their full "
        'names, such as "Europe/Berlin", are known here'
    )


def shown(instant: int, name: str) -> int:
    """The timestamp that clocks show at an instant.

    Raises:
        QueryError: It is out of range.
    """
    return checked_instant(instant + offset(instant, zone(name)))


def offset(instant: int, region: ZoneInfo | None) -> int:
    """How far clocks are ahead of UTC at an instant, in microseconds."""
    if region is None:
        return 0
    local = region.fromutc(to_naive(_within(instant)).replace(tzinfo=region))
    return _offset(local)


def meant(timestamp: int, region: ZoneInfo | None) -> int:
    """The instant at which clocks show a timestamp.

    Where they show it twice, the later; where never, that of the offset before the gap.

    Raises:
        QueryError: It is out of range.
    """
    if region is None:
        return checked_instant(timestamp)
    local = to_naive(_within(timestamp)).replace(tzinfo=region)
    first, second = _offset(local), _offset(local.replace(fold=1))
    return checked_instant(timestamp - min(first, second))


def _offset(local: dt.datetime) -> int:
    return from_naive(local.replace(tzinfo=None)) - from_datetime(local.astimezone(dt.UTC))


def _within(instant: int) -> int:
    """An instant with the same offset among Python's years."""
    if instant >= _LAST:
        return instant - ((instant - _LAST) // _CYCLE + 1) * _CYCLE
    return max(instant, _FIRST)
