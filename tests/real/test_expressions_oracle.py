"""Expressions on real servers, with Python as the oracle: the same lambda runs on real objects."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import fresh_schema

import tierline as tl


class Address(msgspec.Struct, frozen=True, rename="camel"):
    city: str
    house_number: int
    zip: str | None = None


class Point(msgspec.Struct, frozen=True, array_like=True, tag=True):
    x: int
    y: float


class Document(msgspec.Struct, frozen=True):
    address: Address
    points: list[Point]
    sizes: dict[str, int]
    by_number: dict[int, str]
    pair: tuple[int, str]
    names: list[str]
    price: Decimal
    ok: bool
    ratio: float
    at: dt.datetime
    day: dt.date
    span: dt.timedelta
    token: uuid.UUID
    raw: bytes
    # Names that text and dates have methods of.
    lower: str
    year: int


class Row(msgspec.Struct, frozen=True):
    id: int
    s: str
    t: str | None
    n: int
    x: float
    d: Decimal
    at: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    tags: list[str]
    numbers: tuple[int, ...]
    kinds: frozenset[str]
    doc: Document
    extra: dict[str, Any]
    maybe: Address | None = None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)

HOSTILE = ["'", '"', "\\", "%", "_", "$1", "a%b_c\\d", "x'; --", "[a-z]+", "(.*)", "^$", "é😀",
           " \u3000\t", "İß", "{0}", "%s", "\x01", "\u202e", "/* */", "e\u0301"]  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
) | st.text("ab %_\\'\n\u2003", max_size=8)  # fmt: skip
INT8 = st.integers(-(2**40), 2**40)
# Not the first and last years, in which other zones have days that Python has not.
MOMENTS = st.datetimes().filter(lambda at: dt.MINYEAR + 1 < at.year < dt.MAXYEAR - 1)
SPANS = st.timedeltas(dt.timedelta(-20_000), dt.timedelta(20_000))
DECIMALS = st.decimals(-(10**9), 10**9, places=4) | st.sampled_from(
    [Decimal(x) for x in ("0.5", "1.5", "2.5", "-0.5", "-1.5", "2.675", "0.125", "-2.345", "1E+3")]
)
FLOATS = st.floats(-1e9, 1e9) | st.sampled_from([0.5, 1.5, 2.5, -0.5, -1.5])
JSON_TEXTS = TEXTS
ADDRESSES = st.builds(Address, JSON_TEXTS, INT8, st.none() | JSON_TEXTS)
DOCUMENTS = st.builds(
    Document,
    ADDRESSES,
    st.lists(st.builds(Point, INT8, FLOATS), max_size=3),
    st.dictionaries(JSON_TEXTS, INT8, max_size=3),
    st.dictionaries(st.integers(-3, 3), JSON_TEXTS, max_size=3),
    st.tuples(INT8, JSON_TEXTS),
    st.lists(JSON_TEXTS, max_size=3),
    DECIMALS,
    st.booleans(),
    FLOATS,
    MOMENTS.map(lambda at: at.replace(tzinfo=dt.UTC)),
    st.dates(),
    SPANS,
    st.uuids(),
    st.binary(max_size=5),
    JSON_TEXTS,
    st.integers(0, 9999),
)
ROW = st.builds(
    Row, st.just(1), TEXTS, st.none() | TEXTS, INT8, FLOATS, DECIMALS,
    MOMENTS.map(lambda at: at.replace(tzinfo=dt.UTC)), MOMENTS, st.dates(), st.times(), SPANS,
    st.lists(TEXTS, max_size=4), st.lists(INT8, max_size=4).map(tuple),
    st.frozensets(TEXTS, max_size=3), DOCUMENTS,
    st.dictionaries(JSON_TEXTS, st.none() | JSON_TEXTS | INT8 | st.booleans(), max_size=3),
    st.none() | ADDRESSES,
)  # fmt: skip


@pytest.fixture(scope="module", params=["postgres18", "postgres16"])
def store(request: pytest.FixtureRequest) -> Generator[tl.Store]:
    with (
        fresh_schema(request.getfixturevalue(request.param)) as url,
        tl.open(url, timeout_s=20) as opened,
    ):
        opened.create_table(ROWS).unwrap()
        yield opened


Fn = Callable[[Any], Any]


def answers(store: tl.Store, row: Row, functions: list[Fn]) -> list[Any]:
    """What PostgreSQL makes of a row by each function."""
    repository = tl.repository(store, ROWS)
    if isinstance(repository.update(row), tl.Failure):
        repository.create(row).unwrap()
    # A tuple at most: projections of one query.
    query = tl.project(tl.select(ROWS), lambda r: tuple(f(r) for f in functions))
    return list(store.fetch_one(query).unwrap())


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-14) or left == right
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return left == right
    return type(left) is type(right) and left == right


def check(store: tl.Store, row: Row, functions: list[Fn]) -> None:
    found = answers(store, row, functions)
    for number, (function, got) in enumerate(zip(functions, found, strict=True)):
        expected = plain(function, row)
        assert same(got, expected), (number, got, expected)


def plain(function: Fn, row: Row) -> Any:
    """What Python makes of it; what is not there is None."""
    try:
        return function(row)
    except (IndexError, KeyError):
        return None


oracle = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOUND = st.none() | st.integers(-9, 9) | st.sampled_from([2**31, -(2**31), 2**63, -(2**80)])


def ascii_upper(text: str) -> str:
    return "".join(c.upper() if c.isascii() else c for c in text)


@given(row=ROW, old=TEXTS.filter(bool), new=TEXTS, chars=TEXTS)
@oracle
def test_text_methods(store: tl.Store, row: Row, old: str, new: str, chars: str) -> None:
    check(
        store,
        row,
        [
            lambda r: r.s.strip(),
            lambda r: r.s.lstrip(),
            lambda r: r.s.rstrip(),
            lambda r: r.s.strip(chars),
            lambda r: r.s.lstrip(chars),
            lambda r: r.s.rstrip(chars),
            lambda r: r.s.replace(old, new),
            lambda r: r.s.replace("a", r.tags[0] if r.tags else "") if isinstance(r, Row) else
            tl.coalesce(r.s.replace("a", r.tags[0]), r.s.replace("a", "")),
            lambda r: r.s + new,
            lambda r: r.s[::-1],
            lambda r: r.s.strip().replace(old, new).strip(chars)[1:],
            lambda r: tl.length(r.s),
            lambda r: tl.length(r.t),
            lambda r: tl.length(r.s + new),
            lambda r: tl.contains(r.s, chars),
            lambda r: r.s.startswith(chars),
            lambda r: r.s.endswith(chars),
            lambda r: r.s == r.s.strip(),
        ],
    )  # fmt: skip
    found = answers(store, row, [lambda r: r.s.upper(), lambda r: r.s.upper().lower()])
    assert found == [ascii_upper(row.s), "".join(c.lower() if c.isascii() else c for c in row.s)]


@given(row=ROW, start=BOUND, stop=BOUND, index=st.integers(-9, 9))
@oracle
def test_slices_and_positions(
    store: tl.Store, row: Row, start: int | None, stop: int | None, index: int
) -> None:
    check(
        store,
        row,
        [
            lambda r: r.s[start:stop],
            lambda r: r.s[start:],
            lambda r: r.s[:stop],
            lambda r: r.s[index],
            lambda r: r.s[0],
            lambda r: r.s[-1],
            lambda r: r.s[:3],
            lambda r: r.s[1:-1],
            lambda r: r.s[tl.length(r.s) - 2 :],
            lambda r: r.s[: tl.length(r.tags)],
            lambda r: r.tags[start:stop],
            lambda r: r.tags[start:],
            lambda r: r.tags[:stop],
            lambda r: r.tags[index],
            lambda r: r.tags[0],
            lambda r: r.tags[-1],
            lambda r: r.tags[-1][:2],
            lambda r: r.numbers[start:stop],
            lambda r: r.numbers[index],
            lambda r: tl.length(r.tags),
            lambda r: tl.length(r.numbers[1:]),
            lambda r: tl.length(r.kinds),
        ],
    )


@given(row=ROW, digits=st.integers(-4, 6))
@oracle
def test_numbers(store: tl.Store, row: Row, digits: int) -> None:
    check(
        store,
        row,
        [
            lambda r: abs(r.n),
            lambda r: abs(r.x),
            lambda r: abs(r.d),
            lambda r: abs(r.span),
            lambda r: round(r.d, digits),
            lambda r: round(r.d, 2),
            lambda r: round(r.d),
            lambda r: round(-r.d, 1),
            lambda r: round(r.d * 3, digits),
            lambda r: round(r.n, digits),
            lambda r: round(r.n),
            lambda r: round(r.x),
            lambda r: math.floor(r.x),
            lambda r: math.ceil(r.x),
            lambda r: math.trunc(r.x),
            lambda r: math.floor(r.d),
            lambda r: math.ceil(r.d),
            lambda r: math.trunc(r.d),
            lambda r: math.floor(r.n),
        ],
    )


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]


@given(row=ROW, zone=st.sampled_from(ZONES), span=SPANS, other=st.dates())
@oracle
def test_time(store: tl.Store, row: Row, zone: str, span: dt.timedelta, other: dt.date) -> None:
    attributes = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    calls = ("date", "time", "weekday", "isoweekday")
    parts: list[Fn] = [
        lambda r, name=name, part=part: getattr(getattr(r, name), part)
        for name in ("at", "local")
        for part in attributes
    ]
    parts += [
        lambda r, name=name, call=call: getattr(getattr(r, name), call)()
        for name in ("at", "local")
        for call in calls
    ]
    check(store, row, parts)
    modern = row.at.year >= 1900
    units: list[Any] = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
    check(
        store,
        row,
        [
            lambda r: r.day.year,
            lambda r: r.day.month,
            lambda r: r.day.day,
            lambda r: r.day.weekday(),
            lambda r: r.day.isoweekday(),
            lambda r: r.clock.hour,
            lambda r: r.clock.minute,
            lambda r: r.clock.second,
            lambda r: r.clock.microsecond,
            lambda r: r.at.timestamp(),
            lambda r: r.span.days,
            lambda r: r.span.seconds,
            lambda r: r.span.microseconds,
            lambda r: r.span.total_seconds(),
            lambda r: r.day - other,
            lambda r: r.at.date() - other,
            lambda r: r.at.date() == r.at.date(),
            *(lambda r, u=u: tl.trunc(u, r.local) for u in units if u != "week"),
            *(lambda r, u=u: tl.trunc(u, r.at, zone="UTC") for u in units if u != "week"),
            *(lambda r, u=u: tl.trunc(u, r.day) for u in ("day", "month", "quarter", "year")),
            *([lambda r: tl.at_zone(r.at, zone), lambda r: tl.at_zone(r.at, zone).hour]
              if modern else []),
            *((lambda r, u=u: tl.trunc(u, r.at, zone=zone) for u in units) if modern else ()),
            *((lambda r: tl.trunc("week", r.day),) if row.day.year > 1 else ()),
        ],
    )  # fmt: skip
    try:
        row.day + span, row.day - span
    except OverflowError:
        return
    check(
        store,
        row,
        [lambda r: r.day + span, lambda r: r.day - span, lambda r: span + r.day],
    )


def containment(mixed: list[str]) -> list[Fn]:
    return [
        lambda r: tl.contains_all(r.tags, mixed),
        lambda r: tl.overlaps(r.tags, mixed),
        lambda r: tl.contains_all(r.kinds, mixed),
        lambda r: tl.contains_all(mixed, r.tags),
        lambda r: tl.overlaps(r.tags, r.tags[1:]),
        lambda r: tl.contains_all(r.doc.names, mixed),
        *(lambda r, m=m: tl.is_in(m, r.tags) for m in mixed),
        *(lambda r, m=m: tl.any_(r.tags) == m for m in mixed),
    ]


@given(row=ROW, some=st.lists(TEXTS, max_size=3), one=TEXTS, number=INT8)
@oracle
def test_arrays(store: tl.Store, row: Row, some: list[str], one: str, number: int) -> None:
    for mixed in (some, [*some, *row.tags][:3], row.tags[:1]):
        check(store, row, containment(mixed))
    check(
        store,
        row,
        [
            lambda r: tl.is_in(one, r.tags),
            lambda r: tl.is_in(r.s, r.tags),
            lambda r: tl.is_in(r.n, r.numbers),
            lambda r: tl.any_(r.tags) == one,
            lambda r: tl.any_(r.numbers) > number,
            lambda r: tl.any_(r.numbers) != number,
            lambda r: tl.all_(r.numbers) > number,
            lambda r: tl.all_(r.numbers) <= r.n,
            lambda r: r.n < tl.any_(r.numbers),
            lambda r: r.n >= tl.all_(r.numbers),
            lambda r: tl.all_(r.tags) != one,
            lambda r: one == tl.any_(r.tags),
        ],
    )


@given(row=ROW, key=JSON_TEXTS, index=st.integers(-4, 4))
@oracle
def test_json(store: tl.Store, row: Row, key: str, index: int) -> None:
    check(
        store,
        row,
        [
            lambda r: r.doc.address.city,
            lambda r: r.doc.address.house_number + 1,
            lambda r: r.doc.address.zip,
            lambda r: r.doc.address.city.strip()[:2],
            lambda r: r.doc.points[index].x,
            lambda r: r.doc.points[0].y,
            lambda r: r.doc.points[-1].x,
            lambda r: r.doc.sizes[key],
            *(lambda r, k=k: r.doc.sizes[k] for k in row.doc.sizes),
            *(lambda r, k=k: r.extra[k] for k in row.extra),
            lambda r: r.doc.by_number[index],
            lambda r: r.doc.pair[0],
            lambda r: r.doc.pair[1],
            lambda r: r.doc.pair[-1],
            lambda r: r.doc.names[index],
            lambda r: tl.length(r.doc.names),
            lambda r: r.doc.names,
            lambda r: r.doc.points,
            lambda r: r.doc.address,
            lambda r: r.doc.price,
            lambda r: r.doc.ok,
            lambda r: r.doc.ratio,
            lambda r: r.doc.at,
            lambda r: r.doc.at.year,
            lambda r: r.doc.day,
            lambda r: r.doc.span,
            lambda r: r.doc.token,
            lambda r: r.doc.raw,
            lambda r: r.doc.lower,
            lambda r: r.doc.year,
            lambda r: tl.length(r.doc.raw),
            lambda r: r.extra[key],
            lambda r: r.maybe,
        ],
    )
    (city,) = answers(store, row, [lambda r: tl.some(r.maybe).city])
    assert city == (None if row.maybe is None else row.maybe.city)
    # A key may be a field of the row.
    (size,) = answers(store, row, [lambda r: r.doc.sizes[r.s]])
    assert size == row.doc.sizes.get(row.s)


@given(row=ROW, one=TEXTS, number=INT8, low=INT8, high=INT8)
@oracle
def test_choices(store: tl.Store, row: Row, one: str, number: int, low: int, high: int) -> None:
    check(
        store,
        row,
        [
            lambda r: tl.coalesce(r.t, one),
            lambda r: tl.coalesce(r.t, r.s),
            lambda r: tl.coalesce(r.t, r.t, r.s),
            lambda r: tl.nullif(r.s, one),
            lambda r: tl.nullif(r.s, r.s),
            lambda r: tl.greatest(r.n, number),
            lambda r: tl.least(r.n, number, low),
            lambda r: tl.case((r.n > number, "a"), (r.n > low, one), otherwise=r.s),
            lambda r: tl.case((r.n > number, 1), (r.n > low, r.n)),
            lambda r: tl.case((r.n > number, r.d), otherwise=Decimal(1)),
            lambda r: tl.between(r.n, low, high),
            lambda r: tl.between(number, low, r.n),
            lambda r: tl.between(r.n, r.n, r.n + 1),
        ],
    )


@given(row=ROW)
@oracle
def test_casts(store: tl.Store, row: Row) -> None:
    expected: list[tuple[Fn, Any]] = [
        (lambda r: tl.cast(r.x, int), int(row.x)),
        (lambda r: tl.cast(r.d, int), int(row.d)),
        (lambda r: tl.cast(r.n, float), float(row.n)),
        (lambda r: tl.cast(r.d, float), float(row.d)),
        (lambda r: tl.cast(r.n, Decimal), Decimal(row.n)),
        (lambda r: tl.cast(r.x, Decimal), Decimal(repr(row.x))),
        (lambda r: tl.cast(r.n, str), str(row.n)),
        (lambda r: tl.cast(tl.cast(r.n, str), int), row.n),
        (lambda r: tl.cast(tl.cast(r.x, str), float), row.x),
        (lambda r: tl.cast(tl.cast(r.d, str), Decimal), row.d),
        (lambda r: tl.cast(tl.cast(r.at, str), dt.datetime), row.at),
        (lambda r: tl.cast(tl.cast(r.day, str), dt.date), row.day),
        (lambda r: tl.cast(tl.cast(r.clock, str), dt.time), row.clock),
        (lambda r: tl.cast(tl.cast(r.span, str), dt.timedelta), row.span),
        (lambda r: tl.cast(r.at, dt.date), row.at.date()),
        (lambda r: tl.cast(r.at, dt.time), row.at.time()),
        (lambda r: tl.cast(r.local, dt.date), row.local.date()),
        (lambda r: tl.cast(r.local, dt.datetime), row.local.replace(tzinfo=dt.UTC)),
        (
            lambda r: tl.cast(r.day, dt.datetime),
            dt.datetime.combine(row.day, dt.time(), tzinfo=dt.UTC),
        ),
        (lambda r: tl.cast(r.n, bool), bool(row.n)),
        (lambda r: tl.cast(r.x, bool), bool(row.x)),
        (lambda r: tl.cast(r.n > 0, int), int(row.n > 0)),
        (lambda r: tl.cast(r.n > 0, str), str(row.n > 0).lower()),
        (lambda r: tl.cast(r.s, bytes), row.s.encode()),
        (lambda r: tl.cast(r.doc.token, str), str(row.doc.token)),
        (lambda r: tl.cast(r.doc.pair, list[Any])[0], row.doc.pair[0]),
        (lambda r: tl.cast(r.doc.address, dict[str, Any])["city"], row.doc.address.city),
    ]
    found = answers(store, row, [function for function, _ in expected])
    for number, (got, (_, wanted)) in enumerate(zip(found, expected, strict=True)):
        assert same(got, wanted), (number, got, wanted)


# An odd number of backslashes at the end is no pattern.
PATTERNS = st.text("ab%_\\'é\n", max_size=6).filter(
    lambda pattern: (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0
)


@given(row=ROW, text=TEXTS | st.text("abA\\_%", max_size=6), pattern=PATTERNS)
@oracle
def test_like(store: tl.Store, row: Row, text: str, pattern: str) -> None:
    row = msgspec.structs.replace(row, s=text)
    check(store, row, [lambda r: tl.like(r.s, pattern)])
    # Under the servers' C locale, letters beyond ASCII have no case.
    if text.isascii():
        check(store, row, [lambda r: tl.ilike(r.s, pattern), lambda r: tl.ilike(r.s, text[:0])])


SHARED_PATTERNS = [
    "^a",
    "b$",
    "^$",
    "a+b*",
    "[a-c]x",
    "(a|b)c",
    "a.b",
    "\\$1",
    "\\\\",
    "'",
    '"',
    "%",
    "_",
]


@given(
    row=ROW, text=st.text("abcx$1\\'\"%_ \n", max_size=6), pattern=st.sampled_from(SHARED_PATTERNS)
)
@oracle
def test_regular_expressions(store: tl.Store, row: Row, text: str, pattern: str) -> None:
    # Python's $ also matches before a final newline, as the docstring says.
    if not text.endswith("\n"):
        row = msgspec.structs.replace(row, s=text)
        check(store, row, [lambda r: tl.matches(r.s, pattern)])
