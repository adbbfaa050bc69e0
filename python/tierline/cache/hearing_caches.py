"""Every cache of a store with a backplane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from tierline.cache.announcements import Announcement
from tierline.cache.caches import Caches
from tierline.cache.hearing import HearingCache, Horizon, Shared
from tierline.cache.own_writes import OwnWrites
from tierline.cache.query_cache import changes_of_keys
from tierline.cache.redis import RedisTier
from tierline.cache.strategy import ReadThrough
from tierline.cache.tables import TableCache
from tierline.entity import Table
from tierline.query.changes import RowChange

T = TypeVar("T")
K = TypeVar("K")

_CATCH_UP_S = 1.0


class LastWrite(NamedTuple):
    """A write's transaction.

    Attributes:
        xid: Its id, or one that it is no higher than.
        is_exact: Whether it is its own.
    """

    xid: int
    is_exact: bool


class HearingCaches(Caches):
    """Every cache of a store with a backplane.

    Args:
        l2: The store's L2.
        schema: The schema that tables without one lie in.
        take_write: The last write of this context, once; None if it is not known.
        has_standbys: Whether reads may be answered by a server that lags behind.

    Attributes:
        shared: L2 under its rules; None without it.
        own: What results of queries were told more exactly than they will hear.
        opened: Called when there is another cache.
        catch_up: Waits until everything committed has been heard, for so many seconds at most.
    """

    def __init__(
        self,
        l2: RedisTier | None,
        schema: str,
        take_write: Callable[[], LastWrite | None],
        *,
        has_standbys: bool,
    ) -> None:
        super().__init__(l2, schema)
        self._take_write = take_write
        self._has_standbys = has_standbys
        self._horizon = Horizon()
        self._settled = 0
        self._history: str | None = None
        self.own = OwnWrites()
        self.shared: Shared | None = None
        self.opened: Callable[[], None] = lambda: None
        self.catch_up: Callable[[float], bool] = lambda _: False

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

    def begin_hearing(self, settled: int, history: str) -> None:
        """See `HearingCache.begin_hearing`.

        Args:
            settled: See there.
            history: Which life of the database is heard of from now on.
        """
        renewed = self._history not in (None, history)
        self._history = history
        self._settled = settled
        self.own.clear()
        self.queries.clear()
        for cache in self.hearing():
            cache.begin_hearing(settled, renewed=renewed)

    def hear(self, announcement: Announcement) -> None:
        """A transaction changed rows."""
        # A cache that is opened from now on has not heard of it.
        self._settled = max(self._settled, announcement.xid)
        place = (announcement.schema, announcement.name)
        self._results_heard(announcement)
        told: set[str] = set()
        for cache in self.hearing():
            if self.place(cache.table) != place:
                continue
            keys = cache.hear(announcement)
            if self.shared is None or cache.member is None or cache.member.table in told:
                continue
            told.add(cache.member.table)
            self.shared.membership.heard(cache.member, _names(cache, keys), announcement.xid)

    def doubt(self, xid: int) -> None:
        """See `Caches`: what is announced of it is heard as anybody's is."""
        self.own.doubt(xid)

    def _results_heard(self, announcement: Announcement) -> None:
        """Results of queries may lack it; of one that is early, until it has ended."""
        if not announcement.early:
            self.hear_end(announcement)

    def hear_end(self, announcement: Announcement) -> None:
        """Drop results of queries that a change may concern, unless they were told exactly."""
        place = (announcement.schema, announcement.name)
        # Where no result is kept there is nothing to spare.
        if not (
            announcement.told
            and self.queries.reads_at(place)
            and self.own.spares(place, announcement.xid)
        ):
            self.queries.changed_at(place)

    def settle(self, until_s: float | None = None) -> bool:
        """Decide what has waited long enough; whether something waits on.

        Args:
            until_s: Everything announced before this monotonic time has been heard.
        """
        for place in self.own.due(until_s):
            self.queries.changed_at(place)
        return self.own.waits

    def serve_until(self, horizon_s: float) -> None:
        """Everything that matters until this monotonic time has been heard."""
        self._horizon.until_s = horizon_s
        self.queries.serve_until(horizon_s)
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
        member = cache.member
        if self.shared is not None and member is not None and member.is_ready != announcing:
            self.shared.membership.ready(member, is_ready=announcing)
        cache.announcing = announcing

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make L1 forget rows, and accept none that lacks the transaction that wrote them."""
        for cache in self.of(table):
            if cache.table.key == table.key:
                cache.l1.invalidate_many(keys)
            else:
                cache.l1.invalidate_all()
        told = changes
        if changes is None and self.queries.reads(table):
            changes = changes_of_keys(table, keys)
        self._results_changed(table, changes, deleted=deleted)
        self._written(table, keys, xid, deleted=deleted, told=bool(told))

    def invalidate_table(
        self,
        table: Table[Any, Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """Make L1 forget a table; as `invalidate`."""
        for cache in self.of(table):
            cache.l1.invalidate_all()
        self._results_changed(table, changes, deleted=deleted)
        self._written(table, None, xid, deleted=deleted, told=bool(changes))

    def _results_changed(
        self, table: Table[Any, Any], changes: Sequence[RowChange] | None, *, deleted: bool
    ) -> None:
        self.queries.changed(table, changes)
        if deleted:
            self.queries.deleted(table)

    def _written(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any] | None,
        xid: int | None,
        *,
        deleted: bool,
        told: bool,
    ) -> None:
        """This process has written, so its own floor says so before anybody tells it."""
        last = self._take_write()
        if xid is not None:
            last = LastWrite(xid, is_exact=True)
        affected = self.dependents(table) if deleted else []
        for cache in affected:
            cache.l1.invalidate_all()
        if last is None:
            return
        if last.is_exact and told:
            self.own.decided(self.place(table), last.xid)
        for cache in self.of(table):
            if isinstance(cache, HearingCache):
                cache.announce(keys if cache.table.key == table.key else None, last.xid)
        for cache in affected:
            if isinstance(cache, HearingCache):
                cache.announce(None, last.xid)
        if self.shared is not None and not last.is_exact:
            # A value of L2 may include that transaction and lack the one that wrote.
            self.catch_up(_CATCH_UP_S)

    def _make(self, table: Table[T, K], strategy: ReadThrough) -> TableCache[T, K]:
        return HearingCache(
            table,
            strategy,
            self.shared,
            self._schema,
            horizon=self._horizon,
            has_standbys=self._has_standbys,
        )


def _names(cache: HearingCache[Any, Any], keys: Sequence[Any] | None) -> list[str] | None:
    """The names in L2 of announced keys; None for any."""
    if keys is None:
        return None
    names: list[str] = []
    for key in keys:
        # A key that cannot be asked for was never cached.
        with suppress(ValueError):
            names.append(cache.name(key))
    return names
