"""Statistics of a store, as a value that reads well."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tierline._core import CacheStats
from tierline.cache.application import ApplicationCache
from tierline.cache.caches import Caches
from tierline.cache.query_cache import QueryCache
from tierline.cache.redis import RedisTier
from tierline.cache.tables import TableCache
from tierline.postgres import Health, Reads
from tierline.store.backplane import BackplaneHealth
from tierline.store.behind_values import WriteBehindStats
from tierline.store.tabular import Cells, as_html, as_text


class TierStats(msgspec.Struct, frozen=True):
    """One tier's counters since the store was opened.

    Attributes:
        tier: Its name, such as `L1 flights` or `L2`.
        hits: Reads it answered.
        misses: Reads it could not answer.
        loads: Values put into it after a read below, or rows read, for L3.
        evictions: Entries it dropped for lack of room or age.
        invalidations: Entries it dropped because they were written.
        spared: How often a cached query's result stayed although a table that it reads was written.
        errors: Calls that failed.
        entries: Entries it holds; None where only the server knows.
        stale: Answers with a value past its time, which its strategy lets stand in.
        stale_age_s_max: How many seconds past its time the oldest of them was.
        table: The table that it is of; None for all others.
        refused: Loaded values that it did not take, because they had changed meanwhile.
        round_trips: How often its server was asked, for however many values; 0 where there is none,
            or they are not counted.
        bytes_read: Of the values that it answered with, as it keeps them.
        bytes_written: Of the values put into it, as it keeps them.
        payload_bytes: The same before they were framed, compressed and encrypted.
    """

    tier: str
    hits: int = 0
    misses: int = 0
    loads: int = 0
    evictions: int = 0
    invalidations: int = 0
    spared: int = 0
    errors: int = 0
    entries: int | None = None
    stale: int = 0
    stale_age_s_max: float = 0.0
    table: str | None = None
    refused: int = 0
    round_trips: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    payload_bytes: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """Hits by reads, from 0 to 1; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None

    @property
    def compression(self) -> float | None:
        """How many times smaller values are kept than they are; None before the first one."""
        return self.payload_bytes / self.bytes_written if self.bytes_written else None


class CachedQueryStats(msgspec.Struct, frozen=True):
    """The counters of one cached query, whatever its parameters, since the store was opened.

    Attributes:
        operation: The verb that it is read by; empty for all queries beyond the first 1,000.
        table: Its first table; None for raw SQL.
        sql: Its text, which holds no value.
        hits: Reads answered with a kept result, or with a load that others had begun.
        loads: Results that were read.
        invalidations: Results dropped because a change concerned them.
        load_s: Seconds that the loads took together.
    """

    operation: str
    table: str | None
    sql: str
    hits: int
    loads: int
    invalidations: int
    load_s: float

    @property
    def hit_ratio(self) -> float | None:
        """Hits by reads, from 0 to 1; None before the first read."""
        reads = self.hits + self.loads
        return self.hits / reads if reads else None


class Stats(msgspec.Struct, frozen=True):
    """A store at one moment, from the top down; shown as tables, in notebooks too.

    Attributes:
        tiers: The counters of each tier; L1 has a line a table, for cached queries and for each
            space of `store.cache`.
        write_behind: How far the journal of each table is that is written behind.
        queries: The counters of each cached query.
        backplane: How far the store has heard, from PostgreSQL or from Redis: `age_s` is the age of
            its horizon. None without one.
        health: The servers with their circuits and pools; None if it is not known.
    """

    tiers: tuple[TierStats, ...]
    write_behind: tuple[WriteBehindStats, ...] = ()
    queries: tuple[CachedQueryStats, ...] = ()
    backplane: BackplaneHealth | None = None
    health: Health | None = None

    @property
    def tables(self) -> dict[str, TierStats]:
        """L1's counters by table, summed over its caches; `tier` is the table."""
        tables: dict[str, TierStats] = {}
        for tier in self.tiers:
            if tier.table is not None:
                before = tables.get(tier.table, TierStats(tier.table, entries=0, table=tier.table))
                tables[tier.table] = _sum(before, tier)
        return tables

    def __repr__(self) -> str:
        lags = ["\n".join(map(_lag, self.write_behind))] if self.write_behind else []
        return "\n\n".join([*map(as_text, _tables(self)), *lags])

    def _repr_html_(self) -> str:
        lags = (f"<p>{html.escape(_lag(one))}</p>" for one in self.write_behind)
        return "".join([*map(as_html, _tables(self)), *lags])


