"""Which tables a query reads, and their rows among those that were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from tierline.entity import Table
from tierline.entity.types import ColumnType, is_tuple
from tierline.query.evaluate.contexts import Data, Name, name_of
from tierline.query.expressions import Value
from tierline.query.query import Query

_LEAVES: tuple[type[Any], ...] = (Value, Table, ColumnType)


def nodes(roots: Iterable[Any]) -> Iterator[Any]:
    """Everything that queries and expressions are made of, with the queries inside them."""
    # Not recursive: it may be nested as deep as its maker liked.
    open_nodes: list[Any] = list(roots)
    seen: set[int] = set()
    while open_nodes:
        node: Any = open_nodes.pop()
        # A query may be read from many places.
        if isinstance(cast("object", node), Query):
            if id(node) in seen:
                continue
            seen.add(id(node))
        yield node
        if is_tuple(node):
            open_nodes += node
        elif isinstance(node, msgspec.Struct) and not isinstance(node, _LEAVES):
            open_nodes += (getattr(node, name) for name in node.__struct_fields__)


def tables_of(query: Query[Any]) -> dict[Name, Table[Any, Any]]:
    """The tables that a query reads, by what identifies them."""
    found: dict[Name, Table[Any, Any]] = {}
    for node in nodes((query,)):
        if isinstance(node, Query):
            for source in node.sources:
                if isinstance(source, Table):
                    found.setdefault(name_of(source), source)
    return found


def data_of(tables: Mapping[Name, Table[Any, Any]], given: Iterable[Any]) -> Data:
    """The rows that a query is evaluated on.

    Args:
        tables: The tables that it reads.
        given: The rows of its only table, or a mapping from tables to their rows.

    Raises:
        TypeError: Rows of a table that it reads are missing, or a key of the mapping is no table.
    """
    if not isinstance(given, Mapping):
        if len(tables) > 1:
            names = ", ".join(table.name for table in tables.values())
            raise TypeError(
                f"the query reads {names}; give evaluate the rows of each: {_example(tables)}"
            )
        return Data(dict.fromkeys(tables, given))
    rows: dict[Name, Iterable[Any]] = {}
    by_table: Mapping[Any, Any] = cast("Any", given)
    for table, own in by_table.items():
        if not isinstance(cast("object", table), Table):
            raise TypeError(f"evaluate takes rows by their Table, not by {table!r}")
        if name_of(table) in rows:
            raise TypeError(f"evaluate was given the rows of {table.name} twice")
        rows[name_of(table)] = own
    missing = [table.name for name, table in tables.items() if name not in rows]
    if missing:
        raise TypeError(
            f"the query reads {', '.join(missing)} too; give evaluate the rows of each table, "
            f"none as an empty list: {_example(tables)}"
        )
    return Data(rows)


def _example(tables: Mapping[Name, Table[Any, Any]]) -> str:
    return "{" + ", ".join(f"{table.name.upper()}: …" for table in tables.values()) + "}"
