"""Functions that a row has a value of only among others: ranks, neighbours, ends of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

from tierline.query.evaluate.faults import out_of_range
from tierline.query.evaluate.registry import Scope, compiled
from tierline.query.evaluate.values import Read
from tierline.query.expressions import Ranked

Bounds: TypeAlias = "Callable[[Partition], Iterator[tuple[int, int]]]"
"""From a partition to each row's frame: from, and up to before, a position."""

INT4_MAX = 2**31 - 1


class Partition:
    """The rows that a window looks at, in its order.

    Attributes:
        rows: The rows.
        same: From a row to what is the same for rows that tie in the order.
    """

    def __init__(self, rows: list[Any], same: Read) -> None:
        self.rows = rows
        self.same = same

    @cached_property
    def groups(self) -> list[range]:
        """The positions of the rows that tie, group by group."""
        found: list[range] = []
        start, before = 0, None
        for position, row in enumerate(self.rows):
            identity = self.same(row)
            if position > 0 and identity != before:
                found.append(range(start, position))
                start = position
            before = identity
        if self.rows:
            found.append(range(start, len(self.rows)))
        return found

    def peers(self) -> Iterator[tuple[int, int]]:
        """For each row, from and up to before which position rows tie with it."""
        for group in self.groups:
            for _ in group:
                yield group.start, group.stop


Values: TypeAlias = Callable[[Partition], Iterator[Any]]


def ranked(node: Ranked, bounds: Bounds, scope: Scope) -> Values:
    """The function that a window function becomes.

    Args:
        node: The function.
        bounds: Finds the frames.
        scope: Where its operands are evaluated.

    Raises:
        TypeError: An operand cannot be evaluated in memory.
    """
    operands = [compiled(operand, scope) for operand in node.operands]
    if node.function in _PLACES:
        return _PLACES[node.function]
    if node.function == "ntile":
        return _ntile(operands[0])
    if node.function in ("lag", "lead"):
        return _neighbour(*operands, direction=-1 if node.function == "lag" else 1)
    return _framed(node, operands, bounds)


def _row_number(partition: Partition) -> Iterator[int]:
    return iter(range(1, len(partition.rows) + 1))


def _rank(partition: Partition) -> Iterator[int]:
    return (start + 1 for start, _ in partition.peers())


def _dense_rank(partition: Partition) -> Iterator[int]:
    return (number for number, group in enumerate(partition.groups, 1) for _ in group)


def _percent_rank(partition: Partition) -> Iterator[float]:
    others = len(partition.rows) - 1
    return (start / others if others else 0.0 for start, _ in partition.peers())


def _cume_dist(partition: Partition) -> Iterator[float]:
    count = len(partition.rows)
    return (end / count for _, end in partition.peers())


_PLACES: dict[str, Values] = {
    "row_number": _row_number,
    "rank": _rank,
    "dense_rank": _dense_rank,
    "percent_rank": _percent_rank,
    "cume_dist": _cume_dist,
}


def _int4(value: int) -> int:
    if not -INT4_MAX - 1 <= value <= INT4_MAX:
        raise out_of_range("integer")
    return value


def _ntile(count: Read) -> Values:
    def values(partition: Partition) -> Iterator[int]:
        buckets = _int4(count(partition.rows[0]))
        # The first buckets take one more each of what cannot be dealt out evenly.
        size, more = divmod(len(partition.rows), buckets)
        for number in range(1, min(buckets, len(partition.rows)) + 1):
            for _ in range(size + (number <= more)):
                yield number

    return values


def _neighbour(operand: Read, offset: Read, *, direction: int) -> Values:
    def values(partition: Partition) -> Iterator[Any]:
        rows = partition.rows
        for position, row in enumerate(rows):
            other = position + direction * _int4(offset(row))
            yield operand(rows[other]) if 0 <= other < len(rows) else None

    return values


def _framed(node: Ranked, operands: list[Read], bounds: Bounds) -> Values:
    operand = operands[0]

    def position(start: int, end: int, row: Any) -> int:
        if node.function == "first_value":
            return start
        if node.function == "last_value":
            return end - 1
        return start + _int4(operands[1](row)) - 1

    def values(partition: Partition) -> Iterator[Any]:
        rows = partition.rows
        for row, (start, end) in zip(rows, bounds(partition), strict=True):
            at = position(start, end, row)
            yield operand(rows[at]) if start <= at < end else None

    return values
