"""Codecs: column values to PostgreSQL's binary form, and rows to what they are made into."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeAlias, cast

import msgspec
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import datetime as temporal
from psycopg.types.numeric import DecimalBinaryDumper

from tierline.entity import ColumnType
from tierline.entity.validation import document_problem, element_problem
from tierline.errors import DecodeError, FieldError, ValidationError
from tierline.query.shapes import maker
from tierline.sql import Statement

Encode: TypeAlias = Callable[[Any], bytes]

_INT8 = struct.Struct("!q").pack
_ITEM = struct.Struct("!i").pack
_NULL_ITEM = _ITEM(-1)
_ARRAY_HEAD = struct.Struct("!iiIii").pack


class RawJson(Loader):
    """Hands out JSON as bytes: each column decodes them into its own type."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        """The JSON text."""
        return bytes(data)


class RawJsonb(RawJson):
    """The same for jsonb, whose binary form begins with a version byte."""

    def load(self, data: Buffer) -> bytes:
        """The JSON text."""
        return bytes(data)[1:]


def _text(value: str) -> bytes:
    if "\0" in value:
        raise ValueError("text with a NUL character, which PostgreSQL cannot hold")
    return value.encode()


def _jsonb(value: bytes) -> bytes:
    if problem := document_problem(value):
        raise ValueError(problem)
    return b"\1" + value


def _dumper(dumper: type[Dumper], cls: type) -> Encode:
    """A dumper of psycopg's; those used here answer with bytes."""
    return cast("Encode", dumper(cls).dump)


def _numeric_encoder() -> Encode:
    dump = DecimalBinaryDumper(Decimal).dump
    return lambda value: bytes(cast("Buffer", dump(value)))


_ENCODERS: dict[str, Encode] = {
    "bool": lambda value: b"\1" if value else b"\0",
    "int8": _INT8,
    "float8": struct.Struct("!d").pack,
    "numeric": _numeric_encoder(),
    "text": _text,
    "bytea": bytes,
    "uuid": lambda value: value.bytes,
    "timestamptz": _dumper(temporal.DatetimeBinaryDumper, dt.datetime),
    "timestamp": _dumper(temporal.DatetimeNoTzBinaryDumper, dt.datetime),
    "date": _dumper(temporal.DateBinaryDumper, dt.date),
    "time": _dumper(temporal.TimeBinaryDumper, dt.time),
    "timetz": _dumper(temporal.TimeTzBinaryDumper, dt.time),
    "interval": _dumper(temporal.TimedeltaBinaryDumper, dt.timedelta),
    "jsonb": _jsonb,
}

# Narrower column types that hold a subset of a wire type's values, by object identifier.
_NARROW: dict[int, Encode] = {
    21: struct.Struct("!h").pack,
    23: struct.Struct("!i").pack,
    26: struct.Struct("!I").pack,
    700: struct.Struct("!f").pack,
    114: bytes,
}


def encoder(type_: ColumnType, oid: int | None = None) -> Encode:
    """The function from a column value to its binary form.

    Args:
        type_: The value's type.
        oid: The type to send it as, where that is not the type's own.
    """
    if type_.wire == "array":
        return _array_encoder(cast("ColumnType", type_.element))
    if oid in _NARROW:
        return _NARROW[oid]
    return _ENCODERS[type_.wire]


def _array_encoder(element: ColumnType) -> Encode:
    encode = _ENCODERS[element.wire]

    def encode_array(items: Iterable[Any]) -> bytes:
        parts: list[bytes] = []
        count = has_null = 0
        for item in items:
            count += 1
            if item is None:
                has_null = 1
                parts.append(_NULL_ITEM)
                continue
            body = encode(item)
            parts += (_ITEM(len(body)), body)
        if not count:
            return _ARRAY_HEAD(0, 0, element.oid, 0, 0)[:12]
        # One dimension, lower bound 1: the layout of array_recv in PostgreSQL.
        return b"".join((_ARRAY_HEAD(1, has_null, element.oid, count, 1), *parts))

    return encode_array


