"""Columns: one field of an entity, with the rules it declares."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

from tierline.entity.types import ColumnType, bare, column_type, without_none


class Column(msgspec.Struct, frozen=True):
    """One column of a table.

    Attributes:
        name: The column's name in SQL (the field's encoded name).
        field: The field's name in Python.
        type: The column's type.
        nullable: Whether NULL, that is None, is allowed.
        checks: Rules for CHECK constraints.
    """

    name: str
    field: str
    type: ColumnType
    nullable: bool
    checks: tuple[Check, ...] = ()


class Check(msgspec.Struct, frozen=True):
    """A rule on one column: `measure(column) operator value`.

    Attributes:
        measure: What is compared: the value itself, its length, or its remainder.
        operator: A comparison operator, `~` for a pattern, or `in`.
        value: What it is compared with.
    """

    measure: str
    operator: str
    value: Any


def column_of(field: msgspec.structs.FieldInfo) -> Column:
    """The column of a Struct's field.

    Raises:
        TypeError: The field's type has no column type.
    """
    annotation, nullable = without_none(field.type)
    try:
        type_ = column_type(annotation)
    except TypeError as error:
        raise TypeError(f"field {field.name!r}: {error}") from None
    return Column(field.encode_name, field.name, type_, nullable, _checks(annotation, type_))


# A pattern becomes a CHECK only where Python's and PostgreSQL's dialects surely agree: literals,
# positive classes, anchors, groups, alternation and quantifiers. Others are checked in Python only.
_SHARED_PATTERN = re.compile(
    r"""(?:
        (?: [A-Za-z0-9_\x20,:;=@%&/<>~!"'\#-]      # a literal
          | \\[.\-+*?()|\[\]{}^$/\\]               # an escaped literal
          | \[[A-Za-z0-9_\x20.,:@-]+\]              # a positive class
          | \((?:\?:)?(?!\?) | \) | \| | \^          # groups, alternatives, the beginning
        )
        (?: [*+?] | \{\d{1,2}(?:,\d{0,2})?\} )?      # how often
        (?! [*+?{] )
    )+ (?P<end>\$)?""",
    re.VERBOSE,
)

_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
_LENGTH_OF = {"text": "char_length", "bytea": "octet_length", "array": "cardinality"}


def _checks(annotation: Any, type_: ColumnType) -> tuple[Check, ...]:
    if type_.choices is not None:
        return (Check("value", "in", tuple(type_.choices)),)
    info = bare(inspect.type_info(annotation))
    checks: list[Check] = []
    if isinstance(info, (inspect.IntType, inspect.FloatType)):
        checks += [
            Check("value", operator, bound)
            for name, operator in _BOUNDS
            if (bound := getattr(info, name)) is not None
        ]
        if isinstance(info, inspect.IntType) and info.multiple_of is not None:
            checks.append(Check("remainder", "=", info.multiple_of))
    measure = _LENGTH_OF.get(type_.wire)
    if measure is not None:
        checks += [
            Check(measure, operator, bound)
            for name, operator in (("min_length", ">="), ("max_length", "<="))
            if (bound := getattr(info, name)) is not None
        ]
    pattern: str | None = getattr(info, "pattern", None)
    shared = None if pattern is None else _SHARED_PATTERN.fullmatch(pattern)
    if pattern is not None and shared is not None:
        # Python's $ also matches before a final newline.
        checks.append(Check("value", "~", f"{pattern[:-1]}\\n?$" if shared["end"] else pattern))
    return tuple(checks)
