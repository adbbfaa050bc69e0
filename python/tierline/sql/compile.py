"""Queries to statements. Text depends on the query's structure only, never on its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.entity import ColumnType
from tierline.entity.types import BOOL, INT8
from tierline.errors import QueryError
from tierline.query import Query
from tierline.query.expressions import has_aggregate
from tierline.query.query import Projection, show_queries_by
from tierline.sql.expressions import Parameters
from tierline.sql.queries import render_query
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
    sql = _guarded(lambda: render_query(query, parameters))
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
    # How many rows there are does not depend on their order, nor mostly on what is made of them,
    # which may be what cannot be computed of rows that a limit leaves out.
    projection = query.projection if _makes_rows(query) else None
    plain = msgspec.structs.replace(query, order_by=(), lock=None, projection=projection)
    sql = _guarded(lambda: render_query(plain, parameters, form=form))
    types = tuple(parameters.types)
    columns = (ResultColumn(operation, type_),)
    statement = Statement(operation, sql, types, query.table, columns, "scalar")
    return Compiled(statement, tuple(parameters.values))


def _makes_rows(query: Query[Any]) -> bool:
    """Whether what is made of the rows decides how many there are."""
    if query.projection is None or query.distinct or query.group_by or query.having is not None:
        return True
    return any(has_aggregate(output.expr) for output in query.projection.outputs)


def _guarded(build: Callable[[], str]) -> str:
    try:
        return build()
    except RecursionError:
        raise QueryError(
            "the query is nested too deeply to compile; use is_in for long lists of alternatives"
        ) from None


def _result(query: Query[Any]) -> tuple[tuple[ResultColumn, ...], Any, Any]:
    answer = query.answer
    if answer.shape != "entity" or query.relation is not None:
        return _columns(answer), answer.shape, answer.into
    # A table is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query.table)
    if (columns := memo.get("_result")) is None:
        columns = memo["_result"] = _columns(answer)
    return columns, answer.shape, answer.into


def _columns(answer: Projection) -> tuple[ResultColumn, ...]:
    return tuple(ResultColumn(output.name, output.type) for output in answer.outputs)


show_queries_by(lambda query: shown(*compile_query(query)))
