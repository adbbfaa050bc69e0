"""`tl.cached_query`: a query whose result is kept, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import msgspec

from tierline.cache.strategy import ReadThrough, read_through
from tierline.entity import Table
from tierline.query.query import Fetchable, Query
from tierline.sql.raw import RawQuery

if TYPE_CHECKING:
    from tierline.query.readings import Reading

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

ROWS_MAX = 1_000_000
"""The most rows kept as results, each result counting as one more, unless a strategy says."""


class CachedQuery(msgspec.Struct, Generic[T_co], frozen=True, eq=False, dict=True):
    """A query whose result a store keeps; make it with `tl.cached_query`.

    Attributes:
        query: What is asked.
        strategy: How its results are kept.
        reads: The tables that SQL reads; a query says so itself.
    """

    query: Fetchable[T_co]
    strategy: ReadThrough
    reads: tuple[Table[Any, Any], ...] = ()

    @property
    def ttl_s(self) -> float:
        """Seconds after which a result is no longer fresh."""
        return self.strategy.ttl_s

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What the query reads of each table."""
        # It evaluates conditions on rows, and is imported when it is first wanted.
        from tierline.query.readings import Reading, readings_of  # noqa: PLC0415

        if isinstance(self.query, Query):
            query: Query[Any] = cast("Any", self.query)
            return readings_of(query)
        return tuple(Reading(table) for table in self.reads)

    def __repr__(self) -> str:
        return f"<cached for {self.ttl_s:g} s: {self.query!r}>"


@overload
def cached_query(
    query: Fetchable[T], /, *, ttl_s: float, reads: Iterable[Table[Any, Any]] = ()
) -> CachedQuery[T]: ...
@overload
def cached_query(
    query: Fetchable[T], /, *, strategy: ReadThrough, reads: Iterable[Table[Any, Any]] = ()
) -> CachedQuery[T]: ...
def cached_query(
    query: Fetchable[T],
    /,
    *,
    ttl_s: float | None = None,
    strategy: ReadThrough | None = None,
    reads: Iterable[Table[Any, Any]] = (),
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
        strategy: Instead of `ttl_s`, from `tl.read_through`: with windows in which an old result
            is better than none, limits of time, and early reads. Its `max_entries` counts rows,
            each result as one more, of all queries under equal strategies.
        reads: Every table that SQL reads, directly or through a view; any write to one of them
            forgets the result. Only of `tl.sql`, which does not say so itself.

    Raises:
        TypeError: It is no query, or one that locks rows; SQL without `reads`, or another query
            with it; not one of `ttl_s` and `strategy`; a strategy that remembers absences or takes
            leases, which results do not need or have.
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
    return CachedQuery(query, _strategy(ttl_s, strategy), tables)


def _strategy(ttl_s: float | None, strategy: object) -> ReadThrough:
    if strategy is None:
        if ttl_s is None:
            raise TypeError("cached_query: say for how long, ttl_s=60, or how, strategy=")
        return read_through(ttl_s=ttl_s, max_entries=ROWS_MAX)
    if ttl_s is not None:
        raise TypeError("cached_query: a strategy has a ttl_s of its own; leave ttl_s= out")
    if not isinstance(strategy, ReadThrough):
        raise TypeError(
            f"cached_query: strategy= takes tl.read_through(…), not {strategy!r:.80}; the others "
            "are about writes, which go through repositories"
        )
    if strategy.negative_ttl_s is not None:
        raise TypeError(
            "cached_query: a result without rows is a result, kept for ttl_s; leave "
            "negative_ttl_s out of the strategy"
        )
    if strategy.lease_s is not None:
        raise TypeError(
            "cached_query: results are kept in each process by itself; leave lease_s out of the "
            "strategy"
        )
    return strategy
