"""`tl.batch`: several queries as one value, performed in one round trip."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

import msgspec

from tierline.query import Query
from tierline.query.query import Fetchable
from tierline.sql import RawQuery

T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


class Batch(msgspec.Struct, Generic[T_co], frozen=True, eq=False):
    """Queries that are performed together; `T` is the tuple of their rows."""

    queries: tuple[Fetchable[Any], ...]

    def __repr__(self) -> str:
        return f"<Batch of {len(self.queries)} queries>"


@overload
def batch(a: Fetchable[A], /) -> Batch[tuple[list[A]]]: ...
@overload
def batch(a: Fetchable[A], b: Fetchable[B], /) -> Batch[tuple[list[A], list[B]]]: ...
@overload
def batch(
    a: Fetchable[A], b: Fetchable[B], c: Fetchable[C], /
) -> Batch[tuple[list[A], list[B], list[C]]]: ...
@overload
def batch(
    a: Fetchable[A], b: Fetchable[B], c: Fetchable[C], d: Fetchable[D], /
) -> Batch[tuple[list[A], list[B], list[C], list[D]]]: ...
@overload
def batch(
    a: Fetchable[A], b: Fetchable[B], c: Fetchable[C], d: Fetchable[D], e: Fetchable[E], /
) -> Batch[tuple[list[A], list[B], list[C], list[D], list[E]]]: ...
@overload
def batch(
    a: Fetchable[A],
    b: Fetchable[B],
    c: Fetchable[C],
    d: Fetchable[D],
    e: Fetchable[E],
    f: Fetchable[F],
    /,
) -> Batch[tuple[list[A], list[B], list[C], list[D], list[E], list[F]]]: ...
@overload
def batch(*queries: Fetchable[A]) -> Batch[tuple[list[A], ...]]: ...
def batch(*queries: Fetchable[Any]) -> Batch[Any]:
    """Describe queries to perform together, in one round trip: see `store.fetch_batch`.

    Args:
        *queries: From `tl.select`, `tl.project` or `tl.sql`; the types of up to six are kept.

    Raises:
        TypeError: There is none, or one is no query with rows.
    """
    if not queries:
        raise TypeError("batch takes queries; give at least one")
    for query in queries:
        if not isinstance(query, (Query, RawQuery)):
            raise TypeError(f"batch takes queries with rows, not {query!r:.80}; use `into=`")
    return Batch(queries)
