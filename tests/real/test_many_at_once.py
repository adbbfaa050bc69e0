"""`tl.batch`, `store.stream`, `store.explain` and `store.loader` on real servers."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import (
    ITEMS,
    OWNERS,
    Item,
    Owner,
    end_sessions,
    failure,
    is_idle,
    still_works,
    wait_until,
    with_application,
)
from tests.stalls import no_collections

import tierline as tl


class Leg(msgspec.Struct, frozen=True):
    """An entity with a key of two fields."""

    carrier: str
    number: int
    distance: int


LEGS = tl.table(Leg, name="legs", key=lambda leg: (leg.carrier, leg.number))
# In the list of columns it is computed row by row; in FROM the server would first make all rows.
SERIES = tl.sql("select generate_series(1, {n})", into=int, n=tl.param("n", int))


@pytest.fixture
def each(pg_url_each: str) -> Generator[tl.Store]:
    """A store with some rows, once on each version."""
    url = with_application(pg_url_each, "many")
    with tl.open(url, pool_size=2, timeout_s=3) as store:
        for table in (OWNERS, ITEMS, LEGS):
            store.create_table(table).unwrap()
        tl.unwrap(tl.repository(store, OWNERS).create_many([Owner(n, f"o{n}") for n in range(10)]))
        tl.unwrap(tl.repository(store, LEGS).create_many([Leg("AA", n, n * 2) for n in range(10)]))
        yield store


@pytest.fixture
def admin(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    """A plain connection to the same server."""
    with psycopg.connect(pg_url_each, autocommit=True) as connection:
        yield connection


# Batches.


def test_a_batch_answers_with_a_tuple(each: tl.Store) -> None:
    big = tl.select(LEGS, where=lambda g: g.distance > tl.param("least", int))
    batch = tl.batch(tl.select(OWNERS, limit=1), big, tl.sql("select {n} + 1", into=int, n=1))
    for least in (15, 3, 100):
        owners, legs, numbers = tl.unwrap(each.fetch_batch(batch, least=least))
        assert owners == [Owner(0, "o0")]
        assert legs == [Leg("AA", n, n * 2) for n in range(10) if n * 2 > least]
        assert numbers == [2]
    assert is_idle(each)


def test_parameters_of_a_batch_are_checked(each: tl.Store) -> None:
    batch = tl.batch(SERIES, tl.select(OWNERS))
    with pytest.raises(TypeError, match="needs the parameters n"):
        each.fetch_batch(batch)
    with pytest.raises(TypeError, match="no query of the batch has a parameter m"):
        each.fetch_batch(batch, n=1, m=2)
    with pytest.raises(TypeError, match="takes queries with rows"):
        tl.batch(tl.sql("select 1"))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="at least one"):
        tl.batch()


def test_an_error_in_one_query_is_the_answer_and_undoes_the_others(each: tl.Store) -> None:
    added = tl.sql("insert into owners values (99, 'new') returning id", into=int)
    bad = tl.sql("select 1 / {zero}", into=int, zero=0)
    for _ in range(2):
        found = each.fetch_batch(tl.batch(added, bad, SERIES), n=1)
        failure(found, tl.QueryError, "query 2 of 3")
        failure(each.fetch_batch(tl.batch(bad, added)), tl.QueryError, "query 1 of 2")
    missing = tl.sql("select * from nowhere", into=int)
    failure(each.fetch_batch(tl.batch(added, missing)), tl.QueryError, "query 2 of 2")
    text = tl.sql("select {v}", into=str, v="\0")
    failure(each.fetch_batch(tl.batch(added, text)), tl.ValidationError, "query 2 of 2")
    taken = tl.sql("insert into owners values (1, 'x') returning id", into=int)
    failure(each.fetch_batch(tl.batch(added, taken)), tl.DuplicateError, "query 2 of 2")
    assert each.fetch_maybe(tl.select(OWNERS, where=lambda o: o.id == 99)) == tl.Success(None)
    still_works(each)


def test_many_large_queries_do_not_block_each_other(pg_url_each: str) -> None:
    # More than the buffers of both sides hold: whoever only sends, or only reads, waits for ever.
    wide = tl.sql("select repeat({v}, 100) from generate_series(1, 40)", into=str, v="x" * 10_000)
    with tl.open(pg_url_each, pool_size=1, timeout_s=60) as store:
        rows = tl.unwrap(store.fetch_batch(tl.batch(*[wide] * 20)))
    assert [len(found) for found in rows] == [40] * 20


def test_a_batch_that_waits_leaves_the_processor_alone(each: tl.Store) -> None:
    slow = tl.sql("select 1 from pg_sleep(0.5)", into=int)
    tl.unwrap(each.fetch_batch(tl.batch(slow)))
    # What a collection costs depends on all the tests that ran before.
    with no_collections():
        began_s = time.thread_time()
        assert each.fetch_batch(tl.batch(slow, slow)) == tl.Success(([1], [1]))
        assert time.thread_time() - began_s < 0.05


def test_a_batch_that_waits_too_long_ends(each: tl.Store) -> None:
    slow = tl.sql("select 1 from pg_sleep(20)", into=int)
    began = time.monotonic()
    failure(each.fetch_batch(tl.batch(tl.select(OWNERS), slow)), tl.TimeoutError, "query 2 of 2")
    assert time.monotonic() - began < 10
    still_works(each)


# Streams.


def test_a_stream_hands_out_every_row_in_order(each: tl.Store) -> None:
    for n, size, lengths in (
        (25, 10, [10, 10, 5]),
        (20, 10, [10, 10]),
        (0, 10, []),
        (3, 1, [1] * 3),
    ):
        with each.stream(SERIES, size=size, n=n) as batches:
            found = [tl.unwrap(batch) for batch in batches]
        assert [len(batch) for batch in found] == lengths
        assert [row for batch in found for row in batch] == list(range(1, n + 1))
        assert is_idle(each)
    with each.stream(tl.select(LEGS, order_by=lambda g: g.number)) as legs:
        assert tl.collect(legs) == tl.Success([[Leg("AA", n, n * 2) for n in range(10)]])


def test_a_million_rows_take_bounded_memory(each: tl.Store) -> None:
    query = tl.sql(
        "select g, repeat('x', 100) from generate_series(1, {n}) g",
        into=tuple[int, str],
        n=1_000_000,
    )
    with each.stream(query, size=1000) as batches:
        tl.unwrap(next(batches))
        before = _resident_mb()
        total = 1000
        for batch in batches:
            total += len(tl.unwrap(batch))
        grown = _resident_mb() - before
    assert total == 1_000_000
    assert grown < 16, f"{grown:.1f} MB more"
    assert is_idle(each)


def _resident_mb() -> float:
    """What is resident now, and if that cannot be told, the most there ever was."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def test_a_stream_closed_early_ends_the_query_and_gives_the_connection_back(
    each: tl.Store, admin: psycopg.Connection[Any]
) -> None:
    for _ in range(3):
        with each.stream(SERIES, size=10, n=50_000_000) as batches:
            assert tl.unwrap(next(batches)) == list(range(1, 11))
            assert not is_idle(each)
        assert is_idle(each)
        assert list(batches) == []
    left = each.stream(SERIES, size=10, n=50_000_000)
    next(left)
    del left
    assert is_idle(each)
    unread = each.stream(SERIES, size=10, n=5)
    unread.close()
    unread.close()
    with suppress(ZeroDivisionError), each.stream(SERIES, size=10, n=50_000_000) as batches:
        _ = len(tl.unwrap(next(batches))) / 0
    assert is_idle(each)
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'many' AND state <> 'idle'"
    )
    wait_until(lambda: admin.execute(running).fetchone() == (0,))
    still_works(each)
    assert each.database.stats().size == 1, "the connection was kept, not replaced"


