"""What reads and writes do under cache-aside and write-through."""

from __future__ import annotations

import msgspec
import psycopg
import pytest
from tests.real.helpers import PAGES, OpenStore, Page, page

import tierline as tl
from tierline.testing import RedisServer, redis_server

THROUGH = tl.write_through(ttl_s=60)


def loads(store: tl.Store) -> int:
    """How many rows L3 was read for."""
    return store.stats().tiers[-1].loads


def tier(store: tl.Store, name: str) -> tl.TierStats:
    return next(one for one in store.stats().tiers if one.tier == name)


@pytest.mark.parametrize("verb", ["create", "update", "upsert", "get_or_create", "change"])
def test_a_read_after_a_write_through_is_a_hit_in_l1(verb: str, tiered: tl.Store) -> None:
    pages = tl.repository(tiered, PAGES, cache=THROUGH)
    if verb in ("update", "change"):
        pages.create(page(1, 1)).unwrap()
    match verb:
        case "create":
            pages.create(page(1, 2)).unwrap()
        case "update":
            pages.update(page(1, 2)).unwrap()
        case "upsert":
            pages.upsert(page(1, 2)).unwrap()
        case "change":
            pages.update(tl.change(page(1, 1), version=2)).unwrap()
        case _:
            assert pages.get_or_create(page(1, 2)).unwrap() == (page(1, 2), True)
    before, hits = loads(tiered), tier(tiered, "L1 pages").hits
    assert pages.get_by_id(1) == tl.Success(page(1, 2))
    assert (loads(tiered), tier(tiered, "L1 pages").hits) == (before, hits + 1)


def test_l2_has_what_was_written_through(open_store: OpenStore) -> None:
    tl.repository(open_store(), PAGES, cache=THROUGH).create(page(1, 1)).unwrap()
    other = open_store()
    assert tl.repository(other, PAGES, cache=THROUGH).get_by_id(1) == tl.Success(page(1, 1))
    assert tier(other, "L2").hits == 1
    assert loads(other) == 0


@pytest.mark.parametrize("verb", ["create_many", "upsert_many", "update_many"])
def test_rows_of_a_bulk_write_are_hits(verb: str, tiered: tl.Store) -> None:
    pages = tl.repository(tiered, PAGES, cache=THROUGH)
    rows = [page(id_, 2) for id_ in range(20)]
    if verb == "update_many":
        pages.create_many(page(id_, 1) for id_ in range(20)).unwrap()
    assert getattr(pages, verb)(iter(rows)) == tl.Success(20)
    before = loads(tiered)
    assert pages.get_many(range(20)).unwrap() == {row.id: row for row in rows}
    assert loads(tiered) == before


def test_with_a_backplane_the_value_that_is_kept_includes_the_write(
    pg_url: str, redis_url: str, redis_prefix: str
) -> None:
    with tl.open(pg_url, redis=redis_url, prefix=redis_prefix, backplane="postgres") as store:
        store.create_table(PAGES).unwrap()
        store.install_backplane([PAGES]).unwrap()
        pages = tl.repository(store, PAGES, cache=THROUGH)
        assert store.backplane is not None
        assert store.backplane.catch_up(10)
        for version in range(1, 20):
            pages.upsert(page(1, version)).unwrap()
            assert store.backplane.catch_up(10)
            assert pages.get_by_id(1) == tl.Success(page(1, version))
        hits = tier(store, "L1 pages").hits
        # What was announced of the write itself does not drop what includes it.
        assert hits >= 19


def test_what_l3_refused_is_in_no_tier(open_store: OpenStore) -> None:
    store = open_store()
    pages = tl.repository(store, PAGES, cache=THROUGH)
    pages.create(page(1, 1)).unwrap()
    assert isinstance(pages.create(page(1, 2)).failure(), tl.DuplicateError)
    assert isinstance(pages.update(page(2, 2)).failure(), tl.NotFoundError)
    assert pages.get_by_id(1) == tl.Success(page(1, 1))
    assert isinstance(pages.get_by_id(2).failure(), tl.NotFoundError)
    other = tl.repository(open_store(), PAGES, cache=THROUGH)
    assert other.get_by_id(1) == tl.Success(page(1, 1))


