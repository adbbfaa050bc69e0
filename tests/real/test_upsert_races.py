"""Upserts of the same row at the same time, in a table with more than one unique rule.

PostgreSQL looks for the stored row by the target's rule alone, and answers a race that another
rule's index notices first with a violation of that rule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import failure, wait_until

import tierline as tl
from tierline.sql.staging import ARRAYS_ROWS_MAX

SLOW_S = 0.4


class Account(msgspec.Struct, frozen=True):
    id: int
    mail: str
    visits: int = 0


ACCOUNTS = tl.table(Account, name="accounts", key=lambda a: a.id).unique(lambda a: a.mail)

# The indexes are written in the order in which they were made. The slow one comes before those of
# the two rules, and the other rule's before the target's: so a second writer finds nothing by the
# target, and meets the first writer's row at the other rule.
SLOW = f"""
CREATE FUNCTION slow(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN IF n > 0 THEN PERFORM pg_sleep({SLOW_S}); END IF; RETURN n; END $$;
ALTER TABLE accounts DROP CONSTRAINT accounts_pkey;
ALTER TABLE accounts DROP CONSTRAINT accounts_mail_key;
CREATE INDEX accounts_slow ON accounts (slow(visits));
"""
BY_KEY_FIRST = """
ALTER TABLE accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE accounts ADD CONSTRAINT accounts_mail_key UNIQUE (mail);
"""
BY_MAIL_FIRST = """
ALTER TABLE accounts ADD CONSTRAINT accounts_mail_key UNIQUE (mail);
ALTER TABLE accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
"""

IN_THE_SLOW_INDEX = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event = 'PgSleep' AND datname = current_database()"
)

Write = Callable[[tl.Store, Account], tl.Result[Any, tl.RepositoryError]]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, pool_size=8, timeout_s=20) as opened:
        opened.create_table(ACCOUNTS).unwrap()
        yield opened


@pytest.fixture
def raw(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url_each, autocommit=True, connect_timeout=10) as connection:
        yield connection


def by_mail(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    return store.execute(tl.upsert(ACCOUNTS, account, target=lambda a: a.mail))


def by_mail_returning(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    write = tl.upsert(ACCOUNTS, account, target=lambda a: a.mail, returning=lambda a: a.id)
    return store.fetch_all(write)


def by_mail_cached(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    tl.repository(store, ACCOUNTS, cache=tl.read_through(ttl_s=60))
    return by_mail(store, account)


def by_key(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    return tl.repository(store, ACCOUNTS).upsert(account)


def many(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    return tl.repository(store, ACCOUNTS).upsert_many([account])


def staged(store: tl.Store, account: Account) -> tl.Result[Any, tl.RepositoryError]:
    """By way of a temporary table, as more rows than arrays are for."""
    beginning = 10_000 * account.visits
    rest = [Account(n, f"mail {n}") for n in range(beginning, beginning + ARRAYS_ROWS_MAX)]
    told: list[int] = []
    result = tl.repository(store, ACCOUNTS).upsert_many([account, *rest], progress=told.append)
    assert sum(told) == len(rest) + 1
    return result


def two_at_a_time(
    store: tl.Store, raw: psycopg.Connection[Any], write: Write, one: Account, other: Account
) -> list[tl.Result[Any, tl.RepositoryError]]:
    """The second begins while the first is in the slow index."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(write, store, one)
        wait_until(lambda: first.done() or raw.execute(IN_THE_SLOW_INDEX).fetchone() == (1,))
        second = pool.submit(write, store, other)
        return [first.result(), second.result()]


@pytest.mark.parametrize(
    ("write", "indexes"),
    [
        (by_mail, BY_KEY_FIRST),
        (by_mail_returning, BY_KEY_FIRST),
        (by_mail_cached, BY_KEY_FIRST),
        (by_key, BY_MAIL_FIRST),
        (many, BY_MAIL_FIRST),
        (staged, BY_MAIL_FIRST),
    ],
)
def test_the_same_row_at_the_same_time_is_no_duplicate(
    store: tl.Store, raw: psycopg.Connection[Any], write: Write, indexes: str
) -> None:
    raw.execute((SLOW + indexes).encode())
    for result in two_at_a_time(store, raw, write, Account(1, "a", 1), Account(1, "a", 2)):
        assert isinstance(result, tl.Success), result
    found = store.fetch_all(tl.select(ACCOUNTS, where=lambda a: a.id == 1))
    assert found == tl.Success([Account(1, "a", 2)])


def test_a_duplicate_by_the_other_rule_alone_stays_one(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    store.execute(tl.insert(ACCOUNTS, Account(1, "a"))).unwrap()
    error = failure(by_mail(store, Account(1, "b")), tl.DuplicateError, "the same id")
    assert error.columns == ("id",)
    failure(by_key(store, Account(2, "a")), tl.DuplicateError, "the same mail")
    failure(many(store, Account(2, "a")), tl.DuplicateError, "the same mail")
    raw.execute((SLOW + BY_KEY_FIRST).encode())
    one, other = two_at_a_time(store, raw, by_mail, Account(5, "c"), Account(5, "d"))
    assert isinstance(one, tl.Success)
    failure(other, tl.DuplicateError, "the same id")


def test_many_writers_of_few_rows_meet_no_duplicate(store: tl.Store) -> None:
    """As it happens: no index is slow, and rows come and go."""
    rounds, writers = 60, 6
    meet = threading.Barrier(writers)
    accounts = tl.repository(store, ACCOUNTS)

    def run(number: int) -> list[tl.Result[Any, tl.RepositoryError]]:
        results: list[tl.Result[Any, tl.RepositoryError]] = []
        for round_ in range(rounds):
            meet.wait(20)
            account = Account(round_, f"mail {round_}", number)
            results.append((by_mail if number % 2 else by_key)(store, account))
        return results

    with ThreadPoolExecutor(writers) as pool:
        futures: list[Future[list[tl.Result[Any, tl.RepositoryError]]]] = [
            pool.submit(run, n) for n in range(writers)
        ]
        results = [result for future in futures for result in future.result()]
    assert [result for result in results if isinstance(result, tl.Failure)] == []
    assert accounts.count() == tl.Success(rounds)
