"""What happens at run time is told as values, inside transactions too, and never a secret."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from tests.real.helpers import OWNERS, Owner, end_sessions, failure, with_application

import tierline as tl
from tierline.testing import postgres_replica, postgres_server, tcp_proxy

Events = list[tl.Event]

SECRET = "canary-9f2c7d"


def ran(events: Events) -> list[tl.Ran]:
    return [event for event in events if isinstance(event, tl.Ran)]


@pytest.fixture
def events(store: tl.Store) -> Generator[Events]:
    """What the store tells."""
    found: Events = []
    with store.on_event(found.append):
        yield found


def test_a_transaction_tells_its_connection_and_each_statement(
    store: tl.Store, events: Events
) -> None:
    def run(tx: tl.Transaction) -> tl.Result[Owner, tl.RepositoryError]:
        owners = tl.repository(tx, OWNERS)
        owners.create(Owner(1, "Ada")).unwrap()
        time.sleep(0.02)
        failure(
            tx.transaction(
                lambda tx: tl.repository(tx, OWNERS).create(Owner(1, "Bob")), savepoint=True
            ),
            tl.DuplicateError,
        )
        return owners.get_by_id(1)

    store.transaction(run).unwrap()
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Acquired", "Ran", "Ran", "Ran", "Ran"]
    told = ran(events)
    assert [event.operation for event in told] == ["create", "create", "get_by_id", "commit"]
    assert [event.error for event in told] == [None, "DuplicateError", None, None]
    assert told[0].table == "owners"
    assert told[1].idle_s >= 0.02
    assert all(event.node == store.health().nodes[0].location for event in told)
    assert all(event.total_s >= event.query_s > 0 for event in told)
    assert told[2].rows == 1


def test_a_function_that_runs_again_is_told(store: tl.Store, events: Events) -> None:
    runs: list[int] = []

    def run(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        runs.append(1)
        if len(runs) == 1:
            return tx.execute(tl.sql("do $$ begin raise sqlstate '40001'; end $$"))
        return tl.Success(len(runs))

    assert store.transaction(run) == tl.Success(2)
    assert [event for event in events if isinstance(event, tl.Retried)] == [
        tl.Retried("transaction", None, 1, "ConflictError")
    ]


def test_a_stream_is_told_at_its_end(store: tl.Store, events: Events) -> None:
    numbers = tl.sql("select generate_series(1, 25)", into=int)
    with store.stream(numbers, size=10) as batches:
        assert len(list(batches)) == 3
    assert [type(event).__name__ for event in events] == ["Acquired", "Ran"]
    told = ran(events)[0]
    assert (told.operation, told.rows, told.error) == ("stream", 25, None)
    assert told.node == store.health().nodes[0].location
    with store.stream(tl.sql("select 1 / (3 - generate_series(1, 5))", into=int), size=1) as some:
        list(some)
    assert ran(events)[-1].error is not None
    with store.stream(numbers, size=10) as batches:
        next(iter(batches))
    assert ran(events)[-1].rows == 10
    assert store.database.stats().in_use == 0


def test_a_lost_commit_is_told(pg_url: str) -> None:
    events: Events = []
    with tcp_proxy(pg_url) as proxy, tl.open(proxy.url(pg_url), pool_size=2) as store:
        store.create_table(OWNERS).unwrap()

        def run(tx: tl.Transaction) -> tl.Result[Owner, tl.RepositoryError]:
            made = tl.repository(tx, OWNERS).create(Owner(1, "Ada"))
            proxy.cut_after(3)
            return made

        with store.on_event(events.append):
            store.transaction(run).unwrap()
    told = [(event.operation, event.error) for event in ran(events)]
    assert told[:2] == [("create", None), ("commit", "CommitUnknownError")]


def test_a_subscriber_that_fails_changes_nothing(
    store: tl.Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: tl.Event) -> None:
        raise LookupError

    with store.on_event(fail):
        store.transaction(lambda tx: tl.repository(tx, OWNERS).create(Owner(1, "Ada"))).unwrap()
    assert "a subscriber failed at Ran" in caplog.text
    assert store.database.stats().in_use == 0


def test_no_event_log_or_error_holds_a_parameter_or_a_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A secret goes through reads, writes, errors, lost connections, a failover and refusals."""
    for name in (None, "psycopg", "psycopg.pool"):
        caplog.set_level(logging.DEBUG, name)
    seen: list[object] = []
    with postgres_server(18) as primary, postgres_replica(primary) as replica:
        url = with_application(primary.url, "told")
        with (
            tl.open(url, replicas=[replica.url], pool_size=2, timeout_s=5) as store,
            store.on_event(seen.append),
        ):
            store.create_table(OWNERS).unwrap()
            owners = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=60))
            seen += _with_a_secret(store, owners)
            with psycopg.connect(primary.url, autocommit=True) as admin:
                end_sessions(admin, "told")
            seen += _with_a_secret(store, owners)
            seen += [store, owners, store.database, store.health(), store.database.stats()]
            primary.kill()
            with tl.deadline(0.5):
                seen += _with_a_secret(store, owners)
            seen += [store, store.health()]
            _ask(replica.url, "SELECT pg_promote(true, 30)")
            seen += _with_a_secret(store, owners)
            seen += [store, store.health()]
        wrong = replica.url.replace(replica.password, SECRET)
        seen += [tl.connect(wrong), tl.connect(url, connect_timeout_s=2), primary, replica]
    kinds = {type(one).__name__ for one in seen}
    assert {"Ran", "Acquired", "Retried", "FailedOver", "CircuitChanged", "Failure"} <= kinds
    assert any(
        record.name.startswith("psycopg") and record.levelno < logging.WARNING
        for record in caplog.records
    )
    texts = [*map(_shown, seen), *map(_logged, caplog.records)]
    for secret in (SECRET, primary.password, replica.password):
        assert [text for text in texts if secret in text] == []


