"""Who may read L2: a process that has heard everything, or was told by one that has.

A new process never heard the past. It asks, in the same queue as the announcements, and whoever
trusts L2 answers when everything before the question has been passed on. If nobody trusts it any
more, which a mark tells that expires, the newcomer moves the table to another epoch. What is heard
is passed on to L2 in order, by a thread of its own, for Redis may be slow; until L2 has it, this
process's own floor keeps it right. Who falls too far behind begins anew.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tierline.cache.floors import FloorTier

_WAITING_MAX = 100_000
_WAITING_S_MAX = 20.0
_RETRY_S = 0.1
_JOIN_POLL_S = 0.02
# Between two looks at what was heard: passing on each change by itself would take turns with the
# thread that writes.
_REST_S = 0.002
_THREAD_S = 2.0
_ASK_AGAIN = 2


class _Change(NamedTuple):
    """Heard at a time, and not yet passed on; `names` is None for the whole table."""

    heard_s: float
    names: Sequence[str] | None
    xid: int


class _Question(NamedTuple):
    newcomer: str


class Member:
    """This process's part in the L2 of one table.

    Attributes:
        table: The table's name in L2.
        history: Which life of the database it hears of; what L2 has of others is never looked at.
        epoch: The epoch that it trusts; None for none.
        turn: The last transaction that changed the whole table.
        is_ready: Whether the table announces its changes.
    """

    def __init__(self, table: str, history: str = "") -> None:
        self.table = table
        self.history = history
        self.epoch: str | None = None
        self.turn = 0
        self.has_turned = False
        self.is_ready = False
        self.waiting: deque[_Change | _Question] = deque()
        self.lock = threading.Lock()
        self.begin()

    def in_history(self, name: str) -> str:
        """A name of L2 as it is called in this life of the database."""
        return f"{self.history}/{name}"

    @property
    def place(self) -> str:
        """Where L2 keeps what concerns the whole table."""
        return self.in_history(self.table)

    def begin(self, *, missed: bool = True, history: str | None = None) -> None:
        """Trust nothing, and ask anew.

        Args:
            missed: Whether announcements may have been missed, turns among them.
            history: Which life of the database it hears of from now on; None for the same.
        """
        with self.lock:
            if history is not None:
                self.history = history
            self.epoch = None
            self.newcomer = secrets.token_hex(8)
            self.asked_s = 0.0
            if missed:
                self.has_turned = False
            self.waiting.clear()


class Membership:
    """The members of one store, and the thread that speaks with Redis for them.

    Args:
        floors: L2.
        max_staleness_s: How long a mark of trust lives.
        ask: Announces, behind everything else, that a newcomer asks about tables.
        is_settled: Whether an announced transaction has ended.
    """

    def __init__(
        self,
        floors: FloorTier,
        max_staleness_s: float,
        ask: Callable[[str], bool],
        is_settled: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._is_settled = is_settled
        self._floors = floors
        self._max_staleness_s = max_staleness_s
        self._ask = ask
        self._members: dict[str, Member] = {}
        self._history = ""
        self._is_listening = False
        self._closed = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def member(self, table: str) -> Member:
        """The member for a table."""
        found = self._members.get(table)
        if found is None:
            self._members = {**self._members, table: (found := Member(table, self._history))}
            self._woken.set()
        return found

    def listening(self, history: str) -> None:
        """What was announced before now may have been missed.

        Args:
            history: Which life of the database is heard of from now on.
        """
        self._history = history
        for member in self._members.values():
            member.begin(history=history)
        self._is_listening = True
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="tierline-l2", daemon=True)
            self._thread.start()
        self._woken.set()

    def ready(self, member: Member, *, is_ready: bool) -> None:
        """A table announces its changes from now on, or does so no longer."""
        member.begin()
        member.is_ready = is_ready
        self._woken.set()

    def heard(self, member: Member, names: Sequence[str] | None, xid: int) -> None:
        """A transaction changed rows of a table."""
        if not member.is_ready:
            # Who becomes ready asks then, and what was before the question is a witness's to tell.
            return
        with member.lock:
            if names is None:
                member.turn, member.has_turned = xid, True
            member.waiting.append(_Change(time.monotonic(), names, xid))
        self._woken.set()

    def asked(self, newcomer: str) -> None:
        """A newcomer asks."""
        for member in self._members.values():
            with member.lock:
                if member.newcomer != newcomer:
                    member.waiting.append(_Question(newcomer))
        self._woken.set()

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_THREAD_S)

    def _run(self) -> None:
        beat_s = self._max_staleness_s / 4
        next_s = 0.0
        while not self._closed:
            joining = False
            well = True
            is_due = time.monotonic() >= next_s
            for member in tuple(self._members.values()):
                if member.epoch is None:
                    joining |= not self._joined(member)
                else:
                    well &= self._pass_on(member)
                    if is_due:
                        self._say(member)
            if is_due:
                next_s = time.monotonic() + beat_s
            wait_s = _JOIN_POLL_S if joining else beat_s if well else _RETRY_S
            self._woken.wait(max(0.001, min(wait_s, next_s - time.monotonic())))
            time.sleep(_REST_S)
            self._woken.clear()

    def _joined(self, member: Member) -> bool:
        """Try to trust L2."""
        if not (self._is_listening and member.is_ready):
            # Nothing to hurry for; who listens, or is ready, wakes this thread.
            return True
        with member.lock:
            newcomer, place = member.newcomer, member.place
        now_s = time.monotonic()
        if now_s - member.asked_s > _ASK_AGAIN * self._max_staleness_s:
            # Whoever was to answer may have begun anew itself, and forgotten the question.
            if not self._ask(newcomer):
                return False
            member.asked_s = now_s
        found = self._floors.join(place, newcomer, secrets.token_hex(4), self._max_staleness_s)
        if found is None or not found[0]:
            self._shed(member)
            return False
        with member.lock:
            # If it began to listen anew meanwhile, the answer was to another question.
            if member.newcomer != newcomer:
                return False
            if not member.has_turned:
                member.turn = found[1]
            member.epoch = found[0]
        return True

    def _pass_on(self, member: Member) -> bool:
        """Tell L2 what was heard, in order; whether all of it was told."""
        while True:
            with member.lock:
                if not member.waiting:
                    return True
                # Of one life of the database, all three.
                epoch, place, first = member.epoch, member.place, member.waiting[0]
            if epoch is None:
                return False
            if isinstance(first, _Question):
                done = self._floors.answer(place, first.newcomer, epoch, _WAITING_S_MAX)
            elif first.names is None:
                if not self._is_settled(first.xid):
                    # A newcomer that is told of the turn has not heard the transaction, and could
                    # fill there what lacks it.
                    self._shed(member)
                    return False
                done = self._floors.turn(place, first.xid)
            else:
                done = self._raise_all(member, epoch, first.names, first.xid)
            if done is None:
                self._shed(member)
                return False
            with member.lock:
                if member.waiting and member.waiting[0] is first:
                    member.waiting.popleft()

    def _raise_all(self, member: Member, epoch: str, names: Sequence[str], xid: int) -> bool | None:
        for name in names:
            spot = self._floors.spot(name, epoch, member.turn)
            if spot is None or self._floors.raise_floor(spot, [xid]) is None:
                return None
        return True

    def _say(self, member: Member) -> None:
        """Let others know that this process trusts L2, and hear if it is another by now."""
        with member.lock:
            epoch, place = member.epoch, member.place
        if epoch is not None:
            told = self._floors.trust(place, epoch, self._max_staleness_s)
            if told is False:
                member.begin(missed=False)

    def _shed(self, member: Member) -> None:
        """Begin anew if too much waits for Redis, or for too long."""
        with member.lock:
            changes = (one for one in member.waiting if isinstance(one, _Change))
            oldest = next(changes, None)
            late = oldest is not None and time.monotonic() - oldest.heard_s > _WAITING_S_MAX
            is_behind = late or len(member.waiting) > _WAITING_MAX
        if is_behind:
            member.begin(missed=False)
