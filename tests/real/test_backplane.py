"""The PostgreSQL backplane: what anybody writes is heard, and what is cached includes it."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import OWNERS, PAGES, Owner, Page, failure, page, wait_until

import tierline as tl
from tierline.cache.tables import Fetched
from tierline.sql.backplane import KEYS_MAX
from tierline.sql.snapshots import Seen

Pages = tl.Repository[Page, int]
Raw = psycopg.Connection[Any]
Open = Callable[..., tl.Store]

CACHED = tl.read_through(ttl_s=600)
# Longer than any test, so that nothing is read anew because the horizon has passed.
PATIENT_S = 60.0


@pytest.fixture
def opened(pg_url: str) -> Generator[Open]:
    """Opens stores with a backplane on one database with the table of pages, which announces."""
    with ExitStack() as stores:

        def open_one(**options: Any) -> tl.Store:
            options = {"max_staleness_s": PATIENT_S, "timeout_s": 10, **options}
            return stores.enter_context(tl.open(pg_url, backplane="postgres", **options))

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
            maker.install_backplane([PAGES]).unwrap()
        yield open_one


def caught_up(store: tl.Store) -> tl.Store:
    """The store, when it has heard of everything until now."""
    assert store.backplane is not None
    assert store.backplane.catch_up(10)
    return store


def l1_hits(store: tl.Store) -> int:
    return store.stats().tiers[0].hits


def is_hit(store: tl.Store, read: Callable[[], object]) -> bool:
    before = l1_hits(store)
    read()
    return l1_hits(store) > before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE pages SET version = 7 WHERE id = 1", page(1, 7)),
        ("UPDATE pages SET version = id + 6", page(1, 7)),
        ("DELETE FROM pages WHERE id = 1", None),
        ("TRUNCATE pages", None),
        ("UPDATE pages SET id = 9 WHERE id = 1", None),
        ("UPDATE pages SET id = id + 8", None),
        ("UPDATE pages SET id = id + 8; UPDATE pages SET id = 1, version = 7 WHERE id = 9",
         page(1, 7)),
        (
            "BEGIN; SAVEPOINT a; UPDATE pages SET version = 7 WHERE id = 1; RELEASE a; COMMIT",
            page(1, 7),
        ),
        ("SET session_replication_role = replica; UPDATE pages SET version = 7", page(1, 7)),
        ("MERGE INTO pages USING (VALUES (1)) AS v (id) ON pages.id = v.id WHEN MATCHED THEN "  # noqa: ISC004
         "UPDATE SET version = 7", page(1, 7)),
        ("INSERT INTO pages VALUES (1, 'page-1', 0) ON CONFLICT (id) DO UPDATE SET version = 7",
         page(1, 7)),
    ],
)  # fmt: skip
def test_what_anybody_changes_is_heard(
    opened: Open, raw: Raw, change: str, expected: Page | None
) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create_many([page(1), page(2)]).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert is_hit(store, lambda: pages.get_by_id(1))
    raw.execute(change)  # type: ignore[arg-type]
    caught_up(store)
    if expected is None:
        failure(pages.get_by_id(1), tl.NotFoundError)
    else:
        assert pages.get_by_id(1) == tl.Success(expected)


def test_a_key_may_be_called_as_the_triggers_variables_are(opened: Open, raw: Raw) -> None:
    class Odd(msgspec.Struct, frozen=True):
        keys: int
        before: int
        few: int

    table = tl.table(Odd, name="odd", key=lambda o: (o.keys, o.before))
    store = opened()
    store.create_table(table).unwrap()
    store.install_backplane([table]).unwrap()
    odd = tl.repository(store, table, cache=CACHED)
    odd.create_many([Odd(1, 1, 0), Odd(1, 2, 0)]).unwrap()
    assert odd.get_by_id((1, 1)) == tl.Success(Odd(1, 1, 0))
    raw.execute("UPDATE odd SET few = 7 WHERE before = 1")
    caught_up(store)
    assert odd.get_by_id((1, 1)) == tl.Success(Odd(1, 1, 7))
    raw.execute("UPDATE odd SET few = 8")
    caught_up(store)
    assert odd.get_by_id((1, 1)) == tl.Success(Odd(1, 1, 8))


def test_other_rows_stay_cached(opened: Open, raw: Raw) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create_many([page(1), page(2)]).unwrap()
    for key in (1, 2):
        pages.get_by_id(key).unwrap()
    raw.execute("UPDATE pages SET version = 7 WHERE id = 1")
    caught_up(store)
    assert is_hit(store, lambda: pages.get_by_id(2))
    assert not is_hit(store, lambda: pages.get_by_id(1))


@pytest.mark.parametrize("rows", [KEYS_MAX, KEYS_MAX + 1])
def test_many_rows_are_one_message_and_too_many_are_the_whole_table(
    opened: Open, raw: Raw, rows: int
) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create_many([page(n) for n in range(1, rows + 2)]).unwrap()
    for key in (1, rows + 1):
        pages.get_by_id(key).unwrap()
    assert store.backplane is not None
    before = caught_up(store).backplane.health().announcements  # type: ignore[union-attr]
    raw.execute("UPDATE pages SET version = 7 WHERE id <= %s", (rows,))
    caught_up(store)
    assert store.backplane.health().announcements == before + 1
    assert is_hit(store, lambda: pages.get_by_id(rows + 1)) == (rows == KEYS_MAX)
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def test_keys_that_do_not_fit_a_message_are_the_whole_table(opened: Open, raw: Raw) -> None:
    class Note(msgspec.Struct, frozen=True):
        name: str
        n: int

    notes_table = tl.table(Note, name="notes", key=lambda n: n.name)
    store = opened()
    store.create_table(notes_table).unwrap()
    store.install_backplane([notes_table]).unwrap()
    notes = tl.repository(store, notes_table, cache=CACHED)
    long = ["é" * 2_000 + str(n) for n in range(3)]
    notes.create_many([Note(name, 0) for name in long]).unwrap()
    assert notes.get_by_id(long[0]) == tl.Success(Note(long[0], 0))
    raw.execute("UPDATE notes SET n = 7")
    caught_up(store)
    assert notes.get_by_id(long[0]) == tl.Success(Note(long[0], 7))


def test_a_statement_that_changes_nothing_announces_nothing(opened: Open, raw: Raw) -> None:
    store = caught_up(opened())
    assert store.backplane is not None
    before = store.backplane.health().announcements
    raw.execute("UPDATE pages SET version = 7 WHERE id = 1")
    caught_up(store)
    assert store.backplane.health().announcements == before


class Mixed(msgspec.Struct, frozen=True):
    """An entity with every kind of key that is announced exactly, and one that is not."""

    text: str
    id: uuid.UUID
    amount: Decimal
    day: dt.date
    at: dt.datetime
    flag: bool
    n: int


EXACT = tl.table(Mixed, name="mixed", key=lambda m: (m.text, m.id, m.amount, m.day, m.at, m.flag))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_keys_of_every_kind_are_found(opened: Open, raw: Raw, zone: str) -> None:
    store = opened()
    store.create_table(EXACT).unwrap()
    store.install_backplane([EXACT]).unwrap()
    mixed = tl.repository(store, EXACT, cache=CACHED)
    one = Mixed(
        'a"\\é\n',
        uuid.UUID(int=7),
        Decimal("1.50"),
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12, 0, 0, 7, tzinfo=dt.UTC),
        True,
        0,
    )
    other = msgspec.structs.replace(one, text="b")
    mixed.create_many([one, other]).unwrap()
    for row in (one, other):
        assert mixed.get_by_id(EXACT.key_of(row)) == tl.Success(row)
    raw.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
    raw.execute("UPDATE mixed SET n = 7 WHERE text <> 'b'")
    caught_up(store)
    assert is_hit(store, lambda: mixed.get_by_id(EXACT.key_of(other)))
    found = mixed.get_by_id(EXACT.key_of(one))
    assert found == tl.Success(msgspec.structs.replace(one, n=7))


class Reading(msgspec.Struct, frozen=True):
    """An entity whose key is not announced exactly."""

    at: float
    n: int


def test_keys_that_are_not_exact_stand_for_the_table(opened: Open, raw: Raw) -> None:
    table = tl.table(Reading, name="readings", key=lambda r: r.at)
    store = opened()
    store.create_table(table).unwrap()
    store.install_backplane([table]).unwrap()
    readings = tl.repository(store, table, cache=CACHED)
    readings.create(Reading(0.1, 0)).unwrap()
    readings.get_by_id(0.1).unwrap()
    raw.execute("SET extra_float_digits = -10; UPDATE readings SET n = 7")
    caught_up(store)
    assert readings.get_by_id(0.1) == tl.Success(Reading(0.1, 7))


def test_a_key_that_the_database_takes_for_another_is_not_cached(opened: Open, raw: Raw) -> None:
    class Word(msgspec.Struct, frozen=True):
        word: str
        n: int

    table = tl.table(Word, name="words", key=lambda w: w.word)
    raw.execute("CREATE TABLE words (word char(3) PRIMARY KEY, n bigint NOT NULL)")
    store = opened()
    store.install_backplane([table]).unwrap()
    words = tl.repository(store, table, cache=CACHED)
    words.create(Word("a", 0)).unwrap()
    assert words.get_by_id("a") == tl.Success(Word("a  ", 0))
    raw.execute("UPDATE words SET n = 7")
    caught_up(store)
    assert words.get_by_id("a") == tl.Success(Word("a  ", 7))


def test_a_table_that_announces_nothing_is_not_cached(
    opened: Open, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened()
    store.create_table(OWNERS).unwrap()
    owners = tl.repository(store, OWNERS, cache=CACHED)
    owners.create(Owner(1, "a")).unwrap()
    assert owners.get_by_id(1) == tl.Success(Owner(1, "a"))
    raw.execute("UPDATE owners SET name = 'b'")
    assert owners.get_by_id(1) == tl.Success(Owner(1, "b"))
    assert store.backplane is not None
    (silent,) = store.backplane.health().silent_tables
    assert silent.endswith(".owners")
    assert "install_backplane" in caplog.text
    # What was read before it announces is not served after.
    raw.execute("UPDATE owners SET name = 'c'")
    store.install_backplane([OWNERS]).unwrap()
    caught_up(store)
    assert owners.get_by_id(1) == tl.Success(Owner(1, "c"))
    assert is_hit(store, lambda: owners.get_by_id(1))
    store.uninstall_backplane([OWNERS]).unwrap()
    caught_up(store)
    raw.execute("UPDATE owners SET name = 'd'")
    assert owners.get_by_id(1) == tl.Success(Owner(1, "d"))


def test_triggers_are_installed_again_and_taken_back_again(opened: Open, raw: Raw) -> None:
    store = opened()
    store.install_backplane([PAGES, PAGES]).unwrap()
    for _ in range(2):
        store.uninstall_backplane([PAGES]).unwrap()
    left = raw.execute("SELECT count(*) FROM pg_proc WHERE proname LIKE 'tierline%'").fetchone()
    assert left == (0,)
    missing = tl.table(Page, name="missing", key=lambda p: p.id)
    failure(store.install_backplane([missing]), tl.QueryError)


def test_a_fill_that_lacks_an_announced_change_is_refused(opened: Open, raw: Raw) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create(page(1)).unwrap()
    caught_up(store)
    fetched, go_on = threading.Event(), threading.Event()
    plain = tl.repository(store, PAGES)

    def slow_look(keys: int, *, latest: bool) -> Fetched[list[Seen]]:
        found = plain._look(keys, latest=latest)
        fetched.set()
        assert go_on.wait(10)
        return found

    slow_read = store.caches.open(PAGES, CACHED).reader(plain.get_by_id, slow_look)
    answers: list[Any] = []
    late = threading.Thread(target=lambda: answers.append(slow_read(1)))
    late.start()
    assert fetched.wait(10)
    raw.execute("UPDATE pages SET version = 7")
    caught_up(store)
    go_on.set()
    late.join(10)
    assert answers == [tl.Success(page(1))]  # it began before the change, so it may be old
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


def test_what_is_missed_while_nobody_listens_is_not_served_after(opened: Open, raw: Raw) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create(page(1)).unwrap()
    pages.get_by_id(1).unwrap()
    assert store.backplane is not None
    caught_up(store)
    with raw.transaction():
        raw.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE query LIKE 'NOTIFY tierline%'"
        )
        raw.execute("ALTER TABLE pages DISABLE TRIGGER USER; UPDATE pages SET version = 7")
        raw.execute("ALTER TABLE pages ENABLE TRIGGER USER")
    wait_until(lambda: store.backplane.health().starts == 2)  # type: ignore[union-attr]
    caught_up(store)
    assert pages.get_by_id(1) == tl.Success(page(1, 7))


@pytest.mark.parametrize("message", ["", "nonsense", '["a","b",["c"],"x",null]', '{"v":2}'])
def test_a_message_that_cannot_be_read_stands_for_anything(
    opened: Open, raw: Raw, message: str
) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create(page(1)).unwrap()
    pages.get_by_id(1).unwrap()
    raw.execute("SELECT pg_notify('tierline', %s)", (message,))
    wait_until(lambda: store.backplane.health().starts == 2)  # type: ignore[union-attr]
    assert not is_hit(store, lambda: pages.get_by_id(1))


def test_nothing_is_served_beyond_the_horizon(opened: Open, raw: Raw) -> None:
    store = opened(max_staleness_s=0.2)
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create(page(1)).unwrap()
    pages.get_by_id(1).unwrap()
    # The horizon is near, and a machine that stands still is soon beyond it.
    wait_until(lambda: is_hit(store, lambda: pages.get_by_id(1)))
    assert store.backplane is not None
    store.backplane.close()
    time.sleep(0.25)
    raw.execute("UPDATE pages SET version = 7")
    assert pages.get_by_id(1) == tl.Success(page(1, 7))
    assert store.backplane.health().age_s > 0.2


def test_a_transaction_is_heard_when_it_commits(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = (tl.repository(one, PAGES, cache=CACHED) for one in (store, other))
    pages.create(page(1)).unwrap()
    caught_up(other)
    cached.get_by_id(1).unwrap()

    def change(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        inside = tl.repository(tx, PAGES, cache=CACHED)
        inside.update(page(1, 7)).unwrap()
        assert inside.get_by_id(1) == tl.Success(page(1, 7))
        # Nobody else sees it, and what they read meanwhile is cached and right.
        assert cached.get_by_id(1) == tl.Success(page(1))
        return tl.Success(0)

    store.transaction(change).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1, 7))
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1, 7))


def test_get_many_and_loaders_fill_with_snapshots(opened: Open, raw: Raw) -> None:
    store = opened()
    pages = tl.repository(store, PAGES, cache=CACHED)
    pages.create_many([page(1), page(2)]).unwrap()
    caught_up(store)
    assert pages.get_many([1, 2, 3]) == tl.Success({1: page(1), 2: page(2)})
    assert is_hit(store, lambda: pages.get_by_id(2))
    raw.execute("UPDATE pages SET version = 7 WHERE id = 2")
    caught_up(store)
    with store.loader(PAGES) as load:
        assert load.many([1, 2]) == tl.Success({1: page(1), 2: page(2, 7)})
    assert is_hit(store, lambda: pages.get_by_id(2))


@pytest.mark.parametrize(
    ("option", "says"),
    [({"backplane": "kafka"}, "backplane"), ({"max_staleness_s": 0.01}, "max_staleness_s")],
)
def test_options_that_cannot_work_are_refused(
    pg_url: str, option: dict[str, Any], says: str
) -> None:
    failure(tl.connect(pg_url, **{"backplane": "postgres", **option}), tl.ConfigurationError, says)
