"""`tl.cached_query`: a query whose result is kept, as a value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

import msgspec

from tierline.cache.strategy import TTL_S_MIN
from tierline.entity import Table
from tierline.query.query import Fetchable, Query
from tierline.query.readings import Reading, readings_of
from tierline.sql.raw import RawQuery

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class CachedQuery(msgspec.Struct, Generic[T_co], frozen=True, eq=False, dict=True):
    """A query whose result a store keeps; make it with `tl.cached_query`.

    Attributes:
        query: What is asked.
        ttl_s: Seconds after which a result is no longer served.
        reads: The tables that SQL reads; a query says so itself.
    """

    query: Fetchable[T_co]
    ttl_s: float
    reads: tuple[Table[Any, Any], ...] = ()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What the query reads of each table."""
        if isinstance(self.query, Query):
            query: Query[Any] = cast("Any", self.query)
            return readings_of(query)
        return tuple(Reading(table) for table in self.reads)

    def __repr__(self) -> str:
        return f"<cached for {self.ttl_s:g} s: {self.query!r}>"


def cached_query(
    query: Fetchable[T], /, *, ttl_s: float, reads: Iterable[Table[Any, Any]] = ()
) -> CachedQuery[T]:
    """Keep a query's result until a write changes it.

    The value goes where the query would: `store.fetch_all`, `fetch_one`, `fetch_maybe`, `count` and
    `exists`. The result is kept by the statement and the values in it, and is forgotten when a row
    is written, through the same store, that the result depends on, before the write or after it.
    Other rows leave it where it is.

    Args:
        query: From `tl.select`, `tl.project`, `tl.join` and the like, or `tl.sql` with `into=`.
        ttl_s: Seconds after which a result is no longer served: the bound on how stale it may be
            when somebody writes past this store. At least 0.001.
        reads: Every table that SQL reads, directly or through a view; any write to one of them
            forgets the result. Only of `tl.sql`, which does not say so itself.

    Raises:
        TypeError: It is no query, or one that locks rows; SQL without `reads`, or another query
            with it.
        ValueError: `ttl_s` is out of range.

    Example:
        ``store.fetch_all(tl.cached_query(late_flights, ttl_s=60))``
    """
    given: Any = query
    tables = tuple(reads)
    for table in tables:
        if not isinstance(cast("object", table), Table):
            raise TypeError(f"cached_query: reads= takes tables from tl.table, not {table!r:.80}")
    if isinstance(given, RawQuery):
        if not tables:
            raise TypeError(
                "cached_query cannot see which tables SQL reads; name all of them: reads=(TABLE, …)"
            )
    elif not isinstance(given, Query):
        raise TypeError(
            "cached_query takes a query of tl.select, tl.project or tl.sql(…, into=…), not "
            f"{type(given).__name__}"
        )
    elif tables:
        raise TypeError("cached_query: reads= is of tl.sql; this query says itself what it reads")
    elif given.lock is not None:
        raise TypeError("cached_query: a query that locks rows is asked each time")
    if not (math.isfinite(ttl_s) and ttl_s >= TTL_S_MIN):
        raise ValueError(f"ttl_s must be at least {TTL_S_MIN} seconds, not {ttl_s!r}")
    return CachedQuery(query, float(ttl_s), tables)
