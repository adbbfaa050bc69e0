"""The PostgreSQL backplane and `tl.distributed`: announced before what is prepared is committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from tests.conftest import VERSIONS
from tests.real.helpers import PAGES, Page, page, wait_until

import tierline as tl
from tierline.cache import own_writes
from tierline.cache.early import Early
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.postgres.embedded.binaries import Version
from tierline.postgres.two_phase import Participant
from tierline.sql.collecting import COLLECTED, COLLECTED_BYTES_MAX
from tierline.store import two_phase
from tierline.testing import PostgresServer, postgres_server

pytestmark = pytest.mark.each_version

Raw = psycopg.Connection[Any]
Txs = Mapping[str, tl.Transaction]
Answer = tl.Result[int, tl.RepositoryError]

CACHED = tl.read_through(ttl_s=600)
OLD = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)
# Longer than any test, so that nothing is read anew because the horizon has passed.
PATIENT_S = 60.0


@pytest.fixture(scope="module")
def second(version: Version) -> Generator[PostgresServer]:
    """A second, independent server of the other version."""
    (other,) = set(VERSIONS) - {version}
    with postgres_server(other) as server:
        with tl.open(server.url) as store:
            store.create_table(PAGES).unwrap()
            store.install_backplane([PAGES]).unwrap()
        yield server


class Sides:
    """Two servers with pages that announce: `a` writes and is asked by readers, `b` is written too.

    Attributes:
        stores: What writes; without a backplane.
    """

    def __init__(self, urls: Mapping[str, str], stack: ExitStack) -> None:
        self._urls = urls
        self._stack = stack
        self.stores = {
            name: stack.enter_context(tl.open(url, pool_size=3)) for name, url in urls.items()
        }

    def reader(self, name: str = "a", **options: Any) -> Reader:
        """Another store, with a backplane."""
        options = {"max_staleness_s": PATIENT_S, "timeout_s": 10, **options}
        url = self._urls[name]
        return Reader(self._stack.enter_context(tl.open(url, backplane="postgres", **options)))

    def write(self, function: Callable[[Txs], Answer], **options: Any) -> Any:
        """Run a function in a distributed transaction, whose other side is written too."""

        def both(txs: Txs) -> Answer:
            txs["b"].execute(tl.sql("UPDATE pages SET version = version + 1")).unwrap()
            return function(txs)

        return tl.distributed(options.pop("stores", self.stores), both, coordinator="b", **options)

    def recover(self) -> tl.Recovery:
        """Finish what is left."""
        return tl.recover(self.stores, coordinator="b", grace_s=0).unwrap()


class Reader:
    """A store that listens and caches pages."""

    def __init__(self, store: tl.Store) -> None:
        self.store = store
        self.pages = tl.repository(store, PAGES, cache=CACHED)
        self.catch_up()

    def catch_up(self) -> None:
        """Hear everything until now."""
        assert self.store.backplane is not None
        assert self.store.backplane.catch_up(10)

    def version(self, id_: int = 1) -> int:
        """What it reads of a row."""
        return self.pages.get_by_id(id_).unwrap().version

    def keeps(self, id_: int = 1) -> bool:
        """Whether a row is in its memory."""
        before = self.store.stats().tiers[0].hits
        self.version(id_)
        return self.store.stats().tiers[0].hits > before

    def olds(self) -> list[int]:
        """The result of a query that is kept."""
        return [found.id for found in self.store.fetch_all(OLD).unwrap()]

    @property
    def announcements(self) -> int:
        """How many it has heard."""
        assert self.store.backplane is not None
        return self.store.backplane.health().announcements

    @property
    def epoch(self) -> str | None:
        """The epoch of L2 that it trusts."""
        assert self.cache.member is not None
        return self.cache.member.epoch

    @property
    def served(self) -> int:
        """How many results it had."""
        return next(one.hits for one in self.store.stats().tiers if one.tier == "L1 queries")

    @property
    def spared(self) -> int:
        """How many of its own it was spared."""
        assert self.store.backplane is not None
        return self.store.backplane.health().spared

    @property
    def cache(self) -> HearingCache[Any, Any]:
        """Its cache of pages."""
        assert isinstance(self.store.caches, HearingCaches)
        return self.store.caches.hearing()[0]


@pytest.fixture
def sides(pg_url: str, second: PostgresServer) -> Generator[Sides]:
    with ExitStack() as stack:
        opened = Sides({"a": pg_url, "b": second.url}, stack)
        opened.stores["a"].create_table(PAGES).unwrap()
        opened.stores["a"].install_backplane([PAGES]).unwrap()
        opened.stores["b"].execute(tl.delete(PAGES, where=tl.everything)).unwrap()
        for store in opened.stores.values():
            tl.repository(store, PAGES).create_many([page(1), page(2)]).unwrap()
        yield opened
        opened.recover()
        assert tl.orphans(opened.stores).unwrap() == []


def at(monkeypatch: pytest.MonkeyPatch, step: str, action: Callable[[], object]) -> None:
    """Do something at a step of the commit."""
    monkeypatch.setattr(two_phase, "_step", lambda name: action() if name == step else None)


def interrupted_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Leave what is prepared then to others."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    at(monkeypatch, step, interrupt)


def run(sql: str) -> Callable[[Txs], Answer]:
    """What runs SQL on the first side."""
    return lambda txs: txs["a"].execute(tl.sql(sql))  # type: ignore[arg-type]


CHANGE = run("UPDATE pages SET version = 7 WHERE id = 1")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE pages SET version = 7 WHERE id = 1",
        "UPDATE pages SET version = id + 6",
        "DELETE FROM pages WHERE id = 1",
        "TRUNCATE pages",
        "UPDATE pages SET id = id + 8",
        "SET LOCAL session_replication_role = replica; UPDATE pages SET version = 7",
    ],
)
def test_what_a_distributed_transaction_changes_is_heard(sides: Sides, sql: str) -> None:
    reader, other = sides.reader(), sides.reader("b")
    assert (reader.version(), other.version()) == (0, 0)
    assert reader.keeps()
    assert other.keeps()
    assert reader.olds() == other.olds() == [1, 2]

    def change(txs: Txs) -> Answer:
        for one in sql.split("; "):
            txs["a"].execute(tl.sql(one)).unwrap()  # type: ignore[arg-type]
        return tl.Success(1)

    sides.write(change).unwrap()
    reader.catch_up()
    other.catch_up()
    found = reader.pages.get_by_id(1)
    assert found.map(lambda one: one.version).value_or(None) == (7 if "version" in sql else None)
    assert 1 not in reader.olds()
    assert other.version() == 1
    assert other.olds() == []


def test_it_is_heard_before_anything_of_it_is_seen(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.version() == 0
    seen: list[int] = []

    def look(step: str) -> None:
        # The second side is committed last, the first is seen at once.
        reader.catch_up()
        seen.append(reader.version())

    at(monkeypatch, "committed a", lambda: look("committed a"))
    sides.write(CHANGE).unwrap()
    assert seen == [7]


def test_a_single_writer_announces_with_its_commit(sides: Sides) -> None:
    reader = sides.reader()
    assert reader.version() == 0
    tl.distributed(sides.stores, CHANGE, coordinator="b").unwrap()
    reader.catch_up()
    assert reader.version() == 7


def test_nothing_is_kept_of_a_row_between_its_announcement_and_the_end(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.version() == 0

    def look() -> None:
        reader.catch_up()
        assert reader.version() == 0
        assert not reader.keeps()
        assert reader.version(2) == 0
        assert reader.keeps(2)

    at(monkeypatch, "announced a", look)
    sides.write(CHANGE).unwrap()
    assert reader.version() == 7
    assert reader.keeps()


def test_a_result_that_was_read_before_the_end_goes_when_it_has_ended(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()

    def look() -> None:
        reader.catch_up()
        assert reader.olds() == [1, 2]

    at(monkeypatch, "announced a", look)
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert reader.olds() == [2]


def test_a_result_goes_without_being_asked_for_long_before_the_next_heartbeat(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.olds() == [1, 2]
    at(monkeypatch, "announced a", reader.catch_up)
    sides.write(CHANGE).unwrap()
    # The next heartbeat by itself is due in a quarter of a minute.
    wait_until(lambda: reader.olds() == [2], 10)


def test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Reader] = []

    def begin() -> None:
        reader = sides.reader()
        assert reader.version() == 0
        assert reader.olds() == [1, 2]
        began.append(reader)

    at(monkeypatch, "announced a", begin)
    sides.write(CHANGE).unwrap()
    (reader,) = began
    assert reader.version() == 7
    reader.catch_up()
    assert reader.olds() == [2]


def test_a_cache_that_is_opened_after_an_announcement_refuses_what_lacks_it(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    opened: list[tl.Repository[Page, int]] = []

    def begin() -> None:
        # Another transaction's id comes later, so that the latest says nothing of the other.
        tl.repository(sides.stores["a"], PAGES).create(page(3)).unwrap()
        reader.catch_up()
        pages = tl.repository(reader.store, PAGES, cache=tl.read_through(ttl_s=500))
        reader.catch_up()
        assert pages.get_by_id(1) == tl.Success(page(1))
        opened.append(pages)

    at(monkeypatch, "announced a", begin)
    sides.write(CHANGE).unwrap()
    assert opened[0].get_by_id(1).unwrap().version == 7


def test_what_stays_prepared_for_long_is_announced_again(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.cache.early._AGAIN_S", 0.0)
    reader = sides.reader()
    assert reader.version() == 0
    told: list[int] = []
    l1 = reader.cache.l1

    class Told:
        def __getattr__(self, name: str) -> Any:
            return getattr(l1, name)

        def announce(self, key: int, xid: int) -> bool:
            told.append(key)
            return l1.announce(key, xid)

    monkeypatch.setattr(reader.cache, "l1", Told())

    def beats() -> None:
        for _ in range(3):
            reader.catch_up()

    at(monkeypatch, "announced a", beats)
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert len(told) >= 4
    told.clear()
    reader.catch_up()
    assert told == []


def test_what_was_announced_before_it_listened_is_told_again(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still until the end may have forgotten it."""
    began: list[Reader] = []

    def begin() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Early, "tell", lambda *_: None)
            patch.setattr(Early, "_tell_all", lambda *_: None)
            reader = sides.reader()
            assert reader.version() == 0
            assert reader.keeps()
        began.append(reader)

    at(monkeypatch, "announced a", begin)
    sides.write(CHANGE).unwrap()
    began[0].catch_up()
    assert began[0].version() == 7


