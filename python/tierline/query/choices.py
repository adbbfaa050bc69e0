"""Choices between values: `tl.coalesce`, `tl.nullif`, `tl.case`, `tl.greatest`, `tl.between`."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar, cast, overload

import msgspec

from tierline.entity.types import FLOAT8, INT8, TEXT, ColumnType, column_type
from tierline.query.calls import Call, Case
from tierline.query.expressions import Expr, Logic, Value
from tierline.query.operands import NUMERIC, number, type_of
from tierline.query.tracing import Traced, boolean, to_expr

# Overloads by kind, so that values of two kinds do not widen the answer to `object`.
E = TypeVar("E", bound=enum.Enum)
P = TypeVar(
    "P", bool, int, str, float, Decimal, bytes, uuid.UUID, dt.datetime, dt.date, dt.time,
    dt.timedelta,
)  # fmt: skip
S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")


def _operands(function: str, values: Sequence[object]) -> tuple[tuple[Expr, ...], ColumnType]:
    """The operands of a function whose operands are of one type, and that type.

    Raises:
        TypeError: They have no type in common, or one is None.
    """
    known = next((value.expr.type for value in values if isinstance(value, Traced)), None)
    exprs = tuple(_operand(function, value, known) for value in values)
    return exprs, common_type(function, [expr.type for expr in exprs])


def _operand(function: str, value: object, beside: ColumnType | None) -> Expr:
    if value is None:
        raise TypeError(f"{function} of a plain None has no meaning; leave it out")
    if beside is not None:
        return to_expr(value, beside)
    if isinstance(value, (int, float)) and not isinstance(value, (bool, enum.Enum)):
        return number(value)
    type_ = column_type(type(value)) if isinstance(value, enum.Enum) else type_of(value)
    return to_expr(value, type_)


def common_type(function: str, types: Iterable[ColumnType]) -> ColumnType:
    """The type that holds values of all the types: of numbers the widest, else the same.

    Raises:
        TypeError: There is none.
    """
    first, *rest = types
    for type_ in rest:
        if first.oid == type_.oid:
            if first.choices != type_.choices:
                first = INT8 if first.wire == "int8" else TEXT
        elif first.is_number and type_.is_number:
            wires = {first.wire, type_.wire}
            first = FLOAT8 if "float8" in wires else NUMERIC
        else:
            raise TypeError(f"{function} needs values of one type, not {first.sql} and {type_.sql}")
    return first


def _traced_any(values: Iterable[object]) -> bool:
    return any(isinstance(value, Traced) for value in values)


# A field of type T is not None, whatever the checkers think of `T | None`: hence their warnings
# about overlapping overloads are not heeded.


@overload
def coalesce(value: P | None, default: P, /) -> P: ...  # type: ignore[overload-overlap]
@overload
def coalesce(value: E | None, default: E, /) -> E: ...
@overload
def coalesce(value: S | None, default: S, /) -> S: ...
@overload
def coalesce(value: list[T] | None, default: list[T], /) -> list[T]: ...
@overload
def coalesce(  # type: ignore[overload-overlap]
    value: P | None, second: P | None, default: P, /
) -> P: ...
@overload
def coalesce(value: P | None, /, *rest: P | None) -> P | None: ...
def coalesce(*values: object) -> object:
    """The first of some values that is not NULL; NULL if all are.

    Args:
        values: At least two fields, expressions or plain values of one type.

    Raises:
        TypeError: They have no type in common, or one is a plain None.

    Example:
        ``tl.project(tl.select(FLIGHTS), lambda f: tl.coalesce(f.dep_delay, 0))``
    """
    if len(values) < 2:
        raise TypeError("coalesce takes at least two values")
    if not _traced_any(values):
        return next((value for value in values if value is not None), None)
    return _call("coalesce", values)


def _call(function: str, values: Sequence[object]) -> Traced:
    operands, type_ = _operands(function, values)
    return Traced(Call(function, operands, type_))


@overload
def nullif(value: P | None, other: P, /) -> P | None: ...
@overload
def nullif(value: E | None, other: E, /) -> E | None: ...
def nullif(value: object, other: object, /) -> object:
    """NULL if two values are equal, else the first.

    Args:
        value: A field or expression.
        other: What to take for NULL.

    Raises:
        TypeError: They cannot be compared, or one is a plain None.

    Example:
        ``tl.nullif(f.note, "")``
    """
    if not _traced_any((value, other)):
        return None if value == other else value
    (left, right), common = _operands("nullif", (value, other))
    # PostgreSQL answers with the type in which it compared them.
    type_ = left.type if left.type.oid == right.type.oid else common
    return Traced(Call("nullif", (left, right), type_))


@overload
def greatest(value: P, /, *rest: P | None) -> P: ...  # type: ignore[overload-overlap]
@overload
def greatest(value: P | None, /, *rest: P | None) -> P | None: ...
def greatest(*values: object) -> object:
    """The greatest of some values of one row; a NULL among them is left out.

    Args:
        values: Fields, expressions or plain values of one type that has an order. For the greatest
            of a group of rows see `tl.max`.

    Raises:
        TypeError: They have no type in common or no order, or one is a plain None.
    """
    return _extreme("greatest", values)


@overload
def least(value: P, /, *rest: P | None) -> P: ...  # type: ignore[overload-overlap]
@overload
def least(value: P | None, /, *rest: P | None) -> P | None: ...
def least(*values: object) -> object:
    """The least of some values of one row; a NULL among them is left out.

    Args:
        values: Fields, expressions or plain values of one type that has an order. For the least of
            a group of rows see `tl.min`.

    Raises:
        TypeError: They have no type in common or no order, or one is a plain None.
    """
    return _extreme("least", values)


def _extreme(function: str, values: Sequence[Any]) -> object:
    if not _traced_any(values):
        pick = max if function == "greatest" else min
        return pick((value for value in values if value is not None), default=None)
    made = _call(function, values)
    if made.expr.type.wire in ("jsonb", "array"):
        raise TypeError(f"{function} has no meaning for {made.expr.type.sql}")
    return made


@overload
def case(*whens: tuple[bool, P], otherwise: P) -> P: ...  # type: ignore[overload-overlap]
@overload
def case(*whens: tuple[bool, E], otherwise: E) -> E: ...
@overload
def case(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    *whens: tuple[bool, P | None], otherwise: P | None = None
) -> P | None: ...
@overload
def case(*whens: tuple[bool, E | None], otherwise: E | None = None) -> E | None: ...
def case(*whens: tuple[bool, object], otherwise: object = None) -> object:
    """The value beside the first condition that is true.

    Args:
        whens: Pairs of a condition and a value: a field, an expression, a plain value or None.
        otherwise: The value if no condition is true; NULL unless given.

    Raises:
        TypeError: There is no pair, a condition is none, or the values have no type in common.

    Example:
        ``tl.case((f.dep_delay > 60, "late"), (f.dep_delay > 0, "soon"), otherwise="on time")``
    """
    given: tuple[Any, ...] = whens
    if not given or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in given):  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError("case takes pairs, `(condition, value)`, and otherwise=")
    flat = [item for pair in whens for item in pair]
    if not _traced_any((*flat, otherwise)):
        return next((value for condition, value in whens if condition), otherwise)
    values = [value for _, value in whens] + [otherwise]
    present = [value for value in values if value is not None]
    if not present:
        raise TypeError("case needs a value that is not None; test with tl.is_null")
    exprs, type_ = _operands("case", present)
    found = iter(exprs)
    typed = [Value(None, type_) if value is None else next(found) for value in values]
    branches = tuple(
        (boolean(condition, "case"), value)
        for (condition, _), value in zip(whens, typed[:-1], strict=True)
    )
    return Traced(Case(branches, None if otherwise is None else typed[-1], type_))


def between(value: P | None, low: P, high: P) -> bool:
    """Whether a value lies between two others, or is one of them.

    Args:
        value: A field or expression; of NULL nothing is known.
        low: The least value that does.
        high: The greatest.

    Raises:
        TypeError: They cannot be compared.

    Example:
        ``tl.select(FLIGHTS, where=lambda f: tl.between(f.dep_delay, 10, 20))``
    """
    given: Any = value
    if not _traced_any((value, low, high)):
        return given is not None and low <= given <= high
    if not isinstance(given, Traced):
        # A plain value between two fields: they are asked from their side.
        ends: tuple[Any, Any] = (low, high)
        return cast("bool", _both_hold(ends[0] <= given, ends[1] >= given))
    return cast("bool", _both_hold(given >= low, given <= high))


def _both_hold(left: object, right: object) -> object:
    return Traced(Logic("and", boolean(left, "between"), boolean(right, "between")))
