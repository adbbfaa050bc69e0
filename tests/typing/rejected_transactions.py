"""Mistakes with transactions and change events that both type checkers must find; never run."""

from __future__ import annotations

from reveal_transactions import ACCOUNTS, ENTRIES, Account, Entry, audited, ours, own

import tierline as tl


def no_result(tx: tl.Transaction) -> int:
    del tx
    return 1


def of_nothing() -> tl.Result[int, tl.RepositoryError]:
    return tl.Success(1)


def of_a_store(store: tl.Store) -> tl.Result[int, tl.RepositoryError]:
    return store.count(tl.select(ACCOUNTS))


def wrong_functions(store: tl.Store, tx: tl.Transaction) -> None:
    store.transaction(no_result)  # rejected
    store.transaction(of_nothing)  # rejected
    store.transaction(of_a_store)  # rejected
    store.transaction()  # rejected
    store.transaction(ours(tx))  # rejected
    tx.transaction(no_result)  # rejected
    tx.on_commit(ours(tx))  # rejected
    tx.on_commit(lambda tx: None)  # rejected


def wrong_options(store: tl.Store, tx: tl.Transaction) -> None:
    store.transaction(own, isolation="snapshot")  # rejected
    store.transaction(own, isolation="SERIALIZABLE")  # rejected
    store.transaction(own, readonly=True)  # rejected
    store.transaction(own, read_only="yes")  # rejected
    store.transaction(own, deadline_s="1")  # rejected
    store.transaction(own, "serializable")  # rejected
    tx.transaction(own, isolation="serializable")  # rejected
    tx.lock(1.5)  # rejected
    tx.set_local("app.user", None)  # rejected
    tx.create_table(ACCOUNTS)  # rejected
    tx.close()  # rejected


Wrong = tl.Result[str, Exception]


def wrong_keys(store: tl.Store) -> None:
    store.transaction(own, idempotency_key="k")  # rejected
    store.transaction(own, result=int)  # rejected
    store.transaction(own, idempotency_key=3, result=int)  # rejected
    store.transaction(own, idempotency_key="k", result=int, read_only=True)  # rejected
    store.transaction(own, idempotency_key="k", result="int")  # rejected
    n: Wrong = store.transaction(own, idempotency_key="k", result=int)  # rejected
    del n


def wrong_answers(store: tl.Store) -> None:
    answer: tl.Result[str, tl.RepositoryError] = store.transaction(ours)  # rejected
    del answer
    error: tl.Result[Account, tl.NotFoundError] = store.transaction(ours)  # rejected
    del error


def of_another(change: tl.Changed[Entry]) -> None:
    del change


def a_number(change: tl.Changed[Account]) -> int:
    return change.key or 1


def answers_with_rows(change: tl.Changed[Account]) -> tl.Returning[int]:
    return tl.insert(ENTRIES, Entry(change.key, "x"), returning=lambda e: e.id)


def wrong_handlers(store: tl.Store) -> None:
    store.subscribe(ACCOUNTS, of_another)  # rejected
    store.subscribe(ACCOUNTS, a_number)  # rejected
    store.subscribe(ACCOUNTS, answers_with_rows)  # rejected
    store.subscribe(Account, audited)  # rejected
    store.subscribe(ACCOUNTS)  # rejected
    tl.repository(store, ENTRIES).subscribe(audited)  # rejected


def wrong_changes(change: tl.Changed[Account]) -> None:
    _ = change.old.owner  # rejected
    change.operation = "update"  # rejected
