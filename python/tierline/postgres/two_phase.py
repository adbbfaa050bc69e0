"""A participant of a distributed transaction: a session that ends by PREPARE TRANSACTION.

What it prepared outlives its connection, so each step can be repeated on another one: a prepared
transaction that is no longer there has been finished by somebody who knew the decision.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from returns.result import Failure, Success

from tierline.deadline import deadline, due_s
from tierline.errors import (
    ConfigurationError,
    ConflictError,
    ConnectionError,  # noqa: A004
    PoolExhaustedError,
    QueryError,
    RepositoryError,
    TimeoutError,  # noqa: A004
)
from tierline.postgres.connection import Connection
from tierline.postgres.database import Database
from tierline.postgres.session import Session
from tierline.postgres.session_errors import late
from tierline.sql import Statement
from tierline.sql.collecting import ANNOUNCE, ANNOUNCE_ANY, COLLECT, FLUSH, TAKEN
from tierline.sql.distributed import PREPARED, Gid, prepare_command
from tierline.sql.transactions import END, XID, TransactionMode

_R = TypeVar("_R")

_WAIT_S_MIN = 0.005
_WAIT_S_MAX = 0.25
# A session that was cut off may run on for as long as nobody tells it.
_GRACE_S = 0.5

_GONE = "42704"
_BUSY = "55000"
_PREPARE = Statement("prepare", "", (), None)


class Participant(Session):
    """A transaction that can be prepared; a `Session` in everything else.

    Attributes:
        announces: What is to be announced before what it prepared is committed, as it was
            collected; empty for nothing, None if that is not known.
    """

    def __init__(
        self, database: Database, connection: Connection, mode: TransactionMode, deadline_s: float
    ) -> None:
        super().__init__(database, connection, mode, deadline_s)
        self.announces: str | None = None
        self._leading.append(COLLECT)

    def is_lost(self) -> bool:
        """Whether its connection is gone now."""
        return self._connection.lost

    def wrote(self) -> Success[bool] | Failure[RepositoryError]:
        """Whether the server has given it an id, as it does to all that write."""
        if self._begun and self.xid is None:
            # Views and policies may call what writes; nobody has asked after those.
            found = self.fetch(XID.statement, ())
            if isinstance(found, Failure):
                return found
        return Success(self.xid is not None)

    def prepare(self, gid: Gid) -> Success[None] | Failure[RepositoryError]:
        """End the transaction so that it can be committed or rolled back from anywhere.

        Errors: what the server finds only now; `ConfigurationError` if it prepares none;
        `QueryError` if it has no slot left or the transaction did what cannot be prepared. If the
        connection `is_lost`, it may be prepared.
        """
        self.check()
        began = time.monotonic()
        if self._limits.is_over:
            return Failure(late(_PREPARE))
        try:
            with self._limits.watched(self._connection.guard):
                results = self._connection.commands(prepare_command(gid))
        except psycopg.Error as error:
            found = self._failed(error, _PREPARE, self._connection, began)
            return Failure(found if self.is_lost() else _unprepared(error, found))
        if results[-1].command_status != b"PREPARE TRANSACTION":
            return Failure(
                QueryError("the server rolled the transaction back", operation="prepare")
            )
        collected = (results[TAKEN].get_value(0, 0) or b"").decode()
        self.announces = collected if len(collected) > 1 else ""
        return Success(None)

    def ask(
        self, statement: Statement, values: tuple[Any, ...], until_s: float
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement outside the transaction, once that has ended."""
        return self._after(statement, lambda c: c.fetch(statement, values), until_s)

    def tell(self, statement: Statement, values: tuple[Any, ...], until_s: float) -> None:
        """Run a statement outside the transaction, of which nobody waits for the answer."""
        self._after(statement, lambda c: c.execute_statement(statement, values), until_s)

    def announce(self, until_s: float) -> bool:
        """Announce what it prepared, before that is committed; whether it is known to be done."""
        statement, values = announcing(self)
        run = self._after(statement, lambda c: c.execute_statement(statement, values), until_s)
        return isinstance(run, Success)

    def finish(self, command: Statement, until_s: float) -> bool:
        """Run COMMIT PREPARED or ROLLBACK PREPARED; whether it is known to be done."""

        def run(connection: Connection) -> None:
            connection.command(command.sql.encode())

        return is_finished(self._after(command, run, until_s))

    def _commit(self, command: bytes = b"COMMIT") -> Success[None] | Failure[RepositoryError]:
        return super()._commit(command if self.xid is None else FLUSH + command)

    def _after(
        self, statement: Statement, action: Callable[[Connection], _R], until_s: float
    ) -> Success[_R] | Failure[RepositoryError]:
        self.check()
        connection, began = self._connection, time.monotonic()
        if connection.lost:
            return Failure(ConnectionError("the connection was lost", operation="distributed"))
        connection.guard.begin(until_s)
        try:
            return self._attempt(connection, statement, action, began)
        finally:
            connection.guard.end()


