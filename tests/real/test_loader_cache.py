"""`store.loader` and L1: what it reads goes there, unless it was written meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from typing import Any

import msgspec
import pytest
from tests.real.helpers import OWNERS, Owner, failure

import tierline as tl


class Note(msgspec.Struct):
    """A mutable entity, softly deleted."""

    id: int
    text: str
    gone: dt.datetime | None = None


NOTES = tl.table(Note, name="notes", key=lambda n: n.id, deleted_at=lambda n: n.gone, copy=True)


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, timeout_s=10) as opened:
        for table in (OWNERS, NOTES):
            opened.create_table(table).unwrap()
        tl.repository(opened, OWNERS).create_many([Owner(n, f"o{n}") for n in range(4)]).unwrap()
        yield opened


def statements(store: tl.Store) -> int:
    reads = store.database.reads()
    return reads.found + reads.empty


def test_what_is_loaded_is_in_every_cache_of_the_table(store: tl.Store) -> None:
    short = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=60))
    long = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=600))
    with store.loader(OWNERS) as load:
        first, second, missing = load(1), load(2), load(9)
        assert first.result() == tl.Success(Owner(1, "o1"))
        failure(missing.result(), tl.NotFoundError)
    before = statements(store)
    for owners in (short, long):
        assert owners.get_by_id(1) == first.result()
        assert owners.get_by_id(2) == second.result()
    assert statements(store) == before
    # What was not there is asked for again.
    tl.repository(store, OWNERS).create(Owner(9, "o9")).unwrap()
    assert short.get_by_id(9) == tl.Success(Owner(9, "o9"))


class Meanwhile:
    """A database in which something happens between a read and its answer."""

    def __init__(self, database: Any, happens: Any) -> None:
        self._database = database
        self._happens = happens

    def fetch_current(self, statement: Any, values: Any) -> Any:
        result = self._database.fetch_current(statement, values)
        self._happens()
        return result


@pytest.mark.parametrize("write", ["update", "delete", "everything"])
def test_what_was_written_meanwhile_is_not_kept(store: tl.Store, write: str) -> None:
    owners = tl.repository(store, OWNERS, cache=tl.read_through(ttl_s=60))
    plain = tl.repository(store, OWNERS)

    def happens() -> None:
        if write == "update":
            plain.update(Owner(1, "new")).unwrap()
        elif write == "delete":
            plain.delete(1).unwrap()
        else:
            plain.update_where(
                set=lambda o: (tl.set(o.name).to("new"), tl.set(o.id).to(o.id + 0)),
                where=tl.everything,
            ).unwrap()

    with store.loader(OWNERS) as load:
        unsafe: Any = load
        unsafe._database = Meanwhile(store.database, happens)
        # The read came first, and says what was there then.
        assert load(1).result() == tl.Success(Owner(1, "o1"))
    if write == "delete":
        failure(owners.get_by_id(1), tl.NotFoundError)
    else:
        assert owners.get_by_id(1) == tl.Success(Owner(1, "new"))


def test_a_softly_deleted_row_is_not_loaded(store: tl.Store) -> None:
    notes = tl.repository(store, NOTES)
    notes.create_many([Note(1, "a"), Note(2, "b")]).unwrap()
    notes.delete(1).unwrap()
    with store.loader(NOTES) as load:
        gone, there = load(1), load(2)
        failure(gone.result(), tl.NotFoundError)
        assert there.result() == tl.Success(Note(2, "b"))


def test_a_mutable_entity_is_not_shared_with_the_cache(store: tl.Store) -> None:
    notes = tl.repository(store, NOTES, cache=tl.read_through(ttl_s=60))
    notes.create(Note(1, "a")).unwrap()
    with store.loader(NOTES) as load:
        found = load(1).result().unwrap()
        found.text = "changed"
        assert notes.get_by_id(1) == tl.Success(Note(1, "a"))
