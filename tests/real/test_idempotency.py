"""Idempotency keys: what is done under one has its effect once, whatever becomes of COMMIT."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Literal

import msgspec
import psycopg
import pytest
from tests.real.helpers import (
    OWNERS,
    Owner,
    before_commit,
    failure,
    hold_and_cut,
    is_idle,
    noted,
    with_application,
)

import tierline as tl
from tierline.store import running
from tierline.testing import tcp_proxy
from tierline.testing.tcp_proxy import TcpProxy

pytestmark = pytest.mark.each_version

Raw = psycopg.Connection[Any]
Answer = tl.Result[int, tl.RepositoryError]


class Counting:
    """A function of a transaction that writes a row for each run."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.runs = 0
        self._before = before
        self._lock = threading.Lock()

    def __call__(self, tx: tl.Transaction) -> Answer:
        with self._lock:
            self.runs += 1
            run = self.runs
        made = tl.repository(tx, OWNERS).create(Owner(run, "x"))
        self._before()
        return tl.Success(made.unwrap().id)


def rows(raw: Raw) -> list[int]:
    return [id_ for (id_,) in raw.execute("SELECT id FROM owners ORDER BY id").fetchall()]


def keys(raw: Raw) -> int:
    found = raw.execute("SELECT count(*) FROM tierline_idempotency").fetchone()
    assert found is not None
    return int(found[0])


def test_a_key_is_done_once_and_answers_the_same_again(store: tl.Store, raw: Raw) -> None:
    run = Counting()
    for _ in range(3):
        assert store.transaction(run, idempotency_key="a", result=int) == tl.Success(1)
    assert store.transaction(run, idempotency_key="b", result=int) == tl.Success(2)
    assert run.runs == 2
    assert rows(raw) == [1, 2]
    assert keys(raw) == 2
    assert is_idle(store)


def test_the_table_can_be_made_before(store: tl.Store, raw: Raw) -> None:
    assert store.create_idempotency_table() == tl.Success(None)
    assert store.create_idempotency_table() == tl.Success(None)
    assert store.transaction(Counting(), idempotency_key="a", result=int) == tl.Success(1)
    assert keys(raw) == 1


def test_only_a_success_is_kept(store: tl.Store, raw: Raw) -> None:
    def fail(tx: tl.Transaction) -> Answer:
        del tx
        return tl.Failure(tl.ConstraintError("no"))

    def stumble(tx: tl.Transaction) -> Answer:
        raise LookupError

    def swallow(tx: tl.Transaction) -> Answer:
        tx.fetch_one(tl.sql("select 1 / 0", into=int))
        return tl.Success(1)

    failure(store.transaction(fail, idempotency_key="a", result=int), tl.ConstraintError)
    with pytest.raises(LookupError):
        store.transaction(stumble, idempotency_key="a", result=int)
    failure(
        store.transaction(swallow, idempotency_key="a", result=int),
        tl.QueryError,
        "although the function succeeded",
    )
    assert keys(raw) == 0
    assert store.transaction(Counting(), idempotency_key="a", result=int) == tl.Success(1)


class Receipt(msgspec.Struct, frozen=True):
    """A result with fields of many types."""

    number: int
    total: Decimal
    at: dt.datetime
    lines: list[tuple[str, int]]


RECEIPT = Receipt(7, Decimal("1.10"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC), [("a", 1)])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (RECEIPT, Receipt),
        (None, type(None)),
        ([1, 2], list[int]),
        (None, tl.optional(int)),
        ("\0 é", str),
        (b"\0\xff", bytes),
        (-(2**63), int),
    ],
)
def test_the_result_comes_back_as_it_was(store: tl.Store, value: Any, kind: Any) -> None:
    for _ in range(2):
        answer = store.transaction(lambda _: tl.Success(value), idempotency_key="k", result=kind)
        assert answer == tl.Success(value)


def test_a_result_of_another_type_is_a_mistake_at_once(store: tl.Store, raw: Raw) -> None:
    def run(tx: tl.Transaction) -> tl.Result[str, tl.RepositoryError]:
        tl.repository(tx, OWNERS).create(Owner(1, "x")).unwrap()
        return tl.Success("seven")

    with pytest.raises(TypeError, match="succeeded with str, which result=int cannot keep"):
        store.transaction(run, idempotency_key="a", result=int)  # type: ignore[arg-type, misc, unused-ignore]
    with pytest.raises(TypeError, match="result=int cannot keep"):
        store.transaction(lambda _: tl.Success(2**64), idempotency_key="a", result=int)
    assert rows(raw) == []
    assert keys(raw) == 0
    assert is_idle(store)


