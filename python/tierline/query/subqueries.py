"""Queries inside the conditions and outputs of others."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from tierline.entity.types import BOOL, ColumnType
from tierline.query.expressions import Expr
from tierline.query.query import Query, query_given
from tierline.query.tracing import Traced

R = TypeVar("R")


class Exists(Expr, frozen=True, eq=False):
    """Whether a query has any row."""

    query: Query[Any]

    @property
    def type(self) -> ColumnType:
        """A boolean."""
        return BOOL


class Scalar(Expr, frozen=True, eq=False):
    """The one value that a query answers with, or NULL."""

    query: Query[Any]

    @property
    def type(self) -> ColumnType:
        """The value's type."""
        return self.query.answer.outputs[0].type


class InQuery(Expr, frozen=True, eq=False):
    """Whether the operand equals a value that a query answers with."""

    operand: Expr
    query: Query[Any]


def exists(query: Query[Any]) -> bool:
    """Whether a query has any row, for each row of the query around it.

    Example:
        ``tl.select(PLANES, where=lambda p: tl.exists(tl.select(FLIGHTS, where=lambda f:
        f.tailnum == p.tailnum)))``
    """
    return cast("bool", Traced(Exists(query_given("exists", query))))


def scalar(query: Query[R]) -> R | None:
    """The value of a query of one value, for each row of the query around it; None without a row.

    Raises:
        TypeError: The query answers with more than one value a row.
    """
    if query_given("scalar", query).answer.shape != "scalar":
        raise TypeError("scalar takes a query of one value: project it to a single field")
    return cast("R | None", Traced(Scalar(query)))


def in_query(operand: Expr, query: Query[Any]) -> Traced:
    """Whether the operand is among a query's values.

    Raises:
        TypeError: The query answers with more than one value a row, or with another type.
    """
    answer = query.answer
    if answer.shape != "scalar":
        raise TypeError("is_in takes a query of one value: project it to a single field")
    found = answer.outputs[0].type
    if found.oid != operand.type.oid and not (found.is_number and operand.type.is_number):
        raise TypeError(f"{operand.type.sql} cannot be compared with {found.sql}")
    return Traced(InQuery(operand, query))
