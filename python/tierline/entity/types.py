"""Column types: from a Python annotation to a PostgreSQL type, as pure values.

| annotation | column type |
|---|---|
| `int` | `bigint` |
| `str` | `text` |
| `bool` | `boolean` |
| `float` | `double precision` |
| `Decimal` | `numeric` |
| `bytes` | `bytea` |
| `UUID` | `uuid` |
| `datetime` | `timestamptz` (`timestamp` with `Meta(tz=False)`) |
| `date`, `timedelta` | `date`, `interval` |
| `time` | `time` (`timetz` with `Meta(tz=True)`) |
| `Enum`, `Literal` | `text` or `bigint`, with a CHECK on the values |
| `list`, `tuple[T, ...]`, `set`, `frozenset` of the above | an array |
| `dict`, Struct, dataclass, any other union or nesting | `jsonb` |
| `T | None` | the column of `T`, nullable |
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias, TypeGuard, Union, cast, get_args, get_origin

import msgspec
from msgspec import inspect

Wire: TypeAlias = Literal[
    "bool",
    "int8",
    "float8",
    "numeric",
    "text",
    "bytea",
    "uuid",
    "timestamptz",
    "timestamp",
    "date",
    "time",
    "timetz",
    "interval",
    "jsonb",
    "array",
]
"""How a value travels: the PostgreSQL type whose binary form is sent."""


class ColumnType(msgspec.Struct, frozen=True):
    """One column's type.

    Attributes:
        sql: The type's name in SQL, such as `bigint` or `text[]`.
        oid: The type's object identifier: what a parameter of it is sent as.
        result_oids: Identifiers that may come back for it; others are a `DecodeError`.
        wire: How a value travels.
        annotation: The Python type, without `None`.
        element: The element's type, for an array.
        container: Makes the Python collection from a list, for an array.
        choices: Wire value to Python value, for an Enum or Literal.
    """

    sql: str
    oid: int
    result_oids: frozenset[int]
    wire: Wire
    annotation: Any
    element: ColumnType | None = None
    container: Callable[[list[Any]], Any] | None = None
    choices: dict[Any, Any] | None = None

    @property
    def is_number(self) -> bool:
        """Whether arithmetic works on it."""
        return self.wire in ("int8", "float8", "numeric")


class _Scalar(typing.NamedTuple):
    sql: str
    oid: int
    array_oid: int
    result_oids: frozenset[int]
    result_array_oids: frozenset[int]


def _scalar(
    sql: str, oid: int, array_oid: int, also: tuple[int, ...] = (), arrays: tuple[int, ...] = ()
) -> _Scalar:
    return _Scalar(sql, oid, array_oid, frozenset((oid, *also)), frozenset((array_oid, *arrays)))


# Object identifiers of built-in types never change between PostgreSQL versions (pg_type.dat).
# The extra ones are types whose every value fits: smaller integers, varchar, char, name.
_SCALARS: dict[str, _Scalar] = {
    "bool": _scalar("boolean", 16, 1000),
    "int8": _scalar("bigint", 20, 1016, (21, 23, 26), (1005, 1007, 1028)),
    "float8": _scalar("double precision", 701, 1022, (700,), (1021,)),
    "numeric": _scalar("numeric", 1700, 1231),
    "text": _scalar("text", 25, 1009, (1042, 1043, 19), (1014, 1015, 1003)),
    "bytea": _scalar("bytea", 17, 1001),
    "uuid": _scalar("uuid", 2950, 2951),
    "timestamptz": _scalar("timestamptz", 1184, 1185),
    "timestamp": _scalar("timestamp", 1114, 1115),
    "date": _scalar("date", 1082, 1182),
    "time": _scalar("time", 1083, 1183),
    "timetz": _scalar("timetz", 1266, 1270),
    "interval": _scalar("interval", 1186, 1187),
    "jsonb": _scalar("jsonb", 3802, 3807, (114,), (199,)),
}

_CONTAINERS: dict[type[inspect.Type], Callable[[list[Any]], Any]] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}

_SIMPLE: dict[type[inspect.Type], Wire] = {
    inspect.BoolType: "bool",
    inspect.IntType: "int8",
    inspect.FloatType: "float8",
    inspect.DecimalType: "numeric",
    inspect.StrType: "text",
    inspect.BytesType: "bytea",
    inspect.UUIDType: "uuid",
    inspect.DateType: "date",
    inspect.TimeDeltaType: "interval",
}

_JSON: tuple[type[inspect.Type], ...] = (
    inspect.AnyType,
    inspect.UnionType,
    inspect.DictType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
    inspect.NamedTupleType,
    inspect.TupleType,
    *_CONTAINERS,
)


def scalar_type(wire: Wire, annotation: Any) -> ColumnType:
    """The column type of one scalar wire form."""
    scalar = _SCALARS[wire]
    return ColumnType(scalar.sql, scalar.oid, scalar.result_oids, wire, annotation)


BOOL = scalar_type("bool", bool)
INT8 = scalar_type("int8", int)
FLOAT8 = scalar_type("float8", float)
TEXT = scalar_type("text", str)


def array_of(element: ColumnType, annotation: Any = list, container: Any = list) -> ColumnType:
    """The array type over a scalar type."""
    scalar = _SCALARS[element.wire]
    return ColumnType(
        sql=f"{scalar.sql}[]",
        oid=scalar.array_oid,
        result_oids=scalar.result_array_oids,
        wire="array",
        annotation=annotation,
        element=element,
        container=container,
    )


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Split `T | None` into `T` and whether None is allowed."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        inner, nullable = without_none(inner)
        return _annotated(inner, metadata), nullable
    if get_origin(annotation) in (Union, types.UnionType):
        members = get_args(annotation)
        kept = [member for member in members if member is not type(None)]
        rest = kept[0] if len(kept) == 1 else Union[tuple(kept)]  # noqa: UP007 (built at run time)
        return rest, len(kept) < len(members)
    return annotation, annotation in (Any, None, type(None))


def _annotated(inner: Any, metadata: list[Any]) -> Any:
    return Annotated[(inner, *metadata)]  # type: ignore[return-value,unused-ignore]


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """`isinstance(value, tuple)`, with items of any type rather than of an unknown one."""
    return isinstance(value, tuple)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """`isinstance(value, list)`, likewise."""
    return isinstance(value, list)


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """`isinstance(value, dict)`, likewise."""
    return isinstance(value, dict)


def bare(info: inspect.Type) -> inspect.Type:
    """The type behind any `Metadata` wrapper that msgspec's inspection leaves."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info


