"""What the PostgreSQL backplane costs: a write, and a hit of L1; `python benches/backplane.py`.

The ways take turns at random, write by write, so that what else the machine does is shared alike.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import msgspec

import tierline as tl
from tierline.testing import postgres_server, redis_server

WRITES = 1_500
HITS = 200_000


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is written."""

    id: int
    n: int
    text: str


def measured(fsync: str) -> dict[str, float]:
    """The median of each way's writes, in microseconds."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(18, settings={"fsync": fsync}))
        redis = stack.enter_context(redis_server())
        names = ("without", "L1", "L1 and L2")
        writers: dict[str, Callable[[int], object]] = {}
        for name in names:
            table = tl.table(Row, name=f"rows_{len(writers)}", key=lambda r: r.id)
            store = stack.enter_context(
                tl.open(
                    server.url,
                    backplane=None if name == "without" else "postgres",
                    redis=redis.url if name == "L1 and L2" else None,
                )
            )
            store.create_table(table).unwrap()
            if name != "without":
                store.install_backplane([table]).unwrap()
            rows = tl.repository(store, table, cache=tl.read_through(ttl_s=60))
            rows.create_many([Row(n, 0, "x" * 50) for n in range(100)]).unwrap()

            def write(n: int, rows: tl.Repository[Row, int] = rows) -> object:
                return rows.update(Row(n % 100, n, "y" * 50)).unwrap()

            writers[name] = write
        times: dict[str, list[float]] = {name: [] for name in names}
        turns = list(writers.items())
        for n in range(WRITES):
            random.shuffle(turns)
            for name, write in turns:
                began = time.perf_counter()
                write(n)
                if n >= WRITES // 10:
                    times[name].append(time.perf_counter() - began)
        return {name: statistics.median(found) * 1e6 for name, found in times.items()}


def hits() -> tuple[float, float]:
    """Nanoseconds of a hit without a backplane, and with one."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(18))
        found: list[Callable[[int], object]] = []
        for name in (None, "postgres"):
            table = tl.table(Row, name=f"rows_{name}", key=lambda r: r.id)
            store = stack.enter_context(
                tl.open(server.url, backplane="postgres" if name else None, max_staleness_s=60)
            )
            store.create_table(table).unwrap()
            store.install_backplane([table]).unwrap()
            rows = tl.repository(store, table, cache=tl.read_through(ttl_s=600))
            rows.create(Row(1, 0, "")).unwrap()
            rows.get_by_id(1).unwrap()
            found.append(rows.get_by_id)
        best = [float("inf")] * 2
        for _ in range(9):
            for way, get in enumerate(found):
                began = time.perf_counter()
                for _ in range(HITS):
                    get(1)
                best[way] = min(best[way], (time.perf_counter() - began) / HITS * 1e9)
        return best[0], best[1]


def main() -> None:
    """Print the figures."""
    for fsync in ("on", "off"):
        found = measured(fsync)
        base = found["without"]
        for name, micros in found.items():
            print(f"write, fsync {fsync:3}  {name:10} {micros:8.1f} us  {micros / base:5.2f} x")
    plain, hearing = hits()
    print(f"hit of L1: {plain:.1f} ns, with a backplane {hearing:.1f} ns, {hearing / plain:.2f} x")


if __name__ == "__main__":
    main()
