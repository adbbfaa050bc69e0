"""What a query runs in: the tables' rows, and what it takes from the row of the query around it.

A query in a lambda of another one may use that one's row. Compiled, it takes the few values that it
uses: for rows that are the same in them it has the same answer, which is then remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from tierline.entity import Table
from tierline.entity.types import ColumnType
from tierline.query.evaluate.values import Read
from tierline.query.expressions import ColumnRef, Expr

Name: TypeAlias = tuple[str | None, str]
"""A table's schema and name."""


class Data:
    """The rows of each table during one evaluation, and what was worked out from them.

    Attributes:
        memo: Answers that stay the same, by what identifies them.
        rounds: The rows of a recursion's last round, by its mark's id.
    """

    __slots__ = ("_checked", "_given", "memo", "rounds")

    def __init__(self, given: Mapping[Name, Iterable[Any]]) -> None:
        self._given = given
        self._checked: dict[Name, list[Any]] = {}
        self.memo: dict[Any, Any] = {}
        self.rounds: dict[int, list[Any]] = {}

    def rows(self, table: Table[Any, Any]) -> list[Any]:
        """The rows of a table, which are not to be changed.

        Raises:
            TypeError: One is no entity of the table.
        """
        name = name_of(table)
        found = self._checked.get(name)
        if found is None:
            found = self._checked[name] = list(self._given[name])
            entity = table.entity
            for row in found:
                if not isinstance(row, entity):
                    raise TypeError(f"expected rows of {entity.__name__}, got {type(row).__name__}")
        return found

    def once(self, identity: Any, answer: Callable[[], Any]) -> Any:
        """An answer that stays the same during an evaluation."""
        if identity not in self.memo:
            self.memo[identity] = answer()
        return self.memo[identity]


def name_of(table: Table[Any, Any]) -> Name:
    """What identifies a table in a database."""
    return table.schema, table.name


class Context(NamedTuple):
    """What a query runs in.

    Attributes:
        data: The tables' rows.
        values: What it takes from the row of the query around it.
    """

    data: Data
    values: tuple[Any, ...] = ()


Take: TypeAlias = Callable[[Context], Any]
"""How a query reads one of the values that it takes."""


class Outer(Protocol):
    """The scope of the query around one: see `registry.Scope`."""

    def known(self, node: Expr) -> Read | None:
        """How to read an expression that has its value already."""
        ...

    def column(self, node: ColumnRef) -> Read:
        """How to read a column."""
        ...


class Captures:
    """What a query takes from the row of the query around it, gathered while it is compiled.

    Attributes:
        reads: From a row of the query around it to each of the values.
        types: The values' types.
        uses: How often something was asked for: tells whether a part of the query takes any.
    """

    def __init__(self, outer: Outer) -> None:
        self._outer = outer
        self._nodes: list[Expr] = []
        self.reads: list[Read] = []
        self.types: list[ColumnType] = []
        self.uses = 0

    def known(self, node: Expr) -> Take | None:
        """How to read an expression that the query around it knows, such as its group's key."""
        read = self._outer.known(node)
        return None if read is None else self._take(node, read)

    def column(self, node: ColumnRef) -> Take:
        """How to read a column of the query around it.

        Raises:
            QueryError: It has none such, or no one value of it.
        """
        return self._take(node, self._outer.known(node) or self._outer.column(node))

    def _take(self, node: Expr, read: Read) -> Take:
        self.uses += 1
        if node not in self._nodes:
            self._nodes.append(node)
            self.reads.append(read)
            self.types.append(node.type)
        position = self._nodes.index(node)
        return lambda context: context.values[position]

    def identity(self) -> Callable[[tuple[Any, ...]], Any]:
        """From the values to what tells them apart: 1.0 and 1.00 are equal and not the same.

        Call it after the query was compiled.
        """
        converts = [_SPELT.get(type_.wire) for type_ in self.types]
        if not any(converts):
            return lambda values: values
        return lambda values: tuple(
            value if convert is None else convert(value)
            for convert, value in zip(converts, values, strict=True)
        )


_SPELT: dict[str, Callable[[Any], Any]] = {
    "numeric": repr,
    "float8": repr,
    "timetz": repr,
    "interval": repr,
    "array": repr,
    "jsonb": msgspec.json.encode,
}
