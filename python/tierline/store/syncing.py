"""The store's verbs of two-way sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast, overload

from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.result import Result
from tierline.sql import sync as sql
from tierline.store.sheet_store import SheetStore
from tierline.store.transaction import Transaction
from tierline.sync.keeping import QueuedConflict, conflicts_of, decide
from tierline.sync.pair import Sync
from tierline.sync.performing import performed
from tierline.sync.plan import Plan as SyncPlan
from tierline.sync.policies import Verdict, checked
from tierline.sync.preparing import planned
from tierline.sync.reports import Progress, SyncProgress, SyncReport, shown

T = TypeVar("T")
K = TypeVar("K")

__all__ = ["QueuedConflict", "SyncPlan", "SyncProgress", "SyncReport", "Syncing"]


class Syncing:
    """What a store does for `tl.sync`."""

    @overload
    def sync(
        self,
        pair: Sync[T, K],
        /,
        *,
        dry_run: Literal[False] = False,
        resync: bool = False,
        progress: Progress = False,
    ) -> Result[SyncReport, RepositoryError]: ...
    @overload
    def sync(
        self,
        pair: Sync[T, K],
        /,
        *,
        dry_run: Literal[True],
        resync: bool = False,
        progress: Progress = False,
    ) -> Result[SyncPlan, RepositoryError]: ...
    def sync(
        self,
        pair: Sync[T, K],
        /,
        *,
        dry_run: bool = False,
        resync: bool = False,
        progress: Progress = False,
    ) -> Result[SyncReport, RepositoryError] | Result[SyncPlan, RepositoryError]:
        """Make a worksheet and a table equal: what one side has changed, the other side gets.

        It may be stopped at any moment; the next call goes on. Two connections are needed, one of
        which holds the pair's lock.

        Args:
            pair: From `tl.sync`.
            dry_run: Write nothing, and answer with the plan; printed, it tells line by line what
                would be done.
            resync: Build anew what both sides are compared with, after the fields or the key have
                changed, or when it was lost: rows that both have are joined, and where they differ
                the policy decides.
            progress: True shows a bar; a function is called with each `tl.SyncProgress`.

        Errors: `ConfigurationError` if the plan is beyond the limits of `tl.sync`, or the fields
        are no longer those that were synced before; `SheetLayoutError` for headers that do not fit;
        `ConflictError` if somebody else is syncing the pair, or others were faster each time;
        `OutcomeUnknownError` if Google did not say what became of the batch, which the next call
        finds out; what writing the table and asking Google come to.

        Raises:
            TypeError: It is no pair; the store was opened without sheets.

        Example:
            ``print(store.sync(BIRD_SYNC, dry_run=True).unwrap())``
        """
        given = _pair(pair, "sync")
        store: Any = self
        sheets: SheetStore | None = store.sheets
        if sheets is None:
            raise TypeError(
                "sync reads a sheet: open the store with sheets=tl.open_sheets(…, write=True)"
            )
        telling = shown(progress)
        if isinstance(telling, Failure):
            return telling
        with telling.unwrap() as tell:
            if dry_run:
                return planned(store, sheets.reader, given, resync=resync, tell=tell)
            try:
                return performed(store, sheets.reader, given, resync=resync, tell=tell)
            finally:
                sheets.views.forget(given.sheet)

    def sync_conflicts(
        self, pair: Sync[T, K], /, *, settled: bool = False
    ) -> Result[list[QueuedConflict], RepositoryError]:
        """The conflicts of a pair on which somebody has to decide.

        Args:
            pair: From `tl.sync`.
            settled: Those, too, on which policies or people have decided since the first sync.

        Raises:
            TypeError: It is no pair.
        """
        store: Any = self
        given = _pair(pair, "sync_conflicts")

        def look(tx: Transaction) -> Success[list[QueuedConflict]] | Failure[RepositoryError]:
            return conflicts_of(tx.database, given.id, settled=settled)

        found: Success[list[QueuedConflict]] | Failure[RepositoryError] = store.transaction(
            look, read_only=True
        )
        return found

    def sync_decide(
        self, pair: Sync[T, K], decisions: Mapping[str, Verdict], /
    ) -> Result[int, RepositoryError]:
        """Decide on conflicts; the next sync does it. Answers with how many still waited.

        Args:
            pair: From `tl.sync`.
            decisions: A conflict's `token` to the side that is right, "sheet" or "database", or
                `tl.Take(cell)` for both. It holds for the values that the conflict shows.

        Raises:
            TypeError: It is no pair, or a decision is none.

        Example:
            ``store.sync_decide(BIRD_SYNC, {conflict.token: "sheet"})``
        """
        store: Any = self
        given = _pair(pair, "sync_decide")
        for verdict in decisions.values():
            checked(verdict)
        done: Success[int] | Failure[RepositoryError] = decide(store.database, given.id, decisions)
        return done

    def create_sync_tables(self) -> Result[None, RepositoryError]:
        """Create the tables that syncs keep their state in, unless they are there.

        The first sync does it too, if the role may create tables.
        """
        store: Any = self
        made: Success[None] | Failure[RepositoryError] = store.database.script(sql.CREATE)
        return made


def _pair(given: Sync[T, K], operation: str) -> Sync[T, K]:
    if not isinstance(cast("object", given), Sync):
        raise TypeError(
            f"{operation} takes a pair made by tl.sync, not {type(given).__name__}: "
            f"store.{operation}(tl.sync(SHEET, TABLE))"
        )
    return given
