"""The types that users of strategies see; never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

import tierline as tl


class Visit(msgspec.Struct, frozen=True):
    page: str
    count: int


VISITS = tl.table(Visit, name="visits", key=lambda v: v.page)


def strategies(store: tl.Store) -> None:
    assert_type(tl.cache_aside(), tl.CacheAside)
    assert_type(tl.write_through(ttl_s=60, max_entries=10), tl.WriteThrough)
    assert_type(tl.write_through(reads=tl.read_through(ttl_s=60)), tl.WriteThrough)
    assert_type(tl.write_behind(ttl_s=60, max_pending=10, durable=False), tl.WriteBehind)
    assert_type(tl.write_behind(reads=tl.read_through(ttl_s=60), delay_s=0), tl.WriteBehind)
    assert_type(tl.write_through(ttl_s=60).reads, tl.ReadThrough)
    for cache in (tl.write_through(ttl_s=1), tl.write_behind(ttl_s=1), tl.cache_aside()):
        assert_type(tl.repository(store, VISITS, cache=cache), tl.Repository[Visit, str])


def journals(store: tl.Store, tx: tl.Transaction) -> None:
    assert_type(store.write_behind, tl.PendingWrites)
    assert_type(tx.write_behind, None)
    assert_type(store.write_behind.flush(deadline_s=5), tl.Result[None, tl.RepositoryError])
    letters = store.write_behind.dead_letters(VISITS, limit=10)
    assert_type(letters, tl.Result[list[tl.DeadLetter[Visit]], tl.RepositoryError])
    letter = tl.unwrap(letters)[0]
    assert_type(letter.entity, Visit | None)
    assert_type(letter.key, object)
    assert_type(letter.sqlstate, str | None)
    assert_type(store.write_behind.retry(VISITS, [letter]), tl.Result[int, tl.RepositoryError])
    assert_type(store.write_behind.drop(VISITS, [letter]), tl.Result[int, tl.RepositoryError])
    assert_type(store.write_behind.stats(), tuple[tl.WriteBehindStats, ...])
    assert_type(store.stats().write_behind[0].lag_s, float)


def events(event: tl.Event) -> None:
    if isinstance(event, tl.WroteBehind):
        assert_type(event.lag_s, float)
    if isinstance(event, tl.DeadLettered):
        assert_type(event.error, str)
