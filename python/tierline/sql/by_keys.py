"""Reading many rows by their keys: one array parameter a key column, however many keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tierline.entity import Table
from tierline.entity.types import array_of
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.statement import Compiled, ResultColumn, Statement


def compile_by_keys(table: Table[Any, Any], keys: Sequence[tuple[Any, ...]]) -> Compiled:
    """The statement that reads the rows of keys.

    Args:
        table: The table.
        keys: Each key's column values.

    Raises:
        ConfigurationError: A name cannot be an identifier.
    """
    columns: list[Any] = [list(values) for values in zip(*keys, strict=True)]
    return Compiled(_statement(table), tuple(columns))


@cache
def _statement(table: Table[Any, Any]) -> Statement:
    arrays = [array_of(column.type) for column in table.key_columns]
    if len(arrays) == 1:
        where = f"{quote(table.key[0])} = ANY($1)"
    else:
        marks = ", ".join(f"${n}" for n in range(1, len(arrays) + 1))
        where = f"({quote_all(table.key)}) IN (SELECT * FROM unnest({marks}))"
    names = quote_all(tuple(column.name for column in table.columns))
    return Statement(
        "load",
        f"SELECT {names} FROM {table_name(table)} WHERE {where}",
        tuple(arrays),
        table,
        tuple(ResultColumn(column.name, column.type) for column in table.columns),
        "entity",
        table.entity,
    )
