"""Which statements may be run again after an error."""

from __future__ import annotations

from psycopg_pool import PoolClosed, PoolTimeout

from tierline.errors import (
    CommitUnknownError,
    ConnectionError,  # noqa: A004
    RepositoryError,
)
from tierline.postgres.dialing import CircuitOpenError
from tierline.sql import Statement


def is_repeatable(failure: RepositoryError, statement: Statement) -> bool:
    """Whether a statement may be run again because it did nothing and may succeed then."""
    return (
        not statement.writes
        and isinstance(failure, ConnectionError)
        and not isinstance(failure, CommitUnknownError)
        # Otherwise there was no connection at all, and the pool has tried already.
        and not was_never_sent(failure)
    )


def was_never_sent(failure: RepositoryError) -> bool:
    """Whether a statement failed because there was no connection."""
    return isinstance(failure.__cause__, (PoolTimeout, PoolClosed, CircuitOpenError))
