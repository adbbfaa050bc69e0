"""Rows read by the core and by the driver's loaders: equal values, equal errors.

The tests of column types and unreadable rows run once more, with every result read in both ways,
and once with the driver's way alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.real.test_column_types import (  # noqa: F401
    test_a_decimal_keeps_its_digits,
    test_every_type_comes_back_equal_through_every_verb_and_tier,
    test_unusual_floats_come_back,
    test_zoned_values_come_back_in_utc,
    wide_store,
)
from tests.real.test_unreadable_rows import (  # noqa: F401
    rows,
    test_a_row_that_the_entity_itself_refuses_is_a_decode_error,
    test_a_value_that_no_field_can_hold_is_named,
)

import tierline as tl
from tierline.entity.types import INT8, TEXT
from tierline.postgres import connection as connections
from tierline.postgres import decoding
from tierline.postgres import rows as reading
from tierline.postgres.connection import Connection, Prepared
from tierline.sql import ResultColumn, Statement

COMPARED: list[int] = []


@pytest.fixture(autouse=True, params=["both", "driver"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How results are read in a test."""
    way: str = request.param
    if way == "driver":
        monkeypatch.setattr(connections, "row_decoder", lambda *_: None)
    else:
        monkeypatch.setattr(connections, "read_rows", _read_both_ways)
    COMPARED.clear()
    assert decoding.libpq() is not None, "psycopg's wheels show the names of their libpq"
    yield way
    # Those that use a connection of their own look themselves.
    used_store = "store" in request.fixturenames or "wide_store" in request.fixturenames
    assert bool(COMPARED) == (way == "both" and used_store) or not used_store


def _read_both_ways(read: reading.Reading, result: Any, nothing: Any) -> Any:
    if read.decoder is None:
        return reading.load_rows(read, result, nothing)
    try:
        found = read.decoder.decode(result)
    except reading._UNREADABLE:
        with pytest.raises(tl.DecodeError):
            reading.load_rows(read, result, nothing)
        COMPARED.append(0)
        return reading.read_rows(read, result, nothing)
    if found is not None:
        loaded = reading.load_rows(read, result, nothing)
        assert repr(found) == repr(loaded)
        COMPARED.append(len(found))
    return found


class Mixed(msgspec.Struct, frozen=True):
    left: int
    right: str
    data: dict[str, int]
    nothing: float | None
    last: int


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    right: str
    left: int


def test_columns_in_any_order_of_any_kind_are_read(store: tl.Store) -> None:
    columns = """7::oid AS last, 'b'::name AS right, 1::smallint AS left, NULL::real AS nothing,
        '{{"a": 1}}'::json AS data"""
    found = store.fetch_all(tl.sql(f"SELECT {columns}", into=Mixed))
    assert found == tl.Success([Mixed(1, "b", {"a": 1}, None, 7)])
    keyed = store.fetch_all(tl.sql("SELECT 1::int AS left, 'b'::bpchar AS right", into=Keyed))
    assert keyed == tl.Success([Keyed(left=1, right="b")])


def test_many_rows_are_read(store: tl.Store) -> None:
    numbers = store.fetch_all(tl.sql("SELECT n FROM generate_series(1, 3000) AS n", into=int))
    assert numbers == tl.Success([*range(1, 3001)])


@pytest.mark.usefixtures("way")
def test_columns_that_change_under_a_text_are_learnt_again(pg_url: str) -> None:
    statement = Statement(
        "read", "SELECT a FROM shifting", (), None, (ResultColumn("a", INT8),), "scalar"
    )
    with Connection.connect(pg_url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE shifting AS SELECT 1::int AS a")
        prepared = Prepared((), is_named=False)
        connection._known[statement.name] = prepared
        for type_ in ("int", "bigint", "smallint"):
            connection.execute(f"ALTER TABLE shifting ALTER a TYPE {type_}")  # type: ignore[arg-type]
            for _ in range(2):
                assert connection.fetch(statement, ()) == [1]
        connection.execute("ALTER TABLE shifting ALTER a TYPE text")
        with pytest.raises(tl.DecodeError, match="column 'a' is text"):
            connection.fetch(statement, ())


@pytest.mark.parametrize("setting", ["TimeZone = 'Asia/Tokyo'", "client_encoding = 'latin1'"])
def test_a_session_of_another_zone_or_encoding_is_read_by_the_driver(
    pg_url: str, setting: str, way: str
) -> None:
    statement = Statement(
        "read", "SELECT 'é'::text", (), None, (ResultColumn("a", TEXT),), "scalar"
    )
    with Connection.connect(pg_url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.fetch(statement, ()) == ["é"]
        (known,) = connection._known.values()
        assert (known.reading.decoder is None) == (way == "driver")  # type: ignore[union-attr]
        connection.execute(f"SET {setting}")  # type: ignore[arg-type]
        known.reading = None
        known.readings.clear()
        assert connection.fetch(statement, ()) == ["é"]
        assert known.reading.decoder is None  # type: ignore[unreachable]


def test_the_libpq_of_psycopgs_wheels_is_found() -> None:
    code = (
        "from psycopg import pq; from tierline.postgres.decoding import libpq; "
        "print(pq.__impl__, libpq() is not None)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert child.stdout.split() == ["binary", "True"]


@pytest.mark.parametrize("fault", ["version", "names", "module"])
def test_a_libpq_that_is_not_surely_psycopgs_is_not_used(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "version":
        monkeypatch.setattr(decoding.pq, "version", lambda: 90_000)
    elif fault == "names":
        monkeypatch.setattr(decoding, "_FUNCTIONS", (*decoding._FUNCTIONS[1:], "PQnothing"))
    else:
        monkeypatch.setattr(decoding, "_library", lambda: None)
    assert decoding.libpq.__wrapped__() is None
