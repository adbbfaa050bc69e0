"""Transfers between two stores, and a process that dies in the middle of one.

As a script it forks a child for each line of its input, `{url a} {url b} {step} {operation}`, in
which the transfer runs and the process ends at that step by SIGKILL; it answers with how the child
ended. Forking is quicker than an interpreter of its own for each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import psycopg

import tierline as tl
from tierline.result import Success
from tierline.store import two_phase

NAMES = ("a", "b")
STEPS = (
    "preparing",
    "prepared a",
    "prepared b",
    "decided",
    "committed a",
    "committed b",
    "forgotten",
)
KEPT = frozenset(STEPS[STEPS.index("decided") :])
"""The steps at which the decision is made."""

ANYWHERE = "anywhere "
UNWRITTEN = "unwritten "
"""Before a step: the decision is not written into the log, which no test may miss."""


def set_up(url: str) -> None:
    """Make the tables of one side."""
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL)")
        raw.execute("CREATE TABLE operations (id text PRIMARY KEY)")
        raw.execute("INSERT INTO accounts VALUES (1, 0)")


def transfer(
    txs: Mapping[str, tl.Transaction], operation: str
) -> tl.Result[str, tl.RepositoryError]:
    """Move one from `a` to `b`, and note it on both sides."""
    for name, amount in (("a", -1), ("b", 1)):
        for write in (
            tl.sql("update accounts set amount = amount + {n} where id = 1", n=amount),
            tl.sql("insert into operations values ({o})", o=operation),
        ):
            done = txs[name].execute(write)
            if isinstance(done, tl.Failure):
                return done
    return tl.Success(operation)


def transferred(
    stores: Mapping[str, tl.Store], operation: str, **options: Any
) -> tl.Result[str, Exception]:
    """A transfer by `tl.distributed`, coordinated by `a`."""
    return tl.distributed(stores, lambda txs: transfer(txs, operation), coordinator="a", **options)


def difference(raws: tuple[psycopg.Connection[Any], psycopg.Connection[Any]]) -> str:
    """What is wrong between the two sides; empty if nothing is."""
    sums, operations, prepared = [], [], 0
    for raw in raws:
        sums.append(raw.execute("SELECT amount FROM accounts").fetchone()[0])
        operations.append({row[0] for row in raw.execute("SELECT id FROM operations")})
        prepared += len(raw.execute("SELECT FROM pg_prepared_xacts").fetchall())
    found = []
    if sum(sums) != 0 or sums[1] != len(operations[1]):
        found.append(f"the amounts are {sums} after {[len(each) for each in operations]}")
    if operations[0] != operations[1]:
        found.append(f"only on one side: {operations[0] ^ operations[1]}")
    if prepared:
        found.append(f"{prepared} are prepared")
    return "; ".join(found)


def die() -> None:
    """End this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _run(urls: tuple[str, str], step: str, operation: str) -> None:
    if step.startswith(UNWRITTEN):
        two_phase.decide = lambda *_: Success(None)
        step = step.removeprefix(UNWRITTEN)
    wanted = step
    two_phase._step = lambda name: die() if name == wanted else None
    with tl.open(urls[0], pool_size=2) as a, tl.open(urls[1], pool_size=2) as b:
        stores = dict(zip(NAMES, (a, b), strict=True))
        if step.startswith(ANYWHERE):
            # Prepared statements and the log are there, so that the steps follow one another soon.
            transferred(stores, f"{operation}-first", recovers=False)
            threading.Timer(float(step.removeprefix(ANYWHERE)), die).start()
            for n in range(10_000):
                transferred(stores, f"{operation}-{n}", recovers=False)
        else:
            transferred(stores, operation, recovers=False)


def main() -> None:
    """Answer each line."""
    for line in sys.stdin:
        first, second, operation, step = line.rstrip("\n").split(" ", 3)
        pid = os.fork()
        if pid == 0:
            try:
                _run((first, second), step, operation)
            finally:
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
