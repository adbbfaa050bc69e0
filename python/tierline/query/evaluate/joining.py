"""Rows of several sources side by side: each source in turn is joined to the rows before it.

What a condition compares for equality becomes the key of an index of the source's rows, so that a
join of large tables looks at the pairs that belong together only. The query around a subquery is
its first source, of one row: a correlated subquery finds its rows by an index, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tierline.query.evaluate.contexts import Context
from tierline.query.evaluate.expressions import cast_to, common_type
from tierline.query.evaluate.registry import Run, Scope, Source, compiled
from tierline.query.evaluate.scopes import OneSource, SourcesScope
from tierline.query.evaluate.values import Convert, Read, key
from tierline.query.expressions import ColumnRef, Comparison, Expr, Logic, parts
from tierline.query.query import Query
from tierline.query.subqueries import Exists, InQuery, Scalar

NESTED = (Exists, Scalar, InQuery)


def has_nested(node: Expr) -> bool:
    """Whether a query stands anywhere in an expression."""
    return any(isinstance(part, NESTED) for part in parts(node))


class Condition(NamedTuple):
    """What must hold of a row as soon as the sources up to `position` are there."""

    position: int
    expr: Expr


def joined(query: Query[Any], sources: Sequence[Source], scope: SourcesScope) -> Run:
    """The function that makes the rows of all sources for which the query's conditions hold.

    Raises:
        TypeError: A condition cannot be evaluated in memory.
    """
    placed, last = _placed(query, scope)
    steps = [
        _step(source, position, query, placed[position], scope)
        for position, source in enumerate(sources)
    ]
    holds = [compiled(node, scope) for node in last]

    def run(context: Context) -> list[Any]:
        rows: list[Any] = [(context,)]
        for step in steps:
            rows = step(rows, context)
        for condition in holds:
            rows = [row for row in rows if condition(row) is True]
        return rows

    return run


def _placed(query: Query[Any], scope: SourcesScope) -> tuple[list[list[Expr]], list[Expr]]:
    """Which conditions each source is joined under, and which are left for the end."""
    placed: list[list[Expr]] = [[], *(list(_conjuncts(join.on)) for join in query.joins)]
    last: list[Expr] = []
    for node in _conjuncts(query.where):
        position = max(_positions(node, scope), default=0)
        # A left join keeps rows that its own condition does not hold for; where leaves them out.
        may_miss = position > 0 and query.joins[position - 1].kind == "LEFT JOIN"
        if may_miss or has_nested(node):
            last.append(node)
        else:
            placed[position].append(node)
    return placed, last


def _conjuncts(node: Expr | None) -> Iterator[Expr]:
    """The conditions that must all be true. Not recursive: there may be very many."""
    open_nodes = [] if node is None else [node]
    while open_nodes:
        current = open_nodes.pop()
        if isinstance(current, Logic) and current.operator == "and":
            open_nodes += (current.right, current.left)
        else:
            yield current


def _positions(node: Expr, scope: SourcesScope) -> set[int]:
    """Which of a query's own sources an expression reads."""
    found = (scope.position(part) for part in parts(node) if isinstance(part, ColumnRef))
    return {position for position in found if position is not None}


def _step(
    source: Source, position: int, query: Query[Any], conditions: list[Expr], scope: SourcesScope
) -> Callable[[list[Any], Context], list[Any]]:
    own = OneSource(source)
    filters: list[Read] = []
    pairs: list[_Pair] = []
    rest: list[Read] = []
    for node in conditions:
        pair = None if has_nested(node) else _pair(node, position, scope, own)
        if pair is not None:
            pairs.append(pair)
        elif _is_of(node, position, scope):
            filters.append(compiled(node, own))
        else:
            rest.append(compiled(node, scope))
    find = _finding(source, filters, pairs)
    keeps_all = position > 0 and query.joins[position - 1].kind == "LEFT JOIN"

    def step(rows: list[Any], context: Context) -> list[Any]:
        made: list[Any] = []
        if not rows:
            return made
        partners = find(context)
        for row in rows:
            found = [(*row, other) for other in partners(row)]
            for condition in rest:
                found = [both for both in found if condition(both) is True]
            if found:
                made += found
            elif keeps_all:
                made.append((*row, None))
        return made

    return step


def _is_of(node: Expr, position: int, scope: SourcesScope) -> bool:
    """Whether an expression reads one source and nothing else."""
    columns = [part for part in parts(node) if isinstance(part, ColumnRef)]
    same = all(scope.position(column) == position for column in columns)
    return bool(columns) and same and not has_nested(node)


class _Pair(NamedTuple):
    """Two sides that must be equal: of a row before the join, and of the source's row."""

    before: Read
    own: Read


def _pair(node: Expr, position: int, scope: SourcesScope, own: OneSource) -> _Pair | None:
    """The sides of an equality between what was there before and a source; None for others."""
    if not isinstance(node, Comparison) or node.operator != "=":
        return None
    common = common_type(node.left.type, node.right.type)
    for before, other in ((node.left, node.right), (node.right, node.left)):
        columns = [part for part in parts(before) if isinstance(part, ColumnRef)]
        is_before = columns and position not in _positions(before, scope)
        if is_before and _is_of(other, position, scope):
            convert = key(common)
            return _Pair(
                _keyed(before, common.wire, scope, convert),
                _keyed(other, common.wire, own, convert),
            )
    return None


def _keyed(node: Expr, wire: str, scope: Scope, convert: Convert | None) -> Read:
    read = cast_to(wire, node, scope)
    if convert is None:
        return read

    def read_key(row: Any) -> Any:
        value = read(row)
        return None if value is None else convert(value)

    return read_key


def _finding(
    source: Source, filters: list[Read], pairs: list[_Pair]
) -> Callable[[Context], Callable[[Any], Sequence[Any]]]:
    """From a context to the function that finds a row's partners in the source."""
    if not pairs:
        prepared = _once(source, filters, _itself)

        def everything(context: Context) -> Callable[[Any], Sequence[Any]]:
            rows = prepared(context)
            return lambda _: rows

        return everything

    before, own = _several([pair.before for pair in pairs]), _several([pair.own for pair in pairs])

    def indexed(rows: list[Any]) -> dict[Any, list[Any]]:
        index: dict[Any, list[Any]] = {}
        for row in rows:
            found = own(row)
            if found is not None:
                index.setdefault(found, []).append(row)
        return index

    index_of = _once(source, filters, indexed)

    def by_key(context: Context) -> Callable[[Any], Sequence[Any]]:
        get = index_of(context).get
        # None is no key: NULL equals nothing.
        return lambda row: get(before(row), ())

    return by_key


def _once(
    source: Source, filters: list[Read], make: Callable[[list[Any]], Any]
) -> Callable[[Context], Any]:
    """What is made of a source's rows: once an evaluation, if they stay the same."""
    mark = object()

    def made(context: Context) -> Any:
        rows = source.rows(context)
        for holds in filters:
            rows = [row for row in rows if holds(row) is True]
        return make(rows)

    if not source.is_fixed:
        return made
    return lambda context: context.data.once(mark, lambda: made(context))


def _itself(rows: list[Any]) -> list[Any]:
    return rows


def _several(reads: list[Read]) -> Read:
    """All of the values, or None if one of them is NULL."""
    if len(reads) == 1:
        return reads[0]

    def read_all(row: Any) -> Any:
        values = tuple([read(row) for read in reads])
        return None if None in values else values

    return read_all
