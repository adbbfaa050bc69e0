"""Rows by their keys: got, written, deleted, one or many."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.real.contract.world import Kind, Part, World
from tests.real.helpers import failure, item, items

import tierline as tl


def test_a_row_lives_from_create_to_delete(world: World) -> None:
    stock = world.items
    assert failure(stock.get_by_id(1), tl.NotFoundError).operation == "get_by_id"
    assert stock.exists(1) == tl.Success(False)
    assert stock.create(item(1)) == tl.Success(item(1))
    assert stock.exists(1) == tl.Success(True)
    assert stock.get_by_id(1) == tl.Success(item(1))
    changed = item(1, quantity=5, note="new")
    assert stock.update(changed) == tl.Success(changed)
    assert stock.get_by_id(1) == tl.Success(changed)
    assert stock.delete(1) == tl.Success(None)
    assert failure(stock.get_by_id(1), tl.NotFoundError).table == "items"
    for operation, result in {
        "delete": stock.delete(1),
        "update": stock.update(item(1)),
        "purge": stock.purge(1),
    }.items():
        error = failure(result, tl.NotFoundError, "no row")
        assert (error.operation, error.table) == (operation, "items")


def test_an_entity_can_be_deleted_without_naming_its_key(world: World) -> None:
    world.parts.create(Part("acme", 1)).unwrap()
    assert world.parts.delete(Part("acme", 1)) == tl.Success(None)
    assert world.parts.exists(("acme", 1)) == tl.Success(False)


def test_every_kind_of_value_comes_back(world: World) -> None:
    seen = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    part = Part("ä", -1, Kind.LARGE, Decimal("1.50"), 0.5, ["a", ""], {"x": 1}, seen, b"\0\xff")
    other = Part("b", 2, Kind.SMALL, Decimal(0), -0.5, [], {}, None, b"")
    world.parts.create(part).unwrap()
    assert world.parts.upsert_many([part, other]) == tl.Success(2)
    keys = [("b", 2), ("ä", -1), ("none", 0)]
    assert world.parts.get_many(keys) == tl.Success({("b", 2): other, ("ä", -1): part})
    changed = msgspec.structs.replace(other, tags=["n"], size={"y": 2}, kind=Kind.LARGE)
    assert world.parts.update_many([changed, part]) == tl.Success(2)
    assert world.parts.get_by_id(("b", 2)) == tl.Success(changed)
    assert world.parts.upsert(other) == tl.Success(other)
    assert world.parts.delete_many([("b", 2), ("ä", -1), ("x", 1)]) == tl.Success(2)


def test_many_are_got_at_once_in_the_order_of_their_keys(world: World) -> None:
    world.items.create_many(items(5)).unwrap()
    assert world.items.get_by_id(3) == tl.Success(item(3))
    got = world.items.get_many([4, 3, 9, 0, 3]).unwrap()
    assert list(got) == [4, 3, 0]
    assert got == {n: item(n) for n in (4, 3, 0)}
    assert world.items.get_many([]) == tl.Success({})
    world.items.update(item(3, quantity=7)).unwrap()
    assert world.items.get_many(iter([3])) == tl.Success({3: item(3, quantity=7)})
    error = failure(world.items.get_many([2**70]), tl.ValidationError)
    assert error.operation == "get_many"


def test_a_key_of_another_type_is_a_type_error(world: World) -> None:
    wrong: Any = "1"
    for verb in (world.items.get_many, world.items.delete_many):
        with pytest.raises(TypeError, match="key field 'id' takes int"):
            verb([wrong])
    for verb in (world.items.delete, world.items.purge, world.items.exists):
        with pytest.raises(TypeError, match="key field 'id' takes int"):
            verb(wrong)


def test_find_wants_at_most_one_and_first_the_first(world: World) -> None:
    world.items.create_many(items(4)).unwrap()
    assert world.items.find(lambda i: i.sku == "sku-2") == tl.Success(item(2))
    assert world.items.find(lambda i: i.sku == "none") == tl.Success(None)
    error = failure(world.items.find(lambda i: i.id > 1), tl.QueryError, "more than one")
    assert error.operation == "find"
    assert world.items.first(order_by=lambda i: tl.desc(i.id)) == tl.Success(item(3))
    assert world.items.first(lambda i: i.id < 3, order_by=lambda i: tl.desc(i.id)) == tl.Success(
        item(2)
    )
    assert world.items.first(lambda i: i.id < 0, order_by=lambda i: i.id) == tl.Success(None)
    assert world.items.exists(where=lambda i: i.id == 3) == tl.Success(True)
    assert world.items.exists(where=lambda i: i.id == 4) == tl.Success(False)


def test_exists_takes_a_key_or_a_condition(world: World) -> None:
    exists: Any = world.items.exists
    for arguments in ({}, {"key": 1, "where": lambda i: i.id == 1}):
        with pytest.raises(TypeError, match="a key, or where="):
            exists(**arguments)


def test_get_or_create_says_which_it_was(world: World) -> None:
    assert world.items.get_or_create(item(1)) == tl.Success((item(1), True))
    assert world.items.get_or_create(item(1, note="x")) == tl.Success((item(1), False))
    error = failure(world.items.get_or_create(item(2, sku="sku-1")), tl.DuplicateError)
    assert (error.operation, error.fields) == ("get_or_create", ("sku",))


def test_upsert_replaces_or_creates(world: World) -> None:
    assert world.items.upsert(item(1)) == tl.Success(item(1))
    assert world.items.get_by_id(1) == tl.Success(item(1))
    assert world.items.upsert(item(1, note="new")) == tl.Success(item(1, note="new"))
    assert world.items.get_by_id(1) == tl.Success(item(1, note="new"))
    assert world.items.count() == tl.Success(1)
