"""Native decoding: the Rust core reads results through the libpq that psycopg has loaded."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, cast

import msgspec
from psycopg import pq
from psycopg.abc import Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGconn, PGresult

from tierline._core import Libpq, RowDecoder
from tierline.entity import ColumnType
from tierline.postgres.codecs import decoder
from tierline.query.shapes import keywords
from tierline.sql import Statement

# Kinds of the core, by object identifier.
_SCALARS = {
    16: "bool",
    17: "bytea",
    19: "text",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    26: "oid",
    700: "float4",
    701: "float8",
    1042: "text",
    1043: "text",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1186: "interval",
    1266: "timetz",
    1700: "numeric",
    2950: "uuid",
}
_ARRAYS = {
    1000: "bool[]",
    1001: "bytea[]",
    1003: "text[]",
    1005: "int2[]",
    1007: "int4[]",
    1009: "text[]",
    1014: "text[]",
    1015: "text[]",
    1016: "int8[]",
    1021: "float4[]",
    1022: "float8[]",
    1028: "oid[]",
    1115: "timestamp[]",
    1182: "date[]",
    1183: "time[]",
    1185: "timestamptz[]",
    1187: "interval[]",
    1231: "numeric[]",
    1270: "timetz[]",
    2951: "uuid[]",
}
_JSON = {114: "json", 3802: "jsonb"}

# In the order that the core takes their addresses.
_FUNCTIONS = (
    "PQntuples",
    "PQnfields",
    "PQfformat",
    "PQftype",
    "PQgetlength",
    "PQgetisnull",
    "PQgetvalue",
)

_Shape = Literal["call", "tuple", "first"]


class _Column(NamedTuple):
    """How the core makes one value; see `tierline._core.RowDecoder`."""

    position: int
    kind: str
    is_required: bool
    load: Callable[[Any], Any] | None = None
    choices: dict[Any, Any] | None = None
    convert: Callable[[Any], Any] | None = None


@cache
def libpq() -> Libpq | None:
    """The functions of psycopg's own libpq; None where they cannot be found for certain."""
    library = _library()
    if library is None:
        return None
    try:
        functions = [getattr(library, name) for name in _FUNCTIONS]
        version = int(library.PQlibVersion())
    except AttributeError:
        # Linked into psycopg's module, without its names.
        return None
    if version != pq.version():
        return None
    addresses = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions]
    return Libpq(pq.PGresult, addresses)


def _library() -> ctypes.CDLL | None:
    """A handle whose names are looked up in the libpq that psycopg's module was linked to."""
    module = sys.modules.get(pq.PGresult.__module__)
    if pq.__impl__ == "python":
        found = getattr(getattr(module, "impl", None), "pq", None)
        return found if isinstance(found, ctypes.CDLL) else None
    path, no_load = getattr(module, "__file__", None), getattr(os, "RTLD_NOLOAD", None)
    if path is None or no_load is None:
        return None
    try:
        # The module itself, which is loaded: what it depends on is searched behind it.
        return ctypes.CDLL(path, mode=no_load)
    except OSError:
        return None


def row_decoder(
    statement: Statement,
    result: PGresult,
    transformer: Transformer,
    order: Sequence[int],
    nullable: dict[str, bool],
) -> RowDecoder | None:
    """The core's way to read a statement's rows, or None: then the driver's loaders read them.

    Args:
        statement: What is run.
        result: Its first result.
        transformer: Of the connection; has a loader for each of the result's types.
        order: Where each expected column stands in the result.
        nullable: Column name to whether it may be NULL.
    """
    native = libpq()
    types = [result.ftype(n) for n in range(result.nfields)]
    connection = transformer.connection
    if native is None or connection is None or not _is_usual(connection.pgconn):
        return None
    if native.describe(result) != (result.ntuples, types):
        return None
    columns = [
        _column(column.type, types[position], position, transformer)._replace(
            is_required=not nullable.get(column.name, True)
        )
        for column, position in zip(statement.columns, order, strict=True)
    ]
    match statement.shape:
        case "scalar":
            return RowDecoder(native, types, columns, "first")
        case "tuple":
            return RowDecoder(native, types, columns, "tuple")
        case _:
            names = keywords(statement.shape, statement.into)
            return RowDecoder(native, types, columns, "call", statement.into, names)


def _is_usual(pgconn: PGconn) -> bool:
    """Whether texts are UTF-8 and instants in UTC, as this package sets it in every session."""
    return pgconn.parameter_status(b"client_encoding") == b"UTF8" and pgconn.parameter_status(
        b"TimeZone"
    ) in (None, b"UTC")


def _column(type_: ColumnType, oid: int, position: int, transformer: Transformer) -> _Column:
    if type_.wire == "array" and oid in _ARRAYS:
        choices = cast("ColumnType", type_.element).choices
        convert = None if type_.container is list else type_.container
        return _Column(position, _ARRAYS[oid], False, None, choices, convert)
    if type_.wire == "jsonb" and type_.choices is None and oid in _JSON:
        decode = msgspec.json.Decoder(type_.annotation).decode
        return _Column(position, _JSON[oid], False, convert=decode)
    if type_.wire not in ("array", "jsonb") and oid in _SCALARS:
        return _Column(position, _SCALARS[oid], False, choices=type_.choices)
    load = transformer.get_loader(oid, Format.BINARY).load
    return _Column(position, "other", False, load, None, decoder(type_))
