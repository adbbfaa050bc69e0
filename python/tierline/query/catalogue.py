"""The simple functions of the query language: each name with the exact meaning of its SQL.

`sql/functions.py` has the text of each, and in-memory evaluation its Python. Unless a line says
otherwise the answer is NULL if any operand is; positions and lengths count code points from 0.
"""

from __future__ import annotations

from typing import Final

CATALOGUE: Final[dict[str, str]] = {
    # Text.
    "lower": "text in lower case; letters beyond ASCII as the column's collation maps them",
    "upper": "text in upper case; letters beyond ASCII as the column's collation maps them",
    "strip": "text without the characters of the second operand at both ends",
    "lstrip": "text without the characters of the second operand at its beginning",
    "rstrip": "text without the characters of the second operand at its end",
    "replace": "text with each occurrence of the second operand replaced by the third; "
    "an empty second operand changes nothing",
    "text_length": "the number of code points",
    "text_at": "the code point at a position, negative from the end; NULL outside the text",
    "text_from": "text[start:], as Python slices",
    "text_to": "text[:stop], as Python slices",
    "text_slice": "text[start:stop], as Python slices",
    "text_reverse": "the code points in the opposite order",
    "like": "whether the whole text fits a pattern: % any text, _ one code point, \\ escapes",
    "ilike": "like, without regard to case as the column's collation maps it",
    "matches": "whether a POSIX advanced regular expression matches anywhere in the text",
    # Bytes.
    "bytes_length": "the number of bytes",
    # Numbers.
    "abs": "the number without its sign",
    "abs_interval": "the interval, its sign changed if it is negative",
    "floor": "the greatest integer not above the number, as bigint",
    "ceil": "the least integer not below the number, as bigint",
    "truncate": "the number without its fraction, as bigint",
    "round_float": "the nearest integer as bigint, halves to the even one",
    "round_numeric": "numeric rounded to as many digits after the point as the second operand "
    "says (before it if negative), halves to the even digit",
    "round_integer": "the same on bigint; answers bigint",
    # Time. An instant (timestamptz) is taken apart in UTC.
    "year": "the year",
    "month": "the month, 1 to 12",
    "day": "the day of the month",
    "hour": "the hour, 0 to 23",
    "minute": "the minute",
    "second": "the whole second, 0 to 59",
    "microsecond": "the microseconds within the second",
    "weekday": "the day of the week, Monday 0 to Sunday 6",
    "isoweekday": "the day of the week, Monday 1 to Sunday 7",
    "utc": "an instant's date and time in UTC, without a zone",
    "date": "the date of a timestamp",
    "time": "the time of day of a timestamp",
    "epoch": "seconds since 1970 of an instant, as double precision",
    "days": "an interval's whole days, rounded down",
    "seconds": "an interval's whole seconds beyond its whole days, 0 to 86399",
    "microseconds": "an interval's microseconds beyond its whole seconds, 0 to 999999",
    "total_seconds": "an interval's length in seconds, as double precision",
    "trunc_instant": "date_trunc(unit, instant, zone): the beginning of the unit in that zone",
    "trunc_timestamp": "date_trunc(unit, timestamp)",
    "trunc_date": "the first day of the unit",
    "at_zone": "an instant's date and time in a zone, without a zone",
    # Arrays. A container is a text[], bigint[], … column; elements are not NULL.
    "array_length": "the number of elements",
    "array_at": "the element at a position, negative from the end; NULL outside the array",
    "array_from": "array[start:], as Python slices",
    "array_to": "array[:stop], as Python slices",
    "array_slice": "array[start:stop], as Python slices",
    "array_contains": "whether the array has every element of the second",
    "array_overlaps": "whether the arrays have an element in common",
    # JSON.
    "json_length": "the number of items of a JSON list; NULL for what is no list",
    "json_contains": "whether a JSON list has every item of the second, a list of scalars",
    # Choices between values.
    "coalesce": "the first operand that is not NULL; NULL if all are",
    "nullif": "NULL if the two operands are equal, else the first, also if the second is NULL",
    "greatest": "the greatest of the operands that are not NULL; NULL if all are",
    "least": "the least of the operands that are not NULL; NULL if all are",
}
