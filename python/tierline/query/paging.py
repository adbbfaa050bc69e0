"""Keyset pages: the rows that come after, or before, the last one seen.

A page is found by the values that its neighbour's last row is ordered by, not by a number of rows
to skip: rows that come or go elsewhere do not shift it. Its cursor is those values, signed, so that
nobody else can make one up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Generic, TypeVar, cast

import msgspec

from tierline.entity import Table
from tierline.query.checks import is_aggregate, outputs_of
from tierline.query.counts import row_count
from tierline.query.expressions import ColumnRef, Expr, Logic, Ordering, has_window
from tierline.query.keyset import Bound, Stretch, any_of, nulls_first, stretches, whole
from tierline.query.nullability import is_stored, may_be_null
from tierline.query.query import (
    Compound,
    Cte,
    CteRef,
    Output,
    Projection,
    Query,
    Relation,
    query_given,
    query_of,
)
from tierline.query.shapes import maker

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SIZE_MAX = 10_000


class Page(msgspec.Struct, Generic[T_co], frozen=True):
    """Some rows of a query, with the way to those around them.

    Attributes:
        items: The rows.
        next: The cursor of the page after it, or None if there is none.
        previous: The cursor of the page before it, or None if there is none.
    """

    items: list[T_co]
    next: str | None
    previous: str | None


class PageQuery(msgspec.Struct, Generic[T_co], frozen=True, eq=False):
    """An inert description of a page; perform it with `store.fetch_page`."""

    query: Query[T_co]
    size: int
    after: str | None = None
    before: str | None = None


def page(
    query: Query[T], *, size: int, after: str | None = None, before: str | None = None
) -> PageQuery[T]:
    """Describe a page of a query's rows.

    Args:
        query: What is read, and in which order. Its ordering is completed by the table's key, so
            that no two rows are the same in it.
        size: The most rows, from 1 to 10,000.
        after: A page's `next`: the rows that follow it. From the beginning if None.
        before: A page's `previous`: the rows that lead to it.

    Raises:
        ValueError: `size` is out of range, or both cursors are given.
        TypeError: The query is limited, grouped or distinct, or has windows;
            ``tl.order_by(query, …)`` makes it one whose rows can be ordered. Or its rows may be the
            same, or are ordered by JSON.
    """
    query_given("page", query)
    if not isinstance(row_count("page: size", size), int):
        raise TypeError(f"page: size must be an int, not {size!r}")
    for cursor in cast("tuple[Any, ...]", (after, before)):
        if cursor is not None and not isinstance(cursor, str):
            raise TypeError(f"page: a cursor is the text that a page gave, not {cursor!r}")
    if not 1 <= size <= SIZE_MAX:
        raise ValueError(f"page: size must be from 1 to {SIZE_MAX:,}, not {size}")
    if after is not None and before is not None:
        raise ValueError("page: give after or before, not both")
    limited = query.limit is not None or query.offset is not None
    windows = any(map(has_window, [*outputs_of(query), *(key.operand for key in query.order_by)]))
    if limited or query.distinct or query.lock is not None or windows or is_aggregate(query):
        raise TypeError(
            "page: the query is limited, grouped, distinct or locked, or has windows; "
            "tl.order_by(query, …) orders what it comes to, and that can be paged"
        )
    if any(key.operand.type.wire == "jsonb" for key in ordering(query)):
        raise TypeError("page: rows ordered by JSON have no place to go on from; use other fields")
    return PageQuery(query, size, after, before)


class Keyed(msgspec.Struct, frozen=True):
    """A row with the values that it is ordered by."""

    item: Any
    keys: tuple[Any, ...]


def ordering(query: Query[Any]) -> tuple[Ordering, ...]:
    """The query's ordering, completed so that no two rows are the same in it.

    Raises:
        TypeError: Rows may be the same in all they have.
    """
    known = [key.operand for key in query.order_by]
    rest = [Ordering(column) for column in _sources_identity(query) if column not in known]
    return (*query.order_by, *rest)


def _sources_identity(query: Query[Any]) -> list[ColumnRef]:
    """Columns in which no two rows of all sources together are the same."""
    return [
        column
        for position, source in enumerate(query.sources)
        for column in _identity(source, (query.level, position))
    ]


def _identity(source: Relation, alias: tuple[int, int]) -> list[ColumnRef]:
    if isinstance(source, Table):
        return [ColumnRef(column.name, column.type, alias) for column in source.key_columns]
    return [ColumnRef(output.name, output.type, alias) for output in _telling(source)]


def _telling(source: Query[Any] | Compound | Cte | CteRef) -> list[Output]:
    """What a source answers with that is not the same in any two of its rows."""
    outputs = list(query_of(source).answer.outputs)
    match source:
        case Query():
            return outputs if source.distinct else _telling_of_query(source, outputs)
        case Compound(operator="UNION" | "INTERSECT" | "EXCEPT") | Cte(union_all=False):
            return outputs
        case Cte(step=None):
            return _telling(source.base)
        case _:
            raise _may_be_same()


def _telling_of_query(query: Query[Any], outputs: list[Output]) -> list[Output]:
    if query.group_by:
        columns: Sequence[Expr] = query.group_by
    elif is_aggregate(query):
        return outputs
    else:
        columns = _sources_identity(query)
    found = [output for output in outputs if output.expr in columns]
    if any(column not in [output.expr for output in found] for column in columns):
        raise _may_be_same()
    return found


def _may_be_same() -> TypeError:
    return TypeError(
        "page: some of these rows may be the same, and one may be lost between two pages; project "
        "the key too, or let them come once with distinct=True or keep_duplicates=False"
    )


class Keys(msgspec.Struct, frozen=True):
    """A query's complete ordering.

    Attributes:
        ordering: Its keys.
        nullable: Which of them may be NULL.
        is_stored: Whether the first is a column as a table has it, so that an index may order it.
    """

    ordering: tuple[Ordering, ...]
    nullable: tuple[bool, ...]
    is_stored: bool


def keys_of(query: Query[Any]) -> Keys:
    """A query's complete ordering, with what is known of its keys."""
    found = ordering(query)
    nullable = tuple(may_be_null(query, key.operand) for key in found)
    return Keys(found, nullable, bool(found) and is_stored(query, found[0].operand))


