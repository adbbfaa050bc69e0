"""What the PostgreSQL backplane costs: a write, and a hit of L1; `python benches/backplane.py`.

Each pair writes with and without triggers. The ways take turns at random, write by write, so that
what else the machine does is shared alike; each has a database of its own, so that it hears itself
alone.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeAlias

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo

import tierline as tl
from tierline.sql.backplane import install_backplane_sql
from tierline.testing import PostgresServer, RedisServer, postgres_server, redis_server

WRITES = 1_500
BULKS = 60
BULK = 1_000
HITS = 200_000


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is written."""

    id: int
    n: int
    text: str


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)

Verb: TypeAlias = Callable[[int], object]


class Way(NamedTuple):
    """A way to write.

    Attributes:
        verbs: What is measured by name, in order; each is called with another number every time.
        base: The way that it is compared with; None for none.
    """

    verbs: Mapping[str, Verb]
    base: str | None


def bare(connection: psycopg.Connection[Any]) -> dict[str, Verb]:
    """The statements by psycopg alone."""
    connection.prepare_threshold = 0
    run = connection.execute

    def bulk(n: int) -> None:
        with connection.cursor().copy("COPY rows (id, n, text) FROM STDIN") as copy:
            for key in range(BULK):
                copy.write_row((1_000_000 + key, n, "x" * 50))

    keys = list(range(1_000_000, 1_000_000 + BULK))
    return {
        "create": lambda n: run("INSERT INTO rows VALUES (%s, %s, %s)", (100 + n, n, "x" * 50)),
        "update": lambda n: run(
            "UPDATE rows SET n = %s, text = %s WHERE id = %s", (n, "y" * 50, n % 100)
        ),
        "delete": lambda n: run("DELETE FROM rows WHERE id = %s", (100 + n,)),
        "create 1,000": bulk,
        "delete 1,000": lambda _: run("DELETE FROM rows WHERE id = ANY(%s)", (keys,)),
    }


def through(store: tl.Store) -> dict[str, Verb]:
    """The same by a repository with a cache."""
    rows = tl.repository(store, ROWS, cache=tl.read_through(ttl_s=60))
    keys = list(range(1_000_000, 1_000_000 + BULK))
    return {
        "create": lambda n: rows.create(Row(100 + n, n, "x" * 50)).unwrap(),
        "update": lambda n: rows.update(Row(n % 100, n, "y" * 50)).unwrap(),
        "delete": lambda n: rows.delete(100 + n).unwrap(),
        "create 1,000": lambda n: rows.create_many([Row(k, n, "x" * 50) for k in keys]).unwrap(),
        "delete 1,000": lambda _: rows.delete_many(keys).unwrap(),
    }


def ways(stack: ExitStack, server: PostgresServer, redis: RedisServer) -> dict[str, Way]:
    """Every way, each with its own database and a hundred rows."""

    def database(name: str, *, announces: bool) -> str:
        url = make_conninfo(server.url, dbname=name)
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        with tl.open(url) as store:
            store.create_table(ROWS).unwrap()
            tl.repository(store, ROWS).create_many([Row(n, 0, "x" * 50) for n in range(100)])
        if announces:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(install_backplane_sql(ROWS, "public").encode())
        return url

    def by_psycopg(name: str, *, announces: bool) -> dict[str, Verb]:
        url = database(name, announces=announces)
        return bare(stack.enter_context(psycopg.connect(url, autocommit=True)))

    def by_tierline(name: str, *, announces: bool, l2: bool) -> dict[str, Verb]:
        store = tl.open(
            database(name, announces=announces),
            backplane="postgres" if announces else None,
            redis=redis.url if l2 else None,
            prefix=name,
        )
        return through(stack.enter_context(store))

    return {
        "psycopg": Way(by_psycopg("a", announces=False), None),
        "psycopg, triggers": Way(by_psycopg("b", announces=True), "psycopg"),
        "L1": Way(by_tierline("c", announces=False, l2=False), None),
        "L1, backplane": Way(by_tierline("d", announces=True, l2=False), "L1"),
        "L1 and L2": Way(by_tierline("e", announces=False, l2=True), None),
        "L1 and L2, backplane": Way(by_tierline("f", announces=True, l2=True), "L1 and L2"),
    }


def measured(fsync: str, writes: int) -> Iterator[tuple[str, str, float, float | None]]:
    """Way, verb, the median in microseconds, and how many times its base that is."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(18, settings={"fsync": fsync}))
        redis = stack.enter_context(redis_server())
        found = ways(stack, server, redis)
        order, few = random.Random(1), max(10, writes * BULKS // WRITES)
        times: dict[tuple[str, str], list[float]] = {}
        turns = list(found.items())
        for verbs, count in ((slice(3), writes), (slice(3, None), few)):
            for n in range(count):
                order.shuffle(turns)
                for name, way in turns:
                    for verb, call in list(way.verbs.items())[verbs]:
                        began = time.perf_counter()
                        call(n)
                        took = time.perf_counter() - began
                        if n >= count // 10:
                            times.setdefault((name, verb), []).append(took)
        medians = {key: statistics.median(found) * 1e6 for key, found in times.items()}
        for (name, verb), micros in sorted(medians.items(), key=lambda one: one[0][1]):
            base = found[name].base
            yield name, verb, micros, None if base is None else micros / medians[base, verb]


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
    parser = argparse.ArgumentParser(description="Measure what the PostgreSQL backplane costs.")
    parser.add_argument("--writes", type=int, default=WRITES, help="by each way and verb")
    options = parser.parse_args()
    for fsync in ("on", "off"):
        for name, verb, micros, ratio in measured(fsync, options.writes):
            shown = "" if ratio is None else f"{ratio:5.2f} x"
            print(f"fsync {fsync:3}  {verb:12} {name:20} {micros:9.1f} us  {shown}", flush=True)
    plain, hearing = hits()
    print(f"hit of L1: {plain:.1f} ns, with a backplane {hearing:.1f} ns, {hearing / plain:.2f} x")


if __name__ == "__main__":
    main()
