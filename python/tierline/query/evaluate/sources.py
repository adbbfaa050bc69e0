"""What queries read from besides queries: tables, unions and the like, CTEs and recursions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tierline.entity import Table
from tierline.query.evaluate.contexts import Captures, Context
from tierline.query.evaluate.faults import endless
from tierline.query.evaluate.recursion import check_recursion, reads_from
from tierline.query.evaluate.registry import Run, Source, source, source_of
from tierline.query.evaluate.select import tuples
from tierline.query.evaluate.values import Read, identity_of, reader
from tierline.query.query import Compound, Cte, CteRef, Query

RECURSION_ROWS_MAX = 1_000_000
"""So many rows of a recursion are taken for one that does not end."""

Together = Callable[[list[Any], list[Any]], list[Any]]


@source(Table)
def _table(table: Table[Any, Any], captures: Captures | None) -> Source:
    del captures

    def rows(context: Context) -> list[Any]:
        return context.data.rows(table)

    def column(name: str) -> Read:
        return reader(table.column(name))

    return Source(rows, column, is_whole=True, is_fixed=True)


@source(Compound)
def _compound_source(compound: Compound, captures: Captures | None) -> Source:
    return _compound(compound, captures)


def _compound(compound: Compound, captures: Captures | None) -> Source:
    names = [output.name for output in compound.left.answer.outputs]
    sides = [_tuples_of(query, captures) for query in (compound.left, compound.right)]
    (left, left_fixed), (right, right_fixed) = sides
    together = _together(compound)

    def rows(context: Context) -> list[Any]:
        return together(left(context), right(context))

    return tuples(rows, names, is_fixed=left_fixed and right_fixed)


def _tuples_of(query: Query[Any], captures: Captures | None) -> tuple[Run, bool]:
    """A query's rows as tuples of kept values, and whether they stay the same."""
    found = source_of(query, captures)
    if not found.is_whole:
        return found.rows, found.is_fixed
    reads = [found.column(output.name) for output in query.answer.outputs]

    def rows(context: Context) -> list[Any]:
        return [tuple([read(row) for read in reads]) for row in found.rows(context)]

    return rows, found.is_fixed


def _identity(query: Query[Any]) -> Read:
    """From a tuple of kept values to what is the same for rows that PostgreSQL takes for one."""
    outputs = query.answer.outputs
    return identity_of([(_item(n), output.type) for n, output in enumerate(outputs)])


def _item(position: int) -> Read:
    return lambda row: row[position]


def _together(compound: Compound) -> Together:
    if compound.operator == "UNION ALL":
        return lambda left, right: [*left, *right]
    identity = _identity(compound.left)

    def union(left: list[Any], right: list[Any]) -> list[Any]:
        return list(_once([*left, *right], identity).values())

    def chosen(left: list[Any], right: list[Any]) -> list[Any]:
        wanted = compound.operator == "INTERSECT"
        others = set(map(identity, right))
        return [row for key, row in _once(left, identity).items() if (key in others) is wanted]

    def chosen_all(left: list[Any], right: list[Any]) -> list[Any]:
        # Each row of the right side stands for one of the left.
        wanted = compound.operator == "INTERSECT ALL"
        others = Counter(map(identity, right))
        kept: list[Any] = []
        for row in left:
            key = identity(row)
            has_partner = others[key] > 0
            others[key] -= has_partner
            if has_partner is wanted:
                kept.append(row)
        return kept

    if compound.operator == "UNION":
        return union
    return chosen if compound.operator in ("INTERSECT", "EXCEPT") else chosen_all


def _once(rows: Sequence[Any], identity: Read) -> dict[Any, Any]:
    """The first of the rows that are the same, by what identifies it."""
    found: dict[Any, Any] = {}
    for row in rows:
        found.setdefault(identity(row), row)
    return found


@source(Cte)
def _cte(cte: Cte, captures: Captures | None) -> Source:
    # It stands apart from the queries around it, whose rows it cannot see.
    del captures
    names = [output.name for output in cte.base.answer.outputs]
    base, _ = _tuples_of(cte.base, None)
    mark = id(cte.mark)
    if cte.step is None:
        run = base
    elif not reads_from(cte.step, cte.mark):
        # No recursion: a union, as PostgreSQL takes it.
        operator: Any = "UNION ALL" if cte.union_all else "UNION"
        run = _compound(Compound(operator, cte.base, cte.step), None).rows
    else:
        check_recursion(cte)
        step, _ = _tuples_of(cte.step, None)
        run = _recursive(cte, base, step)

    def once(context: Context) -> list[Any]:
        # By its mark: read from two places, it is worked out once.
        found: list[Any] = context.data.once(("cte", mark), lambda: run(context))
        return found

    return tuples(once, names, is_fixed=True)


def _recursive(cte: Cte, base: Run, step: Run) -> Run:
    identity = None if cte.union_all else _identity(cte.base)
    mark = id(cte.mark)

    def run(context: Context) -> list[Any]:
        # It sees the values of no query around it.
        own = Context(context.data)
        seen: set[Any] = set()

        def new(rows: list[Any]) -> list[Any]:
            if identity is None:
                return rows
            found = [(key, row) for key, row in _once(rows, identity).items() if key not in seen]
            seen.update(key for key, _ in found)
            return [row for _, row in found]

        latest = new(base(own))
        found = list(latest)
        while latest:
            context.data.rounds[mark] = latest
            latest = new(step(own))
            found += latest
            if len(found) > RECURSION_ROWS_MAX:
                raise endless(RECURSION_ROWS_MAX)
        return found

    return run


@source(CteRef)
def _cte_ref(reference: CteRef, captures: Captures | None) -> Source:
    del captures
    names = [output.name for output in reference.base.answer.outputs]
    mark = id(reference.mark)
    return tuples(lambda context: context.data.rounds[mark], names, is_fixed=False)
