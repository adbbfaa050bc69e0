"""Soft deletion."""

from __future__ import annotations

import pytest
from tests.real.contract.world import Post, World, found
from tests.real.helpers import failure

import tierline as tl


def test_a_deleted_row_is_hidden_until_it_is_restored(world: World) -> None:
    posts = world.posts
    posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    assert posts.get_by_id(1).unwrap().title == "a"
    assert posts.delete(1) == tl.Success(None)
    failure(posts.get_by_id(1), tl.NotFoundError)
    failure(posts.delete(1), tl.NotFoundError)
    failure(posts.update(Post(1, "c", version=2)), tl.NotFoundError)
    assert posts.get_many([1, 2]).map(list) == tl.Success([2])
    assert posts.exists(1) == tl.Success(False)
    assert posts.exists(where=lambda p: p.id == 1) == tl.Success(False)
    assert posts.count() == tl.Success(1)
    assert found(posts.list()) == [2]
    assert posts.find(lambda p: p.title == "a") == tl.Success(None)
    assert posts.first(lambda p: p.id == 1, order_by=lambda p: p.id) == tl.Success(None)
    assert posts.update_where(
        set=lambda p: tl.set(p.words).to(1), where=lambda p: p.id == 1
    ) == tl.Success(0)
    assert posts.delete_where(lambda p: p.id == 1) == tl.Success(0)
    assert posts.delete_many([1]) == tl.Success(0)

    assert posts.count(include_deleted=True) == tl.Success(2)
    assert found(posts.list(include_deleted=True)) == [1, 2]
    hidden = posts.find(lambda p: p.title == "a", include_deleted=True).unwrap()
    assert hidden is not None
    assert hidden.deleted is not None
    assert hidden.version == 2
    assert posts.exists(where=lambda p: p.id == 1, include_deleted=True) == tl.Success(True)

    restored = posts.restore(1).unwrap()
    assert (restored.title, restored.deleted, restored.version) == ("a", None, 3)
    assert posts.get_by_id(1) == tl.Success(restored)
    failure(posts.restore(1), tl.NotFoundError)
    failure(posts.restore(9), tl.NotFoundError)


def test_a_deleted_row_keeps_its_key_and_unique_values(world: World) -> None:
    posts = world.posts
    posts.create(Post(1, "a")).unwrap()
    posts.delete(1).unwrap()
    failure(posts.create(Post(1, "b")), tl.DuplicateError, "the same id")
    failure(posts.create(Post(2, "a")), tl.DuplicateError, "the same title")
    error = failure(posts.get_or_create(Post(1, "b")), tl.DuplicateError, "restore or purge it")
    assert error.operation == "get_or_create"
    revived = posts.upsert(Post(1, "b")).unwrap()
    assert (revived.title, revived.deleted) == ("b", None)
    assert posts.get_by_id(1) == tl.Success(revived)


def test_purge_deletes_for_real(world: World) -> None:
    posts = world.posts
    posts.create_many([Post(1, "a"), Post(2, "b")]).unwrap()
    posts.delete(1).unwrap()
    assert posts.get_by_id(2).unwrap().title == "b"
    assert posts.purge(1) == tl.Success(None)
    assert posts.purge(2) == tl.Success(None)
    failure(posts.get_by_id(2), tl.NotFoundError)
    assert posts.count(include_deleted=True) == tl.Success(0)
    assert posts.create(Post(1, "a")).unwrap().version == 1


def test_only_softly_deleted_tables_restore(world: World) -> None:
    with pytest.raises(TypeError, match=r"the table has no deleted_at="):
        world.items.restore(1)
