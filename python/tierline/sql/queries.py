"""Whole queries to SQL text: sources, clauses, and queries inside queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tierline.entity import Table
from tierline.entity.types import INT8
from tierline.query import Query
from tierline.query.expressions import Alias, ColumnRef, Expr, kinds_in, parts
from tierline.query.query import Compound, Cte, CteRef, Relation
from tierline.query.subqueries import Exists, InQuery, Scalar
from tierline.sql.expressions import Parameters, collated, render, render_ordering, render_shared
from tierline.sql.identifiers import quote, quote_all, table_name


def render_query(query: Query[Any], parameters: Parameters, *, form: str = "{}") -> str:
    """The text of a statement that answers a query.

    Args:
        query: What is asked.
        parameters: Takes the values.
        form: What stands around the query, with ``{}`` for it; its columns then do not matter.
    """
    renderer = _Renderer(parameters, named=_needs_names(query))
    body = renderer.select(query, constant=None if form == "{}" else "1")
    return renderer.with_ctes(form.format(body))


def _needs_names(query: Query[Any]) -> bool:
    """Whether columns must say of which source they are."""
    if query.relation is not None or query.joins:
        return True
    expressions = [query.where, query.having, *query.order_by, *query.group_by]
    if query.projection is not None:
        expressions += [output.expr for output in query.projection.outputs]
    return has_query(expressions)


def has_query(expressions: Iterable[object]) -> bool:
    """Whether a query stands in one of these expressions."""
    return any(
        not kinds_in(expression).isdisjoint(_NESTED)
        for expression in expressions
        if expression is not None
    )


_NESTED = frozenset((Exists, Scalar, InQuery))


def render_around(build: Callable[[], str], parameters: Parameters, scope: dict[Alias, str]) -> str:
    """The text of a statement whose expressions hold queries.

    Args:
        build: Renders the statement.
        parameters: Takes the values.
        scope: What the sources of the statement itself are called in it.
    """
    renderer = _Renderer(parameters, named=True)
    parameters.scopes.append(scope)
    return renderer.with_ctes(build())


def _reads(expression: Expr, scope: dict[Any, str]) -> bool:
    """Whether an expression has a column of one of the sources."""
    return any(isinstance(part, ColumnRef) and part.alias in scope for part in parts(expression))


class _Renderer:
    """Renders one statement; remembers the names it gave."""

    def __init__(self, parameters: Parameters, *, named: bool) -> None:
        self._parameters = parameters
        self._named = named
        self._sources = 0
        # By mark: the expression's name, and its text once that is known.
        self._ctes: dict[int, tuple[str, str | None]] = {}
        self._order: list[int] = []
        self._is_recursive = False
        parameters.subquery = self.select

    def with_ctes(self, body: str) -> str:
        """The statement, after the expressions that it reads from."""
        if not self._order:
            return body
        texts = ", ".join(f"{name} AS ({text})" for name, text in map(self._ctes.get, self._order))  # type: ignore[misc]
        return f"WITH {'RECURSIVE ' if self._is_recursive else ''}{texts} {body}"

    def select(
        self,
        query: Query[Any],
        *,
        constant: str | None = None,
        named: bool = False,
        collate: bool = False,
    ) -> str:
        """The text of a query.

        Args:
            query: What is asked.
            constant: What stands for its columns where they do not matter.
            named: Whether its columns get the names under which an outer query knows them.
            collate: Whether its texts are to have one collation whatever they are made of.
        """
        parameters = self._parameters
        scope: dict[Any, str] = {}
        if self._named:
            for position in range(len(query.sources)):
                scope[query.level, position] = f"t{self._sources}"
                self._sources += 1
        parameters.scopes.append(scope)
        # Its own columns hide those of the queries around it, and so do its group keys.
        outer = parameters.shared
        parameters.shared = [pair for pair in outer if not _reads(pair[0], scope)]
        try:
            return self._clauses(query, scope, constant, named=named, collate=collate)
        finally:
            parameters.scopes.pop()
            parameters.shared = outer

    def _clauses(
        self,
        query: Query[Any],
        scope: dict[Any, str],
        constant: str | None,
        *,
        named: bool,
        collate: bool,
    ) -> str:
        parameters = self._parameters
        # Group keys first: what stands again in outputs and ordering must read the same.
        keys = ", ".join([render_shared(key, parameters) for key in query.group_by])
        distinct = "DISTINCT " if query.distinct else ""
        # What orders distinct rows must read as one of their columns does.
        outputs = self._outputs(
            query,
            None if query.distinct else constant,
            named=named,
            collate=collate or query.distinct,
        )
        clauses = [f"SELECT {distinct}{outputs} FROM {self._sources_text(query, scope)}"]
        if query.where is not None:
            clauses.append(f"WHERE {render(query.where, parameters)}")
        if keys:
            clauses.append(f"GROUP BY {keys}")
        if query.having is not None:
            clauses.append(f"HAVING {render(query.having, parameters)}")
        if query.order_by:
            clauses.append(f"ORDER BY {self._ordering(query, scope)}")
        if query.limit is not None:
            clauses.append(f"LIMIT {self._count(query.limit)}")
        if query.offset is not None:
            clauses.append(f"OFFSET {self._count(query.offset)}")
        if query.lock is not None:
            clauses.append(f"FOR {query.lock.strength}{query.lock.wait}")
        return " ".join(clauses)

    def _count(self, rows: int | Expr) -> str:
        if isinstance(rows, Expr):
            return render(rows, self._parameters)
        return self._parameters.add(rows, INT8)

    def _outputs(
        self, query: Query[Any], constant: str | None, *, named: bool, collate: bool
    ) -> str:
        if constant is not None and query.projection is None:
            return constant
        if not (self._named or named or collate) and query.projection is None:
            # Every column of its only source, which is a table.
            return quote_all(tuple(column.name for column in query.table.columns))
        texts: list[str] = []
        for output in query.answer.outputs:
            text = render(output.expr, self._parameters)
            text = collated(text, output.type) if collate else text
            texts.append(f"{text} AS {quote(output.name)}" if named else text)
        return ", ".join(texts)

    def _ordering(self, query: Query[Any], scope: dict[Any, str]) -> str:
        """The keys of the order; a bare column among made outputs says of which table it is.

        PostgreSQL takes a bare name for an output of that name first, and calls `"n"::text` and
        `CASE … ELSE "n" END` also `n`, and `sum(…)` `sum`.
        """
        outputs = () if query.projection is None else query.projection.outputs
        is_made = not scope and any(not isinstance(item.expr, ColumnRef) for item in outputs)
        texts: list[str] = []
        for key in query.order_by:
            text = render_ordering(key, self._parameters)
            is_bare = is_made and isinstance(key.operand, ColumnRef)
            texts.append(f"{quote(query.table.name)}.{text}" if is_bare else text)
        return ", ".join(texts)

    def _sources_text(self, query: Query[Any], scope: dict[Any, str]) -> str:
        def source(relation: Relation, position: int) -> str:
            text = self._relation(relation)
            return f"{text} AS {scope[query.level, position]}" if scope else text

        first, *_ = query.sources
        texts = [source(first, 0)]
        for position, join in enumerate(query.joins, 1):
            texts.append(f"{join.kind} {source(join.relation, position)}")
            if join.on is not None:
                texts.append(f"ON {render(join.on, self._parameters)}")
        return " ".join(texts)

    def _relation(self, relation: Relation) -> str:
        match relation:
            case Table():
                return table_name(relation)
            case Query():
                return f"({self.select(relation, named=True)})"
            case Compound(operator, left, right):
                one, other = self.select(left, named=True), self.select(right, named=True)
                return f"(({one}) {operator} ({other}))"
            case CteRef(mark, _):
                return self._ctes[id(mark)][0]
            case Cte():
                return self._cte(relation)

    def _cte(self, cte: Cte) -> str:
        mark = id(cte.mark)
        if mark not in self._ctes:
            name = f"w{len(self._ctes)}"
            self._ctes[mark] = (name, None)
            # It is apart from the queries around it, whose columns it cannot see.
            outer, self._parameters.scopes = self._parameters.scopes, []
            shared, self._parameters.shared = self._parameters.shared, []
            # A recursion's two parts must agree in their texts' collations.
            is_recursive = cte.step is not None
            try:
                text = self.select(cte.base, named=True, collate=is_recursive)
                if cte.step is not None:
                    self._is_recursive = True
                    operator = "UNION ALL" if cte.union_all else "UNION"
                    step = self.select(cte.step, named=True, collate=True)
                    text = f"({text}) {operator} ({step})"
            finally:
                self._parameters.scopes, self._parameters.shared = outer, shared
            self._ctes[mark] = (name, text)
            self._order.append(mark)
        return self._ctes[mark][0]
