"""Writes by value: performed in L3, and what they touched forgotten by the tiers above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from returns.result import Failure, Success

from tierline.errors import (
    ConnectionError,  # noqa: A004
    DuplicateError,
    QueryError,
    RepositoryError,
)
from tierline.query.changes import RowChange
from tierline.query.parameters import binder
from tierline.query.writes import Delete, Insert, Returning, Update, Write
from tierline.repository.events import Watch
from tierline.repository.observing import observed, reach_of_write
from tierline.repository.ports import StorePort
from tierline.result import Result
from tierline.sql import compile_returning, compile_returning_keys, compile_write
from tierline.sql.telling import Told, compile_told, compile_told_returning

T = TypeVar("T")
A = TypeVar("A")

_NONE: Mapping[str, object] = MappingProxyType({})


def perform_write(
    store: StorePort,
    write: Write,
    operation: str = "execute",
    parameters: Mapping[str, object] = _NONE,
) -> Result[int, RepositoryError]:
    """Perform a write; how many rows it changed."""
    watch = store.subscriptions.of(write.table)
    if watch is None:
        return together(store, lambda s: _write(s, write, operation, parameters), _target(write))
    if _moves_keys(write):
        whole = _observed_returning(store, watch, Returning[Any](write), operation, parameters)
        return whole if isinstance(whole, Failure) else Success(len(whole.unwrap()))
    try:
        reach = reach_of_write(watch.table, write, parameters)
    except RepositoryError as error:
        return _refused(error, write, operation)
    return observed(
        store,
        watch,
        write.table,
        reach,
        action=lambda tx: _write(tx, write, operation, parameters),
        perform=perform_write,
    )


def perform_returning(
    store: StorePort,
    returning: Returning[T],
    operation: str = "fetch_all",
    parameters: Mapping[str, object] = _NONE,
) -> Result[list[T], RepositoryError]:
    """Perform a write; what it answers with for each row."""
    watch = store.subscriptions.of(returning.table)
    if watch is None:
        return together(
            store,
            lambda s: _returning(s, returning, operation, parameters),
            _target(returning.write),
        )
    return _observed_returning(store, watch, returning, operation, parameters)


def _observed_returning(
    store: StorePort,
    watch: Watch,
    returning: Returning[T],
    operation: str,
    parameters: Mapping[str, object],
) -> Result[list[T], RepositoryError]:
    write, table = returning.write, returning.table
    moves = _moves_keys(write)
    if moves and returning.projection is not None:
        refusal = QueryError(
            "the write changes the key of a table with subscribers; let it answer with whole rows, "
            "`returning=lambda row: row`, so that both keys are known"
        )
        return _refused(refusal, write, operation)

    def made(rows: list[T]) -> list[tuple[Any, ...]]:
        return [table.read_key(table.key_of(row)) for row in rows]

    try:
        reach = reach_of_write(watch.table, write, parameters)
    except RepositoryError as error:
        return _refused(error, write, operation)
    return observed(
        store,
        watch,
        table,
        reach,
        action=lambda tx: _returning(tx, returning, operation, parameters),
        perform=perform_write,
        made=made if moves else None,
    )


def together(
    store: StorePort,
    action: Callable[[StorePort], Result[A, RepositoryError]],
    target: tuple[str, ...] | None = None,
) -> Result[A, RepositoryError]:
    """Perform a write; in a transaction of its own where it must be announced before it commits.

    Args:
        store: Where.
        action: Performs it.
        target: As in `once_more`.
    """
    if not store.caches.announces:
        return action(store)
    return once_more(target, lambda: store.atomically(action))


def _write(
    store: StorePort, write: Write, operation: str, parameters: Mapping[str, object]
) -> Result[int, RepositoryError]:
    caches, table = store.caches, write.table
    if caches.watched(table):
        try:
            told = compile_told(write, operation)
        except RepositoryError as error:
            return _refused(error, write, operation)
        rows = _telling(store, write, *told, parameters)
        return rows if isinstance(rows, Failure) else Success(len(rows.unwrap()))
    if not caches.in_use(table):
        try:
            statement, values = compile_write(write, operation)
        except RepositoryError as error:
            return _refused(error, write, operation)
        values = binder(values)(parameters)
        try:
            return once_more(_target(write), lambda: store.database.execute(statement, values))
        finally:
            # A cache that was opened meanwhile may have read what was there before.
            caches.invalidate_table(table, deleted=isinstance(write, Delete))
    try:
        statement, values = compile_returning_keys(write, operation)
    except RepositoryError as error:
        return _refused(error, write, operation)
    values = binder(values)(parameters)
    keys = _forgetting(store, write, lambda: store.database.fetch(statement, values))
    if isinstance(keys, Failure):
        return keys
    _forget(store, write, None if _moves_keys(write) else keys.unwrap())
    return Success(len(keys.unwrap()))


def _returning(
    store: StorePort, returning: Returning[T], operation: str, parameters: Mapping[str, object]
) -> Result[list[T], RepositoryError]:
    write = returning.write
    if store.caches.watched(write.table):
        try:
            told = compile_told_returning(returning, operation)
        except RepositoryError as error:
            return _refused(error, write, operation)
        found = _telling(store, write, *told, parameters)
        return found if isinstance(found, Failure) else Success(told[0].answers(found.unwrap()))
    try:
        statement, values = compile_returning(returning, operation)
    except RepositoryError as error:
        return _refused(error, write, operation)
    values = binder(values)(parameters)
    result = _forgetting(store, write, lambda: store.database.fetch(statement, values))
    if isinstance(result, Failure):
        return result
    rows = result.unwrap()
    whole = returning.projection is None and not _moves_keys(write)
    _forget(store, write, [write.table.key_of(row) for row in rows] if whole else None)
    return Success(rows)


def _telling(
    store: StorePort,
    write: Write,
    told: Told,
    values: tuple[Any, ...],
    parameters: Mapping[str, object],
) -> Result[list[Any], RepositoryError]:
    """Perform a write that tells its rows, so that the results they do not concern stay."""
    values = binder(values)(parameters)
    result = _forgetting(store, write, lambda: store.database.fetch(told.statement, values))
    if isinstance(result, Failure):
        return result
    changes = told.changes(result.unwrap())
    keys = None if _moves_keys(write) else told.keys(changes)
    _forget(store, write, keys, changes, told.xid(result.unwrap()))
    return result


def _forgetting(
    store: StorePort, write: Write, action: Callable[[], Result[A, RepositoryError]]
) -> Result[A, RepositoryError]:
    """Perform a write; if it only may have happened, every tier forgets the table."""
    try:
        result = once_more(_target(write), action)
    except BaseException:
        _forget(store, write, None)
        raise
    if isinstance(result, Failure) and isinstance(result.failure(), ConnectionError):
        _forget(store, write, None)
    return result


def once_more(
    target: tuple[str, ...] | None, action: Callable[[], Result[A, RepositoryError]]
) -> Result[A, RepositoryError]:
    """Perform a write; an upsert that lost a race on another rule than its target, twice.

    PostgreSQL looks for the stored row by the target's rule alone. If another session writes the
    same row in the moment between that look and the insert, whichever unique index comes first says
    so: it may be one of another rule, and then nothing is looked up again. By the second try that
    row is there to be found; a row that is a duplicate by the other rule alone still is one.

    Args:
        target: The columns of an upsert's rule; None for other writes.
        action: Performs the write.
    """
    result = action()
    if target is None or isinstance(result, Success):
        return result
    error = result.failure()
    if not isinstance(error, DuplicateError) or error.columns == target:
        return result
    again = action()
    if isinstance(again, Failure) and again.failure().__cause__ is error:
        # In a transaction the first failure was the end of it.
        return result
    return again


def _target(write: Write) -> tuple[str, ...] | None:
    if isinstance(write, Insert) and write.on_conflict is not None:
        return write.on_conflict.target
    return None


def _forget(
    store: StorePort,
    write: Write,
    keys: list[Any] | None,
    changes: list[RowChange] | None = None,
    xid: int | None = None,
) -> None:
    deleted = isinstance(write, Delete)
    if keys is None:
        store.caches.invalidate_table(write.table, deleted=deleted, changes=changes, xid=xid)
    elif keys:
        store.caches.invalidate(write.table, keys, deleted=deleted, changes=changes, xid=xid)


def _moves_keys(write: Write) -> bool:
    """Whether rows may have had another key before the write."""
    match write:
        case Update(assignments=assignments):
            pass
        case Insert(on_conflict=conflict) if conflict is not None:
            assignments = conflict.assignments
        case _:
            return False
    return any(item.column in write.table.key for item in assignments)


def _refused(error: RepositoryError, write: Write, operation: str) -> Failure[RepositoryError]:
    error.operation, error.table = operation, write.table.name
    return Failure(error)
