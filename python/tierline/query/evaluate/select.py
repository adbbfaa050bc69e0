"""Queries: where, then groups, windows, order, a page of it, and what each row makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tierline.errors import DecodeError
from tierline.query.evaluate.contexts import Captures, Context
from tierline.query.evaluate.faults import unlisted
from tierline.query.evaluate.joining import NESTED, has_nested, joined
from tierline.query.evaluate.ordering import sorting
from tierline.query.evaluate.registry import (
    Run,
    Scope,
    Source,
    compiled,
    not_in_memory,
    source,
    source_of,
)
from tierline.query.evaluate.results import making
from tierline.query.evaluate.scopes import GroupScope, Rows, SourcesScope, TableScope
from tierline.query.evaluate.values import Read, identity_of
from tierline.query.evaluate.windows import WindowScope
from tierline.query.expressions import Aggregate, Expr, Ordering, Value, Window, has_window, parts
from tierline.query.parameters import Param
from tierline.query.query import Lock, Query


class Plan(NamedTuple):
    """What a query becomes.

    Attributes:
        run: The rows, in order, but not yet made into anything.
        scope: How expressions read such a row.
        outputs: How the kept value of each column of the answer is read from such a row.
        whole: How the given object is read from such a row, of a query that answers with those.
        is_fixed: Whether the rows stay the same during an evaluation.
    """

    run: Run
    scope: Scope
    outputs: list[Read]
    whole: Read | None
    is_fixed: bool


def plan_of(query: Query[Any], captures: Captures | None = None) -> Plan:
    """What a query becomes.

    Args:
        query: What is asked.
        captures: What it takes from the query around it; None if there is none.

    Raises:
        TypeError: It cannot be evaluated in memory.
        QueryError: It has no meaning, as PostgreSQL would say too.
    """
    if query.lock is not None:
        raise not_in_memory(Lock)
    uses = 0 if captures is None else captures.uses
    read = _read(query, captures)
    run = read.run
    groups = GroupScope(read.scope, query.group_by) if _is_grouped(query) else None
    having = None if groups is None or query.having is None else compiled(query.having, groups)
    base: Scope = groups or read.scope
    expressions: list[Expr] = [output.expr for output in query.answer.outputs]
    expressions += (ordering.operand for ordering in query.order_by)
    windows = WindowScope(base) if any(map(has_window, expressions)) else None
    scope = base if windows is None else windows
    outputs = [compiled(output.expr, scope) for output in query.answer.outputs]
    finish = _finishing(query, scope, outputs)
    # Last, once all aggregates that anything asks for are known.
    place = None if windows is None else windows.placing()
    if groups is not None:
        run = _grouped(run, groups, having)
    if place is not None:
        run = _then(run, place)
    is_fixed = read.is_fixed and (captures is None or captures.uses == uses)
    whole = read.whole if query.projection is None else None
    if whole is not None and windows is not None:
        whole = windows.of_row(whole)
    return Plan(_then(run, finish), scope, outputs, whole, is_fixed)


def answering(query: Query[Any], plan: Plan) -> Run:
    """The function that makes a query's answer."""
    make = plan.whole or making(query.answer, plan.scope)

    def run(context: Context) -> list[Any]:
        rows = plan.run(context)
        try:
            return [make(row) for row in rows]
        except DecodeError:
            # A server works out every value of every row before anything is made of the first.
            for row in rows:
                for read in plan.outputs:
                    read(row)
            raise

    return run


@source(Query)
def _query(query: Query[Any], captures: Captures | None) -> Source:
    """The rows of a query that another one reads: tuples of kept values."""
    if _passes_on(query):
        return source_of(query.sources[0], captures)
    plan = plan_of(query, captures)
    outputs = plan.outputs
    names = [output.name for output in query.answer.outputs]

    def rows(context: Context) -> list[Any]:
        return [tuple([read(row) for read in outputs]) for row in plan.run(context)]

    return tuples(rows, names, is_fixed=plan.is_fixed)


def _passes_on(query: Query[Any]) -> bool:
    """Whether a query's rows are its only source's."""
    is_all = query.where is None and not query.joins and not query.order_by
    return query.is_plain and is_all


def tuples(rows: Run, names: list[str], *, is_fixed: bool) -> Source:
    """A source of tuples of kept values; worked out once an evaluation if it stays the same."""
    mark = object()

    def rows_once(context: Context) -> list[Any]:
        found: list[Any] = context.data.once(mark, lambda: rows(context))
        return found

    def column(name: str) -> Read:
        position = names.index(name)
        return lambda row: row[position]

    return Source(rows_once if is_fixed else rows, column, is_whole=False, is_fixed=is_fixed)


