"""What a query reads of each table: which of its rows, and which of their columns, can matter.

A change of one row leaves a query's answer as it is if no reading of the row's table lets it in,
before or after, or if nothing is different in the columns that the query uses. That holds for any
query: of a join only the conditions count that speak of one source alone and that decide whether
its rows take part; what cannot be told from one row lets it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec

from tierline.entity import Table
from tierline.entity.types import is_tuple
from tierline.query.changes import Row, RowChange
from tierline.query.evaluate.joining import has_nested
from tierline.query.evaluate.registry import compiled
from tierline.query.evaluate.scopes import RowScope
from tierline.query.evaluate.tables import nodes
from tierline.query.evaluate.values import Read, taken
from tierline.query.expressions import (
    Alias,
    ColumnRef,
    Expr,
    Logic,
    Value,
    has_aggregate,
    has_window,
    parts,
)
from tierline.query.parameters import Param, binder
from tierline.query.query import Query

Test: TypeAlias = Callable[[Row], bool]
"""Whether a row may be let in."""


class Reading(msgspec.Struct, frozen=True, eq=False):
    """One place in a query where it reads a table.

    Attributes:
        table: The table.
        conditions: What each row that matters satisfies, all of it.
        columns: The columns that are used; None for all.
    """

    table: Table[Any, Any]
    conditions: tuple[Expr, ...] = ()
    columns: frozenset[str] | None = None


def readings_of(query: Query[Any]) -> tuple[Reading, ...]:
    """Every place where a query, or one inside it, reads a table."""
    # A query is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query)
    found: tuple[Reading, ...] | None = memo.get("_readings")
    if found is None:
        all_nodes = list(nodes((query,)))
        used = _used(all_nodes)
        queries: list[Query[Any]] = [node for node in all_nodes if isinstance(node, Query)]
        found = memo["_readings"] = tuple(
            reading for inner in queries for reading in _readings(inner, used)
        )
    return found


def bound(readings: Iterable[Reading], given: Mapping[str, object]) -> tuple[Reading, ...]:
    """The readings with values in the places of parameters.

    A condition with a parameter that is None is left out: what it does to a row is not looked at.
    """
    return tuple(
        msgspec.structs.replace(reading, conditions=tuple(_conditions(reading.conditions, given)))
        for reading in readings
    )


def _conditions(conditions: Iterable[Expr], given: Mapping[str, object]) -> Iterator[Expr]:
    for condition in conditions:
        places = [part for part in parts(condition) if isinstance(part, Param)]
        if not places:
            yield condition
        elif not any(given.get(place.name) is None for place in places):
            yield _filled(condition, given)


def _filled(node: Any, given: Mapping[str, object]) -> Any:
    if isinstance(node, Param):
        (value,) = binder((node,))({node.name: given[node.name]})
        return Value(value, node.value_type)
    if is_tuple(node):
        return tuple(_filled(item, given) for item in node)
    if not isinstance(node, Expr) or isinstance(node, (ColumnRef, Value)):
        return node
    fields = {name: getattr(node, name) for name in node.__struct_fields__}
    filled = {name: _filled(value, given) for name, value in fields.items()}
    return msgspec.structs.replace(node, **filled)


def test_of(table: Table[Any, Any], condition: Expr) -> Test | None:
    """Whether a row may satisfy a condition; None if that cannot be told in memory.

    A row may, where it is not known enough of it, or where looking at it is an error.
    """
    try:
        read = compiled(condition, _MappedScope(table))
    except Exception:  # noqa: BLE001 (whatever it is, the database has the answer)
        return None

    def may_hold(row: Row) -> bool:
        try:
            return read(row) is True
        except Exception:  # noqa: BLE001 (the row's own error, or a column that is not known)
            return True

    return may_hold


def tests_of(reading: Reading) -> tuple[Test, ...]:
    """What can be told in memory of whether a row is let in: all of them must say so."""
    found = (test_of(reading.table, condition) for condition in reading.conditions)
    return tuple(test for test in found if test is not None)


def touches(tests: Iterable[Test], columns: frozenset[str] | None, change: RowChange) -> bool:
    """Whether a change of a row may change what a reading sees.

    Args:
        tests: Of the reading, from `tests_of`.
        columns: The columns that the query uses; None for all.
        change: The row before and after.
    """
    old, new = change.old, change.new
    let_in = partial(_is_let_in, tests)
    if old is None or new is None:
        row = new if old is None else old
        return row is not None and let_in(row)
    if not (let_in(old) or let_in(new)):
        return False
    return not _is_same(old, new, columns)


def _is_let_in(tests: Iterable[Test], row: Row) -> bool:
    # Written out: every change of a row comes by here for each query that it may concern.
    for test in tests:  # noqa: SIM110
        if not test(row):
            return False
    return True


def _is_same(old: Row, new: Row, columns: frozenset[str] | None) -> bool:
    """Whether two rows are known to have the same values in columns."""
    if columns is None:
        # Whether a row that is partly known has further columns cannot be seen in it.
        return False
    return all(
        name in old and name in new and _is_same_value(old[name], new[name]) for name in columns
    )


_PLAIN = (bool, int, str, bytes)


def _is_same_value(old: Any, new: Any) -> bool:
    # 1.0 and 1.00 are equal, and so are 0.0 and -0.0, but they are shown as what they are.
    if old is new:
        return True
    if type(old) is not type(new) or old != new:
        return False
    return type(old) in _PLAIN or repr(old) == repr(new)


class _MappedScope(RowScope):
    """Expressions over a row that is given by its columns' names."""

    def column(self, node: ColumnRef) -> Read:
        """How to read a column; KeyError where it is not known."""
        return column_reader(node)


