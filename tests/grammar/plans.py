"""Queries of one table: a plan that is drawn, and the query that it describes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from tests.grammar.recipes import Recipe, build

import tierline as tl


class Plan(NamedTuple):
    """A query that was drawn."""

    where: Recipe | None
    order: tuple[tuple[Recipe, bool, str | None], ...]
    is_total: bool
    limit: int | None
    offset: int | None
    outputs: tuple[Recipe, ...] = ()
    form: str = "entity"
    groups: tuple[Recipe, ...] | None = None
    having: Recipe | None = None
    distinct: bool = False


class Made1(msgspec.Struct, frozen=True):
    a: Any


class Made2(msgspec.Struct, frozen=True, kw_only=True):
    a: Any
    b: Any


class Made3(msgspec.Struct, frozen=True):
    a: Any
    b: Any
    c: Any


MADE: dict[int, Any] = {1: Made1, 2: Made2, 3: Made3}


def query(table: tl.Table[Any, Any], plan: Plan) -> tl.Query[Any]:
    """The query that a plan describes."""

    def order_by(row: Any) -> Any:
        return tuple(
            (tl.desc if descending else tl.asc)(build(recipe, row), nulls=nulls)  # type: ignore[arg-type]
            for recipe, descending, nulls in plan.order
        )

    where = plan.where
    condition = None if where is None else (lambda row: build(where, row))
    ordering = order_by if plan.order else None
    if plan.form == "entity":
        return tl.select(
            table,
            where=condition,
            order_by=ordering,
            limit=plan.limit,
            offset=plan.offset,
            distinct=plan.distinct,
        )
    grouped = plan.groups is not None
    chosen = tl.select(
        table,
        where=condition,
        order_by=None if grouped else ordering,
        limit=None if grouped else plan.limit,
        offset=None if grouped else plan.offset,
    )

    def into(row: Any) -> Any:
        values = [build(recipe, row) for recipe in plan.outputs]
        if plan.form == "scalar":
            return values[0]
        if plan.form == "tuple":
            return tuple(values)
        made = MADE[len(values)]
        return made(**dict(zip(made.__struct_fields__, values, strict=True)))

    groups, having = plan.groups, plan.having
    return tl.project(
        chosen,
        into,
        group_by=(lambda row: tuple(build(key, row) for key in groups)) if groups else None,
        order_by=ordering if grouped else None,
        limit=plan.limit if grouped else None,
        having=None if having is None else (lambda row: build(having, row)),
        distinct=plan.distinct,
    )
