"""What users see in their editor for expressions, and the mistakes that are found; never run."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from decimal import Decimal
from typing import Any, assert_type

import msgspec

import tierline as tl


class Status(enum.Enum):
    NEW = "new"
    OLD = "old"


class Address(msgspec.Struct, frozen=True):
    city: str
    zip: str | None


class Order(msgspec.Struct, frozen=True):
    id: int
    name: str
    note: str | None
    count: int | None
    price: Decimal
    weight: float
    at: dt.datetime
    day: dt.date
    span: dt.timedelta
    seen: dt.datetime | None
    status: Status
    last: Status | None
    tags: list[str]
    marks: tuple[int, ...] | None
    kinds: frozenset[str]
    address: Address
    other: Address | None
    extra: dict[str, Any]
    sizes: dict[str, int]
    token: uuid.UUID


def text_keeps_its_type(f: Order) -> None:
    assert_type(tl.length(f.name), int)
    assert_type(tl.length(f.note), int | None)
    assert_type(tl.length(f.tags), int)
    assert_type(tl.length(f.marks), int | None)
    assert_type(tl.like(f.name, "a%"), bool)
    assert_type(tl.ilike(f.note, "a%"), bool)
    assert_type(tl.matches(f.name, "^a"), bool)
    assert_type(f.name.strip().lower()[:3], str)
    tl.length(f.id)  # rejected
    tl.like(f.id, "a")  # rejected
    tl.ilike(f.name, 3)  # rejected
    tl.matches(f.name, 3)  # rejected
    f.name.strp()  # rejected
    f.name["a"]  # rejected
    f.name.replace("a", 1)  # rejected


def time_keeps_its_type(f: Order) -> None:
    assert_type(tl.trunc("day", f.at, zone="UTC"), dt.datetime)
    assert_type(tl.trunc("month", f.day), dt.date)
    assert_type(tl.trunc("day", tl.some(f.seen), zone="UTC"), dt.datetime)
    assert_type(tl.at_zone(f.at, "UTC").hour, int)
    assert_type(f.day + f.span, dt.date)
    assert_type(f.at.date() - f.day, dt.timedelta)
    tl.trunc("days", f.at, zone="UTC")  # rejected
    tl.trunc("day", f.name)  # rejected
    tl.trunc("day", f.seen, zone="UTC")  # rejected
    tl.trunc("day", f.at, zone=3)  # rejected
    tl.at_zone(f.name, "UTC")  # rejected
    tl.at_zone(f.at)  # rejected
    _ = f.day.hour  # rejected


def choices_keep_their_type(f: Order) -> None:
    assert_type(tl.coalesce(f.count, 0), int)
    assert_type(tl.coalesce(f.count, f.count), int | None)
    assert_type(tl.coalesce(f.note, f.note, "x"), str)
    assert_type(tl.coalesce(f.last, Status.NEW), Status)
    assert_type(tl.coalesce(f.last, f.status), Status)
    assert_type(tl.coalesce(f.other, f.address), Address)
    assert_type(tl.coalesce(f.seen, f.at), dt.datetime)
    assert_type(tl.nullif(f.name, ""), str | None)
    assert_type(tl.nullif(f.status, Status.OLD), Status | None)
    assert_type(tl.greatest(f.id, 3), int)
    assert_type(tl.least(f.count, 3), int | None)
    assert_type(tl.least(f.price, f.price, Decimal(1)), Decimal)
    assert_type(tl.between(f.price, Decimal(1), Decimal(2)), bool)
    assert_type(tl.between(f.count, 1, f.id), bool)
    assert_type(tl.case((f.id > 1, "a"), (f.id > 0, f.name), otherwise="b"), str)
    assert_type(tl.case((f.id > 1, "a")), str | None)
    assert_type(tl.case((f.id > 1, f.note), otherwise="b"), str | None)
    assert_type(tl.case((f.id > 1, Status.NEW), otherwise=f.status), Status)
    assert_type(tl.case((f.id > 1, f.price), otherwise=Decimal(1)), Decimal)
    tl.coalesce(f.note, 3)  # rejected
    tl.coalesce(f.last, "new")  # rejected
    tl.nullif(f.name, 3)  # rejected
    tl.greatest(f.id, "a")  # rejected
    tl.between(f.id, "a", "b")  # rejected
    tl.case((f.id > 1, "a"), otherwise=2)  # rejected
    tl.case((f.name, "a"), otherwise="b")  # rejected
    tl.case(f.id > 1, "a")  # rejected
    tl.case((f.id > 1, "a"), (f.id > 0, 1))  # rejected


def arrays_know_their_elements(f: Order) -> None:
    assert_type(tl.any_(f.tags), str)
    assert_type(tl.all_(f.marks) > 3, bool)
    assert_type(tl.any_(f.tags) == f.name, bool)
    assert_type(tl.contains_all(f.tags, ["a"]), bool)
    assert_type(tl.overlaps(f.marks, [1]), bool)
    assert_type(tl.is_in("a", f.tags), bool)
    assert_type(tl.is_in(f.name, f.kinds), bool)
    assert_type(f.tags[0], str)
    assert_type(f.tags[1:], list[str])
    tl.any_(f.id)  # rejected
    _ = tl.all_(f.marks) > "a"  # rejected
    tl.is_in(3, f.tags)  # rejected
    f.kinds[0]  # rejected
    f.marks[0]  # rejected


def documents_know_their_fields(f: Order) -> None:
    assert_type(f.address.city, str)
    assert_type(tl.some(f.other).zip, str | None)
    assert_type(f.sizes["a"], int)
    # mypy says `Any` of what stands in JSON of no type, pyright that it may be None.
    size: int | None = tl.cast(f.extra["a"], int)
    assert_type(tl.some(size), int)
    whole: Address = tl.cast(f.extra, Address)
    assert_type(whole.city, str)
    _ = f.address.town  # rejected
    _ = f.other.city  # rejected
    _ = f.sizes["a"] == "b"  # rejected


def numbers_and_casts(f: Order) -> None:
    assert_type(abs(f.price), Decimal)
    assert_type(round(f.price, 2), Decimal)
    assert_type(round(f.price), int)
    assert_type(math.floor(f.weight), int)
    assert_type(tl.cast(f.name, int), int)
    assert_type(tl.cast(f.token, str), str)
    assert_type(tl.cast(f.name, dt.date), dt.date)
    assert_type(tl.cast(f.name, Status), Status)
    assert_type(tl.cast(f.tags, str), str)
    assert_type(tl.cast(f.address, dict[str, int]), dict[str, int])
    assert_type(tl.cast(f.note, int), int | None)
    assert_type(tl.cast(f.other, str), str | None)
    assert_type(tl.some(tl.cast(f.note, int)) > 3, bool)
    tl.cast(f.note, int) + 1  # rejected
    abs(f.name)  # rejected
    round(f.name)  # rejected
    tl.cast(f.name, "int")  # rejected
    tl.cast(f.name)  # rejected


def projections_know_what_functions_make() -> None:
    orders = tl.table(Order, name="orders", key=lambda f: f.id)
    assert_type(
        tl.project(
            tl.select(orders),
            lambda f: (f.name.lower(), tl.length(f.name), tl.coalesce(f.count, 0), f.at.year),
        ),
        tl.Query[tuple[str, int, int, int]],
    )
    assert_type(
        tl.project(
            tl.select(orders),
            lambda f: (tl.trunc("day", f.at, zone="UTC"), tl.count()),
            group_by=lambda f: tl.trunc("day", f.at, zone="UTC"),
        ),
        tl.Query[tuple[dt.datetime, int]],
    )
