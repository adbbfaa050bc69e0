"""Several PostgreSQL servers that hold the same data: a primary and its replicas.

Writes go to the primary, which is looked for again when it fails: what could not be sent waits for
the next one within its deadline. Reads go where their policy says. A replica answers only if it has
replayed what this context wrote (`following`), and is given up for the primary when it does not
answer soon.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from returns.result import Failure, Success

from tierline.deadline import due_s
from tierline.errors import (
    ConnectionError,  # noqa: A004
    RepositoryError,
    TimeoutError,  # noqa: A004
)
from tierline.postgres.connection import Connection
from tierline.postgres.conninfo import Host
from tierline.postgres.database import Database
from tierline.postgres.events import FailedOver
from tierline.postgres.following import last_write
from tierline.postgres.node import Node
from tierline.postgres.options import DatabaseOptions
from tierline.postgres.pipeline import as_one, fetch_batch
from tierline.postgres.pool import PoolStats
from tierline.postgres.repeating import was_never_sent
from tierline.postgres.routing import ReadPolicy, readers
from tierline.postgres.topology import Topology
from tierline.sql import Compiled, Statement
from tierline.sql.snapshots import SETTLED_BELOW

_PATIENCE_S = 0.05
"""Seconds for a replica to answer before it is asked whether it lives."""

_LIFE_S = 0.025
"""Seconds for the answer that it does. With the watchdog's grace all stays within 0.2 s."""

_SLOW_MAX = 1000
_MORE_PATIENCE = 4
_CATCH_UP_PAUSE_S = 0.001
_LEFT_BEHIND: list[Any] = []