def test_what_a_savepoint_takes_back_is_not_announced(sides: Sides) -> None:
    reader = sides.reader()
    assert [reader.version(1), reader.version(2)] == [0, 0]

    def change(txs: Txs) -> Answer:
        def undone(tx: tl.Transaction) -> Answer:
            tx.execute(tl.sql("UPDATE pages SET version = 9 WHERE id = 2")).unwrap()
            return tl.Failure(tl.ConstraintError("no"))

        CHANGE(txs).unwrap()
        txs["a"].transaction(undone, savepoint=True)
        return tl.Success(1)

    sides.write(change).unwrap()
    reader.catch_up()
    assert reader.keeps(2)
    assert reader.version() == 7


def test_what_functions_with_settings_and_handlers_write_is_collected(
    sides: Sides, raw: Raw
) -> None:
    """Settings have a stack: a function's own must not take the collected ones with them."""
    raw.execute(
        "CREATE FUNCTION inner_one(n int) RETURNS void LANGUAGE plpgsql SET work_mem = '1MB' AS $$ "
        "BEGIN UPDATE pages SET version = 7 WHERE id = n; END $$;"
        "CREATE FUNCTION outer_one() RETURNS void LANGUAGE plpgsql SET work_mem = '2MB' AS $$ "
        "BEGIN PERFORM inner_one(1); "
        "BEGIN PERFORM inner_one(2); PERFORM inner_one(3); END; "
        "BEGIN UPDATE pages SET version = 9 WHERE id = 4; RAISE division_by_zero; "
        "EXCEPTION WHEN division_by_zero THEN PERFORM inner_one(5); END; END $$"
    )
    pages = tl.repository(sides.stores["a"], PAGES)
    pages.create_many([page(n) for n in range(3, 6)]).unwrap()
    reader = sides.reader()
    assert [reader.version(n) for n in range(1, 6)] == [0] * 5
    sides.write(run("DO $$ BEGIN PERFORM outer_one(); END $$")).unwrap()
    reader.catch_up()
    assert reader.keeps(4)
    assert [reader.version(n) for n in range(1, 6)] == [7, 7, 7, 0, 7]


