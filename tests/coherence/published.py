"""A model of announcements through Redis: made before COMMIT, heard on a line that may be cut.

One key of one table. Two transactions change it and may commit in either order, as two do of which
one is announced as "any row". A writer publishes its transaction, then commits, or aborts, which is
also what its death is. There is no second message.

Two processes, alike, have an L1 each and share an L2 in the same Redis. Messages reach who is
subscribed, in order, one line a process. A line may be cut, with what is on its way, and Redis may
start anew: then all lines are cut, and what it kept is gone or old. Who subscribes again begins as
a new process would.

A heartbeat is answered on the line of the messages, behind them. What had been committed when it
was sent is *proved*: the horizon is that moment and the bound, so within the bound a process may
serve what lacks later transactions, and never what lacks a proved one.

What may never be:

- *proved but stale*: a process would serve, from L1 or L2, what lacks a proved transaction;
- *stale at rest*: nothing is on its way, and L2 holds what is not latest.

A value is the set of transactions that had ended in the snapshot it was read under, and where L2
would keep it; sets of transactions are bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

GUARDS = (
    "changes are announced before COMMIT",
    "who listens again begins with nothing",
    "loads from before are refused",
    "floors begin with what runs",
    "heartbeats come behind the messages",
    "floors hold every transaction",
    "L1 refuses fills",
    "L1 drops what is announced",
    "L2 refuses fills",
    "frames are checked",
    "what is heard is passed on",
    "newcomers wait for a witness",
)

_NONE, _OPEN, _TOLD, _LATE, _COMMITTED, _ABORTED = range(6)
_IDLE, _READ, _FILLING_L2 = range(3)
# A heartbeat on its way, with what had been committed when it was sent.
_BEAT = 4


class Value(NamedTuple):
    """What a read found, and where L2 would keep it."""

    ended: int
    epoch: int


class Process(NamedTuple):
    """One process.

    Attributes:
        l1: What its memory holds.
        floor: What it has heard.
        inbox: What is on its way to it, in order; a heartbeat is 4 and what was committed.
        unpassed: Heard, and L2 not told of it.
        listens: Whether its line stands.
        trusts: Whether it reads L2.
        proved: What had been committed when the last answered heartbeat was sent.
        step: What its reader does next.
        held: What its reader has in hand.
    """

    l1: Value | None
    floor: int
    inbox: tuple[int, ...]
    unpassed: int
    listens: bool
    trusts: bool
    proved: int
    step: int
    held: Value | None


class State(NamedTuple):
    """Everything at one moment."""

    writers: tuple[int, int]
    l2: Value | None
    l2_floor: int
    epoch: int
    faults: int
    one: Process
    two: Process


_FRESH = Process(None, 0, (), 0, True, True, 0, _IDLE, None)


class Published:
    """The steps that can be made, perhaps with a guard taken out."""

    def __init__(self, without: str | None = None) -> None:
        assert without is None or without in GUARDS
        missing = [guard == without for guard in GUARDS]
        (self.late, self.kept, self.no_token, self.no_running, self.early_beats, self.last_only,
         self.no_l1_refusal, self.no_l1_drop, self.no_l2_refusal, self.no_check, self.no_passing,
         self.no_witness) = missing  # fmt: skip

    def steps(self, state: State) -> Iterator[State]:
        """Every state that may come next."""
        yield from self._writing(state)
        for me, other in ((state.one, state.two), (state.two, state.one)):
            yield from self._hearing(state, me, other)
            yield from self._reading(state, me, other)
            if not me.trusts:
                yield from self._joining(state, me, other)
        if state.faults:
            yield from self._breaking(state)

    def wrong(self, state: State) -> str | None:
        """What may not be, if it is."""
        committed = _in(state, _COMMITTED, _LATE)
        at_rest = _LATE not in state.writers
        for me in (state.one, state.two):
            if me.l1 is not None and me.proved & ~me.l1.ended:
                return "proved but stale in L1"
            asks_l2 = me.step == _IDLE and me.l1 is None and self._reads(state.l2, me)
            if asks_l2 and state.l2 is not None and me.proved & ~state.l2.ended:
                return "proved but stale in L2"
            at_rest &= me.listens and me.trusts and not me.inbox and not me.unpassed
            at_rest &= me.step == _IDLE
        if at_rest and state.l2 is not None and committed & ~state.l2.ended:
            return "stale at rest"
        return None

    def _writing(self, state: State) -> Iterator[State]:
        for index in (0, 1):
            mine, xid = state.writers[index], index + 1

            def to(step: int, index: int = index) -> State:
                first, second = state.writers
                return state._replace(writers=(step, second) if index == 0 else (first, step))

            if mine == _NONE:
                yield to(_OPEN)
            elif mine == _OPEN:
                yield to(_TOLD) if self.late else _published(to(_TOLD), xid)
            elif mine == _TOLD:
                if index == 0:
                    yield to(_ABORTED)
                yield to(_LATE if self.late else _COMMITTED)
            elif mine == _LATE:
                yield _published(to(_COMMITTED), xid)

    def _hearing(self, state: State, me: Process, other: Process) -> Iterator[State]:
        if not me.listens:
            running = 0 if self.no_running else _in(state, _OPEN, _TOLD)
            voided = me.step == _READ and not self.no_token
            yield _with(
                state,
                me._replace(
                    l1=me.l1 if self.kept else None,
                    floor=running,
                    unpassed=0,
                    listens=True,
                    trusts=self.no_witness,
                    step=_IDLE if voided else me.step,
                    held=None if voided else me.held,
                ),
                other,
            )
            return
        committed = _in(state, _COMMITTED, _LATE)
        if self.early_beats:
            yield _with(state, me._replace(proved=me.proved | committed), other)
        elif committed & ~me.proved and all(message < _BEAT for message in me.inbox):
            # One that would prove nothing new is left out.
            yield _with(state, me._replace(inbox=(*me.inbox, _BEAT | committed)), other)
        if me.inbox:
            first, rest = me.inbox[0], me.inbox[1:]
            if first >= _BEAT:
                proved = me.proved | (first & 3)
                yield _with(state, me._replace(inbox=rest, proved=proved), other)
            else:
                l1 = me.l1 if me.l1 is None or self.no_l1_drop or me.l1.ended & first else None
                floor = first if self.last_only else me.floor | first
                heard = me._replace(l1=l1, floor=floor, inbox=rest, unpassed=me.unpassed | first)
                yield _with(state, heard, other)
        for xid in (1, 2):
            if me.trusts and me.unpassed & xid:
                passed = _with(state, me._replace(unpassed=me.unpassed & ~xid), other)
                yield passed if self.no_passing else self._raised(passed, xid)

    def _raised(self, state: State, xid: int) -> State:
        l2 = state.l2 if state.l2 is not None and state.l2.ended & xid else None
        return state._replace(l2=l2, l2_floor=xid if self.last_only else state.l2_floor | xid)

    def _joining(self, state: State, me: Process, other: Process) -> Iterator[State]:
        joined = me._replace(trusts=True)
        if not other.trusts:
            # Nobody trusts L2 any more, so it moves to where nothing is.
            yield _with(state._replace(l2=None, epoch=state.epoch + 1), joined, other)
        elif me.listens and other.listens and not other.inbox and not other.unpassed:
            yield _with(state, joined, other)

    def _reading(self, state: State, me: Process, other: Process) -> Iterator[State]:
        held = me.held
        if me.step == _IDLE:
            if me.l1 is not None:
                yield _with(state, me._replace(l1=None), other)
                return
            if state.l2 is not None and self._reads(state.l2, me):
                yield _with(state, me._replace(step=_READ, held=state.l2), other)
            # Who does not trust L2 has nowhere to fill it.
            found = Value(_in(state, _COMMITTED, _LATE, _ABORTED), state.epoch if me.trusts else -1)
            yield _with(state, me._replace(step=_READ, held=found), other)
        elif me.step == _READ and held is not None:
            fits = self.no_l1_refusal or not me.floor & ~held.ended
            after = me._replace(step=_FILLING_L2, l1=held) if fits else me._replace(step=_IDLE)
            yield _with(state, after if fits else after._replace(held=None), other)
        elif held is not None:
            fits = self.no_l2_refusal or not state.l2_floor & ~held.ended
            here = held.epoch == state.epoch
            filled = state._replace(l2=held) if fits and here else state
            yield _with(filled, me._replace(step=_IDLE, held=None), other)

    def _breaking(self, state: State) -> Iterator[State]:
        state = state._replace(faults=state.faults - 1)
        for me, other in ((state.one, state.two), (state.two, state.one)):
            if me.listens:
                yield _with(state, _cut(me), other)
        one, two = _cut(state.one), _cut(state.two)
        # It comes back empty, or from an old dump: a value from before everything, and no floor.
        yield state._replace(l2=Value(0, state.epoch), l2_floor=0, one=one, two=two)
        one, two = one._replace(trusts=False), two._replace(trusts=False)
        yield state._replace(l2=None, l2_floor=0, epoch=state.epoch + 1, one=one, two=two)

    def _reads(self, value: Value | None, me: Process) -> bool:
        """Whether L2 serves a value to a process."""
        if value is None or not me.trusts:
            return False
        return self.no_check or not me.floor & ~value.ended


def _in(state: State, *steps: int) -> int:
    """The transactions that are at one of these steps."""
    first, second = state.writers
    return (first in steps) * 1 | (second in steps) * 2


def _published(state: State, xid: int) -> State:
    def told(me: Process) -> Process:
        return me._replace(inbox=(*me.inbox, xid)) if me.listens else me

    return state._replace(one=told(state.one), two=told(state.two))


def _cut(me: Process) -> Process:
    return me._replace(listens=False, inbox=())


def _with(state: State, me: Process, other: Process) -> State:
    """The state with these processes, in the one order that stands for both."""
    if _rank(me) > _rank(other):
        me, other = other, me
    return State(*state[:5], me, other)


def _rank(me: Process) -> tuple[object, ...]:
    return (me[1:8], me.l1 is not None, me.l1 or (), me.held is not None, me.held or ())


def explore(
    without: str | None = None, *, writers: int = 2, faults: int = 0, most: float = math.inf
) -> tuple[int, str | None]:
    """Try everything, the shortest ways first: how many states there are, and what is wrong.

    Args:
        without: A guard that is taken out.
        writers: How many of the two transactions there are.
        faults: How often a line is cut, or Redis starts anew.
        most: How many states are enough.
    """
    protocol = Published(without)
    start = State((_NONE, _NONE if writers > 1 else _ABORTED), None, 0, 0, faults, _FRESH, _FRESH)
    seen = {start}
    edge = [start]
    while edge and len(seen) < most:
        beyond: list[State] = []
        for state in edge:
            wrong = protocol.wrong(state)
            if wrong is not None:
                return len(seen), wrong
            for found in protocol.steps(state):
                if found not in seen:
                    seen.add(found)
                    beyond.append(found)
        edge = beyond
    return len(seen), None
