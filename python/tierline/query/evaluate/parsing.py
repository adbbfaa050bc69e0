"""Texts as the values that PostgreSQL reads in them: numbers, bool, UUID and base64.

What a text may look like is taken from each type's input function; letters and digits are ASCII.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tierline.query.evaluate import machine, numeric
from tierline.query.evaluate.faults import invalid_base64, invalid_text, out_of_range

_SPACE = " \t\n\v\f\r"

_OTHER_BASE = r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
_DIGITS = "[0-9](?:_?[0-9])*"
_INTEGER = re.compile(rf"([+-]?)(?:({_OTHER_BASE})|({_DIGITS}))")

_NUMERIC = re.compile(
    rf"([+-]?)(?:({_OTHER_BASE})|((?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE]([+-]?{_DIGITS}))?))"
)
_NUMERIC_SPECIAL = re.compile(r"nan|([+-]?)inf(?:inity)?", re.IGNORECASE | re.ASCII)
_EXPONENT_MAX = (2**31 - 1) // 2
_SCALE_MAX = 16_383

_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FLOAT_HEX = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
)
_FLOAT_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan(?:\([0-9a-z_]*\))?)", re.IGNORECASE)

_UUID = re.compile(r"(\{)?((?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4})(?(1)\})")

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_SPACE = " \t\n\r"


def _based(text: str) -> int:
    return int(text.replace("_", ""), 0)


def to_int(text: str) -> int:
    """`text::bigint`."""
    found = _INTEGER.fullmatch(text.strip(_SPACE))
    if found is None:
        raise invalid_text("bigint")
    sign, based, digits = found.groups()
    if len(text) > 10_000:
        # No need to read it all: it does not fit, unless most of it is zeros.
        digits = digits and (digits.replace("_", "").lstrip("0") or "0")
        if digits is None or len(digits) > 100:
            raise out_of_range("bigint")
    value = int(digits.replace("_", "")) if digits else _based(based)
    return machine.int8(-value if sign == "-" else value)


def to_float(text: str) -> float:
    """`text::double precision`."""
    given = text.strip(_SPACE)
    if _FLOAT.fullmatch(given):
        value = float(given)
        mantissa = re.split("[eE]", given)[0]
    elif _FLOAT_HEX.fullmatch(given):
        try:
            value = float.fromhex(given)
        except OverflowError:
            raise out_of_range("double precision") from None
        mantissa = re.split("[pP]", given)[0][2:]
    elif _FLOAT_SPECIAL.fullmatch(given):
        return float(given.partition("(")[0])
    else:
        raise invalid_text("double precision")
    if math.isinf(value) or (value == 0 and mantissa.strip("+-.0xX")):
        raise out_of_range("double precision")
    return value


def to_numeric(text: str) -> Decimal:
    """`text::numeric`."""
    given = text.strip(_SPACE)
    special = _NUMERIC_SPECIAL.fullmatch(given)
    if special is not None:
        return Decimal(given)
    found = _NUMERIC.fullmatch(given)
    if found is None:
        raise invalid_text("numeric")
    sign, based, plain, exponent = found.groups()
    if based:
        value = Decimal(_based(based))
        return numeric.normal(-value if sign == "-" else value)
    if exponent is not None and abs(int(exponent.replace("_", ""))) > _EXPONENT_MAX:
        raise out_of_range("numeric")
    value = Decimal(sign + plain.replace("_", ""))
    # Of zero too there are no more digits than that.
    if -int(value.as_tuple().exponent) > _SCALE_MAX:
        raise out_of_range("numeric")
    return numeric.normal(value)


_TRUTHS = {
    **{"true"[:n]: True for n in range(1, 5)},
    **{"yes"[:n]: True for n in range(1, 4)},
    **{"false"[:n]: False for n in range(1, 6)},
    **{"no"[:n]: False for n in range(1, 3)},
    "on": True,
    "off": False,
    "of": False,
    "1": True,
    "0": False,
}


def to_bool(text: str) -> bool:
    """`text::boolean`: a beginning of `true`, `false`, `yes`, `no`, `on`, `off`, or a digit."""
    given = text.strip(_SPACE)
    found = _TRUTHS.get(given.lower()) if given.isascii() else None
    if found is None:
        raise invalid_text("boolean")
    return found


def to_uuid(text: str) -> uuid.UUID:
    """`text::uuid`."""
    found = _UUID.fullmatch(text)
    if found is None:
        raise invalid_text("uuid")
    return uuid.UUID(hex=found[2].replace("-", ""))


def from_base64(text: str) -> bytes:
    """`decode(text, 'base64')`, symbol by symbol."""
    made = bytearray()
    symbols: list[int] = []
    kept = 3
    for char in text:
        if char in _BASE64_SPACE:
            continue
        if char == "=":
            if kept == 3:
                if len(symbols) not in (2, 3):
                    raise invalid_base64()
                kept = len(symbols) - 1
            symbols.append(0)
        else:
            value = _BASE64.find(char)
            if value < 0:
                raise invalid_base64()
            symbols.append(value)
        if len(symbols) == 4:
            first, second, third, fourth = symbols
            group = (first << 18) + (second << 12) + (third << 6) + fourth
            made += group.to_bytes(3, "big")[:kept]
            symbols.clear()
    if symbols:
        raise invalid_base64()
    return bytes(made)


PARSING: dict[str, Callable[[str], Any]] = {
    "int8": to_int,
    "float8": to_float,
    "numeric": to_numeric,
    "bool": to_bool,
    "uuid": to_uuid,
}
"""How each type reads a text."""