def column_reader(node: ColumnRef) -> Read:
    """From a row to the kept value of one of its columns.

    The function raises KeyError where the column is not known.
    """
    name, convert = node.name, taken(node.type)
    if convert is None:
        return lambda row: row[name]

    def read(row: Row) -> Any:
        value = row[name]
        return None if value is None else convert(value)

    return read


def _readings(query: Query[Any], used: Mapping[Alias, set[str]]) -> Iterator[Reading]:
    is_whole = query.projection is None
    for position, source in enumerate(query.sources):
        if not isinstance(source, Table):
            continue
        alias, table = (query.level, position), source
        conditions = tuple(
            condition
            for condition in _deciding(query, position)
            if _speaks_only_of(alias, condition)
        )
        names = (column.name for column in table.columns) if is_whole else used.get(alias, ())
        yield Reading(table, conditions, frozenset(names))


def _deciding(query: Query[Any], position: int) -> Iterator[Expr]:
    """Conditions that each row of a source must satisfy to take part."""
    own = query.joins[position - 1] if position else None
    if own is not None and own.kind == "LEFT JOIN":
        # A row that fails another condition keeps others out of the answer by being there.
        yield from _conjuncts(own.on)
        return
    yield from _conjuncts(query.where)
    for join in query.joins:
        if join.kind == "JOIN":
            yield from _conjuncts(join.on)


def _conjuncts(condition: Expr | None) -> Iterator[Expr]:
    open_nodes = [] if condition is None else [condition]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, Logic) and node.operator == "and":
            open_nodes += (node.right, node.left)
        else:
            yield node


def _speaks_only_of(alias: Alias, condition: Expr) -> bool:
    if has_nested(condition) or has_aggregate(condition) or has_window(condition):
        return False
    columns = [part for part in parts(condition) if isinstance(part, ColumnRef)]
    return all(column.alias == alias for column in columns)


def _used(all_nodes: Iterable[Any]) -> dict[Alias, set[str]]:
    """The columns that are spoken of anywhere, by their source's alias.

    Queries beside each other use the same aliases, so that some are found too many.
    """
    found: dict[Alias, set[str]] = {}
    for node in all_nodes:
        if isinstance(node, ColumnRef):
            found.setdefault(node.alias, set()).add(node.name)
    return found