def _lag(stats: WriteBehindStats) -> str:
    return (
        f"write-behind {stats.table}: {stats.pending:,} pending for {stats.lag_s:.1f} s, "
        f"{stats.dead_letters:,} dead letters"
    )


_COUNTERS = tuple(
    field.name for field in msgspec.structs.fields(TierStats) if field.type in (int, int | None)
)


def _sum(one: TierStats, other: TierStats) -> TierStats:
    sums = {name: (getattr(one, name) or 0) + (getattr(other, name) or 0) for name in _COUNTERS}
    oldest_s = max(one.stale_age_s_max, other.stale_age_s_max)
    return msgspec.structs.replace(one, **sums, stale_age_s_max=oldest_s)


def _tables(stats: Stats) -> list[list[Cells]]:
    tables = [tier_table(stats.tiers)]
    if stats.queries:
        tables.append(query_table(stats.queries))
    if stats.backplane is not None:
        tables.append(horizon_table(stats.backplane))
    return tables


# Columns that few tiers have are shown where one has something to say.
_COLUMNS: tuple[tuple[str, Callable[[TierStats], str], Callable[[TierStats], object]], ...] = (
    ("stale", lambda t: f"{t.stale:,}", lambda t: t.stale),
    ("stalest", lambda t: _seconds(t.stale_age_s_max), lambda t: t.stale_age_s_max),
    ("refused", lambda t: f"{t.refused:,}", lambda t: t.refused),
    ("round trips", lambda t: f"{t.round_trips:,}", lambda t: t.round_trips),
    ("read", lambda t: shown_bytes(t.bytes_read), lambda t: t.bytes_read),
    ("written", lambda t: shown_bytes(t.bytes_written), lambda t: t.bytes_written),
    ("compression", lambda t: _times(t.compression), lambda t: t.compression),
)


def tier_table(tiers: Iterable[TierStats]) -> list[Cells]:
    """A heading and a line for each tier."""
    several = list(tiers)
    extra = [column for column in _COLUMNS if any(column[2](tier) for tier in several)]
    heading = (*_HEADER, *(name for name, _, _ in extra))
    return [heading, *((*_cells(tier), *(cell(tier) for _, cell, _ in extra)) for tier in several)]


def query_table(queries: Iterable[CachedQueryStats]) -> list[Cells]:
    """A heading and a line for each cached query."""
    heading = ("cached query", "hits", "loads", "hit ratio", "invalidations", "one load")
    return [heading, *map(_query_cells, queries)]


def horizon_table(health: BackplaneHealth) -> list[Cells]:
    """A heading and a line for the backplane."""
    silent = ", ".join(health.silent_tables) or "-"
    age = "never" if health.age_s == float("inf") else f"{health.age_s:.3f} s"
    return [
        ("horizon", "at most", "announcements", "spared", "starts", "tables not heard of"),
        (age, f"{health.max_staleness_s:g} s", f"{health.announcements:,}",
         f"{health.spared:,}", f"{health.starts:,}", silent),
    ]  # fmt: skip


_HEADER = ("tier", "hits", "misses", "hit ratio", "loads", "evictions", "invalidations", "spared",
           "errors", "entries")  # fmt: skip
_SQL_SHOWN = 60


