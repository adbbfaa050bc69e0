"""Which rows a lambda may use: its own, and those of the lambdas that it stands in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import ContextVar, Token
from typing import Any

import msgspec

from tierline.entity.types import is_tuple
from tierline.query.expressions import ColumnRef, Expr, Ordering, parts


class Recorder:
    """What stands in for a value, and holds what was recorded of it."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr


class RowRecorder:
    """What stands in for a row, and holds the columns that were used by the fields' names."""

    __slots__ = ("_columns",)

    _columns: dict[str, ColumnRef]


class Recorded(msgspec.Struct, frozen=True):
    """What a lambda makes that has expressions in it."""


# A stand-in hands out the same objects each time, and lives as long as its lambda runs.
_in_sight: ContextVar[tuple[Any, ...]] = ContextVar("_in_sight", default=())


def seeing(rows: tuple[Any, ...]) -> Token[tuple[Any, ...]]:
    """From here to `unsee` the fields of further rows may be used."""
    return _in_sight.set(_in_sight.get() + rows)


def unsee(token: Token[tuple[Any, ...]]) -> None:
    """Take back a `seeing`."""
    _in_sight.reset(token)


def _columns_in(rows: Iterable[Any]) -> Iterator[ColumnRef]:
    for row in rows:
        if isinstance(row, RowRecorder):
            columns: dict[str, ColumnRef] = object.__getattribute__(row, "_columns")
            yield from columns.values()
        elif isinstance(row, Recorder) and isinstance(row.expr, ColumnRef):
            yield row.expr
        elif is_tuple(row):
            yield from _columns_in(row)


def check_in_sight(made: Any) -> None:
    """Refuse a column of a row that another lambda was called with.

    By its place it would be taken for a column of this lambda's own row.

    Args:
        made: What a lambda answered with.

    Raises:
        TypeError: There is one.
    """
    known = {id(column) for column in _columns_in(_in_sight.get())}
    for expression in _expressions_in(made):
        for part in parts(expression):
            if isinstance(part, ColumnRef) and id(part) not in known:
                raise TypeError(
                    f"the field {part.name!r} is of another query's row, and a row is not to be "
                    "used outside its own lambda; join the two, or write the one query inside the "
                    "other's lambda"
                )


def _expressions_in(made: Any) -> Iterator[Any]:
    if isinstance(made, Recorder):
        yield made.expr
    elif isinstance(made, Ordering):
        yield made
    elif is_tuple(made):
        for item in made:
            yield from _expressions_in(item)
    elif isinstance(made, msgspec.Struct):
        fields = [getattr(made, name) for name in made.__struct_fields__]
        yield from (field.expr for field in fields if isinstance(field, Recorder))
        if isinstance(made, Recorded):
            yield from (field for field in fields if isinstance(field, Expr))
