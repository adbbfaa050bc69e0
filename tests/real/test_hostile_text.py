"""Hostile text through every door, under every client encoding: it comes back byte for byte."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

import msgspec
import psycopg
import pytest
from tests.hostile import (
    ALL,
    PIECES,
    READS,
    ROWS,
    STATEMENTS,
    UNSTORABLE,
    is_storable,
    read,
    row,
    texts,
)
from tests.real.helpers import failure, is_idle, still_works

import tierline as tl
from tierline.testing import PostgresServer

LONG = os.environ.get("TIERLINE_LONG") == "1"
EXECUTED = 50_000 if LONG else 2_000
CLIENTS = ("UTF8", "LATIN1", "SJIS")
SEED = None if LONG else 11

CANARY = "CREATE TABLE canary (id int, song text); INSERT INTO canary VALUES (1, 'tweet ''\\\"')"
# Everything that a statement of somebody else's could have made, changed or taken away.
INVENTORY = """
    SELECT (SELECT string_agg(id || song, ',') FROM canary),
           (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace),
           (SELECT count(*) FROM pg_proc), (SELECT string_agg(rolname, ',') FROM pg_roles),
           (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_')
"""


@contextmanager
def database(server: PostgresServer, encoding: str, client: str) -> Generator[str]:
    """A database whose every setting asks for a client encoding; a URL that asks for it too."""
    name = f"hostile_{secrets.token_hex(4)}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        admin.execute(f"ALTER DATABASE {name} SET client_encoding = '{client}'")
    url = f"{server.url.rpartition('/')[0]}/{name}"
    try:
        with psycopg.connect(url, client_encoding="utf8", autocommit=True) as raw:
            raw.execute(CANARY)
        yield f"{url}?client_encoding={client}&options=-c%20client_encoding%3D{client}"
    finally:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def inventory(url: str) -> object:
    with psycopg.connect(url.partition("?")[0], client_encoding="utf8") as raw:
        return raw.execute(INVENTORY).fetchone()


STORED = tl.sql(
    "select id, convert_to(name, 'UTF8'), convert_to(tags[3], 'UTF8') "
    "from hostile_rows order by id",
    into=tuple[int, bytes, bytes],
)
BY_NAME = tl.select(
    ROWS, where=lambda r: (r.name == tl.param("name", str)) & (r.id == tl.param("id", int))
)


def check_reads(store: tl.Store, text: str, id_: int) -> int:
    """Every condition finds the row, and every statement answers with what it should."""
    whole = row(id_, text)
    for name in READS:
        assert store.fetch_all(read(name, text, id_)) == tl.Success([whole]), (name, text)
    for name, build in STATEMENTS.items():
        statement, expected = build(text, id_)
        assert store.fetch_all(statement) == tl.Success(expected), (name, text)
    assert store.fetch_one(BY_NAME, name=text, id=id_) == tl.Success(whole), text
    return len(READS) + len(STATEMENTS) + 1


def check_writes(store: tl.Store, written: list[str]) -> int:
    """What verbs and COPY wrote is there byte for byte; then it is deleted."""
    rows = tl.repository(store, ROWS)
    half = len(written) // 2
    entities = [row(n, text) for n, text in enumerate(written)]
    assert rows.create_many(entities[:half]) == tl.Success(half)
    for entity in entities[half:]:
        assert rows.create(entity) == tl.Success(entity)
    assert store.fetch_all(STORED) == tl.Success(
        [(n, text.encode(), text.encode()) for n, text in enumerate(written)]
    )
    assert rows.upsert_many(entities) == tl.Success(len(entities))
    assert rows.list(order_by=lambda r: r.id) == tl.Success(entities)
    done = 3
    for entity, text in zip(entities, written, strict=True):
        assert rows.update(entity) == tl.Success(entity)
        assert rows.count(name=text, id=entity.id) == tl.Success(1)
        assert rows.list(note=text, id=entity.id) == tl.Success([entity])
        gone = tl.delete(
            ROWS, where=lambda r, n=entity.id, t=text: (r.id == n) & (r.name == t),
            returning=lambda r: r,
        )  # fmt: skip
        assert store.fetch_one(gone) == tl.Success(entity)
        done += 5
    assert rows.count() == tl.Success(0)
    return done


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("client", CLIENTS)
def test_statements_leave_the_canary_and_values_are_equal_byte_for_byte(
    postgres18: PostgresServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", client)
    drawn = filter(is_storable, texts(SEED))
    executed = 0
    with database(postgres18, "UTF8", client) as url, tl.open(url, timeout_s=20) as store:
        store.create_table(ROWS).unwrap()
        before = inventory(url)
        shown = tl.sql("select current_setting('client_encoding')", into=str)
        assert store.fetch_one(shown) == tl.Success("UTF8")
        while executed < EXECUTED // len(CLIENTS):
            executed += check_writes(store, list(islice(drawn, 40)))
            few = list(islice(drawn, 10))
            tl.repository(store, ROWS).create_many([row(n, t) for n, t in enumerate(few)]).unwrap()
            executed += sum(check_reads(store, text, n) for n, text in enumerate(few))
            store.execute(tl.delete(ROWS, where=tl.everything)).unwrap()
        assert inventory(url) == before
        assert is_idle(store)


def test_the_oldest_server_reads_and_writes_every_piece(postgres16: PostgresServer) -> None:
    with database(postgres16, "UTF8", "SJIS") as url, tl.open(url, timeout_s=20) as store:
        store.create_table(ROWS).unwrap()
        before = inventory(url)
        check_writes(store, list(PIECES))
        tl.repository(store, ROWS).create_many([row(n, t) for n, t in enumerate(PIECES)]).unwrap()
        for n, text in enumerate(PIECES[:: 1 if LONG else 6]):
            check_reads(store, text, n * (1 if LONG else 6))
        assert inventory(url) == before


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "WIN1251", "SQL_ASCII"])
def test_a_database_of_another_encoding_takes_a_text_whole_or_refuses_it(
    postgres18: PostgresServer, encoding: str, client: str
) -> None:
    with database(postgres18, encoding, client) as url, tl.open(url, timeout_s=20) as store:
        store.create_table(ROWS).unwrap()
        before = inventory(url)
        rows = tl.repository(store, ROWS)
        drawn = [text for text in islice(texts(SEED), len(PIECES) + 60) if is_storable(text)]
        for n, text in enumerate(drawn):
            whole = row(n, text)
            made = rows.create(whole)
            if isinstance(made, tl.Failure):
                assert not text.isascii(), made
                assert encoding != "SQL_ASCII"
                assert text not in str(failure(made, tl.ValidationError))
                assert isinstance(rows.create_many([whole]), tl.Failure)
                failure(rows.list(name=text), tl.QueryError)
                continue
            assert rows.get_by_id(n) == tl.Success(whole)
            assert rows.list(name=text, id=n) == tl.Success([whole])
            assert rows.delete(n) == tl.Success(None)
            assert rows.create_many([whole]) == tl.Success(1)
            assert rows.get_by_id(n) == tl.Success(whole)
        assert inventory(url) == before
        still_works(store)


def test_bytes_that_are_no_text_are_a_failure(postgres18: PostgresServer) -> None:
    """A database of SQL_ASCII holds whatever anyone wrote."""
    with database(postgres18, "SQL_ASCII", "LATIN1") as url, tl.open(url, timeout_s=20) as store:
        store.create_table(ROWS).unwrap()
        tl.repository(store, ROWS).create(row(1, "a")).unwrap()
        store.execute(tl.sql("update hostile_rows set name = E'\\xE9t\\xE9'")).unwrap()
        # The server finds it before it is sent.
        assert failure(store.fetch_all(ALL), tl.QueryError).sqlstate == "22021"
        still_works(store)


CHANGES = {
    "set": tl.sql("set client_encoding = 'SJIS'"),
    "set names": tl.sql("set names 'LATIN1'"),
    "a function": tl.sql("select set_config('client_encoding', 'SJIS', false)", into=str),
    "reset": tl.sql("reset client_encoding"),
    "discard": tl.sql("reset all"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_whose_encoding_was_changed_is_not_used_again(
    postgres18: PostgresServer, change: str
) -> None:
    with (
        database(postgres18, "UTF8", "LATIN1") as url,
        tl.open(url, timeout_s=10, pool_size=1) as store,
    ):
        query: Any = CHANGES[change]
        store.create_table(ROWS).unwrap()
        run: Any = store.fetch_all if isinstance(query, tl.RawQuery) else store.execute
        run(query).unwrap()
        whole = row(1, "ソ'é表")
        assert tl.repository(store, ROWS).create(whole) == tl.Success(whole)
        assert store.fetch_all(ALL) == tl.Success([whole])
        assert store.fetch_one(tl.sql("select 'é'", into=str)) == tl.Success("é")
        still_works(store)


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, timeout_s=20) as opened:
        opened.create_table(ROWS).unwrap()
        tl.repository(opened, ROWS).create(row(1, "a")).unwrap()
        yield opened


@pytest.mark.parametrize("text", UNSTORABLE)
def test_what_cannot_be_stored_is_a_validation_error_in_every_position(
    store: tl.Store, text: str
) -> None:
    for name in READS:
        result: Any = store.fetch_all(read(name, text, 1))
        assert text not in str(failure(result, tl.ValidationError)), name
    for name, build in STATEMENTS.items():
        statement, _ = build(text, 1)
        result = store.fetch_all(statement)
        assert text not in str(failure(result, tl.ValidationError)), name
    rows = tl.repository(store, ROWS)
    # With nothing else that would be refused.
    document = {"list": [{"key": f"a{text}b"}]}
    for result in (
        store.fetch_all(tl.select(ROWS, where=lambda r: r.document == document)),
        store.fetch_all(tl.select(ROWS, where=lambda r: r.document == {text: 1})),
        store.fetch_one(tl.sql("select {v}", into=dict[str, Any], v=document)),
        store.execute(
            tl.update(ROWS, set=lambda r: tl.set(r.document).to(document), where=tl.everything)
        ),
        rows.create(msgspec.structs.replace(row(2, "a"), document=document)),
    ):
        failure(result, tl.ValidationError)
    for result in (
        rows.create(row(2, text)),
        rows.create_many([row(2, "a"), row(3, text)]),
        rows.update(row(1, text)),
        rows.upsert(row(1, text)),
        rows.upsert_many([row(1, text)]),
        rows.update_many([row(1, text)]),
        rows.update(tl.change(row(1, "a"), note=text)),
        rows.list(name=text),
        store.fetch_one(BY_NAME, name=text, id=1),
    ):
        failure(result, tl.ValidationError)
    assert rows.list() == tl.Success([row(1, "a")])
    assert is_idle(store)


def test_a_document_that_only_looks_unstorable_is_stored(store: tl.Store) -> None:
    for text in (r"\u0000", r"\\u0000", r"\ud800", r"a\\ud800\u0000", "\\", "\x01"):
        entity = msgspec.structs.replace(row(2, text), document={text: [text]})
        assert tl.repository(store, ROWS).upsert(entity) == tl.Success(entity)
        same = tl.select(ROWS, where=lambda r, t=text: r.document == {t: [t]})
        assert store.fetch_all(same) == tl.Success([entity])
        sent = tl.sql("select {v}", into=dict[str, list[str]], v={text: [text]})
        assert store.fetch_one(sent) == tl.Success({text: [text]})


def test_ten_megabytes_go_through_every_verb(store: tl.Store) -> None:
    rows = tl.repository(store, ROWS)
    # Not the name: it is part of a unique rule, and an index holds at most 2,704 bytes.
    large = "'%_\\ソ$1\U0001f600" * 800_000
    assert len(large.encode()) > 10_000_000
    entity = msgspec.structs.replace(
        row(2, "a"), note=large, tags=[large, "z"], document={"a": large}
    )
    assert rows.create(entity) == tl.Success(entity)
    assert rows.upsert_many([entity]) == tl.Success(1)
    assert rows.get_by_id(2) == tl.Success(entity)
    assert rows.delete(2) == tl.Success(None)
    assert rows.create_many([entity]) == tl.Success(1)
    found = tl.select(ROWS, where=lambda r: (r.note == large) & (tl.any_(r.tags) == large))
    assert store.fetch_all(found) == tl.Success([entity])


# Names


def names() -> Iterator[str]:
    """Hostile texts that are allowed as names: no quote, no NUL, at most 63 bytes."""
    for text in filter(is_storable, texts(SEED)):
        name = text.replace('"', "").encode()[:63].decode(errors="ignore")
        if name:
            yield name


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("client", CLIENTS)
def test_hostile_names_are_names(postgres18: PostgresServer, client: str) -> None:
    with database(postgres18, "UTF8", client) as url, tl.open(url, timeout_s=20) as store:
        before = inventory(url)
        for name in islice(names(), len(PIECES) * (10 if LONG else 1)):
            table = _table(name)
            store.create_schema(f"s{name}"[:30], exist_ok=True)
            assert store.create_table(table) == tl.Success(None), name
            things = tl.repository(store, table)
            entity = table.entity(1, name)
            assert things.create(entity) == tl.Success(entity), name
            assert things.upsert_many([entity]) == tl.Success(1), name
            assert things.list(value=name) == tl.Success([entity]), name
            assert isinstance(failure(things.create(entity), tl.DuplicateError), tl.DuplicateError)
            renamed = tl.update(
                table, set=lambda t, n=name: tl.set(t.value).to(n), where=lambda t: t.id == 1
            )
            assert store.execute(renamed) == tl.Success(1), name
            raw = tl.sql("select {c} from {t}", into=str, c=tl.identifier(_column(name)), t=table)
            assert store.fetch_all(raw) == tl.Success([name]), name
            found = tl.sql("select relname from pg_class where relname = {n}", into=str, n=name)
            assert store.fetch_all(found) == tl.Success([name]), name
            assert store.drop_table(table) == tl.Success(None), name
        schemas = tl.sql("select nspname from pg_namespace where nspname ~ '^s'", into=str)
        for schema in tl.unwrap(store.fetch_all(schemas)):
            store.execute(tl.sql("drop schema {s}", s=tl.identifier(schema))).unwrap()
        assert inventory(url) == before


def _column(name: str) -> str:
    """What msgspec takes as a field's name in JSON: no quote, backslash or control character."""
    return "".join(c for c in name if c not in '"\\' and c >= " ") or "x"


def _table(name: str) -> tl.Table[Any, int]:
    """A table whose name, column and only value are the text."""
    value: Any = Literal[name]  # type: ignore[valid-type]
    entity = msgspec.defstruct(
        "Thing", [("id", int), ("value", value)], frozen=True, rename={"value": _column(name)}
    )
    table: tl.Table[Any, int] = tl.table(entity, name=name, key=lambda t: t.id)
    return table


# Cursors


def test_a_forged_or_foreign_cursor_is_a_validation_error(
    store: tl.Store, pg_url_each: str
) -> None:
    tl.repository(store, ROWS).create_many([row(n, f"n{n}") for n in range(2, 9)]).unwrap()
    query = tl.order_by(ALL, lambda r: r.name)
    other = tl.order_by(ALL, lambda r: tl.desc(r.name))
    cursor = tl.unwrap(store.fetch_page(tl.page(query, size=2))).next
    assert cursor is not None
    forged = [
        *filter(None, PIECES),
        *UNSTORABLE,
        cursor[:-4],
        cursor[4:],
        cursor + "AAAA",
        cursor[::-1],
    ]
    forged += [
        cursor[:n] + ("A" if cursor[n] != "A" else "B") + cursor[n + 1 :]
        for n in range(len(cursor))
    ]
    for text in forged:
        for page in (tl.page(query, size=2, after=text), tl.page(query, size=2, before=text)):
            failure(store.fetch_page(page), tl.ValidationError, "cursor")
    failure(store.fetch_page(tl.page(other, size=2, after=cursor)), tl.ValidationError, "cursor")
    with tl.open(pg_url_each, timeout_s=20) as stranger:
        theirs = tl.page(query, size=2, after=cursor)
        failure(stranger.fetch_page(theirs), tl.ValidationError, "cursor")
    assert tl.unwrap(store.fetch_page(tl.page(query, size=2, after=cursor))).items
    assert is_idle(store)
