"""Fixtures of the tests against real servers: an open store with the tables of `helpers`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from tests.real.helpers import ITEMS, OWNERS, Item

import tierline as tl


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
def raw(pg_url: str) -> Generator[psycopg.Connection[Any]]:
    """A plain connection into the test's schema, in autocommit."""
    with psycopg.connect(pg_url, autocommit=True, connect_timeout=10) as connection:
        yield connection
