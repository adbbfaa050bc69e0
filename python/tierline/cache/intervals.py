"""Ranges of values, found by a value that lies in them: a search tree with random balance.

The nodes are ordered by where their range begins, and each knows how far the ranges below it reach.
Adding, removing and asking go down one path; asking turns aside only where something may be found.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("high", "item", "left", "low", "priority", "reach", "right")

    def __init__(self, low: Any, high: Any, item: T) -> None:
        self.low, self.high, self.item = low, high, item
        self.reach = high
        self.priority = random.random()  # noqa: S311 (keeps the tree even, whoever fills it)
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None

    def settle(self) -> None:
        """See again how far the ranges below reach."""
        reach = self.high
        if self.left is not None and self.left.reach > reach:
            reach = self.left.reach
        if self.right is not None and self.right.reach > reach:
            reach = self.right.reach
        self.reach = reach


class Intervals(Generic[T]):
    """Items by the range that each belongs to.

    Ends are compared with each other and must never be the same beginning for two items; make them
    so with a number of the item's own.
    """

    def __init__(self) -> None:
        self._root: _Node[T] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, low: Any, high: Any, item: T) -> None:
        """Add an item.

        Args:
            low: Where its range begins; no other item's is equal.
            high: Where it ends.
            item: The item.
        """
        node = _Node(low, high, item)
        self._count += 1
        path: list[tuple[_Node[T], bool]] = []
        current = self._root
        while current is not None and current.priority >= node.priority:
            is_left = low < current.low
            path.append((current, is_left))
            current = current.left if is_left else current.right
        node.left, node.right = _split(current, low)
        node.settle()
        self._hang(path, node)

    def remove(self, low: Any) -> None:
        """Remove the item whose range begins there; KeyError if there is none."""
        path: list[tuple[_Node[T], bool]] = []
        current = self._root
        while current is not None and current.low != low:
            is_left = low < current.low
            path.append((current, is_left))
            current = current.left if is_left else current.right
        if current is None:
            raise KeyError(low)
        self._count -= 1
        self._hang(path, _merged(current.left, current.right))

    def at(self, value: Any) -> Iterator[T]:
        """The items in whose range a value lies.

        Args:
            value: Not less than every beginning at it, and not more than every end at it.
        """
        open_nodes = [self._root]
        while open_nodes:
            node = open_nodes.pop()
            if node is None or node.reach < value:
                continue
            open_nodes.append(node.left)
            if node.low <= value:
                if node.high >= value:
                    yield node.item
                open_nodes.append(node.right)

    def __iter__(self) -> Iterator[T]:
        open_nodes = [self._root]
        while open_nodes:
            node = open_nodes.pop()
            if node is not None:
                yield node.item
                open_nodes += (node.left, node.right)

    def _hang(self, path: list[tuple[_Node[T], bool]], node: _Node[T] | None) -> None:
        for parent, is_left in reversed(path):
            if is_left:
                parent.left = node
            else:
                parent.right = node
            parent.settle()
            node = parent
        self._root = node


def _split(node: _Node[T] | None, low: Any) -> tuple[_Node[T] | None, _Node[T] | None]:
    """A tree as two: what begins before, and the rest."""
    if node is None:
        return None, None
    if node.low < low:
        left, right = _split(node.right, low)
        node.right = left
        node.settle()
        return node, right
    left, right = _split(node.left, low)
    node.left = right
    node.settle()
    return left, node


def _merged(left: _Node[T] | None, right: _Node[T] | None) -> _Node[T] | None:
    """Two trees as one, of which the second begins where the first has begun."""
    if left is None or right is None:
        return right if left is None else left
    if left.priority >= right.priority:
        left.right = _merged(left.right, right)
        left.settle()
        return left
    right.left = _merged(left, right.left)
    right.settle()
    return right
