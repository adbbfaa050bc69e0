"""The journals of a store: what `store.write_behind` is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from returns.result import Failure, Success

from tierline.cache.journal import Buried, Journal
from tierline.cache.journal_line import Line
from tierline.cache.operations import OperationCodec
from tierline.cache.write_strategies import WriteBehind
from tierline.deadline import due_s
from tierline.entity import Table
from tierline.errors import ConfigurationError, RepositoryError
from tierline.postgres.forking import renew_in_children
from tierline.result import Result
from tierline.store.behind_table import BehindTable
from tierline.store.behind_values import DeadLetter, WriteBehindStats

if TYPE_CHECKING:
    from tierline.store.store import Store

T = TypeVar("T")
K = TypeVar("K")

_LETTERS_MAX = 10_000


class JournalPlace(NamedTuple):
    """Where journals are kept.

    Attributes:
        url: Leads to a Redis.
        prefix: Begins every key in it.
    """

    url: str
    prefix: str


class PendingWrites:
    """What repositories with `tl.write_behind` have acknowledged, on its way to L3.

    Args:
        store: The store.
        at: Where the journals are kept; None if there is no Redis.
    """

    def __init__(self, store: Store, at: JournalPlace | None) -> None:
        self._store = store
        self._at = at
        self._line: Line | None = None
        self._tables: dict[tuple[str, str], BehindTable[Any, Any]] = {}
        self._lock = threading.Lock()
        renew_in_children(self)

    def open(self, table: Table[T, K], strategy: WriteBehind) -> BehindTable[T, K]:
        """The journal of a table, which is passed on from now on; for `tl.repository`.

        Raises:
            ConfigurationError: There is no Redis, or it may lose what it is given.
            ValueError: The table is open with other options, or as another table value.
        """
        place = self._store.caches.place(table)
        with self._lock:
            known = self._tables.get(place)
            if known is not None:
                if known.table is not table or known.strategy != strategy:
                    raise ValueError(
                        f"{table.name} is written behind with other options, or as another table "
                        "value, in this store already; use the same ones"
                    )
                return known
            line, prefix = self._open_line()
            name = f"{prefix}:{self._store.database.identity}:{{{'.'.join(place)}}}"
            made = BehindTable(
                self._store,
                table,
                strategy,
                lambda applied: Journal(line, name, durable=strategy.durable, applied=applied),
                lambda: line.run,
            )
            made.start()
            self._tables[place] = made
            return made

    def flush(self, *, deadline_s: float | None = None) -> Result[None, RepositoryError]:
        """Wait until L3 has, or has refused, everything that is journalled by now, by anybody.

        Args:
            deadline_s: Seconds to wait; the store's `timeout_s` if None.

        Errors: `TimeoutError`, stage `deadline`, whose cause is what keeps L3 or Redis from it.
        What is left stays in the journal.

        Example:
            ``store.write_behind.flush(deadline_s=5)``
        """
        limit_s = self._store.database.timeout_s if deadline_s is None else deadline_s
        if isinstance(limit_s, bool) or not isinstance(cast("object", limit_s), (int, float)):
            raise TypeError(f"deadline_s is a number of seconds, not {limit_s!r:.80}")
        if not limit_s >= 0:
            raise ValueError(f"deadline_s must not be negative, not {limit_s}")
        until_s = min(time.monotonic() + limit_s, due_s())
        for one in self._all():
            flushed = one.flush(until_s)
            if isinstance(flushed, Failure):
                return flushed
        return Success(None)

    def dead_letters(
        self, table: Table[T, Any], /, *, limit: int = 100
    ) -> Result[list[DeadLetter[T]], RepositoryError]:
        """The operations on a table that L3 refused, the oldest first.

        Args:
            table: A table that is written behind in this store.
            limit: The most to answer with, up to 10,000.

        Errors: `ConnectionError` if Redis cannot be reached.

        Raises:
            TypeError: The table is not written behind.
            ValueError: The limit is out of range.
        """
        behind = self._of(table, "dead_letters")
        if not 1 <= limit <= _LETTERS_MAX:
            raise ValueError(f"limit must be from 1 to {_LETTERS_MAX:,}, not {limit!r:.80}")
        found = behind.journal.dead(limit)
        if isinstance(found, Failure):
            return found
        codec = OperationCodec(table)
        return Success([_letter(codec, one) for one in found.unwrap()])

    def retry(
        self, table: Table[Any, Any], letters: Iterable[DeadLetter[Any]], /
    ) -> Result[int, RepositoryError]:
        """Put dead letters at the end of the journal, behind whatever was written since.

        Args:
            table: The table.
            letters: From `dead_letters`.

        Returns:
            How many of them were still there.

        Errors: `ConnectionError` if Redis cannot be reached; `OutcomeUnknownError` if it did not
        answer.

        Raises:
            TypeError: The table is not written behind; something is no dead letter.
        """
        behind = self._of(table, "retry")
        retried = behind.journal.retry(_ids(letters, "retry"))
        behind.wake()
        return retried

    def drop(
        self, table: Table[Any, Any], letters: Iterable[DeadLetter[Any]], /
    ) -> Result[int, RepositoryError]:
        """Forget dead letters; the arguments, the answer and the errors as in `retry`."""
        return self._of(table, "drop").journal.drop(_ids(letters, "drop"))

    def stats(self) -> tuple[WriteBehindStats, ...]:
        """How far each table's journal is, as this process last saw it; it asks nobody."""
        return tuple(one.stats() for one in self._all())

    def close(self) -> None:
        """Pass on what there is time for; the rest stays in the journals."""
        for one in self._all():
            one.close()
        if self._line is not None:
            self._line.close()

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.Lock()
        for one in tuple(self._tables.values()):
            one.renew()

    def _open_line(self) -> tuple[Line, str]:
        if self._at is None:
            raise ConfigurationError(
                "write_behind journals in Redis: open the store with redis=…",
                operation="write_behind",
            )
        if self._line is None:
            self._line = Line(self._at.url)
        return self._line, self._at.prefix

    def _all(self) -> Sequence[BehindTable[Any, Any]]:
        with self._lock:
            return tuple(self._tables.values())

    def _of(self, table: Table[Any, Any], verb: str) -> BehindTable[Any, Any]:
        if not isinstance(cast("object", table), Table):
            raise TypeError(f"{verb} takes a table, from tl.table, not {table!r:.80}")
        with self._lock:
            found = self._tables.get(self._store.caches.place(table))
        if found is None:
            raise TypeError(
                f"{verb}: {table.name} is not written behind in this store; open a repository with "
                "cache=tl.write_behind(ttl_s=…)"
            )
        return found

    def __repr__(self) -> str:
        return (
            f"<PendingWrites of {', '.join(one.table.name for one in self._all()) or 'no table'}>"
        )


def _ids(letters: Iterable[DeadLetter[Any]], verb: str) -> list[str]:
    found = list(letters)
    for letter in found:
        if not isinstance(cast("object", letter), DeadLetter):
            raise TypeError(f"{verb} takes what dead_letters answers with, not {letter!r:.80}")
    return [letter.id for letter in found]


def _letter(codec: OperationCodec[T, Any], buried: Buried) -> DeadLetter[T]:
    intent = codec.read(buried.entry).intent
    try:
        reason: dict[str, Any] = json.loads(buried.reason)
    except ValueError:
        reason = {}
    return DeadLetter(
        buried.id,
        "" if intent is None else intent.kind,
        None if intent is None else intent.key,
        None if intent is None else intent.entity,
        str(reason.get("error", "")),
        str(reason.get("message", "")),
        reason.get("sqlstate"),
    )
