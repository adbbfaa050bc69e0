"""The repository: everyday verbs on one table, each answering with a Result."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from returns.result import Failure, Success

from tierline.entity import Change, Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import (
    ConflictError,
    DuplicateError,
    NotFoundError,
    RepositoryError,
)
from tierline.query.assignments import Assignment, refuse_managed
from tierline.query.deletion import not_deleted
from tierline.query.expressions import ColumnRef, Comparison, Expr, Logic, Value
from tierline.query.writes import Returning, Update, upsert
from tierline.repository.base import Rows, version_of
from tierline.repository.bulk import Bulk
from tierline.repository.events import Handler, Subscription
from tierline.repository.writes import perform_returning
from tierline.result import Result

T = TypeVar("T")
K = TypeVar("K")

_TRIES = 3


class Repository(Bulk[T, K]):
    """Reads and writes entities of one table; make it with `tl.repository`.

    Operating errors are answered as `Failure`; a wrong argument type raises.

    Attributes:
        get_by_id: The entity that has a key: `Success[T]`, or `Failure` of `NotFoundError`. With a
            cache it is a native function that runs no Python bytecode on a hit.
    """

    __slots__ = ()

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """Write a new row; answers with the entity, as it is stored.

        Errors: `ValidationError` with every bad field, `DuplicateError`, `ConstraintError`.
        """
        checked = self._values(entity, "create")
        if isinstance(checked, Failure):
            return checked
        values, keys = checked.unwrap(), [self._table.key_of(entity)]
        if self._table.is_stamped:
            return self._only("create", self._answered("create", lambda s: s.insert, values, keys))
        result = self._changed("create", lambda s: s.insert, values, keys)
        return result if isinstance(result, Failure) else Success(entity)

    def update(self, entity: T | Change[T]) -> Result[T, RepositoryError]:
        """Replace the row that has the entity's key; answers with the entity, as it is stored.

        Args:
            entity: The entity as it is to be, or from `tl.change` only what is to be different:
                then only these columns are written, and nothing if nothing differs.

        Errors: `NotFoundError`, `ValidationError`, `DuplicateError`, `ConstraintError`; with a
        version `ConflictError`, if the row has another one than the entity.
        """
        if isinstance(entity, Change):
            return self._change(cast("Change[T]", entity))
        checked = self._values(entity, "update")
        if isinstance(checked, Failure):
            return checked
        key, values = self._table.key_of(entity), checked.unwrap()
        if self._table.managed:
            answered = self._answered("update", lambda s: s.update, values, [key])
            return self._only("update", answered, key, self._version_of(entity))
        result = self._changed("update", lambda s: s.update, values, [key])
        if isinstance(result, Failure):
            return result
        return Success(entity) if result.unwrap() else self._not_found("update")

    def upsert(self, entity: T) -> Result[T, RepositoryError]:
        """Write a new row, or replace the one that has the entity's key; answers with it.

        No version is checked: the last writer wins. `tl.upsert` says more precisely what to do.

        Errors: `ValidationError`, `ConstraintError`, `DuplicateError` of a unique constraint.
        """
        write = upsert(self._table, entity, returning=lambda row: row)
        return self._only("upsert", perform_returning(self._store, write, "upsert"))

    def get_or_create(self, entity: T) -> Result[tuple[T, bool], RepositoryError]:
        """The row that has the entity's key, or else the entity written as a new row.

        Of several callers at the same time one creates the row, and all get it.

        Returns:
            The stored entity, and whether it was created.

        Errors: as `create`; `DuplicateError` also if the row was softly deleted.
        """
        key = self._table.key_of(entity)
        missing = upsert(self._table, entity, ignore=True, returning=lambda row: row)
        for _ in range(_TRIES):
            found = self.get_by_id(key)
            if isinstance(found, Success):
                return Success((found.unwrap(), False))
            if not isinstance(found.failure(), NotFoundError):
                return self._refused(found.failure(), "get_or_create")
            created = perform_returning(self._store, missing, "get_or_create")
            if isinstance(created, Failure):
                if isinstance(created.failure(), DuplicateError) and _holds(self.exists(key)):
                    # Another caller's same row was met at a unique value before it was at the key.
                    continue
                return created
            if created.unwrap():
                return Success((created.unwrap()[0], True))
        return self._refused(hidden(self._table), "get_or_create")

    def delete(self, key: K | T) -> Result[None, RepositoryError]:
        """Delete the row that has the key; in a table with `deleted_at=` it is marked as deleted.

        Args:
            key: The key; or an entity, and then only in the version it was read in.

        Errors: `NotFoundError`; `ConstraintError` if other rows refer to it; for an entity
        `ConflictError`, if the row has another version.
        """
        expected: int | None = None
        if isinstance(key, self._table.entity):
            expected, key = self._version_of(key), self._table.key_of(key)
        found = cast("K", key)
        values = self._key(found, "delete")
        if isinstance(values, Failure):
            return values
        if expected is None:
            result = self._changed(
                "delete", lambda s: s.delete, values.unwrap(), [found], deleted=True
            )
        else:
            checked = (*values.unwrap(), expected)
            result = self._changed(
                "delete", lambda s: s.delete_version, checked, [found], deleted=True
            )
        if isinstance(result, Failure):
            return result
        return Success(None) if result.unwrap() else self._untouched("delete", found, expected)

    def purge(self, key: K) -> Result[None, RepositoryError]:
        """Delete the row that has the key for real, whether it was softly deleted or not.

        Errors: `NotFoundError`; `ConstraintError` if other rows refer to it.
        """
        values = self._key(key, "purge")
        if isinstance(values, Failure):
            return values
        result = self._changed("purge", lambda s: s.purge, values.unwrap(), [key], deleted=True)
        if isinstance(result, Failure):
            return result
        return Success(None) if result.unwrap() else self._not_found("purge")

    def restore(self, key: K) -> Result[T, RepositoryError]:
        """Let a softly deleted row live again; answers with the entity.

        Errors: `NotFoundError` if no deleted row has the key.

        Raises:
            TypeError: The table has no `deleted_at=`.
        """
        if self._table.deleted_at is None:
            raise TypeError(f"{self._table.name}.restore: the table has no deleted_at=")
        values = self._key(key, "restore")
        if isinstance(values, Failure):
            return values
        answered = self._answered("restore", lambda s: s.restore, values.unwrap(), [key])
        return self._only("restore", answered, key)

    def subscribe(self, handler: Handler[T], /) -> Subscription:
        """Hear of every change of the table's rows through this store; as `store.subscribe`."""
        return self._store.subscriptions.add(self._table, handler)

    def _change(self, change: Change[T]) -> Result[T, RepositoryError]:
        try:
            write = changing(self._table, change)
        except BadFieldsError as bad:
            return self._invalid(bad, "update")
        if write is None:
            return Success(change.before)
        returning = Returning[T](write)
        key, version = self._table.key_of(change.before), self._version_of(change.before)
        return self._only(
            "update", perform_returning(self._store, returning, "update"), key, version
        )

    def _only(
        self,
        operation: str,
        answered: Result[Rows[T], RepositoryError],
        key: Any = None,
        version: int | None = None,
    ) -> Result[T, RepositoryError]:
        """The row that a write by key answered with, or why there is none."""
        if isinstance(answered, Failure):
            return answered
        rows = answered.unwrap()
        return Success(rows[0]) if rows else self._untouched(operation, key, version)

    def __repr__(self) -> str:
        cached = f", {self._cached!r}" if self._cached else ""
        return f"<Repository of {self._table.entity.__name__} in {self._table.name}{cached}>"


