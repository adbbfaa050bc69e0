"""Limits and offsets that are told when a query runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.parameters import binder
from tierline.sql import compile_query


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)


def bound(query: tl.Query[Any], **given: object) -> tuple[Any, ...]:
    return binder(compile_query(query).values)(given)


def text(query: tl.Query[Any]) -> str:
    return compile_query(query).statement.sql


def most() -> int:
    return tl.param("rows", int)


def test_a_limit_and_an_offset_are_parameters() -> None:
    query = tl.select(ROWS, limit=most(), offset=tl.param("skip", int))
    assert text(query).endswith("LIMIT $1 OFFSET $2")
    assert bound(query, rows=3, skip=0) == (3, 0)
    projected = tl.project(tl.select(ROWS), lambda r: r.name, limit=most())
    assert bound(projected, rows=0) == (0,)
    assert text(tl.limit(tl.select(ROWS), most(), offset=2)).endswith("LIMIT $1 OFFSET $2")


def test_of_two_limits_the_fewer_rows_come() -> None:
    for query in (
        tl.limit(tl.select(ROWS, limit=5), most()),
        tl.limit(tl.select(ROWS, limit=most()), 5),
    ):
        assert text(query).count("LIMIT") == 2
        assert sorted(bound(query, rows=2)) == [2, 5]


def test_one_name_is_one_number_of_rows_wherever_it_stands() -> None:
    query = tl.select(ROWS, where=lambda r: r.id > tl.param("n", int), limit=tl.param("n", int))
    assert bound(query, n=4) == (4,)
    with pytest.raises(ValueError, match="'n' is a number of rows and must not be negative"):
        bound(query, n=-1)


@pytest.mark.parametrize("value", [-1, -(2**62)])
def test_a_negative_number_of_rows_is_an_error(value: int) -> None:
    with pytest.raises(ValueError, match=f"'rows' is a number of rows .* but is {value}"):
        bound(tl.select(ROWS, limit=most()), rows=value)
    with pytest.raises(ValueError, match="must not be negative"):
        bound(tl.select(ROWS, offset=most()), rows=value)


@pytest.mark.parametrize("value", ["3", 1.5, True, None])
def test_another_type_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="parameter 'rows'"):
        bound(tl.select(ROWS, limit=most()), rows=value)


BUILDS: list[Callable[[], object]] = [
    lambda: tl.select(ROWS, limit=tl.param("rows", str)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: tl.select(ROWS, limit=tl.param("rows", int | None)),
    lambda: tl.select(ROWS, offset=tl.param("rows", bool)),
    lambda: tl.limit(tl.select(ROWS), tl.param("rows", int) + 1),
    lambda: tl.project(tl.select(ROWS), lambda r: r.id, limit=tl.param("rows", float)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: tl.select(
        ROWS, where=lambda r: tl.exists(tl.select(ROWS, where=lambda s: s.id == 1, limit=r.id))
    ),
    lambda: tl.page(tl.select(ROWS), size=most()),
    lambda: tl.page(tl.select(ROWS, limit=most()), size=3),
]


@pytest.mark.parametrize("build", BUILDS)
def test_what_is_no_number_of_rows_is_refused_when_built(build: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        build()


def test_in_memory_it_says_that_there_is_no_value() -> None:
    with pytest.raises(TypeError, match="cannot be evaluated in memory"):
        tl.evaluate(tl.select(ROWS, limit=most()), [Row(1, "a")])
