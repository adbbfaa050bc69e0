"""The kinds that the core encodes itself, against the encoders of single values."""

from __future__ import annotations

import datetime as dt
import enum
import struct
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline._core import CopyEncoder
from tierline.entity.types import scalar_type
from tierline.postgres.codecs import encoder

ZONES = st.sampled_from(
    [
        dt.UTC,
        dt.timezone(dt.timedelta(hours=5, minutes=30)),
        dt.timezone(-dt.timedelta(hours=11, microseconds=7)),
        zoneinfo.ZoneInfo("America/New_York"),
        zoneinfo.ZoneInfo("UTC"),
    ]
)
# A zone may carry the first and last days out of the years that datetime has.
INSTANTS = st.datetimes(
    dt.datetime(1, 1, 3),  # noqa: DTZ001 (the zone is drawn)
    dt.datetime(9999, 12, 29),  # noqa: DTZ001 (the zone is drawn)
    timezones=ZONES,
)
DIGITS = st.tuples(st.sampled_from(["", "-"]), st.integers(0, 10**40), st.integers(-60, 60)).map(
    lambda parts: Decimal(f"{parts[0]}{parts[1]}E{parts[2]}")
)
NUMBERS = (
    DIGITS
    | st.decimals(allow_nan=False)
    | st.sampled_from(
        [
            Decimal("NaN"),
            Decimal("Infinity"),
            Decimal("-Infinity"),
            Decimal("-0.00"),
            Decimal("0E+9"),
        ]
    )
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "numeric": NUMBERS,
    "uuid": st.uuids(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": INSTANTS,
    "jsonb": st.binary(max_size=20),
}


def encoded(kind: str, *values: Any) -> bytes:
    return CopyEncoder([kind], [None]).encode([(value,) for value in values])


def field(body: bytes) -> bytes:
    return struct.pack(">hi", 1, len(body)) + body


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_has_the_same_bytes_in_bulk_and_alone(kind: str) -> None:
    alone = encoder(scalar_type(kind, None))  # type: ignore[arg-type]

    @given(VALUES[kind])
    def check(value: Any) -> None:
        assert encoded(kind, value) == field(alone(value))

    check()


@pytest.mark.parametrize(("kind", "form", "bits"), [("int2", ">h", 16), ("int4", ">i", 32)])
def test_a_narrower_integer_fits_or_overflows(kind: str, form: str, bits: int) -> None:
    top = 2 ** (bits - 1)
    for value in (-top, -1, 0, top - 1):
        assert encoded(kind, value) == field(struct.pack(form, value))
    for value in (-top - 1, top):
        with pytest.raises(OverflowError):
            encoded(kind, value)


def test_subclasses_of_text_and_numbers_are_read_as_what_they_are() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    class Id(uuid.UUID):
        pass

    assert encoded("text", Colour.RED) == encoded("text", "red")
    assert encoded("int8", Level.HIGH) == encoded("int8", 3)
    assert encoded("uuid", Id(int=7)) == encoded("uuid", uuid.UUID(int=7))


@pytest.mark.parametrize(
    ("kind", "value", "takes"),
    [
        ("int4", True, "int"),
        ("numeric", 1, "Decimal"),
        ("numeric", "1", "Decimal"),
        ("uuid", "00000000-0000-0000-0000-000000000000", "UUID"),
        ("date", dt.datetime(2000, 1, 1), "date"),  # noqa: DTZ001 (on purpose)
        ("timestamp", dt.datetime(2000, 1, 1, tzinfo=dt.UTC), "datetime without time zone"),
        ("timestamptz", dt.datetime(2000, 1, 1), "datetime with time zone"),  # noqa: DTZ001 (on purpose)
        ("timestamptz", dt.date(2000, 1, 1), "datetime with time zone"),
        ("jsonb", "{}", "bytes"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: Any, takes: str) -> None:
    with pytest.raises(TypeError, match=f"column 0 takes {takes}, not {type(value).__name__}"):
        encoded(kind, value)


@pytest.mark.parametrize("value", ["1E+999999", "1E-99999", "sNaN"])
def test_a_decimal_beyond_postgresql_overflows(value: str) -> None:
    with pytest.raises(OverflowError, match="numeric cannot hold"):
        encoded("numeric", Decimal(value))


def test_what_a_zone_raises_reaches_the_caller() -> None:
    class Broken(dt.tzinfo):
        def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
            raise LookupError("no rules")

    class Silent(dt.tzinfo):
        def utcoffset(self, _: dt.datetime | None) -> None:
            return None

    with pytest.raises(LookupError, match="no rules"):
        encoded("timestamptz", dt.datetime(2000, 1, 1, tzinfo=Broken()))
    with pytest.raises(ValueError, match="tells no offset"):
        encoded("timestamptz", dt.datetime(2000, 1, 1, tzinfo=Silent()))
