"""The questions to nycflights13, answered in memory: the server's answers, without the server."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from rich.console import Console
from tests.real.nycflights.questions import QUESTIONS, agree, plain

import tierline as tl
from tierline.cli.demo import load
from tierline.cli.demo.entities import TABLES
from tierline.testing import PostgresServer

DATABASE = "nycflights_evaluated"
Held = tuple[tl.Store, dict[Any, list[Any]]]


@pytest.fixture(scope="module")
def held(postgres18: PostgresServer) -> Generator[Held]:
    """A store with ten thousand flights in a database of their own, and the same rows in memory."""
    with psycopg.connect(postgres18.url, autocommit=True) as maker:
        maker.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        maker.execute(f"CREATE DATABASE {DATABASE}")
        url = f"{postgres18.url.rpartition('/')[0]}/{DATABASE}"
        with tl.open(url, timeout_s=60) as store:
            load.everything(store, Console(file=io.StringIO()), quick=True).unwrap()
            rows: Any = {table: store.fetch_all(tl.select(table)).unwrap() for table in TABLES}
            yield store, rows
        maker.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def values(row: Any) -> tuple[Any, ...]:
    """A row as a tuple, of one value too."""
    found = plain(row)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("question", QUESTIONS)
def test_memory_has_the_answer_of_the_server(held: Held, question: str) -> None:
    store, rows = held
    query, _ = QUESTIONS[question]
    ours = list(map(values, tl.evaluate(query, rows).unwrap()))
    theirs = list(map(values, store.fetch_all(query).unwrap()))
    if not query.order_by:
        ours, theirs = sorted(ours), sorted(theirs)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert all(map(agree, one, other)), (one, other)
