"""Rows that others wrote and no entity can hold: a DecodeError that names the column."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Generator
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import failure, still_works

import tierline as tl


class Kind(enum.Enum):
    GOOD = "good"


class Inner(msgspec.Struct, frozen=True):
    size: int


class Strict(msgspec.Struct, frozen=True):
    id: int
    day: dt.date | None = None
    span: dt.timedelta | None = None
    instant: dt.datetime | None = None
    clock: dt.time | None = None
    numbers: list[int] | None = None
    kind: Kind | None = None
    kinds: list[Kind] | None = None
    inner: Inner | None = None
    positive: int | None = None

    def __post_init__(self) -> None:
        if self.positive is not None and self.positive < 0:
            raise ValueError("negative")


STRICT = tl.table(Strict, name="strict", key=lambda s: s.id)


@pytest.fixture
def rows(store: tl.Store, raw: psycopg.Connection[Any]) -> Generator[tl.Repository[Strict, int]]:
    store.create_table(STRICT).unwrap()
    raw.execute("ALTER TABLE strict DROP CONSTRAINT strict_kind_check")
    yield tl.repository(store, STRICT)
    still_works(store)


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        ("day", "'infinity'"),
        ("day", "'20000-01-01'"),
        ("day", "'0044-03-15 BC'"),
        ("span", "'infinity'"),
        ("span", "'3000000 years'"),
        ("instant", "'-infinity'"),
        ("instant", "'10000-01-01 00:00+00'"),
        ("clock", "'24:00'"),
        ("numbers", "'{1,NULL}'"),
        ("numbers", "'{{1},{2}}'"),
        ("kind", "'bad'"),
        ("kinds", "'{good,bad}'"),
        ("inner", """'{"size": "big"}'"""),
        ("inner", "'null'"),
        ("inner", "'[1]'"),
    ],
)
def test_a_value_that_no_field_can_hold_is_named(
    rows: tl.Repository[Strict, int], raw: psycopg.Connection[Any], column: str, literal: str
) -> None:
    rows.create(Strict(1)).unwrap()
    raw.execute(f'UPDATE strict SET "{column}" = {literal}')  # type: ignore[arg-type]
    for result in (rows.get_by_id(1), rows.list()):
        error = failure(result, tl.DecodeError, column)
        assert error.columns == (column,)
        assert error.table == "strict"


def test_a_row_that_the_entity_itself_refuses_is_a_decode_error(
    rows: tl.Repository[Strict, int], raw: psycopg.Connection[Any]
) -> None:
    rows.create(Strict(1, positive=1)).unwrap()
    raw.execute("UPDATE strict SET positive = -1")
    for result in (rows.get_by_id(1), rows.list()):
        assert failure(result, tl.DecodeError).table == "strict"


@pytest.mark.parametrize(
    "instant",
    [
        dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
        dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))),
    ],
)
def test_an_instant_that_could_not_be_read_back_is_not_written(
    rows: tl.Repository[Strict, int], instant: dt.datetime
) -> None:
    for result in (rows.create(Strict(1, instant=instant)),
                   rows.create_many([Strict(1, instant=instant)])):  # fmt: skip
        assert failure(result, tl.ValidationError).errors[0].path.endswith("instant")
    assert rows.count() == tl.Success(0)
