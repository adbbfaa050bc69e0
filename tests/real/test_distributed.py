"""Transactions over two stores: what is kept, what is refused, what callers are told."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any

import msgspec
import psycopg
import pytest
from tests.conftest import VERSIONS
from tests.stalls import Stalls

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.sql.distributed import Gid, read_gid
from tierline.store import two_phase
from tierline.testing import PostgresServer, postgres_server

pytestmark = pytest.mark.each_version

Stores = dict[str, tl.Store]


class Stock(msgspec.Struct, frozen=True):
    """A row of either side."""

    id: int
    left: int


STOCK = tl.table(Stock, name="stock", key=lambda s: s.id)
Answer = tl.Result[int, Exception]


@pytest.fixture(scope="module")
def second(version: Version) -> Generator[PostgresServer]:
    """A second, independent cluster of the other version, with two slots."""
    (other,) = set(VERSIONS) - {version}
    with postgres_server(other, settings={"max_prepared_transactions": "2"}) as server:
        with tl.open(server.url) as store:
            store.create_table(STOCK).unwrap()
        yield server


@pytest.fixture
def stores(pg_url: str, second: PostgresServer) -> Generator[Stores]:
    """A store on each cluster, with a row of ten left."""
    with tl.open(pg_url, pool_size=3) as a, tl.open(second.url, pool_size=3) as b:
        a.create_table(STOCK).unwrap()
        b.execute(tl.delete(STOCK, where=tl.everything)).unwrap()
        for store in (a, b):
            tl.repository(store, STOCK).create(Stock(1, 10)).unwrap()
        yield {"a": a, "b": b}
        assert tl.orphans({"a": a, "b": b}).unwrap() == []


def left(stores: Mapping[str, tl.Store]) -> list[int]:
    return [tl.repository(s, STOCK).get_by_id(1).unwrap().left for s in stores.values()]


def take(txs: Mapping[str, tl.Transaction], *names: str) -> Answer:
    """Take one from each of some stores."""
    for name in names:
        done = txs[name].execute(
            tl.update(STOCK, set=lambda s: tl.set(s.left).to(s.left - 1), where=lambda s: s.id == 1)
        )
        if isinstance(done, tl.Failure):
            return done
    return tl.Success(7)


def both(txs: Mapping[str, tl.Transaction]) -> Answer:
    return take(txs, "a", "b")


def test_a_success_is_kept_everywhere_and_answered(stores: Stores) -> None:
    assert tl.distributed(stores, both, coordinator="a") == tl.Success(7)
    assert left(stores) == [9, 9]


def test_a_failure_is_kept_nowhere_and_answered(stores: Stores) -> None:
    error = ValueError("no")

    def refuse(txs: Mapping[str, tl.Transaction]) -> Answer:
        both(txs)
        return tl.Failure(error)

    assert tl.distributed(stores, refuse, coordinator="b").failure() is error
    assert left(stores) == [10, 10]


def test_an_exception_undoes_everything_and_is_raised(stores: Stores) -> None:
    def fail(txs: Mapping[str, tl.Transaction]) -> Answer:
        both(txs)
        raise LookupError

    with pytest.raises(LookupError):
        tl.distributed(stores, fail, coordinator="a")
    assert left(stores) == [10, 10]


def test_an_interruption_between_the_steps_undoes_what_is_prepared(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(name: str) -> None:
        if name == "prepared b":
            raise KeyboardInterrupt

    monkeypatch.setattr(two_phase, "_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tl.distributed(stores, both, coordinator="a")
    assert left(stores) == [10, 10]


def test_an_interruption_after_the_decision_is_left_to_recovery(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(name: str) -> None:
        if name == "decided":
            raise KeyboardInterrupt

    monkeypatch.setattr(two_phase, "_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tl.distributed(stores, both, coordinator="a")
    done = tl.recover(stores, coordinator="a", grace_s=0).unwrap()
    assert done == tl.Recovery(2, 0, ())
    assert left(stores) == [9, 9]


def test_a_failed_statement_refuses_the_success(stores: Stores) -> None:
    def swallow(txs: Mapping[str, tl.Transaction]) -> Answer:
        take(txs, "a")
        tl.repository(txs["b"], STOCK).create(Stock(1, 1))
        return tl.Success(1)

    found = tl.distributed(stores, swallow, coordinator="a").failure()
    assert isinstance(found, tl.QueryError)
    assert left(stores) == [10, 10]


def prepares(store: tl.Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are taken from now on."""
    del store
    steps: list[str] = []
    monkeypatch.setattr(two_phase, "_step", steps.append)
    return steps