def test_what_a_trigger_makes_of_the_row_is_what_is_kept(tiered: tl.Store, pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as raw:
        raw.execute(
            "CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "UPDATE pages SET version = version + 100 WHERE id = NEW.id; RETURN NULL; END $$"
        )
        raw.execute(
            "CREATE TRIGGER bump AFTER INSERT ON pages FOR EACH ROW EXECUTE FUNCTION bump()"
        )
    pages = tl.repository(tiered, PAGES, cache=THROUGH)
    pages.create(page(1, 1)).unwrap()
    before = loads(tiered)
    assert pages.get_by_id(1) == tl.Success(page(1, 101))
    assert loads(tiered) == before


def test_a_write_through_in_a_transaction_that_is_rolled_back_fills_nothing(
    tiered: tl.Store,
) -> None:
    pages = tl.repository(tiered, PAGES, cache=THROUGH)
    pages.create(page(1, 1)).unwrap()

    def refuse(tx: tl.Transaction) -> tl.Result[Page, tl.RepositoryError]:
        tl.repository(tx, PAGES, cache=THROUGH).update(page(1, 2)).unwrap()
        return tl.Failure(tl.QueryError("no"))

    assert isinstance(tiered.transaction(refuse), tl.Failure)
    assert pages.get_by_id(1) == tl.Success(page(1, 1))

    def keep(tx: tl.Transaction) -> tl.Result[Page, tl.RepositoryError]:
        return tl.repository(tx, PAGES, cache=THROUGH).update(page(1, 3))

    tiered.transaction(keep).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1, 3))


@pytest.fixture(scope="module")
def own_redis() -> RedisServer:
    """Where it is that may be killed."""
    with redis_server() as server:
        yield server  # type: ignore[misc]


def test_a_dead_redis_fails_no_write_through(open_store: OpenStore, own_redis: RedisServer) -> None:
    store = open_store(redis=own_redis.url)
    pages = tl.repository(store, PAGES, cache=THROUGH)
    pages.create(page(1, 1)).unwrap()
    own_redis.kill()
    assert pages.update(page(1, 2)) == tl.Success(page(1, 2))
    assert pages.get_by_id(1) == tl.Success(page(1, 2))
    own_redis.start()


def test_cache_aside_reads_l3_and_keeps_nothing(tiered: tl.Store, pg_url: str) -> None:
    aside = tl.repository(tiered, PAGES, cache=tl.cache_aside())
    aside.create(page(1, 1)).unwrap()
    assert aside.get_by_id(1) == tl.Success(page(1, 1))
    with psycopg.connect(pg_url, autocommit=True) as raw:
        raw.execute("UPDATE pages SET version = 2")
    assert aside.get_by_id(1) == tl.Success(page(1, 2))
    assert [one.tier for one in tiered.stats().tiers] == ["L2", "L3"]
    assert tier(tiered, "L2").loads == 0


def test_a_write_aside_is_seen_by_the_other_repositories_of_the_store(tiered: tl.Store) -> None:
    aside = tl.repository(tiered, PAGES, cache=tl.cache_aside())
    through = tl.repository(tiered, PAGES, cache=THROUGH)
    through.create(page(1, 1)).unwrap()
    aside.update(page(1, 2)).unwrap()
    assert through.get_by_id(1) == tl.Success(page(1, 2))


def test_what_is_no_strategy_is_refused(tiered: tl.Store) -> None:
    with pytest.raises(TypeError, match="read_through"):
        tl.repository(tiered, PAGES, cache=60)  # type: ignore[arg-type]
    assert msgspec.structs.asdict(THROUGH) == {"reads": tl.read_through(ttl_s=60)}
