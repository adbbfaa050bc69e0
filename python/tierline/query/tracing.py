"""Tracing: a lambda over an entity is called once with stand-ins that record what it does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn, cast

from tierline.entity import Table
from tierline.entity.types import BOOL, TEXT, ColumnType, is_tuple
from tierline.query.expressions import (
    OWN,
    WINDOWS,
    Aggregate,
    Alias,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    ComparisonOperator,
    Expr,
    Logic,
    Negative,
    Ordering,
    TextMatch,
    TextTest,
    Value,
    kinds_in,
)
from tierline.query.members import member, operate
from tierline.query.operands import INTERVAL, comparable, literal, number, result_type
from tierline.query.sight import Recorder, RowRecorder, check_in_sight, depth, seeing, unsee
from tierline.query.unknown import unknown_name


class Traced(Recorder):
    """Stands in for a field's value: operators build expressions instead of computing.

    What Python does not let a stand-in record (`and`, `or`, `not`, `in`, chained
    comparison, truth) raises a TypeError that names the replacement.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> Any:
        return _compare("=", self, other)

    def __ne__(self, other: object) -> Any:
        return _compare("<>", self, other)

    def __lt__(self, other: object) -> Traced:
        return _compare("<", self, other)

    def __le__(self, other: object) -> Traced:
        return _compare("<=", self, other)

    def __gt__(self, other: object) -> Traced:
        return _compare(">", self, other)

    def __ge__(self, other: object) -> Traced:
        return _compare(">=", self, other)

    def __and__(self, other: object) -> Traced:
        return Traced(Logic("and", boolean(self, "&"), boolean(other, "&")))

    def __rand__(self, other: object) -> Traced:
        return Traced(Logic("and", boolean(other, "&"), boolean(self, "&")))

    def __or__(self, other: object) -> Traced:
        return Traced(Logic("or", boolean(self, "|"), boolean(other, "|")))

    def __ror__(self, other: object) -> Traced:
        return Traced(Logic("or", boolean(other, "|"), boolean(self, "|")))

    def __add__(self, other: object) -> Traced:
        return _compute("+", self, other)

    def __radd__(self, other: object) -> Traced:
        return _compute("+", other, self)

    def __sub__(self, other: object) -> Traced:
        return _compute("-", self, other)

    def __rsub__(self, other: object) -> Traced:
        return _compute("-", other, self)

    def __mul__(self, other: object) -> Traced:
        return _compute("*", self, other)

    def __rmul__(self, other: object) -> Traced:
        return _compute("*", other, self)

    def __truediv__(self, other: object) -> Traced:
        return _compute("/", self, other)

    def __rtruediv__(self, other: object) -> Traced:
        return _compute("/", other, self)

    def __floordiv__(self, other: object) -> Traced:
        return _compute("//", self, other)

    def __rfloordiv__(self, other: object) -> Traced:
        return _compute("//", other, self)

    def __mod__(self, other: object) -> Traced:
        return _compute("%", self, other)

    def __rmod__(self, other: object) -> Traced:
        return _compute("%", other, self)

    def __neg__(self) -> Traced:
        if not (self.expr.type.is_number or self.expr.type.wire == "interval"):
            raise TypeError(f"- needs a number, not {self.expr.type.sql}")
        return Traced(Negative(self.expr))

    def __abs__(self) -> Any:
        return operate("abs", self)

    def __round__(self, digits: object = None) -> Any:
        return operate("round", self, digits)

    def __floor__(self) -> Any:
        return operate("floor", self)

    def __ceil__(self) -> Any:
        return operate("ceil", self)

    def __trunc__(self) -> Any:
        return operate("trunc", self)

    def __getitem__(self, key: object) -> Any:
        return operate("[]", self, key)

    def __getattr__(self, name: str) -> Any:
        return member(self, name)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a traced field has no truth value: instead of `and`, `or`, `not` use `&`, `|`, "
            "`tl.not_`; instead of `in` use `tl.is_in`; split a chained comparison `a < b < c` "
            "into `(a < b) & (b < c)`"
        )

    def __invert__(self) -> NoReturn:
        raise TypeError("`~` means something else on a bool; use `tl.not_(…)`")

    def __contains__(self, part: object) -> NoReturn:
        raise TypeError("`in` cannot be traced; use `tl.contains(text, part)`")

    def __hash__(self) -> int:
        raise TypeError("a traced field cannot be looked up in a set or dict; use `tl.is_in`")

    def __iter__(self) -> NoReturn:
        raise TypeError("a traced field cannot be iterated over")

    def __len__(self) -> NoReturn:
        raise TypeError("len() cannot be traced; use `tl.length(…)`")

    def __index__(self) -> NoReturn:
        raise TypeError(
            "a traced field has no value yet, so it cannot be converted; use `tl.cast(field, int)`"
        )

    __int__ = __index__
    __float__ = __index__

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a traced field has no text yet, so it cannot stand in an f-string")

    def __str__(self) -> NoReturn:
        raise TypeError("a traced field has no text yet; use `tl.cast(field, str)`")

    def __repr__(self) -> str:
        return f"<traced {self.expr!r}>"


