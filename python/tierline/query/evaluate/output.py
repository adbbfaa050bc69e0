"""Values as the text that PostgreSQL writes for them."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tierline.query.evaluate import calendar, moments
from tierline.query.evaluate.temporal import DAY, Interval, offset_s

_SECOND = 1_000_000
# Floats from here on are written with an exponent (DBL_DIG of float.h).
_FLOAT_DIGITS = 15
_FLOAT_DIGITS_MAX = 17


def from_float(value: float) -> str:
    """A float as its shortest text, in PostgreSQL's form: `1.5`, `100`, `1e+15`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if not value:
        return f"{sign}0"
    digits, exponent = _shortest(abs(value))
    if -5 < exponent < _FLOAT_DIGITS:
        return sign + _plain(digits, exponent)
    mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
    return f"{sign}{mantissa}e{exponent:+03d}"


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole, rest = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{whole}.{rest}" if rest else whole


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that lie nearer to this float than to any other, and their exponent.

    Python also takes digits that lie right between two floats, where reading rounds to this one.
    """
    digits, exponent = _digits(repr(value))
    count = len(digits)
    while not _is_nearest(digits, exponent, value) and count < _FLOAT_DIGITS_MAX:
        count += 1
        digits, exponent = _digits(f"{value:.{count - 1}e}")
    return digits, exponent


def _digits(text: str) -> tuple[str, int]:
    decimal = Decimal(text).normalize()
    return "".join(map(str, decimal.as_tuple().digits)), decimal.adjusted()


def _is_nearest(digits: str, exponent: int, value: float) -> bool:
    above = math.nextafter(value, math.inf)
    if math.isinf(above):
        return True
    written = Fraction(int(digits)) * Fraction(10) ** (exponent - len(digits) + 1)
    below = math.nextafter(value, 0.0)
    exact = Fraction(value)
    return (Fraction(below) + exact) / 2 < written < (exact + Fraction(above)) / 2


def from_numeric(value: Decimal) -> str:
    """A numeric with all its digits."""
    return str(value) if not value.is_finite() else f"{value:f}"


def from_bool(value: bool) -> str:  # noqa: FBT001 (one signature for all)
    """`true` or `false`."""
    return "true" if value else "false"


def from_date(value: int) -> str:
    """A date in ISO 8601, with BC behind it where it needs that."""
    text, era = _date(value)
    return text + era


def _date(date: int) -> tuple[str, str]:
    year, month, day = calendar.day_of(date)
    era = "" if year > 0 else " BC"
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", era


def from_time(value: dt.time) -> str:
    """A time of day; the fraction of its second without zeros at the end."""
    text = f"{value.hour:02d}:{value.minute:02d}:{value.second:02d}"
    return text + _fraction(value.microsecond)


def _fraction(micros: int) -> str:
    return f".{micros:06d}".rstrip("0") if micros else ""


def from_timetz(value: dt.time) -> str:
    """A time of day and its offset, of which zeros at the end are left out."""
    ahead = offset_s(value)
    hours, rest = divmod(abs(ahead), 3600)
    minutes, seconds = divmod(rest, 60)
    zone = f"{'-' if ahead < 0 else '+'}{hours:02d}"
    if minutes or seconds:
        zone += f":{minutes:02d}"
    if seconds:
        zone += f":{seconds:02d}"
    return from_time(value) + zone


def from_timestamp(value: int) -> str:
    """A date and time of day."""
    text, era = _date(value // DAY)
    return f"{text} {from_time(moments.time_at(value))}{era}"


def from_instant(value: int) -> str:
    """An instant in UTC."""
    return f"{from_timestamp(value)}+00"


def from_interval(value: Interval) -> str:
    """An interval in the style `postgres`: `1 day 02:00:00`, `-1 days +00:00:01`."""
    days, micros = value
    text = f"{days} day{'' if days == 1 else 's'}" if days else ""
    if not micros and text:
        return text
    sign = "-" if micros < 0 else "+" if days < 0 else ""
    seconds, fraction = divmod(abs(micros), _SECOND)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    clock = f"{sign}{hours:02d}:{minute:02d}:{second:02d}{_fraction(fraction)}"
    return f"{text} {clock}" if text else clock


OUTPUT: dict[str, Callable[[Any], str]] = {
    "int8": str,
    "float8": from_float,
    "numeric": from_numeric,
    "bool": from_bool,
    "uuid": uuid.UUID.__str__,
    "date": from_date,
    "time": from_time,
    "timetz": from_timetz,
    "timestamp": from_timestamp,
    "timestamptz": from_instant,
    "interval": from_interval,
}
"""How values of each type become text."""
