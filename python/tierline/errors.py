"""The errors Tierline answers with: exception classes, used as values.

    RepositoryError
    ├── NotFoundError            no row has the key
    ├── ValidationError          the entity does not fit its type; one entry a field
    ├── DuplicateError           a unique or primary key constraint
    ├── ConstraintError          a foreign key, CHECK, NOT NULL or exclusion constraint
    ├── ConflictError            a stale version, or serialization given up
    ├── AccessDeniedError        the role may not do this
    ├── ConnectionError          the server cannot be reached, or went away
    │   └── CommitUnknownError   the connection was lost during COMMIT
    ├── TimeoutError             `stage` says which limit ran out
    ├── PoolExhaustedError       every pooled connection stayed in use
    ├── QueryError               the server refused the statement
    ├── DecodeError              a column does not fit the entity's field
    ├── RateLimitedError         a quota ran out
    ├── OutcomeUnknownError      a remote write may or may not have happened
    ├── SheetLayoutError         a sheet's header does not fit the table
    ├── ConfigurationError       a URL, path, name or option that cannot work
    └── MigrationError           a migration could not be applied

Each is built once per failed operation and handed out inside a `Failure`;
`tl.unwrap` raises it. The driver's exception is its `__cause__`. Attributes
never hold parameters or secrets. Classes are chosen by SQLSTATE, exception
type or errno, never by the text of a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, final

from returns.result import Failure, Success

TimeoutStage = Literal["acquire", "connect", "statement", "lock", "load", "deadline"]


class RepositoryError(Exception):
    """Root of every error that an operation can answer with.

    Attributes:
        message: What went wrong and what to do about it, without data.
        operation: The verb that failed, such as `"create"`.
        table: The table's name, where one table is concerned.
        constraint: The violated constraint's name.
        columns: The columns concerned.
        fields: The entity's fields that these columns hold.
        sqlstate: The five-character SQLSTATE, where PostgreSQL gave one.
        elapsed_s: Seconds from the start of the operation to the failure.
        attempt: Which try failed, counted from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        table: str | None = None,
        constraint: str | None = None,
        columns: tuple[str, ...] = (),
        sqlstate: str | None = None,
        elapsed_s: float | None = None,
        attempt: int = 1,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.table = table
        self.constraint = constraint
        self.columns = columns
        self.fields: tuple[str, ...] = ()
        self.sqlstate = sqlstate
        self.elapsed_s = elapsed_s
        self.attempt = attempt

    def details(self) -> dict[str, object]:
        """The attributes that are set, by name, without the message; for logs.

        `elapsed_s` is in whole microseconds.
        """
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "message" and value not in (None, (), "")
        }

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in self.details().items())
        return f"{type(self).__name__}({self.message!r}{details})"

    def __str__(self) -> str:
        where = ".".join(part for part in (self.table, self.operation) if part)
        return f"{where}: {self.message}" if where else self.message


@final
class NotFoundError(RepositoryError):
    """No row has the key, or a query that must find one found none."""


class FieldError(NamedTuple):
    """One field that does not fit.

    Attributes:
        path: The field's path from the entity, such as `"address.lines[0]"`.
        problem: What is wrong with it, such as ``"Expected `int`, got `str`"``.
    """

    path: str
    problem: str


@final
class ValidationError(RepositoryError):
    """The entity does not fit its type or its declared constraints.

    Attributes:
        errors: One `FieldError` for each bad field, in field order.
    """

    def __init__(
        self,
        errors: tuple[FieldError, ...],
        *,
        operation: str | None = None,
        table: str | None = None,
        sqlstate: str | None = None,
        constraint: str | None = None,
        elapsed_s: float | None = None,
    ) -> None:
        super().__init__(
            "; ".join(f"{path}: {problem}" if path else problem for path, problem in errors),
            operation=operation,
            table=table,
            sqlstate=sqlstate,
            constraint=constraint,
            elapsed_s=elapsed_s,
        )
        self.errors = errors


@final
class DuplicateError(RepositoryError):
    """A row with the same key or unique value exists; `constraint` names the rule."""


@final
class ConstraintError(RepositoryError):
    """A foreign key, CHECK, NOT NULL or exclusion constraint refused the row."""


