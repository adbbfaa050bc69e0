"""Every column type: what goes in comes out equal, and CHECKs mean what validation means."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import uuid
from collections.abc import Generator
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta
from tests.real.helpers import failure

import tierline as tl


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2**40


class Colour(enum.Enum):
    RED = "red"
    QUOTED = "bl'ue\\"


class Place(msgspec.Struct, frozen=True):
    name: str
    at: tuple[float, float]
    seen: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Size:
    width: int
    depth: Decimal


class Wide(msgspec.Struct, frozen=True):
    """One field of every column type that `tierline.entity.types` lists, and their collections."""

    id: int
    integer: int
    text: str
    truth: bool
    real: float
    number: Decimal
    body: bytes
    token: uuid.UUID
    instant: dt.datetime
    local: Annotated[dt.datetime, Meta(tz=False)]
    day: dt.date
    span: dt.timedelta
    clock: dt.time
    zoned_clock: Annotated[dt.time, Meta(tz=True)]
    level: Level
    colour: Colour
    word: Literal["a", "b'c"]
    digit: Literal[1, 2]
    integers: list[int]
    texts: tuple[str, ...]
    tokens: frozenset[uuid.UUID]
    instants: list[dt.datetime]
    numbers: list[Decimal]
    bodies: list[bytes]
    colours: list[Colour]
    spans: tuple[dt.timedelta, ...]
    data: dict[str, Any]
    place: Place
    places: list[Place]
    size: Size
    by_day: dict[dt.date, list[int]]
    maybe_integer: int | None
    maybe_text: str | None
    maybe_instant: dt.datetime | None
    maybe_colour: Colour | None
    maybe_texts: list[str] | None
    maybe_place: Place | None


WIDE = tl.table(Wide, name="wide", key=lambda w: w.id)

INT8 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
REAL = st.floats(allow_nan=False)
EXACT = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**25), 10**25),
    st.integers(-40, 40),
)
NUMBER = EXACT | st.sampled_from([Decimal("0E-5"), Decimal("1E+20"), Decimal("-0.0")])
ZONES = st.timezones() | st.integers(-1439, 1439).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)


def _is_one_instant(at: dt.datetime) -> bool:
    """Not in an hour that clocks show twice or skip: Python calls such a time equal to none."""
    return at.replace(fold=0).utcoffset() == at.replace(fold=1).utcoffset()


# A day from either end, so that the instant exists in UTC too.
INSTANT = st.datetimes(
    dt.datetime(1, 1, 3),  # noqa: DTZ001 (the zone is drawn beside it)
    dt.datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=ZONES,
    allow_imaginary=False,
).filter(_is_one_instant)
OFFSET = st.integers(-15 * 60 + 1, 15 * 60 - 1).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
    | st.floats(-1e15, 1e15, allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PLACE = st.builds(
    Place,
    TEXT,
    st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)),
    # JSON writes offsets in whole minutes; another one is refused, because it would be lost.
    st.none() | st.datetimes(dt.datetime(1, 1, 3), timezones=OFFSET),  # noqa: DTZ001
)
COLOUR = st.sampled_from(Colour)


def few(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=3)


ENTITIES = st.builds(
    Wide,
    id=INT8,
    integer=INT8,
    text=TEXT,
    truth=st.booleans(),
    real=REAL,
    number=NUMBER,
    body=st.binary(max_size=20),
    token=st.uuids(),
    instant=INSTANT,
    local=st.datetimes(),
    day=st.dates(),
    span=st.timedeltas(),
    clock=st.times(),
    zoned_clock=st.times(timezones=OFFSET),
    level=st.sampled_from(Level),
    colour=COLOUR,
    word=st.sampled_from(["a", "b'c"]),
    digit=st.sampled_from([1, 2]),
    integers=few(INT8),
    texts=few(TEXT).map(tuple),
    tokens=st.frozensets(st.uuids(), max_size=3),
    instants=few(INSTANT),
    numbers=few(NUMBER),
    bodies=few(st.binary(max_size=5)),
    colours=few(COLOUR),
    spans=few(st.timedeltas()).map(tuple),
    data=st.dictionaries(TEXT, JSON, max_size=3),
    place=PLACE,
    places=few(PLACE),
    size=st.builds(Size, INT8, NUMBER),
    by_day=st.dictionaries(st.dates(), few(st.integers(-9, 9)), max_size=2),
    maybe_integer=st.none() | INT8,
    maybe_text=st.none() | TEXT,
    maybe_instant=st.none() | INSTANT,
    maybe_colour=st.none() | COLOUR,
    maybe_texts=st.none() | few(TEXT),
    maybe_place=st.none() | PLACE,
)


@pytest.fixture
def wide_store(pg_url: str, redis_url: str, redis_prefix: str) -> Generator[tl.Store]:
    with tl.open(pg_url, redis=redis_url, prefix=redis_prefix, timeout_s=10) as opened:
        opened.create_table(WIDE).unwrap()
        yield opened


slow_settings = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(first=ENTITIES, second=ENTITIES)
@slow_settings
def test_every_type_comes_back_equal_through_every_verb_and_tier(
    wide_store: tl.Store, first: Wide, second: Wide
) -> None:
    plain = tl.repository(wide_store, WIDE)
    second = msgspec.structs.replace(second, id=first.id)
    key = first.id
    assert plain.create(first) == tl.Success(first)
    try:
        assert plain.get_by_id(key) == tl.Success(first)
        assert plain.update(second) == tl.Success(second)
        through_l1 = tl.repository(wide_store, WIDE, cache=tl.read_through(ttl_s=60))
        assert through_l1.get_by_id(key) == tl.Success(second)
        hits = wide_store.caches.l2.stats().hits  # type: ignore[union-attr]
        # Another strategy has an L1 of its own, so this one comes from L2.
        from_l2 = tl.repository(wide_store, WIDE, cache=tl.read_through(ttl_s=59)).get_by_id(key)
        assert from_l2 == tl.Success(second)
        assert wide_store.caches.l2.stats().hits == hits + 1  # type: ignore[union-attr]
        assert from_l2 == plain.get_by_id(key)
    finally:
        plain.delete(key).unwrap()
    assert plain.create_many([first]) == tl.Success(1)
    assert plain.list() == tl.Success([first])
    assert plain.count(token=first.token, colour=first.colour, instant=first.instant) == (
        tl.Success(1)
    )
    plain.delete(key).unwrap()


def test_zoned_values_come_back_in_utc(wide_store: tl.Store) -> None:
    class Event(msgspec.Struct, frozen=True):
        at: dt.datetime
        also: list[dt.datetime]

    table = tl.table(Event, name="events", key=lambda e: e.at)
    wide_store.create_table(table).unwrap()
    at = dt.datetime(2026, 7, 1, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    events = tl.repository(wide_store, table)
    events.create(Event(at, [at])).unwrap()
    read = events.get_by_id(at).unwrap()
    assert read == Event(at, [at])
    assert read.at.tzinfo is not None
    assert (read.at.utcoffset(), read.at.hour) == (dt.timedelta(0), 10)
    assert read.also[0].utcoffset() == dt.timedelta(0)


class Odd(msgspec.Struct, frozen=True):
    id: int
    real: float
    number: Decimal = Decimal(0)


@pytest.mark.parametrize(
    "real", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
)
def test_unusual_floats_come_back(wide_store: tl.Store, real: float) -> None:
    table = tl.table(Odd, name="odd", key=lambda o: o.id)
    wide_store.create_table(table).unwrap()
    number = Decimal(repr(real)) if not math.isfinite(real) else Decimal(1)
    odd = tl.repository(wide_store, table)
    for cache in (None, tl.read_through(ttl_s=60), tl.read_through(ttl_s=59)):
        read_through = tl.repository(wide_store, table, cache=cache)
        if cache is None:
            assert odd.create_many([Odd(1, real, number)]) == tl.Success(1)
        read = read_through.get_by_id(1).unwrap()
        assert repr(read) == repr(Odd(1, real, number))


def test_a_decimal_keeps_its_digits(wide_store: tl.Store) -> None:
    table = tl.table(Odd, name="odd", key=lambda o: o.id)
    wide_store.create_table(table).unwrap()
    odd = tl.repository(wide_store, table)
    for n, text in enumerate(["1.10", "0.000", "123456789012345678901234567890.12345", "-7"]):
        odd.create(Odd(n, 0.0, Decimal(text))).unwrap()
        assert str(odd.get_by_id(n).unwrap().number) == text


class Price(msgspec.Struct, frozen=True):
    amount: Decimal
    text: str


@pytest.mark.parametrize("digits", ["1234567890123456789012345678901.5", "1E+3", "0.10", "-0.0"])
def test_a_decimal_key_finds_its_row_whatever_its_length(wide_store: tl.Store, digits: str) -> None:
    table = tl.table(Price, name="prices", key=lambda p: p.amount)
    wide_store.create_table(table).unwrap()
    prices = tl.repository(wide_store, table, cache=tl.read_through(ttl_s=60))
    price = Price(Decimal(digits), "x")
    prices.create(price).unwrap()
    assert prices.get_by_id(price.amount) == tl.Success(price)
    changed = Price(price.amount, "y")
    prices.update(changed).unwrap()
    assert prices.get_by_id(price.amount + 0 if digits == "0.10" else price.amount) == (
        tl.Success(changed)
    )


@pytest.mark.parametrize(
    "data",
    [
        {"a": 1e25},
        {"a": 2**64},
        {"a": {"b": [10**30]}},
        {"a": b"bytes"},
        {"a": dt.date(2026, 1, 1)},
        {"a": (1, 2)},
        {"a": math.nan},
        {"a": math.inf},
        {"a": "nul\0"},
        {"nul\0": 1},
        {"a": "\ud800"},
        {"a": {1, 2}},
        {"a": object()},
    ],
)
def test_json_that_would_not_come_back_equal_is_refused(
    wide_store: tl.Store, data: dict[str, Any]
) -> None:
    class Loose(msgspec.Struct, frozen=True):
        id: int
        data: dict[str, Any]

    table = tl.table(Loose, name="loose", key=lambda x: x.id)
    wide_store.create_table(table).unwrap()
    loose = tl.repository(wide_store, table, cache=tl.read_through(ttl_s=60))
    created = loose.create(Loose(1, data))
    if isinstance(created, tl.Failure):
        assert failure(created, tl.ValidationError).errors[0].path.startswith("data")
    else:
        for _ in range(2):
            assert loose.get_by_id(1) == tl.Success(Loose(1, data))
