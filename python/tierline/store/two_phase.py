"""One run of a distributed transaction, from its sessions to its end.

The decision is one row of the coordinator's log, committed after all participants are prepared and
before the first of them is committed. Without it the transaction is rolled back (presumed abort).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from returns.result import Failure, Success

from tierline.errors import (
    CommitUnknownError,
    ConflictError,
    ConnectionError,  # noqa: A004
    RepositoryError,
    TimeoutError,  # noqa: A004
)
from tierline.postgres.session_errors import late
from tierline.postgres.two_phase import Participant, was_prepared
from tierline.result import Result
from tierline.sql.distributed import (
    DECIDE,
    FORGET,
    SESSION,
    Gid,
    commit_prepared,
    rollback_prepared,
)
from tierline.sql.transactions import TransactionMode, begin
from tierline.store.decisions import decide, forget, settle
from tierline.store.running import found_out, undone, why_not
from tierline.store.store import Store
from tierline.store.taking_part import Part
from tierline.store.transaction import Transaction

TIDY_S = 0.1
"""Seconds to undo what was prepared after the deadline; `tl.recover` does the rest."""

State = Literal["open", "undecided", "deciding", "committed", "rolled back"]


def _step(name: str) -> None:
    """Here a test lets the process die."""


class Run:
    """One run; made by `started`, ended by `close`.

    Attributes:
        error: Why it is not kept, or not known to be.
        again: Whether it was rolled back everywhere and may succeed when run again.
        kept: What became of it; None if that is not known.
    """

    def __init__(self, parts: Sequence[Part], coordinator: Part, log: str, until_s: float) -> None:
        self.parts = parts
        self.error: RepositoryError | None = None
        self.again = False
        self.kept: bool | None = False
        self.txs: Mapping[str, Transaction] = MappingProxyType(
            {part.name: part.tx for part in parts}
        )
        self._coordinator = coordinator
        self._log = log
        self._until_s = until_s
        self._transaction = ""
        self._state: State = "open"
        self._writers: list[Part] = []

    def commit(self) -> None:
        """Keep what the participants did, everywhere or nowhere; fills the attributes."""
        writers = self._sorted_out()
        if writers is None:
            return
        self._writers = writers
        began = self._session() if len(writers) > 1 else Success((0, 0, 0))
        if isinstance(began, Failure):
            self.error = began.failure()
            return
        for part in self.parts:
            if part not in writers:
                ended = part.session.commit()
                part.done = True
                if isinstance(ended, Failure):
                    self.error = ended.failure()
                    return
        if len(writers) > 1:
            self._in_two_phases(*began.unwrap())
        elif writers:
            self._in_one_phase(writers[0])
        else:
            self.kept = True

    def close(self) -> None:
        """Roll back what is not kept, give the connections back, let the caches forget."""
        self.again = self.again or any(part.session.must_repeat for part in self.parts)
        try:
            if self._state == "undecided":
                self._roll_back()
        finally:
            for part in self.parts:
                part.session.close()
                if self.kept is None or part.is_in_doubt:
                    part.pending.doubt(part.session.xid)
                if part.written or part.session.ended_itself:
                    part.keep()

    def call_hooks(self) -> None:
        """Call the functions that were registered for the end, once that is known."""
        if self.kept is not None:
            for part in self.parts:
                part.tx.hooks.run(committed=self.kept)

    def find_out(self) -> None:
        """After `close`: what became of a commit that was not answered."""
        unknown = self.error
        if self.kept is not None or not isinstance(unknown, CommitUnknownError):
            return
        if self._state == "open":
            (part,) = self._writers
            self.kept = found_out(part.store, part.session, part.pending, unknown, self._until_s)
        else:
            self.kept = self._resolved(self._until_s)
            unknown.resolved_by(lambda _, within_s: self._resolved(time.monotonic() + within_s))
        if self.kept is False:
            self.error = undone(unknown)
            self.again = all(part.done or part.gid is None for part in self._writers)
        elif self.kept:
            self.error = None

    def _sorted_out(self) -> list[Part] | None:
        """The parts that wrote; None if it cannot be committed."""
        writers: list[Part] = []
        for part in self.parts:
            failure = part.session.trouble()
            if failure is not None:
                self.error = why_not(part.session, failure)
                return None
        for part in self.parts:
            wrote = part.session.wrote()
            if isinstance(wrote, Failure):
                self.error = wrote.failure()
                return None
            if wrote.unwrap():
                writers.append(part)
        return writers

    def _session(self) -> Result[tuple[int, int, int], RepositoryError]:
        found = self._coordinator.session.fetch(SESSION, ())
        return found if isinstance(found, Failure) else Success(found.unwrap()[0])

    def _in_one_phase(self, part: Part) -> None:
        self.error = part.pending.announce(part.session.xid)
        if self.error is not None:
            return
        # From here on it may be kept, whatever happens.
        self.kept, part.written = None, True
        ended = part.session.commit()
        self.kept = isinstance(ended, Success)
        if isinstance(ended, Failure):
            self.error = ended.failure()
            if isinstance(self.error, CommitUnknownError):
                self.kept = None
        part.written = self.kept is not False

    def _in_two_phases(self, pid: int, started: int, began: int) -> None:
        self._transaction = transaction = secrets.token_hex(12)
        self._state = "undecided"
        _step("preparing")
        for part in self._writers:
            part.gid = Gid(self._log, pid, started, transaction, part.name)
            self.error = self._prepare(part, part.gid)
            if self.error is not None:
                return
            _step(f"prepared {part.name}")
        self._decide(began)
        if self.kept:
            self._commit_prepared()

    def _prepare(self, part: Part, gid: Gid) -> RepositoryError | None:
        refused = part.pending.announce(part.session.xid)
        if refused is not None:
            return refused
        part.prepared = True
        prepared = part.session.prepare(gid)
        if isinstance(prepared, Success):
            return None
        failure = prepared.failure()
        if not part.session.is_lost():
            part.prepared = False
            failure.message = f"{part.name}: {failure.message}"
            return failure
        part.session.close()
        database, timeline, xid = part.store.database, part.session.timeline, part.session.xid
        assert xid is not None
        found = was_prepared(database, gid, xid, timeline, self._until_s)
        if found:
            return None
        if found is False:
            part.prepared, self.again = False, True
        if isinstance(failure, TimeoutError):
            failure.message = f"{part.name}: {failure.message}"
            return failure
        how = (
            "everything is rolled back; run it again"
            if found is False
            else "it is not committed; what of it is prepared, tl.recover rolls back"
        )
        lost = ConnectionError(
            f"{part.name}: the connection was lost at PREPARE TRANSACTION, and {how}",
            operation="distributed",
        )
        lost.__cause__ = failure
        return lost

    def _decide(self, began: int) -> None:
        session = self._coordinator.session
        if session.is_lost():
            # Nobody else decides to commit, so nobody ever will.
            self.error, self.again = _session_lost(), True
            return
        if time.monotonic() >= self._until_s:
            self.error = late(DECIDE)
            return
        participants = " ".join(part.store.database.identity for part in self._writers)
        # From here on it may be kept, whatever happens.
        self._may_be_kept("deciding", kept=None)
        decided = decide(
            self._coordinator.store.database,
            session,
            self._log,
            (self._transaction, participants, began),
            self._until_s,
        )
        if isinstance(decided, Success):
            self._may_be_kept("committed", kept=True)
            _step("decided")
            return
        failure = decided.failure()
        if session.is_lost():
            session.close()
            self.error = self._unknown(failure)
            return
        self._may_be_kept("undecided", kept=False)
        self.error = failure
        self.again = isinstance(failure, (ConflictError, ConnectionError))

    def _may_be_kept(self, state: State, *, kept: bool | None) -> None:
        self._state, self.kept = state, kept
        for part in self._writers:
            part.written = kept is not False

    def _commit_prepared(self) -> None:
        for part in self._writers:
            if part.announce(self._until_s) and part.announces:
                _step(f"announced {part.name}")
        for part in self._writers:
            assert part.gid is not None
            if part.announced and not part.session.is_lost():
                part.done = part.session.finish(commit_prepared(part.gid), self._until_s)
            if part.done:
                part.keep()
                _step(f"committed {part.name}")
        if all(part.done for part in self._writers):
            # What is not forgotten now, recovery forgets.
            self._coordinator.session.tell(FORGET, (self._transaction,), self._until_s)
            _step("forgotten")
        else:
            self.kept = None
            self.error = self._unknown(None)

    def _resolved(self, until_s: float) -> bool | None:
        """Find the decision and have it followed everywhere; None if that cannot be done in time.

        Needs no session of the run.
        """
        log = self._coordinator.store.database
        if self._state == "deciding":
            settled = settle(log, self._log, self._transaction, until_s)
            if isinstance(settled, Failure):
                return None
            self._state = "committed" if settled.unwrap() == "commit" else "rolled back"
        for part in self._writers:
            if not part.done and part.gid is not None:
                part.follow(commit=self._state == "committed", until_s=until_s)
                part.keep()
        if self._state == "rolled back":
            # What could not be undone yet, recovery undoes: it finds the decision.
            return False
        if not all(part.done for part in self._writers):
            return None
        forget(log, self._transaction)
        return True

    def _roll_back(self) -> None:
        self._state = "rolled back"
        until_s = max(self._until_s, time.monotonic() + TIDY_S)
        for part in self._writers:
            if part.gid is None or not part.prepared:
                continue
            command = rollback_prepared(part.gid)
            part.done = not part.session.is_lost() and part.session.finish(command, until_s)
            if not part.done:
                part.session.close()
                part.follow(commit=False, until_s=until_s)
                # What still holds its locks would be in the way.
                self.again = self.again and part.done

    def _unknown(self, cause: RepositoryError | None) -> CommitUnknownError:
        if cause is None:
            left = ", ".join(part.name for part in self._writers if not part.done)
            said = (
                f"the transaction is decided to be committed, and {left} could not be told in time;"
                " error.resolve() or tl.recover tells it; do not run it again"
            )
        else:
            said = (
                "the connection was lost while the decision was written, so the transaction may or "
                "may not be kept; ask with error.resolve() before running it again"
            )
        found = CommitUnknownError(said, operation="distributed")
        found.xid = self._writers[0].session.xid
        found.__cause__ = cause
        return found


def _session_lost() -> RepositoryError:
    return ConnectionError(
        "the coordinator's connection was lost before it decided, and everything is rolled back; "
        "run it again",
        operation="distributed",
    )


def started(
    stores: Mapping[str, Store],
    coordinator: str,
    log: str,
    mode: TransactionMode,
    *,
    strict_s: float,
    until_s: float,
) -> Result[Run, RepositoryError]:
    """Borrow a connection of each store, in one order for all callers."""
    order = sorted(stores, key=lambda name: (stores[name].database.location, name))
    parts: dict[str, Part] = {}
    whole = False
    try:
        for name in order:
            database = stores[name].database
            borrowed = database.borrow(begin(mode).statement, strict_s - time.monotonic())
            if isinstance(borrowed, Failure):
                return borrowed
            session = Participant(database, borrowed.unwrap(), mode, strict_s)
            parts[name] = Part(name, stores[name], session)
        whole = True
    finally:
        if not whole:
            for part in parts.values():
                part.session.close()
    return Success(Run([parts[name] for name in stores], parts[coordinator], log, until_s))
