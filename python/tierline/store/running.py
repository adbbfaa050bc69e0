"""Running the function of a transaction: once, or again when another transaction won."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar, cast

from returns.result import Failure, Success

from tierline.cache.pending import PendingCaches
from tierline.deadline import due_s
from tierline.errors import (
    CommitUnknownError,
    ConnectionError,  # noqa: A004
    RepositoryError,
)
from tierline.postgres import Retried, Session, outcome
from tierline.sql.transactions import ISOLATIONS, Isolation, TransactionMode, begin
from tierline.store.transaction import Transaction, result_of, swallowed

if TYPE_CHECKING:
    from tierline.store.store import Store

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

WasKept: TypeAlias = Callable[[float], bool | None]
"""Given until when to try, on the monotonic clock; None if it cannot be learnt."""

TRIES_MAX = 10
_PAUSE_S_MIN = 0.005
_PAUSE_S_MAX = 0.5


class _Ended(NamedTuple, Generic[T, E]):
    """How one run ended: with an answer or an exception, whether to run again, and why."""

    answer: Success[T] | Failure[E | RepositoryError] | None
    raised: Exception | None
    again: bool
    why: Exception | None = None


def transaction_mode(
    isolation: Isolation | None, *, read_only: bool, deferrable: bool, deadline_s: float | None
) -> TransactionMode:
    """The options of a transaction, checked.

    Raises:
        TypeError: One is of another type.
        ValueError: One is out of range, or they do not go together.
    """
    if isolation is not None and isolation not in ISOLATIONS:
        raise ValueError(f"isolation must be one of {ISOLATIONS}, not {isolation!r:.80}")
    for name, value in (("read_only", read_only), ("deferrable", deferrable)):
        if not isinstance(cast("object", value), bool):
            raise TypeError(f"{name} is True or False, not {value!r:.80}")
    if deferrable and not (read_only and isolation == "serializable"):
        raise ValueError("deferrable=True needs read_only=True and isolation='serializable'")
    if deadline_s is not None:
        if isinstance(deadline_s, bool) or not isinstance(cast("object", deadline_s), (int, float)):
            raise TypeError(f"deadline_s is a number of seconds, not {deadline_s!r:.80}")
        if not (math.isfinite(deadline_s) and deadline_s > 0):
            raise ValueError(f"deadline_s must be positive, not {deadline_s!r}")
    return TransactionMode(isolation, read_only, deferrable)


def run_transaction(
    store: Store,
    function: Callable[[Transaction], Success[T] | Failure[E]],
    mode: TransactionMode,
    deadline_s: float | None,
    was_kept: WasKept | None = None,
) -> Success[T] | Failure[E | RepositoryError]:
    """Run a function in a transaction, again while others win and there is time.

    Args:
        store: Where.
        function: What is run.
        mode: How.
        deadline_s: Seconds for all of it.
        was_kept: Tells of a lost COMMIT whether it was done, where the server cannot.

    Raises:
        TypeError: It answers with no Result.
    """
    if not callable(cast("object", function)):
        raise TypeError(f"transaction takes a function of a tl.Transaction, not {function!r:.80}")
    began_s = time.monotonic()
    until_s = began_s + (store.database.timeout_s if deadline_s is None else deadline_s)
    strict_s = due_s() if deadline_s is None else min(until_s, due_s())
    until_s = min(until_s, strict_s)
    attempt = 1
    while True:
        ended = _run_once(store, function, mode, strict_s, until_s, was_kept=was_kept)
        pause_s = random.uniform(0, min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2**attempt))  # noqa: S311
        is_last = attempt >= TRIES_MAX or time.monotonic() + pause_s >= until_s
        if not ended.again or is_last:
            break
        if store.database.events.wanted:
            why = type(ended.why or ended.raised).__name__
            store.database.events.tell(Retried("transaction", None, attempt, why))
        time.sleep(pause_s)
        attempt += 1
    if ended.raised is not None:
        raise ended.raised
    assert ended.answer is not None
    error = ended.answer.failure() if isinstance(ended.answer, Failure) else None
    if isinstance(error, RepositoryError):
        error.attempt = attempt
        error.elapsed_s = error.elapsed_s or time.monotonic() - began_s
    return ended.answer


def _run_once(
    store: Store,
    function: Callable[[Transaction], Success[T] | Failure[E]],
    mode: TransactionMode,
    strict_s: float,
    until_s: float,
    *,
    was_kept: WasKept | None,
) -> _Ended[T, E]:
    borrowed = store.database.borrow(begin(mode).statement, strict_s - time.monotonic())
    if isinstance(borrowed, Failure):
        return _Ended(borrowed, None, again=False)
    session = Session(store.database, borrowed.unwrap(), mode, strict_s)
    pending = PendingCaches(store.caches)
    tx = Transaction(store, session, pending)
    given: Success[T] | Failure[E] | None = None
    raised: Exception | None = None
    end = _End()
    try:
        try:
            given = result_of(function, tx)
        except Exception as error:  # noqa: BLE001 (raised again by the caller)
            raised = error
        if isinstance(given, Success):
            _commit(session, pending, end)
    finally:
        session.close()
        if end.kept is None:
            pending.doubt(session.xid)
        if end.kept is not False or session.ended_itself:
            pending.apply(session.xid)
            if session.xid is not None:
                store.database.note(session.xid)
    again = session.must_repeat and end.kept is False
    if isinstance(end.error, CommitUnknownError):
        end.kept = found_out(store, session, pending, end.error, until_s, was_kept=was_kept)
        if end.kept is False:
            again, end.error = True, undone(end.error)
    if end.kept is not None:
        tx.hooks.run(committed=end.kept)
    refusal = None if end.kept or end.error is None else Failure(end.error)
    why = end.error or session.trouble()
    return _Ended(given if refusal is None else refusal, raised, again, why)


class _End:
    """The end of a run: whether it is kept, None if that is not known, and why not."""

    def __init__(self) -> None:
        self.kept: bool | None = False
        self.error: RepositoryError | None = None


def _commit(session: Session, pending: PendingCaches, end: _End) -> None:
    failure = session.trouble()
    if failure is not None:
        end.error = why_not(session, failure)
        return
    end.error = pending.announce(session.xid)
    if end.error is not None:
        return
    # From here on it may be kept, whatever happens.
    end.kept = None
    committed = session.commit()
    end.kept = isinstance(committed, Success)
    if isinstance(committed, Failure):
        end.error = committed.failure()
        if isinstance(end.error, CommitUnknownError):
            end.kept = None


def why_not(session: Session, failure: Exception) -> RepositoryError:
    """The answer to a Success that cannot be committed."""
    if session.must_repeat and isinstance(failure, RepositoryError):
        return failure
    return swallowed(failure)


def found_out(
    store: Store,
    session: Session,
    pending: PendingCaches,
    unknown: CommitUnknownError,
    until_s: float,
    *,
    was_kept: WasKept | None = None,
) -> bool | None:
    """Ask what became of a transaction; whatever it is, no tier serves what was before it."""

    def ask(xid: int, within_s: float) -> bool | None:
        until_s = time.monotonic() + within_s
        found = outcome(
            store.database, xid, session.timeline, until_s, incarnation=session.incarnation
        )
        if found is None and was_kept is not None:
            found = was_kept(until_s)
        pending.apply(session.xid)
        return found

    unknown.resolved_by(ask)
    assert unknown.xid is not None
    return ask(unknown.xid, until_s - time.monotonic())


def undone(unknown: CommitUnknownError) -> RepositoryError:
    """The answer when what was not known turned out to be rolled back."""
    found = ConnectionError(
        "the connection was lost at COMMIT, and the server says that the transaction was rolled "
        "back; run it again",
        operation="transaction",
    )
    found.__cause__ = unknown
    return found
