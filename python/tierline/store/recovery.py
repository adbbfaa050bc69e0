"""Recovery: what coordinators left prepared when they died is finished or rolled back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import cast

import msgspec
from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.postgres.two_phase import announce_prepared, finish_prepared
from tierline.result import Result
from tierline.sql.collecting import ANNOUNCE_ANY
from tierline.sql.distributed import (
    DECISIONS,
    FORGET_OLD,
    LISTED,
    LIVES,
    Gid,
    commit_prepared,
    read_gid,
    rollback_prepared,
)
from tierline.store.decisions import Decision, due, forget, known_log, settle
from tierline.store.participants import checked
from tierline.store.store import Store

GRACE_S = 60.0


class InDoubt(msgspec.Struct, frozen=True):
    """A transaction that one store has prepared and that waits for its decision.

    Attributes:
        store: The store's name in the mapping that was given.
        gid: The global id: what `COMMIT PREPARED` takes.
        transaction: What it has in common with the other stores' parts.
        coordinator: The identity of the log that decides.
        participant: The store's name in the mapping of `tl.distributed`.
        owner: The database role that prepared it, which alone may finish it, or a superuser.
        prepared_at: When, by that store's clock.
        age_s: How long ago, by that store's clock.
    """

    store: str
    gid: str
    transaction: str
    coordinator: str
    participant: str
    owner: str
    prepared_at: dt.datetime
    age_s: float


class Recovery(msgspec.Struct, frozen=True):
    """What `tl.recover` did.

    Attributes:
        committed: How many prepared transactions it committed.
        rolled_back: How many it rolled back.
        left: Those that it left, because their coordinator may be alive.
    """

    committed: int
    rolled_back: int
    left: tuple[InDoubt, ...]


def orphans(stores: Mapping[str, Store], /) -> Result[list[InDoubt], RepositoryError]:
    """The prepared transactions that wait for a decision, the oldest first.

    Those of a coordinator that is at work are among them for a moment.

    Args:
        stores: Where to look. A database lists what was prepared in it, whoever coordinates.

    Errors: that of a store that cannot be asked.

    Example:
        ``[found.age_s for found in tl.unwrap(tl.orphans({"orders": a, "stock": b}))]``
    """
    checked(stores, "orphans")
    found: list[InDoubt] = []
    for name, store in stores.items():
        listed = _listed(name, store)
        if isinstance(listed, Failure):
            return listed
        found += [one for one, _, _ in listed.unwrap()]
    return Success(sorted(found, key=lambda one: one.prepared_at))


def recover(
    stores: Mapping[str, Store], /, *, coordinator: str, grace_s: float = GRACE_S
) -> Result[Recovery, RepositoryError]:
    """Finish what `tl.distributed` left prepared: commit what was decided, roll back the rest.

    It may run at any time, in any process, as often as you like, beside coordinators at work: of a
    recovery that rolls back and a coordinator that commits only one finds the decision undecided.
    The stores' caches forget everything of a store where it committed something.

    Args:
        stores: The stores, all that took part, by name; other names than then do no harm.
        coordinator: The name of the store with the log. Only what was coordinated there is touched.
        grace_s: Seconds that an undecided transaction is left alone while the session of its
            coordinator lives; 0 leaves none. Once the session is gone it is not waited for.

    Errors: that of a store that could not be asked in time, once the others are recovered. Call
    again when it is back.

    Raises:
        TypeError, ValueError: The stores or the coordinator are none.

    Example:
        ``tl.recover({"orders": a, "stock": b}, coordinator="orders")``
    """
    checked(stores, "recover", coordinator)
    grace = cast("object", grace_s)
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):
        raise TypeError(f"grace_s is a number of seconds, not {grace!r:.80}")
    if not (math.isfinite(grace) and grace >= 0):
        raise ValueError(f"grace_s is at least 0 and finite, not {grace!r}")
    database = stores[coordinator].database
    log = known_log(database)
    if isinstance(log, Failure):
        return log
    identity = log.unwrap()
    if identity is None:
        return Success(Recovery(0, 0, ()))
    # Before looking for what is prepared: a decision for which nothing is found is finished.
    decisions = database.fetch(DECISIONS, ())
    if isinstance(decisions, Failure):
        return decisions
    work = _Work(stores, stores[coordinator], identity, grace)
    for name, store in stores.items():
        work.look(name, store)
    work.clean(dict(decisions.unwrap()))
    return work.answer()


class _Work:
    """One recovery."""

    def __init__(
        self, stores: Mapping[str, Store], coordinator: Store, log: str, grace_s: float
    ) -> None:
        self._stores = stores
        self._database = coordinator.database
        self._log = log
        self._grace_s = grace_s
        self._until_s = due(coordinator.database.timeout_s)
        self._decided: dict[str, Decision] = {}
        self._living: dict[str, bool] = {}
        self._asked: set[str] = set()
        self._unfinished: set[str] = set()
        self._counts = {"commit": 0, "abort": 0}
        self._left: list[InDoubt] = []
        self._error: RepositoryError | None = None

    def look(self, name: str, store: Store) -> None:
        """Finish what is prepared in one store."""
        listed = _listed(name, store)
        if isinstance(listed, Failure):
            self._error = self._error or listed.failure()
            return
        self._asked.add(store.database.identity)
        committed = False
        for found, gid, xid in listed.unwrap():
            if gid.coordinator == self._log:
                committed = self._finish(store, found, gid, xid) == "commit" or committed
        if committed:
            for cache in store.caches.all():
                store.caches.invalidate_table(cache.table)

    def clean(self, decisions: Mapping[str, str]) -> None:
        """Forget the decisions that everybody has followed."""
        for transaction, participants in decisions.items():
            is_whole = self._asked.issuperset(participants.split())
            if is_whole and transaction not in self._unfinished:
                self._note(forget(self._database, transaction))
        self._note(self._database.execute(FORGET_OLD, ()))

    def answer(self) -> Result[Recovery, RepositoryError]:
        """What was done."""
        if self._error is not None:
            return Failure(self._error)
        counts = self._counts
        return Success(Recovery(counts["commit"], counts["abort"], tuple(self._left)))

    def _finish(self, store: Store, found: InDoubt, gid: Gid, xid: int) -> str | None:
        """Finish one; what was decided of it, None if it is left."""
        transaction = gid.transaction
        if transaction not in self._decided:
            if found.age_s < self._grace_s and self._lives(gid):
                self._left.append(found)
                self._unfinished.add(transaction)
                return None
            settled = settle(self._database, self._log, transaction, self._until_s)
            if isinstance(settled, Failure):
                self._unfinished.add(transaction)
                self._note(settled)
                return None
            self._decided[transaction] = settled.unwrap()
        decision = self._decided[transaction]
        done = self._followed(store, gid, xid, decision)
        if isinstance(done, Failure):
            self._unfinished.add(transaction)
            self._note(done)
        elif done.unwrap():
            self._counts[decision] += 1
        return decision

    def _followed(
        self, store: Store, gid: Gid, xid: int, decision: Decision
    ) -> Result[bool, RepositoryError]:
        """Commit one or roll it back; whether this call did it."""
        if decision == "abort":
            return finish_prepared(store.database, rollback_prepared(gid), self._until_s)
        # What its coordinator was to announce died with it, or was announced long ago.
        told = announce_prepared(store.database, (ANNOUNCE_ANY, (xid,)), self._until_s)
        if isinstance(told, Failure):
            return told
        return finish_prepared(store.database, commit_prepared(gid), self._until_s)

    def _lives(self, gid: Gid) -> bool:
        """Whether the session of a coordinator may still be there."""
        if gid.transaction not in self._living:
            found = self._database.fetch(LIVES, (gid.pid, gid.started))
            self._living[gid.transaction] = isinstance(found, Failure) or found.unwrap()[0]
        return self._living[gid.transaction]

    def _note(self, result: Result[object, RepositoryError]) -> None:
        if isinstance(result, Failure):
            self._error = self._error or result.failure()


def _listed(name: str, store: Store) -> Result[list[tuple[InDoubt, Gid, int]], RepositoryError]:
    found = store.database.fetch(LISTED, ())
    if isinstance(found, Failure):
        return found
    listed: list[tuple[InDoubt, Gid, int]] = []
    for text, owner, prepared_at, age_s, xid in found.unwrap():
        gid = read_gid(text)
        if gid is not None:
            listed.append(
                (
                    InDoubt(
                        store=name,
                        gid=text,
                        transaction=gid.transaction,
                        coordinator=gid.coordinator,
                        participant=gid.participant,
                        owner=owner,
                        prepared_at=prepared_at,
                        age_s=age_s,
                    ),
                    gid,
                    xid,
                )
            )
    return Success(listed)
