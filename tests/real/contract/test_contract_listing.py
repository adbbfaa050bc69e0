"""Filters, orderings, pages."""

from __future__ import annotations

import pytest
from tests.real.contract.world import World
from tests.real.helpers import failure, item

import tierline as tl


def test_filters_ordering_and_pages(world: World) -> None:
    world.items.create_many(
        [item(n, quantity=n % 3, note="n" if n % 2 else None) for n in range(9)]
    )
    by_rest = world.items.list(order_by=lambda i: (tl.desc(i.quantity), i.id), limit=4).unwrap()
    assert [i.id for i in by_rest] == [2, 5, 8, 1]
    page = world.items.list(order_by=lambda i: i.id, limit=2, offset=3, note=None).unwrap()
    assert [i.id for i in page] == [6, 8]
    assert world.items.count(where=lambda i: i.id > 3, note="n") == tl.Success(2)
    with pytest.raises(TypeError, match="no field 'quantitty'"):
        world.items.list(quantitty=1)
    failure(world.items.count(where=lambda i: 1 // i.quantity == 1), tl.QueryError)
