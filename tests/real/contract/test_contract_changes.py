"""Changes, versions and stamps."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from tests.real.contract.world import Post, World
from tests.real.helpers import Owner, failure, item

import tierline as tl


def test_a_change_writes_only_what_differs(world: World) -> None:
    world.items.create(item(1)).unwrap()
    stale_copy = item(1)
    world.items.update(tl.change(stale_copy, quantity=5)).unwrap()
    both = world.items.update(tl.change(stale_copy, note="mine", quantity=0))
    assert both == tl.Success(item(1, quantity=5, note="mine"))
    assert world.items.get_by_id(1) == both


def test_a_change_of_nothing_does_nothing(world: World) -> None:
    assert world.items.update(tl.change(item(1), sku="sku-1")) == tl.Success(item(1))
    failure(world.items.update(tl.change(item(1), note="n")), tl.NotFoundError)


def test_a_change_lists_every_bad_field(world: World) -> None:
    world.items.create(item(1)).unwrap()
    error = failure(
        world.items.update(tl.change(item(1), sku="x", quantity="2", note=3)), tl.ValidationError
    )
    assert [path for path, _ in error.errors] == ["sku", "quantity", "note"]
    # A field that is not changed need not fit: an older rule may have let it in.
    old = msgspec.structs.replace(item(1), sku="x")
    assert world.items.update(tl.change(old, note="n")) == tl.Success(item(1, note="n"))


def test_a_change_of_the_key_or_a_managed_field_is_a_type_error(world: World) -> None:
    with pytest.raises(TypeError, match="'id' is part of the key"):
        world.items.update(tl.change(item(1), id=2))
    with pytest.raises(TypeError, match="'version' is set by each write itself"):
        world.posts.update(tl.change(Post(1, "a"), version=2))
    other: Any = tl.change(Owner(1, "one"), name="two")
    with pytest.raises(TypeError, match="a change of Item"):
        world.items.update(other)


def test_an_update_needs_the_version_it_read(world: World) -> None:
    first = world.posts.create(Post(1, "a")).unwrap()
    second = world.posts.update(msgspec.structs.replace(first, title="b")).unwrap()
    assert (second.version, second.title) == (2, "b")
    assert world.posts.get_by_id(1) == tl.Success(second)
    for operation, result in {
        "update": world.posts.update(msgspec.structs.replace(first, title="c")),
        "delete": world.posts.delete(first),
        "update_many": world.posts.update_many([first]),
    }.items():
        error = failure(result, tl.ConflictError, "version 1", "version 2")
        assert (error.operation, error.table) == (operation, "posts")
        assert (error.expected, error.actual) == (1, 2)
    error = failure(world.posts.update(tl.change(first, title="c")), tl.ConflictError)
    assert (error.expected, error.actual) == (1, 2)
    assert world.posts.get_by_id(1) == tl.Success(second)
    third = world.posts.update(tl.change(second, title="c")).unwrap()
    assert (third.version, third.title) == (3, "c")


def test_a_row_that_is_gone_is_not_a_conflict(world: World) -> None:
    post = world.posts.create(Post(1, "a")).unwrap()
    world.posts.purge(1).unwrap()
    for result in (
        world.posts.update(post),
        world.posts.update(tl.change(post, title="b")),
        world.posts.delete(post),
        world.posts.update_many([post]),
    ):
        failure(result, tl.NotFoundError)


def test_every_write_moves_the_version_on(world: World) -> None:
    world.posts.create_many([Post(1, "a"), Post(2, "b", version=7)]).unwrap()
    world.posts.upsert_many([Post(1, "c"), Post(3, "d")]).unwrap()
    world.posts.update_where(set=lambda p: tl.set(p.words).to(3), where=lambda p: p.id < 3)
    world.posts.upsert(Post(2, "e")).unwrap()
    listed = world.posts.list(order_by=lambda p: p.id).unwrap()
    assert [(p.id, p.title, p.version) for p in listed] == [(1, "c", 3), (2, "e", 9), (3, "d", 1)]
    assert world.posts.update_many(listed) == tl.Success(3)
    assert world.posts.get_by_id(2).unwrap().version == 10


def test_the_clock_sets_the_stamps(world: World) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    post = world.posts.create(Post(1, "a", created=long_ago)).unwrap()
    assert post.created is not None
    assert post.changed == post.created > before
    assert post.created.tzinfo is not None
    changed = world.posts.update(msgspec.structs.replace(post, title="b", created=None)).unwrap()
    assert changed.created == post.created
    assert changed.changed is not None
    assert changed.changed > post.created
    world.posts.create_many([Post(2, "c", changed=long_ago)]).unwrap()
    other = world.posts.get_by_id(2).unwrap()
    assert other.created == other.changed
    assert other.changed is not None
    assert other.changed > before
    upserted = world.posts.upsert(Post(2, "d")).unwrap()
    assert upserted.created == other.created
    assert upserted.changed is not None
    assert upserted.changed > other.changed
    assert world.posts.get_by_id(2) == tl.Success(upserted)
