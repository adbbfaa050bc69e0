"""What a pass begins with: what is known of the pair, both sides, and the plan."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.errors import ConfigurationError, DecodeError, RepositoryError
from tierline.sheets.sheets import Sheets
from tierline.sql import Statement
from tierline.sql import sync as sql
from tierline.sql.transactions import Isolation
from tierline.sync.database_side import DatabaseSide, database_side
from tierline.sync.fences import was_synced
from tierline.sync.keeping import (
    KnownPair,
    RunsStatements,
    base_of,
    is_missing_table,
    known_pair,
)
from tierline.sync.operations import outcome, settled
from tierline.sync.pair import Sync
from tierline.sync.plan import Plan, plan
from tierline.sync.policies import decided
from tierline.sync.rails import changed_mapping
from tierline.sync.reports import SyncProgress, Tell
from tierline.sync.rows import BaseRow, Sides
from tierline.sync.sheet_side import SheetSide, marker_of, sheet_side

R = TypeVar("R")


class SyncDatabase(RunsStatements, Protocol):
    """The database of a store."""

    def script(self, statement: Statement) -> Success[None] | Failure[RepositoryError]:
        """Run statements that take no parameters."""
        ...


class SyncStore(Protocol):
    """What a sync needs of a store."""

    @property
    def database(self) -> SyncDatabase:
        """L3."""
        ...

    def transaction(
        self,
        function: Callable[[Any], Success[R] | Failure[RepositoryError]],
        /,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
    ) -> Success[R] | Failure[RepositoryError]:
        """Run a function in a transaction."""
        ...


def planned(
    store: SyncStore, sheets: Sheets, sync: Sync[Any, Any], *, resync: bool, tell: Tell
) -> Success[Plan] | Failure[RepositoryError]:
    """The plan of the next pass; nothing is written, and no limit refuses it."""
    known = known_in(store, sync)
    if isinstance(known, Failure):
        if not is_missing_table(known):
            return known
        known = Success(None)
    pair = known.unwrap()
    wrong = wrong_mapping(sync, pair, resync=resync)
    read = read_sheet(sheets, sync, tell) if wrong is None else Failure(wrong)
    if isinstance(read, Failure):
        return read
    side = read.unwrap()
    if lost := lost_base(sync, pair, side, resync=resync):
        return Failure(lost)
    landed = {}
    if pair is not None and pair.operation is not None:
        sent = pair.operation
        marker = marker_of(side.fences, sent.id, sent.after)
        landed = sent.base if outcome(sent, marker) == "landed" else {}

    def look(tx: Any) -> Success[Plan] | Failure[RepositoryError]:
        sides = read_sides(sync, tx, side, pair, resync=resync, tell=tell)
        if isinstance(sides, Failure):
            return sides
        found = sides.unwrap()[0]
        found = found._replace(base=settled(found.base, landed))
        return Success(plan_of(sync, pair, found))

    return store.transaction(look, isolation="repeatable read", read_only=True)


def known_in(
    store: SyncStore, sync: Sync[Any, Any]
) -> Success[KnownPair | None] | Failure[RepositoryError]:
    """What is known of a pair; in a transaction, for that is never a replica's."""
    return store.transaction(lambda tx: known_pair(tx.database, sync.id))


def wrong_mapping(
    sync: Sync[Any, Any], known: KnownPair | None, *, resync: bool
) -> RepositoryError | None:
    """Why the base of another mapping is not used."""
    if known is None or resync:
        return None
    return changed_mapping(known.fingerprint, sync.fingerprint)


def lost_base(
    sync: Sync[Any, Any], known: KnownPair | None, side: SheetSide, *, resync: bool
) -> RepositoryError | None:
    """Why a sheet that was synced before is not taken for a new one."""
    if known is not None or resync or not was_synced(sync, side):
        return None
    return ConfigurationError(
        "this sheet was synced before, and the database knows nothing of it; is it the right one? "
        "Build the base anew with resync, which joins both sides",
        operation="sync",
        table=sync.table.name,
    )


def read_sheet(
    sheets: Sheets, sync: Sync[Any, Any], tell: Tell
) -> Success[SheetSide] | Failure[RepositoryError]:
    """The worksheet and its markers, as they were at one moment."""
    book = sheets.book(sync.sheet.spreadsheet, [sync.sheet.worksheet])
    if isinstance(book, Failure):
        return sheets.explained(book, sync.sheet.spreadsheet, [sync.sheet])
    try:
        side = sheet_side(sync, book.unwrap())
    except RepositoryError as error:
        return Failure(error)
    except msgspec.DecodeError as error:
        broken = DecodeError("Google's answer cannot be read; it was cut, or is of another kind")
        broken.__cause__ = error
        return Failure(broken)
    tell(SyncProgress("read sheet", len(side.rows)))
    return Success(side)


def read_sides(
    sync: Sync[Any, Any],
    tx: Any,
    side: SheetSide,
    known: KnownPair | None,
    *,
    resync: bool,
    tell: Tell,
) -> Success[tuple[Sides, DatabaseSide]] | Failure[RepositoryError]:
    """Base and table as one moment has them, and the sheet as it was read."""
    base: dict[str, BaseRow] = {}
    if known is not None and not resync:
        kept = base_of(tx.database, sync.id)
        if isinstance(kept, Failure):
            return kept
        base = kept.unwrap()
    table = database_side(sync, tx)
    if isinstance(table, Failure):
        return table
    tell(SyncProgress("read table", len(table.unwrap().rows)))
    return Success((Sides(base, side.rows, table.unwrap().rows), table.unwrap()))


def plan_of(sync: Sync[Any, Any], known: KnownPair | None, sides: Sides) -> Plan:
    """The plan, with what people have decided."""
    verdicts = {} if known is None else known.verdicts
    policy = decided(verdicts, otherwise=sync.rules.policy)
    return plan(msgspec.structs.replace(sync.rules, policy=policy), sides)


def new_ids(
    sync: Sync[Any, Any], tx: Any, sides: Sides, table: DatabaseSide, places: list[int]
) -> Success[dict[int, str]] | Failure[RepositoryError]:
    """Ids for new rows of the sheet: of the key's sequence, or the next ones, or UUIDs."""
    if not places:
        return Success({})
    if not sync.table.has_integer_key:
        return Success({place: str(uuid.uuid4()) for place in places})
    key = sync.table.key_columns[0]
    database: RunsStatements = tx.database
    found = database.fetch(*sql.next_ids(sync.table, key.name, len(places)))
    if isinstance(found, Failure):
        return found
    taken = [row for row in found.unwrap() if row is not None]
    if len(taken) < len(places):
        seen = {*sides.base, *sides.database, *table.deleted, *(row.id for row in sides.sheet)}
        last = max((int(id_) for id_ in seen if id_ is not None), default=0)
        taken = list(range(last + 1, last + 1 + len(places)))
    return Success({place: str(id_) for place, id_ in zip(places, taken, strict=True)})
