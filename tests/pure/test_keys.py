"""Keys: one canonical form for equal keys, and a TypeError for what is no key."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.entity.validation import BadFieldsError

ZONED = dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC)
EAST = dt.timezone(dt.timedelta(hours=1))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def read(annotation: Any, key: Any) -> Any:
    """What a key of that type is read as."""
    entity = msgspec.defstruct("One", [("id", annotation)], frozen=True)
    table: tl.Table[Any, Any] = tl.table(entity, name="ones", key=lambda e: e.id)
    (value,) = table.read_key(key)
    return value


@pytest.mark.parametrize(
    ("annotation", "key", "canonical"),
    [
        (int, 7, 7),
        (str, "é", "é"),
        (bool, True, True),
        (bytes, b"\0", b"\0"),
        (float, 1, 1.0),
        (Decimal, 1, Decimal(1)),
        (uuid.UUID, uuid.UUID(int=7), uuid.UUID(int=7)),
        (dt.datetime, ZONED, ZONED),
        (dt.date, dt.date(2020, 1, 2), dt.date(2020, 1, 2)),
        (dt.timedelta, dt.timedelta(1), dt.timedelta(1)),
        (Colour, Colour.RED, "red"),
        (Level, Level.LOW, 1),
        (Literal["a"], "a", "a"),
    ],
    ids=repr,
)
def test_a_key_is_read_as_the_value_of_its_column(
    annotation: Any, key: Any, canonical: Any
) -> None:
    value = read(annotation, key)
    assert value == canonical
    assert type(value) is type(canonical)


# L2 finds an entry by the text of its key, so equal keys need one text.
@pytest.mark.parametrize(
    ("annotation", "keys"),
    [
        (float, [1, 1.0]),
        (float, [0.0, -0.0]),
        (Decimal, [Decimal("1.50"), Decimal("1.5"), Decimal("0.15E+1")]),
        (Decimal, [100, Decimal(100), Decimal("1E2"), Decimal("100.00")]),
        (Decimal, [Decimal(0), Decimal("-0"), Decimal("0E-5"), Decimal("0E+5")]),
        (dt.datetime, [ZONED, ZONED.astimezone(EAST)]),
    ],
    ids=repr,
)
def test_equal_keys_have_one_form(annotation: Any, keys: list[Any]) -> None:
    assert {repr(read(annotation, key)) for key in keys} == {repr(read(annotation, keys[0]))}


@given(st.decimals(allow_nan=False), st.decimals(allow_nan=False))
def test_decimal_keys_have_one_form_if_and_only_if_they_are_equal(a: Decimal, b: Decimal) -> None:
    for left, right in ((a, b), (a, a.normalize() if a.is_finite() else a)):
        same = repr(read(Decimal, left)) == repr(read(Decimal, right))
        assert same == (left == right)


def test_long_decimals_are_not_rounded() -> None:
    long = Decimal("1234567890123456789012345678901.5")
    assert read(Decimal, long) == long


@pytest.mark.parametrize(
    ("annotation", "key", "names"),
    [
        (int, "7", "int"),
        (int, True, "int"),
        (int, 1.0, "int"),
        (int, None, "int"),
        (str, 7, "str"),
        (bool, 1, "bool"),
        (float, True, "float or int"),
        (Decimal, 1.5, "Decimal or int"),
        (uuid.UUID, "0", "UUID"),
        (dt.datetime, dt.date(2020, 1, 1), "datetime"),
        (bytes, "a", "bytes"),
        # L1 keeps members; their values would be other keys.
        (Colour, "red", "Colour"),
        (Level, 1, "Level"),
    ],
    ids=repr,
)
def test_a_key_of_another_type_is_the_callers_mistake(
    annotation: Any, key: Any, names: str
) -> None:
    message = f"key field 'id' takes {names}, not {type(key).__name__}"
    with pytest.raises(TypeError, match=message):
        read(annotation, key)


@pytest.mark.parametrize(
    ("annotation", "key", "problem"),
    [
        (int, 2**63, "64-bit range"),
        (str, "\0", "NUL"),
        (str, "\ud800", "surrogate"),
        (float, math.nan, "is not a number"),
        (Decimal, Decimal("nan"), "is not a number"),
        (dt.datetime, ZONED.replace(tzinfo=None), "needs a time zone"),
        (dt.datetime, dt.datetime.min.replace(tzinfo=EAST), "years 1 to 9999"),
    ],
    ids=repr,
)
def test_a_value_that_no_row_can_have_is_told_with_its_field(
    annotation: Any, key: Any, problem: str
) -> None:
    with pytest.raises(BadFieldsError) as raised:
        read(annotation, key)
    ((path, said),) = raised.value.errors
    assert path == "id"
    assert problem in said


class Leg(msgspec.Struct, frozen=True):
    carrier: str
    number: int
    note: str = ""


LEGS = tl.table(Leg, name="legs", key=lambda leg: (leg.carrier, leg.number))


def test_a_composite_key_is_a_tuple_in_key_order() -> None:
    assert LEGS.read_key(("UA", 7)) == ("UA", 7)
    assert LEGS.key_of(Leg("UA", 7)) == ("UA", 7)


@pytest.mark.parametrize("key", ["UA", ("UA",), ("UA", 7, 8), ["UA", 7], None], ids=repr)
def test_a_composite_key_of_another_shape_is_the_callers_mistake(key: Any) -> None:
    with pytest.raises(TypeError, match=r"the key is a tuple \(carrier, number\), not"):
        LEGS.read_key(key)


def test_a_part_of_a_composite_key_is_checked_like_a_key() -> None:
    swapped: Any = (7, "UA")
    with pytest.raises(TypeError, match="key field 'carrier' takes str, not int"):
        LEGS.read_key(swapped)
    with pytest.raises(BadFieldsError):
        LEGS.read_key(("UA", 2**63))


def test_bounds_of_a_key_field_do_not_make_a_key_wrong() -> None:
    # No row has it, which is what `NotFoundError` says.
    assert read(Annotated[int, msgspec.Meta(ge=0)], -1) == -1
