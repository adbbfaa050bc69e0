"""Two-phase commit on two independent servers: whatever dies, both sides have it or neither.

The coordinator is killed at each of its steps, servers are killed between them, recovery runs
beside coordinators that are at work.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from tests.chaos import transfers
from tests.chaos.transfers import ANYWHERE, KEPT, NAMES, STEPS, UNWRITTEN, difference, transferred
from tests.conftest import VERSIONS
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.store import decisions, two_phase
from tierline.testing import PostgresServer, postgres_server, tcp_proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

LONG = os.environ.get("TIERLINE_LONG") == "1"
KILLS = 100 if LONG else 5
RECOVERS_WITHIN_S = 10.0

Kill = Callable[[str, str], int]


class Sides(NamedTuple):
    """Two servers with the tables of `transfers`."""

    a: PostgresServer
    b: PostgresServer

    @contextlib.contextmanager
    def stores(self, pool_size: int = 4, **options: Any) -> Generator[dict[str, tl.Store]]:
        """A store of each."""
        with (
            tl.open(self.a.url, pool_size=pool_size, **options) as a,
            tl.open(self.b.url, pool_size=pool_size, **options) as b,
        ):
            yield {"a": a, "b": b}

    @contextlib.contextmanager
    def raws(self) -> Generator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
        """A plain connection to each."""
        with (
            psycopg.connect(self.a.url, autocommit=True) as a,
            psycopg.connect(self.b.url, autocommit=True) as b,
        ):
            yield a, b

    def has(self, operation: str) -> set[bool]:
        """Whether an operation is there, on each side."""
        found: set[bool] = set()
        with self.raws() as raws:
            for raw in raws:
                row = raw.execute("SELECT FROM operations WHERE id = %s", (operation,)).fetchone()
                found.add(row is not None)
        return found

    def difference(self) -> str:
        """What is wrong between the two."""
        with self.raws() as raws:
            return difference(raws)


@pytest.fixture(scope="module")
def sides(version: Version) -> Generator[Sides]:
    """Two servers of different versions; the coordinator's is the one that the test runs on."""
    (other,) = set(VERSIONS) - {version}
    with postgres_server(version) as a, postgres_server(other) as b:
        for server in (a, b):
            transfers.set_up(server.url)
        yield Sides(a, b)


@pytest.fixture
def stores(sides: Sides) -> Generator[dict[str, tl.Store]]:
    """A store of each side; afterwards the sides must be equal and nothing be prepared."""
    with sides.stores() as opened:
        yield opened
        recovered_whole(opened, grace_s=0)
    assert sides.difference() == ""


@pytest.fixture(scope="module")
def kill(sides: Sides) -> Generator[Kill]:
    """Run a transfer in a process that dies at a step; how it ended."""
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.transfers"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    stdin, stdout = nursery.stdin, nursery.stdout

    def run(step: str, operation: str) -> int:
        stdin.write(f"{sides.a.url} {sides.b.url} {operation} {step}\n")
        stdin.flush()
        return int(stdout.readline())

    yield run
    stdin.close()
    stdout.close()
    nursery.wait(10)


def recovered_whole(stores: Mapping[str, tl.Store], **options: Any) -> tl.Recovery:
    """Recover until nothing is left; what was done in all."""
    until = time.monotonic() + RECOVERS_WITHIN_S
    committed = rolled_back = 0
    while True:
        found = tl.recover(stores, coordinator="a", **options)
        if isinstance(found, tl.Success):
            one = found.unwrap()
            committed, rolled_back = committed + one.committed, rolled_back + one.rolled_back
            if not one.left:
                assert tl.orphans(stores) == tl.Success([])
                return tl.Recovery(committed, rolled_back, ())
        assert time.monotonic() < until, found
        time.sleep(0.01)


def logged(sides: Sides) -> int:
    with psycopg.connect(sides.a.url) as raw:
        return len(raw.execute("SELECT FROM tierline_distributed WHERE kind = 'commit'").fetchall())


@pytest.mark.parametrize("step", STEPS)
def test_a_coordinator_killed_at_a_step_leaves_both_sides_equal(
    step: str, sides: Sides, kill: Kill, stores: dict[str, tl.Store]
) -> None:
    waiting = {"prepared a": 1, "prepared b": 2, "decided": 2, "committed a": 1}.get(step, 0)
    for n in range(KILLS):
        operation = f"{step}-{n}".replace(" ", "-")
        assert kill(step, operation) == -9
        assert len(tl.orphans(stores).unwrap()) == waiting
        # The grace is a minute: it is the session's end that recovery knows the death by.
        done = recovered_whole(stores)
        wanted = (waiting, 0) if step in KEPT else (0, waiting)
        assert (done.committed, done.rolled_back) == wanted
        assert sides.has(operation) == {step in KEPT}
    assert sides.difference() == ""
    assert logged(sides) == 0


