"""Windows: running totals, ranks, neighbours and shares."""

from __future__ import annotations

from typing import Any

import msgspec

import tierline as tl
from tierline.cli.demo.entities import FLIGHTS


class CarrierDay(msgspec.Struct, frozen=True):
    """A carrier's flights on a day."""

    carrier: str
    day: int
    flights: int


class Ranked(msgspec.Struct, frozen=True):
    """A flight's place among those of its origin, the latest first."""

    id: int
    origin: str
    dep_delay: int | None
    place: int


FLOWN = tl.select(FLIGHTS, where=lambda f: tl.not_(tl.is_null(f.dep_delay)))

PER_CARRIER_DAY = tl.project(
    tl.select(FLIGHTS),
    lambda f: CarrierDay(f.carrier, f.day, tl.count()),
    group_by=lambda f: (f.carrier, f.day),
)

RANKED = tl.project(
    FLOWN,
    lambda f: Ranked(
        f.id,
        f.origin,
        f.dep_delay,
        tl.over(tl.row_number(), partition_by=f.origin, order_by=(tl.desc(f.dep_delay), f.id)),
    ),
)

QUESTIONS: dict[str, tuple[tl.Query[Any], str]] = {
    "flights per day, running": (
        tl.project(
            tl.select(FLIGHTS),
            lambda f: (f.day, tl.count(), tl.over(tl.count(), order_by=f.day)),
            group_by=lambda f: f.day,
            order_by=lambda f: f.day,
        ),
        "SELECT day, count(*), count(*) OVER (ORDER BY day) FROM flights GROUP BY day ORDER BY day",
    ),
    "running total of flights by carrier": (
        tl.project(
            PER_CARRIER_DAY,
            lambda d: (
                d.carrier,
                d.day,
                tl.over(tl.sum(d.flights), partition_by=d.carrier, order_by=d.day),
            ),
            order_by=lambda d: (d.carrier, d.day),
        ),
        (
            "SELECT carrier, day, (sum(count(*)) OVER (PARTITION BY carrier ORDER BY day))::bigint "
            "FROM flights GROUP BY carrier, day ORDER BY carrier, day"
        ),
    ),
    "mean of three days by carrier": (
        tl.project(
            PER_CARRIER_DAY,
            lambda d: (
                d.carrier,
                d.day,
                tl.over(
                    tl.avg(d.flights * 1.0),
                    partition_by=d.carrier,
                    order_by=d.day,
                    frame=tl.rows(-1, 1),
                ),
            ),
            order_by=lambda d: (d.carrier, d.day),
        ),
        (
            "SELECT carrier, day, avg(count(*)::float8) OVER (PARTITION BY carrier "
            "ORDER BY day ROWS "
            "BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM flights GROUP BY carrier, day "
            "ORDER BY carrier, day"
        ),
    ),
    "rank of carriers": (
        tl.project(
            tl.select(FLIGHTS),
            lambda f: (f.carrier, tl.count(), tl.over(tl.rank(), order_by=tl.desc(tl.count()))),
            group_by=lambda f: f.carrier,
            order_by=lambda f: (tl.desc(tl.count()), f.carrier),
        ),
        (
            "SELECT carrier, count(*), rank() OVER (ORDER BY count(*) DESC) FROM flights "
            "GROUP BY carrier ORDER BY count(*) DESC, carrier"
        ),
    ),
    "carriers in quarters by delay": (
        tl.project(
            FLOWN,
            lambda f: (f.carrier, tl.over(tl.ntile(4), order_by=(tl.avg(f.dep_delay), f.carrier))),
            group_by=lambda f: f.carrier,
            order_by=lambda f: f.carrier,
        ),
        (
            "SELECT carrier, ntile(4) OVER (ORDER BY avg(dep_delay), carrier) FROM flights WHERE "
            "dep_delay IS NOT NULL GROUP BY carrier ORDER BY carrier"
        ),
    ),
    "three latest of each origin": (
        tl.project(
            tl.where(RANKED, lambda r: r.place <= 3),
            lambda r: (r.origin, r.place, r.id, r.dep_delay),
            order_by=lambda r: (r.origin, r.place),
        ),
        (
            "SELECT origin, place, id, dep_delay FROM (SELECT *, row_number() OVER (PARTITION BY "
            "origin ORDER BY dep_delay DESC, id) AS place FROM flights WHERE "
            "dep_delay IS NOT NULL) r "
            "WHERE place <= 3 ORDER BY origin, place"
        ),
    ),
    "time since a plane's flight before": (
        tl.project(
            tl.select(FLIGHTS, where=lambda f: f.tailnum == "N14228"),
            lambda f: (
                f.id,
                f.time_hour - tl.some(tl.over(tl.lag(f.time_hour), order_by=(f.time_hour, f.id))),
            ),
            order_by=lambda f: f.id,
        ),
        (
            "SELECT id, time_hour - lag(time_hour) OVER (ORDER BY time_hour, id) FROM flights "
            "WHERE tailnum = 'N14228' ORDER BY id"
        ),
    ),
    "next flight of each plane": (
        tl.project(
            tl.select(FLIGHTS, where=lambda f: tl.not_(tl.is_null(f.tailnum))),
            lambda f: (
                f.id,
                tl.over(tl.lead(f.dest), partition_by=f.tailnum, order_by=(f.time_hour, f.id)),
            ),
            order_by=lambda f: f.id,
            limit=200,
        ),
        (
            "SELECT id, lead(dest) OVER (PARTITION BY tailnum ORDER BY time_hour, id) FROM flights "
            "WHERE tailnum IS NOT NULL ORDER BY id LIMIT 200"
        ),
    ),
    "share of an origin's flights that each carrier has": (
        tl.project(
            tl.project(
                tl.select(FLIGHTS),
                lambda f: (f.origin, f.carrier, tl.count()),
                group_by=lambda f: (f.origin, f.carrier),
            ),
            lambda r: (
                r[0],
                r[1],
                r[2] * 100 / tl.some(tl.over(tl.sum(r[2]), partition_by=r[0])),
            ),
            order_by=lambda r: (r[0], r[1]),
        ),
        (
            "SELECT origin, carrier, count(*)::float8 * 100 / (sum(count(*)) OVER (PARTITION BY "
            "origin))::float8 FROM flights GROUP BY origin, carrier ORDER BY origin, carrier"
        ),
    ),
    "first and last departure of each day": (
        tl.project(
            tl.select(FLIGHTS, where=lambda f: f.origin == "LGA"),
            lambda f: (
                f.day,
                tl.over(
                    tl.first_value(f.id),
                    partition_by=f.day,
                    order_by=(f.sched_dep_time, f.id),
                    frame=tl.rows(None, None),
                ),
                tl.over(
                    tl.last_value(f.id),
                    partition_by=f.day,
                    order_by=(f.sched_dep_time, f.id),
                    frame=tl.rows(None, None),
                ),
            ),
            distinct=True,
            order_by=lambda f: f.day,
        ),
        (
            "SELECT DISTINCT day, first_value(id) OVER w, last_value(id) OVER w FROM flights WHERE "
            "origin = 'LGA' WINDOW w AS (PARTITION BY day ORDER BY sched_dep_time, id ROWS BETWEEN "
            "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) ORDER BY day"
        ),
    ),
}
