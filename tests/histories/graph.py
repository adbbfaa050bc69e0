"""Graphs of transactions: who must come before whom, and the cycles in that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

N = TypeVar("N", bound=Hashable)

WW, WR, RW = 1, 2, 4
"""Dependencies: wrote over what the other wrote; read it; wrote over what the other read."""

_LABELS = {WW: "ww", WR: "wr", RW: "rw"}

Neighbours = Callable[[N], Iterable[N]]
Phase = tuple[int, bool]
"""A transaction, and whether it was reached by an anti-dependency."""


class Graph:
    """Dependencies between transactions, with the key each comes from."""

    def __init__(self) -> None:
        self.edges: dict[int, dict[int, int]] = {}
        self._keys: dict[tuple[int, int, int], int] = {}

    def add(self, before: int, after: int, dependency: int, key: int) -> None:
        """Say that one transaction comes before another; nothing if they are the same."""
        if before == after:
            return
        out = self.edges.setdefault(before, {})
        out[after] = out.get(after, 0) | dependency
        self._keys.setdefault((before, after, dependency), key)

    def along(self, mask: int) -> Neighbours[int]:
        """The neighbours by some dependencies only."""
        return lambda node: [to for to, has in self.edges.get(node, {}).items() if has & mask]

    def phases(self, phase: Phase) -> list[Phase]:
        """The neighbours where no two anti-dependencies may follow each other."""
        node, came_by_rw = phase
        out = self.edges.get(node, {}).items()
        found = [(to, False) for to, has in out if has & (WW | WR)]
        if not came_by_rw:
            found += [(to, True) for to, has in out if has & RW]
        return found

    def has(self, before: int, after: int, mask: int) -> bool:
        """Whether there is an edge by one of some dependencies."""
        return bool(self.edges.get(before, {}).get(after, 0) & mask)

    def describe(self, cycle: Sequence[int], preferred: Sequence[int]) -> str:
        """A cycle in words, each edge by the first dependency it has of those preferred."""
        words = [f"T{cycle[0]}"]
        for before, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            kind = next(kind for kind in preferred if self.has(before, after, kind))
            key = self._keys[before, after, kind]
            words.append(f"-{_LABELS[kind]} {key}-> T{after}")
        return " ".join(words)


def components(nodes: Iterable[N], neighbours: Neighbours[N]) -> list[list[N]]:
    """The strongly connected components of more than one node (Tarjan, without recursion)."""
    index: dict[N, int] = {}
    low: dict[N, int] = {}
    stack: list[N] = []
    on_stack: set[N] = set()
    found: list[list[N]] = []
    for root in nodes:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(neighbours(root)))]
        while work:
            node, rest = work[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on_stack.add(to)
                    work.append((to, iter(neighbours(to))))
                    break
                if to in on_stack:
                    low[node] = min(low[node], index[to])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component = _popped(stack, on_stack, node)
                    if len(component) > 1:
                        found.append(component)
    return found


def path(start: N, goal: N, neighbours: Neighbours[N], within: set[N]) -> list[N] | None:
    """A shortest path from one node to another inside a set of nodes, of one edge at least."""
    came: dict[N, N] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for to in neighbours(node):
            if to not in within or to in came:
                continue
            came[to] = node
            if to == goal:
                return _back(came, start, goal)
            waiting.append(to)
    return None


def _back(came: dict[N, N], start: N, goal: N) -> list[N]:
    found = [goal]
    while True:
        found.append(came[found[-1]])
        if found[-1] == start:
            return found[::-1]


def _popped(stack: list[N], on_stack: set[N], last: N) -> list[N]:
    component: list[N] = []
    while True:
        node = stack.pop()
        on_stack.discard(node)
        component.append(node)
        if node == last:
            return component
