"""The SQL text of joins, subqueries, unions, windows and pages, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.paging import PageQuery
from tierline.sql import compile_count, compile_exists, compile_page, compile_query


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str
    origin: str


class Hop(msgspec.Struct, frozen=True):
    place: str
    hops: int


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id, schema="air")
ALL = tl.select(FLIGHTS)
JFK = tl.select(FLIGHTS, where=lambda f: f.origin == "JFK")
ORIGINS = tl.project(ALL, lambda f: f.origin)
PAIRS = tl.join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)
MAYBE = tl.left_join(FLIGHTS, PLANES, lambda f, p: f.tail == p.tail)


def f(n: int) -> str:
    """A flight's columns under an alias."""
    return f't{n}."id", t{n}."tail", t{n}."origin"'


def named(n: int) -> str:
    """The same, as a query around knows them."""
    return f't{n}."id" AS "id", t{n}."tail" AS "tail", t{n}."origin" AS "origin"'


def p(n: int) -> str:
    """A plane's columns."""
    return f't{n}."tail", t{n}."seats"'


JOINED = 'FROM "air"."flights" AS t0 JOIN "planes" AS t1 ON (t0."tail" = t1."tail")'
INNER = (
    f'(SELECT t1."id" AS "column1", t1."tail" AS "column2", t1."origin" AS "column3", '
    f't2."tail" AS "column4", t2."seats" AS "column5" {JOINED}) AS t0'
).replace("AS t1 ON", "AS t2 ON").replace('"flights" AS t0', '"flights" AS t1').replace(
    '(t0."tail" = t1."tail")', '(t1."tail" = t2."tail")'
)  # fmt: skip
LEAVES = tl.project(JFK, lambda f: Hop(f.origin, 1))


def routes(found: tl.Query[Hop]) -> tl.Query[Hop]:
    legs = tl.join(found, FLIGHTS, lambda h, f: h.place == f.origin)
    return tl.project(legs, lambda h, f: Hop(f.origin, h.hops + 1))


def windowed(made: Callable[[Any], Any]) -> tl.Query[Any]:
    return tl.project(ALL, made)


COUNTS = tl.cte(tl.project(ALL, lambda f: Hop(f.origin, tl.count()), group_by=lambda f: f.origin))

