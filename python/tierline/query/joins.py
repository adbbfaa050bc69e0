"""Joins: rows of several sources side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, overload

from tierline.entity import Table
from tierline.query.functions import not_
from tierline.query.query import (
    Join,
    Join2,
    Join3,
    Join4,
    JoinedQuery,
    Query,
    Relation,
    query_of,
    source_given,
    stand_in,
)
from tierline.query.select import narrowed, open_query, reading, select
from tierline.query.sight import depth
from tierline.query.subqueries import exists
from tierline.query.tracing import call_traced, predicate_of

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

Source: TypeAlias = Table[A, Any] | Query[A]

_JOINS: tuple[type[Any], ...] = (Query, Query, Join2, Join3, Join4)


@overload
def join(
    left: Join3[A, B, C], right: Source[D], on: Callable[[A, B, C, D], bool]
) -> Join4[A, B, C, D]: ...
@overload
def join(left: Join2[A, B], right: Source[C], on: Callable[[A, B, C], bool]) -> Join3[A, B, C]: ...
@overload
def join(left: Source[A], right: Source[B], on: Callable[[A, B], bool]) -> Join2[A, B]: ...
def join(left: Any, right: Any, on: Callable[..., bool]) -> Any:
    """Every pair of rows that belong together.

    Args:
        left: A table, a query, or a join, to which a further source is added.
        right: A table or a query.
        on: Which rows belong together: ``lambda f, p: f.tailnum == p.tailnum``; one argument for
            each source.

    Returns:
        A query of tuples. Its lambdas, as of `tl.where` and `tl.project`, take one argument for
        each source.

    Raises:
        TypeError: `on` is no condition, or five sources are joined: project four of them first.
    """
    return _joined("JOIN", left, right, on)


@overload
def left_join(
    left: Join3[A, B, C], right: Source[D], on: Callable[[A, B, C, D], bool]
) -> Join4[A, B, C, D | None]: ...
@overload
def left_join(
    left: Join2[A, B], right: Source[C], on: Callable[[A, B, C], bool]
) -> Join3[A, B, C | None]: ...
@overload
def left_join(
    left: Source[A], right: Source[B], on: Callable[[A, B], bool]
) -> Join2[A, B | None]: ...
def left_join(left: Any, right: Any, on: Callable[..., bool]) -> Any:
    """Every row of the left side, with each row of the right one that belongs to it, or None.

    Later lambdas see the right side as optional: ``tl.some(p).model`` is its field, NULL where
    there is no row; ``tl.is_null(p)`` tells whether there is none.

    Args:
        left: As in `tl.join`.
        right: A table or a query.
        on: Which rows belong together.
    """
    return _joined("LEFT JOIN", left, right, on)


@overload
def cross_join(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    left: Join3[A, B, C], right: Source[D]
) -> Join4[A, B, C, D]: ...
@overload
def cross_join(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    left: Join2[A, B], right: Source[C]
) -> Join3[A, B, C]: ...
@overload
def cross_join(left: Source[A], right: Source[B]) -> Join2[A, B]: ...
def cross_join(left: Any, right: Any) -> Any:
    """Every row of one side with every row of the other."""
    return _joined("CROSS JOIN", left, right, None)


def semi_join(left: Source[A], right: Source[B], on: Callable[[A, B], bool]) -> Query[A]:
    """The rows of the left side that some row of the right one belongs to, each once."""

    def condition(row: A) -> bool:
        return exists(_matching(right, row, on))

    return narrowed(_rows_of(left), where=condition)


def anti_join(left: Source[A], right: Source[B], on: Callable[[A, B], bool]) -> Query[A]:
    """The rows of the left side that no row of the right one belongs to."""

    def condition(row: A) -> bool:
        return not_(exists(_matching(right, row, on)))

    return narrowed(_rows_of(left), where=condition)


def _matching(right: Source[B], row: A, on: Callable[[A, B], bool]) -> Query[B]:
    def condition(other: B) -> bool:
        return on(row, other)

    return narrowed(_rows_of(right), where=condition)


def _rows_of(source: object) -> Query[Any]:
    """A query of a source whose lambdas take one argument, a tuple if it is a join."""
    given = source_given("semi_join", source)
    return select(given) if isinstance(given, JoinedQuery) else _base(given)


def _base(source: Table[Any, Any] | Query[Any]) -> Query[Any]:
    return reading(source) if isinstance(source, Table) else open_query(source)


def _joined(
    kind: Literal["JOIN", "LEFT JOIN", "CROSS JOIN"],
    left: Any,
    right: Any,
    on: Callable[..., bool] | None,
) -> Any:
    base = _base(source_given("join", left))
    if base.order_by:
        base = reading(base)
    relation = _unwrapped(source_given("join", right))
    if not isinstance(base, JoinedQuery):
        _check_row(base)
    if not isinstance(relation, Table):
        _check_row(query_of(relation))
    before = base.stand_ins()
    if len(before) >= len(_JOINS) - 1:
        raise TypeError("join: four sources are the most; project a join into a Struct first")
    row = stand_in(relation, (depth(), len(base.sources)))
    condition = None if on is None else predicate_of(call_traced(on, *before, row), "on")
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    fields["joins"] = (*base.joins, Join(kind, relation, condition))
    return _JOINS[len(before) + 1](**fields)


def _check_row(query: Query[Any]) -> None:
    if query.answer.shape in ("tuple", "joined"):
        raise TypeError("join: project a query of tuples into a Struct before joining it")


def _unwrapped(source: Table[Any, Any] | Query[Any]) -> Relation:
    """The table itself, where a query does no more than read it; its living rows otherwise."""
    if isinstance(source, Table):
        return source if source.deleted_at is None else reading(source)
    plain = source.is_plain and source.where is None and not source.joins and not source.order_by
    if plain:
        return source.table if source.relation is None else source.relation
    return source