def test_what_a_stream_wrote_is_kept_only_at_its_end(each: tl.Store) -> None:
    added = tl.sql(
        "insert into owners select g, 'new' from generate_series(100, 199) g returning id", into=int
    )
    count = tl.sql("select count(*) from owners where id >= 100", into=int)
    with each.stream(added, size=10) as batches:
        next(batches)
    assert each.fetch_one(count) == tl.Success(0)
    with each.stream(added, size=10) as batches:
        assert tl.collect(batches).map(len) == tl.Success(10)
    assert each.fetch_one(count) == tl.Success(100)


def test_a_failure_is_the_last_batch(each: tl.Store) -> None:
    broken = tl.sql("select 10 / (50 - g) from generate_series(1, 100) g", into=int)
    for _ in range(2):
        with each.stream(broken, size=10) as batches:
            found = list(batches)
        assert [isinstance(batch, tl.Success) for batch in found] == [True] * 4 + [False]
        failure(found[-1], tl.QueryError)
        assert is_idle(each)
    for query, error in (
        (tl.sql("select 'x'", into=int), tl.DecodeError),
        (tl.sql("select * from nowhere", into=int), tl.QueryError),
        (tl.sql("select {v}", into=str, v="\0"), tl.ValidationError),
    ):
        with each.stream(query) as batches:
            [only] = batches
        failure(only, error)
    still_works(each)


