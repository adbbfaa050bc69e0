"""The caches of one store: L1 a table, one shared L2, and invalidation across both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.redis import RedisTier
from tierline.cache.strategy import TTL_S_MIN, ReadThrough
from tierline.entity import Table
from tierline.errors import RepositoryError

T = TypeVar("T")
K = TypeVar("K")

Fetched: TypeAlias = Success[T] | Failure[RepositoryError]


class TableCache(Generic[T, K]):
    """L1 and L2 of one table under one strategy.

    L1 keeps ready-made `Success(entity)` objects, so that a hit hands out what is there.
    """

    def __init__(self, table: Table[T, K], strategy: ReadThrough, l2: RedisTier | None) -> None:
        self.table = table
        self.strategy = strategy
        self.l1: Cache[K, Fetched[T]] = Cache(strategy.max_entries, ttl_s=strategy.ttl_s)
        self._l2 = l2
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(table.entity).decode

    def reader(self, fetch: Callable[[K], Fetched[T]]) -> Callable[[K], Fetched[T]]:
        """A native function from key to result that asks L1, L2, then `fetch`, and fills upward."""

        def load(key: K) -> Fetched[T]:
            return self._load(key, fetch)

        return self.l1.reader(load)

    def _load(self, key: K, fetch: Callable[[K], Fetched[T]]) -> Fetched[T]:
        # The token comes first: what is read after it is refused if the key is written meanwhile.
        token = self.l1.begin(key)
        if self._l2 is None:
            result = fetch(key)
            if isinstance(result, Success):
                self.l1.fill(key, result, token)
            return result
        name = l2_name(self.table, key)
        found = self._l2.get(name, self.table.fingerprint, self._decode)
        if found is not None:
            entity, rest_s = found
            hit = Success(entity)
            ttl_s = max(TTL_S_MIN, min(rest_s, self.strategy.ttl_s))
            self.l1.fill(key, hit, token, ttl_s=ttl_s)
            return hit
        l2_token = self._l2.begin(name)
        result = fetch(key)
        if isinstance(result, Success):
            self.l1.fill(key, result, token)
            if l2_token is not None:
                payload = self._encode(result.unwrap())
                self._l2.fill(name, payload, self.table.fingerprint, l2_token, self.strategy.ttl_s)
        return result


def l2_name(table: Table[Any, Any], key: Any) -> str:
    """The name of a key in L2: the table's, then the key's values as JSON, so no two collide."""
    values = msgspec.json.encode(table.read_key(key)).decode()
    return f"{_l2_table(table)}{values}"


def _l2_table(table: Table[Any, Any]) -> str:
    return f"{table.schema or ''}.{table.name}:"


class Caches:
    """Every cache of a store, so that a write through any repository reaches them all."""

    def __init__(self, l2: RedisTier | None) -> None:
        self.l2 = l2
        self._lock = threading.Lock()
        self._by_table: dict[tuple[str | None, str], list[TableCache[Any, Any]]] = {}

    def open(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        """The cache of a table under a strategy; the same one for the same arguments."""
        with self._lock:
            caches = self._by_table.setdefault((table.schema, table.name), [])
            for cache in caches:
                if cache.table is table and cache.strategy == strategy:
                    return cache
            cache = TableCache(table, strategy, self.l2)
            caches.append(cache)
            return cache

    def invalidate(self, table: Table[Any, Any], keys: Sequence[Any]) -> None:
        """Make every tier forget the keys. L2 first: what L1 then loads is no older."""
        if self.l2 is not None:
            self.l2.invalidate([l2_name(table, key) for key in keys])
        for cache in self._by_table.get((table.schema, table.name), ()):
            cache.l1.invalidate_many(keys)

    def invalidate_table(self, table: Table[Any, Any]) -> None:
        """Make every tier forget a table."""
        if self.l2 is not None:
            self.l2.invalidate_all(_l2_table(table))
        for cache in self._by_table.get((table.schema, table.name), ()):
            cache.l1.invalidate_all()

    def all(self) -> Iterable[TableCache[Any, Any]]:
        """Every table's cache."""
        with self._lock:
            return [cache for caches in self._by_table.values() for cache in caches]
