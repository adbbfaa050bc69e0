"""Caches that hear what a backplane announces, and keep what includes all of it.

Each cached value carries the snapshot it was read under. An announcement names a key and a
transaction; the core keeps, and accepts, only values whose snapshot has each announced transaction
settled. What is served ends at the horizon, up to which all is known to have been heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from returns.result import Failure, Success

from tierline.cache.announcements import Announcement, ReadKeys, key_decoder
from tierline.cache.redis import RedisTier
from tierline.cache.strategy import TTL_S_MIN, ReadThrough
from tierline.cache.tables import Caches, Fetched, Look, TableCache
from tierline.entity import Table
from tierline.errors import NotFoundError, RepositoryError
from tierline.sql.snapshots import Seen

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=RepositoryError)

# More keys than these are announced as "any key".
_KEYS_MAX = 1_000


class HearingCache(TableCache[T, K]):
    """The cache of a table whose changes are announced.

    Args:
        table: The table.
        strategy: How it is cached.
        l2: The store's L2.
        schema: The schema that tables without one lie in.
        has_standbys: Whether reads may be answered by a server that lags behind.

    Attributes:
        announcing: Whether they are: until the database says so nothing is served.
    """

    def __init__(
        self,
        table: Table[T, K],
        strategy: ReadThrough,
        l2: RedisTier | None,
        schema: str,
        *,
        has_standbys: bool,
    ) -> None:
        super().__init__(table, strategy, l2, schema)
        self._tries = (False, True) if has_standbys else (True,)
        self.announcing = False
        self.l1.serve_until(0.0)
        self._read_keys: ReadKeys = key_decoder(table)

    def reader(
        self, fetch: Callable[[K], Fetched[T]], look: Look[K] | None = None
    ) -> Callable[[K], Fetched[T]]:
        """As in `TableCache`; without `look` nothing is cached."""
        if look is None:
            return fetch

        def load(key: K) -> Fetched[T]:
            return self._load_seen(key, look)

        return self.l1.reader(load)

    def read_many(
        self,
        keys: Iterable[K],
        fetch: Callable[[list[K]], Success[dict[K, T]] | Failure[E]],
        look: Look[list[K]] | None = None,
    ) -> Success[dict[K, T]] | Failure[E]:
        """As in `TableCache`; without `look` nothing is cached."""
        if look is None:
            return fetch(list(keys))
        found = self.l1.get_many(keys)
        entities = {
            key: result.unwrap() for key, result in found.items() if isinstance(result, Success)
        }
        missing = [key for key in keys if key not in entities]
        for latest in self._tries:
            if not missing:
                break
            seen = self._look_many(missing, look, latest=latest)
            if isinstance(seen, Failure):
                # Its errors are those of `fetch`.
                return seen  # type: ignore[return-value]
            entities |= seen.unwrap()[0]
            missing = seen.unwrap()[1]
        return Success(entities)

    def hear(self, announcement: Announcement) -> None:
        """A transaction changed rows of the table."""
        keys = None
        if tuple(announcement.columns) == self.table.key:
            keys = self._read_keys(announcement.keys)
        self.announce(keys, announcement.xid)

    def announce(self, keys: Sequence[K] | None, xid: int) -> None:
        """From now on only values that include a transaction are kept, of these keys or of all."""
        if keys is None or len(keys) > _KEYS_MAX:
            self.l1.announce_all(xid)
            return
        for key in keys:
            self.l1.announce(key, xid)

    def begin_hearing(self, settled: int) -> None:
        """Something may have been missed until now: begin with nothing.

        Args:
            settled: The latest transaction that has ended: a standby that has not come so far may
                lack what was missed.
        """
        self.l1.invalidate_all()
        self.l1.announce_all(settled)

    def _load_seen(self, key: K, look: Look[K]) -> Fetched[T]:
        for latest in self._tries:
            token, began_s = self.l1.begin(key), time.monotonic()
            found = look(key, latest=latest)
            if isinstance(found, Failure):
                return found
            rows = found.unwrap()
            if not rows:
                continue
            hit = Success(rows[0].row)
            if self._fill_seen(key, hit, rows[0], token, began_s) or not rows[0].standby:
                return hit
        return Failure(
            NotFoundError("no row has this key", operation="get_by_id", table=self.table.name)
        )

    def _look_many(
        self, keys: list[K], look: Look[list[K]], *, latest: bool
    ) -> Fetched[tuple[dict[K, T], list[K]]]:
        """The entities of keys, and the keys of those that a standby may not have in full."""
        tokens = {key: self.l1.begin(key) for key in keys}
        began_s = time.monotonic()
        found = look(keys, latest=latest)
        if isinstance(found, Failure):
            return found
        by_key = {self.table.key_of(seen.row): seen for seen in found.unwrap()}
        entities: dict[K, T] = {}
        again: list[K] = []
        for key, token in tokens.items():
            seen = by_key.get(key)
            if seen is None:
                again.append(key)
                continue
            kept = self._fill_seen(key, Success(seen.row), seen, token, began_s)
            if kept or not seen.standby or latest:
                entities[key] = seen.row
            else:
                again.append(key)
        return Success((entities, [] if latest else again))

    def _fill_seen(
        self, key: K, result: Success[T], seen: Seen, token: int, began_s: float
    ) -> bool:
        rest_s = self.strategy.ttl_s - (time.monotonic() - began_s)
        # A key that the database takes for the same as another is announced as that other.
        if rest_s < TTL_S_MIN or self.table.key_of(seen.row) != key:
            return False
        return self.l1.fill(
            key, result, token, ttl_s=rest_s, snapshot=seen.snapshot, standby=seen.standby
        )


class HearingCaches(Caches):
    """Every cache of a store with a backplane.

    Args:
        l2: The store's L2.
        schema: The schema that tables without one lie in.
        take_write: The transaction of this context's last write, once; None if it is not known.
        has_standbys: Whether reads may be answered by a server that lags behind.

    Attributes:
        opened: Called when there is another cache.
    """

    def __init__(
        self,
        l2: RedisTier | None,
        schema: str,
        take_write: Callable[[], int | None],
        *,
        has_standbys: bool,
    ) -> None:
        super().__init__(l2, schema)
        self._has_standbys = has_standbys
        self._take_write = take_write
        self._settled = 0
        self.opened: Callable[[], None] = lambda: None

    def open(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        """The cache of a table under a strategy; the same one for the same arguments."""
        known = len(self.all())
        cache = super().open(table, strategy)
        if len(self.all()) > known:
            self.opened()
        return cache

    def hearing(self) -> list[HearingCache[Any, Any]]:
        """The caches."""
        return [cache for cache in self.all() if isinstance(cache, HearingCache)]

    def begin_hearing(self, settled: int) -> None:
        """See `HearingCache.begin_hearing`."""
        self._settled = settled
        for cache in self.hearing():
            cache.begin_hearing(settled)

    def hear(self, announcement: Announcement) -> None:
        """A transaction changed rows."""
        # A cache that is opened from now on has not heard of it.
        self._settled = max(self._settled, announcement.xid)
        place = (announcement.schema, announcement.name)
        for cache in self.hearing():
            if self.place(cache.table) == place:
                cache.hear(announcement)

    def serve_until(self, horizon_s: float) -> None:
        """Everything that matters until this monotonic time has been heard."""
        for cache in self.hearing():
            if cache.announcing:
                cache.l1.serve_until(horizon_s)

    def set_announcing(self, cache: HearingCache[Any, Any], *, announcing: bool) -> None:
        """Whether the database announces a table's changes."""
        if announcing and not cache.announcing:
            # What was changed before was not.
            cache.begin_hearing(self._settled)
        elif not announcing:
            cache.l1.serve_until(0.0)
        cache.announcing = announcing

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        xid: int | None = None,
    ) -> None:
        """Make every tier forget rows, and keep none that lacks the transaction that wrote them."""
        xid = self._take_write() if xid is None else xid
        super().invalidate(table, keys, deleted=deleted)
        self._announce(table, keys, xid, deleted=deleted)

    def invalidate_table(
        self, table: Table[Any, Any], *, deleted: bool = False, xid: int | None = None
    ) -> None:
        """Make every tier forget a table; as `invalidate`."""
        xid = self._take_write() if xid is None else xid
        super().invalidate_table(table, deleted=deleted)
        self._announce(table, None, xid, deleted=deleted)

    def _announce(
        self, table: Table[Any, Any], keys: Sequence[Any] | None, xid: int | None, *, deleted: bool
    ) -> None:
        if xid is None:
            return
        for cache in self.of(table):
            if isinstance(cache, HearingCache):
                cache.announce(keys if cache.table.key == table.key else None, xid)
        for cache in self.dependents(table) if deleted else ():
            if isinstance(cache, HearingCache):
                cache.announce(None, xid)

    def _make(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        return HearingCache(table, strategy, self.l2, self._schema, has_standbys=self._has_standbys)
