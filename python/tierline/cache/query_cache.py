"""The results of cached queries: kept in L1, and dropped by the changes that concern them.

A result is in the index from before it is read until it leaves L1. So whoever changes a row finds
the reads that are under way too: what they come to is handed to those who waited for it and not
kept, and whoever asks after the change reads anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.query_index import Slot, TableIndex
from tierline.cache.sharing import OwnDeadlineError, ended_by_own_deadline
from tierline.cache.strategy import TTL_S_MIN
from tierline.cache.tallies import Tallies, Tally
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import RepositoryError, TimeoutError  # noqa: A004
from tierline.query.readings import Reading, RowChange

Loaded: TypeAlias = Success[list[Any]] | Failure[RepositoryError]

ROWS_MAX = 1_000_000
"""The most rows that a store keeps as results, each result counting as one more."""

CHANGES_MAX = 1_000
"""Rows of one write that are looked at one by one; more are any rows of the table."""

_TableId: TypeAlias = tuple[str, str]


class QueryStats(NamedTuple):
    """Counters since the store was opened.

    Attributes:
        hits: Reads answered with a kept result.
        misses: The other reads.
        loads: Results that were read, those not kept too.
        evictions: Results dropped for lack of room or age.
        invalidated: Results dropped because a change concerned them.
        spared: How often a result stayed although a table that it reads was changed.
        entries: Results kept now.
    """

    hits: int
    misses: int
    loads: int
    evictions: int
    invalidated: int
    spared: int
    entries: int


class _Entry:
    """A result, or one that is being read."""

    __slots__ = ("is_live", "key", "rows", "slots", "tally", "until_s")

    def __init__(self, key: Any, readings: Iterable[Reading], until_s: float, tally: Tally) -> None:
        self.key = key
        self.tally = tally
        self.slots = [Slot(self, reading) for reading in readings]
        self.until_s = until_s
        self.rows: list[Any] = []
        self.is_live = False


class _NotLoadedError(Exception):
    """The read came to a Failure, which is nobody's to keep."""

    def __init__(self, failure: Failure[RepositoryError]) -> None:
        super().__init__()
        self.failure = failure


