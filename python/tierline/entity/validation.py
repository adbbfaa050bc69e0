"""Validation: entity in, column values or every bad field out. No I/O.

A Struct does not check its constructor and `msgspec.convert` trusts an instance
of the asked type, so each entity is converted into a twin Struct with the same
fields and the stricter types of its columns: 64-bit integers, zoned datetimes.
One C call validates a good entity; only a bad one is looked at field by field.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Annotated, Any, Optional, TypeAlias, cast

import msgspec
from msgspec import inspect

from tierline.entity.column import Column
from tierline.entity.types import ColumnType, bare, is_dict, is_list, wire_value, without_none
from tierline.errors import FieldError

INT8_MIN = -(2**63)
INT8_MAX = 2**63 - 1

# Values of these types must be instances: a str is not silently taken for a date.
_BUILTIN_TYPES = (bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, uuid.UUID)


class BadFieldsError(Exception):
    """Raised by `Validator.values`; `errors` has one entry a bad field."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__(errors)
        self.errors = errors


def text_problem(value: str) -> str | None:
    """Why PostgreSQL cannot store a text, or None if it can."""
    if "\0" in value:
        return "has a NUL character, which PostgreSQL text cannot hold; remove it or use bytes"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "has a lone surrogate, which UTF-8 cannot encode; decode the text properly"
    return None


# NUL or half a letter, escaped; an even number of backslashes before it are letters themselves.
_UNSTORABLE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?:0000|[dD][89a-fA-F])")


def document_problem(encoded: bytes) -> str | None:
    """Why PostgreSQL cannot store a document, or None if it can."""
    if b"\\u" in encoded and _UNSTORABLE.search(encoded):
        return "has a NUL character or a lone surrogate, which jsonb cannot hold; remove it"
    return None


class Validator:
    """Checks entities of one Struct and takes them apart into column values."""

    def __init__(self, entity: type[Any], columns: tuple[Column, ...]) -> None:
        fields = {field.name: field for field in msgspec.structs.fields(entity)}
        self._entity = entity
        self._columns = columns
        self._types = [strict_type(fields[column.field].type) for column in columns]
        self._twin = msgspec.defstruct(
            f"{entity.__name__}Row",
            [(column.field, type_) for column, type_ in zip(columns, self._types, strict=True)],
        )
        wires = [column.type.wire for column in columns]
        plain = [column.type.choices is None for column in columns]
        kinds = list(enumerate(zip(wires, plain, strict=True)))
        self._texts = [n for n, kind in kinds if kind == ("text", True)]
        self._instants = [n for n, kind in kinds if kind == ("timestamptz", True)]
        self._steps: list[Step | None] = [_step(column.type) for column in columns]
        # Checks of text and instants mostly pass and change nothing; the other steps convert.
        in_line = {*self._texts, *self._instants}
        self._converted = [
            (n, step) for n, step in enumerate(self._steps) if step is not None and n not in in_line
        ]

    def values(self, entity: Any) -> tuple[Any, ...]:
        """The entity's column values in column order, ready to be encoded.

        Enum members become their values, JSON columns their encoded bytes.

        Raises:
            TypeError: It is not an instance of the table's entity.
            BadFieldsError: Fields do not fit; all of them are listed.
        """
        if not isinstance(entity, self._entity):
            raise TypeError(
                f"expected an instance of {self._entity.__name__}, got {type(entity).__name__}"
            )
        try:
            twin = msgspec.convert(
                entity, self._twin, from_attributes=True, builtin_types=_BUILTIN_TYPES
            )
        except (msgspec.ValidationError, RecursionError):
            raise BadFieldsError(self._all_errors(entity)) from None
        values = msgspec.structs.astuple(twin)
        if not self._fits(values):
            raise BadFieldsError(self._all_errors(entity))
        if not self._converted:
            return values
        row = list(values)
        for position, step in self._converted:
            if row[position] is not None:
                row[position], problems = step(row[position])
                if problems:
                    raise BadFieldsError(self._all_errors(entity))
        return tuple(row)

    def values_of(self, entity: Any, fields: Collection[str]) -> dict[str, Any]:
        """Some fields' values as they travel, by column name.

        Raises:
            BadFieldsError: Fields of these do not fit; all of them are listed.
        """
        found: dict[str, Any] = {}
        errors: list[FieldError] = []
        for column, type_, step in zip(self._columns, self._types, self._steps, strict=True):
            if column.field not in fields:
                continue
            value, problems = _convert(getattr(entity, column.field), type_)
            if not problems and value is not None and step is not None:
                value, problems = step(value)
            found[column.name] = value
            errors += (FieldError(f"{column.field}{path}", problem) for path, problem in problems)
        if errors:
            raise BadFieldsError(tuple(errors))
        return found

    def _fits(self, values: tuple[Any, ...]) -> bool:
        """Whether PostgreSQL can hold the texts and instants."""
        for position in self._texts:
            text = values[position]
            if text is not None and ("\0" in text or not text.isascii()) and text_problem(text):
                return False
        for position in self._instants:
            instant = values[position]
            if instant is not None and _instant_problem(instant):
                return False
        return True

    def _all_errors(self, entity: Any) -> tuple[FieldError, ...]:
        try:
            self.values_of(entity, [column.field for column in self._columns])
        except BadFieldsError as bad:
            return bad.errors
        return ()