class _Read(NamedTuple):
    """What a query reads, before anything is made of it."""

    run: Run
    scope: Rows
    whole: Read | None
    is_fixed: bool


def _read(query: Query[Any], captures: Captures | None) -> _Read:
    if query.relation is None and not query.joins and captures is None and not _nests(query):
        return _of_table(query)
    sources = [source_of(relation, captures) for relation in query.sources]
    scope = SourcesScope(query, sources, captures)
    run = joined(query, sources, scope)
    return _Read(run, scope, _whole(sources), all(source.is_fixed for source in sources))


def _of_table(query: Query[Any]) -> _Read:
    """The everyday case: rows of one table, with nothing around or inside the query."""
    table = query.table
    scope = TableScope(table)
    holds = None if query.where is None else compiled(query.where, scope)

    def run(context: Context) -> list[Any]:
        rows = context.data.rows(table)
        return rows if holds is None else [row for row in rows if holds(row) is True]

    return _Read(run, scope, _itself, is_fixed=True)


def _itself(row: Any) -> Any:
    return row


def _whole(sources: list[Source]) -> Read | None:
    """The given objects of a row, one for each source."""
    if not all(source.is_whole for source in sources):
        return None
    if len(sources) == 1:
        return lambda row: row[1]
    return lambda row: row[1:]


def _nests(query: Query[Any]) -> bool:
    return any(map(has_nested, _expressions(query)))


def _expressions(query: Query[Any]) -> Iterator[Expr]:
    yield from (output.expr for output in query.answer.outputs)
    yield from (ordering.operand for ordering in query.order_by)
    yield from query.group_by
    yield from (node for node in (query.where, query.having) if node is not None)


def _is_grouped(query: Query[Any]) -> bool:
    outputs = query.projection.outputs if query.projection else ()
    expressions = [output.expr for output in outputs] + [key.operand for key in query.order_by]
    return bool(query.group_by) or query.having is not None or any(map(_aggregates, expressions))


def _aggregates(node: Expr) -> bool:
    """Whether an aggregate stands in an expression that is not itself the function of a window."""
    open_nodes: list[Any] = [node]
    while open_nodes:
        current = open_nodes.pop()
        if isinstance(current, Aggregate):
            return True
        if isinstance(current, Window):
            # What the function is applied to may be an aggregate of groups.
            function = current.function
            inside = (getattr(function, name) for name in function.__struct_fields__)
            open_nodes += (*inside, current.partition_by, current.order_by)
        elif isinstance(current, (Expr, Ordering)):
            open_nodes += (getattr(current, name) for name in current.__struct_fields__)
        elif type(current) is tuple:
            open_nodes += current
    return False


def _grouped(run: Run, scope: GroupScope, having: Read | None) -> Run:
    make = scope.grouping()

    def run_groups(context: Context) -> list[Any]:
        groups = make(run(context), context)
        return groups if having is None else [g for g in groups if having(g) is True]

    return run_groups


Change = Callable[[list[Any]], list[Any]]


def _then(run: Run, change: Change) -> Run:
    return lambda context: change(run(context))


def _finishing(query: Query[Any], scope: Scope, outputs: list[Read]) -> Change:
    """Order what was kept, leave out what came before, and cut the page out of it."""
    sort = sorting(query.order_by, scope) if query.order_by else None
    differ = _differing(query, outputs) if query.distinct else None
    limit, start = query.limit, query.offset or 0
    if isinstance(limit, Expr) or isinstance(start, Expr):
        raise not_in_memory(Param)
    end = None if limit is None else start + limit

    def finish(rows: list[Any]) -> list[Any]:
        if sort is not None:
            rows = list(rows)
            sort(rows)
        if differ is not None:
            rows = differ(rows)
        return rows[start:end]

    return finish


def _differing(query: Query[Any], outputs: list[Read]) -> Change:
    """The function that leaves out rows whose outputs came before.

    Raises:
        QueryError: The rows are ordered by something that is no output.
    """
    nodes = [output.expr for output in query.answer.outputs]
    # An expression with values in it reads differently each time, unless it is a group's key.
    said = [
        node
        for node in nodes
        if node in query.group_by
        or not any(isinstance(part, (Value, *NESTED)) for part in parts(node))
    ]
    if any(ordering.operand not in said for ordering in query.order_by):
        raise unlisted()
    identity = identity_of([(read, node.type) for read, node in zip(outputs, nodes, strict=True)])

    def differ(rows: list[Any]) -> list[Any]:
        seen: dict[tuple[Any, ...], Any] = {}
        for row in rows:
            seen.setdefault(identity(row), row)
        return list(seen.values())

    return differ
