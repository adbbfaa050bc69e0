"""Statistics of a store, as a value that reads well."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import msgspec

from tierline.cache.query_cache import QueryStats
from tierline.cache.redis import RedisTier
from tierline.cache.tables import TableCache
from tierline.store.behind_values import WriteBehindStats


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

    @property
    def hit_ratio(self) -> float | None:
        """Hits by reads, from 0 to 1; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


class Stats(msgspec.Struct, frozen=True):
    """A store's tiers from the top down.

    Attributes:
        tiers: The counters of each.
        write_behind: How far the journal of each table is that is written behind.
    """

    tiers: tuple[TierStats, ...]
    write_behind: tuple[WriteBehindStats, ...] = ()

    def __repr__(self) -> str:
        rows = [_HEADER, *map(_cells, self.tiers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
        return "\n".join([*lines, *map(_lag, self.write_behind)])

    def _repr_html_(self) -> str:
        head = _row("th", _HEADER)
        body = "".join(_row("td", _cells(tier)) for tier in self.tiers)
        lags = "".join(f"<p>{html.escape(_lag(one))}</p>" for one in self.write_behind)
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{lags}"


def _lag(stats: WriteBehindStats) -> str:
    return (
        f"write-behind {stats.table}: {stats.pending:,} pending for {stats.lag_s:.1f} s, "
        f"{stats.dead_letters:,} dead letters"
    )


_HEADER = ("tier", "hits", "misses", "hit ratio", "loads", "evictions", "invalidations", "spared",
           "errors", "entries")  # fmt: skip


def _cells(tier: TierStats) -> tuple[str, ...]:
    ratio = tier.hit_ratio
    return (
        tier.tier,
        f"{tier.hits:,}",
        f"{tier.misses:,}",
        "-" if ratio is None else f"{ratio:.1%}",
        f"{tier.loads:,}",
        f"{tier.evictions:,}",
        f"{tier.invalidations:,}",
        f"{tier.spared:,}",
        f"{tier.errors:,}",
        "-" if tier.entries is None else f"{tier.entries:,}",
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def l1_stats(cache: TableCache[Any, Any]) -> TierStats:
    """L1's counters of one table."""
    stats, stale = cache.l1.stats(), cache.resilience.stats()
    return TierStats(
        f"L1 {cache.table.name}",
        hits=stats.hits,
        misses=stats.misses,
        loads=stats.fills,
        evictions=stats.evictions + stats.expirations,
        invalidations=stats.invalidations,
        entries=stats.entries,
        stale=stale.answers,
        stale_age_s_max=stale.age_s_max,
    )


def query_stats(stats: QueryStats) -> TierStats:
    """The counters of cached queries."""
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
    )
