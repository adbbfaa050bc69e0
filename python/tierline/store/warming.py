"""`store.warm`: filling the caches in bounded batches, before anybody asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sized
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec
from returns.result import Failure, Success

from tierline.cache.caches import Caches
from tierline.deadline import remaining_s
from tierline.entity import Table
from tierline.errors import ConfigurationError, RepositoryError
from tierline.query import Query, project
from tierline.result import Result
from tierline.store.hot_key_file import HotKeys, keys_of, read_hot_keys
from tierline.store.loader import Loader
from tierline.store.streams import Stream

Stopped: TypeAlias = Literal["interrupt", "deadline"]
Progress: TypeAlias = bool | Callable[[int], object]
"""True shows bars; a function is called with the rows of each batch."""

_BATCH = 500
_BATCHES_A_SECOND = 10
_KEYS_A_BATCH = 10_000


class WarmReport(msgspec.Struct, frozen=True):
    """What warming came to.

    Attributes:
        keys: Keys that were asked for.
        rows: Rows that they had, which the caches hold now, room permitting.
        took_s: Seconds that it took.
        stopped: `interrupt` or `deadline` if it ended early; what was done by then stays.
        uncached: Tables of the file of hot keys that no repository of this store caches.
    """

    keys: int
    rows: int
    took_s: float
    stopped: Stopped | None = None
    uncached: tuple[str, ...] = ()


class WarmStore(Protocol):
    """What warming needs of a store."""

    @property
    def caches(self) -> Caches:
        """L1 and L2."""
        ...

    def loader(self, table: Table[Any, Any], /) -> Loader[Any, Any]:
        """Reads many keys at once and fills the caches."""
        ...

    def stream(
        self, query: Query[Any], /, *, size: int = 1000, **parameters: object
    ) -> Stream[Any]:
        """The rows of a query in batches."""
        ...


class Work(NamedTuple):
    """Keys of one table to warm."""

    table: Table[Any, Any]
    keys: Iterable[Any]


Tell: TypeAlias = Callable[[Work], Callable[[int], object]]
"""From a table's work to what is told of each batch of it."""


def work_of_query(
    store: WarmStore, query: Query[Any], parameters: dict[str, object]
) -> Result[Work, RepositoryError]:
    """The keys of a query's rows: as many as L1 holds, unless L2 holds more.

    Raises:
        TypeError: Its rows are no entities of a table.
        ValueError: No repository caches the table.
    """
    table = query.table
    if query.projection is not None or query.joins:
        raise TypeError("warm takes a query of whole entities, such as tl.select(FLIGHTS)")
    room = _room(store.caches, table)
    fields = [column.field for column in table.key_columns]
    keys_only = project(
        query,
        lambda row: (
            getattr(row, fields[0])
            if len(fields) == 1
            else tuple(getattr(row, field) for field in fields)
        ),
    )
    keys: list[Any] = []
    with store.stream(keys_only, size=_KEYS_A_BATCH, **parameters) as batches:
        for batch in batches:
            if isinstance(batch, Failure):
                return batch
            keys += batch.unwrap()
            if room is not None and len(keys) >= room:
                break
    return Success(Work(table, keys[:room]))


def work_of_keys(caches: Caches, table: Table[Any, Any], keys: Iterable[Any]) -> Work:
    """The keys that were given.

    Raises:
        ValueError: No repository caches the table.
    """
    _room(caches, table)
    return Work(table, keys)


def work_of_hot_keys(
    caches: Caches, hot: HotKeys
) -> Result[tuple[list[Work], tuple[str, ...]], RepositoryError]:
    """The keys of a file, for the tables that are cached; and the names of the others.

    Errors: as `read_hot_keys` and `keys_of`.
    """
    read = read_hot_keys(hot)
    if isinstance(read, Failure):
        return read
    tables = {
        (".".join(caches.place(cache.table)), cache.table.key): cache.table
        for cache in caches.all()
    }
    works: list[Work] = []
    uncached: list[str] = []
    for each in read.unwrap():
        table = tables.get((each.table, each.key))
        if table is None:
            uncached.append(each.table)
            continue
        keys = keys_of(each, table)
        if isinstance(keys, Failure):
            return keys
        works.append(Work(table, keys.unwrap()))
    return Success((works, tuple(uncached)))


