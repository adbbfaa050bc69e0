"""Performing a sync: the three steps of a pass, and what begins with what a crash left behind.

    1. one transaction: the table's writes, what of the base holds now, conflicts, the operation
    2. one atomic batch of the sheet, which moves its marker
    3. one transaction: the base of what has landed; the operation is over

The first runs in a snapshot: if the app writes a row that is written here, the server lets one of
the two begin anew, so that nothing is written over that was not seen.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.errors import (
    AccessDeniedError,
    ConflictError,
    DuplicateError,
    QueryError,
    RepositoryError,
)
from tierline.sheets.sheets import Sheets
from tierline.sheets.targets import Task
from tierline.sheets.writing import write
from tierline.sql import sync as sql
from tierline.sync.database_side import write_database
from tierline.sync.fences import cancel, moves_fence, plant
from tierline.sync.keeping import (
    KnownPair,
    RunsStatements,
    base_of,
    claim,
    end,
    is_missing_table,
    keep_base,
    note,
    overtaken,
    report,
    together,
)
from tierline.sync.operations import Operation, operation, outcome
from tierline.sync.pair import Sync
from tierline.sync.plan import Plan
from tierline.sync.preparing import (
    SyncStore,
    known_in,
    lost_base,
    new_ids,
    plan_of,
    read_sheet,
    read_sides,
    wrong_mapping,
)
from tierline.sync.rails import refusal
from tierline.sync.repairs import landed
from tierline.sync.reports import SyncProgress, SyncReport, Tell
from tierline.sync.rows import BaseRow
from tierline.sync.sheet_side import SheetSide, fence_of, marker_of, repair_of, task_of

R = TypeVar("R")

TRIES_MAX = 6
"""How often a pass begins anew because somebody was faster."""

PASSES_MAX = 4
"""The passes of one call: new rows of the sheet take two, and people write more meanwhile."""


class _Ready(NamedTuple):
    """What a pass begins with: nothing is on its way to the sheet."""

    known: KnownPair | None
    side: SheetSide

    @property
    def generation(self) -> int:
        return 0 if self.known is None else self.known.generation


class _Made(NamedTuple):
    """What the first transaction has done, and what the sheet is to be sent."""

    plan: Plan
    operation: Operation | None
    task: Task


def performed(
    store: SyncStore, sheets: Sheets, sync: Sync[Any, Any], *, resync: bool, tell: Tell
) -> Success[SyncReport] | Failure[RepositoryError]:
    """Make both sides equal; nobody else syncs the pair meanwhile."""
    if sheets.http.read_only:
        return Failure(
            AccessDeniedError(
                "the sheets were opened for reading; open them with tl.open_sheets(…, write=True)",
                operation="sync",
            )
        )
    done: list[Success[SyncReport] | Failure[RepositoryError]] = []

    def hold(tx: Any) -> Success[None] | Failure[RepositoryError]:
        locked: Success[bool] | Failure[RepositoryError] = tx.try_lock(f"tierline_sync_{sync.id}")
        if isinstance(locked, Failure):
            return locked
        if not locked.unwrap():
            return Failure(
                ConflictError(
                    "somebody else is syncing this sheet and table; try again later",
                    operation="sync",
                    table=sync.table.name,
                )
            )
        # Its connection rests for as long as Google takes.
        awake: Success[None] | Failure[RepositoryError] = tx.set_local(
            "idle_in_transaction_session_timeout", 0
        )
        if isinstance(awake, Failure):
            return awake
        done.append(_Run(store, sheets, sync, tell).passes(resync=resync))
        return Success(None)

    held = store.transaction(hold)
    if done:
        return done[-1]
    assert isinstance(held, Failure)
    return held


class _Run:
    """One call, which holds the lock of its pair."""

    def __init__(self, store: SyncStore, sheets: Sheets, sync: Sync[Any, Any], tell: Tell) -> None:
        self._store = store
        self._sheets = sheets
        self._sync = sync
        self._tell = tell
        self._plans: list[Plan] = []
        self._resumed: Literal["landed", "never"] | None = None

    def passes(self, *, resync: bool) -> Success[SyncReport] | Failure[RepositoryError]:
        began_s = time.monotonic()
        for _ in range(PASSES_MAX):
            done = self._pass(resync=resync)
            if isinstance(done, Failure):
                return done
            resync = False
            if not done.unwrap().births:
                break
        took_s = time.monotonic() - began_s
        return Success(SyncReport(tuple(self._plans), self._resumed, took_s))

    def _pass(self, *, resync: bool) -> Success[Plan] | Failure[RepositoryError]:
        done: Success[Plan] | Failure[RepositoryError] = Failure(overtaken())
        for _ in range(TRIES_MAX):
            ready = self._ready(resync=resync)
            if isinstance(ready, Failure):
                return ready
            made = self._transact(ready.unwrap(), resync=resync)
            if isinstance(made, Failure):
                done = made
                if isinstance(made.failure(), (ConflictError, DuplicateError)):
                    continue
                return made
            resync = False
            self._plans.append(made.unwrap().plan)
            done = self._send(ready.unwrap().side, made.unwrap())
            if not (isinstance(done, Failure) and isinstance(done.failure(), QueryError)):
                return done
            # It was refused as a whole: somebody has moved the marker, or the grid is another one.
        return done

    def _ready(self, *, resync: bool) -> Success[_Ready] | Failure[RepositoryError]:
        """What both know, once nothing is on its way to the sheet."""
        for _ in range(TRIES_MAX):
            looked = self._looked(resync=resync)
            if isinstance(looked, Failure):
                return looked
            known, side = looked.unwrap()
            if known is not None and known.operation is not None:
                over = self._recover(known.operation, side)
                if isinstance(over, Failure):
                    return over
                if not over.unwrap():
                    continue
                known = msgspec.structs.replace(known, operation=None)
            if not side.fences:
                planted = plant(self._sheets, self._sync, side)
                if isinstance(planted, Failure):
                    return planted
                side = planted.unwrap()
            return Success(_Ready(known, side))
        return Failure(overtaken())

    def _looked(self, *, resync: bool) -> Success[_Ready] | Failure[RepositoryError]:
        """What is known of the pair, and then the sheet."""
        found = self._known()
        if isinstance(found, Failure):
            return found
        known = found.unwrap()
        if wrong := wrong_mapping(self._sync, known, resync=resync):
            return Failure(wrong)
        read = read_sheet(self._sheets, self._sync, self._tell)
        if isinstance(read, Failure):
            return read
        if lost := lost_base(self._sync, known, read.unwrap(), resync=resync):
            return Failure(lost)
        return Success(_Ready(known, read.unwrap()))

    def _known(self) -> Success[KnownPair | None] | Failure[RepositoryError]:
        found = known_in(self._store, self._sync)
        if not is_missing_table(found):
            return found
        made = self._store.database.script(sql.CREATE)
        return made if isinstance(made, Failure) else known_in(self._store, self._sync)

    def _recover(
        self, sent: Operation, side: SheetSide
    ) -> Success[bool] | Failure[RepositoryError]:
        """End an operation that was left behind; False if the sheet has to be read again."""
        self._tell(SyncProgress("recover", len(sent.base)))
        became = outcome(sent, marker_of(side.fences, sent.id, sent.after))
        if became == "open":
            moved = cancel(self._sheets, self._sync, side, sent)
            is_refused = isinstance(moved, Failure) and isinstance(moved.failure(), QueryError)
            # Refused, it has landed meanwhile.
            return moved if isinstance(moved, Failure) and not is_refused else Success(False)
        self._resumed = became
        if became == "never":
            over = self._end(sent, {})
            return over if isinstance(over, Failure) else Success(True)
        return self._settle(sent, side)

    def _settle(self, sent: Operation, side: SheetSide) -> Success[bool] | Failure[RepositoryError]:
        """End an operation that has landed unheard; False if rows had to be put right first."""
        kept: Success[dict[str, BaseRow]] | Failure[RepositoryError] = self._store.transaction(
            lambda tx: base_of(tx.database, self._sync.id)
        )
        if isinstance(kept, Failure):
            return kept
        found = landed(kept.unwrap(), sent, side.rows)
        if found.is_right:
            over = self._end(sent, found.base, found.forgotten)
            return over if isinstance(over, Failure) else Success(True)
        task = repair_of(self._sync, side, found)
        op_id = f"tlsync_{secrets.token_hex(8)}"
        written = write(self._sheets, self._sync.sheet, side.snapshot, task, op_id=op_id)
        return written if isinstance(written, Failure) else Success(False)

    def _transact(
        self, ready: _Ready, *, resync: bool
    ) -> Success[_Made] | Failure[RepositoryError]:
        """The first step: what the database gets, and what is noted for the sheet."""
        sync, side = self._sync, ready.side

        def work(tx: Any) -> Success[_Made] | Failure[RepositoryError]:
            found = read_sides(sync, tx, side, ready.known, resync=resync, tell=self._tell)
            if isinstance(found, Failure):
                return found
            sides, table = found.unwrap()
            made = plan_of(sync, ready.known, sides)
            if refused := refusal(sync.rails, sides, made):
                refused.table = sync.table.name
                return Failure(refused)
            ids = new_ids(sync, tx, sides, table, [birth.place for birth in made.births])
            if isinstance(ids, Failure):
                return ids
            sent = operation(made, id=fence_of(sync.id, secrets.token_hex(6)), after=side.marker)
            if sent is not None:
                sent = msgspec.structs.replace(sent, born=tuple(ids.unwrap().values()))
            database: RunsStatements = tx.database
            count = sum(
                map(len, (made.database.inserts, made.database.updates, made.database.deletes))
            )
            self._tell(SyncProgress("write table", count))
            failed = together(
                lambda: claim(database, sync, ready.generation),
                lambda: database.execute(sql.FORGET, (sync.id,)) if resync else Success(0),
                lambda: write_database(sync, tx, table, made.database),
                lambda: keep_base(database, sync.id, made.base_now),
                lambda: report(database, sync.id, made.decisions),
                lambda: Success(0) if sent is None else note(database, sync.id, sent),
            )
            return failed or Success(_Made(made, sent, task_of(sync, side, made, ids.unwrap())))

        return self._store.transaction(work, isolation="repeatable read")

    def _send(self, side: SheetSide, made: _Made) -> Success[Plan] | Failure[RepositoryError]:
        """The second step and the third."""
        sent = made.operation
        if sent is None:
            return Success(made.plan)
        self._tell(SyncProgress("write sheet", len(made.task.created) + len(made.task.targets)))
        written = write(
            self._sheets,
            self._sync.sheet,
            side.snapshot,
            made.task,
            op_id=sent.id,
            extra=moves_fence(self._sync, side, side.fences, sent.id),
        )
        if isinstance(written, Failure):
            return written
        over = self._end(sent, sent.base)
        return over if isinstance(over, Failure) else Success(made.plan)

    def _end(
        self, sent: Operation, base: Mapping[str, BaseRow], forgotten: Sequence[str] = ()
    ) -> Success[None] | Failure[RepositoryError]:
        return self._store.transaction(
            lambda tx: end(tx.database, self._sync.id, sent, base, forgotten)
        )
