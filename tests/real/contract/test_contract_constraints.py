"""What a row may not be: duplicates, keys that lead nowhere, bad fields."""

from __future__ import annotations

from typing import Any

import pytest
from tests.real.contract.world import Branch, Post, World, found
from tests.real.helpers import Owner, failure, item

import tierline as tl


def test_a_taken_key_or_unique_value_names_its_fields(world: World) -> None:
    world.items.create(item(1)).unwrap()
    error = failure(world.items.create(item(1, sku="other")), tl.DuplicateError, "the same id")
    assert (error.constraint, error.columns, error.fields) == ("items_pkey", ("id",), ("id",))
    world.items.create(item(2)).unwrap()
    for operation, result in {
        "create": world.items.create(item(3, sku="sku-1")),
        "update": world.items.update(item(2, sku="sku-1")),
        "upsert": world.items.upsert(item(2, sku="sku-1")),
        "create_many": world.items.create_many([item(4), item(3, sku="sku-1")]),
        "upsert_many": world.items.upsert_many([item(4), item(2, sku="sku-1")]),
        "update_many": world.items.update_many([item(1, note="n"), item(2, sku="sku-1")]),
    }.items():
        error = failure(result, tl.DuplicateError, "the same sku")
        assert (error.operation, error.table) == (operation, "items")
        assert (error.constraint, error.fields) == ("items_sku_key", ("sku",))
    assert world.items.list(order_by=lambda i: i.id) == tl.Success([item(1), item(2)])


def test_a_foreign_key_that_leads_nowhere_names_its_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    for result in (
        world.items.create(item(2, owner=7)),
        world.items.update(item(1, owner=7)),
        world.items.update(tl.change(item(1), owner=7)),
        world.items.upsert_many([item(3), item(4, owner=7)]),
    ):
        error = failure(result, tl.ConstraintError, "names no row of owners")
        assert (error.constraint, error.fields) == ("items_owner_fkey", ("owner",))
    assert world.items.count() == tl.Success(1)


def test_a_row_that_others_refer_to_stays(world: World) -> None:
    world.owners.create_many([Owner(1, "one"), Owner(2, "two")]).unwrap()
    world.items.create(item(1, owner=1)).unwrap()
    for operation, result in {
        "delete": world.owners.delete(1),
        "purge": world.owners.purge(1),
        "delete_many": world.owners.delete_many([2, 1]),
        "delete_where": world.owners.delete_where(tl.everything),
    }.items():
        error = failure(result, tl.ConstraintError, "other rows refer to this row")
        assert (error.operation, error.constraint) == (operation, "items_owner_fkey")
    assert found(world.owners.list()) == [1, 2]


def test_dependents_follow_what_their_foreign_key_says(world: World) -> None:
    world.owners.create(Owner(1, "one")).unwrap()
    world.branches.create(Branch(1, owner=1)).unwrap()
    world.branches.create_many([Branch(2, 1), Branch(3, 2), Branch(4)]).unwrap()
    assert world.branches.get_by_id(1) == tl.Success(Branch(1, owner=1))
    assert world.branches.get_by_id(3) == tl.Success(Branch(3, 2))
    assert world.owners.delete(1) == tl.Success(None)
    assert world.branches.get_by_id(1) == tl.Success(Branch(1))
    assert world.branches.delete(1) == tl.Success(None)
    failure(world.branches.get_by_id(3), tl.NotFoundError)
    assert found(world.branches.list()) == [4]


def test_a_null_is_never_a_duplicate(world: World) -> None:
    world.posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    assert world.posts.count(words=None) == tl.Success(2)


def test_bad_fields_are_listed_before_anything_is_written(world: World) -> None:
    bad = item(1, sku="x", quantity=-1)
    for operation, result in {
        "create": world.items.create(bad),
        "update": world.items.update(bad),
        "upsert": world.items.upsert(bad),
        "get_or_create": world.items.get_or_create(bad),
    }.items():
        error = failure(result, tl.ValidationError)
        assert [path for path, _ in error.errors] == ["sku", "quantity"]
        assert (error.operation, error.table) == (operation, "items")
    for operation, many in {
        "create_many": world.items.create_many([item(0), bad]),
        "upsert_many": world.items.upsert_many([item(0), bad]),
        "update_many": world.items.update_many([item(0), bad]),
    }.items():
        error = failure(many, tl.ValidationError)
        assert [path for path, _ in error.errors] == ["[1].sku", "[1].quantity"]
        assert error.operation == operation
    assert world.items.count() == tl.Success(0)


def test_an_entity_of_another_class_is_a_type_error(world: World) -> None:
    other: Any = Owner(1, "one")
    for verb in (world.items.create, world.items.update, world.items.upsert):
        with pytest.raises(TypeError, match="instance of Item"):
            verb(other)
    with pytest.raises(TypeError, match="instance of Item"):
        world.items.upsert_many([other])


def test_a_key_twice_in_a_batch_is_a_bad_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    for verb in (world.items.upsert_many, world.items.update_many):
        error = failure(verb([item(1), item(2), item(1, note="n")]), tl.ValidationError)
        assert error.errors[0].path == "[2].id"
    assert world.items.list() == tl.Success([item(1)])
