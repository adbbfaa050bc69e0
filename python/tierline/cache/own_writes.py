"""A store hears its own writes again: which of them have been decided, and need not be heard.

Who ran a statement that tells its rows has decided by these which results of cached queries it
concerns, and notes so. The announcement of such a statement is then spared. One whose transaction
is not known may be another process's, or be heard before its own writer has decided: it waits a
moment, and at the longest until everything that was announced before is to count as heard.
`tests/coherence/own_writes.py` is the model of this.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple, TypeAlias

Place: TypeAlias = tuple[str, str]
"""A table's schema and name."""

_GRACE_S = 0.01
# Notes end with a heartbeat; these are for a listener that hears nothing.
_NOTES_MAX = 10_000
_WAITING_MAX = 10_000


class _Note:
    """How many statements of a transaction were decided, and when the last one was."""

    __slots__ = ("count", "noted_s")

    def __init__(self) -> None:
        self.count = 0
        self.noted_s = 0.0


class _Waiting(NamedTuple):
    place: Place
    xid: int
    heard_s: float


class OwnWrites:
    """The decided writes of a store, and the announcements that wait; safe between threads.

    Attributes:
        spared: How many announcements were spared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[tuple[Place, int], _Note] = {}
        self._waiting: deque[_Waiting] = deque()
        self._doubted: dict[int, None] = {}
        self.spared = 0

    def decided(self, place: Place, xid: int) -> None:
        """A statement of this store was decided by the rows that it told.

        Args:
            place: The table that it wrote.
            xid: Its transaction.
        """
        with self._lock:
            if xid in self._doubted:
                return
            note = self._notes.pop((place, xid), None) or _Note()
            note.count += 1
            note.noted_s = time.monotonic()
            self._notes[place, xid] = note
            if len(self._notes) > _NOTES_MAX:
                del self._notes[next(iter(self._notes))]

    def doubt(self, xid: int) -> None:
        """A transaction may end later than it is decided here, so nothing of it is spared.

        A result that is read between the two lacks it, and must go when it is heard.
        """
        with self._lock:
            self._doubted[xid] = None
            for key in [key for key in self._notes if key[1] == xid]:
                del self._notes[key]
            if len(self._doubted) > _NOTES_MAX:
                del self._doubted[next(iter(self._doubted))]

    def spares(self, place: Place, xid: int) -> bool:
        """Whether what a statement announced was decided here, or may yet be: then it waits."""
        with self._lock:
            if self._spares(place, xid):
                return True
            if len(self._waiting) >= _WAITING_MAX:
                return False
            self._waiting.append(_Waiting(place, xid, time.monotonic()))
            return True

    def due(self, until_s: float | None = None) -> list[Place]:
        """The tables of what has waited long enough and was not decided here.

        Args:
            until_s: Everything announced before this monotonic time has been heard: nothing waits
                any longer, and what was noted before is done with.
        """
        limit_s = time.monotonic() - _GRACE_S
        due: dict[Place, None] = {}
        with self._lock:
            while self._waiting and (until_s is not None or self._waiting[0].heard_s < limit_s):
                place, xid, _ = self._waiting.popleft()
                if not self._spares(place, xid):
                    due[place] = None
            if until_s is not None:
                # In the order of their last notes.
                for key in [*self._notes]:
                    if self._notes[key].noted_s >= until_s:
                        break
                    del self._notes[key]
        return list(due)

    @property
    def waits(self) -> bool:
        """Whether an announcement waits."""
        return bool(self._waiting)

    def clear(self) -> None:
        """Begin anew: whatever was announced has been missed, or counts as heard."""
        with self._lock:
            self._notes.clear()
            self._waiting.clear()

    def _spares(self, place: Place, xid: int) -> bool:
        note = self._notes.get((place, xid))
        if note is None:
            return False
        note.count -= 1
        if not note.count:
            del self._notes[place, xid]
        self.spared += 1
        return True
