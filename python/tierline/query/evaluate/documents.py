"""JSON documents as jsonb keeps them: their text, paths into them, and what a list contains."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tierline.entity.types import is_dict, is_list
from tierline.query.calls import Call, JsonPath
from tierline.query.evaluate import machine, parsing, temporal
from tierline.query.evaluate.casts import TEMPORAL, unread
from tierline.query.evaluate.faults import invalid_text
from tierline.query.evaluate.functions import function, operands, plain
from tierline.query.evaluate.json_values import Document, json_key, parts_of, text_of
from tierline.query.evaluate.registry import Scope, compiled, evaluation, strict
from tierline.query.evaluate.values import Convert, Read
from tierline.query.expressions import Expr, parts


@evaluation(JsonPath)
def _json_path(node: JsonPath, scope: Scope) -> Read:
    type_ = node.result_type
    if type_.wire in TEMPORAL and _is_any_cast(node):
        raise unread(type_.wire)
    finish = Document if type_.wire == "jsonb" else _scalar(type_.wire)
    read = compiled(node.operand, scope)
    steps = [_step(step, scope) for step in node.steps]

    def follow(row: Any) -> Any:
        document = read(row)
        places = [(step(row), take) for step, take in steps]
        if document is None:
            return None
        found = parts_of(document)
        for place, take in places:
            if place is None:
                return None
            found = take(found, place)
        return None if found is None else finish(found)

    return follow


def _is_any_cast(node: JsonPath) -> bool:
    """Whether what lies there may be any text, and not just what msgspec writes for its type."""
    return any(isinstance(part, JsonPath) and part.is_cast for part in parts(node))


def _step(step: Expr, scope: Scope) -> tuple[Read, Callable[[Any, Any], Any]]:
    """How to read a key or position, and how to take what lies there."""
    read = compiled(step, scope)
    # A position that is no 32-bit number fails, whatever there is.
    return (read, _key) if step.type.wire == "text" else (strict(machine.int4, read), _item)


def _key(value: Any, name: str) -> Any:
    return value.get(name) if is_dict(value) else None


def _item(value: Any, place: int) -> Any:
    if is_dict(value) or value is None:
        return None
    # A scalar is kept as a list of one.
    items = value if is_list(value) else [value]
    return items[place] if -len(items) <= place < len(items) else None


def _scalar(wire: str) -> Convert:
    """From a part of a document to a value, by way of its text."""
    if wire == "text":
        return plain_text
    convert = _READ[wire]
    return lambda value: convert(plain_text(value))


def plain_text(value: Any) -> str:
    """What `->>` makes of a part: a text without its quotes, all else as JSON."""
    return value if isinstance(value, str) else text_of(value)


_DURATION = re.compile(r"(-?)P(?:([0-9]+)D)?(?:T(?:([0-9]+)(?:\.([0-9]{1,6}))?S)?)?")


def _interval(text: str) -> temporal.Interval:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise invalid_text("interval")
    sign, days, seconds, fraction = found.groups(default="0")
    micros = int(seconds) * 1_000_000 + int(fraction.ljust(6, "0"))
    value = temporal.Interval(int(days), micros)
    return temporal.negative(value) if sign == "-" else value


def _iso(kind: type[Any], name: str, convert: Convert) -> Callable[[str], Any]:
    """How a date or time is read that msgspec wrote."""

    def read(text: str) -> Any:
        try:
            return convert(msgspec.convert(text, kind))
        except msgspec.ValidationError:
            raise invalid_text(name) from None

    return read


def _instant(value: dt.datetime) -> int:
    return temporal.from_datetime(value if value.tzinfo else value.replace(tzinfo=dt.UTC))


def _zoned(value: dt.time) -> dt.time:
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


_READ: dict[str, Callable[[str], Any]] = {
    **parsing.PARSING,
    "bytea": parsing.from_base64,
    "interval": _interval,
    "timestamptz": _iso(dt.datetime, "timestamptz", _instant),
    "timestamp": _iso(
        dt.datetime, "timestamp", lambda value: temporal.from_naive(value.replace(tzinfo=None))
    ),
    "date": _iso(dt.date, "date", temporal.from_date),
    "time": _iso(dt.time, "time", lambda value: value.replace(tzinfo=None)),
    "timetz": _iso(dt.time, "timetz", _zoned),
}


def _length(document: Any) -> int | None:
    found = parts_of(document)
    return len(found) if is_list(found) else None


plain("json_length", _length)


@function("json_contains")
def _json_contains(node: Call, scope: Scope) -> Read:
    return strict(_contains, *operands(node, scope))


def _contains(document: Any, items: Any) -> bool:
    """Whether a list has every one of some scalars; what is no list has none, not even of none."""
    found = parts_of(document)
    if not is_list(found):
        return False
    return set(map(json_key, found)) >= set(map(json_key, parts_of(items)))
