"""Results of cached queries under the backplane: what anybody changes is heard there too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.real.helpers import PAGES, Page, page, wait_until
from tests.real.test_backplane import caught_up, opened  # noqa: F401 - a fixture

import tierline as tl
from tierline.cache import own_writes

Raw = psycopg.Connection[Any]
Open = Callable[..., tl.Store]

OLD = tl.cached_query(tl.select(PAGES, where=lambda p: p.version == 0), ttl_s=600)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, what is heard waits for its writer, or for a heartbeat."""
    monkeypatch.setattr(own_writes, "_GRACE_S", 600.0)


def served(store: tl.Store) -> int:
    """How many reads of cached queries were answered by what is kept."""
    return next(tier.hits for tier in store.stats().tiers if tier.tier == "L1 queries")


def keep(store: tl.Store) -> list[Page]:
    """A result that is kept, and seen to be."""
    first = store.fetch_all(OLD).unwrap()
    before = served(store)
    assert store.fetch_all(OLD).unwrap() == first
    assert served(store) == before + 1
    return first


def test_what_anybody_changes_drops_the_result(opened: Open, raw: Raw) -> None:  # noqa: F811
    store = opened()
    tl.repository(store, PAGES).create_many([page(1), page(2)]).unwrap()
    caught_up(store)
    assert len(keep(store)) == 2
    raw.execute("UPDATE pages SET version = 7 WHERE id = 1")
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([page(2)])


def test_the_stores_own_writes_are_seen_with_an_l2_too(
    opened: Open,  # noqa: F811
    redis_url: str,
    redis_prefix: str,
) -> None:
    store = opened(redis=redis_url, prefix=redis_prefix)
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1), page(2, version=3)]).unwrap()
    caught_up(store)
    keep(store)
    pages.update(page(2, version=4)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([page(1)])
    pages.update(page(2)).unwrap()
    assert store.fetch_all(OLD).map(len) == tl.Success(2)


def test_another_stores_write_drops_it(opened: Open) -> None:  # noqa: F811
    store, other = opened(), opened()
    tl.repository(store, PAGES).create(page(1)).unwrap()
    caught_up(store)
    keep(store)
    tl.repository(other, PAGES).update(page(1, version=2)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD) == tl.Success([])


def spared(store: tl.Store) -> int:
    """How many own announcements have dropped nothing."""
    assert store.backplane is not None
    return store.backplane.health().spared


@pytest.mark.parametrize("tier", ["L1", "L2"])
def test_own_writes_that_do_not_concern_a_result_leave_it_when_they_are_heard(
    opened: Open,  # noqa: F811
    redis_url: str,
    redis_prefix: str,
    tier: str,
) -> None:
    options: dict[str, Any] = {"redis": redis_url, "prefix": redis_prefix} if tier == "L2" else {}
    store = opened(**options)
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1), page(2, version=3)]).unwrap()
    caught_up(store)
    keep(store)
    pages.update(page(2, version=4)).unwrap()
    store.execute(
        tl.update(PAGES, set=lambda p: tl.set(p.version).to(5), where=lambda p: p.id == 2)
    ).unwrap()
    pages.create(page(3, version=3)).unwrap()
    pages.delete(3).unwrap()

    def change(tx: tl.Transaction) -> tl.Result[Page, tl.RepositoryError]:
        return tl.repository(tx, PAGES).update(page(2, version=6))

    store.transaction(change).unwrap()
    caught_up(store)
    before = served(store)
    assert store.fetch_all(OLD) == tl.Success([page(1)])
    assert served(store) == before + 1
    assert spared(store) == 5


def test_raw_sql_in_the_same_transaction_drops_it(opened: Open) -> None:  # noqa: F811
    store = opened()
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1), page(2, version=3)]).unwrap()
    caught_up(store)
    keep(store)

    def change(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
        tl.repository(tx, PAGES).update(page(2, version=4)).unwrap()
        # The same row, so that the two announcements are the same but for who tells.
        tx.execute(tl.sql("UPDATE pages SET version = 0 WHERE id = 2")).unwrap()
        return tl.Success(0)

    store.transaction(change).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD).map(len) == tl.Success(2)


def test_what_a_trigger_writes_meanwhile_drops_it(opened: Open, raw: Raw) -> None:  # noqa: F811
    store = opened()
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1, version=2), page(2, version=3)]).unwrap()
    caught_up(store)
    assert keep(store) == []
    raw.execute(
        "CREATE FUNCTION reset() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE pages SET version = 0 WHERE id = NEW.id; RETURN NULL; END $$;"
        "CREATE TRIGGER reset AFTER UPDATE ON pages FOR EACH ROW WHEN (NEW.version = 4) "
        "EXECUTE FUNCTION reset()"
    )
    pages.update(page(2, version=4)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD).map(len) == tl.Success(1)


def test_an_own_write_whose_answer_is_lost_drops_it_with_the_heartbeat(
    opened: Open,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = opened()
    pages = tl.repository(store, PAGES)
    pages.create_many([page(1), page(2, version=3)]).unwrap()
    caught_up(store)
    keep(store)
    # As if the thread that wrote stood still behind its COMMIT.
    with monkeypatch.context() as stopped:
        stopped.setattr(store.caches, "invalidate", lambda *_, **__: None)
        pages.update(page(2)).unwrap()
    caught_up(store)
    assert store.fetch_all(OLD).map(len) == tl.Success(2)
    assert spared(store) == 0


def test_nothing_is_served_beyond_the_horizon(opened: Open, raw: Raw) -> None:  # noqa: F811
    store = opened(max_staleness_s=0.5)
    tl.repository(store, PAGES).create(page(1)).unwrap()
    caught_up(store)
    keep(store)
    assert store.backplane is not None
    store.backplane.close()
    wait_until(lambda: store.backplane is not None and store.backplane.health().age_s > 0.5)
    raw.execute("UPDATE pages SET version = 7")
    assert store.fetch_all(OLD) == tl.Success([])
