"""A model of what a store does when it hears its own writes: small enough to try everything.

A table has two rows, A and B. A process keeps the result of a query that reads A alone; B could
come to be read, if a write makes it fit. A transaction of the process's own, 1, is one of several
scripts; another process writes A in transaction 2.

Each statement is announced with COMMIT as (transaction, told, row); the same message twice in a
transaction is delivered once. A statement that tells its rows is marked, so that the database knows
it, and *told* says that it was the statement itself: what a trigger of the user's writes meanwhile
is announced as not told. Whoever ran such a statement decides by its rows which results it
concerns, when the answer comes, and notes how many statements of that transaction it has decided.
If the answer does not come, every result of the table goes.

A message that is not told drops every result. One that is told is spared as often as was noted for
its transaction. One of a transaction that is not known may be another's, or be heard before its own
writer has decided: it waits, at the longest until a heartbeat has come back.

A transaction that is prepared is announced *early*, before its COMMIT PREPARED. What is heard early
is remembered; behind the answer to each heartbeat the database is asked what has ended, and what
has is then taken as if it were heard at that moment. If COMMIT PREPARED is not answered, the write
is *in doubt*: it may be seen later, so it is not noted, and every result goes.

What may never be:

- *behind the horizon*: a heartbeat is back, and a result is kept that lacks what was committed
  before the heartbeat was sent;
- *behind its own write*: the write was answered, and a result is kept that lacks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Op: TypeAlias = Literal["told A", "told B", "raw A", "raw B", "trigger A", "function A"]
"""One statement. `raw B` makes B fit the query, and what tells B does not. The last two tell B and
write A too: in a trigger of the user's, or in a function that they call."""

SCRIPTS: tuple[tuple[Op, ...], ...] = (
    ("told B",),
    ("told A",),
    ("trigger A",),
    ("function A",),
    ("told B", "told B"),
    ("told B", "raw A"),
    ("told B", "raw B"),
    ("raw B", "told B"),
    ("raw A", "told A"),
    ("told B", "trigger A"),
    ("told B", "raw B", "told A"),
)

GUARDS = (
    "only marked statements are told",
    "what triggers write is not told",
    "transactions are known by their ids",
    "what waits ends with the heartbeat",
    "a write is noted when it is decided",
    "a note spares as often as was decided",
    "an answer that does not come drops everything",
)

EARLY_GUARDS = (
    "what is heard early waits for its end",
    "what has ended is asked behind the answer",
    "what has ended is taken before what waits is settled",
    "a write in doubt is not noted",
)
"""Of prepared transactions."""

_OWN, _OTHER = 1, 2
_NOT_YET, _ANNOUNCED, _DOUBTED, _COMMITTED, _ANSWERED, _FINISHED = range(6)


class Message(NamedTuple):
    """What is announced; a heartbeat if nobody's."""

    xid: int
    told: bool
    row: str
    before: int = 0


class State(NamedTuple):
    """Everything at one moment; sets of transactions that wrote A are bits.

    Attributes:
        own: How far the process's own transaction is.
        other: Whether the other's is committed.
        latest: Which committed transactions changed what the query reads.
        kept: Which of them the kept result includes; None if none is kept.
        reading: The same of a read under way; -1 before it has looked.
        inbox: What is on its way.
        noted: How many statements of the own transaction were decided.
        waiting: Told messages of transactions not known.
        heard: What was committed before the last heartbeat that is back was sent.
        beats: How many heartbeats may still be sent.
        unsettled: What was heard early and is not known to have ended.
        answered: What the heartbeat proves whose answer has come, until the database is asked.
    """

    own: int
    other: bool
    latest: int
    kept: int | None
    reading: int | None
    inbox: tuple[Message, ...]
    noted: int
    waiting: tuple[Message, ...]
    heard: int
    beats: int
    unsettled: tuple[Message, ...] = ()
    answered: int | None = None


START = State(_NOT_YET, False, 0, 0, None, (), 0, (), 0, 2)


