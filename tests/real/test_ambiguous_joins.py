"""Sources whose columns have the same names: each field is of the row that it was asked of."""

from __future__ import annotations

from collections.abc import Generator

import msgspec
import pytest

import tierline as tl


class Left(msgspec.Struct, frozen=True):
    id: int
    name: str
    other: int | None


class Right(msgspec.Struct, frozen=True):
    id: int
    name: str
    other: int | None


LEFTS = tl.table(Left, name="lefts", key=lambda r: r.id)
RIGHTS = tl.table(Right, name="rights", key=lambda r: r.id)
PAIRS = tl.join(LEFTS, RIGHTS, lambda a, b: a.other == b.id)
ORDERED = tl.order_by(PAIRS, lambda a, b: (a.id, b.id))


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each) as opened:
        opened.create_table(LEFTS).unwrap()
        opened.create_table(RIGHTS).unwrap()
        tl.repository(opened, LEFTS).create_many(
            [Left(1, "a", 2), Left(2, "b", 1), Left(3, "c", None)]
        ).unwrap()
        tl.repository(opened, RIGHTS).create_many(
            [Right(1, "x", 3), Right(2, "y", 1), Right(3, "z", None)]
        ).unwrap()
        yield opened


def test_every_clause_reads_the_side_that_it_names(store: tl.Store) -> None:
    assert store.fetch_all(ORDERED) == tl.Success(
        [(Left(1, "a", 2), Right(2, "y", 1)), (Left(2, "b", 1), Right(1, "x", 3))]
    )
    names = tl.project(ORDERED, lambda a, b: (b.name, a.name, b.id, a.id))
    assert store.fetch_all(names) == tl.Success([("y", "a", 2, 1), ("x", "b", 1, 2)])
    for query, expected in (
        (tl.where(names, lambda row: row[0] == "x"), [("x", "b", 1, 2)]),
        (tl.order_by(names, lambda row: row[0]), [("x", "b", 1, 2), ("y", "a", 2, 1)]),
    ):
        assert store.fetch_all(query) == tl.Success(expected)
    on_the_left = tl.project(tl.where(ORDERED, lambda a, b: a.id == 1), lambda a, b: b.id)
    on_the_right = tl.project(tl.where(ORDERED, lambda a, b: b.id == 1), lambda a, b: a.id)
    assert store.fetch_all(on_the_left) == store.fetch_all(on_the_right) == tl.Success([2])
    groups = tl.project(
        PAIRS,
        lambda a, b: (b.name, tl.max(a.name)),
        group_by=lambda a, b: b.name,
        having=lambda a, b: tl.min(a.id) == 1,
    )
    assert store.fetch_all(groups) == tl.Success([("y", "a")])


def test_a_table_beside_itself_twice(store: tl.Store) -> None:
    pairs = tl.join(LEFTS, LEFTS, lambda a, b: a.other == b.id)
    three = tl.join(pairs, LEFTS, lambda a, b, c: b.other == c.id)
    names = tl.project(
        three, lambda a, b, c: (a.name, b.name, c.name), order_by=lambda a, b, c: a.id
    )
    assert store.fetch_all(names) == tl.Success([("a", "b", "a"), ("b", "a", "b")])


def test_queries_inside_tell_their_rows_from_those_around(store: tl.Store) -> None:
    named_alike = tl.select(
        LEFTS,
        where=lambda a: tl.exists(
            tl.select(RIGHTS, where=lambda b: (b.other == a.id) & (b.id != a.id))
        ),
        order_by=lambda a: a.id,
    )
    assert [a.id for a in tl.unwrap(store.fetch_all(named_alike))] == [1, 3]
    itself = tl.select(
        LEFTS,
        where=lambda a: tl.exists(tl.select(LEFTS, where=lambda b: b.other == a.id)),
        order_by=lambda a: a.id,
    )
    assert [a.id for a in tl.unwrap(store.fetch_all(itself))] == [1, 2]


def test_columns_of_one_name_stay_apart_in_further_sources(store: tl.Store) -> None:
    for source in (
        tl.select(ORDERED),
        tl.cte(PAIRS),
        tl.union(PAIRS, PAIRS),
        tl.limit(ORDERED, 5),
    ):
        joined = tl.project(
            source, lambda *rows: rows[0][0].name if len(rows) == 1 else rows[0].name
        )
        assert sorted(tl.unwrap(store.fetch_all(joined))) == ["a", "b"]
