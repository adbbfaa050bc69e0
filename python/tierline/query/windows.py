"""Windows: values that a row has among others, without grouping them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

from tierline.entity.types import FLOAT8, INT8, ColumnType, is_tuple
from tierline.query.expressions import (
    Aggregate,
    Expr,
    Frame,
    Ranked,
    Window,
    WindowFunction,
    has_window,
)
from tierline.query.tracing import Traced, ordering_of, to_expr

T = TypeVar("T")


def over(
    value: T,
    *,
    partition_by: object = (),
    order_by: object = None,
    frame: Frame | None = None,
) -> T:
    """An aggregate, or a function such as `tl.rank()`, over the rows around each row.

    Args:
        value: ``tl.sum(f.delay)``, ``tl.row_number()``, ``tl.lag(f.delay)`` and the like.
        partition_by: A field or tuple of fields: only rows that are the same in them are taken.
        order_by: A field, ``tl.desc(field)``, or a tuple of them.
        frame: ``tl.rows(-6, 0)``: which of them, in that order. PostgreSQL's own choice if None:
            with an order all up to the current row, else all.

    Raises:
        TypeError: The value is neither an aggregate nor such a function.
    """
    given: Any = value
    if not isinstance(given, Traced) or not isinstance(given.expr, (Aggregate, Ranked)):
        raise TypeError("over takes an aggregate or a function such as tl.rank(), of traced fields")
    if isinstance(given.expr, Aggregate) and (given.expr.distinct or given.expr.order_by):
        raise TypeError("over: PostgreSQL has no distinct or ordered aggregates in windows")
    if frame is not None and frame.unit == "GROUPS" and order_by is None:
        raise TypeError("over: a frame of groups counts what is the same in order_by; give one")
    keys = partition_by if is_tuple(partition_by) else (partition_by,)
    partition = tuple(_field(key) for key in keys)
    ordering = () if order_by is None else ordering_of(order_by)
    return cast("T", Traced(Window(given.expr, partition, ordering, frame)))


def _field(key: object) -> Expr:
    if isinstance(key, Traced):
        return key.expr
    raise TypeError(f"partition_by takes traced fields, not {key!r}")


def rows(start: int | None, end: int | None) -> Frame:
    """A frame of rows: from `start` to `end`, negative before the current row; None: all."""
    return _frame("ROWS", start, end)


def groups(start: int | None, end: int | None) -> Frame:
    """A frame of groups of rows that are the same in the ordering."""
    return _frame("GROUPS", start, end)


def _frame(unit: Literal["ROWS", "GROUPS"], start: int | None, end: int | None) -> Frame:
    for bound in (start, end):
        if bound is not None and type(bound) is not int:
            raise TypeError(f"a frame's bounds are whole numbers of rows, not {bound!r}")
    if start is not None and end is not None and start > end:
        raise ValueError(f"a frame's start must not be after its end: {start} > {end}")
    return Frame(unit, start, end)


def row_number() -> int:
    """The row's number in its partition, from 1; in `tl.over`."""
    return cast("int", _ranked("row_number", INT8))


def rank() -> int:
    """One more than the rows before it; rows that are the same in the ordering share it."""
    return cast("int", _ranked("rank", INT8))


def dense_rank() -> int:
    """One more than the different values before it."""
    return cast("int", _ranked("dense_rank", INT8))


def percent_rank() -> float:
    """`rank` from 0 to 1."""
    return cast("float", _ranked("percent_rank", FLOAT8))


def cume_dist() -> float:
    """The share of rows that are not after it, above 0 and up to 1."""
    return cast("float", _ranked("cume_dist", FLOAT8))


def ntile(buckets: int) -> int:
    """The number of the row's part, from 1, if the partition is cut into so many equal parts."""
    _check_positive("ntile", buckets)
    return cast("int", _ranked("ntile", INT8, to_expr(buckets, INT8)))


def lag(value: T, offset: int = 1) -> T | None:
    """The value of the row that is so many before, or None."""
    return cast("T | None", _of("lag", value, offset))


def lead(value: T, offset: int = 1) -> T | None:
    """The value of the row that is so many after, or None."""
    return cast("T | None", _of("lead", value, offset))


def first_value(value: T) -> T:
    """The value of the frame's first row."""
    return cast("T", _of("first_value", value))


def last_value(value: T) -> T:
    """The value of the frame's last row."""
    return cast("T", _of("last_value", value))


def nth_value(value: T, n: int) -> T | None:
    """The value of the frame's nth row, from 1, or None."""
    _check_positive("nth_value", n)
    return cast("T | None", _of("nth_value", value, n))


def _check_positive(function: str, number: object) -> None:
    if isinstance(number, int) and number < 1:
        raise ValueError(f"{function} counts from 1, not from {number}")


def _ranked(function: WindowFunction, type_: ColumnType, *operands: Expr) -> Any:
    return Traced(Ranked(function, operands, type_))


def _of(function: WindowFunction, value: object, *counts: int) -> Any:
    if not isinstance(value, Traced) or has_window(value.expr):
        raise TypeError(f"{function} takes a field of the traced entity, not {value!r}")
    operands = [to_expr(count, INT8) for count in counts]
    return _ranked(function, value.expr.type, value.expr, *operands)
