"""Values as the evaluation keeps them: from an entity's fields, and back to what is handed out.

| wire | kept as |
|---|---|
| timestamptz, timestamp | microseconds, see `temporal` |
| date | days since 2000-01-01 |
| interval | `temporal.Interval` |
| numeric | a Decimal in normal form, see `numeric` |
| text and int8 of an Enum | the member's value |
| array | a tuple of kept values |
| jsonb | the field's value, or a `json_values.Document` |
| others | the field's value |

NULL is None throughout. `key` gives what PostgreSQL compares, sorts and groups by.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias, cast

import msgspec

from tierline.entity import Column
from tierline.entity.types import ColumnType, wire_value
from tierline.query.evaluate import json_values, machine, numeric, temporal

Convert: TypeAlias = Callable[[Any], Any]
Read: TypeAlias = Callable[[Any], Any]
"""From a row to a value: what an expression becomes."""

_TAKEN: dict[str, Convert] = {
    "float8": float,
    "numeric": lambda value: numeric.normal(Decimal(value)),
    "timestamptz": temporal.from_datetime,
    "timestamp": temporal.from_naive,
    "date": temporal.from_date,
    "interval": temporal.from_timedelta,
}

_GIVEN: dict[str, Convert] = {
    "timestamptz": temporal.to_datetime,
    "timestamp": temporal.to_naive,
    "date": temporal.to_date,
    "interval": temporal.to_timedelta,
    "timetz": temporal.fixed_offset,
}

_KEYS: dict[str, Convert] = {
    "float8": machine.float8_key,
    "numeric": numeric.key,
    "interval": operator.attrgetter("length"),
    "timetz": temporal.timetz_key,
}


def taken(type_: ColumnType) -> Convert | None:
    """From a value of Python's to the kept one; None where they are the same."""
    if type_.choices is not None:
        return wire_value
    if type_.wire == "array":
        convert = taken(cast("ColumnType", type_.element))
        return tuple if convert is None else lambda items: tuple(map(convert, items))
    return _TAKEN.get(type_.wire)


def given(type_: ColumnType) -> Convert | None:
    """From a kept value to the one that is handed out; None where they are the same.

    The conversion raises KeyError, ValueError or OverflowError for what has no Python form.
    """
    if type_.choices is not None:
        return type_.choices.__getitem__
    if type_.wire == "array":
        return _given_array(type_)
    if type_.wire == "jsonb":
        return _given_json(type_)
    return _GIVEN.get(type_.wire)


def _given_array(type_: ColumnType) -> Convert:
    convert = given(cast("ColumnType", type_.element))
    container = cast("Convert", type_.container)

    def give(items: tuple[Any, ...]) -> Any:
        if None in items:
            raise ValueError("an array with NULL items")
        return container(list(items) if convert is None else list(map(convert, items)))

    return give


def _given_json(type_: ColumnType) -> Convert:
    # A server sends back what jsonb keeps: 1e16 as an integer, say.
    decode = msgspec.json.Decoder(type_.annotation).decode

    def give(value: Any) -> Any:
        try:
            return decode(json_values.text_of(json_values.parts_of(value)))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    return give


def reader(column: Column) -> Read:
    """From an entity to the kept value of one of its fields."""
    get: Read = operator.attrgetter(column.field)
    convert = taken(column.type)
    if convert is None:
        return get

    def read(entity: Any) -> Any:
        value = get(entity)
        return None if value is None else convert(value)

    return read


def constant(value: Any, type_: ColumnType) -> Any:
    """A query's own value, as it is kept."""
    if type_.wire == "jsonb" and value is not None:
        return json_values.read(value)
    convert = taken(type_)
    return value if convert is None or value is None else convert(value)


def key(type_: ColumnType) -> Convert | None:
    """From a kept value to one that Python compares and hashes as PostgreSQL compares values.

    Raises:
        TypeError: Values of the type cannot be compared in memory.
    """
    if type_.wire == "jsonb":
        return json_values.key
    if type_.wire == "array":
        if type_.container in (set, frozenset):
            raise TypeError(
                "a set field has no order of its elements until it is stored, so it cannot be "
                "compared in memory; use a list or tuple field"
            )
        convert = key(cast("ColumnType", type_.element))
        return None if convert is None else lambda items: tuple(map(convert, items))
    return _KEYS.get(type_.wire)


def ordered_key(type_: ColumnType) -> Convert | None:
    """As `key`, for values that are also ordered.

    Raises:
        TypeError: Values of the type cannot be ordered in memory.
    """
    if type_.wire == "jsonb":
        raise TypeError(
            "jsonb values cannot be ordered in memory; order by one of their parts, or do it in "
            "the database"
        )
    return key(type_)


def identity_of(columns: Sequence[tuple[Read, ColumnType]]) -> Read:
    """From a row to what is the same for rows that are the same in these columns.

    Raises:
        TypeError: Values of a column's type cannot be compared in memory.
    """
    reads = [(read, key(type_)) for read, type_ in columns]

    def identity(row: Any) -> tuple[Any, ...]:
        values = ((read(row), convert) for read, convert in reads)
        return tuple(
            value if value is None or convert is None else convert(value)
            for value, convert in values
        )

    return identity
