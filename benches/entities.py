"""The entities of the benchmarks, their tables and their rows: the same ones each time."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from decimal import Decimal

import msgspec

import tierline as tl

FLIGHT_COUNT = 10_000
ITEM_COUNT = 100_000
_CARRIERS = ("AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")


class Flight(msgspec.Struct, frozen=True, gc=False):
    """The entity of point reads."""

    id: int
    carrier: str
    origin: str
    dest: str
    dep_delay: int | None


class Item(msgspec.Struct, frozen=True, gc=False):
    """The entity of bulk work: the column types that entities have most."""

    id: int
    code: str
    title: str
    active: bool
    score: int | None
    ratio: float
    at: dt.datetime
    price: Decimal
    ref: uuid.UUID


FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
SOURCE = tl.table(Item, name="bulk_source", key=lambda i: i.id)
SINK = tl.table(Item, name="bulk_sink", key=lambda i: i.id)


def flights() -> list[Flight]:
    """10,000 flights."""
    return [
        Flight(n, _CARRIERS[n % 8], "JFK", f"D{n % 105:03}", None if n % 40 == 0 else n % 240)
        for n in range(1, FLIGHT_COUNT + 1)
    ]


def items() -> list[Item]:
    """100,000 items."""
    chance = random.Random(7)
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return [
        Item(
            n,
            f"C{n % 977:04}",
            f"item number {n} of the lot",
            n % 3 == 0,
            None if n % 10 == 0 else n % 5000,
            chance.random(),
            start + dt.timedelta(seconds=37 * n, microseconds=chance.randrange(1_000_000)),
            Decimal(chance.randrange(10_000_000)).scaleb(-2),
            uuid.UUID(int=chance.getrandbits(128), version=4),
        )
        for n in range(1, ITEM_COUNT + 1)
    ]
