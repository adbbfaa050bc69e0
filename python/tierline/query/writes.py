"""Writes as inert values: insert, upsert, update and delete; building one does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar, overload

import msgspec

from tierline.entity import Table
from tierline.entity.table import column_names
from tierline.entity.types import BOOL
from tierline.query.assignments import (
    Assignment,
    OneRow,
    RowRef,
    refuse_managed,
    trace_assignments,
)
from tierline.query.deletion import not_deleted
from tierline.query.expressions import Expr, has_aggregate
from tierline.query.select import Projection, projection_of
from tierline.query.tracing import Traced, boolean, call_traced, trace, trace_predicate

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Condition: TypeAlias = Callable[[T], bool]
Settings: TypeAlias = Callable[[T], Assignment | tuple[Assignment, ...]]
Merge: TypeAlias = Callable[[T, T], Assignment | tuple[Assignment, ...]]


class OnConflict(msgspec.Struct, frozen=True):
    """What becomes of a new row when a stored row has the same key or unique value.

    Attributes:
        target: The columns of the key or the unique constraint.
        assignments: What is set in the stored row; none leaves it as it is.
        where: Updates the stored row only if this holds.
    """

    target: tuple[str, ...]
    assignments: tuple[Assignment, ...] = ()
    where: Expr | None = None


class Write(msgspec.Struct, frozen=True, eq=False, dict=True):
    """An inert write; perform it with `store.execute`, which answers how many rows it changed."""

    table: Table[Any, Any]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.table.name}>"


class Insert(Write, frozen=True, eq=False):
    """New rows."""

    entities: tuple[Any, ...]
    on_conflict: OnConflict | None = None


class Update(Write, frozen=True, eq=False):
    """New values in the rows for which a condition holds; None is every row."""

    assignments: tuple[Assignment, ...]
    where: Expr | None = None


class Delete(Write, frozen=True, eq=False):
    """The end of the rows for which a condition holds; softly where the table says so."""

    where: Expr | None = None
    purge: bool = False


class Returning(msgspec.Struct, Generic[R_co], frozen=True, eq=False, dict=True):
    """A write that answers with what it wrote; perform it with `store.fetch_all` and the like."""

    write: Write
    projection: Projection | None = None

    @property
    def table(self) -> Table[Any, Any]:
        """The table that is written."""
        return self.write.table


def everything(row: object) -> bool:
    """As `where`: every row. An update or delete of all rows must be asked for."""
    del row
    return True


@overload
def insert(table: Table[T, Any], entities: T | Iterable[T]) -> Insert: ...
@overload
def insert(
    table: Table[T, Any], entities: T | Iterable[T], *, returning: Callable[[T], R]
) -> Returning[R]: ...
def insert(
    table: Table[T, Any],
    entities: T | Iterable[T],
    *,
    returning: Callable[[T], R] | None = None,
) -> Insert | Returning[R]:
    """Describe new rows.

    For thousands of rows `repository.create_many` is much faster.

    Args:
        table: The table to write.
        entities: One entity, or several.
        returning: What to answer with for each row, as in `tl.project`; ``lambda f: f`` is the
            whole entity.

    Raises:
        TypeError: An entity is not of the table's class, or there is none.

    Performing it may fail with `ValidationError`, `DuplicateError` or `ConstraintError`.

    Example:
        ``store.fetch_one(tl.insert(FLIGHTS, flight, returning=lambda f: f.id))``
    """
    return _returned(Insert(table, _entities(table, entities)), returning)


@overload
def upsert(
    table: Table[T, Any],
    entities: T | Iterable[T],
    *,
    target: Callable[[T], object] | None = None,
    overwrite: Callable[[T], object] | None = None,
    merge: Merge[T] | None = None,
    ignore: bool = False,
    where: Callable[[T, T], bool] | None = None,
) -> Insert: ...
@overload
def upsert(
    table: Table[T, Any],
    entities: T | Iterable[T],
    *,
    target: Callable[[T], object] | None = None,
    overwrite: Callable[[T], object] | None = None,
    merge: Merge[T] | None = None,
    ignore: bool = False,
    where: Callable[[T, T], bool] | None = None,
    returning: Callable[[T], R],
) -> Returning[R]: ...
def upsert(
    table: Table[T, Any],
    entities: T | Iterable[T],
    *,
    target: Callable[[T], object] | None = None,
    overwrite: Callable[[T], object] | None = None,
    merge: Merge[T] | None = None,
    ignore: bool = False,
    where: Callable[[T, T], bool] | None = None,
    returning: Callable[[T], R] | None = None,
) -> Insert | Returning[R]:
    """Describe rows that are new, or change the stored row with the same key.

    Without options the new entity replaces the stored one.

    Args:
        table: The table to write.
        entities: One entity, or several with different keys.
        target: The key, which is the default, or the fields of a unique constraint: what decides
            whether the row is there already.
        overwrite: The fields to take over from the new entity: ``lambda e: (e.name, e.seats)``.
        merge: What to set from the stored and the new row:
            ``lambda old, new: tl.set(old.n).to(old.n + new.n)``.
        ignore: Leave the stored row as it is.
        where: Change the stored row only if this holds: ``lambda old, new: old.n < new.n``.
        returning: What to answer with for each row that was written, as in `tl.project`.

    Raises:
        TypeError: `target` is no key and no declared unique constraint; options that exclude each
            other; an entity of another class.

    Performing it may fail with `ValidationError`, `ConstraintError`, or `DuplicateError`: another
    row has the new one's values in another unique rule than the target. PostgreSQL may say so too
    of the very same row, written by another session at the same moment, so it is tried once more,
    outside a transaction, before that is the answer.
    """
    if (overwrite is not None) + (merge is not None) + ignore > 1:
        raise TypeError("upsert takes one of overwrite=, merge= and ignore=")
    if ignore and where is not None:
        raise TypeError("upsert: with ignore=True the stored row stays, so where= says nothing")
    columns = _target(table, target)
    old, new = OneRow(table, "old"), OneRow(table, "new")
    if ignore:
        assignments: tuple[Assignment, ...] = ()
    elif merge is not None:
        assignments = trace_assignments(table, merge, old, new)
    else:
        assignments = _overwriting(table, columns, overwrite)
    condition = None if where is None else _boolean(call_traced(where, old, new))
    conflict = OnConflict(columns, assignments, condition)
    return _returned(Insert(table, _entities(table, entities), conflict), returning)


@overload
def update(table: Table[T, Any], *, set: Settings[T], where: Condition[T]) -> Update: ...
@overload
def update(
    table: Table[T, Any], *, set: Settings[T], where: Condition[T], returning: Callable[[T], R]
) -> Returning[R]: ...
def update(
    table: Table[T, Any],
    *,
    set: Settings[T],  # noqa: A002 (the field's word)
    where: Condition[T] | None = None,
    returning: Callable[[T], R] | None = None,
) -> Update | Returning[R]:
    """Describe new values in the rows that fit.

    The table's version and `updated_at` move on; softly deleted rows are left alone.

    Args:
        table: The table to write.
        set: ``lambda f: tl.set(f.dest).to("LAX")``, or a tuple of settings.
        where: Which rows; all of them must be asked for with ``where=tl.everything``.
        returning: What to answer with for each row, after the change, as in `tl.project`.

    Raises:
        TypeError: There is no `where`, or a lambda does something that cannot be traced.
    """
    condition = _condition(table, where, "update")
    assignments = trace_assignments(table, set, trace(table, lambda row: row))
    return _returned(Update(table, assignments, condition), returning)


@overload
def delete(table: Table[T, Any], *, where: Condition[T], purge: bool = False) -> Delete: ...
@overload
def delete(
    table: Table[T, Any],
    *,
    where: Condition[T],
    purge: bool = False,
    returning: Callable[[T], R],
) -> Returning[R]: ...
def delete(
    table: Table[T, Any],
    *,
    where: Condition[T] | None = None,
    purge: bool = False,
    returning: Callable[[T], R] | None = None,
) -> Delete | Returning[R]:
    """Describe the end of the rows that fit; in a table with `deleted_at=` they are marked.

    Args:
        table: The table to write.
        where: Which rows; all of them must be asked for with ``where=tl.everything``.
        purge: Delete for real, rows marked as deleted too.
        returning: What to answer with for each deleted row, as in `tl.project`.

    Raises:
        TypeError: There is no `where`, or a lambda does something that cannot be traced.
    """
    condition = _condition(table, where, "delete", include_deleted=purge)
    return _returned(Delete(table, condition, purge), returning)


W = TypeVar("W", bound=Write)


def _returned(write: W, returning: Callable[[Any], Any] | None) -> W | Returning[Any]:
    if returning is None:
        return write
    row = trace(write.table, lambda row: row)
    made = call_traced(returning, row)
    if made is row:
        return Returning(write)
    projection = projection_of(made)
    if any(has_aggregate(output.expr) for output in projection.outputs):
        raise TypeError("returning answers for each row; an aggregate needs a query")
    return Returning(write, projection)


def _entities(table: Table[Any, Any], given: Any) -> tuple[Any, ...]:
    entities: tuple[Any, ...] = (given,)
    if not isinstance(given, table.entity) and hasattr(given, "__iter__"):
        entities = tuple(given)
    if not entities:
        raise TypeError("a write of new rows takes at least one entity")
    for entity in entities:
        if not isinstance(entity, table.entity):
            raise TypeError(
                f"expected an instance of {table.entity.__name__}, got {type(entity).__name__}"
            )
    return entities


def _condition(
    table: Table[Any, Any],
    where: Callable[[Any], bool] | None,
    verb: str,
    *,
    include_deleted: bool = False,
) -> Expr | None:
    """Which rows an update or a delete reaches; None for every one."""
    if where is None:
        raise TypeError(
            f"{verb} without where would reach every row; if that is meant, pass "
            "`where=tl.everything`"
        )
    condition = None if where is everything else trace_predicate(table, where)
    return condition if include_deleted else not_deleted(table, condition)


def _boolean(traced: object) -> Expr:
    if not isinstance(traced, Traced) or traced.expr.type.oid != BOOL.oid:
        raise TypeError(f"where must return a comparison of the two rows, not {traced!r}")
    return boolean(traced, "where")


def _target(table: Table[Any, Any], target: Callable[[Any], object] | None) -> tuple[str, ...]:
    if target is None:
        return table.key
    columns = column_names(table, target, "upsert")
    for rule in (table.key, *(rule.columns for rule in table.uniques)):
        if frozenset(rule) == frozenset(columns):
            return rule
    raise TypeError(
        f"{table.name}.upsert: {columns} is neither the key nor a unique constraint of the table; "
        "declare it with table.unique(…)"
    )


def _overwriting(
    table: Table[Any, Any], target: tuple[str, ...], fields: Callable[[Any], object] | None
) -> tuple[Assignment, ...]:
    """The stored row's columns, set to those of the new one."""
    if fields is None:
        # A row that was softly deleted lives again if the new one does.
        kept = {*table.key, *target, *table.managed} - {table.deleted_at}
        names = tuple(column.name for column in table.columns if column.name not in kept)
    else:
        names = column_names(table, fields, "upsert")
        for name in names:
            refuse_managed(table, table.column(name))
    # With nothing to take over the stored row is still written, so that it is answered with.
    return tuple(
        Assignment(name, RowRef("new", name, table.column(name).type)) for name in names or target
    )
