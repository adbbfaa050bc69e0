"""Where expressions get their values: one row of a query's sources, or a group of such rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from tierline.entity import Table
from tierline.errors import QueryError
from tierline.query.evaluate.aggregates import Fold, fold
from tierline.query.evaluate.contexts import Captures, Context, Take
from tierline.query.evaluate.faults import ungrouped
from tierline.query.evaluate.registry import Scope, Source, compiled
from tierline.query.evaluate.values import Read, key, reader
from tierline.query.expressions import Aggregate, ColumnRef, Expr, Window, parts
from tierline.query.query import Query


class RowScope:
    """Expressions over an entity of one table, and nothing else."""

    def __init__(self, table: Table[Any, Any]) -> None:
        self._table = table

    def known(self, node: Expr) -> Read | None:
        """Nothing is known before it is read."""
        del node
        return None

    def column(self, node: ColumnRef) -> Read:
        """How to read a field."""
        return reader(self._table.column(node.name))

    def aggregate(self, node: Aggregate) -> Read:
        """No row has an aggregate.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{node.function} needs a group of rows; use it in tl.project")

    def window(self, node: Window) -> Read:
        """No row alone has a place among others.

        Raises:
            TypeError: Always.
        """
        del node
        raise TypeError("over needs other rows beside this one; use it in tl.project")

    def context(self) -> Read:
        """There is but the row.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "a query inside a condition reads tables, and here is one row only; use tl.evaluate "
            "with the rows of each table"
        )


class Rows(Scope, Protocol):
    """A scope of rows, which may be grouped."""

    def taken(self, node: ColumnRef) -> Take | None:
        """How to read a column of the query around this one; None for one of its own."""
        ...

    def decided_by(self, keys: Sequence[Expr]) -> Callable[[ColumnRef], bool]:
        """Whether a column has one value where the keys have one."""
        ...

    def known_outside(self, node: Expr) -> Take | None:
        """How to read an expression that the query around this one knows."""
        ...


class TableScope(RowScope):
    """Expressions of a query that reads one table and nothing else: its rows are entities."""

    def taken(self, node: ColumnRef) -> Take | None:
        """There is no query around it."""
        del node
        return None

    def known_outside(self, node: Expr) -> Take | None:
        """There is no query around it."""
        del node
        return None

    def decided_by(self, keys: Sequence[Expr]) -> Callable[[ColumnRef], bool]:
        """A group that has the primary key is one row."""
        named = {node.name for node in keys if isinstance(node, ColumnRef)}
        is_row = named.issuperset(self._table.key)
        return lambda _: is_row


class OneSource(RowScope):
    """Expressions over a row of one source, such as those that choose from it before a join."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def column(self, node: ColumnRef) -> Read:
        """How to read a column."""
        return self._source.column(node.name)


class SourcesScope(RowScope):
    """Expressions over a row of several sources: `(context, row of the first, …)`.

    The row of a left join's right side is None where there is none.
    """

    def __init__(
        self, query: Query[Any], sources: Sequence[Source], captures: Captures | None
    ) -> None:
        self._query = query
        self._sources = sources
        self._captures = captures
        self._optional = [False, *(join.kind == "LEFT JOIN" for join in query.joins)]

    def position(self, node: ColumnRef) -> int | None:
        """Which of the query's own sources a column is of."""
        level, position = node.alias
        return position if level == self._query.level and position < len(self._sources) else None

    def known(self, node: Expr) -> Read | None:
        """What the query around this one knows."""
        take = self.known_outside(node)
        return None if take is None else lambda row: take(row[0])

    def column(self, node: ColumnRef) -> Read:
        """How to read a column of one of the sources, or of the query around this one."""
        position = self.position(node)
        if position is None:
            take = self.taken(node)
            assert take is not None
            return lambda row: take(row[0])
        read, at = self._sources[position].column(node.name), position + 1
        if not self._optional[position]:
            return lambda row: read(row[at])

        def read_optional(row: Any) -> Any:
            own = row[at]
            return None if own is None else read(own)

        return read_optional

    def context(self) -> Read:
        """How to read what the query runs in."""
        return lambda row: row[0]

    def taken(self, node: ColumnRef) -> Take | None:
        """How to read a column of the query around this one."""
        if self.position(node) is not None:
            return None
        if self._captures is None:
            raise out_of_sight(node)
        return self._captures.column(node)

    def known_outside(self, node: Expr) -> Take | None:
        """How to read an expression that the query around this one knows."""
        if self._captures is None or isinstance(node, ColumnRef):
            return None
        own = any(isinstance(p, ColumnRef) and self.position(p) is not None for p in parts(node))
        return None if own else self._captures.known(node)

    def decided_by(self, keys: Sequence[Expr]) -> Callable[[ColumnRef], bool]:
        """A group that has a table's primary key has one row of it."""
        named: dict[int | None, set[str]] = {}
        for node in keys:
            if isinstance(node, ColumnRef):
                named.setdefault(self.position(node), set()).add(node.name)
        decided = {
            position
            for position, relation in enumerate(self._query.sources)
            if isinstance(relation, Table)
            and named.get(position, set()).issuperset(relation.key)
        }  # fmt: skip
        return lambda node: self.position(node) in decided