def keyed(query: Query[Any], keys: Sequence[Ordering]) -> Query[Keyed]:
    """The query, each row with the values that it is ordered by."""
    answer = query.answer
    width = len(answer.outputs)
    make = maker(answer.shape, answer.into)

    def into(*values: Any) -> Keyed:
        return Keyed(make(values[:width]), values[width:])

    extra = tuple(
        Output(name, key.operand) for name, key in zip(_key_names(answer, keys), keys, strict=True)
    )
    projection = Projection("joined", into, answer.outputs + extra)
    return msgspec.structs.replace(query, projection=projection, order_by=tuple(keys))


def bare_keys(query: Query[Any], keys: Keys) -> Query[tuple[Any, ...]]:
    """The values alone that each of a query's rows is ordered by."""
    outputs = tuple(Output(f"key{n}", key.operand) for n, key in enumerate(keys.ordering, 1))
    return Query(query.table, projection=Projection("tuple", tuple, outputs), level=query.level)


def _key_names(answer: Projection, keys: Sequence[Ordering]) -> list[str]:
    """Names for the keys that no column of the answer has."""
    taken = {output.name for output in answer.outputs}
    beginning = "key"
    while any(name.startswith(beginning) for name in taken):
        beginning = f"_{beginning}"
    return [f"{beginning}{n}" for n in range(1, len(keys) + 1)]


def window(page: PageQuery[Any], keys: Keys, values: Sequence[Any] | None) -> Query[Keyed]:
    """The query of a page's rows and one more, in the page's direction.

    Where the first key may be NULL the rows after a row are several stretches of an index. They are
    read as so many queries, each from where its stretch begins, if there may be such an index.

    Args:
        page: What is asked.
        keys: The ordering of its query.
        values: What the row beside the page is ordered by; None for the first page.
    """
    rows = _along(page, keys, keyed(page.query, keys.ordering))
    along = rows.order_by
    if values is None:
        found = whole(along) if along and keys.nullable[0] else []
    else:
        found = _beyond(along, keys, values)
    if len(found) == 1 or (found and keys.is_stored):
        return _merged(rows, found)
    return rows if values is None else _narrowed(rows, any_of(found))


def plain_window(page: PageQuery[T], keys: Keys, values: Sequence[Any] | None) -> Query[T]:
    """As `window`, in one piece and without the values that rows are ordered by."""
    rows = _along(page, keys, page.query)
    return rows if values is None else _narrowed(rows, any_of(_beyond(rows.order_by, keys, values)))


def _along(page: PageQuery[Any], keys: Keys, query: Query[T]) -> Query[T]:
    along = keys.ordering if page.before is None else reversed_ordering(keys.ordering)
    # Where there is no NULL its place says nothing, and might be another than an index has.
    along = tuple(
        key if nullable else msgspec.structs.replace(key, nulls=None)
        for key, nullable in zip(along, keys.nullable, strict=True)
    )
    return msgspec.structs.replace(query, order_by=along, limit=page.size + 1)


def _beyond(along: Sequence[Ordering], keys: Keys, values: Sequence[Any]) -> list[Stretch]:
    bounds = zip(along, keys.nullable, values, strict=True)
    return stretches([Bound(*bound) for bound in bounds])


def _merged(rows: Query[Keyed], found: Sequence[Stretch]) -> Query[Keyed]:
    """The first rows of the stretches, in their order."""
    pieces = [
        msgspec.structs.replace(
            _narrowed(rows, stretch.condition), order_by=_in_stretch(rows.order_by, stretch)
        )
        for stretch in found
    ]
    answer, alias = rows.answer, (rows.level, 0)
    names = [output.name for output in answer.outputs[-len(rows.order_by) :]]
    along = tuple(
        msgspec.structs.replace(key, operand=ColumnRef(name, key.operand.type, alias))
        for name, key in zip(names, rows.order_by, strict=True)
    )

    def followed_by(one: Query[Keyed], other: Query[Keyed]) -> Query[Keyed]:
        # Both have their rows in order, so PostgreSQL merges them and reads the other when it must.
        both = Compound("UNION ALL", one, other)
        return Query(rows.table, relation=both, order_by=along, limit=rows.limit, level=rows.level)

    return reduce(followed_by, pieces)


def _in_stretch(keys: Sequence[Ordering], stretch: Stretch) -> tuple[Ordering, ...]:
    """The ordering inside a stretch, as an index is most likely to have it."""
    first, *rest = keys
    descending = rest[0].descending if rest and stretch.is_null else first.descending
    return (Ordering(first.operand, descending), *rest)


def _narrowed(rows: Query[T], condition: Expr) -> Query[T]:
    where = condition if rows.where is None else Logic("and", rows.where, condition)
    return msgspec.structs.replace(rows, where=where)


def reversed_ordering(keys: Sequence[Ordering]) -> tuple[Ordering, ...]:
    """The same rows from the other end."""
    return tuple(
        Ordering(key.operand, not key.descending, "last" if nulls_first(key) else "first")
        for key in keys
    )
