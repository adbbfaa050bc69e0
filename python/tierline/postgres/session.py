"""A transaction on one borrowed connection: the verbs of L3, with one beginning and one end.

What begins a transaction or a savepoint is sent with the first statement after it, in one round
trip, and so is the question for the transaction's id behind the first write: if the answer to
COMMIT never comes, the server can be asked what became of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from returns.result import Failure, Success

from tierline.errors import RepositoryError, TimeoutError  # noqa: A004
from tierline.postgres.bulk import copy_rows, move_rows
from tierline.postgres.connection import Connection, Prepared
from tierline.postgres.cursors import cursor_rows
from tierline.postgres.database import Database
from tierline.postgres.measuring import told_inside
from tierline.postgres.performer import Performer, failed, is_lost
from tierline.postgres.pipeline import BatchError, fetch_batch, run_together
from tierline.postgres.session_errors import (
    RETRY_STATES,
    ended_itself,
    interrupted,
    late,
    may_write,
    not_run,
    read_only,
    said_of,
    undone,
    unknown,
)
from tierline.postgres.session_limits import SessionLimits, tidy
from tierline.sql import Compiled, Staged, Statement
from tierline.sql.transactions import (
    XID,
    TransactionMode,
    back_to,
    begin,
    read_xid,
    release,
    savepoint,
)

_R = TypeVar("_R")
_now = time.monotonic
_COMMIT = Statement("commit", "COMMIT", (), None)


class Session(Performer):
    """A transaction; made with a connection of its own, used by one thread, until `close`.

    Args:
        database: Where the connection was borrowed.
        connection: The connection.
        mode: How the transaction runs.
        deadline_s: When it must have ended, on the monotonic clock; infinity leaves it to its
            statements.

    Attributes:
        failure: The first error after which nothing can be done but roll back.
        xid: The transaction's id, once something was written.
        incarnation: Which life of the server gave that id; after a crash it may give it again.
        must_repeat: Whether another transaction won, so that the whole is to be run again.
        timeline: Of the server that it runs on.
        ended_itself: Whether a statement ended it, so that something may be kept.
    """

    def __init__(
        self, database: Database, connection: Connection, mode: TransactionMode, deadline_s: float
    ) -> None:
        self.failure: Exception | None = None
        self.xid: int | None = None
        self.incarnation = ""
        self.must_repeat = False
        self.ended_itself = False
        self._database = database
        self._connection = connection
        self._mode = mode
        self.timeline = connection.timeline
        self._limits = SessionLimits(deadline_s, database.timeout_s)
        self._leading: list[Compiled] = [begin(mode)]
        self._begun = False
        self._thread = threading.get_ident()
        self._closed = False
        self._cursors = 0

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""

        def run(connection: Connection) -> list[Any]:
            if self._is_plain(statement):
                return connection.fetch(statement, values)
            prepared, result = self._together(connection, statement, values)
            return connection.rows(statement, prepared, result)

        found = self._perform(statement, run)
        if isinstance(found, Success) and not statement.writes:
            self._database.counters.read(found=bool(found.unwrap()))
        return found

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """Run a statement that answers no rows; how many rows it changed."""

        def run(connection: Connection) -> int:
            if self._is_plain(statement):
                return connection.execute_statement(statement, values)
            _, result = self._together(connection, statement, values)
            return result.command_tuples or 0

        return self._perform(statement, run)

    def fetch_batch(
        self, batch: Sequence[Compiled]
    ) -> Success[list[list[Any]]] | Failure[RepositoryError]:
        """The rows of several statements, run in one round trip."""
        written = (compiled.statement for compiled in batch if may_write(compiled.statement))
        first = next(written, batch[0].statement)
        return self._whole(first, lambda connection: fetch_batch(connection, batch))

    def stream(
        self, statement: Statement, values: tuple[Any, ...], size: int
    ) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
        """A statement's rows in batches, by a cursor; a Failure is the last.

        Other statements may run between two batches. What writes is run at once and whole.
        """
        if statement.writes:
            found = self.fetch(statement, values)
            if isinstance(found, Failure):
                yield found
                return
            rows = found.unwrap()
            for start in range(0, len(rows), size):
                yield Success(rows[start : start + size])
            return
        self._cursors += 1
        step = cursor_rows(statement, values, size, self._cursors)
        while True:
            batch = self._whole(statement, step)
            if isinstance(batch, Failure) or batch.unwrap():
                yield batch
            if isinstance(batch, Failure) or len(batch.unwrap()) < size:
                return

    def explain(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement that is not prepared and whose writes are undone."""
        begun = self._whole(statement, lambda _: None)
        return begun if isinstance(begun, Failure) else super().explain(statement, values)

    def copy_in(
        self,
        statement: Statement,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by COPY, all or none; how many."""
        return self._whole(statement, lambda c: copy_rows(c, statement, rows, progress))

    def move_in(
        self,
        staged: Staged,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by way of a temporary table; of a whole write that reaches fewer, none."""
        return self._whole(staged.move, lambda c: move_rows(c, staged, rows, progress))

    def check(self) -> None:
        """Refuse what comes too late, or from another thread.

        Raises:
            RuntimeError: It does.
        """
        if threading.get_ident() != self._thread:
            raise RuntimeError("a transaction belongs to the thread that its function runs in")
        if self._closed:
            raise RuntimeError(
                "the transaction has ended; use its tx only inside the function that it is given to"
            )

    def trouble(self) -> Exception | None:
        """`failure`, as it is now."""
        return self.failure

    def savepoint(self, depth: int) -> None:
        """Begin a part that can be undone by itself; `release` or `back_to` ends it."""
        self.check()
        self._leading.append(savepoint(depth))

    def release(self, depth: int) -> None:
        """End a part and keep what it did."""
        self.check()
        if savepoint(depth) in self._leading:
            self._forget_leading(depth)
        else:
            self._leading.append(release(depth))

    def back_to(self, depth: int) -> None:
        """Undo a part; what failed in it is forgotten, unless the whole must be repeated."""
        self.check()
        if savepoint(depth) in self._leading:
            self._forget_leading(depth)
        else:
            self._leading.clear()
            self._limits.forget()
            if not self._connection.lost:
                try:
                    with self._limits.watched(self._connection.guard):
                        self._connection.command(back_to(depth))
                except psycopg.Error as error:
                    self.doom(self._failed(error, XID.statement, self._connection, _now()))
                    return
        if not self.must_repeat and not self._connection.lost:
            self.failure = None

    def doom(self, error: Exception) -> None:
        """Let nothing more be done but roll back."""
        if self.failure is None:
            self.failure = error

    def commit(self) -> Success[None] | Failure[RepositoryError]:
        """Keep what was done.

        Errors: `CommitUnknownError` if the server's answer was lost; what the server found only
        now, such as a deferred constraint or a conflict.
        """
        self.check()
        if not self._begun:
            return Success(None)
        if self._limits.is_over:
            return Failure(late(_COMMIT))
        with self._limits.watched(self._connection.guard):
            if self._database.events.wanted:
                return told_inside(self._database, self._connection, _COMMIT, self._commit)
            return self._commit()

    def _commit(self, command: bytes = b"COMMIT") -> Success[None] | Failure[RepositoryError]:
        began, connection = _now(), self._connection
        try:
            result = connection.command(command)
        except psycopg.Error as error:
            found = self._failed(error, _COMMIT, connection, began)
            return Failure(unknown(self.xid, error) if connection.lost else found)
        return Success(None) if result.command_status == b"COMMIT" else Failure(undone())

    def close(self) -> None:
        """Undo what was not committed and give the connection back; idempotent."""
        if self._closed:
            return
        self._closed = True
        connection = self._connection
        try:
            tidy(connection)
        finally:
            at_rest = connection.pgconn.transaction_status == TransactionStatus.IDLE
            if not at_rest:
                # Nobody else gets what cannot be tidied.
                with suppress(psycopg.Error):
                    connection.close()
            self._database.give_back(connection, well=at_rest)

    def _perform(
        self, statement: Statement, action: Callable[[Connection], _R]
    ) -> Success[_R] | Failure[RepositoryError]:
        if (refused := self._refused(statement)) is not None:
            return Failure(refused)
        connection = self._connection
        try:
            with self._limits.watched(self._connection.guard):
                if self._database.events.wanted:
                    attempt = partial(self._attempt, connection, statement, action, _now())
                    found = told_inside(self._database, connection, statement, attempt)
                else:
                    found = self._attempt(connection, statement, action, _now())
        except BaseException as error:
            self.doom(error if isinstance(error, Exception) else interrupted())
            raise
        status = connection.pgconn.transaction_status
        if status == TransactionStatus.IDLE and self._begun and self.failure is None:
            self.ended_itself = True
            self.doom(ended_itself())
        elif status == TransactionStatus.INERROR and isinstance(found, Failure):
            self.doom(found.failure())
        return found

    def _whole(
        self, statement: Statement, action: Callable[[Connection], _R]
    ) -> Success[_R] | Failure[RepositoryError]:
        """Perform what cannot share its round trip."""

        def run(connection: Connection) -> _R:
            if self._leading:
                self._send(connection, self._leading)
            answer = action(connection)
            if self.xid is None and may_write(statement):
                ((prepared, result),) = self._send(connection, [XID])
                self._note(connection, prepared, result)
            return answer

        return self._perform(statement, run)

    def _is_plain(self, statement: Statement) -> bool:
        return not self._leading and (self.xid is not None or not may_write(statement))

    def _together(
        self, connection: Connection, statement: Statement, values: tuple[Any, ...]
    ) -> tuple[Prepared, PGresult]:
        """A statement's answer, with what must go before it and what is asked behind it."""
        asked = [Compiled(statement, values)]
        if self.xid is None and may_write(statement):
            asked.append(XID)
        if self._begun and not all(connection.known(one.statement) for one in asked):
            # What cannot be prepared must fail inside the savepoint, not before it.
            self._send(connection, self._leading)
        place = len(self._leading)
        batch = [*self._leading, *asked]
        answers = self._send(connection, batch)
        if len(batch) > place + 1:
            self._note(connection, *answers[-1])
        return answers[place]

    def _send(
        self, connection: Connection, batch: Sequence[Compiled]
    ) -> list[tuple[Prepared, PGresult]]:
        if not batch:
            return []
        try:
            answers = run_together(connection, batch)
        except BatchError as failed:
            if isinstance(failed.error, RepositoryError):
                # A value that cannot be sent: nothing was.
                raise failed.error from failed.error.__cause__
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                # What goes before the one that failed has been done.
                self._begun = True
                del self._leading[: failed.position]
            raise failed.error from None
        self._begun = True
        self._leading.clear()
        return answers

    def _note(self, connection: Connection, prepared: Prepared, result: PGresult) -> None:
        (found,) = connection.rows(XID.statement, prepared, result)
        if found is not None:
            self.xid, self.incarnation = read_xid(found)

    def _failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began: float
    ) -> RepositoryError:
        lost = is_lost(error, connection)
        if lost:
            self._database.lost_one(connection)
            # The transaction ends with its session: nothing of it is kept, nothing is in doubt.
            statement = msgspec.structs.replace(statement, writes=False)
        self._database.counters.error()
        found = failed(error, statement, connection, began, lost=lost)
        if error.sqlstate == "25006" and self._mode.read_only:
            found = said_of(read_only(), found)
        elif isinstance(found, TimeoutError) and self._limits.is_over:
            found = said_of(late(statement), found)
        if connection.stale or error.sqlstate in RETRY_STATES:
            self.must_repeat = True
        if connection.pgconn.transaction_status != TransactionStatus.INTRANS:
            self.doom(found)
        return found

    def _refused(self, statement: Statement) -> RepositoryError | None:
        """Why a statement is not even sent."""
        self.check()
        if self.failure is not None:
            return not_run(statement, self.failure)
        if self._limits.is_over:
            refusal: RepositoryError = late(statement)
            self.doom(refusal)
            return refusal
        step = self._limits.step()
        if step is not None:
            self._leading.append(step)
        return None

    def _forget_leading(self, depth: int) -> None:
        del self._leading[self._leading.index(savepoint(depth)) :]
        self._limits.forget()
