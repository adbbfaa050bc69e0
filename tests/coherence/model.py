"""A model of the coherence protocol, small enough to try everything that can happen.

One key of one table. Two transactions write it, 1 and 2, whose row lock puts their commits in
order. Two processes, alike, have an L1 each and share an L2. Each step of a writer, of a process
and of the lines between them may come at any time, so every interleaving is a path through the
states here.

A value is what a read found: which transaction's row, which transactions had ended in the snapshot
of the read, and the epoch of L2 at that moment. A floor is a set of announced transactions. A
place with a floor takes, keeps and serves a value only if all of them had ended in its snapshot.

Three kinds of writers. A `library` writer puts its transaction on L2's floor before COMMIT, and
the database announces it with COMMIT; of a `foreign` writer the database alone announces; a
`published` writer has no database that announces, and tells L2 and all processes before COMMIT.
Any of them may abort, which is also what the death of its process is.

A process may start again once, with nothing in memory. It listens from then on, but does not read
L2 until one that does read L2 has heard and passed on all that there was; if there is none, it
moves L2 to another epoch, where no value is left.

With standbys a read may find what was latest at any earlier moment; of such a snapshot only what
had been committed by then counts as ended. A process that starts then begins its floor with all
that has ended, and fills L2 with nothing that its own floor refuses.

What may never be:

- *heard but stale*: a process to which everything announced was delivered serves what is not
  latest;
- *behind the library*: L2 holds a value without a transaction that a library writer has committed;
- *stale at rest*: nothing is on its way, and L2 holds what is not latest.

Sets of transactions are bits: 1, 2, and 3 for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["library", "foreign", "published"]
Mix: TypeAlias = tuple[Kind, Kind]

GUARDS = (
    "L1 refuses fills",
    "L1 drops what is announced",
    "L2 refuses fills",
    "frames are checked",
    "L2 is told before COMMIT",
    "what is heard is passed on",
    "newcomers wait for a witness",
    "newcomers find an empty epoch",
    "fills stay in their epoch",
    "floors outlive epochs",
    "published floors begin with what runs",
    "floors of who reads standbys begin with what has ended",
    "standbys' values are checked before L2 takes them",
)

MIXES: tuple[Mix, ...] = (
    ("library", "foreign"),
    ("foreign", "library"),
    ("foreign", "foreign"),
    ("library", "library"),
    ("published", "published"),
)

_NONE, _OPEN, _TOLD, _COMMITTED, _ABORTED = range(5)
_IDLE, _FILLING_L2, _FILLING_L1 = range(3)


class Value(NamedTuple):
    """What a read found."""

    version: int
    ended: int
    epoch: int


class Process(NamedTuple):
    """One process.

    Attributes:
        l1: What its memory holds.
        floor: What it has heard.
        inbox: Announcements on their way to it, in order.
        unpassed: Heard, and L2 not told of it.
        trusts: Whether it reads L2.
        starts: How often it may still start again.
        step: What its reader does next.
        held: What its reader has in hand.
    """

    l1: Value | None
    floor: int
    inbox: tuple[int, ...]
    unpassed: int
    trusts: bool
    starts: int
    step: int
    held: Value | None


class State(NamedTuple):
    """Everything at one moment; `two` is no less than `one`, for they are alike."""

    writers: tuple[int, int]
    order: tuple[int, ...]
    l2: Value | None
    l2_floor: int
    epoch: int
    one: Process
    two: Process


_FRESH = Process(None, 0, (), 0, True, 1, _IDLE, None)
START = State((_NONE, _NONE), (), None, 0, 0, _FRESH, _FRESH)


class Protocol:
    """The steps that can be made, of a mix of writers, perhaps with a guard taken out.

    Args:
        mix: The kinds of the two writers.
        without: The guard.
        standbys: Whether a read may be answered by a server that lags behind.
    """

    def __init__(self, mix: Mix, without: str | None = None, *, standbys: bool = False) -> None:
        self.mix = mix
        self.standbys = standbys
        missing = [guard == without for guard in GUARDS]
        (self.no_l1_refusal, self.no_l1_drop, self.no_l2_refusal, self.no_check, self.no_telling,
         self.no_passing, self.no_witness, self.no_empty_epoch, self.no_fill_epoch, self.no_floors,
         self.no_running, self.no_ended, self.no_early_check) = missing  # fmt: skip

    def steps(self, state: State) -> Iterator[State]:
        """Every state that may come next."""
        yield from self._writing(state)
        yield from self._living(state, state.one, state.two)
        if state.two != state.one:
            yield from self._living(state, state.two, state.one)

    def wrong(self, state: State) -> str | None:
        """What may not be, if it is."""
        latest = state.order[-1] if state.order else 0
        l2 = state.l2
        at_rest = True
        for process in (state.one, state.two):
            quiet = not process.inbox
            if quiet and process.l1 is not None and process.l1.version != latest:
                return "heard but stale in L1"
            if (
                quiet
                and l2 is not None
                and l2.version != latest
                and process.step == _IDLE
                and process.l1 is None
                and self._reads(l2, process)
            ):
                return "heard but stale in L2"
            at_rest &= quiet and not process.unpassed and process.trusts and process.step == _IDLE
        if l2 is None:
            return None
        for index, kind in enumerate(self.mix):
            done = state.writers[index] == _COMMITTED
            if kind != "foreign" and done and not l2.ended & (index + 1):
                return "behind the library"
        return "stale at rest" if at_rest and l2.version != latest else None

    def _writing(self, state: State) -> Iterator[State]:
        first, second = state.writers
        for index in (0, 1):
            mine, kind = state.writers[index], self.mix[index]
            # The second waits for the row lock of the first.
            locked = index == 1 and first in (_OPEN, _TOLD)

            def to(step: int, index: int = index) -> tuple[int, int]:
                return (step, second) if index == 0 else (first, step)

            if mine == _NONE:
                yield state._replace(writers=to(_OPEN))
            elif mine == _OPEN:
                yield state._replace(writers=to(_ABORTED))
                if not locked:
                    yield self._told(state._replace(writers=to(_TOLD)), index + 1, kind)
            elif mine == _TOLD:
                yield state._replace(writers=to(_ABORTED))
                if not locked:
                    done = state._replace(writers=to(_COMMITTED), order=(*state.order, index + 1))
                    yield done if kind == "published" else _announced(done, index + 1)

    def _told(self, state: State, xid: int, kind: Kind) -> State:
        """What a writer tells before COMMIT."""
        if kind == "foreign" or self.no_telling:
            return state
        if kind == "published":
            state = _announced(state, xid)
        return _raised(state, xid)

    def _living(self, state: State, me: Process, other: Process) -> Iterator[State]:
        if me.starts:
            running = 0
            if "published" in self.mix and not self.no_running:
                running = sum(xid for xid in (1, 2) if state.writers[xid - 1] in (_OPEN, _TOLD))
            if self.standbys and not self.no_ended:
                running |= sum(state.order)
            again = Process(None, running, (), 0, self.no_witness, me.starts - 1, _IDLE, None)
            yield _with(state, again, other)
        if not me.trusts:
            yield from self._joining(state, me, other)
        if me.inbox:
            xid = me.inbox[0]
            l1 = me.l1 if me.l1 is None or self.no_l1_drop or me.l1.ended & xid else None
            heard = me._replace(
                l1=l1, floor=me.floor | xid, inbox=me.inbox[1:], unpassed=me.unpassed | xid
            )
            yield _with(state, heard, other)
        for xid in (1, 2):
            if me.unpassed & xid:
                passed = _with(state, me._replace(unpassed=me.unpassed & ~xid), other)
                yield passed if self.no_passing else _raised(passed, xid)
        yield from self._reading(state, me, other)

    def _joining(self, state: State, me: Process, other: Process) -> Iterator[State]:
        joined = me._replace(trusts=True)
        if not other.trusts:
            moved = _with(state, joined, other)
            if not self.no_empty_epoch:
                moved = moved._replace(l2=None, epoch=state.epoch + 1)
            yield moved._replace(l2_floor=0) if self.no_floors else moved
        elif not other.inbox and not other.unpassed:
            yield _with(state, joined, other)

    def _reading(self, state: State, me: Process, other: Process) -> Iterator[State]:
        held = me.held
        if me.step == _IDLE:
            if me.l1 is not None:
                yield _with(state, me._replace(l1=None), other)
                return
            if state.l2 is not None and self._reads(state.l2, me):
                yield _with(state, me._replace(step=_FILLING_L1, held=state.l2), other)
            ended = sum(xid for xid in (1, 2) if state.writers[xid - 1] >= _COMMITTED)
            found = Value(state.order[-1] if state.order else 0, ended, state.epoch)
            yield _with(state, me._replace(step=_FILLING_L2, held=found), other)
            for past in range(len(state.order)) if self.standbys else ():
                before = state.order[:past]
                found = Value(before[-1] if before else 0, sum(before), state.epoch)
                yield _with(state, me._replace(step=_FILLING_L2, held=found), other)
        elif me.step == _FILLING_L2 and held is not None:
            fits = self.no_l2_refusal or not state.l2_floor & ~held.ended
            here = self.no_fill_epoch or held.epoch == state.epoch
            if self.standbys and not self.no_early_check:
                fits &= not me.floor & ~held.ended
            filled = state._replace(l2=held) if fits and here else state
            yield _with(filled, me._replace(step=_FILLING_L1), other)
        elif held is not None:
            fits = self.no_l1_refusal or not me.floor & ~held.ended
            l1 = held if fits else me.l1
            yield _with(state, me._replace(step=_IDLE, held=None, l1=l1), other)

    def _reads(self, value: Value, process: Process) -> bool:
        """Whether L2 serves a value to a process."""
        return process.trusts and (self.no_check or not process.floor & ~value.ended)


def _announced(state: State, xid: int) -> State:
    one, two = state.one, state.two
    return _with(
        state, one._replace(inbox=(*one.inbox, xid)), two._replace(inbox=(*two.inbox, xid))
    )


def _raised(state: State, xid: int) -> State:
    """L2's floor is raised, and what does not include the transaction is dropped."""
    l2 = state.l2 if state.l2 is not None and state.l2.ended & xid else None
    return state._replace(l2=l2, l2_floor=state.l2_floor | xid)


