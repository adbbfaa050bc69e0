"""Dates as the spreadsheet keeps them: days since 30 December 1899, and parts of a day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 # a cell has no time zone
_PART = re.compile(r'"[^"]*"|yyyy|yy|mmmm|mmm|mm|m|dddd|ddd|dd|d|hh|h|ss|s|am/pm|AM/PM|\\.|.')


def serial(moment: dt.datetime) -> float:
    """The serial number of a moment."""
    since = moment - _EPOCH
    return since.days + since.seconds / 86_400 + since.microseconds / 86_400_000_000


def moment(number: float) -> dt.datetime:
    """The moment of a serial number, to the millisecond.

    Raises:
        OverflowError: It lies outside the years 1 to 9999.
    """
    return _EPOCH + dt.timedelta(milliseconds=round(number * 86_400_000))


_DATE_PARTS: dict[str, Callable[[dt.datetime], str]] = {
    "yyyy": lambda at: f"{at.year:04}",
    "yy": lambda at: f"{at.year % 100:02}",
    "mmmm": lambda at: at.strftime("%B"),
    "mmm": lambda at: at.strftime("%b"),
    "mm": lambda at: f"{at.month:02}",
    "m": lambda at: str(at.month),
    "dddd": lambda at: at.strftime("%A"),
    "ddd": lambda at: at.strftime("%a"),
    "dd": lambda at: f"{at.day:02}",
    "d": lambda at: str(at.day),
    "ss": lambda at: f"{at.second:02}",
    "s": lambda at: str(at.second),
    "am/pm": lambda at: "AM" if at.hour < 12 else "PM",
    "AM/PM": lambda at: "AM" if at.hour < 12 else "PM",
}


def show(number: float, pattern: str) -> str:
    """A serial number as a pattern of dates and times shows it; `m` after `h` is minutes."""
    at = moment(number)
    twelve = "am/pm" in pattern.lower()
    shown: list[str] = []
    hours_before = False
    for part in _PART.findall(pattern):
        if part in ("h", "hh"):
            hour = (at.hour % 12 or 12) if twelve else at.hour
            shown.append(f"{hour:02}" if part == "hh" else str(hour))
            hours_before = True
        elif part in ("m", "mm") and hours_before:
            shown.append(f"{at.minute:02}" if part == "mm" else str(at.minute))
            hours_before = False
        elif part in _DATE_PARTS:
            shown.append(_DATE_PARTS[part](at))
        elif part[0] in '"\\':
            shown.append(part.strip('"').lstrip("\\"))
        else:
            shown.append(part)
    return "".join(shown)
