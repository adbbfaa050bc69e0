"""The types that users of transactions and change events see; never run."""

from __future__ import annotations

import datetime as dt
from typing import assert_type

import msgspec

import tierline as tl


class Account(msgspec.Struct, frozen=True):
    id: int
    owner: str


class Entry(msgspec.Struct, frozen=True):
    id: int
    what: str


ACCOUNTS = tl.table(Account, name="accounts", key=lambda a: a.id)
ENTRIES = tl.table(Entry, name="entries", key=lambda e: e.id)


class TooPoorError(Exception):
    """An error of the user's own."""


def own(tx: tl.Transaction) -> tl.Result[int, TooPoorError]:
    del tx
    return tl.Success(1)


def ours(tx: tl.Transaction) -> tl.Result[Account, tl.RepositoryError]:
    return tl.repository(tx, ACCOUNTS).get_by_id(1)


def both(tx: tl.Transaction) -> tl.Result[int, TooPoorError | tl.NotFoundError]:
    del tx
    return tl.Failure(TooPoorError())


def transactions(store: tl.Store) -> None:
    assert_type(store.transaction(own), tl.Result[int, TooPoorError | tl.RepositoryError])
    assert_type(store.transaction(ours), tl.Result[Account, tl.RepositoryError])
    assert_type(
        store.transaction(both),
        tl.Result[int, TooPoorError | tl.NotFoundError | tl.RepositoryError],
    )
    assert_type(
        store.transaction(lambda tx: tx.count(tl.select(ACCOUNTS))),
        tl.Result[int, tl.RepositoryError],
    )
    assert_type(
        store.transaction(ours, isolation="serializable", read_only=True, deadline_s=1),
        tl.Result[Account, tl.RepositoryError],
    )


def once(store: tl.Store) -> None:
    assert_type(
        store.transaction(own, idempotency_key="order 7", result=int, isolation="serializable"),
        tl.Result[int, TooPoorError | tl.RepositoryError],
    )
    assert_type(
        store.transaction(ours, idempotency_key="order 8", result=Account, deadline_s=1),
        tl.Result[Account, tl.RepositoryError],
    )
    assert_type(store.create_idempotency_table(), tl.Result[None, tl.RepositoryError])
    assert_type(store.forget_idempotency(older_than_s=86_400), tl.Result[int, tl.RepositoryError])


def inside(tx: tl.Transaction) -> None:
    accounts = tl.repository(tx, ACCOUNTS, cache=tl.read_through(ttl_s=1))
    assert_type(accounts, tl.Repository[Account, int])
    assert_type(tx.fetch_all(tl.select(ACCOUNTS)), tl.Result[list[Account], tl.RepositoryError])
    assert_type(tx.transaction(own), tl.Result[int, TooPoorError | tl.RepositoryError])
    assert_type(
        tx.transaction(own, savepoint=True), tl.Result[int, TooPoorError | tl.RepositoryError]
    )
    assert_type(tx.lock("month-end"), tl.Result[None, tl.RepositoryError])
    assert_type(tx.try_lock(7), tl.Result[bool, tl.RepositoryError])
    assert_type(tx.set_local("app.user", "ada"), tl.Result[None, tl.RepositoryError])
    assert_type(tx.began_at(), tl.Result[dt.datetime, tl.RepositoryError])
    assert_type(
        tx.atomically(lambda tx: tl.repository(tx, ACCOUNTS).get_by_id(1)),
        tl.Result[Account, tl.RepositoryError],
    )
    assert_type(tx.stream(tl.select(ACCOUNTS)), tl.Stream[Account])
    tx.on_commit(lambda: 1)
    tx.on_rollback(lambda: None)


def unknown(error: tl.CommitUnknownError) -> None:
    assert_type(error.xid, int | None)
    assert_type(error.resolve(within_s=1), tl.Result[bool, tl.RepositoryError])


def audited(change: tl.Changed[Account]) -> tl.Reaction:
    assert_type(change.old, Account | None)
    assert_type(change.new, Account | None)
    assert_type(change.fields, tuple[str, ...])
    assert_type(change.at, dt.datetime)
    if change.operation == "delete":
        return tl.Failure(tl.ConstraintError("stays"))
    return tl.insert(ENTRIES, Entry(1, change.operation))


def several(change: tl.Changed[Account]) -> list[tl.Write]:
    return [tl.insert(ENTRIES, Entry(change.key, "x"))]


def silent(change: tl.Changed[Account]) -> None:
    del change


def subscribers(store: tl.Store, memory: tl.MemoryRepository[Account, int]) -> None:
    assert_type(store.subscribe(ACCOUNTS, audited), tl.Subscription)
    assert_type(store.subscribe(ACCOUNTS, several), tl.Subscription)
    assert_type(tl.repository(store, ACCOUNTS).subscribe(silent), tl.Subscription)
    assert_type(memory.subscribe(audited), tl.Subscription)
    assert_type(memory.emitted, list[tl.Write])
    with store.subscribe(ACCOUNTS, lambda change: tl.insert(ENTRIES, Entry(1, change.operation))):
        pass
