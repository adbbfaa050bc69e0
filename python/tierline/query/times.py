"""Dates, times and intervals: their attributes, `tl.trunc` and `tl.at_zone`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

from tierline.entity.types import FLOAT8, INT8, TEXT, ColumnType, scalar_type
from tierline.query.calls import Call
from tierline.query.expressions import Expr, Value
from tierline.query.members import MEMBERS, Member, method
from tierline.query.operands import TIMESTAMP, TIMESTAMPTZ
from tierline.query.tracing import Traced

Unit: TypeAlias = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
"""What a date or time can be cut to; a week begins on Monday."""

DATE = scalar_type("date", dt.date)
TIME = scalar_type("time", dt.time)
D = TypeVar("D", dt.datetime, dt.date)


def utc(expr: Expr) -> Expr:
    """An instant's date and time in UTC, as its Python value has them; others are as they are."""
    return Call("utc", (expr,), TIMESTAMP) if expr.type.wire == "timestamptz" else expr


def _part(function: str) -> Member:
    return lambda operand: Traced(Call(function, (utc(operand.expr),), INT8))


def _call(function: str, type_: ColumnType) -> Member:
    def make(operand: Traced) -> Traced:
        return Traced(Call(function, (utc(operand.expr),), type_))

    return method(make)


def _parts(*names: str) -> dict[str, Member]:
    return {name: _part(name) for name in names}


def _epoch(operand: Traced) -> Traced:
    return Traced(Call("epoch", (operand.expr,), FLOAT8))


_DAY = {
    **_parts("year", "month", "day"),
    "weekday": _call("weekday", INT8),
    "isoweekday": _call("isoweekday", INT8),
}
_CLOCK = _parts("hour", "minute", "second", "microsecond")
_MOMENT = {**_DAY, **_CLOCK, "date": _call("date", DATE), "time": _call("time", TIME)}

MEMBERS["date"] = _DAY
MEMBERS["time"] = MEMBERS["timetz"] = _CLOCK
MEMBERS["timestamp"] = _MOMENT
MEMBERS["timestamptz"] = {**_MOMENT, "timestamp": method(_epoch)}
MEMBERS["interval"] = {
    **_parts("days", "seconds", "microseconds"),
    "total_seconds": _call("total_seconds", FLOAT8),
}


def trunc(unit: Unit, value: D, *, zone: str | None = None) -> D:
    """The beginning of the second, hour, day, week, … that a moment lies in.

    Args:
        unit: What to cut to; a week begins on Monday.
        value: A date or datetime. Optional fields: ``tl.trunc("day", tl.some(f.at), zone="UTC")``.
        zone: Where the day begins, such as ``"Europe/Berlin"``: needed for a datetime with a time
            zone, refused for others.

    Errors, when it runs: `QueryError` for a zone that the server does not know.

    Raises:
        TypeError: The unit is unknown, the value no date or datetime, or the zone missing or out
            of place.

    Example:
        ``tl.project(…, group_by=lambda f: tl.trunc("day", f.at, zone="UTC"))``
    """
    if unit not in get_args(Unit):
        raise TypeError(f"trunc cuts to {', '.join(get_args(Unit))}, not to {unit!r}")
    given: Any = value
    if not isinstance(given, Traced):
        plain: D = _trunc_plain(unit, given, zone)
        return plain
    expr = given.expr
    wire = expr.type.wire
    if wire not in ("timestamptz", "timestamp", "date"):
        raise TypeError(f"trunc needs a date or datetime, not {expr.type.sql}")
    _check_zone(zone, zoned=wire == "timestamptz")
    unit_value = Value(unit, TEXT)
    if zone is not None:
        operands = (unit_value, expr, Value(zone, TEXT))
        return cast("D", Traced(Call("trunc_instant", operands, TIMESTAMPTZ)))
    if wire == "date":
        _check_date_unit(unit)
        return cast("D", Traced(Call("trunc_date", (unit_value, expr), DATE)))
    return cast("D", Traced(Call("trunc_timestamp", (unit_value, expr), TIMESTAMP)))


def _check_zone(zone: object, *, zoned: bool) -> None:
    if zoned and not isinstance(zone, str):
        raise TypeError(
            'trunc of an instant needs the time zone in which its unit begins: zone="UTC", '
            f"not {zone!r}"
        )
    if not zoned and zone is not None:
        raise TypeError("a date or a datetime without a time zone is cut as it is; leave out zone")


def _check_date_unit(unit: Unit) -> None:
    if unit in ("second", "minute", "hour"):
        raise TypeError(f"a date has no {unit}; cut it to day, week, month, quarter or year")


_MIDNIGHT = {"second": 0, "minute": 0, "hour": 0}
_CUTS: dict[str, Callable[[dt.datetime], dict[str, int]]] = {
    "second": lambda _: {},
    "minute": lambda _: {"second": 0},
    "hour": lambda _: {"second": 0, "minute": 0},
    "day": lambda _: _MIDNIGHT,
    "week": lambda _: _MIDNIGHT,
    "month": lambda _: _MIDNIGHT | {"day": 1},
    "quarter": lambda at: _MIDNIGHT | {"day": 1, "month": (at.month - 1) // 3 * 3 + 1},
    "year": lambda _: _MIDNIGHT | {"day": 1, "month": 1},
}


def _trunc_plain(unit: Unit, value: Any, zone: str | None) -> Any:
    if not isinstance(value, dt.date):
        raise TypeError(f"trunc needs a date or datetime, not {value!r}")
    moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
    _check_zone(zone, zoned=moment.tzinfo is not None)
    local = moment if zone is None else moment.astimezone(ZoneInfo(zone))
    cut: Any = _CUTS[unit](local)
    whole = local.replace(microsecond=0, **cut)
    if unit == "week":
        whole -= dt.timedelta(days=whole.weekday())
    if not isinstance(value, dt.datetime):
        _check_date_unit(unit)
        return whole.date()
    return whole if zone is None else whole.astimezone(dt.UTC)


def at_zone(value: dt.datetime, zone: str) -> dt.datetime:
    """What the clock and calendar of a zone show at an instant: a datetime without a time zone.

    Args:
        value: A datetime with a time zone; its own attributes (`f.at.hour`) are those in UTC.
        zone: The name of a zone, such as ``"Europe/Berlin"``.

    Errors, when it runs: `QueryError` for a zone that the server does not know.

    Raises:
        TypeError: The value is no instant, or the zone no text.

    Example:
        ``tl.select(FLIGHTS, where=lambda f: tl.at_zone(f.at, "America/New_York").hour < 6)``
    """
    given, name = cast("tuple[Any, object]", (value, zone))
    if not isinstance(name, str):
        raise TypeError(f"at_zone needs the name of a zone, not {zone!r}")
    if isinstance(given, Traced):
        if given.expr.type.wire != "timestamptz":
            raise TypeError(f"at_zone needs a datetime with a time zone, not {given.expr.type.sql}")
        operands = (given.expr, Value(zone, TEXT))
        return cast("dt.datetime", Traced(Call("at_zone", operands, TIMESTAMP)))
    if value.tzinfo is None:
        raise TypeError("at_zone needs a datetime with a time zone")
    return value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
