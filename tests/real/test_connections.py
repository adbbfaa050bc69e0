"""A store's connections: opened, shared by threads, interrupted, ended by others, closed."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.real.helpers import (
    ITEMS,
    OWNERS,
    Item,
    backends,
    end_sessions,
    failure,
    is_idle,
    item,
    items,
    still_works,
    wait_until,
    with_application,
)
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.postmaster import running
from tierline.testing import PostgresServer

Stock = tl.Repository[Item, int]
Raw = psycopg.Connection[Any]


def test_a_store_names_its_tiers_without_secrets(
    pg_url: str, postgres18: PostgresServer, redis_url: str
) -> None:
    login = redis_url.replace("redis://", "redis://reader:sesame@")
    with tl.open(pg_url, redis=login) as store:
        shown = repr(store)
    assert "L1 memory" in shown
    assert f"L2 redis://127.0.0.1:{redis_url.rpartition(':')[2].partition('/')[0]}" in shown
    assert f"L3 PostgreSQL 18 postgresql://127.0.0.1:{postgres18.port}/tierline" in shown
    assert "closed" in repr(store)
    for secret in ("sesame", postgres18.password):
        assert secret not in f"{shown} {store.database!r} {store.caches.l2!r} {store.stats()!r}"


def test_leaving_the_block_closes_every_connection(pg_url: str, raw: Raw) -> None:
    with tl.open(with_application(pg_url, "leaver"), pool_size=4) as store:
        store.create_table(ITEMS).failure()  # a failure too: there are no owners
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: tl.repository(store, ITEMS).count(), range(20)))
        assert backends(raw, "leaver")
    wait_until(lambda: not backends(raw, "leaver"))
    store.close()  # again: nothing to do
    failure(tl.repository(store, ITEMS).get_by_id(1), tl.ConnectionError, "closed; open it again")
    failure(store.fetch_all(tl.select(ITEMS)), tl.ConnectionError, "closed")


def test_an_exception_in_the_block_passes_and_closes_the_store(pg_url: str, raw: Raw) -> None:
    with pytest.raises(LookupError, match="mine"), tl.open(with_application(pg_url, "thrower")):
        raise LookupError("mine")
    wait_until(lambda: not backends(raw, "thrower"))


def test_a_failed_connect_leaves_no_connection(pg_url: str, raw: Raw) -> None:
    url = with_application(pg_url, "half")
    failure(tl.connect(url, redis="redis://h:port"), tl.ConfigurationError)
    for options in ({"pool_size": 0}, {"timeout_s": 0}, {"connect_timeout_s": float("nan")}):
        failure(tl.connect(url, **options), tl.ConfigurationError, *options)  # type: ignore[arg-type]
    wait_until(lambda: not backends(raw, "half"))
    with pytest.raises(TypeError, match="not both"):
        tl.connect(url, path="/tmp/never-made")


def test_keyword_strings_are_taken_too(postgres18: PostgresServer) -> None:
    words = (
        f"host=127.0.0.1 port={postgres18.port} user=tierline dbname=tierline "
        f"password={postgres18.password}"
    )
    with tl.connect(words).unwrap() as store:
        assert store.database.server_version // 10_000 == 18


def test_a_role_without_rights_reads_what_it_may_and_is_told_what_it_may_not(
    pg_url: str, store: tl.Store, stock: Stock, raw: Raw, postgres18: PostgresServer
) -> None:
    stock.create(item(1)).unwrap()
    (schema,) = raw.execute("SELECT current_schema()").fetchone() or ("",)
    role = f"reader_of_{schema}"
    raw.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        raw.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        raw.execute(f"GRANT SELECT ON items TO {role}")
        with tl.open(pg_url.replace(f"tierline:{postgres18.password}", f"{role}:x")) as reader:
            rows = tl.repository(reader, ITEMS)
            assert rows.get_by_id(1) == tl.Success(item(1))
            for result in (rows.create(item(2)), rows.delete(1), rows.create_many([item(2)])):
                assert failure(result, tl.AccessDeniedError, "grant it").sqlstate == "42501"
    finally:
        raw.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


# Threads


def test_threads_share_a_store(pg_url: str, stock: Stock, raw: Raw) -> None:
    stock.create_many(items(50)).unwrap()
    with tl.open(with_application(pg_url, "shared"), pool_size=4) as shared:
        rows = tl.repository(shared, ITEMS)

        def read_all(_: int) -> list[Any]:
            return [rows.get_by_id(n) for n in range(50)]

        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(read_all, range(16)))
        assert answers == [[tl.Success(one) for one in items(50)]] * 16
        assert len(backends(raw, "shared")) <= 4
        assert is_idle(shared)


def test_threads_that_create_the_same_key_find_one_winner(stock: Stock) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: stock.create(item(1, quantity=n)), range(8)))
    winners = [result for result in results if isinstance(result, tl.Success)]
    assert len(winners) == 1
    assert stock.get_by_id(1) == winners[0]
    for result in results:
        if isinstance(result, tl.Failure):
            failure(result, tl.DuplicateError)


def test_a_pool_in_use_says_so_and_recovers(pg_url: str, stock: Stock, stalls: Stalls) -> None:
    stock.create(item(1)).unwrap()
    with tl.open(pg_url, pool_size=2, timeout_s=1.0) as small:
        rows = tl.repository(small, ITEMS)
        rows.get_by_id(1).unwrap()
        let_go = threading.Event()

        def hold(tx: tl.Transaction) -> tl.Result[Item, tl.RepositoryError]:
            let_go.wait(20)
            return tl.repository(tx, ITEMS).get_by_id(1)

        with ThreadPoolExecutor(2) as threads:
            held = [threads.submit(small.transaction, hold) for _ in range(2)]
            wait_until(lambda: small.database.stats().in_use == 2)
            began_s = time.monotonic()
            error = failure(rows.get_by_id(1), tl.PoolExhaustedError, "raise pool_size")
            assert 0.9 < time.monotonic() - began_s < 3 + stalls.seconds(began_s)
            assert (error.operation, error.table) == ("get_by_id", "items")
            failure(rows.create_many([item(2)]), tl.PoolExhaustedError)
            let_go.set()
            assert [one.result(10) for one in held] == [tl.Success(item(1))] * 2
        still_works(small)


# Interruptions


@pytest.mark.parametrize("verb", ["get_by_id", "create_many"])
def test_an_interrupt_passes_and_leaves_the_pool_healthy(
    pg_url: str, stock: Stock, raw: Raw, verb: str
) -> None:
    stock.create(item(1)).unwrap()
    with (
        tl.open(with_application(pg_url, "interrupted"), pool_size=1, timeout_s=20) as single,
        psycopg.connect(pg_url) as holder,
    ):
        rows = tl.repository(single, ITEMS)
        rows.get_by_id(1).unwrap()
        holder.execute("LOCK TABLE items")
        main = threading.main_thread().ident or 0

        def interrupt() -> None:
            wait_until(lambda: is_waiting(raw, "interrupted"))
            signal.pthread_kill(main, signal.SIGINT)

        helper = threading.Thread(target=interrupt)
        helper.start()
        run = {
            "get_by_id": lambda: rows.get_by_id(1),
            "create_many": lambda: rows.create_many(items(3)),
        }
        with pytest.raises(KeyboardInterrupt):
            run[verb]()
        helper.join(10)
        assert is_idle(single)
        # Nothing of the interrupted statement goes on behind our back.
        wait_until(lambda: not is_waiting(raw, "interrupted"))
        holder.rollback()
        assert rows.get_by_id(1) == tl.Success(item(1))
        still_works(single)
        assert stock.count() == tl.Success(1)


def is_waiting(raw: Raw, application: str) -> bool:
    """Whether a session of the application waits for a lock."""
    row = raw.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = %s AND wait_event_type = 'Lock'",
        (application,),
    ).fetchone()
    return row != (0,)


def test_sessions_ended_while_idle_cost_nobody_a_failure(
    pg_url: str, stock: Stock, raw: Raw
) -> None:
    stock.create(item(1)).unwrap()
    with tl.open(with_application(pg_url, "ended"), pool_size=4, timeout_s=5) as shared:
        rows = tl.repository(shared, ITEMS)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(rows.get_by_id, [1] * 40))
        end_sessions(raw, "ended")
        assert [rows.get_by_id(1) for _ in range(20)] == [tl.Success(item(1))] * 20
        end_sessions(raw, "ended")
        # A write is not tried twice: that its session is gone must be seen before it is sent.
        time.sleep(0.05)
        assert rows.update(item(1, quantity=2)) == tl.Success(item(1, quantity=2))
        still_works(shared)


def end_once(raw: Raw, application: str) -> None:
    """End the sessions of an application that there are now, and not those it makes then."""
    for pid in backends(raw, application):
        raw.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_read_whose_session_is_ended_is_done_again_and_a_write_is_not(
    pg_url: str, stock: Stock, raw: Raw
) -> None:
    stock.create(item(1)).unwrap()
    with (
        tl.open(with_application(pg_url, "reading"), timeout_s=5) as shared,
        psycopg.connect(pg_url) as holder,
        ThreadPoolExecutor(2) as threads,
    ):
        holder.execute("LOCK TABLE items")
        rows = tl.repository(shared, ITEMS)
        reading = threads.submit(rows.get_by_id, 1)
        wait_until(lambda: is_waiting(raw, "reading"))
        end_once(raw, "reading")
        wait_until(lambda: is_waiting(raw, "reading"))
        writing = threads.submit(rows.create, item(2))
        holder.rollback()
        assert reading.result(10) == tl.Success(item(1))
        assert writing.result(10) == tl.Success(item(2))
        holder.execute("LOCK TABLE items")
        writing = threads.submit(rows.create, item(3))
        wait_until(lambda: is_waiting(raw, "reading"))
        end_once(raw, "reading")
        error = failure(writing.result(10), tl.ConnectionError, "call again")
        assert (error.operation, error.table, error.sqlstate) == ("create", "items", "57P01")
        holder.rollback()
        wait_until(lambda: isinstance(rows.count(), tl.Success))
        still_works(shared)


def test_a_session_that_says_it_ends_is_used_no_more(pg_url: str, stock: Stock, raw: Raw) -> None:
    # Raised by a trigger, the state comes without the end that mostly follows it at once.
    raw.execute(
        "CREATE FUNCTION say_so() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE SQLSTATE '57P01'; END $$"
    )
    raw.execute("CREATE TRIGGER t BEFORE INSERT ON items EXECUTE FUNCTION say_so()")
    with tl.open(with_application(pg_url, "told"), pool_size=1) as shared:
        rows = tl.repository(shared, ITEMS)
        rows.count().unwrap()
        told = backends(raw, "told")
        failure(rows.create(item(1)), tl.ConnectionError, "call again")
        assert rows.count() == tl.Success(0)
        wait_until(lambda: not set(told) & set(backends(raw, "told")))


# Embedded


@pytest.fixture
def place() -> Generator[Path]:
    """A folder that the account without rights may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="tierline-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_an_embedded_store_starts_is_joined_and_keeps_its_rows(place: Path) -> None:
    with tl.open(path=place / "data") as first:
        assert f"embedded in {place / 'data'}" in repr(first)
        first.create_table(OWNERS).unwrap()
        first.create_table(ITEMS).unwrap()
        tl.repository(first, ITEMS).create_many(items(3)).unwrap()
        with tl.connect(path=str(place / "data")).unwrap() as second:
            assert tl.repository(second, ITEMS).count() == tl.Success(3)
            still_works(second)
        still_works(first)
    # Both are still held here: it is closing them that stopped the server.
    assert running(place / "data" / "cluster") is None
    assert "closed" in f"{first!r} and {second!r}"
    with tl.open(path=place / "data") as again:
        assert tl.repository(again, ITEMS).get_by_id(1) == tl.Success(item(1))


def test_a_path_that_cannot_hold_a_cluster_is_a_configuration_error(place: Path) -> None:
    taken = place / "file"
    taken.write_text("not a folder")
    error = failure(tl.connect(path=taken), tl.ConfigurationError)
    assert str(taken) in error.message
    assert list(place.iterdir()) == [taken]
