"""Canonical cells: equal values have one form, and the form gives the value back."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierline.entity import table
from tierline.sync.cells import canonical, cells_of, row_id, same, value_of


class Colour(enum.Enum):
    RED = "r"


class Part(msgspec.Struct, frozen=True):
    size: float
    name: str


class Everything(msgspec.Struct, frozen=True):
    id: int
    whole: int
    maybe: str | None
    text: str
    flag: bool
    number: float
    exact: Decimal
    raw: bytes
    uid: uuid.UUID
    instant: dt.datetime
    day: dt.date
    time: dt.time
    span: dt.timedelta
    colour: Colour
    kind: Literal[1, 2]
    tags: list[str]
    days: frozenset[dt.date]
    part: Part
    document: dict[str, Any]


TABLE = table(Everything, name="everything", key=lambda e: e.id)
BERLIN = ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def form(field: str, value: Any) -> object:
    column = TABLE.by_field[field]
    found = canonical(column, value)
    assert same(msgspec.json.decode(msgspec.json.encode(found)), found)
    assert same(canonical(column, value_of(column, found)), found)
    return found


@pytest.mark.parametrize(
    ("field", "left", "right", "expected"),
    [
        ("maybe", "", None, None),
        ("text", "a\r\nb\rc", "a\nb\nc", "a\nb\nc"),
        ("number", 0.1 + 0.2, 0.3, "0.3"),
        ("number", 1e25, 1e25, "1e+25"),
        ("number", -0.0, 0.0, "0"),
        ("number", 1, 1.0, "1"),
        ("exact", Decimal("1.50"), Decimal("1.5"), "1.5"),
        ("exact", Decimal("-1E+2"), Decimal(-100), "-100"),
        ("exact", Decimal("0.00"), Decimal("-0"), "0"),
        ("exact", Decimal("1E+90"), Decimal("10E+89"), "1E+90"),
        ("instant", NOON, NOON.astimezone(BERLIN), "2026-03-01T12:00:00Z"),
        ("span", dt.timedelta(hours=24), dt.timedelta(days=1), "P1D"),
        ("days", frozenset({dt.date(2026, 3, 2), dt.date(2026, 3, 1)}),
         frozenset({dt.date(2026, 3, 1), dt.date(2026, 3, 2)}), '["2026-03-01","2026-03-02"]'),
        ("document", {"b": 1.0, "a": [1e25]}, {"a": [10**25], "b": 1},
         '{"a":[10000000000000000000000000],"b":1}'),
    ],
)  # fmt: skip
def test_equal_values_have_one_form(field: str, left: Any, right: Any, expected: object) -> None:
    assert form(field, left) == form(field, right) == expected


@pytest.mark.parametrize(
    ("field", "left", "right"),
    [
        ("whole", 2**53, 2**53 + 1),
        ("text", "007", "7"),
        ("text", " a", "a"),
        ("exact", Decimal("1.00000000000000000000000000000000001"), Decimal(1)),
        ("number", float("nan"), float("inf")),
        ("instant", NOON, NOON + dt.timedelta(microseconds=1)),
        ("tags", ["a", "b"], ["b", "a"]),
    ],
)
def test_different_values_have_different_forms(field: str, left: Any, right: Any) -> None:
    assert form(field, left) != form(field, right)


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert same("a", "a")
    assert same(None, None)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "maybe": st.none() | st.text(),
    "flag": st.booleans(),
    "number": st.floats(),
    "exact": st.decimals(),
    "raw": st.binary(),
    "uid": st.uuids(),
    "instant": st.integers(-(10**10), 10**10).map(lambda s: NOON + dt.timedelta(seconds=s)),
    "day": st.dates(),
    "time": st.times(),
    "span": st.timedeltas(dt.timedelta(-10_000), dt.timedelta(10_000)),
    "colour": st.sampled_from(Colour),
    "kind": st.sampled_from([1, 2]),
    "tags": st.lists(st.text()),
    "days": st.frozensets(st.dates()),
    "part": st.builds(Part, st.floats(allow_nan=False, allow_infinity=False), st.text()),
}


@settings(max_examples=50)
@given(st.fixed_dictionaries(VALUES))
def test_the_form_gives_the_value_back(values: dict[str, Any]) -> None:
    for field, value in values.items():
        form(field, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("whole", "1"), ("whole", True), ("flag", 1), ("text", 1), ("exact", 1.5), ("day", NOON),
     ("instant", dt.datetime(2026, 3, 1)), ("uid", "x")],  # noqa: DTZ001
)  # fmt: skip
def test_what_is_no_value_of_the_column_is_refused(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=field):
        canonical(TABLE.by_field[field], value)


@pytest.mark.parametrize(
    ("field", "cell"),
    [("exact", "one"), ("colour", "x"), ("day", "1 March"), ("tags", "{}"), ("document", "[")],
)
def test_a_base_that_holds_something_else_is_refused(field: str, cell: str) -> None:
    with pytest.raises(TypeError, match=field):
        value_of(TABLE.by_field[field], cell)


class Flight(msgspec.Struct, frozen=True):
    carrier: str
    number: int
    delay: int | None


def test_rows_are_known_by_their_key() -> None:
    one = table(Flight, name="flights", key=lambda f: f.number)
    two = table(Flight, name="flights", key=lambda f: (f.carrier, f.number))
    flight = Flight("LH", 7, None)
    assert row_id(one, flight) == "7"
    assert row_id(two, flight) == '["LH",7]'
    assert cells_of(one, flight, ("carrier", "delay")) == {"carrier": "LH", "delay": None}
