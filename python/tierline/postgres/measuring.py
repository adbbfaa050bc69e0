"""Measuring what a statement spends its time on, for who subscribed to events."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sized
from typing import Any, Protocol, TypeVar

from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection
from tierline.postgres.events import Acquired, Events, Ran
from tierline.postgres.node import Node
from tierline.sql import Statement

_R = TypeVar("_R")


class Lender(Protocol):
    """What connections are borrowed from."""

    events: Events

    def lender(self, connection: Connection) -> Node:
        """The server that a connection leads to."""
        ...


def measured(
    events: Events,
    node: Node,
    connection: Connection,
    statement: Statement,
    attempt: Callable[[], Success[_R] | Failure[RepositoryError]],
    *,
    began_s: float,
) -> Success[_R] | Failure[RepositoryError]:
    """The answer of an attempt, after telling what it took.

    Args:
        events: Who is told.
        node: The server.
        connection: The connection that was taken for it.
        statement: What is run.
        attempt: Runs it.
        began_s: When the call began.
    """
    taken_s = time.monotonic()
    told_acquired(events, node, began_s, taken_s)
    return told_ran(events, node, connection, statement, attempt, began_s=began_s, taken_s=taken_s)


def told_acquired(events: Events, node: Node, began_s: float, taken_s: float | None = None) -> None:
    """Tell that a connection was lent out, just now unless it is said when."""
    if events.wanted:
        waited_s = (time.monotonic() if taken_s is None else taken_s) - began_s
        events.tell(Acquired(node.location, waited_s, node.pool.in_use))


def told_ran(
    events: Events,
    node: Node,
    connection: Connection,
    statement: Statement,
    attempt: Callable[[], Success[_R] | Failure[RepositoryError]],
    *,
    began_s: float,
    taken_s: float,
) -> Success[_R] | Failure[RepositoryError]:
    """The answer of an attempt, after telling what it took; who had the connection already.

    Args:
        events: Who is told.
        node: The server.
        connection: The connection.
        statement: What is run.
        attempt: Runs it.
        began_s: When the call began.
        taken_s: When it had the connection.
    """
    # Before its first use a connection has not rested.
    idle_s = taken_s - connection.rested_since_s if connection.rested_since_s else 0.0
    connection.answered_s = 0.0
    connection.is_measured = True
    try:
        found = attempt()
    finally:
        connection.is_measured = False
    ended_s = connection.rested_since_s = time.monotonic()
    answered_s = connection.answered_s or ended_s
    error = found.failure() if isinstance(found, Failure) else None
    events.tell(
        Ran(
            node=node.location,
            operation=statement.operation,
            table=statement.table_name,
            statement=statement.name.decode(),
            queue_s=taken_s - began_s,
            query_s=answered_s - taken_s,
            decode_s=ended_s - answered_s,
            idle_s=max(0.0, idle_s),
            total_s=ended_s - began_s,
            rows=_rows(found),
            error=None if error is None else type(error).__name__,
        )
    )
    return found


def told_inside(
    database: Lender,
    connection: Connection,
    statement: Statement,
    attempt: Callable[[], Success[_R] | Failure[RepositoryError]],
) -> Success[_R] | Failure[RepositoryError]:
    """As `told_ran`, in a transaction, which has its connection already."""
    now_s = time.monotonic()
    node = database.lender(connection)
    return told_ran(
        database.events, node, connection, statement, attempt, began_s=now_s, taken_s=now_s
    )


def told_batches(
    events: Events,
    node: Callable[[], Node],
    statement: Statement,
    batches: Generator[Success[list[Any]] | Failure[RepositoryError]],
) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
    """The batches of a stream, after which is told what they took.

    Args:
        events: Who is told.
        node: The server, once it is known.
        statement: What is run.
        batches: The batches.
    """
    began_s = time.monotonic()
    waited_s, rows, error = 0.0, 0, None
    try:
        while True:
            asked_s = time.monotonic()
            batch = next(batches, None)
            waited_s += time.monotonic() - asked_s
            if batch is None:
                return
            if isinstance(batch, Failure):
                error = type(batch.failure()).__name__
            else:
                rows += len(batch.unwrap())
            yield batch
    finally:
        batches.close()
        events.tell(
            Ran(
                node=node().location,
                operation=statement.operation,
                table=statement.table_name,
                statement=statement.name.decode(),
                queue_s=0.0,
                query_s=waited_s,
                decode_s=0.0,
                idle_s=0.0,
                total_s=time.monotonic() - began_s,
                rows=rows,
                error=error,
            )
        )


def _rows(found: Success[Any] | Failure[RepositoryError]) -> int:
    answer = found.unwrap() if isinstance(found, Success) else None
    if isinstance(answer, int):
        return answer
    return len(answer) if isinstance(answer, Sized) else 0
