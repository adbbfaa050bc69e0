"""Mistakes with joins, subqueries, windows and pages that both checkers must find; never run."""

from __future__ import annotations

from reveal_sources import AIRLINES, ALL, FLIGHTS, MAYBE, ORIGINS, PAIRS, PLANES, Hop, Plane

import tierline as tl


def misspelt_fields() -> None:
    tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tale)  # rejected
    tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tial == p.tail)  # rejected
    tl.semi_join(PLANES, FLIGHTS, lambda p, f: p.tale == f.tail)  # rejected
    tl.anti_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tale)  # rejected
    tl.where(PAIRS, lambda f, p: p.seat == 3)  # rejected
    tl.order_by(PAIRS, lambda f, p: f.orign)  # rejected
    tl.project(PAIRS, lambda f, p: (f.id, p.modell))  # rejected
    tl.project(PAIRS, lambda f, p: tl.count(), group_by=lambda f, p: p.modell)  # rejected


def missing_rows() -> None:
    # The right side of a left join may be None.
    tl.where(MAYBE, lambda f, p: p.tail == "N1")  # rejected
    tl.project(MAYBE, lambda f, p: (f.id, p.seats))  # rejected
    tl.order_by(MAYBE, lambda f, p: p.seats)  # rejected


def wrong_numbers_of_arguments() -> None:
    tl.where(PAIRS, lambda f: f.id > 1)  # rejected
    tl.project(PAIRS, lambda f, p, g: f.id)  # rejected
    tl.join(PAIRS, AIRLINES, lambda f, a: f.origin == a.code)  # rejected
    tl.cross_join(PLANES)  # rejected
    tl.join(FLIGHTS, PLANES)  # rejected


def wrong_operands() -> None:
    tl.join(FLIGHTS, PLANES, lambda f, p: f.id == p.tail)  # rejected
    tl.where(PAIRS, lambda f, p: p.seats > 3)  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.is_in(f.id, ORIGINS))  # rejected
    tl.select(FLIGHTS, where=lambda f: tl.scalar(ORIGINS) > "A")  # rejected
    tl.project(ALL, lambda f: tl.string_agg(f.id, ","))  # rejected
    tl.project(ALL, lambda f: tl.string_agg(f.origin))  # rejected
    tl.project(ALL, lambda f: tl.filtered(tl.count()))  # rejected
    tl.project(ALL, lambda f: tl.filtered(tl.count(), f.origin))  # rejected
    tl.join(FLIGHTS, PLANES, lambda f, p: f.tail)  # rejected


def tables_and_entities_in_place_of_queries() -> None:
    tl.where(FLIGHTS, lambda f: f.id > 1)  # rejected
    tl.exists(FLIGHTS)  # rejected
    tl.union(FLIGHTS, FLIGHTS)  # rejected
    tl.page(FLIGHTS, size=3)  # rejected
    tl.join(FLIGHTS, Plane, lambda f, p: True)  # rejected
    tl.cte(PLANES)  # rejected


def wrong_windows() -> None:
    tl.project(ALL, lambda f: tl.over(tl.ntile("4"), order_by=f.id))  # rejected
    tl.project(ALL, lambda f: tl.over(tl.lag(f.id, "1"), order_by=f.id))  # rejected
    tl.project(ALL, lambda f: tl.over(tl.count(), frame=(-1, 0)))  # rejected
    tl.rows("unbounded", 0)  # rejected
    tl.rows(0)  # rejected


def wrong_options(store: tl.Store) -> None:
    tl.for_update(ALL, strength="exclusive")  # rejected
    tl.for_update(ALL, wait=False)  # rejected
    tl.union(ORIGINS, ORIGINS, all=True)  # rejected
    tl.page(ALL)  # rejected
    tl.page(ALL, size="20")  # rejected
    tl.page(ALL, size=20, after=3)  # rejected
    store.fetch_page(ALL)  # rejected
    store.fetch_all(tl.page(ALL, size=3))  # rejected
    tl.open(cursor_secret="secret")  # rejected
    tl.project(ALL, lambda f: f.id, distinct="yes")  # rejected


def rows_that_are_not_what_was_promised(store: tl.Store) -> None:
    wrong: tl.Join2[Plane, Hop] = PAIRS  # rejected
    rows: list[Hop] = tl.unwrap(store.fetch_all(PAIRS))  # rejected
    count: str = tl.scalar(ORIGINS)  # rejected
    tl.recursive(ORIGINS, lambda found: tl.project(found, lambda _: tl.count()))  # rejected
    del wrong, rows, count
