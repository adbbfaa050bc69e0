"""Numbers: `abs`, rounding and the functions that make integers of others."""

from __future__ import annotations

import math
from decimal import Decimal

from tierline.query.evaluate import machine, numeric, temporal
from tierline.query.evaluate.faults import no_integer, out_of_range
from tierline.query.evaluate.functions import by_wire, plain, unary, with_nulls

_HALF = Decimal("0.5")
_TWO = Decimal(2)


def from_float(value: float) -> int:
    """`trunc(x)::bigint`.

    Raises:
        QueryError: It has no place in 64 bits.
    """
    if not math.isfinite(value):
        raise out_of_range("bigint")
    return machine.int8(int(value))


def from_numeric(value: Decimal) -> int:
    """`trunc(x)::bigint`.

    Raises:
        QueryError: It has no place in 64 bits.
    """
    if not value.is_finite():
        raise no_integer()
    return machine.int8(int(value))


def _rounding(value: float) -> int:
    return from_float(float(round(value))) if math.isfinite(value) else from_float(value)


def _floor(value: float) -> int:
    return machine.int8(math.floor(value)) if math.isfinite(value) else from_float(value)


def _ceil(value: float) -> int:
    return machine.int8(math.ceil(value)) if math.isfinite(value) else from_float(value)


def _floor_numeric(value: Decimal) -> int:
    return machine.int8(math.floor(value)) if value.is_finite() else from_numeric(value)


def _ceil_numeric(value: Decimal) -> int:
    return machine.int8(math.ceil(value)) if value.is_finite() else from_numeric(value)


def _round_numeric(value: Decimal | None, digits: int | None) -> Decimal | None:
    """As the SQL does it: halves are found by comparing, and go to the even digit."""
    places = None if digits is None else machine.int4(digits)
    if value is None or places is None:
        return None
    near, cut = numeric.rounded(value, places), numeric.truncated(value, places)
    if near == cut or near.is_nan():
        return near
    above = numeric.subtract(near, value).copy_abs()
    below = numeric.subtract(value, cut).copy_abs()
    if above != below:
        return near
    return numeric.multiply(_TWO, numeric.rounded(numeric.multiply(value, _HALF), places))


def _round_integer(value: int | None, digits: int | None) -> int | None:
    found = _round_numeric(None if value is None else Decimal(value), digits)
    return None if found is None else from_numeric(found)


by_wire(
    "abs",
    {
        "int8": lambda value: machine.int8(abs(value)),
        "float8": abs,
        "numeric": lambda value: numeric.normal(value.copy_abs()),
    },
)
unary("abs_interval", lambda value: temporal.negative(value) if value.length < 0 else value)
by_wire("floor", {"float8": _floor, "numeric": _floor_numeric})
by_wire("ceil", {"float8": _ceil, "numeric": _ceil_numeric})
by_wire("truncate", {"float8": from_float, "numeric": from_numeric})
plain("round_float", _rounding)
with_nulls("round_numeric", _round_numeric)
with_nulls("round_integer", _round_integer)
