"""Years, months and days of the Gregorian calendar, as far as PostgreSQL's dates reach.

A date is the days since 2000-01-01. The year before year 1 is 0 here, and -1 to `extract`.
"""

from __future__ import annotations

from typing import NamedTuple

from tierline.query.evaluate.faults import time_out_of_range
from tierline.query.evaluate.temporal import DAY

# 4714-11-24 BC, and the day after 5874897-12-31 (datatype/timestamp.h).
_DATE_MIN = -2_451_545
_DATE_END = 2_145_031_949

# Years that begin in March have their leap day at the end.
_MARCH_OF_YEAR_0 = -730_425
_DAYS_4 = 1_461
_DAYS_100 = 36_524
_DAYS_400 = 146_097


class Day(NamedTuple):
    """A day of the calendar."""

    year: int
    month: int
    day: int


def day_of(date: int) -> Day:
    """The year, month and day of a date."""
    era, rest = divmod(date - _MARCH_OF_YEAR_0, _DAYS_400)
    # The last day of 4, and of 400 years, is the leap day.
    year = (rest - rest // (_DAYS_4 - 1) + rest // _DAYS_100 - rest // (_DAYS_400 - 1)) // 365
    rest -= 365 * year + year // 4 - year // 100
    months = (5 * rest + 2) // 153
    day = rest - (153 * months + 2) // 5 + 1
    year += 400 * era
    return Day(year, months + 3, day) if months < 10 else Day(year + 1, months - 9, day)


def date_of(year: int, month: int, day: int) -> int:
    """The date of a year, month and day."""
    year, months = (year, month - 3) if month > 2 else (year - 1, month + 9)
    era, rest = divmod(year, 400)
    days = 365 * rest + rest // 4 - rest // 100 + (153 * months + 2) // 5 + day - 1
    return era * _DAYS_400 + days + _MARCH_OF_YEAR_0


def checked(date: int) -> int:
    """The date, which must be one of PostgreSQL's.

    Raises:
        QueryError: It is not.
    """
    if _DATE_MIN <= date < _DATE_END:
        return date
    raise time_out_of_range("date")


def date_at(instant: int) -> int:
    """The date of a timestamp."""
    return instant // DAY


def weekday(date: int) -> int:
    """The day of the week, Monday 0."""
    # 2000-01-01 was a Saturday.
    return (date + 5) % 7


def extracted_year(date: int) -> int:
    """The year, with none of number 0."""
    year = day_of(date).year
    return year if year > 0 else year - 1


def cut(unit: str, date: int) -> int:
    """The first day of a week, month, quarter or year; the day itself for shorter units."""
    year, month, _ = day_of(date)
    match unit:
        case "week":
            return date - weekday(date)
        case "month":
            return date_of(year, month, 1)
        case "quarter":
            return date_of(year, (month - 1) // 3 * 3 + 1, 1)
        case "year":
            return date_of(year, 1, 1)
        case _:
            return date
