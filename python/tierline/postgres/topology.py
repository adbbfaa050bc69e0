"""Which server is what, asked of each again and again.

A thread asks each server, so that a frozen one delays nobody's knowledge of the others.
The answer is a value a server (`NodeState`); who routes by it only reads. While no primary is known
the servers are asked ten times a second, so that a promotion is noticed within 0.1 s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from tierline.postgres.connection import Connection
from tierline.postgres.forking import renew_in_children
from tierline.postgres.node import Node
from tierline.postgres.routing import NodeState, judged, primary_of

_LOOK_S = 0.5
_LOOK_WITHOUT_PRIMARY_S = 0.1
_ANSWER_S = 1.0
_SMOOTHING = 0.2

_log = logging.getLogger("tierline.postgres")

_ASK = """
SELECT follows,
    CASE WHEN follows THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn,
    CASE WHEN follows THEN (SELECT received_tli FROM pg_stat_wal_receiver)
        ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
    CASE WHEN NOT follows OR (pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
            AND EXISTS (SELECT FROM pg_stat_wal_receiver)) THEN 0
        ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END
FROM (SELECT pg_is_in_recovery() AS follows) AS s
"""


class Topology:
    """Keeps the states of several servers up to date, from a thread each.

    Args:
        nodes: The servers.
        on_primary: Called when another server has become the one that takes writes.
    """

    def __init__(
        self, nodes: Sequence[Node], on_primary: Callable[[Node | None, Node], None]
    ) -> None:
        self.nodes = tuple(nodes)
        self._on_primary = on_primary
        self.timeline = 0
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin with no thread; also in the child of a fork."""
        self.primary: Node | None = None
        self._last: Node | None = None
        self._asked: set[int] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopped = threading.Event()
        self._hurries = [threading.Event() for _ in self.nodes]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look; nothing if it has begun."""
        with self._lock:
            if self._threads or self._stopped.is_set():
                return
            self._threads = [
                threading.Thread(
                    target=self._watch, args=(n,), name=f"tierline-topology-{n}", daemon=True
                )
                for n in range(len(self.nodes))
            ]
            for thread in self._threads:
                thread.start()

    def is_fit(self, timeline: int) -> bool:
        """Whether a server that takes writes on this timeline is not one of the past."""
        return timeline >= self.timeline

    def suspect(self, node: Node) -> None:
        """A server said that it takes no writes, or went away: it is asked again."""
        n = self.nodes.index(node)
        self._learn(n, msgspec.structs.replace(node.state, role="unknown"))
        self._hurries[n].set()

    def wait_for_primary(self, due_s: float) -> Node | None:
        """The server that takes writes; None if none was found in time."""
        self.start()
        with self._changed:
            while self.primary is None:
                left_s = due_s - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return None
            return self.primary

    def states(self) -> list[NodeState]:
        """What is known of each server."""
        return [node.state for node in self.nodes]

    def close(self) -> None:
        """Look no longer."""
        self._stopped.set()
        for hurry in self._hurries:
            hurry.set()
        with self._changed:
            self._changed.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(2 * _ANSWER_S)

    def _watch(self, n: int) -> None:
        node = self.nodes[n]
        connection: Connection | None = None
        while not self._stopped.is_set():
            began_s = time.monotonic()
            try:
                if connection is None:
                    connection = node.dialer.dial()
                self._learn(n, _ask(connection, node.state))
            except psycopg.Error as error:
                _log.debug("%s does not answer: %s", node.location, type(error).__name__)
                if connection is not None:
                    connection.close()
                    connection = None
                self._learn(n, msgspec.structs.replace(node.state, role="unknown"))
            pause_s = _LOOK_S if self.primary is not None else _LOOK_WITHOUT_PRIMARY_S
            self._hurries[n].wait(max(0.0, began_s + pause_s - time.monotonic()))
            self._hurries[n].clear()
        if connection is not None:
            connection.close()

    def _learn(self, n: int, state: NodeState) -> None:
        found: Node | None = None
        with self._changed:
            self.nodes[n].state = state
            states = judged(self.states())
            for node, judgement in zip(self.nodes, states, strict=True):
                if node.state.role != judgement.role:
                    # What was connected to it before the promotion must not write there either.
                    node.state = judgement
                    node.pool.drain()
            self._asked.add(n)
            self.timeline = max(self.timeline, *(one.timeline for one in states))
            # Until each was asked once, the one that says it takes writes may be one of the past.
            position = primary_of(states) if len(self._asked) == len(self.nodes) else None
            before = self._last
            self.primary = None if position is None else self.nodes[position]
            if self.primary is not None:
                self._changed.notify_all()
                if self.primary is not before:
                    found = self._last = self.primary
        if found is not None:
            self._on_primary(before, found)


def _ask(connection: Connection, known: NodeState) -> NodeState:
    """What a server says of itself.

    Raises:
        psycopg.Error: It does not answer.
    """
    began_s = time.monotonic()
    connection.guard.begin(began_s + _ANSWER_S)
    try:
        row: tuple[Any, ...] = connection.execute(_ASK, prepare=True).fetchone() or ()
    finally:
        in_time = connection.guard.end()
    if not in_time:
        raise psycopg.OperationalError("no answer in time")
    follows, position, timeline, lag_s = row
    now_s = time.monotonic()
    took_s = now_s - began_s
    smooth = known.latency_s + _SMOOTHING * (took_s - known.latency_s) if known.seen_s else took_s
    return NodeState(
        role="replica" if follows else "primary",
        timeline=timeline or known.timeline,
        version=connection.info.server_version,
        position=int(position or 0),
        lag_s=float(lag_s or 0),
        latency_s=smooth,
        seen_s=now_s,
    )
