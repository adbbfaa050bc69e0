"""Caches that hear, through Redis, what the library's own writers announce before they commit.

One announcement suffices, made between the write and COMMIT. Until the transaction ends no snapshot
has it settled, so nothing is kept of what it changes; once it has ended, by COMMIT or not, new
snapshots settle it by themselves. A writer that dies in between leaves nothing to be told.

What is heard may stay *unsettled* for long: a COMMIT may wait for a standby, a transaction may be
prepared. Until a snapshot has shown its end it is announced again to the caches before they forget
it, and who begins to listen begins with all that runs.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tierline.cache.announcements import Announcement, read_announcement
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.cache.redis import RedisTier
from tierline.cache.redis_calls import Script
from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_limits import LIMIT_S
from tierline.cache.written import Written
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import ConnectionError, RepositoryError  # noqa: A004
from tierline.query.readings import RowChange
from tierline.sql.running import Ended

KEYS_MAX = 1_000
"""The most keys of one message; more are announced as any."""

ANYTHING = b"!"
"""Anything may have changed."""

_Said: TypeAlias = tuple[tuple[str, str], int]

# Well within the time for which caches and floors remember what they were told.
_AGAIN_S = 15.0
_OWN_MAX = 10_000
_OWED_MAX = 10_000
# A result of a query is dropped once what changed it has ended, so that is asked for soon.
_HURRY_S_MIN = 0.01
_HURRY_FACTOR = 2.0


# Many at once; said twice they are as good as once.
_PUBLISH = Script(
    """