class Protocol:
    """The steps that can be made, of a script, perhaps with a guard taken out.

    Args:
        script: What the own transaction does.
        without: The guard.
        early: Whether it is prepared, and so announced before it is committed.
    """

    def __init__(
        self, script: tuple[Op, ...], without: str | None = None, *, early: bool = False
    ) -> None:
        self.script = script
        self.is_early = early
        self.no_waiting, self.asks_before, self.settles_before, self.notes_doubt = (
            guard == without for guard in EARLY_GUARDS
        )
        (self.no_marks, self.no_depth, self.no_ids, self.no_end, self.early, self.no_count,
         self.no_loss) = (guard == without for guard in GUARDS)  # fmt: skip
        self.concerns = any(op != "told B" for op in script)
        self.decided = [op for op in script if not op.startswith("raw")]

    def steps(self, state: State) -> Iterator[State]:
        """Every state that may come next."""
        yield from self._early(state) if self.is_early else self._writing(state)
        yield from self._others(state)
        yield from self._hearing(state)
        if state.reading is None:
            yield state._replace(reading=-1)
        elif state.reading == -1:
            yield state._replace(reading=state.latest)
        else:
            yield state._replace(reading=None, kept=state.reading)

    def wrong(self, state: State) -> str | None:
        """What may not be, if it is."""
        if state.kept is None:
            return None
        if state.heard & ~state.kept:
            return "behind the horizon"
        # What else it writes is heard of, and not told by the answer.
        if state.own == _ANSWERED and "told A" in self.script and not state.kept & _OWN:
            return "behind its own write"
        return None

    def _messages(self) -> tuple[Message, ...]:
        found: dict[Message, None] = {}
        for op in self.script:
            verb, row = op.split()
            told = verb != "raw" or self.no_marks
            if verb in ("trigger", "function"):
                found[Message(_OWN, verb == "function" or self.no_depth, "A")] = None
                row = "B"
            found[Message(_OWN, told, row)] = None
        return tuple(found)

    def _writing(self, state: State) -> Iterator[State]:
        if state.own == _NOT_YET:
            latest = state.latest | (_OWN if self.concerns else 0)
            yield state._replace(
                own=_COMMITTED,
                latest=latest,
                inbox=state.inbox + self._messages(),
                noted=len(self.decided) if self.early else 0,
            )
        elif state.own == _COMMITTED:
            answered = state._replace(own=_ANSWERED)
            noted = 0 if self.early else len(self.decided)
            if self.decided:
                kept = _dropped(answered) if "told A" in self.decided else answered
                yield kept._replace(noted=state.noted + noted)
            # The connection is lost instead.
            yield answered if self.no_loss else _dropped(answered)

    def _early(self, state: State) -> Iterator[State]:
        """As `_writing`, of a prepared transaction."""
        if state.own == _NOT_YET:
            inbox = state.inbox + self._messages()
            yield state._replace(own=_ANNOUNCED, inbox=inbox)
        elif state.own in (_ANNOUNCED, _DOUBTED):
            latest = state.latest | (_OWN if self.concerns else 0)
            # What is in doubt somebody else finishes.
            own = _COMMITTED if state.own == _ANNOUNCED else _FINISHED
            yield state._replace(own=own, latest=latest)
            if state.own == _ANNOUNCED:
                noted = len(self.decided) if self.notes_doubt else 0
                yield _dropped(state._replace(own=_DOUBTED, noted=noted))
        elif state.own == _COMMITTED and self.decided:
            answered = state._replace(own=_ANSWERED, noted=len(self.decided))
            yield _dropped(answered) if "told A" in self.decided else answered

    def _others(self, state: State) -> Iterator[State]:
        if not state.other:
            message = Message(_OTHER, True, "A")
            yield state._replace(
                other=True, latest=state.latest | _OTHER, inbox=(*state.inbox, message)
            )
        if state.beats:
            beat = Message(0, False, "", state.latest)
            if self.asks_before:
                state = self._ended(state)
            yield state._replace(inbox=(*state.inbox, beat), beats=state.beats - 1)

    def _hearing(self, state: State) -> Iterator[State]:
        if state.waiting:
            # It has waited long enough.
            yield self._settled(state)
        if state.answered is not None:
            # The listener does nothing else before that.
            yield self._looked_back(state, state.answered)
            return
        if not state.inbox:
            return
        message, state = state.inbox[0], state._replace(inbox=state.inbox[1:])
        if message.xid == 0:
            yield state._replace(answered=message.before)
        elif message.xid == _OWN and self.is_early and not self.no_waiting:
            yield state._replace(unsettled=(*state.unsettled, message))
        else:
            yield self._heard(state, message)

    def _heard(self, state: State, message: Message) -> State:
        if not message.told:
            return _dropped(state)
        return self._spared(state, message) or state._replace(waiting=(*state.waiting, message))

    def _looked_back(self, state: State, proved: int) -> State:
        """A heartbeat is back."""
        state = state._replace(answered=None)
        if self.settles_before:
            state = self._settled(state)
        if not self.asks_before:
            state = self._ended(state)
        if not self.no_end and not self.settles_before:
            state = self._settled(state)
        return state._replace(heard=proved)

    def _ended(self, state: State) -> State:
        """Take what was heard early as heard now, if it has ended."""
        if state.own not in (_COMMITTED, _ANSWERED, _FINISHED):
            return state
        for message in state.unsettled:
            state = self._heard(state, message)
        return state._replace(unsettled=())

    def _settled(self, state: State) -> State:
        """Decide what waits: it is the process's own, or every result goes."""
        for message in state.waiting:
            state = self._spared(state, message) or _dropped(state)
        return state._replace(waiting=())

    def _spared(self, state: State, message: Message) -> State | None:
        if not state.noted or not (message.xid == _OWN or self.no_ids):
            return None
        return state if self.no_count else state._replace(noted=state.noted - 1)


def _dropped(state: State) -> State:
    """The result goes, and what is being read will not be kept."""
    return state._replace(kept=None, reading=None)


class Explored(NamedTuple):
    """What was found: how many states, something that may not be, and whether a result stayed."""

    states: int
    wrong: str | None
    spares: bool


def explore(script: tuple[Op, ...], without: str | None = None, *, early: bool = False) -> Explored:
    """Try everything, the shortest ways first."""
    protocol = Protocol(script, without, early=early)
    seen, edge, spares = {START}, [START], False
    while edge:
        beyond: list[State] = []
        for state in edge:
            wrong = protocol.wrong(state)
            if wrong is not None:
                return Explored(len(seen), wrong, spares)
            # Not one read was made, and all that the own transaction announced has been heard.
            spares |= (
                state.own == _ANSWERED
                # Two statements of the same row are one message.
                and state.noted < len(protocol.decided)
                and state.kept == 0
                and not (state.inbox or state.waiting or state.unsettled)
            )
            for found in protocol.steps(state):
                if found not in seen:
                    seen.add(found)
                    beyond.append(found)
        edge = beyond
    return Explored(len(seen), None, spares)
