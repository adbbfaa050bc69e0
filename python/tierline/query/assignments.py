"""Assignments: what an update or an upsert sets; `tl.set(field).to(value)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from tierline.entity import Column, ColumnType, Table
from tierline.entity.types import is_tuple
from tierline.query.expressions import ColumnRef, Expr, Value, has_aggregate, has_window
from tierline.query.operands import fitted
from tierline.query.sight import Recorded
from tierline.query.tracing import Traced, call_traced
from tierline.query.unknown import unknown_field

T = TypeVar("T")


class RowRef(Expr, frozen=True):
    """A column of one of the two rows of an upsert: the stored one or the new one."""

    row: Literal["old", "new"]
    name: str
    column_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The column's type."""
        return self.column_type


class Assignment(Recorded, frozen=True):
    """A column and the expression it is set to."""

    column: str
    value: Expr


class Setting(Generic[T]):
    """A field about to be set; `to` says to what."""

    # Two calls rather than one with two arguments: only so do both type checkers fix the field's
    # type before they look at the value.
    __slots__ = ("_column",)

    def __init__(self, column: ColumnRef | RowRef) -> None:
        self._column = column

    def to(self, value: T) -> Assignment:
        """Set the field to a value: a plain one, which travels as a parameter, or an expression.

        Raises:
            TypeError: The value is of another type than the field.
        """
        column = self._column
        return Assignment(column.name, _assigned(value, column.name, column.type))


def set(field: T) -> Setting[T]:  # noqa: A001 (the field's word; reached as tl.set)
    """Set a field in an update or an upsert: ``tl.set(f.dep_delay).to(f.dep_delay + 5)``.

    Raises:
        TypeError: What is given is no field of the traced entity.
    """
    given: object = field
    expr = given.expr if isinstance(given, Traced) else None
    if isinstance(expr, (ColumnRef, RowRef)):
        return Setting(expr)
    raise TypeError(
        f"set takes a field of the entity, such as `tl.set(f.dest).to('LAX')`, not {given!r}"
    )


def _assigned(value: object, name: str, type_: ColumnType) -> Expr:
    if not isinstance(value, Traced):
        return Value(None if value is None else fitted(value, type_), type_)
    found = value.expr
    if has_aggregate(found) or has_window(found):
        raise TypeError(
            f"{name} cannot be set to an aggregate, because an update looks at one row; use "
            "tl.scalar(query)"
        )
    fits = found.type.oid == type_.oid or (
        found.type.is_number and (type_.wire, found.type.wire) in _WIDENED
    )
    if not fits:
        raise TypeError(f"{name} is {type_.sql} and cannot be set to {found.type.sql}")
    return found


# What PostgreSQL turns into the column's type without loss: column, value.
_WIDENED = (("float8", "int8"), ("numeric", "int8"))


class OneRow:
    """Stands in for one of the two rows of an upsert."""

    __slots__ = ("_row", "_table")

    def __init__(self, table: Table[Any, Any], row: Literal["old", "new"]) -> None:
        self._table = table
        self._row: Literal["old", "new"] = row

    def __getattr__(self, field: str) -> Traced:
        column = self._table.by_field.get(field)
        if column is None:
            raise AttributeError(unknown_field(self._table, field))
        return Traced(RowRef(self._row, column.name, column.type))


def trace_assignments(
    table: Table[Any, Any], function: Callable[..., Any], *rows: object
) -> tuple[Assignment, ...]:
    """What a `set` lambda sets, checked against the table.

    Raises:
        TypeError: It answers with something else than assignments; a column is set twice, or to
            None though its field is not optional, or is one that writes fill in themselves.
    """
    made = call_traced(function, *rows)
    items = made if is_tuple(made) else (made,)
    if not items or not all(isinstance(item, Assignment) for item in items):
        raise TypeError(
            "set must return `tl.set(f.field).to(value)`, or a tuple of them; "
            f"this one returned {made!r}"
        )
    found: dict[str, Assignment] = {}
    for item in items:
        column = table.column(item.column)
        if item.column in found:
            raise TypeError(f"set: {column.field!r} is set twice")
        if isinstance(item.value, Value) and item.value.value is None and not column.nullable:
            raise TypeError(f"set: {column.field!r} is not optional, so it cannot be set to None")
        refuse_managed(table, column)
        found[item.column] = item
    return tuple(found.values())


def refuse_managed(table: Table[Any, Any], column: Column) -> None:
    """Refuse a column that writes fill in themselves.

    Raises:
        TypeError: The table's options name it.
    """
    if column.name in table.managed:
        raise TypeError(
            f"set: {column.field!r} is set by each write itself, as an option of the table says; "
            "to delete or restore rows use the verbs of those names"
        )