class TracedRow(RowRecorder):
    """Stands in for a row: attributes answer with a traced column.

    Args:
        maker: What the row would be an instance of.
        columns: The columns by the fields' Python names.
        table: Of an entity's row, whose columns are made when they are used.
        alias: What that row is called.
    """

    __slots__ = ("_alias", "_maker", "_table")

    def __init__(
        self,
        maker: str,
        columns: dict[str, ColumnRef],
        table: Table[Any, Any] | None = None,
        alias: Alias = OWN,
    ) -> None:
        self._maker = maker
        self._columns = columns
        self._table = table
        self._alias = alias

    def __getattr__(self, field: str) -> Traced:
        column = self._columns.get(field)
        if column is None:
            fields = self._columns if self._table is None else self._table.by_field
            found = None if self._table is None else self._table.by_field.get(field)
            if found is None:
                raise AttributeError(unknown_name(self._maker, fields, field))
            column = self._columns[field] = ColumnRef(found.name, found.type, self._alias)
        return Traced(column)

    def __bool__(self) -> NoReturn:
        raise TypeError("a traced row has no truth value; test an optional one with `tl.is_null`")

    def __repr__(self) -> str:
        return f"<traced row of {self._maker}>"


def columns_of(row: TracedRow) -> tuple[ColumnRef, ...]:
    """The columns that a row stands for."""
    # An attribute of a row is a field of its entity, so this is no method of it.
    columns: dict[str, ColumnRef] = object.__getattribute__(row, "_columns")
    table: Table[Any, Any] | None = object.__getattribute__(row, "_table")
    if table is None:
        return tuple(columns.values())
    for column in table.columns:
        getattr(row, column.field)
    return tuple(columns[column.field] for column in table.columns)


def call_traced(function: Callable[..., Any], *rows: Any) -> Any:
    """What the function makes of stand-ins.

    Raises:
        TypeError: It uses a row that another lambda was called with.
    """
    token = seeing(rows)
    try:
        made = function(*rows)
        check_in_sight(made)
        return made
    finally:
        unsee(token)


def row_of(table: Table[Any, Any], alias: Alias) -> TracedRow:
    """The stand-in for an entity of a table."""
    return TracedRow(table.entity.__name__, {}, table, alias)


def trace(table: Table[Any, Any], function: Callable[[Any], Any]) -> Any:
    """What the function makes of a stand-in for the table's entity."""
    return call_traced(function, row_of(table, (depth(), 0)))


def trace_predicate(table: Table[Any, Any], function: Callable[[Any], Any]) -> Expr:
    """Trace a `where` lambda.

    Raises:
        TypeError: It does not answer with a comparison of fields.
    """
    return predicate_of(trace(table, function))


