"""Which rows a lambda may use: its own, and those of the lambdas that it stands in."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import Any

import msgspec

from tierline.entity.types import is_tuple
from tierline.query.expressions import ColumnRef, Expr, Ordering, columns_in


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


# The rows of every lambda that is being traced, the outermost first. A stand-in hands out the same
# objects each time, and lives as long as its lambda runs.
_in_sight: ContextVar[tuple[tuple[Any, ...], ...]] = ContextVar("_in_sight", default=())


def depth() -> int:
    """How many lambdas are being traced at the moment, one inside another.

    A query that is made inside a lambda of another one is of a deeper level: its columns and those
    of the other, which it may use, are told apart by it.
    """
    return len(_in_sight.get())


def seeing(rows: tuple[Any, ...]) -> Token[tuple[tuple[Any, ...], ...]]:
    """A further lambda is traced: from here to `unsee` the fields of its rows may be used."""
    return _in_sight.set((*_in_sight.get(), rows))


def unsee(token: Token[tuple[tuple[Any, ...], ...]]) -> None:
    """Take back a `seeing`."""
    _in_sight.reset(token)


def _known() -> set[int]:
    """The columns that the stand-ins in sight have handed out, by identity."""
    known: set[int] = set()
    open_rows = [row for rows in _in_sight.get() for row in rows]
    for row in open_rows:
        if isinstance(row, RowRecorder):
            columns: dict[str, ColumnRef] = object.__getattribute__(row, "_columns")
            known.update(map(id, columns.values()))
        elif isinstance(row, Recorder):
            known.add(id(row.expr))
        elif is_tuple(row):
            open_rows += row
    return known


def check_in_sight(made: Any) -> None:
    """Refuse a column of a row that another lambda was called with.

    By its place it would be taken for a column of this lambda's own row.

    Args:
        made: What a lambda answered with.

    Raises:
        TypeError: There is one.
    """
    used = columns_in(_expressions_in(made))
    if not used:
        return
    known = _known()
    for column in used:
        if id(column) not in known:
            raise TypeError(
                f"the field {column.name!r} is of another query's row, and a row is not to be used "
                "outside its own lambda; join the two, or write the one query inside the other's "
                "lambda"
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
