"""Transactions: how they end, nest, run again, and leave connections and caches behind."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.conftest import LONG
from tests.real.helpers import (
    ITEMS,
    OWNERS,
    PAGES,
    Item,
    OpenStore,
    Owner,
    failure,
    is_idle,
    item,
    items,
    page,
    wait_until,
)
from tests.stalls import Stalls

import tierline as tl

pytestmark = pytest.mark.each_version

Raw = psycopg.Connection[Any]
Stock = tl.Repository[Item, int]
Answer = tl.Result[int, tl.RepositoryError]


def owners_in(tx: tl.Transaction) -> tl.Repository[Owner, int]:
    return tl.repository(tx, OWNERS)


def create(id_: int, name: str = "x") -> Callable[[tl.Transaction], Any]:
    return lambda tx: owners_in(tx).create(Owner(id_, name))


def count(store: tl.Store) -> int:
    return tl.unwrap(store.count(tl.select(OWNERS)))


# Endings


def test_a_success_commits_and_is_the_answer(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> tl.Result[str, tl.RepositoryError]:
        assert owners_in(tx).create(Owner(1, "Ada")) == tl.Success(Owner(1, "Ada"))
        assert owners_in(tx).get_by_id(1) == tl.Success(Owner(1, "Ada"))
        failure(tl.repository(store, OWNERS).get_by_id(1), tl.NotFoundError)
        return tl.Success("done")

    assert store.transaction(run) == tl.Success("done")
    assert count(store) == 1
    assert is_idle(store)


def test_a_failure_rolls_back_and_is_the_answer(store: tl.Store) -> None:
    mine = LookupError("mine")

    def run(tx: tl.Transaction) -> tl.Result[int, LookupError]:
        owners_in(tx).create(Owner(1, "Ada")).unwrap()
        return tl.Failure(mine)

    assert store.transaction(run) == tl.Failure(mine)
    assert count(store) == 0
    assert is_idle(store)


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_rolls_back_and_passes(store: tl.Store, kind: type[BaseException]) -> None:
    def run(tx: tl.Transaction) -> Answer:
        owners_in(tx).create(Owner(1, "Ada")).unwrap()
        raise kind("mine")

    with pytest.raises(kind, match="mine"):
        store.transaction(run)
    assert count(store) == 0
    assert is_idle(store)


def test_an_answer_that_is_no_result_is_a_mistake_and_rolls_back(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> Any:
        owners_in(tx).create(Owner(1, "Ada")).unwrap()
        return 1

    with pytest.raises(TypeError, match=r"answered with int; it must return tl\.Success"):
        store.transaction(run)
    with pytest.raises(TypeError, match="takes a function"):
        store.transaction(1)  # type: ignore[arg-type]
    assert count(store) == 0


def test_an_empty_transaction_sends_nothing(store: tl.Store, raw: Raw) -> None:
    def queries() -> Any:
        return raw.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query ~* '^(begin|commit)'"
        ).fetchone()

    # What ended before may still be there.
    wait_until(lambda: queries() == (0,))
    assert store.transaction(lambda _: tl.Success(3)) == tl.Success(3)
    assert queries() == (0,)
    store.transaction(create(1)).unwrap()
    assert queries() == (1,)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"isolation": "snapshot"}, ValueError, "isolation must be one of"),
        ({"isolation": 3}, ValueError, "isolation must be one of"),
        ({"read_only": 1}, TypeError, "read_only is True or False"),
        ({"deferrable": "yes"}, TypeError, "deferrable is True or False"),
        ({"deferrable": True}, ValueError, "needs read_only=True"),
        ({"deferrable": True, "read_only": True}, ValueError, "isolation='serializable'"),
        ({"deadline_s": "1"}, TypeError, "number of seconds"),
        ({"deadline_s": True}, TypeError, "number of seconds"),
        ({"deadline_s": 0}, ValueError, "must be positive"),
        ({"deadline_s": float("inf")}, ValueError, "must be positive"),
    ],
)
def test_options_that_cannot_be_are_refused(
    store: tl.Store, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    ran: list[int] = []
    with pytest.raises(error, match=says):
        store.transaction(lambda _: tl.Success(ran.append(1)), **options)
    assert not ran


def test_the_options_reach_the_server(store: tl.Store) -> None:
    def shown(tx: tl.Transaction) -> tl.Result[list[str], tl.RepositoryError]:
        return tl.collect(
            tx.fetch_one(tl.sql("SELECT current_setting({name})", into=str, name=name))
            for name in (
                "transaction_isolation",
                "transaction_read_only",
                "transaction_deferrable",
            )
        )

    assert store.transaction(shown) == tl.Success(["read committed", "off", "off"])
    assert store.transaction(shown, isolation="repeatable read", read_only=True) == tl.Success(
        ["repeatable read", "on", "off"]
    )
    strict = store.transaction(shown, isolation="serializable", read_only=True, deferrable=True)
    assert strict == tl.Success(["serializable", "on", "on"])


def test_a_read_only_transaction_refuses_writes_in_its_own_words(store: tl.Store) -> None:
    failure(store.transaction(create(1), read_only=True), tl.QueryError, "read-only")


def test_a_constraint_that_is_checked_at_commit_fails_there(store: tl.Store, raw: Raw) -> None:
    raw.execute(
        "ALTER TABLE owners ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"
    )
    create(1, "same")(store)  # type: ignore[arg-type]
    hooks: list[str] = []

    def run(tx: tl.Transaction) -> Any:
        tx.on_commit(lambda: hooks.append("commit"))
        tx.on_rollback(lambda: hooks.append("rollback"))
        return owners_in(tx).create(Owner(2, "same"))

    error = failure(store.transaction(run), tl.DuplicateError)
    assert error.constraint == "late"
    assert hooks == ["rollback"]
    assert count(store) == 1
    assert is_idle(store)


# After a failed statement


def test_after_a_failed_statement_the_others_are_not_sent(store: tl.Store) -> None:
    create(1)(store)  # type: ignore[arg-type]

    def run(tx: tl.Transaction) -> Any:
        first = failure(owners_in(tx).create(Owner(1, "again")), tl.DuplicateError)
        tx.database._connection.pgconn.finish()  # whatever is sent now fails in another way
        later = failure(owners_in(tx).count(), tl.QueryError, "not run", "same id exists")
        assert later.__cause__ is first
        for answer in (
            tx.fetch_all(tl.select(OWNERS)),
            tx.execute(tl.sql("SELECT 1")),
            tx.lock(1),
            tx.transaction(create(7), savepoint=True),
            tx.transaction(create(7)),
            owners_in(tx).create_many([Owner(8, "x")]),
            next(tx.stream(tl.select(OWNERS))),
            tx.fetch_batch(tl.batch(tl.select(OWNERS))),
            tx.explain(tl.select(OWNERS)),
        ):
            failure(answer, tl.QueryError)
        return tl.Success("ignored")

    error = failure(
        store.transaction(run), tl.QueryError, "rolled back, although", "same id exists"
    )
    assert isinstance(error.__cause__, tl.DuplicateError)
    assert error.sqlstate == "23505"
    assert count(store) == 1


def test_a_value_that_cannot_be_sent_fails_nothing_else(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> Any:
        failure(owners_in(tx).create(Owner(1, "a\0")), tl.ValidationError)
        failure(owners_in(tx).create(Owner("1", "a")), tl.ValidationError)  # type: ignore[arg-type]
        return owners_in(tx).create(Owner(1, "Ada"))

    assert store.transaction(run) == tl.Success(Owner(1, "Ada"))
    assert count(store) == 1


def test_a_statement_that_ends_the_transaction_is_a_failure(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> Any:
        owners_in(tx).create(Owner(1, "Ada")).unwrap()
        tx.execute(tl.sql("ROLLBACK"))
        return owners_in(tx).create(Owner(2, "Bob"))

    failure(store.transaction(run), tl.QueryError, "a statement ended the transaction")
    assert count(store) == 0


def test_a_handle_is_of_no_use_elsewhere(store: tl.Store) -> None:
    kept: list[tl.Transaction] = []
    raised: list[Exception] = []

    def elsewhere(tx: tl.Transaction) -> None:
        try:
            owners_in(tx).count()
        except RuntimeError as error:
            raised.append(error)

    def run(tx: tl.Transaction) -> Any:
        kept.append(tx)
        thread = threading.Thread(target=elsewhere, args=(tx,))
        thread.start()
        thread.join(10)
        return owners_in(tx).create(Owner(1, "Ada"))

    store.transaction(run).unwrap()
    assert "belongs to the thread" in str(raised[0])
    for use in (
        lambda: owners_in(kept[0]).get_by_id(1),
        lambda: kept[0].fetch_all(tl.select(OWNERS)),
        lambda: kept[0].transaction(create(2), savepoint=True),
        lambda: kept[0].transaction(lambda _: tl.Success(1)),
        lambda: kept[0].on_commit(lambda: None),
        lambda: kept[0].on_rollback(lambda: None),
        lambda: next(kept[0].stream(tl.select(OWNERS))),
    ):
        with pytest.raises(RuntimeError, match="the transaction has ended"):
            use()
    assert count(store) == 1


# Every verb


def test_every_verb_works_inside(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> Any:
        owners, stock = owners_in(tx), tl.repository(tx, ITEMS)
        assert owners.create_many([Owner(n, f"o{n}") for n in range(5)]) == tl.Success(5)
        assert stock.create_many(items(3)) == tl.Success(3)
        assert stock.update_many([item(n, note="a") for n in range(3)]) == tl.Success(3)
        assert stock.update_many([item(n, note="b") for n in range(3)]) == tl.Success(3)
        failure(stock.update_many([item(1, note="c"), item(99)]), tl.NotFoundError)
        assert stock.upsert_many(items(1200)) == tl.Success(1200)
        assert stock.upsert_many(items(1200)) == tl.Success(1200)
        assert stock.get_or_create(item(1)) == tl.Success((item(1), False))
        assert owners.get_many([1, 9]) == tl.Success({1: Owner(1, "o1")})
        query = tl.select(OWNERS, order_by=lambda o: o.id)
        assert tx.fetch_one(tl.select(OWNERS, where=lambda o: o.id == 1)).unwrap().name == "o1"
        assert tx.fetch_maybe(tl.select(OWNERS, where=lambda o: o.id == 77)) == tl.Success(None)
        assert tx.count(query) == tl.Success(5)
        assert tx.exists(query) == tl.Success(True)
        assert len(tx.fetch_page(tl.page(query, size=2)).unwrap().items) == 2
        batch = tx.fetch_batch(tl.batch(query, tl.select(ITEMS, limit=1))).unwrap()
        assert (len(batch[0]), len(batch[1])) == (5, 1)
        with tx.loader(OWNERS) as load:
            one, two = load(1), load(2)
            assert [one.result().unwrap().id, two.result().unwrap().id] == [1, 2]
        sizes = []
        with tx.stream(query, size=2) as batches:
            for rows in batches:
                sizes.append(len(rows.unwrap()))
                assert tx.count(query) == tl.Success(5)  # between two batches
        assert sizes == [2, 2, 1]
        written = tx.stream(tl.sql("UPDATE owners SET name = 'n' RETURNING id", into=int), size=4)
        assert [len(rows.unwrap()) for rows in written] == [4, 1]
        assert tx.explain(query, analyze=True).unwrap()
        assert tx.execute(tl.delete(OWNERS, where=lambda o: o.id == 4)) == tl.Success(1)
        return owners.count()

    assert store.transaction(run) == tl.Success(4)
    assert tl.repository(store, ITEMS).count() == tl.Success(1200)
    assert is_idle(store)


# Nesting


def test_a_joined_part_shares_the_fate(store: tl.Store) -> None:
    def whole(tx: tl.Transaction) -> Any:
        create(1)(tx).unwrap()
        tx.transaction(create(2)).unwrap()
        return tl.Success("both")

    assert store.transaction(whole) == tl.Success("both")
    assert count(store) == 2

    def doomed(tx: tl.Transaction) -> Any:
        create(3)(tx).unwrap()
        inner = tx.transaction(lambda _: tl.Failure(LookupError("mine")))
        assert isinstance(inner.failure(), LookupError)
        failure(create(4)(tx), tl.QueryError, "not run", "mine")
        return tl.Success("ignored")

    error = failure(store.transaction(doomed), tl.QueryError, "rolled back, although", "mine")
    assert isinstance(error.__cause__, LookupError)

    def caught(tx: tl.Transaction) -> Any:
        def inner(tx: tl.Transaction) -> Any:
            create(5)(tx).unwrap()
            raise LookupError("mine")

        with pytest.raises(LookupError):
            tx.transaction(inner)
        return tl.Success("ignored")

    failure(store.transaction(caught), tl.QueryError, "rolled back, although")
    assert count(store) == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_savepoint_fails_by_itself(store: tl.Store, *, first: bool) -> None:
    """Also where the failed statement is the first one, or one that cannot be prepared."""

    def inner(error: str) -> Callable[[tl.Transaction], Any]:
        def run(tx: tl.Transaction) -> Any:
            create(10)(tx).unwrap()
            if error == "statement":
                return create(10)(tx)
            if error == "swallowed":
                create(10)(tx).failure()
                return tl.Success(1)
            if error == "unpreparable":
                return tx.fetch_all(tl.sql("SELECT no_such_column FROM owners", into=int))
            if error == "raise":
                raise LookupError("mine")
            return tl.Failure(LookupError("mine"))

        return run

    def run(tx: tl.Transaction) -> Any:
        if not first:
            create(1)(tx).unwrap()
        failure(tx.transaction(inner("statement"), savepoint=True), tl.DuplicateError)
        failure(
            tx.transaction(
                lambda tx: tx.fetch_all(tl.sql("SELECT nothing_such", into=int)), savepoint=True
            ),
            tl.QueryError,
        )
        failure(tx.transaction(inner("unpreparable"), savepoint=True), tl.QueryError)
        failure(tx.transaction(inner("swallowed"), savepoint=True), tl.QueryError, "although")
        assert tx.transaction(inner("mine"), savepoint=True).failure().args == ("mine",)
        with pytest.raises(LookupError):
            tx.transaction(inner("raise"), savepoint=True)
        kept = tx.transaction(lambda tx: tx.transaction(create(2), savepoint=True), savepoint=True)
        assert kept == tl.Success(Owner(2, "x"))
        assert tx.transaction(lambda _: tl.Success(0), savepoint=True) == tl.Success(0)
        if first:
            create(1)(tx).unwrap()
        return tl.Success(None)

    assert store.transaction(run) == tl.Success(None)
    rows = tl.repository(store, OWNERS).list(order_by=lambda o: o.id).unwrap()
    assert [row.id for row in rows] == [1, 2]
    assert is_idle(store)


# Others win


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = [None] * len(functions)

    def run(n: int) -> None:
        answers[n] = functions[n]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return answers


class Meeting:
    """Two first runs wait for each other; later runs pass."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self.runs = [0, 0]

    def wait(self, who: int) -> None:
        self.runs[who] += 1
        if self.runs[who] == 1:
            self._barrier.wait(10)


