"""What the verbs of a repository in memory share: its rows, reading, and attempts to write."""

from __future__ import annotations

import copy
import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import (
    ConstraintError,
    FieldError,
    QueryError,
    RepositoryError,
    ValidationError,
)
from tierline.query import Query
from tierline.query.evaluate import evaluate
from tierline.query.paging import Keyed, Page, PageQuery, bare_keys, plain_window
from tierline.query.writes import Write
from tierline.repository.base import Rows, stale, version_of
from tierline.repository.bulk import twice
from tierline.repository.events import (
    Handler,
    Subscription,
    Subscriptions,
    changed,
    reactions,
)
from tierline.repository.repository import Repository
from tierline.repository.rows import LOCK, Identity, MemoryRows
from tierline.result import Result
from tierline.sql import open_page

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")

_SECRET = secrets.token_bytes(32)
"""Signs the cursors of repositories in memory."""


# As `postgres/errors.py` has it: of patterns it says the same of any statement.
_DATA_EXCEPTION = "22"
_PATTERNS = ("22025", "2201B")


def _as_written(error: RepositoryError) -> RepositoryError:
    """A write that cannot compute its values is refused as one with bad values is."""
    state = error.sqlstate or ""
    if not isinstance(error, QueryError) or not state.startswith(_DATA_EXCEPTION):
        return error
    if state in _PATTERNS:
        return error
    return ValidationError((FieldError("", error.message),), sqlstate=state)


