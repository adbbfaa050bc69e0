"""From what psycopg raises to what Tierline answers, by SQLSTATE and exception type only."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from tierline.errors import (
    AccessDeniedError,
    CommitUnknownError,
    ConflictError,
    ConnectionError,  # noqa: A004
    ConstraintError,
    DecodeError,
    DuplicateError,
    FieldError,
    PoolExhaustedError,
    QueryError,
    RepositoryError,
    TimeoutError,  # noqa: A004
    ValidationError,
)
from tierline.sql import Statement

DRIVER_ERRORS = (psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests)
"""Everything the driver raises for an operating error."""

# SQLSTATEs after which the session is over: the connection is discarded.
FATAL_STATES = frozenset(("57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"))

# SQLSTATEs of types that do not go together: perhaps a column's and its field's.
TYPE_STATES = frozenset(("42804", "42883"))


def classify(
    error: psycopg.Error,
    statement: Statement,
    *,
    lost: bool,
    elapsed_s: float,
    mismatch: DecodeError | None = None,
) -> RepositoryError:
    """The error value for a failed statement.

    Args:
        error: What the driver raised.
        statement: What was run.
        lost: Whether the connection is gone.
        elapsed_s: Seconds since the operation began.
        mismatch: Which column's type was the trouble, where that is known.
    """
    state = error.sqlstate
    if mismatch is not None:
        found: RepositoryError = QueryError(mismatch.message, columns=mismatch.columns)
    elif state is None:
        found = _without_state(error, statement, lost=lost)
    else:
        found = (_BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or _refused)(error, statement)
    found.operation = statement.operation
    found.table = error.diag.table_name or statement.table_name
    found.fields = _fields(found.columns, statement)
    found.sqlstate = state
    found.elapsed_s = elapsed_s
    found.__cause__ = error
    return found


def _without_state(error: psycopg.Error, statement: Statement, *, lost: bool) -> RepositoryError:
    if not lost:
        return QueryError(f"the driver refused the statement: {type(error).__name__}")
    if statement.writes:
        return _in_doubt()
    return ConnectionError("the server closed the connection; call again once it is back")


def _in_doubt() -> CommitUnknownError:
    return CommitUnknownError(
        "the connection was lost before the server answered, so the write may or may not have "
        "happened; read the row to find out before writing again"
    )


def _columns(constraint: str | None, statement: Statement) -> tuple[str, ...]:
    rules = statement.table.rules if statement.table else {}
    return rules.get(constraint or "", ())


def _fields(columns: tuple[str, ...], statement: Statement) -> tuple[str, ...]:
    known = {
        column.name: column.field for column in (statement.table.columns if statement.table else ())
    }
    return tuple(known[name] for name in columns if name in known)


def _duplicate(error: psycopg.Error, statement: Statement) -> RepositoryError:
    name = error.diag.constraint_name
    columns = _columns(name, statement)
    what = f"the same {', '.join(columns)}" if columns else "the same unique value"
    return DuplicateError(
        f"a row with {what} exists; update it instead", constraint=name, columns=columns
    )


_DELETES = ("delete", "delete_many", "delete_where", "purge")


def _foreign_key(error: psycopg.Error, statement: Statement) -> RepositoryError:
    name = error.diag.constraint_name
    columns = _columns(name, statement)
    rules = statement.table.foreign_keys if statement.table else ()
    rule = next((rule for rule in rules if rule.name == name), None)
    if statement.operation in _DELETES or rule is None:
        message = "other rows refer to this row; delete or change them first"
    else:
        message = (
            f"{', '.join(columns)} names no row of {rule.references.name}; create that row first"
        )
    return ConstraintError(message, constraint=name, columns=columns)


def _violation(error: psycopg.Error, statement: Statement) -> RepositoryError:
    name = error.diag.constraint_name
    columns = _columns(name, statement)
    if not columns and error.diag.column_name:
        columns = (error.diag.column_name,)
    what = f" on {', '.join(columns)}" if columns else ""
    rule = f"constraint {name}" if name else "a NOT NULL constraint"
    return ConstraintError(
        f"the row breaks {rule}{what}; change the value", constraint=name, columns=columns
    )


def _bad_value(error: psycopg.Error, statement: Statement) -> RepositoryError:
    # The server's text would quote the value, so the class of the SQLSTATE has to do.
    problem = f"a value does not fit its column ({type(error).__name__})"
    if not statement.writes:
        return QueryError(f"{problem}; check the query's values and arithmetic")
    name = error.diag.column_name or ""
    return ValidationError((FieldError(name, f"{problem}; change the value, or widen the column"),))


def _bad_pattern(error: psycopg.Error, statement: Statement) -> RepositoryError:
    # The server's text would quote the pattern.
    del error, statement
    return QueryError(
        "a pattern is not valid: tl.matches takes a POSIX advanced regular expression, and one of "
        "tl.like must not end in a backslash"
    )


def _bad_argument(error: psycopg.Error, statement: Statement) -> RepositoryError:
    if statement.writes:
        return _bad_value(error, statement)
    return QueryError(
        "a function was given an argument that it does not take, such as a time zone that the "
        "server does not know; check the query's values"
    )


def _refused(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    # Class 42 and its like quote identifiers and types, never values: those are parameters.
    said = error.diag.message_primary or type(error).__name__
    return QueryError(said)


def _missing_table(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    return QueryError(
        f"{error.diag.message_primary}; create it with store.create_table(…), or check the "
        "table's schema and the connection's search_path"
    )


def _missing_schema(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    return QueryError(f"{error.diag.message_primary}; create it with store.create_schema(…)")


def _missing_column(error: psycopg.Error, statement: Statement) -> RepositoryError:
    entity = statement.table.entity.__name__ if statement.table else "the entity"
    return QueryError(
        f"{error.diag.message_primary}; the database lacks a field of {entity}: add the column or "
        "rename the field"
    )


def _cancelled(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del error, statement
    return TimeoutError(
        "the server cancelled the statement at its time limit; raise timeout_s, add an index, or "
        "ask for fewer rows",
        stage="statement",
    )


def _locked(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del error, statement
    return TimeoutError("the row or table stayed locked by another transaction", stage="lock")


def _gone(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    return ConnectionError(
        f"the server ended the session ({type(error).__name__}); call again once it is back"
    )


def _conflict(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    return ConflictError(
        f"a concurrent transaction won ({type(error).__name__}); run the operation again"
    )


def _denied(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del statement
    return AccessDeniedError(f"{error.diag.message_primary}; grant it to the role or use another")


def _read_only(error: psycopg.Error, statement: Statement) -> RepositoryError:
    del error, statement
    return ConnectionError(
        "the server only reads (a replica or a demoted primary); use the primary"
    )


_Rule = Callable[[psycopg.Error, Statement], RepositoryError]

_BY_STATE: dict[str, _Rule] = {
    "22023": _bad_argument,
    "22025": _bad_pattern,
    "2201B": _bad_pattern,
    "23505": _duplicate,
    "23503": _foreign_key,
    "25006": _read_only,
    "25P03": _gone,
    "25P04": _gone,
    "40001": _conflict,
    "40P01": _conflict,
    "42501": _denied,
    "42703": _missing_column,
    "42P01": _missing_table,
    "55P03": _locked,
    "57014": _cancelled,
    "3F000": _missing_schema,
}

_BY_CLASS: dict[str, _Rule] = {
    "08": _gone,
    "22": _bad_value,
    "23": _violation,
    "28": _denied,
    "57": _gone,
}


def doubtful(error: psycopg.Error, statement: Statement, *, elapsed_s: float) -> RepositoryError:
    """The error value of a write whose session ended before it could be known to be kept."""
    found = _in_doubt()
    found.operation = statement.operation
    found.table = statement.table_name
    found.sqlstate = error.sqlstate
    found.elapsed_s = elapsed_s
    found.__cause__ = error
    return found


def overdue(error: psycopg.Error, statement: Statement, *, elapsed_s: float) -> RepositoryError:
    """The error value of a statement that was ended because its deadline had passed."""
    cancelled = error.sqlstate == "57014"
    if statement.writes and not cancelled:
        unknown = (
            ", and the server did not say whether it had happened; read the row to find out "
            "before writing again"
        )
    else:
        unknown = "; the server had not answered" if not cancelled else "; nothing was done"
    found = TimeoutError(
        f"the deadline passed while the statement ran, after {elapsed_s:.3f} s{unknown}",
        stage="statement",
    )
    found.operation = statement.operation
    found.table = statement.table_name
    found.sqlstate = error.sqlstate
    found.elapsed_s = elapsed_s
    found.__cause__ = error
    return found


def no_connection(
    error: Exception, *, in_use: int, size: int, elapsed_s: float, is_due: bool, location: str
) -> RepositoryError:
    """The error value for a pool that gave no connection.

    Args:
        error: What the pool raised.
        in_use: Connections that others hold.
        size: The most that there can be.
        elapsed_s: Seconds since the operation began.
        is_due: Whether the caller's own deadline ended the wait.
        location: The server, without secrets.
    """
    if isinstance(error, PoolClosed):
        found: RepositoryError = ConnectionError("the store is closed; open it again")
    elif isinstance(error, TooManyRequests):
        found = PoolExhaustedError(
            f"all {size} connections are in use and as many callers wait as may; raise the pool's "
            "size or waiting_max, or hold connections for a shorter time"
        )
    elif isinstance(error, PoolTimeout) and is_due:
        busy = in_use >= size
        what = f"all {size} connections stayed in use" if busy else f"{location} was connected to"
        found = TimeoutError(
            f"the deadline passed while {what}, after {elapsed_s:.3f} s",
            stage="acquire" if busy else "connect",
        )
    elif isinstance(error, PoolTimeout) and in_use >= size:
        found = PoolExhaustedError(
            f"all {size} connections stayed in use for {elapsed_s:.1f} s; raise pool_size, or hold "
            "them for a shorter time"
        )
    elif isinstance(error, PoolTimeout):
        found = ConnectionError(
            f"no connection to {location} could be made for {elapsed_s:.1f} s; is it running?"
        )
    else:
        found = ConnectionError(f"{location}: {' '.join(str(error).split())}")
    found.elapsed_s = elapsed_s
    found.__cause__ = error
    return found
