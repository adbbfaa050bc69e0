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
    other: str
    words: list[str]
    others: list[str]


WORDS = tl.table(Word, name="words", key=lambda w: w.id).index(lambda w: w.word)
TEXTS = ["a", "B", "Z", "é", "f", "_", "A", "😀", "\uffff", "", "ab", "aB"]
ROWS = [Word(n, text, TEXTS[-n], [text, "b"], [TEXTS[-n]]) for n, text in enumerate(TEXTS)]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def raw(pg_url_each: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(pg_url_each, autocommit=True, connect_timeout=10) as connection:
        yield connection


# Two columns of different collations: PostgreSQL refuses to put them in order until one is named,
# which shows that it is, without a server that knows a language's order.
QUERIES: dict[str, Callable[[], tl.Query[Any]]] = {
    "order": lambda: tl.select(WORDS, order_by=lambda w: (w.word + w.other, w.id)),
    "less": lambda: tl.select(WORDS, where=lambda w: w.word < w.other, order_by=lambda w: w.id),
    "arrays": lambda: tl.select(
        WORDS, where=lambda w: w.words >= w.others, order_by=lambda w: w.id
    ),
    "extremes": lambda: tl.project(
        tl.select(WORDS), lambda w: (tl.min(w.word + w.other), tl.max(w.other + w.word))
    ),
    "greatest": lambda: tl.project(
        tl.select(WORDS, order_by=lambda w: w.id),
        lambda w: (tl.greatest(w.word, w.other), tl.least(w.word, w.other)),
    ),
    "some element": lambda: tl.select(
        WORDS, where=lambda w: tl.any_(w.words) < w.other, order_by=lambda w: w.id
    ),
    "every element": lambda: tl.select(
        WORDS, where=lambda w: tl.all_(w.words) >= w.other, order_by=lambda w: w.id
    ),
    "groups": lambda: tl.project(
        tl.select(WORDS),
        lambda w: (w.word, tl.count()),
        group_by=lambda w: w.word,
        order_by=lambda w: tl.desc(w.word),
    ),
    "distinct": lambda: tl.project(
        tl.select(WORDS, order_by=lambda w: w.word), lambda w: w.word, distinct=True
    ),
    "string_agg": lambda: tl.project(
        tl.select(WORDS),
        lambda w: tl.string_agg(w.word, ",", order_by=(w.word + w.other, w.id)),
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_text_orders_by_code_point_under_any_collation(
    store: tl.Store, raw: psycopg.Connection[Any], name: str
) -> None:
    raw.execute(
        "CREATE TABLE words (id bigint PRIMARY KEY,"
        ' word text COLLATE "C.utf8" NOT NULL, other text COLLATE "POSIX" NOT NULL,'
        ' words text[] COLLATE "C.utf8" NOT NULL, others text[] COLLATE "POSIX" NOT NULL)'
    )
    tl.repository(store, WORDS).create_many(ROWS).unwrap()
    with pytest.raises(psycopg.errors.IndeterminateCollation):
        raw.execute("SELECT word < other FROM words")
    query = QUERIES[name]()
    assert store.fetch_all(query) == tl.evaluate(query, ROWS)


def test_a_recursion_of_texts_has_one_collation(store: tl.Store) -> None:
    store.create_table(WORDS).unwrap()
    tl.repository(store, WORDS).create_many([Word(1, "a", "b", [], [])]).unwrap()
    base = tl.project(tl.select(WORDS), lambda w: ("", w.id))
    paths = tl.recursive(
        base,
        lambda paths: tl.project(
            tl.join(WORDS, _as_step(paths), lambda w, p: p.depth < 3),
            lambda w, p: (p.path + w.word, p.depth + 1),
        ),
    )
    assert store.count(paths) == tl.Success(3)


class Step(msgspec.Struct, frozen=True):
    path: str
    depth: int


def _as_step(paths: tl.Query[tuple[str, int]]) -> tl.Query[Step]:
    return tl.project(paths, lambda p: Step(p[0], p[1]))


BUILDS: dict[str, Callable[[], tl.Query[Any]]] = {
    "order": lambda: tl.select(WORDS, order_by=lambda w: w.word, limit=3),
    "equal": lambda: tl.select(WORDS, where=lambda w: w.word == "w500"),
    "range": lambda: tl.select(WORDS, where=lambda w: (w.word > "w990") & (w.word <= "w991")),
    "in": lambda: tl.select(WORDS, where=lambda w: tl.is_in(w.word, ["w1", "w2"])),
    "max": lambda: tl.project(tl.select(WORDS), lambda w: tl.max(w.word)),
}


def plan_of(raw: psycopg.Connection[Any], query: tl.Query[Any]) -> str:
    """The server's plan for a query with its values."""
    statement, values = compile_query(query)
    names = ", ".join(type_.sql for type_ in statement.parameters)
    raw.execute(f"PREPARE asked {f'({names}) ' if names else ''}AS {statement.sql}")
    literals = psycopg.sql.SQL(", ").join(map(psycopg.sql.Literal, values))
    call = psycopg.sql.SQL("EXPLAIN EXECUTE asked ({})" if names else "EXPLAIN EXECUTE asked")
    return "\n".join(line for (line,) in raw.execute(call.format(literals)).fetchall())


@pytest.mark.parametrize("name", BUILDS)
def test_the_index_of_a_created_table_serves_order_and_equality(
    store: tl.Store, raw: psycopg.Connection[Any], name: str
) -> None:
    store.create_table(WORDS).unwrap()
    rows = [Word(n, f"w{n}", "", [], []) for n in range(3000)]
    tl.repository(store, WORDS).create_many(rows).unwrap()
    raw.execute("ANALYZE words")
    plan = plan_of(raw, BUILDS[name]())
    assert "words_word_idx" in plan, plan


def test_equality_uses_an_index_of_any_collation(
    store: tl.Store, raw: psycopg.Connection[Any]
) -> None:
    raw.execute(
        "CREATE TABLE words (id bigint PRIMARY KEY,"
        ' word text COLLATE "POSIX" NOT NULL, other text NOT NULL,'
        " words text[] NOT NULL, others text[] NOT NULL);"
        "CREATE INDEX words_word_idx ON words (word)"
    )
    rows = [Word(n, f"w{n}", "", [], []) for n in range(3000)]
    tl.repository(store, WORDS).create_many(rows).unwrap()
    raw.execute("ANALYZE words")
    for name in ("equal", "in"):
        plan = plan_of(raw, BUILDS[name]())
        assert "words_word_idx" in plan, plan
        raw.execute("DEALLOCATE asked")