@pytest.mark.parametrize("raises", [False, True])
def test_a_serialization_failure_runs_the_function_again(store: tl.Store, *, raises: bool) -> None:
    """Write skew: both count and write; one after the other, the second sees the first."""
    meeting, hooks = Meeting(), [[], []]  # type: ignore[var-annotated]

    def writer(who: int) -> Callable[[tl.Transaction], Any]:
        def run(tx: tl.Transaction) -> Any:
            tx.on_commit(lambda: hooks[who].append("commit"))
            tx.on_rollback(lambda: hooks[who].append("rollback"))
            seen = tl.unwrap(tx.count(tl.select(OWNERS)))
            meeting.wait(who)
            made = owners_in(tx).create(Owner(who, f"saw {seen}"))
            return tl.Success(tl.unwrap(made).name) if raises else made.map(lambda o: o.name)

        return run

    answers = in_threads(
        *(
            lambda who=who: store.transaction(writer(who), isolation="serializable")
            for who in (0, 1)
        )
    )
    assert sorted(answer.unwrap() for answer in answers) == ["saw 0", "saw 1"]
    # The loser may lose again before the winner has come to its COMMIT.
    assert sum(meeting.runs) >= 3
    assert sum(map(len, hooks)) >= 3
    assert all(heard == [*["rollback"] * (len(heard) - 1), "commit"] for heard in hooks)
    assert is_idle(store)


