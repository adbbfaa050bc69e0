"""Each annotation has the column type that the documentation promises; others are refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict

import msgspec
import psycopg
import psycopg.postgres
import psycopg.types
import pytest

from tierline.entity.column import Column, column_of
from tierline.entity.types import column_type


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Address(msgspec.Struct):
    street: str


@dataclasses.dataclass
class Point:
    x: int


class Movie(TypedDict):
    title: str


class Pair(NamedTuple):
    a: int
    b: str


class Plain:
    pass


class Half(enum.Enum):
    ONE = 1
    OTHER = "other"


Number = NewType("Number", int)
WITHOUT_ZONE = msgspec.Meta(tz=False)
WITH_ZONE = msgspec.Meta(tz=True)


@pytest.mark.parametrize(
    ("annotation", "sql"),
    [
        (int, "bigint"),
        (str, "text"),
        (bool, "boolean"),
        (float, "double precision"),
        (Decimal, "numeric"),
        (bytes, "bytea"),
        (uuid.UUID, "uuid"),
        (dt.datetime, "timestamptz"),
        (Annotated[dt.datetime, WITH_ZONE], "timestamptz"),
        (Annotated[dt.datetime, WITHOUT_ZONE], "timestamp"),
        (dt.date, "date"),
        (dt.timedelta, "interval"),
        (dt.time, "time"),
        (Annotated[dt.time, WITHOUT_ZONE], "time"),
        (Annotated[dt.time, WITH_ZONE], "timetz"),
        (Colour, "text"),
        (Level, "bigint"),
        (Literal["a", "b"], "text"),
        (Literal[1, 2], "bigint"),
        (Number, "bigint"),
        (Annotated[int, msgspec.Meta(ge=0)], "bigint"),
        (list[int], "bigint[]"),
        (tuple[str, ...], "text[]"),
        (set[Decimal], "numeric[]"),
        (frozenset[uuid.UUID], "uuid[]"),
        (list[Colour], "text[]"),
        (list[Literal[1, 2]], "bigint[]"),
        (list[dt.datetime], "timestamptz[]"),
        (list[Annotated[dt.datetime, WITHOUT_ZONE]], "timestamp[]"),
        (list[Annotated[dt.time, WITH_ZONE]], "timetz[]"),
        (dict[str, int], "jsonb"),
        (dict[int, str], "jsonb"),
        (dict[str, Any], "jsonb"),
        (Address, "jsonb"),
        (Point, "jsonb"),
        (Movie, "jsonb"),
        (Pair, "jsonb"),
        (int | str, "jsonb"),
        (tuple[int, str], "jsonb"),
        (list[list[int]], "jsonb"),
        (list[Address], "jsonb"),
        (list[int | None], "jsonb"),
        (list[Any], "jsonb"),
        (Any, "jsonb"),
    ],
    ids=str,
)
def test_an_annotation_has_its_column_type(annotation: Any, sql: str) -> None:
    assert column_type(annotation).sql == sql


SCALARS = (
    *(int, str, bool, float, Decimal, bytes, uuid.UUID, dt.date, dt.timedelta),
    *(dt.datetime, Annotated[dt.datetime, WITHOUT_ZONE], dt.time, Annotated[dt.time, WITH_ZONE]),
)


def _known(oid: int) -> psycopg.types.TypeInfo:
    found = psycopg.postgres.types.get(oid)
    assert found is not None
    return found


@pytest.mark.parametrize("annotation", SCALARS, ids=str)
def test_identifiers_of_types_are_those_that_the_driver_knows(annotation: Any) -> None:
    scalar = column_type(annotation)
    known = _known(scalar.oid)
    assert scalar.sql in (known.name, known.regtype)
    assert scalar.oid in scalar.result_oids

    array = column_type(list[annotation])
    assert array.sql == f"{scalar.sql}[]"
    assert known.array_oid == array.oid
    # Whatever may come back for the scalar may come back in an array.
    arrays = {_known(oid).array_oid for oid in scalar.result_oids}
    assert array.result_oids == arrays


@pytest.mark.parametrize("container", [list, set, frozenset])
def test_an_array_becomes_the_declared_collection(container: Any) -> None:
    made = column_type(container[int]).container
    assert made is not None
    assert made([1, 2]) == container([1, 2])


def test_choices_lead_from_what_is_stored_to_the_member() -> None:
    assert column_type(Colour).choices == {"red": Colour.RED, "green": Colour.GREEN}
    assert column_type(Level).choices == {1: Level.LOW}
    assert column_type(Literal["a"]).choices == {"a": "a"}


@pytest.mark.parametrize(
    "annotation",
    [
        Plain,
        complex,
        bytearray,
        range,
        type(None),
        object,
        Half,
        Literal["a", 1],
        Literal[True],
        list[Half],
        # Nor has a container of what JSON cannot hold.
        list[Plain],
        dict[str, complex],
        tuple[int, Plain],
    ],
    ids=str,
)
def test_what_has_no_column_type_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"no column type|all str|mixes"):
        column_type(annotation)


def test_a_refused_field_is_named_and_the_remedy_with_it() -> None:
    bad = msgspec.defstruct("Bad", [("ok", int), ("odd", complex)])
    with pytest.raises(TypeError, match=r"field 'odd': no column type .*; use one of the types"):
        [column_of(field) for field in msgspec.structs.fields(bad)]


def _column(annotation: Any) -> Column:
    (field,) = msgspec.structs.fields(msgspec.defstruct("One", [("value", annotation)]))
    return column_of(field)


@pytest.mark.parametrize(
    "annotation",
    [
        int | None,
        Optional[int],  # noqa: UP045 (users write it)
        Annotated[int | None, msgspec.Meta(ge=0)],
        Annotated[int, msgspec.Meta(ge=0)] | None,
    ],
    ids=str,
)
def test_an_optional_field_is_a_nullable_column_of_the_same_type(annotation: Any) -> None:
    column = _column(annotation)
    assert column.nullable
    assert column.type.sql == "bigint"


def test_other_fields_are_not_nullable() -> None:
    assert not _column(int).nullable
    assert not _column(list[int]).nullable
    # A union without None is JSON, and never NULL; Any may be None.
    assert not _column(int | str).nullable
    assert _column(int | str | None).nullable
    assert _column(Any).nullable


def _checks(annotation: Any) -> list[tuple[str, str, Any]]:
    return [(check.measure, check.operator, check.value) for check in _column(annotation).checks]


@pytest.mark.parametrize(
    ("annotation", "checks"),
    [
        (int, []),
        (Annotated[int, msgspec.Meta(ge=0, lt=9)], [("value", ">=", 0), ("value", "<", 9)]),
        (Annotated[int, msgspec.Meta(gt=0, le=9)], [("value", ">", 0), ("value", "<=", 9)]),
        (Annotated[float, msgspec.Meta(ge=0.5)], [("value", ">=", 0.5)]),
        (Annotated[int, msgspec.Meta(multiple_of=3)], [("remainder", "=", 3)]),
        (
            Annotated[str, msgspec.Meta(min_length=2, max_length=3)],
            [("char_length", ">=", 2), ("char_length", "<=", 3)],
        ),
        (Annotated[bytes, msgspec.Meta(max_length=3)], [("octet_length", "<=", 3)]),
        (Annotated[list[int], msgspec.Meta(min_length=1)], [("cardinality", ">=", 1)]),
        (Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}")], [("value", "~", "^[A-Z]{3}")]),
        (
            Annotated[str, msgspec.Meta(pattern=r"^(?:a|b)+\.[0-9]{2,3}")],
            [("value", "~", r"^(?:a|b)+\.[0-9]{2,3}")],
        ),
        (Annotated[str, msgspec.Meta(pattern=r"^\$")], [("value", "~", r"^\$")]),
        # Python's $ also matches before a final newline.
        (Annotated[str, msgspec.Meta(pattern="^a$")], [("value", "~", "^a\\n?$")]),
        (Annotated[int | None, msgspec.Meta(ge=0)], [("value", ">=", 0)]),
        (Literal["a", "b"], [("value", "in", ("a", "b"))]),
        (Colour, [("value", "in", ("red", "green"))]),
        (Level | None, [("value", "in", (1,))]),
        # Not in the database: JSON documents and elements of arrays are checked here only.
        (list[Colour], []),
        (list[Annotated[int, msgspec.Meta(ge=0)]], []),
        (Annotated[dict[str, int], msgspec.Meta(max_length=2)], []),
    ],
    ids=str,
)
def test_declared_bounds_become_checks(annotation: Any, checks: list[Any]) -> None:
    assert _checks(annotation) == checks


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"\d+", r"\w", r"[^a]", r"a\b", r"\Z", r"a.c", "é"),
        *("(?i)a", "(?P<n>a)", "(?=a)", "(?s:a)", "a*+", "a{300}"),
    ],
)
def test_a_pattern_that_postgres_may_read_otherwise_is_checked_here_only(pattern: str) -> None:
    assert _checks(Annotated[str, msgspec.Meta(pattern=pattern)]) == []
