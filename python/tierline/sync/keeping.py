"""What the database keeps of a pair between passes: base, operation, conflicts, decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.errors import ConflictError, QueryError, RepositoryError
from tierline.sql import Statement
from tierline.sql import sync as sql
from tierline.sync.changes import Decision
from tierline.sync.operations import Operation
from tierline.sync.pair import Sync
from tierline.sync.policies import Take, Verdict
from tierline.sync.rows import BaseRow, Conflict

T = TypeVar("T")

_MISSING_TABLE = "42P01"


class RunsStatements(Protocol):
    """A database, or a transaction on it."""

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""
        ...

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """How many rows a statement changed."""
        ...


class QueuedConflict(msgspec.Struct, frozen=True):
    """A conflict that a pass has met.

    Attributes:
        conflict: The conflict.
        verdict: What the policy said; "wait" until somebody decides.
        decision: What somebody has decided; the next pass follows it.
        found_at: When a pass met it first.
    """

    conflict: Conflict
    verdict: Verdict
    decision: Verdict | None
    found_at: dt.datetime

    @property
    def token(self) -> str:
        """Identifies it, for `store.sync_decide`."""
        return self.conflict.token

    def __str__(self) -> str:
        return str(Decision(self.conflict, self.decision or self.verdict))


class KnownPair(msgspec.Struct, frozen=True):
    """What is known of a pair.

    Attributes:
        fingerprint: What its base was made for.
        generation: Counts the transactions of its passes.
        operation: What was sent to the sheet, if it is not known whether it landed.
        decisions: What people have decided, by token.
    """

    fingerprint: str
    generation: int
    operation: Operation | None = None
    decisions: dict[str, Any] | None = None

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The decisions as verdicts."""
        return {token: verdict_of(said) for token, said in (self.decisions or {}).items()}


class _Found(msgspec.Struct):
    conflict: tuple[str, str, Any, Any, Any]
    verdict: Any
    decision: Any
    found_at: dt.datetime


_PAIR = msgspec.json.Decoder(KnownPair)
_ROW = msgspec.json.Decoder(tuple[str, dict[str, Any], bool])
_FOUND = msgspec.json.Decoder(_Found)


def verdict_json(verdict: Verdict) -> str:
    """A verdict as it is kept."""
    said = {"take": verdict.cell} if isinstance(verdict, Take) else verdict
    return msgspec.json.encode(said).decode()


def verdict_of(said: Any) -> Verdict:
    """The verdict that is kept."""
    return Take(said["take"]) if isinstance(said, dict) else said  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def known_pair(
    database: RunsStatements, pair: str
) -> Success[KnownPair | None] | Failure[RepositoryError]:
    """What is known of a pair; None before its first pass."""
    found = database.fetch(sql.PAIR, (pair,))
    if isinstance(found, Failure):
        return found
    rows = found.unwrap()
    return Success(_PAIR.decode(rows[0]) if rows else None)


def base_of(
    database: RunsStatements, pair: str
) -> Success[dict[str, BaseRow]] | Failure[RepositoryError]:
    """What both sides had when they were last equal."""
    found = database.fetch(sql.BASE, (pair,))
    if isinstance(found, Failure):
        return found
    rows = map(_ROW.decode, found.unwrap())
    return Success({id_: BaseRow(cells, is_deleted) for id_, cells, is_deleted in rows})


def keep_base(
    database: RunsStatements, pair: str, rows: Mapping[str, BaseRow]
) -> Success[int] | Failure[RepositoryError]:
    """Keep rows of the base."""
    if not rows:
        return Success(0)
    cells = [msgspec.json.encode(dict(row.cells)).decode() for row in rows.values()]
    deleted = [row.is_deleted for row in rows.values()]
    return database.execute(sql.KEEP, (pair, list(rows), cells, deleted))


