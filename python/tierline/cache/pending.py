"""The caches as a transaction sees them: nothing is read or kept, what it wrote is noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tierline.cache.caches import Caches
from tierline.cache.strategy import ReadThrough
from tierline.cache.tables import TableCache
from tierline.cache.written import Written
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.query.changes import RowChange


class PendingCaches:
    """Stands for a store's caches in one transaction, whose rows nobody else may see yet.

    Args:
        caches: The store's.
    """

    queries = None
    """None: what a transaction reads is its own."""

    announces = False
    """What it writes is announced as a whole, before COMMIT."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._written: list[Written] = []

    def open(self, table: Table[Any, Any], strategy: ReadThrough) -> None:
        """No cache: reads see what the transaction wrote, and leave nothing behind."""

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Note rows to be forgotten."""
        del xid
        self._written.append(Written(table, tuple(keys), deleted, _kept(changes)))

    def invalidate_table(
        self,
        table: Table[Any, Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Note a table to be forgotten."""
        del xid
        self._written.append(Written(table, None, deleted, _kept(changes)))

    def watched(self, table: Table[Any, Any]) -> bool:
        """Whether it is worth knowing a table's rows before and after a write."""
        return self._caches.watched(table)

    def in_use(self, table: Table[Any, Any]) -> bool:
        """Whether a tier of the store may hold rows of a table now."""
        return self._caches.in_use(table)

    def all(self) -> list[TableCache[Any, Any]]:
        """None: what they hold may be older than what the transaction sees."""
        return []

    def announce(self, xid: int | None) -> RepositoryError | None:
        """Tell everybody what was written, before it is committed; why it must not be.

        Args:
            xid: The transaction; None if it has written nothing.
        """
        if xid is None or not self._written:
            return None
        return self._caches.announce(self._written, xid)

    def doubt(self, xid: int | None) -> None:
        """Its COMMIT was not answered, so what it wrote may be seen later than `apply` is called.

        Args:
            xid: The transaction, if it has an id.
        """
        if xid is not None:
            self._caches.doubt(xid)

    def apply(self, xid: int | None = None) -> None:
        """Make every tier forget what was written: the transaction is kept, or may be.

        A load that began before now is refused, so what it read before the commit is not kept.

        Args:
            xid: The transaction, if it has an id.
        """
        for table, keys, deleted, changes in self._written:
            if keys is None:
                self._caches.invalidate_table(table, deleted=deleted, changes=changes, xid=xid)
            else:
                self._caches.invalidate(table, keys, deleted=deleted, changes=changes, xid=xid)


def _kept(changes: Sequence[RowChange] | None) -> tuple[RowChange, ...] | None:
    return None if changes is None else tuple(changes)
