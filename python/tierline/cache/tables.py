"""The caches of one store: L1 a table, one shared L2, and invalidation across both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.query_cache import QueryCache, changes_of_keys
from tierline.cache.redis import FillToken, RedisTier
from tierline.cache.strategy import TTL_S_MIN, ReadThrough
from tierline.cache.written import Written
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import RepositoryError
from tierline.query.readings import RowChange
from tierline.sql.snapshots import Seen

T = TypeVar("T")
K = TypeVar("K")
A_contra = TypeVar("A_contra", contravariant=True)
E = TypeVar("E", bound=RepositoryError)

Fetched: TypeAlias = Success[T] | Failure[RepositoryError]


class Look(Protocol[A_contra]):
    """Reads the rows of a key, or of a list of keys, with the snapshots they were read under."""

    def __call__(self, keys: A_contra, *, latest: bool) -> Fetched[list[Seen]]:
        """The rows that are there.

        Args:
            keys: Which.
            latest: Whether only a server that takes writes may answer.
        """
        ...


_TableId: TypeAlias = tuple[str, str]


class TableCache(Generic[T, K]):
    """L1 and L2 of one table under one strategy.

    L1 keeps ready-made `Success(entity)` objects, so that a hit hands out what is there.
    """

    def __init__(
        self, table: Table[T, K], strategy: ReadThrough, l2: RedisTier | None, schema: str
    ) -> None:
        self.table = table
        self.strategy = strategy
        self.l1: Cache[K, Fetched[T]] = Cache(strategy.max_entries, ttl_s=strategy.ttl_s)
        self.beginning = l2_beginning(table, schema)
        self._l2 = l2
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(table.entity).decode

    def reader(
        self, fetch: Callable[[K], Fetched[T]], look: Look[K] | None = None
    ) -> Callable[[K], Fetched[T]]:
        """A native function from key to result that asks L1, L2, then L3, and fills upward.

        Args:
            fetch: Reads the entity of a key in L3.
            look: The same, with the snapshots that a cache with a backplane wants.
        """
        del look

        def load(key: K) -> Fetched[T]:
            return self._load(key, fetch)

        return self.l1.reader(load)

    def read_many(
        self,
        keys: Iterable[K],
        fetch: Callable[[list[K]], Success[dict[K, T]] | Failure[E]],
        look: Look[list[K]] | None = None,
    ) -> Success[dict[K, T]] | Failure[E]:
        """The entities of keys: from L1 what is there, the others by `fetch`, which fills L1.

        L2 is not asked: one statement is as near as it is. For `look` see `reader`.
        """
        del look
        began_s = time.monotonic()
        found = self.l1.get_many(keys)
        entities = {
            key: result.unwrap() for key, result in found.items() if isinstance(result, Success)
        }
        tokens = {key: self.l1.begin(key) for key in keys if key not in entities}
        if not tokens:
            return Success(entities)
        fetched = fetch(list(tokens))
        if isinstance(fetched, Failure):
            return fetched
        for key, entity in fetched.unwrap().items():
            self._fill_l1(key, Success(entity), tokens[key], began_s)
        return Success(entities | fetched.unwrap())

    def _load(self, key: K, fetch: Callable[[K], Fetched[T]]) -> Fetched[T]:
        # The token comes first: what is read after it is refused if the key is written meanwhile.
        token = self.l1.begin(key)
        began_s = time.monotonic()
        if self._l2 is None:
            result = fetch(key)
            self._fill_l1(key, result, token, began_s)
            return result
        try:
            name = l2_name(self.beginning, self.table, key)
        except ValueError:
            # No row has such a key; L3 says so in full.
            return fetch(key)
        found = self._l2.get(name, self.table.fingerprint, self._decode, self.strategy.ttl_s)
        if found is not None:
            entity, rest_s = found
            hit = Success(entity)
            self.l1.fill(key, hit, token, ttl_s=max(TTL_S_MIN, rest_s))
            return hit
        l2_token = self._l2.begin(name)
        result = fetch(key)
        self._fill_l1(key, result, token, began_s)
        if isinstance(result, Success) and l2_token is not None:
            self._fill_l2(self._l2, name, result.unwrap(), l2_token)
        return result

    def _fill_l1(self, key: K, result: Fetched[T], token: int, began_s: float) -> None:
        # The age counts from before the read, so a slow read does not lengthen a life.
        rest_s = self.strategy.ttl_s - (time.monotonic() - began_s)
        if isinstance(result, Success) and rest_s >= TTL_S_MIN:
            self.l1.fill(key, result, token, ttl_s=rest_s)

    def _fill_l2(self, l2: RedisTier, name: str, entity: T, token: FillToken) -> None:
        try:
            payload = self._encode(entity)
        except (TypeError, ValueError, OverflowError):
            # JSON holds integers that MessagePack does not; such an entity lives in L1 only.
            return
        l2.fill(name, payload, self.table.fingerprint, token, self.strategy.ttl_s)


def l2_beginning(table: Table[Any, Any], schema: str) -> str:
    """How every L2 name of a table begins; another key of the same table has another."""
    return f"{table.schema or schema}.{table.name}({','.join(table.key)}):"


def l2_name(beginning: str, table: Table[Any, Any], key: Any) -> str:
    """The name of a key in L2: the key's values as JSON, so that no two collide.

    Raises:
        ValueError: No row can have the key.
    """
    if type(key) is int and table.has_integer_key:
        # The common case, as the rest would write it.
        return f"{beginning}[{key}]"
    # JSON has no infinity, so floats are spelled out.
    values = [
        repr(value) if isinstance(value, float) else value for value in _key_values(table, key)
    ]
    return f"{beginning}{msgspec.json.encode(values).decode()}"


def _key_values(table: Table[Any, Any], key: Any) -> tuple[Any, ...]:
    try:
        return table.read_key(key)
    except BadFieldsError as bad:
        raise ValueError(str(bad.errors)) from bad


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
