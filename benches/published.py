"""What a write costs under either backplane, side by side; `python benches/published.py`.

The ways take turns at random, write by write, so that what else the machine does is shared alike.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal

import tierline as tl
from backplane import Row
from tierline.testing import postgres_server, redis_server

WRITES = 1_500

Way = tuple[Literal["postgres", "redis"] | None, bool]

WAYS: dict[str, Way] = {
    "no backplane": (None, False),
    "no backplane, L2": (None, True),
    "in a transaction, L2": (None, True),
    "postgres, L2": ("postgres", True),
    "redis, L2": ("redis", True),
}


def measured(fsync: str) -> dict[str, float]:
    """The median of each way's writes, in microseconds."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(18, settings={"fsync": fsync}))
        redis = stack.enter_context(redis_server())
        writers: dict[str, Callable[[int], object]] = {}
        for name, (backplane, has_l2) in WAYS.items():
            table = tl.table(Row, name=f"rows_{len(writers)}", key=lambda r: r.id)
            store = stack.enter_context(
                tl.open(server.url, backplane=backplane, redis=redis.url if has_l2 else None)
            )
            store.create_table(table).unwrap()
            if backplane == "postgres":
                store.install_backplane([table]).unwrap()
            rows = tl.repository(store, table, cache=tl.read_through(ttl_s=60))
            rows.create_many([Row(n, 0, "x" * 50) for n in range(100)]).unwrap()
            writers[name] = _writer(store, rows, table, whole=name.startswith("in a"))
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        turns = list(writers.items())
        for n in range(WRITES):
            random.shuffle(turns)
            for name, write in turns:
                began = time.perf_counter()
                write(n)
                if n >= WRITES // 10:
                    times[name].append(time.perf_counter() - began)
        return {name: statistics.median(found) * 1e6 for name, found in times.items()}


def _writer(
    store: tl.Store, rows: tl.Repository[Row, int], table: tl.Table[Row, int], *, whole: bool
) -> Callable[[int], object]:
    def write(n: int) -> object:
        row = Row(n % 100, n, "y" * 50)
        if whole:
            return store.transaction(lambda tx: tl.repository(tx, table).update(row)).unwrap()
        return rows.update(row).unwrap()

    return write


def main() -> None:
    """Print the figures."""
    for fsync in ("on", "off"):
        found = measured(fsync)
        base = found["no backplane"]
        for name, micros in found.items():
            print(f"write, fsync {fsync:3}  {name:22} {micros:8.1f} us  {micros / base:5.2f} x")


if __name__ == "__main__":
    main()