def _with(state: State, me: Process, other: Process) -> State:
    """The state with these processes, in the one order that stands for both."""
    if _rank(me) > _rank(other):
        me, other = other, me
    return State(*state[:5], me, other)


def _rank(process: Process) -> tuple[object, ...]:
    l1, _, _, _, _, _, _, held = process
    return (process[1:7], l1 is not None, l1 or (), held is not None, held or ())


class Explored(NamedTuple):
    """What was found: how many states, and the shortest way to one that may not be."""

    states: int
    wrong: str | None


def explore(
    mix: Mix, without: str | None = None, *, standbys: bool = False, starts: int = 2
) -> Explored:
    """Try everything, the shortest ways first.

    Args:
        mix: The kinds of the writers.
        without: A guard that is taken out.
        standbys: Whether a read may be answered by a server that lags behind.
        starts: How many of the two processes may start again.
    """
    protocol = Protocol(mix, without, standbys=standbys)
    one, two = (_FRESH._replace(starts=int(n < starts)) for n in (1, 0))
    start = START._replace(one=one, two=two)
    seen = {start}
    edge = [start]
    while edge:
        beyond: list[State] = []
        for state in edge:
            wrong = protocol.wrong(state)
            if wrong is not None:
                return Explored(len(seen), wrong)
            for found in protocol.steps(state):
                if found not in seen:
                    seen.add(found)
                    beyond.append(found)
        edge = beyond
    return Explored(len(seen), None)
