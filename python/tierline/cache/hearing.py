"""Caches that hear what a backplane announces, and keep what includes all of it.

Each cached value carries the snapshot it was read under. An announcement names a key and a
transaction; the core keeps, and accepts, only values whose snapshot has each announced transaction
settled. What is served ends at the horizon, up to which all is known to have been heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.cache.announcements import Announcement, ReadKeys, key_decoder
from tierline.cache.floors import FILL_AGE_S_MAX, FloorTier, Found, Spot, wall_ms
from tierline.cache.l2_names import l2_name
from tierline.cache.leases import Asked, Lease
from tierline.cache.membership import Member, Membership
from tierline.cache.reading import ReadByKey, kept, no_row, reading
from tierline.cache.resilience import early_s
from tierline.cache.sharing import Fetched
from tierline.cache.strategy import PLAIN, TTL_S_MIN, ReadOptions, ReadThrough
from tierline.cache.tables import Look, TableCache
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.sql.snapshots import Seen, lifted

T = TypeVar("T")
K = TypeVar("K")
E = TypeVar("E", bound=RepositoryError)

# Added to a database's transaction ids each time that it begins to give them anew: no life of it
# is so long.
_LIFT = 1 << 48

# Reads that are to be fresh ask the server that takes writes.
_FRESH = (True,)

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
        if shared is not None and strategy.lease_s is not None:
            self.leases = shared.floors.leases(strategy.lease_s)
        self.member: Member | None = None
        if shared is not None:
            self.member = shared.membership.member(self.beginning)
        # A server that may lag is asked first, and the one that takes writes if it lacks something.
        self._tries = (False, True) if has_standbys else (True,)
        self.announcing = False
        self._lift = 0
        self.l1.serve_until(0.0)
        self._read_keys: ReadKeys = key_decoder(table)

    def reader(
        self, fetch: Callable[[K], Fetched[T]], look: Look[K] | None = None
    ) -> ReadByKey[K, T]:
        """As in `TableCache`; it wants `look`."""
        del fetch
        assert look is not None

        def load(key: K, options: ReadOptions) -> Fetched[T]:
            return self._load_seen(key, look, options)

        return reading(self, load)

    def read_many(
        self,
        keys: Iterable[K],
        fetch: Callable[[list[K]], Success[dict[K, T]] | Failure[E]],
        look: Look[list[K]] | None = None,
        options: ReadOptions = PLAIN,
    ) -> Success[dict[K, T]] | Failure[E]:
        """As in `TableCache`; without `look` nothing is cached."""
        if look is None:
            return fetch(list(keys))
        entities, missing = kept(self, keys, options)
        for latest in _FRESH if options.fresh else self._tries:
            if not missing:
                break
            seen = self._look_many(missing, look, options, latest=latest)
            if isinstance(seen, Failure):
                # Its errors are those of `fetch`.
                return self.resilience.many(entities, missing, seen, options)  # type: ignore[arg-type]
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
        xid += self._lift
        if keys is None or len(keys) > _KEYS_MAX:
            self.l1.announce_all(xid)
            return
        for key in keys:
            self.l1.announce(key, xid)

    def begin_hearing(self, settled: int, *, renewed: bool = False) -> None:
        """Something may have been missed until now: begin with nothing.

        Args:
            settled: The latest transaction that has ended: a standby that has not come so far may
                lack what was missed.
            renewed: Whether the database may give ids again that it gave before. Whatever is read
                from now on includes all that was announced then, and is still there; what was read
                before includes nothing that is announced from now on.
        """
        if renewed:
            self._lift += _LIFT
        # No load that began before this is kept, so every snapshot is of the same life.
        self.l1.invalidate_all()
        self.l1.announce_all(settled + self._lift)

    def name(self, key: K) -> str:
        """The name of a key in L2.

        Raises:
            ValueError: No row can have the key.
        """
        name = l2_name(self.beginning, self.table, key)
        return name if self.member is None else self.member.in_history(name)

    def _load_seen(self, key: K, look: Look[K], options: ReadOptions) -> Fetched[T]:
        token = self.l1.begin(key)
        lease: Lease | None = None
        for latest in _FRESH if options.fresh else self._tries:
            load = self._begin(key)
            if latest is self._tries[0] and load.spot is not None and not options.fresh:
                asked = self._shared(key, load.spot, load.token, options)
                if asked.found is not None:
                    return asked.found
                lease = asked.lease
                if asked.waited:
                    load = self._begin(key)
            token = load.token
            found = look(key, latest=latest)
            rows = found.unwrap() if isinstance(found, Success) else []
            is_kept = bool(rows) and self._fill_l1_seen(key, rows[0], load, options)
            # What this process's own floor refuses must not reach the others by way of L2.
            is_shared = is_kept and self._fill_l2_seen([(rows[0], load)], options)
            if self.leases is not None and lease is not None and not is_shared:
                self.leases.give_up(lease)
            if isinstance(found, Failure):
                return found
            if is_kept or (rows and not rows[0].standby):
                return Success(rows[0].row)
        failure = no_row(self.table)
        self.resilience.failed(key, failure, token)
        return failure

    def _look_many(
        self, keys: list[K], look: Look[list[K]], options: ReadOptions, *, latest: bool
    ) -> Fetched[tuple[dict[K, T], list[K]]]:
        """The entities of keys, and the keys of those that a standby may not have in full."""
        loads = {key: self._begin(key) for key in keys}
        may_share = latest is self._tries[0] and not options.fresh
        entities = self._many_shared(loads, options) if may_share else {}
        missing = [key for key in keys if key not in entities]
        if not missing:
            return Success((entities, []))
        found = look(missing, latest=latest)
        if isinstance(found, Failure):
            return found
        by_key = {self.table.key_of(seen.row): seen for seen in found.unwrap()}
        again: list[K] = []
        keeping: list[tuple[Seen, _Load]] = []
        for key in missing:
            seen, load = by_key.get(key), loads[key]
            if seen is None:
                again.append(key)
                if latest:
                    self.resilience.failed(key, no_row(self.table), load.token)
                continue
            is_kept = self._fill_l1_seen(key, seen, load, options)
            if is_kept:
                keeping.append((seen, load))
            if is_kept or not seen.standby or latest:
                entities[key] = seen.row
            else:
                again.append(key)
        self._fill_l2_seen(keeping, options)
        return Success((entities, [] if latest else again))

    def _begin(self, key: K) -> _Load:
        """Before a read: what it is judged by."""
        token, began_s = self.l1.begin(key), time.monotonic()
        return _Load(token, began_s, wall_ms(), self._spot(key))

    def _fill_l1_seen(self, key: K, seen: Seen, load: _Load, options: ReadOptions) -> bool:
        """Keep what was read in L1; whether it includes all that was announced."""
        took_s = time.monotonic() - load.began_s
        rest_s = (options.ttl_s or self.strategy.ttl_s) - took_s
        # A key that the database takes for the same as another is announced as that other.
        if rest_s < TTL_S_MIN or self.table.key_of(seen.row) != key:
            return False
        return self.l1.fill(
            key,
            Success(seen.row),
            load.token,
            ttl_s=rest_s,
            snapshot=lifted(seen.snapshot, self._lift),
            standby=seen.standby,
            early_s=early_s(self.strategy, rest_s, took_s),
        )

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

    def _shared(self, key: K, spot: Spot, token: int, options: ReadOptions) -> Asked[Success[T]]:
        assert self._floors is not None
        fingerprint, ttl_s = self.table.fingerprint, self.strategy.ttl_s
        asked = self._floors.ask(self.leases, spot, fingerprint, self._decode, ttl_s)
        found = asked.found
        hit = None if found is None else self._taken(key, found, token, options)
        return Asked(hit, asked.lease, asked.waited)

    def _many_shared(self, loads: dict[K, _Load], options: ReadOptions) -> dict[K, T]:
        """What L2 has of keys whose loads have begun."""
        spots = [(key, load, load.spot) for key, load in loads.items() if load.spot is not None]
        if self._floors is None or not spots:
            return {}
        fingerprint, ttl_s = self.table.fingerprint, self.strategy.ttl_s
        asked = [spot for _, _, spot in spots]
        entities: dict[K, T] = {}
        for (key, load, _), found in zip(
            spots, self._floors.get_many(asked, fingerprint, self._decode, ttl_s), strict=True
        ):
            hit = None if found is None else self._taken(key, found, load.token, options)
            if hit is not None:
                entities[key] = hit.unwrap()
        return entities

    def _taken(self, key: K, found: Found, token: int, options: ReadOptions) -> Success[T] | None:
        """A value of L2, if this process's own floor lets it in."""
        hit: Success[T] = Success(found.entity)
        try:
            kept = self.l1.fill(
                key,
                hit,
                token,
                ttl_s=min(found.rest_s, options.ttl_s or found.rest_s),
                snapshot=lifted(found.snapshot, self._lift),
                standby=found.standby,
            )
        except ValueError:
            # Not PostgreSQL's form: nobody of ours wrote it.
            return None
        return hit if kept else None

    def _fill_l2_seen(self, kept: Sequence[tuple[Seen, _Load]], options: ReadOptions) -> bool:
        """Keep rows in L2 that L1 has accepted; whether one was sent."""
        floors = self._floors
        if floors is None:
            return False
        now_s = time.monotonic()
        fills: list[tuple[Spot, bytes]] = []
        payload_bytes: list[int] = []
        for seen, load in kept:
            if load.spot is None or now_s - load.began_s > FILL_AGE_S_MAX:
                continue
            # JSON holds integers that MessagePack does not; such an entity lives in L1 only.
            with suppress(TypeError, ValueError, OverflowError, msgspec.MsgspecError):
                payload = self._encode(seen.row)
                value = floors.value(
                    load.spot,
                    payload,
                    fingerprint=self.table.fingerprint,
                    read_at_ms=load.began_at_ms,
                    snapshot=seen.snapshot,
                    standby=seen.standby,
                )
                fills.append((load.spot, value))
                payload_bytes.append(len(payload))
        if fills:
            floors.fill_many(fills, options.ttl_s or self.strategy.ttl_s, payload_bytes)
        return bool(fills)
