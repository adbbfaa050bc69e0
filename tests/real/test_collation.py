"""Text orders by code point whatever its column's collation; indexes of our tables serve that."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
import psycopg
import psycopg.sql
import pytest

import tierline as tl
from tierline.sql import compile_query


class Word(msgspec.Struct, frozen=True):
    id: int
    word: str
    words: list[str]


WORDS = tl.table(Word, name="words", key=lambda w: w.id).index(lambda w: w.word)
# ICU's root collation has another order for each of these pairs than the code points have.
ROWS = [
    Word(n, text, [text, "b"])
    for n, text in enumerate(["a", "B", "Z", "é", "f", "_", "A", "😀", "\uffff", "", "ab", "aB"])
]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def raw(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url_each, autocommit=True, connect_timeout=10) as connection:
        yield connection


QUERIES: list[tl.Query[Any]] = [
    tl.select(WORDS, order_by=lambda w: w.word),
    tl.select(WORDS, order_by=lambda w: (tl.desc(w.words), w.id)),
    tl.select(WORDS, where=lambda w: w.word < "b", order_by=lambda w: w.id),
    tl.select(WORDS, where=lambda w: w.words >= ["a", "b"], order_by=lambda w: w.id),
    tl.project(tl.select(WORDS), lambda w: (tl.min(w.word), tl.max(w.word + "!"))),
    tl.project(
        tl.select(WORDS),
        lambda w: (w.word, tl.count()),
        group_by=lambda w: w.word,
        order_by=lambda w: w.word,
    ),
]


@pytest.mark.parametrize("query", QUERIES)
def test_text_orders_by_code_point_under_any_collation(
    store: tl.Store, raw: psycopg.Connection[Any], query: tl.Query[Any]
) -> None:
    raw.execute(
        'CREATE TABLE words (id bigint PRIMARY KEY, word text COLLATE "unicode" NOT NULL,'
        ' words text[] COLLATE "unicode" NOT NULL)'
    )
    tl.repository(store, WORDS).create_many(ROWS).unwrap()
    theirs = [word for (word,) in raw.execute("SELECT word FROM words ORDER BY word").fetchall()]
    assert theirs != sorted(theirs), "the column's collation is the code points' order"
    assert store.fetch_all(query) == tl.evaluate(query, ROWS)


@pytest.mark.parametrize(
    "build",
    [
        lambda: tl.select(WORDS, order_by=lambda w: w.word, limit=3),
        lambda: tl.select(WORDS, where=lambda w: w.word == "w500"),
        lambda: tl.select(WORDS, where=lambda w: (w.word > "w990") & (w.word <= "w991")),
        lambda: tl.select(WORDS, where=lambda w: tl.is_in(w.word, ["w1", "w2"])),
        lambda: tl.project(tl.select(WORDS), lambda w: tl.max(w.word)),
    ],
)
def test_the_index_of_a_created_table_serves_order_and_equality(
    store: tl.Store, raw: psycopg.Connection[Any], build: Callable[[], tl.Query[Any]]
) -> None:
    store.create_table(WORDS).unwrap()
    rows = [Word(n, f"w{n}", []) for n in range(3000)]
    tl.repository(store, WORDS).create_many(rows).unwrap()
    raw.execute("ANALYZE words")
    compiled = compile_query(build())
    names = ", ".join(type_.sql for type_ in compiled.statement.parameters)
    raw.execute(f"PREPARE asked ({names}) AS {compiled.statement.sql}" if names
                else f"PREPARE asked AS {compiled.statement.sql}")  # fmt: skip
    values = psycopg.sql.SQL(", ").join(map(psycopg.sql.Literal, compiled.values))
    call = psycopg.sql.SQL("EXPLAIN EXECUTE asked ({})" if names else "EXPLAIN EXECUTE asked")
    plan = "\n".join(line for (line,) in raw.execute(call.format(values)).fetchall())
    assert "words_word_idx" in plan, plan