def _cells(tier: TierStats) -> Cells:
    return (
        tier.tier,
        f"{tier.hits:,}",
        f"{tier.misses:,}",
        _percent(tier.hit_ratio),
        f"{tier.loads:,}",
        f"{tier.evictions:,}",
        f"{tier.invalidations:,}",
        f"{tier.spared:,}",
        f"{tier.errors:,}",
        "-" if tier.entries is None else f"{tier.entries:,}",
    )


def _query_cells(query: CachedQueryStats) -> Cells:
    text = " ".join(query.sql.split())
    if len(text) > _SQL_SHOWN:
        text = f"{text[: _SQL_SHOWN - 1]}…"
    return (
        f"{query.operation} {text}" if query.operation else "all others",
        f"{query.hits:,}",
        f"{query.loads:,}",
        _percent(query.hit_ratio),
        f"{query.invalidations:,}",
        f"{query.load_s / query.loads * 1_000:,.2f} ms" if query.loads else "-",
    )


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"


def _seconds(count: float) -> str:
    return f"{count:,.1f} s" if count else "-"


def _times(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f}x"


def shown_bytes(count: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1_024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1_024
    return f"{count:,.1f} GiB"


def all_tiers(caches: Caches, application: ApplicationCache, reads: Reads) -> tuple[TierStats, ...]:
    """The counters of every tier."""
    tiers = [l1_stats(cache) for cache in caches.all()]
    if caches.queries.stats().loads:
        tiers.append(query_stats(caches.queries))
    for name, stats in application.stats().items():
        tiers.append(_of_l1(f"L1 cache {name}".rstrip(), stats))
    if caches.l2 is not None:
        tiers.append(l2_stats(caches.l2))
    l3 = TierStats(
        "L3", hits=reads.found, misses=reads.empty, loads=reads.found, errors=reads.errors
    )
    return (*tiers, l3)


def l1_stats(cache: TableCache[Any, Any]) -> TierStats:
    """L1's counters of one table."""
    table, stale = cache.table.name, cache.resilience.stats()
    return msgspec.structs.replace(
        _of_l1(f"L1 {table}", cache.l1.stats()),
        table=table,
        stale=stale.answers,
        stale_age_s_max=stale.age_s_max,
    )


def _of_l1(tier: str, stats: CacheStats) -> TierStats:
    return TierStats(
        tier,
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.fills,
        evictions=stats.evictions + stats.expirations,
        invalidations=stats.invalidations,
        entries=stats.entries,
        refused=stats.refused_fills,
    )


def query_stats(queries: QueryCache) -> TierStats:
    """The counters of cached queries together."""
    stats = queries.stats()
    return TierStats(
        "L1 queries",
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.loads,
        evictions=stats.evictions,
        invalidations=stats.invalidated,
        spared=stats.spared,
        entries=stats.entries,
        stale=stats.stale,
        stale_age_s_max=stats.stale_age_s_max,
    )


def each_query(queries: QueryCache) -> tuple[CachedQueryStats, ...]:
    """The counters of each cached query."""
    found: list[CachedQueryStats] = []
    for form, tally in queries.tallies:
        statement: Any = None if form is None else form.run.statement
        table = None if statement is None else statement.table
        found.append(
            CachedQueryStats(
                "" if statement is None else statement.operation,
                None if table is None else table.name,
                "" if statement is None else statement.sql,
                tally.hits,
                tally.loads,
                tally.invalidated,
                tally.load_s,
            )
        )
    return tuple(found)


def l2_stats(l2: RedisTier) -> TierStats:
    """L2's counters."""
    stats = l2.stats()
    return TierStats(
        "L2",
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.fills,
        invalidations=stats.invalidations,
        errors=stats.errors,
        refused=stats.refused_fills,
        round_trips=stats.round_trips,
        bytes_read=stats.bytes_read,
        bytes_written=stats.bytes_written,
        payload_bytes=stats.payload_bytes,
    )
