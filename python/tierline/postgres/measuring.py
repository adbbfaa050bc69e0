"""Measuring what a statement spends its time on, for who subscribed to events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from returns.result import Failure, Success

from tierline.entity.types import is_list
from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection
from tierline.postgres.events import Acquired, Events, Ran
from tierline.postgres.node import Node
from tierline.sql import Statement

_R = TypeVar("_R")


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
    events.tell(Acquired(node.location, taken_s - began_s, node.pool.in_use))
    # Before its first use a connection has not rested.
    idle_s = taken_s - connection.rested_since_s if connection.rested_since_s else 0.0
    connection.answered_s = 0.0
    connection.is_measured = True
    try:
        found = attempt()
    finally:
        connection.is_measured = False
    ended_s = time.monotonic()
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


def _rows(found: Success[Any] | Failure[RepositoryError]) -> int:
    answer = found.unwrap() if isinstance(found, Success) else None
    if is_list(answer):
        return len(answer)
    return answer if isinstance(answer, int) else 0