def predicate_of(traced: object, clause: str = "where") -> Expr:
    """The condition that a lambda answered with: a `where`, or another clause of that name.

    Raises:
        TypeError: It is no comparison of fields, or has an aggregate and is no `having`.
    """
    if not isinstance(traced, Traced):
        raise TypeError(
            f"{clause} must return a comparison of fields, such as `lambda e: e.id > 3`; "
            f"this one returned {traced!r}"
        )
    condition = boolean(traced, clause)
    kinds = kinds_in(condition)
    if not kinds.isdisjoint(WINDOWS):
        raise TypeError(
            f"{clause} comes before windows; select from the projected query: tl.where(query, …)"
        )
    if clause != "having" and Aggregate in kinds:
        raise TypeError(
            f"{clause} chooses rows before they are grouped; an aggregate has no value yet"
        )
    return condition


def trace_ordering(table: Table[Any, Any], function: Callable[[Any], Any]) -> tuple[Ordering, ...]:
    """Trace an `order_by` lambda: a field, `tl.desc(…)`, or a tuple of them.

    Raises:
        TypeError: It names nothing to order by.
    """
    return ordering_of(trace(table, function))


def ordering_of(traced: object) -> tuple[Ordering, ...]:
    """The keys that an `order_by` lambda answered with.

    Raises:
        TypeError: It names nothing to order by.
    """
    keys = traced if is_tuple(traced) else (traced,)
    if not keys:
        raise TypeError("order_by names nothing; return a field, or leave order_by out")
    return tuple(_ordering(key) for key in keys)


def _ordering(key: Any) -> Ordering:
    if isinstance(key, Ordering):
        return key
    if isinstance(key, Traced):
        return Ordering(key.expr)
    raise TypeError(
        f"order_by must return a field, tl.asc or tl.desc of one, or a tuple of them; got {key!r}"
    )


def boolean(value: object, where: str) -> Expr:
    """The expression of a boolean operand."""
    if isinstance(value, Traced) and value.expr.type.wire == "bool":
        return value.expr
    if isinstance(value, bool):
        return Value(value, BOOL)
    what = value.expr.type.sql if isinstance(value, Traced) else repr(value)
    raise TypeError(
        f"{where} needs conditions, not {what}; compare first and put each comparison in "
        "parentheses: `(f.a == 1) & (f.b > 2)`"
    )


def to_expr(value: object, beside: ColumnType) -> Expr:
    """The expression of an operand; a plain value gets its type from what it stands beside.

    Raises:
        TypeError: The value does not fit beside that type.
    """
    if isinstance(value, Traced):
        return value.expr
    if isinstance(value, Ordering):
        raise TypeError("asc and desc belong in order_by only")
    return literal(value, beside)


def _compare(operator: ComparisonOperator, left: Traced, right: object) -> Traced:
    other = to_expr(right, left.expr.type)
    if not comparable(left.expr.type, other.type):
        raise TypeError(f"{left.expr.type.sql} cannot be compared with {other.type.sql}")
    return Traced(Comparison(operator, left.expr, other))


def text_match(test: TextTest, operand: object, part: object) -> Traced:
    """A text test; both sides must be text."""
    left, right = to_expr(operand, TEXT), to_expr(part, TEXT)
    if left.type.wire != "text" or right.type.wire != "text":
        raise TypeError(f"{test} needs text, not {left.type.sql}")
    return Traced(TextMatch(test, left, right))


def _compute(operator: ArithmeticOperator, left: object, right: object) -> Traced:
    left_expr, right_expr = _operands(left, right)
    result = result_type(operator, left_expr.type, right_expr.type)
    return Traced(Arithmetic(operator, left_expr, right_expr, result))


def _operands(left: object, right: object) -> tuple[Expr, Expr]:
    if isinstance(left, Traced):
        return left.expr, _beside(right, left.expr.type)
    known = cast("Traced", right)
    return _beside(left, known.expr.type), known.expr


def _beside(value: object, known: ColumnType) -> Expr:
    """An arithmetic operand: dates take intervals beside them, intervals take numbers."""
    if isinstance(value, Traced):
        return value.expr
    if isinstance(value, dt.timedelta):
        return Value(value, INTERVAL)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return number(value)
    return to_expr(value, known)
