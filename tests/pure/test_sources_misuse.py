"""Misuse of joins, subqueries, windows, locks and pages: an error when the query is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

import tierline as tl


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str
    origin: str
    data: dict[str, int]


class Pair(msgspec.Struct, frozen=True):
    id: int
    tail: str


class Other(msgspec.Struct, frozen=True):
    id: int
    tail: str


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
ALL = tl.select(FLIGHTS)
TAILS = tl.project(ALL, lambda f: f.tail)
TUPLES = tl.project(ALL, lambda f: (f.id, f.tail))
PAIRS = tl.project(ALL, lambda f: Pair(f.id, f.tail))
JOINED = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
MAYBE = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
FOUR: Any = tl.cross_join(tl.cross_join(JOINED, PLANES), PLANES)
GROUPS = tl.project(ALL, lambda f: (f.tail, tl.count()), group_by=lambda f: f.tail)
ANY = cast("Any", tl)
TABLE: Any = FLIGHTS

MISUSE: list[tuple[type[Exception], str, Callable[[], object]]] = [
    # Sources.
    (TypeError, "four sources are the most", lambda: ANY.cross_join(FOUR, PLANES)),
    (TypeError, "project a query of tuples", lambda: ANY.cross_join(TUPLES, PLANES)),
    (TypeError, "project a query of tuples", lambda: ANY.cross_join(PLANES, TUPLES)),
    (TypeError, "project a query of tuples", lambda: ANY.cross_join(PLANES, JOINED)),
    (TypeError, "project a query of tuples", lambda: ANY.cross_join(tl.select(JOINED), PLANES)),
    (TypeError, "a table or a query", lambda: ANY.cross_join(FLIGHTS, Plane)),
    (TypeError, "a table or a query", lambda: ANY.cross_join(None, PLANES)),
    (TypeError, "a table or a query", lambda: ANY.semi_join(FLIGHTS, [], lambda f, p: True)),
    (TypeError, "a table or a query", lambda: ANY.select("flights")),
    (TypeError, "on must return", lambda: tl.join(FLIGHTS, PLANES, lambda f, p: True)),
    (TypeError, "on must return", lambda: ANY.join(FLIGHTS, PLANES, lambda f, p: f == p)),
    (TypeError, "on needs conditions", lambda: ANY.join(FLIGHTS, PLANES, lambda f, p: f.tail)),
    (
        TypeError,
        "not yet|no value yet",
        lambda: ANY.join(FLIGHTS, PLANES, lambda f, p: tl.count() > 1),
    ),
    (
        TypeError,
        "on comes before windows",
        lambda: tl.join(FLIGHTS, PLANES, lambda f, p: tl.over(tl.rank(), order_by=f.id) > 1),
    ),
    (
        TypeError,
        "truth value",
        lambda: tl.join(FLIGHTS, PLANES, lambda f, p: (f.tail == p.tail) and (f.id > 1)),
    ),
    (
        TypeError,
        "truth value",
        lambda: tl.where(MAYBE, lambda f, p: p is not None and bool(p) and p.tail == ""),
    ),
    (TypeError, "truth value", lambda: tl.select(FLIGHTS, where=lambda f: bool(f) and f.id > 1)),
    (TypeError, "argument", lambda: ANY.where(JOINED, lambda f: f.id > 1)),
    (TypeError, "argument", lambda: ANY.project(JOINED, lambda f, p, g: f.id)),
    (AttributeError, "tale", lambda: ANY.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tale)),
    (AttributeError, "tail", lambda: ANY.where(PAIRS, lambda q: q.tial == "N1")),
    (IndexError, "range", lambda: ANY.where(TUPLES, lambda row: row[2] == 1)),
    # A query is wanted where a table is given, and the message says how to make one.
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.where(TABLE, lambda f: f.id > 1)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.order_by(TABLE, lambda f: f.id)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.project(TABLE, lambda f: f.id)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.limit(TABLE, 1)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.page(TABLE, size=1)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.exists(TABLE)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.scalar(TABLE)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.union(TABLE, TABLE)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.cte(TABLE)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.for_update(TABLE)),
    (TypeError, r"tl\.select\(TABLE\)", lambda: ANY.recursive(TABLE, lambda q: q)),
    (TypeError, "recursive takes a query", lambda: ANY.recursive(ALL, lambda q: None)),
    # Subqueries.
    (TypeError, "project it to a single field", lambda: tl.scalar(TUPLES)),
    (TypeError, "project it to a single field", lambda: tl.scalar(ALL)),
    (
        TypeError,
        "project it to a single field",
        lambda: ANY.select(PLANES, where=lambda p: tl.is_in(p.tail, TUPLES)),
    ),
    (
        TypeError,
        "cannot be compared",
        lambda: ANY.select(FLIGHTS, where=lambda f: tl.is_in(f.id, TAILS)),
    ),
    (TypeError, "a traced field beside a query", lambda: tl.is_in("N1", TAILS)),
    # Groups and aggregates.
    (TypeError, "no value yet", lambda: tl.select(FLIGHTS, where=lambda f: tl.count() > 1)),
    (
        TypeError,
        "give group_by",
        lambda: tl.project(ALL, lambda f: f.id, having=lambda f: f.id > 1),
    ),
    (
        TypeError,
        "give group_by",
        lambda: tl.project(ALL, lambda f: tl.count(), having=lambda f: tl.count() > 1),
    ),
    (
        TypeError,
        "having comes before windows",
        lambda: tl.project(
            ALL,
            lambda f: f.tail,
            group_by=lambda f: f.tail,
            having=lambda f: tl.over(tl.count()) > 1,
        ),
    ),
    (
        TypeError,
        "no value before",
        lambda: tl.project(ALL, lambda f: f.id, group_by=lambda f: tl.count()),
    ),
    (
        TypeError,
        "limit the groups",
        lambda: tl.project(tl.limit(ALL, 2), lambda f: f.tail, group_by=lambda f: f.tail),
    ),
    (TypeError, r"tl\.select\(query\)", lambda: tl.project(tl.limit(ALL, 2), lambda f: tl.count())),
    (
        TypeError,
        r"tl\.select\(query\)",
        lambda: tl.project(tl.select(FLIGHTS, offset=2), lambda f: tl.over(tl.count())),
    ),
    (
        TypeError,
        "takes an aggregate",
        lambda: ANY.project(ALL, lambda f: tl.filtered(f.id, f.id > 1)),
    ),
    (
        TypeError,
        "before they are grouped",
        lambda: tl.project(ALL, lambda f: tl.filtered(tl.count(), tl.count() > 1)),
    ),
    (
        TypeError,
        "before they are grouped",
        lambda: tl.project(ALL, lambda f: tl.filtered(tl.count(), tl.over(tl.count()) > 1)),
    ),
    (
        TypeError,
        "filtered needs conditions",
        lambda: ANY.project(ALL, lambda f: tl.filtered(tl.count(), f.id)),
    ),
    (TypeError, "of an aggregate", lambda: tl.project(ALL, lambda f: tl.array_agg(tl.count()))),
    (
        TypeError,
        "of an aggregate",
        lambda: tl.project(ALL, lambda f: tl.sum(tl.over(tl.rank(), order_by=f.id))),
    ),
    (
        TypeError,
        "array_agg has no meaning",
        lambda: tl.project(ALL, lambda f: tl.array_agg(f.data)),
    ),
    (
        TypeError,
        "string_agg needs text",
        lambda: ANY.project(ALL, lambda f: tl.string_agg(f.id, ",")),
    ),
    (TypeError, "does not fit", lambda: ANY.project(ALL, lambda f: tl.string_agg(f.tail, None))),
    (
        TypeError,
        "distinct rows are ordered",
        lambda: tl.project(ALL, lambda f: f.tail, distinct=True, order_by=lambda f: f.id),
    ),
    (
        TypeError,
        "distinct rows are ordered",
        lambda: tl.select(FLIGHTS, distinct=True, order_by=lambda f: f.id + 1),
    ),
    # Windows.
    (
        TypeError,
        "where comes before windows",
        lambda: tl.select(FLIGHTS, where=lambda f: tl.over(tl.rank(), order_by=f.id) == 1),
    ),
    (TypeError, "in a window only", lambda: tl.project(ALL, lambda f: tl.rank())),
    (TypeError, "in a window only", lambda: tl.project(ALL, lambda f: (f.id, tl.lag(f.id)))),
    (TypeError, "over takes an aggregate", lambda: tl.project(ALL, lambda f: tl.over(f.id))),
    (TypeError, "over takes an aggregate", lambda: tl.over(3)),
    (
        TypeError,
        "over takes an aggregate",
        lambda: tl.project(ALL, lambda f: tl.over(tl.over(tl.count()))),
    ),
    (
        TypeError,
        "no distinct or ordered",
        lambda: tl.project(ALL, lambda f: tl.over(tl.count(f.id, distinct=True))),
    ),
    (
        TypeError,
        "no distinct or ordered",
        lambda: tl.project(ALL, lambda f: tl.over(tl.array_agg(f.id, order_by=f.id))),
    ),
    (
        TypeError,
        "order_by; give one",
        lambda: tl.project(ALL, lambda f: tl.over(tl.count(), frame=tl.groups(-1, 0))),
    ),
    (
        TypeError,
        "order_by names nothing",
        lambda: tl.project(ALL, lambda f: tl.over(tl.rank(), order_by=())),
    ),
    (
        TypeError,
        "partition_by takes traced",
        lambda: tl.project(ALL, lambda f: tl.over(tl.rank(), partition_by="tail")),
    ),
    (TypeError, "lag takes a field", lambda: tl.project(ALL, lambda f: tl.over(tl.lag(3)))),
    (
        TypeError,
        "lag takes a field",
        lambda: tl.project(ALL, lambda f: tl.over(tl.lag(tl.over(tl.count())))),
    ),
    (TypeError, "does not fit", lambda: ANY.project(ALL, lambda f: tl.over(tl.lag(f.id, "1")))),
    (ValueError, "start must not be after", lambda: tl.rows(1, 0)),
    (TypeError, "whole numbers", lambda: ANY.rows("1 PRECEDING; --", None)),
    (TypeError, "whole numbers", lambda: ANY.groups(None, 1.5)),
    (TypeError, "whole numbers", lambda: tl.rows(True, None)),
    (ValueError, "ntile counts from 1", lambda: tl.ntile(0)),
    (
        ValueError,
        "nth_value counts from 1",
        lambda: tl.project(ALL, lambda f: tl.over(tl.nth_value(f.id, 0))),
    ),
    # Unions and recursion.
    (TypeError, "union: the two", lambda: ANY.union(TAILS, TUPLES)),
    (TypeError, "union: the two", lambda: ANY.union(TAILS, tl.project(ALL, lambda f: f.id))),
    (
        TypeError,
        "intersect: the two",
        lambda: ANY.intersect(TUPLES, tl.project(ALL, lambda f: (f.tail, f.id))),
    ),
    (TypeError, "except: the two", lambda: ANY.except_(TUPLES, tl.project(ALL, lambda f: (f.id,)))),
    (
        TypeError,
        "different Structs",
        lambda: ANY.union(PAIRS, tl.project(ALL, lambda f: Other(f.id, f.tail))),
    ),
    (TypeError, "different Structs", lambda: ANY.union(PAIRS, TUPLES)),
    (
        TypeError,
        "recursive: the two",
        lambda: ANY.recursive(TUPLES, lambda q: tl.project(q, lambda row: row[0])),
    ),
    # Locks.
    (ValueError, "not both", lambda: tl.for_update(ALL, nowait=True, skip_locked=True)),
    (
        ValueError,
        "strength must be one of",
        lambda: ANY.for_update(ALL, strength="update; DROP TABLE planes"),
    ),
    (TypeError, "no rows that could be locked", lambda: tl.for_update(GROUPS)),
    (
        TypeError,
        "no rows that could be locked",
        lambda: tl.for_update(tl.where(GROUPS, lambda g: g[1] > 1)),
    ),
    (
        TypeError,
        "no rows that could be locked",
        lambda: tl.for_update(tl.select(FLIGHTS, distinct=True)),
    ),
    (
        TypeError,
        "no rows that could be locked",
        lambda: tl.for_update(tl.project(ALL, lambda f: tl.count())),
    ),
    (
        TypeError,
        "no rows that could be locked",
        lambda: tl.for_update(tl.project(ALL, lambda f: tl.over(tl.count()))),
    ),
    (
        TypeError,
        "no rows that could be locked",
        lambda: tl.project(tl.for_update(ALL), lambda f: tl.count()),
    ),
    (TypeError, "left join", lambda: tl.for_update(MAYBE)),
    (TypeError, "union", lambda: tl.for_update(tl.union(ALL, ALL))),
    (TypeError, "inside the common table", lambda: tl.for_update(tl.cte(ALL))),
    # Orderings.
    (
        ValueError,
        "'first' or 'last'",
        lambda: ANY.select(FLIGHTS, order_by=lambda f: ANY.asc(f.id, nulls="first; --")),
    ),
    (
        ValueError,
        "'first' or 'last'",
        lambda: ANY.select(FLIGHTS, order_by=lambda f: ANY.desc(f.id, nulls="FIRST")),
    ),
    (TypeError, "order_by must return a field", lambda: tl.select(FLIGHTS, order_by=lambda f: f)),
    # Pages.
    (ValueError, "from 1 to 10,000", lambda: tl.page(ALL, size=0)),
    (ValueError, "from 1 to 10,000", lambda: tl.page(ALL, size=10_001)),
    (ValueError, "not be negative", lambda: tl.page(ALL, size=-1)),
    (TypeError, "must be an int", lambda: ANY.page(ALL, size="10")),
    (TypeError, "must be an int", lambda: ANY.page(ALL, size=None)),
    (TypeError, "must be an int", lambda: tl.page(ALL, size=True)),
    (ValueError, "not both", lambda: tl.page(ALL, size=1, after="a", before="b")),
    (ValueError, "not both", lambda: tl.page(ALL, size=1, after="", before="")),
    (TypeError, "a cursor is the text", lambda: ANY.page(ALL, size=1, after=3)),
    (TypeError, "a cursor is the text", lambda: ANY.page(ALL, size=1, before=b"abc")),
    (TypeError, "can be paged", lambda: tl.page(tl.limit(ALL, 3), size=1)),
    (TypeError, "can be paged", lambda: tl.page(tl.select(FLIGHTS, offset=3), size=1)),
    (TypeError, "can be paged", lambda: tl.page(GROUPS, size=1)),
    (TypeError, "can be paged", lambda: tl.page(tl.for_update(ALL), size=1)),
    (TypeError, "can be paged", lambda: tl.page(tl.project(ALL, lambda f: tl.count()), size=1)),
    (
        TypeError,
        "can be paged",
        lambda: tl.page(tl.project(ALL, lambda f: tl.over(tl.count())), size=1),
    ),
    (
        TypeError,
        "can be paged",
        lambda: tl.page(tl.select(FLIGHTS, order_by=lambda f: tl.over(tl.count())), size=1),
    ),
    (
        TypeError,
        "may be the same",
        lambda: tl.page(tl.union(TAILS, TAILS, keep_duplicates=True), size=1),
    ),
    (TypeError, "may be the same", lambda: tl.page(tl.cte(TAILS), size=1)),
    (TypeError, "may be the same", lambda: tl.page(tl.select(TAILS), size=1)),
    (TypeError, "may be the same", lambda: tl.page(tl.recursive(ALL, lambda q: q), size=1)),
    (
        TypeError,
        "may be the same",
        lambda: tl.page(
            tl.order_by(
                tl.project(ALL, lambda f: tl.count(), group_by=lambda f: f.tail), lambda n: n
            ),
            size=1,
        ),
    ),
    (TypeError, "JSON", lambda: tl.page(tl.select(FLIGHTS, order_by=lambda f: f.data), size=1)),
    (TypeError, "JSON", lambda: tl.page(tl.union(ALL, ALL), size=1)),
]


@pytest.mark.parametrize(
    ("kind", "says", "build"), MISUSE, ids=[f"{n}: {says}" for n, (_, says, _) in enumerate(MISUSE)]
)
def test_misuse_is_an_error_that_names_the_way(
    kind: type[Exception], says: str, build: Callable[[], object]
) -> None:
    with pytest.raises(kind, match=says) as caught:
        build()
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "query",
    [
        tl.select(GROUPS),
        tl.cte(GROUPS),
        tl.where(PAIRS, lambda q: q.id > 1),
        tl.select(TUPLES),
        tl.select(tl.project(ALL, lambda f: f.tail, distinct=True)),
        tl.union(TAILS, TAILS),
        tl.recursive(TAILS, lambda q: q, keep_duplicates=False),
        tl.select(JOINED),
        tl.cte(MAYBE),
        tl.select(tl.project(ALL, lambda f: tl.max(f.id))),
        JOINED,
    ],
)
def test_rows_that_can_be_told_apart_are_paged(query: tl.Query[Any]) -> None:
    assert tl.page(query, size=5).size == 5
