"""PostgreSQL's bigint and double precision: overflow is an error, never a wrapped value."""

from __future__ import annotations

import math

from tierline.entity.validation import INT8_MAX, INT8_MIN
from tierline.query.evaluate.faults import division_by_zero, out_of_range


def int8(value: int) -> int:
    """The value, which must fit into 64 bits.

    Raises:
        QueryError: It does not.
    """
    if INT8_MIN <= value <= INT8_MAX:
        return value
    raise out_of_range("bigint")


def int4(value: int) -> int:
    """The value, which must fit into 32 bits.

    Raises:
        QueryError: It does not.
    """
    if -(2**31) <= value < 2**31:
        return value
    raise out_of_range("integer")


def int8_add(left: int, right: int) -> int:
    """The sum of two bigint."""
    return int8(left + right)


def int8_subtract(left: int, right: int) -> int:
    """The difference of two bigint."""
    return int8(left - right)


def int8_multiply(left: int, right: int) -> int:
    """The product of two bigint."""
    return int8(left * right)


def int8_divide_down(left: int, right: int) -> int:
    """The quotient of two bigint, rounded down as in Python."""
    if right == 0:
        raise division_by_zero()
    return int8(left // right)


def int8_remainder(left: int, right: int) -> int:
    """What rounding down leaves, with the divisor's sign as in Python."""
    if right == 0:
        raise division_by_zero()
    return left % right


def int8_negative(value: int) -> int:
    """The bigint with its sign changed."""
    return int8(-value)


def float8_add(left: float, right: float) -> float:
    """The sum of two floats; only infinities make one."""
    return _checked(left + right, left, right)


def float8_subtract(left: float, right: float) -> float:
    """The difference of two floats."""
    return _checked(left - right, left, right)


def float8_multiply(left: float, right: float) -> float:
    """The product of two floats; one too close to zero is an error too."""
    product = left * right
    if product == 0 and left != 0 and right != 0:
        raise out_of_range("double precision")
    return _checked(product, left, right)


def float8_divide(left: float, right: float) -> float:
    """The quotient of two floats; NaN divided by zero is NaN."""
    if right == 0:
        if math.isnan(left):
            return left
        raise division_by_zero()
    quotient = left / right
    if quotient == 0 and left != 0 and not math.isinf(right):
        raise out_of_range("double precision")
    # An infinite divisor makes no infinity, so only the dividend can excuse one.
    return _checked(quotient, left, left)


def float8_negative(value: float) -> float:
    """The float with its sign changed."""
    return -value


def _checked(result: float, left: float, right: float) -> float:
    if math.isinf(result) and not (math.isinf(left) or math.isinf(right)):
        raise out_of_range("double precision")
    return result


_FLOAT_NAN = (True, 0.0)


def float8_key(value: float) -> tuple[bool, float]:
    """What orders and equals as double precision does: NaN equals itself and is the greatest."""
    return _FLOAT_NAN if value != value else (False, value)  # noqa: PLR0124 (true of NaN only)