@final
class ConflictError(RepositoryError):
    """Somebody else changed the row first, or serialization retries ran out.

    Attributes:
        expected: The version that the caller had read, where a version was checked.
        actual: The version that the row has now.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        table: str | None = None,
        sqlstate: str | None = None,
        elapsed_s: float | None = None,
        expected: int | None = None,
        actual: int | None = None,
    ) -> None:
        super().__init__(
            message, operation=operation, table=table, sqlstate=sqlstate, elapsed_s=elapsed_s
        )
        self.expected = expected
        self.actual = actual


@final
class AccessDeniedError(RepositoryError):
    """The database role has no permission for this."""


class ConnectionError(RepositoryError):  # noqa: A001 (the field's word; reached as tl.ConnectionError)
    """The server cannot be reached, refused the login, or went away."""


@final
class CommitUnknownError(ConnectionError):
    """The connection was lost during COMMIT and the outcome could not be learnt.

    Attributes:
        xid: The transaction's id, where it is known: what `pg_xact_status` takes.
    """

    xid: int | None = None
    _ask: Callable[[int, float], bool | None] | None = None

    def resolve(self, *, within_s: float = 10.0) -> Success[bool] | Failure[RepositoryError]:
        """Ask the server again what became of the transaction: whether it was committed.

        The caches forget what it wrote. Once this has answered with a Success, the answer is final.

        Args:
            within_s: Seconds to try for.

        Errors: this error, as long as the server cannot say; always if there is no `xid`.
        """
        if self.xid is None or self._ask is None:
            return Failure(self)
        found = self._ask(self.xid, within_s)
        return Failure(self) if found is None else Success(found)

    def resolved_by(self, ask: Callable[[int, float], bool | None]) -> None:
        """Say how `resolve` finds out."""
        self._ask = ask


@final
class TimeoutError(RepositoryError):  # noqa: A001 (the field's word; reached as tl.TimeoutError)
    """A time limit ran out.

    Attributes:
        stage: Which limit: `acquire`, `connect`, `statement`, `lock`, `load` (the wait for what
            another caller loads) or `deadline`.
    """

    def __init__(
        self,
        message: str,
        *,
        stage: TimeoutStage,
        operation: str | None = None,
        table: str | None = None,
        sqlstate: str | None = None,
        elapsed_s: float | None = None,
    ) -> None:
        super().__init__(
            message, operation=operation, table=table, sqlstate=sqlstate, elapsed_s=elapsed_s
        )
        self.stage: TimeoutStage = stage


def late_load() -> TimeoutError:
    """What a caller is told whose deadline passes while it waits for another caller's load."""
    return TimeoutError(
        "the deadline passed while another caller was loading the value; the load goes on and is "
        "kept: give the deadline more seconds, or ask again",
        stage="load",
    )


@final
class PoolExhaustedError(RepositoryError):
    """Every pooled connection stayed in use for as long as the caller would wait."""


@final
class QueryError(RepositoryError):
    """The server refused the statement: a missing table or column, a wrong operand."""


@final
class DecodeError(RepositoryError):
    """A column that came back does not fit the field it is read into; `columns` names it."""


@final
class RateLimitedError(RepositoryError):
    """A remote quota ran out."""


@final
class OutcomeUnknownError(RepositoryError):
    """A remote write was sent and its answer never came.

    Attributes:
        op_id: The operation's id, where it was sent with one: then it can be asked for.
    """

    op_id: str | None = None
    _ask: Callable[[float], bool | None] | None = None

    def resolve(self, *, within_s: float = 10.0) -> Success[bool] | Failure[RepositoryError]:
        """Find out what became of the write: whether it took effect.

        Once this has answered with a Success, the answer is final: what has not taken effect by
        then never will.

        Args:
            within_s: Seconds to try for.

        Errors: this error, as long as nobody can say; always if there is no `op_id`.
        """
        found = None if self._ask is None else self._ask(within_s)
        if found is None:
            return Failure(self)
        self.resolved_by(lambda _: found)
        return Success(found)

    def resolved_by(self, ask: Callable[[float], bool | None]) -> None:
        """Say how `resolve` finds out."""
        self._ask = ask


class CellProblem(NamedTuple):
    """One cell of a sheet that does not fit.

    Attributes:
        cell: Its place, such as `"B7"`; empty if the whole worksheet is meant.
        header: The header of its column.
        problem: What is wrong with it, and what to do.
    """

    cell: str
    header: str
    problem: str

    @property
    def row(self) -> int:
        """The row, counted from 1; 0 if no cell is meant."""
        digits = self.cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return int(digits) if digits else 0


@final
class SheetLayoutError(RepositoryError):
    """A sheet's header row or its cells do not fit the table.

    Attributes:
        problems: One `CellProblem` for each header or cell that does not fit, at most a hundred.
    """

    def __init__(
        self,
        problems: tuple[CellProblem, ...],
        *,
        operation: str | None = None,
        table: str | None = None,
    ) -> None:
        shown = [
            f"{one.cell} ({one.header}) {one.problem}" if one.cell else one.problem
            for one in problems[:_PROBLEMS_SHOWN]
        ]
        more = len(problems) - len(shown)
        super().__init__(
            "; ".join([*shown, f"and {more} more"] if more else shown),
            operation=operation,
            table=table,
        )
        self.problems = problems


_PROBLEMS_SHOWN = 10


@final
class ConfigurationError(RepositoryError):
    """A URL, path, name or option that cannot work as given."""


@final
class MigrationError(RepositoryError):
    """A schema or data migration could not be applied."""
