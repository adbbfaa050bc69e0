"""Laws of the combinators: what must hold of any rows and any conditions, checked in memory.

Each law is a pair of queries that mean the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.grammar.expressions import Grammar
from tests.grammar.recipes import Recipe, build
from tests.grammar.tables import Spec, columns, rows, table_of

import tierline as tl
from tierline.entity import Table

KINDS = ("int", "text", "bool", "date", "uuid", "colour", "word", "time", "texts", "json")


class World(NamedTuple):
    """A table, its rows, and what laws speak of."""

    table: Table[Any, Any]
    rows: list[Any]
    p: Callable[[Any], Any]
    q: Callable[[Any], Any]
    r: Callable[[Any], Any]
    keys: tuple[Recipe, ...]
    m: int
    n: int

    def __repr__(self) -> str:
        return f"World({self.rows}, keys={self.keys}, m={self.m}, n={self.n})"


def _condition(recipe: Recipe) -> Callable[[Any], Any]:
    return lambda row: build(recipe, row)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A table of any columns, with conditions on it."""
    specs: tuple[Spec, ...] = draw(columns(KINDS))
    table = table_of("drawn", specs)
    made = draw(rows(table.entity, specs, wild=True))
    # An error would be a law's end: which of two operands fails first is not fixed.
    grammar = Grammar(draw, specs, wild=True, arithmetic=False)
    conditions = [_condition(grammar.condition(2)) for _ in range(3)]
    keys = tuple(("field", spec.name) for spec in specs if spec.kind != "json")
    return World(table, made, *conditions, keys, draw(st.integers(0, 14)), draw(st.integers(0, 14)))


def kept(world: World, condition: Callable[[Any], Any]) -> tl.Query[Any]:
    return tl.select(world.table, where=condition)


def ordered(world: World, **clauses: Any) -> tl.Query[Any]:
    keys = world.keys or (("field", "id"),)
    return tl.select(
        world.table,
        where=world.p,
        order_by=lambda row: tuple(build(key, row) for key in keys),
        **clauses,
    )


Law = Callable[[World], tuple[tl.Query[Any], tl.Query[Any]]]

LAWS: dict[str, Law] = {
    "where composes like &": lambda w: (
        tl.where(kept(w, w.p), w.q),
        kept(w, lambda row: w.p(row) & w.q(row)),
    ),
    "& commutes": lambda w: (
        kept(w, lambda row: w.p(row) & w.q(row)),
        kept(w, lambda row: w.q(row) & w.p(row)),
    ),
    "| commutes": lambda w: (
        kept(w, lambda row: w.p(row) | w.q(row)),
        kept(w, lambda row: w.q(row) | w.p(row)),
    ),
    "& distributes over |": lambda w: (
        kept(w, lambda row: w.p(row) & (w.q(row) | w.r(row))),
        kept(w, lambda row: (w.p(row) & w.q(row)) | (w.p(row) & w.r(row))),
    ),
    "not_ undoes itself": lambda w: (kept(w, lambda row: tl.not_(tl.not_(w.p(row)))), kept(w, w.p)),
    "not of & is | of nots": lambda w: (
        kept(w, lambda row: tl.not_(w.p(row) & w.q(row))),
        kept(w, lambda row: tl.not_(w.p(row)) | tl.not_(w.q(row))),
    ),
    "not of | is & of nots": lambda w: (
        kept(w, lambda row: tl.not_(w.p(row) | w.q(row))),
        kept(w, lambda row: tl.not_(w.p(row)) & tl.not_(w.q(row))),
    ),
    "limit takes the minimum": lambda w: (
        tl.limit(ordered(w, limit=w.m), w.n),
        ordered(w, limit=min(w.m, w.n)),
    ),
    "project of limit is limit of project": lambda w: (
        tl.project(ordered(w, limit=w.n), lambda row: row.id),
        tl.project(ordered(w), lambda row: row.id, limit=w.n),
    ),
    "distinct keys are all rows": lambda w: (
        tl.project(ordered(w), lambda row: row.id),
        tl.project(
            tl.select(w.table, where=w.p, order_by=lambda row: row.id),
            lambda row: row.id,
            distinct=True,
        ),
    ),
}  # fmt: skip
UNORDERED = {"distinct keys are all rows"}


def answer(query: tl.Query[Any], given_rows: list[Any]) -> list[Any]:
    return tl.evaluate(query, given_rows).unwrap()


law_settings = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", LAWS)
@given(world=worlds())
@law_settings
def test_a_law_holds(name: str, world: World) -> None:
    left, right = (answer(query, world.rows) for query in LAWS[name](world))
    assert sorted(left) == sorted(right) if name in UNORDERED else left == right


@given(world=worlds())
@law_settings
def test_a_row_is_kept_by_a_condition_its_negation_or_neither(world: World) -> None:
    true = answer(kept(world, world.p), world.rows)
    false = answer(kept(world, lambda row: tl.not_(world.p(row))), world.rows)
    unknown = answer(kept(world, lambda row: tl.is_null(world.p(row))), world.rows)
    assert sorted(row.id for row in true + false + unknown) == [row.id for row in world.rows]


@given(world=worlds())
@law_settings
def test_a_where_keeps_the_rows_that_match(world: World) -> None:
    matches = tl.row_filter(world.table, world.p)
    assert answer(kept(world, world.p), world.rows) == [r for r in world.rows if matches(r)]


@given(world=worlds())
@law_settings
def test_project_after_select_makes_the_fields_of_what_select_answers(world: World) -> None:
    chosen = answer(ordered(world), world.rows)
    made = answer(tl.project(ordered(world), lambda row: (row.id, row.id + 1)), world.rows)
    assert made == [(row.id, row.id + 1) for row in chosen]


@given(world=worlds())
@law_settings
def test_order_by_is_a_stable_permutation(world: World) -> None:
    keys = world.keys or (("field", "id"),)
    chosen, sorted_rows = (
        answer(query, world.rows) for query in (kept(world, world.p), ordered(world))
    )
    assert sorted(row.id for row in sorted_rows) == [row.id for row in chosen]
    for _, group in itertools.groupby(sorted_rows, lambda row: [build(key, row) for key in keys]):
        ids = [row.id for row in group]
        assert ids == sorted(ids), "rows that tie keep their order"


@given(world=worlds())
@law_settings
def test_pages_side_by_side_are_the_whole(world: World) -> None:
    whole = answer(ordered(world), world.rows)
    size = world.m + 1
    pages = [
        answer(ordered(world, limit=size, offset=start), world.rows)
        for start in range(0, len(whole) + 1, size)
    ]
    assert list(itertools.chain(*pages)) == whole


@given(world=worlds())
@law_settings
def test_count_is_the_number_of_rows(world: World) -> None:
    counted = tl.project(kept(world, world.p), lambda _: tl.count())
    assert answer(counted, world.rows) == [len(answer(kept(world, world.p), world.rows))]


@given(world=worlds())
@law_settings
def test_groups_divide_the_rows(world: World) -> None:
    grouped = tl.project(
        kept(world, world.p),
        lambda row: tl.array_agg(row.id, order_by=row.id),
        group_by=lambda row: tuple(build(key, row) for key in world.keys) or row.id,
    )
    ids = sorted(itertools.chain(*answer(grouped, world.rows)))
    assert ids == [row.id for row in answer(kept(world, world.p), world.rows)]
