"""Groups and subqueries: filtered and ordered aggregates, and queries inside conditions."""

from __future__ import annotations

from typing import Any

import msgspec

import tierline as tl
from tierline.cli.demo.entities import AIRLINES, FLIGHTS, PLANES


class Busy(msgspec.Struct, frozen=True):
    """A plane that flew often."""

    tailnum: str
    flights: int


FIVE_BUSIEST = tl.cte(
    tl.project(
        tl.select(FLIGHTS),
        lambda f: f.dest,
        group_by=lambda f: f.dest,
        order_by=lambda f: (tl.desc(tl.count()), f.dest),
        limit=5,
    )
)

QUESTIONS: dict[str, tuple[tl.Query[Any], str]] = {
    "share of flights that were cancelled": (
        tl.project(
            tl.select(FLIGHTS),
            lambda f: (
                f.origin,
                tl.filtered(tl.count(), tl.is_null(f.dep_time)) * 100 / tl.count(),
                tl.filtered(tl.avg(f.dep_delay), tl.some(f.dep_delay) > 0),
            ),
            group_by=lambda f: f.origin,
            order_by=lambda f: f.origin,
        ),
        (
            "SELECT origin, (count(*) FILTER (WHERE dep_time IS NULL) * 100)::float8 / count(*), "
            "(avg(dep_delay) FILTER (WHERE dep_delay > 0))::float8 FROM flights "
            "GROUP BY origin ORDER BY origin"
        ),
    ),
    "carriers of each origin in one text": (
        tl.project(
            tl.project(tl.select(FLIGHTS), lambda f: (f.origin, f.carrier), distinct=True),
            lambda pair: (pair[0], tl.string_agg(pair[1], ", ", order_by=pair[1])),
            group_by=lambda pair: pair[0],
            order_by=lambda pair: pair[0],
        ),
        (
            "SELECT origin, string_agg(DISTINCT carrier, ', ' ORDER BY carrier) FROM flights "
            "GROUP BY origin ORDER BY origin"
        ),
    ),
    "destinations of the small carriers": (
        tl.project(
            tl.project(tl.select(FLIGHTS), lambda f: (f.carrier, f.dest), distinct=True),
            lambda pair: (pair[0], tl.array_agg(pair[1], order_by=tl.desc(pair[1]))),
            group_by=lambda pair: pair[0],
            having=lambda _: tl.count() <= 3,
            order_by=lambda pair: pair[0],
        ),
        (
            "SELECT carrier, array_agg(DISTINCT dest ORDER BY dest DESC) FROM flights "
            "GROUP BY carrier HAVING count(DISTINCT dest) <= 3 ORDER BY carrier"
        ),
    ),
    "busiest hour of each origin": (
        tl.where(
            tl.project(
                tl.select(FLIGHTS),
                lambda f: (
                    f.origin,
                    f.hour,
                    tl.count(),
                    tl.over(
                        tl.row_number(),
                        partition_by=f.origin,
                        order_by=(tl.desc(tl.count()), f.hour),
                    ),
                ),
                group_by=lambda f: (f.origin, f.hour),
            ),
            lambda row: row[3] == 1,
        ),
        (
            "SELECT * FROM (SELECT origin, hour, count(*), row_number() OVER (PARTITION BY origin "
            "ORDER BY count(*) DESC, hour) AS place FROM flights GROUP BY origin, hour) r "
            "WHERE place = 1"
        ),
    ),
    "flights to the five busiest places": (
        tl.project(
            tl.select(FLIGHTS, where=lambda f: tl.is_in(f.dest, FIVE_BUSIEST)),
            lambda f: (f.dest, f.origin, tl.count()),
            group_by=lambda f: (f.dest, f.origin),
            order_by=lambda f: (f.dest, f.origin),
        ),
        (
            "WITH busiest AS (SELECT dest FROM flights GROUP BY dest ORDER BY count(*) DESC, dest "
            "LIMIT 5) SELECT dest, origin, count(*) FROM flights WHERE dest IN (SELECT dest FROM "
            "busiest) GROUP BY dest, origin ORDER BY dest, origin"
        ),
    ),
    "flights later than their carrier's mean": (
        tl.project(
            tl.select(
                FLIGHTS,
                where=lambda f: (
                    (f.day == 1)
                    & (
                        tl.some(f.dep_delay) * 1.0
                        > tl.some(
                            tl.scalar(
                                tl.project(
                                    tl.select(FLIGHTS, where=lambda g: g.carrier == f.carrier),
                                    lambda g: tl.avg(g.dep_delay),
                                )
                            )
                        )
                    )
                ),
            ),
            lambda f: f.id,
            order_by=lambda f: f.id,
        ),
        (
            "SELECT id FROM flights f WHERE day = 1 AND dep_delay::float8 > (SELECT "
            "avg(dep_delay)::float8 FROM flights g WHERE g.carrier = f.carrier) ORDER BY id"
        ),
    ),
    "carriers with a flight over five hours late": (
        tl.select(
            AIRLINES,
            where=lambda a: tl.exists(
                tl.select(
                    FLIGHTS,
                    where=lambda f: (f.carrier == a.carrier) & (tl.some(f.dep_delay) > 300),
                )
            ),
            order_by=lambda a: a.carrier,
        ),
        (
            "SELECT carrier, name FROM airlines a WHERE EXISTS (SELECT 1 FROM flights f WHERE "
            "f.carrier = a.carrier AND dep_delay > 300) ORDER BY carrier"
        ),
    ),
    "each airline's most frequent plane": (
        tl.project(
            tl.select(AIRLINES),
            lambda a: (
                a.name,
                tl.scalar(
                    tl.project(
                        tl.select(
                            FLIGHTS,
                            where=lambda f: (
                                (f.carrier == a.carrier) & tl.not_(tl.is_null(f.tailnum))
                            ),
                        ),
                        lambda f: f.tailnum,
                        group_by=lambda f: f.tailnum,
                        order_by=lambda f: (tl.desc(tl.count()), f.tailnum),
                        limit=1,
                    )
                ),
            ),
            order_by=lambda a: a.name,
        ),
        (
            "SELECT name, (SELECT tailnum FROM flights f WHERE f.carrier = "
            "a.carrier AND tailnum IS "
            "NOT NULL GROUP BY tailnum ORDER BY count(*) DESC, tailnum LIMIT 1) FROM airlines a "
            "ORDER BY name"
        ),
    ),
    "models that the busiest planes have": (
        tl.project(
            tl.join(
                tl.project(
                    tl.select(FLIGHTS),
                    lambda f: Busy(tl.some(f.tailnum), tl.count()),
                    group_by=lambda f: f.tailnum,
                    having=lambda f: tl.count() >= 20,
                ),
                PLANES,
                lambda busy, p: busy.tailnum == p.tailnum,
            ),
            lambda busy, p: (p.model, tl.count(), tl.sum(busy.flights)),
            group_by=lambda busy, p: p.model,
            order_by=lambda busy, p: p.model,
        ),
        (
            "SELECT model, count(*), sum(n)::bigint FROM (SELECT tailnum, count(*) "
            "AS n FROM flights "
            "GROUP BY tailnum HAVING count(*) >= 20) b JOIN planes USING (tailnum) GROUP BY model "
            "ORDER BY model"
        ),
    ),
}