def _convert(value: Any, type_: Any) -> tuple[Any, list[FieldError]]:
    try:
        return msgspec.convert(value, type_, builtin_types=_BUILTIN_TYPES), []
    except msgspec.ValidationError as error:
        return None, [located(error)]
    except RecursionError:
        return None, [FieldError("", _TOO_DEEP)]


def located(error: msgspec.ValidationError) -> FieldError:
    """Msgspec's message, taken apart into path and problem."""
    # "… - at `$.a[0]`", or "… - at `key` in `$.a`" for a dict's key.
    problem, _, place = str(error).partition(" - at ")
    what, _, path = place.rpartition("`$")
    key = "key: " if what.startswith("`key`") else ""
    return FieldError(path.removesuffix("`"), key + problem)


def strict_type(annotation: Any) -> Any:
    """The annotation with the bounds its column adds."""
    inner, nullable = without_none(annotation)
    info = bare(inspect.type_info(inner))
    if isinstance(info, inspect.IntType):
        low = {} if info.ge is not None or info.gt is not None else {"ge": INT8_MIN}
        high = {} if info.le is not None or info.lt is not None else {"le": INT8_MAX}
        inner = _with_meta(inner, **low, **high)
    elif isinstance(info, (inspect.DateTimeType, inspect.TimeType)) and info.tz is None:
        inner = _with_meta(inner, tz=isinstance(info, inspect.DateTimeType))
    return Optional[inner] if nullable and inner is not Any else inner  # noqa: UP045 (run time)


def _with_meta(annotation: Any, **bounds: Any) -> Any:
    return Annotated[annotation, msgspec.Meta(**bounds)] if bounds else annotation


Step: TypeAlias = Callable[[Any], tuple[Any, list[FieldError]]]
"""What a converted value still needs: the value to encode, and what is wrong with it."""


def _step(type_: ColumnType) -> Step | None:
    """Text and instants are checked, JSON is encoded, Enum members become their values."""
    if type_.choices is not None:
        return lambda value: (wire_value(value), [])
    match type_.wire:
        case "jsonb":
            return _json_step(type_.annotation)
        case "array":
            return _array_step(cast("ColumnType", type_.element))
        case "text" | "timestamptz" | "timetz":
            return _scalar_step(type_)
        case _:
            return None


def _scalar_step(type_: ColumnType) -> Step:
    def step(value: Any) -> tuple[Any, list[FieldError]]:
        problem = element_problem(value, type_)
        return value, [FieldError("", problem)] if problem else []

    return step


