"""One transaction over several stores: everywhere or nowhere, by two-phase commit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from returns.result import Failure, Success

from tierline.deadline import deadline, due_s
from tierline.errors import RepositoryError
from tierline.postgres import Database
from tierline.result import Result
from tierline.sql.transactions import Isolation
from tierline.store.decisions import create, made_log, refused
from tierline.store.participants import checked
from tierline.store.recovery import InDoubt, Recovery, orphans, recover
from tierline.store.running import TRIES_MAX, transaction_mode
from tierline.store.store import Store
from tierline.store.transaction import Transaction, result_of
from tierline.store.two_phase import Run, started

__all__ = ["InDoubt", "Recovery", "distributed", "distributed_setup", "orphans", "recover"]

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

Function = Callable[[Mapping[str, Transaction]], Success[T] | Failure[E]]

_PAUSE_S_MIN = 0.005
_PAUSE_S_MAX = 0.5

_RECOVERED: WeakKeyDictionary[Database, set[frozenset[str]]] = WeakKeyDictionary()


def distributed_setup(store: Store, /) -> Result[None, RepositoryError]:
    """Create the coordinator's log, the table `tierline_distributed`, unless it is there.

    `tl.distributed` does it at its first use; call this where that one's role may not create
    tables. The role that coordinates needs SELECT, INSERT, UPDATE and DELETE on it.

    Args:
        store: The store that coordinates.

    Errors: `AccessDeniedError` if the role may not create tables.

    Raises:
        TypeError: It is no store.
    """
    if not isinstance(cast("object", store), Store):
        raise TypeError(f"distributed_setup takes a tl.Store, not {store!r:.80}")
    made = create(store.database)
    return made if isinstance(made, Failure) else Success(None)


def distributed(
    stores: Mapping[str, Store],
    function: Function[T, E],
    /,
    *,
    coordinator: str,
    isolation: Isolation | None = None,
    deadline_s: float | None = None,
    recovers: bool = True,
) -> Success[T] | Failure[E | RepositoryError]:
    """Run a function in a transaction of each store: a Success commits all, a Failure none.

    By two-phase commit: every store that was written prepares (PREPARE TRANSACTION), the decision
    is written into the log of the coordinator, then every store commits (COMMIT PREPARED). If the
    process dies between, `tl.recover` finishes it. A store that was only read is simply committed
    first, and if just one was written there is nothing to prepare.

    When another transaction won, the whole function is run again, as by `store.transaction`.

    Args:
        stores: The stores by name: letters, digits, dots, hyphens, underscores.
        function: Given a `tl.Transaction` for each name; answers with a Result.
        coordinator: The name of the store with the log, always the same one for the same data. The
            log is created at its first use; see `tl.distributed_setup`.
        isolation: As in `store.transaction`; each store has it for itself.
        deadline_s: Seconds for everything, as in `store.transaction`.
        recovers: Whether the first call of a process with these stores recovers what others left.

    Errors: as `store.transaction`; `ConfigurationError` if a server's `max_prepared_transactions`
    is 0; `QueryError` if all its slots are in use, or the transaction did what cannot be prepared
    (NOTIFY, temporary tables); then everything is rolled back. `CommitUnknownError` if it is
    decided, or may be, but not everybody could be told in time: `resolve()` or `tl.recover` does.

    Raises:
        TypeError: The function answers with something else than a Result; an option is of another
            type.
        ValueError: The coordinator is none of the stores; an option is out of range.

    Example:
        ``tl.distributed({"orders": a, "stock": b}, order, coordinator="orders")``
    """
    checked(stores, "distributed", coordinator)
    if not callable(cast("object", function)):
        raise TypeError(f"distributed takes a function of the transactions, not {function!r:.80}")
    if not isinstance(cast("object", recovers), bool):
        raise TypeError(f"recovers is True or False, not {recovers!r:.80}")
    mode = transaction_mode(isolation, read_only=False, deferrable=False, deadline_s=deadline_s)
    began_s = time.monotonic()
    wait_s = stores[coordinator].database.timeout_s if deadline_s is None else deadline_s
    strict_s = due_s() if deadline_s is None else min(began_s + wait_s, due_s())
    until_s = min(began_s + wait_s, strict_s)
    attempt = 1
    with deadline(max(until_s - time.monotonic(), 0.0)):
        ready = _ready(stores, coordinator, recovers=recovers)
    if isinstance(ready, Failure):
        return ready

    def start() -> Result[Run, RepositoryError]:
        return started(
            stores, coordinator, ready.unwrap(), mode, strict_s=strict_s, until_s=until_s
        )

    while True:
        answer, again = _run_once(start, function)
        pause_s = random.uniform(0, min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2**attempt))  # noqa: S311
        if not again or attempt >= TRIES_MAX or time.monotonic() + pause_s >= until_s:
            break
        time.sleep(pause_s)
        attempt += 1
    if isinstance(answer, Exception):
        raise answer
    error = answer.failure() if isinstance(answer, Failure) else None
    if isinstance(error, RepositoryError):
        error.attempt = attempt
        error.elapsed_s = error.elapsed_s or time.monotonic() - began_s
    return answer


def _run_once(
    start: Callable[[], Result[Run, RepositoryError]], function: Function[T, E]
) -> tuple[Success[T] | Failure[E | RepositoryError] | Exception, bool]:
    """The answer of one run, or the exception that it ended with, and whether to run again."""
    begun = start()
    if isinstance(begun, Failure):
        return begun, False
    run = begun.unwrap()
    answer: Success[T] | Failure[E | RepositoryError] | Exception
    try:
        answer = _given(run, function)
        if isinstance(answer, Success):
            run.commit()
    finally:
        run.close()
    run.find_out()
    run.call_hooks()
    # What failed after the decision, such as forgetting it, is no reason to do it twice.
    again = run.again and run.kept is False
    return (answer if run.error is None else Failure(run.error)), again


def _given(run: Run, function: Function[T, E]) -> Success[T] | Failure[E] | Exception:
    first = run.parts[0].tx
    try:
        return result_of(lambda _: function(run.txs), first)
    except Exception as error:  # noqa: BLE001 (raised again by the caller)
        return error


def _ready(
    stores: Mapping[str, Store], coordinator: str, *, recovers: bool
) -> Result[str, RepositoryError]:
    """The identity of the log, once the stores are known to be fit."""
    for name, store in stores.items():
        refusal = refused(store.database)
        if refusal is not None:
            refusal.message = f"{name}: {refusal.message}"
            return Failure(refusal)
    database = stores[coordinator].database
    together = frozenset(store.database.identity for store in stores.values())
    done = _RECOVERED.setdefault(database, set())
    if recovers and together not in done:
        # If it cannot, the next call tries again; what is the matter the transaction will see.
        recovered = recover(stores, coordinator=coordinator)
        done |= {together} if isinstance(recovered, Success) else set()
    return made_log(database)
