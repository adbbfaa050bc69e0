"""Sets and recursions: what is in both, in one only, or within reach."""

from __future__ import annotations

from typing import Any

import msgspec

import tierline as tl
from tierline.cli.demo.entities import AIRPORTS, FLIGHTS


class Place(msgspec.Struct, frozen=True):
    """An airport and how many flights it took to get there."""

    faa: str
    legs: int


class Leg(msgspec.Struct, frozen=True):
    """A pair of airports with flights between them."""

    origin: str
    dest: str


LEGS = tl.project(tl.select(FLIGHTS), lambda f: Leg(f.origin, f.dest), distinct=True)


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
}
