"""Windows: each row beside the value that a function has over the rows around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from tierline.query.evaluate.aggregates import fold
from tierline.query.evaluate.ordering import sorting
from tierline.query.evaluate.registry import Scope, compiled, evaluation
from tierline.query.evaluate.running import running
from tierline.query.evaluate.values import Read, identity_of
from tierline.query.evaluate.window_functions import Partition, ranked
from tierline.query.expressions import Aggregate, ColumnRef, Expr, Frame, Ranked, Window

Values: TypeAlias = Callable[[Partition], Iterator[Any]]
"""From a partition to the value of each of its rows, in order."""


class WindowScope:
    """Expressions over a row, or a group, with its windows: `[row, value of the first, …]`."""

    def __init__(self, base: Scope) -> None:
        self._base = base
        self._windows: list[Window] = []

    def known(self, node: Expr) -> Read | None:
        """What is known of the row."""
        read = self._base.known(node)
        return None if read is None else _of_row(read)

    def column(self, node: ColumnRef) -> Read:
        """A column of the row."""
        return _of_row(self._base.column(node))

    def aggregate(self, node: Aggregate) -> Read:
        """An aggregate of the row's group."""
        return _of_row(self._base.aggregate(node))

    def context(self) -> Read:
        """How to read what the query runs in."""
        return _of_row(self._base.context())

    def of_row(self, read: Read) -> Read:
        """How to read of a row with its windows what is read of the row."""
        return _of_row(read)

    def window(self, node: Window) -> Read:
        """The window's value, computed once a row."""
        if node not in self._windows:
            self._windows.append(node)
        position = self._windows.index(node) + 1
        return lambda marked: marked[position]

    def placing(self) -> Callable[[Sequence[Any]], list[Any]]:
        """The function that puts the values of all windows beside each row.

        Call it after everything that is asked of the rows was compiled.
        """
        steps = [_placing(window, self) for window in self._windows]

        def place(rows: Sequence[Any]) -> list[Any]:
            marked = [[row] for row in rows]
            for step in steps:
                step(marked)
            return marked

        return place


def _of_row(read: Read) -> Read:
    return lambda marked: read(marked[0])


@evaluation(Window)
def _window(node: Window, scope: Scope) -> Read:
    return scope.window(node)


def _placing(node: Window, scope: Scope) -> Callable[[list[list[Any]]], None]:
    part = identity_of([(compiled(key, scope), key.type) for key in node.partition_by])
    sort = sorting(node.order_by, scope) if node.order_by else None
    same = identity_of([(compiled(key.operand, scope), key.operand.type) for key in node.order_by])
    values = _values(node, scope)

    def place(marked: list[list[Any]]) -> None:
        partitions: dict[Any, list[Any]] = {}
        for row in marked:
            partitions.setdefault(part(row), []).append(row)
        for rows in partitions.values():
            if sort is not None:
                sort(rows)
            # All at once: none of them may see the value of another.
            found = list(values(Partition(rows, same)))
            for row, value in zip(rows, found, strict=True):
                row.append(value)

    return place


def _values(node: Window, scope: Scope) -> Values:
    function = node.function
    bounds = _bounds(node.frame)
    if isinstance(function, Ranked):
        return ranked(function, bounds, scope)
    assert isinstance(function, Aggregate)
    return _aggregated(function, bounds, scope)


def _bounds(frame: Frame | None) -> Callable[[Partition], Iterator[tuple[int, int]]]:
    """The function that finds the frame of each row: from, and up to before, a position."""
    if frame is None:
        # Without an ordering all rows are peers.
        return lambda partition: ((0, end) for _, end in partition.peers())
    start, end = frame.start, frame.end
    if frame.unit == "ROWS":

        def of_rows(partition: Partition) -> Iterator[tuple[int, int]]:
            count = len(partition.rows)
            for position in range(count):
                first = 0 if start is None else min(max(position + start, 0), count)
                last = count if end is None else min(max(position + end + 1, 0), count)
                yield first, max(first, last)

        return of_rows

    def of_groups(partition: Partition) -> Iterator[tuple[int, int]]:
        groups, count = partition.groups, len(partition.rows)
        starts = [group.start for group in groups]
        for number, group in enumerate(groups):
            first = 0 if start is None else _at(starts, number + start, count)
            last = count if end is None else _at(starts, number + end + 1, count)
            for _ in group:
                yield first, max(first, last)

    return of_groups


def _at(starts: list[int], number: int, count: int) -> int:
    """Where a group of rows begins; before the first is 0, after the last the end."""
    if number >= len(starts):
        return count
    return starts[max(number, 0)]


def _aggregated(
    node: Aggregate, bounds: Callable[[Partition], Iterator[tuple[int, int]]], scope: Scope
) -> Values:
    whole = fold(node, scope)
    grow = running(node, scope)

    def values(partition: Partition) -> Iterator[Any]:
        rows = partition.rows
        add, result = (None, None) if grow is None else grow()
        before, value, taken = None, None, 0
        for bound in bounds(partition):
            if bound != before:
                start, end = before = bound
                # A frame that only ever grows is added to, not added up again for each row.
                if start > 0 or end < taken:
                    add = None
                if add is None or result is None:
                    value = whole(rows[start:end])
                else:
                    for row in rows[taken:end]:
                        add(row)
                    taken, value = end, result()
            yield value

    return values
