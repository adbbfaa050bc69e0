"""Random patterns, numbers in text, floats and instants mean the same on servers and in memory."""

from __future__ import annotations

import datetime as dt
import math
import os
import zoneinfo
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.grammar.tables import Spec, table_of
from tests.real.test_differential import Server, spelt
from tests.real.test_every_pair import agree, fill, server

import tierline as tl
from tierline.query.evaluate.regular_expressions import translated
from tierline.query.times import Unit

__all__ = ["server"]

LONG = os.environ.get("TIERLINE_LONG") == "1"


def tried(examples: int) -> settings:
    return settings(
        max_examples=examples * 20 if LONG else examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TEXTS = ["", "a", "b", "ab", "ba", "aab", "abab", "A", "aB", "é", "aé", "É", "1", "a1", "a_b",
"a b",
         "\n", "a\n", "\nb", "-", "]", "^", "$", "a]b", "\\", "aaa", "aaaa", ".", "b.", "(", "😀",
         "\t", "K", "\u212a", "İ",
         "\u0131", "\u017f", "s", "a-c", "c", "{", "}", "|", "a{2}"]  # fmt: skip
PIECES = ["a", "b", ".", "é", "A", "1", "_", "-", "]", "^", "$", "*", "+", "?", "*?", "{2}",
"{1,}", "{0,2}",
          "(", ")", "(?:", "(?=", "(?!", "|", "[", "[^", "[a-c]", "[^a]", "[[:alpha:]]",
          "[[:space:]]",
          "[]a]", "[\\d_]", "[a\\-b]", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\m", "\\M",
          "\\y", "\\Y",
          "\\A", "\\Z", "\\.", "\\\\", "\\n", "\\1", "(?i)", "{", "}", ",", " ", "\n", "[a-",
          "[é-ü]",
          "[.-]"]  # fmt: skip


@pytest.fixture(scope="module")
def texts(server: Server) -> tuple[tl.Table[Any, Any], list[Any]]:
    table = table_of("random_texts", (Spec("v", "text", False),))
    rows = [table.entity(n, text) for n, text in enumerate(TEXTS)]
    fill(server, table, rows)
    return table, rows


def same_kept(server: Server, table: tl.Table[Any, Any], rows: list[Any], where: Any) -> None:
    asked = tl.project(
        tl.select(table, order_by=lambda row: row.id), lambda row: (row.id, where(row))
    )
    ours, theirs = tl.evaluate(asked, rows), server.store.fetch_all(asked)
    if isinstance(ours, tl.Failure) or isinstance(theirs, tl.Failure):
        assert type(ours.failure()) is type(theirs.failure())
        return
    assert spelt(ours.unwrap()) == spelt(theirs.unwrap())


@given(pattern=st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
@tried(300)
def test_a_regular_expression_that_is_taken_means_the_same(
    server: Server, texts: Any, pattern: str
) -> None:
    try:
        translated(pattern)
    except TypeError:
        assume(False)
    same_kept(server, *texts, lambda row: tl.matches(row.v, pattern))


@given(pattern=st.text("ab%_\\éA.-\n", max_size=7))
@tried(200)
def test_like_means_the_same(server: Server, texts: Any, pattern: str) -> None:
    same_kept(server, *texts, lambda row: tl.like(row.v, pattern))
    same_kept(server, *texts, lambda row: tl.ilike(row.v, pattern))


def of_values(server: Server, kind: str, values: list[Any]) -> tuple[tl.Table[Any, Any], list[Any]]:
    table = table_of(f"random_{kind}", (Spec("v", kind, False),))
    rows = [table.entity(n, value) for n, value in enumerate(values)]
    fill(server, table, rows)
    return table, rows


NUMBER_PIECES = [*"0123456789", "_", ".", "e", "E", "+", "-", " ", "0x", "0b", "0o", "inf", "NaN",
"f",
                 "00", "99", "\t", "p", "infinity", "(", ")"]  # fmt: skip


@given(
    values=st.lists(
        st.lists(st.sampled_from(NUMBER_PIECES), max_size=6).map("".join), min_size=20, max_size=40
    )
)
@tried(10)
def test_texts_are_read_as_the_same_numbers(server: Server, values: list[str]) -> None:
    table, rows = of_values(server, "text", values)
    for to in (int, float, Decimal, bool):
        agree(server, table, rows, lambda row, to=to: tl.cast(row.v, to), "id")


@given(
    values=st.lists(
        st.floats(width=64)
        | st.builds(
            lambda digits, power: float(f"{digits}e{power}"),
            st.integers(1, 10**6),
            st.integers(-330, 305),
        )
        | st.integers(-1074, 1023).map(lambda power: math.ldexp(1.0, power)),
        min_size=50,
        max_size=100,
    )
)
@tried(10)
def test_floats_are_written_and_rounded_the_same(server: Server, values: list[float]) -> None:
    table, rows = of_values(server, "float", values)
    for function in (
        lambda row: tl.cast(row.v, str),
        lambda row: tl.cast(row.v, Decimal),
        lambda row: tl.cast(row.v, int),
        lambda row: round(row.v),
    ):
        agree(server, table, rows, function, "id")


# Of those whose rules both sides have known for long.
ZONES = [
    "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Moscow", "America/New_York",
    "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Tehran",
    "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham",
    "Africa/Casablanca",
]  # fmt: skip
INSTANTS = st.datetimes(
    dt.datetime.fromisoformat("1970-01-01"),
    dt.datetime.fromisoformat("2500-01-01"),
    timezones=st.just(dt.UTC),
)


@given(
    values=st.lists(INSTANTS, min_size=60, max_size=60),
    zone=st.sampled_from(ZONES),
    days=st.integers(-(10**6), 10**8),
)
@tried(15)
def test_zones_show_and_cut_the_same(
    server: Server, values: list[dt.datetime], zone: str, days: int
) -> None:
    assert zone in zoneinfo.available_timezones()
    # Around each change of the clocks too.
    region = zoneinfo.ZoneInfo(zone)
    values += [
        dt.datetime(2023, month, 1, hour, 30, tzinfo=region) + dt.timedelta(day)
        for month in (3, 4, 9, 10, 11)
        for day in range(30)
        for hour in (1, 2, 23)
    ]
    table, rows = of_values(server, "timestamptz", values)
    agree(server, table, rows, lambda row: tl.at_zone(row.v, zone), "id")
    for unit in get_args(Unit):
        agree(server, table, rows, lambda row, unit=unit: tl.trunc(unit, row.v, zone=zone), "id")
    span = dt.timedelta(days)
    agree(server, table, rows, lambda row: tl.at_zone(row.v + span, zone).hour, "id")
