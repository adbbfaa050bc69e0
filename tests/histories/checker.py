"""Finds the anomalies of a history, in the manner of Elle; about linear in its length.

The reads tell the order in which each list grew. From it follows who wrote over whom (ww), who read
whom (wr) and who read what another then wrote over (rw). A serial execution has no cycle of these;
a weaker level allows some cycles. Of each set of transactions that are tied to each other only the
worst cycle is named, the one that the weakest level forbids.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.histories.anomalies import Anomaly, Kind
from tests.histories.graph import RW, WR, WW, Graph, Phase, components, path
from tests.histories.history import Append, History
from tests.histories.observed import Appends, Values, View, appends, committed, version_orders
from tests.histories.observed import views as views_of
from tests.histories.reads import lost_updates, stale_reads, wrong_reads

_TRIES = 200
"""How many anti-dependencies of a component are tried for a cycle of which each is the only one."""


def check(history: History) -> tuple[Anomaly, ...]:
    """Every anomaly of a history.

    Raises:
        ValueError: A value was appended to one key twice.
    """
    made = appends(history)
    alive = committed(history, made)
    found: list[Anomaly] = []
    seen = [view for n in sorted(alive) for view in views_of(n, history[n], made, found)]
    orders, agreeing = version_orders(seen, found)
    found += wrong_reads(history, made, seen, orders)
    found += lost_updates(history, agreeing)
    found += stale_reads(history, alive, agreeing, orders)
    graph = dependencies(history, made, alive, agreeing, orders)
    found += cycles(graph)
    return tuple(found)


def dependencies(
    history: History,
    made: Appends,
    alive: set[int],
    seen: list[View],
    orders: dict[int, Values],
) -> Graph:
    """The graph of dependencies between committed transactions."""
    graph = Graph()
    chains = {
        key: [
            writer
            for value in order
            if (writer := made.writer.get((key, value))) is not None and writer in alive
        ]
        for key, order in orders.items()
    }
    unseen = _unseen(history, alive, orders)
    for key, chain in chains.items():
        for before, after in pairwise(chain):
            graph.add(before, after, WW, key)
        for after in unseen.get(key, ()) if chain else ():
            graph.add(chain[-1], after, WW, key)
    for view in seen:
        writers = [made.writer.get((view.key, value)) for value in view.foreign[-1:]]
        for before in writers:
            if before is not None and before in alive:
                graph.add(before, view.reader, WR, view.key)
        order = orders[view.key]
        for after in _next_writers(view, order, made, alive, unseen):
            graph.add(view.reader, after, RW, view.key)
    return graph


def _next_writers(
    view: View, order: Values, made: Appends, alive: set[int], unseen: dict[int, list[int]]
) -> list[int]:
    """Who wrote over what a read saw."""
    for value in order[len(view.foreign) :]:
        writer = made.writer.get((view.key, value))
        if writer is not None and writer in alive:
            return [writer]
    return unseen.get(view.key, [])


def _unseen(history: History, alive: set[int], orders: dict[int, Values]) -> dict[int, list[int]]:
    """For each key who appended to it what no read shows: it comes after all that they show."""
    shown = {key: set(order) for key, order in orders.items()}
    found: dict[int, dict[int, None]] = {}
    for number in sorted(alive):
        for operation in history[number].operations:
            if isinstance(operation, Append) and operation.value not in shown.get(
                operation.key, ()
            ):
                found.setdefault(operation.key, {})[number] = None
    return {key: list(numbers) for key, numbers in found.items()}


def cycles(graph: Graph) -> Iterator[Anomaly]:
    """The worst cycle of each component, from those that every level forbids to write skew."""
    named: set[int] = set()
    nodes = list(graph.edges)
    for kind, mask in ((Kind.G0, WW), (Kind.G1C, WW | WR)):
        for component in components(nodes, graph.along(mask)):
            if named.isdisjoint(component):
                # The dependency that is new at this step lies on a cycle: all edges here do.
                yield _cycle(graph, kind, component, WR if kind is Kind.G1C else WW, mask)
            named.update(component)
    phases: list[Phase] = [(node, came_by_rw) for node in nodes for came_by_rw in (False, True)]
    for knot in components(phases, graph.phases):
        component = list(dict.fromkeys(node for node, _ in knot))
        if named.isdisjoint(component):
            yield _skewed(graph, component, set(knot))
        named.update(component)
    for component in components(nodes, graph.along(WW | WR | RW)):
        if named.isdisjoint(component):
            yield _cycle(graph, Kind.G2_ITEM, component, RW, WW | WR | RW)


def _cycle(graph: Graph, kind: Kind, component: list[int], first: int, mask: int) -> Anomaly:
    within = set(component)
    before, after = next(_edges(graph, within, first))
    around = path(after, before, graph.along(mask), within)
    assert around is not None
    return Anomaly(kind, tuple(around), graph.describe(around, (WW, WR, RW)))


def _skewed(graph: Graph, component: list[int], knot: set[Phase]) -> Anomaly:
    """A cycle with one anti-dependency if there is one, else one without two in a row."""
    within = set(component)
    for _, (before, after) in zip(range(_TRIES), _edges(graph, within, RW), strict=False):
        around = path(after, before, graph.along(WW | WR), within)
        if around is not None:
            text = graph.describe((*around,), (WW, WR, RW))
            return Anomaly(Kind.G_SINGLE, tuple(around), text)
    start = next(phase for phase in knot if phase[1])
    walk = path(start, start, graph.phases, knot)
    assert walk is not None
    around = [node for node, _ in walk[1:]]
    return Anomaly(Kind.G_NONADJACENT, tuple(around), graph.describe(around, (WW, WR, RW)))


def _edges(graph: Graph, within: set[int], mask: int) -> Iterator[tuple[int, int]]:
    for before in within:
        for after in graph.along(mask)(before):
            if after in within:
                yield before, after
