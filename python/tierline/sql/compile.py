"""Queries to statements. Text depends on the query's structure only, never on its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.entity import ColumnType
from tierline.entity.types import BOOL, INT8
from tierline.errors import QueryError
from tierline.query import Query
from tierline.query.select import show_queries_by
from tierline.sql.expressions import Parameters, render, render_ordering, render_shared
from tierline.sql.identifiers import quote, table_name
from tierline.sql.shown import shown
from tierline.sql.statement import Compiled, ResultColumn, Statement


def compile_query(query: Query[Any], operation: str = "fetch_all") -> Compiled:
    """The statement that answers a query.

    Raises:
        ConfigurationError: A name cannot be an identifier.
        QueryError: The query is nested too deeply.
    """
    parameters = Parameters()
    columns, shape, into = _result(query)
    sql = _guarded(lambda: _select(query, parameters))
    types = tuple(parameters.types)
    statement = Statement(operation, sql, types, query.table, columns, shape, into)
    return Compiled(statement, tuple(parameters.values))


def compile_count(query: Query[Any]) -> Compiled:
    """The statement that counts a query's rows."""
    return _about(query, "count", "SELECT count(*) FROM ({}) AS counted", INT8)


def compile_exists(query: Query[Any]) -> Compiled:
    """The statement that asks whether a query has any row."""
    return _about(query, "exists", "SELECT EXISTS ({})", BOOL)


def _about(query: Query[Any], operation: str, form: str, type_: ColumnType) -> Compiled:
    parameters = Parameters()
    # How many rows there are does not depend on their order, nor on columns unless they aggregate.
    plain = msgspec.structs.replace(query, order_by=())
    sql = _guarded(lambda: form.format(_select(plain, parameters, constant="1")))
    types = tuple(parameters.types)
    columns = (ResultColumn(operation, type_),)
    statement = Statement(operation, sql, types, query.table, columns, "scalar")
    return Compiled(statement, tuple(parameters.values))


def _guarded(build: Callable[[], str]) -> str:
    try:
        return build()
    except RecursionError:
        raise QueryError(
            "the query is nested too deeply to compile; use is_in for long lists of alternatives"
        ) from None


def _result(query: Query[Any]) -> tuple[tuple[ResultColumn, ...], Any, Any]:
    if query.projection is None:
        columns = tuple(ResultColumn(column.name, column.type) for column in query.table.columns)
        return columns, "entity", query.table.entity
    outputs = query.projection.outputs
    columns = tuple(ResultColumn(output.name, output.type) for output in outputs)
    return columns, query.projection.shape, query.projection.into


def _select(query: Query[Any], parameters: Parameters, *, constant: str | None = None) -> str:
    # Group keys first: what stands again in outputs and ordering must read the same.
    keys = ", ".join([render_shared(key, parameters) for key in query.group_by])
    clauses = [f"SELECT {_outputs(query, parameters, constant)} FROM {table_name(query.table)}"]
    if query.where is not None:
        clauses.append(f"WHERE {render(query.where, parameters)}")
    if keys:
        clauses.append(f"GROUP BY {keys}")
    if query.order_by:
        ordering = ", ".join(render_ordering(key, parameters) for key in query.order_by)
        clauses.append(f"ORDER BY {ordering}")
    if query.limit is not None:
        clauses.append(f"LIMIT {parameters.add(query.limit, INT8)}")
    if query.offset is not None:
        clauses.append(f"OFFSET {parameters.add(query.offset, INT8)}")
    return " ".join(clauses)


def _outputs(query: Query[Any], parameters: Parameters, constant: str | None) -> str:
    if query.projection is not None:
        return ", ".join(render(output.expr, parameters) for output in query.projection.outputs)
    return constant or ", ".join(quote(column.name) for column in query.table.columns)


show_queries_by(lambda query: shown(*compile_query(query)))
