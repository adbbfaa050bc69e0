"""Every way to write, and what cached queries hand out afterwards."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import wait_until

import tierline as tl


class Part(msgspec.Struct, frozen=True):
    id: int
    code: Annotated[str, msgspec.Meta(max_length=20)]
    colour: str
    price: Decimal
    stock: int | None
    tags: list[str]
    version: int = 1
    deleted_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


PLAIN = tl.table(Part, name="cached_parts", key=lambda p: p.id).unique(lambda p: p.code)
MANAGED = tl.table(
    Part,
    name="managed_parts",
    key=lambda p: p.id,
    version=lambda p: p.version,
    deleted_at=lambda p: p.deleted_at,
    updated_at=lambda p: p.updated_at,
).unique(lambda p: p.code)
COLOURS = ("red", "green", "blue")


def part(id_: int, colour: str = "red", stock: int | None = 0) -> Part:
    return Part(id_, f"c{id_}", colour, Decimal("1.50"), stock, ["a", "b"])


@pytest.fixture(params=[PLAIN, MANAGED], ids=["plain", "managed"])
def table(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def store(pg_url_each: str, table: Any) -> Generator[tl.Store]:
    with tl.open(pg_url_each, pool_size=4, timeout_s=15) as opened:
        opened.create_table(table).unwrap()
        made = [part(n, COLOURS[n % 3], None if n % 4 == 0 else n) for n in range(12)]
        tl.repository(opened, table).create_many(made).unwrap()
        yield opened


def questions(table: Any) -> list[tl.CachedQuery[Any]]:
    def cached(query: Any) -> tl.CachedQuery[Any]:
        return tl.cached_query(query, ttl_s=3600)

    def of_id(n: int) -> tl.Query[Any]:
        return tl.select(table, where=lambda p: p.id == n)

    def of_colour(c: str) -> tl.Query[Any]:
        return tl.select(table, where=lambda p: p.colour == c, order_by=lambda p: p.id)

    def stocked(n: int) -> tl.Query[Any]:
        held = tl.select(table, where=lambda p: tl.some(p.stock) > n)
        return tl.project(held, lambda p: tl.count())

    found = [cached(of_id(n)) for n in range(16)]
    found += [cached(of_colour(c)) for c in COLOURS]
    found += [cached(stocked(n)) for n in (0, 3, 6, 100)]
    found += [
        # Of the key alone: it is the same before and after, and the rows are not as many.
        cached(tl.project(tl.select(table, where=lambda p: p.id > 2), lambda p: tl.count())),
        cached(tl.project(tl.select(table), lambda p: tl.max(p.id))),
        cached(tl.project(tl.select(table), lambda p: (tl.sum(p.stock), tl.max(p.id)))),
        cached(
            tl.select(
                table,
                where=lambda p: p.id > 3,
                order_by=lambda p: (tl.desc(p.stock), p.id),
                limit=3,
            )
        ),
        cached(tl.select(table, where=lambda p: tl.is_null(p.stock), order_by=lambda p: p.id)),
    ]
    if table is MANAGED:
        found.append(cached(tl.select(table, order_by=lambda p: p.id, include_deleted=True)))
    return found


Way = Callable[[tl.Store, Any], Any]

WAYS: dict[str, Way] = {
    "create": lambda s, t: tl.repository(s, t).create(part(13, "blue", 7)),
    "update": lambda s, t: tl.repository(s, t).update(part(5, "red", 70)),
    "change": lambda s, t: tl.repository(s, t).update(
        tl.change(tl.unwrap(tl.repository(s, t).get_by_id(6)), stock=None)
    ),
    "upsert a row that is there": lambda s, t: tl.repository(s, t).upsert(part(4, "blue", 5)),
    "upsert a new row": lambda s, t: tl.repository(s, t).upsert(part(14, "blue", 5)),
    "get_or_create": lambda s, t: tl.repository(s, t).get_or_create(part(15, "blue", 5)),
    "delete": lambda s, t: tl.repository(s, t).delete(7),
    "purge": lambda s, t: tl.repository(s, t).purge(8),
    "create_many": lambda s, t: tl.repository(s, t).create_many([part(12), part(13, "blue", 9)]),
    "upsert_many": lambda s, t: tl.repository(s, t).upsert_many([part(1, "blue"), part(13)]),
    "update_many": lambda s, t: tl.repository(s, t).update_many([part(1, "blue", 50), part(2)]),
    "delete_many": lambda s, t: tl.repository(s, t).delete_many([1, 2, 99]),
    "update_where": lambda s, t: tl.repository(s, t).update_where(
        set=lambda p: tl.set(p.colour).to("blue"), where=lambda p: tl.some(p.stock) > 5
    ),
    "delete_where": lambda s, t: tl.repository(s, t).delete_where(lambda p: p.colour == "green"),
    "insert": lambda s, t: s.execute(tl.insert(t, [part(12), part(13, "blue", 9)])),
    "insert returning": lambda s, t: s.fetch_all(
        tl.insert(t, part(13, "blue", 9), returning=lambda p: (p.id, p.colour))
    ),
    "upsert by another rule": lambda s, t: s.execute(
        tl.upsert(
            t,
            msgspec.structs.replace(part(20, "blue", 9), code="c3"),
            target=lambda p: p.code,
            overwrite=lambda p: p.stock,
        )
    ),
    "upsert that ignores": lambda s, t: s.execute(
        tl.upsert(t, [part(3, "blue", 9), part(13)], ignore=True)
    ),
    "upsert that merges": lambda s, t: s.execute(
        tl.upsert(t, part(3, "x", 9), merge=lambda old, new: tl.set(old.stock).to(new.stock))
    ),
    "update that moves keys": lambda s, t: s.execute(
        tl.update(t, set=lambda p: tl.set(p.id).to(p.id + 100), where=lambda p: p.id < 4)
    ),
    "update returning": lambda s, t: s.fetch_all(
        tl.update(
            t,
            set=lambda p: tl.set(p.stock).to(8),
            where=lambda p: p.colour == "red",
            returning=lambda p: p,
        )
    ),
    "update by a query": lambda s, t: s.execute(
        tl.update(
            t,
            set=lambda p: tl.set(p.stock).to(8),
            where=lambda p: tl.is_in(
                p.id, tl.project(tl.select(t, where=lambda q: q.colour == "red"), lambda q: q.id)
            ),
        )
    ),
    "update of everything": lambda s, t: s.execute(
        tl.update(t, set=lambda p: tl.set(p.colour).to("red"), where=tl.everything)
    ),
    "delete returning": lambda s, t: s.fetch_all(
        tl.delete(t, where=lambda p: p.id < 3, returning=lambda p: p.code)
    ),
    "a transaction": lambda s, t: s.transaction(
        lambda tx: tl.repository(tx, t).update(part(5, "blue", 3))
    ),
    "drop": lambda s, t: (s.drop_table(t), s.create_table(t))[1],
}


@pytest.mark.parametrize("subscribed", [False, True], ids=["", "subscribed"])
@pytest.mark.parametrize("way", WAYS)
def test_every_write_leaves_no_stale_result(
    store: tl.Store, table: Any, way: str, subscribed: Any
) -> None:
    if subscribed:
        store.subscribe(table, lambda _: None)
    cached = questions(table)
    for query in cached:
        assert repr(store.fetch_all(query)) == repr(store.fetch_all(query.query))
    assert isinstance(WAYS[way](store, table), tl.Success)
    kept = store.caches.queries.stats().entries
    for query in cached:
        assert repr(store.fetch_all(query)) == repr(store.fetch_all(query.query))
    whole = ("drop", "upsert", "update of everything", "update_many", "create_many")
    if not way.startswith(whole):
        assert kept >= len(cached) * 0.4, store.stats()


def test_a_write_answers_the_same_whether_results_are_kept_or_not(
    store: tl.Store, table: Any
) -> None:
    def answers() -> list[str]:
        repository = tl.repository(store, table)
        found = [
            repository.update(part(5, "red", 70)),
            repository.update(part(77)),
            repository.delete(7),
            repository.delete(7),
            repository.delete_many([1, 2, 99]),
            repository.create(part(3)),
            repository.purge(8),
            store.execute(
                tl.update(table, set=lambda p: tl.set(p.stock).to(8), where=lambda p: p.id > 8)
            ),
            store.fetch_all(
                tl.update(
                    table,
                    set=lambda p: tl.set(p.stock).to(p.id),
                    where=lambda p: p.id > 8,
                    returning=lambda p: (p.stock, p.code),
                )
            ),
        ]
        return [repr(answer).partition("updated_at")[0] for answer in found]

    first = answers()
    store.drop_table(table).unwrap()
    store.create_table(table).unwrap()
    made = [part(n, COLOURS[n % 3], None if n % 4 == 0 else n) for n in range(12)]
    tl.repository(store, table).create_many(made).unwrap()
    assert store.count(tl.cached_query(tl.select(table), ttl_s=60)) == tl.Success(12)
    assert answers() == first


def test_an_update_tells_the_row_that_it_changed_and_not_one_before(
    pg_url_each: str,
) -> None:
    """Another session changes the row while the update waits for it."""
    with tl.open(pg_url_each) as store, psycopg.connect(pg_url_each) as other:
        store.create_table(PLAIN).unwrap()
        tl.unwrap(tl.repository(store, PLAIN).create(part(1, "red")))
        blue = tl.cached_query(tl.select(PLAIN, where=lambda p: p.colour == "blue"), ttl_s=3600)
        assert store.count(blue) == tl.Success(0)
        other.execute("UPDATE cached_parts SET colour = 'blue' WHERE id = 1")
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(tl.repository(store, PLAIN).update(part(1, "green")))
        )
        thread.start()
        with psycopg.connect(pg_url_each, autocommit=True) as watcher:
            waiting = (
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            )
            wait_until(lambda: watcher.execute(waiting).fetchone())
        other.commit()
        # A read between the two commits would have found the row; now it must be looked for again.
        thread.join(15)
        assert isinstance(answers[0], tl.Success)
        stats = store.caches.queries.stats()
        assert (stats.invalidated, stats.spared) == (1, 0)
        assert store.count(blue) == tl.Success(0)


class Priced(msgspec.Struct, frozen=True):
    id: int
    price: Decimal


def test_results_of_other_types_are_others(pg_url_each: str) -> None:
    class Other(msgspec.Struct, frozen=True):
        id: int
        price: Decimal

    with tl.open(pg_url_each) as store:
        store.create_table(PLAIN).unwrap()
        tl.unwrap(tl.repository(store, PLAIN).create(part(1)))
        one = tl.cached_query(
            tl.project(tl.select(PLAIN), lambda p: Priced(p.id, p.price)), ttl_s=60
        )
        two = tl.cached_query(
            tl.project(tl.select(PLAIN), lambda p: Other(p.id, p.price)), ttl_s=60
        )
        assert type(store.fetch_one(one).unwrap()) is Priced
        assert type(store.fetch_one(two).unwrap()) is Other
        again = tl.cached_query(
            tl.project(tl.select(PLAIN), lambda p: Priced(p.id, p.price)), ttl_s=60
        )
        assert store.fetch_one(again).unwrap() is store.fetch_one(one).unwrap()


def test_values_that_are_equal_and_not_the_same_have_results_of_their_own(
    pg_url_each: str,
) -> None:
    with tl.open(pg_url_each) as store:
        store.create_table(PLAIN).unwrap()
        tl.unwrap(tl.repository(store, PLAIN).create(part(1)))
        added = tl.cached_query(
            tl.project(tl.select(PLAIN), lambda p: p.price + tl.param("more", Decimal)), ttl_s=60
        )
        for more, total in (("1", "2.50"), ("1.000", "2.500"), ("1", "2.50")):
            found = store.fetch_one(added, more=Decimal(more)).unwrap()
            assert str(found) == total


def test_what_is_handed_out_may_be_changed(pg_url_each: str) -> None:
    with tl.open(pg_url_each) as store:
        store.create_table(PLAIN).unwrap()
        tl.unwrap(tl.repository(store, PLAIN).create(part(1)))
        tags = tl.cached_query(tl.project(tl.select(PLAIN), lambda p: p.tags), ttl_s=60)
        store.fetch_one(tags).unwrap().append("mine")
        assert store.fetch_one(tags).unwrap() == ["a", "b"]
        ids = tl.cached_query(tl.project(tl.select(PLAIN), lambda p: p.id), ttl_s=60)
        store.fetch_all(ids).unwrap().append(99)
        assert store.fetch_all(ids).unwrap() == [1]