SHAPES: list[tuple[tl.Query[Any], str, tuple[Any, ...]]] = [
    (PAIRS, f"SELECT {f(0)}, {p(1)} {JOINED}", ()),
    (MAYBE, f"SELECT {f(0)}, {p(1)} {JOINED.replace('JOIN', 'LEFT JOIN')}", ()),
    (
        tl.cross_join(PLANES, FLIGHTS),
        f'SELECT {p(0)}, {f(1)} FROM "planes" AS t0 CROSS JOIN "air"."flights" AS t1',
        (),
    ),
    (
        tl.where(tl.where(PAIRS, lambda f, p: f.id > 1), lambda f, p: tl.some(p.seats) > 2),
        f'SELECT {f(0)}, {p(1)} {JOINED} WHERE ((t0."id" > $1) AND (t1."seats" > $2))',
        (1, 2),
    ),
    (
        tl.where(MAYBE, lambda f, p: tl.is_null(p)),
        (
            f"SELECT {f(0)}, {p(1)} {JOINED.replace('JOIN', 'LEFT JOIN')} "
            'WHERE ((t1."tail" IS NULL) AND (t1."seats" IS NULL))'
        ),
        (),
    ),
    (
        tl.join(PAIRS, JFK, lambda f, p, g: g.id > f.id),
        (
            f"SELECT {f(0)}, {p(1)}, {f(2)} {JOINED} JOIN (SELECT {named(3)} FROM "
            '"air"."flights" AS t3 WHERE (t3."origin" = $1)) AS t2 ON (t2."id" > t0."id")'
        ),
        ("JFK",),
    ),
    (
        tl.where(tl.limit(PAIRS, 5), lambda f, p: f.id > p.seats),
        (
            'SELECT t0."column1", t0."column2", t0."column3", t0."column4", t0."column5" FROM '
            f"{INNER.replace(') AS t0', ' LIMIT $1) AS t0')} "
            'WHERE (t0."column1" > t0."column5")'
        ),
        (5,),
    ),
    (
        tl.semi_join(PLANES, JFK, lambda p, f: p.tail == f.tail),
        (
            f'SELECT {p(0)} FROM "planes" AS t0 WHERE EXISTS (SELECT {f(1)} FROM (SELECT '
            f'{named(2)} FROM "air"."flights" AS t2 WHERE (t2."origin" = $1)) AS t1 '
            'WHERE (t0."tail" = t1."tail"))'
        ),
        ("JFK",),
    ),
    (
        tl.anti_join(PLANES, FLIGHTS, lambda p, f: p.tail == f.tail),
        (
            f'SELECT {p(0)} FROM "planes" AS t0 WHERE (NOT EXISTS (SELECT {f(1)} FROM '
            '"air"."flights" AS t1 WHERE (t0."tail" = t1."tail")))'
        ),
        (),
    ),
    (
        tl.select(
            PLANES,
            where=lambda p: tl.exists(
                tl.select(
                    FLIGHTS,
                    where=lambda f: (
                        (f.tail == p.tail)
                        & tl.exists(
                            tl.select(FLIGHTS, where=lambda g: (g.id > f.id) & (g.tail == p.tail))
                        )
                    ),
                )
            ),
        ),
        (
            f'SELECT {p(0)} FROM "planes" AS t0 WHERE EXISTS (SELECT {f(1)} FROM '
            f'"air"."flights" AS t1 WHERE ((t1."tail" = t0."tail") AND EXISTS (SELECT {f(2)} FROM '
            '"air"."flights" AS t2 WHERE ((t2."id" > t1."id") AND (t2."tail" = t0."tail")))))'
        ),
        (),
    ),
    (
        tl.project(
            tl.select(PLANES),
            lambda p: (
                p.tail,
                tl.scalar(
                    tl.project(
                        tl.select(FLIGHTS, where=lambda f: f.tail == p.tail),
                        lambda f: tl.max(f.id),
                    )
                ),
            ),
        ),
        (
            'SELECT t0."tail", (SELECT max(t1."id") FROM "air"."flights" AS t1 WHERE '
            '(t1."tail" = t0."tail")) FROM "planes" AS t0'
        ),
        (),
    ),
    (
        tl.select(PLANES, where=lambda p: tl.is_in(p.tail, tl.project(ALL, lambda f: f.tail))),
        (
            f'SELECT {p(0)} FROM "planes" AS t0 WHERE (t0."tail" IN (SELECT t1."tail" FROM '
            f'(SELECT {named(2)} FROM "air"."flights" AS t2) AS t1))'
        ),
        (),
    ),
    *(
        (
            combine(ORIGINS, ORIGINS),
            (
                f'SELECT t0."value" FROM ((SELECT t1."origin" AS "value" FROM "air"."flights" AS '
                f't1) {operator} (SELECT t2."origin" AS "value" FROM "air"."flights" AS t2)) AS t0'
            ),
            (),
        )
        for combine, operator in (
            (tl.union, "UNION"),
            (lambda a, b: tl.union(a, b, keep_duplicates=True), "UNION ALL"),
            (tl.intersect, "INTERSECT"),
            (lambda a, b: tl.intersect(a, b, keep_duplicates=True), "INTERSECT ALL"),
            (tl.except_, "EXCEPT"),
            (lambda a, b: tl.except_(a, b, keep_duplicates=True), "EXCEPT ALL"),
        )
    ),
    (
        tl.join(COUNTS, COUNTS, lambda a, b: a.hops == b.hops),
        (
            'WITH w0 AS (SELECT t2."origin" AS "place", count(*) AS "hops" FROM "air"."flights" '
            'AS t2 GROUP BY t2."origin") SELECT t0."place", t0."hops", t1."place", t1."hops" '
            'FROM w0 AS t0 JOIN w0 AS t1 ON (t0."hops" = t1."hops")'
        ),
        (),
    ),
    *(
        (
            tl.recursive(LEAVES, routes, keep_duplicates=keep),
            (
                'WITH RECURSIVE w0 AS ((SELECT t1."origin" AS "place", $1 AS "hops" FROM '
                f'"air"."flights" AS t1 WHERE (t1."origin" = $2)) {operator} (SELECT t3."origin" '
                'AS "place", (t2."hops" + $3) AS "hops" FROM w0 AS t2 JOIN "air"."flights" AS t3 '
                'ON (t2."place" = t3."origin"))) SELECT t0."place", t0."hops" FROM w0 AS t0'
            ),
            (1, "JFK", 1),
        )
        for keep, operator in ((True, "UNION ALL"), (False, "UNION"))
    ),
    (
        windowed(
            lambda f: tl.over(
                tl.sum(f.id),
                partition_by=(f.origin, f.tail),
                order_by=(tl.desc(f.id), f.tail),
                frame=tl.rows(-6, 0),
            )
        ),
        (
            'SELECT sum("id") OVER (PARTITION BY "origin", "tail" ORDER BY "id" DESC, "tail" '
            'ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)::bigint FROM "air"."flights"'
        ),
        (),
    ),
    (
        windowed(lambda f: tl.over(tl.count(), order_by=f.id, frame=tl.groups(None, 2))),
        (
            'SELECT count(*) OVER (ORDER BY "id" GROUPS BETWEEN UNBOUNDED PRECEDING AND 2 '
            'FOLLOWING) FROM "air"."flights"'
        ),
        (),
    ),
    (
        windowed(
            lambda f: (
                tl.over(tl.ntile(4), order_by=f.id),
                tl.over(tl.lag(f.id, 2), order_by=f.id),
                tl.over(tl.nth_value(f.id, 3), order_by=f.id),
                tl.over(tl.first_value(f.id)),
            )
        ),
        (
            'SELECT ntile($1::integer) OVER (ORDER BY "id"), lag("id", $2::integer) OVER (ORDER BY '
            '"id"), nth_value("id", $3::integer) OVER (ORDER BY "id"), first_value("id") OVER () '
            'FROM "air"."flights"'
        ),
        (4, 2, 3),
    ),
    (
        tl.project(
            ALL,
            lambda f: (
                f.origin,
                tl.array_agg(f.id, order_by=tl.desc(f.id)),
                tl.string_agg(f.tail, "; ", order_by=f.tail),
                tl.filtered(tl.count(), f.id > 3),
            ),
            group_by=lambda f: f.origin,
            having=lambda f: tl.count() > 1,
            order_by=lambda f: f.origin,
            limit=7,
        ),
        (
            'SELECT "origin", coalesce(array_agg("id" ORDER BY "id" DESC), \'{}\'), '
            'string_agg("tail", $1 ORDER BY "tail"), count(*) FILTER (WHERE ("id" > $2)) FROM '
            '"air"."flights" GROUP BY "origin" HAVING (count(*) > $3) '
            'ORDER BY "flights"."origin" LIMIT $4'
        ),
        ("; ", 3, 1, 7),
    ),
    (
        tl.project(ALL, lambda f: f.origin, distinct=True, order_by=lambda f: tl.desc(f.origin)),
        'SELECT DISTINCT "origin" FROM "air"."flights" ORDER BY "origin" DESC',
        (),
    ),
    *(
        (
            tl.for_update(ALL, **options),
            f'SELECT "id", "tail", "origin" FROM "air"."flights" {end}',
            (),
        )
        for options, end in (
            ({}, "FOR UPDATE"),
            ({"nowait": True}, "FOR UPDATE NOWAIT"),
            ({"skip_locked": True}, "FOR UPDATE SKIP LOCKED"),
            ({"strength": "no key update"}, "FOR NO KEY UPDATE"),
            ({"strength": "key share", "nowait": True}, "FOR KEY SHARE NOWAIT"),
            ({"strength": "share"}, "FOR SHARE"),
        )
    ),
]


