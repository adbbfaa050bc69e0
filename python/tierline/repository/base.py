"""What the verbs of a repository share: its parts, and writes that the caches hear of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from returns.result import Failure, Success

from tierline.cache import ReadThrough
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import (
    ConflictError,
    ConnectionError,  # noqa: A004
    NotFoundError,
    RepositoryError,
    ValidationError,
)
from tierline.repository.observing import Kind, observed, reach_of_keys
from tierline.repository.options import uncached_options
from tierline.repository.ports import DatabasePort, StorePort
from tierline.repository.writes import perform_write, together
from tierline.result import Result
from tierline.sql import Statement, TableStatements, table_statements
from tierline.sql.snapshots import Seen
from tierline.sql.telling import Told, told_statements

if TYPE_CHECKING:
    from tierline.cache.reading import ReadByKey

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")

Rows: TypeAlias = list[T]
"""`list`, under a name that the verb `list` does not hide."""


class RepositoryBase(Generic[T, K]):
    """The parts of a repository, and what its verbs share."""

    __slots__ = ("_cache", "_cached", "_statements", "_store", "_table", "get_by_id")

    get_by_id: ReadByKey[K, T]

    def __init__(
        self, store: StorePort, table: Table[T, K], cache: ReadThrough | None = None
    ) -> None:
        self._store = store
        self._table = table
        self._cached = cache
        self._statements = table_statements(table)
        self._cache = None if cache is None else store.caches.open(table, cache)
        if self._cache is None:
            self.get_by_id = self._uncached
        elif table.copy:
            self.get_by_id = copying(self._cache.reader(self._fetch, self._look))
        else:
            self.get_by_id = self._cache.reader(self._fetch, self._look)

    def _uncached(
        self,
        key: K,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Result[T, RepositoryError]:
        if ttl_s is not None or stale_ok_s is not None:
            uncached_options(
                "get_by_id",
                has_strategy=self._cached is not None,
                fresh=fresh,
                ttl_s=ttl_s,
                stale_ok_s=stale_ok_s,
            )
        return self._fetch(key)

    def _fetch(self, key: K) -> Result[T, RepositoryError]:
        """`get_by_id` from L3."""
        try:
            values = self._table.read_key(key)
            statement = self._statements.get
        except BadFieldsError as bad:
            return self._invalid(bad, "get_by_id")
        except RepositoryError as error:
            return self._refused(error, "get_by_id")
        database = self._store.database
        fetch = database.fetch if self._cache is None else database.fetch_current
        result = fetch(statement, values)
        if isinstance(result, Success):
            rows = result.unwrap()
            return Success(rows[0]) if rows else self._not_found("get_by_id")
        return result

    def _look(self, keys: K, *, latest: bool) -> Result[Rows[Seen], RepositoryError]:
        """`get_by_id` from L3, with the snapshot."""
        try:
            values = self._table.read_key(keys)
            statement = self._statements.get_seen
        except BadFieldsError as bad:
            return self._invalid(bad, "get_by_id")
        except RepositoryError as error:
            return self._refused(error, "get_by_id")
        database = self._store.database
        return (database.fetch_latest if latest else database.fetch)(statement, values)

    def _changed(
        self,
        operation: str,
        pick: Callable[[TableStatements], Statement],
        values: tuple[Any, ...],
        keys: Rows[K],
        *,
        deleted: bool = False,
    ) -> Result[int, RepositoryError]:
        """Run a write; how many rows it changed."""
        if self._store.caches.watched(self._table):
            told = self._telling(operation, pick, values, keys, deleted=deleted)
            return told if isinstance(told, Failure) else Success(len(told.unwrap()[1]))
        try:
            statement = pick(self._statements)
        except RepositoryError as error:
            return self._refused(error, operation)
        return self._forgetting(
            operation, lambda db: db.execute(statement, values), keys, deleted=deleted
        )

    def _answered(
        self,
        operation: str,
        pick: Callable[[TableStatements], Statement],
        values: tuple[Any, ...],
        keys: Rows[K],
        *,
        deleted: bool = False,
    ) -> Result[Rows[T], RepositoryError]:
        """Run a write that answers with its rows."""
        if self._store.caches.watched(self._table):
            answered = self._telling(operation, pick, values, keys, deleted=deleted)
            if isinstance(answered, Failure):
                return answered
            found, rows = answered.unwrap()
            return Success(found.answers(rows))
        try:
            statement = pick(self._statements)
        except RepositoryError as error:
            return self._refused(error, operation)
        return self._forgetting(
            operation, lambda db: db.fetch(statement, values), keys, deleted=deleted
        )

    def _telling(
        self,
        operation: str,
        pick: Callable[[TableStatements], Statement],
        values: tuple[Any, ...],
        keys: Rows[K],
        *,
        deleted: bool,
    ) -> Result[tuple[Told, Rows[Any]], RepositoryError]:
        """Run a write that tells the rows before and after, for the results of cached queries."""
        try:
            told = told_statements(self._table).told(pick)
        except RepositoryError as error:
            return self._refused(error, operation)
        found = self._forgetting(
            operation,
            lambda db: db.fetch(told.statement, values),
            keys,
            deleted=deleted,
            told=told,
        )
        return found if isinstance(found, Failure) else Success((told, found.unwrap()))

    def _forgetting(
        self,
        operation: str,
        action: Callable[[DatabasePort], Result[A, RepositoryError]],
        keys: Sequence[K],
        *,
        deleted: bool = False,
        told: Told | None = None,
    ) -> Result[A, RepositoryError]:
        """Write, tell who has subscribed, and let no tier serve what was before it."""
        store, table = self._store, self._table
        watch = store.subscriptions.of(table)
        if watch is None:
            return together(
                store,
                lambda s: forgetting(s, table, action, keys, deleted=deleted, told=told),
            )
        try:
            reach = reach_of_keys(watch.table, keys, _KINDS.get(operation, "kept"))
        except RepositoryError as error:
            return self._refused(error, operation)
        return observed(
            store,
            watch,
            table,
            reach,
            action=lambda tx: forgetting(tx, table, action, keys, deleted=deleted, told=told),
            perform=perform_write,
        )

    def _values(self, entity: T, operation: str) -> Result[tuple[Any, ...], ValidationError]:
        try:
            return Success(self._table.validator.values(entity))
        except BadFieldsError as bad:
            return self._invalid(bad, operation)

    def _rows(
        self, batch: Rows[T], operation: str
    ) -> Result[Rows[tuple[Any, ...]], ValidationError]:
        """Every entity's values, or the first bad fields with the entities' positions."""
        return self._with_values(batch, range(len(batch)), operation)

    def _encodable(self, batch: Rows[T], operation: str) -> Result[Rows[Any], ValidationError]:
        """The same, with entities that surely fit as they are."""
        checker = self._table.checker
        return (
            self._rows(batch, operation)
            if checker is None
            else (self._with_values(batch, checker.unsure(batch), operation))
        )

    def _with_values(
        self, batch: Rows[T], positions: Iterable[int], operation: str
    ) -> Result[Rows[Any], ValidationError]:
        """The batch with the values of the entities at these positions in their place."""
        values = self._table.validator.values
        rows: Rows[Any] = [*batch]
        errors: Rows[Any] = []
        for position in positions:
            try:
                rows[position] = values(batch[position])
            except BadFieldsError as bad:
                errors += [
                    error._replace(path=f"[{position}].{error.path}") for error in bad.errors
                ]
                if len(errors) >= ERRORS_MAX:
                    break
        return (
            self._invalid(BadFieldsError(tuple(errors[:ERRORS_MAX])), operation)
            if errors
            else (Success(rows))
        )

    def _key(self, key: K, operation: str) -> Result[tuple[Any, ...], ValidationError]:
        try:
            return Success(self._table.read_key(key))
        except BadFieldsError as bad:
            return self._invalid(bad, operation)

    def _keys(
        self, keys: Iterable[K], operation: str
    ) -> Result[tuple[Rows[Any], ...], ValidationError]:
        """One array of values a key column."""
        try:
            values = [self._table.read_key(key) for key in keys]
        except BadFieldsError as bad:
            return self._invalid(bad, operation)
        return Success(tuple([row[n] for row in values] for n in range(len(self._table.key))))

    def _refused(self, error: RepositoryError, operation: str) -> Failure[RepositoryError]:
        error.operation, error.table = operation, self._table.name
        return Failure(error)

    def _invalid(self, bad: BadFieldsError, operation: str) -> Failure[ValidationError]:
        return Failure(ValidationError(bad.errors, operation=operation, table=self._table.name))

    def _not_found(self, operation: str) -> Failure[RepositoryError]:
        return Failure(
            NotFoundError("no row has this key", operation=operation, table=self._table.name)
        )

    def _untouched(self, operation: str, key: K, expected: int | None) -> Failure[RepositoryError]:
        """Why a write by key reached no row: there is none, or it has another version."""
        # What a tier still serves of it is not what is stored.
        self._store.caches.invalidate(self._table, [key])
        if expected is None or self._table.version is None:
            return self._not_found(operation)
        values = self._table.read_key(key)
        found = self._store.database.fetch(self._statements.stored_version, values)
        if isinstance(found, Failure):
            return self._refused(found.failure(), operation)
        if not found.unwrap():
            return self._not_found(operation)
        return stale(operation, self._table, expected, found.unwrap()[0])

    def _version_of(self, entity: T) -> int | None:
        return version_of(self._table, entity)


_KINDS: dict[str, Kind] = {
    "create": "made",
    "create_many": "made",
    "upsert_many": "replaced",
}


def forgetting(
    store: StorePort,
    table: Table[Any, Any],
    action: Callable[[DatabasePort], Result[A, RepositoryError]],
    keys: Sequence[Any],
    *,
    deleted: bool = False,
    told: Told | None = None,
) -> Result[A, RepositoryError]:
    """After a write that happened, or may have, no tier serves what was before it."""
    try:
        result = action(store.database)
    except BaseException:
        # Interrupted: it may have happened.
        store.caches.invalidate(table, keys, deleted=deleted)
        raise
    if isinstance(result, Success):
        # What a told write answers with is its rows.
        rows: Any = result.unwrap()
        changes = None if told is None else told.changes(rows)
        xid = None if told is None else told.xid(rows)
        store.caches.invalidate(table, keys, deleted=deleted, changes=changes, xid=xid)
    elif isinstance(result.failure(), ConnectionError):
        store.caches.invalidate(table, keys, deleted=deleted)
    return result


ERRORS_MAX = 100
"""Bad fields listed for one bulk write: more would help nobody."""


def version_of(table: Table[Any, Any], entity: Any) -> int | None:
    """The version that an entity was read in; None where its table counts none."""
    if table.version is None:
        return None
    found: int = getattr(entity, table.column(table.version).field)
    return found


def stale(
    operation: str, table: Table[Any, Any], expected: int, actual: int | None
) -> Failure[RepositoryError]:
    """The answer to a write of an entity that somebody else changed meanwhile."""
    return Failure(
        ConflictError(
            f"somebody else changed the row: it was read in version {expected} and has version "
            f"{actual} now; read it again and repeat the change",
            operation=operation,
            table=table.name,
            expected=expected,
            actual=actual,
        )
    )


def copying(read: ReadByKey[K, T]) -> ReadByKey[K, T]:
    """The same reads, of entities that their callers may change."""

    def read_copy(key: K, **options: Any) -> Result[T, RepositoryError]:
        return copied(read(key, **options))

    return read_copy


def copied(result: Result[T, RepositoryError]) -> Result[T, RepositoryError]:
    """A copy of a mutable entity that a cache holds."""
    return result if isinstance(result, Failure) else Success(copy.deepcopy(result.unwrap()))
