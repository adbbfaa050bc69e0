"""What users see of names, of repositories in memory, and of values with types of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

import msgspec

import tierline as tl


class Book(msgspec.Struct, frozen=True):
    isbn: str
    title: str
    pages: int | None


BOOKS = tl.table(Book, name="books", key=lambda b: b.isbn)
BookResult = tl.Result[Book, tl.RepositoryError]


def names_are_values() -> None:
    assert_type(tl.identifier("public", "books"), tl.Identifier)
    assert_type(tl.sql("select 1 as {n}", into=int, n=tl.identifier("n")), tl.RawQuery[int])


def everything_is_a_condition() -> None:
    assert_type(tl.everything(3), bool)
    condition: Callable[[Book], bool] = tl.everything
    del condition


def a_repository_in_memory_has_the_same_verbs(books: list[Book]) -> None:
    memory = tl.memory_repository(BOOKS, books)
    assert_type(memory, tl.MemoryRepository[Book, str])
    assert_type(memory.get_by_id("978"), BookResult)
    assert_type(memory.create(books[0]), BookResult)
    assert_type(memory.list(order_by=lambda b: b.title), tl.Result[list[Book], tl.RepositoryError])
    assert_type(
        memory.find(lambda b: b.title == "Emma"), tl.Result[Book | None, tl.RepositoryError]
    )
    assert_type(memory.get_many(["978"]), tl.Result[dict[str, Book], tl.RepositoryError])
    assert_type(memory.delete_where(tl.everything), tl.Result[int, tl.RepositoryError])
    others = tl.memory_repository(BOOKS, references=[memory])
    assert_type(others, tl.MemoryRepository[Book, str])


def writes_are_of_one_kind(book: Book) -> None:
    writes: list[tl.Write] = [
        tl.insert(BOOKS, book),
        tl.upsert(BOOKS, book),
        tl.update(BOOKS, set=lambda b: tl.set(b.title).to("Emma"), where=tl.everything),
        tl.delete(BOOKS, where=tl.everything),
    ]
    del writes
    assert_type(tl.set(book.title).to("Emma"), tl.Assignment)


def caching_options_are_values() -> None:
    assert_type(tl.read_through(ttl_s=60), tl.ReadThrough)
    assert_type(tl.read_through(ttl_s=60, lease_s=1).lease_s, float | None)

    @tl.cached(ttl_s=60)
    def size(text: str, /) -> int:
        return len(text)

    assert_type(size, tl.CachedFunction[[str], int])


def schemas_answer_with_results(store: tl.Store) -> None:
    assert_type(store.create_schema("shop"), tl.Result[None, tl.RepositoryError])
    assert_type(store.close(), None)


def parameters_are_values() -> None:
    query = tl.select(BOOKS, where=lambda b: tl.some(b.pages) > tl.param("pages", int))
    assert_type(query, tl.Query[Book])
    assert_type(tl.change(Book("978", "Emma", None), title="Persuasion"), tl.Change[Book])


def every_error_is_one_of_the_root(error: Any) -> None:
    roots: list[type[tl.RepositoryError]] = [
        tl.AccessDeniedError,
        tl.CommitUnknownError,
        tl.ConfigurationError,
        tl.ConnectionError,
        tl.ConstraintError,
        tl.DuplicateError,
        tl.MigrationError,
        tl.OutcomeUnknownError,
        tl.PoolExhaustedError,
        tl.RateLimitedError,
        tl.SheetLayoutError,
    ]
    del roots, error
