"""The validator: column values of a good entity, every bad field of a bad one, with its path."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
import zoneinfo
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

import tierline as tl
from tierline.entity.validation import BadFieldsError

NAIVE = dt.datetime(2020, 1, 2, 3)  # noqa: DTZ001 (to be refused)
ZONED = NAIVE.replace(tzinfo=dt.UTC)
EAST = dt.timezone(dt.timedelta(hours=1))
WEST = dt.timezone(-dt.timedelta(hours=1))
ROME = zoneinfo.ZoneInfo("Europe/Rome")


class Colour(enum.Enum):
    RED = "red"


class Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: Annotated[int, Meta(ge=0)] = 0


class Address(msgspec.Struct, frozen=True):
    lines: list[Line]
    zip: Annotated[str, Meta(max_length=5)] = "1"


class Plain:
    pass


def stored(annotation: Any, value: Any) -> Any:
    """What a field of that type is stored as."""
    entity = msgspec.defstruct("One", [("id", int), ("value", annotation)], frozen=True)
    table: tl.Table[Any, Any] = tl.table(entity, name="ones", key=lambda e: e.id)
    return table.validator.values(entity(1, value))[1]


def problems(annotation: Any, value: Any) -> list[tuple[str, str]]:
    """Every bad place of a value and what is wrong with it."""
    with pytest.raises(BadFieldsError) as raised:
        stored(annotation, value)
    return [tuple(error) for error in raised.value.errors]


@pytest.mark.parametrize(
    ("annotation", "value", "as_stored"),
    [
        (int, 2**63 - 1, 2**63 - 1),
        (int, -(2**63), -(2**63)),
        (int | None, None, None),
        (float, 1, 1.0),
        (float, math.inf, math.inf),
        (str, "é\n\\u0000", "é\n\\u0000"),
        (bytes, b"\0\xff", b"\0\xff"),
        (Decimal, Decimal("1.50"), Decimal("1.50")),
        (uuid.UUID, uuid.UUID(int=7), uuid.UUID(int=7)),
        (dt.datetime, ZONED, ZONED),
        (Annotated[dt.datetime, Meta(tz=False)], NAIVE, NAIVE),
        (dt.time, dt.time(1), dt.time(1)),
        (Annotated[dt.time, Meta(tz=True)], dt.time(1, tzinfo=EAST), dt.time(1, tzinfo=EAST)),
        (Colour, Colour.RED, "red"),
        (Literal["a"], "a", "a"),
        (list[Colour], [Colour.RED], ["red"]),
        (tuple[int, ...], (1, 2), [1, 2]),
        (frozenset[str], frozenset(["a"]), ["a"]),
        (Address, Address([Line("a")]), b'{"lines":[{"sku":"a","quantity":0}],"zip":"1"}'),
        (dict[str, Any], {"a": [1, 2.5, None, "\\u0000"]}, b'{"a":[1,2.5,null,"\\\\u0000"]}'),
        (dict[int, str], {1: "a"}, b'{"1":"a"}'),
        (Any, None, None),
    ],
    ids=repr,
)
def test_a_good_value_becomes_what_is_stored(annotation: Any, value: Any, as_stored: Any) -> None:
    made = stored(annotation, value)
    assert made == as_stored
    assert type(made) is type(as_stored)


OUTSIDE = "is outside the years 1 to 9999 in UTC"


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, True, "Expected `int`, got `bool`"),
        (int, 1.0, "Expected `int`, got `float`"),
        (int, "1", "Expected `int`, got `str`"),
        (int, None, "Expected `int`, got `null`"),
        (int, 2**63, "Expected `int` <= 9223372036854775807"),
        (int, -(2**63) - 1, "Expected `int` >= -9223372036854775808"),
        (Annotated[int, Meta(ge=0)], -1, "Expected `int` >= 0"),
        (Annotated[int, Meta(ge=0)], 2**63, "Expected `int` <= 9223372036854775807"),
        (Annotated[int, Meta(multiple_of=3)], 4, "Expected `int` that's a multiple of 3"),
        (float, "1", "Expected `float`, got `str`"),
        (float, 2**2000, "Number out of range"),
        (str, b"a", "Expected `str`, got `bytes`"),
        (Annotated[str, Meta(min_length=2)], "a", "Expected `str` of length >= 2"),
        (Annotated[str, Meta(pattern="^b")], "a", "Expected `str` matching regex '^b'"),
        (bytes, "a", "Expected `bytes`, got `str`"),
        (bool, 1, "Expected `bool`, got `int`"),
        (Decimal, 1.5, "Expected `decimal`, got `float`"),
        (uuid.UUID, "a", "Expected `uuid`, got `str`"),
        (dt.date, "2020-01-01", "Expected `date`, got `str`"),
        (dt.date, NAIVE, "Expected `date`, got `datetime`"),
        (dt.datetime, NAIVE, "Expected `datetime` with a timezone component"),
        (
            dt.datetime,
            dt.datetime.min.replace(tzinfo=EAST),
            "is outside the years 1 to 9999 in UTC",
        ),
        (
            dt.datetime,
            dt.datetime.max.replace(tzinfo=WEST),
            "is outside the years 1 to 9999 in UTC",
        ),
        (
            Annotated[dt.datetime, Meta(tz=False)],
            ZONED,
            "Expected `datetime` with no timezone component",
        ),
        (dt.time, dt.time(1, tzinfo=EAST), "Expected `time` with no timezone component"),
        (
            Annotated[dt.time, Meta(tz=True)],
            dt.time(1, tzinfo=ROME),
            "needs a fixed offset from UTC; a time of day alone has no zone rules",
        ),
        (Colour, "blue", "Invalid enum value 'blue'"),
        (Literal["a", "b"], "c", "Invalid enum value 'c'"),
        (list[int], "a", "Expected `array`, got `str`"),
        (Annotated[list[int], Meta(max_length=1)], [1, 2], "Expected `array` of length <= 1"),
    ],
    ids=repr,
)
def test_a_bad_value_is_told_with_its_field(annotation: Any, value: Any, problem: str) -> None:
    assert problems(annotation, value) == [("value", problem)]


NUL = "has a NUL character, which PostgreSQL text cannot hold; remove it or use bytes"
SURROGATE = "has a lone surrogate, which UTF-8 cannot encode; decode the text properly"


def test_text_that_postgres_cannot_hold_is_refused() -> None:
    assert problems(str, "a\0") == [("value", NUL)]
    assert problems(str, "\ud800") == [("value", SURROGATE)]
    assert problems(Address, Address([Line("\0")])) == [
        ("value", "has a NUL character, which jsonb cannot hold")
    ]
    assert problems(dict[str, Any], {"\ud800": 1}) == [
        ("value", "has a lone surrogate, which UTF-8 cannot encode")
    ]


def test_every_bad_element_of_an_array_is_told_with_its_position() -> None:
    assert problems(list[str], ["a", "\0", "\ud800"]) == [
        ("value[1]", NUL),
        ("value[2]", SURROGATE),
    ]
    assert problems(list[int], [2**63, 1, -(2**64)]) == [
        ("value[0]", "is outside the 64-bit range of bigint"),
        ("value[2]", "is outside the 64-bit range of bigint"),
    ]
    assert problems(list[dt.datetime], [ZONED, NAIVE]) == [("value[1]", "needs a time zone")]


def test_a_nested_field_is_told_with_its_whole_path() -> None:
    bad: Any = Line(2)  # type: ignore[arg-type]
    assert problems(Address, Address([Line("a"), bad])) == [
        ("value.lines[1].sku", "Expected `str`, got `int`")
    ]
    assert problems(Address, Address([Line("a", -1)])) == [
        ("value.lines[0].quantity", "Expected `int` >= 0")
    ]
    assert problems(list[list[int]], [[1], ["a"]]) == [("value[1][0]", "Expected `int`, got `str`")]
    assert problems(dict[str, int], {"a": "b"}) == [("value[...]", "Expected `int`, got `str`")]


def test_a_bad_key_of_a_dict_is_told_without_msgspecs_notation() -> None:
    ((path, problem),) = problems(dict[str, int], {1: 1})
    assert path == "value"
    assert "$" not in problem
    ((path, problem),) = problems(dict[str, list[dict[int, int]]], {"a": [{"b": 1}]})
    assert path == "value[...][0]"
    assert "$" not in problem


LOSS = "cannot be stored as JSON without loss"


@pytest.mark.parametrize(
    "value",
    [
        {"a": (1, 2)},
        {"a": {1}},
        {"a": b"x"},
        {"a": ZONED},
        {"a": Decimal("1.5")},
        {"a": math.nan},
        {"a": math.inf},
        # jsonb gives it back as an integer of another value.
        {"a": 1e25},
        {"a": {1: 2}},
    ],
    ids=repr,
)
def test_what_json_would_change_is_refused_rather_than_lost(value: Any) -> None:
    assert problems(dict[str, Any], value) == [("value", LOSS)]


def test_a_declared_type_gives_json_its_meaning_back() -> None:
    assert stored(dict[str, dt.datetime], {"a": ZONED}) == b'{"a":"2020-01-02T03:00:00Z"}'
    assert stored(dict[str, float], {"a": 1e25}) == b'{"a":1e25}'
    assert stored(tuple[int, str], (1, "a")) == b'[1,"a"]'


def test_what_has_no_json_form_is_refused() -> None:
    ((path, problem),) = problems(dict[str, Any], {"a": Plain()})
    assert (path, problem) == (
        "value",
        "cannot be stored as JSON: Encoding objects of type Plain is unsupported",
    )


def test_what_contains_itself_or_is_very_deep_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for annotation, value in ((dict[str, Any], cycle), (list[Any], deep)):
        assert problems(annotation, value) == [
            ("value", "is nested too deeply, or contains itself")
        ]


def test_nesting_is_allowed_to_a_depth_that_every_interpreter_bears() -> None:
    def nested(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert stored(list[Any], nested(500)) == b"[" * 500 + b"]" * 500
    assert problems(list[Any], nested(501)) == [
        ("value", "is nested too deeply, or contains itself")
    ]
    wide = [[] for _ in range(2_000)]
    assert stored(list[Any], wide) == msgspec.json.encode(wide)


class Flight(msgspec.Struct, frozen=True):
    id: int
    origin: str
    seats: Annotated[int, Meta(ge=0)]
    tags: list[str]
    address: Address
    delay: int | None = None


FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)


def test_every_bad_field_is_told_in_field_order() -> None:
    bad: Any = Flight("x", "\0", -1, ["a", "\0"], Address([Line("a")], "123456"), "late")  # type: ignore[arg-type]
    with pytest.raises(BadFieldsError) as raised:
        FLIGHTS.validator.values(bad)
    assert [path for path, _ in raised.value.errors] == [
        *("id", "origin", "seats", "tags[1]", "address.zip", "delay")
    ]


def test_problems_of_text_and_of_types_are_told_together() -> None:
    only_text = Flight(1, "\0", 0, ["\0", "a", "\ud800"], Address([]))
    with pytest.raises(BadFieldsError) as raised:
        FLIGHTS.validator.values(only_text)
    assert [path for path, _ in raised.value.errors] == ["origin", "tags[0]", "tags[2]"]


def test_another_class_is_the_callers_mistake() -> None:
    with pytest.raises(TypeError, match="expected an instance of Flight, got dict"):
        FLIGHTS.validator.values({"id": 1})


def test_a_renamed_field_is_told_by_its_python_name() -> None:
    entity = msgspec.defstruct("Camel", [("dep_delay", int)], rename="camel", frozen=True)
    table: tl.Table[Any, Any] = tl.table(entity, name="camels", key=lambda e: e.dep_delay)
    assert table.columns[0].name == "depDelay"
    with pytest.raises(BadFieldsError) as raised:
        table.validator.values(entity("late"))
    assert [path for path, _ in raised.value.errors] == ["dep_delay"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON | st.floats(), max_size=4))
def test_json_is_stored_as_the_same_value_or_refused(value: dict[str, Any]) -> None:
    try:
        encoded = stored(dict[str, Any], value)
    except BadFieldsError as bad:
        assert all(path.startswith("value") for path, _ in bad.errors)  # noqa: PT017
    else:
        assert msgspec.json.decode(encoded) == value


@given(st.text(st.characters(exclude_categories=())))
def test_text_is_stored_if_and_only_if_postgres_can_hold_it(value: str) -> None:
    try:
        value.encode()
        holds = "\0" not in value
    except UnicodeEncodeError:
        holds = False
    try:
        assert stored(str, value) == value
        assert holds
    except BadFieldsError:
        assert not holds
