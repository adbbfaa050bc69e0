"""The verbs of L3 over one borrowed connection, and what each kind of failure is answered with."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from returns.result import Failure, Success

from tierline.errors import DecodeError, RepositoryError
from tierline.postgres.bulk import copy_rows, move_rows
from tierline.postgres.connection import Connection, column_types
from tierline.postgres.errors import FATAL_STATES, TYPE_STATES, classify, doubtful, overdue
from tierline.postgres.pipeline import BatchError, fetch_batch
from tierline.sql import Compiled, Staged, Statement

_R = TypeVar("_R")


class Performer(ABC):
    """Runs statements; whose connection it is, and until when, is the subclass's."""

    @abstractmethod
    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""

    def fetch_latest(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement that only reads, from a server that takes writes."""
        return self.fetch(statement, values)

    def fetch_current(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """As `fetch`, with all that this process wrote in any context: what a cache may keep."""
        return self.fetch(statement, values)

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """Run a statement that answers no rows; how many rows it changed."""
        return self._perform(statement, lambda c: c.execute_statement(statement, values))

    def fetch_batch(
        self, batch: Sequence[Compiled]
    ) -> Success[list[list[Any]]] | Failure[RepositoryError]:
        """The rows of several statements, run in one round trip and one transaction."""
        # If the connection is lost, what one of them wrote may have happened.
        written = (compiled.statement for compiled in batch if compiled.statement.writes)
        return self._perform(
            next(written, batch[0].statement), lambda connection: fetch_batch(connection, batch)
        )

    def explain(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement that is not prepared and whose writes are undone."""
        return self._perform(statement, lambda c: _undone(c, statement, values))

    def copy_in(
        self,
        statement: Statement,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by COPY, all or none; how many.

        Args:
            statement: The COPY statement; its parameters are the columns' types.
            rows: Column values, or entities whose fields are these, validated.
            progress: Called now and then with how many rows have been sent since the last call.
        """
        return self._perform(statement, lambda c: copy_rows(c, statement, rows, progress))

    def move_in(
        self,
        staged: Staged,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by way of a temporary table, in one transaction; how many were written.

        Of a whole write that would reach fewer rows than are given, nothing stays.

        Args:
            staged: The statements.
            rows: Column values, or entities whose fields are these, validated.
            progress: Called now and then with how many rows have been sent since the last call.
        """
        return self._perform(staged.move, lambda c: move_rows(c, staged, rows, progress))

    @abstractmethod
    def _perform(
        self, statement: Statement, action: Callable[[Connection], _R]
    ) -> Success[_R] | Failure[RepositoryError]:
        """Run an action of a statement on a connection."""

    @abstractmethod
    def _failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began: float
    ) -> RepositoryError:
        """What a refused statement, or a lost connection, is answered with."""

    def _attempt(
        self,
        connection: Connection,
        statement: Statement,
        action: Callable[[Connection], _R],
        began: float,
    ) -> Success[_R] | Failure[RepositoryError]:
        try:
            return Success(action(connection))
        except psycopg.Error as error:
            return Failure(self._failed(error, statement, connection, began))
        except RepositoryError as error:
            return Failure(about(error, statement, began))
        except BatchError as failed:
            return Failure(self._batch_failed(failed, connection, began))

    def _batch_failed(
        self, failed: BatchError, connection: Connection, began: float
    ) -> RepositoryError:
        if isinstance(failed.error, psycopg.Error):
            found = self._failed(failed.error, failed.statement, connection, began)
        else:
            found = about(failed.error, failed.statement, began)
        found.message = f"query {failed.position + 1} of {failed.size}: {found.message}"
        return found


def is_lost(error: psycopg.Error, connection: Connection) -> bool:
    """Whether an error ends the session; then the connection is closed."""
    lost = connection.lost or connection.guard.overdue or error.sqlstate in FATAL_STATES
    if lost:
        connection.close()
    return lost


def failed(
    error: psycopg.Error, statement: Statement, connection: Connection, began: float, *, lost: bool
) -> RepositoryError:
    """The error value for what the driver raised."""
    elapsed_s = time.monotonic() - began
    # What the server says of the statement itself stands, however late it came.
    if connection.guard.overdue and error.sqlstate in (None, "57014"):
        return overdue(error, statement, elapsed_s=elapsed_s)
    mismatch = None if lost else _mismatch(error, statement, connection)
    if lost and connection.was_answered and statement.writes:
        return doubtful(error, statement, elapsed_s=elapsed_s)
    return classify(error, statement, lost=lost, elapsed_s=elapsed_s, mismatch=mismatch)


def about(error: RepositoryError, statement: Statement, began: float) -> RepositoryError:
    """An error of ours, with what it is about."""
    error.operation = error.operation or statement.operation
    error.table = error.table or statement.table_name
    error.elapsed_s = time.monotonic() - began
    return error


def _mismatch(
    error: psycopg.Error, statement: Statement, connection: Connection
) -> DecodeError | None:
    """Which column has another type than its field, where the server only says which types."""
    # A transaction that failed answers nothing any more.
    is_idle = connection.pgconn.transaction_status == TransactionStatus.IDLE
    if is_idle and error.sqlstate in TYPE_STATES and statement.table is not None:
        try:
            column_types(connection, statement.operation, statement.table)
        except DecodeError as mismatch:
            return mismatch
        except psycopg.Error:
            pass
    return None


def _undone(connection: Connection, statement: Statement, values: tuple[Any, ...]) -> list[Any]:
    begin, undo = b"BEGIN", b"ROLLBACK"
    if connection.pgconn.transaction_status != TransactionStatus.IDLE:
        begin = b"SAVEPOINT tl_undone"
        undo = b"ROLLBACK TO SAVEPOINT tl_undone; RELEASE SAVEPOINT tl_undone"
    connection.command(begin)
    try:
        return connection.fetch_once(statement, values)
    finally:
        if not connection.lost:
            connection.command(undo)
