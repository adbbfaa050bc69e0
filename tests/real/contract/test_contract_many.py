"""Writes of many rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.real.contract.world import Kind, Part, World, found
from tests.real.helpers import failure, item, items

import tierline as tl


def test_an_upsert_of_many_inserts_and_replaces(world: World) -> None:
    world.items.create_many(items(3)).unwrap()
    sent: list[int] = []
    batch = [item(n, note="new") for n in range(2, 5)]
    assert world.items.upsert_many(iter(batch), progress=sent.append) == tl.Success(3)
    assert sum(sent) == 3
    assert world.items.list(order_by=lambda i: i.id) == tl.Success([item(0), item(1), *batch])
    assert world.items.upsert_many([]) == tl.Success(0)
    assert world.items.get_by_id(2) == tl.Success(item(2, note="new"))


def test_an_update_of_many_changes_all_or_none(world: World) -> None:
    world.items.create_many(items(3)).unwrap()
    assert world.items.get_by_id(0) == tl.Success(item(0))
    changed = [item(n, quantity=9) for n in range(3)]
    error = failure(world.items.update_many([*changed, item(7)]), tl.NotFoundError)
    assert error.operation == "update_many"
    assert world.items.count(quantity=9) == tl.Success(0)
    assert world.items.update_many(changed) == tl.Success(3)
    assert world.items.get_by_id(0) == tl.Success(item(0, quantity=9))
    assert world.items.update_many([]) == tl.Success(0)


def test_many_are_deleted_by_key_or_condition(world: World) -> None:
    world.items.create_many(items(6)).unwrap()
    assert world.items.get_by_id(1) == tl.Success(item(1))
    assert world.items.delete_many([1, 2, 99, 1]) == tl.Success(2)
    failure(world.items.get_by_id(1), tl.NotFoundError)
    assert world.items.delete_many([]) == tl.Success(0)
    assert world.items.get_by_id(5) == tl.Success(item(5))
    assert world.items.delete_where(lambda i: i.id > 3) == tl.Success(2)
    failure(world.items.get_by_id(5), tl.NotFoundError)
    assert found(world.items.list()) == [0, 3]
    assert world.items.delete_where(tl.everything) == tl.Success(2)
    missing: Any = None
    with pytest.raises(TypeError, match=r"where=tl\.everything"):
        world.items.delete_where(missing)


def test_rows_are_changed_where_a_condition_holds(world: World) -> None:
    world.items.create_many([item(n, quantity=n, note="n" if n else None) for n in range(4)])
    assert world.items.get_by_id(3).unwrap().quantity == 3
    changed = world.items.update_where(
        set=lambda i: (
            tl.set(i.quantity).to(i.quantity * 2 + i.id),
            tl.set(i.note).to(None),
            tl.set(i.sku).to(i.sku + "!"),
        ),
        where=lambda i: tl.some(i.note) == "n",
    )
    assert changed == tl.Success(3)
    assert world.items.get_by_id(3) == tl.Success(item(3, quantity=9, sku="sku-3!"))
    assert world.items.get_by_id(0) == tl.Success(item(0))
    error = failure(
        world.items.update_where(set=lambda i: tl.set(i.quantity).to(-1), where=tl.everything),
        tl.ConstraintError,
    )
    assert (error.operation, error.constraint) == ("update_where", "items_quantity_check")
    assert error.fields == ("quantity",)
    assert world.items.count(quantity=-1) == tl.Success(0)


def test_a_value_that_cannot_be_computed_is_refused(world: World) -> None:
    world.items.create_many([item(n, quantity=n, note="nn") for n in range(3)]).unwrap()
    for write in (
        lambda: world.items.update_where(
            set=lambda i: tl.set(i.quantity).to(6 // i.quantity), where=tl.everything
        ),
        lambda: world.items.update_where(
            set=lambda i: tl.set(i.quantity).to(tl.cast(i.sku, int)), where=lambda i: i.id > 0
        ),
        lambda: world.items.delete_where(lambda i: 6 // i.quantity > 3),
    ):
        failure(write(), tl.ValidationError)
    failure(world.items.delete_where(lambda i: tl.like(i.note, "n\\")), tl.QueryError)
    assert world.items.count() == tl.Success(3)


def test_what_functions_find_is_changed(world: World) -> None:
    world.items.create_many([item(n, sku=f"Sku-{n}") for n in range(3)]).unwrap()
    assert world.items.update_where(
        set=lambda i: (
            tl.set(i.sku).to(i.sku.upper()[:4] + tl.cast(i.id, str)),
            tl.set(i.quantity).to(tl.case((i.id > 1, tl.length(i.sku)), otherwise=7)),
        ),
        where=lambda i: tl.matches(i.sku, "[12]$"),
    ) == tl.Success(2)
    rows = world.items.list().unwrap()
    assert sorted((row.sku, row.quantity) for row in rows if row.id) == [("SKU-1", 7), ("SKU-2", 5)]


def test_json_arrays_and_choices_are_set(world: World) -> None:
    world.parts.create_many([Part("a", 1), Part("b", 2)]).unwrap()
    world.parts.update_where(
        set=lambda p: (
            tl.set(p.size).to({"x": 3}),
            tl.set(p.tags).to(["ä", "'"]),
            tl.set(p.kind).to(Kind.LARGE),
            tl.set(p.price).to(p.price + 1),
            tl.set(p.weight).to(p.weight / 2),
        ),
        where=lambda p: p.maker == "a",
    ).unwrap()
    changed = Part("a", 1, Kind.LARGE, Decimal(2), 0.5, ["ä", "'"], {"x": 3})
    assert world.parts.get_by_id(("a", 1)) == tl.Success(changed)
    assert world.parts.get_by_id(("b", 2)) == tl.Success(Part("b", 2))
