"""Every cache of one store: L1 a table, one shared L2, and invalidation across both."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from tierline.cache.l2_names import l2_beginning, l2_name
from tierline.cache.query_cache import QueryCache, changes_of_keys
from tierline.cache.redis import RedisTier
from tierline.cache.strategy import ReadThrough
from tierline.cache.tables import TableCache
from tierline.cache.written import Written
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.query.changes import RowChange

T = TypeVar("T")
K = TypeVar("K")

_TableId: TypeAlias = tuple[str, str]


class Caches:
    """Every cache of a store, so that a write through any repository reaches them all.

    Args:
        l2: The store's L2.
        schema: The schema that tables without one lie in.
    """

    announces = False
    """Whether writes are announced before COMMIT, and so are all made in transactions."""

    def __init__(self, l2: RedisTier | None, schema: str) -> None:
        self.l2 = l2
        self.queries = QueryCache(schema)
        self._schema = schema
        self._lock = threading.Lock()
        self._by_table: dict[_TableId, list[TableCache[Any, Any]]] = {}

    def _make(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        return TableCache(table, strategy, self.l2, self._schema)

    def open(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        """The cache of a table under a strategy; the same one for the same arguments."""
        with self._lock:
            caches = self._by_table.setdefault(self.place(table), [])
            for cache in caches:
                if cache.table is table and cache.strategy == strategy:
                    return cache
            cache = self._make(table, strategy)
            caches.append(cache)
            return cache

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make every tier forget rows.

        Args:
            table: The table that was written.
            keys: The keys of the rows.
            deleted: Whether they were deleted, and rows of other tables perhaps with them.
            changes: The rows before and after, where they are known: results of cached queries
                that they do not concern stay.
            xid: The transaction, where it is known and not this context's last write.
        """
        del xid
        # L2 first: what L1 loads from it afterwards is no older.
        if self.l2 is not None:
            self.l2.invalidate(self._l2_names(table, keys))
        for cache in self.of(table):
            if cache.table.key == table.key:
                cache.l1.invalidate_many(keys)
            else:
                # Which of its keys these rows have, or had, is not known.
                self._forget(cache)
        if changes is None and self.queries.reads(table):
            changes = changes_of_keys(table, keys)
        self._dropped(table, changes, deleted=deleted)

    def invalidate_table(
        self,
        table: Table[Any, Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make every tier forget a table.

        Args:
            table: The table that was written.
            deleted: Whether rows were deleted, and rows of other tables perhaps with them.
            changes: As in `invalidate`.
            xid: As in `invalidate`.
        """
        del xid
        if self.l2 is not None:
            self.l2.invalidate_all(l2_beginning(table, self._schema))
        for cache in self.of(table):
            self._forget(cache)
        self._dropped(table, changes, deleted=deleted)

    def announce(self, written: Sequence[Written], xid: int) -> RepositoryError | None:
        """Tell others, before COMMIT, what a transaction writes; why it must not be committed."""
        del written, xid
        return None

    def doubt(self, xid: int) -> None:
        """The COMMIT of a transaction was not answered: it may end at any time, or run for long."""

    def watched(self, table: Table[Any, Any]) -> bool:
        """Whether it is worth knowing a table's rows before and after a write."""
        return self.queries.reads(table)

    def in_use(self, table: Table[Any, Any]) -> bool:
        """Whether a tier may hold rows of a table, or rows that its deletions change."""
        # Other processes may have filled Redis.
        if self.l2 is not None or self.queries.in_use(table):
            return True
        return bool(self.of(table)) or bool(self.dependents(table))

    def all(self) -> list[TableCache[Any, Any]]:
        """Every table's cache."""
        with self._lock:
            return [cache for caches in self._by_table.values() for cache in caches]

    def _dropped(
        self, table: Table[Any, Any], changes: Sequence[RowChange] | None, *, deleted: bool
    ) -> None:
        """Drop what cached queries found, and what depends on rows that were deleted."""
        self.queries.changed(table, changes)
        if deleted:
            self.queries.deleted(table)
            for cache in self.dependents(table):
                self._forget(cache)

    def _l2_names(self, table: Table[Any, Any], keys: Sequence[Any]) -> list[str]:
        beginning = l2_beginning(table, self._schema)
        names: list[str] = []
        for key in keys:
            # A key that cannot be asked for (a float that is no number) was never cached.
            with suppress(ValueError):
                names.append(l2_name(beginning, table, key))
        return names

    def _forget(self, cache: TableCache[Any, Any]) -> None:
        if self.l2 is not None:
            self.l2.invalidate_all(cache.beginning)
        cache.l1.invalidate_all()

    def of(self, table: Table[Any, Any]) -> list[TableCache[Any, Any]]:
        """The caches of a table."""
        with self._lock:
            return list(self._by_table.get(self.place(table), ()))

    def dependents(self, table: Table[Any, Any]) -> list[TableCache[Any, Any]]:
        """Caches of tables whose rows a delete may change: ON DELETE CASCADE and SET NULL."""
        return self.dependents_at(self.place(table))

    def dependents_at(self, place: _TableId) -> list[TableCache[Any, Any]]:
        """`dependents`, of the table of a schema and name."""
        caches = self.all()
        reached = {place}
        found: dict[int, TableCache[Any, Any]] = {}
        grown = True
        while grown:
            grown = False
            for cache in caches:
                if id(cache) not in found and self._is_changed_by(cache.table, reached):
                    found[id(cache)] = cache
                    reached.add(self.place(cache.table))
                    grown = True
        return list(found.values())

    def _is_changed_by(self, table: Table[Any, Any], deleted: set[_TableId]) -> bool:
        return any(
            rule.on_delete in ("cascade", "set null") and self.place(rule.references) in deleted
            for rule in table.foreign_keys
        )

    def place(self, table: Table[Any, Any]) -> _TableId:
        """The schema and the name of a table."""
        return table.schema or self._schema, table.name
