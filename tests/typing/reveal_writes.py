"""What users see of writes, changes and the repository's verbs, and mistakes; never run."""

from __future__ import annotations

import datetime as dt
from typing import assert_type

import msgspec

import tierline as tl


class Post(msgspec.Struct, frozen=True):
    id: int
    title: str
    words: int | None = None
    version: int = 1
    written: dt.datetime | None = None
    deleted: dt.datetime | None = None


class Other(msgspec.Struct, frozen=True):
    id: int


class Title(msgspec.Struct, frozen=True):
    id: int
    title: str


POSTS = tl.table(
    Post,
    name="posts",
    key=lambda p: p.id,
    version=lambda p: p.version,
    created_at=lambda p: p.written,
    deleted_at=lambda p: p.deleted,
)
OTHERS = tl.table(Other, name="others", key=lambda o: o.id)

PostResult = tl.Result[Post, tl.RepositoryError]
IntResult = tl.Result[int, tl.RepositoryError]


def tables_with_options_keep_their_type() -> None:
    assert_type(POSTS, tl.Table[Post, int])
    tl.table(Post, name="posts", key=lambda p: p.id, version=lambda p: p.title)  # rejected
    tl.table(Post, name="posts", key=lambda p: p.id, version=lambda p: p.revision)  # rejected
    tl.table(Post, name="posts", key=lambda p: p.id, deleted_at=lambda p: p.id)  # rejected
    tl.table(Post, name="posts", key=lambda p: p.id, created_at=lambda p: p.words)  # rejected
    assert_type(tl.select(POSTS, include_deleted=True), tl.Query[Post])


def writes_know_what_they_answer(store: tl.Store, post: Post) -> None:
    write = tl.insert(POSTS, [post, post])
    assert_type(store.execute(write), IntResult)
    assert_type(tl.insert(POSTS, post, returning=lambda p: p.id), tl.Returning[int])
    assert_type(
        tl.insert(POSTS, post, returning=lambda p: (p.id, p.words)),
        tl.Returning[tuple[int, int | None]],
    )
    assert_type(
        tl.insert(POSTS, post, returning=lambda p: Title(p.id, p.title)), tl.Returning[Title]
    )
    whole = tl.insert(POSTS, post, returning=lambda p: p)
    assert_type(whole, tl.Returning[Post])
    assert_type(store.fetch_all(whole), tl.Result[list[Post], tl.RepositoryError])
    assert_type(store.fetch_one(whole), PostResult)
    assert_type(store.fetch_maybe(whole), tl.Result[Post | None, tl.RepositoryError])
    tl.insert(POSTS, Other(1))  # rejected
    tl.insert(POSTS, [Other(1)])  # rejected
    tl.insert(POSTS, post, returning=lambda p: p.titel)  # rejected
    store.execute(whole)  # rejected
    store.execute(tl.select(POSTS))  # rejected
    store.fetch_all(write)  # rejected


def updates_check_field_and_value(store: tl.Store) -> None:
    update = tl.update(
        POSTS,
        set=lambda p: (tl.set(p.title).to(p.title + "!"), tl.set(p.words).to(None)),
        where=lambda p: p.id == 3,
    )
    assert_type(store.execute(update), IntResult)
    assert_type(
        tl.update(
            POSTS,
            set=lambda p: tl.set(p.words).to(3),
            where=tl.everything,
            returning=lambda p: p.words,
        ),
        tl.Returning[int | None],
    )
    tl.update(POSTS, set=lambda p: tl.set(p.words).to("three"), where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.title).to(3), where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.title).to(None), where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.titel).to("a"), where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.title), where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: p.title, where=tl.everything)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.title).to("a"), where=lambda p: p.title)  # rejected
    tl.update(POSTS, set=lambda p: tl.set(p.title).to("a"))  # rejected
    tl.update(POSTS, where=tl.everything)  # rejected


def deletes_must_say_which_rows(store: tl.Store) -> None:
    assert_type(store.execute(tl.delete(POSTS, where=lambda p: p.id == 3)), IntResult)
    assert_type(
        tl.delete(POSTS, where=tl.everything, purge=True, returning=lambda p: p.id),
        tl.Returning[int],
    )
    tl.delete(POSTS)  # rejected
    tl.delete(POSTS, where=lambda p: p.idd == 3)  # rejected
    tl.delete(POSTS, where=True)  # rejected