def announcing(session: Participant) -> tuple[Statement, tuple[Any, ...]]:
    """What announces what a session prepared."""
    if session.announces is None:
        return ANNOUNCE_ANY, (session.xid,)
    return ANNOUNCE, (session.announces,)


def announce_prepared(
    database: Database, announcement: tuple[Statement, tuple[Any, ...]], until_s: float
) -> Success[int] | Failure[RepositoryError]:
    """Announce a prepared transaction on any connection; said twice it is as good as once."""
    return persistently(lambda: database.execute(*announcement), until_s)


def finish_prepared(
    database: Database, command: Statement, until_s: float
) -> Success[bool] | Failure[RepositoryError]:
    """Finish a prepared transaction on any connection, again until it is done or it is too late.

    Returns:
        Whether this call did it: False if somebody else had.
    """
    found = persistently(lambda: database.script(command), until_s)
    if isinstance(found, Success):
        return Success(True)
    return Success(False) if is_finished(found) else found


def was_prepared(
    database: Database, gid: Gid, xid: int, timeline: int, until_s: float
) -> bool | None:
    """Whether a transaction is prepared although nobody said so; None if that cannot be learnt.

    A session that still runs it is ended after a moment: then it is decided.
    """
    began_s = time.monotonic()

    def ask() -> Success[list[Any]] | Failure[RepositoryError]:
        rest_s = max(until_s - time.monotonic(), 0.0)
        found = database.ask(PREPARED, (str(gid), str(xid)), rest_s, timeline)
        if isinstance(found, Success) and found.unwrap()[0] == "in progress":
            if time.monotonic() - began_s >= _GRACE_S:
                database.ask(END, (str(xid),), rest_s, timeline)
            return Failure(ConnectionError("the transaction is still under way"))
        return found

    found = persistently(ask, until_s)
    if isinstance(found, Failure):
        return None
    (status,) = found.unwrap()
    return None if status is None else status == "prepared"


def persistently(
    action: Callable[[], Success[_R] | Failure[RepositoryError]], until_s: float
) -> Success[_R] | Failure[RepositoryError]:
    """Repeat what does no harm when repeated, until it gets an answer or it is too late."""
    wait_s = _WAIT_S_MIN
    while True:
        rest_s = max(until_s - time.monotonic(), 0.0)
        with deadline(rest_s):
            found = action()
        if isinstance(found, Success) or not _may_pass(found.failure()):
            return found
        if time.monotonic() + wait_s >= min(until_s, due_s()):
            return found
        time.sleep(wait_s)
        wait_s = min(wait_s * 2, _WAIT_S_MAX)


def is_finished(found: Success[_R] | Failure[RepositoryError]) -> bool:
    """Whether a prepared transaction is finished, by whomever."""
    return isinstance(found, Success) or found.failure().sqlstate == _GONE


def _may_pass(failure: RepositoryError) -> bool:
    transient = (ConnectionError, TimeoutError, PoolExhaustedError, ConflictError)
    # Another session is finishing the same transaction at this moment.
    return isinstance(failure, transient) or failure.sqlstate == _BUSY


def no_slots(operation: str) -> RepositoryError:
    """The server prepares no transactions."""
    return ConfigurationError(
        "the server prepares no transactions: max_prepared_transactions is 0; set it to at least "
        "the number of distributed transactions at a time, and restart the server",
        operation=operation,
    )


def _unprepared(error: psycopg.Error, found: RepositoryError) -> RepositoryError:
    if error.sqlstate == _BUSY:
        refusal = no_slots("prepare")
    elif error.sqlstate == "53200":
        refusal = QueryError(
            f"{error.diag.message_primary}: max_prepared_transactions is too low for so many "
            "distributed transactions at a time, or tl.orphans shows some that nobody finished",
            operation="prepare",
        )
    elif error.sqlstate == "0A000":
        refusal = QueryError(
            f"{error.diag.message_primary}; leave NOTIFY, LISTEN and temporary tables (bulk "
            "updates and upserts of many rows use one) out of tl.distributed; triggers that an "
            "earlier version installed use NOTIFY, until store.install_backplane is called again",
            operation="prepare",
        )
    else:
        return found
    refusal.sqlstate, refusal.elapsed_s = found.sqlstate, found.elapsed_s
    refusal.__cause__ = error
    return refusal