def bare(sql: str) -> str:
    """The text without collations, which have tests of their own."""
    return sql.replace(' COLLATE "C"', "")


@pytest.mark.parametrize(("query", "sql", "values"), SHAPES)
def test_a_shape_has_its_text(query: tl.Query[Any], sql: str, values: tuple[Any, ...]) -> None:
    compiled = compile_query(query)
    assert bare(compiled.statement.sql) == sql
    assert compiled.values == values
    # The same value compiles to the same text again.
    assert compile_query(query).statement.name == compiled.statement.name


def test_a_group_key_is_not_taken_for_a_column_of_an_inner_query() -> None:
    counted = tl.project(
        ALL,
        lambda f: (f.origin, tl.scalar(tl.project(JFK, lambda _: tl.count()))),
        group_by=lambda f: f.origin,
    )
    assert compile_query(counted).statement.sql == (
        f'SELECT t0."origin", (SELECT count(*) FROM (SELECT {named(2)} FROM "air"."flights" AS t2 '
        'WHERE (t2."origin" = $1)) AS t1) FROM "air"."flights" AS t0 GROUP BY t0."origin"'
    )


def test_one_expression_is_rendered_once_however_often_it_is_read() -> None:
    def both(plane: Plane) -> bool:
        tails = tl.project(COUNTS, lambda c: c.place)
        known = tl.exists(tl.where(COUNTS, lambda c: c.place == plane.tail))
        return tl.is_in(plane.tail, tails) & known

    sql = compile_query(tl.select(PLANES, where=both)).statement.sql
    assert sql.startswith("WITH w0 AS (")
    assert sql.count("count(*)") == 1
    assert sql.count("w0") == 3