def test_a_deadlock_runs_the_function_again(store: tl.Store) -> None:
    tl.repository(store, OWNERS).create_many([Owner(0, "a"), Owner(1, "b")]).unwrap()
    meeting = Meeting()

    def crossing(who: int) -> Callable[[tl.Transaction], Any]:
        def run(tx: tl.Transaction) -> Any:
            owners_in(tx).update(Owner(who, f"by {who}")).unwrap()
            meeting.wait(who)
            return owners_in(tx).update(Owner(1 - who, f"by {who}"))

        return run

    answers = in_threads(*(lambda who=who: store.transaction(crossing(who)) for who in (0, 1)))
    assert [type(answer) for answer in answers] == [tl.Success, tl.Success]
    # Who was undone may come back to its row before the other has got it.
    assert sum(meeting.runs) >= 3
    names = {row.name for row in tl.repository(store, OWNERS).list().unwrap()}
    assert len(names) == 1  # one after the other


CONFLICT = tl.sql("SELECT lose()", into=int)


@pytest.fixture
def losing(raw: Raw) -> None:
    raw.execute(
        "CREATE FUNCTION lose() RETURNS bigint LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
    )


@pytest.mark.usefixtures("losing")
def test_who_always_loses_hears_how_often(store: tl.Store, stalls: Stalls) -> None:
    runs: list[int] = []
    slow_s = 0.0

    def run(tx: tl.Transaction) -> Any:
        runs.append(1)
        found = tx.fetch_one(CONFLICT)
        if len(runs) == 3:
            time.sleep(slow_s)
        return found

    error = failure(store.transaction(run), tl.ConflictError)
    assert error.attempt == len(runs) == 10
    runs.clear()
    began = time.monotonic()
    slow_s = 0.8
    short = failure(store.transaction(run, deadline_s=0.8), tl.ConflictError)
    assert short.attempt == len(runs) <= 3
    assert time.monotonic() - began < 0.8 + 1 + stalls.seconds(began)


