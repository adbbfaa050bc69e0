"""Functions in memory: their errors, and what is refused when a query is built."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.catalogue import CATALOGUE
from tierline.query.evaluate.functions import FUNCTIONS
from tierline.query.evaluate.output import from_float
from tierline.query.evaluate.regular_expressions import translated


class Part(msgspec.Struct, frozen=True):
    at: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    extra: Any = None


class Row(msgspec.Struct, frozen=True):
    id: int
    text: str = ""
    price: Decimal = Decimal(0)
    ratio: float = 0.0
    at: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    day: dt.date = dt.date(2024, 2, 29)
    tags: tuple[str, ...] = ()
    part: Part = Part()
    note: str | None = None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
ALL = tl.select(ROWS)
LONG = dt.timedelta(999_999_999)
Fn = Callable[[Any], Any]


def evaluated(into: Fn, row: Row) -> Any:
    return tl.evaluate(tl.project(ALL, into), [row])


def test_every_name_of_the_catalogue_has_a_function() -> None:
    assert FUNCTIONS.keys() == CATALOGUE.keys()


@pytest.mark.parametrize(
    ("into", "row", "sqlstate"),
    [
        (lambda r: tl.cast(r.text, int), Row(1, "x"), "22P02"),
        (lambda r: tl.cast(r.text, int), Row(1, "9" * 30), "22003"),
        (lambda r: tl.cast(r.text, int), Row(1, "9" * 20_000), "22003"),
        (lambda r: tl.cast(r.text, float), Row(1, "1e999"), "22003"),
        (lambda r: tl.cast(r.text, Decimal), Row(1, "1e-20000"), "22003"),
        (lambda r: tl.cast(r.text, bool), Row(1, "maybe"), "22P02"),
        (lambda r: tl.cast(r.text, uuid.UUID), Row(1, "x"), "22P02"),
        (lambda r: tl.cast(r.ratio, int), Row(1, ratio=float("nan")), "22003"),
        (lambda r: tl.cast(r.price, int), Row(1, price=Decimal("NaN")), "0A000"),
        (lambda r: abs(r.id), Row(-(2**63)), "22003"),
        (lambda r: r.text[r.id], Row(2**40), "22003"),
        (lambda r: r.tags[r.id], Row(2**40), "22003"),
        (lambda r: tl.like(r.text, "a\\"), Row(1, "ab"), "22025"),
        (lambda r: r.day + LONG + LONG + LONG, Row(1), "22008"),
        (lambda r: tl.cast(r.part.extra, bytes), Row(1, part=Part(extra="?")), "22023"),
    ],
)
def test_errors_are_those_of_the_server(into: Fn, row: Row, sqlstate: str) -> None:
    error = evaluated(into, row).failure()
    assert isinstance(error, tl.QueryError)
    assert error.sqlstate == sqlstate


def test_a_date_beyond_python_compares_but_cannot_be_handed_out() -> None:
    later = dt.timedelta(4_000_000)
    assert tl.row_filter(ROWS, lambda r: r.day + later > r.day)(Row(1))
    assert evaluated(lambda r: (r.day + later).year, Row(1)) == tl.Success([12975])
    assert isinstance(evaluated(lambda r: r.day + later, Row(1)).failure(), tl.DecodeError)


def test_a_fault_in_a_later_row_comes_before_a_value_that_python_cannot_hold() -> None:
    later = dt.timedelta(4_000_000)
    query = tl.project(ALL, lambda r: (r.day + later, 1 // r.id))
    rows = [Row(1), Row(0)]
    assert isinstance(tl.evaluate(query, rows[:1]).failure(), tl.DecodeError)
    assert isinstance(tl.evaluate(query, rows).failure(), tl.QueryError)


@pytest.mark.parametrize("to", [dt.datetime, dt.date, dt.time, dt.timedelta])
def test_reading_dates_in_text_is_refused_when_built(to: Any) -> None:
    for into in (
        lambda r: tl.cast(r.text, to),
        lambda r: tl.cast(r.part.extra, to),
        lambda r: tl.cast(tl.cast(r.part.extra, Part).extra, to),
    ):
        with pytest.raises(TypeError, match="how PostgreSQL reads dates"):
            tl.evaluate(tl.project(ALL, into), iter(()))
    with pytest.raises(TypeError, match="how PostgreSQL reads dates"):
        tl.row_filter(ROWS, lambda r: tl.cast(r.part.extra, Part).at > r.at)


@pytest.mark.parametrize("zone", ["CET", "EST", "utc", "Europe/Atlantis", "UTC+3", "", "../UTC"])
def test_a_zone_that_is_no_region_is_refused_when_built(zone: str) -> None:
    for into in (lambda r: tl.at_zone(r.at, zone), lambda r: tl.trunc("day", r.at, zone=zone)):
        with pytest.raises(TypeError, match=r"the zone .* cannot be evaluated in memory"):
            tl.evaluate(tl.project(ALL, into), iter(()))


REFUSED = [
    "(", ")", "a)", "[", "[a", "[]", "a**", "a+*", "a*+", "a{2}{3}", "a{2", "a{,2}", "a{3,2}",
    "a{256}",
    "{1}", "*a", "+", "(*a)", "a|*", "^*", "$+", "(?=a)*", "(?<=a)", "(?<!a)", "(?P<n>a)", "(?x)a",
    "a(?i)b", "(a)\\1", "\\b", "\\x41", "\\u0041", "\\", "a\\", "[\\", "[[:foo:]]", "[[.a.]]",
    "[[=a=]]",
    "[a-\\d]", "[\\d-a]", "[[:alpha:]-z]", "[c-a]", "[a-c-e]", "***=a", "***:a",
    "((a{100}){100}){2}",
    "\\ma*?\\m+", "(?#c)", "[a-[:alpha:]]", "[a--]b-",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_outside_the_subset_is_refused_when_built(pattern: str) -> None:
    with pytest.raises(TypeError, match="matches cannot be evaluated in memory with"):
        tl.row_filter(ROWS, lambda r: tl.matches(r.text, pattern))


def test_a_pattern_that_is_a_field_is_refused_when_built() -> None:
    with pytest.raises(TypeError, match="with a pattern that is a field"):
        tl.row_filter(ROWS, lambda r: tl.matches(r.text, r.text))
    assert tl.row_filter(ROWS, lambda r: tl.like(r.text, r.text))(Row(1, "a%"))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a.c$", "a\nc", True),
        ("a$", "a\n", False),
        (r"\d", "\u0661", False),
        (r"\w", "é", False),
        ("(?i)k", "\u212a", False),
        ("[^a]", "\n", True),
        (r"\mb", "a b", True),
    ],
)
def test_a_pattern_means_what_it_means_to_postgresql(
    pattern: str,
    text: str,
    found: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    assert (translated(pattern).search(text) is not None) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e15, "1e+15"), (1e14, "100000000000000"), (1e23, "9.999999999999999e+22"),
     (-0.0, "-0"), (1e-5, "1e-05"),
     (0.0001, "0.0001"), (5e-324, "5e-324"), (0.1, "0.1"), (123456.789, "123456.789"),
     (9007199254740993.0, "9.007199254740992e+15")],
)  # fmt: skip
def test_floats_are_written_as_postgresql_does(value: float, text: str) -> None:
    assert from_float(value) == text
