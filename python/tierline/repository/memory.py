"""A repository in memory, for unit tests: the verbs and answers of a real one, without a server."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec
from returns.result import Failure, Success

from tierline.entity import Change, Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import (
    RepositoryError,
    ValidationError,
)
from tierline.query.writes import Condition, Settings, delete, update
from tierline.repository.base import version_of
from tierline.repository.evaluation import assigning, condition
from tierline.repository.memory_base import MemoryBase
from tierline.repository.repository import changing, hidden
from tierline.repository.rows import LOCK, MemoryRows
from tierline.result import Result

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")


class MemoryRepository(MemoryBase[T, K]):
    """A repository whose rows live in this object; make it with `tl.memory_repository`.

    It validates, keeps keys, unique constraints, versions, stamps and soft deletion, and answers
    with the same errors as a repository in PostgreSQL, apart from SQLSTATEs and times.

    Attributes:
        emitted: What subscribers wanted written with the changes that were kept.
    """

    __slots__ = ()

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.create`."""
        checked = self._values(entity, "create")
        if isinstance(checked, Failure):
            return checked
        return self._attempt("create", lambda: self._created(entity))

    def update(self, entity: T | Change[T]) -> Result[T, RepositoryError]:
        """As `Repository.update`."""
        if isinstance(entity, Change):
            return self._updated_by(cast("Change[T]", entity))
        checked = self._values(entity, "update")
        if isinstance(checked, Failure):
            return checked

        def run() -> T:
            identity = self.rows.identity(entity)
            stored = self._checked("update", identity, version_of(self._table, entity))
            return self._replaced(identity, self._next(stored, entity))

        return self._attempt("update", run)

    def upsert(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.upsert`."""
        checked = self._values(entity, "upsert")
        if isinstance(checked, Failure):
            return checked
        return self._attempt("upsert", lambda: self._upserted(entity))

    def get_or_create(self, entity: T) -> Result[tuple[T, bool], RepositoryError]:
        """As `Repository.get_or_create`."""
        checked = self._values(entity, "get_or_create")
        if isinstance(checked, Failure):
            return checked

        def run() -> tuple[T, bool]:
            identity = self.rows.identity(entity)
            stored = self.rows.by_key.get(identity)
            if stored is None:
                return self._created(entity), True
            if not self._lives(stored):
                raise hidden(self._table)
            return self._out(stored), False

        return self._attempt("get_or_create", run)

    def delete(self, key: K | T) -> Result[None, RepositoryError]:
        """As `Repository.delete`."""
        expected: int | None = None
        if isinstance(key, self._table.entity):
            expected, key = version_of(self._table, key), self._table.key_of(key)
        values = self._key(cast("K", key), "delete")
        if isinstance(values, Failure):
            return values

        def run() -> None:
            self._checked("delete", values.unwrap(), expected)
            self._end(values.unwrap())

        return self._attempt("delete", run)

    def purge(self, key: K) -> Result[None, RepositoryError]:
        """As `Repository.purge`."""
        values = self._key(key, "purge")
        if isinstance(values, Failure):
            return values

        def run() -> None:
            if values.unwrap() not in self.rows.by_key:
                raise self._not_found("purge").failure()
            self._written[values.unwrap()] = None
            self.rows.remove(values.unwrap())

        return self._attempt("purge", run)

    def restore(self, key: K) -> Result[T, RepositoryError]:
        """As `Repository.restore`."""
        if self._table.deleted_at is None:
            raise TypeError(f"{self._table.name}.restore: the table has no deleted_at=")
        values = self._key(key, "restore")
        if isinstance(values, Failure):
            return values

        def run() -> T:
            stored = self.rows.by_key.get(values.unwrap())
            if stored is None or self._lives(stored):
                raise self._not_found("restore").failure()
            return self._replaced(values.unwrap(), self._next(stored, stored, deleted_at=None))

        return self._attempt("restore", run)

    def create_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.create_many`."""
        return self._each("create_many", list(entities), self._created, progress)

    def upsert_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.upsert_many`."""
        return self._each("upsert_many", list(entities), self._upserted, progress)

    def update_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_many`."""

        def change(entity: T) -> T:
            identity = self.rows.identity(entity)
            stored = self._checked("update_many", identity, version_of(self._table, entity))
            return self._replaced(identity, self._next(stored, entity))

        return self._each("update_many", list(entities), change, progress)

    def delete_many(self, keys: Iterable[K]) -> Result[int, RepositoryError]:
        """As `Repository.delete_many`."""
        wanted = list(dict.fromkeys(keys))
        checked = self._keys(wanted, "delete_many")
        if isinstance(checked, Failure):
            return checked
        identities = [self._table.read_key(key) for key in wanted]
        return self._attempt(
            "delete_many", lambda: self._ended([key for key in identities if self._has(key)])
        )

    def update_where(
        self,
        *,
        set: Settings[T],  # noqa: A002 (the field's word)
        where: Condition[T],
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_where`."""
        write = update(self._table, set=set, where=where)
        holds = condition(self._table, write.where)
        values = assigning(self._table, write.assignments)

        def run() -> int:
            found = [(key, row) for key, row in self.rows.by_key.items() if holds(row)]
            for key, row in found:
                changed = msgspec.structs.replace(row, **values(row))
                self._check(changed)
                self._replaced(key, self._next(row, changed))
            return len(found)

        return self._attempt("update_where", run)

    def delete_where(self, where: Condition[T]) -> Result[int, RepositoryError]:
        """As `Repository.delete_where`."""
        holds = condition(self._table, delete(self._table, where=where).where)
        return self._attempt(
            "delete_where",
            lambda: self._ended([key for key, row in self.rows.by_key.items() if holds(row)]),
        )

    def _updated_by(self, change: Change[T]) -> Result[T, RepositoryError]:
        try:
            if changing(self._table, change) is None:
                return Success(change.before)
        except BadFieldsError as bad:
            return self._invalid(bad, "update")
        fields = {field: getattr(change.after, field) for field in change.fields}

        def run() -> T:
            identity = self.rows.identity(change.before)
            stored = self._checked("update", identity, version_of(self._table, change.before))
            given: Any = stored
            changed: T = msgspec.structs.replace(given, **fields)
            return self._replaced(identity, self._next(stored, changed))

        return self._attempt("update", run)


def memory_repository(
    table: Table[T, K],
    rows: Iterable[T] = (),
    *,
    references: Iterable[MemoryRepository[Any, Any]] = (),
) -> MemoryRepository[T, K]:
    """A repository in memory with the verbs and answers of a real one, for unit tests.

    Args:
        table: The table, from `tl.table`.
        rows: What is there to begin with, as it is: versions and stamps too.
        references: Repositories in memory that the table's foreign keys lead to; keys that lead to
            other tables are not checked.

    Raises:
        ValidationError: A row does not fit.
        DuplicateError: Two rows have the same key or unique value.
        ConstraintError: A foreign key leads nowhere.

    Example:
        ``flights = tl.memory_repository(FLIGHTS, [Flight(1, "UA", "EWR", "IAH", None)])``
    """
    made = MemoryRepository(table, MemoryRows(table, [other.rows for other in references]))
    batch = list(rows)
    try:
        for row in batch:
            table.validator.values(row)
    except BadFieldsError as bad:
        raise ValidationError(bad.errors, operation="memory_repository", table=table.name) from None
    with LOCK:
        for row in batch:
            made.rows.add(copy.deepcopy(row) if table.copy else row)
    return made