class MemoryBase(Repository[T, K]):
    """A repository over rows in memory; `MemoryRepository` adds the verbs that write."""

    __slots__ = ("_subscriptions", "_written", "emitted", "rows")

    def __init__(self, table: Table[T, K], rows: MemoryRows) -> None:
        # Not the parent's: there is no store.
        self._table = table
        self._cached = self._cache = None
        self.rows = rows
        self.get_by_id = self._uncached
        self.emitted: Rows[Write] = []
        self._subscriptions = Subscriptions("")
        self._written: dict[Identity, None] = {}

    def subscribe(self, handler: Handler[T], /) -> Subscription:
        """As `Repository.subscribe`; what handlers want written is kept in `emitted`."""
        return self._subscriptions.add(self._table, handler)

    def _fetch(self, key: K) -> Result[T, RepositoryError]:
        values = self._key(key, "get_by_id")
        if isinstance(values, Failure):
            return values
        with LOCK:
            found = self.rows.by_key.get(values.unwrap())
        if found is None or not self._lives(found):
            return self._not_found("get_by_id")
        return Success(self._out(found))

    def exists(
        self,
        key: Any = ...,
        *,
        where: Callable[[T], bool] | None = None,
        include_deleted: bool = False,
    ) -> Result[bool, RepositoryError]:
        """As `Repository.exists`."""
        if (key is ...) == (where is None):
            raise TypeError("exists takes a key, or where=")
        if where is not None:
            found = self.count(where=where, include_deleted=include_deleted)
            return found if isinstance(found, Failure) else Success(found.unwrap() > 0)
        values = self._key(key, "exists")
        if isinstance(values, Failure):
            return values
        with LOCK:
            return Success(self._has(values.unwrap()))

    def count(
        self,
        *,
        where: Callable[[T], bool] | None = None,
        include_deleted: bool = False,
        **filters: object,
    ) -> Result[int, RepositoryError]:
        """As `Repository.count`."""
        query = self._query(filters, where=where, include_deleted=include_deleted)
        rows = self._listed(query, "count")
        return rows if isinstance(rows, Failure) else Success(len(rows.unwrap()))

    def _fetch_many(self, keys: Rows[K]) -> Result[dict[K, T], RepositoryError]:
        with LOCK:
            found = {key: self.rows.by_key.get(self._table.read_key(key)) for key in keys}
        return Success(
            {key: self._out(row) for key, row in found.items() if row and self._lives(row)}
        )

    def _listed(self, query: Query[T], operation: str) -> Result[Rows[T], RepositoryError]:
        with LOCK:
            rows = list(self.rows.by_key.values())
        result = evaluate(query, rows)
        if isinstance(result, Failure):
            return self._refused(result.failure(), operation)
        return Success([self._out(row) for row in result.unwrap()])

    def _paged(self, asked: PageQuery[T]) -> Result[Page[T], RepositoryError]:
        try:
            keys, values, bookmarks = open_page(asked, _SECRET, {})
        except RepositoryError as error:
            return self._refused(error, "page")
        with LOCK:
            rows = list(self.rows.by_key.values())
        found = evaluate(plain_window(asked, keys, values), rows)
        if isinstance(found, Failure):
            return found
        entities = found.unwrap()
        rows_again: list[Any] = list(entities)
        ordered = evaluate(bare_keys(asked.query, keys), rows_again)
        if isinstance(ordered, Failure):
            return ordered
        pairs = zip(entities, ordered.unwrap(), strict=True)
        return Success(bookmarks.page(asked, [Keyed(self._out(row), of) for row, of in pairs]))

    def _attempt(self, operation: str, action: Callable[[], A]) -> Result[A, RepositoryError]:
        """Run a write, all or nothing."""
        with LOCK:
            saved = self.rows.saved()
            self._written = {}
            try:
                answer = action()
            except RepositoryError as error:
                MemoryRows.restore(saved)
                found = _as_written(error)
                found.operation, found.table = operation, error.table or self._table.name
                return Failure(found)
            except BaseException:
                MemoryRows.restore(saved)
                raise
            refusal: Failure[RepositoryError] | None = None
            told = False
            try:
                refusal = self._told(before=saved[0][1])
                told = refusal is None
            finally:
                if not told:
                    MemoryRows.restore(saved)
            return Success(answer) if refusal is None else refusal

    def _told(self, before: dict[Identity, Any]) -> Failure[RepositoryError] | None:
        """Tell the subscribers what a write changed; their refusal, if one refuses."""
        watch = self._subscriptions.of(self._table)
        if watch is None:
            return None
        now = dt.datetime.now(dt.UTC)
        writes: Rows[Write] = []
        for identity in self._written:
            event = changed(
                self._table,
                self._shown(before.get(identity)),
                self._shown(self.rows.by_key.get(identity)),
                now,
            )
            wanted = [] if event is None else reactions(watch.handlers, event)
            if isinstance(wanted, Failure):
                return wanted
            writes += wanted
        self.emitted += writes
        return None

    def _shown(self, entity: T | None) -> T | None:
        return None if entity is None else self._out(entity)

    def _each(
        self,
        operation: str,
        batch: Rows[T],
        write: Callable[[T], T],
        progress: Callable[[int], None] | None,
    ) -> Result[int, RepositoryError]:
        checked = self._rows(batch, operation)
        if isinstance(checked, Failure):
            return checked
        keys = [self._table.key_of(entity) for entity in batch]
        if operation != "create_many" and len(set(keys)) < len(keys):
            return self._invalid(twice(self._table, keys), operation)

        def run() -> int:
            for entity in batch:
                write(entity)
            return len(batch)

        result = self._attempt(operation, run)
        if progress is not None and batch and isinstance(result, Success):
            progress(len(batch))
        return result

    def _created(self, entity: T) -> T:
        now = dt.datetime.now(dt.UTC)
        made = self._with(entity, created_at=now, updated_at=now)
        self._written[self.rows.identity(made)] = None
        self.rows.add(self._kept(made))
        return self._out(made)

    def _upserted(self, entity: T) -> T:
        identity = self.rows.identity(entity)
        stored = self.rows.by_key.get(identity)
        if stored is None:
            return self._created(entity)
        return self._replaced(identity, self._next(stored, entity, deleted_at=self._end_of(entity)))

    def _replaced(self, identity: Identity, entity: T) -> T:
        self._written[identity] = self._written[self.rows.identity(entity)] = None
        self.rows.replace(identity, self._kept(entity))
        return self._out(entity)

    def _ended(self, identities: Rows[Identity]) -> int:
        self._written.update(dict.fromkeys(identities))
        for identity in identities:
            # A cascade may have taken it already.
            if identity in self.rows.by_key:
                self._end(identity)
        return len(identities)

    def _end(self, identity: Identity) -> None:
        self._written[identity] = None
        if self._table.deleted_at is None:
            self.rows.remove(identity)
            return
        stored = self.rows.by_key[identity]
        now = dt.datetime.now(dt.UTC)
        self._replaced(identity, self._next(stored, stored, deleted_at=now))

    def _checked(self, operation: str, identity: Identity, expected: int | None) -> T:
        """The living row of a key, in the version that is expected.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has another version.
        """
        stored = self.rows.by_key.get(identity)
        if stored is None or not self._lives(stored):
            raise self._not_found(operation).failure()
        actual = version_of(self._table, stored)
        if expected is not None and actual != expected:
            raise stale(operation, self._table, expected, actual).failure()
        found: T = stored
        return found

    def _check(self, entity: T) -> None:
        """Refuse what a CHECK or NOT NULL constraint would.

        Raises:
            ConstraintError: A value does not fit.
        """
        try:
            self._table.validator.values(entity)
        except BadFieldsError as bad:
            field = bad.errors[0].path.split(".")[0].split("[")[0]
            column = self._table.by_field[field]
            is_null = getattr(entity, field) is None
            name = None if is_null else self._table.check_name(column)
            rule = f"constraint {name}" if name else "a NOT NULL constraint"
            error = ConstraintError(
                f"the row breaks {rule} on {column.name}; change the value",
                constraint=name,
                columns=(column.name,),
            )
            error.fields = (field,)
            raise error from None

    def _next(self, stored: Any, entity: T, **managed: object) -> T:
        """An entity as it follows a stored one: what writes set themselves comes from there."""
        version = version_of(self._table, stored)
        values: dict[str, object] = {
            "version": None if version is None else version + 1,
            "created_at": self._option(stored, "created_at"),
            "updated_at": dt.datetime.now(dt.UTC),
            "deleted_at": self._end_of(stored),
        }
        return self._with(entity, **{**values, **managed})

    def _with(self, entity: T, **managed: object) -> T:
        """The entity with values for those of these options that the table has."""
        fields = {
            self._table.column(name).field: value
            for option, value in managed.items()
            if (name := getattr(self._table, option)) is not None
        }
        given: Any = entity
        made: T = msgspec.structs.replace(given, **fields) if fields else entity
        return made

    def _option(self, entity: Any, option: str) -> object:
        name: str | None = getattr(self._table, option)
        return None if name is None else getattr(entity, self._table.column(name).field)

    def _end_of(self, entity: Any) -> object:
        return self._option(entity, "deleted_at")

    def _lives(self, entity: Any) -> bool:
        return self._end_of(entity) is None

    def _has(self, identity: Identity) -> bool:
        stored = self.rows.by_key.get(identity)
        return stored is not None and self._lives(stored)

    def _kept(self, entity: T) -> T:
        return copy.deepcopy(entity) if self._table.copy else entity

    _out = _kept

    def __repr__(self) -> str:
        name = self._table.entity.__name__
        return f"<MemoryRepository of {name} with {len(self.rows.by_key)} rows>"
