"""Bulk writes by way of a temporary table: COPY into it, then one statement moves its rows on.

A temporary table takes every column type, and COPY is the fastest way in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.entity import Table
from tierline.entity.types import array_of
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.lifecycle import NOW, is_stamp, lives, touched
from tierline.sql.statement import Statement

ARRAYS_ROWS_MAX = 1_000
"""Up to so many rows travel faster as one array a column than by way of a temporary table."""

_STAGED = 'pg_temp."tierline_staged"'
_STORED = '"stored"'


class Staged(msgspec.Struct, frozen=True):
    """A bulk write.

    Attributes:
        create: Makes the temporary table, which ends with the transaction.
        copy_in: Writes the rows into it.
        move: Moves them on; its count is the rows written.
        is_whole: Whether each staged row must be written, or else none is.
        drop: Ends the temporary table before its transaction ends.
    """

    create: Statement
    copy_in: Statement
    move: Statement
    is_whole: bool
    drop: bytes = f"DROP TABLE {_STAGED}".encode()


def staged_create(table: Table[Any, Any]) -> Staged:
    """New rows, stamped by the database's clock."""
    return _staged("create_many", table, _inserted(table, _STAGED), is_whole=True)


def staged_upsert(table: Table[Any, Any]) -> Staged:
    """Rows that are new, or replace those with the same key."""
    return _staged("upsert_many", table, _upserted(table, _STAGED), is_whole=True)


def create_arrays(table: Table[Any, Any]) -> Statement | None:
    """The same in one statement with one array a column; None if a column is an array itself."""
    return _from_arrays("create_many", table, _inserted)


def upsert_arrays(table: Table[Any, Any]) -> Statement | None:
    """As `staged_upsert`, in one statement with one array a column; None likewise."""
    return _from_arrays("upsert_many", table, _upserted)


def _from_arrays(
    operation: str, table: Table[Any, Any], text: Callable[[Table[Any, Any], str], str]
) -> Statement | None:
    if any(column.type.wire == "array" for column in table.columns):
        return None
    plain = (msgspec.structs.replace(column.type, choices=None) for column in table.columns)
    types = tuple(map(array_of, plain))
    arrays = ", ".join(f"${n}::{type_.sql}" for n, type_ in enumerate(types, 1))
    names = quote_all(tuple(column.name for column in table.columns))
    sql = text(table, f"unnest({arrays}) AS staged ({names})")
    return Statement(operation, sql, types, table, writes=True)


def _upserted(table: Table[Any, Any], source: str) -> str:
    columns = [column.name for column in table.columns]
    kept = {*table.key, *table.managed} - {table.deleted_at}
    taken = [name for name in columns if name not in kept] or list(table.key)
    settings = [f"{quote(name)} = excluded.{quote(name)}" for name in taken]
    settings += touched(table, f"{_STORED}.")
    # In one order whatever the columns' collations, so that two at a time wait for each other and
    # do not lock up.
    order = ", ".join(
        f'{quote(column.name)} COLLATE "C"' if column.type.wire == "text" else quote(column.name)
        for column in table.key_columns
    )
    return (
        f"{_inserted(table, source)} ORDER BY {order} "
        f"ON CONFLICT ({quote_all(table.key)}) DO UPDATE SET {', '.join(settings)}"
    )


def staged_update(table: Table[Any, Any]) -> Staged:
    """New values of rows that exist, in the version they had."""
    checked = (*table.key, table.version) if table.version else table.key
    changed = [
        column.name
        for column in table.columns
        if column.name not in table.key and column.name not in table.managed
    ] or list(table.key)
    settings = [f"{quote(name)} = staged.{quote(name)}" for name in changed]
    settings += touched(table, f"{_STORED}.")
    same = " AND ".join(f"{_STORED}.{quote(name)} = staged.{quote(name)}" for name in checked)
    sql = (
        f"UPDATE {table_name(table)} AS {_STORED} SET {', '.join(settings)} "
        f"FROM {_STAGED} AS staged WHERE {same}{lives(table, f'{_STORED}.')}"
    )
    return _staged("update_many", table, sql, is_whole=True)


def _inserted(table: Table[Any, Any], source: str) -> str:
    names = quote_all(tuple(column.name for column in table.columns))
    values = ", ".join(
        NOW if is_stamp(table, column.name) else quote(column.name) for column in table.columns
    )
    return f"INSERT INTO {table_name(table)} AS {_STORED} ({names}) SELECT {values} FROM {source}"


def _staged(operation: str, table: Table[Any, Any], move: str, *, is_whole: bool) -> Staged:
    names = quote_all(tuple(column.name for column in table.columns))
    create = (
        f"CREATE TEMPORARY TABLE {_STAGED} ON COMMIT DROP AS "
        f"SELECT {names} FROM {table_name(table)} WITH NO DATA"
    )
    types = tuple(column.type for column in table.columns)
    copy_in = f"COPY {_STAGED} ({names}) FROM STDIN (FORMAT BINARY)"
    return Staged(
        Statement(operation, create, (), table, writes=True),
        Statement(operation, copy_in, types, table, writes=True),
        Statement(operation, move, (), table, writes=True),
        is_whole,
    )
