"""Every shape of query at its edges: what PostgreSQL 18 and 16 answer, memory answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.real.sources import FLIGHTS, PLANES, STOPS, THINGS, Hop, agrees, held

import tierline as tl


class Leg(msgspec.Struct, frozen=True):
    """All of it may be NULL."""

    tail: str | None
    delay: int | None


ALL = tl.select(FLIGHTS)
NONE = tl.select(FLIGHTS, where=lambda f: f.id < 0)
NO_PLANES = tl.select(PLANES, where=lambda p: p.tail == "")
TAILS = tl.project(ALL, lambda f: f.tail)
OWNERS = tl.project(tl.select(PLANES), lambda p: p.owner)
MODELS = tl.project(tl.select(PLANES), lambda p: p.model)
DELAYS = tl.project(ALL, lambda f: f.delay)
LEGS = tl.project(ALL, lambda f: Leg(f.tail, f.delay))
NULLS = tl.project(
    tl.select(PLANES, where=lambda p: tl.is_null(p.model)), lambda p: Leg(p.model, p.seats)
)
TWICE = tl.union(ALL, ALL, keep_duplicates=True)


def hops(
    step: Callable[[tl.Query[Hop]], tl.Query[Hop]], *, keep: bool = True, start: str = "JFK"
) -> tl.Query[Hop]:
    base = tl.project(
        tl.select(FLIGHTS, where=lambda f: f.origin == start), lambda f: Hop(f.dest, 1)
    )
    return tl.recursive(base, step, keep_duplicates=keep)


def onward(found: tl.Query[Hop]) -> tl.Query[Hop]:
    legs = tl.join(found, FLIGHTS, lambda h, f: (h.place == f.origin) & (h.hops < 4))
    return tl.project(legs, lambda h, f: Hop(f.dest, h.hops + 1))


def count_of(value: Any) -> tl.Query[int]:
    return tl.project(tl.where(ALL, lambda f: f.tail == value), lambda _: tl.count())


SHAPES: dict[str, tl.Query[Any]] = {
    # Joins.
    "NULL keys join nothing": tl.join(FLIGHTS, FLIGHTS, lambda f, g: f.tail == g.tail),
    "NULL in one of two keys": tl.join(
        PLANES, PLANES, lambda p, q: (p.model == q.model) & (p.owner == q.owner)
    ),
    "an empty left side": tl.left_join(NO_PLANES, FLIGHTS, lambda p, f: p.tail == f.tail),
    "an empty right side": tl.left_join(FLIGHTS, NO_PLANES, lambda f, p: f.tail == p.tail),
    "an empty side of a join": tl.join(FLIGHTS, NO_PLANES, lambda f, p: f.tail == p.tail),
    "an empty side of a cross join": tl.cross_join(NO_PLANES, STOPS),
    "duplicates on both sides": tl.join(LEGS, TWICE, lambda leg, f: leg.tail == f.tail),
    "no equality": tl.left_join(FLIGHTS, STOPS, lambda f, s: f.id > s.flight),
    "an on of the left side only": tl.left_join(FLIGHTS, STOPS, lambda f, s: f.id == 1),
    "an on of the right side only": tl.left_join(FLIGHTS, STOPS, lambda f, s: s.number == 2),
    "an on that is never true": tl.left_join(FLIGHTS, STOPS, lambda f, s: s.number == 99),
    "an on of a value": tl.left_join(
        FLIGHTS, PLANES, lambda f, p: tl.is_null(p.owner) & (f.tail == p.tail)
    ),
    "an on with a subquery": tl.left_join(
        FLIGHTS, PLANES, lambda f, p: (f.tail == p.tail) & (tl.scalar(count_of(p.tail)) == 2)
    ),
    "a where of an optional side": tl.where(
        tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
        lambda f, p: tl.is_null(tl.some(p).owner),
    ),
    "a missing row": tl.where(
        tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail), lambda f, p: tl.is_null(p)
    ),
    "a row of NULLs that is there": tl.left_join(PLANES, NULLS, lambda p, n: p.seats == 150),
    "a missing row's partner": tl.left_join(
        tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
        PLANES,
        lambda f, p, q: tl.some(p).owner == q.owner,
    ),
    "a join after a left join": tl.join(
        tl.left_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail),
        STOPS,
        lambda p, f, s: tl.some(f).id == s.flight,
    ),
    "a number and a decimal": tl.join(FLIGHTS, THINGS, lambda f, t: f.id == t.price * 4),
    "groups of a join": tl.project(
        tl.left_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail),
        lambda p, f: (
            p.tail,
            p.model,
            tl.count(),
            tl.count(tl.some(f).id),
            tl.sum(tl.some(f).delay),
        ),
        group_by=lambda p, f: p.tail,
    ),
    "groups whose key is of the optional side": tl.project(
        tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
        lambda f, p: (tl.some(p).model, tl.count()),
        group_by=lambda f, p: tl.some(p).model,
        having=lambda f, p: tl.count() > 1,
    ),
    # Semi and anti joins, membership.
    "semi join": tl.semi_join(PLANES, TWICE, lambda p, f: p.tail == f.tail),
    "semi join with nothing": tl.semi_join(PLANES, NONE, lambda p, f: p.tail == f.tail),
    "anti join keeps NULL keys": tl.anti_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
    "anti join with nothing": tl.anti_join(PLANES, NONE, lambda p, f: p.tail == f.tail),
    "anti join with a NULL on the right": tl.anti_join(
        PLANES, FLIGHTS, lambda p, f: tl.is_null(f.tail) | (p.tail == f.tail)
    ),
    "anti join without an equality": tl.anti_join(FLIGHTS, STOPS, lambda f, s: f.id <= s.flight),
    "in with a NULL": tl.select(PLANES, where=lambda p: tl.is_in(p.tail, TAILS)),
    "not in with a NULL": tl.select(PLANES, where=lambda p: tl.not_(tl.is_in(p.tail, TAILS))),
    "NULL in nothing": tl.select(
        FLIGHTS, where=lambda f: tl.not_(tl.is_in(f.tail, tl.limit(TAILS, 0)))
    ),
    "NULL in NULL": tl.project(ALL, lambda f: (f.id, tl.is_in(f.tail, TAILS))),
    "in of a correlated query": tl.project(
        ALL,
        lambda f: (
            f.id,
            tl.is_in(f.delay, tl.project(tl.where(ALL, lambda g: g.id > f.id), lambda g: g.delay)),
        ),
    ),
    "exists of a limited query": tl.select(
        PLANES,
        where=lambda p: tl.exists(tl.limit(tl.where(ALL, lambda f: f.tail == p.tail), 1, offset=1)),
    ),
    "exists of no rows at all": tl.select(PLANES, where=lambda _: tl.exists(tl.limit(ALL, 0))),
    # Scalars.
    "a count of nothing": tl.project(tl.select(PLANES), lambda p: tl.scalar(count_of(p.owner))),
    "a scalar of an outer group": tl.project(
        ALL,
        lambda f: (f.tail, tl.scalar(count_of(f.tail)), tl.count()),
        group_by=lambda f: f.tail,
    ),
    "an outer value beside an aggregate": tl.project(
        tl.select(PLANES),
        lambda p: (
            p.tail,
            tl.scalar(
                tl.project(
                    tl.where(ALL, lambda f: f.tail == p.tail), lambda f: tl.count() * 10 + p.seats
                )
            ),
        ),
    ),
    "a scalar that orders": tl.project(
        tl.select(PLANES, order_by=lambda p: (tl.desc(tl.scalar(count_of(p.tail))), p.tail)),
        lambda p: p.tail,
    ),
    # Sets.
    "union of NULLs": tl.union(TAILS, TAILS),
    "union of two": tl.union(OWNERS, MODELS),
    "union all": tl.union(OWNERS, MODELS, keep_duplicates=True),
    "intersect": tl.intersect(TAILS, TAILS),
    "intersect all": tl.intersect(
        TAILS, tl.limit(tl.order_by(TAILS, lambda t: (t,)), 4), keep_duplicates=True
    ),
    "except": tl.except_(TAILS, OWNERS),
    "except all": tl.except_(
        tl.union(TAILS, TAILS, keep_duplicates=True), TAILS, keep_duplicates=True
    ),
    "except all of nothing": tl.except_(tl.limit(TAILS, 0), TAILS, keep_duplicates=True),
    "except itself": tl.except_(LEGS, LEGS),
    "sets of whole entities": tl.intersect(TWICE, ALL, keep_duplicates=True),
    "sets of every type": tl.except_(
        tl.select(THINGS), tl.select(THINGS, where=lambda t: t.price > 0)
    ),
    # Common table expressions and recursions.
    "a cte read twice": tl.join(tl.cte(LEGS), tl.cte(LEGS), lambda a, b: a.delay == b.delay),
    "a recursion with duplicates": hops(onward),
    "a recursion without duplicates": hops(onward, keep=False),
    "a recursion of nothing": hops(onward, start="???"),
    "a circle that ends": hops(
        lambda found: tl.project(
            tl.join(found, FLIGHTS, lambda h, f: h.place == f.origin), lambda h, f: Hop(f.dest, 0)
        ),
        keep=False,
    ),
    "a step that does not recur": hops(lambda _: tl.project(ALL, lambda f: Hop(f.dest, 1))),
    "a step that does not recur, without duplicates": hops(
        lambda _: tl.project(ALL, lambda f: Hop(f.dest, 1)), keep=False
    ),
    "a step with a left join": hops(
        lambda found: tl.project(
            tl.where(
                tl.left_join(found, STOPS, lambda h, s: h.hops == s.flight),
                lambda h, s: h.hops < 3,
            ),
            lambda h, s: Hop(h.place, h.hops + 1),
        )
    ),
    # Distinct rows.
    "distinct rows of a join": tl.project(
        tl.join(FLIGHTS, FLIGHTS, lambda f, g: f.origin == g.origin),
        lambda f, g: (f.tail, g.delay),
        distinct=True,
    ),
    "distinct, then a page of it": tl.project(
        ALL, lambda f: f.delay, distinct=True, order_by=lambda f: tl.desc(f.delay), limit=2
    ),
    "groups of groups": tl.project(
        tl.project(ALL, lambda f: Leg(f.tail, tl.count()), group_by=lambda f: f.tail),
        lambda leg: (leg.delay, tl.count()),
        group_by=lambda leg: leg.delay,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_answers_as_the_server(loaded_store: tl.Store, shape: str) -> None:
    query = SHAPES[shape]
    agrees(loaded_store, query, loaded_store.fetch_all(query).unwrap())


ERRORS: dict[str, tl.Query[Any]] = {
    "a scalar of two rows": tl.project(tl.select(PLANES), lambda p: (p.tail, tl.scalar(TAILS))),
    "an ungrouped column in a subquery": tl.project(
        ALL, lambda f: (tl.count(), tl.scalar(count_of(f.tail))), group_by=lambda f: f.origin
    ),
    "an ungrouped column of another source": tl.project(
        tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail),
        lambda f, p: (f.origin, p.model),
        group_by=lambda f, p: f.id,
    ),
    "a recursion read twice": hops(
        lambda found: tl.project(
            tl.join(found, found, lambda a, b: a.place == b.place),
            lambda a, b: Hop(a.place, b.hops),
        )
    ),
    "a recursion in a subquery": hops(
        lambda found: tl.project(
            tl.select(
                FLIGHTS, where=lambda f: tl.is_in(f.origin, tl.project(found, lambda h: h.place))
            ),
            lambda f: Hop(f.dest, 1),
        )
    ),
    "a recursion on a left join's right side": hops(
        lambda found: tl.project(
            tl.left_join(FLIGHTS, found, lambda f, h: f.origin == h.place),
            lambda f, h: Hop(f.dest, 1),
        )
    ),
    "a recursion that is counted": hops(
        lambda found: tl.project(
            found, lambda h: Hop(h.place, tl.count()), group_by=lambda h: h.place
        )
    ),
    "a recursion in except": hops(
        lambda found: tl.except_(tl.project(ALL, lambda f: Hop(f.dest, 1)), found)
    ),
    "a recursion in intersect all": hops(
        lambda found: tl.intersect(
            found, tl.project(ALL, lambda f: Hop(f.dest, 1)), keep_duplicates=True
        )
    ),
    "a sum out of range in a window": tl.project(
        ALL, lambda f: tl.over(tl.sum(f.id + (2**63 - 100)), order_by=f.id)
    ),
    "a fault beside a value that Python cannot hold": tl.project(
        tl.select(THINGS),
        lambda t: (t.at + dt.timedelta(4_000_000), 1 // (tl.length(t.tags) - tl.length(t.tags))),
    ),
    "too many buckets": tl.project(ALL, lambda f: tl.over(tl.ntile(2**40), order_by=f.id)),
}


@pytest.mark.parametrize("error", ERRORS)
def test_memory_fails_as_the_server(loaded_store: tl.Store, error: str) -> None:
    query = ERRORS[error]
    ours = tl.evaluate(query, held(loaded_store)).failure()
    theirs = loaded_store.fetch_all(query).failure()
    assert isinstance(ours, tl.QueryError)
    assert isinstance(theirs, tl.QueryError)
    assert ours.sqlstate == theirs.sqlstate
