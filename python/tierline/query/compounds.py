"""Queries made of whole queries: unions and the like, common table expressions, recursion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from tierline.query.checks import check_lockable
from tierline.query.correlation import check_uncorrelated
from tierline.query.expressions import Value
from tierline.query.query import (
    Compound,
    Cte,
    CteRef,
    Lock,
    Output,
    Projection,
    Query,
    query_given,
)
from tierline.query.select import reading

T = TypeVar("T")


def union(left: Query[T], right: Query[T], *, keep_duplicates: bool = False) -> Query[T]:
    """The rows of both queries; the same ones once, unless told to keep them.

    Raises:
        TypeError: Their rows are not alike.
    """
    return _compound("UNION", left, right, keep_duplicates=keep_duplicates)


def intersect(left: Query[T], right: Query[T], *, keep_duplicates: bool = False) -> Query[T]:
    """The rows that both queries have.

    Raises:
        TypeError: Their rows are not alike.
    """
    return _compound("INTERSECT", left, right, keep_duplicates=keep_duplicates)


def except_(left: Query[T], right: Query[T], *, keep_duplicates: bool = False) -> Query[T]:
    """The rows of the first query that the second does not have.

    Raises:
        TypeError: Their rows are not alike.
    """
    return _compound("EXCEPT", left, right, keep_duplicates=keep_duplicates)


def _compound(operator: Any, left: Query[T], right: Query[T], *, keep_duplicates: bool) -> Query[T]:
    left, right = _alike(operator.lower(), left, right)
    named: Any = f"{operator} ALL" if keep_duplicates else operator
    return reading(Compound(named, left, right))


def _alike(what: str, left: Query[T], right: Query[T]) -> tuple[Query[T], Query[T]]:
    """The queries, a plain None in the rows of one with the type that the other has there.

    Raises:
        TypeError: Their rows are not alike.
    """
    left, right = query_given(what, left), query_given(what, right)
    if len(left.answer.outputs) == len(right.answer.outputs):
        left, right = _typed(left, right), _typed(right, left)
    if _kind(left.answer) != _kind(right.answer):
        raise TypeError(
            f"{what}: the two queries' rows differ in their columns' number or types, or are "
            "different Structs"
        )
    return left, right


def _typed(query: Query[T], other: Query[Any]) -> Query[T]:
    """The query with each plain None typed as what the other has in its place."""
    projection = query.projection
    if projection is None:
        return query
    outputs = tuple(
        Output(own.name, Value(None, beside.type)) if _is_none(own) else own
        for own, beside in zip(projection.outputs, other.answer.outputs, strict=True)
    )
    if outputs == projection.outputs:
        return query
    return msgspec.structs.replace(
        query, projection=msgspec.structs.replace(projection, outputs=outputs)
    )


def _is_none(output: Output) -> bool:
    return isinstance(output.expr, Value) and output.expr.value is None


def _kind(answer: Projection) -> tuple[Any, ...]:
    """What the rows of queries that are put together have in common."""
    types = [(output.type.oid, output.type.choices) for output in answer.outputs]
    match answer.shape:
        case "entity" | "struct":
            return ("struct", answer.into, types)
        case "joined":
            return ("joined", [(part.into, part.fields) for part in answer.parts], types)
        case shape:
            return (shape, None, types)


def cte(query: Query[T]) -> Query[T]:
    """The query as a common table expression: it stands once in a statement that reads it twice.

    Raises:
        TypeError: It uses a row of the query around it.
    """
    check_uncorrelated("cte", query_given("cte", query))
    return reading(Cte(object(), query))


def recursive(
    base: Query[T], step: Callable[[Query[T]], Query[T]], *, keep_duplicates: bool = True
) -> Query[T]:
    """The rows of a query, and those that a step makes of them, until it makes none.

    Args:
        base: What it begins with.
        step: Makes a query of the rows of the last round, such as a join with them.
        keep_duplicates: Whether rows that have come before are kept and gone on from; without it a
            circle in the data ends.

    Raises:
        TypeError: The step's rows are not like the base's, or one of the two uses a row of the
            query around it.
    """
    mark = object()
    made = step(reading(CteRef(mark, query_given("recursive", base))))
    base, made = _alike("recursive", base, made)
    for part in (base, made):
        check_uncorrelated("recursive", part)
    return reading(Cte(mark, base, made, union_all=keep_duplicates))


_STRENGTHS = ("update", "no key update", "share", "key share")


def for_update(
    query: Query[T],
    *,
    strength: Literal["update", "no key update", "share", "key share"] = "update",
    nowait: bool = False,
    skip_locked: bool = False,
) -> Query[T]:
    """The query, with the rows that it answers with locked until the transaction ends.

    Args:
        query: It reads rows as they are: no groups, nothing distinct.
        strength: What others may still do with the rows, in PostgreSQL's words.
        nowait: A row that another transaction holds is an error at once.
        skip_locked: Such rows are left out.

    Raises:
        ValueError: Both `nowait` and `skip_locked`, or an unknown strength.
        TypeError: The query answers with no rows that could be locked: groups, distinct ones, those
            of a left join, of a union or of a common table expression.
    """
    if nowait and skip_locked:
        raise ValueError("for_update: give nowait or skip_locked, not both")
    if strength not in _STRENGTHS:
        raise ValueError(f"for_update: strength must be one of {_STRENGTHS}, not {strength!r}")
    check_lockable(query_given("for_update", query))
    wait: Any = " NOWAIT" if nowait else " SKIP LOCKED" if skip_locked else ""
    named: Any = strength.upper()
    return msgspec.structs.replace(query, lock=Lock(named, wait))
