"""The contract's backends: one suite on PostgreSQL 18 and 16, with a cache and in memory."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.conftest import fresh_schema
from tests.real.contract.world import BACKENDS, BRANCHES, PARTS, POSTS, World
from tests.real.helpers import ITEMS, OWNERS

import tierline as tl


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Generator[World]:
    if request.param == "memory":
        owners = tl.memory_repository(OWNERS)
        yield World(
            owners,
            tl.memory_repository(ITEMS, references=[owners]),
            tl.memory_repository(POSTS),
            tl.memory_repository(PARTS),
            tl.memory_repository(BRANCHES, references=[owners]),
        )
        return
    server = "postgres18" if request.param == "cached" else request.param
    cache = tl.read_through(ttl_s=600) if request.param == "cached" else None
    with (
        fresh_schema(request.getfixturevalue(server)) as url,
        tl.open(url, pool_size=2, timeout_s=10) as store,
    ):
        for table in (OWNERS, ITEMS, POSTS, PARTS, BRANCHES):
            store.create_table(table).unwrap()
        yield World(
            tl.repository(store, OWNERS, cache=cache),
            tl.repository(store, ITEMS, cache=cache),
            tl.repository(store, POSTS, cache=cache),
            tl.repository(store, PARTS, cache=cache),
            tl.repository(store, BRANCHES, cache=cache),
        )
