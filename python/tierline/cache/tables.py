"""The caches of one table: L1, its part of L2, and what fills them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline._core import Cache, FrameReader
from tierline.cache.floors import wall_ms
from tierline.cache.l2_names import l2_beginning, l2_name, value_key
from tierline.cache.leases import Asked, Leases, ask
from tierline.cache.reading import HELD_IN, ReadByKey, kept, no_row, reading
from tierline.cache.redis import MARK_TTL_MS, FillToken, RedisTier
from tierline.cache.redis_frames import UNDECODABLE
from tierline.cache.resilience import Resilience, early_s
from tierline.cache.sharing import Fetched
from tierline.cache.strategy import PLAIN, TTL_S_MIN, ReadOptions, ReadThrough
from tierline.entity import Table
from tierline.errors import RepositoryError
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
        self.resilience: Resilience[T, K] = Resilience(self.l1, strategy, "get_by_id", table.name)
        self.beginning = l2_beginning(table, schema)
        self._l2 = l2
        self.leases: Leases | None = None
        if l2 is not None and strategy.lease_s is not None:
            self.leases = Leases(l2, strategy.lease_s, mark_ms=MARK_TTL_MS)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(table.entity).decode
        self._reader = FrameReader(
            table.fingerprint,
            self._decode,
            undecodable=UNDECODABLE,
            holder=Success,
            slot=HELD_IN,
            keys=None if l2 is None else l2.keys,
        )

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
        tokens = self.l1.begin_many(asked)
        if self._l2 is not None and not options.fresh:
            from_l2 = self._from_l2(self._l2, asked, tokens, options)
            if len(from_l2) == len(asked):
                return Success(entities | from_l2 if entities else from_l2)
            entities |= from_l2
        missing = {
            key: token for key, token in zip(asked, tokens, strict=True) if key not in entities
        }
        if not missing:
            return Success(entities)
        names: dict[K, str] = {}
        l2_tokens: dict[str, FillToken] = {}
        if self._l2 is not None:
            names = self._names(missing)
            l2_tokens = self._l2.begin_many(names.values())
        fetched = fetch(list(missing))
        if isinstance(fetched, Failure):
            return self.resilience.many(entities, missing, fetched, options)
        rows = fetched.unwrap()
        for key, token in missing.items():
            result = Success(rows[key]) if key in rows else no_row(self.table)
            self._fill_l1(key, result, token, began_s, options)
        if self._l2 is not None and l2_tokens:
            named = [(names[key], entity) for key, entity in rows.items() if key in names]
            self._fill_l2(self._l2, named, l2_tokens, options)
        return Success(entities | rows)

    def _names(self, keys: Iterable[K]) -> dict[K, str]:
        """The L2 name of each key that a row can have."""
        names: dict[K, str] = {}
        for key in keys:
            with suppress(ValueError):
                names[key] = l2_name(self.beginning, self.table, key)
        return names

    def _from_l2(
        self, l2: RedisTier, keys: list[K], tokens: list[int], options: ReadOptions
    ) -> dict[K, T]:
        """What L2 has of keys whose loads have begun; L1 has it then, too."""
        if self.table.has_integer_key and set(map(type, keys)) == {int}:
            # The common case, as the rest would write it.
            start = value_key(l2.base, self.beginning).removesuffix("}")
            asked = [f"{start}[{key}]}}" for key in keys]
        else:
            names = self._names(keys)
            tokens = [token for key, token in zip(keys, tokens, strict=True) if key in names]
            keys = [key for key in keys if key in names]
            asked = [value_key(l2.base, names[key]) for key in keys]
        entities: dict[K, T] = {}

        def take(places: Sequence[int], frames: list[bytes | None], reign: str) -> int:
            own, theirs, names = keys, tokens, asked
            if len(places) < len(keys):
                own = [keys[at] for at in places]
                theirs = [tokens[at] for at in places]
                names = [asked[at] for at in places]
            return self._reader.take(
                self.l1,
                entities,
                own,
                theirs,
                names,
                frames,
                beginning=f"{reign} ",
                now_s=wall_ms() / 1000,
                ttl_s=self.strategy.ttl_s,
                rest_s=options.ttl_s or self.strategy.ttl_s,
            )

        l2.get_many(asked, take)
        return entities

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
        asked: Asked[tuple[T, float]] = Asked(None)
        if not options.fresh:
            fingerprint, ttl_s = self.table.fingerprint, self.strategy.ttl_s
            asked = ask(self.leases, self._l2, name, fingerprint, decode=self._decode, ttl_s=ttl_s)
        if asked.found is not None:
            entity, rest_s = asked.found
            hit = Success(entity)
            rest_s = max(TTL_S_MIN, min(rest_s, options.ttl_s or rest_s))
            self.l1.fill(key, hit, token, ttl_s=rest_s)
            return hit
        if asked.waited:
            token, began_s = self.l1.begin(key), time.monotonic()
        l2_token = self._l2.begin(name)
        result = fetch(key)
        self._fill_l1(key, result, token, began_s, options)
        is_shared = False
        if isinstance(result, Success) and l2_token is not None:
            named = [(name, result.unwrap())]
            is_shared = self._fill_l2(self._l2, named, {name: l2_token}, options)
        if self.leases is not None and asked.lease is not None and not is_shared:
            self.leases.give_up(asked.lease)
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
    ) -> bool:
        """Keep entities in L2; whether one was sent."""
        fills: list[tuple[str, bytes, FillToken]] = []
        for name, entity in named:
            # JSON holds integers that MessagePack does not; such an entity lives in L1 only.
            with suppress(TypeError, ValueError, OverflowError):
                if name in tokens:
                    fills.append((name, self._encode(entity), tokens[name]))
        l2.fill_many(fills, self.table.fingerprint, options.ttl_s or self.strategy.ttl_s)
        return bool(fills)
