"""Write-through: what a write has committed is read back at once, so that the next read is a hit.

The value that is kept is one that was read after the commit, with its snapshot or fill token, like
any other: nothing is ever kept that L3 does not have, whatever fails in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from returns.result import Failure

from tierline.deadline import deadline, remaining_s
from tierline.entity import Change
from tierline.errors import RepositoryError
from tierline.repository.repository import Repository
from tierline.result import Result

T = TypeVar("T")
K = TypeVar("K")
A = TypeVar("A")

FILLED_MAX = 1_000
"""Of a bulk write the first so many rows are read back; more would be a copy of the table."""

_FILL_S_MIN = 0.01
_FILL_S_MAX = 1.0


class ThroughRepository(Repository[T, K]):
    """A repository whose writes fill the caches."""

    __slots__ = ()

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.create`; L1 and L2 have the row then."""
        return self._filling(super().create(entity), lambda: [self._table.key_of(entity)])

    def update(self, entity: T | Change[T]) -> Result[T, RepositoryError]:
        """As `Repository.update`; L1 and L2 have the row then."""
        written = super().update(entity)
        return self._filling(written, lambda: [self._table.key_of(written.unwrap())])

    def upsert(self, entity: T) -> Result[T, RepositoryError]:
        """As `Repository.upsert`; L1 and L2 have the row then."""
        return self._filling(super().upsert(entity), lambda: [self._table.key_of(entity)])

    def restore(self, key: K) -> Result[T, RepositoryError]:
        """As `Repository.restore`; L1 and L2 have the row then."""
        return self._filling(super().restore(key), lambda: [key])

    def get_or_create(self, entity: T) -> Result[tuple[T, bool], RepositoryError]:
        """As `Repository.get_or_create`; L1 and L2 have the row then."""
        found = super().get_or_create(entity)
        return self._filling(found, lambda: [self._table.key_of(entity)])

    def create_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.create_many`; L1 has the first thousand rows then."""
        batch = list(entities)
        return self._filling(super().create_many(batch, progress=progress), lambda: self._of(batch))

    def upsert_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.upsert_many`; L1 has the first thousand rows then."""
        batch = list(entities)
        return self._filling(super().upsert_many(batch, progress=progress), lambda: self._of(batch))

    def update_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_many`; L1 has the first thousand rows then."""
        batch = list(entities)
        return self._filling(super().update_many(batch, progress=progress), lambda: self._of(batch))

    def _of(self, batch: Sequence[T]) -> list[K]:
        return [self._table.key_of(entity) for entity in batch[:FILLED_MAX]]

    def _filling(
        self, written: Result[A, RepositoryError], keys: Callable[[], list[K]]
    ) -> Result[A, RepositoryError]:
        """Read back what was written; the answer of the write stands, whatever that meets."""
        cache = self._cache
        if cache is None or isinstance(written, Failure) or remaining_s() < _FILL_S_MIN:
            return written
        wanted = keys()
        # The write is done: it does not wait long for what is only to save time later.
        with deadline(_FILL_S_MAX):
            if len(wanted) == 1:
                # By way of every tier, so that it is in each of them.
                self.get_by_id(wanted[0])
            elif wanted:
                cache.read_many(wanted, self._fetch_many, self._look_many)
        return written
