"""Writes that tell the rows before and after: for cached queries, which are dropped by them.

A deletion answers with the rows that it deleted, an insert with its new ones. An update first locks
the rows that it is to reach, so that what it then changes is what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tierline.entity import Column, Table
from tierline.entity.types import INT8
from tierline.query.changes import Row, RowChange
from tierline.query.expressions import Expr
from tierline.query.shapes import maker
from tierline.query.writes import Delete, Insert, Returning, Update, Write
from tierline.sql.backplane import TELLS
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.statement import ResultColumn, Statement
from tierline.sql.tables import TableStatements
from tierline.sql.writes import Output, compile_parts, projected

_XID = "tierline_xid"

BEFORE = "tierline_before"
"""What the rows before an update are called in its statement."""


class Told(msgspec.Struct, frozen=True):
    """A write whose rows are what it tells, behind what it answers with.

    Attributes:
        statement: The statement.
        table: The table that is written.
        tells_old: Whether it tells the rows before.
        tells_new: Whether it tells the rows after.
        merges: Whether a row after may be of one before, which is not told.
        width: How many columns it answers with besides.
        make: Makes what it answers with of these.
    """

    statement: Statement
    table: Table[Any, Any]
    tells_old: bool
    tells_new: bool
    merges: bool = False
    width: int = 0
    make: Callable[[Sequence[Any]], Any] | None = None

    def changes(self, rows: Iterable[Sequence[Any]]) -> list[RowChange]:
        """The rows before and after, of the statement's rows."""
        changes: list[RowChange] = []
        for row in rows:
            values = row[self.width :]
            old = self._row(values, 0) if self.tells_old else None
            start = len(self.table.columns) if self.tells_old else 0
            new = self._row(values, start) if self.tells_new else None
            changes.append(RowChange(old, new))
            if self.merges and new is not None:
                # It may have met a row, of which no more is known than that it has the same key.
                changes.append(RowChange({name: new[name] for name in self.table.key}, new))
        return changes

    def answers(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """What the write answers with: entities, unless something else was asked for."""
        if self.make is not None:
            return [self.make(row[: self.width]) for row in rows]
        entity = maker("entity", self.table.entity)
        return [entity(row[-len(self.table.columns) - 1 : -1]) for row in rows]

    def xid(self, rows: Sequence[Sequence[Any]]) -> int | None:
        """The transaction; None if the write reached no row."""
        return rows[0][-1] if rows else None

    def keys(self, changes: Iterable[RowChange]) -> list[Any]:
        """The keys of the rows that were changed."""
        names = self.table.key
        rows = (change.new if change.old is None else change.old for change in changes)
        values = [tuple(row[name] for name in names) for row in rows if row is not None]
        return [value[0] for value in values] if len(names) == 1 else list(values)

    def _row(self, values: Sequence[Any], start: int) -> Row:
        return {column.name: values[start + n] for n, column in enumerate(self.table.columns)}


class ToldStatements(TableStatements):
    """The writes by key, as `Told`."""

    def told(self, pick: Callable[[TableStatements], Statement]) -> Told:
        """One of them.

        Raises:
            ConfigurationError: A name cannot be an identifier.
        """
        statement = pick(self)
        verb = statement.sql.partition(" ")[0]
        statement = msgspec.structs.replace(statement, sql=TELLS + statement.sql)
        return Told(statement, self._table, verb in ("WITH", "DELETE"), verb in ("WITH", "INSERT"))

    def _writing(
        self,
        operation: str,
        head: str,
        where: str,
        parameters: Iterable[Column],
        *,
        answers: bool = False,
    ) -> Statement:
        del answers
        table = self._table
        sql = f"{head} WHERE {where}" if where else head
        twice = head.startswith("UPDATE ")
        if twice:
            sql = updating(table, table_name(table), head, f" WHERE {where}")
        else:
            sql += f" RETURNING {_names(table)}"
        return Statement(
            operation, sql, self._types(parameters), table, _columns(table, twice=twice),
            writes=True,
        )  # fmt: skip


def told_statements(table: Table[Any, Any]) -> ToldStatements:
    """The table's statements that tell, made once a table."""
    # A table is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(table)
    if "_told_statements" not in memo:
        memo["_told_statements"] = ToldStatements(table)
    statements: ToldStatements = memo["_told_statements"]
    return statements


def updating(table: Table[Any, Any], target: str, head: str, where: str, outputs: str = "") -> str:
    """An update that tells the rows before and after.

    Args:
        table: The table.
        target: The table as it stands in FROM.
        head: The update without its condition.
        where: The condition's clause.
        outputs: What it answers with besides, with a comma behind.
    """
    names = [f"tierline_{n}" for n in range(1, len(table.columns) + 1)]
    befores = ", ".join(
        f"{quote(column.name)} AS {name}" for column, name in zip(table.columns, names, strict=True)
    )
    position = {column.name: name for column, name in zip(table.columns, names, strict=True)}
    same = " AND ".join(f"{quote(name)} = {position[name]}" for name in table.key)
    return (
        f"WITH {BEFORE} AS MATERIALIZED (SELECT {befores} FROM {target}{where} FOR UPDATE) "
        f"{head} FROM {BEFORE} WHERE {same} RETURNING {outputs}{', '.join(names)}, {_names(table)}"
    )


def compile_told(write: Write, operation: str = "execute") -> tuple[Told, tuple[Any, ...]]:
    """The statement that performs a write and tells its rows; raises as `compile_write`."""
    return _told(write, operation, None)


def compile_told_returning(
    returning: Returning[Any], operation: str = "fetch_all"
) -> tuple[Told, tuple[Any, ...]]:
    """The same that answers with what it wrote, too."""
    projection = returning.projection
    return _told(returning.write, operation, None if projection is None else projected(projection))


def _told(write: Write, operation: str, output: Output | None) -> tuple[Told, tuple[Any, ...]]:
    table = write.table
    is_update = isinstance(write, Update) or (
        isinstance(write, Delete) and not write.purge and table.deleted_at is not None
    )

    def finish(head: str, target: str, where: str, outputs: str) -> str:
        outputs = f"{outputs}, " if outputs else ""
        if is_update:
            return updating(table, target, head, where, outputs)
        return f"{head}{where} RETURNING {outputs}{_names(table)}"

    exprs: tuple[Expr, ...] = () if output is None else output.exprs
    sql, parameters = compile_parts(write, exprs, finish)
    besides = () if output is None else output.columns
    columns = (*besides, *_columns(table, twice=is_update))
    types = tuple(parameters.types)
    statement = Statement(operation, TELLS + sql, types, table, columns, writes=True)
    told = Told(
        statement,
        table,
        tells_old=is_update or isinstance(write, Delete),
        tells_new=is_update or isinstance(write, Insert),
        merges=isinstance(write, Insert)
        and write.on_conflict is not None
        and bool(write.on_conflict.assignments),
        width=len(besides),
        make=None if output is None else maker(output.shape, output.into),
    )
    return told, tuple(parameters.values)


def _columns(table: Table[Any, Any], *, twice: bool) -> tuple[ResultColumn, ...]:
    columns = tuple(ResultColumn(column.name, column.type) for column in table.columns)
    before = tuple(ResultColumn(f"before_{c.name}", c.type) for c in columns) if twice else ()
    return (*before, *columns, ResultColumn(_XID, INT8))


def _names(table: Table[Any, Any]) -> str:
    names = quote_all(tuple(column.name for column in table.columns))
    return f"{names}, pg_current_xact_id()::text::int8 AS {_XID}"
