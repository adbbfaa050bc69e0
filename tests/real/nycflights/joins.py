"""Joins of flights with planes, airlines, airports and weather."""

from __future__ import annotations

from typing import Any

import tierline as tl
from tierline.cli.demo.entities import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER

WITH_PLANE = tl.join(FLIGHTS, PLANES, lambda f, p: f.tailnum == p.tailnum)

WITH_WEATHER = tl.join(
    FLIGHTS, WEATHER, lambda f, w: (f.origin == w.origin) & (f.time_hour == w.time_hour)
)

MAYBE_WEATHER = tl.left_join(
    FLIGHTS, WEATHER, lambda f, w: (f.origin == w.origin) & (f.time_hour == w.time_hour)
)

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
}
