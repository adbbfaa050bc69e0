"""The verbs of a repository that write many rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from returns.result import Failure, Success

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import FieldError, RepositoryError
from tierline.query.writes import Condition, Settings, delete, update
from tierline.repository.base import ERRORS_MAX, Rows, stale, version_of
from tierline.repository.keys import LazyKeys
from tierline.repository.ports import DatabasePort
from tierline.repository.reading import Reading
from tierline.repository.writes import once_more, perform_write
from tierline.result import Result
from tierline.sql import Staged, Statement
from tierline.sql.staging import (
    ARRAYS_ROWS_MAX,
    create_arrays,
    staged_create,
    staged_update,
    staged_upsert,
    upsert_arrays,
)

T = TypeVar("T")
K = TypeVar("K")


class Bulk(Reading[T, K]):
    """Writes many rows of one table."""

    __slots__ = ()

    def create_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """Write many new rows by COPY, all or none; answers with how many.

        Args:
            entities: All are validated before anything is sent.
            progress: Called now and then with how many rows were sent since the last call.

        Errors: `ValidationError`, whose paths begin with the entity's position, such as
        `[3].origin`, for the first hundred bad fields; `DuplicateError`, `ConstraintError`.
        """
        batch = list(entities)
        if self._table.is_stamped:
            return self._move(batch, "create_many", staged_create, progress, create_arrays)
        rows = self._encodable(batch, "create_many")
        if isinstance(rows, Failure):
            return rows
        if not batch:
            return Success(0)
        try:
            statement = self._statements.copy_in
        except RepositoryError as error:
            return self._refused(error, "create_many")
        return self._forgetting(
            "create_many",
            lambda db: db.copy_in(statement, rows.unwrap(), progress),
            LazyKeys(self._table.key_of, batch),
        )

    def upsert_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """Write rows that are new, or replace those with the same key; all or none.

        Args:
            entities: With different keys. All are validated before anything is sent.
            progress: Called now and then with how many rows were sent since the last call.

        Errors: as `create_many`; a key that occurs twice is a `ValidationError`.
        """
        return self._move(list(entities), "upsert_many", staged_upsert, progress, upsert_arrays)

    def update_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """Replace the rows that have the entities' keys; all or none.

        Args:
            entities: With different keys. All are validated before anything is sent.
            progress: Called now and then with how many rows were sent since the last call.

        Errors: as `create_many`; `NotFoundError` if a key has no row, and `ConflictError` if a row
        has another version than its entity: then none is changed.
        """
        batch = list(entities)
        result = self._move(batch, "update_many", staged_update, progress)
        if isinstance(result, Failure) or result.unwrap() == len(batch):
            return result
        return self._why_not_all(batch)

    def delete_many(self, keys: Iterable[K]) -> Result[int, RepositoryError]:
        """Delete the rows that have the keys; answers with how many there were.

        Errors: `ConstraintError` if other rows refer to one of them: then none is deleted.
        """
        wanted = list(dict.fromkeys(keys))
        values = self._keys(wanted, "delete_many")
        if isinstance(values, Failure):
            return values
        if not wanted:
            return Success(0)
        return self._changed(
            "delete_many", lambda s: s.delete_many, values.unwrap(), wanted, deleted=True
        )

    def update_where(
        self,
        *,
        set: Settings[T],  # noqa: A002 (the field's word)
        where: Condition[T],
    ) -> Result[int, RepositoryError]:
        """Change the rows that fit; answers with how many. The arguments as in `tl.update`."""
        return perform_write(self._store, update(self._table, set=set, where=where), "update_where")

    def delete_where(self, where: Condition[T]) -> Result[int, RepositoryError]:
        """Delete the rows that fit; answers with how many. `where` as in `tl.delete`."""
        return perform_write(self._store, delete(self._table, where=where), "delete_where")

    def _move(
        self,
        batch: Rows[T],
        operation: str,
        stage: Callable[[Table[Any, Any]], Staged],
        progress: Callable[[int], None] | None,
        arrays: Callable[[Table[Any, Any]], Statement | None] | None = None,
    ) -> Result[int, RepositoryError]:
        """Validate a batch and write it: a small one as arrays, or through a temporary table."""
        is_small = arrays is not None and len(batch) <= ARRAYS_ROWS_MAX
        rows = self._rows(batch, operation) if is_small else self._encodable(batch, operation)
        if isinstance(rows, Failure):
            return rows
        if not batch:
            return Success(0)
        keys = [self._table.key_of(entity) for entity in batch]
        if operation != "create_many" and len(set(keys)) < len(keys):
            return self._invalid(twice(self._table, keys), operation)
        try:
            staged = stage(self._table)
            statement = arrays(self._table) if arrays is not None and is_small else None
        except RepositoryError as error:
            return self._refused(error, operation)
        if statement is not None:
            columns = tuple(map(list, zip(*rows.unwrap(), strict=True)))
            written = self._racing(operation, keys, lambda db: db.execute(statement, columns))
            if progress is not None and isinstance(written, Success):
                progress(len(batch))
            return written
        told = [progress]

        def move(database: DatabasePort) -> Result[int, RepositoryError]:
            # A second try tells nothing: the rows were counted.
            return database.move_in(staged, rows.unwrap(), told.pop() if told else None)

        return self._racing(operation, keys, move)

    def _racing(
        self,
        operation: str,
        keys: Rows[K],
        action: Callable[[DatabasePort], Result[int, RepositoryError]],
    ) -> Result[int, RepositoryError]:
        target = self._table.key if operation == "upsert_many" else None
        return once_more(target, lambda: self._forgetting(operation, action, keys))

    def _why_not_all(self, batch: Rows[T]) -> Failure[RepositoryError]:
        """Which entity of an update of many found no row that fits it."""
        table = self._table
        found = self._fetch_many([table.key_of(entity) for entity in batch])
        if isinstance(found, Failure):
            return self._refused(found.failure(), "update_many")
        for entity in batch:
            stored = found.unwrap().get(table.key_of(entity))
            expected = version_of(table, entity)
            if stored is None:
                break
            if expected is not None and version_of(table, stored) != expected:
                return stale("update_many", table, expected, version_of(table, stored))
        return self._not_found("update_many")


def twice(table: Table[Any, Any], keys: Rows[Any]) -> BadFieldsError:
    """The bad fields of a batch in which keys occur twice."""
    seen: set[Any] = set()
    errors: Rows[FieldError] = []
    field = table.key_columns[0].field
    for position, key in enumerate(keys):
        if key in seen:
            errors.append(FieldError(f"[{position}].{field}", "has the key of an earlier entity"))
        seen.add(key)
    return BadFieldsError(tuple(errors[:ERRORS_MAX]))
