"""A model of results of cached queries over Redis: dropped once what concerns them has ended.

A result is not told by its snapshot what it lacks, so hearing of a transaction does not suffice:
until it has ended the result may be read again without it. The listener remembers what it heard as
*unsettled*, and with each heartbeat asks the database what has ended by now; what has is forgotten
and the results go, those that are being read too. Who begins to listen did not hear what was
announced before, so it asks what runs, and lets all results go when any of that has ended.

One process, one result that two transactions concern. They begin, publish, and then commit or
abort. The line may be cut, with what is on its way.

A heartbeat is answered on the line of the messages, behind them. What had been committed when it
was sent is *proved*. What may never be: a result is kept that lacks what is proved.

A value is the set of transactions that had ended when it was read; such sets are bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

GUARDS = (
    "the database is asked behind the answer",
    "results go when what was heard has ended",
    "results go when what ran has ended",
    "reads that have begun are refused",
    "who listens again begins with nothing",
    "it listens before it asks what runs",
)

_NONE, _OPEN, _TOLD, _COMMITTED, _ABORTED = range(5)
_DEAF, _ASKED, _SUBSCRIBED, _HEARS = range(4)
# A heartbeat on its way, with what had been committed when it was sent.
_BEAT = 4


class State(NamedTuple):
    """Everything at one moment.

    Attributes:
        writers: How far the transactions are.
        faults: How often the line may still be cut.
        line: Whether it listens.
        inbox: What is on its way, in order; a heartbeat is 4 and what was committed.
        ran: What ran when it was asked on beginning to listen, and is not known to have ended.
        unsettled: Heard, and not known to have ended.
        answered: What the heartbeat proves whose answer has come; None for none.
        ended: What the database said then; None if it is still to be asked.
        proved: What had been committed when the last heartbeat was sent that is done with.
        result: What is kept.
        held: What is being read, and will be kept.
    """

    writers: tuple[int, int] = (_NONE, _NONE)
    faults: int = 1
    line: int = _HEARS
    inbox: tuple[int, ...] = ()
    ran: int = 0
    unsettled: int = 0
    answered: int | None = None
    ended: int | None = None
    proved: int = 0
    result: int | None = None
    held: int | None = None


class Results:
    """The steps that can be made, perhaps with a guard taken out."""

    def __init__(self, without: str | None = None) -> None:
        assert without is None or without in GUARDS
        missing = [guard == without for guard in GUARDS]
        (self.asks_early, self.keeps_heard, self.keeps_ran, self.keeps_reads, self.keeps_all,
         self.asks_deaf) = missing  # fmt: skip

    def steps(self, state: State) -> Iterator[State]:
        """Every state that may come next."""
        yield from _writing(state)
        yield from _reading(state)
        if state.line == _HEARS:
            yield from self._beating(state)
            yield from self._hearing(state)
        else:
            yield from self._beginning(state)
        if state.faults and state.line != _DEAF:
            yield state._replace(
                faults=state.faults - 1, line=_DEAF, inbox=(), answered=None, ended=None
            )

    def _beginning(self, state: State) -> Iterator[State]:
        if state.line != _DEAF:
            begun = state if state.line == _ASKED else self._begun(state)
            yield begun._replace(line=_HEARS)
        elif self.asks_deaf:
            yield self._begun(state)._replace(line=_ASKED)
        else:
            yield state._replace(line=_SUBSCRIBED)

    def _begun(self, state: State) -> State:
        asked = state._replace(ran=_in(state, _OPEN, _TOLD), unsettled=0)
        return asked if self.keeps_all else self._dropped(asked)

    def _beating(self, state: State) -> Iterator[State]:
        committed = _in(state, _COMMITTED)
        # One that would prove nothing new is left out.
        if committed & ~state.proved and not any(one >= _BEAT for one in state.inbox):
            asked = self._settled(state, _ended(state)) if self.asks_early else state
            yield asked._replace(inbox=(*asked.inbox, _BEAT | committed))

    def _hearing(self, state: State) -> Iterator[State]:
        if state.answered is not None:
            # The listener does nothing else before that.
            if state.ended is None:
                yield state._replace(ended=0 if self.asks_early else _ended(state))
                return
            settled = self._settled(state, state.ended)
            proved = state.proved | state.answered
            yield settled._replace(proved=proved, answered=None, ended=None)
        elif state.inbox:
            first, rest = state.inbox[0], state.inbox[1:]
            if first >= _BEAT:
                yield state._replace(inbox=rest, answered=first & 3)
            else:
                yield state._replace(inbox=rest, unsettled=state.unsettled | first)

    def _settled(self, state: State, ended: int) -> State:
        """What was heard of, or ran, and has ended is forgotten, and the results go."""
        heard = 0 if self.keeps_heard else state.unsettled & ended
        ran = 0 if self.keeps_ran else state.ran & ended
        forgot = state._replace(unsettled=state.unsettled & ~ended, ran=state.ran & ~ended)
        return self._dropped(forgot) if heard | ran else forgot

    def _dropped(self, state: State) -> State:
        return state._replace(result=None, held=state.held if self.keeps_reads else None)


def wrong(state: State) -> str | None:
    """What may not be, if it is."""
    if state.result is not None and state.proved & ~state.result:
        return "proved but stale"
    return None


def _writing(state: State) -> Iterator[State]:
    for index, step in enumerate(state.writers):

        def to(step: int, index: int = index) -> State:
            first, second = state.writers
            return state._replace(writers=(step, second) if index == 0 else (first, step))

        if step == _NONE:
            yield to(_OPEN)
        elif step == _OPEN:
            published = (*state.inbox, index + 1)
            is_heard = state.line in (_SUBSCRIBED, _HEARS)
            yield to(_TOLD)._replace(inbox=published if is_heard else state.inbox)
        elif step == _TOLD:
            yield to(_COMMITTED)
            yield to(_ABORTED)


def _reading(state: State) -> Iterator[State]:
    if state.held is not None:
        yield state._replace(result=state.held, held=None)
    elif state.result is not None:
        # It lives no longer, or is asked for anew.
        yield state._replace(result=None)
    else:
        yield state._replace(held=_ended(state))


def _in(state: State, *steps: int) -> int:
    """The transactions that are at one of these steps."""
    first, second = state.writers
    return (first in steps) * 1 | (second in steps) * 2


def _ended(state: State) -> int:
    return _in(state, _COMMITTED, _ABORTED)


def explore(without: str | None = None, *, faults: int = 1) -> tuple[int, str | None]:
    """Try everything, the shortest ways first: how many states there are, and what is wrong.

    Args:
        without: A guard that is taken out.
        faults: How often the line is cut.
    """
    protocol = Results(without)
    start = State(faults=faults)
    seen = {start}
    edge = [start]
    while edge:
        beyond: list[State] = []
        for state in edge:
            found = wrong(state)
            if found is not None:
                return len(seen), found
            for after in protocol.steps(state):
                if after not in seen:
                    seen.add(after)
                    beyond.append(after)
        edge = beyond
    return len(seen), None
