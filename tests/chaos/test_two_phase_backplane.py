"""Two-phase commit under the PostgreSQL backplane: whoever dies, nobody reads beyond the bound.

A coordinator is killed at each of its steps while readers of both sides have their rows cached, and
others begin before it is recovered. Once recovery has committed, nothing older is read by a read
that begins later than the bound.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from contextlib import ExitStack

import msgspec
import pytest
from tests.chaos import transfers
from tests.chaos.lengths import IS_LONG, times
from tests.chaos.test_two_phase import Kill, Sides, kill, recovered_whole  # noqa: F401 - a fixture
from tests.chaos.transfers import ANYWHERE
from tests.conftest import VERSIONS

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import postgres_server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

STALENESS_S = 0.4
KILLS = times(2, 50)
DECIDED = ("decided", "announced a", "announced b", "committed a", "committed b")


class Account(msgspec.Struct, frozen=True):
    """What transfers change, on each side."""

    id: int
    amount: int


ACCOUNTS = tl.table(Account, name="accounts", key=lambda a: a.id)
CACHED = tl.read_through(ttl_s=600)
ANY = tl.cached_query(tl.select(ACCOUNTS, where=lambda a: a.amount != 1 << 40), ttl_s=600)


@pytest.fixture(scope="module")
def sides(version: Version) -> Generator[Sides]:
    """Two servers of different versions, whose accounts are announced."""
    (other,) = set(VERSIONS) - {version}
    with postgres_server(version) as a, postgres_server(other) as b:
        for server in (a, b):
            transfers.set_up(server.url)
            with tl.open(server.url) as store:
                store.install_backplane([ACCOUNTS]).unwrap()
        yield Sides(a, b)


class Readers:
    """A store with a backplane on each side."""

    def __init__(self, sides: Sides, stack: ExitStack) -> None:
        self._stores = [
            stack.enter_context(
                tl.open(server.url, backplane="postgres", max_staleness_s=STALENESS_S, timeout_s=20)
            )
            for server in sides
        ]
        self._accounts = [tl.repository(store, ACCOUNTS, cache=CACHED) for store in self._stores]
        for store in self._stores:
            assert store.backplane is not None
            assert store.backplane.catch_up(20)

    def amounts(self) -> list[int]:
        """What they read, by key and by a query."""
        rows = [accounts.get_by_id(1).unwrap() for accounts in self._accounts]
        found = [store.fetch_all(ANY).unwrap()[0] for store in self._stores]
        return [one.amount for one in (*rows, *found)]


def latest(sides: Sides) -> list[int]:
    """What is there, as a reader is to see it."""
    amounts: list[int] = []
    with sides.raws() as raws:
        for raw in raws:
            row = raw.execute("SELECT amount FROM accounts WHERE id = 1").fetchone()
            assert row is not None
            amounts.append(row[0])
    return amounts * 2


def check(sides: Sides, readers: list[Readers]) -> None:
    """Recover, and see that nothing older is read once the bound has passed."""
    with sides.stores() as stores:
        recovered_whole(stores)
    bound_s = time.monotonic() + STALENESS_S
    expected = latest(sides)
    time.sleep(max(0.0, bound_s - time.monotonic()))
    assert [one.amounts() for one in readers] == [expected] * len(readers)
    assert sides.difference() == ""


@pytest.mark.parametrize("step", ["prepared b", *DECIDED])
def test_a_coordinator_killed_at_a_step_leaves_no_reader_behind(
    step: str,
    sides: Sides,
    kill: Kill,  # noqa: F811
) -> None:
    with ExitStack() as stack:
        reader = Readers(sides, stack)
        for n in range(KILLS):
            before = reader.amounts()
            assert kill(step, f"{step}-{n}".replace(" ", "-")) == -9
            reader.amounts()
            with ExitStack() as later:
                newcomer = Readers(sides, later)
                newcomer.amounts()
                check(sides, [reader, newcomer])
            moved = reader.amounts()[0] != before[0]
            assert moved == (step in DECIDED)


def test_a_coordinator_killed_at_any_moment_leaves_no_reader_behind(
    sides: Sides,
    kill: Kill,  # noqa: F811
) -> None:
    moments = random.Random(None if IS_LONG else 6)
    with ExitStack() as stack:
        reader = Readers(sides, stack)
        for n in range(KILLS):
            reader.amounts()
            assert kill(f"{ANYWHERE}{moments.uniform(0, 0.1)}", f"anywhere-{n}") == -9
            reader.amounts()
            check(sides, [reader])


def test_both_sides_are_announced(sides: Sides) -> None:
    with ExitStack() as stack, sides.stores() as stores:
        reader = Readers(sides, stack)
        reader.amounts()
        for n in range(times(20, 500)):
            assert transfers.transferred(stores, f"plain-{n}") == tl.Success(f"plain-{n}")
            reader.amounts()
        check(sides, [reader])
