"""Dates, times and intervals: their parts, `trunc` and zones."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tierline.query.calls import Call
from tierline.query.evaluate import calendar, machine, numeric, zones
from tierline.query.evaluate.functions import by_wire, function, operands, plain, unary
from tierline.query.evaluate.registry import Scope, strict
from tierline.query.evaluate.temporal import DAY, Interval, checked_instant
from tierline.query.evaluate.values import Read
from tierline.query.expressions import Value

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY_S = Decimal(86_400)
# 1970-01-01 as an instant.
_UNIX_EPOCH = -10_957 * DAY
_MICROS_SCALE = 6
# Below it no quotient of seconds by a day's is rounded to a whole number.
_EXACT_DAYS_MAX = 10_000_000


def _of_days(part: Callable[[int], int]) -> dict[str, Callable[[int], int]]:
    return {"date": part, "timestamp": lambda instant: part(instant // DAY)}


def _of_clock(name: str, unit: int, end: int) -> dict[str, Callable[[Any], int]]:
    def attribute(value: dt.time) -> int:
        found: int = getattr(value, name)
        return found

    return {
        "timestamp": lambda instant: instant // unit % end,
        "time": attribute,
        "timetz": attribute,
    }


by_wire("year", _of_days(calendar.extracted_year))
by_wire("month", _of_days(lambda date: calendar.day_of(date).month))
by_wire("day", _of_days(lambda date: calendar.day_of(date).day))
by_wire("weekday", _of_days(calendar.weekday))
by_wire("isoweekday", _of_days(lambda date: calendar.weekday(date) + 1))
by_wire("hour", _of_clock("hour", _HOUR, 24))
by_wire("minute", _of_clock("minute", _MINUTE, 60))
by_wire("second", _of_clock("second", _SECOND, 60))
by_wire("microsecond", _of_clock("microsecond", 1, _SECOND))


def time_at(instant: int) -> dt.time:
    """The time of day of a timestamp."""
    seconds, micros = divmod(instant % DAY, _SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return dt.time(hour, minute, second, micros)


unary("utc", lambda instant: instant)
plain("date", calendar.date_at)
plain("time", time_at)
unary("epoch", lambda instant: (instant - _UNIX_EPOCH) / _SECOND)
unary("total_seconds", lambda interval: interval.length / _SECOND)
unary("microseconds", lambda interval: interval.length % _SECOND)


def days(interval: Interval) -> int:
    """`floor(extract(epoch FROM x) / 86400)`: of very long intervals that is rounded first."""
    if abs(interval.days) < _EXACT_DAYS_MAX and abs(interval.micros) < _EXACT_DAYS_MAX * DAY:
        return interval.length // DAY
    return math.floor(numeric.divide(_epoch(interval), _DAY_S))


def _epoch(interval: Interval) -> Decimal:
    length = interval.length
    digits = tuple(map(int, str(abs(length))))
    return Decimal((int(length < 0), digits, -_MICROS_SCALE))


plain("days", days)
unary("seconds", lambda interval: interval.length // _SECOND - days(interval) * 86_400)


def date_add(date: int, interval: Interval) -> int:
    """A date and the whole days of an interval."""
    return calendar.checked(date + machine.int4(days(interval)))


def date_subtract(date: int, interval: Interval) -> int:
    """A date without the whole days of an interval."""
    return calendar.checked(date - machine.int4(days(interval)))


_CLOCK_UNITS = {"second": _SECOND, "minute": _MINUTE, "hour": _HOUR}


def _cut(unit: str, timestamp: int) -> int:
    size = _CLOCK_UNITS.get(unit)
    if size is not None:
        return timestamp // size * size
    return calendar.cut(unit, timestamp // DAY) * DAY


def _trunc_timestamp(unit: str, timestamp: int) -> int:
    return checked_instant(_cut(unit, timestamp))


def _trunc_date(unit: str, date: int) -> int:
    # Through a timestamp, whose range is narrower.
    return _trunc_timestamp(unit, checked_instant(date * DAY)) // DAY


def trunc_instant(unit: str, instant: int, name: str) -> int:
    """`date_trunc` with a zone: units of the clock keep the offset, days look theirs up."""
    region = zones.zone(name)
    ahead = zones.offset(instant, region)
    local = _cut(unit, checked_instant(instant + ahead))
    if unit in _CLOCK_UNITS:
        return checked_instant(local - ahead)
    return zones.meant(local, region)


plain("trunc_timestamp", _trunc_timestamp)
plain("trunc_date", _trunc_date)


@function("trunc_instant")
def _trunc_instant(node: Call, scope: Scope) -> Read:
    _check_zone(node)
    return strict(trunc_instant, *operands(node, scope))


@function("at_zone")
def _at_zone(node: Call, scope: Scope) -> Read:
    _check_zone(node)
    return strict(zones.shown, *operands(node, scope))


def _check_zone(node: Call) -> None:
    name = node.operands[-1]
    # A zone is always a text of the query's own: see `query/times.py`.
    assert isinstance(name, Value)
    zones.zone(name.value)
