"""By which values of a column the rows that a reading lets in are found: one, or a range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from tierline.query.changes import Row
from tierline.query.evaluate.expressions import cast_to, common_type
from tierline.query.evaluate.scopes import RowScope
from tierline.query.evaluate.values import constant, key, ordered_key
from tierline.query.expressions import (
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Membership,
    Not,
    Value,
)
from tierline.query.readings import Reading, column_reader

VALUES_MAX = 64
"""Values of one `is_in` that are looked up one by one."""

Place: TypeAlias = tuple[str, str]
"""A column and how its values are kept: what is looked up in one place compares with each other."""

Bound: TypeAlias = "tuple[int] | tuple[int, Any]"
"""An end of a range: `(0,)` before all values, `(2,)` after all, `(1, value)` at one."""

LOWEST: Bound = (0,)
HIGHEST: Bound = (2,)


class OneOf(NamedTuple):
    """The column has one of some values; None is NULL."""

    column: ColumnRef
    values: tuple[Any, ...]


class Between(NamedTuple):
    """The column's value lies between two others, or is one of them."""

    column: ColumnRef
    low: Bound
    high: Bound


def place_of(column: ColumnRef) -> Place:
    """Where a column's values are looked up."""
    return column.name, column.type.wire


def looked_up(column: ColumnRef) -> Callable[[Row], Any]:
    """From a row to what is looked up of it; raises KeyError where that is not known."""
    read, convert = column_reader(column), key(column.type)
    if convert is None:
        return read

    def find(row: Row) -> Any:
        value = read(row)
        return None if value is None else convert(value)

    return find


def lookups_of(reading: Reading) -> tuple[list[OneOf], list[Between]]:
    """What the conditions of a reading say of a single column each; ranges of a column are one."""
    exact: list[OneOf] = []
    ranges: dict[Place, Between] = {}
    for condition in reading.conditions:
        try:
            found = list(_lookups(condition, RowScope(reading.table)))
            hash(tuple(found))
        except Exception:  # noqa: BLE001, S112 (what cannot be told in memory is not looked up)
            continue
        for lookup in found:
            if isinstance(lookup, OneOf):
                exact.append(lookup)
                continue
            place = place_of(lookup.column)
            before = ranges.get(place)
            if before is not None:
                low, high = max(before.low, lookup.low), min(before.high, lookup.high)
                lookup = Between(lookup.column, low, high)  # noqa: PLW2901
            ranges[place] = lookup
    return exact, list(ranges.values())


_TURNED: dict[str, Any] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def _lookups(node: Expr, scope: RowScope) -> Iterator[OneOf | Between]:
    match node:
        case ColumnRef():
            yield OneOf(node, (True,))
        case Not(operand=ColumnRef() as column):
            yield OneOf(column, (False,))
        case IsNull(operand=ColumnRef() as column):
            key(column.type)
            yield OneOf(column, (None,))
        case Membership(operand=ColumnRef() as column, values=Value(value=items) as values):
            if 0 < len(items) <= VALUES_MAX:
                convert = key(column.type)
                kept = constant(items, values.type)
                yield OneOf(column, kept if convert is None else tuple(map(convert, kept)))
        case Comparison(operator=operator, left=ColumnRef() as column, right=Value() as value):
            yield from _compared(column, operator, value, scope)
        case Comparison(operator=operator, left=Value() as value, right=ColumnRef() as column):
            if operator in _TURNED:
                yield from _compared(column, _TURNED[operator], value, scope)
        case _:
            pass


def _compared(
    column: ColumnRef, operator: str, value: Value, scope: RowScope
) -> Iterator[OneOf | Between]:
    common = common_type(column.type, value.type)
    if common.wire != column.type.wire or value.value is None:
        # The column's values are cast for this comparison, and are not for others.
        return
    kept = cast_to(common.wire, value, scope)(None)
    if operator == "=":
        yield OneOf(column, (_converted(key(common), kept),))
    elif operator in _TURNED:
        end = (1, _converted(ordered_key(common), kept))
        is_low = operator in (">", ">=")
        yield Between(column, end if is_low else LOWEST, HIGHEST if is_low else end)


def _converted(convert: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if convert is None else convert(value)
