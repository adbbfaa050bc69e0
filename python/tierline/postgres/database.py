"""L3: a PostgreSQL server and its connections; every verb answers with a Result.

Each call has a deadline: the one of its context, or `timeout_s` from its beginning. A statement
that only reads is repeated when its connection is lost, because that does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg_pool import PoolTimeout
from returns.result import Failure, Success

from tierline.circuit import Circuit
from tierline.deadline import due_s
from tierline.errors import (
    ConnectionError,  # noqa: A004
    QueryError,
    RepositoryError,
)
from tierline.postgres.connection import Connection
from tierline.postgres.conninfo import Host
from tierline.postgres.counters import Counters, Reads
from tierline.postgres.errors import DRIVER_ERRORS
from tierline.postgres.events import CircuitChanged, Events, Retried
from tierline.postgres.health import Health, health_of
from tierline.postgres.measuring import measured, told_acquired, told_batches
from tierline.postgres.node import Node
from tierline.postgres.noting import Noting
from tierline.postgres.options import DatabaseOptions
from tierline.postgres.performer import about, failed, is_lost
from tierline.postgres.pool import PoolOptions, PoolStats
from tierline.postgres.probing import probe
from tierline.postgres.repeating import is_repeatable
from tierline.postgres.streaming import stream_rows
from tierline.sql import Statement

_R = TypeVar("_R")

READS_MAX = 3
"""How often a statement that only reads is tried in all."""

# The server's own limit on a statement comes first, because it leaves the connection whole.
_LIMIT_SLACK_S = 0.1


class Database(Noting):
    """One PostgreSQL server behind a pool; safe to share between threads.

    Args:
        host: The server.
        options: How it is used.

    Attributes:
        location: Where it is, without secrets.
        identity: What names the data, on its replicas too.
        schema: What unqualified names mean.
        server_version: As a number, such as 180001.
        events: What happens, for who wants to know.

    Raises:
        ConnectionError: The server cannot be reached or refuses the login.
    """

    def __init__(self, host: Host, options: DatabaseOptions) -> None:
        self._prepare(options)
        self.location = host.location
        self._node = self._make_node(host)
        try:
            self._learn(self._node)
            self._node.pool.wait(options.timeout_s)
        except PoolTimeout as error:
            raise ConnectionError(
                f"cannot connect to {self.location} within {options.timeout_s} s", operation="open"
            ) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, options: DatabaseOptions) -> None:
        self.options = options
        self.timeout_s = options.timeout_s
        self.counters = Counters()
        self.events = Events()
        self.limit_s = options.timeout_s + _LIMIT_SLACK_S

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The servers."""
        return (self._node,)

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""
        # The hottest path of L3, so `_perform` is written out here.
        if statement.writes and self.notes_writes:
            return self._fetch_noted(statement, values)
        if self.events.wanted:
            return self._perform(statement, lambda c: c.fetch(statement, values))
        began = time.monotonic()
        due = min(due_s(), began + self.limit_s)
        node = self._node
        try:
            connection = node.pool.take(began, due)
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(node, error, statement, began))
        failure: RepositoryError | None = None
        rows: list[Any] = []
        well = False
        try:
            rows = connection.fetch(statement, values)
            well = True
        except psycopg.Error as error:
            failure = self._failed(error, statement, connection, began)
        except RepositoryError as error:
            failure = about(error, statement, began)
        finally:
            node.pool.give_back(connection, well=well, now_s=began)
        if failure is not None:
            if is_repeatable(failure, statement):
                return self._perform(statement, lambda c: c.fetch(statement, values), attempt=2)
            return Failure(failure)
        if not statement.writes:
            self.counters.read(found=bool(rows))
        return Success(rows)

    def dial_writer(self, within_s: float) -> tuple[Node, Connection]:
        """The server that takes writes, and a connection to it beside the pool's.

        Raises:
            psycopg.Error: It cannot be reached.
        """
        node = self._writer(time.monotonic() + within_s)
        return node, node.dialer.dial()

    def is_writer(self, node: Node | None) -> bool:
        """Whether a server is the one that takes writes, as far as is known."""
        return node is self._node

    def stream(
        self, statement: Statement, values: tuple[Any, ...], size: int
    ) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
        """A statement's rows in batches; a Failure is the last."""
        batches = self._stream(statement, values, size)
        if not self.events.wanted:
            return batches
        return told_batches(self.events, lambda: self._node, statement, batches)

    def _stream(
        self, statement: Statement, values: tuple[Any, ...], size: int
    ) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
        began = time.monotonic()
        # How long the whole takes is its reader's affair, unless the reader has a deadline.
        due = due_s()
        node = self._writer(min(due, began + self.limit_s))
        try:
            connection = node.pool.take(began, min(due, began + self.limit_s))
        except DRIVER_ERRORS as error:
            yield Failure(self._no_connection(node, error, statement, began))
            return
        told_acquired(self.events, node, began)
        connection.guard.begin(due)
        failure: RepositoryError | None = None
        batches = stream_rows(connection, statement, values, size, self.timeout_s)
        try:
            for rows in batches:
                yield Success(rows)
        except psycopg.Error as error:
            failure = self._failed(error, statement, connection, began)
        except RepositoryError as error:
            failure = about(error, statement, began)
        finally:
            batches.close()
            node.pool.give_back(connection, well=False, now_s=began)
        if failure is not None:
            yield Failure(failure)

    def script(self, statement: Statement) -> Success[None] | Failure[RepositoryError]:
        """Run several commands without parameters, all or none."""

        def run(connection: Connection) -> None:
            # Without parameters psycopg sends one simple query: an implicit transaction.
            connection.execute(statement.sql.encode())

        return self._perform(statement, run)

    def reads(self) -> Reads:
        """The counters of reads and errors."""
        return self.counters.reads()

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        return self._node.pool.stats()

    def health(self) -> Health:
        """What is known of the server now, without asking it."""
        return health_of(self.nodes)

    def warm_up(self, timeout_s: float = 30.0) -> Success[None] | Failure[RepositoryError]:
        """Open `size_min` connections to each server."""
        for node in self.nodes:
            try:
                node.pool.wait(timeout_s)
            except DRIVER_ERRORS as error:
                return Failure(self._no_connection(node, error, _WARM_UP, time.monotonic()))
        return Success(None)

    def drain(self) -> None:
        """Close the idle connections, and the others when they come back; new ones replace them."""
        for node in self.nodes:
            node.pool.drain()

    def resize(self, options: PoolOptions) -> None:
        """Keep more or fewer connections to each server from now on."""
        for node in self.nodes:
            node.pool.resize(options)

    def close(self) -> None:
        """Close every connection."""
        for node in self.nodes:
            node.close()

    def borrow(
        self, statement: Statement, within_s: float | None = None
    ) -> Success[Connection] | Failure[RepositoryError]:
        """A connection for longer than one statement; `give_back` must follow.

        Args:
            statement: What is about to be run, for errors.
            within_s: Seconds to wait for it at most, if that is less than `timeout_s`.
        """
        began = time.monotonic()
        wait = self.limit_s if within_s is None else min(within_s, self.limit_s)
        due = min(due_s(), began + wait)
        while True:
            node = self._writer(due)
            try:
                connection = node.pool.take(began, due)
            except DRIVER_ERRORS as error:
                failure = self._no_connection(node, error, statement, began)
                if time.monotonic() >= due or not self._is_repeatable(failure, statement, node):
                    return Failure(failure)
            else:
                connection.guard.end()
                told_acquired(self.events, node, began)
                return Success(connection)

    def give_back(self, connection: Connection, *, well: bool) -> None:
        """Return a borrowed connection; if it is not at rest, the pool looks it over."""
        self.lender(connection).pool.give_back(connection, well=well, now_s=time.monotonic())

    def ask(
        self, statement: Statement, values: tuple[Any, ...], within_s: float, timeline: int
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """As `fetch`, with less time, of a server that is on a timeline.

        Errors: `QueryError` too, if another has been promoted meanwhile: it may never have heard of
        a transaction, or have given its id to another.
        """

        def run(connection: Connection) -> list[Any]:
            if connection.timeline != timeline:
                raise QueryError("another server has been promoted meanwhile")
            return connection.fetch(statement, values)

        return self._perform(statement, run, within_s)

    def lost_one(self, connection: Connection) -> None:
        """A connection was lost: what ended its session has probably ended the idle ones too."""
        self.lender(connection).pool.drain(connection)

    def _perform(
        self,
        statement: Statement,
        action: Callable[[Connection], _R],
        within_s: float | None = None,
        attempt: int = 1,
    ) -> Success[_R] | Failure[RepositoryError]:
        began = time.monotonic()
        due = min(due_s(), began + (self.limit_s if within_s is None else within_s))
        while True:
            node = self._writer(due)
            found = self._once(node, statement, action, began, due)
            if isinstance(found, Success):
                return found
            failure = found.failure()
            failure.attempt = attempt
            if (
                attempt >= READS_MAX
                or time.monotonic() >= due
                or not self._is_repeatable(failure, statement, node)
            ):
                return found
            if self.events.wanted:
                name = type(failure).__name__
                self.events.tell(Retried(statement.operation, statement.table_name, attempt, name))
            attempt += 1

    def _once(
        self,
        node: Node,
        statement: Statement,
        action: Callable[[Connection], _R],
        began: float,
        due: float,
    ) -> Success[_R] | Failure[RepositoryError]:
        try:
            connection = node.pool.take(time.monotonic(), due)
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(node, error, statement, began))
        well = False
        try:
            if self.events.wanted:
                found = measured(
                    self.events,
                    node,
                    connection,
                    statement,
                    lambda: self._attempt(connection, statement, action, began),
                    began_s=began,
                )
            else:
                found = self._attempt(connection, statement, action, began)
            well = isinstance(found, Success)
        finally:
            node.pool.give_back(connection, well=well, now_s=began)
        return found

    def _writer(self, due: float) -> Node:
        """The server that takes writes."""
        del due
        return self._node

    def lender(self, connection: Connection) -> Node:
        """The server that a connection leads to."""
        return next(node for node in self.nodes if node.dialer.made(connection))

    def _is_repeatable(self, failure: RepositoryError, statement: Statement, node: Node) -> bool:
        """Whether a statement may be tried again after an error."""
        del node
        return is_repeatable(failure, statement)

    def _failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began: float
    ) -> RepositoryError:
        lost = is_lost(error, connection)
        if lost and not connection.guard.overdue:
            self.lost_one(connection)
        self.counters.error()
        return failed(error, statement, connection, began, lost=lost)

    def _no_connection(
        self, node: Node, error: Exception, statement: Statement, began: float
    ) -> RepositoryError:
        self.counters.error()
        return node.no_connection(error, statement, began)

    def _make_node(self, host: Host, is_fit: Callable[[int], bool] = lambda _: True) -> Node:
        return Node(
            host.conninfo,
            host.location,
            pool=self.options.pool,
            timeout_s=self.options.timeout_s,
            connect_timeout_s=self.options.connect_timeout_s,
            credentials=self.options.credentials,
            is_fit=is_fit,
            on_circuit=self._circuit_changed,
        )

    def _circuit_changed(self, node: Node, before: Circuit, after: Circuit) -> None:
        if self.events.wanted:
            self.events.tell(CircuitChanged(node.location, before.state, after.state))

    def _learn(self, node: Node) -> None:
        found = probe(node)
        self.server_version, self.identity, self.schema = found

    def __repr__(self) -> str:
        return f"<Database {self.location}>"


_WARM_UP = Statement("warm_up", "", (), None)
