"""`select` and `project`: a query is a frozen value; building one does no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import msgspec

from tierline.entity import Table
from tierline.entity.types import TEXT, ColumnType, is_tuple
from tierline.query.expressions import Expr, Ordering, Value, has_aggregate
from tierline.query.operands import number, type_of
from tierline.query.tracing import Traced, to_expr, trace, trace_ordering, trace_predicate

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

Shape: TypeAlias = Literal["entity", "struct", "tuple", "scalar"]


class Output(msgspec.Struct, frozen=True):
    """One column of the answer."""

    name: str
    expr: Expr

    @property
    def type(self) -> ColumnType:
        """The type it is read as."""
        return self.expr.type


class Projection(msgspec.Struct, frozen=True):
    """What each row of the answer is made into."""

    shape: Shape
    into: Callable[..., Any]
    outputs: tuple[Output, ...]


class Fetchable(Generic[T_co]):
    """What a store reads: its rows are `T`."""

    __slots__ = ()


class Query(msgspec.Struct, Fetchable[T_co], frozen=True, eq=False, dict=True):
    """An inert query whose rows are `T`; perform it with `store.fetch_all` and the like."""

    table: Table[Any, Any]
    where: Expr | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int | None = None
    projection: Projection | None = None
    group_by: tuple[Expr, ...] = ()

    @property
    def sql(self) -> str:
        """The statement with its parameters' types in place of their values.

        Raises:
            ConfigurationError: A name cannot be an identifier.
            QueryError: The query is nested too deeply.
        """
        return _shown_by[-1](self)

    def __repr__(self) -> str:
        into = self.projection.into if self.projection else self.table.entity
        given = [
            name
            for name in ("where", "group_by", "order_by", "limit", "offset")
            if getattr(self, name) not in (None, ())
        ]
        clauses = f" with {', '.join(given)}" if given else ""
        return f"<Query of {getattr(into, '__name__', into)} from {self.table.name}{clauses}>"


# Text is made on a higher line than queries, so the function that shows it is handed down.
_shown_by: list[Callable[[Query[Any]], str]] = []


def show_queries_by(show: Callable[[Query[Any]], str]) -> None:
    """Say how a query is shown as SQL."""
    _shown_by.append(show)


def select(
    table: Table[T, Any],
    *,
    where: Callable[[T], bool] | None = None,
    order_by: Callable[[T], object] | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Query[T]:
    """Describe which rows of a table to read.

    Args:
        table: The table to read.
        where: Keeps the rows for which it is true: ``lambda f: (f.origin == "JFK") & (f.id > 3)``.
        order_by: A field, ``tl.desc(field)``, or a tuple of them.
        limit: The most rows to answer with.
        offset: How many rows to skip first.

    Raises:
        TypeError: A lambda does something that cannot be traced; the message names what can.
        AttributeError: A lambda names a field that the entity does not have.
        ValueError: `limit` or `offset` is negative.
    """
    return Query(
        table,
        where=None if where is None else trace_predicate(table, where),
        order_by=() if order_by is None else trace_ordering(table, order_by),
        limit=_row_count("limit", limit),
        offset=_row_count("offset", offset),
    )


def project(
    query: Query[T],
    into: Callable[[T], R],
    *,
    group_by: Callable[[T], object] | None = None,
    order_by: Callable[[T], object] | None = None,
    limit: int | None = None,
) -> Query[R]:
    """Describe what to make of a query's rows: a Struct, a tuple or one value.

    Args:
        query: What to read.
        into: ``lambda f: CarrierDelay(f.carrier, tl.avg(f.dep_delay))``, a tuple, or one field.
        group_by: A field or tuple of fields: one row of the answer for each of their values.
        order_by: Replaces the query's ordering; aggregates are allowed.
        limit: Replaces the query's limit.

    Raises:
        TypeError: `into` makes nothing from the row, or the query is already projected.
    """
    if query.projection is not None:
        raise TypeError("project: the query is already projected")
    table = query.table
    if group_by is not None and (query.limit is not None or query.offset is not None):
        raise TypeError("project: limit the groups with project(…, limit=), not the rows before it")
    return cast(
        "Query[R]",
        msgspec.structs.replace(
            query,
            projection=_projection(trace(table, into)),
            group_by=() if group_by is None else _group_keys(table, group_by),
            order_by=query.order_by if order_by is None else trace_ordering(table, order_by),
            limit=query.limit if limit is None else _row_count("limit", limit),
        ),
    )


def _row_count(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value is not None and value < 0:
        raise ValueError(f"{name} must not be negative, but is {value}")
    return value


def _group_keys(table: Table[Any, Any], function: Callable[[Any], object]) -> tuple[Expr, ...]:
    traced = trace(table, function)
    keys = traced if is_tuple(traced) else (traced,)
    if not keys or not all(isinstance(key, Traced) for key in keys):
        raise TypeError("group_by must return a field or a tuple of fields")
    found = tuple(key.expr for key in keys if isinstance(key, Traced))
    if any(map(has_aggregate, found)):
        raise TypeError("group_by makes the groups; an aggregate has no value before them")
    return found


def _projection(made: object) -> Projection:
    if isinstance(made, Traced):
        return Projection("scalar", object, (Output("value", made.expr),))
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
        return value.expr
    if value is None:
        return Value(None, TEXT)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return to_expr(value, type_of(value))
