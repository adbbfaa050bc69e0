"""JSON columns: attributes of nested Structs, keys of dicts, positions in lists, as typed paths.

The annotation gives each step its type. What is not in the document, and JSON's null, is NULL.
"""

from __future__ import annotations

import datetime as dt
import difflib
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from tierline.entity.types import (
    INT8,
    TEXT,
    ColumnType,
    bare,
    column_type,
    scalar_type,
    without_none,
)
from tierline.query.calls import JsonPath
from tierline.query.expressions import Expr, Value
from tierline.query.members import INSIDE, OPERATIONS
from tierline.query.text import is_slice, position
from tierline.query.tracing import Traced

_BUILTIN_TYPES = (bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, uuid.UUID)


def json_type(annotation: Any) -> ColumnType:
    """The type of what lies in a document, from its annotation: a scalar, or JSON again."""
    inner, _ = without_none(annotation)
    try:
        type_ = column_type(inner)
    except TypeError:
        # Such as a Literal of texts and numbers: JSON holds what no column does.
        return scalar_type("jsonb", inner)
    return scalar_type("jsonb", inner) if type_.wire == "array" else type_


def _step(operand: Traced, step: Expr, annotation: Any) -> Traced:
    expr = operand.expr
    type_ = json_type(annotation)
    if isinstance(expr, JsonPath):
        return Traced(JsonPath(expr.operand, (*expr.steps, step), type_, expr.is_cast))
    return Traced(JsonPath(expr, (step,), type_))


def _plain(operand: Traced) -> tuple[Any, inspect.Type]:
    annotation = operand.expr.type.annotation
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation, bare(inspect.type_info(annotation))


def _attribute(operand: Traced, name: str) -> Traced:
    """`f.address.city`: a field of a Struct, dataclass or named tuple in a document."""
    annotation, info = _plain(operand)
    match info:
        case inspect.StructType(cls=cls, array_like=array_like, tag=tag):
            fields = msgspec.structs.fields(annotation)
            by_name = {field.name: field for field in fields}
            _check_name(cls, name, by_name)
            if array_like:
                place = list(by_name).index(name) + (tag is not None)
                return _step(operand, Value(place, INT8), by_name[name].type)
            return _step(operand, Value(by_name[name].encode_name, TEXT), by_name[name].type)
        case inspect.DataclassType(cls=cls):
            hints = get_type_hints(cls, include_extras=True)
            _check_name(cls, name, hints)
            return _step(operand, Value(name, TEXT), hints[name])
        case inspect.NamedTupleType(cls=cls):
            hints = get_type_hints(cls, include_extras=True)
            _check_name(cls, name, hints)
            return _step(operand, Value(list(hints).index(name), INT8), hints[name])
        case _:
            raise AttributeError(
                f"{name!r} cannot be traced on JSON of type {annotation!r}; use `[…]` with a "
                "key or position, tl.length, tl.contains_all or tl.cast"
            )


def _check_name(cls: type, name: str, known: Iterable[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise AttributeError(f"{cls.__name__} has no field {name!r}; {hint}")


def _item(operand: Traced, key: object) -> Traced:
    """`f.extra["key"]`, `f.points[0]`: what lies under a key or position in a document."""
    if is_slice(key):
        raise TypeError("a slice of a JSON list cannot be traced; use a list field of scalars")
    annotation, info = _plain(operand)
    arguments = get_args(annotation)
    match info:
        case inspect.DictType():
            key_type, value_type = arguments or (str, Any)
            return _step(operand, _key(key, key_type), value_type)
        case inspect.TypedDictType(cls=cls):
            hints = get_type_hints(cls)
            if not isinstance(key, str) or key not in hints:
                raise TypeError(f"{cls.__name__} has no key {key!r}; there are {', '.join(hints)}")
            return _step(operand, Value(key, TEXT), hints[key])
        case inspect.ListType() | inspect.VarTupleType():
            index = position(key, "a position in a JSON list")
            return _step(operand, index, arguments[0] if arguments else Any)
        case inspect.TupleType() | inspect.NamedTupleType(cls=_):
            types = arguments or tuple(get_type_hints(annotation).values())
            if not isinstance(key, int) or not -len(types) <= key < len(types):
                raise TypeError(f"a position in {annotation!r} must be one of its own, not {key!r}")
            return _step(operand, Value(key % len(types), INT8), types[key])
        case inspect.AnyType() | inspect.UnionType():
            return _step(operand, _key_or_position(key), Any)
        case _:
            raise TypeError(f"JSON of type {annotation!r} has no keys or positions")


def _key_or_position(key: object) -> Expr:
    is_text = isinstance(key, Traced) and key.expr.type.wire == "text"
    if isinstance(key, str) or is_text:
        return _key(key, str)
    return position(key, "a position in a JSON list")


def _key(key: object, key_type: Any) -> Expr:
    if isinstance(key, Traced):
        if key.expr.type.wire == "text" and key_type in (str, Any):
            return key.expr
        raise TypeError(f"a key of type {key_type!r} cannot be {key.expr.type.sql}; see tl.cast")
    try:
        checked = msgspec.convert(key, key_type, builtin_types=_BUILTIN_TYPES)
    except msgspec.ValidationError:
        raise TypeError(f"{key!r} is no key of a dict whose keys are {key_type!r}") from None
    if isinstance(checked, str):
        return Value(str(checked), TEXT)
    # As msgspec writes it into the document.
    written = msgspec.json.decode(msgspec.json.encode({checked: None}))
    return Value(next(iter(cast("dict[str, None]", written))), TEXT)


INSIDE["jsonb"] = _attribute
OPERATIONS["jsonb", "[]"] = _item
