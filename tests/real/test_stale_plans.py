"""Tables that change under prepared statements, and poolers that lose the statements."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import msgspec
import psycopg
import pytest
from tests.conftest import fresh_schema
from tests.real.helpers import ITEMS, OWNERS, Item, Owner, failure, is_idle
from tests.real.pgbouncer import pgbouncer

import tierline as tl
from tierline.postgres.connection import Connection
from tierline.testing import PostgresServer


class Named(msgspec.Struct, frozen=True):
    id: int
    name: str


class WithSize(msgspec.Struct, frozen=True):
    id: int
    name: str
    size: int | None


BY_NAME = tl.select(OWNERS, where=lambda o: o.name == tl.param("name", str))
RAW = tl.sql("select id, name from owners where name = {name}", into=Named, name="Ada")
STAR = tl.sql("select * from owners", into=WithSize)
CHANGES = (
    "ALTER TABLE owners ADD COLUMN size bigint",
    "ALTER TABLE owners ALTER COLUMN name TYPE varchar(50)",
    "ALTER TABLE owners DROP COLUMN size",
    "ALTER TABLE owners ADD COLUMN size integer",
    "ALTER TABLE owners ALTER COLUMN id TYPE integer",
)


def _all_still_answer(store: tl.Store) -> None:
    for _ in range(3):
        assert store.fetch_all(BY_NAME, name="Ada") == tl.Success([Owner(1, "Ada")])
        assert store.fetch_all(RAW) == tl.Success([Named(1, "Ada")])
        assert store.fetch_batch(tl.batch(RAW, BY_NAME), name="Ada") == tl.Success(
            ([Named(1, "Ada")], [Owner(1, "Ada")])
        )
        with store.stream(RAW) as batches:
            assert list(batches) == [tl.Success([Named(1, "Ada")])]
        assert store.count(BY_NAME, name="Ada") == tl.Success(1)
        with store.loader(OWNERS) as load:
            assert load(1).result() == tl.Success(Owner(1, "Ada"))


def test_queries_heal_after_each_change_of_the_table(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "Ada")))
    raw.execute("ALTER TABLE items DROP CONSTRAINT items_owner_fkey")
    _all_still_answer(store)
    for change in CHANGES:
        raw.execute(change)
        _all_still_answer(store)
    assert is_idle(store)


def test_what_comes_back_is_checked_again_after_the_table_changed(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "Ada")))
    failure(store.fetch_all(STAR), tl.DecodeError, "column size", "WithSize")
    raw.execute("ALTER TABLE owners ADD COLUMN size bigint")
    assert store.fetch_all(STAR) == tl.Success([WithSize(1, "Ada", None)])
    raw.execute("ALTER TABLE owners ALTER COLUMN size TYPE text")
    failure(store.fetch_all(STAR), tl.DecodeError, "'size' is text", "bigint")
    raw.execute("ALTER TABLE owners ALTER COLUMN size TYPE integer USING 7")
    assert store.fetch_all(STAR) == tl.Success([WithSize(1, "Ada", 7)])
    raw.execute("ALTER TABLE owners ADD COLUMN more text")
    failure(store.fetch_all(STAR), tl.DecodeError, "column more is no field of WithSize")


def test_a_session_that_forgot_its_statements_prepares_them_again(store: tl.Store) -> None:
    tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "Ada")))
    for _ in range(5):
        _all_still_answer(store)
        assert store.execute(tl.sql("deallocate all")) == tl.Success(0)
    assert store.fetch_all(tl.sql("select 1", into=int)) == tl.Success([1])


def test_a_statement_whose_old_plan_a_pooler_keeps_runs_unprepared(
    store: tl.Store, raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PgBouncer with max_prepared_statements maps a text that it knows to the plan that it has."""
    tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "Ada")))

    def keep_on_the_server(connection: Connection, name: bytes) -> None:
        connection._known.pop(name, None)

    monkeypatch.setattr(Connection, "forget", keep_on_the_server)
    _all_still_answer(store)
    raw.execute("ALTER TABLE owners ALTER COLUMN name TYPE varchar(50)")
    _all_still_answer(store)
    raw.execute("ALTER TABLE owners ALTER COLUMN name TYPE text")
    _all_still_answer(store)
    assert is_idle(store)


@pytest.fixture(params=[0, 100], ids=["no statements kept", "statements kept"])
def bounced(request: pytest.FixtureRequest, postgres18: PostgresServer) -> Generator[str]:
    """A URL through PgBouncer in transaction mode."""
    with fresh_schema(postgres18) as url:
        schema = url.rpartition("%3D")[2]
        with pgbouncer(postgres18, schema, tracked=request.param) as server:
            yield server.url


def test_queries_work_through_a_pooler_whatever_it_keeps(bounced: str) -> None:
    with tl.open(bounced, pool_size=4, timeout_s=10) as store:
        for table in (OWNERS, ITEMS):
            store.create_table(table).unwrap()
        owners, stock = tl.repository(store, OWNERS), tl.repository(store, ITEMS)
        tl.unwrap(owners.create(Owner(1, "Ada")))
        tl.unwrap(stock.create_many([Item(n, f"sku-{n}") for n in range(50)]))
        wrong: list[object] = []

        def work(first: int) -> None:
            for n in range(first, first + 60):
                results = [
                    (stock.get_by_id(n % 30), tl.Success(Item(n % 30, f"sku-{n % 30}"))),
                    (store.fetch_all(BY_NAME, name="Ada"), tl.Success([Owner(1, "Ada")])),
                    (store.fetch_all(RAW), tl.Success([Named(1, "Ada")])),
                    (
                        store.fetch_batch(tl.batch(RAW, BY_NAME), name="Ada"),
                        tl.Success(([Named(1, "Ada")], [Owner(1, "Ada")])),
                    ),
                    (
                        store.execute(
                            tl.sql(
                                "update items set quantity = {n} where id = {id}",
                                n=n,
                                id=40 + first,
                            )
                        ),
                        tl.Success(1),
                    ),
                ]
                with store.stream(tl.sql("select generate_series(1, 25)", into=int), size=10) as s:
                    results.append((tl.collect(s).map(len), tl.Success(3)))
                wrong.extend(found for found in results if found[0] != found[1])

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert is_idle(store)


def test_queries_heal_behind_a_pooler_after_the_table_changed(bounced: str) -> None:
    with (
        tl.open(bounced, pool_size=4, timeout_s=10) as store,
        psycopg.connect(bounced, autocommit=True, prepare_threshold=None) as other,
    ):
        store.create_table(OWNERS).unwrap()
        tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "Ada")))
        _all_still_answer(store)
        for change in CHANGES:
            other.execute(change)
            _all_still_answer(store)
        assert is_idle(store)
