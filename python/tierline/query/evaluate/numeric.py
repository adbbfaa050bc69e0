"""PostgreSQL's numeric on Decimal: exact sums and products, quotients of its own scale.

A value is in *normal form* when its exponent says how many digits stand behind the point
(PostgreSQL's display scale): never positive, no negative zero, one kind of NaN.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from tierline.query.evaluate.faults import division_by_zero, out_of_range

NAN = Decimal("NaN")
ZERO = Decimal(0)

# Digits before the point: weights are 16-bit counts of groups of four (numeric.c).
_INTEGER_DIGITS_MAX = 131_072
_SCALE_MAX = 16_383

# Wide enough for every product of two values, so that nothing is ever rounded.
_EXACT = Context(
    prec=600_000, rounding=ROUND_HALF_UP, Emin=MIN_EMIN, Emax=MAX_EMAX, capitals=1, traps=[]
)

_GROUP = 4
_SIGNIFICANT_MIN = 16
_QUOTIENT_SCALE_MAX = 1000


def scale(value: Decimal) -> int:
    """How many digits stand behind the point of a finite value in normal form."""
    return -int(value.as_tuple().exponent)


def normal(value: Decimal) -> Decimal:
    """The value in normal form.

    Raises:
        QueryError: It has more digits than numeric can hold.
    """
    if not value.is_finite():
        return NAN if value.is_nan() else value
    exponent = int(value.as_tuple().exponent)
    if not value:
        return ZERO if exponent >= 0 else Decimal((0, (0,), max(exponent, -_SCALE_MAX)))
    if value.adjusted() >= _INTEGER_DIGITS_MAX or exponent < -_SCALE_MAX:
        raise out_of_range("numeric")
    return value.quantize(Decimal(1), context=_EXACT) if exponent > 0 else value


def _rounded(value: Decimal) -> Decimal:
    """A result in normal form, without the digits behind the last that numeric keeps."""
    if value.is_finite() and int(value.as_tuple().exponent) < -_SCALE_MAX:
        value = value.quantize(Decimal((0, (1,), -_SCALE_MAX)), context=_EXACT)
    return normal(value)


def add(left: Decimal, right: Decimal) -> Decimal:
    """The sum; infinities of different sign make NaN."""
    return normal(_EXACT.add(left, right))


def total(values: Iterable[Decimal]) -> Decimal:
    """The sum of many; only the whole of it must fit."""
    return normal(functools.reduce(_EXACT.add, values, ZERO))


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The difference; infinities of one sign make NaN."""
    return normal(_EXACT.subtract(left, right))


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """The product; zero times an infinity makes NaN."""
    return _rounded(_EXACT.multiply(left, right))


def negative(value: Decimal) -> Decimal:
    """The value with its sign changed; zero has none."""
    return value.copy_negate() if value else value.copy_abs()


def rounded(value: Decimal, places: int) -> Decimal:
    """`round(value, places)`: halves away from zero, with as many digits behind the point."""
    return _cut(value, places, ROUND_HALF_UP)


def truncated(value: Decimal, places: int) -> Decimal:
    """`trunc(value, places)`."""
    return _cut(value, places, ROUND_DOWN)


def _cut(value: Decimal, places: int, rounding: str) -> Decimal:
    if not value.is_finite():
        return value
    # No digit is so far from the point, on either side.
    places = max(-_INTEGER_DIGITS_MAX - 1, min(places, _SCALE_MAX))
    unit = Decimal((0, (1,), -places))
    return normal(value.quantize(unit, rounding=rounding, context=_EXACT))


def divide(left: Decimal, right: Decimal) -> Decimal:
    """The quotient, rounded half away from zero to PostgreSQL's scale.

    Raises:
        QueryError: The divisor is zero.
    """
    special = _special_quotient(left, right)
    if special is not None:
        return special
    digits = _quotient_scale(left, right)
    # left / right = (l * 10^-a) / (r * 10^-b), as one division of integers.
    shift = digits + scale(right) - scale(left)
    dividend, divisor = _shifted(_digits(left), shift), _shifted(_digits(right), -shift)
    quotient, rest = divmod(dividend, divisor)
    if 2 * rest >= divisor:
        quotient += 1
    return _signed(quotient, left, right, digits)


