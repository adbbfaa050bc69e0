"""What is announced before its transaction ends, as prepared ones are, and stands until it has.

Rows need little: no snapshot settles the transaction until it has ended, so nothing is kept that
lacks it. But caches forget what they were told, caches that are opened later were not told, results
of queries have no snapshot, and who begins to listen has not heard what was announced before. So
it is remembered, and behind each heartbeat the database is asked what has ended.
`tests/coherence/own_writes.py` is the model of this for results.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from tierline.cache.announcements import Announcement
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.sql.running import Ended

# Well within the time for which caches and floors remember what they were told.
_AGAIN_S = 15.0
_HEARD_MAX = 20_000
_HURRY_COUNT = 1_000
_PAUSE_S_MIN = 0.01


class _Heard(NamedTuple):
    announcement: Announcement
    told_s: float


class Early:
    """The early announcements that a store has heard; used by the listener's thread.

    `is_settled` is asked by others too.

    Args:
        caches: The store's.

    Attributes:
        due_s: When, on the monotonic clock, a heartbeat is due, after which it is asked what has
            ended; each time after a longer pause.
    """

    def __init__(self, caches: HearingCaches) -> None:
        self._caches = caches
        self._heard: dict[int, list[_Heard]] = {}
        self._count = 0
        self._before: tuple[int, ...] = ()
        self._before_told_s = 0.0
        self._pause_s = _PAUSE_S_MIN
        self.due_s = math.inf

    def begin(self, prepared: Iterable[int]) -> None:
        """It listens from now on; what is prepared may have been announced before."""
        self._heard, self._count = {}, 0
        self._before, self._before_told_s = tuple(prepared), time.monotonic()
        self._pause_s, self.due_s = _PAUSE_S_MIN, math.inf
        self._tell_all(self._before)
        self._hurry()

    def hear(self, announcement: Announcement) -> bool:
        """It was announced early; False if that is more than can be remembered."""
        if self._count >= _HEARD_MAX:
            return False
        self._count += 1
        # Before the caches: a newcomer to L2 may ask at once whether it has ended.
        heard = self._heard.setdefault(announcement.xid, [])
        heard.append(_Heard(announcement, time.monotonic()))
        self._caches.hear(announcement)
        place = (announcement.schema, announcement.name)
        is_any = bytes(announcement.keys) == b"null"
        if is_any or self._count > _HURRY_COUNT or self._caches.queries.reads_at(place):
            # Results of queries, and L2's whole tables, wait for its end.
            self._pause_s = _PAUSE_S_MIN
            self._hurry()
        return True

    def beating(self) -> None:
        """A heartbeat is about to be sent."""
        self.due_s = math.inf

    def tell(self, cache: HearingCache[Any, Any]) -> None:
        """Tell a new cache what it must not be without."""
        for xid in {*self._before, *self._heard}:
            cache.announce(None, xid)

    @property
    def asks(self) -> bool:
        """Whether it matters what has ended by now."""
        return bool(self._heard or self._before)

    def is_settled(self, xid: int) -> bool:
        """Whether a transaction that was announced is known to have ended."""
        return xid not in self._heard and xid not in self._before

    def look_back(self, ended: Ended) -> None:
        """What had ended, as the database said behind the answer to a heartbeat."""
        now_s = time.monotonic()
        gone = [xid for xid in self._before if ended.has(xid)]
        if gone:
            # It is not known which rows and results they concern, and a process that stood still
            # may have forgotten them by now.
            self._tell_all(gone)
            self._before = tuple(xid for xid in self._before if xid not in gone)
            self._caches.queries.clear()
        for xid in [xid for xid in self._heard if ended.has(xid)]:
            for one in self._heard[xid]:
                if now_s - one.told_s > _AGAIN_S:
                    self._caches.hear(one.announcement)
                self._caches.hear_end(one.announcement)
                self._count -= 1
            # Last: a newcomer to L2 may ask meanwhile.
            del self._heard[xid]
        self._tell_again(now_s)
        self._pause_s *= 2
        self._hurry()

    def _tell_again(self, now_s: float) -> None:
        """Tell the caches again what they may forget."""
        for xid, heard in self._heard.items():
            if now_s - heard[0].told_s > _AGAIN_S:
                for one in heard:
                    self._caches.hear(one.announcement)
                self._heard[xid] = [one._replace(told_s=now_s) for one in heard]
        if self._before and now_s - self._before_told_s > _AGAIN_S:
            self._before_told_s = now_s
            self._tell_all(self._before)

    def _tell_all(self, xids: Iterable[int]) -> None:
        for cache in self._caches.hearing():
            for xid in xids:
                cache.announce(None, xid)

    def _hurry(self) -> None:
        if self.asks:
            self.due_s = min(self.due_s, time.monotonic() + self._pause_s)
