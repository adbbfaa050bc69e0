"""The statements that look at rows before and after a write, for change events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from tierline.entity import Table
from tierline.entity.types import INT8, array_of
from tierline.query import Query
from tierline.query.expressions import Expr
from tierline.query.query import Lock
from tierline.sql.compile import compile_query
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.statement import Compiled, ResultColumn, Statement

_OPERATION = "subscribe"


def locked(table: Table[Any, Any], columns: tuple[str, ...], values: Sequence[Any]) -> Compiled:
    """The rows that have one of some values in columns, softly deleted ones too, locked."""
    return Compiled(_rows(table, columns, " FOR UPDATE"), _arrays(columns, values))


def locked_where(table: Table[Any, Any], where: Expr | None) -> Compiled:
    """The rows for which a write's condition holds, locked."""
    return compile_query(Query(table, where, lock=Lock()), _OPERATION)


def stored(table: Table[Any, Any], keys: Sequence[Any]) -> Compiled:
    """The rows that have the keys, softly deleted ones too."""
    return Compiled(_rows(table, table.key, ""), _arrays(table.key, keys))


def met(table: Table[Any, Any], keys: Sequence[Any]) -> Compiled:
    """How many of the rows that an upsert has just written were there when it met them."""
    # What an upsert inserts is locked by nobody; what it updates it has locked before.
    sql = (
        f"SELECT count(*) FROM {table_name(table)} "
        f"WHERE xmax <> '0'::xid AND {_in(table, table.key)}"
    )
    count = (ResultColumn("count", INT8),)
    statement = Statement(_OPERATION, sql, _types(table, table.key), table, count, "scalar")
    return Compiled(statement, _arrays(table.key, keys))


@cache
def _rows(table: Table[Any, Any], columns: tuple[str, ...], end: str) -> Statement:
    names = quote_all(tuple(column.name for column in table.columns))
    return Statement(
        _OPERATION,
        f"SELECT {names} FROM {table_name(table)} WHERE {_in(table, columns)}{end}",
        _types(table, columns),
        table,
        tuple(ResultColumn(column.name, column.type) for column in table.columns),
        "entity",
        table.entity,
    )


def _in(table: Table[Any, Any], columns: tuple[str, ...]) -> str:
    if len(columns) == 1:
        return f"{quote(columns[0])} = ANY($1)"
    types = _types(table, columns)
    arrays = ", ".join(f"${n}::{type_.sql}" for n, type_ in enumerate(types, 1))
    return f"({quote_all(columns)}) IN (SELECT * FROM unnest({arrays}))"


def _types(table: Table[Any, Any], columns: tuple[str, ...]) -> tuple[Any, ...]:
    plain = (msgspec.structs.replace(table.column(name).type, choices=None) for name in columns)
    return tuple(map(array_of, plain))


def _arrays(columns: tuple[str, ...], values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([row[n] for row in values] for n in range(len(columns)))