def test_a_coordinator_killed_at_any_moment_leaves_both_sides_equal(
    sides: Sides, kill: Kill, stores: dict[str, tl.Store]
) -> None:
    moments = random.Random(None if LONG else 5)
    for n in range(KILLS):
        assert kill(f"{ANYWHERE}{moments.uniform(0, 0.1)}", f"anywhere-{n}") == -9
        recovered_whole(stores)
        assert sides.difference() == ""
    assert logged(sides) == 0


def test_a_decision_that_is_not_written_is_found_by_the_comparison(
    kill: Kill, version: Version
) -> None:
    with postgres_server(version) as a, postgres_server(version) as b:
        sides = Sides(a, b)
        for server in sides:
            transfers.set_up(server.url)
        with subprocess_of(sides) as kill_there, sides.stores() as stores:
            assert kill_there(f"{UNWRITTEN}committed a", "lost") == -9
            recovered_whole(stores)
            assert "only on one side: {'lost'}" in sides.difference()


@contextlib.contextmanager
def subprocess_of(sides: Sides) -> Generator[Kill]:
    yield from kill.__wrapped__(sides)  # type: ignore[attr-defined]


class _Server(NamedTuple):
    name: str
    step: str


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", STEPS[:-2])
def test_a_server_killed_between_the_steps_leaves_both_sides_equal(
    name: str, step: str, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: PostgresServer = getattr(sides, name)
    for n in range(5 if LONG else 1):
        operation = f"server-{name}-{step}-{n}"
        starters: list[threading.Thread] = []

        def crash(found: str, starters: list[threading.Thread] = starters) -> None:
            if found == step and not starters:
                server.kill()
                starters.append(threading.Thread(target=server.start))
                starters[0].start()

        monkeypatch.setattr(two_phase, "_step", crash)
        with sides.stores(timeout_s=20) as stores:
            answer = transferred(stores, operation, deadline_s=15, recovers=False)
            assert starters
            starters[0].join()
            recovered_whole(stores)
            if isinstance(answer, tl.Failure):
                error = answer.failure()
                assert isinstance(error, tl.CommitUnknownError) is False, error
            assert sides.has(operation) == {isinstance(answer, tl.Success)}
            # Nothing lost its server before the decision was written, or it was run again.
            if step in KEPT:
                assert isinstance(answer, tl.Success)
    assert sides.difference() == ""


def test_recovery_beside_living_coordinators_lets_only_one_of_them_win(
    sides: Sides, stores: dict[str, tl.Store]
) -> None:
    """Without a grace each transaction is fought for; the losers are run again or say so."""
    ended = threading.Event()
    answers: dict[str, tl.Result[str, Exception]] = {}
    rolled_back: list[int] = []

    def work(thread: int) -> None:
        for n in range(2_000):
            if n >= (200 if LONG else 25) and sum(rolled_back) > 0:
                break
            operation = f"fought-{thread}-{n}"
            answers[operation] = transferred(stores, operation, recovers=False)

    def recovery() -> None:
        with sides.stores(pool_size=1) as others:
            while not ended.is_set():
                done = tl.recover(others, coordinator="a", grace_s=0).unwrap()
                rolled_back.append(done.rolled_back)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    recoverer = threading.Thread(target=recovery)
    for thread in (*threads, recoverer):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    recoverer.join()
    recovered_whole(stores)
    assert sum(rolled_back) > 0
    assert sides.difference() == ""
    with sides.raws() as (raw, _):
        kept = {row[0] for row in raw.execute("SELECT id FROM operations")}
    for operation, answer in answers.items():
        assert (operation in kept) == isinstance(answer, tl.Success), (operation, answer)
        if isinstance(answer, tl.Failure):
            assert isinstance(answer.failure(), (tl.ConflictError, tl.ConnectionError))


def test_recovery_leaves_living_coordinators_alone(
    sides: Sides, stores: dict[str, tl.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tl.Recovery] = []

    def look(name: str) -> None:
        if name == "prepared b":
            with sides.stores(pool_size=1) as others:
                seen.append(tl.recover(others, coordinator="a").unwrap())

    monkeypatch.setattr(two_phase, "_step", look)
    transferred(stores, "alone", recovers=False).unwrap()
    (found,) = seen
    assert (found.committed, found.rolled_back, len(found.left)) == (0, 0, 2)
    assert {one.participant for one in found.left} == {"a", "b"}
    assert all(one.owner == "tierline" and 0 <= one.age_s < 60 for one in found.left)


def test_a_coordinator_that_was_given_up_cannot_commit_any_more(
    sides: Sides, stores: dict[str, tl.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered: list[tl.Recovery] = []

    def give_up(name: str) -> None:
        if name == "prepared b" and not recovered:
            with sides.stores(pool_size=1) as others:
                recovered.append(tl.recover(others, coordinator="a", grace_s=0).unwrap())

    monkeypatch.setattr(two_phase, "_step", give_up)
    # It is run again, and the second time nobody is in the way.
    assert transferred(stores, "given-up", recovers=False) == tl.Success("given-up")
    assert recovered == [tl.Recovery(0, 2, ())]


def test_a_recovery_that_comes_after_the_decision_commits(
    sides: Sides, stores: dict[str, tl.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered: list[tl.Recovery] = []

    def overtake(name: str) -> None:
        if name == "decided":
            with sides.stores(pool_size=1) as others:
                recovered.append(tl.recover(others, coordinator="a", grace_s=0).unwrap())

    monkeypatch.setattr(two_phase, "_step", overtake)
    assert transferred(stores, "overtaken", recovers=False) == tl.Success("overtaken")
    assert recovered == [tl.Recovery(2, 0, ())]
    assert sides.has("overtaken") == {True}


def test_the_log_is_not_forgotten_while_a_participant_was_not_asked(
    sides: Sides, kill: Kill, stores: dict[str, tl.Store]
) -> None:
    assert kill("decided", "partly") == -9
    half = tl.recover({"a": stores["a"]}, coordinator="a").unwrap()
    assert half == tl.Recovery(1, 0, ())
    assert logged(sides) == 1
    assert recovered_whole(stores) == tl.Recovery(1, 0, ())
    assert logged(sides) == 0
    assert sides.has("partly") == {True}


def test_another_log_decides_nothing(sides: Sides, kill: Kill, stores: dict[str, tl.Store]) -> None:
    """A log that was emptied has lost its decisions, so nothing of it is taken for undecided."""
    assert kill("decided", "emptied") == -9
    with sides.raws() as (raw, _):
        rows = raw.execute("SELECT id, kind, participants FROM tierline_distributed").fetchall()
        raw.execute("TRUNCATE tierline_distributed")
        tl.distributed_setup(stores["a"]).unwrap()
        assert tl.recover(stores, coordinator="a", grace_s=0) == tl.Success(tl.Recovery(0, 0, ()))
        assert len(tl.orphans(stores).unwrap()) == 2
        raw.execute("TRUNCATE tierline_distributed")
        for row in rows:
            raw.execute(
                "INSERT INTO tierline_distributed (id, kind, participants) VALUES (%s, %s, %s)", row
            )
    assert recovered_whole(stores) == tl.Recovery(2, 0, ())
    # The stores know the old log no more, nor does the next transaction believe in it.
    decisions.forget_log(stores["a"].database)


def test_a_log_that_is_emptied_meanwhile_decides_nothing(
    sides: Sides, stores: dict[str, tl.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[str] = []

    def empty(name: str) -> None:
        if name == "prepared b":
            with sides.raws() as (raw, _):
                raw.execute("TRUNCATE tierline_distributed")
                raw.execute(
                    "INSERT INTO tierline_distributed (id, kind) VALUES (%s, 'identity')",
                    (f"{len(emptied):016x}",),
                )
                emptied.append(name)

    monkeypatch.setattr(two_phase, "_step", empty)
    answer = transferred(stores, "emptied-meanwhile", recovers=False, deadline_s=3)
    assert isinstance(answer.failure(), tl.ConnectionError)
    assert not isinstance(answer.failure(), tl.CommitUnknownError)
    assert sides.has("emptied-meanwhile") == {False}
    monkeypatch.undo()
    assert transferred(stores, "after-emptying") == tl.Success("after-emptying")


def test_a_first_call_recovers_what_others_left(
    sides: Sides, kill: Kill, stores: dict[str, tl.Store]
) -> None:
    assert kill("decided", "left-behind") == -9
    until = time.monotonic() + RECOVERS_WITHIN_S
    while time.monotonic() < until:
        # The dead one's row locks are held until it is recovered.
        if transferred(stores, "first", deadline_s=5) == tl.Success("first"):
            break
    assert sides.has("left-behind") == {True}
    assert sides.has("first") == {True}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", STEPS[:5])
def test_a_connection_cut_between_the_steps_is_made_up_for(
    name: str, step: str, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: PostgresServer = getattr(sides, name)
    with tcp_proxy(server.url) as proxy:
        urls = {"a": sides.a.url, "b": sides.b.url} | {name: proxy.url(server.url)}
        cut: list[str] = []

        def crash(found: str) -> None:
            if found == step and not cut:
                cut.append(found)
                proxy.cut()

        with tl.open(urls["a"], pool_size=2) as a, tl.open(urls["b"], pool_size=2) as b:
            monkeypatch.setattr(two_phase, "_step", crash)
            operation = f"cut-{name}-{step}"
            found = transferred({"a": a, "b": b}, operation, deadline_s=10, recovers=False)
            assert found == tl.Success(operation)
            assert cut
        with sides.stores() as stores:
            recovered_whole(stores)
        assert sides.has(operation) == {True}
    assert sides.difference() == ""


@pytest.mark.parametrize(
    ("name", "step"),
    [("b", "prepared a"), ("a", "prepared b"), ("a", "decided"), ("b", "committed a")],
    ids=["PREPARE", "the decision", "COMMIT PREPARED first", "COMMIT PREPARED last"],
)
def test_an_answer_that_is_lost_is_found_out(
    name: str, step: str, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does what it is told, and nobody hears of it: nothing is run again."""
    server: PostgresServer = getattr(sides, name)
    with tcp_proxy(server.url) as proxy:
        urls = {"a": sides.a.url, "b": sides.b.url} | {name: proxy.url(server.url)}
        runs: list[str] = []

        def crash(found: str) -> None:
            if found == step and runs.count(step) == 0:
                runs.append(step)
                proxy.cut_after(0)

        def counted(txs: Mapping[str, tl.Transaction]) -> tl.Result[str, tl.RepositoryError]:
            runs.append("run")
            return transfers.transfer(txs, operation)

        with tl.open(urls["a"], pool_size=1) as a, tl.open(urls["b"], pool_size=1) as b:
            # Then every statement is known, and its answer is the first to come.
            transferred({"a": a, "b": b}, f"first-{name}-{step}", recovers=False).unwrap()
            monkeypatch.setattr(two_phase, "_step", crash)
            operation = f"unheard-{name}-{step}"
            found = tl.distributed(
                {"a": a, "b": b}, counted, coordinator="a", deadline_s=10, recovers=False
            )
            assert found == tl.Success(operation)
            assert sorted(runs) == sorted([step, "run"])
        assert sides.has(operation) == {True}
    assert sides.difference() == ""


@pytest.mark.parametrize("step", STEPS[:5])
def test_a_frozen_participant_ends_within_the_deadline(
    step: str, sides: Sides, stalls: Stalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tcp_proxy(sides.b.url) as proxy:
        frozen: list[str] = []

        def freeze(found: str) -> None:
            if found == step and not frozen:
                frozen.append(found)
                proxy.freeze()

        with (
            tl.open(sides.a.url, pool_size=2) as a,
            tl.open(proxy.url(sides.b.url), pool_size=2) as b,
        ):
            # Then everybody is connected, and the step is soon reached.
            transferred({"a": a, "b": b}, f"warm-{step}", recovers=False).unwrap()
            monkeypatch.setattr(two_phase, "_step", freeze)
            began = time.monotonic()
            operation = f"frozen-{step}"
            answer = transferred({"a": a, "b": b}, operation, deadline_s=1, recovers=False)
            took = time.monotonic() - began
            assert took < 1.0 + 0.5 + stalls.seconds(began + 1.0), took
            error = answer.failure()
            assert frozen
            proxy.thaw()
            # Once b is prepared it is not asked for the decision, which a can write alone.
            kept = step in KEPT or step == "prepared b"
            if kept:
                assert isinstance(error, tl.CommitUnknownError)
                assert error.resolve() == tl.Success(True)
            else:
                assert not isinstance(error, tl.CommitUnknownError)
            recovered_whole({"a": a, "b": b}, grace_s=0)
            # What was on its way to b when it froze may be prepared only now.
            until = time.monotonic() + RECOVERS_WITHIN_S
            while sides.difference() and time.monotonic() < until:
                time.sleep(0.05)
                recovered_whole({"a": a, "b": b}, grace_s=0)
        assert sides.has(operation) == {kept}
    assert sides.difference() == ""


def test_a_decision_outlives_its_server_where_commits_do_not_wait_for_the_disk(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is written out for ten seconds unless somebody waits for it.
    careless = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    with postgres_server(version, settings=careless) as a, postgres_server(version) as b:
        sides = Sides(a, b)
        for server in sides:
            transfers.set_up(server.url)

        def crash(found: str) -> None:
            if found == "decided":
                a.kill()
                a.start()
                raise KeyboardInterrupt

        with sides.stores() as stores:
            tl.distributed_setup(stores["a"]).unwrap()
            monkeypatch.setattr(two_phase, "_step", crash)
            with pytest.raises(KeyboardInterrupt):
                transferred(stores, "careless", recovers=False)
            assert recovered_whole(stores) == tl.Recovery(2, 0, ())
        assert sides.has("careless") == {True}