def divide_down(left: Decimal, right: Decimal) -> Decimal:
    """The whole part of the quotient: `div`.

    Raises:
        QueryError: The divisor is zero.
    """
    special = _special_quotient(left, right)
    if special is not None:
        return special
    return _signed(_whole_quotient(left, right), left, right, 0)


def remainder(left: Decimal, right: Decimal) -> Decimal:
    """What `div` leaves, with the dividend's sign: `mod`.

    Raises:
        QueryError: The divisor is zero.
    """
    special = _special_quotient(left, right)
    if special is None:
        whole = _signed(_whole_quotient(left, right), left, right, 0)
        return subtract(left, multiply(right, whole))
    # A finite value is smaller than any infinity, so all of it is left.
    return left if left.is_finite() and right.is_infinite() else NAN


def to_float(value: Decimal) -> float:
    """The nearest double precision.

    Raises:
        QueryError: It is too large, or too close to zero, for one.
    """
    if not value.is_finite():
        return float(value)
    # From text, as PostgreSQL does it.
    near = float(str(value))
    if math.isinf(near) or (near == 0 and value):
        raise out_of_range("double precision")
    return near


def _special_quotient(left: Decimal, right: Decimal) -> Decimal | None:
    """The quotient where a side is NaN or infinite; None for an ordinary one."""
    if left.is_nan() or right.is_nan():
        return NAN
    if not right:
        raise division_by_zero()
    if left.is_infinite():
        return NAN if right.is_infinite() else _EXACT.divide(left, right)
    return ZERO if right.is_infinite() else None


def _quotient_scale(left: Decimal, right: Decimal) -> int:
    """`select_div_scale` of numeric.c: at least 16 significant digits, and no fewer than given."""
    (left_weight, left_group), (right_weight, right_group) = _leading(left), _leading(right)
    weight = left_weight - right_weight - (left_group <= right_group)
    digits = max(_SIGNIFICANT_MIN - weight * _GROUP, scale(left), scale(right), 0)
    return min(digits, _QUOTIENT_SCALE_MAX)


def _leading(value: Decimal) -> tuple[int, int]:
    """The weight of the first group of four digits that is not zero, and that group."""
    if not value:
        return 0, 0
    weight = value.adjusted() // _GROUP
    # A group holds the digits of 10000^weight, whether they are written out or not.
    width = value.adjusted() - weight * _GROUP + 1
    digits = value.as_tuple().digits[:width]
    group = int("".join(map(str, digits)))
    return weight, group * 10 ** (width - len(digits))


def _whole_quotient(left: Decimal, right: Decimal) -> int:
    shift = scale(right) - scale(left)
    dividend, divisor = _shifted(_digits(left), shift), _shifted(_digits(right), -shift)
    return dividend // divisor


def _shifted(digits: int, places: int) -> int:
    """The digits with so many zeros behind them; none for a negative number of places."""
    power: int = 10 ** max(places, 0)
    return digits * power


def _digits(value: Decimal) -> int:
    """The digits of a value in normal form as one whole number, without sign and point."""
    return abs(int(_EXACT.scaleb(value, scale(value))))


def _signed(size: int, left: Decimal, right: Decimal, digits: int) -> Decimal:
    minus = size != 0 and left.is_signed() != right.is_signed()
    value = Decimal(-size if minus else size)
    return normal(_EXACT.scaleb(value, -digits))


def key(value: Decimal) -> tuple[bool, Decimal]:
    """What orders and equals as numeric does: NaN equals itself and is the greatest."""
    return (True, ZERO) if value.is_nan() else (False, value)