def changing(table: Table[T, Any], change: Change[T]) -> Update | None:
    """The update that a change asks for; None if nothing differs.

    Raises:
        TypeError: It is of another entity, or changes the key or what writes set themselves.
        BadFieldsError: New values do not fit; all of them are listed.
    """
    if not isinstance(change.before, table.entity):
        raise TypeError(
            f"expected a change of {table.entity.__name__}, got {type(change.before).__name__}"
        )
    for field in change.fields:
        column = table.by_field[field]
        if column.name in table.key:
            raise TypeError(f"change: {field!r} is part of the key; create another row instead")
        refuse_managed(table, column)
    if not change.fields:
        return None
    wire = table.validator.values_of(change.after, change.fields)
    assignments = tuple(
        Assignment(name, Value(value, table.column(name).type)) for name, value in wire.items()
    )
    key = table.read_key(table.key_of(change.before))
    tests = dict(zip(table.key, key, strict=True))
    if table.version is not None:
        tests[table.version] = version_of(table, change.before)
    condition: Expr | None = None
    for name, value in tests.items():
        type_ = table.column(name).type
        test = Comparison("=", ColumnRef(name, type_), Value(value, type_))
        condition = test if condition is None else Logic("and", condition, test)
    return Update(table, assignments, not_deleted(table, condition))


def _holds(result: Result[bool, RepositoryError]) -> bool:
    return isinstance(result, Success) and result.unwrap()


def hidden(table: Table[Any, Any]) -> RepositoryError:
    """Why a row is there for a new one and not for a reader."""
    if table.deleted_at is not None:
        return DuplicateError(
            "a softly deleted row has this key; restore or purge it", columns=table.key
        )
    return ConflictError("the row came and went while it was looked for; call again")
