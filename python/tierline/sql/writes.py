"""Writes to statements. Text depends on the write's structure only, never on its values."""

from __future__ import annotations

from typing import Any, NoReturn

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import QueryError, ValidationError
from tierline.query.assignments import Assignment, RowRef
from tierline.query.expressions import OWN, Alias, Expr
from tierline.query.select import Projection
from tierline.query.writes import Delete, Insert, Returning, Update, Write
from tierline.sql.expressions import Parameters, register, render
from tierline.sql.identifiers import quote, quote_all, table_name
from tierline.sql.lifecycle import NOW, ended, is_stamp, touched
from tierline.sql.queries import has_query, render_around
from tierline.sql.statement import PARAMETERS_MAX, Compiled, ResultColumn, Statement

STORED = "stored"
"""What the row that is there already is called in an upsert."""


def compile_write(write: Write, operation: str = "execute") -> Compiled:
    """The statement that performs a write.

    Raises:
        ConfigurationError: A name cannot be an identifier.
        QueryError: It is nested too deeply, or has too many parameters.
        ValidationError: An entity does not fit; every bad field is listed.
    """
    return _compiled(write, operation, _no_output)


def compile_returning(returning: Returning[Any], operation: str = "fetch_all") -> Compiled:
    """The statement that performs a write and answers with what it wrote; raises likewise."""
    projection = returning.projection
    if projection is None:
        return _compiled(returning.write, operation, _entity_output(returning.table))
    return _compiled(returning.write, operation, _projected(projection))


def compile_returning_keys(write: Write, operation: str = "execute") -> Compiled:
    """The statement that performs a write and answers with the keys of its rows."""
    return _compiled(write, operation, _key_output(write.table))


class _Output:
    """What a write answers with."""

    def __init__(
        self,
        columns: tuple[ResultColumn, ...] = (),
        shape: Any = "tuple",
        into: Any = tuple,
        exprs: tuple[Expr, ...] = (),
    ) -> None:
        self.columns = columns
        self.shape = shape
        self.into = into
        self.exprs = exprs

    def sql(self, parameters: Parameters) -> str:
        """The RETURNING clause."""
        if self.exprs:
            return f" RETURNING {', '.join(render(expr, parameters) for expr in self.exprs)}"
        if self.columns:
            return f" RETURNING {quote_all(tuple(column.name for column in self.columns))}"
        return ""


_no_output = _Output()


def _entity_output(table: Table[Any, Any]) -> _Output:
    columns = tuple(ResultColumn(column.name, column.type) for column in table.columns)
    return _Output(columns, "entity", table.entity)


def _key_output(table: Table[Any, Any]) -> _Output:
    columns = tuple(ResultColumn(column.name, column.type) for column in table.key_columns)
    return _Output(columns, "tuple" if len(columns) > 1 else "scalar")


def _projected(projection: Projection) -> _Output:
    columns = tuple(ResultColumn(output.name, output.type) for output in projection.outputs)
    exprs = tuple(output.expr for output in projection.outputs)
    return _Output(columns, projection.shape, projection.into, exprs)


def _compiled(write: Write, operation: str, output: _Output) -> Compiled:
    parameters = Parameters()
    scope = _scope(write, output)
    stored = f" AS {quote(STORED)}" if scope else ""

    def build() -> str:
        return _text(write, stored, parameters) + output.sql(parameters)

    try:
        sql = render_around(build, parameters, scope) if scope else build()
    except RecursionError:
        raise QueryError("the write is nested too deeply to compile; compute in steps") from None
    if len(parameters.values) > PARAMETERS_MAX:
        raise QueryError(
            f"the write has {len(parameters.values)} parameters, and a statement takes "
            f"{PARAMETERS_MAX}; use repository.create_many or upsert_many"
        )
    types, table = tuple(parameters.types), write.table
    statement = Statement(
        operation, sql, types, table, output.columns, output.shape, output.into, writes=True
    )
    return Compiled(statement, tuple(parameters.values))


