"""What `tl.distributed` costs with the PostgreSQL backplane; `python benches/distributed.py`.

Each transaction updates a row on each of two servers. Ways take turns at random, so that what else
the machine does is shared alike: without triggers, with them, and with a store that listens to each
side and caches the rows.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec

import tierline as tl
from tierline.testing import PostgresServer, postgres_server

TIMES = 600
WAYS = ("without triggers", "with triggers", "with triggers, and heard")


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is written."""

    id: int
    n: int


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
CACHED = tl.read_through(ttl_s=600)


def stores_of(way: str, servers: list[PostgresServer], stack: ExitStack) -> dict[str, tl.Store]:
    """The stores of a way, each on a database of its own."""
    stores: dict[str, tl.Store] = {}
    for name, server in zip("ab", servers, strict=True):
        with tl.open(server.url) as maker:
            database = f"way_{WAYS.index(way)}"
            maker.execute(tl.sql(f"CREATE DATABASE {database}")).unwrap()  # type: ignore[arg-type]
        url = server.url.rpartition("/")[0] + f"/{database}"
        store = stores[name] = stack.enter_context(tl.open(url))
        store.create_table(ROWS).unwrap()
        tl.repository(store, ROWS).create_many([Row(n, 0) for n in range(100)]).unwrap()
        if "with triggers" in way:
            store.install_backplane([ROWS]).unwrap()
        if "heard" in way:
            reader = stack.enter_context(tl.open(url, backplane="postgres"))
            tl.repository(reader, ROWS, cache=CACHED).get_many(range(100))
    return stores


def written(stores: Mapping[str, tl.Store], n: int, names: str) -> float:
    """Seconds that a transaction takes."""

    def both(txs: Mapping[str, tl.Transaction]) -> tl.Result[Any, tl.RepositoryError]:
        for name in names:
            done = tl.repository(txs[name], ROWS).update(Row(n % 100, n))
            if isinstance(done, tl.Failure):
                return done
        return tl.Success(n)

    began_s = time.perf_counter()
    tl.distributed(stores, both, coordinator="a").unwrap()
    return time.perf_counter() - began_s


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fsync", choices=["on", "off"], default="on")
    fsync = parser.parse_args().fsync
    settings = {"fsync": fsync}
    with ExitStack() as stack:
        servers = [stack.enter_context(postgres_server(18, settings=settings)) for _ in "ab"]
        ways = {way: stores_of(way, servers, stack) for way in WAYS}
        for names in ("ab", "b"):
            took: dict[str, list[float]] = {way: [] for way in WAYS}
            for n in range(TIMES):
                for way in random.sample(WAYS, len(WAYS)):
                    took[way].append(written(ways[way], n, names))
            base = statistics.median(took[WAYS[0]][20:])
            print(f"fsync {fsync}, {len(names)} written")
            for way in WAYS:
                median = statistics.median(took[way][20:])
                print(f"  {way:26} {median * 1000:7.3f} ms  {median / base:5.2f} x")


if __name__ == "__main__":
    main()
