"""The caches of one store: L1 a table, one shared L2, and invalidation across both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

import msgspec
from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.l2_names import l2_beginning, l2_name
from tierline.cache.query_cache import QueryCache, changes_of_keys
from tierline.cache.reading import ReadByKey, kept, no_row, reading, successes
from tierline.cache.redis import FillToken, RedisTier
from tierline.cache.resilience import Resilience, early_s
from tierline.cache.sharing import Fetched
from tierline.cache.strategy import PLAIN, TTL_S_MIN, ReadOptions, ReadThrough
from tierline.cache.written import Written
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.query.readings import RowChange
from tierline.sql.snapshots import Seen

T = TypeVar("T")
K = TypeVar("K")
A_contra = TypeVar("A_contra", contravariant=True)
E = TypeVar("E", bound=RepositoryError)


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
        self.l1: Cache[K, Fetched[T]] = Cache(
            strategy.max_entries,
            ttl_s=strategy.ttl_s,
            ttl_jitter=strategy.ttl_jitter,
            stale_if_error_s=strategy.kept_s,
            retry_s=strategy.retry_s,
        )
        self.resilience: Resilience[T, K] = Resilience(self.l1, strategy, table.name)
        self.beginning = l2_beginning(table, schema)
        self._l2 = l2
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(table.entity).decode

    def reader(
        self, fetch: Callable[[K], Fetched[T]], look: Look[K] | None = None
    ) -> ReadByKey[K, T]:
        """A native function from key to result that asks L1, L2, then L3, and fills upward.

        Args:
            fetch: Reads the entity of a key in L3.
            look: The same, with the snapshots that a cache with a backplane wants.
        """
        del look

        def load(key: K, options: ReadOptions) -> Fetched[T]:
            return self._load(key, fetch, options)

        return reading(self, load)

    def read_many(
        self,
        keys: Iterable[K],
        fetch: Callable[[list[K]], Success[dict[K, T]] | Failure[E]],
        look: Look[list[K]] | None = None,
        options: ReadOptions = PLAIN,
    ) -> Success[dict[K, T]] | Failure[E]:
        """The entities of keys: from L1 and L2 what is there, the others by `fetch`, filling up.

        For `look` see `reader`.
        """
        del look
        began_s = time.monotonic()
        entities, asked = kept(self, keys, options)
        if not asked:
            return Success(entities)
        tokens = dict(zip(asked, self.l1.begin_many(asked), strict=True))
        names = {} if self._l2 is None else self._names(tokens)
        if self._l2 is not None and not options.fresh:
            from_l2 = self._from_l2(self._l2, names, tokens, options)
            if not entities and len(from_l2) == len(tokens):
                return Success(from_l2)
            entities |= from_l2
        missing = [key for key in tokens if key not in entities]
        if not missing:
            return Success(entities)
        l2_tokens: dict[str, FillToken] = {}
        if self._l2 is not None:
            l2_tokens = self._l2.begin_many([names[key] for key in missing if key in names])
        fetched = fetch(missing)
        if isinstance(fetched, Failure):
            return self.resilience.many(entities, missing, fetched, options)
        rows = fetched.unwrap()
        for key in missing:
            result = Success(rows[key]) if key in rows else no_row(self.table)
            self._fill_l1(key, result, tokens[key], began_s, options)
        if self._l2 is not None and l2_tokens:
            named = [(names[key], entity) for key, entity in rows.items() if key in names]
            self._fill_l2(self._l2, named, l2_tokens, options)
        return Success(entities | rows)

    def _names(self, keys: Collection[K]) -> dict[K, str]:
        """The L2 name of each key that a row can have."""
        if self.table.has_integer_key and set(map(type, keys)) == {int}:
            # The common case, as `l2_name` would write it.
            return {key: f"{self.beginning}[{key}]" for key in keys}
        names: dict[K, str] = {}
        for key in keys:
            with suppress(ValueError):
                names[key] = l2_name(self.beginning, self.table, key)
        return names

    def _from_l2(
        self, l2: RedisTier, names: dict[K, str], tokens: dict[K, int], options: ReadOptions
    ) -> dict[K, T]:
        fingerprint, ttl_s = self.table.fingerprint, self.strategy.ttl_s
        keys = list(names)
        many = l2.get_many(list(names.values()), fingerprint, self._decode, ttl_s)
        values, lives_s = many.values, many.lives_s
        if many.hits < len(keys):
            there = [index for index, value in enumerate(values) if value is not None]
            keys = [keys[index] for index in there]
            values = [values[index] for index in there]
            lives_s = [lives_s[index] for index in there]
        if options.ttl_s is not None:
            lives_s = [min(life_s, options.ttl_s) for life_s in lives_s]
        entities = cast("list[T]", values)
        self.l1.fill_many(keys, successes(entities), [tokens[key] for key in keys], lives_s)
        return dict(zip(keys, entities, strict=True))

    def _load(
        self, key: K, fetch: Callable[[K], Fetched[T]], options: ReadOptions = PLAIN
    ) -> Fetched[T]:
        # The token comes first: what is read after it is refused if the key is written meanwhile.
        token = self.l1.begin(key)
        began_s = time.monotonic()
        if self._l2 is None:
            result = fetch(key)
            self._fill_l1(key, result, token, began_s, options)
            return result
        try:
            name = l2_name(self.beginning, self.table, key)
        except ValueError:
            # No row has such a key; L3 says so in full.
            return fetch(key)
        found = (
            None
            if options.fresh
            else self._l2.get(name, self.table.fingerprint, self._decode, self.strategy.ttl_s)
        )
        if found is not None:
            entity, rest_s = found
            hit = Success(entity)
            rest_s = max(TTL_S_MIN, min(rest_s, options.ttl_s or rest_s))
            self.l1.fill(key, hit, token, ttl_s=rest_s)
            return hit
        l2_token = self._l2.begin(name)
        result = fetch(key)
        self._fill_l1(key, result, token, began_s, options)
        if isinstance(result, Success) and l2_token is not None:
            named = [(name, result.unwrap())]
            self._fill_l2(self._l2, named, {name: l2_token}, options)
        return result

    def _fill_l1(
        self, key: K, result: Fetched[T], token: int, began_s: float, options: ReadOptions
    ) -> None:
        if isinstance(result, Failure):
            self.resilience.failed(key, result, token)
            return
        # The age counts from before the read, so a slow read does not lengthen a life.
        took_s = time.monotonic() - began_s
        rest_s = (options.ttl_s or self.strategy.ttl_s) - took_s
        if rest_s >= TTL_S_MIN:
            soon_s = early_s(self.strategy, rest_s, took_s)
            self.l1.fill(key, result, token, ttl_s=rest_s, early_s=soon_s)

    def _fill_l2(
        self,
        l2: RedisTier,
        named: Sequence[tuple[str, T]],
        tokens: dict[str, FillToken],
        options: ReadOptions,
    ) -> None:
        fills: list[tuple[str, bytes, FillToken]] = []
        for name, entity in named:
            # JSON holds integers that MessagePack does not; such an entity lives in L1 only.
            with suppress(TypeError, ValueError, OverflowError):
                if name in tokens:
                    fills.append((name, self._encode(entity), tokens[name]))
        l2.fill_many(fills, self.table.fingerprint, options.ttl_s or self.strategy.ttl_s)


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
