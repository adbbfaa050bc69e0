"""A process that reads keys by many threads at once, when told to, and says what it cost.

Run as `python -m tests.real.leaseholder OPTIONS`. For each line of its input, a key, it answers
with a line; it ends when its input does.
"""

from __future__ import annotations

import sys
import threading
import time

import msgspec
from tests.real.helpers import PAGES, wait_until

import tierline as tl
from tierline.cache.hearing_caches import HearingCaches


class Options(msgspec.Struct, frozen=True):
    """What a process is told."""

    url: str
    redis: str
    prefix: str
    hears: bool
    threads: int
    lease_s: float | None


class Told(msgspec.Struct, frozen=True):
    """What reading a key came to.

    Attributes:
        versions: What the threads read.
        loads: How many of them asked PostgreSQL.
        errors: How often Redis did not answer.
        seconds: Until the last of them had its answer.
    """

    versions: list[int]
    loads: int
    errors: int
    seconds: float


def main() -> None:
    """Run one process."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    backplane = "postgres" if options.hears else None
    with tl.open(
        options.url,
        redis=options.redis,
        prefix=options.prefix,
        timeout_s=60,
        pool_size=options.threads,
        backplane=backplane,  # type: ignore[arg-type]
        max_staleness_s=30,
    ) as store:
        cached = tl.read_through(ttl_s=600, lease_s=options.lease_s)
        pages = tl.repository(store, PAGES, cache=cached)
        if isinstance(store.caches, HearingCaches):
            (cache,) = store.caches.hearing()
            member = cache.member
            assert member is not None
            wait_until(lambda: member.epoch)
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            print(msgspec.json.encode(read(store, pages, int(line), options)).decode(), flush=True)  # noqa: T201


def read(store: tl.Store, pages: tl.Repository[object, int], key: int, options: Options) -> Told:
    """Read a key by every thread at once."""
    before = costs(store)
    versions: list[int] = []
    together = threading.Barrier(options.threads)

    def one() -> None:
        together.wait(60)
        versions.append(pages.get_by_id(key).unwrap().version)  # type: ignore[attr-defined]

    threads = [threading.Thread(target=one) for _ in range(options.threads)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    after = costs(store)
    seconds = time.monotonic() - began_s
    return Told(versions, after[0] - before[0], after[1] - before[1], seconds)


def costs(store: tl.Store) -> tuple[int, int]:
    """Reads of PostgreSQL and errors of Redis until now."""
    l3 = store.stats().tiers[-1]
    assert store.caches.l2 is not None
    return l3.hits + l3.misses, store.caches.l2.stats().errors


if __name__ == "__main__":
    main()
