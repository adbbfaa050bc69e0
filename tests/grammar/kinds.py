"""Kinds of columns, with everyday values and values at the edges of their types."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "é"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 7


class Kind(NamedTuple):
    """A type of column: its annotation, everyday values, and values at the edges of the type."""

    annotation: Any
    values: list[Any]
    edges: list[Any]


def _zoned(*args: int, zone: dt.tzinfo = BERLIN, fold: int = 0) -> dt.datetime:
    return dt.datetime(*args, tzinfo=zone, fold=fold)  # type: ignore[arg-type,misc]


def _naive(*args: int) -> dt.datetime:
    return dt.datetime(*args)  # type: ignore[arg-type]  # noqa: DTZ001 (that is the type)


def _offset(hours: float) -> dt.timezone:
    return dt.timezone(dt.timedelta(hours=hours))


def _decimals(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


_Naive = msgspec.Meta(tz=False)
_Zoned = msgspec.Meta(tz=True)

KINDS: dict[str, Kind] = {
    "int": Kind(int, [0, 1, -1, 2, 3, -7, 100], [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1]),
    "float": Kind(
        float,
        [0.0, 1.5, -2.25, 0.1, 100.0, 3.0],
        [-0.0, float("nan"), float("inf"), -float("inf"), 1e308, -1e200, 5e-324, 1e-200, 2.0**53],
    ),
    "decimal": Kind(
        Decimal,
        _decimals("0", "1.5", "-2", "3.10", "0.00", "1.50", "10", "99.99", "-0.003"),
        _decimals("NaN", "Infinity", "-Infinity", "1E+3", "1E+20", "-0.0", "1E-30", "1E-400",
                  "12345678901234567890.123456789", "1E+310", "9999", "10000", "0.0001", "1E+200"),
    ),
    "text": Kind(
        str,
        ["", "a", "b", "ab", "aba", "A", "é", "red"],
        ["e\u0301", "😀", "\uffff", "%", "_", "\\", "'", '"', "$1", "\x01", " a", "ß", "İ"],
    ),
    "bool": Kind(bool, [True, False], []),
    "bytes": Kind(bytes, [b"", b"a", b"ab"], [b"\0", b"\xff", b"\\x00"]),
    "uuid": Kind(uuid.UUID, [uuid.UUID(int=n) for n in (1, 2)], [uuid.UUID(int=2**128 - 1)]),
    "timestamptz": Kind(
        dt.datetime,
        [_zoned(2024, 5, 1, 12), _zoned(2024, 5, 1, 10, zone=dt.UTC), _zoned(2023, 1, 1)],
        [
            _zoned(2024, 10, 27, 2, 30), _zoned(2024, 10, 27, 2, 30, fold=1),
            _zoned(2024, 3, 31, 2, 30), _zoned(2024, 3, 31, 3, 30),
            _zoned(1, 1, 1, zone=dt.UTC), _zoned(9999, 12, 31, 23, 59, 59, 999999, zone=dt.UTC),
            _zoned(1999, 12, 31, 23, 59, 59, 999999, zone=_offset(-3.5)),
        ],
    ),
    "timestamp": Kind(
        Annotated[dt.datetime, _Naive],
        [_naive(2024, 5, 1, 12), _naive(2024, 5, 1), _naive(2023, 1, 1, 0, 0, 1)],
        [_naive(1, 1, 1), _naive(9999, 12, 31, 23, 59, 59, 999999), _naive(2024, 10, 27, 2, 30)],
    ),
    "date": Kind(
        dt.date,
        [dt.date(2024, 5, 1), dt.date(2024, 2, 29), dt.date(2023, 1, 1)],
        [dt.date.min, dt.date.max, dt.date(2024, 10, 27)],
    ),
    "time": Kind(dt.time, [dt.time(12), dt.time(0), dt.time(8, 30)], [dt.time.max]),
    "timetz": Kind(
        Annotated[dt.time, _Zoned],
        [dt.time(12, tzinfo=dt.UTC), dt.time(14, tzinfo=_offset(2)), dt.time(0, tzinfo=dt.UTC)],
        [dt.time(1, tzinfo=_offset(14)), dt.time(23, 59, 59, 999999, tzinfo=_offset(-12))],
    ),
    "interval": Kind(
        dt.timedelta,
        [dt.timedelta(0), dt.timedelta(1), dt.timedelta(hours=36), dt.timedelta(hours=-5)],
        [dt.timedelta(microseconds=-1), dt.timedelta(400, 1, 1), dt.timedelta(-3, 86399, 999999),
         dt.timedelta(10**8), dt.timedelta.max, dt.timedelta.min],
    ),
    "colour": Kind(Colour, list(Colour), []),
    "level": Kind(Level, list(Level), []),
    "word": Kind(Literal["x", "y", "Ö"], ["x", "y", "Ö"], []),
    "json": Kind(
        dict[str, Any],
        [{}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": [1, {"b": None}]}, {"b": "é", "a": 1}],
        [{"a": 1e14}, {"": ""}],
    ),
    "ints": Kind(list[int], [[], [1], [1, 2], [2]], [[2**63 - 1], [0, 0, 0]]),
    "texts": Kind(tuple[str, ...], [(), ("a",), ("a", "b"), ("é",)], [("", ""), ("%",)]),
    "decimals": Kind(list[Decimal], [[], _decimals("1.0"), _decimals("1.00", "2")],
                     [_decimals("NaN")]),
}  # fmt: skip

NUMBERS = ("int", "float", "decimal")
INSTANTS = ("timestamptz", "timestamp", "date")
UNORDERED = ("json",)
EXTREMES = ("int", "float", "decimal", "text", "timestamptz", "timestamp", "date", "time",
            "timetz", "interval")  # fmt: skip


def values(kind: str, *, wild: bool) -> st.SearchStrategy[Any]:
    """Values of a kind; wild ones lie at its edges half of the time."""
    known = KINDS[kind]
    if wild and known.edges:
        return st.sampled_from(known.values) | st.sampled_from(known.edges)
    return st.sampled_from(known.values)
