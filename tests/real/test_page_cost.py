"""What a page costs: an index over the ordering is entered where the page begins."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
import psycopg
import pytest
from tests.conftest import fresh_schema

import tierline as tl

COUNT = 20_000
SIZE = 20
TIES = 20


class Entry(msgspec.Struct, frozen=True):
    """Columns with few rows to each value, one of which may be NULL."""

    id: int
    name: str
    rank: int
    delay: int | None
    other: int | None = None


ENTRIES = (
    tl.table(Entry, name="entries", key=lambda e: e.id)
    .index(lambda e: (e.name, e.id))
    .index(lambda e: (e.rank, e.id))
    .index(lambda e: (e.delay, e.id))
    .index(lambda e: (e.delay, e.name, e.id))
)
PAIRED = tl.join(ENTRIES, ENTRIES, lambda e, o: e.id == o.rank)

ORDERINGS: dict[str, Callable[[Any], object] | None] = {
    "the key": None,
    "the key down": lambda e: tl.desc(e.id),
    "one direction": lambda e: e.name,
    "one direction down": lambda e: (tl.desc(e.name), tl.desc(e.id)),
    "two directions": lambda e: (tl.desc(e.rank), e.id),
    "two directions up": lambda e: (e.rank, tl.desc(e.id)),
    "a place for NULL that there is not": lambda e: tl.desc(e.id, nulls="last"),
    "NULL last": lambda e: e.delay,
    "NULL first": lambda e: (tl.desc(e.delay), tl.desc(e.id)),
    "NULL last, down": lambda e: (tl.desc(e.delay, nulls="last"), tl.desc(e.id)),
    "NULL first, up": lambda e: tl.asc(e.delay, nulls="first"),
    "NULL first, two directions": lambda e: tl.desc(e.delay),
    "NULL last, two directions": lambda e: (tl.desc(e.delay, nulls="last"), e.id),
    "NULL behind another": lambda e: (e.rank, e.delay),
}


@pytest.fixture(scope="module", params=["postgres18", "postgres16"])
def store(request: pytest.FixtureRequest) -> Generator[tl.Store]:
    server = request.getfixturevalue(request.param)
    with fresh_schema(server) as plain:
        # As for a solid-state disk: a few rows here and there cost no more than many in turn.
        url = f"{plain}%20-c%20random_page_cost%3D1.1"
        with tl.open(url, timeout_s=20) as found:
            fill(found, url)
            yield found


def fill(found: tl.Store, url: str) -> None:
    found.create_table(ENTRIES).unwrap()
    rows = [
        Entry(
            n,
            f"name {n * 7 % (COUNT // TIES):06}",
            n * 11 % (COUNT // TIES),
            None if n % 10 == 0 else n * 13 % (COUNT // TIES),
        )
        for n in range(COUNT)
    ]
    tl.repository(found, ENTRIES).create_many(rows).unwrap()
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("VACUUM ANALYZE entries")


def cursor_at(store: tl.Store, query: tl.Query[Any], row: int) -> str:
    """The cursor that leads to what follows a row."""
    cursor = store.fetch_page(tl.page(query, size=min(row, 10_000))).unwrap().next
    if row > 10_000:
        cursor = store.fetch_page(tl.page(query, size=row - 10_000, after=cursor)).unwrap().next
    assert cursor is not None
    return cursor


def visited(plan: tl.Plan) -> float:
    """How many rows were read from the table, kept or not."""
    return sum(
        ((node.actual_rows or 0) + (node.rows_removed or 0)) * (node.loops or 1)
        for node in plan.root.walk()
        if node.table is not None
    )


@pytest.mark.parametrize("row", [100, 1_900, 10_000, COUNT - 100])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_an_index_is_entered_where_the_page_begins(
    store: tl.Store, ordering: str, row: int
) -> None:
    query = tl.select(ENTRIES, order_by=ORDERINGS[ordering])
    cursor = cursor_at(store, query, row)
    for page in (
        tl.page(query, size=SIZE, after=cursor),
        tl.page(query, size=SIZE, before=cursor),
    ):
        assert len(store.fetch_page(page).unwrap().items) == SIZE
        plan = store.explain(page, analyze=True).unwrap()
        scans = [node for node in plan.root.walk() if node.table is not None]
        assert scans
        for scan in scans:
            assert scan.index is not None, plan
            assert scan.index_condition is not None, plan
        # A page, one row more, and those that tie with the row beside it and that it ends with.
        assert visited(plan) <= 2 * (SIZE + 1) + 4 * TIES, plan


def test_the_first_page_enters_an_index_too(store: tl.Store) -> None:
    for ordering, keys in ORDERINGS.items():
        page = tl.page(tl.select(ENTRIES, order_by=keys), size=SIZE)
        plan = store.explain(page, analyze=True).unwrap()
        assert visited(plan) <= 2 * (SIZE + 1) + 4 * TIES, (ordering, plan)


def test_joined_rows_are_read_from_where_the_page_begins(store: tl.Store) -> None:
    ordered = tl.order_by(PAIRED, lambda e, o: (tl.desc(o.delay), tl.desc(o.id), tl.desc(e.id)))
    cursor = cursor_at(store, ordered, 10_000)
    plan = store.explain(tl.page(ordered, size=SIZE, after=cursor), analyze=True).unwrap()
    assert visited(plan) <= 4 * (SIZE + 1) + 4 * TIES, plan


def test_a_query_without_an_index_is_read_once(store: tl.Store) -> None:
    """Reading it in pieces would cost as often as much."""
    grouped = tl.order_by(
        tl.project(
            tl.select(ENTRIES),
            lambda e: (e.rank, tl.max(e.delay)),
            group_by=lambda e: e.rank,
        ),
        lambda p: p[1],
    )
    cursor = cursor_at(store, grouped, 100)
    plan = store.explain(tl.page(grouped, size=SIZE, after=cursor), analyze=True).unwrap()
    assert len([node for node in plan.root.walk() if node.table is not None]) == 1


def test_a_page_without_its_cursor_is_refused_by_explain(store: tl.Store) -> None:
    result = store.explain(tl.page(tl.select(ENTRIES), size=2, after="AAAA"))
    assert isinstance(result, tl.Failure)
    assert isinstance(result.failure(), tl.ValidationError)
