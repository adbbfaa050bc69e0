"""What a store says of its tiers, and the application's own use of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tierline.cache.application import ApplicationCache
from tierline.cache.application_keys import CacheKey
from tierline.cache.cached_functions import Tags, stored_function
from tierline.cache.functions import CachedFunction
from tierline.cache.spaces import MAX_ENTRIES
from tierline.cache.tables import Caches
from tierline.postgres import Database
from tierline.store.backplane import Backplane
from tierline.store.stats import Stats, all_tiers, each_query

P = ParamSpec("P")
R = TypeVar("R")


class Caching:
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
            each_query(self.caches.queries),
            None if self.backplane is None else self.backplane.health(),
            self.database.health(),
        )