def test_a_single_writer_commits_in_one_phase(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = prepares(stores["a"], monkeypatch)

    def one(txs: Mapping[str, tl.Transaction]) -> Answer:
        assert tl.repository(txs["a"], STOCK).get_by_id(1).unwrap().left == 10
        return take(txs, "b")

    assert tl.distributed(stores, one, coordinator="a") == tl.Success(7)
    assert (left(stores), steps) == ([10, 9], [])


def test_a_reader_takes_no_part_in_the_two_phases(
    stores: Stores, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tl.open(pg_url, pool_size=2) as reader:
        steps = prepares(reader, monkeypatch)

        def two(txs: Mapping[str, tl.Transaction]) -> Answer:
            tl.repository(txs["reader"], STOCK).get_by_id(1).unwrap()
            return both(txs)

        three = {"reader": reader, **stores}
        assert tl.distributed(three, two, coordinator="reader") == tl.Success(7)
    assert [step for step in steps if step.startswith("prepared")] == ["prepared a", "prepared b"]
    assert left(stores) == [9, 9]


def test_a_write_that_no_statement_tells_of_is_prepared(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view may call what writes: the server is asked once more whether anything was."""
    steps = prepares(stores["a"], monkeypatch)
    with psycopg.connect(stores["a"].database._node.dialer._conninfo, autocommit=True) as raw:
        raw.execute(
            "CREATE FUNCTION sly() RETURNS bigint LANGUAGE sql VOLATILE AS "
            '\'UPDATE stock SET "left" = "left" - 1 WHERE id = 1 RETURNING id\''
        )
        raw.execute('CREATE VIEW slyly AS SELECT sly() AS id, 1::bigint AS "left"')
    slyly = tl.table(Stock, name="slyly", key=lambda s: s.id)

    def sly(txs: Mapping[str, tl.Transaction]) -> Answer:
        assert txs["a"].fetch_all(tl.select(slyly)).unwrap() == [Stock(1, 1)]
        return take(txs, "b")

    assert tl.distributed(stores, sly, coordinator="b") == tl.Success(7)
    assert "prepared a" in steps
    assert left(stores) == [9, 9]


@pytest.mark.parametrize("command", ["notify news", "create temporary table t (x int)"])
def test_what_cannot_be_prepared_is_a_failure_that_says_so(stores: Stores, command: str) -> None:
    def unfit(txs: Mapping[str, tl.Transaction]) -> Answer:
        both(txs)
        txs["b"].execute(tl.sql(command)).unwrap()
        return tl.Success(1)

    found = tl.distributed(stores, unfit, coordinator="a").failure()
    assert isinstance(found, tl.QueryError)
    assert found.sqlstate == "0A000"
    assert "out of tl.distributed" in found.message
    assert left(stores) == [10, 10]


def test_a_reader_is_committed_not_rolled_back(stores: Stores, second: PostgresServer) -> None:
    def tell(txs: Mapping[str, tl.Transaction]) -> Answer:
        txs["b"].execute(tl.sql("notify news")).unwrap()
        return take(txs, "a")

    with psycopg.connect(second.url, autocommit=True) as raw:
        raw.execute("LISTEN news")
        assert tl.distributed(stores, tell, coordinator="a") == tl.Success(7)
        assert [found.channel for found in raw.notifies(timeout=5, stop_after=1)] == ["news"]


def test_slots_in_use_are_a_failure_with_everything_rolled_back(
    stores: Stores, second: PostgresServer
) -> None:
    with psycopg.connect(second.url, autocommit=True) as raw:
        for n in range(2):
            raw.execute("BEGIN")
            raw.execute("SELECT pg_current_xact_id()")
            raw.execute(f"PREPARE TRANSACTION 'somebody-{n}'")
        try:
            found = tl.distributed(stores, both, coordinator="a").failure()
            assert isinstance(found, tl.QueryError)
            assert "max_prepared_transactions is too low" in found.message
            assert found.sqlstate == "53200"
            assert left(stores) == [10, 10]
            # What somebody else prepared is none of ours.
            assert tl.orphans(stores) == tl.Success([])
            assert tl.recover(stores, coordinator="a", grace_s=0).unwrap() == tl.Recovery(0, 0, ())
        finally:
            for n in range(2):
                raw.execute(f"ROLLBACK PREPARED 'somebody-{n}'")
    assert tl.distributed(stores, both, coordinator="a") == tl.Success(7)


def test_a_server_that_prepares_nothing_is_refused_before_the_function(
    stores: Stores, version: Version
) -> None:
    with (
        postgres_server(version, settings={"max_prepared_transactions": "0"}) as server,
        tl.open(server.url) as none,
    ):
        found = tl.distributed(
            {"a": stores["a"], "none": none}, lambda _: pytest.fail("was run"), coordinator="a"
        ).failure()
        assert isinstance(found, tl.ConfigurationError)
        assert found.message.startswith("none: ")
        assert "max_prepared_transactions is 0" in found.message


def test_a_serialization_failure_runs_the_whole_again(stores: Stores) -> None:
    runs = []

    def racing(txs: Mapping[str, tl.Transaction]) -> Answer:
        runs.append(1)
        tl.repository(txs["a"], STOCK).get_by_id(1).unwrap()
        take(txs, "b")
        if len(runs) == 1:
            stores["a"].transaction(lambda tx: take({"a": tx}, "a")).unwrap()
        return take(txs, "a")

    found = tl.distributed(stores, racing, coordinator="a", isolation="repeatable read")
    assert found == tl.Success(7)
    assert (len(runs), left(stores)) == (2, [8, 9])


def test_caches_forget_what_was_written(stores: Stores) -> None:
    cached = [tl.repository(s, STOCK, cache=tl.read_through(ttl_s=60)) for s in stores.values()]
    assert [one.get_by_id(1).unwrap().left for one in cached] == [10, 10]
    tl.distributed(stores, both, coordinator="a").unwrap()
    assert [one.get_by_id(1).unwrap().left for one in cached] == [9, 9]


def test_nothing_new_is_served_before_it_is_committed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = {
        n: tl.repository(s, STOCK, cache=tl.read_through(ttl_s=60)) for n, s in stores.items()
    }
    seen: dict[str, list[int]] = {}

    def look(step: str) -> None:
        seen[step] = [one.get_by_id(1).unwrap().left for one in cached.values()]

    monkeypatch.setattr(two_phase, "_step", look)
    tl.distributed(stores, both, coordinator="a").unwrap()
    assert seen["prepared b"] == seen["decided"] == [10, 10]
    assert seen["committed a"] == [9, 10]
    assert seen["committed b"] == [9, 9]


def test_recovery_makes_the_caches_forget(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = [tl.repository(s, STOCK, cache=tl.read_through(ttl_s=60)) for s in stores.values()]

    def leave(step: str) -> None:
        if step == "decided":
            raise KeyboardInterrupt

    monkeypatch.setattr(two_phase, "_step", leave)
    with pytest.raises(KeyboardInterrupt):
        tl.distributed(stores, both, coordinator="a")
    assert [one.get_by_id(1).unwrap().left for one in cached] == [10, 10]
    tl.recover(stores, coordinator="a", grace_s=0).unwrap()
    assert [one.get_by_id(1).unwrap().left for one in cached] == [9, 9]


def test_hooks_hear_of_the_common_end(stores: Stores) -> None:
    heard: list[str] = []

    def hooked(txs: Mapping[str, tl.Transaction]) -> Answer:
        for name, tx in txs.items():
            tx.on_commit(lambda name=name: heard.append(f"{name} kept"))
            tx.on_rollback(lambda name=name: heard.append(f"{name} undone"))
        return both(txs) if not heard else tl.Failure(ValueError())

    tl.distributed(stores, hooked, coordinator="a")
    tl.distributed(stores, hooked, coordinator="a")
    assert heard == ["a kept", "b kept", "a undone", "b undone"]


def test_a_deadline_bounds_a_wait_for_a_lock(
    stores: Stores, second: PostgresServer, stalls: Stalls
) -> None:
    with psycopg.connect(second.url) as raw:
        raw.execute("UPDATE stock SET id = id")
        began = time.monotonic()
        with tl.deadline(0.5):
            found = tl.distributed(stores, both, coordinator="a", recovers=False).failure()
        assert isinstance(found, tl.TimeoutError)
        assert time.monotonic() - began < 0.5 + 1.0 + stalls.seconds(began + 0.5)
        raw.rollback()
    assert left(stores) == [10, 10]


def test_a_deadline_that_passes_before_the_decision_undoes_everything(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        two_phase, "_step", lambda name: time.sleep(0.6) if name == "prepared b" else None
    )
    found = tl.distributed(stores, both, coordinator="a", deadline_s=0.5).failure()
    assert isinstance(found, tl.TimeoutError)
    assert left(stores) == [10, 10]


def test_trouble_after_the_decision_does_not_run_it_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Mapping[str, tl.Transaction]] = []

    def conflict(name: str) -> None:
        if name == "decided":
            # As a conflict does that the log's own rows have, where serializable is the default.
            runs[-1]["a"].database.must_repeat = True

    def counted(txs: Mapping[str, tl.Transaction]) -> Answer:
        runs.append(txs)
        return both(txs)

    monkeypatch.setattr(two_phase, "_step", conflict)
    assert tl.distributed(stores, counted, coordinator="a") == tl.Success(7)
    assert (len(runs), left(stores)) == (1, [9, 9])


def test_connections_are_given_back(stores: Stores) -> None:
    for _ in range(10):
        tl.distributed(stores, both, coordinator="a").unwrap()
        tl.distributed(stores, lambda _: tl.Failure(ValueError()), coordinator="a")
    for store in stores.values():
        assert store.database.stats().in_use == 0


def test_setting_up_twice_is_no_harm(stores: Stores) -> None:
    for _ in range(2):
        assert tl.distributed_setup(stores["a"]) == tl.Success(None)


def test_recovery_without_a_log_creates_none(pg_url: str) -> None:
    with tl.open(pg_url) as store:
        assert tl.recover({"a": store}, coordinator="a") == tl.Success(tl.Recovery(0, 0, ()))
        found = store.fetch_one(
            tl.sql("select to_regclass('tierline_distributed') is null", into=bool)
        )
        assert found == tl.Success(True)


def test_misuse_is_refused_when_it_is_called(stores: Stores) -> None:
    loose: Any = tl.distributed
    wrong: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (TypeError, "stores by name", ([stores["a"]], both), {"coordinator": "a"}),
        (TypeError, "tl.Store", ({"a": "url"}, both), {"coordinator": "a"}),
        (TypeError, "type str", ({1: stores["a"]}, both), {"coordinator": "a"}),
        (TypeError, "a function", (stores, 3), {"coordinator": "a"}),
        (TypeError, "True or False", (stores, both), {"coordinator": "a", "recovers": 1}),
        (ValueError, "at least one", ({}, both), {"coordinator": "a"}),
        (ValueError, "one of a, b", (stores, both), {"coordinator": "c"}),
        (ValueError, "isolation", (stores, both), {"coordinator": "a", "isolation": "high"}),
        (ValueError, "letters", ({"it's": stores["a"]}, both), {"coordinator": "it's"}),
        (ValueError, "once", ({"a": stores["a"], "b": stores["a"]}, both), {"coordinator": "a"}),
    ]
    for kind, words, arguments, options in wrong:
        with pytest.raises(kind, match=words):
            loose(*arguments, **options)
    with pytest.raises(TypeError, match=r"tl\.Success"):
        loose(stores, lambda _: None, coordinator="a")
    with pytest.raises(ValueError, match="grace_s"):
        tl.recover(stores, coordinator="a", grace_s=-1)
    with pytest.raises(TypeError, match=r"tl\.Store"):
        tl.distributed_setup("a")  # type: ignore[arg-type]


def test_a_global_id_is_read_as_it_was_written() -> None:
    gid = Gid("0123456789abcdef", 4_194_304, 1_790_000_000_000_000, "a" * 24, "n" * 63)
    assert read_gid(str(gid)) == gid
    # PostgreSQL takes less than 200 bytes.
    assert len(str(gid)) < 200
    for text in ("", "tierline1:x", f"{gid}'", f"x{gid}", str(gid).replace("tierline1", "other")):
        assert read_gid(text) is None
