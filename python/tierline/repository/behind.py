"""Write-behind: verbs that answer once the journal has the operation, and reads that see it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from returns.result import Failure, Success

from tierline.cache.intents import Intent, Kind
from tierline.cache.write_strategies import WriteBehind
from tierline.entity import Change, Table
from tierline.errors import NotFoundError, RepositoryError
from tierline.query.writes import Condition, Settings
from tierline.repository.base import Rows, copied
from tierline.repository.bulk import twice
from tierline.repository.ports import StorePort
from tierline.repository.repository import Repository
from tierline.result import Result

if TYPE_CHECKING:
    from tierline.cache.reading import ReadByKey

T = TypeVar("T")
K = TypeVar("K")
S = TypeVar("S")
L = TypeVar("L")
A = TypeVar("A")


class BehindPort(Protocol[T, K]):
    """The journal of a table, and what is pending in it."""

    def append(
        self, operation: str, intents: Sequence[Intent]
    ) -> Success[None] | Failure[RepositoryError]:
        """Journal operations, all or none."""
        ...

    def own(self, key: K) -> Success[T | None] | None:
        """What this process knows to be pending for a key, None for a deletion; None if nothing."""
        ...

    def pending(self, keys: Sequence[K]) -> dict[K, T | None]:
        """What anybody's operations that are pending make of these keys; None for a deletion."""
        ...

    def drain(self, operation: str) -> Success[None] | Failure[RepositoryError]:
        """Wait until L3 has what is pending."""
        ...


class BehindsPort(Protocol):
    """The journals of a store."""

    def open(self, table: Table[S, L], strategy: WriteBehind) -> BehindPort[S, L]:
        """The journal of a table."""
        ...


