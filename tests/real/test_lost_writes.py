"""Writes whose answer is lost: the caller is told, and nothing is done twice."""

from __future__ import annotations

from typing import Any

import psycopg
from tests.real.helpers import OWNERS, failure, wait_until

import tierline as tl
from tierline.testing import tcp_proxy


def test_a_write_whose_answer_is_lost_is_done_once(
    pg_url: str, raw: psycopg.Connection[Any]
) -> None:
    next_one = tl.sql("insert into owners select coalesce(max(id), 0) + 1, 'x' from owners")
    with tcp_proxy(pg_url) as proxy, tl.open(proxy.url(pg_url), pool_size=2) as store:
        store.create_table(OWNERS).unwrap()
        for n in range(5):
            # It is prepared now, so that the cut answer is the write's own.
            store.execute(next_one).unwrap()
            # Nor are connections made meanwhile, whose greeting would be cut instead.
            wait_until(lambda: store.database.stats().idle == store.database.stats().size)
            proxy.cut_after(n)
            failure(store.execute(next_one), tl.CommitUnknownError)
            rows = raw.execute("SELECT count(*) FROM owners").fetchone()
            assert rows == (2 * n + 2,)
