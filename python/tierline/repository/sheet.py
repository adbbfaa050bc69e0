"""A repository over a worksheet: the verbs of one in memory, and what they changed as one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.entity import Change, Sheet, Table
from tierline.errors import FieldError, RepositoryError, ValidationError
from tierline.query import Query
from tierline.query.paging import Page, PageQuery
from tierline.query.writes import Condition, Settings
from tierline.repository.base import Rows
from tierline.repository.events import Handler, Subscription, Subscriptions
from tierline.repository.memory import MemoryRepository
from tierline.repository.options import uncached_options
from tierline.repository.repository import Repository
from tierline.repository.rows import LOCK, Identity, MemoryRows
from tierline.result import Result

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")


class SheetRows(MemoryRepository[T, K]):
    """The rows of a worksheet at one moment, with the verbs of a repository.

    Args:
        sheet: The table.
        rows: Its entities.
        subscriptions: Who hears of changes.
    """

    __slots__ = ()

    def __init__(self, sheet: Sheet[T, K], rows: Iterable[T], subscriptions: Subscriptions) -> None:
        super().__init__(sheet, MemoryRows(sheet, []))
        self._subscriptions = subscriptions
        with LOCK:
            for row in rows:
                self.rows.add(row)

    def written(self) -> list[Identity]:
        """The keys that the last verb may have changed."""
        return list(self._written)

    def listed(self, query: Query[T], operation: str) -> Result[Rows[T], RepositoryError]:
        """The rows of a query."""
        return self._listed(query, operation)

    def paged(self, asked: PageQuery[T]) -> Result[Page[T], RepositoryError]:
        """A page of rows."""
        # A cursor is bound to the SQL of its query, so it is asked of a table that has any.
        twin = msgspec.structs.replace(asked.query, table=_twin(self._table))
        return self._paged(msgspec.structs.replace(asked, query=twin))

    def _replaced(self, identity: Identity, entity: T) -> T:
        if self.rows.identity(entity) != identity:
            # The cells that the table does not know would stay with the old key, or be lost.
            errors = tuple(
                FieldError(column.field, "is the row's key, which stays; create another row")
                for column in self._table.key_columns
            )
            raise ValidationError(errors)
        return super()._replaced(identity, entity)


def _twin(table: Table[T, Any]) -> Table[T, Any]:
    """A table of a database with the columns of a sheet, and a name of its own."""
    fields: dict[str, Any] = {field: getattr(table, field) for field in Table.__struct_fields__}
    digest = hashlib.blake2b(f"{table.schema} {table.name}".encode(), digest_size=12).hexdigest()
    kind: Any = Table
    twin: Table[T, Any] = kind(**(fields | {"schema": None, "name": f"sheet_{digest}"}))
    return twin


class SheetsPort(Protocol):
    """What a repository over a worksheet needs."""

    @property
    def sheet_subscriptions(self) -> Subscriptions:
        """Who hears of changes."""
        ...

    def sheet_rows(
        self, sheet: Sheet[T, K], *, fresh: bool
    ) -> Result[SheetRows[T, K], RepositoryError]:
        """The rows, as fresh as the cache's strategy says."""
        ...

    def sheet_edit(
        self,
        sheet: Sheet[T, K],
        action: Callable[[SheetRows[T, K]], Result[A, RepositoryError]],
    ) -> Result[A, RepositoryError]:
        """Run a verb on the rows as they are now, and write what it changed."""
        ...


