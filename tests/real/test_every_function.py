"""Every function, cast and path on every value: servers and memory agree.

As `test_every_pair`, for what needs more than an operator.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, cast, get_args

import msgspec
import pytest
from tests.grammar.kinds import KINDS
from tests.grammar.tables import Spec, table_of
from tests.real.test_differential import Server, spelt_outcome
from tests.real.test_every_pair import agree, asked, fill, server

import tierline as tl
from tierline.query.casts import _FROM
from tierline.query.catalogue import CATALOGUE
from tierline.query.evaluate.functions import FUNCTIONS
from tierline.query.times import Unit

__all__ = ["server"]

Fn = Callable[[Any], Any]

TEXTS = [
    *KINDS["text"].values, *KINDS["text"].edges, "abc", "aXbX", "ÄÖü", "straße",
    " \t\u3000a \u2003",
    "a%b_c\\d", "%%", "\\\\", "é😀é", "\n", "a\nb", "xxaxx", "K\u212a", "ab\u0130", "x" * 300,
]  # fmt: skip
NUMBER_TEXTS = [
    "", " ", "1", " 1 ", "+1", "-1", "--1", "1_000", "1__0", "_1", "1_", "0x1F", "0x_1F", "0xg",
    "-0b101", "0o17", "0o8", "0x", "9223372036854775807", "9223372036854775808",
    "00000000000000001",
    "-9223372036854775808", "1.5", "1.", ".5", ".", "-.5e1", "1e5", "1e", "1e+", "1E-5", "1_0.0_1",
    "1_.5", "1._5", "1e1_0", "1e400", "1e-400", "0e400", "0e-400", "0e99999", "1e20000", "1e-20000",
    "NaN", "nan", "-NaN", "inf", "-inf", "Infinity", "+Infinity", "infinit", "INF ", "nan(12)",
    "0x1p3", "0x.8", "0x1p99999", "0x1p-99999", "1\u00a0", "\u0661", "1 2", "1\n", "\v1", "0.10",
    "-0", "-0.0", "5e-324", "2e-324", "1.7976931348623159e308", "1e99999999999", "t", "true",
    "TRUE",
    "tr", "f", "fa", "of", "o", "on", "off", "yes", "n", "no", "2", "0", "truex", " t ", "ﬁ",
    "1e-16383", "1e-16384", "0e-16384", "1e131071", "1e131072", "9" * 20, "1e-30",
]  # fmt: skip
UUID_TEXTS = [
    "00000000-0000-0000-0000-000000000001", "{00000000-0000-0000-0000-000000000001}",
    "00000000000000000000000000000001", "0000-0000-0000-0000-0000-0000-0000-0001",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{00000000000000000000000000000001", "x", "",
    " 00000000000000000000000000000001", "00-000000000000000000000000000001",
    "00000000000000000000000000000001-",
]  # fmt: skip
PATTERNS = [
    "", "%", "_", "__", "a%", "%a", "%a%", "a_a", "\\%", "%\\_%", "\\a", "\\", "a\\", "%\\", "b\\",
    "%b%a%", "_%_", "A%", "É", "ä%", "%ß%", "\\\\", "a%b_c\\\\d", "%%\\", "x%x%x", "k%",
]  # fmt: skip
EXPRESSIONS = [
    "", "a", "^a", "a$", "^$", "^a|b$", ".", "^.$", "^.{2}$", "a.b", "[abc]", "[^a]", "^[^a]*$",
    "[]a]", "[a-]", "[-a]", "[a-c]+$", "[[:alpha:]]", "^[[:upper:]]", "[[:space:]]", "[[:punct:]]",
    "[^[:alnum:]]", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"[\w]", r"[^\s]", r"\.", r"\$",
    r"\\",
    r"\n", r"a\nb", "(a)(b)", "(?:a|b)+$", "(a|b)?c", "a*", "a*?b", "^(a*)*$", "(|a)+b", "a||b",
    "()", "a{2}", "x{3,}", "x{0,2}a", "^x{255}", r"\ma", r"a\M", r"\ya\y", r"\Yb", "(?=a)",
    "a(?!b)",
    "(?i)AB", "(?i)[x-z]", "(?i)ä", "(?i)K", r"^\A", r"b\Z", "é", "[é-ü]", "(?i)[^a]",
    "[[:cntrl:]]",
    "[[:blank:]]", "[[:graph:]]", "[[:print:]]", "[[:xdigit:]]", "[[:word:]]", "}", "]", "%", "'",
]  # fmt: skip
FLOATS = [
    *KINDS["float"].values, *KINDS["float"].edges, 0.5, 1.5, 2.5, -0.5, -1.5, 1e15, 1e14,
    123456.789,
    1e-4, 1e-5, 1e23, 9007199254740993.0, 2.0**63, -(2.0**63), 9.2e18, 1.7976931348623157e308, 1e16,
    123456789012345680.0, 0.30000000000000004, 2.2250738585072014e-308, 5e22, 1e22, 8.41e21,
    2.0**80,
]  # fmt: skip
DECIMALS = [
    *KINDS["decimal"].values, *KINDS["decimal"].edges,
    *map(Decimal, ["0.5", "1.5", "2.5", "-0.5", "-1.5", "2.675", "0.125", "-2.345", "15", "25",
    "45",
                   "9223372036854775807", "9223372036854775807.5", "-9223372036854775808.9",
                   "1E+19",
                   "0.0005", "1E-2000"]),
]  # fmt: skip
INTS = [*KINDS["int"].values, *KINDS["int"].edges, 5, 15, 25, 35, -25, 45, 2**31, -(2**31) - 1,
2**31 - 1,
        2**40, -(2**40), -(2**31), 2**63 - 6]  # fmt: skip
NAIVE = [
    *KINDS["timestamp"].values, *KINDS["timestamp"].edges,
    *(dt.datetime.fromisoformat(text) for text in (
        "2000-02-29T23:59:59.999999", "1900-02-28T00:00:00.000001", "1970-01-01",
        "1969-12-31T23:59:59",
        "2024-12-30", "2021-01-03", "0004-02-29", "2024-03-31T02:30:00", "1999-12-31T12:00:00.5",
        "1950-06-01", "2100-07-01", "0001-01-07",
    )),
]  # fmt: skip
ZONED = [
    *KINDS["timestamptz"].values, *KINDS["timestamptz"].edges,
    *(at.replace(tzinfo=dt.UTC) for at in NAIVE),
]  # fmt: skip
for _day in ("2024-03-31", "2024-10-27", "2024-03-10", "2024-11-03", "2024-04-07", "2024-10-06"):
    ZONED += [
        dt.datetime.fromisoformat(f"{_day}T00:15:00Z") + dt.timedelta(minutes=30 * n - 360)
        for n in range(48)
    ]
VALUES: dict[str, list[Any]] = {
    **{kind: [*known.values, *known.edges] for kind, known in KINDS.items()},
    "text": TEXTS, "float": FLOATS, "decimal": DECIMALS, "int": INTS, "timestamp": NAIVE,
    "timestamptz": ZONED,
    "date": [*KINDS["date"].values, *KINDS["date"].edges, *(at.date() for at in NAIVE)],
    "interval": [
        *KINDS["interval"].values, *KINDS["interval"].edges,
        *(dt.timedelta(*parts) for parts in (
            (0, 0, 1), (-1, 0, 1), (1, 1), (-1, -1), (0, 3661, 500_000), (0, -3661, -500_000),
            (10**7, 86_399, 999_999), (10**8, 86_399, 999_999), (2 * 10**8, 86_399, 999_999),
            (-(2 * 10**8), 0, 1), (999_999_998, 86_399, 999_999), (30,), (2, -1),
        )),
    ],
    "time": [*KINDS["time"].values, *KINDS["time"].edges, dt.time(1, 2, 3, 4500),
    dt.time(23, 59, 59)],
    "timetz": [
        *KINDS["timetz"].values, *KINDS["timetz"].edges,
        dt.time(1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
        dt.time(1, 2, 3, tzinfo=dt.timezone(-dt.timedelta(hours=3, minutes=30, seconds=15))),
    ],
}  # fmt: skip


def one_column(
    server: Server, kind: str, values: list[Any]
) -> tuple[tl.Table[Any, Any], list[Any]]:
    table = table_of("functions", (Spec("v", kind, True),))
    rows = [table.entity(n, value) for n, value in enumerate([None, *values])]
    fill(server, table, rows)
    return table, rows


def test_every_function_of_the_catalogue_is_evaluated() -> None:
    assert FUNCTIONS.keys() == CATALOGUE.keys()


BOUNDS = (None, 0, 1, -1, 2, -2, 5, -5, 2**80)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
UNITS = get_args(Unit)


CALLS: dict[str, list[Fn]] = {
    "text": [
        lambda r: r.v.lower(), lambda r: r.v.upper(), lambda r: r.v.strip(), lambda r: r.v.lstrip(),
        lambda r: r.v.rstrip(), lambda r: r.v[::-1], lambda r: tl.length(r.v),
        *(lambda r, c=c: r.v.strip(c) for c in ("", "a", "xa", "é\u3000")),
        *(lambda r, c=c: (r.v.lstrip(c), r.v.rstrip(c))[len(c) % 2] for c in ("xa", "abX")),
        lambda r: r.v.replace("a", "bb"), lambda r: r.v.replace("ab", ""),
        lambda r: r.v.replace(tl.coalesce(r.v[:1], ""), "-"),
        lambda r: r.v + r.v,
        *(lambda r, p=p: tl.like(r.v, p) for p in PATTERNS),
        *(lambda r, p=p: tl.ilike(r.v, p) for p in PATTERNS),
        lambda r: tl.like("a%", r.v), lambda r: tl.ilike("a\\", r.v), lambda r: tl.like(r.v, r.v),
        *(lambda r, p=p: tl.matches(r.v, p) for p in EXPRESSIONS),
        *(lambda r, i=i: r.v[i] for i in BOUNDS[1:]),
        *(lambda r, i=i, j=j: r.v[i:j] for i in BOUNDS for j in BOUNDS),
        lambda r: tl.nullif(r.v, ""), lambda r: tl.coalesce(r.v, "none"),
        lambda r: tl.greatest(r.v, "b"), lambda r: tl.least(r.v, "é"),
        lambda r: tl.case((r.v == "a", "A"), (r.v > "a", r.v)),
        lambda r: tl.case((tl.is_null(r.v), 1), (r.v == "", 2), otherwise=3),
        lambda r: tl.between(r.v, "a", "é"),
    ],
    "bytes": [lambda r: tl.length(r.v), lambda r: tl.greatest(r.v, b"a")],
    "int": [
        lambda r: abs(r.v), lambda r: round(r.v), lambda r: math.floor(r.v),
        *(lambda r, n=n: round(r.v, n) for n in (0, 2, -1, -2, -19, -30)),
        lambda r: round(r.v, r.v), lambda r: "abcdef"[0:] + tl.cast(r.v, str),
        *(lambda r, f=f: f(tl.cast(r.v, str), r.v) for f in (
            lambda t, i: t[i], lambda t, i: t[i:], lambda t, i: t[:i], lambda t, i: t[i:3],
            lambda t, i: t[1:i], lambda t, i: t[i:i], lambda t, i: tl.nullif(t, t)[i:],
            lambda t, i: tl.nullif(t, t)[i:5], lambda t, i: tl.nullif(t, t)[i],
            lambda t, i: tl.nullif(t, t)[-1:i],
            lambda t, i: t[tl.nullif(i, i):2], lambda t, i: t[1:tl.nullif(i, i)],
        )),
        lambda r: tl.coalesce(r.v, 1.5), lambda r: tl.coalesce(r.v, Decimal("1.50")),
        lambda r: tl.nullif(r.v, 1), lambda r: tl.nullif(r.v, Decimal("1.0")),
        lambda r: tl.nullif(r.v, 1.0), lambda r: tl.greatest(r.v, 1.5, Decimal("1.50")),
        lambda r: tl.least(Decimal("1.0"), r.v), lambda r: tl.case((r.v > 0, r.v), otherwise=0.5),
    ],
    "float": [
        lambda r: abs(r.v), lambda r: round(r.v), lambda r: math.floor(r.v),
        lambda r: math.ceil(r.v),
        lambda r: math.trunc(r.v), lambda r: tl.greatest(r.v, float("nan")),
        lambda r: tl.least(r.v, float("nan")), lambda r: tl.nullif(r.v, float("nan")),
        lambda r: tl.greatest(-0.0, r.v), lambda r: tl.least(r.v, 1),
    ],
    "decimal": [
        lambda r: abs(r.v), lambda r: round(r.v), lambda r: math.floor(r.v),
        lambda r: math.ceil(r.v),
        lambda r: math.trunc(r.v), lambda r: tl.coalesce(r.v, 0.5), lambda r: tl.greatest(r.v, 1),
        lambda r: tl.least(r.v, Decimal("NaN")), lambda r: tl.nullif(r.v, Decimal("1.500")),
        lambda r: tl.greatest(r.v, Decimal("1.500")), lambda r: tl.least(r.v, Decimal("1.500")),
        *(lambda r, n=n: round(r.v, n) for n in (0, 1, 2, -1, -2, -20, 30, -400, 2000)),
        lambda r: round(r.v * 3, 1),
    ],
    "bool": [
        lambda r: tl.case((r.v, 1), (tl.not_(r.v), 0)), lambda r: tl.coalesce(r.v, True),
        lambda r: tl.nullif(r.v, False), lambda r: tl.greatest(r.v, False),
    ],
    "uuid": [lambda r: tl.greatest(r.v, uuid.UUID(int=1)),
    lambda r: tl.nullif(r.v, uuid.UUID(int=1))],
    "colour": [
        lambda r: r.v.value, lambda r: r.v.value.upper(), lambda r: tl.length(r.v),
        lambda r: r.v[0],
        lambda r: tl.coalesce(r.v, KINDS["colour"].values[0]),
        lambda r: tl.greatest(r.v, KINDS["colour"].values[0]),
    ],
    "level": [lambda r: r.v.value, lambda r: abs(r.v), lambda r: tl.coalesce(r.v.value, 5)],
    "word": [lambda r: r.v.lower(), lambda r: r.v.upper() + "z"],
    "date": [
        lambda r: r.v.year, lambda r: r.v.month, lambda r: r.v.day, lambda r: r.v.weekday(),
        lambda r: r.v.isoweekday(), *(lambda r, u=u: tl.trunc(u, r.v) for u in UNITS[3:]),
        lambda r: r.v - dt.date(2000, 2, 29), lambda r: dt.date(1, 1, 1) - r.v,
        lambda r: tl.greatest(r.v, dt.date(2023, 12, 31)), lambda r: r.v - r.v,
        *(lambda r, d=d: r.v + dt.timedelta(d) for d in (1, -1, 2.5, -2.5, 10**6, -(10**6), 10**8,
        -(10**7))),
        *(lambda r, d=d: dt.timedelta(d) + r.v for d in (1, 365)),
        *(lambda r, d=d: r.v - dt.timedelta(d) for d in (1, 2.5, -2.5, 999_999_999, -999_999_999)),
        *(lambda r, d=d: (r.v + dt.timedelta(d)).year for d in (10**6, -(10**6), 10**8, -800_000)),
        *(lambda r, d=d: tl.trunc("year", r.v + dt.timedelta(d)) - r.v for d in (10**6, -800_000,
        2 * 10**8)),
        *(lambda r, d=d: tl.cast(r.v + dt.timedelta(d), str) for d in (10**6, -(10**6), 10**8,
        -735_000)),
        *(lambda r, d=d: tl.cast(r.v + dt.timedelta(d),
        dt.datetime) > dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
          for d in (10**6, 10**8, 2 * 10**8)),
    ],
    "time": [
        lambda r: r.v.hour, lambda r: r.v.minute, lambda r: r.v.second, lambda r: r.v.microsecond,
        lambda r: tl.least(r.v, dt.time(9)),
    ],
    "interval": [
        lambda r: r.v.days, lambda r: r.v.seconds, lambda r: r.v.microseconds,
        lambda r: r.v.total_seconds(), lambda r: abs(r.v), lambda r: (r.v * 2).days,
        lambda r: tl.greatest(r.v, dt.timedelta(1)), lambda r: tl.nullif(r.v, dt.timedelta(1)),
        lambda r: tl.cast(r.v * 3, str),
        lambda r: tl.cast(-r.v, str), lambda r: tl.cast(r.v / 7, str),
    ],
    "ints": [
        lambda r: tl.length(r.v), *(lambda r, i=i: r.v[i] for i in BOUNDS[1:]),
        *(lambda r, i=i, j=j: r.v[i:j] for i in BOUNDS for j in BOUNDS),
        *(lambda r, x=x: tl.is_in(x, r.v) for x in (1, 0, 2**63 - 1, Decimal("1.0"), 1.0)),
        *(lambda r, x=x: tl.any_(r.v) > x for x in (0, 1, Decimal("1.5"), 1.5, float("nan"))),
        *(lambda r, x=x: tl.all_(r.v) <= x for x in (0, 1, Decimal("1.5"), 1.5, float("nan"))),
        lambda r: tl.any_(r.v) == tl.length(r.v), lambda r: tl.all_(r.v) != r.v[0],
        lambda r: tl.any_(r.v) == tl.nullif(r.id, r.id),
        lambda r: tl.all_(r.v) < tl.nullif(r.id, r.id),
        *(lambda r, x=x: tl.contains_all(r.v, x) for x in ([], [1], [1, 1], [2, 1], [3])),
        *(lambda r, x=x: tl.contains_all(x, r.v) for x in ([], [1], [1, 2])),
        *(lambda r, x=x: tl.overlaps(r.v, x) for x in ([], [1], [2, 3])),
        *(lambda r, i=i: r.v[r.v[0] :][: r.v[i]] for i in (0, -1)),
        lambda r: tl.coalesce(r.v, [7]), lambda r: tl.nullif(r.v, [1]),
    ],
    "texts": [
        lambda r: r.v[0], lambda r: r.v[-1].upper(), lambda r: r.v[1:],
        lambda r: tl.is_in("a", r.v),
        lambda r: tl.any_(r.v) < "b", lambda r: tl.all_(r.v) > "", lambda r: tl.overlaps(r.v, ["é",
        "b"]),
        lambda r: tl.contains_all(r.v, ["a"]),
    ],
    "decimals": [
        lambda r: r.v[0], lambda r: tl.is_in(Decimal(1), r.v), lambda r: tl.any_(r.v) > 1.5,
        lambda r: tl.all_(r.v) == 1, lambda r: tl.contains_all(r.v, [Decimal("1.00")]),
        lambda r: tl.overlaps(r.v, [Decimal("NaN")]),
    ],
    "json": [
        lambda r: r.v["a"], lambda r: r.v["b"], lambda r: r.v[""], lambda r: r.v["a"][0],
        lambda r: r.v["a"][-1], lambda r: r.v["a"][1]["b"], lambda r: r.v["a"][2], lambda r: r.v,
        lambda r: tl.length(r.v), lambda r: tl.length(r.v["a"]), lambda r: tl.is_null(r.v["a"]),
        *(lambda r, t=t: tl.cast(r.v["a"], t) for t in (str, int, float, Decimal, bool, bytes)),
        lambda r: tl.cast(r.v["b"], str).upper(), lambda r: tl.cast(r.v, str),
        lambda r: r.v["a"] == {"b": None}, lambda r: tl.coalesce(r.v["a"], r.v["b"]),
        lambda r: tl.nullif(r.v, {"a": 1}), lambda r: tl.cast(r.v["a"], list[Any]),
    ],
}  # fmt: skip
CALLS["timestamp"] = [
    *(lambda r, p=p: getattr(r.v, p)
      for p in ("year", "month", "day", "hour", "minute", "second", "microsecond")),
    lambda r: r.v.date(), lambda r: r.v.time(), lambda r: r.v.weekday(), lambda r: r.v.isoweekday(),
    *(lambda r, d=d: (r.v + dt.timedelta(d)).year for d in (10**6, -(10**6), 10**8)),
    *(lambda r, d=d: (r.v + dt.timedelta(d)).date() for d in (-800_000, 3_000_000)),
    *(lambda r, d=d: tl.cast(r.v + dt.timedelta(d), str) for d in (10**6, -(10**6), 10**8)),
]  # fmt: skip
CALLS["timestamptz"] = [
    *CALLS["timestamp"], lambda r: r.v.timestamp(),
    *(lambda r, z=z: tl.at_zone(r.v, z) for z in ZONES),
    *(lambda r, u=u, z=z: tl.trunc(u, r.v, zone=z) for u in UNITS for z in ZONES),
    *(lambda r, d=d: tl.at_zone(r.v + dt.timedelta(d), "America/New_York").hour
      for d in (10**6, -(10**6), 10**8)),
    *(lambda r, d=d: tl.trunc("year", r.v + dt.timedelta(d), zone="Europe/Berlin") > r.v
      for d in (10**6, -(10**6), 10**8)),
]  # fmt: skip
CALLS["timestamp"] += [lambda r, u=u: tl.trunc(u, r.v) for u in UNITS]
CALLS["timetz"] = CALLS["time"][:-1]


@pytest.mark.parametrize("kind", CALLS)
def test_every_function_agrees_on_every_value(server: Server, kind: str) -> None:
    table, rows = one_column(server, kind, VALUES[kind])
    for function in CALLS[kind]:
        agree(server, table, rows, function, "id")


class Shade(enum.Enum):
    ONE = "1"
    RED = "red"


TARGETS: dict[str, Any] = {
    "int8": int, "float8": float, "numeric": Decimal, "bool": bool, "text": str, "date": dt.date,
    "time": dt.time, "timestamptz": dt.datetime, "uuid": uuid.UUID, "bytea": bytes,
    "timestamp": Annotated[dt.datetime, msgspec.Meta(tz=False)], "interval": dt.timedelta,
    "timetz": Annotated[dt.time, msgspec.Meta(tz=True)], "enum": Shade,
}  # fmt: skip
WIRES = {"int": "int8", "float": "float8", "decimal": "numeric", "bytes": "bytea"}
CASTS = [
    (kind, to)
    for kind, to in itertools.product(VALUES, TARGETS)
    if WIRES.get(kind, kind) in _FROM.get(cast("Any", "text" if to == "enum" else to), ())
]
TEMPORAL = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")


@pytest.mark.parametrize(("kind", "to"), CASTS, ids=lambda name: name)
def test_every_cast_agrees_on_every_value(server: Server, kind: str, to: str) -> None:
    values = [*TEXTS, *NUMBER_TEXTS, *UUID_TEXTS] if kind == "text" else VALUES[kind]
    table, rows = one_column(server, kind, values)

    def into(row: Any) -> Any:
        return tl.cast(row.v, TARGETS[to])

    if kind == "text" and to in TEMPORAL:
        with pytest.raises(TypeError, match=f"Cast of text to {to} cannot be evaluated in memory"):
            tl.evaluate(asked(table, into, "id", [], grouped=False), ())
        return
    agree(server, table, rows, into, "id")


class Inner(msgspec.Struct, frozen=True, rename="camel"):
    house_number: int
    zip: str | None = None


class Point(msgspec.Struct, frozen=True, array_like=True, tag=True):
    x: int
    y: float


class Outer(msgspec.Struct, frozen=True):
    inner: Inner | None = None
    points: list[Point] = []
    sizes: dict[str, float] = {}
    pair: tuple[int, str] = (1, "é")
    names: list[str] = []
    price: Decimal = Decimal("1.50")
    ratio: float = 0.1
    at: dt.datetime = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)] = dt.datetime(2024, 5, 1)  # noqa: DTZ001
    day: dt.date = dt.date(2024, 2, 29)
    clock: dt.time = dt.time(1, 2, 3)
    zoned: Annotated[dt.time, msgspec.Meta(tz=True)] = dt.time(1, tzinfo=dt.UTC)
    span: dt.timedelta = dt.timedelta(0)
    token: uuid.UUID = uuid.UUID(int=1)
    raw: bytes = b""
    ok: bool = True
    shade: Shade = Shade.RED
    anything: Any = None


class Holder(msgspec.Struct, frozen=True):
    id: int
    doc: Outer
    maybe: Outer | None = None
    n: int | None = 0
    anything: Any = 1


HOLDERS = tl.table(Holder, name="holders", key=lambda r: r.id)
OUTERS = [
    Outer(),
    Outer(Inner(7, "x"), [Point(1, 2.0), Point(2, -0.5)], {"a": 1e16, "b": 1e-7, "": 0.0}),
    *(Outer(at=at.astimezone(dt.UTC), ratio=ratio)
      for at, ratio in zip(ZONED[::8], itertools.cycle(filter(math.isfinite, FLOATS)))),
    *(Outer(local=local, day=local.date(), price=price)
      for local, price in zip(NAIVE, itertools.cycle(DECIMALS))),
    *(Outer(span=span) for span in VALUES["interval"]),
    *(Outer(clock=clock) for clock in VALUES["time"]),
    *(Outer(zoned=zoned) for zoned in VALUES["timetz"] if zoned.utcoffset().seconds % 60 == 0),
    *(Outer(raw=raw, shade=Shade.ONE) for raw in (b"a", b"ab", b"abc", b"\0\xff" * 9)),
    *(Outer(names=[text], pair=(1, text), anything=text)
      for text in (*TEXTS[::4], *NUMBER_TEXTS[::2], *UUID_TEXTS[::2], "YQ==", "YQ=", "YW I=",
      "====", "YWJj\t", "a")),
    *(Outer(anything=value) for value in (
        None, True, 1, 1.5, 1e16, [], [None], {}, {"b": 1, "aa": 2, "a": [1, "\n\x01\x7f"]},
        ["a", 1, True, None], [[1]], '"\\/\b\u2028',
    )),
]  # fmt: skip
# What JSON keeps: no infinity, no offset with seconds.
OUTERS = [o for o in OUTERS if msgspec.json.decode(msgspec.json.encode(o), type=Outer) == o]
PATHS: list[Fn] = [
    lambda r: r.doc.inner, lambda r: r.doc.inner.house_number, lambda r: r.doc.inner.zip,
    lambda r: r.doc.points, lambda r: r.doc.points[0], lambda r: r.doc.points[r.n].x,
    lambda r: r.doc.points[-1].y, lambda r: r.doc.points[r.n], lambda r: r.doc.sizes["a"],
    lambda r: r.doc.sizes["b"] + 1, lambda r: r.doc.sizes[r.doc.names[0]], lambda r: r.doc.pair[0],
    lambda r: r.doc.pair[-1], lambda r: r.doc.names[0], lambda r: r.doc.names[r.n],
    lambda r: r.doc.price * 2, lambda r: r.doc.ratio, lambda r: r.doc.at, lambda r: r.doc.at.year,
    lambda r: r.doc.local, lambda r: r.doc.day, lambda r: r.doc.clock, lambda r: r.doc.zoned,
    lambda r: r.doc.span, lambda r: tl.cast(r.doc.span, str), lambda r: r.doc.token,
    lambda r: r.doc.raw,
    lambda r: tl.length(r.doc.raw), lambda r: r.doc.ok, lambda r: r.doc.shade,
    lambda r: r.doc.anything,
    *(lambda r, t=t: tl.cast(r.doc.anything, t)
      for t in (str, int, float,
      Decimal, bool, bytes, uuid.UUID, Shade, list[str], dict[str, Any])),
    lambda r: r.doc.anything[0], lambda r: r.doc.anything[-1], lambda r: r.doc.anything["a"],
    lambda r: r.doc.anything[r.n], lambda r: tl.length(r.doc.anything),
    lambda r: tl.length(r.doc.names),
    *(lambda r, x=x: tl.contains_all(r.doc.names, x) for x in ([], ["a"], ["é", "a"])),
    *(lambda r, x=x: tl.contains_all(r.doc.anything, x)
      for x in ([], ["a"], [1], [1.0], [True], [1, "a"])),
    lambda r: tl.some(r.maybe).inner.house_number, lambda r: tl.some(r.maybe).names[r.n],
    lambda r: tl.coalesce(r.maybe, r.doc).price, lambda r: r.doc == r.maybe, lambda r: r.maybe,
    lambda r: r.anything, lambda r: r.anything[0], lambda r: r.anything[-1],
    lambda r: r.anything["a"],
    lambda r: tl.cast(r.anything, str), lambda r: tl.cast(r.anything, int), lambda r: r.anything[1],
    lambda r: tl.case((r.doc.ok, r.doc.inner), otherwise=Inner(1)), lambda r: r.doc.anything == "a",
    lambda r: tl.cast(r.doc, str), lambda r: tl.is_null(r.doc.anything), lambda r: r.doc.names,
    lambda r: tl.length(r.anything), lambda r: tl.contains_all(r.anything, [1]),
]  # fmt: skip


def test_every_path_agrees_on_every_document(server: Server) -> None:
    plain = [1, "a", True, 1.5, [1], ["a", 1], {"a": None}, [], {}]
    numbers = [0, 1, -1, 5, None, 2**31, -(2**31) - 1, -(2**31)]
    rows = [
        Holder(n, outer, None if n % 3 else outer, numbers[n % len(numbers)], plain[n % len(plain)])
        for n, outer in enumerate(OUTERS)
    ]
    fill(server, HOLDERS, rows)
    for function in PATHS:
        agree(server, HOLDERS, rows, function, "id")


def test_a_cast_of_json_to_a_date_or_time_is_refused() -> None:
    for to in (dt.datetime, dt.date, dt.time, dt.timedelta):
        project = tl.project(tl.select(HOLDERS), lambda r, to=to: tl.cast(r.doc.anything, to))
        with pytest.raises(TypeError, match="cannot be evaluated in memory"):
            tl.evaluate(project, ())


def test_functions_in_conditions_orders_and_groups_agree(server: Server) -> None:
    table, rows = one_column(server, "text", TEXTS)
    for query in (
        tl.select(table, where=lambda r: r.v.lower() == "a", order_by=lambda r: r.id),
        tl.project(
            tl.select(table, order_by=lambda r: (tl.desc(tl.length(r.v)), r.id)), lambda r: r.id
        ),
        tl.project(
            tl.select(table),
            lambda r: (tl.length(r.v), tl.count(), tl.max(r.v.upper())),
            group_by=lambda r: tl.length(r.v),
            order_by=lambda r: tl.length(r.v),
        ),
    ):
        assert spelt_outcome(server.store.fetch_all(query)) == spelt_outcome(
            tl.evaluate(query, rows)
        )