class RoutedDatabase(Database):
    """A primary and its replicas; safe to share between threads.

    Args:
        hosts: The servers, whichever of them is the primary.
        options: How each is used.
        policy: Where reads go.

    Raises:
        ConnectionError: No server can be reached.
    """

    notes_writes = True

    def __init__(self, hosts: Sequence[Host], options: DatabaseOptions, policy: ReadPolicy) -> None:
        self._prepare(options)
        self.location = " and ".join(host.location for host in hosts)
        self._policy = policy
        self._turns = itertools.count()
        self._patience: dict[bytes, float] = {}
        self._written = 0
        self._nodes = tuple(self._make_node(host, self._is_fit) for host in hosts)
        self._topology = Topology(self._nodes, self._moved)
        self._node = self._nodes[0]
        try:
            self._topology.start()
            self._learn(self._reachable(time.monotonic() + options.connect_timeout_s))
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The servers."""
        return self._nodes

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""
        if statement.writes:
            return self._fetch_noted(statement, values)
        return self._read(statement, values, last_write(self.identity))

    def fetch_current(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """As `fetch`, with nothing older than what this process has written in any context."""
        if statement.writes:
            return self.fetch(statement, values)
        return self._read(statement, values, max(self._written, last_write(self.identity)))

    def _read(
        self, statement: Statement, values: tuple[Any, ...], needed: int
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        began = time.monotonic()
        due = min(due_s(), began + self.limit_s)
        read = _Read(statement, values, needed, began, due)
        for node in self._readers():
            if node is self._topology.primary:
                break
            found = self._from_replica(node, read)
            if found is not None:
                return found
        return self.fetch_latest(statement, values)

    def fetch_latest(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement that only reads, from the primary."""
        found = self._perform(statement, lambda c: c.fetch(statement, values))
        if isinstance(found, Success):
            self.counters.read(found=bool(found.unwrap()))
        return found

    def is_writer(self, node: Node | None) -> bool:
        """Whether a server is the one that takes writes, as far as is known."""
        return self._topology.primary in (None, node)

    def script(self, statement: Statement) -> Success[None] | Failure[RepositoryError]:
        """Run several commands without parameters, all or none."""
        return self._noted_after(super().script(statement))

    def stats(self) -> PoolStats:
        """The pools of all servers at this moment, together."""
        found = [node.pool.stats() for node in self._nodes]
        return PoolStats(
            *(sum(getattr(one, field) for one in found) for field in PoolStats.__struct_fields__)
        )

    def note(self, xid: int, *, is_exact: bool = True) -> None:
        """A transaction of this context has written, or may have; see `note_write`."""
        super().note(xid, is_exact=is_exact)
        self._written = max(self._written, xid)

    def close(self) -> None:
        """Close every connection, and look after the servers no longer."""
        self._topology.close()
        super().close()

    def _from_replica(
        self, node: Node, read: _Read
    ) -> Success[list[Any]] | Failure[RepositoryError] | None:
        """A replica's answer; None if another server is to be asked."""
        statement, due = read.statement, read.due
        patience = self._patience.get(statement.name, _PATIENCE_S)
        asked = time.monotonic()
        until = min(due, asked + patience)

        def run(connection: Connection) -> list[Any]:
            return _settled(connection, read, asked + self._policy.wait_s)

        found = self._once(node, statement, run, read.began, until)
        if isinstance(found, Success):
            if found.unwrap() is _LEFT_BEHIND:
                return None
            self.counters.read(found=bool(found.unwrap()))
            return found
        failure = found.failure()
        if not isinstance(failure, (ConnectionError, TimeoutError)) or time.monotonic() >= due:
            return found
        if isinstance(failure, TimeoutError) and _lives(node, due):
            # It is not the server that is slow, it is the statement: it is given more time, though
            # never all there is, for the server may freeze yet.
            self._patience.pop(statement.name, None)
            if len(self._patience) >= _SLOW_MAX:
                self._patience.pop(next(iter(self._patience)), None)
            self._patience[statement.name] = patience * _MORE_PATIENCE
            return self._from_replica(node, read)
        self._topology.suspect(node)
        return None

    def _readers(self) -> list[Node]:
        usable = [node.dialer.circuit.state == "closed" for node in self._nodes]
        found = readers(
            self._policy,
            self._topology.states(),
            usable,
            next(self._turns),
            random.random(),  # noqa: S311 - nothing secret
        )
        return [self._nodes[n] for n in found]

    def _writer(self, due: float) -> Node:
        """The server that takes writes; the last one known if none is found in time."""
        found = self._topology.primary or self._topology.wait_for_primary(due)
        if found is not None:
            self._node = found
        return self._node

    def _is_repeatable(self, failure: RepositoryError, statement: Statement, node: Node) -> bool:
        """Whether a statement may be tried again after an error, perhaps on another server."""
        if not isinstance(failure, ConnectionError):
            return False
        self._topology.suspect(node)
        # Refused, or never sent: it did nothing.
        did_nothing = failure.sqlstate == "25006" or was_never_sent(failure)
        return did_nothing or super()._is_repeatable(failure, statement, node)

    def _is_fit(self, timeline: int) -> bool:
        return self._topology.is_fit(timeline)

    def _moved(self, before: Node | None, after: Node) -> None:
        if before is not None:
            before.pool.drain()
        if self.events.wanted:
            self.events.tell(FailedOver(before.location if before else None, after.location))

    def _reachable(self, due: float) -> Node:
        """A server to learn of the data from: the primary, or else any."""
        found = self._topology.wait_for_primary(due)
        if found is not None:
            return found
        seen = [node for node in self._nodes if node.state.role != "unknown"]
        return seen[0] if seen else self._nodes[0]


class _Read(NamedTuple):
    """A read that a replica may answer, if it has settled the transaction `needed`."""

    statement: Statement
    values: tuple[Any, ...]
    needed: int
    began: float
    due: float


def _settled(connection: Connection, read: _Read, until: float) -> list[Any]:
    """The rows, once the replica has replayed what is needed; `_LEFT_BEHIND` if not in time."""
    statement, values = read.statement, read.values
    if not read.needed:
        return connection.fetch(statement, values)
    pause = _CATCH_UP_PAUSE_S
    while True:
        # The snapshot is taken in the same round trip, no later than the one that is answered from.
        with as_one():
            (below,), rows = fetch_batch(
                connection, [Compiled(SETTLED_BELOW, ()), Compiled(statement, values)]
            )
        if read.needed < below:
            return rows
        if time.monotonic() + pause >= until:
            return _LEFT_BEHIND
        time.sleep(pause)
        pause *= 2


def _lives(node: Node, due: float) -> bool:
    """Whether a server that has not answered in time answers at all."""
    began = time.monotonic()
    try:
        connection = node.pool.take(began, min(due, began + _LIFE_S))
    except Exception:  # noqa: BLE001 - whatever it is, it is no life
        return False
    well = False
    try:
        connection.command(b"SELECT 1")
        well = True
    except Exception:  # noqa: BLE001
        return False
    finally:
        node.pool.give_back(connection, well=well, now_s=began)
    return well