for _, message in ipairs(ARGV) do redis.call('PUBLISH', KEYS[1], message) end
return #ARGV
"""
)


class _Heard(NamedTuple):
    announcement: Announcement
    told_s: float


class PublishedCaches(HearingCaches):
    """Every cache of a store whose writers announce through Redis.

    Args:
        l2: The store's L2, and what the announcements go through.
        schema: The schema that tables without one lie in.
        channel: Where they are published.
        has_standbys: Whether reads may be answered by a server that lags behind.
        refuses: Whether what cannot be announced is not to be committed.

    Attributes:
        channel: Where they are published.
        hurry_s: In how many seconds a heartbeat is due, after which it is asked what has ended.
        wake: Asks for a heartbeat.
    """

    announces = True

    def __init__(
        self, l2: RedisTier, schema: str, channel: str, *, has_standbys: bool, refuses: bool
    ) -> None:
        super().__init__(l2, schema, lambda: None, has_standbys=has_standbys)
        self._redis = l2
        self.channel = channel
        self._refuses = refuses
        self._guard = threading.Lock()
        self._unsettled: dict[int, list[_Heard]] = {}
        self._running: tuple[int, ...] = ()
        self._running_told_s = 0.0
        self.hurry_s = math.inf
        # What this store has announced, and of how many writes its own results of queries, which
        # are told more exactly, are still to be told.
        self._said: dict[_Said, int] = {}
        self._owed: dict[bytes, None] = {}
        self.wake: Callable[[], None] = lambda: None

    def announce(self, written: Iterable[Written], xid: int) -> RepositoryError | None:
        """Tell everybody, before COMMIT, what a transaction changes; why it must not commit."""
        messages: dict[bytes, None] = {}
        said: Counter[_Said] = Counter()
        for rows in written:
            messages[self._message(rows, xid)] = None
            said[self.place(rows.table), xid] += 1
        if not messages:
            return None
        with self._guard:
            # Before anybody can hear it, this store's own listener for one.
            self._said |= said
            while len(self._said) > _OWN_MAX:
                del self._said[next(iter(self._said))]
        if self._publish(list(messages)):
            return None
        with self._guard:
            for one in said:
                self._said.pop(one, None)
        if not self._refuses:
            return None
        return ConnectionError(
            "rolled back: Redis did not take the announcement of the change, so others could "
            "have gone on serving what was before it; try again, or open the store with "
            'unannounced_writes="commit"',
            operation="announce",
        )

    def doubt(self, xid: int) -> None:
        """See `Caches`: its results go as everybody's do, when it is known to have ended."""
        with self._guard:
            for one in [one for one in self._said if one[1] == xid]:
                del self._said[one]

    def ask(self, newcomer: str) -> bool:
        """Ask, behind everything announced, to be told when it has been passed on."""
        return self._publish([b"?" + newcomer.encode()])

    def begin_listening(self, ended: Ended) -> None:
        """It listens from now on; what had ended by then, and what runs and may be announced."""
        with self._guard:
            self._unsettled.clear()
            self._running, self._running_told_s = ended.running, time.monotonic()
        self.hurry_s = _HURRY_S_MIN if ended.running else math.inf
        self.begin_hearing(ended.latest, ended.history)
        for cache in self.hearing():
            self._tell_running(cache)

    def listen(self, message: bytes) -> bool:
        """What was published; False if it cannot be read."""
        if message[:1] == b"?":
            if self.shared is not None:
                self.shared.membership.asked(message[1:].decode(errors="replace"))
            return True
        announcement = None if message == ANYTHING else read_announcement(message)
        if announcement is None:
            return False
        heard = _Heard(announcement, time.monotonic())
        with self._guard:
            self._unsettled.setdefault(announcement.xid, []).append(heard)
        self.hear(announcement)
        place = (announcement.schema, announcement.name)
        is_any = announcement.deleted or bytes(announcement.keys) == b"null"
        if is_any or self.queries.reads_at(place):
            # Results of queries, and L2's whole tables, wait for its end.
            self.hurry_s = _HURRY_S_MIN
        return True

    def is_settled(self, xid: int) -> bool:
        """Whether an announced transaction is known to have ended."""
        return xid not in self._unsettled and xid not in self._running

    @property
    def asks(self) -> bool:
        """Whether it matters what has ended by now."""
        return bool(self._unsettled or self._running)

    def look_back(self, ended: Ended | None) -> None:
        """What had ended when all was heard that a heartbeat proves; None if that cannot be told.

        What is heard between the question and the answer to the heartbeat may have ended before
        both: who asked earlier would not know that it concerns a result.
        """
        now_s = time.monotonic()
        with self._guard:
            over = [] if ended is None else self._take_ended(ended)
            gone = [] if ended is None else self._take_gone(ended)
            again = self._take_old(now_s)
        if ended is None or gone:
            # The horizon of results moves on, so none may wait for what cannot be told; nor is it
            # known which of them lack what was announced before this process listened.
            self.queries.clear()
        for cache in self.hearing() if gone else ():
            # As below, those who have not stood still lose nothing by it.
            for xid in gone:
                cache.announce(None, xid)
        for one in over:
            # A result that was read since it was heard may still lack it.
            self._drop_results(one.announcement)
            if now_s - one.told_s > 2 * _AGAIN_S:
                # This process stood still; by now the caches may have forgotten it.
                again.append(one)
        for one in again:
            self.hear(one.announcement)
        if self._running and now_s - self._running_told_s > _AGAIN_S:
            self._running_told_s = now_s
            for cache in self.hearing():
                self._tell_running(cache)
        if not self.asks:
            self.hurry_s = math.inf

    def hurry(self) -> float:
        """In how many seconds the next heartbeat is due, each time in more of them."""
        self.hurry_s *= _HURRY_FACTOR
        return self.hurry_s

    def _take_gone(self, ended: Ended) -> list[int]:
        """Forget what ran when it began to listen and has ended; what that is."""
        gone = [xid for xid in self._running if ended.has(xid)]
        self._running = tuple(xid for xid in self._running if xid not in gone)
        return gone

    def _take_ended(self, ended: Ended) -> list[_Heard]:
        """Forget what was heard of and has ended; what that is."""
        done = [xid for xid in self._unsettled if ended.has(xid)]
        return [one for xid in done for one in self._unsettled.pop(xid)]

    def _take_old(self, now_s: float) -> list[_Heard]:
        """What the caches must be told again before they forget it."""
        old: list[_Heard] = []
        for xid, heard in self._unsettled.items():
            if now_s - heard[0].told_s > _AGAIN_S:
                old += heard
                self._unsettled[xid] = [one._replace(told_s=now_s) for one in heard]
        return old

    def pay(self) -> bool:
        """Announce what was committed without it; whether nothing is left."""
        while self._owed:
            with self._guard:
                batch = list(itertools.islice(self._owed, KEYS_MAX))
            if not self._publish(batch):
                return False
            with self._guard:
                for message in batch:
                    self._owed.pop(message, None)
        return True

    def _results_heard(self, announcement: Announcement) -> None:
        """They are dropped when it has ended, and not before."""

    def hear(self, announcement: Announcement) -> None:
        """A transaction changes rows, and perhaps others that refer to them."""
        super().hear(announcement)
        if not announcement.deleted:
            return
        told: set[str] = set()
        for cache in self.dependents_at((announcement.schema, announcement.name)):
            if not isinstance(cache, HearingCache):
                continue
            cache.announce(None, announcement.xid)
            member = cache.member
            if self.shared is not None and member is not None and member.table not in told:
                told.add(member.table)
                self.shared.membership.heard(member, None, announcement.xid)

    def set_announcing(self, cache: HearingCache[Any, Any], *, announcing: bool) -> None:
        """See `HearingCaches`; what is unsettled is new to a new cache."""
        begins = announcing and not cache.announcing
        super().set_announcing(cache, announcing=announcing)
        if begins:
            self._tell_running(cache)

    def invalidate(
        self,
        table: Table[Any, Any],
        keys: Sequence[Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """As in `HearingCaches`; what was not announced before is announced now."""
        super().invalidate(table, keys, deleted=deleted, changes=changes, xid=xid)
        self._owe(Written(table, tuple(keys), deleted, None), xid)

    def invalidate_table(
        self,
        table: Table[Any, Any],
        *,
        deleted: bool = False,
        changes: Sequence[RowChange] | None = None,
        xid: int | None = None,
    ) -> None:
        """As `invalidate`."""
        super().invalidate_table(table, deleted=deleted, changes=changes, xid=xid)
        self._owe(Written(table, None, deleted, None), xid)

    def _owe(self, written: Written, xid: int | None) -> None:
        if xid is None:
            return
        said = self.place(written.table), xid
        with self._guard:
            if said in self._said:
                self._said[said] -= 1
                return
        message = self._message(written, xid)
        with self._guard:
            if len(self._owed) >= _OWED_MAX:
                self._owed = {ANYTHING: None}
            self._owed[message] = None
        self.wake()

    def _message(self, written: Written, xid: int) -> bytes:
        table = written.table
        schema, name = self.place(table)
        keys = None
        if written.keys is not None and len(written.keys) <= KEYS_MAX:
            keys = _values(table, written.keys)
        told = False
        return msgspec.json.encode([schema, name, table.key, xid, keys, told, written.deleted])

    def _publish(self, messages: Sequence[bytes]) -> bool:
        client, channel = self._redis.client, self.channel
        try:
            if len(messages) == 1:
                client.execute("PUBLISH", channel, messages[0], key=channel)
            else:
                client.run(_PUBLISH, [channel], messages, least_s=LIMIT_S)
        except RedisFaultError as fault:
            self._redis.failed(fault)
            return False
        return True

    def _tell_running(self, cache: HearingCache[Any, Any]) -> None:
        with self._guard:
            xids = {*self._running, *self._unsettled}
        for xid in xids:
            cache.announce(None, xid)

    def _drop_results(self, announcement: Announcement) -> None:
        place = (announcement.schema, announcement.name)
        if self._said.get((place, announcement.xid), 1) <= 0:
            # Told exactly, after COMMIT; a thread that stands still before that has not told them.
            return
        self.queries.changed_at(place)
        if announcement.deleted:
            self.queries.deleted_at(place)


def _values(table: Table[Any, Any], keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The values of keys; one that no row can have changes nothing."""
    found: list[tuple[Any, ...]] = []
    for key in keys:
        try:
            found.append(table.read_key(key))
        except BadFieldsError:
            continue
    return found
