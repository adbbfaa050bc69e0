"""The repository: everyday verbs on one table, each answering with a Result."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.cache import ReadThrough
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import (
    ConnectionError,  # noqa: A004
    NotFoundError,
    RepositoryError,
    ValidationError,
)
from tierline.query import Query, select
from tierline.query.expressions import ColumnRef, Comparison, Expr, IsNull, Logic
from tierline.query.tracing import to_expr, unknown_field
from tierline.repository.ports import StorePort
from tierline.result import Result
from tierline.sql import Statement, TableStatements, compile_count, compile_query, table_statements

T = TypeVar("T")
K = TypeVar("K")

Rows: TypeAlias = list[T]
"""`list`, under a name that the verb `list` does not hide."""


class Repository(Generic[T, K]):
    """Reads and writes entities of one table; make it with `tl.repository`.

    Operating errors are answered as `Failure`; a wrong argument type raises.

    Attributes:
        get_by_id: The entity that has a key: `Success[T]`, or `Failure` of `NotFoundError`. With a
            cache it is a native function that runs no Python bytecode on a hit.
    """

    __slots__ = ("_cached", "_statements", "_store", "_table", "get_by_id")

    get_by_id: Callable[[K], Result[T, RepositoryError]]

    def __init__(
        self, store: StorePort, table: Table[T, K], cache: ReadThrough | None = None
    ) -> None:
        self._store = store
        self._table = table
        self._cached = cache
        self._statements = table_statements(table)
        if cache is None:
            self.get_by_id = self._fetch
        elif table.copy:
            read = store.caches.open(table, cache).reader(self._fetch)
            self.get_by_id = lambda key: _copied(read(key))
        else:
            self.get_by_id = store.caches.open(table, cache).reader(self._fetch)

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """Write a new row; answers with the entity.

        Errors: `ValidationError` with every bad field, `DuplicateError`, `ConstraintError`.
        """
        checked = self._values(entity, "create")
        if isinstance(checked, Failure):
            return checked
        result = self._write("create", lambda s: s.insert, checked.unwrap(), [entity])
        return result if isinstance(result, Failure) else Success(entity)

    def update(self, entity: T) -> Result[T, RepositoryError]:
        """Replace the row that has the entity's key; answers with the entity.

        Errors: `NotFoundError`, `ValidationError`, `DuplicateError`, `ConstraintError`.
        """
        checked = self._values(entity, "update")
        if isinstance(checked, Failure):
            return checked
        result = self._write("update", lambda s: s.update, checked.unwrap(), [entity])
        if isinstance(result, Failure):
            return result
        return Success(entity) if result.unwrap() else self._not_found("update")

    def delete(self, key: K) -> Result[None, RepositoryError]:
        """Delete the row that has the key.

        Errors: `NotFoundError`; `ConstraintError` if other rows refer to it.
        """
        values = self._key(key, "delete")
        if isinstance(values, Failure):
            return values
        result = self._write("delete", lambda s: s.delete, values.unwrap(), keys=[key])
        if isinstance(result, Failure):
            return result
        return Success(None) if result.unwrap() else self._not_found("delete")

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
        rows = self._rows(batch)
        if isinstance(rows, Failure):
            return rows
        if not batch:
            return Success(0)
        try:
            statement = self._statements.copy_in
        except RepositoryError as error:
            return self._refused(error, "create_many")
        result = self._store.database.copy_in(statement, rows.unwrap(), progress)
        self._forget(result, [self._table.key_of(entity) for entity in batch])
        return result

    def exists(self, key: K) -> Result[bool, RepositoryError]:
        """Whether a row has the key."""
        values = self._key(key, "exists")
        if isinstance(values, Failure):
            return values
        try:
            statement = self._statements.exists
        except RepositoryError as error:
            return self._refused(error, "exists")
        result = self._store.database.fetch(statement, values.unwrap())
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])

    def count(
        self, *, where: Callable[[T], bool] | None = None, **filters: object
    ) -> Result[int, RepositoryError]:
        """How many rows fit; `where` and filters as in `list`."""
        query = self._query(filters, where=where)
        try:
            statement, values = compile_count(query)
        except RepositoryError as error:
            return self._refused(error, "count")
        result = self._store.database.fetch(statement, values)
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])

    def list(
        self,
        *,
        where: Callable[[T], bool] | None = None,
        order_by: Callable[[T], object] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        **filters: object,
    ) -> Result[Rows[T], RepositoryError]:
        """The entities that fit.

        Args:
            where: A condition, such as ``lambda f: f.dep_delay > 60``.
            order_by: A field, ``tl.desc(field)``, or a tuple of them.
            limit: The most entities to answer with.
            offset: How many to skip first.
            **filters: Fields and the values they must equal; None asks for NULL.

        Raises:
            TypeError: A filter names no field or has a value of another type.
        """
        query = self._query(filters, where=where, order_by=order_by, limit=limit, offset=offset)
        try:
            statement, values = compile_query(query, "list")
        except RepositoryError as error:
            return self._refused(error, "list")
        return self._store.database.fetch(statement, values)

    def _fetch(self, key: K) -> Result[T, RepositoryError]:
        """`get_by_id` from L3."""
        try:
            values = self._table.read_key(key)
            statement = self._statements.get
        except BadFieldsError as bad:
            return self._invalid(bad, "get_by_id")
        except RepositoryError as error:
            return self._refused(error, "get_by_id")
        result = self._store.database.fetch(statement, values)
        if isinstance(result, Success):
            rows = result.unwrap()
            return Success(rows[0]) if rows else self._not_found("get_by_id")
        return result

    def _write(
        self,
        operation: str,
        pick: Callable[[TableStatements], Statement],
        values: tuple[Any, ...],
        entities: Rows[T] | None = None,
        *,
        keys: Rows[K] | None = None,
    ) -> Result[int, RepositoryError]:
        try:
            statement = pick(self._statements)
        except RepositoryError as error:
            return self._refused(error, operation)
        deleted = keys is not None
        written = keys or [self._table.key_of(entity) for entity in entities or ()]
        try:
            result = self._store.database.execute(statement, values)
        except BaseException:
            # Interrupted: it may have happened.
            self._store.caches.invalidate(self._table, written, deleted=deleted)
            raise
        self._forget(result, written, deleted=deleted)
        return result

    def _forget(
        self, result: Result[int, RepositoryError], keys: Rows[K], *, deleted: bool = False
    ) -> None:
        """After a write that happened, or may have, no tier serves what was before it."""
        if isinstance(result, Success) or isinstance(result.failure(), ConnectionError):
            self._store.caches.invalidate(self._table, keys, deleted=deleted)

    def _values(self, entity: T, operation: str) -> Result[tuple[Any, ...], ValidationError]:
        try:
            return Success(self._table.validator.values(entity))
        except BadFieldsError as bad:
            return Failure(ValidationError(bad.errors, operation=operation, table=self._table.name))

    def _rows(self, batch: Rows[T]) -> Result[Rows[tuple[Any, ...]], ValidationError]:
        """Every entity's values, or the first bad fields with the entities' positions."""
        values = self._table.validator.values
        rows: Rows[tuple[Any, ...]] = []
        errors: Rows[Any] = []
        for position, entity in enumerate(batch):
            try:
                rows.append(values(entity))
            except BadFieldsError as bad:
                errors += [
                    error._replace(path=f"[{position}].{error.path}") for error in bad.errors
                ]
                if len(errors) >= _ERRORS_MAX:
                    break
        if errors:
            return Failure(
                ValidationError(
                    tuple(errors[:_ERRORS_MAX]), operation="create_many", table=self._table.name
                )
            )
        return Success(rows)

    def _key(self, key: K, operation: str) -> Result[tuple[Any, ...], ValidationError]:
        try:
            return Success(self._table.read_key(key))
        except BadFieldsError as bad:
            return Failure(ValidationError(bad.errors, operation=operation, table=self._table.name))

    def _refused(self, error: RepositoryError, operation: str) -> Failure[RepositoryError]:
        error.operation, error.table = operation, self._table.name
        return Failure(error)

    def _invalid(self, bad: BadFieldsError, operation: str) -> Failure[ValidationError]:
        return Failure(ValidationError(bad.errors, operation=operation, table=self._table.name))

    def _not_found(self, operation: str) -> Failure[RepositoryError]:
        return Failure(
            NotFoundError("no row has this key", operation=operation, table=self._table.name)
        )

    def _query(self, filters: dict[str, object], **clauses: Any) -> Query[T]:
        query = select(self._table, **clauses)
        condition = query.where
        for field, value in filters.items():
            test = self._equals(field, value)
            condition = test if condition is None else Logic("and", condition, test)
        return msgspec.structs.replace(query, where=condition)

    def _equals(self, field: str, value: object) -> Expr:
        column = self._table.by_field.get(field)
        if column is None:
            raise TypeError(unknown_field(self._table, field))
        reference = ColumnRef(column.name, column.type)
        if value is None:
            return IsNull(reference)
        return Comparison("=", reference, to_expr(value, column.type))

    def __repr__(self) -> str:
        cached = f", {self._cached!r}" if self._cached else ""
        return f"<Repository of {self._table.entity.__name__} in {self._table.name}{cached}>"


_ERRORS_MAX = 100
"""Bad fields listed for one `create_many`: more would help nobody."""


def _copied(result: Result[T, RepositoryError]) -> Result[T, RepositoryError]:
    return result if isinstance(result, Failure) else Success(copy.deepcopy(result.unwrap()))


def repository(
    store: StorePort, table: Table[T, K], *, cache: ReadThrough | None = None
) -> Repository[T, K]:
    """The repository of a table in a store.

    Args:
        store: An open store.
        table: The table, from `tl.table`.
        cache: `tl.read_through(ttl_s=…)` to cache what `get_by_id` reads; None reads L3.
    """
    return Repository(store, table, cache)