@pytest.mark.usefixtures("losing")
def test_a_conflict_cannot_be_swallowed(store: tl.Store) -> None:
    """Not by a Success, an error of one's own, nor a savepoint, which does not help."""
    for how in ("success", "own", "savepoint"):
        runs: list[int] = []

        def run(tx: tl.Transaction, how: str = how, runs: list[int] = runs) -> Any:
            runs.append(1)
            if len(runs) == 3:
                return tl.Success("third")
            if how == "savepoint":
                tx.transaction(lambda tx: tx.fetch_one(CONFLICT), savepoint=True).failure()
                return tl.Success("swallowed")
            error = tx.fetch_one(CONFLICT).failure()
            return tl.Success("swallowed") if how == "success" else tl.Failure(LookupError(error))

        assert store.transaction(run) == tl.Success("third"), how


def test_a_plan_that_went_stale_runs_the_function_again(store: tl.Store, raw: Raw) -> None:
    star = tl.sql("SELECT * FROM owners", into=Owner)

    def run(tx: tl.Transaction) -> Any:
        owners_in(tx).count().unwrap()
        return tx.fetch_all(star)

    create(1)(store)  # type: ignore[arg-type]
    store.transaction(run).unwrap()
    raw.execute("ALTER TABLE owners ADD COLUMN more text")
    raw.execute("ALTER TABLE owners DROP COLUMN more")
    raw.execute("ALTER TABLE owners ALTER COLUMN name TYPE varchar")
    assert store.transaction(run) == tl.Success([Owner(1, "x")])


