"""Bulk writes: COPY BINARY, encoded by the Rust core."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from tierline._core import CopyEncoder
from tierline.entity import ColumnType, Table
from tierline.postgres.codecs import encode_all, encoder
from tierline.postgres.connection import Connection, check_types
from tierline.sql import ResultColumn, Statement
from tierline.sql.identifiers import quote, table_name

# File header and trailer of COPY BINARY: signature, no flags, no extension; -1 ends the rows.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

_ROWS_A_CHUNK = 5_000

# Types that the core encodes itself, by object identifier.
_NATIVE = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    701: "float8",
    1042: "text",
    1043: "text",
    1082: "date",
    1114: "timestamp",
    1184: "timestamptz",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
}


def copy_rows(
    connection: Connection,
    statement: Statement,
    rows: Sequence[tuple[Any, ...]],
    progress: Callable[[int], None] | None,
) -> int:
    """Write rows by one COPY statement: all of them or none; how many.

    COPY BINARY applies no casts, so the columns' real types are asked first: a
    mismatch is a `DecodeError`, never bytes read as another type.
    """
    assert statement.table is not None
    real = _describe(statement.operation, statement.table)
    oids = connection.result_types(real)
    check_types(connection, real, oids)
    encode = _encoder(statement.parameters, oids)
    cursor = connection.cursor()
    with cursor.copy(statement.sql.encode()) as copy:
        copy.write(_HEADER)
        for start in range(0, len(rows), _ROWS_A_CHUNK):
            chunk = rows[start : start + _ROWS_A_CHUNK]
            copy.write(encode(chunk))
            if progress is not None:
                progress(len(chunk))
        copy.write(_TRAILER)
    return max(cursor.rowcount, 0)


def _describe(operation: str, table: Table[Any, Any]) -> Statement:
    columns = table.columns
    names = ", ".join(quote(column.name) for column in columns)
    return Statement(
        operation,
        f"SELECT {names} FROM {table_name(table)} LIMIT 0",
        (),
        table,
        tuple(ResultColumn(column.name, column.type) for column in columns),
    )


def _encoder(
    types: tuple[ColumnType, ...], oids: list[int]
) -> Callable[[Sequence[tuple[Any, ...]]], bytes]:
    kinds = [_NATIVE.get(oid, "other") for oid in oids]
    encoders = [encoder(type_, oid) for type_, oid in zip(types, oids, strict=True)]
    core = CopyEncoder(
        kinds,
        [encode if kind == "other" else None for kind, encode in zip(kinds, encoders, strict=True)],
    )

    def encode(rows: Sequence[tuple[Any, ...]]) -> bytes:
        try:
            return core.encode(rows)
        except (struct.error, ValueError, OverflowError):
            # A narrower column than the entity's type: look for the value that does not fit.
            for row in rows:
                encode_all(tuple(encoders), row, types)
            raise

    return encode
