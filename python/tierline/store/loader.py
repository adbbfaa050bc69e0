"""`store.loader`: reads by key that are asked for one by one and fetched together."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from returns.result import Failure, Success

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import NotFoundError, RepositoryError, ValidationError
from tierline.repository.ports import CachesPort, DatabasePort
from tierline.result import Result
from tierline.sql import table_statements
from tierline.sql.snapshots import Seen
from tierline.store.failures import built

T = TypeVar("T")
K = TypeVar("K")


class Deferred(Generic[T, K]):
    """An entity that is read when its result, or that of one asked for beside it, is needed."""

    __slots__ = ("_found", "_loader", "key")

    def __init__(self, loader: Loader[T, K], key: K) -> None:
        self._loader = loader
        self.key = key
        self._found: Result[T, RepositoryError] | None = None

    def result(self) -> Result[T, RepositoryError]:
        """The entity; the first call reads everything that is pending, in one statement.

        Errors: `NotFoundError` if no row has the key.
        """
        if self._found is None:
            self._loader.run()
        assert self._found is not None, "a run settles everything that is pending"
        return self._found

    def settle(self, found: Result[T, RepositoryError]) -> None:
        """Give it its result."""
        self._found = found

    def __repr__(self) -> str:
        state = "pending" if self._found is None else repr(self._found)
        return f"<Deferred {self.key!r}: {state}>"


class Loader(Generic[T, K]):
    """Gathers reads by key and makes them one statement; made by `store.loader`.

    What was asked for is remembered until the block of a `with` is left, so that a key is read
    once. What a repository of the table has in L1 is not read again, and what is read goes there,
    unless it was written meanwhile. One thread's.

    Example:
        ``with store.loader(FLIGHTS) as load: a, b = load(1), load(2)``, then ``a.result()``
    """

    def __init__(self, database: DatabasePort, caches: CachesPort, table: Table[T, K]) -> None:
        self._database = database
        self._caches = [cache for cache in caches.all() if cache.table is table]
        self._table = table
        self._asked: dict[tuple[object, ...], Deferred[T, K]] = {}
        self._pending: dict[tuple[object, ...], Deferred[T, K]] = {}

    def __call__(self, key: K) -> Deferred[T, K]:
        """Ask for an entity; nothing is read yet.

        Raises:
            TypeError: The key is of another type.
        """
        deferred = Deferred(self, key)
        try:
            values = self._table.read_key(key)
        except BadFieldsError as bad:
            error = ValidationError(bad.errors, operation="load", table=self._table.name)
            deferred.settle(Failure(error))
            return deferred
        known = self._asked.setdefault(values, deferred)
        if known is deferred and not self._settled_by_l1(deferred, key):
            self._pending[values] = deferred
        return known

    def many(self, keys: Iterable[K]) -> Result[dict[K, T], RepositoryError]:
        """The entities that are there, by key; with all that is pending, one statement.

        Errors: The first that is not `NotFoundError`.
        """
        asked = [(key, self(key)) for key in keys]
        found: dict[K, T] = {}
        for key, deferred in asked:
            result = deferred.result()
            if isinstance(result, Success):
                found[key] = result.unwrap()
            elif not isinstance(result.failure(), NotFoundError):
                return result
        return Success(found)

    def run(self) -> None:
        """Read everything that is pending."""
        pending = self._pending
        if not pending:
            return
        fetch = self._fetch
        for n, cache in enumerate(self._caches):
            # Each begins its fills before what is inside it reads. What comes out of another cache
            # has no snapshot to show, so of those that want one only the last is asked.
            is_last = n == len(self._caches) - 1
            fetch = partial(cache.read_many, fetch=fetch, look=self._look if is_last else None)
        found = fetch([deferred.key for deferred in pending.values()])
        self._pending = {}
        if isinstance(found, Failure):
            for values, deferred in pending.items():
                deferred.settle(found)
                # Another try may fare better.
                self._asked.pop(values, None)
            return
        rows = found.unwrap()
        for deferred in pending.values():
            deferred.settle(self._handed_out(rows, deferred.key))

    def _handed_out(self, rows: dict[K, T], key: K) -> Result[T, RepositoryError]:
        if key not in rows:
            return self._not_found()
        row = rows[key]
        return Success(copy.deepcopy(row) if self._table.copy and self._caches else row)

    def _fetch(self, keys: list[K]) -> Success[dict[K, T]] | Failure[RepositoryError]:
        table = self._table
        statement = built(lambda: table_statements(table).load, "load", table)
        if isinstance(statement, Failure):
            return statement
        values = zip(*map(table.read_key, keys), strict=True)
        result = self._database.fetch_current(statement, tuple(map(list, values)))
        if isinstance(result, Failure):
            return result
        rows: list[T] = result.unwrap()
        found = {table.key_of(row): row for row in rows}
        return Success({key: found[key] for key in keys if key in found})

    def _look(self, keys: list[K], *, latest: bool) -> Result[list[Seen], RepositoryError]:
        table = self._table
        statement = built(lambda: table_statements(table).load_seen, "load", table)
        if isinstance(statement, Failure):
            return statement
        values = tuple(map(list, zip(*map(table.read_key, keys), strict=True)))
        database = self._database
        return (database.fetch_latest if latest else database.fetch)(statement, values)

    def _settled_by_l1(self, deferred: Deferred[T, K], key: K) -> bool:
        for cache in self._caches:
            hit: Result[T, RepositoryError] | None = cache.l1.get(key)
            if isinstance(hit, Success):
                deferred.settle(Success(copy.deepcopy(hit.unwrap())) if self._table.copy else hit)
                return True
        return False

    def _not_found(self) -> Failure[RepositoryError]:
        return Failure(
            NotFoundError("no row has this key", operation="load", table=self._table.name)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._asked.clear()

    def __repr__(self) -> str:
        return f"<Loader of {self._table.name}, {len(self._pending)} pending>"