def encode_all(
    encoders: tuple[Encode, ...], values: tuple[Any, ...], types: tuple[ColumnType, ...]
) -> list[Buffer | None]:
    """The values' binary forms.

    Raises:
        ValidationError: A value has no binary form in its type; names the parameter.
    """
    try:
        return [
            None if value is None else encode(value)
            for encode, value in zip(encoders, values, strict=True)
        ]
    except (struct.error, ValueError, OverflowError) as error:
        raise _unencodable(encoders, values, types) from error


def _unencodable(
    encoders: tuple[Encode, ...], values: tuple[Any, ...], types: tuple[ColumnType, ...]
) -> ValidationError:
    errors: list[FieldError] = []
    for position, (encode, value, type_) in enumerate(zip(encoders, values, types, strict=True), 1):
        try:
            if value is not None:
                encode(value)
        except (struct.error, ValueError, OverflowError):
            problem = element_problem(value, type_) or f"does not fit {type_.sql}"
            errors.append(FieldError(f"${position}", problem))
    return ValidationError(tuple(errors))


MakeRow: TypeAlias = Callable[[Sequence[Any]], Any]


def row_maker(statement: Statement, names: dict[str, bool]) -> MakeRow:
    """The function from a row's loaded values to what the statement makes of it.

    Args:
        statement: What is run.
        names: Column name to whether it may be NULL.
    """
    decoders = [
        (position, column.name, decode)
        for position, column in enumerate(statement.columns)
        if (decode := decoder(column.type)) is not None
    ]
    build = maker(statement.shape, statement.into)
    required = [n for n, column in enumerate(statement.columns) if not names.get(column.name, True)]
    if not decoders and not required:
        return build

    def make(values: Sequence[Any]) -> Any:
        if None in values:
            for position in required:
                if values[position] is None:
                    raise _null(statement, position)
        if decoders:
            row = list(values)
            for position, name, decode in decoders:
                if row[position] is not None:
                    try:
                        row[position] = decode(row[position])
                    except (KeyError, ValueError, TypeError, msgspec.ValidationError) as error:
                        raise _undecodable(statement, name, error) from error
            return build(row)
        return build(values)

    return make


def in_order(make: MakeRow, order: tuple[int, ...]) -> MakeRow:
    """The function for rows whose columns stand in another order."""
    if order == tuple(range(len(order))):
        return make
    pick = cast("Callable[[Sequence[Any]], Sequence[Any]]", itemgetter(*order))
    return lambda values: make(pick(values))


def decoder(type_: ColumnType) -> Callable[[Any], Any] | None:
    """What a loaded value still goes through to become its field's; None for most types."""
    if type_.choices is not None:
        return type_.choices.__getitem__
    if type_.wire == "jsonb":
        return msgspec.json.Decoder(type_.annotation).decode
    if type_.wire == "array":
        return _array_decoder(type_)
    return None


def _array_decoder(type_: ColumnType) -> Callable[[Any], Any]:
    container = cast("Callable[[Any], Any]", type_.container)
    choices = cast("ColumnType", type_.element).choices

    def decode(items: list[Any]) -> Any:
        if None in items or any(isinstance(item, list) for item in items):
            raise ValueError("an array with NULL items or of several dimensions")
        return container(items if choices is None else [choices[item] for item in items])

    return decode


def _undecodable(statement: Statement, name: str, error: Exception) -> DecodeError:
    problem = str(error) if isinstance(error, msgspec.ValidationError) else "has an unknown value"
    return DecodeError(
        f"column {name!r} does not fit its field: {problem}",
        operation=statement.operation,
        table=statement.table_name,
        columns=(name,),
    )


def _null(statement: Statement, position: int) -> DecodeError:
    name = statement.columns[position].name
    return DecodeError(
        f"column {name!r} is NULL in a row, but its field is not optional; declare it `| None`",
        operation=statement.operation,
        table=statement.table_name,
        columns=(name,),
    )
