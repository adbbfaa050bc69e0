"""PostgreSQL's instants and intervals as whole microseconds.

An instant is the microseconds since 2000-01-01 (in UTC, or without a zone): PostgreSQL's range is
wider than Python's, and what lies between may be compared although it cannot be handed out.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import NamedTuple

from tierline.query.evaluate.faults import division_by_zero, time_out_of_range

DAY = 86_400_000_000
_SECOND = 1_000_000
_DAY_S = 86_400

EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 (timestamp has no zone)
EPOCH_UTC = EPOCH.replace(tzinfo=dt.UTC)

# 4714-11-24 BC, and the first moment of 294277 AD (datatype/timestamp.h).
_INSTANT_MIN = -211_813_488_000_000_000
_INSTANT_END = 9_223_371_331_200_000_000

_EPOCH_ORDINAL = EPOCH.toordinal()
_INT4_MAX = 2**31 - 1
_INT8_MAX = 2**63 - 1


class Interval(NamedTuple):
    """Days and microseconds, which PostgreSQL keeps apart: how it divides depends on both."""

    days: int
    micros: int

    @property
    def length(self) -> int:
        """Its microseconds, taking a day for 24 hours: what it orders and equals by."""
        return self.days * DAY + self.micros


def from_datetime(value: dt.datetime) -> int:
    """A datetime with a zone as an instant."""
    return _micros(value - EPOCH_UTC)


def from_naive(value: dt.datetime) -> int:
    """A datetime without a zone as an instant."""
    return _micros(value - EPOCH)


def from_date(value: dt.date) -> int:
    """A date as the days since 2000-01-01."""
    return value.toordinal() - _EPOCH_ORDINAL


def to_date(days: int) -> dt.date:
    """The date of so many days since 2000-01-01.

    Raises:
        OverflowError: The year is not one of 1 to 9999.
    """
    try:
        return dt.date.fromordinal(days + _EPOCH_ORDINAL)
    except ValueError as error:
        raise OverflowError("a date of no year that Python has") from error


def midnight(days: int) -> int:
    """The beginning of a day; with a zone it is UTC, the zone of Tierline's sessions."""
    return days * DAY


def to_datetime(instant: int) -> dt.datetime:
    """The datetime in UTC.

    Raises:
        OverflowError: The year is not one of 1 to 9999.
    """
    return EPOCH_UTC + dt.timedelta(microseconds=instant)


def to_naive(instant: int) -> dt.datetime:
    """The datetime without a zone.

    Raises:
        OverflowError: The year is not one of 1 to 9999.
    """
    return EPOCH + dt.timedelta(microseconds=instant)


def _micros(delta: dt.timedelta) -> int:
    return (delta.days * _DAY_S + delta.seconds) * _SECOND + delta.microseconds


def from_timedelta(value: dt.timedelta) -> Interval:
    """A timedelta as it is sent."""
    return Interval(value.days, value.seconds * _SECOND + value.microseconds)


def to_timedelta(value: Interval) -> dt.timedelta:
    """The timedelta of the same length.

    Raises:
        OverflowError: It is longer than a timedelta can be.
    """
    return dt.timedelta(days=value.days, microseconds=value.micros)


def instant_add(instant: int, interval: Interval) -> int:
    """The instant an interval later: first its days, then the rest."""
    return checked_instant(checked_instant(instant + interval.days * DAY) + interval.micros)


def instant_subtract(instant: int, interval: Interval) -> int:
    """The instant an interval earlier."""
    return instant_add(instant, negative(interval))


def instant_difference(left: int, right: int) -> Interval:
    """How much later `left` is, as days and a rest of the same sign."""
    size = abs(left - right)
    days, micros = divmod(size, DAY)
    return Interval(days, micros) if left >= right else Interval(-days, -micros)


def checked_instant(value: int) -> int:
    """The instant, which must be one of PostgreSQL's.

    Raises:
        QueryError: It is not.
    """
    if _INSTANT_MIN <= value < _INSTANT_END:
        return value
    raise time_out_of_range("timestamp")


def add(left: Interval, right: Interval) -> Interval:
    """The sum of two intervals, field by field."""
    return _interval(left.days + right.days, left.micros + right.micros)


def subtract(left: Interval, right: Interval) -> Interval:
    """The difference of two intervals, field by field."""
    return _interval(left.days - right.days, left.micros - right.micros)


def negative(value: Interval) -> Interval:
    """The interval with the signs of its fields changed."""
    return _interval(-value.days, -value.micros)


def multiply(value: Interval, factor: float) -> Interval:
    """`interval_mul` of timestamp.c: fractions of a day become time.

    Raises:
        QueryError: The product is no interval.
    """
    return _scaled(value.days * factor, value.micros * factor)


def divide(value: Interval, divisor: float) -> Interval:
    """`interval_div` of timestamp.c.

    Raises:
        QueryError: The divisor is zero, or the quotient is no interval.
    """
    if divisor == 0:
        raise division_by_zero()
    return _scaled(value.days / divisor, value.micros / divisor)


def _scaled(days: float, micros: float) -> Interval:
    if not (math.isfinite(days) and math.isfinite(micros)):
        raise time_out_of_range("interval")
    whole = math.trunc(days)
    rest_s = _to_micros((days - whole) * _DAY_S)
    # Rounding may have made 24 hours of it.
    if abs(rest_s) >= _DAY_S:
        carried = math.trunc(rest_s / _DAY_S)
        whole += carried
        rest_s -= carried * _DAY_S
    return _interval(whole, round(micros + rest_s * _SECOND))


def _to_micros(seconds: float) -> float:
    return round(seconds * _SECOND) / _SECOND


def _interval(days: int, micros: int) -> Interval:
    if abs(days) <= _INT4_MAX and abs(micros) <= _INT8_MAX:
        return Interval(days, micros)
    raise time_out_of_range("interval")


def timetz_key(value: dt.time) -> tuple[int, int]:
    """What orders and equals as timetz does: the time in UTC, then the zone from east to west."""
    micros = ((value.hour * 60 + value.minute) * 60 + value.second) * _SECOND + value.microsecond
    west_s = -offset_s(value)
    return micros + west_s * _SECOND, west_s


def fixed_offset(value: dt.time) -> dt.time:
    """The time with its zone as a fixed number of seconds, as it comes back."""
    return value.replace(tzinfo=dt.timezone(dt.timedelta(seconds=offset_s(value))))


def offset_s(value: dt.time) -> int:
    """How many seconds the clocks of a time's zone are ahead of UTC."""
    offset = value.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
