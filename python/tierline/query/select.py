"""`select` and `project`, and what narrows a query: each makes a new value and does no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

import msgspec

from tierline.entity import Table
from tierline.entity.types import TEXT, is_tuple
from tierline.query.checks import (
    check_distinct,
    check_group_ordering,
    check_lockable,
    check_ranked,
    is_aggregate,
    outputs_of,
)
from tierline.query.counts import row_count
from tierline.query.deletion import not_deleted
from tierline.query.expressions import Expr, Logic, Value, has_aggregate, has_window
from tierline.query.operands import number, type_of
from tierline.query.query import (
    Join2,
    Join3,
    Join4,
    JoinedQuery,
    Output,
    Projection,
    Query,
    Relation,
    query_given,
    source_given,
    table_of,
)
from tierline.query.shapes import Shape
from tierline.query.sight import depth
from tierline.query.tracing import (
    Traced,
    call_traced,
    ordering_of,
    predicate_of,
    to_expr,
)

__all__ = ["Output", "Projection", "Query", "Shape", "project", "select"]

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


def select(
    source: Table[T, Any] | Query[T],
    *,
    where: Callable[[T], bool] | None = None,
    order_by: Callable[[T], object] | None = None,
    limit: int | None = None,
    offset: int | None = None,
    distinct: bool = False,
    include_deleted: bool = False,
) -> Query[T]:
    """Describe which rows to read, of a table or of another query.

    Args:
        source: The table to read, or a query, whose rows are then chosen from.
        where: Keeps the rows for which it is true: ``lambda f: (f.origin == "JFK") & (f.id > 3)``.
        order_by: A field, ``tl.desc(field)``, or a tuple of them.
        limit: The most rows to answer with; ``tl.param("rows", int)`` if that is told later.
        offset: How many rows to skip first; likewise.
        distinct: Rows that are the same come once.
        include_deleted: Read softly deleted rows too, of a table with `deleted_at=`.

    Raises:
        TypeError: A lambda does something that cannot be traced; the message names what can.
        AttributeError: A lambda names a field that the entity does not have.
        ValueError: `limit` or `offset` is negative.
    """
    # Whatever it is made of, its rows are what they are: a joined query's are tuples here.
    given = source_given("select", source)
    relation = None if isinstance(given, Table) else given
    if include_deleted and relation is not None:
        raise TypeError("include_deleted belongs in the select of the table itself")
    lives = not_deleted(given) if isinstance(given, Table) and not include_deleted else None
    return narrowed(
        Query(table_of(given), where=lives, relation=relation, level=depth()),
        where=where,
        order_by=order_by,
        limit=row_count("limit", limit),
        offset=row_count("offset", offset),
        distinct=distinct,
    )


@overload
def where(query: Join2[A, B], condition: Callable[[A, B], bool]) -> Join2[A, B]: ...
@overload
def where(query: Join3[A, B, C], condition: Callable[[A, B, C], bool]) -> Join3[A, B, C]: ...
@overload
def where(
    query: Join4[A, B, C, D], condition: Callable[[A, B, C, D], bool]
) -> Join4[A, B, C, D]: ...
@overload
def where(query: Query[T], condition: Callable[[T], bool]) -> Query[T]: ...
def where(query: Any, condition: Callable[..., bool]) -> Any:
    """The rows of a query for which a condition is true as well.

    What a query has limited, grouped or projected before is chosen from as it is.

    Args:
        query: From `tl.select`, `tl.join` and the like.
        condition: As in `tl.select`; one argument for each source of a joined query.
    """
    return narrowed(open_query(query_given("where", query)), where=condition)


@overload
def order_by(query: Join2[A, B], keys: Callable[[A, B], object]) -> Join2[A, B]: ...
@overload
def order_by(query: Join3[A, B, C], keys: Callable[[A, B, C], object]) -> Join3[A, B, C]: ...
@overload
def order_by(
    query: Join4[A, B, C, D], keys: Callable[[A, B, C, D], object]
) -> Join4[A, B, C, D]: ...
@overload
def order_by(query: Query[T], keys: Callable[[T], object]) -> Query[T]: ...
def order_by(query: Any, keys: Callable[..., object]) -> Any:
    """The rows of a query in another order: a field, ``tl.desc(field)``, or a tuple of them."""
    return narrowed(open_query(query_given("order_by", query)), order_by=keys)


Q = TypeVar("Q", bound=Query[Any])


def limit(query: Q, rows: int, *, offset: int = 0) -> Q:
    """At most so many of a query's rows; of one that is limited already, the fewer.

    Args:
        query: Which rows, and in which order.
        rows: The most rows.
        offset: How many of its rows to skip first.
    """
    query_given("limit", query)
    most, skipped = row_count("limit", rows), row_count("offset", offset)
    if most is None:
        raise TypeError("limit must be an int, not None")
    is_whole = query.limit is None and query.offset is None
    if skipped != 0:
        query = query if is_whole else cast("Q", reading(query))
        return msgspec.structs.replace(query, limit=most, offset=skipped)
    if query.limit is None:
        return msgspec.structs.replace(query, limit=most)
    if isinstance(query.limit, int) and isinstance(most, int):
        return msgspec.structs.replace(query, limit=min(query.limit, most))
    # Which is the fewer is not known yet.
    return msgspec.structs.replace(cast("Q", reading(query)), limit=most)


def reading(source: Relation) -> Query[Any]:
    """A query of everything that a source has; of a table without the softly deleted rows."""
    if isinstance(source, Table):
        return Query(source, where=not_deleted(source), level=depth())
    made: type[Query[Any]] = type(source) if isinstance(source, JoinedQuery) else Query
    return made(table_of(source), relation=source, level=depth())


def open_query(query: Query[Any]) -> Query[Any]:
    """A query of the same rows to which conditions can be added at this depth."""
    return query if query.is_plain and query.level == depth() else reading(query)


def narrowed(query: Query[Any], **clauses: Any) -> Query[Any]:
    """The query with further clauses; lambdas are called with what stands for its sources."""
    changes = {name: value for name, value in clauses.items() if value is not None}
    rows = query.stand_ins()
    where = changes.pop("where", None)
    if where is not None:
        condition = predicate_of(call_traced(where, *rows))
        changes["where"] = condition if query.where is None else _both(query.where, condition)
    order_by = changes.pop("order_by", None)
    if order_by is not None:
        changes["order_by"] = ordering_of(call_traced(order_by, *rows))
    made = msgspec.structs.replace(query, **changes)
    check_distinct(made)
    return made


def _both(one: Expr, other: Expr) -> Expr:
    return Logic("and", one, other)


@overload
def project(
    query: Join2[A, B],
    into: Callable[[A, B], R],
    *,
    group_by: Callable[[A, B], object] | None = None,
    having: Callable[[A, B], bool] | None = None,
    order_by: Callable[[A, B], object] | None = None,
    limit: int | None = None,
    distinct: bool = False,
) -> Query[R]: ...
@overload
def project(
    query: Join3[A, B, C],
    into: Callable[[A, B, C], R],
    *,
    group_by: Callable[[A, B, C], object] | None = None,
    having: Callable[[A, B, C], bool] | None = None,
    order_by: Callable[[A, B, C], object] | None = None,
    limit: int | None = None,
    distinct: bool = False,
) -> Query[R]: ...
@overload
def project(
    query: Join4[A, B, C, D],
    into: Callable[[A, B, C, D], R],
    *,
    group_by: Callable[[A, B, C, D], object] | None = None,
    having: Callable[[A, B, C, D], bool] | None = None,
    order_by: Callable[[A, B, C, D], object] | None = None,
    limit: int | None = None,
    distinct: bool = False,
) -> Query[R]: ...
@overload
def project(
    query: Query[T],
    into: Callable[[T], R],
    *,
    group_by: Callable[[T], object] | None = None,
    having: Callable[[T], bool] | None = None,
    order_by: Callable[[T], object] | None = None,
    limit: int | None = None,
    distinct: bool = False,
) -> Query[R]: ...
def project(
    query: Any,
    into: Callable[..., Any],
    *,
    group_by: Callable[..., object] | None = None,
    having: Callable[..., bool] | None = None,
    order_by: Callable[..., object] | None = None,
    limit: int | None = None,
    distinct: bool = False,
) -> Query[Any]:
    """Describe what to make of a query's rows: a Struct, a tuple or one value.

    Args:
        query: What to read. The lambdas take one argument for each source of a joined query.
        into: ``lambda f: CarrierDelay(f.carrier, tl.avg(f.dep_delay))``, a tuple, or one field.
        group_by: A field or tuple of fields: one row of the answer for each of their values.
        having: Keeps the groups for which it is true: ``lambda f: tl.count() > 10``.
        order_by: Replaces the query's ordering; aggregates are allowed.
        limit: Replaces the query's limit.
        distinct: Rows of the answer that are the same come once.

    Raises:
        TypeError: `into` makes nothing from the row, rows are limited before they are grouped, or
            groups are ordered by something that they have no one value of.
    """
    base = query_given("project", query)
    if base.projection is not None or base.distinct or base.level != depth():
        base = reading(base)
    if having is not None and group_by is None:
        raise TypeError("project: having chooses groups; give group_by, or choose rows: tl.where")
    rows = base.stand_ins()
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    fields["projection"] = projection_of(call_traced(into, *rows))
    fields["group_by"] = () if group_by is None else _group_keys(call_traced(group_by, *rows))
    fields["distinct"] = distinct
    if having is not None:
        fields["having"] = predicate_of(call_traced(having, *rows), "having")
    # Not a joined query any more: further lambdas take one argument, what was made of each row.
    made: Query[Any] = Query(**fields)
    _check_limited(made)
    if order_by is not None:
        made = msgspec.structs.replace(made, order_by=ordering_of(call_traced(order_by, *rows)))
    elif is_aggregate(made) and not made.group_by:
        made = msgspec.structs.replace(made, order_by=())
    if limit is not None:
        made = msgspec.structs.replace(made, limit=row_count("limit", limit))
    check_group_ordering(made)
    check_distinct(made)
    if made.lock is not None:
        check_lockable(made)
    return made


def _check_limited(query: Query[Any]) -> None:
    limited = query.limit is not None or query.offset is not None
    if limited and query.group_by:
        raise TypeError("project: limit the groups with project(…, limit=), not the rows before it")
    if limited and (is_aggregate(query) or any(map(has_window, outputs_of(query)))):
        raise TypeError(
            "project: SQL limits rows after aggregates and windows; tl.select(query) reads the "
            "limited rows as they are, project(…, limit=) limits what is made"
        )


def _group_keys(traced: object) -> tuple[Expr, ...]:
    keys = traced if is_tuple(traced) else (traced,)
    if not keys or not all(isinstance(key, Traced) for key in keys):
        raise TypeError("group_by must return a field or a tuple of fields")
    found = tuple(key.expr for key in keys if isinstance(key, Traced))
    if any(map(has_aggregate, found)):
        raise TypeError("group_by makes the groups; an aggregate has no value before them")
    return found


def projection_of(made: object) -> Projection:
    """What a traced lambda makes of each row.

    Raises:
        TypeError: It makes nothing from the row.
    """
    if isinstance(made, Traced):
        return Projection("scalar", object, (Output("value", _output(made)),))
    if isinstance(made, msgspec.Struct):
        fields = msgspec.structs.fields(type(made))
        outputs = [Output(field.name, _output(getattr(made, field.name))) for field in fields]
        projection = Projection("struct", type(made), tuple(outputs))
    elif is_tuple(made):
        outputs = [Output(f"column{n}", _output(item)) for n, item in enumerate(made, 1)]
        projection = Projection("tuple", tuple, tuple(outputs))
    else:
        raise TypeError(f"project must make a Struct, a tuple or a field of each row, not {made!r}")
    if all(isinstance(output.expr, Value) for output in projection.outputs):
        raise TypeError("project makes the same of every row; use a field of the entity")
    return projection


def _output(value: object) -> Expr:
    if isinstance(value, Traced):
        check_ranked(value.expr)
        return value.expr
    if value is None:
        return Value(None, TEXT)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return to_expr(value, type_of(value))
