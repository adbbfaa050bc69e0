"""Change events: who hears of changes to a table's rows, and what is written with them."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

import msgspec
from returns.result import Failure

from tierline.closing import Closing
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.query.writes import Returning, Write

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Operation: TypeAlias = Literal["create", "update", "delete", "restore", "purge"]


class Changed(msgspec.Struct, Generic[T_co], frozen=True, eq=False):
    """One row that a write changed.

    Attributes:
        table: The row's table.
        operation: What became of the row: `create`, `update`, `delete`, `restore` or `purge`; by
            the row itself, so that an upsert is a `create` or an `update`.
        key: Its key.
        old: The row before; None for a `create`.
        new: The row after; None when it is gone. A soft deletion leaves it marked.
        fields: The names of the fields that differ; all of them if there was no row, or is none.
        at: When the transaction began, by the database's clock: what `now()` is in it.
    """

    table: Table[Any, Any]
    operation: Operation
    key: Any
    old: T_co | None
    new: T_co | None
    fields: tuple[str, ...]
    at: dt.datetime


Reaction: TypeAlias = Write | Iterable[Write] | Failure[RepositoryError] | None
"""What a handler answers with: what is to be written with a change, or why it may not be."""

Handler: TypeAlias = Callable[[Changed[T]], Reaction]


class Subscription(Closing):
    """A handler that hears of a table's changes, until it is closed."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def close(self) -> None:
        """Hear no more; idempotent. Changes under way are still told."""
        self._close()


class Watch(NamedTuple):
    """Who has subscribed to a table.

    Attributes:
        table: The table as they know it.
        handlers: In the order they came.
    """

    table: Table[Any, Any]
    handlers: tuple[Handler[Any], ...]


class Subscriptions:
    """The handlers of one store; safe to share between threads.

    Args:
        schema: The schema that tables without one lie in.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._lock = threading.Lock()
        # Replaced as a whole, so that reading needs no lock.
        self._by_table: dict[tuple[str, str], Watch] = {}

    def add(self, table: Table[T, Any], handler: Handler[T]) -> Subscription:
        """Let a handler hear of a table's changes.

        Raises:
            TypeError: The table or the handler is none, or others have subscribed to the same
                table by another value.
        """
        if not isinstance(cast("object", table), Table):
            raise TypeError(f"subscribe takes a table, not {table!r:.80}")
        if not callable(cast("object", handler)):
            raise TypeError(f"subscribe takes a function of a tl.Changed, not {handler!r:.80}")

        def heard(event: Changed[T]) -> Reaction:
            return handler(event)

        place = self._place(table)
        with self._lock:
            watch = self._by_table.get(place, Watch(table, ()))
            if watch.table is not table:
                raise TypeError(
                    f"{table.name} has subscribers by another table value; subscribe with the same"
                )
            self._by_table = {
                **self._by_table,
                place: Watch(table, (*watch.handlers, heard)),
            }

        def close() -> None:
            with self._lock:
                others = dict(self._by_table)
                watch = others.pop(place, None)
                rest = tuple(h for h in watch.handlers if h is not heard) if watch else ()
                self._by_table = {**others, place: Watch(table, rest)} if rest else others

        return Subscription(close)

    def of(self, table: Table[Any, Any]) -> Watch | None:
        """Who has subscribed to a table; None if nobody has."""
        by_table = self._by_table
        return by_table.get(self._place(table)) if by_table else None

    def _place(self, table: Table[Any, Any]) -> tuple[str, str]:
        return table.schema or self._schema, table.name


def changed(
    table: Table[T, Any], old: T | None, new: T | None, at: dt.datetime
) -> Changed[T] | None:
    """The event of a row before and after a write; None if nothing is different."""
    row = new if old is None else old
    if row is None:
        return None
    fields = tuple(
        column.field
        for column in table.columns
        if old is None or new is None or getattr(old, column.field) != getattr(new, column.field)
    )
    if not fields:
        return None
    key = table.key_of(row)
    return Changed(table, _operation(table, old, new), key, old, new, fields, at)


def _operation(table: Table[Any, Any], old: Any, new: Any) -> Operation:
    if old is None:
        return "create"
    if new is None:
        return "delete" if table.deleted_at is None else "purge"
    if table.deleted_at is None:
        return "update"
    field = table.column(table.deleted_at).field
    was, is_ = getattr(old, field) is not None, getattr(new, field) is not None
    return "update" if was == is_ else "delete" if is_ else "restore"


def reactions(
    handlers: Iterable[Handler[Any]], event: Changed[Any]
) -> list[Write] | Failure[RepositoryError]:
    """What the handlers want written with a change, or the first that refuses it.

    Raises:
        TypeError: One answers with something else.
    """
    writes: list[Write] = []
    for handler in handlers:
        answer = cast("object", handler(event))
        if isinstance(answer, Failure):
            error = cast("Failure[object]", answer).failure()
            if not isinstance(error, RepositoryError):
                raise TypeError(
                    f"a handler refused a change with {error!r:.80}; the error of its Failure must "
                    "be a tl.RepositoryError, such as tl.ConstraintError('…')"
                )
            return Failure(error)
        if answer is None:
            continue
        given: Iterable[object] = (answer,)
        if not isinstance(answer, (Write, Returning)) and isinstance(answer, Iterable):
            given = cast("Iterable[object]", answer)
        for write in given:
            if not isinstance(write, Write):
                raise TypeError(
                    f"a handler answered with {write!r:.80}; it may answer with None, writes "
                    "without returning such as tl.insert(…), or a Failure"
                )
            writes.append(write)
    return writes
