"""Queries to statements. Text depends on the query's structure only, never on its values."""

from __future__ import annotations

from typing import Any, NamedTuple

from tierline.entity.types import BOOL, INT8, TEXT
from tierline.errors import QueryError
from tierline.query import Query
from tierline.query.expressions import Expr
from tierline.sql.expressions import Parameters, render, render_ordering
from tierline.sql.identifiers import quote, table_name
from tierline.sql.statement import ResultColumn, Statement


class Compiled(NamedTuple):
    """A statement with the values of one query."""

    statement: Statement
    values: tuple[Any, ...]


def compile_query(query: Query[Any], operation: str = "fetch_all") -> Compiled:
    """The statement that answers a query.

    Raises:
        ConfigurationError: A name cannot be an identifier.
        QueryError: The query is nested too deeply.
    """
    parameters = Parameters()
    columns, shape, into = _result(query)
    sql = _guarded(lambda: f"SELECT {_outputs(query, parameters)}{_rest(query, parameters)}")
    statement = Statement(
        operation, sql, tuple(parameters.types), query.table, columns, shape, into
    )
    return Compiled(statement, tuple(parameters.values))


def compile_count(query: Query[Any]) -> Compiled:
    """The statement that counts a query's rows."""
    return _about(query, "count", "SELECT count(*) FROM (SELECT 1{}) AS counted", INT8)


def compile_exists(query: Query[Any]) -> Compiled:
    """The statement that asks whether a query has any row."""
    return _about(query, "exists", "SELECT EXISTS (SELECT 1{})", BOOL)


def _about(query: Query[Any], operation: str, form: str, type_: Any) -> Compiled:
    parameters = Parameters()
    sql = _guarded(lambda: form.format(_rest(query, parameters, ordered=query.limit is not None)))
    statement = Statement(
        operation,
        sql,
        tuple(parameters.types),
        query.table,
        (ResultColumn(operation, type_),),
        "scalar",
    )
    return Compiled(statement, tuple(parameters.values))


def _guarded(build: Any) -> str:
    try:
        text: str = build()
    except RecursionError:
        raise QueryError(
            "the query is nested too deeply to compile; use is_in for long lists of alternatives"
        ) from None
    return text


def _result(query: Query[Any]) -> tuple[tuple[ResultColumn, ...], Any, Any]:
    if query.projection is None:
        columns = tuple(ResultColumn(column.name, column.type) for column in query.table.columns)
        return columns, "entity", query.table.entity
    outputs = query.projection.outputs
    columns = tuple(ResultColumn(output.name, output.type) for output in outputs)
    return columns, query.projection.shape, query.projection.into


def _outputs(query: Query[Any], parameters: Parameters) -> str:
    if query.projection is None:
        return ", ".join(quote(column.name) for column in query.table.columns)
    return ", ".join(render(output.expr, parameters) for output in query.projection.outputs)


def _rest(query: Query[Any], parameters: Parameters, *, ordered: bool = True) -> str:
    clauses = [f" FROM {table_name(query.table)}"]
    if query.where is not None:
        clauses.append(f" WHERE {render(query.where, parameters)}")
    if query.group_by:
        clauses.append(f" GROUP BY {_list(query.group_by, parameters)}")
    if query.order_by and ordered:
        keys = ", ".join(render_ordering(key, parameters) for key in query.order_by)
        clauses.append(f" ORDER BY {keys}")
    if query.limit is not None:
        clauses.append(f" LIMIT {parameters.add(query.limit, INT8)}")
    if query.offset is not None:
        clauses.append(f" OFFSET {parameters.add(query.offset, INT8)}")
    return "".join(clauses)


def _list(nodes: tuple[Expr, ...], parameters: Parameters) -> str:
    return ", ".join(render(node, parameters) for node in nodes)


EXPLAIN_COLUMN = ResultColumn("QUERY PLAN", TEXT)
"""What EXPLAIN answers with: one text a line."""
