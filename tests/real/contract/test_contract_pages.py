"""Pages of a repository: the same rows, and the same cursors refused, wherever they are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.real.contract.world import Kind, Part, Post, World
from tests.real.helpers import Item, failure, item

import tierline as tl

ORDERINGS: dict[str, Callable[[Any], object] | None] = {
    "key": None,
    "key down": lambda i: tl.desc(i.id),
    "NULL last": lambda i: i.note,
    "NULL first": lambda i: tl.desc(i.note),
    "NULL last, down": lambda i: tl.desc(i.note, nulls="last"),
    "NULL first, up": lambda i: tl.asc(i.note, nulls="first"),
    "two directions": lambda i: (tl.desc(i.quantity), i.note),
    "NULL behind another": lambda i: (i.quantity, tl.desc(i.note, nulls="last"), tl.desc(i.id)),
    "computed": lambda i: (i.quantity * 2, tl.desc(i.id)),
}


def filled(world: World) -> None:
    notes = (None, "a", "é", None, "B", "a")
    rows = [item(n, quantity=n % 3, note=notes[n * 5 % 6]) for n in range(17)]
    world.items.create_many(rows).unwrap()


@pytest.mark.parametrize("size", [1, 4, 17])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_pages_lead_through_all_rows_and_back(world: World, ordering: str, size: int) -> None:
    filled(world)
    order_by = ORDERINGS[ordering]

    def ordered(i: Item) -> tuple[Any, ...]:
        given: Any = () if order_by is None else order_by(i)
        return (*(given if isinstance(given, tuple) else (given,)), i.id)

    expected = world.items.list(order_by=ordered).unwrap()
    pages = [world.items.page(size=size, order_by=order_by).unwrap()]
    while (cursor := pages[-1].next) is not None:
        pages.append(world.items.page(size=size, order_by=order_by, after=cursor).unwrap())
    assert list(itertools.chain.from_iterable(page.items for page in pages)) == expected
    assert pages[0].previous is None
    for earlier, later in itertools.pairwise(pages):
        assert later.previous is not None
        back = world.items.page(size=size, order_by=order_by, before=later.previous).unwrap()
        assert back.items == earlier.items


def test_a_page_takes_conditions_and_filters(world: World) -> None:
    filled(world)
    first = world.items.page(size=2, where=lambda i: i.id > 3, quantity=1).unwrap()
    assert [i.id for i in first.items] == [4, 7]
    second = world.items.page(
        size=2, where=lambda i: i.id > 3, quantity=1, after=first.next
    ).unwrap()
    assert [i.id for i in second.items] == [10, 13]
    none = world.items.page(size=2, note=None, where=lambda i: i.id < 0)
    assert none == tl.Success(tl.Page[Item]([], None, None))
    with pytest.raises(TypeError, match="no field 'quantitty'"):
        world.items.page(size=2, quantitty=1)
    with pytest.raises(ValueError, match="size must be from 1"):
        world.items.page(size=0)
    with pytest.raises(ValueError, match="after or before"):
        world.items.page(size=1, after="a", before="b")


def test_a_cursor_of_other_arguments_is_refused(world: World) -> None:
    filled(world)
    cursor = world.items.page(size=2, quantity=1).unwrap().next
    assert cursor is not None
    assert world.items.page(size=3, quantity=1, after=cursor).unwrap().items
    for result in (
        world.items.page(size=2, quantity=2, after=cursor),
        world.items.page(size=2, after=cursor),
        world.items.page(size=2, quantity=1, order_by=lambda i: i.note, after=cursor),
        world.items.page(size=2, quantity=1, before=cursor[:-4]),
        world.items.page(size=2, quantity=1, after="AAAA"),
    ):
        error = failure(result, tl.ValidationError, "begin at the first page")
        assert (error.operation, error.table) == ("page", "items")
        assert [e.path for e in error.errors] == ["cursor"]


def test_rows_that_come_and_go_shift_nothing(world: World) -> None:
    filled(world)
    first = world.items.page(size=3, order_by=lambda i: tl.desc(i.id)).unwrap()
    assert [i.id for i in first.items] == [16, 15, 14]
    world.items.create(item(99)).unwrap()
    world.items.delete(14).unwrap()
    second = world.items.page(size=2, order_by=lambda i: tl.desc(i.id), after=first.next)
    assert [i.id for i in second.unwrap().items] == [13, 12]


def test_softly_deleted_rows_are_on_no_page(world: World) -> None:
    world.posts.create_many([Post(n, f"title {n}") for n in range(4)]).unwrap()
    world.posts.delete(1).unwrap()
    assert [p.id for p in world.posts.page(size=9).unwrap().items] == [0, 2, 3]
    every = world.posts.page(size=2, include_deleted=True).unwrap()
    assert [p.id for p in every.items] == [0, 1]
    failure(world.posts.page(size=2, after=every.next), tl.ValidationError)


def test_composite_keys_and_every_kind_of_value_order_pages(world: World) -> None:
    rows = [
        Part(maker, n, Kind.LARGE if n % 2 else Kind.SMALL, Decimal(n) / 4, n / 8)
        for maker in ("b", "ä")
        for n in range(3)
    ]
    world.parts.create_many(rows).unwrap()
    seen: list[Part] = []
    cursor: str | None = None
    while True:
        page = world.parts.page(
            size=2, order_by=lambda p: (p.kind, tl.desc(p.price)), after=cursor
        ).unwrap()
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert seen == sorted(rows, key=lambda p: (p.kind.value, -p.price, p.maker, p.number))


def test_a_failed_page_says_which_verb_it_was(world: World) -> None:
    filled(world)
    error = failure(world.items.page(size=2, where=lambda i: 1 // i.quantity == 1), tl.QueryError)
    assert (error.operation, error.table) == ("page", "items")
