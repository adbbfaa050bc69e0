"""`evaluate` and `row_filter`: queries and conditions on plain objects, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from tierline.entity import Table
from tierline.entity.types import INT8
from tierline.entity.validation import element_problem
from tierline.errors import DecodeError, FieldError, QueryError, ValidationError
from tierline.query.evaluate.contexts import Context, Name
from tierline.query.evaluate.registry import Run, compiled, not_in_memory, why_not
from tierline.query.evaluate.scopes import RowScope
from tierline.query.evaluate.select import answering, plan_of
from tierline.query.evaluate.tables import data_of, nodes, tables_of
from tierline.query.expressions import Expr, Value
from tierline.query.query import Query, query_given
from tierline.query.tracing import trace_predicate
from tierline.result import Failure, Success

T = TypeVar("T")
R = TypeVar("R")

EvaluationError: TypeAlias = QueryError | DecodeError | ValidationError
"""What a query on plain objects can fail with."""

_TOO_DEEP = "the query is nested too deeply; use is_in for long lists of alternatives"


def evaluate(
    query: Query[R],
    rows: Iterable[msgspec.Struct] | Mapping[Table[Any, Any], Iterable[msgspec.Struct]],
) -> Success[list[R]] | Failure[EvaluationError]:
    """Run a query on plain objects: what `store.fetch_all` answers if the tables hold these rows.

    Text compares by code point (PostgreSQL's C collation) and days begin in UTC. Rows that tie in
    the ordering keep the order they are given in. Rows that are whole entities of the tables are
    the given objects themselves.

    Args:
        query: What to read, from `tl.select`, `tl.project`, `tl.join` and the like.
        rows: Entities of the query's table; of a query of several tables, the entities of each:
            ``{FLIGHTS: flights, PLANES: planes}``. The mapping may have more tables.

    Returns:
        The answer, or a Failure of the error that PostgreSQL answers with: a `QueryError` for a
        number out of range, a division by zero or a text that is no number, a `DecodeError` for a
        value that Python cannot hold, a `ValidationError` for a value in the query that no
        parameter can carry. Whether the error of one operand shows beside another that already
        decides the condition is as undefined as it is in PostgreSQL. A recursion of more than
        1,000,000 rows is a `QueryError`.

    Raises:
        TypeError: The query cannot be evaluated in memory, a table that it reads is not given, or
            a row is no entity of its table.

    Example:
        ``tl.evaluate(tl.select(PLANES, where=lambda p: p.seats > 150), planes)``
    """
    if why_not(type(query)):
        raise not_in_memory(type(query))
    query_given("evaluate", query)
    try:
        prepared = _prepared(query)
        return Success(prepared.run(Context(data_of(prepared.tables, rows))))
    except (QueryError, DecodeError, ValidationError) as error:
        return Failure(_about(error, query))
    except RecursionError:
        return Failure(_about(QueryError(_TOO_DEEP), query))


def row_filter(table: Table[T, Any], where: Callable[[T], bool]) -> Callable[[T], bool]:
    """A condition as a plain function: true for an entity that a query with this `where` keeps.

    Unknown, as of a comparison with None, is not true. The function raises a QueryError where
    PostgreSQL would answer with one, such as for a division by zero.

    Args:
        table: The entity's table.
        where: As in `tl.select`.

    Raises:
        TypeError: The lambda cannot be traced, or not evaluated in memory.
        ValidationError: A value in the condition is one that no parameter can carry.

    Example:
        ``large = tl.row_filter(PLANES, lambda p: p.seats > 150)``
    """
    condition = trace_predicate(table, where)
    _check_values((condition,))
    holds = predicate(table, condition)
    return lambda entity: holds(entity) is True


def predicate(table: Table[T, Any], condition: Expr) -> Callable[[T], bool | None]:
    """A traced condition as a function from an entity to true, false, or None for unknown.

    Raises:
        TypeError: It cannot be evaluated in memory.
    """
    return compiled(condition, RowScope(table))


class _Prepared(NamedTuple):
    """What is derived from a query once."""

    run: Run
    tables: dict[Name, Table[Any, Any]]


def _prepared(query: Query[Any]) -> _Prepared:
    # A query is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query)
    if "_run" not in memo:
        _check_values((query,))
        memo["_run"] = _Prepared(answering(query, plan_of(query)), tables_of(query))
    return cast("_Prepared", memo["_run"])


def _about(error: EvaluationError, query: Query[Any]) -> EvaluationError:
    error.operation = "evaluate"
    error.table = query.table.name
    return error


def _check_values(roots: Iterable[Any]) -> None:
    """Refuse the values that cannot travel to a server, as the store does."""
    errors = [
        FieldError("", problem)
        for value in _values(roots)
        if value.value is not None and (problem := _problem(value)) is not None
    ]
    if errors:
        raise ValidationError(tuple(errors))


def _problem(node: Value) -> str | None:
    type_ = node.value_type
    if type_.wire == "array" and type_.element is not None:
        element = type_.element
        return next(
            (found for item in node.value if (found := element_problem(item, element))), None
        )
    return element_problem(node.value, type_)


def _values(roots: Iterable[Any]) -> Iterator[Value]:
    for node in nodes(roots):
        yield from _own_values(node)


def _own_values(node: Any) -> Iterable[Value]:
    if isinstance(node, Value):
        return (node,)
    if isinstance(node, Query):
        counts = (node.limit, node.offset)
        return [Value(count, INT8) for count in counts if isinstance(count, int)]
    return ()
