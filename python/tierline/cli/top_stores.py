"""The stores that show their statistics in one Redis."""

from __future__ import annotations

from typing import Any

import msgspec

import tierline as tl
from tierline.cache.board import BoardError, Published, StatsBoard
from tierline.cache.floors import wall_ms
from tierline.cli.top_sources import UnreachableError


class ShownStore(msgspec.Struct, frozen=True):
    """One store of a process.

    Attributes:
        process: Its host, process id and a random part.
        up_s: Seconds since it was opened.
        seen_s: Seconds since it said what it says here.
        store: What it says of itself.
        reads_per_s: Reads that L1 was asked for, since the page before; None on the first page.
        stats: Its statistics.
    """

    process: str
    up_s: float
    seen_s: float
    store: str
    reads_per_s: float | None
    stats: tl.Stats


class Stores:
    """Reads the board of a Redis.

    Args:
        url: Of Redis.
        prefix: Of the stores' keys.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._board = StatsBoard(url, prefix=prefix)
        self._prefix = prefix
        self._before: dict[str, tuple[int, int]] = {}

    def look(self) -> tuple[object, str]:
        """Every store now.

        Raises:
            UnreachableError: Redis does not answer.
        """
        try:
            found = self._board.all()
        except BoardError as error:
            raise UnreachableError(f"Redis does not answer: {error}") from error
        shown = [store for store in map(self._shown, found) if store is not None]
        return shown, self._page(shown)

    def close(self) -> None:
        """Close the connection."""
        self._board.close()

    def _shown(self, published: Published) -> ShownStore | None:
        try:
            stats = msgspec.msgpack.decode(published.stats, type=tl.Stats)
        except (msgspec.DecodeError, ValueError):
            # Of another version.
            return None
        now_ms = wall_ms()
        reads = sum(t.hits + t.misses for t in stats.tiers if t.tier.startswith("L1"))
        at_ms, before = self._before.get(published.process, (published.at_ms, reads))
        self._before[published.process] = (published.at_ms, reads)
        passed_s = (published.at_ms - at_ms) / 1_000
        return ShownStore(
            published.process,
            max(0.0, (now_ms - published.since_ms) / 1_000),
            max(0.0, (now_ms - published.at_ms) / 1_000),
            published.store,
            (reads - before) / passed_s if passed_s > 0 else None,
            stats,
        )

    def _page(self, shown: list[ShownStore]) -> str:
        if not shown:
            return (
                f"No store shows its statistics under the prefix {self._prefix!r}: open it with "
                "tl.open(…, redis=…, publish_stats=True)"
            )
        return "\n\n\n".join(map(store_page, shown))


def store_page(shown: ShownStore) -> str:
    """One store, as text."""
    rate = "" if shown.reads_per_s is None else f", {shown.reads_per_s:,.0f} L1 reads/s"
    lines = [
        f"{shown.process}  up {shown.up_s:,.0f} s, seen {shown.seen_s:.1f} s ago{rate}",
        shown.store,
    ]
    if shown.stats.health is not None:
        lines += map(node_line, shown.stats.health.nodes)
    return "\n".join([*lines, "", repr(shown.stats)])


def node_line(node: Any) -> str:
    """One PostgreSQL server, as text."""
    pool = node.pool
    trouble = "" if node.last_error is None else f", {node.last_error}"
    return (
        f"{node.role} {node.location}: circuit {node.circuit}, {pool.in_use} of {pool.size} "
        f"connections in use, {pool.waiting} waiting, {node.latency_s * 1_000:.1f} ms{trouble}"
    )
