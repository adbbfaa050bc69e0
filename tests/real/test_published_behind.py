"""Write-behind over the Redis backplane: batches are announced before they commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.real.helpers import PAGES, page, wait_until

import tierline as tl
from tierline.cache.published import PublishedCaches
from tierline.testing import RedisServer, redis_server

pytestmark = pytest.mark.usefixtures("patient_redis")

BEHIND = tl.write_behind(ttl_s=600, delay_s=0)
CACHED = tl.read_through(ttl_s=600)
FLUSH_S = 30.0

Open = Callable[[], tl.Store]


@pytest.fixture(scope="module")
def server() -> Generator[RedisServer]:
    """A Redis that keeps what it is given."""
    with redis_server(settings={"appendonly": "yes"}) as one:
        yield one


@pytest.fixture
def opened(pg_url: str, server: RedisServer) -> Generator[Open]:
    """Opens stores that announce through that Redis, on one database with the table of pages."""
    prefix = f"test-{secrets.token_hex(6)}"
    with ExitStack() as stores:

        def open_one() -> tl.Store:
            options: dict[str, Any] = {"redis": server.url, "prefix": prefix, "timeout_s": 10}
            # Longer than any test, so that nothing is read anew because the horizon has passed.
            store = tl.open(pg_url, backplane="redis", max_staleness_s=60.0, **options)
            return stores.enter_context(store)

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
        yield open_one


def caught_up(store: tl.Store) -> None:
    assert store.backplane is not None
    assert store.backplane.catch_up(10)


def flush(store: tl.Store) -> None:
    store.write_behind.flush(deadline_s=FLUSH_S).unwrap()


def test_others_hear_of_a_batch(opened: Open) -> None:
    store, other = opened(), opened()
    pages, cached = (
        tl.repository(store, PAGES, cache=BEHIND),
        tl.repository(other, PAGES, cache=CACHED),
    )
    pages.create_many([page(1), page(2)]).unwrap()
    flush(store)
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1))
    pages.update(page(1, 7)).unwrap()
    pages.delete(2).unwrap()
    flush(store)
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1, 7))
    assert isinstance(cached.get_by_id(2), tl.Failure)


def test_a_batch_that_cannot_be_announced_stays_in_the_journal(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(), opened()
    pages, cached = (
        tl.repository(store, PAGES, cache=BEHIND),
        tl.repository(other, PAGES, cache=CACHED),
    )
    pages.create(page(1)).unwrap()
    flush(store)
    caught_up(other)
    cached.get_by_id(1).unwrap()
    refused: list[int] = []

    def refuse(messages: list[bytes]) -> bool:
        refused.append(len(messages))
        return False

    with monkeypatch.context() as silent:
        silent.setattr(published(store), "_publish", refuse)
        pages.update(page(1, 7)).unwrap()
        wait_until(lambda: bool(refused))
        assert store.fetch_all(tl.select(PAGES)) == tl.Success([page(1)])
    flush(store)
    caught_up(other)
    assert cached.get_by_id(1) == tl.Success(page(1, 7))
    assert store.write_behind.dead_letters(PAGES) == tl.Success([])


def published(store: tl.Store) -> PublishedCaches:
    assert isinstance(store.caches, PublishedCaches)
    return store.caches