def _scope(write: Write, output: _Output) -> dict[Alias, str]:
    """What the written table is called, where queries in the write may speak of it."""
    expressions: list[Expr | None] = [*output.exprs]
    match write:
        case Update(where=where):
            expressions += [where, *(item.value for item in write.assignments)]
        case Delete(where=where):
            expressions.append(where)
        case _:
            pass
    return {OWN: quote(STORED)} if has_query(expressions) else {}


def _text(write: Write, stored: str, parameters: Parameters) -> str:
    match write:
        case Insert():
            return _insert(write, stored, parameters)
        case Update():
            return _update(write, stored, parameters)
        case Delete():
            return _delete(write, stored, parameters)
        case _:
            return _unknown(write)


def _unknown(write: Write) -> NoReturn:
    raise TypeError(f"no SQL for {type(write).__name__}")


def _insert(write: Insert, stored: str, parameters: Parameters) -> str:
    table = write.table
    rows = ", ".join(f"({_row(table, row, parameters)})" for row in _values(write))
    names = quote_all(tuple(column.name for column in table.columns))
    conflict = write.on_conflict
    if conflict is None:
        return f"INSERT INTO {table_name(table)}{stored} ({names}) VALUES {rows}"
    sql = f"INSERT INTO {table_name(table)} AS {quote(STORED)} ({names}) VALUES {rows}"
    sql += f" ON CONFLICT ({quote_all(conflict.target)}) DO "
    if not conflict.assignments:
        return f"{sql}NOTHING"
    sql += f"UPDATE SET {_set(table, conflict.assignments, parameters, f'{quote(STORED)}.')}"
    if conflict.where is not None:
        sql += f" WHERE {render(conflict.where, parameters)}"
    return sql


def _values(write: Insert) -> list[tuple[Any, ...]]:
    """The column values of every entity.

    Raises:
        ValidationError: Fields do not fit; with several entities their paths begin with its place.
    """
    values = write.table.validator.values
    rows: list[tuple[Any, ...]] = []
    errors: list[Any] = []
    for position, entity in enumerate(write.entities):
        try:
            rows.append(values(entity))
        except BadFieldsError as bad:
            place = f"[{position}]." if len(write.entities) > 1 else ""
            errors += [error._replace(path=f"{place}{error.path}") for error in bad.errors]
    if errors:
        raise ValidationError(tuple(errors[:100]), table=write.table.name)
    return rows


def _row(table: Table[Any, Any], row: tuple[Any, ...], parameters: Parameters) -> str:
    return ", ".join(
        NOW if is_stamp(table, column.name) else parameters.add(value, column.type)
        for column, value in zip(table.columns, row, strict=True)
    )


def _update(write: Update, stored: str, parameters: Parameters) -> str:
    settings = _set(write.table, write.assignments, parameters)
    sql = f"UPDATE {table_name(write.table)}{stored} SET {settings}"
    return sql if write.where is None else f"{sql} WHERE {render(write.where, parameters)}"


def _set(
    table: Table[Any, Any],
    assignments: tuple[Assignment, ...],
    parameters: Parameters,
    stored: str = "",
) -> str:
    given = [f"{quote(item.column)} = {render(item.value, parameters)}" for item in assignments]
    return ", ".join([*given, *touched(table, stored)])


def _delete(write: Delete, stored: str, parameters: Parameters) -> str:
    table = write.table
    if write.purge or table.deleted_at is None:
        sql = f"DELETE FROM {table_name(table)}{stored}"
    else:
        sql = f"UPDATE {table_name(table)}{stored} SET {ended(table)}"
    return sql if write.where is None else f"{sql} WHERE {render(write.where, parameters)}"


@register
def _(node: RowRef, parameters: Parameters) -> str:  # noqa: ARG001 (one signature for all)
    row = quote(STORED) if node.row == "old" else "excluded"
    return f"{row}.{quote(node.name)}"