def claim(
    database: RunsStatements, sync: Sync[Any, Any], generation: int
) -> Success[None] | Failure[RepositoryError]:
    """Begin a transaction of a pass, unless another pass did so since the pair was read."""
    named = repr(sync)
    changed = database.execute(sql.CLAIM, (sync.id, named, sync.fingerprint, generation))
    if isinstance(changed, Failure):
        return changed
    return Success(None) if changed.unwrap() else Failure(overtaken())


def note(
    database: RunsStatements, pair: str, operation: Operation
) -> Success[int] | Failure[RepositoryError]:
    """Note what the sheet will be sent."""
    base = msgspec.json.encode(operation.base).decode()
    return database.execute(
        sql.NOTE, (pair, operation.id, operation.after, base, list(operation.born))
    )


def end(
    database: RunsStatements,
    pair: str,
    operation: Operation,
    base: Mapping[str, BaseRow],
    forgotten: Sequence[str] = (),
) -> Success[None] | Failure[RepositoryError]:
    """An operation is over: rows of the base that hold since then, and those that do no longer."""
    failed = together(
        lambda: keep_base(database, pair, base),
        lambda: (
            database.execute(sql.FORGET_ROWS, (pair, list(forgotten))) if forgotten else Success(0)
        ),
    )
    if failed is not None:
        return failed
    ended = database.execute(sql.END, (pair, operation.id))
    if isinstance(ended, Failure):
        return ended
    return Success(None) if ended.unwrap() else Failure(overtaken())


def report(
    database: RunsStatements, pair: str, decisions: Sequence[Decision]
) -> Success[int] | Failure[RepositoryError]:
    """Keep the conflicts of a plan with their verdicts; those that are no longer are forgotten."""
    by_token = {one.conflict.token: one for one in decisions}
    if by_token:
        conflicts = [msgspec.json.encode(one.conflict).decode() for one in by_token.values()]
        verdicts = [verdict_json(one.verdict) for one in by_token.values()]
        told = database.execute(sql.REPORT, (pair, list(by_token), conflicts, verdicts))
        if isinstance(told, Failure):
            return told
    return database.execute(sql.OBSOLETE, (pair, list(by_token)))


def conflicts_of(
    database: RunsStatements, pair: str, *, settled: bool
) -> Success[list[QueuedConflict]] | Failure[RepositoryError]:
    """The conflicts that wait, or all."""
    found = database.fetch(sql.CONFLICTS, (pair, settled))
    if isinstance(found, Failure):
        return Success([]) if is_missing_table(found) else found
    return Success([_queued(_FOUND.decode(row)) for row in found.unwrap()])


def decide(
    database: RunsStatements, pair: str, decisions: Mapping[str, Verdict]
) -> Success[int] | Failure[RepositoryError]:
    """Keep what people have decided; how many conflicts it is about."""
    if not decisions:
        return Success(0)
    said = [verdict_json(one) for one in decisions.values()]
    found = database.execute(sql.DECIDE, (pair, list(decisions), said))
    return Success(0) if is_missing_table(found) else found


def is_missing_table(answer: Success[Any] | Failure[Any]) -> bool:
    """Whether the tables of sync are not there yet."""
    error = answer.failure() if isinstance(answer, Failure) else None
    return (
        isinstance(error, QueryError)
        and error.sqlstate == _MISSING_TABLE
        and error.operation == sql.OPERATION
    )


def overtaken() -> ConflictError:
    """Another pass of the pair was faster."""
    return ConflictError("another pass of the same sheet and table was faster", operation="sync")


def _queued(found: _Found) -> QueuedConflict:
    decision = None if found.decision is None else verdict_of(found.decision)
    return QueuedConflict(
        Conflict(*found.conflict), verdict_of(found.verdict), decision, found.found_at
    )


def together(
    *steps: Callable[[], Success[Any] | Failure[RepositoryError]],
) -> Failure[RepositoryError] | None:
    """Do one after the other; the first failure ends it."""
    done: Iterable[Success[Any] | Failure[RepositoryError]] = (step() for step in steps)
    return next((one for one in done if isinstance(one, Failure)), None)