def test_counting_and_asking_forget_order_and_locks() -> None:
    locked = tl.for_update(tl.order_by(JFK, lambda f: f.id))
    inner = 'SELECT 1 FROM "air"."flights" WHERE ("origin" = $1)'
    assert compile_count(locked).statement.sql == f"SELECT count(*) FROM ({inner}) AS counted"
    assert compile_exists(locked).statement.sql == f"SELECT EXISTS ({inner})"
    counted = compile_count(COUNTS).statement.sql
    assert counted.startswith('WITH w0 AS (SELECT t1."origin"')
    assert counted.endswith("SELECT count(*) FROM (SELECT 1 FROM w0 AS t0) AS counted")
    distinct = compile_count(tl.project(ALL, lambda f: f.origin, distinct=True)).statement.sql
    assert bare(distinct) == (
        'SELECT count(*) FROM (SELECT DISTINCT "origin" FROM "air"."flights") AS counted'
    )


SECRET = b"secret of tests!"


def page_sql(page: PageQuery[Any]) -> tuple[str, tuple[Any, ...]]:
    compiled, _ = compile_page(page, SECRET, {})
    return bare(compiled.statement.sql), compiled.values


def bookmark(query: tl.Query[Any], *keys: object) -> str:
    """The cursor of a row that is ordered by these."""
    page = tl.page(query, size=1)
    _, bookmarks = compile_page(page, SECRET, {})
    keyed: Any = [msgspec.defstruct("K", ["item", "keys"])(None, keys)] * 2
    cursor = bookmarks.page(page, keyed).next
    assert cursor is not None
    return cursor


def test_a_page_in_one_direction_compares_rows() -> None:
    query = tl.select(FLIGHTS, order_by=lambda f: f.origin)
    columns = '"id", "tail", "origin", "origin", "id" FROM "air"."flights"'
    first = f'SELECT {columns} ORDER BY "origin", "id" LIMIT $1'
    assert page_sql(tl.page(query, size=2)) == (first, (3,))
    cursor = bookmark(query, "JFK", 7)
    after = f'SELECT {columns} WHERE (("origin", "id") > ($1, $2)) ORDER BY "origin", "id" LIMIT $3'
    assert page_sql(tl.page(query, size=2, after=cursor)) == (after, ("JFK", 7, 3))
    before, values = page_sql(tl.page(query, size=2, before=cursor))
    assert before.endswith(
        'WHERE (("origin", "id") < ($1, $2)) ORDER BY "origin" DESC, "id" DESC LIMIT $3'
    )
    assert values == ("JFK", 7, 3)


def test_a_page_in_two_directions_begins_at_a_bound() -> None:
    query = tl.select(FLIGHTS, order_by=lambda f: tl.desc(f.origin))
    after, values = page_sql(tl.page(query, size=2, after=bookmark(query, "JFK", 7)))
    assert after.endswith(
        'WHERE (("origin" <= $1) AND (("origin" <> $2) OR ("id" > $3))) '
        'ORDER BY "origin" DESC, "id" LIMIT $4'
    )
    assert values == ("JFK", "JFK", 7, 3)