def test_a_key_that_was_used_for_another_type_says_so(store: tl.Store) -> None:
    store.transaction(lambda _: tl.Success(1), idempotency_key="a", result=int).unwrap()
    answer = store.transaction(lambda _: tl.Success("x"), idempotency_key="a", result=str)
    failure(answer, tl.DecodeError, "is no str")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"idempotency_key": "a"}, TypeError, "needs result="),
        ({"result": int}, TypeError, "goes with idempotency_key"),
        ({"idempotency_key": 3, "result": int}, TypeError, "is a str"),
        ({"idempotency_key": "", "result": int}, ValueError, "1 to 2000"),
        ({"idempotency_key": "é" * 1001, "result": int}, ValueError, "1 to 2000"),
        ({"idempotency_key": "a", "result": int, "read_only": True}, ValueError, "that writes"),
        ({"idempotency_key": "a", "result": threading.Lock}, TypeError, "msgspec"),
    ],
)
def test_options_that_cannot_be_are_refused(
    store: tl.Store, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        store.transaction(lambda _: tl.Success(1), **options)


def test_the_longest_key_fits(store: tl.Store) -> None:
    run = Counting()
    for _ in range(2):
        store.transaction(run, idempotency_key="é" * 1000, result=int).unwrap()
    assert run.runs == 1


@pytest.mark.parametrize("isolation", [None, "repeatable read", "serializable"])
def test_who_comes_at_the_same_time_waits_for_the_first(
    store: tl.Store, raw: Raw, isolation: Literal["repeatable read", "serializable"] | None
) -> None:
    run = Counting(before=lambda: time.sleep(0.05))
    store.create_idempotency_table().unwrap()

    def work(_: int) -> Answer:
        return store.transaction(run, idempotency_key="a", result=int, isolation=isolation)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(work, range(8)))
    assert answers == [tl.Success(1)] * 8
    assert run.runs == 1
    assert rows(raw) == [1]


def test_if_the_first_fails_who_waited_is_next(store: tl.Store, raw: Raw) -> None:
    store.create_idempotency_table().unwrap()
    claimed, done = threading.Event(), threading.Event()

    def first(tx: tl.Transaction) -> Answer:
        tl.repository(tx, OWNERS).create(Owner(1, "x")).unwrap()
        claimed.set()
        done.wait(10)
        return tl.Failure(tl.ConstraintError("no"))

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(lambda: store.transaction(first, idempotency_key="a", result=int))
        assert claimed.wait(10)
        other = threads.submit(
            lambda: store.transaction(Counting(), idempotency_key="a", result=int)
        )
        time.sleep(0.1)
        assert not other.done()
        done.set()
        failure(one.result(), tl.ConstraintError)
        assert other.result() == tl.Success(1)
    assert rows(raw) == [1]


def test_keys_are_forgotten_when_they_are_old(store: tl.Store, raw: Raw) -> None:
    assert store.forget_idempotency(older_than_s=0) == tl.Success(0)
    run = Counting()
    store.transaction(run, idempotency_key="a", result=int).unwrap()
    assert store.forget_idempotency(older_than_s=3600) == tl.Success(0)
    assert store.forget_idempotency(older_than_s=0) == tl.Success(1)
    store.transaction(run, idempotency_key="a", result=int).unwrap()
    assert run.runs == 2
    assert keys(raw) == 1
    for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError)):
        with pytest.raises(error):
            store.forget_idempotency(older_than_s=wrong)  # type: ignore[arg-type]


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
        store.create_idempotency_table().unwrap()
        yield store


@pytest.fixture
def untrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cannot say what became of a transaction, as after a crash or a failover."""
    monkeypatch.setattr(running, "outcome", lambda *_, **__: None)


@pytest.mark.usefixtures("untrusted")
def test_the_key_decides_a_commit_whose_answer_is_lost(
    far: tl.Store, proxy: TcpProxy, raw: Raw
) -> None:
    for n in range(18):
        run = Counting()
        raw.execute("TRUNCATE owners")
        with before_commit(far, lambda n=n: proxy.cut_after(n)):  # type: ignore[misc]
            answer = far.transaction(run, idempotency_key=f"k{n}", result=int)
        assert answer == tl.Success(1), n
        assert run.runs == 1
        assert rows(raw) == [1]
    assert is_idle(far)


@pytest.mark.usefixtures("untrusted")
def test_the_key_decides_a_commit_that_never_arrived(
    far: tl.Store, proxy: TcpProxy, commit: threading.Event, raw: Raw
) -> None:
    run = Counting()
    with before_commit(far, lambda: hold_and_cut(proxy, commit)):
        assert far.transaction(run, idempotency_key="a", result=int) == tl.Success(2)
    assert rows(raw) == [2]


@pytest.mark.usefixtures("untrusted")
def test_what_cannot_be_learnt_in_time_is_asked_of_the_key_later(
    far: tl.Store, proxy: TcpProxy, raw: Raw
) -> None:
    def lose() -> None:
        proxy.refuse()
        proxy.cut_after(3)

    run = Counting()
    with before_commit(far, lose):
        answer = far.transaction(run, idempotency_key="a", result=int, deadline_s=1.0)
    error = failure(answer, tl.CommitUnknownError)
    assert isinstance(error.resolve(within_s=0.1), tl.Failure)
    proxy.allow()
    assert error.resolve(within_s=5) == tl.Success(True)
    assert far.transaction(run, idempotency_key="a", result=int) == tl.Success(1)
    raw.execute("TRUNCATE tierline_idempotency")
    assert error.resolve(within_s=5) == tl.Success(False)
    assert keys(raw) == 0  # asking leaves no key behind
    assert run.runs == 1
