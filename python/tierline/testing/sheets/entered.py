"""What USER_ENTERED makes of a text: a number, date, boolean, formula or the text itself."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator

import msgspec

from tierline.testing.sheets.cell import Cell, Scalar
from tierline.testing.sheets.errors import Json, invalid
from tierline.testing.sheets.serials import serial

CELL_CHARS_MAX = 50_000

# Languages that write 1.234,5; in all but these two lists the day comes before the month.
_COMMA = {"de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv", "nb", "da", "fi", "cs", "tr", "el"}
_MONTH_FIRST = {"en_US", "en", "en_PH"}

_NUMBER = re.compile(
    r"([+-]?)([$€£]?)((?:\d[\d,]*)?(?:\.\d*)?)(e[+-]?\d+)?(%?)", re.IGNORECASE | re.ASCII
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+|\d+|", re.ASCII)
_TIME = r"(?:[ T](\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?)?"
_ISO = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})" + _TIME, re.ASCII)
_SHORT = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)" + _TIME, re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?", re.ASCII)


class Read(msgspec.Struct, frozen=True):
    """What a text was read as: a constant or a formula, and the number format it brings."""

    value: Scalar | None = None
    formula: str | None = None
    number_format: Json | None = None


def read(text: str, locale: str) -> Read:
    """Read a text as if a person had typed it."""
    if text.startswith("'"):
        return Read(text[1:])
    if text.startswith("=") and len(text) > 1:
        return Read(formula=text)
    # "+A1" is a formula for a person too; the spreadsheet puts the "=" before it.
    bare = text.strip()
    if bare.startswith("+") and len(bare) > 1 and _number(bare, locale) is None:
        return Read(formula=f"={bare}")
    if bare.upper() in ("TRUE", "FALSE"):
        return Read(bare.upper() == "TRUE")
    return _number(bare, locale) or _date(bare, locale) or Read(text)


def _number(text: str, locale: str) -> Read | None:
    if locale.partition("_")[0] in _COMMA:
        text = text.translate({ord(","): ".", ord("."): ","})
    found = _NUMBER.fullmatch(text)
    if found is None or not any(digit.isdigit() for digit in found[3]):
        return None
    sign, currency, digits, exponent, percent = found.groups()
    whole, point, fraction = digits.partition(".")
    if not _THOUSANDS.fullmatch(whole):
        return None
    value = float(f"{sign}{whole.replace(',', '')}.{fraction or '0'}{exponent or ''}")
    # `(0.00)` and so on: the places that were typed, but no more than two kinds.
    places = ".00" if point and fraction else ""
    if percent:
        return Read(value / 100, number_format=_format("PERCENT", f"0{places}%"))
    if currency:
        return Read(value, number_format=_format("CURRENCY", f'"{currency}"#,##0{places}'))
    if exponent:
        return Read(value, number_format=_format("SCIENTIFIC", "0.00E+00"))
    if "," in whole:
        return Read(value, number_format=_format("NUMBER", f"#,##0{places}"))
    return Read(value)


def _format(kind: str, pattern: str) -> Json:
    return {"type": kind, "pattern": pattern}


def _date(text: str, locale: str) -> Read | None:
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = int(clock[1]), int(clock[2]), float(clock[3] or 0)
        if hour < 24 and minute < 60 and second < 60:
            pattern = "h:mm:ss" if clock[3] else "h:mm"
            value = (hour * 3600 + minute * 60 + second) / 86_400
            return Read(value, number_format=_format("TIME", pattern))
        return None
    return next(_dates(text, locale), None)


def _dates(text: str, locale: str) -> Iterator[Read]:
    if found := _ISO.fullmatch(text):
        year, separator, month, day, *time = found.groups()
        pattern = f"yyyy{separator}mm{separator}dd"
    elif found := _SHORT.fullmatch(text):
        first, separator, second, year, *time = found.groups()
        if locale in _MONTH_FIRST:
            month, day, pattern = first, second, f"m{separator}d{separator}yyyy"
        else:
            day, month, pattern = first, second, f"d{separator}m{separator}yyyy"
    else:
        return
    hour, minute, seconds = (float(part or 0) for part in time)
    full_year = int(year) if len(year) == 4 else 2000 + int(year) - 100 * (int(year) >= 30)
    with contextlib.suppress(ValueError):
        at = dt.datetime(full_year, int(month), int(day), int(hour), int(minute))  # noqa: DTZ001
        value = serial(at) + seconds / 86_400
        if time[0] is None:
            yield Read(value, number_format=_format("DATE", pattern))
        else:
            yield Read(value, number_format=_format("DATE_TIME", f"{pattern} h:mm:ss"))


def enter(cell: Cell, given: Scalar, *, user_entered: bool, locale: str, where: str = "") -> Cell:
    """The cell after a value was written to it; its format, note and rule stay.

    Args:
        cell: The cell before.
        given: A JSON scalar; "" clears.
        user_entered: Read texts as if a person had typed them.
        locale: The spreadsheet's, for numbers and dates.
        where: What an error's message begins with.

    Raises:
        ApiError: The text is longer than a cell may hold.
    """
    if isinstance(given, str):
        if len(given) > CELL_CHARS_MAX:
            raise invalid(
                f"{where}Your input contains more than the maximum of {CELL_CHARS_MAX} characters "
                "in a single cell."
            )
        got = read(given, locale) if user_entered and given else Read(given or None)
    else:
        got = Read(given if isinstance(given, bool) else float(given))
    form = cell.format
    if got.number_format is not None:
        form = {**(form or {}), "numberFormat": got.number_format}
    return msgspec.structs.replace(cell, value=got.value, formula=got.formula, format=form)
