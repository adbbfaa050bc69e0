"""Write-behind of one table in one process: what is pending, and the thread that passes it on."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.cache.intents import Intent
from tierline.cache.journal import OPERATIONS_MAX, Journal, View
from tierline.cache.operations import NOTHING, OperationCodec, OperationId, Written
from tierline.cache.write_strategies import WriteBehind
from tierline.deadline import due_s
from tierline.entity import Table
from tierline.errors import (
    ConfigurationError,
    ConnectionError,  # noqa: A004
    FieldError,
    RepositoryError,
    TimeoutError,  # noqa: A004
    ValidationError,
)
from tierline.result import Result
from tierline.store.behind_own import OwnWrites
from tierline.store.behind_values import WriteBehindStats
from tierline.store.consuming import Consumer

if TYPE_CHECKING:
    from tierline.store.store import Store

T = TypeVar("T")
K = TypeVar("K")

LEASE_S = 2.0
_IDLE_S = 0.25
_WATCHING_S = 0.02
_TROUBLE_S_MAX = 1.0
_JOIN_S = 2.0

_log = logging.getLogger("tierline.store")


class BehindTable(Generic[T, K]):
    """Journals the writes of a table, knows its own, and takes its turn at passing them on.

    Args:
        store: The store.
        table: The table.
        strategy: The options.
        journal: Made with a function that asks how far L3 is.
        run_of: Which run of Redis the last connection led to.
    """

    def __init__(
        self,
        store: Store,
        table: Table[T, K],
        strategy: WriteBehind,
        make_journal: Callable[[Callable[[], Any]], Journal],
        run_of: Callable[[], bytes],
    ) -> None:
        self.table = table
        self.strategy = strategy
        self.journal = make_journal(self._applied)
        self._store = store
        self._codec = OperationCodec(table)
        self._run_of = run_of
        self._consumer = Consumer(store, table, self._codec, self.journal, strategy.batch_size)
        self._own: OwnWrites[K] = OwnWrites(store, table, self._codec, self.journal, self._applied)
        self._closed = False
        self._view = View([], 0, 0, NOTHING, 0)
        self._trouble: RepositoryError | None = None
        self._begin()

    def _begin(self) -> None:
        """What a process, and a forked child, begins with."""
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._holder = os.urandom(8).hex().encode()
        self._leased_until_s = 0.0
        self._run = b""
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to pass on what is pending, of others that are gone too.

        Raises:
            ConfigurationError: Redis may lose the journal.
        """
        checked = self.journal.check()
        if isinstance(checked, Failure) and isinstance(checked.failure(), ConfigurationError):
            raise checked.failure()
        self._run_thread()

    def renew(self) -> None:
        """Begin anew in a forked child: its parent passes on what is its own."""
        self._begin()
        self.journal.renew()
        self._own.renew()

    def append(
        self, operation: str, intents: Sequence[Intent]
    ) -> Success[None] | Failure[RepositoryError]:
        """Journal operations, all or none.

        Errors: `PoolExhaustedError` if the journal is full, `ConnectionError` if Redis cannot be
        reached, `OutcomeUnknownError` if it did not answer, `ConfigurationError` if it may lose the
        journal, `ValidationError` for what cannot be written down.
        """
        written = self._written(intents)
        found = written if isinstance(written, Failure) else self._append(written.unwrap(), intents)
        if isinstance(found, Failure):
            error = found.failure()
            error.operation, error.table = operation, self.table.name
            self._count(refused=len(intents))
        return found

    def own(self, key: K) -> Success[T | None] | None:
        """See `BehindPort`."""
        return self._own.get(key)

    def pending(self, keys: Sequence[K]) -> dict[K, T | None]:
        """See `BehindPort`. Where Redis does not answer nothing is known to be pending."""
        names: dict[bytes, K] = {}
        for key in keys:
            try:
                names[self._codec.name(key)] = key
            except ValueError:
                # No row has such a key.
                continue
        if not names:
            return {}
        answered = self.journal.pending(names)
        if isinstance(answered, Failure):
            return {}
        found: dict[K, T | None] = {}
        for key, entry in zip(names.values(), answered.unwrap(), strict=True):
            intent = None if entry is None else self._codec.read(entry).intent
            if intent is not None:
                found[key] = intent.entity
        return found

    def drain(self, operation: str) -> Success[None] | Failure[RepositoryError]:
        """See `BehindPort`."""
        drained = self.flush(time.monotonic() + self._store.database.timeout_s)
        if isinstance(drained, Failure):
            drained.failure().operation = operation
        return drained

    def flush(self, until_s: float) -> Success[None] | Failure[RepositoryError]:
        """Wait until L3 has, or has refused, what is in the journal by now.

        Args:
            until_s: For how long, by the monotonic clock; the context's deadline counts too.

        Errors: `TimeoutError` with what keeps it as its cause.
        """
        until_s = min(until_s, due_s())
        target, pause_s = None, 0.001
        trouble: Exception | None = None
        while True:
            seen = self._look()
            if isinstance(seen, Success):
                view, last = seen.unwrap()
                target = last if target is None else target
                is_past = not view.entries or view.entries[0].id > target
                if is_past and not self._own.has_until(target):
                    return Success(None)
            else:
                trouble = seen.failure()
            self.wake()
            if time.monotonic() + pause_s >= until_s:
                break
            time.sleep(pause_s)
            pause_s = min(0.05, pause_s * 2)
        late = TimeoutError(
            "L3 does not yet have what is in the journal; it stays there",
            stage="deadline",
            operation="flush",
            table=self.table.name,
        )
        late.__cause__ = self._trouble or trouble
        return Failure(late)

    def stats(self) -> WriteBehindStats:
        """The counters."""
        view = self._view
        lag_ms = view.now_ms - view.entries[0].id.ms if view.entries else 0
        with self._lock:
            counts = self._counts + self._consumer.counts
        return WriteBehindStats(
            self.table.name,
            pending=view.pending,
            lag_s=max(0, lag_ms) / 1000,
            dead_letters=view.dead,
            is_consumer=time.monotonic() < self._leased_until_s,
            **counts,
        )

    def close(self) -> None:
        """Pass on what there is time for, and end; the rest stays in the journal."""
        if self._closed:
            return
        if self._own or isinstance(self._look(), Success):
            self.flush(time.monotonic() + self.strategy.close_timeout_s)
        self._closed = True
        self._awake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)
        if self._leased_until_s > time.monotonic():
            self.journal.release(self._holder)

    def _applied(self) -> Success[OperationId] | Failure[RepositoryError]:
        found = self._consumer.progress()
        return found if isinstance(found, Failure) else Success(found.unwrap().applied)

    def _written(self, intents: Sequence[Intent]) -> Result[list[Written], RepositoryError]:
        if len(intents) > OPERATIONS_MAX:
            problem = f"at most {OPERATIONS_MAX:,} rows go at once, not {len(intents):,}"
            return Failure(ValidationError((FieldError("", problem),)))
        written: list[Written] = []
        for position, intent in enumerate(intents):
            try:
                written.append(self._codec.write(intent))
            except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
                path = f"[{position}]" if len(intents) > 1 else ""
                problem = f"cannot be journalled: {error}"
                return Failure(ValidationError((FieldError(path, problem),)))
        return Success(written)

    def _append(
        self, written: list[Written], intents: Sequence[Intent]
    ) -> Success[None] | Failure[RepositoryError]:
        if self._closed:
            return Failure(ConnectionError("the store is closed; nothing was written"))
        appended = self.journal.append(written, self.strategy.max_pending)
        if isinstance(appended, Failure):
            return appended
        self._own.add(intents, appended.unwrap().ids)
        self._count(acknowledged=len(intents))
        self.wake()
        return Success(None)

    def wake(self) -> None:
        """Pass on soon what is there."""
        self._run_thread()
        self._awake.set()

    def _run_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return
            name = f"tierline-write-behind-{self.table.name}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """Until the end: take turns while there is something, and look now and then."""
        pause_s, trouble_s = 0.0, 0.05
        while not self._closed:
            woken = self._awake.wait(pause_s)
            self._awake.clear()
            if woken and self.strategy.delay_s and not self._closed:
                time.sleep(self.strategy.delay_s)
            try:
                found = self._turn()
            except Exception:  # noqa: BLE001 - what is pending must go on being passed on
                _log.exception("write-behind of %s failed, and goes on", self.table.name)
                found = Failure(ConnectionError("it failed", operation="write_behind"))
            if isinstance(found, Failure):
                self._count(errors=1)
                self._trouble = found.failure()
                trouble_s = min(_TROUBLE_S_MAX, 2 * trouble_s)
                # Whoever writes meanwhile does not make it try sooner.
                self._sleep(trouble_s)
                pause_s = 0.0
                continue
            self._trouble, trouble_s = None, 0.05
            pause_s = 0.0 if found.unwrap() else _WATCHING_S if self._own else _IDLE_S

    def _sleep(self, for_s: float) -> None:
        until_s = time.monotonic() + for_s
        while not self._closed and time.monotonic() < until_s:
            time.sleep(0.02)

    def _turn(self) -> Result[int, RepositoryError]:
        """Look, learn, and pass on a batch if it is this process's turn; how much that was."""
        looked = self.journal.read(self.strategy.batch_size)
        if isinstance(looked, Failure):
            return looked
        view = looked.unwrap()
        self._saw(view)
        if not view.entries or not self._is_my_turn():
            return Success(0)
        taken = self._consumer.turn(view)
        if isinstance(taken, Success):
            again = self.journal.read(1)
            if isinstance(again, Success):
                self._saw(again.unwrap())
        return taken

    def _is_my_turn(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._leased_until_s - LEASE_S / 2:
            return True
        held = self.journal.lease(self._holder, LEASE_S)
        self._leased_until_s = now_s + LEASE_S if held else 0.0
        return held

    def _look(self) -> Result[tuple[View, OperationId], RepositoryError]:
        """What the journal begins with, and the last operation that was added to it by now."""
        last = self.journal.last()
        if isinstance(last, Failure):
            return last
        looked = self.journal.read(1)
        if isinstance(looked, Failure):
            return looked
        self._saw(looked.unwrap())
        return Success((looked.unwrap(), last.unwrap()))

    def _saw(self, view: View) -> None:
        self._view = view
        self._own.learn(view.applied)
        run = self._run_of()
        if run != self._run or not view.pending:
            # Redis was started anew, or emptied: has it come back without something?
            lost = self._own.compare()
            if lost is None:
                return
            if lost:
                self._count(lost=lost)
                _log.error("Redis lost %d acknowledged writes to %s", lost, self.table.name)
            self._run = run

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)