def test_a_reader_may_be_slow_and_a_batch_may_not(each: tl.Store) -> None:
    # The store's limit is 3 s.
    with each.stream(SERIES, size=10, n=300_000) as batches:
        next(batches)
        time.sleep(3.5)
        assert len(tl.unwrap(tl.collect(batches))) == 29_999
    slow = tl.sql("select 1 from pg_sleep(20)", into=int)
    began = time.monotonic()
    with each.stream(slow) as batches:
        [only] = batches
    assert failure(only, tl.TimeoutError, "no batch came within 3 s").stage == "statement"
    assert time.monotonic() - began < 8
    still_works(each)


def test_a_stream_whose_server_ends_it_says_so(
    each: tl.Store, admin: psycopg.Connection[Any]
) -> None:
    with each.stream(SERIES, size=10, n=50_000_000) as batches:
        next(batches)
        end_sessions(admin, "many")
        last = list(batches)[-1]
    failure(last, tl.ConnectionError)
    wait_until(lambda: each.fetch_all(SERIES, n=1) == tl.Success([1]))
    assert is_idle(each)


def test_other_queries_run_beside_a_stream(each: tl.Store) -> None:
    with each.stream(SERIES, size=10, n=100) as batches:
        for batch in batches:
            last = tl.unwrap(batch)[-1]
            assert each.fetch_all(SERIES, n=2) == tl.Success([1, 2])
        # The pool has two, and a third waits for them.
        with each.stream(SERIES, n=10_000_000) as one, each.stream(SERIES, n=10_000_000) as other:
            next(one), next(other)
            failure(each.fetch_all(SERIES, n=1), tl.PoolExhaustedError)
            with each.stream(SERIES, n=1) as third:
                failure(next(third), tl.PoolExhaustedError)
    assert last == 100
    assert is_idle(each)


def test_a_size_is_positive(each: tl.Store) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        each.stream(SERIES, size=0, n=1)
    with pytest.raises(TypeError, match="needs the parameters n"):
        each.stream(SERIES)


# Plans.


def test_a_plan_is_a_value(each: tl.Store) -> None:
    query = tl.select(
        LEGS,
        where=lambda g: (g.carrier == tl.param("carrier", str)) & (g.number == 3),
        order_by=lambda g: g.distance,
    )
    plan = tl.unwrap(each.explain(query, carrier="AA"))
    assert isinstance(plan, tl.Plan)
    assert plan.root.kind == "Sort"
    assert plan.root.actual_rows is None
    assert plan.execution_ms is None
    [scan] = [node for node in plan.root.walk() if node.table]
    assert scan.table == "legs"
    lines = repr(plan).splitlines()
    assert lines[0].startswith("Sort  rows=")
    assert any(line.startswith("└─ ") and " on legs  rows=" in line for line in lines)
    assert "cost=" in lines[0]
    assert plan._repr_html_().startswith("<pre>Sort ")


def test_an_analyzed_plan_was_run_and_undone(each: tl.Store) -> None:
    plan = tl.unwrap(each.explain(SERIES, analyze=True, n=100))
    assert plan.root.actual_rows == 100
    assert plan.execution_ms is not None
    assert "actual rows=100" in repr(plan)
    assert "time=" in repr(plan)
    delete = tl.sql("delete from owners where name <> {n}", n="<b>")
    plan = tl.unwrap(each.explain(delete, analyze=True))
    assert {node.kind for node in plan.root.walk()} == {"ModifyTable", "Seq Scan"}
    assert "&lt;b&gt;" in plan._repr_html_()
    assert "<b>" not in plan._repr_html_()
    assert each.count(tl.select(OWNERS)) == tl.Success(10)
    failure(each.explain(tl.sql("nonsense")), tl.QueryError)
    failure(each.explain(tl.sql("select 1 / {z}", into=int, z=0), analyze=True), tl.QueryError)
    joined = tl.sql("select count(*) from owners a left join legs b on a.id = b.number", into=int)
    assert "Hash Join (" in repr(tl.unwrap(each.explain(joined)))
    still_works(each)


