"""CHECK constraints: the database refuses what validation refuses, and takes what it takes."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Literal

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import Meta
from tests.real.helpers import failure

import tierline as tl

Raw = psycopg.Connection[Any]


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2**40


class Colour(enum.Enum):
    RED = "red"
    QUOTED = "bl'ue\\"


class Ruled(msgspec.Struct, frozen=True):
    id: int
    low: Annotated[int, Meta(ge=-2, le=5)] = 0
    open: Annotated[int, Meta(gt=0, lt=4)] = 1
    even: Annotated[int, Meta(multiple_of=2)] = 0
    share: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    code: Annotated[str, Meta(pattern="^[A-Z]{2}-[0-9]+$")] = "AB-1"
    body: Annotated[bytes, Meta(max_length=2)] = b""
    tags: Annotated[tuple[str, ...], Meta(min_length=1, max_length=2)] = ("x",)
    colour: Colour = Colour.RED
    word: Literal["a", "b'c"] = "a"
    level: Level = Level.LOW
    maybe: Annotated[int, Meta(ge=1)] | None = None


RULED = tl.table(Ruled, name="ruled", key=lambda r: r.id)
VIOLATIONS: list[tuple[str, str]] = [
    ("low", "-3"), ("low", "6"), ("open", "0"), ("open", "4"), ("even", "3"),
    ("share", "-0.1"), ("share", "1"), ("name", "''"), ("name", "'éééé'"),
    ("code", "'AB1'"), ("code", "'xAB-1'"), ("body", r"'\x010203'"), ("tags", "'{}'"),
    ("tags", "'{a,b,c}'"), ("colour", "'green'"), ("word", "'b'"), ("level", "3"), ("maybe", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "literal"), VIOLATIONS)
def test_the_database_itself_refuses_what_validation_refuses(
    store: tl.Store, raw: Raw, column: str, literal: str
) -> None:
    store.create_table(RULED).unwrap()
    ruled = tl.repository(store, RULED)
    ruled.create(Ruled(1)).unwrap()
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        raw.execute(f"UPDATE ruled SET {column} = {literal}")  # type: ignore[arg-type]
    assert caught.value.diag.constraint_name == f"ruled_{column}_check"
    assert ruled.get_by_id(1) == tl.Success(Ruled(1))


SMALL_TEXT = st.text("ABab01-é\n'\\", max_size=5)


@given(
    low=st.integers(-5, 8),
    open_=st.integers(-2, 6),
    even=st.integers(-4, 4),
    share=st.floats(-1, 2) | st.just(math.nan),
    name=SMALL_TEXT,
    code=SMALL_TEXT | st.from_regex(r"^[A-Z]{2}-[0-9]+$"),
    body=st.binary(max_size=4),
    tags=st.lists(SMALL_TEXT, max_size=4).map(tuple),
    maybe=st.none() | st.integers(-2, 2),
)
@example(0, 1, 0, 0.0, "a", "AB-1\n", b"", ("x",), None)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_validation_accepts_the_database_accepts(
    store: tl.Store,
    low: int,
    open_: int,
    even: int,
    share: float,
    name: str,
    code: str,
    body: bytes,
    tags: tuple[str, ...],
    maybe: int | None,
) -> None:
    store.create_table(RULED, exist_ok=True).unwrap()
    ruled = tl.repository(store, RULED)
    fields: dict[str, Any] = {
        "low": low, "open": open_, "even": even, "share": share, "name": name, "code": code,
        "body": body, "tags": tags, "maybe": maybe,
    }  # fmt: skip
    # One field at a time: each is accepted by both or refused before anything is sent.
    for field, value in fields.items():
        entity = msgspec.structs.replace(Ruled(1), **{field: value})
        result = ruled.create(entity)
        if isinstance(result, tl.Failure):
            assert failure(result, tl.ValidationError).errors[0].path.startswith(field)
        else:
            ruled.delete(1).unwrap()


@pytest.mark.parametrize("pattern", [
    "^a$", "a|b", "^[a-c_.]+$", "^(?:ab)+$", r"\d+", "(?i)AB", "^(?P<x>a)$", "a.c", r"^\w$", "[^a]",
])  # fmt: skip
def test_a_pattern_of_any_dialect_makes_a_table_that_works(store: tl.Store, pattern: str) -> None:
    patterned: Any = msgspec.defstruct(
        "Patterned", [("id", int), ("text", Annotated[str, Meta(pattern=pattern)])], frozen=True
    )
    table: tl.Table[Any, int] = tl.table(patterned, name="patterned", key=lambda p: p.id)
    store.create_table(table).unwrap()
    rows = tl.repository(store, table)
    for n, text in enumerate(["a", "ab", "abab", "AB", "a\n", "\na", "b1", "a.c", "é", "-"]):
        result = rows.create(patterned(n, text))
        if isinstance(result, tl.Failure):
            failure(result, tl.ValidationError)
