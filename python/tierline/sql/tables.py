"""The statements that every repository of a table needs, compiled once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from tierline.entity import Column, Table
from tierline.entity.types import BOOL
from tierline.sql.identifiers import quote, table_name
from tierline.sql.statement import ResultColumn, Statement


class TableStatements:
    """Statements by key; each is compiled when first asked for.

    Raises:
        ConfigurationError: From any of them, when a name cannot be an identifier.
    """

    def __init__(self, table: Table[Any, Any]) -> None:
        self._table = table

    @cached_property
    def get(self) -> Statement:
        """Read one row by key."""
        columns = ", ".join(quote(column.name) for column in self._table.columns)
        return Statement(
            "get_by_id",
            f"SELECT {columns} FROM {table_name(self._table)} WHERE {self._key_is(1)}",
            self._types(self._table.key_columns),
            self._table,
            tuple(ResultColumn(column.name, column.type) for column in self._table.columns),
            "entity",
            self._table.entity,
        )

    @cached_property
    def exists(self) -> Statement:
        """Ask whether a key has a row."""
        return Statement(
            "exists",
            f"SELECT EXISTS (SELECT 1 FROM {table_name(self._table)} WHERE {self._key_is(1)})",
            self._types(self._table.key_columns),
            self._table,
            (ResultColumn("exists", BOOL),),
            "scalar",
        )

    @cached_property
    def insert(self) -> Statement:
        """Write one new row."""
        names = ", ".join(quote(column.name) for column in self._table.columns)
        marks = ", ".join(f"${n}" for n in range(1, len(self._table.columns) + 1))
        return Statement(
            "create",
            f"INSERT INTO {table_name(self._table)} ({names}) VALUES ({marks})",
            self._types(self._table.columns),
            self._table,
            writes=True,
        )

    @cached_property
    def update(self) -> Statement:
        """Write every other column of the row that has the key: parameters in column order."""
        columns = self._table.columns
        position = {column.name: f"${n}" for n, column in enumerate(columns, 1)}
        changed = [column for column in columns if column.name not in self._table.key]
        # With nothing but a key there is nothing to change; setting the key to itself says so.
        assignments = ", ".join(
            f"{quote(column.name)} = {position[column.name]}"
            for column in changed or self._table.key_columns
        )
        where = " AND ".join(f"{quote(name)} = {position[name]}" for name in self._table.key)
        return Statement(
            "update",
            f"UPDATE {table_name(self._table)} SET {assignments} WHERE {where}",
            self._types(columns),
            self._table,
            writes=True,
        )

    @cached_property
    def delete(self) -> Statement:
        """Delete the row that has the key."""
        return Statement(
            "delete",
            f"DELETE FROM {table_name(self._table)} WHERE {self._key_is(1)}",
            self._types(self._table.key_columns),
            self._table,
            writes=True,
        )

    @cached_property
    def copy_in(self) -> Statement:
        """Write many new rows by COPY."""
        names = ", ".join(quote(column.name) for column in self._table.columns)
        return Statement(
            "create_many",
            f"COPY {table_name(self._table)} ({names}) FROM STDIN (FORMAT BINARY)",
            self._types(self._table.columns),
            self._table,
            writes=True,
        )

    def _key_is(self, first: int) -> str:
        pairs = enumerate(self._table.key, first)
        return " AND ".join(f"{quote(name)} = ${n}" for n, name in pairs)

    @staticmethod
    def _types(columns: Iterable[Column]) -> tuple[Any, ...]:
        return tuple(column.type for column in columns)


def table_statements(table: Table[Any, Any]) -> TableStatements:
    """The table's statements, made once a table."""
    # A table is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(table)
    if "_statements" not in memo:
        memo["_statements"] = TableStatements(table)
    statements: TableStatements = memo["_statements"]
    return statements