class BehindRepository(Repository[T, K]):
    """A repository whose writes are journalled first.

    `create`, `update`, `upsert`, `delete` and their verbs for many rows are journalled. What needs
    the database's answer (`get_or_create`, `update_where`, `delete_where`, `purge`, `restore`, a
    `tl.change`) waits until L3 has what is pending, and goes to L3. `get_by_id`, `get_many` and
    `exists` of a key see what is pending, in whichever process; everything else reads L3.
    """

    __slots__ = ("_behind",)

    def __init__(self, store: StorePort, table: Table[T, K], strategy: WriteBehind) -> None:
        behinds = store.write_behind
        if behinds is None:
            raise TypeError(
                "a transaction writes to L3 itself: use tl.repository(tx, TABLE) in it, after "
                "store.write_behind.flush()"
            )
        if table.managed:
            raise TypeError(
                f"{table.name}: the database sets {', '.join(table.managed)} when it writes, and "
                "write_behind answers before that; use tl.write_through or tl.read_through"
            )
        super().__init__(store, table, strategy.reads)
        self._behind: BehindPort[T, K] = behinds.open(table, strategy)
        self.get_by_id = self._reader(self.get_by_id)

    def _reader(self, read: ReadByKey[K, T]) -> ReadByKey[K, T]:
        own, pending = self._behind.own, self._behind.pending
        kept: Callable[[K], Result[T, RepositoryError] | None]
        kept = (lambda _: None) if self._cache is None else self._cache.l1.get
        out: Callable[[Result[T, RepositoryError]], Result[T, RepositoryError]]
        out = copied if self._table.copy else lambda found: found

        def get_by_id(
            key: K,
            /,
            *,
            fresh: bool = False,
            ttl_s: float | None = None,
            stale_ok_s: float | None = None,
        ) -> Result[T, RepositoryError]:
            known = own(key)
            hit: Result[T, RepositoryError] | None = None
            if known is not None:
                hit = self._found(known.unwrap())
            elif not fresh:
                hit = kept(key)
            if hit is not None:
                return out(hit)
            found = pending([key])
            if key in found:
                return self._found(found[key])
            return read(key, fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)

        return get_by_id

    def _found(self, entity: T | None) -> Result[T, RepositoryError]:
        return Success(entity) if entity is not None else self._not_found("get_by_id")

    def get_many(
        self,
        keys: Iterable[K],
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Result[dict[K, T], RepositoryError]:
        """As `Repository.get_many`, with what is pending."""
        wanted = list(dict.fromkeys(keys))
        checked = self._keys(wanted, "get_many")
        if isinstance(checked, Failure):
            return checked
        known: dict[K, T | None] = {}
        for key in wanted:
            own = self._behind.own(key)
            if own is not None:
                known[key] = own.unwrap()
        if self._table.copy:
            known = copy.deepcopy(known)
        cached = {} if fresh or self._cache is None else self._cache.l1.get_many(wanted)
        unknown = [key for key in wanted if key not in known and key not in cached]
        if unknown:
            known |= self._behind.pending(unknown)
        rest = [key for key in wanted if key not in known]
        found = super().get_many(rest, fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        if isinstance(found, Failure):
            return found
        entities = found.unwrap() | {
            key: entity for key, entity in known.items() if entity is not None
        }
        return Success({key: entities[key] for key in wanted if key in entities})

    def exists(self, key: Any = ..., **options: Any) -> Result[bool, RepositoryError]:
        """As `Repository.exists`; of a key, with what is pending."""
        if key is ... or options:
            return super().exists(key, **options) if key is not ... else super().exists(**options)
        found = self.get_by_id(key)
        if isinstance(found, Success):
            return Success(True)
        return Success(False) if isinstance(found.failure(), NotFoundError) else found

    def create(self, entity: T) -> Result[T, RepositoryError]:
        """Journal a new row. That its key is taken is found out later: a dead letter."""
        return self._one("create", entity)

    def update(self, entity: T | Change[T]) -> Result[T, RepositoryError]:
        """Journal a row's new values. That there is no such row is found out later: a dead letter.

        A `tl.change` goes to L3 at once, behind what is pending.
        """
        if isinstance(entity, Change):
            change = cast("Change[T]", entity)
            return self._after_draining(
                "update", lambda: super(BehindRepository, self).update(change)
            )
        return self._one("update", entity)

    def upsert(self, entity: T) -> Result[T, RepositoryError]:
        """Journal a row that is new, or replaces the one that has its key."""
        return self._one("upsert", entity)

    def delete(self, key: K | T) -> Result[None, RepositoryError]:
        """Journal the deletion of a row; there need be none."""
        if isinstance(key, self._table.entity):
            key = self._table.key_of(key)
        found = cast("K", key)
        checked = self._key(found, "delete")
        if isinstance(checked, Failure):
            return checked
        return self._behind.append("delete", [Intent("delete", found)])

    def create_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `create` for up to 10,000 rows, journalled all or none."""
        return self._many("create_many", "create", list(entities), progress)

    def upsert_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `upsert` for up to 10,000 rows, journalled all or none."""
        return self._many("upsert_many", "upsert", list(entities), progress)

    def update_many(
        self, entities: Iterable[T], *, progress: Callable[[int], None] | None = None
    ) -> Result[int, RepositoryError]:
        """As `update` for up to 10,000 rows, journalled all or none."""
        return self._many("update_many", "update", list(entities), progress)

    def delete_many(self, keys: Iterable[K]) -> Result[int, RepositoryError]:
        """As `delete` for up to 10,000 keys; answers with how many keys there were."""
        wanted = list(dict.fromkeys(keys))
        checked = self._keys(wanted, "delete_many")
        if isinstance(checked, Failure):
            return checked
        return self._journalled("delete_many", [Intent("delete", key) for key in wanted])

    def get_or_create(self, entity: T) -> Result[tuple[T, bool], RepositoryError]:
        """As `Repository.get_or_create`, once L3 has what is pending."""
        return self._after_draining(
            "get_or_create", lambda: super(BehindRepository, self).get_or_create(entity)
        )

    def update_where(
        self,
        *,
        set: Settings[T],  # noqa: A002 (the field's word)
        where: Condition[T],
    ) -> Result[int, RepositoryError]:
        """As `Repository.update_where`, once L3 has what is pending."""
        return self._after_draining(
            "update_where",
            lambda: super(BehindRepository, self).update_where(set=set, where=where),
        )

    def delete_where(self, where: Condition[T]) -> Result[int, RepositoryError]:
        """As `Repository.delete_where`, once L3 has what is pending."""
        return self._after_draining(
            "delete_where", lambda: super(BehindRepository, self).delete_where(where)
        )

    def purge(self, key: K) -> Result[None, RepositoryError]:
        """As `Repository.purge`, once L3 has what is pending."""
        return self._after_draining("purge", lambda: super(BehindRepository, self).purge(key))

    def _one(self, kind: Kind, entity: T) -> Result[T, RepositoryError]:
        checked = self._values(entity, kind)
        if isinstance(checked, Failure):
            return checked
        appended = self._behind.append(kind, [self._intent(kind, entity)])
        return appended if isinstance(appended, Failure) else Success(entity)

    def _many(
        self, operation: str, kind: Kind, batch: Rows[T], progress: Callable[[int], None] | None
    ) -> Result[int, RepositoryError]:
        checked = self._encodable(batch, operation)
        if isinstance(checked, Failure):
            return checked
        keys = [self._table.key_of(entity) for entity in batch]
        if len(set(keys)) < len(keys):
            return self._invalid(twice(self._table, keys), operation)
        done = self._journalled(operation, [self._intent(kind, entity) for entity in batch])
        if progress is not None and isinstance(done, Success):
            progress(len(batch))
        return done

    def _journalled(self, operation: str, intents: Rows[Intent]) -> Result[int, RepositoryError]:
        if not intents:
            return Success(0)
        appended = self._behind.append(operation, intents)
        return appended if isinstance(appended, Failure) else Success(len(intents))

    def _intent(self, kind: Kind, entity: T) -> Intent:
        kept = copy.deepcopy(entity) if self._table.copy else entity
        return Intent(kind, self._table.key_of(entity), kept)

    def _after_draining(
        self, operation: str, write: Callable[[], Result[A, RepositoryError]]
    ) -> Result[A, RepositoryError]:
        drained = self._behind.drain(operation)
        return drained if isinstance(drained, Failure) else write()
