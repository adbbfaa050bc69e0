"""Bad input: the right error with advice, and a store that works afterwards as before."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import (
    ITEMS,
    OWNERS,
    Item,
    Owner,
    failure,
    is_idle,
    item,
    items,
    still_works,
    wait_until,
)
from tests.stalls import Stalls

import tierline as tl
from tierline.testing import PostgresServer, postgres_server

SECRET = "open-sesame"
Stock = tl.Repository[Item, int]
Raw = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Generator[None]:
    """Whatever a test does to the shared store, it works afterwards and nothing is lent out."""
    shared = request.getfixturevalue("store") if "store" in request.fixturenames else None
    yield
    if shared is not None:
        still_works(shared)


# Connecting

CHECK = "check that the server runs there, and the URL's user, password and database"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@127.0.0.1/db",
        f"postgresql://user:{SECRET}@127.0.0.1/db?no_such_option=1",
        f"postgresql://user:{SECRET}%zz@127.0.0.1/db",
        f"host=127.0.0.1 password={SECRET} port",
    ],
)
def test_a_url_that_cannot_be_read_is_a_configuration_error(url: str) -> None:
    assert_keeps_the_secret(failure(tl.connect(url), tl.ConfigurationError, "postgresql://user"))


@pytest.mark.parametrize("redis", [f"http://user:{SECRET}@127.0.0.1", f"redis://:{SECRET}@h:port"])
def test_a_redis_url_that_cannot_be_read_is_a_configuration_error(pg_url: str, redis: str) -> None:
    assert_keeps_the_secret(
        failure(tl.connect(pg_url, redis=redis), tl.ConfigurationError, "redis://user")
    )


def test_a_refused_port_is_a_connection_error() -> None:
    url = f"postgresql://user:{SECRET}@127.0.0.1:1/db"
    error = failure(tl.connect(url), tl.ConnectionError, "127.0.0.1:1/db", "refused", CHECK)
    assert_keeps_the_secret(error)


def test_a_wrong_password_is_a_connection_error(postgres18: PostgresServer) -> None:
    url = postgres18.url.replace(postgres18.password, SECRET)
    error = failure(tl.connect(url), tl.ConnectionError, "password authentication failed", CHECK)
    assert_keeps_the_secret(error)


def test_an_unknown_database_is_a_connection_error(postgres18: PostgresServer) -> None:
    error = failure(tl.connect(f"{postgres18.url}x"), tl.ConnectionError, "does not exist", CHECK)
    assert postgres18.password not in f"{error} {error!r}"


def test_open_raises_what_connect_answers() -> None:
    with pytest.raises(tl.ConfigurationError, match="postgresql://user"):
        tl.open("mysql://127.0.0.1/db")


# A server in trouble


def test_a_killed_server_is_a_connection_error_and_works_again_after_its_restart() -> None:
    with postgres_server(18) as server, tl.open(server.url, timeout_s=2) as store:
        store.create_table(OWNERS).unwrap()
        owners = tl.repository(store, OWNERS)
        owners.create(Owner(1, "one")).unwrap()
        server.kill()
        error = owners.get_by_id(1).failure()
        assert type(error) is tl.ConnectionError
        write = owners.create(Owner(2, "two")).failure()
        assert isinstance(write, tl.ConnectionError)
        assert is_idle(store)
        server.start()
        wait_until(lambda: owners.get_by_id(1) == tl.Success(Owner(1, "one")))
        still_works(store)


def test_a_server_killed_under_a_write_leaves_its_outcome_unknown() -> None:
    with (
        postgres_server(18) as server,
        tl.open(server.url, timeout_s=5) as store,
        ThreadPoolExecutor(1) as threads,
    ):
        store.create_table(OWNERS).unwrap()
        owners = tl.repository(store, OWNERS)
        holder = psycopg.connect(server.url)
        holder.execute("LOCK TABLE owners")
        writing = threads.submit(owners.create, Owner(1, "one"))
        with psycopg.connect(server.url, autocommit=True) as admin:
            locked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_until(lambda: admin.execute(locked).fetchone() == (1,))
        server.kill()
        holder.close()
        failure(writing.result(10), tl.CommitUnknownError, "read the row to find out")
        # Of a server that is known to be gone nothing is asked, so nothing is in doubt.
        error = failure(owners.create(Owner(1, "one")), tl.ConnectionError)
        assert not isinstance(error, tl.CommitUnknownError)


def test_a_statement_that_runs_too_long_is_a_timeout(
    pg_url: str, store: tl.Store, stalls: Stalls
) -> None:
    with tl.open(pg_url, timeout_s=0.3) as hasty, psycopg.connect(pg_url) as holder:
        holder.execute("LOCK TABLE items")
        stock = tl.repository(hasty, ITEMS)
        began_s = time.monotonic()
        attempts = {
            "get_by_id": stock.get_by_id(1),
            "list": stock.list(),
            "create": stock.create(item(1)),
            "create_many": stock.create_many(items(3)),
        }
        stalled_s = stalls.seconds(began_s)
        for operation, result in attempts.items():
            error = failure(result, tl.TimeoutError, "raise timeout_s")
            assert (error.stage, error.sqlstate) == ("statement", "57014")
            assert (error.operation, error.table) == (operation, "items")
            assert error.elapsed_s is not None
            assert 0.25 < error.elapsed_s < 3 + stalled_s
        holder.rollback()
        assert stock.count() == tl.Success(0)
        assert is_idle(hasty)


# A table that is not what the entity says


def test_a_missing_table_is_named_with_its_remedy(store: tl.Store) -> None:
    ghosts = tl.repository(store, tl.table(Owner, name="ghosts", key=lambda o: o.id))
    for result in (
        ghosts.get_by_id(1),
        ghosts.list(),
        ghosts.count(),
        ghosts.exists(1),
        ghosts.create(Owner(1, "one")),
        ghosts.update(Owner(1, "one")),
        ghosts.delete(1),
        ghosts.create_many([Owner(1, "one")]),
    ):
        error = failure(result, tl.QueryError, '"ghosts" does not exist', "store.create_table(")
        assert (error.table, error.sqlstate) == ("ghosts", "42P01")
        assert isinstance(error.__cause__, psycopg.errors.UndefinedTable)


def test_a_missing_column_is_named(store: tl.Store, stock: Stock, raw: Raw) -> None:
    raw.execute("ALTER TABLE items DROP COLUMN note")
    for result in (
        stock.get_by_id(1),
        stock.list(),
        stock.create(item(1)),
        stock.update(item(1)),
        stock.create_many(items(2)),
    ):
        failure(result, tl.QueryError, '"note"', "add the column or rename the field")


def test_a_column_of_another_type_is_named_when_it_is_read(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    raw.execute("ALTER TABLE items ALTER COLUMN note TYPE date USING NULL")
    stock_of = tl.select(ITEMS)
    for result in (stock.get_by_id(1), stock.list(), store.fetch_all(stock_of)):
        error = failure(result, tl.DecodeError, "'note'", "date", "text", "change one of them")
        assert error.columns == ("note",)


def test_a_column_of_another_type_is_named_when_it_is_written(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    raw.execute("ALTER TABLE items ALTER COLUMN note TYPE date USING NULL")
    noted = item(1, note="x")
    for result, kind in (
        (stock.create(noted), tl.QueryError),
        (stock.update(noted), tl.QueryError),
        (stock.create_many([noted]), tl.DecodeError),
    ):
        assert failure(result, kind, "'note' is date", "change one of them").columns == ("note",)
    assert stock.count() == tl.Success(0)


def test_a_column_of_another_type_is_named_when_it_is_compared(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    raw.execute("CREATE TABLE keyed (id uuid PRIMARY KEY, name text NOT NULL)")
    keyed = tl.repository(store, tl.table(Owner, name="keyed", key=lambda o: o.id))
    raw.execute("ALTER TABLE items ALTER COLUMN note TYPE date USING NULL")
    for result, column, types in (
        (keyed.get_by_id(1), "id", "uuid"),
        (keyed.exists(1), "id", "uuid"),
        (keyed.delete(1), "id", "uuid"),
        (stock.count(note="x"), "note", "date"),
        (stock.list(where=lambda i: tl.some(i.note).startswith("x")), "note", "date"),
        (stock.count(where=lambda i: tl.is_in(tl.some(i.note), ["x"])), "note", "date"),
    ):
        error = failure(result, tl.QueryError, f"'{column}' is {types}", "change one of them")
        assert (error.columns, error.sqlstate) == ((column,), "42883")


def test_a_null_in_a_field_that_is_not_optional_is_a_decode_error(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    raw.execute("ALTER TABLE items ALTER COLUMN quantity DROP NOT NULL")
    raw.execute("INSERT INTO items (id, sku) VALUES (1, 'sku-1')")
    for result in (stock.get_by_id(1), stock.list()):
        error = failure(result, tl.DecodeError, "'quantity' is NULL", "declare it `| None`")
        assert error.columns == ("quantity",)


# An entity that is not what its type says


def test_every_bad_field_is_listed_and_nothing_is_sent(store: tl.Store, stock: Stock) -> None:
    bad: Any = Item(id="one", sku="x", quantity=-1, note=7, owner=2**63)  # type: ignore[arg-type]
    error = failure(stock.create(bad), tl.ValidationError)
    assert [path for path, _ in error.errors] == ["id", "sku", "quantity", "note", "owner"]
    assert all(problem for _, problem in error.errors)
    assert (error.operation, error.table, error.sqlstate) == ("create", "items", None)
    assert failure(stock.update(bad), tl.ValidationError).operation == "update"
    assert stock.count() == tl.Success(0)


def test_validation_needs_no_server(pg_url: str) -> None:
    with tl.open(pg_url) as closed:
        stock = tl.repository(closed, ITEMS)
    bad: Any = item(1, sku="x")
    failure(stock.create(item(1)), tl.ConnectionError, "closed")
    for result in (stock.create(bad), stock.update(bad), stock.create_many([item(2), bad])):
        failure(result, tl.ValidationError, "sku")
    for verb in (stock.get_by_id, stock.exists, stock.delete):
        failure(verb(2**63), tl.ValidationError, "id")


def test_none_in_a_required_field_is_a_validation_error(store: tl.Store, stock: Stock) -> None:
    error = failure(stock.create(item(1, sku=None)), tl.ValidationError)
    assert [path for path, _ in error.errors] == ["sku"]
    assert "null" in error.errors[0].problem


def test_a_duplicate_key_names_the_rule(store: tl.Store, stock: Stock) -> None:
    stock.create(item(1)).unwrap()
    error = failure(stock.create(item(1, sku="other")), tl.DuplicateError, "update it instead")
    assert (error.constraint, error.columns) == ("items_pkey", ("id",))


def test_a_missing_foreign_key_names_the_other_table(store: tl.Store, stock: Stock) -> None:
    for result in (stock.create(item(1, owner=9)), stock.create_many([item(1, owner=9)])):
        error = failure(result, tl.ConstraintError, "owners", "create that row first")
        assert (error.constraint, error.columns) == ("items_owner_fkey", ("owner",))


@pytest.mark.parametrize("text", ["a\0b", "lone \ud800 surrogate"])
def test_text_that_postgres_cannot_hold_is_refused(
    store: tl.Store, stock: Stock, text: str
) -> None:
    error = failure(stock.create(item(1, note=text)), tl.ValidationError)
    assert [path for path, _ in error.errors] == ["note"]
    assert (
        failure(stock.create_many([item(1), item(2, note=text)]), tl.ValidationError)
        .errors[0]
        .path.startswith("[1].note")
    )
    failure(stock.list(note=text), tl.ValidationError)
    failure(stock.list(where=lambda i: tl.contains(tl.some(i.note), text)), tl.ValidationError)
    failure(store.fetch_all(tl.select(ITEMS, where=lambda i: i.sku == text)), tl.ValidationError)
    by_name = tl.repository(store, tl.table(Owner, name="owners", key=lambda o: o.name))
    key_error = failure(by_name.get_by_id(text), tl.ValidationError)
    assert [path for path, _ in key_error.errors] == ["name"]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_beyond_64_bits_is_refused_or_matches_nothing(
    store: tl.Store, stock: Stock, number: int
) -> None:
    stock.create(item(1)).unwrap()
    assert failure(stock.create(item(number)), tl.ValidationError).errors[0].path == "id"
    for verb in (stock.get_by_id, stock.exists, stock.delete):
        error = failure(verb(number), tl.ValidationError, "64-bit")
        assert error.errors[0].path == "id"
    assert stock.list(id=number) == tl.Success([])
    matches = 1 if number < 0 else 0
    assert stock.count(where=lambda i: i.id > number) == tl.Success(matches)


# Names


UNUSABLE = ['quo"te', "n" * 64, "nul\0", "\u00e9" * 32]


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("part", ["name", "schema"])
def test_a_table_name_that_cannot_be_an_identifier_is_refused_by_every_verb(
    store: tl.Store, part: str, name: str
) -> None:
    table = msgspec.structs.replace(OWNERS, **{part: name})
    odd = tl.repository(store, table)
    owner = Owner(1, "one")
    refused_by(
        {
            "create_table": store.create_table(table),
            "drop_table": store.drop_table(table),
            "create": odd.create(owner),
            "update": odd.update(owner),
            "delete": odd.delete(1),
            "create_many": odd.create_many([owner]),
            "get_by_id": odd.get_by_id(1),
            "exists": odd.exists(1),
            "list": odd.list(),
            "count": odd.count(),
            "fetch_all": store.fetch_all(tl.select(table)),
            "fetch_one": store.fetch_one(tl.select(table)),
        }
    )


# msgspec itself refuses a quote or a control character in a field's name.
@pytest.mark.parametrize("name", ["n" * 64, "\u00e9" * 32])
def test_a_column_name_that_cannot_be_an_identifier_is_refused_by_every_verb(
    store: tl.Store, name: str
) -> None:
    entity: Any = msgspec.defstruct(
        "Odd", [("id", int), ("x", int)], frozen=True, rename={"x": name}
    )
    table: tl.Table[Any, int] = tl.table(entity, name="odd", key=lambda o: o.id)
    odd = tl.repository(store, table)
    refused_by(
        {
            "create_table": store.create_table(table),
            "create": odd.create(entity(1, 2)),
            "update": odd.update(entity(1, 2)),
            "create_many": odd.create_many([entity(1, 2)]),
            "get_by_id": odd.get_by_id(1),
            "list": odd.list(x=2),
            "count": odd.count(x=2),
            "fetch_all": store.fetch_all(tl.select(table)),
        }
    )


def refused_by(results: dict[str, Any]) -> None:
    """Every verb answers with the same error, which says which identifier and why."""
    for operation, result in results.items():
        error = failure(result, tl.ConfigurationError, "the identifier")
        assert error.operation == operation


def test_two_hundred_failing_calls_leave_no_connection_lent_out(
    store: tl.Store, stock: Stock, raw: Raw
) -> None:
    stock.create(item(1)).unwrap()
    raw.execute("CREATE TABLE wrong (id bigint PRIMARY KEY, name date)")
    wrong = tl.repository(store, tl.table(Owner, name="wrong", key=lambda o: o.id))
    ghosts = tl.repository(store, tl.table(Owner, name="ghosts", key=lambda o: o.id))
    failing: list[Callable[[], Any]] = [
        lambda: stock.create(item(1)),
        lambda: stock.create(item(2, owner=9)),
        lambda: stock.create_many([item(3), item(1)]),
        lambda: stock.create_many([item(3), item(4, owner=9)]),
        lambda: stock.get_by_id(404),
        lambda: stock.list(where=lambda i: i.id // (i.quantity - i.quantity) == 1),
        ghosts.list,
        lambda: wrong.get_by_id(1),
        lambda: wrong.create_many([Owner(1, "one")]),
        lambda: stock.list(note="\0"),
    ]
    for _ in range(20):
        for fail in failing:
            assert isinstance(fail(), tl.Failure)
    stats = store.database.stats()
    assert stats.in_use == 0
    assert stats.size <= 4
    assert stock.count() == tl.Success(1)


def assert_keeps_the_secret(error: tl.RepositoryError) -> None:
    """Neither the error nor what a traceback would print of it holds the secret."""
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in f"{error} {error!r} {error.details()} {shown}"
