"""The checker of entities: what it calls sure, the validator accepts unchanged."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

import tierline as tl
from tierline._core import CopyEncoder, EntityChecker
from tierline.entity.validation import BadFieldsError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"


class Shifted(enum.StrEnum):
    A = "a"

    def __new__(cls, value: str) -> Self:
        made = str.__new__(cls, "other")
        made._value_ = value
        return made


class Everything(msgspec.Struct, frozen=True):
    id: int
    small: Annotated[int, Meta(ge=-3, lt=9)]
    above: Annotated[int, Meta(gt=0, le=2**40)] | None
    ratio: float | None
    part: Annotated[float, Meta(gt=0, lt=1)]
    share: Annotated[float, Meta(ge=-1.5, le=1.5)]
    name: str | None
    code: Annotated[str, Meta(min_length=1, max_length=3)]
    flag: bool | None
    body: Annotated[bytes, Meta(max_length=2)] | None
    price: Decimal | None
    token: uuid.UUID | None
    at: dt.datetime | None
    local: Annotated[dt.datetime, Meta(tz=False)] | None
    day: dt.date | None
    clock: dt.time | None
    span: dt.timedelta | None
    colour: Colour | None
    level: Level | None
    word: Word | None
    letter: Literal["a", "b"] | None
    digit: Literal[1, 2] | None


TABLE = tl.table(Everything, name="everything", key=lambda e: e.id)
GOOD = Everything(
    1, 1, None, 0.5, 0.5, 0.0, "n", "abc", True, b"", Decimal("1.5"), uuid.UUID(int=5),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1), dt.date(2026, 1, 1),  # noqa: DTZ001
    dt.time(1), dt.timedelta(1), Colour.RED, Level.LOW, Word.YES, "a", 1,
)  # fmt: skip


class Text(str):
    __slots__ = ()


class Zone(dt.tzinfo):
    def utcoffset(self, at: dt.datetime | None) -> dt.timedelta | None:
        return None


# Of every kind, right, wrong, and nearly so.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, -3, -4, 8, 9, 2, 3, 2**40, 2**40 + 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1, 0.0, -0.0, 0.5, 1.0, 1.5, 1.6, -1.5, math.nan, math.inf, -math.inf, 5e-324, "",
    "a", "é", "abc", "abcd", "ééé", "nul\0", "\ud800", Text("a"), "red", "yes", b"", b"ab", b"abc",
    bytearray(b"a"), Decimal(1), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
    uuid.UUID(int=1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC),  # noqa: DTZ001
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-2))),
    dt.datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    dt.datetime(2026, 1, 1, tzinfo=Zone()),
    dt.date(2026, 1, 1), dt.time(1), dt.time(1, tzinfo=dt.UTC), dt.timedelta(5), Colour.BLUE,
    Level.HIGH, Word.YES, [], object(),
]  # fmt: skip
FIELDS = Everything.__struct_fields__
KINDS = [
    "int8", "int8", "int8", "float8", "float8", "float8", "text", "text", "bool", "bytea",
    "numeric", "uuid", "timestamptz", "timestamp", "date", "other", "other", "text", "int8",
    "text", "text", "int8",
]  # fmt: skip
ENCODER = CopyEncoder(
    KINDS, [(lambda v: repr(v).encode()) if kind == "other" else None for kind in KINDS],
    Everything, FIELDS,
)  # fmt: skip


def unsure(*entities: Any) -> list[int]:
    checker = TABLE.checker
    assert checker is not None
    return checker.unsure([*entities])


def with_values(values: dict[str, Any]) -> Everything:
    return msgspec.structs.replace(GOOD, **values)


def assert_sure_means_valid(entity: Everything) -> None:
    if unsure(entity):
        return
    values = TABLE.validator.values(entity)
    # Encoded as it is, it comes to the same bytes as its values.
    try:
        expected = ENCODER.encode([values])
    except (OverflowError, ValueError) as error:
        with pytest.raises(type(error)):
            ENCODER.encode([entity])
    else:
        assert ENCODER.encode([entity]) == expected


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_sure_of_one_field_is_valid(field: str) -> None:
    for value in VALUES:
        assert_sure_means_valid(with_values({field: value}))


@given(values=st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES), max_size=4))
def test_what_is_sure_is_valid(values: dict[str, Any]) -> None:
    assert_sure_means_valid(with_values(values))


USUAL: dict[str, list[Any]] = {
    "id": [0, 2**63 - 1, -(2**63)],
    "small": [-3, 8],
    "above": [None, 1, 2**40],
    "ratio": [None, math.nan, math.inf, 0.0],
    "part": [5e-324, 0.999],
    "share": [-1.5, 1.5],
    "name": [None, "", "é", "long " * 99],
    "code": ["a", "ééé"],
    "flag": [None, False],
    "body": [None, b"ab"],
    "price": [None, Decimal("NaN")],
    "at": [None, dt.datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))],
    "colour": [None, Colour.BLUE],
    "level": [Level.HIGH],
    "letter": [None, "b"],
    "digit": [None, 2],
}


@pytest.mark.parametrize("field", USUAL)
def test_usual_values_are_sure(field: str) -> None:
    for value in USUAL[field]:
        assert unsure(with_values({field: value})) == [], value


def test_others_are_named_by_their_positions() -> None:
    class Derived(Everything, frozen=True):
        pass

    derived = Derived(*msgspec.structs.astuple(GOOD))
    bad = with_values({"small": 9})
    assert unsure(GOOD, bad, GOOD, derived, None, object(), GOOD) == [1, 3, 4, 5]
    assert unsure() == []
    with pytest.raises(BadFieldsError):
        TABLE.validator.values(bad)


def test_what_needs_more_has_no_checker() -> None:
    class Mutable(msgspec.Struct):
        id: int

    class Odd(msgspec.Struct, frozen=True):
        id: Annotated[int, Meta(multiple_of=2)]

    class Pattern(msgspec.Struct, frozen=True):
        id: Annotated[str, Meta(pattern="^a")]

    class Many(msgspec.Struct, frozen=True):
        id: int
        tags: list[str]

    class Document(msgspec.Struct, frozen=True):
        id: int
        data: dict[str, int]

    for entity in (Odd, Pattern, Many, Document):
        assert tl.table(entity, name="t", key=lambda e: e.id).checker is None
    assert tl.table(Mutable, name="t", key=lambda e: e.id, copy=True).checker is None


def test_an_impossible_or_enormous_bound_fits_nothing_or_everything() -> None:
    class Bounded(msgspec.Struct, frozen=True):
        id: int
        none: Annotated[int, Meta(ge=5, lt=5)] | None = None

    checker = tl.table(Bounded, name="t", key=lambda e: e.id).checker
    assert checker is not None
    assert checker.unsure([Bounded(1), Bounded(1, 5)]) == [1]


def test_an_enum_whose_value_is_another_than_its_text_has_no_checker() -> None:
    class Holder(msgspec.Struct, frozen=True):
        id: int
        kind: Shifted

    assert tl.table(Holder, name="t", key=lambda e: e.id).checker is None


def test_attributes_are_read_as_python_reads_them() -> None:
    class Redirected:
        __slots__ = ("id",)

        def __getattribute__(self, name: str) -> Any:
            return 5

    class Plain:
        def __init__(self) -> None:
            self.id = 5

    class Missing:
        __slots__ = ("id",)

    for cls, expected in ((Redirected, []), (Plain, []), (Missing, [0])):
        checker = EntityChecker(cls, ["id"], [("int", False, 0, 9)])
        assert checker.unsure([cls()]) == expected
        encoder = CopyEncoder(["int8"], [None], cls, ["id"])
        if not expected:
            assert encoder.encode([cls()]) == encoder.encode([(5,)])
        else:
            with pytest.raises(AttributeError):
                encoder.encode([cls()])


@pytest.mark.parametrize(
    "kind",
    [
        ("int", False, None, None),
        ("int", False, 1, None),
        ("float", False, None, 1.0),
        ("bool", False, 1, None),
        ("member", False, None, None),
        ("literal", False, None, None),
        ("money", False, None, None),
    ],
)
def test_a_checker_that_could_not_work_is_not_made(kind: Any) -> None:
    with pytest.raises(ValueError, match="kind"):
        EntityChecker(Everything, ["id"], [kind])
    with pytest.raises(ValueError, match="length"):
        EntityChecker(Everything, [], [("bool", False, None, None)])


def test_an_encoder_of_entities_has_a_name_a_column() -> None:
    for entity, names in ((Everything, None), (None, ["id"]), (Everything, ["id", "small"])):
        with pytest.raises(ValueError, match="names"):
            CopyEncoder(["int8"], [None], entity, names)
    with pytest.raises(TypeError):
        CopyEncoder(["int8"], [None], Everything, ["id"]).encode([object()])  # no entity, no tuple
    with pytest.raises(TypeError, match="int"):
        CopyEncoder(["text"], [None], Everything, ["id"]).encode([GOOD])
    with pytest.raises(TypeError, match="Colour"):
        # Only of an entity is a member known to have been checked.
        CopyEncoder(["text"], [None]).encode([(Colour.RED,)])
