"""Caches that hear what a backplane announces, and keep what includes all of it.

Each cached value carries the snapshot it was read under. An announcement names a key and a
transaction; the core keeps, and accepts, only values whose snapshot has each announced transaction
settled. What is served ends at the horizon, up to which all is known to have been heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.cache.announcements import Announcement, ReadKeys, key_decoder
from tierline.cache.floors import FILL_AGE_S_MAX, FloorTier, Spot, wall_ms, write_value
from tierline.cache.membership import Member, Membership
from tierline.cache.strategy import TTL_S_MIN, ReadThrough
from tierline.cache.tables import Fetched, Look, TableCache, l2_name
from tierline.entity import Table
from tierline.errors import NotFoundError, RepositoryError
from tierline.sql.snapshots import Seen

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=RepositoryError)

# More keys than these are announced as "any key".
_KEYS_MAX = 1_000


class Shared(NamedTuple):
    """L2, and this process's part in it."""

    floors: FloorTier
    membership: Membership


class Horizon:
    """Until when, on the monotonic clock, what is cached may be served."""

    until_s = 0.0


class _Load(NamedTuple):
    """A load that has begun: L1's token, when by both clocks, and where L2 would keep it."""

    token: int
    began_s: float
    began_at_ms: int
    spot: Spot | None


class HearingCache(TableCache[T, K]):
    """The cache of a table whose changes are announced.

    Args:
        table: The table.
        strategy: How it is cached.
        shared: L2; None without it.
        schema: The schema that tables without one lie in.
        horizon: Until when L2 may be read.
        has_standbys: Whether reads may be answered by a server that lags behind.

    Attributes:
        announcing: Whether they are: until the database says so nothing is served.
        member: This process's part in L2; None without it.
    """

    def __init__(
        self,
        table: Table[T, K],
        strategy: ReadThrough,
        shared: Shared | None,
        schema: str,
        *,
        horizon: Horizon,
        has_standbys: bool,
    ) -> None:
        super().__init__(table, strategy, None, schema)
        self._horizon = horizon
        self._floors = None if shared is None else shared.floors
        self.member: Member | None = None
        if shared is not None:
            self.member = shared.membership.member(self.beginning)
        # A server that may lag is asked first, and the one that takes writes if it lacks something.
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

    def hear(self, announcement: Announcement) -> Sequence[K] | None:
        """A transaction changed rows of the table; their keys, or None for any."""
        keys = None
        if tuple(announcement.columns) == self.table.key:
            keys = self._read_keys(announcement.keys)
        self.announce(keys, announcement.xid)
        return keys

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

    def name(self, key: K) -> str:
        """The name of a key in L2.

        Raises:
            ValueError: No row can have the key.
        """
        return l2_name(self.beginning, self.table, key)

    def _load_seen(self, key: K, look: Look[K]) -> Fetched[T]:
        for latest in self._tries:
            load = self._begin(key)
            if latest is self._tries[0] and load.spot is not None:
                known = self._from_l2(key, load.spot, load.token)
                if known is not None:
                    return known
            found = look(key, latest=latest)
            if isinstance(found, Failure):
                return found
            rows = found.unwrap()
            if rows and (self._fill_seen(key, rows[0], load) or not rows[0].standby):
                return Success(rows[0].row)
        return Failure(
            NotFoundError("no row has this key", operation="get_by_id", table=self.table.name)
        )

    def _look_many(
        self, keys: list[K], look: Look[list[K]], *, latest: bool
    ) -> Fetched[tuple[dict[K, T], list[K]]]:
        """The entities of keys, and the keys of those that a standby may not have in full."""
        loads = {key: self._begin(key) for key in keys}
        found = look(keys, latest=latest)
        if isinstance(found, Failure):
            return found
        by_key = {self.table.key_of(seen.row): seen for seen in found.unwrap()}
        entities: dict[K, T] = {}
        again: list[K] = []
        for key, load in loads.items():
            seen = by_key.get(key)
            if seen is None:
                again.append(key)
            elif self._fill_seen(key, seen, load) or not seen.standby or latest:
                entities[key] = seen.row
            else:
                again.append(key)
        return Success((entities, [] if latest else again))

    def _begin(self, key: K) -> _Load:
        """Before a read: what it is judged by."""
        token, began_s = self.l1.begin(key), time.monotonic()
        return _Load(token, began_s, wall_ms(), self._spot(key))

    def _fill_seen(self, key: K, seen: Seen, load: _Load) -> bool:
        """Keep what was read, in L1 and L2; whether it includes all that was announced."""
        rest_s = self.strategy.ttl_s - (time.monotonic() - load.began_s)
        # A key that the database takes for the same as another is announced as that other.
        if rest_s < TTL_S_MIN or self.table.key_of(seen.row) != key:
            return False
        kept = self.l1.fill(
            key,
            Success(seen.row),
            load.token,
            ttl_s=rest_s,
            snapshot=seen.snapshot,
            standby=seen.standby,
        )
        # What this process's own floor refuses must not reach the others by way of L2.
        if kept and load.spot is not None:
            self._fill_l2_seen(load.spot, seen, load)
        return kept

    def _spot(self, key: K) -> Spot | None:
        """Where L2 keeps a key, if this process may use L2 now."""
        member, floors = self.member, self._floors
        if member is None or floors is None or not self.announcing:
            return None
        with member.lock:
            epoch, turn = member.epoch, member.turn
        if epoch is None or time.monotonic() >= self._horizon.until_s:
            return None
        try:
            return floors.spot(self.name(key), epoch, turn)
        except ValueError:
            # No row has such a key; L3 says so in full.
            return None

    def _from_l2(self, key: K, spot: Spot, token: int) -> Success[T] | None:
        assert self._floors is not None
        found = self._floors.get(spot, self.table.fingerprint, self._decode, self.strategy.ttl_s)
        if found is None:
            return None
        hit: Success[T] = Success(found.entity)
        try:
            kept = self.l1.fill(
                key,
                hit,
                token,
                ttl_s=max(TTL_S_MIN, found.rest_s),
                snapshot=found.snapshot,
                standby=found.standby,
            )
        except ValueError:
            # Not PostgreSQL's form: nobody of ours wrote it.
            return None
        # What this process's own floor refuses is not served either.
        return hit if kept else None

    def _fill_l2_seen(self, spot: Spot, seen: Seen, load: _Load) -> None:
        assert self._floors is not None
        if time.monotonic() - load.began_s > FILL_AGE_S_MAX:
            return
        try:
            payload = self._encode(seen.row)
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
            # JSON holds integers that MessagePack does not; such an entity lives in L1 only.
            return
        value = write_value(
            payload,
            fingerprint=self.table.fingerprint,
            read_at_ms=load.began_at_ms,
            snapshot=seen.snapshot,
            standby=seen.standby,
        )
        self._floors.fill(spot, value, self.strategy.ttl_s, len(payload))