def column_type(annotation: Any) -> ColumnType:
    """The column type of an annotation that is not optional.

    Raises:
        TypeError: The annotation has no column type.
    """
    info = bare(inspect.type_info(annotation))
    scalar = _scalar_of(info, annotation)
    if scalar is not None:
        return scalar
    if type(info) in _CONTAINERS:
        item = bare(cast("inspect.ListType", info).item_type)
        element = _scalar_of(item, None)
        if element is not None:
            return array_of(element, annotation, _CONTAINERS[type(info)])
    if isinstance(info, _JSON) and not _holds_custom(info, set()):
        return scalar_type("jsonb", annotation)
    raise TypeError(
        f"no column type for {annotation!r}; use one of the types listed in tierline.entity.types, "
        "or a Struct or dict for JSON"
    )


def _scalar_of(info: inspect.Type, annotation: Any) -> ColumnType | None:
    """The column type of what is stored as one value; None for collections and JSON."""
    if (wire := _SIMPLE.get(type(info))) is not None:
        return scalar_type(wire, annotation)
    match info:
        case inspect.DateTimeType(tz=tz):
            return scalar_type("timestamp" if tz is False else "timestamptz", annotation)
        case inspect.TimeType(tz=tz):
            return scalar_type("timetz" if tz else "time", annotation)
        case inspect.EnumType(cls=cls):
            return _choice_type(annotation or cls, {member.value: member for member in cls})
        case inspect.LiteralType(values=values):
            return _choice_type(annotation or Literal, {value: value for value in values})
        case _:
            return None


def _holds_custom(info: object, seen: set[type]) -> bool:
    """Whether a class that has no JSON form is somewhere inside."""
    if isinstance(info, inspect.CustomType):
        return True
    if isinstance(info, (list, tuple)):
        return any(_holds_custom(part, seen) for part in cast("tuple[object, ...]", info))
    if not isinstance(info, (inspect.Type, inspect.Field)):
        return False
    cls = getattr(info, "cls", None)
    if cls in seen:
        return False
    if cls is not None:
        seen.add(cls)
    return any(_holds_custom(getattr(info, name), seen) for name in info.__struct_fields__)


def _choice_type(annotation: Any, choices: dict[Any, Any]) -> ColumnType:
    kinds: set[Any] = {type(value) for value in choices}
    wire: Wire
    if kinds == {str}:
        wire = "text"
    elif kinds == {int}:
        wire = "int8"
    else:
        raise TypeError(
            f"{annotation!r} mixes or uses values that are neither all str nor all int; "
            "give its members values of one of these types"
        )
    return msgspec.structs.replace(scalar_type(wire, annotation), choices=choices)


def wire_value(value: Any) -> Any:
    """The value that travels for an Enum member; other values travel as they are."""
    return value.value if isinstance(value, enum.Enum) else value