def test_what_is_rolled_back_before_the_decision_is_not_announced(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.version() == 0
    interrupted_at(monkeypatch, "prepared b")
    with pytest.raises(KeyboardInterrupt):
        sides.write(CHANGE)
    reader.catch_up()
    assert reader.keeps()
    assert reader.announcements == 0


def test_what_is_rolled_back_after_it_was_announced_is_cached_again(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    reader = sides.reader()
    interrupted_at(monkeypatch, "announced a")
    with pytest.raises(KeyboardInterrupt):
        sides.write(CHANGE)
    reader.catch_up()
    assert reader.version() == 0
    assert not reader.keeps()
    (gid,) = (one.gid for one in tl.orphans(sides.stores).unwrap() if one.store == "a")
    raw.execute(f"ROLLBACK PREPARED '{gid}'")  # type: ignore[arg-type]
    assert reader.version() == 0
    assert reader.keeps()


def test_what_is_deferred_is_announced_too(sides: Sides, raw: Raw) -> None:
    raw.execute(
        "CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE pages SET version = 9 WHERE id = 2; RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER follow AFTER UPDATE ON pages DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION follow()"
    )
    reader = sides.reader()
    assert reader.version(2) == 0
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert reader.version(2) == 9
    # By one phase, too.
    raw.execute("UPDATE pages SET version = 0 WHERE id = 2")
    reader.catch_up()
    assert reader.version(2) == 0
    tl.distributed(sides.stores, CHANGE, coordinator="b").unwrap()
    reader.catch_up()
    assert reader.version(2) == 9


def test_more_than_can_be_collected_is_the_whole_table(sides: Sides) -> None:
    tl.repository(sides.stores["a"], PAGES).create_many([page(n) for n in range(3, 2001)]).unwrap()
    reader = sides.reader()
    assert [reader.version(1), reader.version(2000)] == [0, 0]
    lengths: list[int] = []

    def change(txs: Txs) -> Answer:
        txs["a"].execute(
            tl.sql(
                "DO $$ BEGIN FOR i IN 1 .. 2000 LOOP UPDATE pages SET version = i WHERE id = i; "
                "END LOOP; END $$"
            )
        ).unwrap()
        found = txs["a"].fetch_one(
            tl.sql(f"SELECT length(current_setting('{COLLECTED}')) AS n", into=int)  # type: ignore[arg-type]
        )
        lengths.append(found.unwrap())
        return tl.Success(1)

    sides.write(change).unwrap()
    reader.catch_up()
    assert [reader.version(1), reader.version(2000)] == [1, 2000]
    assert COLLECTED_BYTES_MAX / 2 < lengths[0] < COLLECTED_BYTES_MAX + 500
    # It could still take single rows of its own; said together they were as many as fit.
    assert reader.announcements < 1000


def test_recovery_announces_what_its_coordinator_could_not(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.version() == 0
    assert reader.olds() == [1, 2]
    interrupted_at(monkeypatch, "decided")
    with pytest.raises(KeyboardInterrupt):
        sides.write(CHANGE)
    reader.catch_up()
    assert reader.keeps()
    assert sides.recover() == tl.Recovery(2, 0, ())
    reader.catch_up()
    assert reader.version() == 7
    assert reader.olds() == [2]


def test_recovery_that_rolls_back_announces_nothing(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert reader.version() == 0

    def die() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(two_phase.Run, "_roll_back", lambda _: None)
    at(monkeypatch, "prepared b", die)
    with pytest.raises(KeyboardInterrupt):
        sides.write(CHANGE)
    assert sides.recover() == tl.Recovery(0, 2, ())
    reader.catch_up()
    assert reader.keeps()


def test_recovery_names_transactions_by_their_whole_ids(version: Version) -> None:
    """What is listed as prepared lacks the upper half of its id."""
    with postgres_server(version) as server, ExitStack() as stack:
        server.stop()
        done = server.account.run(
            [server.programs / "pg_resetwal", "--epoch=3", "-D", server.data_dir]
        )
        assert done.returncode == 0, done.stdout
        server.start()
        stores = {name: stack.enter_context(tl.open(server.url, pool_size=3)) for name in "ab"}
        stores["a"].create_table(PAGES).unwrap()
        stores["a"].install_backplane([PAGES]).unwrap()
        tl.repository(stores["a"], PAGES).create_many([page(1), page(2)]).unwrap()
        url, options = server.url, {"max_staleness_s": PATIENT_S, "timeout_s": 10}
        reader = Reader(
            stack.enter_context(tl.open(url, backplane="postgres", **options))  # type: ignore[arg-type]
        )
        assert reader.version() == 0
        assert reader.keeps()

        def change(txs: Txs) -> Answer:
            txs["b"].execute(tl.sql("UPDATE pages SET version = 8 WHERE id = 2")).unwrap()
            return CHANGE(txs)

        with pytest.MonkeyPatch.context() as patch:
            interrupted_at(patch, "decided")
            with pytest.raises(KeyboardInterrupt):
                tl.distributed(stores, change, coordinator="a")
        late = Reader(
            stack.enter_context(tl.open(url, backplane="postgres", **options))  # type: ignore[arg-type]
        )
        assert late.version() == 0
        assert not late.keeps()
        assert tl.recover(stores, coordinator="a", grace_s=0) == tl.Success(tl.Recovery(2, 0, ()))
        reader.catch_up()
        assert [reader.version(1), reader.version(2)] == [7, 8]


def test_a_participant_that_lost_its_connection_is_announced_on_another(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    reader = sides.reader()
    assert reader.version() == 0

    def cut() -> None:
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
            "query LIKE '%PREPARE TRANSACTION%' AND pid <> pg_backend_pid()"
        )

    at(monkeypatch, "decided", cut)
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert reader.version() == 7


def test_a_participant_whose_preparing_was_not_answered_may_have_changed_anything(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sides.reader()
    assert [reader.version(1), reader.version(2)] == [0, 0]
    prepare = Participant.prepare

    def unanswered(self: Participant, gid: Any) -> Any:
        found = prepare(self, gid)
        assert self.announces
        self.announces = None
        return found

    monkeypatch.setattr(Participant, "prepare", unanswered)
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert not reader.keeps(2)
    assert reader.version() == 7


def test_what_announces_nothing_is_not_announced(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    raw.execute("CREATE TABLE quiet (id int)")
    steps: list[str] = []
    monkeypatch.setattr(two_phase, "_step", steps.append)
    sides.write(run("INSERT INTO quiet VALUES (1)")).unwrap()
    assert [step for step in steps if step.startswith("announced")] == ["announced b"]


def own_write(
    sides: Sides, own: Reader, monkeypatch: pytest.MonkeyPatch, version: int
) -> Callable[[], Any]:
    """What writes another row than its result has, by the store that keeps the result."""
    # However slow the machine, what is heard waits for its writer, or for a heartbeat.
    monkeypatch.setattr(own_writes, "_GRACE_S", 600.0)
    own.pages.update(page(2, version=3)).unwrap()
    own.catch_up()
    assert own.olds() == [1]

    def change(txs: Txs) -> Answer:
        return tl.repository(txs["a"], PAGES).update(page(2, version=version)).map(lambda _: 1)

    return lambda: sides.write(change, stores={"a": own.store, "b": sides.stores["b"]})


def test_an_own_write_that_does_not_concern_a_result_leaves_it(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sides.reader()
    write = own_write(sides, own, monkeypatch, 4)
    before = own.spared
    write().unwrap()
    own.catch_up()
    assert own.spared == before + 1
    served = own.served
    assert own.olds() == [1]
    assert own.served == served + 1


def test_an_own_write_in_doubt_is_heard_as_anybodys(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    own = sides.reader()
    write = own_write(sides, own, monkeypatch, 0)
    # The next heartbeat comes when it has ended.
    monkeypatch.setattr(Early, "_hurry", lambda _: None)
    with monkeypatch.context() as patch:
        interrupted_at(patch, "announced a")
        with pytest.raises(KeyboardInterrupt):
            write()
    # Read after its caches were told, and before it has ended.
    assert own.olds() == [1]
    (gid,) = (one.gid for one in tl.orphans(sides.stores).unwrap() if one.store == "a")
    raw.execute(f"COMMIT PREPARED '{gid}'")  # type: ignore[arg-type]
    own.catch_up()
    assert own.olds() == [1, 2]


@pytest.mark.usefixtures("patient_redis")
def test_l2_hears_of_it_too(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, redis_url: str, redis_prefix: str
) -> None:
    shared: dict[str, Any] = {"redis": redis_url, "prefix": redis_prefix, "max_staleness_s": 1.0}
    one, other = sides.reader(**shared), sides.reader(**shared)
    wait_until(lambda: one.epoch and other.epoch)
    assert (one.version(), other.version()) == (0, 0)

    def look() -> None:
        one.catch_up()
        other.catch_up()
        assert (one.version(), other.version()) == (0, 0)

    at(monkeypatch, "announced a", look)
    sides.write(CHANGE).unwrap()
    assert (one.version(), other.version()) == (7, 7)
    one.catch_up()
    other.catch_up()
    assert (one.version(), other.version()) == (7, 7)


@pytest.mark.usefixtures("patient_redis")
def test_a_whole_table_of_l2_waits_for_the_end(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, redis_url: str, redis_prefix: str
) -> None:
    reader = sides.reader(redis=redis_url, prefix=redis_prefix, max_staleness_s=1.0)
    wait_until(lambda: reader.epoch)
    member = reader.cache.member
    assert member is not None
    waiting: list[bool] = []

    def look() -> None:
        reader.catch_up()
        # Longer than what is heard otherwise takes to be passed on.
        time.sleep(0.3)
        waiting.append(bool(member.waiting))

    at(monkeypatch, "announced a", look)
    sides.write(run("TRUNCATE pages")).unwrap()
    assert waiting == [True]
    wait_until(lambda: not member.waiting)


def test_triggers_of_an_earlier_version_are_noticed(
    sides: Sides, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    found = raw.execute(
        "SELECT pg_get_functiondef(p.oid) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE t.tgrelid = 'pages'::regclass AND t.tgname = 'tierline_update'"
    ).fetchone()
    assert found is not None
    raw.execute(
        found[0].replace(f"current_setting('{COLLECTED}', true)", "''").replace(COLLECTED, "x")
    )
    with caplog.at_level(logging.WARNING, "tierline.store"):
        reader = sides.reader()
    assert "of an earlier version" in caplog.text
    assert reader.version() == 0
    assert reader.keeps()
    failure = sides.write(CHANGE).failure()
    assert isinstance(failure, tl.QueryError)
    assert "install_backplane" in failure.message
    sides.stores["a"].install_backplane([PAGES]).unwrap()
    sides.write(CHANGE).unwrap()
    reader.catch_up()
    assert reader.version() == 7


def test_preparing_by_hand_stays_refused(sides: Sides, raw: Raw) -> None:
    del sides
    raw.execute("BEGIN; UPDATE pages SET version = 7 WHERE id = 1")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        raw.execute("PREPARE TRANSACTION 'by hand'")