def warm_all(
    store: WarmStore, works: Iterable[Work], *, rate: float | None, progress: Progress
) -> Result[WarmReport, RepositoryError]:
    """Read keys batch by batch, at most `rate` rows a second, and let the caches keep the rows."""
    shown = _shown(progress)
    if isinstance(shown, Failure):
        return shown
    run = _Run(store, rate)
    with shown.unwrap() as tell:
        failure = run.all(works, tell)
    return failure or Success(run.report())


class _Run:
    """One call of `warm`."""

    def __init__(self, store: WarmStore, rate: float | None) -> None:
        self._store = store
        self._rate = rate
        self._size = _BATCH if rate is None else max(1, min(_BATCH, int(rate / _BATCHES_A_SECOND)))
        self._began_s = time.monotonic()
        self._keys = self._rows = 0
        self._stopped: Stopped | None = None

    def all(self, works: Iterable[Work], tell: Tell) -> Failure[RepositoryError] | None:
        try:
            for work in works:
                failure = self._one(work, tell(work))
                if failure is not None or self._stopped is not None:
                    return failure
        except KeyboardInterrupt:
            # What is in the caches by now is as good as if it had gone on.
            self._stopped = "interrupt"
        return None

    def report(self) -> WarmReport:
        took_s = time.monotonic() - self._began_s
        return WarmReport(self._keys, self._rows, took_s, self._stopped)

    def _one(self, work: Work, tell: Callable[[int], object]) -> Failure[RepositoryError] | None:
        keys = iter(work.keys)
        while batch := list(islice(keys, self._size)):
            if not self._waited(len(batch)):
                self._stopped = "deadline"
                return None
            with self._store.loader(work.table) as load:
                found = load.many(batch)
            if isinstance(found, Failure):
                if remaining_s() > 0:
                    return found
                self._stopped = "deadline"
                return None
            self._keys += len(batch)
            self._rows += len(found.unwrap())
            tell(len(batch))
        return None

    def _waited(self, count: int) -> bool:
        """Wait until so many more rows are due; whether the deadline leaves the time."""
        rest_s = remaining_s()
        pause_s = 0.0
        if self._rate is not None:
            due_s = self._began_s + (self._keys + count) / self._rate
            pause_s = max(0.0, due_s - time.monotonic())
        if pause_s >= rest_s:
            return False
        time.sleep(pause_s)
        return True


def check_rate(rate: float | None) -> None:
    """Refuse what is no number of rows a second.

    Raises:
        ValueError: It is not positive.
    """
    if rate is not None and not rate > 0:
        raise ValueError(f"rate must be positive, or None for no limit, not {rate!r}")


def _room(caches: Caches, table: Table[Any, Any]) -> int | None:
    """How many rows of a table are worth reading; None if there is no such number."""
    found = [cache for cache in caches.of(table) if cache.table is table]
    if not found:
        raise ValueError(
            f"no repository of this store caches {table.name}: make it first, with "
            "tl.repository(store, table, cache=tl.read_through(…)), and keep it"
        )
    return None if caches.l2 is not None else max(c.strategy.max_entries for c in found)


def _shown(progress: Progress) -> Result[AbstractContextManager[Tell], RepositoryError]:
    if progress is True:
        if find_spec("rich") is None:
            return Failure(
                ConfigurationError(
                    "progress=True shows bars with rich, which is not here: run pip install rich, "
                    "or give a function",
                    operation="warm",
                )
            )
        return Success(_bars())
    return Success(_told(progress or (lambda _: None)))


@contextmanager
def _told(function: Callable[[int], object]) -> Generator[Tell]:
    yield lambda _: function


@contextmanager
def _bars() -> Generator[Tell]:
    rich: Any = import_module("rich.progress")
    with rich.Progress(
        rich.TextColumn("{task.description:>10}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
    ) as bars:

        def tell(work: Work) -> Callable[[int], object]:
            total = len(work.keys) if isinstance(work.keys, Sized) else None
            bar = bars.add_task(work.table.name, total=total)
            return lambda count: bars.advance(bar, count)

        yield tell