class QueryCache:
    """The results of one store's cached queries; safe to share between threads.

    Attributes:
        tallies: Counters of each query.

    Args:
        schema: The schema that tables without one lie in.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._lock = threading.Lock()
        self._indexes: dict[_TableId, TableIndex] = {}
        # From a table to those whose rows its deletions may change.
        self._dependents: dict[_TableId, set[_TableId]] = {}
        self._invalidated = 0
        self._spared = 0
        self._loads = 0
        self._looks = [0, 0]
        self.tallies = Tallies()
        self._l1: Cache[Any, _Entry] = Cache(
            ROWS_MAX, weigher=_weight, ttl_s=_rest_s, listener=self._left
        )

    def read(
        self,
        key: Any,
        readings: Callable[[], Sequence[Reading]],
        ttl_s: float,
        load: Callable[[], Loaded],
        *,
        fresh: bool = False,
    ) -> Loaded:
        """The rows of a result, which are not to be changed; read if none are kept.

        Args:
            key: What tells the result from others: the statement, its values, and what is made
                of the rows.
            readings: What it reads of each table, parameters filled in; asked for on a miss.
            ttl_s: Seconds after which it is no longer served, from the beginning of the read.
            load: Reads it, from a server that lacks no change that `changed` was told of.
            fresh: Forget what is kept, and read.
        """
        if fresh:
            self._l1.invalidate(key)
        while True:
            try:
                return self._read(key, readings, ttl_s, load)
            except OwnDeadlineError:
                # Whoever loaded had less time than this caller.
                continue
            except TimeoutError as error:
                return Failure(error)

    def _read(
        self,
        key: Any,
        readings: Callable[[], Sequence[Reading]],
        ttl_s: float,
        load: Callable[[], Loaded],
    ) -> Loaded:
        mine: list[_Entry] = []

        def loaded(_: Any) -> _Entry:
            began_s = time.monotonic()
            entry = _Entry(key, readings(), began_s + ttl_s, self.tallies.of(key))
            mine.append(entry)
            # Before the read: a change from now on finds it.
            self._enter(entry)
            found = load()
            entry.tally.load_s += time.monotonic() - began_s
            if isinstance(found, Failure):
                own = ended_by_own_deadline(found)
                raise (OwnDeadlineError if own else _NotLoadedError)(found)
            entry.rows = found.unwrap()
            return entry

        try:
            entry = self._l1.get_or_load(key, loaded)
        except _NotLoadedError as error:
            return error.failure
        except OwnDeadlineError as error:
            if mine:
                return error.failure
            raise
        finally:
            if mine:
                self._settle(mine[0])
        if not mine:
            entry.tally.hits += 1
        return Success(entry.rows)

    def changed(self, table: Table[Any, Any], changes: Sequence[RowChange] | None = None) -> None:
        """Drop the results that a change of a table's rows concerns, wherever it was made.

        Call it when the change can be read, before anybody may rely on it.

        Args:
            table: The table.
            changes: Its rows before and after; None if nothing more is known.
        """
        self._changed(self._id(table), changes)

    def changed_at(self, place: tuple[str, str]) -> None:
        """Drop the results that read the table of a schema and name: any of its rows changed."""
        self._changed(place, None)

    def serve_until(self, horizon_s: float) -> None:
        """Serve nothing after a monotonic time, which is put off again and again."""
        self._l1.serve_until(horizon_s)

    def deleted(self, table: Table[Any, Any]) -> None:
        """Drop the results of other tables' rows that went with deleted ones, or may have."""
        self.deleted_at(self._id(table))

    def deleted_at(self, place: tuple[str, str]) -> None:
        """`deleted`, of the table of a schema and name."""
        for other in self._dependents.get(place, ()):
            self._changed(other, None)

    def reads(self, table: Table[Any, Any]) -> bool:
        """Whether a result that is kept, or being read, depends on a table."""
        return self.reads_at(self._id(table))

    def reads_at(self, place: tuple[str, str]) -> bool:
        """The same of a table by its schema and name."""
        return bool(self._indexes.get(place))

    def in_use(self, table: Table[Any, Any]) -> bool:
        """The same, or on tables whose rows go with the table's."""
        own = self._id(table)
        return any(self._indexes.get(place) for place in (own, *self._dependents.get(own, ())))

    def clear(self) -> None:
        """Forget every result, also of reads that have begun."""
        for place in list(self._indexes):
            self._changed(place, None)

    def stats(self) -> QueryStats:
        """The counters."""
        stats, (found, missed) = self._l1.stats(), self._looks
        return QueryStats(
            stats.hits - found,
            stats.misses - missed,
            self._loads,
            stats.evictions + stats.expirations,
            self._invalidated,
            self._spared,
            stats.entries,
        )

    def _changed(self, place: _TableId, changes: Sequence[RowChange] | None) -> None:
        index = self._indexes.get(place)
        if not index:
            return
        if changes is None or len(changes) > CHANGES_MAX:
            with self._lock:
                every = list(index.owners)
            self._drop_all(every)
            return
        for change in changes:
            with self._lock:
                found, count = index.concerned(change), len(index)
            touched = {slot.owner: None for slot in found if slot.is_touched(change)}
            self._drop_all(touched)
            with self._lock:
                self._spared += max(0, count - len(touched))

    def _drop_all(self, entries: Iterable[_Entry]) -> None:
        dropped = sum(map(self._drop, entries))
        with self._lock:
            self._invalidated += dropped

    def _drop(self, entry: _Entry) -> bool:
        """Drop a result for good; whether it was not dropped before."""
        if not self._leave(entry):
            return False
        # Refuses the load as well, if the entry is one that is being read. A newer one of the same
        # key may go with it.
        self._l1.invalidate(entry.key)
        entry.tally.invalidated += 1
        return True

    def _settle(self, entry: _Entry) -> None:
        """After a load: what L1 did not keep leaves the index, too."""
        found = self._l1.get(entry.key)
        with self._lock:
            # This look is nobody's read.
            self._looks[found is None] += 1
        if found is not entry:
            self._leave(entry)

    def _enter(self, entry: _Entry) -> None:
        with self._lock:
            self._loads += 1
            entry.tally.loads += 1
            entry.is_live = True
            for slot in entry.slots:
                place = self._id(slot.reading.table)
                index = self._indexes.get(place)
                if index is None:
                    index = self._indexes[place] = TableIndex()
                index.add(slot)
                self._note_cascades(slot.reading.table)

    def _leave(self, entry: _Entry) -> bool:
        with self._lock:
            if not entry.is_live:
                return False
            entry.is_live = False
            for slot in entry.slots:
                self._indexes[self._id(slot.reading.table)].remove(slot)
            return True

    def _left(self, _: Any, entry: _Entry, _cause: str) -> None:
        self._leave(entry)

    def _note_cascades(self, table: Table[Any, Any]) -> None:
        place = self._id(table)
        for above in _cascading(table):
            self._dependents.setdefault(self._id(above), set()).add(place)

    def _id(self, table: Table[Any, Any]) -> _TableId:
        return table.schema or self._schema, table.name


def _cascading(table: Table[Any, Any]) -> tuple[Table[Any, Any], ...]:
    """The tables whose deletions may delete or change rows of a table."""
    # A table is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(table)
    if "_cascading" not in memo:
        found: dict[int, Table[Any, Any]] = {}
        open_tables = [table]
        while open_tables:
            for rule in open_tables.pop().foreign_keys:
                above = rule.references
                if rule.on_delete in ("cascade", "set null") and id(above) not in found:
                    found[id(above)] = above
                    open_tables.append(above)
        memo["_cascading"] = tuple(found.values())
    cascading: tuple[Table[Any, Any], ...] = memo["_cascading"]
    return cascading


def _weight(_: Any, entry: _Entry) -> int:
    return len(entry.rows) + 1


def _rest_s(_: Any, entry: _Entry) -> float:
    # The age counts from before the read, so a slow read does not lengthen a life.
    return max(TTL_S_MIN, entry.until_s - time.monotonic())


def changes_of_keys(table: Table[Any, Any], keys: Sequence[Any]) -> list[RowChange] | None:
    """What is known of a write when only the keys of its rows are; None if that is nothing."""
    if len(keys) > CHANGES_MAX:
        return None
    changes: list[RowChange] = []
    for key in keys:
        try:
            row = dict(zip(table.key, table.read_key(key), strict=True))
        except BadFieldsError:
            # No row has it.
            continue
        # Whether it was there before, or is afterwards, is not known: it is one that came or went.
        changes.append(RowChange(row, None))
    return changes
