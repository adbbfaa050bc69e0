"""Writes by value on PostgreSQL 18 and 16: answers, caches, races and hostile input."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import ITEMS, OWNERS, PAGES, Item, Owner, Page, failure, item, items, page

import tierline as tl


class Post(msgspec.Struct, frozen=True):
    id: int
    title: str
    owner: int | None = None
    version: int = 1
    gone: dt.datetime | None = None


POSTS = (
    tl.table(
        Post,
        name="posts",
        key=lambda p: p.id,
        version=lambda p: p.version,
        deleted_at=lambda p: p.gone,
    )
    .unique(lambda p: p.title)
    .foreign_key(lambda p: p.owner, OWNERS)
)

Stock = tl.Repository[Item, int]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, pool_size=4, timeout_s=10) as opened:
        for table in (OWNERS, ITEMS, POSTS, PAGES):
            opened.create_table(table).unwrap()
        yield opened


@pytest.fixture
def raw(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url_each, autocommit=True, connect_timeout=10) as connection:
        yield connection


# Answers


def test_a_write_answers_with_how_many_rows_it_changed(store: tl.Store) -> None:
    assert store.execute(tl.insert(ITEMS, items(3))) == tl.Success(3)
    update = tl.update(ITEMS, set=lambda i: tl.set(i.note).to("n"), where=lambda i: i.id > 0)
    assert store.execute(update) == tl.Success(2)
    assert store.execute(update) == tl.Success(2)
    assert store.execute(tl.delete(ITEMS, where=lambda i: i.id == 9)) == tl.Success(0)
    assert store.execute(tl.delete(ITEMS, where=tl.everything)) == tl.Success(3)


def test_a_write_answers_with_any_shape(store: tl.Store) -> None:
    whole = tl.insert(ITEMS, items(2), returning=lambda i: i)
    assert store.fetch_all(whole) == tl.Success(items(2))
    pairs = tl.update(
        ITEMS,
        set=lambda i: tl.set(i.quantity).to(i.quantity + 1),
        where=lambda i: i.id == 1,
        returning=lambda i: (i.sku, i.quantity + 10),
    )
    assert store.fetch_one(pairs) == tl.Success(("sku-1", 11))
    assert store.fetch_one(pairs) == tl.Success(("sku-1", 12))
    gone = tl.delete(ITEMS, where=lambda i: i.id == 0, returning=lambda i: Owner(i.id, i.sku))
    assert store.fetch_maybe(gone) == tl.Success(Owner(0, "sku-0"))
    assert store.fetch_maybe(gone) == tl.Success(None)
    failure(store.fetch_one(gone), tl.NotFoundError)


def test_one_row_is_wanted_and_the_write_stays_done(store: tl.Store) -> None:
    whole = tl.insert(ITEMS, items(2), returning=lambda i: i.id)
    failure(store.fetch_one(whole), tl.QueryError, "the write is done")
    assert store.count(tl.select(ITEMS)) == tl.Success(2)


def test_upserts_do_what_they_say(store: tl.Store) -> None:
    store.execute(tl.insert(ITEMS, item(1, quantity=2, note="old"))).unwrap()
    stored = tl.select(ITEMS, where=lambda i: i.id == 1)
    new = item(1, quantity=5, note="new", sku="other")

    assert store.execute(tl.upsert(ITEMS, new, ignore=True)) == tl.Success(0)
    assert store.fetch_one(stored) == tl.Success(item(1, quantity=2, note="old"))
    store.execute(tl.upsert(ITEMS, new, overwrite=lambda i: i.note)).unwrap()
    assert store.fetch_one(stored) == tl.Success(item(1, quantity=2, note="new"))
    added = tl.upsert(
        ITEMS,
        new,
        merge=lambda old, new: tl.set(old.quantity).to(old.quantity + new.quantity),
        where=lambda old, new: old.quantity < new.quantity,
        returning=lambda i: i.quantity,
    )
    assert store.fetch_maybe(added) == tl.Success(7)
    assert store.fetch_maybe(added) == tl.Success(None)
    by_sku = tl.upsert(ITEMS, item(9, sku="sku-1"), target=lambda i: i.sku)
    assert store.execute(by_sku) == tl.Success(1)
    assert store.fetch_one(stored) == tl.Success(item(1))
    assert store.execute(tl.upsert(ITEMS, [item(1, note="x"), item(2)])) == tl.Success(2)


def test_errors_name_fields_and_hold_no_values(store: tl.Store) -> None:
    store.execute(tl.insert(ITEMS, item(1, sku="very-secret"))).unwrap()
    for write, kind, field in (
        (tl.insert(ITEMS, item(2, sku="very-secret")), tl.DuplicateError, "sku"),
        (tl.insert(ITEMS, item(3, owner=4_044_404)), tl.ConstraintError, "owner"),
        (
            tl.update(ITEMS, set=lambda i: tl.set(i.quantity).to(-4_044_404), where=tl.everything),
            tl.ConstraintError,
            "quantity",
        ),
    ):
        error = failure(store.execute(write), kind)
        assert (error.operation, error.table, error.fields) == ("execute", "items", (field,))
        assert "secret" not in repr(error)
        assert "4044404" not in repr(error)
    bad = failure(store.execute(tl.insert(ITEMS, item(4, sku="x"))), tl.ValidationError)
    assert (bad.operation, bad.table) == ("execute", "items")


def test_a_query_is_not_executed(store: tl.Store) -> None:
    execute: Any = store.execute
    for wrong in (tl.select(ITEMS), tl.insert(ITEMS, item(1), returning=lambda i: i.id), "x"):
        with pytest.raises(TypeError, match="fetch_all, fetch_one or fetch_maybe"):
            execute(wrong)


def test_queries_in_writes_see_the_written_row(store: tl.Store) -> None:
    store.execute(tl.insert(OWNERS, [Owner(1, "one"), Owner(2, "two")])).unwrap()
    store.execute(tl.insert(ITEMS, [item(1, owner=1), item(2)])).unwrap()
    named = tl.update(
        ITEMS,
        set=lambda i: tl.set(i.note).to(
            tl.scalar(
                tl.project(tl.select(OWNERS, where=lambda o: o.id == i.owner), lambda o: o.name)
            )
        ),
        where=lambda i: tl.exists(tl.select(OWNERS, where=lambda o: o.id == i.owner)),
        returning=lambda i: (i.id, i.note),
    )
    assert store.fetch_all(named) == tl.Success([(1, "one")])
    unused = tl.delete(
        OWNERS,
        where=lambda o: tl.not_(tl.exists(tl.select(ITEMS, where=lambda i: i.owner == o.id))),
        returning=lambda o: o.id,
    )
    assert store.fetch_all(unused) == tl.Success([2])


def test_reads_of_several_sources_leave_deleted_rows_out(store: tl.Store) -> None:
    store.execute(tl.insert(OWNERS, [Owner(1, "one"), Owner(2, "two")])).unwrap()
    posts = tl.repository(store, POSTS)
    posts.create_many([Post(1, "a", 1), Post(2, "b", 1), Post(3, "c", 2)]).unwrap()
    posts.delete_many([1, 3]).unwrap()
    pairs = tl.join(OWNERS, POSTS, on=lambda o, p: o.id == p.owner)
    assert store.fetch_all(tl.project(pairs, lambda o, p: p.id)) == tl.Success([2])
    turned = tl.join(POSTS, OWNERS, on=lambda p, o: o.id == p.owner)
    assert store.fetch_all(tl.project(turned, lambda p, o: p.id)) == tl.Success([2])
    left = tl.left_join(OWNERS, POSTS, on=lambda o, p: o.id == p.owner)
    rows = store.fetch_all(tl.order_by(left, lambda o, p: o.id)).unwrap()
    assert [(owner.id, post and post.id) for owner, post in rows] == [(1, 2), (2, None)]
    having = tl.semi_join(OWNERS, POSTS, on=lambda o, p: o.id == p.owner)
    assert store.fetch_all(having) == tl.Success([Owner(1, "one")])
    everything = tl.join(
        OWNERS, tl.select(POSTS, include_deleted=True), on=lambda o, p: o.id == p.owner
    )
    assert store.count(everything) == tl.Success(3)


# Hostile values


HOSTILE = ["'; DROP TABLE canary; --", "$1", "%s %", "\\'", "ä\u2028\U0001f600", '"', "/* */", ""]


@pytest.mark.parametrize("value", HOSTILE)
def test_values_travel_as_they_are(
    store: tl.Store, raw: psycopg.Connection[Any], value: str
) -> None:
    raw.execute("CREATE TABLE canary (id int)")
    store.execute(tl.insert(OWNERS, [Owner(1, value), Owner(2, "two")])).unwrap()
    answer = store.fetch_one(
        tl.update(
            OWNERS,
            set=lambda o: tl.set(o.name).to(o.name + value),
            where=lambda o: o.name == value,
            returning=lambda o: o.name,
        )
    )
    assert answer == tl.Success(value + value)
    merged = tl.upsert(
        OWNERS,
        Owner(1, value),
        merge=lambda old, new: tl.set(old.name).to(new.name + value),
        returning=lambda o: o,
    )
    assert store.fetch_one(merged) == tl.Success(Owner(1, value + value))
    assert tl.repository(store, OWNERS).upsert_many([Owner(3, value)]) == tl.Success(1)
    assert raw.execute("SELECT name FROM owners WHERE id = 3").fetchone() == (value,)
    assert raw.execute("SELECT count(*) FROM canary").fetchone() == (0,)


def test_a_text_that_cannot_be_stored_is_a_bad_field(store: tl.Store) -> None:
    nul = tl.update(OWNERS, set=lambda o: tl.set(o.name).to("\0"), where=tl.everything)
    failure(store.execute(nul), tl.ValidationError, "NUL")


# Bulk


def test_a_bulk_write_leaves_nothing_behind(store: tl.Store, raw: psycopg.Connection[Any]) -> None:
    stock = tl.repository(store, ITEMS)
    for _ in range(3):
        assert stock.upsert_many(items(50)) == tl.Success(50)
        failure(stock.upsert_many([item(1), item(2, owner=7)]), tl.ConstraintError)
        failure(stock.update_many([item(99)]), tl.NotFoundError)
    left = raw.execute("SELECT count(*) FROM pg_class WHERE relname = 'tierline_staged'").fetchone()
    assert left == (0,)
    assert store.database.stats().in_use == 0


def test_a_bulk_write_follows_a_column_that_changes(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    stock = tl.repository(store, ITEMS)
    stock.upsert_many(items(3)).unwrap()
    for kind in ("integer", "smallint", "bigint"):
        raw.execute(f"ALTER TABLE items ALTER quantity TYPE {kind}")
        for _ in range(3):
            assert stock.upsert_many([item(1, quantity=5)]) == tl.Success(1)
            assert stock.update_many([item(2, quantity=6)]) == tl.Success(1)
    assert stock.get_many([1, 2]) == tl.Success({1: item(1, quantity=5), 2: item(2, quantity=6)})


def test_bulk_writes_of_the_same_rows_do_not_lock_up(store: tl.Store) -> None:
    stock = tl.repository(store, ITEMS)

    def write(turn: int) -> tl.Result[int, tl.RepositoryError]:
        batch = items(200)
        return stock.upsert_many(batch[::-1] if turn % 2 else batch)

    with ThreadPoolExecutor(4) as threads:
        assert set(map(repr, threads.map(write, range(24)))) == {repr(tl.Success(200))}


@pytest.mark.parametrize("count", [1_000, 1_001])
def test_small_and_large_batches_are_written_alike(store: tl.Store, count: int) -> None:
    stock = tl.repository(store, ITEMS)
    batch = [item(n, note=None if n % 2 else f"n{n}", sku=f"ä'{n}") for n in range(count)]
    stock.create(item(0)).unwrap()
    sent: list[int] = []
    assert stock.upsert_many(batch, progress=sent.append) == tl.Success(count)
    assert sum(sent) == count
    assert stock.list(order_by=lambda i: i.id) == tl.Success(batch)
    posts = tl.repository(store, POSTS)
    assert posts.upsert_many([Post(n, str(n)) for n in range(count)]) == tl.Success(count)
    assert posts.upsert_many([Post(n, f"{n}!") for n in range(count)]) == tl.Success(count)
    assert posts.count(version=2, gone=None) == tl.Success(count)


# Races


def test_of_many_callers_one_creates(store: tl.Store) -> None:
    stock = tl.repository(store, ITEMS)
    for turn in range(10):
        barrier = threading.Barrier(4)

        def get(n: int, turn: int = turn, barrier: threading.Barrier = barrier) -> Any:
            barrier.wait(10)
            return stock.get_or_create(item(turn, note=str(n))).unwrap()

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(get, range(4)))
        assert sorted(created for _, created in answers) == [False, False, False, True]
        assert len({entity.note for entity, _ in answers}) == 1


def test_of_many_writers_of_one_version_one_wins(store: tl.Store) -> None:
    posts = tl.repository(store, POSTS, cache=tl.read_through(ttl_s=60))
    posts.create(Post(1, "0")).unwrap()

    def add_one(_: int) -> int:
        conflicts = 0
        while True:
            post = posts.get_by_id(1).unwrap()
            result = posts.update(tl.change(post, title=str(int(post.title) + 1)))
            if isinstance(result, tl.Success):
                return conflicts
            assert failure(result, tl.ConflictError).expected == post.version
            conflicts += 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(40)))
    last = posts.get_by_id(1).unwrap()
    assert (last.title, last.version) == ("40", 41)


# Caches


@pytest.fixture
def tiers(pg_url: str, redis_url: str, redis_prefix: str) -> Generator[tl.Store]:
    with tl.open(pg_url, redis=redis_url, prefix=redis_prefix, timeout_s=10) as opened:
        opened.create_table(PAGES).unwrap()
        yield opened


@pytest.mark.parametrize(
    "write",
    [
        tl.update(PAGES, set=lambda p: tl.set(p.version).to(7), where=lambda p: p.id == 1),
        tl.update(PAGES, set=lambda p: tl.set(p.version).to(7), where=tl.everything),
        tl.upsert(PAGES, page(1, version=7)),
        tl.upsert(PAGES, [page(1, version=7), page(5)]),
    ],
    ids=["update", "update everything", "upsert", "upsert many"],
)
def test_no_tier_serves_what_was_before_a_write_by_value(tiers: tl.Store, write: Any) -> None:
    pages = tl.repository(tiers, PAGES, cache=tl.read_through(ttl_s=600))
    pages.create_many([page(1), page(2)]).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1))
    tiers.execute(write).unwrap()
    assert pages.get_by_id(1).unwrap().version == 7
    assert pages.get_many([1]).unwrap()[1].version == 7


def test_rows_that_a_write_does_not_touch_stay_cached(tiers: tl.Store) -> None:
    pages = tl.repository(tiers, PAGES, cache=tl.read_through(ttl_s=600))
    pages.create_many([page(1), page(2)]).unwrap()
    pages.get_many([1, 2]).unwrap()
    before = tiers.stats()
    tiers.execute(tl.delete(PAGES, where=lambda p: p.id == 2)).unwrap()
    failure(pages.get_by_id(2), tl.NotFoundError)
    assert pages.get_by_id(1) == tl.Success(page(1))
    hits = [stats.tiers[0].hits for stats in (before, tiers.stats())]
    assert hits[1] - hits[0] == 1


@pytest.mark.parametrize(
    "returning",
    [
        tl.update(
            PAGES,
            set=lambda p: tl.set(p.version).to(7),
            where=lambda p: p.id == 1,
            returning=lambda p: p,
        ),
        tl.update(
            PAGES,
            set=lambda p: tl.set(p.version).to(7),
            where=lambda p: p.id == 1,
            returning=lambda p: p.slug,
        ),
    ],
    ids=["entity", "field"],
)
def test_no_tier_serves_what_was_before_a_write_that_answers(
    tiers: tl.Store, returning: Any
) -> None:
    pages = tl.repository(tiers, PAGES, cache=tl.read_through(ttl_s=600))
    pages.create(page(1)).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1))
    tiers.fetch_all(returning).unwrap()
    assert pages.get_by_id(1).unwrap().version == 7


def test_a_moved_key_is_forgotten_under_both_names(tiers: tl.Store) -> None:
    pages = tl.repository(tiers, PAGES, cache=tl.read_through(ttl_s=600))
    pages.create(page(1)).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1))
    moved = tl.update(PAGES, set=lambda p: tl.set(p.id).to(2), where=lambda p: p.id == 1)
    assert tiers.execute(moved) == tl.Success(1)
    failure(pages.get_by_id(1), tl.NotFoundError)
    assert pages.get_by_id(2) == tl.Success(Page(2, "page-1"))


def test_an_upsert_by_unique_value_forgets_the_stored_key(
    tiers: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    by_slug = tl.table(Page, name="slugs", key=lambda p: p.id).unique(lambda p: p.slug)
    tiers.create_table(by_slug).unwrap()
    pages = tl.repository(tiers, by_slug, cache=tl.read_through(ttl_s=600))
    pages.create(page(1)).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1))
    other = msgspec.structs.replace(page(1, version=7), id=2)
    tiers.execute(
        tl.upsert(by_slug, other, target=lambda p: p.slug, overwrite=lambda p: p.version)
    ).unwrap()
    assert pages.get_by_id(1) == tl.Success(page(1, version=7))


def test_a_stale_version_is_not_served_again(pg_url: str) -> None:
    with tl.open(pg_url) as store, tl.open(pg_url) as elsewhere:
        for table in (OWNERS, POSTS):
            store.create_table(table).unwrap()
        here = tl.repository(store, POSTS, cache=tl.read_through(ttl_s=600))
        there = tl.repository(elsewhere, POSTS)
        post = here.create(Post(1, "a")).unwrap()
        assert here.get_by_id(1) == tl.Success(post)
        newer = there.update(tl.change(post, title="b")).unwrap()
        failure(here.update(tl.change(post, title="c")), tl.ConflictError)
        assert here.get_by_id(1) == tl.Success(newer)