def _ask(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement.encode())


def _with_a_secret(store: tl.Store, owners: tl.Repository[Owner, int]) -> list[object]:
    """What reads and writes answer, where the secret is a parameter; rows are taken out."""
    own = Owner(1, SECRET)
    named = tl.select(OWNERS, where=lambda o: o.name == SECRET)

    runs: list[int] = []

    def again(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        runs.append(len(runs))
        raised = f"do $$ begin raise sqlstate '40001' using message = '{SECRET}'; end $$"
        return tx.execute(tl.sql(raised)) if runs == [0] else tl.Failure(tl.ConflictError("over"))

    def twice(tx: tl.Transaction) -> tl.Result[Owner, tl.RepositoryError]:
        inside = tl.repository(tx, OWNERS)
        inside.upsert(own)
        return inside.create(own)

    answers: list[Any] = [
        owners.create(own),
        owners.create(own),
        owners.create_many([own, own]),
        owners.upsert_many([Owner(n, SECRET) for n in range(1_200)]),
        owners.update(Owner(99_999, SECRET)),
        owners.create(Owner(2, SECRET + "\0")),
        store.count(named),
        store.fetch_one(tl.select(OWNERS, where=lambda o: o.name != SECRET)),
        store.fetch_one(tl.sql("select {a}::text::int", a=SECRET, into=int)),
        store.fetch_one(tl.sql("select 1 from pg_sleep(0.4) where {a} <> ''", a=SECRET, into=int)),
        store.execute(tl.sql("insert into owners values (1, {a})", a=SECRET)),
        store.execute(tl.sql("select set_config('work_mem', {a}, true)", a=SECRET)),
        store.transaction(twice),
        store.transaction(again),
        store.transaction(lambda tx: tx.set_local("work_mem", SECRET)),
        store.fetch_batch(tl.batch(named, tl.sql("select {a}::text::int", a=SECRET, into=int))),
        owners.delete_where(where=lambda o: o.name == SECRET),
    ]
    with store.stream(named, size=10) as batches:
        answers += list(batches)
    # An answer's rows are the caller's own; everything else must not show them.
    return [answer for answer in answers if isinstance(answer, tl.Failure)]


def _shown(one: object) -> str:
    """All that shows of a value, and of the errors of ours that led to it."""
    texts = [repr(one), str(one)]
    error: object = one.failure() if isinstance(one, tl.Failure) else None
    while isinstance(error, tl.RepositoryError):
        texts += [repr(error), str(error), *traceback.format_exception_only(error)]
        error = error.__cause__
    return " ".join(texts)


def _logged(record: logging.LogRecord) -> str:
    trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
    return f"{record.getMessage()} {record.args!r} {trace}"