def out_of_sight(node: ColumnRef) -> QueryError:
    """A column of a row that a query cannot see, as the statement's compiler says too."""
    return QueryError(
        f"the field {node.name!r} is of a row that is out of sight here: a common table "
        "expression or a recursion cannot use a row of the query around it, and a row is not to "
        "be used outside its own lambda"
    )


class Group:
    """The rows that have the same keys; `keys` are those of the first."""

    __slots__ = ("aggregates", "context", "keys", "rows")

    def __init__(self, keys: tuple[Any, ...], context: Context) -> None:
        self.keys = keys
        self.context = context
        self.rows: list[Any] = []
        self.aggregates: list[Any] = []


class GroupScope:
    """Expressions over a group: its keys, and aggregates of its rows."""

    def __init__(self, rows: Rows, keys: Sequence[Expr]) -> None:
        self._rows = rows
        self._keys = tuple(keys)
        self._folds: list[tuple[Aggregate, Fold]] = []
        self._is_decided = rows.decided_by(keys)

    def known(self, node: Expr) -> Read | None:
        """The value of a key, for an expression that is the same as the key's."""
        for position, expr in enumerate(self._keys):
            if expr == node:
                return _key_reader(position)
        take = self._rows.known_outside(node)
        return None if take is None else lambda group: take(group.context)

    def column(self, node: ColumnRef) -> Read:
        """A column that depends on the keys.

        Raises:
            QueryError: It has many values in a group.
        """
        take = self._rows.taken(node)
        if take is not None:
            return lambda group: take(group.context)
        if not self._is_decided(node):
            raise ungrouped(node.name)
        read = self._rows.column(node)
        return lambda group: read(group.rows[0])

    def aggregate(self, node: Aggregate) -> Read:
        """The aggregate's value, computed once a group.

        Raises:
            TypeError: It is of the query around this one, as SQL has it.
        """
        columns = [part for part in parts(node) if isinstance(part, ColumnRef)]
        if columns and all(self._rows.taken(column) is not None for column in columns):
            raise TypeError(
                f"{node.function} is of the outer query's rows only, so SQL computes it there; "
                "compute it in that query, and use what it is there"
            )
        for position, (known, _) in enumerate(self._folds):
            if known == node:
                return _aggregate_reader(position)
        self._folds.append((node, fold(node, self._rows)))
        return _aggregate_reader(len(self._folds) - 1)

    def window(self, node: Window) -> NoReturn:
        """No group alone has a place among others."""
        raise TypeError(f"{node.function!r} needs other groups beside this one")

    def context(self) -> Read:
        """How to read what the query runs in."""
        return lambda group: group.context

    def grouping(self) -> Callable[[Sequence[Any], Context], list[Group]]:
        """The function that makes the groups of rows, in the order of each one's first row.

        Call it after everything that is asked of the groups was compiled.
        """
        reads = [compiled(node, self._rows) for node in self._keys]
        converts = [key(node.type) for node in self._keys]
        folds = [run for _, run in self._folds]
        has_keys = bool(reads)

        def hashable(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(
                value if convert is None or value is None else convert(value)
                for convert, value in zip(converts, values, strict=True)
            )

        def make(rows: Sequence[Any], context: Context) -> list[Group]:
            groups: dict[tuple[Any, ...], Group] = {}
            if not has_keys:
                # Without keys there is one group, even of no rows.
                groups[()] = Group((), context)
            for row in rows:
                values = tuple([read(row) for read in reads])
                identity = hashable(values)
                group = groups.get(identity)
                if group is None:
                    group = groups[identity] = Group(values, context)
                group.rows.append(row)
            for group in groups.values():
                group.aggregates = [run(group.rows) for run in folds]
            return list(groups.values())

        return make


def _key_reader(position: int) -> Read:
    def read(group: Group) -> Any:
        return group.keys[position]

    return read


def _aggregate_reader(position: int) -> Read:
    def read(group: Group) -> Any:
        return group.aggregates[position]

    return read
