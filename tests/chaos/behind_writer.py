"""A process that writes behind until it is killed, and says on a pipe what was acknowledged.

    python behind_writer.py PG_URL REDIS_URL WRITER LIFE FIRST_N

It creates rows that nobody else has, and counts up rows of its own; each line says one of them.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable

import msgspec

import tierline as tl

COUNTERS = 20
"""Rows that each writer counts up."""

CREATED_FROM = 1_000_000_000
"""The first id of the rows that are created."""

_LIFE = 10_000_000


class Counted(msgspec.Struct, frozen=True):
    """A row; created ones have the number 0."""

    id: int
    n: int = 0


COUNTED = tl.table(Counted, name="counted", key=lambda c: c.id)
BEHIND = tl.write_behind(ttl_s=60, batch_size=200, delay_s=0.002)


def say(rows: Iterable[Counted]) -> None:
    """These were acknowledged."""
    os.write(1, "".join(f"{row.id} {row.n}\n" for row in rows).encode())


def main(pg_url: str, redis_url: str, writer: int, life: int, first_n: int) -> None:
    """Write for ever."""
    choose = random.Random(f"{writer}-{life}")
    created = CREATED_FROM + (writer * 1_000 + life) * _LIFE
    n = first_n
    with tl.open(pg_url, redis=redis_url, pool_size=2) as store:
        rows = tl.repository(store, COUNTED, cache=BEHIND)
        while True:
            n += 1
            counter = Counted(writer * COUNTERS + choose.randrange(COUNTERS), n)
            rows.upsert(counter).unwrap()
            say([counter])
            if rows.get_by_id(counter.id) != tl.Success(counter):
                sys.exit("a read did not see the write before it")
            created += 1
            row = Counted(created)
            rows.create(row).unwrap()
            say([row])
            batch = [Counted(created + 1 + more) for more in range(choose.randrange(20))]
            created += len(batch)
            rows.create_many(batch).unwrap()
            say(batch)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
