"""From a journal to L3: batches in order, each in one transaction with how far it goes.

Which operations are done is said by L3 alone, in a row that the transaction locks and changes. So
two consumers at a time, a consumer that was stopped for an hour and a crash at any moment do no
harm: whoever comes later sees in the row what is done, and leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from returns.result import Failure, Success

from tierline.cache.journal import Journal, Settled, View
from tierline.cache.operations import (
    NOTHING,
    Net,
    Operation,
    OperationCodec,
    OperationId,
    beginning,
    coalesced,
)
from tierline.entity import Table
from tierline.errors import (
    ConnectionError,  # noqa: A004
    ConstraintError,
    DuplicateError,
    FieldError,
    NotFoundError,
    QueryError,
    RepositoryError,
    ValidationError,
)
from tierline.postgres import DeadLettered, WroteBehind
from tierline.repository import Repository
from tierline.result import Result
from tierline.sql import Statement
from tierline.sql.write_behind import ADVANCE, BEGIN, BURIED, CREATE, LOCK, PROGRESS, REFUSE
from tierline.store.transaction import Transaction

if TYPE_CHECKING:
    from tierline.store.store import Store

_MISSING_TABLE = "42P01"

# Data exceptions, integrity, WITH CHECK OPTION, what a trigger raises: the same again next time.
_OF_THE_DATA = ("22", "23", "44", "P0")


class Progress(NamedTuple):
    """How far a journal has been applied.

    Attributes:
        applied: The last operation that is done.
        refused: Of those done, by id, the ones that are to become dead letters, with the reason.
    """

    applied: OperationId
    refused: dict[str, str]


class _Done(NamedTuple):
    """Operations that a transaction applied, and how many rows they were about."""

    ids: Sequence[OperationId]
    rows: int


class Consumer:
    """Applies what a journal holds.

    Args:
        store: Where.
        table: The table.
        codec: Reads its operations.
        journal: The journal.
        batch_size: The most operations of a transaction.

    Attributes:
        counts: What it did, by the names of `WriteBehindStats`.
    """

    def __init__(
        self,
        store: Store,
        table: Table[Any, Any],
        codec: OperationCodec[Any, Any],
        journal: Journal,
        batch_size: int,
    ) -> None:
        self._store = store
        self._table = table
        self._codec = codec
        self._journal = journal
        self._batch_size = batch_size
        self._done_here: set[OperationId] = set()
        self.counts = Counter(applied=0, rows=0, batches=0)

    def progress(self) -> Result[Progress, RepositoryError]:
        """How far L3 says that it is."""
        found = self._store.database.fetch(PROGRESS, (self._journal.name,))
        if _is_missing_table(found):
            found = self._prepared(CREATE)
        if isinstance(found, Success) and not found.unwrap():
            found = self._prepared(BEGIN)
        if isinstance(found, Failure):
            return found
        return Success(_read_progress(found.unwrap()))

    def turn(self, view: View) -> Result[int, RepositoryError]:
        """Apply the first operations of a view; how many have left the journal.

        Errors: what kept L3 or Redis from it; nothing is lost, and it can be tried again.
        """
        operations = beginning(list(map(self._codec.read, view.entries[: self._batch_size])))
        if not operations:
            return Success(0)
        self._done_here.clear()
        lag_s = max(0.0, (view.now_ms - operations[0].entry.id.ms) / 1000)
        applied = self._apply(operations, lag_s)
        # What came through before a failure leaves the journal all the same.
        settled = self._settle(operations)
        return applied if isinstance(applied, Failure) else settled

    def _prepared(self, statement: Statement) -> Result[list[Any], RepositoryError]:
        """Make what is missing, and look again."""
        database = self._store.database
        if statement is CREATE:
            made: Result[Any, RepositoryError] = database.script(CREATE)
            if isinstance(made, Failure) and isinstance(made.failure(), DuplicateError):
                # Another process took the name meanwhile.
                made = database.script(CREATE)
            if isinstance(made, Failure):
                return made
        made = database.execute(BEGIN, (self._journal.name,))
        return (
            made if isinstance(made, Failure) else database.fetch(PROGRESS, (self._journal.name,))
        )

    def _apply(
        self, operations: Sequence[Operation], lag_s: float
    ) -> Result[None, RepositoryError]:
        """Apply operations in order: together or, if one of them is refused, in halves."""
        try:
            found = self._attempt(operations)
        except Exception as raised:  # noqa: BLE001 - a handler of change events is not ours
            found = Failure(raised)
        if isinstance(found, Success):
            self._applied(found.unwrap(), lag_s)
            return Success(None)
        error = found.failure()
        if isinstance(error, RepositoryError) and not is_of_the_data(error):
            return Failure(error)
        if len(operations) == 1:
            return self._refuse(operations[0], error)
        half = len(operations) // 2
        first = self._apply(operations[:half], lag_s)
        return first if isinstance(first, Failure) else self._apply(operations[half:], lag_s)

    def _attempt(self, operations: Sequence[Operation]) -> Result[_Done, Exception]:
        """What was written of operations: in one transaction, and nothing that was done before."""
        last = operations[-1].entry.id

        def run(tx: Transaction) -> Result[_Done, Exception]:
            found = self._locked(tx)
            if isinstance(found, Failure):
                return found
            left = [one for one in operations if one.entry.id > found.unwrap().applied]
            if not left:
                return Success(_Done((), 0))
            unreadable = next((one for one in left if one.intent is None), None)
            if unreadable is not None:
                return Failure(ValidationError((FieldError("", unreadable.problem),)))
            net = coalesced(left)
            written = _write(tx, self._table, net)
            if isinstance(written, Failure):
                return written
            advanced = tx.database.execute(ADVANCE, (self._journal.name, last.ms, last.seq))
            if isinstance(advanced, Failure):
                return advanced
            return Success(_Done([one.entry.id for one in left], len(net)))

        return self._store.transaction(run, isolation="read committed")

    def _locked(self, tx: Transaction) -> Result[Progress, RepositoryError]:
        found = tx.database.fetch(LOCK, (self._journal.name,))
        if isinstance(found, Failure):
            return found
        if not found.unwrap():
            gone = QueryError(
                "tierline_write_behind has no row of the journal any more", operation="write_behind"
            )
            return Failure(gone)
        return Success(_read_progress(found.unwrap()))

    def _refuse(self, operation: Operation, error: Exception) -> Result[None, RepositoryError]:
        """Go past an operation, and say why, in one statement of L3."""
        id_ = operation.entry.id
        reason = msgspec.json.encode(
            {
                "error": type(error).__name__,
                "message": getattr(error, "message", "") or str(error),
                "sqlstate": getattr(error, "sqlstate", None),
            }
        ).decode()

        def run(tx: Transaction) -> Result[bool, RepositoryError]:
            found = self._locked(tx)
            if isinstance(found, Failure):
                return found
            if id_ <= found.unwrap().applied:
                return Success(False)
            values = (self._journal.name, id_.ms, id_.seq, str(id_), reason)
            refused = tx.database.execute(REFUSE, values)
            return refused if isinstance(refused, Failure) else Success(True)

        done = self._store.transaction(run, isolation="read committed")
        if isinstance(done, Failure):
            return done
        events = self._store.database.events
        if done.unwrap() and events.wanted:
            kind = "" if operation.intent is None else operation.intent.kind
            events.tell(DeadLettered(self._table.name, kind, type(error).__name__))
        return Success(None)

    def _applied(self, done: _Done, lag_s: float) -> None:
        if not done.ids:
            return
        # The tiers forgot these rows at the end of the transaction.
        self._done_here.update(done.ids)
        self.counts.update(applied=len(done.ids), rows=done.rows, batches=1)
        events = self._store.database.events
        if events.wanted:
            events.tell(WroteBehind(self._table.name, len(done.ids), done.rows, lag_s))

    def _settle(self, operations: Sequence[Operation]) -> Result[int, RepositoryError]:
        """Take out of the journal what L3 says is done."""
        found = self.progress()
        if isinstance(found, Failure):
            return found
        applied, refused = found.unwrap()
        done = [one for one in operations if one.entry.id <= applied]
        if not done:
            return Success(0)
        self._forget([one for one in done if one.entry.id not in self._done_here])
        l2 = self._store.caches.l2
        if l2 is not None and not l2.is_told_all:
            # Others stop looking into the journal then, and would find the old rows in L2.
            return Failure(ConnectionError("L2 has not forgotten yet", operation="write_behind"))
        settled = [Settled(one.entry, refused.get(str(one.entry.id), "")) for one in done]
        left = self._journal.settle(settled, done[-1].entry.id)
        if isinstance(left, Failure):
            return left
        buried = [str(one.entry.id) for one in settled if one.reason]
        if buried:
            self._store.database.execute(BURIED, (self._journal.name, buried))
        return Success(len(done))

    def _forget(self, operations: Sequence[Operation]) -> None:
        """What another consumer applied it may not have lived to make the tiers forget."""
        intents = [one.intent for one in operations if one.intent is not None]
        if intents:
            deleted = any(intent.kind == "delete" for intent in intents)
            keys = list(dict.fromkeys(intent.key for intent in intents))
            self._store.caches.invalidate(self._table, keys, deleted=deleted)


def is_of_the_data(error: RepositoryError) -> bool:
    """Whether an error is of what is written, and so the same at the next try."""
    if isinstance(error, (ValidationError, DuplicateError, ConstraintError, NotFoundError)):
        return True
    return (error.sqlstate or "")[:2] in _OF_THE_DATA


def _write(
    tx: Transaction, table: Table[Any, Any], net: Sequence[Net]
) -> Result[None, RepositoryError]:
    """One statement for each effect; a row has one."""
    rows: Repository[Any, Any] = Repository(tx, table)
    gone = [one.key for one in net if one.effect in ("delete", "replace")]
    put = [one.entity for one in net if one.effect in ("upsert", "replace")]
    changed = [one.entity for one in net if one.effect == "update"]
    made = [one.entity for one in net if one.effect == "create"]
    # Values that must be unique are given up before others take them.
    steps = (
        (gone, rows.delete_many),
        (changed, rows.update_many),
        (put, rows.upsert_many),
        (made, rows.create_many),
    )
    for batch, write in steps:
        if batch:
            written = write(batch)
            if isinstance(written, Failure):
                return written
    return Success(None)


def _is_missing_table(found: Result[Any, RepositoryError]) -> bool:
    return isinstance(found, Failure) and found.failure().sqlstate == _MISSING_TABLE


def _read_progress(rows: list[Any]) -> Progress:
    if not rows:
        return Progress(NOTHING, {})
    ms, seq, refused = msgspec.json.decode(rows[0], type=tuple[int, int, dict[str, str]])
    return Progress(OperationId(ms, seq), refused)
