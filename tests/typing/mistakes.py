"""One or more mistakes with every function of the pipeline, each on a marked line; never run.

A book shop makes them: a misspelt field, a wrong operand, something optional taken for certain, a
table for a query, a name for a value. Both checkers must find every one and nothing else.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import msgspec

import tierline as tl


class Genre(enum.Enum):
    NOVEL = "novel"
    POEM = "poem"


class Maker(msgspec.Struct, frozen=True):
    house: str
    founded: int | None


class Book(msgspec.Struct, frozen=True):
    isbn: str
    title: str
    author: int | None
    pages: int
    price: Decimal
    genre: Genre
    printed: dt.datetime
    maker: Maker
    topics: list[str]
    extra: dict[str, Any]


class Author(msgspec.Struct, frozen=True):
    id: int
    name: str


class Shelf(msgspec.Struct, frozen=True):
    title: str
    pages: int


BOOKS = tl.table(Book, name="books", key=lambda b: b.isbn)
AUTHORS = tl.table(Author, name="authors", key=lambda a: a.id)
READ = tl.select(BOOKS)
WRITTEN = tl.join(BOOKS, AUTHORS, lambda b, a: b.author == a.id)
PERHAPS = tl.left_join(BOOKS, AUTHORS, lambda b, a: b.author == a.id)
TITLES = tl.project(READ, lambda b: b.title)


def describing() -> None:
    tl.table(Book, name="books", key=lambda b: b.ibsn)  # rejected
    tl.select(BOOKS, where=lambda b: b.titel == "Emma")  # rejected
    tl.select(BOOKS, where=lambda b: b.pages > "300")  # rejected
    tl.select(BOOKS, where=lambda b: b.genre == "novel")  # rejected
    tl.select(BOOKS, where=lambda b: b.author > 3)  # rejected
    tl.project(READ, lambda b: Shelf(b.title, b.price))  # rejected
    tl.project(READ, lambda b: Shelf(b.title, b.author))  # rejected
    tl.project(BOOKS, lambda b: b.title)  # rejected
    tl.where(READ, lambda b: b.pages)  # rejected
    tl.order_by(READ, lambda b: b.page)  # rejected
    tl.limit(READ, "3")  # rejected
    tl.for_update(READ, strength="everything")  # rejected
    _rows: tl.Query[Shelf] = READ  # rejected


def joining() -> None:
    tl.join(BOOKS, AUTHORS, lambda b, a: b.author == a.name)  # rejected
    tl.left_join(BOOKS, AUTHORS, lambda b, a: b.autor == a.id)  # rejected
    tl.cross_join(BOOKS, Author)  # rejected
    tl.semi_join(BOOKS, AUTHORS, lambda b: b.author == 1)  # rejected
    tl.anti_join(BOOKS, AUTHORS, lambda b, a: a.name)  # rejected
    tl.project(WRITTEN, lambda b, a: a.title)  # rejected
    tl.project(PERHAPS, lambda b, a: a.name)  # rejected
    tl.project(WRITTEN, lambda b: b.title)  # rejected


def combining() -> None:
    tl.union(TITLES, BOOKS)  # rejected
    tl.intersect(READ)  # rejected
    tl.except_(READ, AUTHORS)  # rejected
    tl.cte(BOOKS)  # rejected
    tl.recursive(TITLES, lambda found: READ)  # rejected
    tl.select(BOOKS, where=lambda b: tl.exists(BOOKS))  # rejected
    tl.select(BOOKS, where=lambda b: tl.scalar(TITLES) == b.pages)  # rejected
    tl.page(BOOKS, size=10)  # rejected
    tl.page(READ, size="10")  # rejected
    tl.page(READ, size=10, after=3)  # rejected


def asking(b: Book) -> None:
    tl.is_null()  # rejected
    tl.some(b.author).upper()  # rejected
    tl.not_(b.title)  # rejected
    tl.is_in(b.pages, ["300"])  # rejected
    tl.is_in(b.title, tl.project(READ, lambda o: o.pages))  # rejected
    tl.contains(b.pages, "3")  # rejected
    tl.like(b.title, 3)  # rejected
    tl.ilike(b.price, "3%")  # rejected
    tl.matches(b.genre, "novel")  # rejected
    tl.between(b.pages, "a", "z")  # rejected
    _ = tl.any_(b.pages) == 3  # rejected
    tl.all_(b.price)  # rejected
    tl.contains_all(b.title, 3)  # rejected
    tl.overlaps(b.topics, 3)  # rejected


def computing(b: Book) -> None:
    tl.coalesce(b.author, "nobody")  # rejected
    tl.nullif(b.pages, "0")  # rejected
    tl.greatest(b.title, b.pages)  # rejected
    tl.least(b.price, "1")  # rejected
    tl.case((b.pages > 3, 1), otherwise="few")  # rejected
    tl.cast(b.title, "int")  # rejected
    tl.length(b.pages)  # rejected
    tl.trunc("fortnight", b.printed, zone="UTC")  # rejected
    tl.at_zone(b.title, "Asia/Tokyo")  # rejected
    _ = b.maker.hous  # rejected
    _ = b.maker.founded + 1  # rejected
    tl.param("pages", 300)  # rejected
    _ = b.title + tl.param("pages", int)  # rejected


def aggregating(b: Book) -> None:
    tl.count().upper()  # rejected
    tl.sum(b.title)  # rejected
    tl.avg(b.genre)  # rejected
    _least: int = tl.min(b.pages)  # rejected
    _most: str = tl.max(b.pages)  # rejected
    tl.array_agg(b.pages)[0].upper()  # rejected
    tl.string_agg(b.pages, ", ")  # rejected
    tl.filtered(tl.count(), b.title)  # rejected
    tl.asc(b.pages, nulls="lowest")  # rejected
    tl.desc()  # rejected


def ranking(b: Book) -> None:
    tl.over(tl.row_number(), frame=3)  # rejected
    tl.over(tl.rank(), ordered_by=b.pages)  # rejected
    tl.over(tl.dense_rank(b.pages))  # rejected
    _share: int = tl.over(tl.percent_rank(), order_by=b.pages)  # rejected
    tl.over(tl.cume_dist(), order_by=b.pages).upper()  # rejected
    tl.ntile("4")  # rejected
    tl.lag(b.title, "1")  # rejected
    _next: str = tl.over(tl.lead(b.title), order_by=b.pages)  # rejected
    _first: int = tl.over(tl.first_value(b.title), order_by=b.pages)  # rejected
    _last: int = tl.over(tl.last_value(b.title), order_by=b.pages)  # rejected
    tl.nth_value(b.title)  # rejected
    tl.rows("unbounded", None)  # rejected
    tl.groups(-1.5, 0)  # rejected


def writing(book: Book, author: Author) -> None:
    tl.insert(BOOKS, author)  # rejected
    tl.insert(BOOKS, book, returning=lambda b: b.ibsn)  # rejected
    tl.update(BOOKS, set=lambda b: tl.set(b.pages).to("300"), where=tl.everything)  # rejected
    tl.update(BOOKS, set=lambda b: tl.set(b.title).to("Emma"))  # rejected
    tl.update(BOOKS, set=lambda b: tl.set(b.title).to("Emma"), where=tl.everything())  # rejected
    tl.upsert(BOOKS, book, overwrite=lambda b: b.titel)  # rejected
    tl.upsert(BOOKS, [author])  # rejected
    tl.delete(BOOKS)  # rejected
    tl.delete(READ, where=lambda b: b.pages > 3)  # rejected
    _ = tl.change("Emma", title="Emma").after.pages  # rejected


def raw() -> None:
    tl.sql(b"select 1", into=int)  # rejected
    tl.optional(3)  # rejected
    _most: tl.RawQuery[int] = tl.sql("select max(x) from y", into=tl.optional(int))  # rejected
    _counted: tl.RawQuery[str] = tl.sql("select 1", into=int)  # rejected
    tl.identifier(BOOKS)  # rejected
    tl.batch(READ, "select 1")  # rejected


def evaluating(books: list[Book], authors: list[Author]) -> None:
    tl.evaluate(BOOKS, books)  # rejected
    tl.evaluate(READ, {"books": books})  # rejected
    _all: list[Book] = tl.evaluate(READ, books)  # rejected
    tl.row_filter(BOOKS, lambda b: b.titel == "Emma")  # rejected
    tl.memory_repository(BOOKS, authors)  # rejected
    tl.memory_repository(READ)  # rejected
    tl.memory_repository(BOOKS).get_by_id(3)  # rejected


def opening(store: tl.Store) -> None:
    tl.open(pool_size="8")  # rejected
    tl.connect("postgresql://h/d").count(READ)  # rejected
    tl.read_through(ttl="60")  # rejected
    tl.cache_aside("books")  # rejected
    tl.write_through(max_entries=10)  # rejected
    tl.write_behind(ttl_s=60, delay_s="soon")  # rejected
    tl.read_through(ttl_s=60, stale_if_error_s="600")  # rejected
    tl.read_through(ttl_s=60, stale_if_error=600)  # rejected
    tl.repository(store, READ)  # rejected
    tl.cached(ttl_s="60")  # rejected
    tl.cached(ttl_s=60, stale_if_error_s="3600")  # rejected


def encrypting(key: bytes) -> None:
    tl.EncryptionKeys("2026-11", {"2026-11": "secret"})  # rejected
    tl.EncryptionKeys(keys={"2026-11": key})  # rejected
    tl.open(encryption=key)  # rejected
    tl.open(encryption={"2026-11": key})  # rejected


def bounding(store: tl.Store) -> None:
    tl.deadline("2")  # rejected
    with tl.deadline(2) as left_s:
        _ = left_s.hours  # rejected
    _ = tl.remaining_s().seconds  # rejected
    tl.carried(price_of)(978)  # rejected
    tl.carried(price_of("978"))  # rejected
    tl.read_after(978)  # rejected
    _ = tl.write_token().xid  # rejected
    tl.reads("replica")  # rejected
    tl.reads("nearest", max_lag_s="5")  # rejected
    tl.PoolOptions(8)  # rejected
    tl.PoolOptions(max_size=8)  # rejected
    tl.open("postgresql://h/d", reads="nearest")  # rejected
    tl.open("postgresql://h/d", credentials={"password": "one"})  # rejected
    store.resize(8)  # rejected
    store.drain(store)  # rejected
    store.warm_up(2)  # rejected
    store.install_backplane(BOOKS)  # rejected
    tl.cached_query(BOOKS, ttl_s=60)  # rejected
    store.uninstall_backplane("flights")  # rejected
    tl.open("postgresql://h/d", backplane="mysql")  # rejected
    tl.open("postgresql://h/d", redis="redis://h", backplane="reddis")  # rejected
    tl.open("postgresql://h/d", redis="redis://h", unannounced_writes="ignore")  # rejected
    tl.open("postgresql://h/d", redis="redis://h", unannounced_writes=True)  # rejected
    _ = store.health().role  # rejected
    _ = store.health().nodes[0].lag_bytes + 1  # rejected
    store.cursor_secret.upper().encode()  # rejected
    store.on_event(lambda: None)  # rejected
    store.on_event(on_ran)  # rejected


def remembering(store: tl.Store, book: Book) -> None:
    store.cache.put("978", book, tags=3)  # rejected
    store.cached(ttl_s="60")  # rejected
    store.warm(BOOKS, [978])  # rejected
    store.save_hot_keys(top="ten")  # rejected
    tl.hot_keys(978)  # rejected


def on_ran(event: tl.Ran) -> None:
    _ = event.total_s.hours  # rejected
    event.rows = 3  # rejected


def transacting(store: tl.Store, tx: tl.Transaction, book: Book) -> None:
    store.transaction(lambda: tl.Success(book))  # rejected
    store.transaction(lambda tx: tl.repository(tx, BOOKS).get_by_id(3))  # rejected
    store.atomically(book)  # rejected
    store.create_idempotency_table("keys")  # rejected
    store.forget_idempotency(older_than_s="1 day")  # rejected
    store.subscribe(BOOKS, on_ran)  # rejected
    store.subscribe(READ, lambda change: None)  # rejected
    tx.transaction(tl.repository(tx, BOOKS))  # rejected
    tx.write_behind.flush()  # rejected
    tx.atomically(tx)  # rejected
    _ = tx.began_at().unwrap().pages  # rejected
    tx.lock(book)  # rejected
    tx.try_lock(None)  # rejected
    tx.set_local(BOOKS, "on")  # rejected
    tx.on_commit("done")  # rejected
    tx.on_rollback(on_ran)  # rejected
    tl.distributed([store], lambda txs: tl.Success(book), coordinator="books")  # rejected
    tl.distributed_setup("books")  # rejected
    tl.recover("books")  # rejected
    tl.orphans("books")  # rejected


def reading(books: tl.Repository[Book, str], book: Book) -> None:
    books.get_by_id(3)  # rejected
    books.get_by_id("978", fresh="yes")  # rejected
    books.get_by_id("978", stale=30)  # rejected
    books.get_many(["978"], ttl_s="5")  # rejected
    books.get_many([3])  # rejected
    books.list(where=lambda b: b.titel == "Emma")  # rejected
    books.list(order_by=lambda b: b.page)  # rejected
    books.find(lambda b: b.titel == "Emma")  # rejected
    books.first(lambda b: b.pages > 3)  # rejected
    books.count(where=lambda b: b.pages)  # rejected
    books.exists(3)  # rejected
    _book: Book = books.get_by_id("978")  # rejected
    _found: tl.Result[Author, tl.RepositoryError] = books.get_by_id("978")  # rejected


def storing(books: tl.Repository[Book, str], book: Book, author: Author) -> None:
    books.create(author)  # rejected
    books.create_many(book)  # rejected
    books.update(tl.change(author, name="Jane"))  # rejected
    books.update_many([author])  # rejected
    books.update_where(set=lambda b: tl.set(b.pages).to("3"), where=tl.everything)  # rejected
    books.upsert("978")  # rejected
    books.upsert_many(book)  # rejected
    books.get_or_create(author)  # rejected
    books.delete(3)  # rejected
    books.delete_many([book.pages])  # rejected
    books.delete_where(where=None)  # rejected
    books.purge(book.pages)  # rejected
    books.restore(book.pages)  # rejected


def performing(store: tl.Store, book: Book) -> None:
    store.fetch_all(BOOKS)  # rejected
    _one: tl.Result[list[Book], tl.RepositoryError] = store.fetch_one(READ)  # rejected
    _maybe: tl.Result[Book, tl.RepositoryError] = store.fetch_maybe(READ)  # rejected
    store.fetch_page(READ)  # rejected
    store.count(BOOKS)  # rejected
    store.exists("978")  # rejected
    store.execute(READ)  # rejected
    store.fetch_batch([READ, READ])  # rejected
    store.stream(BOOKS, size=10)  # rejected
    store.explain(BOOKS)  # rejected
    store.loader(READ)  # rejected
    store.create_table(READ)  # rejected
    store.create_schema(BOOKS)  # rejected
    store.drop_table("books")  # rejected


def price_of(isbn: str) -> tl.Result[Decimal, tl.NotFoundError]:
    return tl.Success(Decimal(len(isbn)))


@tl.do
def shown(isbn: str) -> Generator[tl.Failure[tl.NotFoundError], None, str]:
    price = yield from tl.ask(price_of(isbn))
    return price  # rejected


def composing(books: tl.Repository[Book, str]) -> None:
    tl.flow(3, price_of)  # rejected
    tl.flow("978", price_of, price_of)  # rejected
    tl.then(price_of)(price_of("978"))  # rejected
    tl.ask("978")  # rejected
    tl.do(3)  # rejected
    tl.unwrap(books)  # rejected
    tl.collect(["978"])  # rejected


LISTED = tl.sheet("1AbC", "Books", Shelf, key=lambda s: s.title)


def reading_sheets(sheets: tl.SheetStore, store: tl.Store) -> None:
    tl.sheet("1AbC", "Books", Shelf, key=lambda s: s.name)  # rejected
    tl.sheet("1AbC", 7, Shelf, key=lambda s: s.title)  # rejected
    tl.sheet("1AbC", "Books", Shelf, key=lambda s: s.title, bad_rows="ignore")  # rejected
    tl.sheet("1AbC", "Books", Shelf, key=lambda s: s.title, computed=lambda s: s.page)  # rejected
    tl.open_sheets("key.json", quota=60)  # rejected
    tl.open_sheets("key.json", cache=60.0)  # rejected
    tl.connect_sheets(7)  # rejected
    tl.select(LISTED, where=lambda s: s.pages > "9")  # rejected
    sheets.fetch_all(LISTED)  # rejected
    sheets.view(BOOKS)  # rejected
    sheets.check(READ)  # rejected
    store.sheets.fetch_all(tl.select(LISTED))  # rejected
    tl.open(sheets="key.json")  # rejected


def writing_sheets(
    reading: tl.SheetStore, sheets: tl.WritableSheetStore, tx: tl.SheetTransaction
) -> None:
    reading.transaction(lambda tx: tl.repository(tx, LISTED).count())  # rejected
    tl.repository(reading, LISTED)  # rejected
    tl.repository(sheets, BOOKS)  # rejected
    tl.repository(sheets, LISTED, cache=tl.read_through(ttl_s=1))  # rejected
    tl.repository(sheets, LISTED).delete(7)  # rejected
    tl.repository(tx, LISTED).create("title")  # rejected
    sheets.transaction(lambda tx: 7)  # rejected
    tl.open_sheets("key.json", write="yes")  # rejected


def of_a_name(conflict: tl.Conflict) -> str:
    return conflict.field


def syncing(store: tl.Store, pair: tl.Sync[Shelf, str]) -> None:
    tl.sync(LISTED)  # rejected
    tl.sync(LISTED, BOOKS, policy="sheet_wins")  # rejected
    tl.sync(LISTED, BOOKS, policy=of_a_name)  # rejected
    tl.sync(LISTED, BOOKS, max_deletes="half")  # rejected
    tl.sheet_wins("title")  # rejected
    tl.database_wins()  # rejected
    tl.manual(LISTED)  # rejected
    tl.per_field({"title": "sheet"})  # rejected
    store.sync(LISTED)  # rejected
    store.sync(pair, dry_run="yes")  # rejected
    store.sync(pair, progress=print, resync=1)  # rejected
    store.sync_conflicts(LISTED)  # rejected
    store.sync_decide(pair, {"token": "newest"})  # rejected
    store.create_sync_tables(pair)  # rejected
