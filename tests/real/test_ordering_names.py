"""Rows are ordered by the columns that are named, whatever an output may be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import tierline as tl


class Tally(msgspec.Struct, frozen=True):
    id: int
    n: int
    sum: int
    count: int
    text: str


TALLIES = tl.table(Tally, name="tallies", key=lambda r: r.id)
ROWS = [Tally(1, 9, 1, 5, "b"), Tally(2, 10, 0, 3, "a"), Tally(3, 100, 2, 4, "c")]

QUERIES: dict[str, Callable[[], tl.Query[Any]]] = {
    "cast": lambda: tl.project(
        tl.select(TALLIES, order_by=lambda r: r.n), lambda r: tl.cast(r.n, str)
    ),
    "column and cast": lambda: tl.project(
        tl.select(TALLIES, order_by=lambda r: tl.desc(r.n)), lambda r: (r.n, tl.cast(r.n, str))
    ),
    "case": lambda: tl.project(
        tl.select(TALLIES, order_by=lambda r: r.n),
        lambda r: tl.case((r.n > 50, 0), otherwise=r.n),
    ),
    "function": lambda: tl.project(
        tl.select(TALLIES),
        lambda r: tl.sum(r.n),
        group_by=lambda r: r.sum,
        order_by=lambda r: r.sum,
    ),
    "count": lambda: tl.project(
        tl.select(TALLIES),
        lambda r: (tl.count(), r.count),
        group_by=lambda r: r.count,
        order_by=lambda r: tl.desc(r.count),
    ),
    "text": lambda: tl.project(
        tl.select(TALLIES, order_by=lambda r: r.text), lambda r: tl.cast(r.id + 0, str)
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_an_output_is_not_taken_for_the_column(pg_url_each: str, name: str) -> None:
    query = QUERIES[name]()
    with tl.open(pg_url_each) as store:
        store.create_table(TALLIES).unwrap()
        tl.repository(store, TALLIES).create_many(ROWS).unwrap()
        assert store.fetch_all(query) == tl.evaluate(query, ROWS)