def test_a_page_reads_rows_with_null_as_another_range() -> None:
    query = tl.select(PLANES, order_by=lambda p: (tl.desc(p.seats), tl.desc(p.tail)))
    cursor = bookmark(query, 150, "N1")
    after, values = page_sql(tl.page(query, size=2, after=cursor))
    columns = '"tail", "seats", "seats", "tail" FROM "planes"'
    assert after == (
        f'SELECT {columns} WHERE (("seats", "tail") < ($1, $2)) '
        'ORDER BY "seats" DESC, "tail" DESC LIMIT $3'
    )
    assert values == (150, "N1", 3)
    before, values = page_sql(tl.page(query, size=2, before=cursor))
    piece = '(SELECT {0}."tail" AS "tail", {0}."seats" AS "seats", {0}."seats" AS "key1", {0}."tail" AS "key2" FROM "planes" AS {0} WHERE ({1}) ORDER BY {0}."seats", {0}."tail" LIMIT {2})'.format  # noqa: E501
    some = piece("t1", '(t1."seats", t1."tail") > ($1, $2)', "$3")
    none = piece("t2", 't2."seats" IS NULL', "$4")
    assert before == (
        f'SELECT t0."tail", t0."seats", t0."key1", t0."key2" FROM ({some} UNION ALL {none}) AS t0 '
        'ORDER BY t0."key1" NULLS LAST, t0."key2" LIMIT $5'
    )
    assert values == (150, "N1", 3, 3, 3)
    among, values = page_sql(tl.page(query, size=2, before=bookmark(query, None, "N1")))
    assert among.endswith(
        'WHERE (("seats" IS NULL) AND ("tail" > $1)) ORDER BY "seats", "tail" LIMIT $2'
    )
    assert values == ("N1", 3)


HOSTILE = [
    "'; DROP TABLE planes; --", '"', "$1", "%s", "{}", "{0}", "\\", "\x00", "\ud800", "/*", "é😀",
    "a" * 10_000, "",
]  # fmt: skip


def everywhere(text: str, number: int) -> list[tl.Query[Any]]:
    """Queries with a value in every position that takes one."""
    return [
        tl.where(PAIRS, lambda f, p: (f.origin == text) & (tl.some(p.seats) > number)),
        tl.join(FLIGHTS, PLANES, lambda f, p: (f.origin == text) | (p.tail == text)),
        tl.semi_join(PLANES, FLIGHTS, lambda p, f: f.origin == text),
        tl.project(ALL, lambda f: (f.id, text, number), limit=number),
        tl.project(ALL, lambda f: tl.string_agg(f.tail, text, order_by=f.origin + text)),
        tl.project(
            ALL,
            lambda f: (f.origin + text, tl.filtered(tl.count(), f.tail == text)),
            group_by=lambda f: f.origin + text,
            having=lambda f: tl.max(f.tail) == text,
            order_by=lambda f: tl.count() + number,
        ),
        tl.project(
            ALL,
            lambda f: (
                tl.over(tl.lag(f.tail + text, number), partition_by=f.tail + text, order_by=f.id),
                tl.over(tl.ntile(number), order_by=f.origin + text),
                tl.over(tl.nth_value(f.tail + text, number)),
            ),
        ),
        tl.union(
            tl.project(ALL, lambda f: f.origin + text), tl.project(ALL, lambda f: f.tail + text)
        ),
        tl.cte(tl.select(FLIGHTS, where=lambda f: f.origin == text, offset=number)),
        tl.recursive(
            tl.project(ALL, lambda f: (f.id, f.origin + text)),
            lambda found: tl.where(found, lambda pair: (pair[1] == text) & (pair[0] < number)),
        ),
        tl.select(
            PLANES,
            where=lambda p: tl.is_in(
                p.tail, tl.project(ALL, lambda f: f.tail + text, limit=number)
            ),
        ),
        tl.for_update(tl.select(FLIGHTS, where=lambda f: f.origin == text, limit=number)),
    ]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("number", [1, 2**62])
def test_the_text_does_not_depend_on_values(text: str, number: int) -> None:
    plain = [compile_query(query) for query in everywhere("x", 7)]
    hostile = [compile_query(query) for query in everywhere(text, number)]
    assert [c.statement.sql for c in hostile] == [c.statement.sql for c in plain]
    for known, found in zip(plain, hostile, strict=True):
        swapped = {"x": text, 7: number}
        assert found.values == tuple(swapped.get(value, value) for value in known.values)
        # Every value of the query is among the parameters.
        assert text in found.values or number in found.values
