"""Writes to statements. Text depends on the write's structure only, never on its values."""

from __future__ import annotations

from collections.abc import Callable
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
    return _compiled(returning.write, operation, projected(projection))


def compile_returning_keys(write: Write, operation: str = "execute") -> Compiled:
    """The statement that performs a write and answers with the keys of its rows."""
    return _compiled(write, operation, _key_output(write.table))


class Output:
    """What a write answers with: expressions, or columns by their names."""

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


_no_output = Output()


def _entity_output(table: Table[Any, Any]) -> Output:
    columns = tuple(ResultColumn(column.name, column.type) for column in table.columns)
    return Output(columns, "entity", table.entity)


def _key_output(table: Table[Any, Any]) -> Output:
    columns = tuple(ResultColumn(column.name, column.type) for column in table.key_columns)
    return Output(columns, "tuple" if len(columns) > 1 else "scalar")


def projected(projection: Projection) -> Output:
    """What a projection makes of each row."""
    columns = tuple(ResultColumn(output.name, output.type) for output in projection.outputs)
    exprs = tuple(output.expr for output in projection.outputs)
    return Output(columns, projection.shape, projection.into, exprs)


def compile_parts(
    write: Write, exprs: tuple[Expr, ...], finish: Callable[[str, str, str, str], str]
) -> tuple[str, Parameters]:
    """The text of a write with its parameters.

    Args:
        write: The write.
        exprs: What it answers with.
        finish: Puts it together: the write without its condition, the table as it stands in FROM,
            the condition's clause, and what it answers with.

    Raises:
        ConfigurationError, QueryError, ValidationError: As `compile_write`.
    """
    parameters = Parameters()
    scope = _scope(write, exprs)
    stored = f" AS {quote(STORED)}" if scope else ""

    def build() -> str:
        # In this order the parameters are counted.
        head, where = _text(write, stored, parameters)
        outputs = ", ".join(render(expr, parameters) for expr in exprs)
        return finish(head, f"{table_name(write.table)}{stored}", where, outputs)

    try:
        sql = render_around(build, parameters, scope) if scope else build()
    except RecursionError:
        raise QueryError("the write is nested too deeply to compile; compute in steps") from None
    if len(parameters.values) > PARAMETERS_MAX:
        raise QueryError(
            f"the write has {len(parameters.values)} parameters, and a statement takes "
            f"{PARAMETERS_MAX}; use repository.create_many or upsert_many"
        )
    return sql, parameters


def _compiled(write: Write, operation: str, output: Output) -> Compiled:
    def finish(head: str, target: str, where: str, outputs: str) -> str:
        del target
        if not outputs and output.columns:
            outputs = quote_all(tuple(column.name for column in output.columns))
        return f"{head}{where} RETURNING {outputs}" if outputs else f"{head}{where}"

    sql, parameters = compile_parts(write, output.exprs, finish)
    types, table = tuple(parameters.types), write.table
    statement = Statement(
        operation, sql, types, table, output.columns, output.shape, output.into, writes=True
    )
    return Compiled(statement, tuple(parameters.values))


def _scope(write: Write, exprs: tuple[Expr, ...]) -> dict[Alias, str]:
    """What the written table is called, where queries in the write may speak of it."""
    expressions: list[Expr | None] = [*exprs]
    match write:
        case Update(where=where):
            expressions += [where, *(item.value for item in write.assignments)]
        case Delete(where=where):
            expressions.append(where)
        case _:
            pass
    return {OWN: quote(STORED)} if has_query(expressions) else {}


def _text(write: Write, stored: str, parameters: Parameters) -> tuple[str, str]:
    """A write without its condition, and the condition's clause."""
    match write:
        case Insert():
            return _insert(write, stored, parameters), ""
        case Update(where=where):
            return _update(write, stored, parameters), _clause(where, parameters)
        case Delete(where=where):
            return _delete(write, stored), _clause(where, parameters)
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
    return f"UPDATE {table_name(write.table)}{stored} SET {settings}"


def _clause(where: Expr | None, parameters: Parameters) -> str:
    return "" if where is None else f" WHERE {render(where, parameters)}"


def _set(
    table: Table[Any, Any],
    assignments: tuple[Assignment, ...],
    parameters: Parameters,
    stored: str = "",
) -> str:
    given = [f"{quote(item.column)} = {render(item.value, parameters)}" for item in assignments]
    return ", ".join([*given, *touched(table, stored)])


def _delete(write: Delete, stored: str) -> str:
    table = write.table
    if write.purge or table.deleted_at is None:
        return f"DELETE FROM {table_name(table)}{stored}"
    return f"UPDATE {table_name(table)}{stored} SET {ended(table)}"


@register
def _(node: RowRef, parameters: Parameters) -> str:  # noqa: ARG001 (one signature for all)
    row = quote(STORED) if node.row == "old" else "excluded"
    return f"{row}.{quote(node.name)}"