def upserts_see_both_rows(post: Post) -> None:
    tl.upsert(POSTS, post)
    tl.upsert(POSTS, post, overwrite=lambda new: (new.title, new.words))
    tl.upsert(POSTS, post, ignore=True, target=lambda p: p.title)
    merged = tl.upsert(
        POSTS,
        [post],
        merge=lambda old, new: tl.set(old.title).to(old.title + new.title),
        where=lambda old, new: old.version < new.version,
        returning=lambda p: p.title,
    )
    assert_type(merged, tl.Returning[str])
    tl.upsert(POSTS, Other(1))  # rejected
    tl.upsert(POSTS, post, overwrite=lambda new: new.titel)  # rejected
    tl.upsert(POSTS, post, merge=lambda old, new: tl.set(old.title).to(new.id))  # rejected
    tl.upsert(POSTS, post, merge=lambda old: tl.set(old.title).to("a"))  # rejected
    tl.upsert(POSTS, post, where=lambda old, new: old.title < new.id)  # rejected
    tl.upsert(POSTS, post, target=lambda p: p.titel)  # rejected


def changes_know_their_entity(post: Post, posts: tl.Repository[Post, int]) -> None:
    change = tl.change(post, title="new")
    assert_type(change, tl.Change[Post])
    assert_type(change.after, Post)
    assert_type(posts.update(change), PostResult)
    posts.update(tl.change(Other(1), id=2))  # rejected
    posts.create(change)  # rejected


def the_repository_is_complete(posts: tl.Repository[Post, int], post: Post) -> None:
    assert_type(posts.get_many([1, 2]), tl.Result[dict[int, Post], tl.RepositoryError])
    assert_type(posts.find(lambda p: p.title == "a"), tl.Result[Post | None, tl.RepositoryError])
    assert_type(
        posts.first(lambda p: p.id > 3, order_by=lambda p: tl.desc(p.id)),
        tl.Result[Post | None, tl.RepositoryError],
    )
    assert_type(posts.exists(1), tl.Result[bool, tl.RepositoryError])
    assert_type(posts.exists(where=lambda p: p.id == 1), tl.Result[bool, tl.RepositoryError])
    assert_type(posts.upsert(post), PostResult)
    page = posts.page(size=3, where=lambda p: p.id > 3, order_by=lambda p: tl.desc(p.title))
    assert_type(page, tl.Result[tl.Page[Post], tl.RepositoryError])
    posts.page()  # rejected
    posts.page(size=3, where=lambda p: p.titel == "a")  # rejected
    posts.page(size=3, order_by=lambda p: p.titel)  # rejected
    posts.page(size=3, after=4)  # rejected
    assert_type(posts.get_or_create(post), tl.Result[tuple[Post, bool], tl.RepositoryError])
    assert_type(posts.upsert_many([post]), IntResult)
    assert_type(posts.update_many([post]), IntResult)
    assert_type(posts.delete_many([1, 2]), IntResult)
    assert_type(posts.delete_where(lambda p: p.id > 3), IntResult)
    assert_type(
        posts.update_where(set=lambda p: tl.set(p.title).to("a"), where=tl.everything), IntResult
    )
    assert_type(posts.delete(post), tl.Result[None, tl.RepositoryError])
    assert_type(posts.purge(1), tl.Result[None, tl.RepositoryError])
    assert_type(posts.restore(1), PostResult)
    assert_type(posts.list(include_deleted=True), tl.Result[list[Post], tl.RepositoryError])
    posts.get_many(["1"])  # rejected
    posts.find(3)  # rejected
    posts.first(lambda p: p.id > 3)  # rejected
    posts.exists()  # rejected
    posts.exists(1, where=lambda p: p.id == 1)  # rejected
    posts.delete(Other(1))  # rejected
    posts.delete("1")  # rejected
    posts.purge(post)  # rejected
    posts.upsert_many([Other(1)])  # rejected
    posts.delete_where()  # rejected


def conflicts_say_both_versions(error: tl.ConflictError) -> None:
    assert_type(error.expected, int | None)
    assert_type(error.actual, int | None)
    assert_type(error.fields, tuple[str, ...])
