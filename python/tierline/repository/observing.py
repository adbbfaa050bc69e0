"""Writes that somebody has subscribed to: the rows before and after, and what is written with them.

Everything is one transaction. The rows that a write may reach are locked before it, so that nobody
else changes them in between; where a row appears that was not seen then, all of it is done again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from returns.result import Failure, Success

from tierline.entity import Table
from tierline.entity.validation import BadFieldsError
from tierline.errors import ConflictError, QueryError, RepositoryError
from tierline.query.parameters import binder, parameter_names
from tierline.query.writes import Delete, Insert, Update, Write
from tierline.repository.events import Changed, Watch, changed, reactions
from tierline.repository.ports import StorePort, TransactionPort
from tierline.result import Result
from tierline.sql import Compiled
from tierline.sql.changes import locked, locked_where, met, stored

A = TypeVar("A")

Kind: TypeAlias = Literal["made", "kept", "replaced", "ignored"]
"""Which rows a write leaves that were not there: all of its own; none; those it did not meet;
as many as it answers with."""

_TRIES = 10
_PAUSE_S = 0.003
_DEPTH_MAX = 8
_ROWS_AT_ONCE = 500

_depth: ContextVar[int] = ContextVar("tierline_subscribers_depth", default=0)


class Reach(NamedTuple):
    """Which rows a write may reach.

    Attributes:
        kind: What its new rows are.
        rows: Reads and locks those that are there.
        identities: The keys of those that may be made.
    """

    kind: Kind
    rows: Compiled | None
    identities: Sequence[tuple[Any, ...]] = ()


class _RacedError(Exception):
    """A row appeared between the look and the write."""


def reach_of_keys(table: Table[Any, Any], keys: Iterable[Any], kind: Kind) -> Reach:
    """The rows of a write by keys.

    Raises:
        ConfigurationError: A name cannot be an identifier.
    """
    identities: list[tuple[Any, ...]] = []
    for key in keys:
        try:
            identities.append(table.read_key(key))
        except BadFieldsError:
            # The write itself says so.
            continue
    rows = None if kind == "made" or not identities else locked(table, table.key, identities)
    return Reach(kind, rows, identities)


def reach_of_write(
    watched: Table[Any, Any], write: Write, parameters: Mapping[str, object]
) -> Reach:
    """The rows of a write by value.

    Raises:
        ConfigurationError: A name cannot be an identifier.
        QueryError: Its condition is nested too deeply.
    """
    match write:
        case Insert(entities=entities, on_conflict=conflict):
            table = write.table
            keys = [table.key_of(entity) for entity in entities]
            if conflict is None:
                return reach_of_keys(table, keys, "made")
            kind: Kind = "replaced" if conflict.assignments else "ignored"
            found = reach_of_keys(watched, keys, kind)
            if frozenset(conflict.target) != frozenset(table.key):
                taken = _values(write, conflict.target)
                rows = locked(watched, conflict.target, taken) if taken else None
                return Reach(kind, rows, found.identities)
            return found
        case Update(where=where) | Delete(where=where):
            statement, values = locked_where(watched, where)
            names = parameter_names(values)
            given = {name: value for name, value in parameters.items() if name in names}
            return Reach("kept", Compiled(statement, binder(values)(given)))
        case _:
            raise TypeError(f"no events of {type(write).__name__}")


def _values(write: Insert, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    table = write.table
    fields = [table.column(name).field for name in columns]
    rows: list[tuple[Any, ...]] = []
    for entity in write.entities:
        try:
            wire = table.validator.values_of(entity, fields)
        except BadFieldsError:
            continue
        rows.append(tuple(wire[name] for name in columns))
    return rows


def observed(
    store: StorePort,
    watch: Watch,
    table: Table[Any, Any],
    reach: Reach,
    *,
    action: Callable[[StorePort], Result[A, RepositoryError]],
    perform: Callable[[StorePort, Write], Result[int, RepositoryError]],
    made: Callable[[A], Sequence[tuple[Any, ...]]] | None = None,
) -> Result[A, RepositoryError]:
    """Perform a write and tell its subscribers of every row that it changed.

    Args:
        store: Where; in a transaction it is a part that can fail by itself.
        watch: Who has subscribed.
        table: The table that is written.
        reach: Which rows it may reach.
        action: The write itself.
        perform: Performs what the subscribers want written.
        made: The keys of the rows that it answered with, where it may have moved them.
    """
    if watch.table.key != table.key:
        return Failure(
            QueryError(
                "the table has subscribers under another key; write it by the table value that "
                "they subscribed with",
                table=table.name,
            )
        )
    depth = _depth.get()
    if depth >= _DEPTH_MAX:
        return Failure(
            QueryError(
                f"what subscribers write has set off subscribers {depth} times in a row; a handler "
                "must not write to a table that leads back to itself",
                table=table.name,
            )
        )
    token = _depth.set(depth + 1)
    try:
        for n in range(1, _TRIES + 1):
            look = _Observation(watch, reach, action, perform, made, is_last=n == _TRIES)
            try:
                return store.atomically(look.run)
            except _RacedError:
                time.sleep(random.uniform(0, _PAUSE_S * n))  # noqa: S311
    finally:
        _depth.reset(token)
    return Failure(
        ConflictError("others kept changing the same rows; call again", table=table.name)
    )


class _Observation(msgspec.Struct, frozen=True):
    """One try."""

    watch: Watch
    reach: Reach
    action: Callable[[StorePort], Any]
    perform: Callable[[StorePort, Write], Result[int, RepositoryError]]
    made: Callable[[Any], Sequence[tuple[Any, ...]]] | None
    is_last: bool

    def run(self, tx: TransactionPort) -> Result[Any, RepositoryError]:
        """Look, write, look again, tell."""
        before = self._rows(tx, self.reach.rows)
        if isinstance(before, Failure):
            return before
        old = before.unwrap()
        answer: Result[Any, RepositoryError] = self.action(tx)
        if isinstance(answer, Failure):
            return answer
        found = () if self.made is None else self.made(answer.unwrap())
        identities = list(dict.fromkeys((*self.reach.identities, *old, *found)))
        after = self._rows(tx, stored(self.watch.table, identities) if identities else None)
        if isinstance(after, Failure):
            return after
        new = after.unwrap()
        appeared = [identity for identity in identities if identity in new and identity not in old]
        raced = self._raced(tx, appeared, answer.unwrap(), len(old))
        if isinstance(raced, Failure):
            return raced
        if raced.unwrap():
            raise _RacedError
        told = self._told(tx, identities, old, new)
        return told if isinstance(told, Failure) else answer

    def _rows(
        self, tx: TransactionPort, compiled: Compiled | None
    ) -> Result[dict[tuple[Any, ...], Any], RepositoryError]:
        if compiled is None:
            return Success({})
        found = tx.database.fetch(*compiled)
        if isinstance(found, Failure):
            return found
        table = self.watch.table
        return Success({table.read_key(table.key_of(row)): row for row in found.unwrap()})

    def _raced(
        self, tx: TransactionPort, appeared: list[tuple[Any, ...]], answer: Any, seen: int
    ) -> Result[bool, RepositoryError]:
        count = answer if isinstance(answer, int) else len(answer)
        match self.reach.kind:
            case "made":
                return Success(False)
            case "kept":
                moved = self.made is not None
                return Success((bool(appeared) and not moved) or count > seen)
            case "ignored":
                return Success(count != len(appeared))
            case "replaced":
                # Rows that refer to a new row lock it too, so that it looks as if it had been met.
                if not appeared or (self.is_last and self._refers_to_itself()):
                    return Success(False)
                found = tx.database.fetch(*met(self.watch.table, appeared))
                return found if isinstance(found, Failure) else Success(found.unwrap()[0] > 0)

    def _refers_to_itself(self) -> bool:
        table = self.watch.table
        return any(rule.references.name == table.name for rule in table.foreign_keys)

    def _told(
        self,
        tx: TransactionPort,
        identities: list[tuple[Any, ...]],
        old: dict[tuple[Any, ...], Any],
        new: dict[tuple[Any, ...], Any],
    ) -> Result[None, RepositoryError]:
        table = self.watch.table
        began = tx.began_at()
        if isinstance(began, Failure):
            return began
        writes: list[Write] = []
        for identity in identities:
            event = changed(table, old.get(identity), new.get(identity), began.unwrap())
            wanted = self._wanted(event)
            if isinstance(wanted, Failure):
                return wanted
            writes += wanted
        for write in together(writes):
            done = self.perform(tx, write)
            if isinstance(done, Failure):
                return done
        return Success(None)

    def _wanted(self, event: Changed[Any] | None) -> list[Write] | Failure[RepositoryError]:
        return [] if event is None else reactions(self.watch.handlers, event)


def together(writes: Iterable[Write]) -> list[Write]:
    """The same writes, with plain inserts into one table that follow each other made one."""
    merged: list[Write] = []
    for write in writes:
        last = merged[-1] if merged else None
        if (
            isinstance(write, Insert)
            and isinstance(last, Insert)
            and write.table is last.table
            and write.on_conflict is None
            and last.on_conflict is None
            and len(last.entities) < _ROWS_AT_ONCE
        ):
            merged[-1] = Insert(write.table, (*last.entities, *write.entities))
        else:
            merged.append(write)
    return merged
