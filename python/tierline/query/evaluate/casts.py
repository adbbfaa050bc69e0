"""Casts: what the text of each in `sql/functions.py` makes of a value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tierline.query.calls import Cast
from tierline.query.evaluate import calendar, moments, numbers, numeric, output, parsing
from tierline.query.evaluate.registry import Scope, compiled, evaluation, strict
from tierline.query.evaluate.temporal import checked_instant, midnight
from tierline.query.evaluate.values import Convert, Read

TEMPORAL = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")


def _is_not_zero(value: Any) -> bool:
    # NaN equals itself only, and so is not 0.
    return bool(value != 0)


def _same(value: Any) -> Any:
    return value


def _midnight(date: int) -> int:
    return checked_instant(midnight(date))


_CASTS: dict[tuple[str, str], Convert] = {
    ("float8", "int8"): numbers.from_float,
    ("numeric", "int8"): numbers.from_numeric,
    ("bool", "int8"): int,
    ("int8", "float8"): float,
    ("numeric", "float8"): numeric.to_float,
    ("int8", "numeric"): Decimal,
    ("float8", "numeric"): lambda value: parsing.to_numeric(output.from_float(value)),
    ("int8", "bool"): _is_not_zero,
    ("float8", "bool"): _is_not_zero,
    ("numeric", "bool"): _is_not_zero,
    ("timestamp", "date"): calendar.date_at,
    ("timestamptz", "date"): calendar.date_at,
    ("timestamp", "time"): moments.time_at,
    ("timestamptz", "time"): moments.time_at,
    ("timestamp", "timestamptz"): _same,
    ("timestamptz", "timestamp"): _same,
    ("date", "timestamp"): _midnight,
    ("date", "timestamptz"): _midnight,
    ("text", "bytea"): str.encode,
}


def casting(from_: str, to: str) -> Callable[[Any], Any] | None:
    """The function between two types; None if they are the same.

    Raises:
        TypeError: It cannot be evaluated in memory.
    """
    if from_ == to:
        return None
    if from_ == "text" and to in TEMPORAL:
        raise unread(to)
    if to == "text":
        return output.OUTPUT[from_]
    return parsing.PARSING[to] if (from_, to) not in _CASTS else _CASTS[from_, to]


def unread(to: str) -> TypeError:
    """What is raised for a cast of text to a date, time or interval."""
    return TypeError(
        f"Cast of text to {to} cannot be evaluated in memory: how PostgreSQL reads dates and times "
        "(`tomorrow`, `Jan 5`, `1.5 weeks`) is its own; keep them in fields of their type"
    )


@evaluation(Cast)
def _cast(node: Cast, scope: Scope) -> Read:
    convert = casting(node.operand.type.wire, node.result_type.wire)
    read = compiled(node.operand, scope)
    return read if convert is None else strict(convert, read)
