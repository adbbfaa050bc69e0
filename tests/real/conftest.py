"""Fixtures of the tests against real servers: an open store with the tables of `helpers`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from tests.conftest import fresh_schema
from tests.real.helpers import ITEMS, OWNERS, PAGES, Item, OpenStore, Page
from tests.real.sources import loaded

import tierline as tl
from tierline.cache import board, redis_client, redis_limits, redis_node, redis_routes


@pytest.fixture
def store(pg_url: str) -> Generator[tl.Store]:
    """A store without Redis on an empty schema, with the tables of `helpers`."""
    with tl.open(pg_url, pool_size=4, timeout_s=10) as opened:
        for table in (OWNERS, ITEMS):
            opened.create_table(table).unwrap()
        yield opened


@pytest.fixture
def stock(store: tl.Store) -> tl.Repository[Item, int]:
    """A repository of items without a cache."""
    return tl.repository(store, ITEMS)


@pytest.fixture
def patient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is waited for as long as a machine that does other things may need."""
    for module in (redis_limits, redis_node, redis_routes, redis_client, board):
        monkeypatch.setattr(module, "LIMIT_S", 10.0)


@pytest.fixture
def raw(pg_url: str) -> Generator[psycopg.Connection[Any]]:
    """A plain connection into the test's schema, in autocommit."""
    with psycopg.connect(pg_url, autocommit=True, connect_timeout=10) as connection:
        yield connection


@pytest.fixture
def open_store(pg_url: str, redis_url: str, redis_prefix: str) -> Generator[OpenStore]:
    """Opens stores on one database with the table of pages; one Redis, unless told otherwise."""
    with ExitStack() as stores:

        def open_one(url: str = pg_url, *, redis: str | None = redis_url) -> tl.Store:
            return stores.enter_context(
                tl.open(url, redis=redis, prefix=redis_prefix, timeout_s=10)
            )

        with tl.open(pg_url) as maker:
            maker.create_table(PAGES).unwrap()
        yield open_one


@pytest.fixture
def tiered(open_store: OpenStore) -> tl.Store:
    """A store of three tiers with the table of pages."""
    return open_store()


@pytest.fixture
def pages(tiered: tl.Store) -> tl.Repository[Page, int]:
    """A repository of pages through all tiers."""
    return tl.repository(tiered, PAGES, cache=tl.read_through(ttl_s=60))


@pytest.fixture(scope="module", params=["postgres18", "postgres16"])
def loaded_store(request: pytest.FixtureRequest) -> Generator[tl.Store]:
    """A store with the tables of `sources` and their rows, for tests that only read."""
    with fresh_schema(request.getfixturevalue(request.param)) as url, loaded(url) as opened:
        yield opened
