"""Transactions whose connection is lost: what was committed is known, or said to be unknown."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from tests.conftest import LONG
from tests.real.helpers import (
    OWNERS,
    Owner,
    backends,
    failure,
    hold_and_cut,
    noted,
    wait_until,
    with_application,
)
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres import outcome
from tierline.testing import tcp_proxy
from tierline.testing.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.chaos, pytest.mark.each_version]

Raw = psycopg.Connection[Any]

# "COMMIT" and "ready": what the server answers at the end.
ANSWER_BYTES = 12 + 6

DOZING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event = 'PgSleep' AND datname = current_database()"
)


@pytest.fixture
def proxy(pg_url: str) -> Generator[TcpProxy]:
    with tcp_proxy(pg_url) as opened:
        yield opened


@pytest.fixture
def commit(proxy: TcpProxy) -> threading.Event:
    """Set when a COMMIT has come as far as the proxy."""
    return noted(proxy, b"COMMIT")


@pytest.fixture
def far(proxy: TcpProxy, commit: threading.Event, pg_url: str) -> Generator[tl.Store]:
    """A store behind the proxy."""
    url = with_application(proxy.url(pg_url), "far")
    with tl.open(url, pool_size=2, timeout_s=10) as store:
        store.create_table(OWNERS).unwrap()
        yield store


def create(tx: tl.Transaction, id_: int) -> tl.Result[Owner, tl.RepositoryError]:
    return tl.repository(tx, OWNERS).create(Owner(id_, "x"))


def rows(raw: Raw) -> list[int]:
    return [id_ for (id_,) in raw.execute("SELECT id FROM owners ORDER BY id").fetchall()]


@pytest.mark.timeout(1800 if os.environ.get(LONG) == "1" else 120)
def test_a_cut_answer_to_commit_is_found_out_at_every_byte(
    far: tl.Store, proxy: TcpProxy, raw: Raw
) -> None:
    count = 2_000 if os.environ.get(LONG) == "1" else 2 * ANSWER_BYTES
    runs: list[int] = []
    hooks: list[int] = []
    for n in range(count):

        def run(tx: tl.Transaction, n: int = n) -> Any:
            runs.append(n)
            tx.on_commit(lambda: hooks.append(n))
            made = create(tx, n)
            proxy.cut_after(n % ANSWER_BYTES)
            return made

        assert far.transaction(run) == tl.Success(Owner(n, "x"))
    assert runs == hooks == list(range(count))  # none ran twice
    assert rows(raw) == list(range(count))  # none is lost
    assert far.database.stats().in_use == 0


def test_a_commit_that_never_arrived_runs_again(
    far: tl.Store, proxy: TcpProxy, commit: threading.Event, raw: Raw
) -> None:
    runs: list[int] = []
    hooks: list[str] = []

    def run(tx: tl.Transaction) -> Any:
        runs.append(len(runs))
        tx.on_commit(lambda: hooks.append("commit"))
        tx.on_rollback(lambda: hooks.append("rollback"))
        made = create(tx, len(runs))
        if len(runs) == 1:
            hold_and_cut(proxy, commit)
        return made

    assert far.transaction(run) == tl.Success(Owner(2, "x"))
    assert runs == [0, 1]
    assert hooks == ["rollback", "commit"]
    assert rows(raw) == [2]


def test_what_cannot_be_learnt_in_time_is_said_and_can_be_asked_later(
    far: tl.Store, proxy: TcpProxy, raw: Raw, stalls: Stalls
) -> None:
    hooks: list[str] = []

    def run(tx: tl.Transaction) -> Any:
        tx.on_commit(lambda: hooks.append("commit"))
        tx.on_rollback(lambda: hooks.append("rollback"))
        made = create(tx, 1)
        proxy.refuse()
        proxy.cut_after(3)
        return made

    began = time.monotonic()
    error = failure(far.transaction(run, deadline_s=1), tl.CommitUnknownError, "error.resolve()")
    assert time.monotonic() - began < 2 + stalls.seconds(began)
    assert error.xid is not None
    assert raw.execute("SELECT pg_xact_status(%s::text::xid8)", (str(error.xid),)).fetchone() == (
        "committed",
    )
    assert f"xid={error.xid}" in repr(error)
    assert "_ask" not in repr(error)
    assert error.resolve(within_s=0.05) == tl.Failure(error)
    assert hooks == []
    proxy.allow()
    assert error.resolve(within_s=10) == tl.Success(True)
    assert error.resolve(within_s=10) == tl.Success(True)
    assert rows(raw) == [1]


def test_caches_forget_what_may_have_been_written(far: tl.Store, proxy: TcpProxy) -> None:
    """Also what they loaded between the lost answer and the server's."""
    owners = tl.repository(far, OWNERS, cache=tl.read_through(ttl_s=60))
    owners.create(Owner(1, "before")).unwrap()
    owners.get_by_id(1).unwrap()

    def run(tx: tl.Transaction) -> Any:
        made = tl.repository(tx, OWNERS).update(Owner(1, "after"))
        proxy.refuse()
        proxy.cut_after(0)
        return made

    error = failure(far.transaction(run, deadline_s=1.0), tl.CommitUnknownError)
    cache = far.caches.open(OWNERS, tl.read_through(ttl_s=60))
    assert cache.l1.get(1) is None
    cache.l1[1] = tl.Success(Owner(1, "before"))  # as if loaded before the commit landed
    proxy.allow()
    assert error.resolve() == tl.Success(True)
    assert owners.get_by_id(1) == tl.Success(Owner(1, "after"))


