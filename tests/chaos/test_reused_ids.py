"""A crash forgets a transaction that was not flushed, and gives its id to another."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from tests.real.helpers import OWNERS, Owner

import tierline as tl
from tierline.postgres.embedded.binaries import Version
from tierline.testing import PostgresServer, postgres_server


@pytest.fixture
def server(version: Version) -> Generator[PostgresServer]:
    with postgres_server(version) as started:
        yield started


@pytest.mark.chaos
@pytest.mark.each_version
def test_a_commit_lost_with_the_server_is_not_taken_for_anothers(server: PostgresServer) -> None:
    with tl.open(server.url, pool_size=2, timeout_s=10) as store:
        store.create_table(OWNERS).unwrap()
        ids: list[int] = []

        def run(tx: tl.Transaction) -> Any:
            made = tl.repository(tx, OWNERS).create(Owner(1 + 10 * len(ids), "ours"))
            ids.append(len(ids))
            if len(ids) == 1:
                server.kill()
                server.start()
                _write_elsewhere(server)
            return made

        answer = store.transaction(run, deadline_s=5)
        kept = store.fetch_all(tl.select(OWNERS, where=lambda o: o.name == "ours")).unwrap()
    if isinstance(answer, tl.Success):
        assert kept == [answer.unwrap()]
    else:
        assert kept == []


def _write_elsewhere(server: PostgresServer) -> None:
    """Some transactions, one of which gets the id of the one that is lost."""
    with psycopg.connect(server.url, autocommit=True, connect_timeout=10) as other:
        for id_ in range(2, 7):
            other.execute("INSERT INTO owners VALUES (%s, 'theirs')", (id_,))
