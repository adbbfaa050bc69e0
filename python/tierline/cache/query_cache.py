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

import msgspec
from returns.result import Failure, Success

from tierline._core import Cache
from tierline.cache.query_index import Slot, TableIndex
from tierline.cache.resilience import Resilience, early_s
from tierline.cache.sharing import Fetched, sharing
from tierline.cache.strategy import PLAIN, TTL_S_MIN, ReadOptions, ReadThrough
from tierline.cache.tallies import Tallies, Tally
from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.query.changes import RowChange
from tierline.query.readings import Reading

Loaded: TypeAlias = Fetched[list[Any]]

CHANGES_MAX = 1_000
"""Rows of one write that are looked at one by one; more are any rows of the table."""

_TableId: TypeAlias = tuple[str, str]


class QueryStats(NamedTuple):
    """Counters since the store was opened.

    Attributes:
        hits: Reads answered with a kept result that was fresh.
        misses: The other reads.
        loads: Results that were read, those not kept too.
        evictions: Results dropped for lack of room or age.
        invalidated: Results dropped because a change concerned them.
        spared: How often a result stayed although a table that it reads was changed.
        entries: Results kept now.
        stale: Those of `misses` that were answered with a result past its time.
        stale_age_s_max: How many seconds past its time the oldest of them was.
    """

    hits: int
    misses: int
    loads: int
    evictions: int
    invalidated: int
    spared: int
    entries: int
    stale: int
    stale_age_s_max: float


class _Entry:
    """A result, or one that is being read."""

    __slots__ = ("is_live", "key", "l1", "rows", "slots", "tally")

    def __init__(self, key: Any, l1: _L1, readings: Iterable[Reading], tally: Tally) -> None:
        self.key = key
        self.l1 = l1
        self.tally = tally
        self.slots = [Slot(self, reading) for reading in readings]
        self.rows: list[Any] = []
        self.is_live = False


_L1: TypeAlias = Cache[Any, Fetched[_Entry]]


class _Shelf:
    """The results of all queries under strategies that differ in their `ttl_s` only."""

    def __init__(self, strategy: ReadThrough, left: Callable[[Any, Any, str], None]) -> None:
        self.l1: _L1 = Cache(
            strategy.max_entries,
            weigher=_weight,
            ttl_s=strategy.ttl_s,
            ttl_jitter=strategy.ttl_jitter,
            stale_if_error_s=strategy.kept_s,
            retry_s=strategy.retry_s,
            listener=left,
        )
        self.resilience: Resilience[_Entry, Any] = Resilience(self.l1, strategy)


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
        self._shelves: dict[ReadThrough, _Shelf] = {}
        self._horizon_s: float | None = None
        self._invalidated = 0
        self._spared = 0
        self._loads = 0
        self._fresh = 0
        self.tallies = Tallies()

    def read(
        self,
        key: Any,
        readings: Callable[[], Sequence[Reading]],
        strategy: ReadThrough,
        load: Callable[[], Loaded],
        options: ReadOptions = PLAIN,
    ) -> Loaded:
        """The rows of a result, which are not to be changed; read if none are kept that will do.

        Args:
            key: What tells the result from others: the statement, its values, and what is made
                of the rows.
            readings: What it reads of each table, parameters filled in; asked for on a miss.
            strategy: How it is kept; its time to live counts from the beginning of the read.
            load: Reads it, from a server that lacks no change that `changed` was told of.
            options: Of the call.
        """
        shelf = self._shelf(strategy)
        ttl_s = options.ttl_s or strategy.ttl_s
        mine: list[_Entry] = []

        def loaded(key: Any) -> Fetched[_Entry]:
            entry = _Entry(key, shelf.l1, readings(), self.tallies.of(key))
            mine.append(entry)
            return self._load(entry, load, strategy=strategy, ttl_s=ttl_s)

        found: Fetched[_Entry] | None
        if options.fresh:
            # A load that began before must not replace what this one reads.
            shelf.l1.refuse_loads(key)
            with self._lock:
                self._fresh += 1
            found = loaded(key)
        else:
            found = shelf.l1.get(key)
            if found is None and options.stale_ok_s > 0:
                found = shelf.resilience.stale(key, options.stale_ok_s)
            if found is None:
                # Neither says of whose operation; who asked does.
                shared = sharing(shelf.l1, loaded, None, None)
                is_plain = not strategy.is_resilient
                found = shared(key) if is_plain else shelf.resilience.read(key, shared)
        if isinstance(found, Failure):
            return found
        entry = found.unwrap()
        if entry not in mine:
            entry.tally.hits += 1
        return Success(entry.rows)

    def _shelf(self, strategy: ReadThrough) -> _Shelf:
        kind = msgspec.structs.replace(strategy, ttl_s=1.0)
        shelf = self._shelves.get(kind)
        if shelf is not None:
            return shelf
        with self._lock:
            shelf = self._shelves.get(kind)
            if shelf is None:
                shelf = _Shelf(kind, self._left)
                shelf.l1.serve_until(self._horizon_s)
                self._shelves[kind] = shelf
            return shelf

    def _load(
        self, entry: _Entry, load: Callable[[], Loaded], *, strategy: ReadThrough, ttl_s: float
    ) -> Fetched[_Entry]:
        token = entry.l1.begin(entry.key)
        began_s = time.monotonic()
        # Before the read: a change from now on finds it.
        self._enter(entry)
        is_kept = False
        try:
            found = load()
            entry.tally.load_s += time.monotonic() - began_s
            if isinstance(found, Failure):
                return found
            entry.rows = found.unwrap()
            result = Success(entry)
            # The age counts from before the read, so a slow read does not lengthen a life.
            took_s = time.monotonic() - began_s
            rest_s = ttl_s - took_s
            if rest_s >= TTL_S_MIN:
                soon_s = early_s(strategy, rest_s, took_s)
                is_kept = entry.l1.fill(entry.key, result, token, ttl_s=rest_s, early_s=soon_s)
            return result
        finally:
            if not is_kept:
                self._leave(entry)

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
        with self._lock:
            self._horizon_s = horizon_s
            shelves = list(self._shelves.values())
        for shelf in shelves:
            shelf.l1.serve_until(horizon_s)

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
        with self._lock:
            shelves = list(self._shelves.values())
        kept = [shelf.l1.stats() for shelf in shelves]
        stale = [shelf.resilience.stats() for shelf in shelves]
        return QueryStats(
            sum(stats.hits for stats in kept),
            sum(stats.misses for stats in kept) + self._fresh,
            self._loads,
            sum(stats.evictions + stats.expirations for stats in kept),
            self._invalidated,
            self._spared,
            sum(stats.entries for stats in kept),
            sum(answers for answers, _ in stale),
            max((age_s for _, age_s in stale), default=0.0),
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
        entry.l1.invalidate(entry.key)
        entry.tally.invalidated += 1
        return True

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

    def _left(self, _: Any, kept: Success[_Entry], _cause: str) -> None:
        self._leave(kept.unwrap())

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


def _weight(_: Any, kept: Fetched[_Entry]) -> int:
    return len(kept.unwrap().rows) + 1


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
