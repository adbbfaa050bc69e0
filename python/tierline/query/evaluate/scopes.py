"""Where expressions get their values: one row of a table, or a group of such rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tierline.entity import Table
from tierline.query.evaluate.aggregates import Fold, fold
from tierline.query.evaluate.faults import ungrouped
from tierline.query.evaluate.registry import compiled
from tierline.query.evaluate.values import Read, key, reader
from tierline.query.expressions import Aggregate, ColumnRef, Expr


class RowScope:
    """Expressions over an entity of one table."""

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


class Group:
    """The rows that have the same keys; `keys` are those of the first."""

    __slots__ = ("aggregates", "keys", "rows")

    def __init__(self, keys: tuple[Any, ...]) -> None:
        self.keys = keys
        self.rows: list[Any] = []
        self.aggregates: list[Any] = []


class GroupScope:
    """Expressions over a group: its keys, and aggregates of its rows."""

    def __init__(self, rows: RowScope, table: Table[Any, Any], keys: Sequence[Expr]) -> None:
        self._rows = rows
        self._keys = tuple(keys)
        self._folds: list[tuple[Aggregate, Fold]] = []
        named = {node.name for node in keys if isinstance(node, ColumnRef)}
        # A group that has the primary key is one row, so its other columns are known too.
        self._is_row = named.issuperset(table.key)

    def known(self, node: Expr) -> Read | None:
        """The value of a key, for an expression that is the same as the key's."""
        for position, expr in enumerate(self._keys):
            if expr == node:
                return _key_reader(position)
        return None

    def column(self, node: ColumnRef) -> Read:
        """A column that depends on the keys.

        Raises:
            QueryError: It has many values in a group.
        """
        if not self._is_row:
            raise ungrouped(node.name)
        read = self._rows.column(node)
        return lambda group: read(group.rows[0])

    def aggregate(self, node: Aggregate) -> Read:
        """The aggregate's value, computed once a group."""
        for position, (known, _) in enumerate(self._folds):
            if known == node:
                return _aggregate_reader(position)
        self._folds.append((node, fold(node, self._rows)))
        return _aggregate_reader(len(self._folds) - 1)

    def grouping(self) -> Callable[[Iterable[Any]], list[Group]]:
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

        def make(rows: Iterable[Any]) -> list[Group]:
            groups: dict[tuple[Any, ...], Group] = {}
            if not has_keys:
                # Without keys there is one group, even of no rows.
                groups[()] = Group(())
            for row in rows:
                values = tuple([read(row) for read in reads])
                identity = hashable(values)
                group = groups.get(identity)
                if group is None:
                    group = groups[identity] = Group(values)
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
