"""Shapes of queries over one table: what is drawn, and the query that it describes.

As in `recipes`, joins, subqueries, unions and recursions are trees of tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from tests.grammar.recipes import Recipe, build

import tierline as tl

SETS: dict[str, Callable[..., Any]] = {
    "union": tl.union,
    "intersect": tl.intersect,
    "except": tl.except_,
}


class Shape(NamedTuple):
    """A query that was drawn.

    Attributes:
        base: What it reads.
        form: What it makes of that: rows, pairs, values, groups, windows, or distinct values.
        items: What of.
        order: By which fields.
        limit: The most rows; only where the order is total.
        is_total: Whether the order leaves nothing open.
    """

    base: Recipe
    form: str
    items: tuple[Recipe, ...] = ()
    keys: tuple[Recipe, ...] = ()
    order: tuple[tuple[Recipe, bool, str | None], ...] = ()
    limit: int | None = None
    is_total: bool = False


class Place(msgspec.Struct, frozen=True):
    """A row of a recursion."""

    id: int
    hops: int


class Over:
    """What the recipes' fields are of: those of the left row, and as `r_…` those of the right."""

    def __init__(self, left: Any, right: Any = None) -> None:
        self._sides = (left, right)

    def __getattr__(self, name: str) -> Any:
        left, right = self._sides
        return getattr(right, name[2:]) if name.startswith("r_") else getattr(left, name)


def on_of(pairs: Any, extra: Recipe | None) -> Callable[[Any, Any], Any]:
    """The condition of a join."""

    def on(left: Any, right: Any) -> Any:
        over = Over(left, right)
        found = None if extra is None else build(extra, over)
        for one, other in pairs:
            same = getattr(over, one) == getattr(over, other)
            found = same if found is None else same & found
        return found

    return on


def relation(table: tl.Table[Any, Any], recipe: Recipe) -> tl.Query[Any]:
    """A query of the table's entities."""
    match recipe:
        case ("rows", None):
            return tl.select(table)
        case ("rows", condition):
            return tl.select(table, where=lambda row: build(condition, row))
        case ("page", inner, descending, limit, offset):
            order = tl.desc if descending else tl.asc
            ordered = tl.order_by(relation(table, inner), lambda row: order(row.id))
            return tl.limit(ordered, limit, offset=offset)
        case ("distinct", inner):
            return tl.select(relation(table, inner), distinct=True)
        case ("set", name, keep, left, right):
            sides = relation(table, left), relation(table, right)
            made: tl.Query[Any] = SETS[name](*sides, keep_duplicates=keep)
            return made
        case ("cte", inner):
            return tl.cte(relation(table, inner))
        case ("semi" | "anti" as name, left, right, pairs, extra):
            join = tl.semi_join if name == "semi" else tl.anti_join
            return join(relation(table, left), relation(table, right), on_of(pairs, extra))
        case ("where", inner, condition):
            return tl.where(relation(table, inner), lambda row: nested(table, condition, row))
    raise AssertionError(recipe)


def nested(table: tl.Table[Any, Any], recipe: Recipe, row: Any) -> Any:
    """A condition with a query in it."""
    match recipe:
        case ("not", inner):
            return tl.not_(nested(table, inner, row))
        case ("&" | "|" as symbol, left, right):
            one, other = build(left, row), nested(table, right, row)
            return one & other if symbol == "&" else one | other
        case ("in", operand, inner, output):
            among = tl.project(relation(table, inner), lambda other: build(output, other))
            return tl.is_in(build(operand, row), among)
        case ("exists", inner, pairs):
            return tl.exists(own(table, inner, pairs, row))
        case ("scalar", symbol, operand, fold, inner, pairs):
            value = tl.project(own(table, inner, pairs, row), lambda other: build(fold, other))
            sides = _Two(build(operand, row), tl.scalar(value))
            return build((symbol, ("field", "a"), ("field", "b")), sides)
    raise AssertionError(recipe)


def own(table: tl.Table[Any, Any], inner: Recipe, pairs: Any, row: Any) -> tl.Query[Any]:
    """The rows of an inner query that belong to a row: all of them where there are no pairs."""
    found = relation(table, inner)
    if not pairs:
        return tl.select(found)
    return tl.where(found, lambda other: on_of(pairs, None)(row, other))


class _Two(NamedTuple):
    a: Any
    b: Any


def query(table: tl.Table[Any, Any], shape: Shape) -> tl.Query[Any]:
    """The query that a shape describes."""
    base = source(table, shape.base)
    over = _over(shape.base)

    def order_by(*args: Any) -> Any:
        return tuple(
            (tl.desc if descending else tl.asc)(build(recipe, over(*args)), nulls=nulls)  # type: ignore[arg-type]
            for recipe, descending, nulls in shape.order
        )

    ordering = order_by if shape.order else None
    if shape.form == "rows":
        made = base if ordering is None else tl.order_by(base, ordering)
        return made if shape.limit is None else tl.limit(made, shape.limit)

    def into(*args: Any) -> Any:
        row = over(*args)
        return tuple(window(item, row) for item in shape.items)

    keys = shape.keys
    return tl.project(
        base,
        into,
        group_by=(lambda *args: tuple(build(key, over(*args)) for key in keys)) if keys else None,
        order_by=ordering,
        limit=shape.limit,
        distinct=shape.form == "distinct",
    )


def source(table: tl.Table[Any, Any], recipe: Recipe) -> Any:
    """What a shape reads."""
    match recipe:
        case ("join" | "left" | "cross" as kind, left, right, pairs, extra, where):
            sides = relation(table, left), relation(table, right)
            joined: Any
            if kind == "cross":
                joined = tl.cross_join(*sides)
            else:
                join = tl.join if kind == "join" else tl.left_join
                joined = join(*sides, on_of(pairs, extra))
            if where is not None:
                over = _over(recipe)
                joined = tl.where(joined, lambda *args: build(where, over(*args)))
            return joined
        case ("recursive", inner, field, keep, most):
            base = tl.project(relation(table, inner), lambda row: Place(row.id, 0))

            def step(found: tl.Query[Place]) -> tl.Query[Place]:
                onward = tl.join(
                    found, table, lambda p, row: (getattr(row, field) == p.id) & (p.hops < most)
                )
                return tl.project(onward, lambda p, row: Place(row.id, p.hops + 1))

            return tl.recursive(base, step, keep_duplicates=keep)
        case ("page", *_):
            # The limited rows as they are, not a limit of what is made of them.
            return tl.select(relation(table, recipe))
        case _:
            return relation(table, recipe)


def _over(recipe: Recipe) -> Callable[..., Over]:
    if recipe[0] == "left":
        return lambda left, right: Over(left, tl.some(right))
    return Over


def window(recipe: Recipe, row: Any) -> Any:
    """An output: an expression, or one over the rows around."""
    match recipe:
        case ("over", function, operands, keys, order, frame):
            given = [build(operand, row) for operand in operands]
            return tl.over(
                getattr(tl, function)(*given),
                partition_by=tuple(build(key, row) for key in keys),
                order_by=tuple(
                    (tl.desc if descending else tl.asc)(build(key, row), nulls=nulls)  # type: ignore[arg-type]
                    for key, descending, nulls in order
                )
                or None,
                frame=None if frame is None else getattr(tl, frame[0])(*frame[1:]),
            )
        case _:
            return build(recipe, row)
