"""Keyset pages: the rows that come after, or before, the last one seen.

A page is found by the values that its neighbour's last row is ordered by, not by a number of rows
to skip: rows that come or go elsewhere do not shift it. Its cursor is those values, signed, so that
nobody else can make one up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, Union, cast

import msgspec

from tierline.entity import Table
from tierline.entity.types import BOOL, ColumnType
from tierline.errors import FieldError, ValidationError
from tierline.query.checks import is_aggregate, outputs_of
from tierline.query.expressions import (
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Logic,
    Not,
    Ordering,
    Value,
    has_window,
)
from tierline.query.operands import fitted
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
from tierline.query.select import row_count
from tierline.query.shapes import maker

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SIZE_MAX = 10_000
_SIGNATURE_BYTES = 16


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
    if row_count("page: size", size) is None:
        raise TypeError("page: size must be an int, not None")
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


def keyed(query: Query[Any], keys: Sequence[Ordering]) -> Query[Keyed]:
    """The query, each row with the values that it is ordered by."""
    answer = query.answer
    width = len(answer.outputs)
    make = maker(answer.shape, answer.into)

    def into(*values: Any) -> Keyed:
        return Keyed(make(values[:width]), values[width:])

    extra = tuple(Output(f"key{n}", key.operand) for n, key in enumerate(keys, 1))
    projection = Projection("joined", into, answer.outputs + extra)
    return msgspec.structs.replace(query, projection=projection, order_by=tuple(keys))


def reversed_ordering(keys: Sequence[Ordering]) -> tuple[Ordering, ...]:
    """The same rows from the other end."""
    return tuple(
        Ordering(key.operand, not key.descending, "last" if _nulls_first(key) else "first")
        for key in keys
    )


def _nulls_first(key: Ordering) -> bool:
    return key.descending if key.nulls is None else key.nulls == "first"


def beyond(keys: Sequence[Ordering], values: Sequence[Any]) -> Expr:
    """Whether a row comes after the one with these values."""
    found: Expr = Value(False, BOOL)
    for key, value in reversed(list(zip(keys, values, strict=True))):
        same_and_beyond = Logic("and", _same(key.operand, value), found)
        found = Logic("or", _after(key, value), same_and_beyond)
    return found


def _same(operand: Expr, value: Any) -> Expr:
    return IsNull(operand) if value is None else Comparison("=", operand, _value(operand, value))


def _after(key: Ordering, value: Any) -> Expr:
    if value is None:
        return Not(IsNull(key.operand)) if _nulls_first(key) else Value(False, BOOL)
    operator: Any = "<" if key.descending else ">"
    later = Comparison(operator, key.operand, _value(key.operand, value))
    return later if _nulls_first(key) else Logic("or", later, IsNull(key.operand))


def _value(operand: Expr, value: Any) -> Value:
    return Value(fitted(value, operand.type), operand.type)


def write_cursor(values: Sequence[Any], statement: bytes, secret: bytes) -> str:
    """The cursor of a row.

    Args:
        values: What it is ordered by.
        statement: The name of the query's statement: cursors of another are refused.
        secret: Signs it.
    """
    content = msgspec.msgpack.encode(list(values))
    return base64.urlsafe_b64encode(_sign(content, statement, secret) + content).decode()


def read_cursor(
    cursor: str, keys: Sequence[Ordering], statement: bytes, secret: bytes
) -> tuple[Any, ...]:
    """The values of the row that a cursor is of.

    Raises:
        ValidationError: It was not made by this query, or with another secret, or is torn.
    """
    try:
        whole = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        signature, content = whole[:_SIGNATURE_BYTES], whole[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(content, statement, secret)):
            raise _foreign()
        return _decoder(tuple(key.operand.type for key in keys))(content)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _foreign() from None


def _foreign() -> ValidationError:
    problem = "is not a cursor of this query; begin at the first page"
    return ValidationError((FieldError("cursor", problem),))


def _sign(content: bytes, statement: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, statement + b"\0" + content, hashlib.sha256)[:_SIGNATURE_BYTES]


def _decoder(types: Sequence[ColumnType]) -> Callable[[bytes], tuple[Any, ...]]:
    optional = tuple(Union[type_.annotation, None] for type_ in types)  # noqa: UP007 (at run time)
    shape: Any = tuple.__class_getitem__(optional)
    decode: Callable[[bytes], tuple[Any, ...]] = msgspec.msgpack.Decoder(shape).decode
    return decode
