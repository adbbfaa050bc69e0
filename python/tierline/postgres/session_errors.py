"""What a transaction answers when it cannot go on."""

from __future__ import annotations

import psycopg

from tierline.errors import (
    CommitUnknownError,
    ConnectionError,  # noqa: A004
    QueryError,
    RepositoryError,
    TimeoutError,  # noqa: A004
)
from tierline.sql import Statement

RETRY_STATES = frozenset(("40001", "40P01"))
"""SQLSTATEs that another transaction caused: the same function may succeed when run again."""


def may_write(statement: Statement) -> bool:
    """Whether a statement may change data."""
    # SQL of the user's own may call functions that write.
    return statement.writes or statement.table is None


def not_run(statement: Statement, failure: Exception) -> RepositoryError:
    """A statement after one that failed."""
    refusal = QueryError(
        f"not run: the transaction has failed ({failure}); return that Failure, or put what may "
        "fail into tx.transaction(…, savepoint=True)",
        operation=statement.operation,
        table=statement.table_name,
    )
    refusal.__cause__ = failure
    return refusal


def late(statement: Statement) -> RepositoryError:
    """A statement after the deadline."""
    return TimeoutError(
        "the transaction's deadline passed; raise deadline_s, or do less in it",
        stage="deadline",
        operation=statement.operation,
        table=statement.table_name,
    )


def read_only() -> RepositoryError:
    """A write where none may be."""
    return QueryError("the transaction is read-only; leave read_only=True out to write")


def ended_itself() -> RepositoryError:
    """A statement that was a COMMIT or ROLLBACK."""
    return QueryError(
        "a statement ended the transaction; leave BEGIN, COMMIT and ROLLBACK to store.transaction",
        operation="transaction",
    )


def interrupted() -> RepositoryError:
    """A statement during which the thread was interrupted."""
    return QueryError("it was interrupted")


def undone() -> RepositoryError:
    """A COMMIT that was none."""
    return QueryError("the server rolled the transaction back", operation="transaction")


def unknown(xid: int | None, error: psycopg.Error) -> RepositoryError:
    """A connection that was lost while COMMIT was under way."""
    found: RepositoryError
    if xid is None:
        found = ConnectionError(
            "the connection was lost at the end of a transaction that had written nothing",
            operation="transaction",
        )
    else:
        found = CommitUnknownError(
            "the connection was lost before the server answered COMMIT, so the transaction may or "
            "may not be kept; ask with error.resolve() before running it again",
            operation="transaction",
        )
        found.xid = xid
    found.__cause__ = error
    return found


def said_of(error: RepositoryError, like: RepositoryError) -> RepositoryError:
    """An error with what another says of the same trouble."""
    error.operation, error.table = like.operation, like.table
    error.sqlstate, error.elapsed_s = like.sqlstate, like.elapsed_s
    error.__cause__ = like.__cause__
    return error