class SheetRepository(Repository[T, K]):
    """Reads and writes the rows of a worksheet; make it with `tl.repository`.

    Each writing verb reads the worksheet and sends one batch with the cells that differ; verbs of
    several threads at the same time share them. To write more at once, take a verb for many, or
    `sheets.transaction`.
    """

    __slots__ = ("_sheet", "_sheets")

    def __init__(self, sheets: SheetsPort, sheet: Sheet[T, K]) -> None:
        # Not the parent's: there is no database.
        self._table = self._sheet = sheet
        self._cached = self._cache = None
        self._sheets = sheets
        self.get_by_id = self._uncached

    def _reading(
        self, operation: str, verb: Callable[[SheetRows[T, K]], Result[A, RepositoryError]]
    ) -> Result[A, RepositoryError]:
        found = self._sheets.sheet_rows(self._sheet, fresh=False)
        if isinstance(found, Failure):
            return self._refused(found.failure(), operation)
        return self._about(verb(found.unwrap()), operation)

    def _writing(
        self, operation: str, verb: Callable[[SheetRows[T, K]], Result[A, RepositoryError]]
    ) -> Result[A, RepositoryError]:
        return self._about(self._sheets.sheet_edit(self._sheet, verb), operation)

    def _about(
        self, answered: Result[A, RepositoryError], operation: str
    ) -> Result[A, RepositoryError]:
        if isinstance(answered, Failure):
            return self._refused(answered.failure(), operation)
        return answered

    def _uncached(
        self,
        key: K,
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Result[T, RepositoryError]:
        uncached_options(
            "get_by_id", has_strategy=False, fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s
        )
        checked = self._key(key, "get_by_id")
        if isinstance(checked, Failure):
            return checked
        found = self._sheets.sheet_rows(self._sheet, fresh=fresh)
        if isinstance(found, Failure):
            return self._refused(found.failure(), "get_by_id")
        return found.unwrap().get_by_id(key)

    def get_many(
        self,
        keys: Iterable[K],
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Result[dict[K, T], RepositoryError]:
        """As `Repository.get_many`."""
        uncached_options(
            "get_many", has_strategy=False, fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s
        )
        wanted = list(keys)
        found = self._sheets.sheet_rows(self._sheet, fresh=fresh)
        if isinstance(found, Failure):
            return self._refused(found.failure(), "get_many")
        return found.unwrap().get_many(wanted)

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
        return self._reading(
            "exists",
            lambda rows: (
                rows.exists(key)
                if where is None
                else rows.exists(where=where, include_deleted=include_deleted)
            ),
        )

    def count(
        self,
        *,
        where: Callable[[T], bool] | None = None,
        include_deleted: bool = False,
        **filters: object,
    ) -> Result[int, RepositoryError]:
        """As `Repository.count`."""
        return self._reading(
            "count",
            lambda rows: rows.count(where=where, include_deleted=include_deleted, **filters),
        )

    def _listed(self, query: Query[T], operation: str) -> Result[Rows[T], RepositoryError]:
        return self._reading(operation, lambda rows: rows.listed(query, operation))

    def _paged(self, asked: PageQuery[T]) -> Result[Page[T], RepositoryError]:
        return self._reading("page", lambda rows: rows.paged(asked))

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.create`; the row comes behind the last one."""
        return self._writing("create", lambda rows: rows.create(entity))

    def update(self, entity: T | Change[T]) -> Result[T, RepositoryError]:
        """As `Repository.update`; only cells that differ are written."""
        return self._writing("update", lambda rows: rows.update(entity))

    def upsert(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.upsert`."""
        return self._writing("upsert", lambda rows: rows.upsert(entity))

    def get_or_create(self, entity: T) -> Result[tuple[T, bool], RepositoryError]:
        """As `Repository.get_or_create`."""
        return self._writing("get_or_create", lambda rows: rows.get_or_create(entity))

    def delete(self, key: K | T) -> Result[None, RepositoryError]:
        """As `Repository.delete`; the whole row goes, with cells that the table does not know."""
        return self._writing("delete", lambda rows: rows.delete(key))

    def purge(self, key: K) -> Result[None, RepositoryError]:
        """As `Repository.purge`."""
        return self._writing("purge", lambda rows: rows.purge(key))

    def restore(self, key: K) -> Result[T, RepositoryError]:
        """As `Repository.restore`; a sheet has no soft deletion.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self._table.name}.restore({key!r:.80}): a sheet has no deleted_at=")

    def create_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.create_many`, in one batch."""
        batch = list(entities)
        return self._many("create_many", batch, lambda rows: rows.create_many(batch), progress)

    def upsert_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.upsert_many`, in one batch."""
        batch = list(entities)
        return self._many("upsert_many", batch, lambda rows: rows.upsert_many(batch), progress)

    def update_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_many`, in one batch."""
        batch = list(entities)
        return self._many("update_many", batch, lambda rows: rows.update_many(batch), progress)

    def delete_many(self, keys: Iterable[K]) -> Result[int, RepositoryError]:
        """As `Repository.delete_many`, in one batch."""
        wanted = list(keys)
        if not wanted:
            return Success(0)
        return self._writing("delete_many", lambda rows: rows.delete_many(wanted))

    def update_where(
        self,
        *,
        set: Settings[T],  # noqa: A002 (the field's word)
        where: Condition[T],
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_where`."""
        return self._writing("update_where", lambda rows: rows.update_where(set=set, where=where))

    def delete_where(self, where: Condition[T]) -> Result[int, RepositoryError]:
        """As `Repository.delete_where`."""
        return self._writing("delete_where", lambda rows: rows.delete_where(where))

    def subscribe(self, handler: Handler[T], /) -> Subscription:
        """As `Repository.subscribe`; tells what is written through this store, before it is sent.

        `sheets.watch` tells what people change.
        """
        return self._sheets.sheet_subscriptions.add(self._table, handler)

    def _many(
        self,
        operation: str,
        batch: Sequence[T],
        verb: Callable[[SheetRows[T, K]], Result[int, RepositoryError]],
        progress: Callable[[int], None] | None,
    ) -> Result[int, RepositoryError]:
        if not batch:
            return Success(0)
        written = self._writing(operation, verb)
        if progress is not None and isinstance(written, Success):
            progress(len(batch))
        return written

    def __repr__(self) -> str:
        sheet = self._sheet
        return f"<SheetRepository of {sheet.entity.__name__} in {sheet.worksheet!r}>"
