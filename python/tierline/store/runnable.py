"""From a query to what the database runs: compiled once a query, however often it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard, cast

from returns.result import Failure

from tierline.errors import RepositoryError
from tierline.query import Query
from tierline.query.paging import PageQuery
from tierline.query.parameters import Bind, binder, parameter_names
from tierline.query.select import limit
from tierline.sql import (
    Bookmarks,
    Compiled,
    RawQuery,
    RawSql,
    Statement,
    compile_count,
    compile_exists,
    compile_page,
    compile_query,
    compile_raw,
)
from tierline.store.failures import built


class Runnable(NamedTuple):
    """A statement, and the function from parameters given by name to its values.

    Attributes:
        statement: What is run.
        bind: Makes its values of the parameters.
        names: The parameters' names.
    """

    statement: Statement
    bind: Bind
    names: frozenset[str]


def runnable(query: Any, operation: str) -> Runnable | Failure[RepositoryError]:
    """What an operation of a query runs.

    Raises:
        TypeError: It is nothing that the operation can run, or a parameter has two types.
    """
    if not _is_query(query):
        raise _wrong_query(query, operation)
    # A query is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query)
    found: Runnable | None = memo.get(operation)
    if found is None:
        table = query.table if isinstance(query, Query) else None
        compiled = built(lambda: compile_for(query, operation), operation, table)
        if isinstance(compiled, Failure):
            return compiled
        statement, values = compiled
        found = memo[operation] = Runnable(statement, binder(values), parameter_names(values))
    return found


def runnable_page(
    page: PageQuery[Any], secret: bytes, parameters: Mapping[str, object]
) -> tuple[Compiled, Bookmarks] | Failure[RepositoryError]:
    """What a page runs, and what its cursors are made with.

    Raises:
        TypeError: A parameter is missing, unknown, of another type, or has two types.
    """
    made = built(lambda: compile_page(page, secret, parameters), "fetch_page", page.query.table)
    if isinstance(made, Failure):
        return made
    (statement, values), bookmarks = made
    return Compiled(statement, binder(values)(parameters)), bookmarks


def explainable(
    query: Any, secret: bytes, parameters: Mapping[str, object]
) -> Compiled | Failure[RepositoryError]:
    """The statement of a query, a page or SQL, to be explained; raises as the others."""
    if isinstance(query, PageQuery):
        page: PageQuery[Any] = cast("Any", query)
        found = runnable_page(page, secret, parameters)
        return found if isinstance(found, Failure) else found[0]
    run = runnable(query, "execute" if isinstance(query, RawSql) else "fetch_all")
    return run if isinstance(run, Failure) else Compiled(run.statement, run.bind(parameters))


def compile_for(query: Query[Any] | RawSql, operation: str) -> Compiled:
    """The statement of an operation.

    Raises:
        TypeError: The operation is not one for this kind of query.
        RepositoryError: The query cannot be compiled.
    """
    if isinstance(query, RawSql):
        if operation == "execute" or _has_rows(query):
            return compile_raw(query, operation)
        raise TypeError(f"{operation} needs to know the rows: give tl.sql `into=`")
    match operation:
        case "count":
            return compile_count(query)
        case "exists":
            return compile_exists(query)
        case "fetch_one" | "fetch_maybe":
            # Two rows are enough to know that there is more than one.
            return compile_query(limit(query, 2), operation)
        case _:
            return compile_query(query, operation)


def _is_query(query: object) -> TypeGuard[Query[Any] | RawSql]:
    return isinstance(query, (Query, RawSql))


def _has_rows(query: RawSql) -> bool:
    return isinstance(query, RawQuery)


def _wrong_query(query: object, operation: str) -> TypeError:
    kinds = "SQL made by tl.sql" if operation == "execute" else "tl.select, tl.project or tl.sql"
    hint = "; write tl.sql(…)" if isinstance(query, str) else ""
    return TypeError(f"{operation} takes a query of {kinds}, not {type(query).__name__}{hint}")