# Loaders.


def _statements(store: tl.Store) -> int:
    reads = store.database.reads()
    return reads.found + reads.empty


def test_a_loader_reads_what_is_pending_in_one_statement(each: tl.Store) -> None:
    with each.loader(OWNERS) as load:
        before = _statements(each)
        first, second, missing = load(1), load(2), load(99)
        assert load(1) is first
        assert _statements(each) == before
        assert first.result() == tl.Success(Owner(1, "o1"))
        assert _statements(each) == before + 1
        assert second.result() == tl.Success(Owner(2, "o2"))
        failure(missing.result(), tl.NotFoundError)
        assert load(2).result() == tl.Success(Owner(2, "o2"))
        assert _statements(each) == before + 1
        assert load.many([2, 3, 98]) == tl.Success({2: Owner(2, "o2"), 3: Owner(3, "o3")})
        assert _statements(each) == before + 2
        assert load.many([]) == tl.Success({})
        assert "0 pending" in repr(load)
        with pytest.raises(TypeError, match="key field"):
            load("1")  # type: ignore[arg-type]
        failure(load(2**70).result(), tl.ValidationError)


def test_a_key_of_several_fields(each: tl.Store) -> None:
    with each.loader(LEGS) as load:
        deferred = [load(("AA", n)) for n in range(3)]
        other = load(("BB", 1))
        assert [d.result() for d in deferred] == [tl.Success(Leg("AA", n, n * 2)) for n in range(3)]
        failure(other.result(), tl.NotFoundError)


def test_what_is_in_the_cache_is_not_read_again(each: tl.Store) -> None:
    owners = tl.repository(each, OWNERS, cache=tl.read_through(ttl_s=60))
    tl.unwrap(owners.get_by_id(1))
    before = _statements(each)
    with each.loader(OWNERS) as load:
        assert load(1).result() is owners.get_by_id(1)
        assert _statements(each) == before
        assert load.many([1, 2]) == tl.Success({1: Owner(1, "o1"), 2: Owner(2, "o2")})
        assert _statements(each) == before + 1
    tl.unwrap(owners.update(Owner(1, "new")))
    with each.loader(OWNERS) as load:
        assert load(1).result() == tl.Success(Owner(1, "new"))


def test_a_failed_read_is_tried_again(each: tl.Store, admin: psycopg.Connection[Any]) -> None:
    admin.execute("ALTER TABLE owners RENAME TO away")
    with each.loader(OWNERS) as load:
        deferred = load(1)
        failure(deferred.result(), tl.QueryError)
        failure(load.many([1, 2]), tl.QueryError)
        admin.execute("ALTER TABLE away RENAME TO owners")
        assert load(1).result() == tl.Success(Owner(1, "o1"))
        failure(deferred.result(), tl.QueryError)


def test_threads_share_a_store_and_not_a_connection(each: tl.Store) -> None:
    wrong: list[object] = []

    def work() -> None:
        for n in range(1, 40):
            found = each.fetch_batch(tl.batch(SERIES, tl.select(OWNERS, limit=1)), n=n)
            if found != tl.Success((list(range(1, n + 1)), [Owner(0, "o0")])):
                wrong.append(found)
            with each.stream(SERIES, size=7, n=n) as batches:
                rows = [row for batch in batches for row in tl.unwrap(batch)]
            if rows != list(range(1, n + 1)):
                wrong.append(rows)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_item_is_found_by_text(each: tl.Store) -> None:
    tl.unwrap(tl.repository(each, ITEMS).create(Item(1, "sku-1")))
    by_sku = tl.table(Item, name="items", key=lambda i: i.sku)
    with each.loader(by_sku) as load:
        assert load("sku-1").result() == tl.Success(Item(1, "sku-1"))