def test_a_connection_lost_before_commit_leaves_nothing_in_doubt(
    far: tl.Store, proxy: TcpProxy, raw: Raw
) -> None:
    def run(tx: tl.Transaction) -> Any:
        create(tx, 1).unwrap()
        proxy.cut()
        first = failure(create(tx, 2), tl.ConnectionError)
        failure(tx.transaction(lambda tx: create(tx, 3), savepoint=True), tl.QueryError)
        return tl.Failure(first)

    failure(far.transaction(run), tl.ConnectionError)
    assert rows(raw) == []
    assert far.database.stats().in_use == 0
    assert far.count(tl.select(OWNERS)) == tl.Success(0)


def test_a_reading_transaction_that_is_cut_off_has_written_nothing(
    far: tl.Store, proxy: TcpProxy
) -> None:
    def run(tx: tl.Transaction) -> Any:
        found = tx.count(tl.select(OWNERS))
        proxy.cut_after(0)
        return found

    failure(far.transaction(run), tl.ConnectionError, "had written nothing")


def test_the_id_of_a_transaction_is_known_after_every_kind_of_write(far: tl.Store) -> None:
    owners = [Owner(n, "x") for n in range(1_500)]

    def kinds(tx: tl.Transaction) -> list[Any]:
        inside = tl.repository(tx, OWNERS)
        return [
            lambda: inside.create_many(owners[:3]),
            lambda: inside.upsert_many(owners),
            lambda: inside.update_many([Owner(1, "y")]),
            lambda: tx.execute(
                tl.update(OWNERS, set=lambda o: tl.set(o.name).to("z"), where=lambda o: o.id == 1)
            ),
            lambda: tx.fetch_all(tl.sql("DELETE FROM owners RETURNING id", into=int)),
            lambda: next(
                tx.stream(tl.sql("INSERT INTO owners VALUES (1, 'x') RETURNING id", into=int))
            ),
            lambda: tx.fetch_batch(
                tl.batch(
                    tl.sql(
                        "WITH a AS (INSERT INTO owners VALUES (2, '') RETURNING id) TABLE a",
                        into=int,
                    )
                )
            ),
        ]

    for n in range(7):

        def run(tx: tl.Transaction, n: int = n) -> Any:
            tx.count(tl.select(OWNERS)).unwrap()
            assert tx.database.xid is None
            kinds(tx)[n]().unwrap()
            assert tx.database.xid is not None, n
            return tl.Success(None)

        far.transaction(run).unwrap()


def test_a_session_that_was_cut_off_is_ended_to_decide(pg_url: str, raw: Raw) -> None:
    adrift = psycopg.connect(with_application(pg_url, "adrift"))
    with tl.open(pg_url) as store:
        row = adrift.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert row is not None
        timeline = store.health().nodes[0].timeline
        # A server that was promoted meanwhile may have given the id to another transaction.
        assert outcome(store.database, int(row[0]), timeline + 1, time.monotonic() + 5) is None
        assert outcome(store.database, int(row[0]), timeline, time.monotonic() + 5) is False
        wait_until(lambda: not backends(raw, "adrift"))
        assert outcome(store.database, 2**62, timeline, time.monotonic() + 5) is None
    adrift.close()


def test_an_interrupted_commit_leaves_no_stale_cache(store: tl.Store, raw: Raw) -> None:
    """COMMIT takes long, for a deferred trigger sleeps; Ctrl-C comes meanwhile."""
    raw.execute(
        "CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$"
    )
    owners = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=60))
    owners.create(Owner(1, "before")).unwrap()
    raw.execute(
        "CREATE CONSTRAINT TRIGGER doze AFTER UPDATE ON owners "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION doze()"
    )
    cache = store.caches.open(OWNERS, tl.read_through(ttl_s=60))
    owners.get_by_id(1).unwrap()

    def strike() -> None:
        wait_until(lambda: raw.execute(DOZING).fetchone() == (1,))
        os.kill(os.getpid(), signal.SIGINT)

    def run(tx: tl.Transaction) -> Any:
        made = tl.repository(tx, OWNERS).update(Owner(1, "after"))
        striker.start()
        return made

    striker = threading.Thread(target=strike)

    with pytest.raises(KeyboardInterrupt):
        store.transaction(run)
    striker.join()
    assert cache.l1.get(1) is None
    assert owners.get_by_id(1) == tl.Success(Owner(1, "before"))
    assert store.database.stats().in_use == 0
