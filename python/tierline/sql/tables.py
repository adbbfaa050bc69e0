"""The statements that every repository of a table needs, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import msgspec

from tierline.entity import Column, ColumnType, Table
from tierline.entity.types import BOOL, INT8, array_of
from tierline.query.select import Shape
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.lifecycle import NOW, ended, is_stamp, lives, restored, touched
from tierline.sql.snapshots import seen
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
        return self._reading(
            "get_by_id", self._key_is(1) + lives(self._table), self._types(self._table.key_columns)
        )

    @cached_property
    def get_many(self) -> Statement:
        """Read the rows of several keys: one array parameter a key column."""
        table = self._table
        where = f"{self._key_in()}{lives(table)}"
        return self._reading("get_many", where, self._key_arrays())

    @cached_property
    def load(self) -> Statement:
        """The same for keys that were asked for one by one."""
        return msgspec.structs.replace(self.get_many, operation="load")

    @cached_property
    def get_seen(self) -> Statement:
        """As `get`; each row is a `Seen`."""
        return seen(self.get)

    @cached_property
    def get_many_seen(self) -> Statement:
        """As `get_many`; each row is a `Seen`."""
        return seen(self.get_many)

    @cached_property
    def load_seen(self) -> Statement:
        """As `load`; each row is a `Seen`."""
        return msgspec.structs.replace(self.get_many_seen, operation="load")

    @cached_property
    def exists(self) -> Statement:
        """Ask whether a key has a row."""
        where = self._key_is(1) + lives(self._table)
        return Statement(
            "exists",
            f"SELECT EXISTS (SELECT 1 FROM {table_name(self._table)} WHERE {where})",
            self._types(self._table.key_columns),
            self._table,
            (ResultColumn("exists", BOOL),),
            "scalar",
        )

    @cached_property
    def stored_version(self) -> Statement:
        """Read the version that a key has now."""
        assert self._table.version is not None
        where = self._key_is(1) + lives(self._table)
        return Statement(
            "update",
            f"SELECT {quote(self._table.version)} FROM {table_name(self._table)} WHERE {where}",
            self._types(self._table.key_columns),
            self._table,
            (ResultColumn("version", INT8),),
            "scalar",
        )

    @cached_property
    def insert(self) -> Statement:
        """Write one new row; answers with it where the database's clock sets a column."""
        table = self._table
        names = quote_all(tuple(column.name for column in table.columns))
        # Every value is a parameter, also where the clock replaces it: positions stay the columns'.
        marks = ", ".join(
            NOW if is_stamp(table, column.name) else f"${n}"
            for n, column in enumerate(table.columns, 1)
        )
        sql = f"INSERT INTO {table_name(table)} ({names}) VALUES ({marks})"
        return self._writing("create", sql, "", table.columns, answers=table.is_stamped)

    @cached_property
    def update(self) -> Statement:
        """Write every other column of the row that has the key: parameters in column order.

        In a table with a version only if the row still has it. Answers with the row where writes
        set columns themselves.
        """
        table = self._table
        position = {column.name: f"${n}" for n, column in enumerate(table.columns, 1)}
        checked = (*table.key, table.version) if table.version else table.key
        changed = [
            column
            for column in table.columns
            if column.name not in table.key and column.name not in table.managed
        ]
        # With nothing but a key there is nothing to change; setting the key to itself says so.
        assignments = [
            f"{quote(column.name)} = {position[column.name]}"
            for column in changed or table.key_columns
        ]
        where = " AND ".join(f"{quote(name)} = {position[name]}" for name in checked)
        return self._writing(
            "update",
            f"UPDATE {table_name(table)} SET {', '.join([*assignments, *touched(table)])}",
            f"{where}{lives(table)}",
            table.columns,
            answers=bool(table.managed),
        )

    @cached_property
    def delete(self) -> Statement:
        """Delete the row that has the key, softly where the table says so."""
        return self._deleting(self._key_is(1), self._table.key_columns)

    @cached_property
    def delete_version(self) -> Statement:
        """The same if the row still has a version, which is the last parameter."""
        table = self._table
        assert table.version is not None
        columns = (*table.key_columns, table.column(table.version))
        where = f"{self._key_is(1)} AND {quote(table.version)} = ${len(columns)}"
        return self._deleting(where, columns)

    @cached_property
    def purge(self) -> Statement:
        """Delete the row that has the key for real."""
        return self._writing(
            "purge",
            f"DELETE FROM {table_name(self._table)}",
            self._key_is(1),
            self._table.key_columns,
        )

    @cached_property
    def restore(self) -> Statement:
        """Let a softly deleted row live again; answers with it."""
        table = self._table
        assert table.deleted_at is not None
        return self._writing(
            "restore",
            f"UPDATE {table_name(table)} SET {restored(table)}",
            f"{self._key_is(1)} AND {quote(table.deleted_at)} IS NOT NULL",
            table.key_columns,
            answers=True,
        )

    @cached_property
    def delete_many(self) -> Statement:
        """Delete the rows of several keys: one array parameter a key column."""
        return msgspec.structs.replace(
            self._deleting(self._key_in(), ()),
            operation="delete_many",
            parameters=self._key_arrays(),
            is_single=False,
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

    def _key_in(self) -> str:
        types = [array_of(_plain(column)).sql for column in self._table.key_columns]
        if len(types) == 1:
            return f"{quote(self._table.key[0])} = ANY($1)"
        arrays = ", ".join(f"${n}::{sql}" for n, sql in enumerate(types, 1))
        return f"({quote_all(self._table.key)}) IN (SELECT * FROM unnest({arrays}))"

    def _key_arrays(self) -> tuple[Any, ...]:
        return tuple(array_of(_plain(column)) for column in self._table.key_columns)

    def _reading(self, operation: str, where: str, parameters: tuple[Any, ...]) -> Statement:
        names = quote_all(tuple(column.name for column in self._table.columns))
        sql = f"SELECT {names} FROM {table_name(self._table)} WHERE {where}"
        return Statement(operation, sql, parameters, self._table, *self._row())

    def _writing(
        self,
        operation: str,
        head: str,
        where: str,
        parameters: Iterable[Column],
        *,
        answers: bool = False,
    ) -> Statement:
        """A write: what it does, and to which rows."""
        types = self._types(parameters)
        sql = f"{head} WHERE {where}" if where else head
        if not answers:
            return Statement(operation, sql, types, self._table, writes=True, is_single=True)
        names = quote_all(tuple(column.name for column in self._table.columns))
        text = f"{sql} RETURNING {names}"
        return Statement(operation, text, types, self._table, *self._row(), writes=True)

    def _deleting(self, where: str, parameters: Iterable[Column]) -> Statement:
        table = self._table
        if table.deleted_at is None:
            return self._writing("delete", f"DELETE FROM {table_name(table)}", where, parameters)
        head = f"UPDATE {table_name(table)} SET {ended(table)}"
        return self._writing("delete", head, f"{where}{lives(table)}", parameters)

    def _row(self) -> tuple[tuple[ResultColumn, ...], Shape, Callable[..., Any]]:
        columns = tuple(ResultColumn(column.name, column.type) for column in self._table.columns)
        return columns, "entity", self._table.entity

    @staticmethod
    def _types(columns: Iterable[Column]) -> tuple[Any, ...]:
        return tuple(column.type for column in columns)


def _plain(column: Column) -> ColumnType:
    """The type of a key column's values as they travel in an array."""
    return msgspec.structs.replace(column.type, choices=None)


def table_statements(table: Table[Any, Any]) -> TableStatements:
    """The table's statements, made once a table."""
    # A table is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(table)
    if "_statements" not in memo:
        memo["_statements"] = TableStatements(table)
    statements: TableStatements = memo["_statements"]
    return statements
