"""What a store says of its tiers, and the application's own use of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast, overload

import msgspec
from returns.result import Failure, Success

from tierline.cache.application import ApplicationCache
from tierline.cache.application_keys import CacheKey
from tierline.cache.cached_functions import Tags, stored_function
from tierline.cache.caches import Caches
from tierline.cache.functions import CachedFunction
from tierline.cache.spaces import MAX_ENTRIES
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.postgres import Database
from tierline.query import Query
from tierline.result import Result
from tierline.store.backplane import Backplane
from tierline.store.hot_key_file import HotKeys, hot_table, write_hot_keys
from tierline.store.parts import StoreParts
from tierline.store.stats import Stats, all_tiers, each_query
from tierline.store.warming import (
    Progress,
    WarmReport,
    check_rate,
    warm_all,
    work_of_hot_keys,
    work_of_keys,
    work_of_query,
)

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class Caching(StoreParts):
    """The part of a store that is about its caches.

    Attributes:
        database: L3.
        caches: L1 and L2.
        cache: The application's own keys, in L1 and L2.
        backplane: Hears of changes; None without one.
    """

    database: Database
    caches: Caches
    cache: ApplicationCache
    backplane: Backplane | None

    def cached(
        self,
        *,
        ttl_s: float,
        key: Callable[..., CacheKey] | None = None,
        tags: Tags = (),
        max_entries: int = MAX_ENTRIES,
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
        """Remember what a function returns, as `tl.cached` does, and in Redis too.

        The function says in its annotations what it returns, for that is how L2 is read. If that is
        a Result, only its Success is kept. Its results are named by its module and name; after a
        change that makes them others, call `cache_clear`, or Redis answers with the old ones.

        Args:
            ttl_s: Seconds a result is kept, from before the call.
            key: Makes the key of a call from its arguments; without it they must be texts,
                numbers, dates and the like. A method needs one: `self` is no key.
            tags: Labels by which `store.cache.invalidate_tag` finds the results, or what makes them
                from the arguments.
            max_entries: The most results in L1.

        Raises:
            TypeError: The function does not say what it returns, or is a coroutine function.
            ValueError: `ttl_s` or `max_entries` is out of range.

        Example:
            ``@store.cached(ttl_s=60)``
        """

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            return stored_function(
                self.cache, function, ttl_s=ttl_s, key=key, tags=tags, max_entries=max_entries
            )

        return decorate

    def stats(self) -> Stats:
        """The counters of each tier, table and cached query, the horizon and the servers.

        They are counted since the store was opened. Asking reads counters that are kept anyway.
        """
        return Stats(
            all_tiers(self.caches, self.cache, self.database.reads()),
            self.write_behind.stats(),
            each_query(self.caches.queries),
            None if self.backplane is None else self.backplane.health(),
            self.database.health(),
        )

    @overload
    def warm(
        self,
        what: Query[Any],
        /,
        *,
        rate: float | None = None,
        progress: Progress = False,
        **parameters: object,
    ) -> Result[WarmReport, RepositoryError]: ...
    @overload
    def warm(
        self,
        what: Table[Any, K],
        keys: Iterable[K],
        /,
        *,
        rate: float | None = None,
        progress: Progress = False,
    ) -> Result[WarmReport, RepositoryError]: ...
    @overload
    def warm(
        self, what: HotKeys, /, *, rate: float | None = None, progress: Progress = False
    ) -> Result[WarmReport, RepositoryError]: ...
    def warm(
        self,
        what: Query[Any] | Table[Any, Any] | HotKeys,
        keys: Iterable[Any] | None = None,
        /,
        *,
        rate: float | None = None,
        progress: Progress = False,
        **parameters: object,
    ) -> Result[WarmReport, RepositoryError]:
        """Fill the caches of repositories before anybody asks, in batches of at most 500 rows.

        Rows are read by key, as `get_many` reads them, so whatever is written meanwhile is never
        cached as it was before. Ctrl-C and the deadline of `tl.deadline` end it early, with a
        report, and what was read by then stays. Open the repositories with their caches first.

        Args:
            what: A query of whole entities: its keys are read at once, then the rows. Or a table,
                with `keys`. Or `tl.hot_keys(path)`, what `save_hot_keys` wrote.
            keys: Keys of the table; an iterator is read as far as it is needed.
            rate: The most rows a second; None for no limit.
            progress: True shows bars; a function is called with the rows of each batch.
            **parameters: A value for each `tl.param` in the query.

        Errors: what reading may come to; of a file `ConfigurationError` if it cannot be read and
        `DecodeError` if it is broken, and then nothing is done.

        Raises:
            TypeError: It is nothing that can be warmed, or a parameter is wrong.
            ValueError: No repository of the store caches the table, or `rate` is not positive.

        Example:
            ``store.warm(tl.select(FLIGHTS, where=lambda f: f.origin == "JFK"), rate=5_000)``
        """
        check_rate(rate)
        uncached: tuple[str, ...] = ()
        store: Any = self
        if isinstance(what, Query):
            work = work_of_query(store, what, parameters)
            if isinstance(work, Failure):
                return work
            works = [work.unwrap()]
        elif isinstance(what, HotKeys):
            found = work_of_hot_keys(self.caches, what)
            if isinstance(found, Failure):
                return found
            works, uncached = found.unwrap()
        elif isinstance(cast("object", what), Table) and keys is not None:
            works = [work_of_keys(self.caches, what, keys)]
        else:
            raise TypeError("warm takes a query, a table and its keys, or tl.hot_keys(path)")
        warmed = warm_all(store, works, rate=rate, progress=progress)
        if isinstance(warmed, Failure):
            return warmed
        return Success(msgspec.structs.replace(warmed.unwrap(), uncached=uncached))

    def save_hot_keys(
        self, path: str | PathLike[str], /, *, top: int = 10_000
    ) -> Result[int, RepositoryError]:
        """Write the keys that are asked for most to a file, for `store.warm` of the next run.

        Which they are is what L1's policy knows. A file that is there is replaced as a whole, and
        stays if there is no key to write. What it looks like is in the guide to warming.

        Args:
            path: Of the file.
            top: The most keys of each table.

        Errors: `ConfigurationError` if it cannot be written; the old file stays.

        Returns:
            How many keys were written.

        Raises:
            ValueError: `top` is not positive.

        Example:
            ``store.save_hot_keys("hot_keys.txt", top=1_000)``
        """
        if top < 1:
            raise ValueError(f"top must be at least 1, not {top!r}")
        hottest: dict[tuple[str, tuple[str, ...]], tuple[Table[Any, Any], dict[Any, None]]] = {}
        for cache in self.caches.all():
            name = (".".join(self.caches.place(cache.table)), cache.table.key)
            _, keys = hottest.setdefault(name, (cache.table, {}))
            keys.update(dict.fromkeys(cache.l1.hottest(top)))
        tables = {name: (table, list(keys)[:top]) for name, (table, keys) in hottest.items()}
        count = sum(len(keys) for _, keys in tables.values())
        if not count:
            return Success(0)
        content = [hot_table(name, table, keys) for (name, _), (table, keys) in tables.items()]
        written = write_hot_keys(Path(path), content)
        return written if isinstance(written, Failure) else Success(count)
