"""Bulk writes: COPY BINARY, encoded by the Rust core."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from psycopg import Rollback
from psycopg.pq import TransactionStatus

from tierline._core import CopyEncoder
from tierline.entity import Table
from tierline.entity.types import is_tuple
from tierline.errors import FieldError, ValidationError
from tierline.postgres.codecs import Encode, encoder
from tierline.postgres.connection import Connection, column_types
from tierline.sql import Staged, Statement

# File header and trailer of COPY BINARY: signature, no flags, no extension; -1 ends the rows.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

# Small, for the server works on one chunk while the next is encoded.
_ROWS_A_CHUNK = 100
_CHUNKS_A_REPORT = 10

EncodeRows: TypeAlias = Callable[[Sequence[Any], int], bytes]
"""From rows, which are values or entities, and the position of the first to COPY BINARY."""

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
    rows: Sequence[Any],
    progress: Callable[[int], None] | None,
) -> int:
    """Write rows by one COPY statement: all of them or none; how many.

    COPY BINARY applies no casts, so the columns' real types are asked first: a
    mismatch is a `DecodeError`, never bytes read as another type.
    """
    return _copy(connection, statement, rows, _encoder_for(connection, statement), progress)


def _copy(
    connection: Connection,
    statement: Statement,
    rows: Sequence[Any],
    encode: EncodeRows,
    progress: Callable[[int], None] | None,
) -> int:
    cursor = connection.cursor()
    with cursor.copy(statement.sql.encode()) as copy:
        copy.write(_HEADER)
        reported = 0
        for chunk, start in enumerate(range(0, len(rows), _ROWS_A_CHUNK), 1):
            sent = min(start + _ROWS_A_CHUNK, len(rows))
            copy.write(encode(rows[start:sent], start))
            is_due = chunk % _CHUNKS_A_REPORT == 0 or sent == len(rows)
            if progress is not None and is_due:
                progress(sent - reported)
                reported = sent
        copy.write(_TRAILER)
    return max(cursor.rowcount, 0)


def move_rows(
    connection: Connection,
    staged: Staged,
    rows: Sequence[Any],
    progress: Callable[[int], None] | None,
) -> int:
    """Write rows by way of a temporary table, in one transaction; how many were written.

    Of a whole write that reaches fewer rows than are given, nothing stays.
    """
    # Before the transaction: asking the columns' types heals a plan that is out of date.
    encode = _encoder_for(connection, staged.copy_in)
    count = 0
    is_inner = connection.pgconn.transaction_status != TransactionStatus.IDLE
    # The statements name a table that each transaction makes anew, so they are not prepared.
    with connection.transaction() as transaction:
        connection.execute(staged.create.sql.encode(), prepare=False)
        _copy(connection, staged.copy_in, rows, encode, progress)
        moved = connection.execute(staged.move.sql.encode(), prepare=False)
        count = max(moved.rowcount, 0)
        if is_inner:
            # The temporary table would last as long as the transaction around.
            connection.execute(staged.drop, prepare=False)
        if staged.is_whole and count < len(rows):
            raise Rollback(transaction)
    return count


def _encoder_for(connection: Connection, statement: Statement) -> EncodeRows:
    assert statement.table is not None
    oids = column_types(connection, statement.operation, statement.table)
    return _encoder(connection, statement.table, oids)


def _encoder(connection: Connection, table: Table[Any, Any], oids: list[int]) -> EncodeRows:
    kinds = [_NATIVE.get(oid, "other") for oid in oids]
    encoders = [encoder(column.type, oid) for column, oid in zip(table.columns, oids, strict=True)]
    core = CopyEncoder(
        kinds,
        [encode if kind == "other" else None for kind, encode in zip(kinds, encoders, strict=True)],
        table.entity,
        [column.field for column in table.columns],
    )

    def encode(rows: Sequence[Any], start: int) -> bytes:
        try:
            return core.encode(rows)
        except _UNFIT as error:
            # A narrower column than the entity's type: look for the value that does not fit.
            for position, row in enumerate(rows, start):
                values = row if is_tuple(row) else table.validator.values(row)
                for n, value in enumerate(values):
                    if value is not None and not _fits(encoders[n], value):
                        path = f"[{position}].{table.columns[n].field}"
                        raise _unfit(path, connection, oids[n]) from error
            raise

    return encode


_UNFIT = (struct.error, ValueError, OverflowError)


def _fits(encode: Encode, value: Any) -> bool:
    try:
        encode(value)
    except _UNFIT:
        return False
    return True


def _unfit(path: str, connection: Connection, oid: int) -> ValidationError:
    known = connection.adapters.types.get(oid)
    name = known.regtype if known else f"type {oid}"
    problem = f"does not fit {name}, its column's type; change the value, or widen the column"
    return ValidationError((FieldError(path, problem),))
