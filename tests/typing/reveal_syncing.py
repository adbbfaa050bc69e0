"""The types of `tl.sync` and of the store's verbs for it, and mistakes with them; never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

import tierline as tl


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str


class Plane(msgspec.Struct, frozen=True):
    tail: str
    name: str


BIRDS = tl.table(Bird, name="birds", key=lambda b: b.id)
PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
SHEET = tl.sheet("1AbC", "Birds", Bird, key=lambda b: b.id)


def longer(conflict: tl.Conflict) -> tl.Take:
    assert_type(conflict.token, str)
    return tl.Take(f"{conflict.sheet} {conflict.database}")


PAIR = tl.sync(SHEET, BIRDS, policy=tl.per_field({"name": longer}, otherwise=tl.sheet_wins))
assert_type(PAIR, tl.Sync[Bird, int])
assert_type(tl.sync(SHEET, BIRDS, policy=tl.database_wins, deletions="delete_wins").id, str)
assert_type(tl.sync(SHEET, BIRDS, policy=tl.manual, owners={"name": "sheet"}).fingerprint, str)


def show(now: tl.SyncProgress) -> None:
    assert_type(now.rows, int)


def syncing(store: tl.Store) -> None:
    assert_type(store.sync(PAIR), tl.Result[tl.SyncReport, tl.RepositoryError])
    assert_type(store.sync(PAIR, dry_run=True), tl.Result[tl.SyncPlan, tl.RepositoryError])
    done = store.sync(PAIR, resync=True, progress=show).unwrap()
    assert_type(done.plans, tuple[tl.SyncPlan, ...])
    assert_type(
        store.sync_conflicts(PAIR, settled=True),
        tl.Result[list[tl.QueuedConflict], tl.RepositoryError],
    )
    assert_type(
        store.sync_decide(PAIR, {"token": "sheet", "other": tl.Take("owl")}),
        tl.Result[int, tl.RepositoryError],
    )
    assert_type(store.create_sync_tables(), tl.Result[None, tl.RepositoryError])
