"""Dates and times as a spreadsheet keeps them: days since 30 December 1899, and parts of a day.

A cell has no time zone, the spreadsheet has one. Numbers are doubles, so far away from 1900 they do
not hold every microsecond.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 (a cell has no zone)
_DAY_US = 86_400_000_000
_FIRST = dt.datetime(1900, 1, 1)  # noqa: DTZ001
"""Spreadsheets do not agree on what is before: such dates are kept as text."""


def serial(moment: dt.datetime) -> float | None:
    """The serial number of a moment without zone; None where none gives the same moment back."""
    if moment < _FIRST:
        return None
    since = moment - _EPOCH
    whole = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    number = whole / _DAY_US
    return number if moment_of(number) == moment else None


def moment_of(number: float) -> dt.datetime | None:
    """The moment of a serial number, to the microsecond; None outside the years 1 to 9999."""
    try:
        return _EPOCH + span_of(number)
    except OverflowError:
        return None


def day_of(number: float) -> dt.date | None:
    """The day of a serial number that is a whole day; None of any other."""
    moment = moment_of(number)
    return moment.date() if moment is not None and moment.time() == dt.time(0) else None


def span_of(number: float) -> dt.timedelta:
    """A number of days as a span of time, to the microsecond.

    Raises:
        OverflowError: It is too long.
    """
    days, part = divmod(number, 1)
    return dt.timedelta(days=days, microseconds=round(part * _DAY_US))


def local(instant: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """An instant as a clock in a zone shows it; None in an hour that the clock shows twice."""
    try:
        seen = instant.astimezone(zone)
    except OverflowError:
        return None
    naive = seen.replace(tzinfo=None, fold=0)
    return naive if instant_of(naive, zone) == instant else None


def instant_of(shown: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """The instant at which a clock in a zone shows this: the earlier one of two."""
    try:
        return shown.replace(tzinfo=zone).astimezone(dt.UTC)
    except OverflowError:
        return None