# Hooks, locks, settings


def test_hooks_run_when_the_connection_is_given_back(store: tl.Store) -> None:
    heard: list[Any] = []

    def run(tx: tl.Transaction) -> Any:
        tx.on_commit(lambda: heard.append((is_idle(store), count(store))))
        tx.on_rollback(lambda: heard.append("rollback"))

        def part(tx: tl.Transaction) -> Any:
            tx.on_commit(lambda: heard.append("part commit"))
            tx.on_rollback(lambda: heard.append("part rollback"))
            return tl.Failure(LookupError())

        tx.transaction(part, savepoint=True)
        return create(1)(tx)

    store.transaction(run).unwrap()
    assert heard == ["part rollback", (True, 1)]
    heard.clear()
    with pytest.raises(ZeroDivisionError):
        store.transaction(lambda tx: tl.Success(tx.on_rollback(lambda: heard.append(1)) or 1 // 0))
    assert heard == [1]
    with pytest.raises(TypeError, match="on_commit takes a function"):
        store.transaction(lambda tx: tl.Success(tx.on_commit(3)))  # type: ignore[arg-type]


def test_an_exception_in_a_hook_is_reported_and_stops_nothing(
    store: tl.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    heard: list[int] = []

    def run(tx: tl.Transaction) -> Any:
        tx.on_commit(lambda: 1 // 0)
        tx.on_commit(lambda: heard.append(1))
        return create(1)(tx)

    assert store.transaction(run) == tl.Success(Owner(1, "x"))
    assert heard == [1]
    assert [args.exc_type for args in reported] == [ZeroDivisionError]


def test_an_advisory_lock_is_held_until_the_end(store: tl.Store) -> None:
    def run(tx: tl.Transaction) -> Any:
        assert tx.lock("month-end") == tl.Success(None)
        assert tx.lock(-(2**63)) == tl.Success(None)

        def other(tx: tl.Transaction) -> Any:
            assert tx.try_lock(-(2**63)) == tl.Success(False)
            assert tx.try_lock("month-start") == tl.Success(True)
            return tx.try_lock("month-end")

        return store.transaction(other)

    assert store.transaction(run) == tl.Success(False)
    assert store.transaction(lambda tx: tx.try_lock("month-end")) == tl.Success(True)
    for key, error in ((True, TypeError), (1.5, TypeError), (2**63, ValueError)):
        with pytest.raises(error, match="lock's key"):
            store.transaction(lambda tx, key=key: tx.lock(key))


def test_a_setting_ends_with_the_transaction(store: tl.Store) -> None:
    hostile = "x'; DROP TABLE owners; --"
    setting = tl.sql("SELECT current_setting('app.user', true)", into=str)

    def run(tx: tl.Transaction) -> Any:
        tx.set_local("app.user", hostile).unwrap()
        tx.set_local("enable_seqscan", False).unwrap()
        return tx.fetch_one(setting)

    assert store.transaction(run) == tl.Success(hostile)
    assert store.fetch_one(setting).unwrap() == ""
    for name in ("", "a b", "a;b", "a.", "é", 3):
        with pytest.raises(ValueError, match="name of a setting"):
            store.transaction(lambda tx, name=name: tx.set_local(name, "x"))
    with pytest.raises(TypeError, match="a text, a number or a bool"):
        store.transaction(lambda tx: tx.set_local("app.user", None))  # type: ignore[arg-type]
    failure(store.transaction(lambda tx: tx.set_local("no_such", "x")), tl.QueryError)


# Deadlines and interruptions


def test_the_deadline_holds_for_all_of_it(store: tl.Store, stalls: Stalls) -> None:
    sleep = tl.sql("SELECT 1 FROM pg_sleep({s})", into=int, s=0.15)

    def slow(tx: tl.Transaction) -> Any:
        for _ in range(20):
            answer = tx.fetch_one(sleep)
            if isinstance(answer, tl.Failure):
                return answer
        return tl.Success(1)

    began = time.monotonic()
    error = failure(store.transaction(slow, deadline_s=0.5), tl.TimeoutError)
    assert error.stage == "deadline"
    assert time.monotonic() - began < 0.9 + stalls.seconds(began)

    def idle(tx: tl.Transaction) -> Any:
        made = create(1)(tx)
        time.sleep(0.6)
        return made

    late = failure(store.transaction(idle, deadline_s=0.5), tl.TimeoutError)
    assert late.stage == "deadline"
    assert count(store) == 0


def test_the_deadline_holds_for_waiting_for_a_connection(pg_url: str, stalls: Stalls) -> None:
    with tl.open(pg_url, pool_size=1, timeout_s=10) as store:
        store.create_table(OWNERS).unwrap()

        def run(_: tl.Transaction) -> Any:
            began = time.monotonic()
            failure(store.transaction(create(1), deadline_s=0.2), tl.PoolExhaustedError)
            return tl.Success(time.monotonic() - began - stalls.seconds(began))

        assert store.transaction(run).unwrap() < 1


@pytest.mark.parametrize("is_first", [True, False])
def test_an_interrupted_statement_rolls_back(
    store: tl.Store, caplog: pytest.LogCaptureFixture, *, is_first: bool
) -> None:
    def run(tx: tl.Transaction) -> Any:
        if not is_first:
            create(1)(tx).unwrap()
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        tx.fetch_one(tl.sql("SELECT 1 FROM pg_sleep(20)", into=int))
        return tl.Success(1)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        store.transaction(run)
    assert time.monotonic() - began < 10
    assert count(store) == 0
    assert is_idle(store)
    # psycopg cancels it, and hears from the server that it is: it has nothing to warn of.
    assert [record.message for record in caplog.records if record.name == "psycopg"] == []


def test_the_pool_is_whole_after_exceptions_at_random_points(store: tl.Store, raw: Raw) -> None:
    source = random.Random(7)
    expected: set[int] = set()
    count(store)
    size = store.database.stats().size

    class Planned(Exception):  # noqa: N818
        pass

    def maybe(at: int, here: int) -> None:
        if at == here:
            raise Planned

    for n in range(1000):
        at = source.randrange(8)

        def run(tx: tl.Transaction, n: int = n, at: int = at) -> Any:
            maybe(at, 0)
            create(n)(tx).unwrap()
            maybe(at, 1)
            made = tx.transaction(create(n), savepoint=at % 2 == 0)
            maybe(at, 2)
            stream = tx.stream(tl.select(OWNERS), size=1)
            next(stream)
            maybe(at, 3)
            return tl.Success(1) if at > 3 else made

        try:
            answer = store.transaction(run)
        except Planned:
            continue
        if isinstance(answer, tl.Success):
            expected.add(n)
    assert {row.id for row in tl.repository(store, OWNERS).list().unwrap()} == expected
    assert len(expected) > 100
    assert is_idle(store)
    assert store.database.stats().size == size
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
    wait_until(lambda: raw.execute(idle).fetchone() == (0,))


# Caches


def test_reads_inside_ask_no_cache_and_fill_none(open_store: OpenStore) -> None:
    store = open_store()
    strategy = tl.read_through(ttl_s=60)
    pages = tl.repository(store, PAGES, cache=strategy)
    pages.create(page(1)).unwrap()
    pages.get_by_id(1).unwrap()
    elsewhere = tl.repository(open_store(), PAGES, cache=strategy)

    def run(tx: tl.Transaction) -> Any:
        inside = tl.repository(tx, PAGES, cache=strategy)
        inside.update(page(1, 1)).unwrap()
        inside.create(page(2, 1)).unwrap()
        assert inside.get_by_id(1) == tl.Success(page(1, 1))
        assert inside.get_many([1, 2]).unwrap()[2] == page(2, 1)
        with tx.loader(PAGES) as load:
            assert load(1).result() == tl.Success(page(1, 1))
        assert pages.get_by_id(1) == tl.Success(page(1))
        failure(pages.get_by_id(2), tl.NotFoundError)
        return tl.Failure(LookupError()) if rolled_back else tl.Success(1)

    rolled_back = True
    store.transaction(run)
    for repository in (pages, elsewhere):
        assert repository.get_by_id(1) == tl.Success(page(1))
        failure(repository.get_by_id(2), tl.NotFoundError)
    rolled_back = False
    store.transaction(run).unwrap()
    for repository in (pages, tl.repository(open_store(), PAGES, cache=strategy)):
        assert repository.get_by_id(1) == tl.Success(page(1, 1))
        assert repository.get_by_id(2) == tl.Success(page(2, 1))


@pytest.mark.parametrize("raw_writes", [False, True])
def test_a_load_that_began_before_the_commit_is_not_kept(
    open_store: OpenStore, *, raw_writes: bool
) -> None:
    """Also when no cache of the table was there at the time of the write."""
    store = open_store(redis=None)
    plain = tl.repository(store, PAGES)
    plain.create(page(1)).unwrap()
    strategy = tl.read_through(ttl_s=60)
    fetched, go_on = threading.Event(), threading.Event()

    def slow_fetch(key: int) -> Any:
        result = plain.get_by_id(key)
        fetched.set()
        assert go_on.wait(10)
        return result

    answers: list[Any] = []

    def run(tx: tl.Transaction) -> Any:
        write = tl.update(PAGES, set=lambda p: tl.set(p.version).to(1), where=lambda p: p.id == 1)
        if raw_writes:
            made: Any = tx.execute(write)
        else:
            made = tl.repository(tx, PAGES).update(page(1, 1))
        read = store.caches.open(PAGES, strategy).reader(slow_fetch)
        thread = threading.Thread(target=lambda: answers.append(read(1)))
        thread.start()
        threads.append(thread)
        assert fetched.wait(10)
        return made

    threads: list[threading.Thread] = []
    store.transaction(run).unwrap()
    go_on.set()
    threads[0].join(10)
    assert answers == [tl.Success(page(1))]
    assert tl.repository(store, PAGES, cache=strategy).get_by_id(1) == tl.Success(page(1, 1))


@pytest.mark.parametrize("l2", [False, True])
def test_no_read_is_older_than_the_last_commit_nor_sees_what_was_undone(
    open_store: OpenStore, *, l2: bool
) -> None:
    store = open_store() if l2 else open_store(redis=None)
    pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60))
    pages.create(page(1)).unwrap()
    acknowledged, reads, stop = [0], [0], threading.Event()
    wrong: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            floor = acknowledged[0]
            version = pages.get_by_id(1).unwrap().version
            reads[0] += 1
            time.sleep(0.0002)  # so that the writer has its turns
            if version < floor or version >= 1_000_000:
                wrong.append((version, floor))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s and min(acknowledged[0], reads[0] // 5) < 25 and not wrong:
        number = acknowledged[0] + 1

        def run(tx: tl.Transaction, number: int = number) -> Any:
            inside = tl.repository(tx, PAGES)
            undone = inside.update(page(1, 1_000_000))
            inside.update(page(1, number)).unwrap()
            return undone

        def undone(tx: tl.Transaction) -> Any:
            tl.repository(tx, PAGES).update(page(1, 1_000_000)).unwrap()
            return tl.Failure(LookupError())

        store.transaction(undone)
        store.transaction(run).unwrap()
        acknowledged[0] = number
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not wrong
    assert acknowledged[0] >= 25
    assert reads[0] > 100


@pytest.mark.parametrize("seed", [1, 2])
def test_ctrl_c_at_random_points_leaves_nothing_open(store: tl.Store, raw: Raw, seed: int) -> None:
    """Each of them rolls back, or comes too late; what was acknowledged is there."""
    source = random.Random(seed)
    rounds = 250 if os.environ.get(LONG) == "1" else 30
    acknowledged: set[int] = set()
    interrupted = 0
    slow = tl.sql("SELECT 1 FROM pg_sleep({s})", into=int, s=0.01)

    def run(tx: tl.Transaction, n: int) -> Any:
        create(n)(tx).unwrap()
        tx.transaction(lambda tx: tx.fetch_one(slow), savepoint=True)
        return tx.fetch_one(slow)

    for n in range(rounds):
        # Warm: psycopg's pool loses a connection when who waits for it is interrupted.
        count(store)
        timer = threading.Timer(
            source.uniform(0.001, 0.03), lambda: os.kill(os.getpid(), signal.SIGINT)
        )
        try:
            timer.start()
            if isinstance(store.transaction(lambda tx, n=n: run(tx, n)), tl.Success):
                acknowledged.add(n)
            timer.join()
            time.sleep(0.001)
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted > rounds // 2
    assert is_idle(store)
    assert acknowledged <= {row.id for row in tl.repository(store, OWNERS).list().unwrap()}
    open_ones = raw.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
    assert open_ones.fetchone() == (0,)
    assert store.database.stats().size <= 4
