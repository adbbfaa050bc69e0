"""The reading verbs of a repository."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

import msgspec
from returns.result import Failure, Success

from tierline.cache.strategy import PLAIN, read_options
from tierline.errors import QueryError, RepositoryError
from tierline.query import Query, select
from tierline.query.expressions import ColumnRef, Comparison, Expr, IsNull, Logic
from tierline.query.paging import Page, PageQuery
from tierline.query.paging import page as paged
from tierline.query.parameters import binder
from tierline.query.tracing import to_expr
from tierline.query.unknown import unknown_field
from tierline.repository.base import RepositoryBase, Rows
from tierline.repository.options import uncached_options
from tierline.result import Result
from tierline.sql import compile_count, compile_exists, compile_query
from tierline.sql.snapshots import Seen

T = TypeVar("T")
K = TypeVar("K")


class Reading(RepositoryBase[T, K]):
    """Reads entities of one table."""

    __slots__ = ()

    def get_many(
        self,
        keys: Iterable[K],
        *,
        fresh: bool = False,
        ttl_s: float | None = None,
        stale_ok_s: float | None = None,
    ) -> Result[dict[K, T], RepositoryError]:
        """The entities that have the keys, by key; keys without a row are left out.

        One statement for all; with a cache, only for those that no tier above has.

        Args:
            keys: The keys, in the order of the answer.
            fresh: Ask no cache; what is read is kept.
            ttl_s: Seconds for which what is read is fresh, instead of the strategy's.
            stale_ok_s: Seconds past its time up to which what L1 still keeps is an answer.

        Errors: `ValidationError` for a value that no key can have.

        Example:
            ``flights.get_many([1, 2, 3]).map(len)``
        """
        options = read_options(fresh=fresh, ttl_s=ttl_s, stale_ok_s=stale_ok_s)
        if self._cache is None and options is not PLAIN:
            uncached_options(
                "get_many",
                has_strategy=self._cached is not None,
                fresh=fresh,
                ttl_s=ttl_s,
                stale_ok_s=stale_ok_s,
            )
        wanted = list(dict.fromkeys(keys))
        if self._cache is None or not self._are_plain(wanted):
            # Checked before a cache is asked, where 1.0 and True would be found for 1.
            checked = self._keys(wanted, "get_many")
            if isinstance(checked, Failure):
                return checked
        if not wanted:
            return Success({})
        if self._cache is None:
            return self._fetch_many(wanted)
        found = self._cache.read_many(wanted, self._fetch_many, self._look_many, options)
        if isinstance(found, Failure):
            return found
        entities = found.unwrap()
        if self._table.copy:
            entities = copy.deepcopy(entities)
        if list(entities) == wanted:
            return Success(entities)
        if len(entities) == len(wanted):
            return Success({key: entities[key] for key in wanted})
        return Success({key: entities[key] for key in wanted if key in entities})

    def _are_plain(self, keys: list[K]) -> bool:
        """Whether each is an integer and no more; one that no row can have is told by L3's read."""
        return self._table.has_integer_key and set(map(type, keys)) == {int}

    @overload
    def exists(self, key: K) -> Result[bool, RepositoryError]: ...
    @overload
    def exists(
        self, *, where: Callable[[T], bool], include_deleted: bool = False
    ) -> Result[bool, RepositoryError]: ...
    def exists(
        self,
        key: Any = ...,
        *,
        where: Callable[[T], bool] | None = None,
        include_deleted: bool = False,
    ) -> Result[bool, RepositoryError]:
        """Whether a row has the key, or fits the condition.

        Args:
            key: The key to look for.
            where: Instead of it a condition, such as ``lambda f: f.dest == "LAX"``.
            include_deleted: With `where`: look at softly deleted rows too.

        Raises:
            TypeError: Neither or both are given.
        """
        if (key is ...) == (where is None):
            raise TypeError("exists takes a key, or where=")
        if where is not None:
            query = select(self._table, where=where, include_deleted=include_deleted)
            return self._scalar(query, "exists", compile_exists)
        values = self._key(key, "exists")
        if isinstance(values, Failure):
            return values
        try:
            statement = self._statements.exists
        except RepositoryError as error:
            return self._refused(error, "exists")
        result = self._store.database.fetch(statement, values.unwrap())
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])

    def count(
        self,
        *,
        where: Callable[[T], bool] | None = None,
        include_deleted: bool = False,
        **filters: object,
    ) -> Result[int, RepositoryError]:
        """How many rows fit; the arguments as in `list`."""
        query = self._query(filters, where=where, include_deleted=include_deleted)
        return self._scalar(query, "count", compile_count)

    def find(
        self, where: Callable[[T], bool], *, include_deleted: bool = False
    ) -> Result[T | None, RepositoryError]:
        """The only entity that fits, or None.

        Errors: `QueryError` if there are more; use `first` for any of them.
        """
        query = select(self._table, where=where, limit=2, include_deleted=include_deleted)
        result = self._listed(query, "find")
        if isinstance(result, Failure):
            return result
        rows = result.unwrap()
        if len(rows) > 1:
            return self._refused(more_than_one(), "find")
        return Success(rows[0] if rows else None)

    def first(
        self,
        where: Callable[[T], bool] | None = None,
        *,
        order_by: Callable[[T], object],
        include_deleted: bool = False,
    ) -> Result[T | None, RepositoryError]:
        """The first entity that fits, in an order, or None.

        Args:
            where: A condition; None takes every row.
            order_by: What comes first: a field, ``tl.desc(field)``, or a tuple of them.
            include_deleted: Look at softly deleted rows too.
        """
        query = select(
            self._table, where=where, order_by=order_by, limit=1, include_deleted=include_deleted
        )
        result = self._listed(query, "first")
        if isinstance(result, Failure):
            return result
        rows = result.unwrap()
        return Success(rows[0] if rows else None)

    def list(
        self,
        *,
        where: Callable[[T], bool] | None = None,
        order_by: Callable[[T], object] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include_deleted: bool = False,
        **filters: object,
    ) -> Result[Rows[T], RepositoryError]:
        """The entities that fit.

        Args:
            where: A condition, such as ``lambda f: f.dep_delay > 60``.
            order_by: A field, ``tl.desc(field)``, or a tuple of them.
            limit: The most entities to answer with.
            offset: How many to skip first.
            include_deleted: List softly deleted rows too, if the table has `deleted_at=`.
            **filters: Fields and the values they must equal; None asks for NULL.

        Raises:
            TypeError: A filter names no field or has a value of another type.
        """
        query = self._query(
            filters,
            where=where,
            order_by=order_by,
            limit=limit,
            offset=offset,
            include_deleted=include_deleted,
        )
        return self._listed(query, "list")

    def page(
        self,
        *,
        size: int,
        where: Callable[[T], bool] | None = None,
        order_by: Callable[[T], object] | None = None,
        after: str | None = None,
        before: str | None = None,
        include_deleted: bool = False,
        **filters: object,
    ) -> Result[Page[T], RepositoryError]:
        """Some of the entities that fit, with the cursors that lead to those around them.

        Args:
            size: The most entities, from 1 to 10,000.
            where: A condition, such as ``lambda f: f.dep_delay > 60``.
            order_by: A field, ``tl.desc(field)``, or a tuple of them; the key completes it.
            after: A page's `next`: the entities that follow it. From the beginning if None.
            before: A page's `previous`: the entities that lead to it.
            include_deleted: Softly deleted rows too, if the table has `deleted_at=`.
            **filters: Fields and the values they must equal; None asks for NULL.

        Errors: `ValidationError` for a cursor that is not one of the same arguments and store.

        Raises:
            TypeError: A filter names no field or has a value of another type.
            ValueError: `size` is out of range, or both cursors are given.

        Example:
            ``flights.page(size=20, where=lambda f: f.origin == "JFK", after=page.next)``
        """
        query = self._query(
            filters, where=where, order_by=order_by, include_deleted=include_deleted
        )
        found = self._paged(paged(query, size=size, after=after, before=before))
        return self._refused(found.failure(), "page") if isinstance(found, Failure) else found

    def _paged(self, asked: PageQuery[T]) -> Result[Page[T], RepositoryError]:
        return self._store.fetch_page(asked)

    def _fetch_many(self, keys: Rows[K]) -> Result[dict[K, T], RepositoryError]:
        values = self._keys(keys, "get_many")
        if isinstance(values, Failure):
            return values
        try:
            statement = self._statements.get_many
        except RepositoryError as error:
            return self._refused(error, "get_many")
        result = self._store.database.fetch_current(statement, values.unwrap())
        if isinstance(result, Failure):
            return result
        found = {self._table.key_of(entity): entity for entity in result.unwrap()}
        return Success({key: found[key] for key in keys if key in found})

    def _look_many(self, keys: Rows[K], *, latest: bool) -> Result[Rows[Seen], RepositoryError]:
        """`get_many` from L3, with the snapshots."""
        values = self._keys(keys, "get_many")
        if isinstance(values, Failure):
            return values
        try:
            statement = self._statements.get_many_seen
        except RepositoryError as error:
            return self._refused(error, "get_many")
        database = self._store.database
        return (database.fetch_latest if latest else database.fetch)(statement, values.unwrap())

    def _listed(self, query: Query[T], operation: str) -> Result[Rows[T], RepositoryError]:
        try:
            statement, values = compile_query(query, operation)
        except RepositoryError as error:
            return self._refused(error, operation)
        return self._store.database.fetch(statement, binder(values)({}))

    def _scalar(
        self, query: Query[T], operation: str, compiled: Callable[[Query[Any]], Any]
    ) -> Result[Any, RepositoryError]:
        try:
            statement, values = compiled(query)
        except RepositoryError as error:
            return self._refused(error, operation)
        result = self._store.database.fetch(statement, binder(values)({}))
        return result if isinstance(result, Failure) else Success(result.unwrap()[0])

    def _query(self, filters: dict[str, object], **clauses: Any) -> Query[T]:
        query = select(self._table, **clauses)
        condition = query.where
        for field, value in filters.items():
            test = self._equals(field, value)
            condition = test if condition is None else Logic("and", condition, test)
        return msgspec.structs.replace(query, where=condition)

    def _equals(self, field: str, value: object) -> Expr:
        column = self._table.by_field.get(field)
        if column is None:
            raise TypeError(unknown_field(self._table, field))
        reference = ColumnRef(column.name, column.type)
        if value is None:
            return IsNull(reference)
        return Comparison("=", reference, to_expr(value, column.type))


def more_than_one() -> QueryError:
    """The error of a verb that wants at most one row."""
    return QueryError("more than one row fits; use `first` for one of them, or `list`")
