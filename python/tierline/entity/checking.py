"""Checking many entities: the Rust core finds those whose fields all surely fit.

It accepts exact types within their bounds and leaves the rest, and every word about what does not
fit, to `tierline.entity.validation`: what it accepts, the validator accepts unchanged.
"""

from __future__ import annotations

import enum
import math
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from tierline._core import EntityChecker
from tierline.entity.column import Column
from tierline.entity.types import bare, without_none
from tierline.entity.validation import INT8_MAX, INT8_MIN

Kind: TypeAlias = tuple[str, Any, Any]
"""A kind of `EntityChecker`: its name, and two bounds or what stands for them."""

_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "bool",
    inspect.DecimalType: "decimal",
    inspect.UUIDType: "uuid",
    inspect.DateType: "date",
    inspect.TimeDeltaType: "delta",
}


def entity_checker(entity: type[Any], columns: tuple[Column, ...]) -> EntityChecker | None:
    """The checker of an entity, or None if a field needs more than it does.

    Mutable entities have none: a field could change between the check and the write.
    """
    if not entity.__struct_config__.frozen:
        return None
    fields = {field.name: field for field in msgspec.structs.fields(entity)}
    kinds: list[tuple[str, bool, Any, Any]] = []
    for column in columns:
        annotation, _ = without_none(fields[column.field].type)
        kind = _kind(bare(inspect.type_info(annotation)), column)
        if kind is None:
            return None
        name, least, most = kind
        kinds.append((name, column.nullable, least, most))
    return EntityChecker(entity, [column.field for column in columns], kinds)


def _kind(info: inspect.Type, column: Column) -> Kind | None:
    if (name := _PLAIN.get(type(info))) is not None:
        return name, None, None
    match info:
        case inspect.IntType(multiple_of=None):
            return _int_kind(info)
        case inspect.FloatType(multiple_of=None):
            return _float_kind(info)
        case inspect.StrType(pattern=None):
            return "text", info.min_length, info.max_length
        case inspect.BytesType():
            return "bytes", info.min_length, info.max_length
        case inspect.DateTimeType(tz=tz):
            return "local" if tz is False else "instant", None, None
        case inspect.TimeType(tz=tz) if not tz:
            return "time", None, None
        case inspect.EnumType(cls=cls) if all(map(_is_its_value, cls)):
            return "member", cls, None
        case inspect.LiteralType():
            return "literal", column.type.choices, None
        case _:
            return None


def _int_kind(info: inspect.IntType) -> Kind | None:
    bounds = (info.ge, info.gt, info.le, info.lt)
    if not all(bound is None or type(bound) is int for bound in bounds):
        return None
    least = max(INT8_MIN, INT8_MIN if info.ge is None else info.ge,
                INT8_MIN if info.gt is None else info.gt + 1)  # fmt: skip
    most = min(INT8_MAX, INT8_MAX if info.le is None else info.le,
               INT8_MAX if info.lt is None else info.lt - 1)  # fmt: skip
    if least > most:
        # Nothing fits. So large a bound would not fit the core either.
        least, most = INT8_MAX, INT8_MIN
    return "int", least, most


def _float_kind(info: inspect.FloatType) -> Kind:
    least = -math.inf if info.ge is None else float(info.ge)
    if info.gt is not None:
        least = max(least, math.nextafter(info.gt, math.inf))
    most = math.inf if info.le is None else float(info.le)
    if info.lt is not None:
        most = min(most, math.nextafter(info.lt, -math.inf))
    return "float", least, most


def _is_its_value(member: enum.Enum) -> bool:
    """Whether the core finds the member's value: where it is a str or int, it is that itself."""
    if member._value_ is not member.value:
        return False
    if isinstance(member, str):
        return bool(str.__str__(member) == member.value)
    return not isinstance(member, int) or bool(int.__int__(member) == member.value)