def _array_step(element: ColumnType) -> Step:
    def step(values: Any) -> tuple[Any, list[FieldError]]:
        items = [wire_value(item) for item in values]
        errors = [
            FieldError(f"[{position}]", problem)
            for position, item in enumerate(items)
            if (problem := element_problem(item, element)) is not None
        ]
        return items, errors

    return step


def element_problem(item: Any, element: ColumnType) -> str | None:
    """Why a value of the right class cannot be stored, or None."""
    match element.wire:
        case "text":
            return text_problem(item)
        case "jsonb" if isinstance(item, bytes):
            return document_problem(item)
        case "int8" if not INT8_MIN <= item <= INT8_MAX:
            return "is outside the 64-bit range of bigint"
        case "timestamptz":
            return _instant_problem(item)
        case "timetz" if item.utcoffset() is None:
            return "needs a fixed offset from UTC; a time of day alone has no zone rules"
        case _:
            return None


def _instant_problem(value: dt.datetime) -> str | None:
    """Instants come back in UTC, so they must have a form there."""
    if value.tzinfo is None:
        return "needs a time zone"
    if dt.MINYEAR < value.year < dt.MAXYEAR:
        return None
    try:
        value.astimezone(dt.UTC)
    except OverflowError:
        return "is outside the years 1 to 9999 in UTC"
    return None


def _json_step(annotation: Any) -> Step:
    """Encode and read back: what JSON cannot give back the same is refused, not lost."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation)

    def step(value: Any) -> tuple[Any, list[FieldError]]:
        try:
            encoded = msgspec.json.encode(value)
            if _is_too_deep(encoded):
                return value, [FieldError("", _TOO_DEEP)]
            if b"\\u0000" in encoded and _has_nul(msgspec.json.decode(encoded)):
                return value, [FieldError("", "has a NUL character, which jsonb cannot hold")]
            if decoder.decode(_as_stored(encoded)) != value:
                return value, [FieldError("", "cannot be stored as JSON without loss")]
        except msgspec.ValidationError as error:
            return value, [located(error)]
        except UnicodeEncodeError:
            return value, [FieldError("", "has a lone surrogate, which UTF-8 cannot encode")]
        except (TypeError, ValueError, OverflowError) as error:
            return value, [FieldError("", f"cannot be stored as JSON: {error}")]
        except RecursionError:
            return value, [FieldError("", _TOO_DEEP)]
        return encoded, []

    return step


# Interpreters and servers give up at different depths; this one is safe in all of them.
_DEPTH_MAX = 500
_TOO_DEEP = "is nested too deeply, or contains itself"


def _is_too_deep(encoded: bytes) -> bool:
    if encoded.count(b"[") + encoded.count(b"{") <= _DEPTH_MAX:
        return False
    level: list[object] = [msgspec.json.decode(encoded)]
    for _ in range(_DEPTH_MAX):
        if not level:
            return False
        level = [
            child
            for node in level
            if is_dict(node) or is_list(node)
            for child in (node.values() if is_dict(node) else node)
        ]
    return any(is_dict(node) or is_list(node) for node in level)


_EXPONENT = re.compile(rb"\de\+?\d")


def _as_stored(encoded: bytes) -> bytes:
    """The JSON as jsonb gives it back: numbers are numeric, so 1e25 returns as an integer."""
    if not _EXPONENT.search(encoded):
        return encoded
    return msgspec.json.encode(_spelled_out(msgspec.json.decode(encoded)))


def _spelled_out(value: object) -> object:
    if isinstance(value, float):
        spelled_out = abs(value) >= _FLOAT_SPELLED_OUT and value.is_integer()
        return int(Decimal(repr(value))) if spelled_out else value
    if is_dict(value):
        return {name: _spelled_out(item) for name, item in value.items()}
    return [_spelled_out(item) for item in value] if is_list(value) else value


_FLOAT_SPELLED_OUT = 1e15


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if is_dict(value):
        return any(_has_nul(name) or _has_nul(item) for name, item in value.items())
    return is_list(value) and any(map(_has_nul, value))
